//! What is served, and what agents said of it: per device the current configuration, the last ones before it, one held
//! for approval, the last problem, and the last reports. In memory: all but the reports can be made anew from the ledger.
//!
//! [`Store::commit`] takes what [`crate::prepare`] made, as a whole. A device whose text could not be made keeps
//! what it has. A text has the slot at which this controller first saw it as its generation; it never goes
//! down. No clock is read here: time comes in as unix milliseconds.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use causeway_interface::{Code, Key, accounts::Device};
use causeway_sdk::snapshot::Snapshot;
use causeway_wire::signing;
use ed25519_dalek::SigningKey;
use similar::TextDiff;

use crate::{
    backbone::Backbone,
    change::{self, Served},
    events::Change,
    guards::{self, Limits, Removal},
    prepare::{Basis, Index, Made, Outcome, Prepared},
    probes::Plan as ProbePlan,
    render::{Extent, Family, Inputs, RenderError, Rendered, Text},
    topology::{Fault, is_configured},
};

/// Configurations kept per device: enough to look back over a busy maintenance night.
pub const MAX_GENERATIONS: usize = 20;
/// Reports kept per device.
pub const MAX_REPORTS: usize = 50;
/// Largest diff that is kept of a report, in bytes; agents are asked to cut theirs, this holds if they don't.
pub const MAX_REPORT_DIFF: usize = 256 * 1024;
/// Largest message of a report, in bytes.
pub const MAX_REPORT_WORDS: usize = 4 * 1024;

/// A signed configuration.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// The device.
    pub device: Code,
    /// Slot at which this text was first seen to be the device's.
    pub generation: u64,
    /// Its family.
    pub family: Family,
    /// The whole managed configuration.
    pub text: Text,
    /// SHA-256 of the text.
    pub sha256: [u8; 32],
    /// The controller's signature over `signing::bundle_message`.
    pub signature: [u8; 64],
    /// Generation and text of the configuration before it.
    before: Option<(u64, Text)>,
    /// Accounts that it was made from.
    pub inputs: Inputs,
    extent: Extent,
}

impl Bundle {
    /// Unified diff from the configuration before it; of the first, from nothing. Made when it is asked for: agents don't wait
    /// for what people may look at.
    #[must_use]
    pub fn diff(&self) -> String {
        let (from, old) = match &self.before {
            Some((generation, text)) => (generation.to_string(), text.to_string()),
            None => ("none".to_string(), String::new()),
        };
        unified(&old, &self.text.to_string(), &from, &self.generation.to_string())
    }
}

/// A text that waits for a person.
#[derive(Clone, Debug)]
pub struct Held {
    /// What waits.
    pub rendered: Rendered,
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

/// What an agent said of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// When it arrived, unix milliseconds.
    pub received_unix_ms: u64,
    /// Generation that it is about.
    pub generation: u64,
    /// SHA-256 of the text that it is about.
    pub sha256: Vec<u8>,
    /// What became of it.
    pub result: ReportResult,
    /// Unified diff of what ran and what was asked.
    pub diff: String,
    /// The diff is cut.
    pub diff_cut: bool,
    /// How long it took.
    pub duration_ms: u64,
    /// Error code, or empty.
    pub error_code: String,
    /// Words, or empty.
    pub message: String,
    /// SHA-256 of the managed part of what runs.
    pub running_sha256: Vec<u8>,
    /// It is what the device starts with.
    pub startup_saved: bool,
    /// The agent's time, unix milliseconds.
    pub at_unix_ms: u64,
}

/// What became of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReportResult {
    /// It ran already.
    Unchanged,
    /// Applied, verified and confirmed.
    Applied,
    /// Refused before anything was changed.
    Refused,
    /// Applied and taken back.
    Reverted,
}

impl ReportResult {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Applied => "applied",
            Self::Refused => "refused",
            Self::Reverted => "reverted",
        }
    }

    /// Whether the device runs what the report is about.
    #[must_use]
    pub const fn runs(self) -> bool {
        match self {
            Self::Unchanged | Self::Applied => true,
            Self::Refused | Self::Reverted => false,
        }
    }
}

/// What an agent was last given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Polled {
    /// When, unix milliseconds.
    pub at_unix_ms: u64,
    /// Generation that was offered.
    pub generation: u64,
}

/// How the device stands to its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ApplyState {
    /// No agent has reported.
    Never,
    /// It runs the current configuration.
    Current,
    /// It runs the current configuration, but what runs has been changed beside it.
    Drifted,
    /// It has not reported the current configuration yet.
    Behind,
    /// It refused the current configuration.
    Refused,
    /// It took the current configuration back.
    Reverted,
}

impl ApplyState {
    /// Every state.
    pub const ALL: [Self; 6] = [Self::Never, Self::Current, Self::Drifted, Self::Behind, Self::Refused, Self::Reverted];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Current => "current",
            Self::Drifted => "drifted",
            Self::Behind => "behind",
            Self::Refused => "refused",
            Self::Reverted => "reverted",
        }
    }
}

/// Everything about one device.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// What is served.
    pub current: Option<Arc<Bundle>>,
    /// What was served, oldest first, the current one last.
    pub history: VecDeque<Arc<Bundle>>,
    /// What waits for approval.
    pub held: Option<Held>,
    /// Why the latest could not be made.
    pub problem: Option<Problem>,
    /// What the latest text was made of, served or held.
    made_of: Option<Made>,
    /// What the agent is to probe.
    pub probes: Arc<ProbePlan>,
    /// Other devices whose routes the device learns, as of the latest snapshot that nothing stood in the way of.
    reach: usize,
    /// What [`Store::evaluated_slot`] was when something came into the way.
    stopped_slot: u64,
    /// Slot of the latest such snapshot in which something that the device depends on had changed.
    pub touched_slot: u64,
    /// When the agent last asked.
    pub polled: Option<Polled>,
    /// What the agent said, oldest first.
    pub reports: VecDeque<Report>,
}

impl Entry {
    /// What is served is what the ledger asks for: nothing stands in the way.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.current.is_some() && self.held.is_none() && self.problem.is_none()
    }

    /// Makes a change as of `slot`, given the slot before it, and notes what became of it.
    fn change(&mut self, before_slot: u64, slot: u64, make: impl FnOnce(&mut Self)) {
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
        let (Some(last), Some(current)) = (self.reports.back(), &self.current) else { return ApplyState::Never };
        if last.sha256 != current.sha256 {
            return ApplyState::Behind;
        }
        match last.result {
            ReportResult::Refused => ApplyState::Refused,
            ReportResult::Reverted => ApplyState::Reverted,
            ReportResult::Applied => ApplyState::Current,
            ReportResult::Unchanged => {
                // What ran right after this text was applied is the measure of what runs now.
                let applied = |r: &&Report| r.result == ReportResult::Applied && r.sha256 == last.sha256;
                match self.reports.iter().rev().find(applied) {
                    Some(then) if then.running_sha256 != last.running_sha256 => ApplyState::Drifted,
                    Some(_) | None => ApplyState::Current,
                }
            }
        }
    }

    /// The configuration of a generation that is still kept.
    #[must_use]
    pub fn generation(&self, generation: u64) -> Option<&Arc<Bundle>> {
        self.history.iter().rev().find(|b| b.generation == generation)
    }
}

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
    renders: u64,
}

/// Who signs, and for which program.
#[derive(Clone)]
pub struct Signer {
    /// The controller's key.
    pub key: SigningKey,
    /// The program whose ledger is read.
    pub program_id: Key,
}

impl Store {
    /// What preparing needs to know.
    #[must_use]
    pub fn basis(&self) -> Basis {
        let troubled = self.entries.iter().filter(|(_, e)| e.problem.is_some()).map(|(code, _)| *code);
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
        if news { vec![Change::LedgerUnreadable { code: code.into(), cause }] } else { Vec::new() }
    }

    /// Serves what was prepared. Returns what changed.
    pub fn commit(&mut self, prepared: Prepared, signer: &Signer, limits: &Limits) -> Vec<Change> {
        let mut changes = Vec::new();
        if self.unreadable.take().is_some() {
            changes.push(Change::LedgerReadable {});
        }
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
                    entry.made_of = Some(Made { plan, lead: Arc::clone(rendered.lead()) });
                    clear_problem(entry, code, changes);
                    take(entry, *rendered, slot, signer, Some(limits), changes);
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
        entry.change(slot, slot, |entry| take(entry, held.rendered, slot, signer, None, &mut changes));
        if entry.is_clear() {
            entry.reach = self.backbone.table().len().saturating_sub(1);
        }
        Ok(changes)
    }

    /// Notes that an agent was offered the current configuration.
    pub fn polled(&mut self, device: &Code, at_unix_ms: u64) {
        if let Some(entry) = self.entries.get_mut(device) {
            let generation = entry.current.as_ref().map_or(0, |b| b.generation);
            entry.polled = Some(Polled { at_unix_ms, generation });
        }
    }

    /// Notes a report. Nothing for a device that isn't there.
    pub fn report(&mut self, device: &Code, mut report: Report) -> Option<Change> {
        let entry = self.entries.get_mut(device)?;
        report.diff_cut |= cut(&mut report.diff, MAX_REPORT_DIFF);
        cut(&mut report.message, MAX_REPORT_WORDS);
        cut(&mut report.error_code, MAX_REPORT_WORDS);
        let change = Change::ApplyReport {
            device: *device,
            generation: report.generation,
            result: report.result.name().into(),
            error_code: report.error_code.clone(),
        };
        if entry.reports.len() == MAX_REPORTS {
            entry.reports.pop_front();
        }
        entry.reports.push_back(report);
        Some(change)
    }
}

/// Shortens to at most `most` bytes, at a character; says whether it did.
fn cut(text: &mut String, most: usize) -> bool {
    if text.len() <= most {
        return false;
    }
    let at = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.truncate(at);
    true
}

fn clear_problem(entry: &mut Entry, device: Code, changes: &mut Vec<Change>) {
    if entry.problem.take().is_some() {
        changes.push(Change::ConfigRecovered { device });
    }
}

fn set_problem(entry: &mut Entry, device: Code, error: &RenderError, slot: u64, changes: &mut Vec<Change>) {
    let cause = chain(error);
    if entry.problem.as_ref().is_some_and(|known| known.code == error.code() && known.cause == cause) {
        return;
    }
    changes.push(Change::ConfigProblem { device, code: error.code().into(), cause: cause.clone() });
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
fn take(
    entry: &mut Entry,
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
        return;
    }
    let removal =
        before.zip(limits).and_then(|(b, limits)| guards::removal(&b.extent, entry.reach, &rendered.extent, limits));
    if let Some(removal) = removal {
        if entry.held.as_ref().is_none_or(|h| h.rendered.sha256 != rendered.sha256) {
            changes.push(Change::ConfigHeld { device: rendered.device, sha256: hex::encode(rendered.sha256) });
        }
        entry.held = Some(Held { rendered, removal, slot });
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
    if entry.history.len() == MAX_GENERATIONS {
        entry.history.pop_front();
    }
    entry.history.push_back(Arc::clone(&bundle));
    entry.current = Some(bundle);
}

fn sign(rendered: Rendered, generation: u64, before: Option<&Bundle>, signer: &Signer) -> Bundle {
    let message = signing::bundle_message(
        &signer.program_id.0,
        rendered.device.as_str(),
        generation,
        rendered.family.name(),
        &rendered.sha256,
    );
    Bundle {
        device: rendered.device,
        generation,
        family: rendered.family,
        before: before.map(|b| (b.generation, b.text.clone())),
        text: rendered.text,
        sha256: rendered.sha256,
        signature: signing::sign(&signer.key, &message),
        inputs: rendered.inputs,
        extent: rendered.extent,
    }
}

/// A unified diff with three lines of context, under generations as names; empty where nothing differs.
#[must_use]
pub fn unified(old: &str, new: &str, from: &str, to: &str) -> String {
    let from = format!("generation {from}");
    let to = format!("generation {to}");
    TextDiff::from_lines(old, new).unified_diff().context_radius(3).header(&from, &to).to_string()
}

/// Changes of status and health between two snapshots.
fn transitions(before: &Snapshot, after: &Snapshot) -> Vec<Change> {
    let mut changes = changed_records(before, after);
    for (_, device) in before.devices.iter().filter(|(key, _)| !after.devices.contains_key(*key)) {
        changes.push(Change::DeviceStatus { device: device.code, from: Some(device.header.status), to: None });
    }
    for (_, link) in before.links.iter().filter(|(key, _)| !after.links.contains_key(*key)) {
        changes.push(Change::LinkStatus { link: link.code, from: Some(link.header.status), to: None });
    }
    changes
}

/// Changes of status and health of the records of `after`.
fn changed_records(before: &Snapshot, after: &Snapshot) -> Vec<Change> {
    let mut changes = Vec::new();
    for (key, device) in &after.devices {
        let known = before.devices.get(key);
        let (from, to) = (known.map(|d| d.header.status), device.header.status);
        if from != Some(to) {
            changes.push(Change::DeviceStatus { device: device.code, from, to: Some(to) });
        }
        if let Some(from) = known.map(|d| d.header.health).filter(|from| *from != device.header.health) {
            changes.push(Change::DeviceHealth { device: device.code, from, to: device.header.health });
        }
    }
    for (key, link) in &after.links {
        let known = before.links.get(key);
        let (from, to) = (known.map(|l| l.header.status), link.header.status);
        if from != Some(to) {
            changes.push(Change::LinkStatus { link: link.code, from, to: Some(to) });
        }
        if let Some(from) = known.map(|l| l.header.health).filter(|from| *from != link.header.health) {
            changes.push(Change::LinkHealth { link: link.code, from, to: link.header.health });
        }
    }
    changes
}
