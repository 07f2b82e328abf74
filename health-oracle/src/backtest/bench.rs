//! The oracle's own memory and criteria, as a bench.

use super::{Bench, Case};
use crate::{
    criteria::{Verdict, coverage::Rules, device::evaluate_device, link::evaluate_link, standard::Standard},
    evidence::exhibit::Facts,
    store::{Commit, VerifiedBatch},
    telemetry::{DeviceTelemetry, fleet::Fleet},
};

/// What an oracle holds in memory, fed from a recording.
#[derive(Debug)]
pub struct FleetBench {
    fleet: Fleet,
    silent: DeviceTelemetry,
}

impl FleetBench {
    /// With buckets of this width, of which it holds `reach_ms`.
    #[must_use]
    pub fn new(bucket_ms: u64, reach_ms: u64) -> Self {
        Self { fleet: Fleet::new(bucket_ms, reach_ms), silent: DeviceTelemetry::default() }
    }
}

impl Bench for FleetBench {
    fn take(&mut self, batch: &VerifiedBatch) {
        // What a store would have to keep of it is kept already.
        self.fleet.take(batch.clone(), &mut Commit::default());
    }

    fn judge(&self, case: &Case, rules: &Rules, now_ms: u64) -> Verdict {
        let (window, standard) = (case.window(now_ms, rules), Standard::from(rules));
        let telemetry = |code| self.fleet.device(code).unwrap_or(&self.silent);
        match &case.facts {
            Facts::Device(facts) => evaluate_device(&window, facts, telemetry(&case.code), &standard, now_ms),
            Facts::Link(facts) => {
                let [(a, _), (z, _)] = &facts.ends;
                evaluate_link(&window, facts, [telemetry(a), telemetry(z)], &standard, now_ms)
            }
        }
    }
}
