//! When do the words of many oracles make a health level hold? Streaks, freshness, quorum and burn-in.
//!
//! Everything here is pure and counts in slots. A *rank* is a level's height: for a device 1 is ready for links and 2
//! ready for users; for a link 1 is ready for service; 0 is anything below.

use crate::{enums::*, types::*};

/// Levels that a streak is kept for.
pub const LEVELS: usize = 2;

/// One oracle's last word on one subject, as far as the decision needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Word {
    /// Rank of its verdict.
    pub rank: u8,
    /// Oracle epoch in which it was given.
    pub epoch: u32,
    /// Slot in which it was given; 0 for never.
    pub slot: u64,
    /// Per level, the slot since which it has continuously held; 0 for not.
    pub since: [u64; LEVELS],
}

impl Word {
    /// The word that follows this one: a streak goes on when the epoch is the same, the gap is at most `max_age`, and
    /// the verdict still reaches the level; otherwise it begins now or ends.
    #[inline(always)]
    #[must_use]
    pub fn next(&self, now: u64, epoch: u32, rank: u8, max_age: u64) -> Word {
        let continuous = self.is_fresh(now, epoch, max_age);
        // Level by level, without a loop: the program pays for each of its steps.
        let follow = |since: u64, reached: bool| match (reached, continuous && since != 0) {
            (false, _) => 0,
            (true, true) => since,
            (true, false) => now,
        };
        let since = [follow(self.since[0], rank >= 1), follow(self.since[1], rank >= 2)];
        Word { rank, epoch, slot: now, since }
    }

    /// Whether it counts: given in this epoch and not older than `max_age`.
    #[inline(always)]
    pub fn is_fresh(&self, now: u64, epoch: u32, max_age: u64) -> bool {
        self.slot != 0 && self.epoch == epoch && now.saturating_sub(self.slot) <= max_age
    }

    /// Slots for which it has attested level `level` (1 or 2) without a break, not counting any before `floor`.
    #[inline(always)]
    pub fn streak(&self, level: u8, floor: u64) -> Option<u64> {
        let since = match level {
            1 => self.since[0],
            2 => self.since[1],
            _ => 0,
        };
        let from = if since > floor { since } else { floor };
        if since == 0 || self.slot < from { None } else { Some(self.slot - from) }
    }
}

/// How long a level has to be attested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The current slot.
    pub now: u64,
    /// The oracle epoch in force.
    pub epoch: u32,
    /// Oracles that have to agree. 0 while no oracle set is in force: then nothing ever holds.
    pub quorum: u8,
    /// Age after which a word no longer counts, in slots.
    pub max_age: u64,
    /// Burn-in for the subject's stage, in slots.
    pub burn_in: u64,
    /// Burn-in after maintenance, in slots.
    pub maintenance_burn_in: u64,
    /// Slot of the subject's last change of status: where a burn-in after a drain is counted from.
    pub status_since: u64,
}

/// How many oracles say what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Tally {
    /// Have a fresh word.
    pub fresh: u8,
    /// Per level, have a fresh word at it or above.
    pub at: [u8; LEVELS],
    /// Per level, have a streak of at least the burn-in of the stage.
    pub burned_in: [u8; LEVELS],
    /// Per level, have a streak of at least the maintenance burn-in since the last change of status.
    pub since_status: [u8; LEVELS],
}

impl Tally {
    /// Counts one oracle's word.
    #[inline(always)]
    pub fn count(&mut self, word: &Word, terms: &Terms) {
        if !word.is_fresh(terms.now, terms.epoch, terms.max_age) {
            return;
        }
        self.fresh = self.fresh.saturating_add(1);
        self.count_level(0, word, terms);
        self.count_level(1, word, terms);
    }

    #[inline(always)]
    fn count_level(&mut self, level: usize, word: &Word, terms: &Terms) {
        let rank = level as u8 + 1;
        if word.rank < rank {
            return;
        }
        self.at[level] = self.at[level].saturating_add(1);
        if word.streak(rank, 0).is_some_and(|s| s >= terms.burn_in) {
            self.burned_in[level] = self.burned_in[level].saturating_add(1);
        }
        if word.streak(rank, terms.status_since).is_some_and(|s| s >= terms.maintenance_burn_in) {
            self.since_status[level] = self.since_status[level].saturating_add(1);
        }
    }

    /// Whether a quorum has a fresh word.
    #[inline(always)]
    pub fn is_quorate(&self, quorum: u8) -> bool {
        quorum > 0 && self.fresh >= quorum
    }

    /// Whether a quorum attests level `rank` at this moment with streaks of the stage's burn-in. Health alone does not say
    /// so: a level that was reached is held by fresh words, whatever their streaks.
    #[inline(always)]
    pub fn held_through_burn_in(&self, rank: u8, quorum: u8) -> bool {
        quorum > 0 && rank >= 1 && self.burned_in[rank as usize - 1] >= quorum
    }

    /// Whether a quorum attests level `rank` since the last change of status for the maintenance burn-in.
    #[inline(always)]
    pub fn held_since_status(&self, rank: u8, quorum: u8) -> bool {
        quorum > 0 && rank >= 1 && self.since_status[rank as usize - 1] >= quorum
    }
}

/// What becomes of a rank: the one place where health rises and falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Fewer than a quorum have a fresh word.
    Silent,
    /// A quorum looks; no level holds, and none has been lost.
    Waiting,
    /// A quorum looks, and the level that was held is gone.
    Lost,
    /// This level holds.
    Holds(u8),
    /// Nothing changes: a burn-in after a loss or a silence is under way.
    Unchanged,
}

/// The state of health before a judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// No word of a quorum.
    Unknown,
    /// Waiting for a first level.
    Pending,
    /// This level held.
    Held(u8),
    /// A level was lost.
    Impaired,
}

impl Before {
    /// One byte, as a call of the program's machine likes its arguments: the rank that held, or more than any rank.
    #[inline(always)]
    const fn code(self) -> u8 {
        match self {
            Self::Held(rank) => rank,
            Self::Unknown | Self::Pending => NEVER_HELD,
            Self::Impaired => IMPAIRED,
        }
    }
}

/// No level has held since the subject was last heard of.
const NEVER_HELD: u8 = 10;
/// A level was lost; of a judgement: is lost.
const IMPAIRED: u8 = 11;
/// Of a judgement: nobody speaks, nothing holds yet, nothing changes.
const SILENT: u8 = 12;
const WAITING: u8 = 13;
const UNCHANGED: u8 = 14;

/// Judges a tally.
///
/// `required` is the lowest rank that counts for a subject in service or drained (an activated device that is only
/// ready for links is impaired, not healthy at a lower level); `None` before first service, where any level counts.
#[inline(always)]
pub fn judge(before: Before, required: Option<u8>, tally: &Tally, quorum: u8) -> Judgement {
    match judge_codes(before.code(), required.unwrap_or(0), tally, quorum) {
        SILENT => Judgement::Silent,
        WAITING => Judgement::Waiting,
        IMPAIRED => Judgement::Lost,
        UNCHANGED => Judgement::Unchanged,
        rank => Judgement::Holds(rank),
    }
}

/// [`judge`] in bytes: `required` is 0 for none; returns the rank that holds, or one of the codes above.
#[inline(never)]
fn judge_codes(before: u8, required: u8, tally: &Tally, quorum: u8) -> u8 {
    if !tally.is_quorate(quorum) {
        return SILENT;
    }
    let best = best_level(required, tally, quorum);
    let stands = |rank: u8| tally.at[rank as usize - 1] >= quorum;
    match before {
        IMPAIRED => best.unwrap_or(UNCHANGED),
        NEVER_HELD => match (best, required) {
            (Some(best), _) => best,
            (None, 0) => WAITING,
            (None, rank) if stands(rank) => UNCHANGED,
            (None, _) => IMPAIRED,
        },
        held => match best {
            Some(best) if best > held => best,
            _ if stands(held) && held >= required => held,
            _ => IMPAIRED,
        },
    }
}

#[inline(always)]
fn best_level(required: u8, tally: &Tally, quorum: u8) -> Option<u8> {
    let mut rank = LEVELS as u8;
    while rank >= required && rank >= 1 {
        if tally.burned_in[rank as usize - 1] >= quorum {
            return Some(rank);
        }
        rank -= 1;
    }
    None
}

impl DeviceHealth {
    /// Height of the level that this verdict or health stands for.
    #[inline(always)]
    pub const fn rank(self) -> u8 {
        match self {
            Self::Unknown | Self::Pending | Self::Impaired => 0,
            Self::ReadyForLinks => 1,
            Self::ReadyForUsers => 2,
        }
    }

    /// The health that follows.
    pub fn next(self, status: DeviceStatus, suspended_from: DeviceStatus, tally: &Tally, quorum: u8) -> DeviceHealth {
        let before = match self {
            Self::Unknown => Before::Unknown,
            Self::Pending => Before::Pending,
            Self::ReadyForLinks => Before::Held(1),
            Self::ReadyForUsers => Before::Held(2),
            Self::Impaired => Before::Impaired,
        };
        let required = if status.is_in_service(suspended_from) { Some(2) } else { None };
        match judge(before, required, tally, quorum) {
            Judgement::Silent => Self::Unknown,
            Judgement::Waiting => Self::Pending,
            Judgement::Lost => Self::Impaired,
            Judgement::Holds(2) => Self::ReadyForUsers,
            Judgement::Holds(_) => Self::ReadyForLinks,
            Judgement::Unchanged => self,
        }
    }
}

impl LinkHealth {
    /// Height of the level that this verdict or health stands for.
    #[inline(always)]
    pub const fn rank(self) -> u8 {
        match self {
            Self::Unknown | Self::Pending | Self::Impaired => 0,
            Self::ReadyForService => 1,
        }
    }

    /// The health that follows.
    pub fn next(self, status: LinkStatus, suspended_from: LinkStatus, tally: &Tally, quorum: u8) -> LinkHealth {
        let before = match self {
            Self::Unknown => Before::Unknown,
            Self::Pending => Before::Pending,
            Self::ReadyForService => Before::Held(1),
            Self::Impaired => Before::Impaired,
        };
        let required = if status.is_in_service(suspended_from) { Some(1) } else { None };
        match judge(before, required, tally, quorum) {
            Judgement::Silent => Self::Unknown,
            Judgement::Waiting => Self::Pending,
            Judgement::Lost => Self::Impaired,
            Judgement::Holds(_) => Self::ReadyForService,
            Judgement::Unchanged => self,
        }
    }
}

impl DeviceStatus {
    /// In service or out for maintenance, so that the maintenance burn-in applies: activated, drained, or suspended
    /// from one of these.
    #[inline(always)]
    pub const fn is_in_service(self, suspended_from: DeviceStatus) -> bool {
        match self {
            Self::Activated | Self::Drained => true,
            Self::Suspended => matches!(suspended_from, Self::Activated | Self::Drained),
            Self::Pending | Self::Deleting | Self::Rejected | Self::DeviceProvisioning | Self::LinkProvisioning => {
                false
            }
        }
    }
}

impl LinkStatus {
    /// In service or out for maintenance, so that the maintenance burn-in applies.
    #[inline(always)]
    pub const fn is_in_service(self, suspended_from: LinkStatus) -> bool {
        match self {
            Self::Activated | Self::SoftDrained | Self::HardDrained => true,
            Self::Suspended => matches!(suspended_from, Self::Activated | Self::SoftDrained | Self::HardDrained),
            Self::Pending | Self::Deleting | Self::Rejected | Self::Requested | Self::Provisioning => false,
        }
    }
}

/// Whether a quorum is allowed for a set of this size: more than two thirds for four or more, a majority for two or
/// three, one for one, none for none.
pub const fn is_allowed_quorum(oracles: usize, quorum: usize) -> bool {
    if quorum > oracles {
        return false;
    }
    match oracles {
        0 => quorum == 0,
        1..=3 => quorum * 2 > oracles,
        _ => quorum * 3 > oracles * 2,
    }
}

/// Reads an attestation's word, given the rank of its verdict.
#[inline(always)]
pub fn word(entry: &crate::accounts::RawAttestation, rank: u8) -> Word {
    Word { rank, epoch: entry.epoch.get(), slot: entry.slot.get(), since: [entry.since[0].get(), entry.since[1].get()] }
}

/// The rank of a verdict byte for a subject of this type, or nothing where an oracle may not say that: a verdict is
/// what an oracle sees, so it is never "unknown".
#[inline(always)]
pub const fn verdict_rank(subject: AccountType, verdict: u8) -> Option<u8> {
    match subject {
        AccountType::Device => match DeviceHealth::from_byte(verdict) {
            Some(DeviceHealth::Unknown) | None => None,
            Some(health) => Some(health.rank()),
        },
        AccountType::Link => match LinkHealth::from_byte(verdict) {
            Some(LinkHealth::Unknown) | None => None,
            Some(health) => Some(health.rank()),
        },
        AccountType::Network
        | AccountType::Contributor
        | AccountType::Location
        | AccountType::Exchange
        | AccountType::Attestations
        | AccountType::Pool
        | AccountType::PrefixTable => None,
    }
}

/// The place of a key in an oracle set.
#[inline(always)]
pub fn oracle_index(oracles: &[Key], count: u8, key: &Key) -> Option<usize> {
    // The bytes and not the keys: `Attest` pays for every call. The first eight tell nearly all keys apart.
    let begins = |k: &Key| k.0.first_chunk::<8>() == key.0.first_chunk::<8>();
    oracles.iter().take(count as usize).position(|k| begins(k) && k.0 == key.0)
}
