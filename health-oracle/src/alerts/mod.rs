//! Alerts: what people should look at, said once.
//!
//! What to say is decided by [`Watch`], pure: a subject in service is demoted or falls silent, it is well again, it
//! flaps, it has stopped to; rounds fail, evidence can't be kept, the oracle's key runs dry, and the end of each. What is
//! out is kept in the data folder, so that a restart says nothing twice. [`Desk`] is the edge: it keeps that file and
//! hands alerts to [`webhook::Webhook`], which never holds up a round.
//!
//! An alert that is under way when the process dies is lost; the next change is said again.

mod desk;
pub mod message;
#[cfg(test)]
mod tests;
pub mod webhook;

use std::collections::BTreeMap;

use causeway_interface::Key;
use serde::{Deserialize, Serialize};

use crate::{
    criteria::Outcome,
    subjects::{Judged, Kind},
};

pub use desk::Desk;

/// Changes of a subject within the window from which on it is flapping: down, up, down again.
const FLAP_CHANGES: u32 = 3;
/// Most alerts of one round that are sent one by one; more of them are one message. Slack takes one in a second.
const MAX_SINGLE: usize = 10;
/// Most headlines in a message that stands for many.
const MAX_HEADLINES: usize = 30;

/// When something is an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Rounds in a row that have to fail.
    pub failed_rounds: u32,
    /// Within which a subject that fails again is flapping, in ms.
    pub flap_ms: u64,
    /// Balance of the oracle's key below which it is low, in lamports; 0 for never.
    pub balance_lamports: u64,
}

impl Default for Terms {
    /// Three rounds; ten minutes; a tenth of a SOL, which is 20 000 signatures.
    fn default() -> Self {
        Self { failed_rounds: 3, flap_ms: 600_000, balance_lamports: 100_000_000 }
    }
}

/// Why people should look at a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// It was observed to be bad.
    Impaired,
    /// It is not heard of.
    Silent,
}

/// What people should know of the oracle itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Concern {
    /// Rounds fail: nothing is attested.
    Rounds,
    /// Evidence can't be kept: nothing is attested.
    Evidence,
    /// The oracle's key is low on lamports.
    Balance,
}

impl Concern {
    const fn headline(self) -> &'static str {
        match self {
            Self::Rounds => "rounds fail, nothing is attested",
            Self::Evidence => "evidence can't be kept, nothing is attested",
            Self::Balance => "the oracle's key is low on lamports",
        }
    }

    const fn relief(self) -> &'static str {
        match self {
            Self::Rounds => "rounds are complete again",
            Self::Evidence => "evidence is kept again",
            Self::Balance => "the oracle's key has enough lamports again",
        }
    }
}

/// What an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertKind {
    /// A subject was observed to be bad.
    Impaired,
    /// A subject is not heard of.
    Silent,
    /// A subject is well again.
    Recovered,
    /// A subject goes back and forth; its further changes are counted and not said.
    Flapping,
    /// A subject that flapped has stayed what it is.
    Steady,
    /// The oracle itself is in trouble.
    Trouble,
    /// That is over.
    Relief,
    /// Many at once.
    Digest,
}

impl AlertKind {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::Impaired,
        Self::Silent,
        Self::Recovered,
        Self::Flapping,
        Self::Steady,
        Self::Trouble,
        Self::Relief,
        Self::Digest,
    ];

    /// The name that metrics carry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Impaired => "impaired",
            Self::Silent => "silent",
            Self::Recovered => "recovered",
            Self::Flapping => "flapping",
            Self::Steady => "steady",
            Self::Trouble => "trouble",
            Self::Relief => "relief",
            Self::Digest => "digest",
        }
    }
}

/// What is to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// What it is.
    pub kind: AlertKind,
    /// What happened, without a full stop.
    pub headline: String,
    /// What else to know: a line per criterion that did not pass, a cause.
    pub details: Vec<String>,
    /// Since when, in ms since 1970.
    pub since_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// What is wrong with it; nothing of one that is well and may be flapping.
    state: Option<Reason>,
    since_ms: u64,
    /// Changes between well and not, since it was last steady for a window.
    changes: u32,
    changed_ms: u64,
    flapping: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Count {
    /// Observations in a row that were bad.
    bad: u32,
    since_ms: u64,
    said: bool,
}

/// Which alerts are out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    subjects: BTreeMap<Key, Record>,
    concerns: BTreeMap<Concern, Count>,
}

/// Below what a subject in service needs: for links of a device alone is not enough.
fn trouble(judged: &Judged) -> Option<Reason> {
    let needed = match judged.kind {
        Kind::Device => 2,
        Kind::Link => 1,
    };
    if !judged.in_service || judged.verdict.level.rank() >= needed {
        return None;
    }
    let bad = judged.verdict.criteria.iter().any(|c| c.passed == Outcome::Failed);
    Some(if bad { Reason::Impaired } else { Reason::Silent })
}

impl Watch {
    /// What has to be said after a round. Nothing is said twice: a subject that goes from silent to impaired is news, the
    /// other way round is not. One that is gone is forgotten.
    pub fn round(&mut self, round: &[Judged], now_ms: u64, terms: &Terms) -> Vec<Alert> {
        let mut before = std::mem::take(&mut self.subjects);
        let mut alerts = Vec::new();
        for judged in round {
            let record = before.remove(&judged.key);
            let (record, alert) = step(record, trouble(judged), judged, now_ms, terms.flap_ms);
            alerts.extend(alert);
            if let Some(record) = record {
                self.subjects.insert(judged.key, record);
            }
        }
        digest(alerts, now_ms)
    }

    /// What has to be said after an observation of the oracle itself: `bad` says what is wrong, and it is said after
    /// `after` such observations in a row.
    pub fn observe(&mut self, concern: Concern, bad: Option<&str>, now_ms: u64, after: u32) -> Option<Alert> {
        let Some(cause) = bad else {
            let count = self.concerns.remove(&concern).filter(|count| count.said)?;
            return Some(Alert {
                kind: AlertKind::Relief,
                headline: concern.relief().to_owned(),
                details: vec![],
                since_ms: count.since_ms,
            });
        };
        let new = Count { bad: 0, since_ms: now_ms, said: false };
        let count = self.concerns.entry(concern).or_insert(new);
        count.bad = count.bad.saturating_add(1);
        if count.said || count.bad < after {
            return None;
        }
        count.said = true;
        Some(Alert {
            kind: AlertKind::Trouble,
            headline: concern.headline().to_owned(),
            details: vec![cause.to_owned()],
            since_ms: count.since_ms,
        })
    }
}

/// One subject after one round: what is remembered of it, and what is said.
fn step(
    record: Option<Record>,
    found: Option<Reason>,
    judged: &Judged,
    now_ms: u64,
    flap_ms: u64,
) -> (Option<Record>, Option<Alert>) {
    let well = || Record { state: None, since_ms: now_ms, changes: 0, changed_ms: now_ms, flapping: false };
    let Some(mut record) = record.or_else(|| found.map(|_| well())) else { return (None, None) };
    // Bad telemetry that is followed by none is still bad.
    let found = match (record.state, found) {
        (Some(Reason::Impaired), Some(_)) => Some(Reason::Impaired),
        (Some(Reason::Silent) | None, found) | (Some(Reason::Impaired), found @ None) => found,
    };
    let quiet = now_ms.saturating_sub(record.changed_ms) >= flap_ms;
    if quiet && record.flapping && found == record.state {
        record.flapping = false;
        let since_ms = record.changed_ms;
        let headline = format!("{} after {} changes", name_and(judged, found), record.changes);
        record.changes = 0;
        let alert = Alert { kind: AlertKind::Steady, headline, details: details(judged), since_ms };
        return (Some(record).filter(|record| record.state.is_some()), Some(alert));
    }
    if found == record.state {
        let over = quiet && record.state.is_none();
        return ((!over).then_some(record), None);
    }
    // From silent to impaired is news and no flap.
    let turned = found.is_some() != record.state.is_some();
    if turned {
        record.changes = if quiet { 1 } else { record.changes.saturating_add(1) };
        record.changed_ms = now_ms;
    }
    let was_since_ms = record.since_ms;
    record.state = found;
    record.since_ms = if turned { now_ms } else { record.since_ms };
    if record.flapping {
        return (Some(record), None);
    }
    record.flapping = record.changes >= FLAP_CHANGES;
    let (kind, headline, since_ms) = match (record.flapping, found) {
        (true, _) => {
            let minutes = flap_ms.div_ceil(60_000);
            let rest =
                format!("{} and flapping; more is said when it is steady for {minutes} min", name_and(judged, found));
            (AlertKind::Flapping, rest, record.since_ms)
        }
        (false, Some(Reason::Impaired)) => (AlertKind::Impaired, name_and(judged, found), record.since_ms),
        (false, Some(Reason::Silent)) => (AlertKind::Silent, name_and(judged, found), record.since_ms),
        (false, None) => (AlertKind::Recovered, name_and(judged, found), was_since_ms),
    };
    (Some(record), Some(Alert { kind, headline, details: details(judged), since_ms }))
}

fn name_and(judged: &Judged, found: Option<Reason>) -> String {
    let what = match found {
        Some(Reason::Impaired) => judged.verdict.level.name(),
        Some(Reason::Silent) => "not observed",
        None => "well again",
    };
    format!("{} {} is {what}", judged.kind.name(), judged.code)
}

fn details(judged: &Judged) -> Vec<String> {
    let line = |c: &crate::criteria::CriterionResult| {
        let detail = if c.detail.is_empty() { String::new() } else { format!(" ({})", c.detail) };
        format!("{}: {}; required: {}{detail}", c.id.name(), c.observed, c.required)
    };
    judged.verdict.not_passed().map(line).collect()
}

/// Many alerts of one round as one: a site that fails is hundreds of subjects, and people read one message.
fn digest(alerts: Vec<Alert>, now_ms: u64) -> Vec<Alert> {
    if alerts.len() <= MAX_SINGLE {
        return alerts;
    }
    let mut details: Vec<String> = alerts.iter().take(MAX_HEADLINES).map(|alert| alert.headline.clone()).collect();
    if let Some(more) = alerts.len().checked_sub(MAX_HEADLINES).filter(|more| *more > 0) {
        details.push(format!("and {more} more"));
    }
    let headline = format!("{} alerts in one round", alerts.len());
    vec![Alert { kind: AlertKind::Digest, headline, details, since_ms: now_ms }]
}
