//! What became of one subject by two rules, look by look.

use serde::Serialize;

use crate::criteria::{Criterion, Level, Verdict};

/// What was found at one look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct State {
    /// The level.
    pub level: Level,
    /// The criteria that did not pass.
    pub not_passed: Vec<Criterion>,
}

impl State {
    fn of(verdict: &Verdict) -> Self {
        Self { level: verdict.level, not_passed: verdict.not_passed().map(|result| result.id).collect() }
    }
}

/// From this look on, this was found by the rules of the record and by the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// When, in ms since 1970.
    pub at_ms: u64,
    /// By the rules of the record.
    pub recorded: State,
    /// By the others.
    pub other: State,
}

/// A stretch in which a subject was judged without a break.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stretch {
    /// What changed, ascending; the first is where it begins.
    pub entries: Vec<Entry>,
    /// The last look of it, in ms since 1970.
    pub end_ms: u64,
}

/// What became of one subject.
///
/// A look counts once a later document shows that the subject was still judged; what was looked at after the last one is
/// not kept, because nobody knows whether there was anything to be judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    stretches: Vec<Stretch>,
    /// Looks that don't count yet.
    pending: Vec<Entry>,
    pending_end_ms: Option<u64>,
    broken: bool,
    documents: u64,
    alike: u64,
}

impl Timeline {
    pub(super) fn look(&mut self, at_ms: u64, [recorded, other]: [Verdict; 2]) {
        let entry = Entry { at_ms, recorded: State::of(&recorded), other: State::of(&other) };
        let last = self.pending.last().or_else(|| self.stretches.last().and_then(|s| s.entries.last()));
        let same = last.is_some_and(|last| (&last.recorded, &last.other) == (&entry.recorded, &entry.other));
        // The first after a break is where a stretch begins, whatever was before the break.
        if !same || (self.pending.is_empty() && (self.broken || self.stretches.is_empty())) {
            self.pending.push(entry);
        }
        self.pending_end_ms = Some(at_ms);
    }

    /// What is pending counts.
    pub(super) fn keep(&mut self) {
        let Some(end_ms) = self.pending_end_ms.take() else { return };
        if self.broken || self.stretches.is_empty() {
            self.stretches.push(Stretch::default());
            self.broken = false;
        }
        if let Some(stretch) = self.stretches.last_mut() {
            stretch.entries.append(&mut self.pending);
            stretch.end_ms = end_ms;
        }
    }

    /// What is pending does not count, and what comes begins anew.
    pub(super) fn forget(&mut self) {
        self.pending.clear();
        self.pending_end_ms = None;
        self.broken = true;
    }

    /// A document was judged again.
    pub(super) fn replayed(&mut self, alike: bool) {
        self.documents += 1;
        self.alike += u64::from(alike);
    }

    /// The stretches that count, ascending.
    #[must_use]
    pub fn stretches(&self) -> &[Stretch] {
        &self.stretches
    }

    /// Documents that were judged again, and how many came out the same.
    #[must_use]
    pub fn documents(&self) -> (u64, u64) {
        (self.documents, self.alike)
    }
}
