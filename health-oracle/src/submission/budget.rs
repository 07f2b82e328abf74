//! What may be said for the money: renewals are held back first, demotions never. Pure.
//!
//! What counts is what was spent in the last hour, as the ledger charges it; what a transaction will cost is what the last ones
//! did. Renewals leave a tenth of the budget to words that change something. The same subjects are held back for as long as
//! the budget does not reach, the later ones by kind and code: their words expire, which is what silence means onchain, and
//! the others keep their streaks.

use std::collections::VecDeque;

use super::Due;

/// Time over which spending is counted, in ms.
const HOUR_MS: u64 = 3_600_000;
/// Share of the budget that renewals leave to more urgent words: one in this many.
const RESERVE: u64 = 10;
/// Width of an entry of what was spent, in ms: an hour is at most 61 entries.
const GRAIN_MS: u64 = 60_000;

/// What was spent in the last hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spending {
    /// When (in grains) and how much, in lamports; old ones first.
    entries: VecDeque<(u64, u64)>,
}

impl Spending {
    /// Notes lamports spent at `now_ms`.
    pub fn note(&mut self, lamports: u64, now_ms: u64) {
        let grain = now_ms / GRAIN_MS;
        self.entries.retain(|(at, _)| at.saturating_add(HOUR_MS / GRAIN_MS) > grain && *at <= grain);
        match self.entries.back_mut() {
            Some((at, sum)) if *at == grain => *sum = sum.saturating_add(lamports),
            _ if lamports > 0 => self.entries.push_back((grain, lamports)),
            _ => {}
        }
    }

    /// Lamports spent in the hour up to `now_ms`.
    #[must_use]
    pub fn last_hour(&self, now_ms: u64) -> u64 {
        let grain = now_ms / GRAIN_MS;
        let young = self.entries.iter().filter(|(at, _)| at.saturating_add(HOUR_MS / GRAIN_MS) > grain);
        young.fold(0, |sum, (_, lamports)| sum.saturating_add(*lamports))
    }
}

/// What there is to spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purse {
    /// Lamports in an hour; 0 for no limit.
    pub per_hour: u64,
    /// Lamports spent in the last hour.
    pub spent: u64,
    /// Lamports that one transaction costs.
    pub per_transaction: u64,
    /// Words that one transaction carries.
    pub capacity: usize,
}

/// How many of the words that are due, the urgent first, are sent now. What comes after them waits, but for demotions, which
/// come first and are never held back.
#[must_use]
pub fn affordable(due: &[Due], purse: &Purse) -> usize {
    if purse.per_hour == 0 {
        return due.len();
    }
    let words_for = |limit: u64| {
        let transactions = limit.saturating_sub(purse.spent) / purse.per_transaction.max(1);
        usize::try_from(transactions).unwrap_or(usize::MAX).saturating_mul(purse.capacity.max(1))
    };
    let demotions = due.iter().take_while(|due| **due == Due::Demotion).count();
    let urgent = due.iter().take_while(|due| **due != Due::Renewal).count();
    let all = words_for(purse.per_hour - purse.per_hour / RESERVE).min(due.len());
    // Renewals come last: the reserve is for what stands before them.
    let without_renewals = words_for(purse.per_hour).min(urgent);
    all.max(without_renewals).max(demotions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renewals_are_held_back_first_and_demotions_never() {
        let due: Vec<Due> = [
            vec![Due::Demotion; 30],
            vec![Due::Changed; 10],
            vec![Due::First; 10],
            vec![Due::Criteria; 10],
            vec![Due::Renewal; 100],
        ]
        .concat();
        // A transaction carries 10 words and costs 5: 16 transactions are 80 lamports. Renewals leave 20 of 200.
        let cases = [
            ("no budget", 0, 1_000_000, 160),
            ("enough", 200, 0, 160),
            ("enough, to the lamport", 200, 100, 160),
            ("not for all renewals", 200, 101, 150),
            ("for no renewal", 200, 150, 60),
            ("from the reserve, what changes something", 200, 171, 50),
            ("spent: demotions", 200, 200, 30),
            ("overspent: demotions", 200, 999, 30),
        ];
        for (name, per_hour, spent, expected) in cases {
            let purse = Purse { per_hour, spent, per_transaction: 5, capacity: 10 };
            assert_eq!(affordable(&due, &purse), expected, "{name}");
        }
        let purse = Purse { per_hour: 1, spent: 0, per_transaction: 0, capacity: 0 };
        assert_eq!(affordable(&[Due::Renewal], &purse), 1, "a price of nothing is no trap");
        assert_eq!(affordable(&[], &purse), 0);
    }

    #[test]
    fn an_hour_later_it_is_forgotten() {
        let mut spending = Spending::default();
        let minute = 60_000;
        for n in 0..200 {
            spending.note(7, n * minute);
            spending.note(3, n * minute + 30_000);
            spending.note(0, n * minute + 40_000);
            assert_eq!(spending.last_hour(n * minute + 50_000), 10 * (n + 1).min(60));
        }
        assert_eq!(spending.entries.len(), 60);
        assert_eq!(spending.last_hour(400 * minute), 0);
        // A clock that was set back does not hold on to the future.
        spending.note(1, minute);
        assert_eq!(spending.last_hour(minute), 1);
    }
}
