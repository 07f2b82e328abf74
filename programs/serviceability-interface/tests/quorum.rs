//! When a level holds: every subset of up to seven oracles, and a slow reference that knows the whole history.
#![allow(clippy::unwrap_used, reason = "tests")]

use causeway_interface::{
    DeviceHealth, DeviceStatus, LinkHealth, LinkStatus,
    quorum::{Tally, Terms, Word, is_allowed_quorum},
};
use proptest::prelude::*;

const EPOCH: u32 = 3;
const BURN_IN: u64 = 100;
const MAINTENANCE: u64 = 30;
const MAX_AGE: u64 = 20;

fn terms(now: u64, quorum: u8) -> Terms {
    Terms {
        now,
        epoch: EPOCH,
        quorum,
        max_age: MAX_AGE,
        burn_in: BURN_IN,
        maintenance_burn_in: MAINTENANCE,
        status_since: 0,
    }
}

fn tally(words: &[Word], terms: &Terms) -> Tally {
    let mut tally = Tally::default();
    for word in words {
        tally.count(word, terms);
    }
    tally
}

/// Says the same in every slot of a range, ten apart.
fn speak(from: u64, to: u64, rank: u8) -> Word {
    let mut word = Word::default();
    let mut slot = from;
    loop {
        word = word.next(slot, EPOCH, rank, MAX_AGE);
        if slot >= to {
            return word;
        }
        slot = (slot + 10).min(to);
    }
}

fn health(words: &[Word], now: u64, quorum: u8) -> DeviceHealth {
    let terms = terms(now, quorum);
    let status = DeviceStatus::LinkProvisioning;
    DeviceHealth::Pending.next(status, DeviceStatus::Pending, &tally(words, &terms), quorum)
}

#[test]
fn the_allowed_quorums_are_those_of_the_design() {
    for oracles in 0..=31_usize {
        for quorum in 0..=32_usize {
            let expected = match oracles {
                0 => quorum == 0,
                1 => quorum == 1,
                2 => quorum == 2,
                3 => quorum == 2 || quorum == 3,
                n => quorum <= n && 3 * quorum > 2 * n,
            };
            assert_eq!(is_allowed_quorum(oracles, quorum), expected, "{quorum} of {oracles}");
        }
    }
}

/// Promise 1, for every set of up to seven oracles, every allowed quorum and every subset that is healthy: the level
/// holds if and only if the subset is a quorum, and not a slot before the burn-in.
#[test]
fn a_level_holds_for_exactly_the_subsets_that_are_a_quorum() {
    let start = 1_000;
    for oracles in 1..=7_usize {
        for quorum in (1..=oracles).filter(|q| is_allowed_quorum(oracles, *q)) {
            for subset in 0_u32..1 << oracles {
                let words = |until: u64| -> Vec<Word> {
                    (0..oracles).map(|n| speak(start, until, if subset >> n & 1 == 1 { 2 } else { 0 })).collect()
                };
                let is_quorum = subset.count_ones() as usize >= quorum;
                let eve = health(&words(start + BURN_IN - 1), start + BURN_IN - 1, quorum as u8);
                assert_eq!(eve, DeviceHealth::Pending, "{subset:b} of {oracles} by {quorum}, a slot too early");
                let day = health(&words(start + BURN_IN), start + BURN_IN, quorum as u8);
                let expected = if is_quorum { DeviceHealth::ReadyForUsers } else { DeviceHealth::Pending };
                assert_eq!(day, expected, "{subset:b} of {oracles} by {quorum}");
            }
        }
    }
}

/// The same where the rest of the set says nothing instead of something bad.
#[test]
fn silence_of_too_many_is_unknown() {
    for oracles in 1..=7_usize {
        for quorum in (1..=oracles).filter(|q| is_allowed_quorum(oracles, *q)) {
            for subset in 0_u32..1 << oracles {
                let words: Vec<Word> =
                    (0..oracles).filter(|n| subset >> n & 1 == 1).map(|_| speak(1_000, 1_100, 1)).collect();
                let expected = if words.len() >= quorum { DeviceHealth::ReadyForLinks } else { DeviceHealth::Unknown };
                assert_eq!(health(&words, 1_100, quorum as u8), expected);
            }
        }
    }
}

#[test]
fn words_of_another_epoch_or_too_old_count_for_nothing() {
    let words = [speak(1_000, 1_100, 2), speak(1_000, 1_100, 2)];
    assert_eq!(health(&words, 1_100 + MAX_AGE, 2), DeviceHealth::ReadyForUsers);
    assert_eq!(health(&words, 1_100 + MAX_AGE + 1, 2), DeviceHealth::Unknown);
    let mut next = terms(1_100, 2);
    next.epoch = EPOCH + 1;
    assert_eq!(tally(&words, &next), Tally::default());
    assert_eq!(health(&words, 1_100, 0), DeviceHealth::Unknown, "no oracle set is in force");
}

#[test]
fn health_falls_at_once_and_rises_through_a_burn_in_only() {
    let up = [speak(1_000, 1_100, 2), speak(1_000, 1_100, 2), speak(1_000, 1_100, 2)];
    let one_bad = [up[0], up[1], up[2].next(1_101, EPOCH, 0, MAX_AGE)];
    let two_bad = [up[0], one_bad[2], one_bad[2]];
    let step = |before: DeviceHealth, words: &[Word], now| {
        let terms = terms(now, 2);
        before.next(DeviceStatus::Activated, DeviceStatus::Pending, &tally(words, &terms), 2)
    };
    assert_eq!(step(DeviceHealth::ReadyForUsers, &one_bad, 1_101), DeviceHealth::ReadyForUsers);
    assert_eq!(step(DeviceHealth::ReadyForUsers, &two_bad, 1_101), DeviceHealth::Impaired);
    let healed: Vec<Word> = two_bad.iter().map(|w| w.next(1_102, EPOCH, 2, MAX_AGE)).collect();
    assert_eq!(step(DeviceHealth::Impaired, &healed, 1_102), DeviceHealth::Impaired, "no burn-in yet");
    // In service, ready for links is not enough.
    let lower: Vec<Word> = up.iter().map(|w| w.next(1_101, EPOCH, 1, MAX_AGE)).collect();
    assert_eq!(step(DeviceHealth::ReadyForUsers, &lower, 1_101), DeviceHealth::Impaired);
    // Before first service it is a level like any other.
    let terms = terms(1_101, 2);
    let tally = tally(&lower, &terms);
    let before = DeviceHealth::ReadyForLinks;
    let after = before.next(DeviceStatus::LinkProvisioning, DeviceStatus::Pending, &tally, 2);
    assert_eq!(after, DeviceHealth::ReadyForLinks);
}

#[test]
fn a_link_knows_one_level() {
    let words = [speak(1_000, 1_100, 1), speak(1_000, 1_100, 1)];
    let terms = terms(1_100, 2);
    let tally = tally(&words, &terms);
    let next = LinkHealth::Pending.next(LinkStatus::Provisioning, LinkStatus::Pending, &tally, 2);
    assert_eq!(next, LinkHealth::ReadyForService);
}

/// One word of one oracle in a made-up history.
#[derive(Clone, Copy, Debug)]
struct Said {
    slot: u64,
    rank: u8,
}

/// The streak from the definition: the longest run of words up to the last one that are all at the level and never
/// more than the maximum age apart.
fn streak(history: &[Said], level: u8) -> Option<u64> {
    let last = history.last()?;
    let mut since = None;
    let mut later: Option<u64> = None;
    for said in history.iter().rev() {
        let together = later.is_none_or(|l| l - said.slot <= MAX_AGE);
        if said.rank < level || !together {
            break;
        }
        since = Some(said.slot);
        later = Some(said.slot);
    }
    since.map(|since| last.slot - since)
}

proptest! {
    /// The two slots that an entry keeps say the same of streaks as the whole history does.
    #[test]
    fn a_word_keeps_what_the_history_says(steps in prop::collection::vec((1_u64..30, 0_u8..3), 1..40)) {
        let mut slot = 1_000;
        let mut history = Vec::new();
        let mut word = Word::default();
        for (step, rank) in steps {
            slot += step;
            history.push(Said { slot, rank });
            word = word.next(slot, EPOCH, rank, MAX_AGE);
            for level in [1, 2] {
                prop_assert_eq!(word.streak(level, 0), streak(&history, level));
            }
        }
    }

    /// A repeated word of the same slot changes nothing.
    #[test]
    fn a_repeated_word_changes_nothing(slot in 1_u64..1_000_000, rank in 0_u8..3, later in 0_u64..50) {
        let word = Word::default().next(slot, EPOCH, rank, MAX_AGE).next(slot + later, EPOCH, rank, MAX_AGE);
        prop_assert_eq!(word.next(slot + later, EPOCH, rank, MAX_AGE), word);
    }
}
