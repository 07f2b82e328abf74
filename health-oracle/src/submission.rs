//! What to send: pure decisions over what the ledger holds and what was found.

use causeway_interface::Key;

/// A word is renewed when it is this part of the maximum age old: two more tries before it expires.
const RENEWALS_PER_AGE: u64 = 3;

/// This oracle's word on a subject as the ledger holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Verdict byte.
    pub verdict: u8,
    /// Criteria that did not pass.
    pub failed: u32,
    /// Oracle epoch in which it was given.
    pub epoch: u32,
    /// Slot in which it was given; 0 for never.
    pub slot: u64,
}

/// What the network asks of attestations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Oracle epoch in force.
    pub epoch: u32,
    /// Age in slots after which a word no longer counts.
    pub max_age: u64,
    /// Current slot.
    pub now: u64,
}

/// Why a word is due. In the order of urgency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// The level is lower than what the ledger holds.
    Demotion,
    /// The level is another.
    Changed,
    /// Nothing is held that counts: never said, another epoch, or too old.
    First,
    /// The criteria are others.
    Criteria,
    /// It would expire.
    Renewal,
}

impl Due {
    /// The name that metrics carry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Demotion => "demotion",
            Self::Changed => "changed",
            Self::First => "first",
            Self::Criteria => "criteria",
            Self::Renewal => "renewal",
        }
    }
}

/// Whether a word is due, given its height (`rank_of` turns a verdict byte into one).
#[must_use]
pub fn due(held: Option<Held>, verdict: u8, failed: u32, terms: &Terms, rank_of: impl Fn(u8) -> u8) -> Option<Due> {
    let Some(held) = held.filter(|h| h.slot != 0 && h.epoch == terms.epoch) else { return Some(Due::First) };
    let age = terms.now.saturating_sub(held.slot);
    if age > terms.max_age {
        return Some(Due::First);
    }
    if held.verdict != verdict {
        return Some(if rank_of(verdict) < rank_of(held.verdict) { Due::Demotion } else { Due::Changed });
    }
    if held.failed != failed {
        return Some(Due::Criteria);
    }
    (age >= (terms.max_age / RENEWALS_PER_AGE).max(1)).then_some(Due::Renewal)
}

/// Whether a word may be due in this round, whatever else is known: what evidence is made ready for. Never false where
/// [`due`] gives a reason.
#[must_use]
pub fn may_be_due(held: Option<Held>, verdict: u8, failed: u32, terms: &Terms) -> bool {
    let Some(held) = held else { return true };
    let age = terms.now.saturating_sub(held.slot);
    let same = held.slot != 0 && held.epoch == terms.epoch && held.verdict == verdict && held.failed == failed;
    !same || age >= (terms.max_age / RENEWALS_PER_AGE).max(1)
}

/// Whether this oracle's turn has come to advance a subject that has been due since `due_since`.
///
/// Anyone may advance, and a duplicate does no harm but cost a fee. So the oracles of the set stand in line, in an order
/// that depends on the subject, and each waits `stagger` slots more than the one before it: usually one sends, and while
/// at least one lives it is sent.
#[must_use]
pub fn may_advance(subject: &Key, place: usize, oracles: usize, due_since: u64, now: u64, stagger: u64) -> bool {
    let oracles = (oracles as u64).max(1);
    let first = subject.0.iter().fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte))) % oracles;
    let distance = (place as u64 % oracles + oracles - first) % oracles;
    now.saturating_sub(due_since) >= distance.saturating_mul(stagger)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_sent_when_due() {
        let terms = Terms { epoch: 2, max_age: 90, now: 1_000 };
        let held = |verdict, failed, epoch, slot| Some(Held { verdict, failed, epoch, slot });
        let cases = [
            ("never said", None, Some(Due::First)),
            ("an empty entry", held(0, 0, 2, 0), Some(Due::First)),
            ("another epoch", held(3, 0, 1, 999), Some(Due::First)),
            ("expired", held(3, 0, 2, 909), Some(Due::First)),
            ("same and young", held(3, 0, 2, 971), None),
            ("same and a third of its age", held(3, 0, 2, 970), Some(Due::Renewal)),
            ("higher before", held(4, 0, 2, 999), Some(Due::Demotion)),
            ("lower before", held(1, 0, 2, 999), Some(Due::Changed)),
            ("other criteria", held(3, 1, 2, 999), Some(Due::Criteria)),
            ("from the future of another node", held(3, 0, 2, 1_005), None),
        ];
        for (name, held, expected) in cases {
            assert_eq!(due(held, 3, 0, &terms, |v| v), expected, "{name}");
            assert!(may_be_due(held, 3, 0, &terms) || expected.is_none(), "{name}");
        }
        let short = Terms { max_age: 1, ..terms };
        assert_eq!(due(held(3, 0, 2, 1_000), 3, 0, &short, |v| v), None);
        assert_eq!(due(held(3, 0, 2, 999), 3, 0, &short, |v| v), Some(Due::Renewal));
    }

    #[test]
    fn one_oracle_goes_first_and_each_gets_its_turn() {
        for seed in 0..50u8 {
            let subject = Key([seed; 32]);
            for oracles in 1..=7 {
                let now_for =
                    |delay| (0..oracles).filter(|i| may_advance(&subject, *i, oracles, 100, 100 + delay, 10)).count();
                for waited in 0..oracles {
                    assert_eq!(now_for(waited as u64 * 10), waited + 1, "{seed} {oracles} {waited}");
                }
            }
        }
    }
}
