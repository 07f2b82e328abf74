//! What the parts of an agent know of each other, and what a snapshot shows.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{bundle::TextHash, plan::Plan, state::Applied, telemetry::BufferStatus};

/// Telemetry towards one oracle since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OracleStatus {
    /// Batches that it took.
    pub accepted_batches: u64,
    /// Batches that it refused for good.
    pub refused_batches: u64,
    /// Tries that failed and were or will be repeated.
    pub retries: u64,
    /// Samples that it will never get.
    pub lost_samples: u64,
    /// Samples that wait.
    pub buffered_samples: u64,
    /// Last failure; none after a success.
    pub last_error: Option<String>,
}

/// A snapshot of an agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// What the controller offered last.
    pub offered: Option<Applied>,
    /// Slot of the ledger up to which that is what the ledger asks for, by the controller's word; 0 for unknown.
    pub evaluated_slot: u64,
    /// What runs, verified in this process.
    pub applied: Option<Applied>,
    /// Hash of what the device starts with, as far as the agent saved it.
    pub startup: Option<TextHash>,
    /// Unix milliseconds when a controller last answered; 0 for never.
    pub polled_unix_ms: u64,
    /// Unix milliseconds when the device was last sampled; 0 for never.
    pub sampled_unix_ms: u64,
    /// Whether a session with a controller is open.
    pub connected: bool,
    /// Last failure of the controller's side or of an apply; none once all is well.
    pub last_error: Option<String>,
    /// Applies that ended in success since the start.
    pub applies: u64,
    /// Applies that were refused or reverted.
    pub failed_applies: u64,
    /// Targets that are probed.
    pub probe_targets: usize,
    /// By oracle URL.
    pub oracles: BTreeMap<String, OracleStatus>,
    /// How telemetry is kept until the oracles have it.
    pub buffer: BufferStatus,
}

/// The shared part.
#[derive(Default)]
pub struct Shared {
    status: Mutex<Status>,
    plan: Mutex<Arc<Plan>>,
}

impl Shared {
    pub fn new(plan: Plan, startup: Option<TextHash>) -> Self {
        let status = Status { startup, probe_targets: plan.targets.len(), ..Status::default() };
        Self { status: Mutex::new(status), plan: Mutex::new(Arc::new(plan)) }
    }

    pub fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn plan(&self) -> Arc<Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_plan(&self, plan: Plan) {
        self.status().probe_targets = plan.targets.len();
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(plan);
    }

    pub fn with_oracle(&self, url: &str, change: impl FnOnce(&mut OracleStatus)) {
        change(self.status().oracles.entry(url.to_owned()).or_default());
    }
}

/// The wall clock.
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// An error and its causes in one line, for logs and snapshots.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text
}
