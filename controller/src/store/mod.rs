//! What is served, and what agents said of it: per device the current configuration, the last ones before it, one held
//! for approval, the last problem, and the last reports. In memory: all but the reports can be made anew from the ledger and from what
//! is kept of what was served ([`Kept`]).
//!
//! [`Store::commit`] takes what [`crate::prepare`] made, as a whole. A device whose text could not be made keeps
//! what it has. A text has the slot at which this controller first saw it as its generation; it never goes
//! down. No clock is read here: time comes in as unix milliseconds.

mod bundle;
mod drift;
mod entry;
mod report;
mod seed;
mod transitions;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use causeway_interface::{Code, Key, accounts::Device};
use causeway_sdk::snapshot::Snapshot;

pub(crate) use self::report::cut;
pub use self::{
    bundle::{Bundle, Signer, unified},
    drift::{Drift, MAX_WORD_AGE_MS, Word},
    entry::{Entry, Held, MAX_GENERATIONS, Polled, Problem},
    report::{ApplyState, MAX_REPORT_DIFF, MAX_REPORT_WORDS, MAX_REPORTS, Report, ReportResult},
    seed::Kept,
};
use self::{
    entry::{clear_problem, set_problem, take},
    transitions::{changed_records, transitions},
};
use crate::{
    backbone::Backbone,
    change::{self, Served},
    codes,
    events::Change,
    guards::Limits,
    prepare::{Basis, Index, Made, Outcome, Prepared},
    probes::Plan as ProbePlan,
    topology::{Fault, is_configured},
};

/// An approval that was not given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApproveError {
    /// No such device.
    #[error("the ledger has no device {0}")]
    UnknownDevice(Code),
    /// Nothing waits.
    #[error("no configuration of device {0} is held for approval")]
    NothingHeld(Code),
    /// Another text waits than the one that was looked at.
    #[error("the held configuration of device {device} is {held} now, not the one that was approved")]
    Changed {
        /// The device.
        device: Code,
        /// Hex SHA-256 of what waits.
        held: String,
    },
}

/// What is served.
#[derive(Debug, Default)]
pub struct Store {
    entries: BTreeMap<Code, Entry>,
    effective: Option<Arc<Snapshot>>,
    index: Index,
    backbone: Arc<Backbone>,
    faults: BTreeMap<Key, Fault>,
    unreadable: Option<(&'static str, String)>,
    /// Devices that are served something else than the snapshot asks for, as of before the first one.
    unsettled: BTreeSet<Code>,
    renders: u64,
}

impl Store {
    /// What preparing needs to know.
    #[must_use]
    pub fn basis(&self) -> Basis {
        let troubled = self.entries.iter().filter(|(_, e)| e.problem.is_some()).map(|(code, _)| *code);
        let troubled = troubled.chain(self.unsettled.iter().copied());
        let made = self.entries.iter().filter_map(|(code, e)| Some((*code, e.made_of.clone()?)));
        Basis {
            effective: self.effective.clone(),
            made: made.collect(),
            backbone: Arc::clone(&self.backbone),
            troubled: troubled.collect(),
        }
    }

    /// What preparing a small change needs; none before the first snapshot, or when the ledger as last read is not to be
    /// acted on.
    #[must_use]
    pub fn served(&self) -> Option<Served<'_>> {
        let effective = self.effective.as_deref().filter(|_| self.unreadable.is_none())?;
        Some(Served { effective, index: &self.index, faults: &self.faults, backbone: &self.backbone })
    }

    /// What a device's latest text was made of, when it could be made.
    #[must_use]
    pub fn made_of(&self, device: &Code) -> Option<Made> {
        self.entries.get(device).filter(|e| e.problem.is_none())?.made_of.clone()
    }

    /// The snapshot that is served: the ledger as last read, with faulty records replaced by their last good ones.
    #[must_use]
    pub fn effective(&self) -> Option<&Arc<Snapshot>> {
        self.effective.as_ref()
    }

    /// The served record of a device.
    #[must_use]
    pub fn device(&self, code: &Code) -> Option<&Device> {
        self.effective.as_ref()?.devices.get(self.index.devices.get(code)?)
    }

    /// Slot up to which a device's current configuration is what the ledger asks for, also where its text did not have to
    /// change. It stays behind while a text can't be made or waits for approval.
    #[must_use]
    pub fn evaluated_slot(&self, entry: &Entry) -> u64 {
        if entry.is_clear() { self.slot() } else { entry.stopped_slot }
    }

    /// Slot of what is served; 0 before the first.
    #[must_use]
    pub fn slot(&self) -> u64 {
        self.effective.as_ref().map_or(0, |s| s.slot)
    }

    /// Faults on the ledger.
    #[must_use]
    pub fn faults(&self) -> &BTreeMap<Key, Fault> {
        &self.faults
    }

    /// Why the ledger as last read changes nothing, if so: code and cause.
    #[must_use]
    pub fn unreadable(&self) -> Option<&(&'static str, String)> {
        self.unreadable.as_ref()
    }

    /// How many texts were made since start.
    #[must_use]
    pub fn renders(&self) -> u64 {
        self.renders
    }

    /// One device.
    #[must_use]
    pub fn entry(&self, device: &Code) -> Option<&Entry> {
        self.entries.get(device)
    }

    /// Every device.
    #[must_use]
    pub fn entries(&self) -> &BTreeMap<Code, Entry> {
        &self.entries
    }

    /// Notes that a snapshot is not to be acted on.
    pub fn refuse(&mut self, code: &'static str, cause: String) -> Vec<Change> {
        let news = self.unreadable.as_ref().is_none_or(|(known, _)| *known != code);
        self.unreadable = Some((code, cause.clone()));
        if news { vec![Change::LedgerUnreadable { code: codes::full(code), cause }] } else { Vec::new() }
    }

    /// Serves what was prepared. Returns what changed.
    pub fn commit(&mut self, prepared: Prepared, signer: &Signer, limits: &Limits) -> Vec<Change> {
        let mut changes = Vec::new();
        if self.unreadable.take().is_some() {
            changes.push(Change::LedgerReadable {});
        }
        self.unsettled.clear();
        let (before_slot, slot) = (self.slot(), prepared.effective.slot);
        self.entries.retain(|code, _| prepared.devices.contains(code));
        for code in &prepared.devices {
            self.entries.entry(*code).or_default();
        }
        self.take_outcomes(prepared.outcomes, before_slot, slot, signer, limits, &mut changes);
        // What a text takes away is measured by what the device has now, and that grows without texts.
        let reach = prepared.backbone.table().len().saturating_sub(1);
        for entry in self.entries.values_mut().filter(|e| e.is_clear()) {
            entry.reach = reach;
        }
        self.take_probes(prepared.probes);
        if let Some(before) = &self.effective {
            changes.extend(transitions(before, &prepared.effective));
        }
        self.index = prepared.index;
        self.effective = Some(prepared.effective);
        self.backbone = prepared.backbone;
        self.faults = prepared.faults;
        changes
    }

    /// Serves a small change. Returns what changed. Costs what the change costs, as long as nobody else holds the snapshot.
    pub fn commit_change(&mut self, change: change::Change, signer: &Signer, limits: &Limits) -> Vec<Change> {
        let mut changes = Vec::new();
        let before_slot = self.slot();
        let slot = change.slot.max(before_slot);
        self.take_outcomes(change.outcomes, before_slot, slot, signer, limits, &mut changes);
        if let Some(effective) = &mut self.effective {
            for (key, link) in &change.records.links {
                if let Some(old) =
                    effective.links.get(key).filter(|old| self.index.nets.get(&old.tunnel_net) == Some(key))
                {
                    self.index.nets.remove(&old.tunnel_net);
                }
                if is_configured(link.header.status) {
                    self.index.nets.insert(link.tunnel_net, *key);
                }
            }
            changes.extend(changed_records(effective, &change.records));
            change::merge(Arc::make_mut(effective), change.records);
        }
        changes
    }

    /// Makes every device's probe plan anew.
    pub fn take_probes(&mut self, probes: BTreeMap<Code, ProbePlan>) {
        for (code, probes) in probes {
            if let Some(entry) = self.entries.get_mut(&code).filter(|e| e.probes.sha256 != probes.sha256) {
                entry.probes = Arc::new(probes);
            }
        }
    }

    fn take_outcomes(
        &mut self,
        outcomes: BTreeMap<Code, Outcome>,
        before_slot: u64,
        slot: u64,
        signer: &Signer,
        limits: &Limits,
        changes: &mut Vec<Change>,
    ) {
        for (code, outcome) in outcomes {
            let entry = self.entries.entry(code).or_default();
            entry.change(before_slot, slot, |entry| match outcome {
                Outcome::Unchanged => clear_problem(entry, code, changes),
                Outcome::Failed(error) => set_problem(entry, code, &error, slot, changes),
                Outcome::Rendered(plan, rendered) => {
                    self.renders += 1;
                    entry.made_of = Some(Made { plan: Arc::clone(&plan), lead: Arc::clone(rendered.lead()) });
                    clear_problem(entry, code, changes);
                    take(entry, plan, *rendered, slot, signer, Some(limits), changes);
                }
                Outcome::StoodIn(error, plan, rendered) => {
                    self.renders += 1;
                    entry.made_of = Some(Made { plan: Arc::clone(&plan), lead: Arc::clone(rendered.lead()) });
                    let reach = rendered.extent.reach;
                    take(entry, plan, *rendered, slot, signer, Some(limits), changes);
                    if entry.held.is_none() {
                        entry.reach = reach;
                    }
                    set_problem(entry, code, &error, slot, changes);
                }
            });
        }
    }

    /// Serves a held text, on a person's word about exactly this text.
    ///
    /// # Errors
    /// Unknown device, nothing held, or another text is held by now.
    pub fn approve(&mut self, device: &Code, sha256: &[u8; 32], signer: &Signer) -> Result<Vec<Change>, ApproveError> {
        let slot = self.slot();
        let entry = self.entries.get_mut(device).ok_or(ApproveError::UnknownDevice(*device))?;
        let held = entry.held.take().ok_or(ApproveError::NothingHeld(*device))?;
        if held.rendered.sha256 != *sha256 {
            let error = ApproveError::Changed { device: *device, held: hex::encode(held.rendered.sha256) };
            entry.held = Some(held);
            return Err(error);
        }
        let mut changes = Vec::new();
        entry.change(slot, slot, |entry| take(entry, held.plan, held.rendered, slot, signer, None, &mut changes));
        if entry.is_clear() {
            entry.reach = self.backbone.table().len().saturating_sub(1);
        }
        Ok(changes)
    }

    /// Notes that an agent asked, and what it said of what runs, if it did.
    pub fn polled(&mut self, device: &Code, word: Option<Word>, at_unix_ms: u64) {
        if let Some(entry) = self.entries.get_mut(device) {
            let generation = entry.current.as_ref().map_or(0, |b| b.generation);
            entry.polled = Some(Polled { at_unix_ms, generation });
            if word.is_some() {
                entry.word = word;
            }
        }
    }

    /// Notes a report. Nothing for a device that isn't there.
    pub fn report(&mut self, device: &Code, report: Report) -> Option<Change> {
        Some(self.entries.get_mut(device)?.report(*device, report))
    }
}
