//! How far a subject is from each of its levels, and what is in the way. Pure; counts in slots.

use causeway_health_oracle::{Kind, subjects::rank_of};
use causeway_interface::{
    DeviceHealth, Key, LinkHealth,
    accounts::{Attestation, Attestations, Network},
    quorum::{Terms, Word},
};
use serde::Serialize;

use super::short;

/// Whether an oracle's word counts, and why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Counts {
    /// It does, for this many slots more unless it is renewed.
    Fresh {
        /// Slots until it expires.
        slots: u64,
    },
    /// It is older than the maximum age, by this many slots.
    Expired {
        /// Slots since it expired.
        slots: u64,
    },
    /// It was given in another epoch of the oracle set.
    Epoch {
        /// That epoch.
        epoch: u32,
    },
    /// There is none.
    Never,
}

/// One oracle's word, as the ledger holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Said {
    /// The oracle.
    pub oracle: Key,
    /// The level that it attests; none where it never spoke.
    pub level: Option<&'static str>,
    /// Whether it counts.
    pub counts: Counts,
    /// Slot in which it was given; 0 for never.
    pub slot: u64,
    /// Names of the criteria that did not pass.
    pub not_passed: Vec<String>,
    /// Slot since which it has attested this level or a higher one without a break; none for a level below the first.
    pub since_slot: Option<u64>,
}

/// One level, and the way there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LevelStanding {
    /// Its name.
    pub level: &'static str,
    /// Whether the ledger holds the subject to be at it or above.
    pub held: bool,
    /// Oracles whose word counts and is of this level or above.
    pub attested_by: u8,
    /// Of these, oracles that have attested it for the burn-in.
    pub burned_in: u8,
    /// Slots for which a quorum has to attest it.
    pub burn_in_slots: u64,
    /// Slots until a quorum has, if every word that counts is renewed in time; none while fewer than a quorum attest it:
    /// then the end is open.
    pub left_slots: Option<u64>,
    /// The first slot in which it can be reached if nothing changes.
    pub earliest_slot: Option<u64>,
    /// What is in the way; empty where nothing is.
    pub blocked_by: Vec<String>,
}

/// What is counted for one subject.
#[derive(Clone, Copy, Debug)]
pub struct Count<'a> {
    /// What it is.
    pub kind: Kind,
    /// Height of the level that the ledger holds it to be at.
    pub rank: u8,
    /// In service or out for maintenance: a streak counts from its last change of status only.
    pub in_service: bool,
    /// The network.
    pub network: &'a Network,
    /// By what words are counted.
    pub terms: &'a Terms,
    /// What the oracles said.
    pub said: Option<&'a Attestations>,
}

/// The levels that words are about, from the lowest.
#[must_use]
pub const fn levels(kind: Kind) -> &'static [(u8, &'static str)] {
    const DEVICE: &[(u8, &str)] = &[
        (DeviceHealth::ReadyForLinks.rank(), DeviceHealth::ReadyForLinks.name()),
        (DeviceHealth::ReadyForUsers.rank(), DeviceHealth::ReadyForUsers.name()),
    ];
    const LINK: &[(u8, &str)] = &[(LinkHealth::ReadyForService.rank(), LinkHealth::ReadyForService.name())];
    match kind {
        Kind::Device => DEVICE,
        Kind::Link => LINK,
    }
}

/// Name of the level that a verdict byte stands for.
#[must_use]
pub fn level_name(kind: Kind, verdict: u8) -> Option<&'static str> {
    match kind {
        Kind::Device => DeviceHealth::from_byte(verdict).map(DeviceHealth::name),
        Kind::Link => LinkHealth::from_byte(verdict).map(LinkHealth::name),
    }
}

/// Names of the criteria in a bitmap, as the health oracle numbers them; a bit without one by its number.
#[must_use]
pub fn criteria(kind: Kind, bits: u32) -> Vec<String> {
    let name = |bit: u32| match (kind, bit) {
        (Kind::Device, 0..=6) => format!("D{}", bit + 1),
        (Kind::Device, 8..=11) => format!("U{}", bit - 7),
        (Kind::Link, 0..=2) => format!("L{}", bit + 1),
        (Kind::Device | Kind::Link, _) => format!("bit {bit}"),
    };
    (0..u32::BITS).filter(|bit| bits & (1 << bit) != 0).map(name).collect()
}

/// What each oracle of the set says, in the set's order.
#[must_use]
pub fn said(count: &Count<'_>) -> Vec<Said> {
    words(count).map(|(oracle, entry)| said_by(count, oracle, entry)).collect()
}

/// The way to each level, from the lowest.
#[must_use]
pub fn standings(count: &Count<'_>) -> Vec<LevelStanding> {
    levels(count.kind).iter().map(|(rank, level)| standing(count, *rank, level)).collect()
}

fn words<'a>(count: &Count<'a>) -> impl Iterator<Item = (Key, Option<&'a Attestation>)> {
    let (network, said) = (count.network, count.said);
    let oracles = network.oracles.iter().take(usize::from(network.oracle_count));
    oracles.enumerate().map(move |(n, oracle)| (*oracle, said.and_then(|s| s.entries.get(n)).filter(|e| e.slot != 0)))
}

fn word(kind: Kind, entry: &Attestation) -> Word {
    Word { rank: rank_of(kind, entry.verdict), epoch: entry.epoch, slot: entry.slot, since: entry.since }
}

fn counts(entry: Option<&Attestation>, terms: &Terms) -> Counts {
    let Some(entry) = entry else { return Counts::Never };
    if entry.epoch != terms.epoch {
        return Counts::Epoch { epoch: entry.epoch };
    }
    let age = terms.now.saturating_sub(entry.slot);
    match terms.max_age.checked_sub(age) {
        Some(slots) => Counts::Fresh { slots },
        None => Counts::Expired { slots: age.saturating_sub(terms.max_age) },
    }
}

fn said_by(count: &Count<'_>, oracle: Key, entry: Option<&Attestation>) -> Said {
    let since = |entry: &Attestation| {
        let level = usize::from(rank_of(count.kind, entry.verdict)).checked_sub(1)?;
        entry.since.get(level).copied().filter(|slot| *slot != 0)
    };
    Said {
        oracle,
        level: entry.and_then(|e| level_name(count.kind, e.verdict)),
        counts: counts(entry, count.terms),
        slot: entry.map_or(0, |e| e.slot),
        not_passed: entry.map(|e| criteria(count.kind, e.failed)).unwrap_or_default(),
        since_slot: entry.and_then(since),
    }
}

fn standing(count: &Count<'_>, rank: u8, level: &'static str) -> LevelStanding {
    let terms = count.terms;
    let floor = if count.in_service { terms.status_since } else { 0 };
    let mut ends = Vec::new();
    let mut burned_in: u8 = 0;
    for entry in words(count).filter_map(|(_, entry)| entry) {
        let word = word(count.kind, entry);
        if !word.is_fresh(terms.now, terms.epoch, terms.max_age) || word.rank < rank {
            continue;
        }
        let since = word.since.get(usize::from(rank).saturating_sub(1)).copied().unwrap_or(0);
        ends.push(since.max(floor).saturating_add(terms.burn_in));
        if word.streak(rank, floor).is_some_and(|streak| streak >= terms.burn_in) {
            burned_in = burned_in.saturating_add(1);
        }
    }
    ends.sort_unstable();
    let earliest = usize::from(terms.quorum).checked_sub(1).and_then(|n| ends.get(n).copied());
    let held = count.rank >= rank;
    let attested_by = u8::try_from(ends.len()).unwrap_or(u8::MAX);
    LevelStanding {
        level,
        held,
        attested_by,
        burned_in,
        burn_in_slots: terms.burn_in,
        left_slots: earliest.map(|slot| slot.saturating_sub(terms.now)),
        earliest_slot: earliest.map(|slot| slot.max(terms.now)),
        blocked_by: if earliest.is_some() { Vec::new() } else { blocks(count, rank) },
    }
}

/// Why fewer than a quorum attest a level: what each of the others says.
fn blocks(count: &Count<'_>, rank: u8) -> Vec<String> {
    if count.terms.quorum == 0 {
        return vec!["no oracle set is in force".to_owned()];
    }
    let reason = |(oracle, entry): (Key, Option<&Attestation>)| {
        let name = short(&oracle);
        match (counts(entry, count.terms), entry) {
            (Counts::Never, _) | (_, None) => Some(format!("{name} never spoke of it")),
            (Counts::Expired { slots }, _) => Some(format!("{name}'s word expired {slots} slots ago")),
            (Counts::Epoch { epoch }, _) => {
                Some(format!("{name}'s word is of epoch {epoch}, the set's is {}", count.terms.epoch))
            }
            (Counts::Fresh { .. }, Some(entry)) => {
                let not_passed = criteria(count.kind, entry.failed).join(" ");
                let says = level_name(count.kind, entry.verdict).unwrap_or("an unknown level");
                (rank_of(count.kind, entry.verdict) < rank).then(|| format!("{name} says {says}: {not_passed}"))
            }
        }
    };
    words(count).filter_map(reason).collect()
}

#[cfg(test)]
#[path = "standing_tests.rs"]
mod tests;
