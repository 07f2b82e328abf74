//! When a word that has not changed is said again: before it expires, and not all words at once. Pure.
//!
//! Words that were said in one round would for ever be renewed in one round: a fleet's in a burst of thousands of
//! transactions. So subjects stand in *shares* of as many as one transaction carries, and each share has its own moments,
//! [`period`] slots apart and evenly spread over the period. A word is renewed at the first moment of its share at which it is
//! at least [`least`] slots old, and at half the maximum age whatever its share says. So
//!
//! - in the steady state a word is renewed every 5/12 of the maximum age, and each round renews as much as the last one;
//! - the moments are the ledger's slots and not counted from the last word: a word that changed in between comes back to
//!   its share, so that transactions stay full;
//! - no word grows older than half the maximum age and a round, so that half of it is left for tries that fail.

/// Parts of the maximum age that the following are counted in.
const PARTS: u64 = 12;
/// Time between two moments of a share, in parts: between a third and a half.
const PERIOD: u64 = 5;
/// Age below which a moment is let pass, in parts: with a period it makes half the maximum age.
const LEAST: u64 = 1;
/// Age at which a word is renewed whatever its share says, in parts.
const MOST: u64 = 6;

/// A subject's place among those that are renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Which share.
    pub index: u64,
    /// Of how many; at least 1.
    pub shares: u64,
}

impl Share {
    /// Of the `rank`th of `subjects`, where one transaction carries `capacity`.
    #[must_use]
    pub fn new(rank: usize, subjects: usize, capacity: usize) -> Self {
        let capacity = capacity.max(1);
        let shares = subjects.div_ceil(capacity).max(1) as u64;
        Self { index: ((rank / capacity) as u64).min(shares - 1), shares }
    }

    /// Slots by which its moments come before the multiples of the period.
    fn offset(&self, period: u64) -> u64 {
        let offset = u128::from(period) * u128::from(self.index) / u128::from(self.shares.max(1));
        u64::try_from(offset).unwrap_or(0)
    }
}

/// Slots between two renewals of a word.
#[must_use]
pub fn period(max_age: u64) -> u64 {
    part(max_age, PERIOD).max(1)
}

/// Age in slots from which on a word is renewed at the next moment of its share.
#[must_use]
pub fn least(max_age: u64) -> u64 {
    part(max_age, LEAST).max(1)
}

/// Age in slots at which a word is renewed in any case.
#[must_use]
pub fn most(max_age: u64) -> u64 {
    part(max_age, MOST).max(1)
}

fn part(max_age: u64, parts: u64) -> u64 {
    u64::try_from(u128::from(max_age) * u128::from(parts) / u128::from(PARTS)).unwrap_or(u64::MAX)
}

/// Whether a word said in slot `said` is to be renewed in slot `now`.
#[must_use]
pub fn is_due(said: u64, now: u64, max_age: u64, share: Share) -> bool {
    let age = now.saturating_sub(said);
    if age >= most(max_age) {
        return true;
    }
    let period = period(max_age);
    let moments = |slot: u64| slot.saturating_add(share.offset(period)) / period;
    // A moment has passed since the word was old enough, this slot included.
    age >= least(max_age) && moments(now) > moments(said.saturating_add(least(max_age)).saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_renewed_at_its_shares_moments_and_at_half_its_age_at_the_latest() {
        // Maximum age 120: a period of 50, at least 10 old, at most 60. The share of 1 has its moments at 1 000 and 1 050.
        let all = Share { index: 0, shares: 1 };
        let second = Share { index: 1, shares: 2 };
        let cases = [
            ("just said", 999, 1_000, all, false),
            ("too young for the moment", 991, 1_000, all, false),
            ("old enough for the moment", 990, 1_000, all, true),
            ("the round after the moment", 985, 1_007, all, true),
            ("young at the moment, and the moment is over", 995, 1_007, all, false),
            ("until the next", 995, 1_049, all, false),
            ("the next", 995, 1_050, all, true),
            ("half its age before any moment", 991, 1_049, all, false),
            ("the other share is 25 slots before", 995, 1_024, second, false),
            ("and has its moment", 995, 1_025, second, true),
            ("half its age", 991, 1_051, Share { index: 3, shares: 50 }, true),
            ("from the future of another node", 1_005, 1_000, all, false),
        ];
        for (name, said, now, share, expected) in cases {
            assert_eq!(is_due(said, now, 120, share), expected, "{name}");
        }
        // The smallest ages are no trap.
        for max_age in 0..20 {
            assert!(!is_due(100, 100, max_age, all), "{max_age}: not in the slot in which it was said");
            assert!(is_due(100, 100 + max_age.max(1), max_age, all), "{max_age}: before it expires");
        }
    }

    #[test]
    fn shares_are_transactions() {
        let shares: Vec<_> = (0..101).map(|rank| Share::new(rank, 101, 24).index).collect();
        for (index, count) in [(0, 24), (1, 24), (2, 24), (3, 24), (4, 5)] {
            assert_eq!(shares.iter().filter(|share| **share == index).count(), count);
        }
        assert_eq!(Share::new(5, 3, 0), Share { index: 2, shares: 3 });
        assert_eq!(Share::new(0, 0, 24), Share { index: 0, shares: 1 });
    }

    /// A fleet of 60 000, rounds of a minute, a maximum age of 1 500 slots of 400 ms; every word was said in one round, one
    /// in a thousand changes in each round, and one transaction in fifty fails.
    #[test]
    fn a_fleet_is_renewed_evenly_in_full_transactions_and_nobody_expires() {
        let (subjects, capacity, round, max_age) = (60_000_usize, 24, 150, 1_500);
        let mut said = vec![10_000_u64; subjects];
        let mut now = 10_000;
        let mut loads = Vec::new();
        let (mut words, mut transactions, mut oldest) = (0, 0, 0);
        for n in 0..200_u64 {
            now += round;
            let mut due = Vec::new();
            for (rank, said) in said.iter().enumerate() {
                oldest = oldest.max(now - said);
                let changed = (rank as u64).wrapping_mul(7_919).wrapping_add(n * 104_729).is_multiple_of(1_000);
                if changed || is_due(*said, now, max_age, Share::new(rank, subjects, capacity)) {
                    due.push((!changed, rank));
                }
            }
            due.sort_unstable();
            for (t, batch) in due.chunks(capacity).enumerate() {
                if !(t as u64 + n).is_multiple_of(50) {
                    batch.iter().for_each(|(_, rank)| said[*rank] = now + 3);
                }
            }
            // The first periods are those in which the one burst is spread.
            if n >= 9 {
                loads.push(due.len());
                words += due.len();
                transactions += due.len().div_ceil(capacity);
            }
        }
        let (least, most) = (loads.iter().min().unwrap(), loads.iter().max().unwrap());
        let mean = words / loads.len();
        println!(
            "words in a round: {least} to {most}, {mean} on average, {transactions} transactions, oldest {oldest}"
        );
        assert!(*most * 100 <= mean * 115 && *least * 100 >= mean * 85, "{least} to {most}, mean {mean}");
        // 60 000 words in 625 slots: 14 400 in a round, 60 that changed, and 2 % of tries that failed.
        assert!((14_000..15_500).contains(&mean), "{mean}");
        // A word whose transactions fail three times in a row is 8/10 of the maximum age old.
        assert!(oldest + round < max_age, "{oldest}");
    }
}
