//! Words under this oracle's key that this instance did not say: another instance runs with the same key. Pure.
//!
//! Two instances see different telemetry. If each put its own word in the place of the other's they would fight, and whoever
//! spoke last would be believed. So the lower word wins: an instance lowers the other's word at once, and raises it only when
//! whoever said it has let the time pass in which it would have been renewed. While both live nothing is said for longer than
//! a round that is higher than the lower of the two, and a subject costs no more transactions than the verdicts change and
//! are renewed.

use super::{Due, renewal};

/// Which part of the maximum age a foreign word has to be old before it is raised, as (numerator, denominator): half of it is
/// when its own instance renews it at the latest, another quarter is for that one's failed tries, and the last quarter is left
/// to go on with the streak.
const RAISE_AT: (u64, u64) = (3, 4);

/// What becomes of a word that is due where the ledger holds one of another instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stance {
    /// It is said.
    Say,
    /// The other instance's word stands for now.
    Yield,
}

/// Whether what is due is said over a foreign word of this age, in slots.
#[must_use]
pub fn stance(due: Due, age: u64, max_age: u64) -> Stance {
    let (part, whole) = RAISE_AT;
    let orphaned = u128::from(age) * u128::from(whole) >= u128::from(max_age) * u128::from(part);
    match due {
        // Lower than the other's, or there is no word that counts.
        Due::Demotion | Due::First => Stance::Say,
        // As high: whoever comes first renews it.
        Due::Renewal => Stance::Say,
        // Higher than the other's.
        Due::Changed if orphaned => Stance::Say,
        Due::Changed => Stance::Yield,
        // As high for other reasons: not worth a transaction before it is renewed.
        Due::Criteria if age >= renewal::most(max_age) => Stance::Say,
        Due::Criteria => Stance::Yield,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_word_wins_until_nobody_renews_it() {
        let cases = [
            ("lower than a young one", Due::Demotion, 0, Stance::Say),
            ("nothing that counts", Due::First, 200, Stance::Say),
            ("as high", Due::Renewal, 40, Stance::Say),
            ("higher than a young one", Due::Changed, 0, Stance::Yield),
            ("higher than one that is due for renewal", Due::Changed, 50, Stance::Yield),
            ("higher than one whose renewal is late", Due::Changed, 74, Stance::Yield),
            ("higher than one that nobody renews", Due::Changed, 75, Stance::Say),
            ("other criteria", Due::Criteria, 49, Stance::Yield),
            ("other criteria, and it is to be renewed", Due::Criteria, 50, Stance::Say),
        ];
        for (name, due, age, expected) in cases {
            assert_eq!(stance(due, age, 100), expected, "{name}");
        }
    }
}
