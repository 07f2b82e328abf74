//! What an oracle would have found by other thresholds: recorded telemetry, judged again.
//!
//! [`run`] goes through a recording in the order in which things came to be known, and judges every subject at every step
//! twice: by the rules of the record and by others. At a step it knows the batches that had been received and the facts
//! that had been written down by then, and nothing of what came later. It does no IO and reads no clock.
//!
//! - [`recording`], `documents`: what an oracle recorded, from its data directory.
//! - [`FleetBench`]: the oracle's own memory and criteria.
//! - [`timeline`]: what became of one subject, by either rules.
//! - `report`: what differs, counted.
//!
//! # What it is not
//!
//! Facts are those of the documents that were signed, which are as old as a renewal at most. What the ledger would have
//! become is not followed: with other verdicts a link might have been activated at another time, and the facts would have
//! been others. Each report says how many of the record's own verdicts come out the same, by the same rules.

mod bench;
mod documents;
pub mod recording;
mod report;
#[cfg(test)]
mod tests;
pub mod timeline;

use std::collections::BTreeMap;

use causeway_interface::Code;

use crate::{
    criteria::{
        Level, Verdict,
        coverage::{Rules, Window},
    },
    evidence::{Evidence, exhibit::Facts},
    store::VerifiedBatch,
    subjects::Kind,
};
pub use bench::FleetBench;
pub use report::{Differs, Reached, Report, SubjectReport, Summary};
use timeline::Timeline;

/// A subject is taken to be out of judgement where no document of it was written for this long, in ms: a word is renewed
/// in a third of its maximum age, which is minutes.
const MAX_SILENCE_MS: u64 = 3_600_000;
/// Steps of one run: two years of minutes. More is a step that was meant to be longer.
pub const MAX_STEPS: u64 = 1_051_200;

/// One document: what was known of a subject beside telemetry, and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// What it is.
    pub kind: Kind,
    /// Its code.
    pub code: Code,
    /// When it was judged, in ms since 1970.
    pub at_ms: u64,
    /// What the ledger said.
    pub facts: Facts,
    /// How long its window is where nothing cuts it, in ms.
    pub window_ms: u64,
    /// Since when it could be observed in its stage, in ms since 1970; none where that was not known or not needed.
    pub observable_since_ms: Option<u64>,
    /// What it was judged by.
    pub rules: Rules,
    /// The level that was found.
    pub level: Level,
    /// Bits of the criteria that did not pass.
    pub failed: u32,
}

impl Case {
    /// What a document was judged by.
    ///
    /// A window that was cut keeps its beginning while it grows: it is given the length that it has at most before the
    /// next document.
    #[must_use]
    pub fn of(evidence: &Evidence) -> Self {
        let start_ms = evidence.buckets.start_ms();
        let length_ms = evidence.at_ms.saturating_sub(start_ms);
        let fresh = evidence.buckets.fresh;
        Self {
            kind: match evidence.verdict.level {
                Level::Device(_) => Kind::Device,
                Level::Link(_) => Kind::Link,
            },
            code: evidence.code,
            at_ms: evidence.at_ms,
            facts: evidence.facts.clone(),
            window_ms: if fresh { length_ms.saturating_add(MAX_SILENCE_MS) } else { length_ms },
            observable_since_ms: fresh.then_some(start_ms),
            rules: evidence.rules.clone(),
            level: evidence.verdict.level,
            failed: evidence.verdict.failed_bits(),
        }
    }

    /// The window at `now_ms` by these rules.
    #[must_use]
    pub fn window(&self, now_ms: u64, rules: &Rules) -> Window {
        Window::new(now_ms, self.window_ms, self.observable_since_ms, rules)
    }
}

/// What came to be known, and when.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A batch, at its `received_ms`.
    Batch(Box<VerifiedBatch>),
    /// A document, at its `at_ms`.
    Case(Box<Case>),
}

impl Event {
    /// When it came to be known, in ms since 1970.
    #[must_use]
    pub fn at_ms(&self) -> u64 {
        match self {
            Self::Batch(batch) => batch.received_ms,
            Self::Case(case) => case.at_ms,
        }
    }
}

/// Telemetry as far as it has come in, and the criteria over it.
pub trait Bench {
    /// Takes a batch. Batches of a device come in the order in which they were accepted.
    fn take(&mut self, batch: &VerifiedBatch);

    /// What is found of a subject at `now_ms` by these rules.
    fn judge(&self, case: &Case, rules: &Rules, now_ms: u64) -> Verdict;
}

/// What is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// First moment that counts, in ms since 1970.
    pub since_ms: u64,
    /// Last moment that counts, in ms since 1970.
    pub until_ms: u64,
    /// Time between two looks, in ms: the width of a bucket, since no verdict on a series changes within one.
    pub step_ms: u64,
}

impl Plan {
    /// What can't be run, in words.
    ///
    /// # Errors
    /// The end is before the beginning, or there are too many steps.
    pub fn check(&self) -> Result<(), &'static str> {
        let length = self.until_ms.checked_sub(self.since_ms).ok_or("the end is before the beginning")?;
        if length / self.step_ms.max(1) > MAX_STEPS {
            return Err("the recording has more steps than one run takes; choose a shorter part");
        }
        Ok(())
    }
}

/// One subject under way.
struct Subject {
    case: Case,
    other_rules: Rules,
    timeline: Timeline,
}

/// Runs a recording through both rules: those of each document, and what `change` makes of them.
///
/// Events come in the order of [`Event::at_ms`]; one that is older than the one before it is taken as late, when it comes.
/// `recorded` and `other` are two benches that nothing has been taken by yet.
///
/// # Errors
/// The recording's own, at the first event that can't be read.
pub fn run<E>(
    events: impl IntoIterator<Item = Result<Event, E>>,
    plan: &Plan,
    change: impl Fn(&Rules) -> Rules,
    recorded: &mut impl Bench,
    other: &mut impl Bench,
) -> Result<Report, E> {
    let mut subjects: BTreeMap<(Kind, Code), Subject> = BTreeMap::new();
    let mut next_ms = plan.since_ms;
    let step_ms = plan.step_ms.max(1);
    for event in events {
        let event = event?;
        let at_ms = event.at_ms();
        // Every look before this event is made without it.
        while next_ms < at_ms && next_ms <= plan.until_ms {
            look(&mut subjects, next_ms, recorded, other);
            next_ms = next_ms.saturating_add(step_ms);
        }
        if at_ms > plan.until_ms {
            break;
        }
        match event {
            Event::Batch(batch) => {
                recorded.take(&batch);
                other.take(&batch);
            }
            Event::Case(case) => document(&mut subjects, *case, plan.since_ms, &change, recorded),
        }
    }
    Ok(report::report(plan, subjects.into_iter().map(|(key, subject)| (key, subject.timeline))))
}

/// Takes note of a document: what was looked at since the one before it counts from now on, and what it found is found
/// again, as far as the record allows.
fn document(
    subjects: &mut BTreeMap<(Kind, Code), Subject>,
    case: Case,
    since_ms: u64,
    change: impl Fn(&Rules) -> Rules,
    recorded: &impl Bench,
) {
    let key = (case.kind, case.code);
    // A batch that was refused is kept again in halves, with the same documents.
    if subjects.get(&key).is_some_and(|known| known.case == case) {
        return;
    }
    let counts = case.at_ms >= since_ms;
    let again = counts.then(|| recorded.judge(&case, &case.rules, case.at_ms));
    let alike = again.map(|verdict| (verdict.level, verdict.failed_bits()) == (case.level, case.failed));
    let other_rules = change(&case.rules);
    let timeline = match subjects.remove(&key) {
        Some(mut known) => {
            if case.at_ms.saturating_sub(known.case.at_ms) <= MAX_SILENCE_MS {
                known.timeline.keep();
            } else {
                known.timeline.forget();
            }
            known.timeline
        }
        None => Timeline::default(),
    };
    let subject = subjects.entry(key).or_insert(Subject { case, other_rules, timeline });
    if let Some(alike) = alike {
        subject.timeline.replayed(alike);
    }
}

fn look(subjects: &mut BTreeMap<(Kind, Code), Subject>, now_ms: u64, recorded: &impl Bench, other: &impl Bench) {
    for Subject { case, other_rules, timeline } in subjects.values_mut() {
        let by = [recorded.judge(case, &case.rules, now_ms), other.judge(case, other_rules, now_ms)];
        timeline.look(now_ms, by);
    }
}
