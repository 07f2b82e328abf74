//! One device: what is served to it, what waits or stands in the way, and what its agent said.

use std::{collections::VecDeque, sync::Arc};

use causeway_interface::Code;

use super::{
    bundle::{Bundle, Signer, sign},
    drift::{self, Drift, Word},
    report::{ApplyState, MAX_REPORT_DIFFS, MAX_REPORTS, Report, ReportResult},
};
use crate::{
    codes,
    events::Change,
    guards::{self, Limits, Removal},
    plan::DevicePlan,
    prepare::Made,
    probes::Plan as ProbePlan,
    render::{RenderError, Rendered},
};

/// Configurations kept per device: enough to look back over a busy maintenance night.
pub const MAX_GENERATIONS: usize = 20;
/// Bytes of their texts kept per device; the current one and the one before it are kept whatever they take.
pub const MAX_HISTORY_BYTES: usize = 2 * 1024 * 1024;

/// A text that waits for a person.
#[derive(Clone, Debug)]
pub struct Held {
    /// What waits.
    pub rendered: Rendered,
    /// What it was made from.
    pub(super) plan: Arc<DevicePlan>,
    /// What it would take away.
    pub removal: Removal,
    /// Slot of the snapshot that it was made from.
    pub slot: u64,
}

/// Why a device's configuration could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Short name.
    pub code: &'static str,
    /// What is wrong.
    pub cause: String,
    /// What to do.
    pub remedy: &'static str,
    /// Slot of the snapshot in which it was first seen.
    pub since_slot: u64,
}

/// What an agent was last given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Polled {
    /// When, unix milliseconds.
    pub at_unix_ms: u64,
    /// Generation that was offered.
    pub generation: u64,
}

/// Everything about one device.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// What is served.
    pub current: Option<Arc<Bundle>>,
    /// What the current configuration was made from.
    pub(super) served: Option<Arc<DevicePlan>>,
    /// What was served, oldest first, the current one last.
    pub history: VecDeque<Arc<Bundle>>,
    /// What waits for approval.
    pub held: Option<Held>,
    /// Why the latest could not be made.
    pub problem: Option<Problem>,
    /// What the latest text was made of, served or held.
    pub(super) made_of: Option<Made>,
    /// What the agent is to probe.
    pub probes: Arc<ProbePlan>,
    /// Other devices whose routes the device learns, as of the latest snapshot that nothing stood in the way of.
    pub(super) reach: usize,
    /// What [`Store::evaluated_slot`] was when something came into the way.
    pub(super) stopped_slot: u64,
    /// Slot of the latest such snapshot in which something that the device depends on had changed.
    pub touched_slot: u64,
    /// When the agent last asked.
    pub polled: Option<Polled>,
    /// What the agent said, oldest first.
    pub reports: VecDeque<Report>,
    /// What the agent last said of what runs.
    pub word: Option<Word>,
}

impl Entry {
    /// What is served is what the ledger asks for: nothing stands in the way.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.current.is_some() && self.held.is_none() && self.problem.is_none()
    }

    /// Makes a change as of `slot`, given the slot before it, and notes what became of it.
    pub(super) fn change(&mut self, before_slot: u64, slot: u64, make: impl FnOnce(&mut Self)) {
        if self.is_clear() {
            self.stopped_slot = before_slot;
        }
        make(self);
        if self.is_clear() {
            self.touched_slot = slot;
        }
    }

    /// The latest report of a configuration that runs.
    #[must_use]
    pub fn applied(&self) -> Option<&Report> {
        self.reports.iter().rev().find(|r| r.result.runs())
    }

    /// How the device stands to the current configuration.
    #[must_use]
    pub fn apply_state(&self) -> ApplyState {
        let Some(current) = &self.current else { return ApplyState::Never };
        let runs = |word: &&Word| word.text_sha256 == current.sha256 && !word.running_sha256.is_empty();
        let running = match self.word.as_ref().filter(runs) {
            Some(word) if word.changed_beside() => ApplyState::Drifted,
            Some(_) | None => ApplyState::Current,
        };
        match (self.reports.back(), &self.word) {
            (None, None) => ApplyState::Never,
            // A controller that was started anew has polls and no reports: an agent reports what changes.
            (None, Some(word)) if word.text_sha256 == current.sha256 => running,
            (None, Some(_)) => ApplyState::Behind,
            (Some(last), _) if last.sha256 != current.sha256 => ApplyState::Behind,
            (Some(last), _) => match last.result {
                ReportResult::Refused => ApplyState::Refused,
                ReportResult::Reverted => ApplyState::Reverted,
                ReportResult::Waiting => ApplyState::Behind,
                ReportResult::Applied | ReportResult::Unchanged => running,
            },
        }
    }

    /// How what runs stands to what is served.
    #[must_use]
    pub fn drift(&self, now_ms: u64) -> Drift {
        drift::drift(self.word.as_ref(), self.current.as_deref(), now_ms)
    }

    /// Notes a report; the oldest go first, and their diffs before them.
    pub(super) fn report(&mut self, device: Code, mut report: Report) -> Change {
        report.shorten();
        let change = Change::ApplyReport {
            device,
            generation: report.generation,
            result: report.result.name().into(),
            error_code: report.error_code.clone(),
        };
        self.word = Word::after(self.word.as_ref(), &report).or(self.word.take());
        if self.reports.len() == MAX_REPORTS {
            self.reports.pop_front();
        }
        self.reports.push_back(report);
        let mut kept = 0;
        for report in self.reports.iter_mut().rev() {
            kept += report.diff.len();
            if kept > MAX_REPORT_DIFFS && !report.diff.is_empty() {
                report.diff = String::new();
                report.diff_cut = true;
            }
        }
        change
    }

    /// The configuration of a generation that is still kept.
    #[must_use]
    pub fn generation(&self, generation: u64) -> Option<&Arc<Bundle>> {
        self.history.iter().rev().find(|b| b.generation == generation)
    }
}

pub(super) fn clear_problem(entry: &mut Entry, device: Code, changes: &mut Vec<Change>) {
    if entry.problem.take().is_some() {
        changes.push(Change::ConfigRecovered { device });
    }
}

pub(super) fn set_problem(entry: &mut Entry, device: Code, error: &RenderError, slot: u64, changes: &mut Vec<Change>) {
    let cause = chain(error);
    if entry.problem.as_ref().is_some_and(|known| known.code == error.code() && known.cause == cause) {
        return;
    }
    changes.push(Change::ConfigProblem { device, code: codes::full(error.code()), cause: cause.clone() });
    entry.problem = Some(Problem { code: error.code(), cause, remedy: error.remedy(), since_slot: slot });
}

/// An error with its sources.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        words.push_str(": ");
        words.push_str(&inner.to_string());
        source = inner.source();
    }
    words
}

/// Makes a text the current one, or holds it where `limits` are given and say so.
pub(super) fn take(
    entry: &mut Entry,
    plan: Arc<DevicePlan>,
    rendered: Rendered,
    slot: u64,
    signer: &Signer,
    limits: Option<&Limits>,
    changes: &mut Vec<Change>,
) {
    let before = entry.current.as_deref();
    if before.is_some_and(|b| b.sha256 == rendered.sha256 && b.family == rendered.family) {
        // Back to what is served: nothing waits any more.
        entry.held = None;
        entry.served = Some(plan);
        return;
    }
    let removal =
        before.zip(limits).and_then(|(b, limits)| guards::removal(&b.extent, entry.reach, &rendered.extent, limits));
    if let Some(removal) = removal {
        if entry.held.as_ref().is_none_or(|h| h.rendered.sha256 != rendered.sha256) {
            changes.push(Change::ConfigHeld { device: rendered.device, sha256: hex::encode(rendered.sha256) });
        }
        entry.held = Some(Held { rendered, plan, removal, slot });
        return;
    }
    entry.held = None;
    // Two texts of one slot: the later one supersedes under the same generation, which must not go down.
    let generation = before.map_or(slot, |b| b.generation.max(slot));
    let bundle = sign(rendered, generation, before, signer);
    changes.push(Change::ConfigChanged {
        device: bundle.device,
        generation: bundle.generation,
        sha256: hex::encode(bundle.sha256),
    });
    let bundle = Arc::new(bundle);
    entry.history.push_back(Arc::clone(&bundle));
    let bytes = |history: &VecDeque<Arc<Bundle>>| history.iter().map(|b| b.text.len()).sum::<usize>();
    while entry.history.len() > MAX_GENERATIONS
        || (entry.history.len() > 2 && bytes(&entry.history) > MAX_HISTORY_BYTES)
    {
        entry.history.pop_front();
    }
    entry.current = Some(bundle);
    entry.served = Some(plan);
}
