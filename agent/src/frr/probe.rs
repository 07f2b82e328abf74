//! What measures beside FRR: the driver passes targets on and knows nothing of packets.

use std::future::Future;

use crate::driver::{DriverError, ProbeOutcome, Target};

/// Sends probes from this device.
pub trait Prober: Send + Sync + 'static {
    /// One outcome for each target, in order. No answer is an outcome, not an error.
    fn probe(
        &self,
        targets: &[Target],
        count: u32,
    ) -> impl Future<Output = Result<Vec<ProbeOutcome>, DriverError>> + Send;
}

/// Has nothing to probe with; says so where there is something to probe.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProber;

impl Prober for NoProber {
    async fn probe(&self, targets: &[Target], _count: u32) -> Result<Vec<ProbeOutcome>, DriverError> {
        if targets.is_empty() {
            return Ok(Vec::new());
        }
        Err(DriverError::State("this agent has no prober".to_owned()))
    }
}
