//! Who sends the probes. eAPI has no command for it: probes leave from the machine of the agent, on the switch or beside.

use std::{future::Future, sync::Arc};

use crate::driver::{DriverError, ProbeOutcome, Target};

/// Sends probes on behalf of a driver.
pub trait Prober: Send + Sync + 'static {
    /// As [`crate::driver::Driver::probe`].
    fn probe(
        &self,
        targets: &[Target],
        count: u32,
    ) -> impl Future<Output = Result<Vec<ProbeOutcome>, DriverError>> + Send;
}

impl Prober for Arc<crate::stamp::Prober> {
    async fn probe(&self, targets: &[Target], count: u32) -> Result<Vec<ProbeOutcome>, DriverError> {
        crate::stamp::Prober::probe(self, targets, count).await
    }
}

/// No sender: every probe is refused, so that nobody takes silence for loss.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProber;

impl Prober for NoProber {
    async fn probe(&self, targets: &[Target], _: u32) -> Result<Vec<ProbeOutcome>, DriverError> {
        if targets.is_empty() {
            return Ok(Vec::new());
        }
        Err(DriverError::State("this agent has no sender of probes; nothing was sent".to_owned()))
    }
}
