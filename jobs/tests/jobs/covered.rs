//! What the generated cases of a kind of job have hit: every step has to have failed, to have been done again, to have been
//! cut off with its controller, taken over and cancelled. A kind or a step that no case hits is a failure, not a shorter
//! table.

use std::{collections::BTreeMap, io::Write as _};

use causeway_jobs::{
    Job,
    event::{Cause, End},
    job::{Phase, Progress, StepStatus},
    spec::{Kind, Verb},
};

/// What happened to the controller or the job in a case, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hit {
    /// Nothing.
    None,
    /// It died.
    Died,
    /// It was held up, and another one took over.
    TakenOver,
    /// The job was cancelled.
    Cancelled,
}

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    failed: u32,
    repeated: u32,
    died: u32,
    taken_over: u32,
    cancelled: u32,
}

/// Counts, by step.
#[derive(Debug, Default)]
pub struct Covered {
    rows: BTreeMap<Verb, Row>,
    cases: u64,
}

impl Covered {
    /// Counts what a case has hit, by the job that it left.
    pub fn count(&mut self, hit: Hit, job: &Job) {
        self.cases += 1;
        let mut last = None;
        for (step, spec) in job.steps.iter().zip(&job.spec.steps) {
            self.hit(hit, spec.verb, &step.forward);
            if step.forward.attempts > 0 {
                last = Some(spec.verb);
            }
            if let (Some(progress), Some(undo)) = (&step.undo, &spec.undo) {
                self.hit(hit, undo.verb, progress);
            }
        }
        if let (Phase::Ended(End::Back(Cause::Cancelled { .. })), Some(last)) = (&job.phase, last) {
            self.rows.entry(last).or_default().cancelled += 1;
        }
    }

    fn hit(&mut self, hit: Hit, verb: Verb, progress: &Progress) {
        let row = self.rows.entry(verb).or_default();
        let ended = progress.attempts.saturating_sub(progress.interruptions);
        row.failed += u32::from(progress.status == StepStatus::Failed || ended > 1);
        row.repeated += u32::from(progress.attempts > 1);
        let interrupted = u32::from(progress.interruptions > 0);
        match hit {
            Hit::Died => row.died += interrupted,
            Hit::TakenOver => row.taken_over += interrupted,
            Hit::None | Hit::Cancelled => {}
        }
    }

    /// Prints the counts, and fails where one of the kind's steps was not hit in every way.
    pub fn judge(&self, kind: Kind) {
        println!("{:<16} {:<13} failed  again   died  taken  cancelled", kind.name(), "step");
        for (verb, row) in &self.rows {
            let Row { failed, repeated, died, taken_over, cancelled } = *row;
            println!(
                "{:<16} {:<13} {failed:>6} {repeated:>6} {died:>6} {taken_over:>6} {cancelled:>10}",
                "",
                verb.name()
            );
            let ways =
                [("failed", failed), ("was done again", repeated), ("died", died), ("was taken over", taken_over)];
            for (what, count) in ways {
                assert!(count > 0, "{}: {} never {what}", kind.name(), verb.name());
            }
            // What is past return can't be cancelled, and what takes back is not cancelled.
            let too_late = matches!(verb, Verb::Notify | Verb::RollBack);
            assert_eq!(cancelled == 0, too_late, "{}: {} cancelled {cancelled} times", kind.name(), verb.name());
        }
        told("cases of jobs", self.cases);
        told("steps of jobs hit in every way", self.rows.len() as u64);
    }
}

/// Adds to what the whole run of tests has tried, where somebody adds it up.
fn told(what: &str, count: u64) {
    let Some(path) = std::env::var_os("CAUSEWAY_COUNTS") else { return };
    let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
    // One write, because other tests write too.
    file.write_all(format!("{what}\t{count}\n").as_bytes()).unwrap();
}
