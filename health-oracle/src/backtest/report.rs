//! What differs, counted.

use std::collections::BTreeMap;

use causeway_interface::Code;
use serde::Serialize;

use super::{
    Plan,
    timeline::{Entry, Stretch, Timeline},
};
use crate::{criteria::Level, subjects::Kind};

/// When a level was first reached in a stretch, by either rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reached {
    /// The level.
    pub level: &'static str,
    /// When, by the rules of the record, in ms since 1970; none for never.
    pub recorded_ms: Option<u64>,
    /// When, by the others, in ms since 1970; none for never.
    pub other_ms: Option<u64>,
    /// How much later by the others, in ms; negative for earlier, none where either never reached it.
    pub later_by_ms: Option<i64>,
}

/// Time in which the two differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Differs {
    /// The others found a lower level, in ms.
    pub lower_ms: u64,
    /// They found a higher one, in ms.
    pub higher_ms: u64,
    /// They found another level of the same height, in ms: bad, or not observed.
    pub other_ms: u64,
}

impl Differs {
    fn add(&mut self, more: Differs) {
        self.lower_ms += more.lower_ms;
        self.higher_ms += more.higher_ms;
        self.other_ms += more.other_ms;
    }

    /// Whether they differ at all.
    #[must_use]
    pub const fn any(&self) -> bool {
        self.lower_ms + self.higher_ms + self.other_ms > 0
    }
}

/// One subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SubjectReport {
    /// What it is.
    pub kind: Kind,
    /// Its code.
    pub code: Code,
    /// What was found, where it changed.
    pub stretches: Vec<Stretch>,
    /// Time in which the levels differ.
    pub differs: Differs,
    /// Time at each level by the rules of the record, in ms.
    pub recorded_ms: BTreeMap<&'static str, u64>,
    /// Time at each level by the others, in ms.
    pub other_ms: BTreeMap<&'static str, u64>,
    /// When each level was first reached.
    pub reached: Vec<Reached>,
    /// Documents of the record that were judged again by their own rules.
    pub documents: u64,
    /// Of these, those that came out the same: level and criteria.
    pub alike: u64,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Subjects.
    pub subjects: usize,
    /// Subjects whose levels differ at some time.
    pub differ: usize,
    /// Time in which they do.
    pub differs: Differs,
    /// Time at each level by the rules of the record, in ms.
    pub recorded_ms: BTreeMap<&'static str, u64>,
    /// Time at each level by the others, in ms.
    pub other_ms: BTreeMap<&'static str, u64>,
    /// First promotions to a level that come later by the others, and earlier.
    pub later: usize,
    /// See `later`.
    pub earlier: usize,
    /// First promotions that only the rules of the record give.
    pub lost: usize,
    /// First promotions that only the others give.
    pub won: usize,
    /// Documents that were judged again by their own rules.
    pub documents: u64,
    /// Of these, those that came out the same.
    pub alike: u64,
}

/// What a run found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// First moment that counted, in ms since 1970.
    pub since_ms: u64,
    /// Last moment that counted, in ms since 1970.
    pub until_ms: u64,
    /// Time between two looks, in ms.
    pub step_ms: u64,
    /// All of them.
    pub summary: Summary,
    /// Each, devices first, by code.
    pub subjects: Vec<SubjectReport>,
}

pub(super) fn report(plan: &Plan, timelines: impl IntoIterator<Item = ((Kind, Code), Timeline)>) -> Report {
    let subjects: Vec<_> =
        timelines.into_iter().map(|((kind, code), timeline)| subject(kind, code, &timeline, plan.step_ms)).collect();
    let mut summary = Summary { subjects: subjects.len(), ..Summary::default() };
    for subject in &subjects {
        summary.differ += usize::from(subject.differs.any());
        summary.differs.add(subject.differs);
        for (level, ms) in &subject.recorded_ms {
            *summary.recorded_ms.entry(level).or_default() += ms;
        }
        for (level, ms) in &subject.other_ms {
            *summary.other_ms.entry(level).or_default() += ms;
        }
        for reached in &subject.reached {
            match (reached.recorded_ms, reached.other_ms) {
                (Some(recorded), Some(other)) if other > recorded => summary.later += 1,
                (Some(recorded), Some(other)) if other < recorded => summary.earlier += 1,
                (Some(_), None) => summary.lost += 1,
                (None, Some(_)) => summary.won += 1,
                (Some(_), Some(_)) | (None, None) => {}
            }
        }
        summary.documents += subject.documents;
        summary.alike += subject.alike;
    }
    Report { since_ms: plan.since_ms, until_ms: plan.until_ms, step_ms: plan.step_ms, summary, subjects }
}

fn subject(kind: Kind, code: Code, timeline: &Timeline, step_ms: u64) -> SubjectReport {
    let mut differs = Differs::default();
    let (mut recorded_ms, mut other_ms) = (BTreeMap::new(), BTreeMap::new());
    let mut reached: BTreeMap<u8, Reached> = BTreeMap::new();
    for stretch in timeline.stretches() {
        for (entry, length_ms) in lengths(stretch, step_ms) {
            let (recorded, other) = (entry.recorded.level, entry.other.level);
            *recorded_ms.entry(recorded.name()).or_default() += length_ms;
            *other_ms.entry(other.name()).or_default() += length_ms;
            match other.rank().cmp(&recorded.rank()) {
                std::cmp::Ordering::Less => differs.lower_ms += length_ms,
                std::cmp::Ordering::Greater => differs.higher_ms += length_ms,
                std::cmp::Ordering::Equal if other != recorded => differs.other_ms += length_ms,
                std::cmp::Ordering::Equal => {}
            }
            reach(&mut reached, recorded, |r| r.recorded_ms.get_or_insert(entry.at_ms));
            reach(&mut reached, other, |r| r.other_ms.get_or_insert(entry.at_ms));
        }
    }
    let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    for reached in reached.values_mut() {
        if let (Some(recorded), Some(other)) = (reached.recorded_ms, reached.other_ms) {
            reached.later_by_ms = Some(signed(other) - signed(recorded));
        }
    }
    let (documents, alike) = timeline.documents();
    SubjectReport {
        kind,
        code,
        stretches: timeline.stretches().to_vec(),
        differs,
        recorded_ms,
        other_ms,
        reached: reached.into_values().collect(),
        documents,
        alike,
    }
}

/// Each entry with how long it held: until the next one, and the last one until a step after the last look.
fn lengths(stretch: &Stretch, step_ms: u64) -> impl Iterator<Item = (&Entry, u64)> {
    let ends = stretch.entries.iter().skip(1).map(|entry| entry.at_ms);
    let ends = ends.chain([stretch.end_ms.saturating_add(step_ms)]);
    stretch.entries.iter().zip(ends).map(|(entry, end_ms)| (entry, end_ms.saturating_sub(entry.at_ms)))
}

/// A level is reached with every one below it.
fn reach<'a>(all: &'a mut BTreeMap<u8, Reached>, level: Level, note: impl Fn(&'a mut Reached) -> &'a mut u64) {
    let names = level_names(level);
    for (rank, name) in names.iter().filter(|(rank, _)| *rank <= level.rank()) {
        all.entry(*rank).or_insert(Reached { level: name, recorded_ms: None, other_ms: None, later_by_ms: None });
    }
    for (_, reached) in all.range_mut(1..=level.rank().max(1)).filter(|(rank, _)| **rank <= level.rank()) {
        note(reached);
    }
}

/// The levels of the kind that this one is of, by height.
fn level_names(level: Level) -> &'static [(u8, &'static str)] {
    use causeway_interface::{DeviceHealth, LinkHealth};
    const DEVICE: &[(u8, &str)] = &[
        (DeviceHealth::ReadyForLinks.rank(), DeviceHealth::ReadyForLinks.name()),
        (DeviceHealth::ReadyForUsers.rank(), DeviceHealth::ReadyForUsers.name()),
    ];
    const LINK: &[(u8, &str)] = &[(LinkHealth::ReadyForService.rank(), LinkHealth::ReadyForService.name())];
    match level {
        Level::Device(_) => DEVICE,
        Level::Link(_) => LINK,
    }
}
