//! What the oracles say of a subject, and how much of its burn-in is left. Pure; counts in slots.

use causeway_interface::{
    AccountType, DeviceStatus, Digest, Key,
    accounts::{Attestation, Attestations, Device, Link, Network},
    quorum::{LEVELS, Tally, Terms, Word, verdict_rank},
};
use serde::Serialize;

/// One oracle's word on one subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OracleWord {
    /// The oracle.
    pub oracle: Key,
    /// Its verdict byte, of the subject's own health enum; none if it never spoke of the subject.
    pub verdict: Option<u8>,
    /// Whether it counts: given in the current epoch and not too old.
    pub fresh: bool,
    /// Slot in which it was given; 0 for never.
    pub slot: u64,
    /// Slots since then; none for never.
    pub age_slots: Option<u64>,
    /// Per level, for how many slots it has held without a break; none if it does not hold.
    pub streak_slots: [Option<u64>; LEVELS],
    /// Criteria that failed, bit n for criterion n of the stage table.
    pub failed: u32,
    /// First and last slot of the window that was looked at.
    pub window: (u64, u64),
    /// Root over the evidence documents of its batch.
    pub evidence_root: Digest,
}

/// What all oracles say of one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectHealth {
    /// How many oracles say what.
    pub tally: Tally,
    /// By what it was counted.
    pub terms: Terms,
    /// Height of the level that the subject needs for its next step: 1 or 2.
    pub target_rank: u8,
    /// One word per oracle of the set, in the set's order.
    pub oracles: Vec<OracleWord>,
    /// Slots of attestation that are still missing until a quorum has attested the target level for its burn-in; 0
    /// when it has. None while fewer than a quorum attest that level: then the end is open.
    pub burn_in_left_slots: Option<u64>,
}

/// Of a device.
#[must_use]
pub fn of_device(network: &Network, device: &Device, said: Option<&Attestations>, now: u64) -> SubjectHealth {
    let header = &device.header;
    let target_rank = match header.status {
        DeviceStatus::Pending | DeviceStatus::DeviceProvisioning => 1,
        DeviceStatus::Activated
        | DeviceStatus::Suspended
        | DeviceStatus::Deleting
        | DeviceStatus::Rejected
        | DeviceStatus::Drained
        | DeviceStatus::LinkProvisioning => 2,
    };
    let in_service = header.status.is_in_service(device.suspended_from);
    let terms = terms(network, in_service, header.status_since_slot, now);
    of(network, AccountType::Device, target_rank, in_service, terms, said)
}

/// Of a link.
#[must_use]
pub fn of_link(network: &Network, link: &Link, said: Option<&Attestations>, now: u64) -> SubjectHealth {
    let header = &link.header;
    let in_service = header.status.is_in_service(link.suspended_from);
    let terms = terms(network, in_service, header.status_since_slot, now);
    of(network, AccountType::Link, 1, in_service, terms, said)
}

fn terms(network: &Network, in_service: bool, status_since: u64, now: u64) -> Terms {
    let maintenance_burn_in = network.burn_in_maintenance_slots;
    Terms {
        now,
        epoch: network.oracle_epoch,
        quorum: network.quorum,
        max_age: network.attestation_max_age_slots,
        burn_in: if in_service { maintenance_burn_in } else { network.burn_in_new_slots },
        maintenance_burn_in,
        status_since,
    }
}

fn of(
    network: &Network,
    subject: AccountType,
    target_rank: u8,
    in_service: bool,
    terms: Terms,
    said: Option<&Attestations>,
) -> SubjectHealth {
    let mut tally = Tally::default();
    let mut oracles = Vec::new();
    let mut left = Vec::new();
    for (index, oracle) in network.oracles.iter().take(usize::from(network.oracle_count)).enumerate() {
        let entry = said.and_then(|s| s.entries.get(index)).filter(|e| e.slot != 0);
        let word = entry.map(|e| word_of(subject, e)).unwrap_or_default();
        tally.count(&word, &terms);
        let fresh = word.is_fresh(terms.now, terms.epoch, terms.max_age);
        oracles.push(oracle_word(*oracle, entry, &word, fresh, terms.now));
        if fresh && word.rank >= target_rank {
            // After a drain the streak counts from the drain only.
            let floor = if in_service { terms.status_since } else { 0 };
            let streak = word.streak(target_rank, floor).unwrap_or(0);
            left.push(terms.burn_in.saturating_sub(streak));
        }
    }
    left.sort_unstable();
    let needed = usize::from(terms.quorum).checked_sub(1);
    let burn_in_left_slots = needed.and_then(|n| left.get(n).copied());
    SubjectHealth { tally, terms, target_rank, oracles, burn_in_left_slots }
}

/// A word as the program reads it; a verdict that no oracle may give counts as the lowest.
fn word_of(subject: AccountType, entry: &Attestation) -> Word {
    Word {
        rank: verdict_rank(subject, entry.verdict).unwrap_or(0),
        epoch: entry.epoch,
        slot: entry.slot,
        since: entry.since,
    }
}

fn oracle_word(oracle: Key, entry: Option<&Attestation>, word: &Word, fresh: bool, now: u64) -> OracleWord {
    OracleWord {
        oracle,
        verdict: entry.map(|e| e.verdict),
        fresh,
        slot: word.slot,
        age_slots: entry.map(|e| now.saturating_sub(e.slot)),
        streak_slots: [word.streak(1, 0), word.streak(2, 0)],
        failed: entry.map_or(0, |e| e.failed),
        window: entry.map_or((0, 0), |e| (e.window_start_slot, e.window_end_slot)),
        evidence_root: entry.map_or_else(Digest::default, |e| e.evidence_root),
    }
}
