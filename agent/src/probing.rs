//! Who sends the probes of a driver. Routers' own commands are not used for it: probes leave from the agent's machine.

use std::{future::Future, sync::Arc};

use crate::{
    driver::{DriverError, ProbeOutcome, Target},
    stamp,
};

/// Sends probes on behalf of a driver.
pub trait Prober: Send + Sync + 'static {
    /// As [`crate::driver::Driver::probe`].
    fn probe(
        &self,
        targets: &[Target],
        count: u32,
    ) -> impl Future<Output = Result<Vec<ProbeOutcome>, DriverError>> + Send;
}

impl Prober for Arc<stamp::Prober> {
    async fn probe(&self, targets: &[Target], count: u32) -> Result<Vec<ProbeOutcome>, DriverError> {
        stamp::Prober::probe(self, targets, count).await
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
