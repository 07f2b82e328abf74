//! What came out, as measured.

use serde::Serialize;

/// The result of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// Devices that were registered.
    pub devices: usize,
    /// Devices in service at the end.
    pub devices_activated: usize,
    /// Links that were registered.
    pub links: usize,
    /// Links in service at the end.
    pub links_activated: usize,
    /// IS-IS metric that both routers of the drained link ran while it was soft-drained; 0 if they did not agree.
    pub drained_metric: u32,
    /// Whether the device with packet loss was seen impaired on the ledger, with a failing criterion named.
    pub impaired_seen: bool,
    /// Whether it, and everything that its loss touched, was seen ready again.
    pub healed: bool,
    /// From start to summary.
    pub seconds: f64,
    /// Seconds until everything was in service for the first time.
    pub seconds_to_service: f64,
    /// Transactions that landed.
    pub transactions: u64,
    /// Configurations that a device did not take, rounds that an oracle could not finish, transactions that failed.
    pub errors: u64,
}

impl Summary {
    /// Whether everything came out as it should.
    pub fn is_complete(&self) -> bool {
        self.devices > 0
            && self.devices_activated == self.devices
            && self.links_activated == self.links
            && self.drained_metric == causeway_controller::plan::DRAINED_METRIC
            && self.impaired_seen
            && self.healed
            && self.errors == 0
    }

    /// For people.
    pub fn table(&self) -> String {
        let yes = |b: bool| if b { "yes" } else { "NO" };
        let rows = [
            ("devices in service", format!("{} of {}", self.devices_activated, self.devices)),
            ("links in service", format!("{} of {}", self.links_activated, self.links)),
            ("all in service after", format!("{:.1} s", self.seconds_to_service)),
            ("metric while soft-drained", self.drained_metric.to_string()),
            ("fault seen on the ledger", yes(self.impaired_seen).into()),
            ("healed", yes(self.healed).into()),
            ("transactions", self.transactions.to_string()),
            ("errors", self.errors.to_string()),
            ("in all", format!("{:.1} s", self.seconds)),
        ];
        let lines: Vec<_> = rows.iter().map(|(name, value)| format!("  {name:<27}{value}")).collect();
        format!("Summary\n{}", lines.join("\n"))
    }
}
