//! What a steady prober says of its probes when it is a process of its own: a line of JSON.

use serde::{Deserialize, Serialize};

use super::SteadyReport;

/// How the probes to one target stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Sent since the beginning.
    pub sent: u64,
    /// Of them, those that were not answered in time.
    pub lost: u64,
    /// Of them, those that the machine could not send.
    pub unsent: u64,
    /// Of the lost, those that were answered after all, too late.
    pub late: u64,
    /// When the lost ones were sent, in unix nanoseconds, in order.
    pub losses_unix_ns: Vec<u64>,
}

impl From<SteadyReport> for Standing {
    fn from(report: SteadyReport) -> Self {
        let losses_unix_ns = report.losses.iter().map(|loss| loss.sent_unix_ns).collect();
        Self { sent: report.sent, lost: report.lost, unsent: report.unsent, late: report.late, losses_unix_ns }
    }
}
