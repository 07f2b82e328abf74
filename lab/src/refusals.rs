//! Configurations that routers refused or took back, over every controller of a run: reports are in a controller's memory, and
//! end with it.

use std::collections::BTreeSet;

use causeway_controller::store::{Report, ReportResult};
use causeway_interface::Code;

/// What was refused so far.
#[derive(Debug, Default)]
pub struct Refusals {
    seen: BTreeSet<(Code, u64, u64)>,
    /// Whether a step makes some on purpose.
    pub on_purpose: bool,
    /// Of those that nobody wanted.
    pub unwanted: u64,
    /// Of those that a step made on purpose.
    pub wanted: u64,
}

impl Refusals {
    /// Counts a report once, however often it is read; whether it is one more refusal. One that waits for a job's word is none.
    pub fn take(&mut self, device: Code, report: &Report) -> bool {
        match report.result {
            ReportResult::Refused | ReportResult::Reverted => {}
            ReportResult::Unchanged | ReportResult::Applied | ReportResult::Waiting => return false,
        }
        if !self.seen.insert((device, report.received_unix_ms, report.generation)) {
            return false;
        }
        let count = if self.on_purpose { &mut self.wanted } else { &mut self.unwanted };
        *count += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(result: ReportResult, received_unix_ms: u64) -> Report {
        Report {
            received_unix_ms,
            generation: 7,
            sha256: vec![1; 32],
            result,
            diff: String::new(),
            diff_cut: false,
            duration_ms: 1,
            error_code: String::new(),
            message: String::new(),
            running_sha256: vec![1; 32],
            startup_saved: false,
            at_unix_ms: 1,
            order: String::new(),
            extended: 0,
        }
    }

    #[test]
    fn a_refusal_counts_once_and_those_that_are_wanted_apart() {
        let (ams, fra) = ("ams".parse().unwrap(), "fra".parse().unwrap());
        let mut refusals = Refusals::default();
        for _ in 0..2 {
            for result in [ReportResult::Applied, ReportResult::Unchanged, ReportResult::Waiting] {
                assert!(!refusals.take(ams, &report(result, 10)));
            }
            refusals.take(ams, &report(ReportResult::Refused, 20));
            refusals.take(fra, &report(ReportResult::Reverted, 20));
        }
        assert_eq!((refusals.unwanted, refusals.wanted), (2, 0));
        refusals.on_purpose = true;
        assert!(!refusals.take(ams, &report(ReportResult::Refused, 20)), "it was before");
        assert!(refusals.take(ams, &report(ReportResult::Reverted, 30)));
        assert_eq!((refusals.unwanted, refusals.wanted), (2, 1));
    }
}
