//! Whether the ledger, the store and the agents were there when they were last asked, and how long ago that was. Pure.
//!
//! A job should not begin when what it needs is away, and asking everybody before every job would be a load of its own:
//! an answer counts for a while, and says how old it is.

use std::collections::BTreeMap;

/// How long a good answer counts, in ms.
pub const GOOD_MS: u64 = 60_000;
/// How long a bad answer counts, in ms: whoever comes back is seen sooner.
pub const BAD_MS: u64 = 30_000;

/// What a job needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The ledger.
    Ledger,
    /// The store of jobs.
    Store,
    /// The agents, as a whole.
    Agents,
}

/// What is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Why it is away; none where it is there.
    pub away: Option<String>,
    /// How old this answer is, in ms.
    pub age_ms: u64,
}

/// Answers, for a while.
#[derive(Clone, Debug, Default)]
pub struct Availability {
    answers: BTreeMap<Need, (u64, Option<String>)>,
}

impl Availability {
    /// Notes an answer.
    pub fn note(&mut self, need: Need, now_ms: u64, answer: Result<(), String>) {
        self.answers.insert(need, (now_ms, answer.err()));
    }

    /// What is known; none where it has to be asked again.
    #[must_use]
    pub fn known(&self, need: Need, now_ms: u64) -> Option<Known> {
        let (at_ms, away) = self.answers.get(&need)?;
        let age_ms = now_ms.saturating_sub(*at_ms);
        let counts_ms = if away.is_none() { GOOD_MS } else { BAD_MS };
        (age_ms < counts_ms).then(|| Known { away: away.clone(), age_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_for_a_while_and_says_how_old_it_is() {
        let mut availability = Availability::default();
        assert_eq!(availability.known(Need::Ledger, 0), None);
        availability.note(Need::Ledger, 1_000, Ok(()));
        availability.note(Need::Store, 1_000, Err("refused".to_owned()));
        assert_eq!(availability.known(Need::Ledger, 31_000), Some(Known { away: None, age_ms: 30_000 }));
        assert_eq!(availability.known(Need::Ledger, 61_000), None);
        let known = availability.known(Need::Store, 30_999);
        assert_eq!(known, Some(Known { away: Some("refused".to_owned()), age_ms: 29_999 }));
        assert_eq!(availability.known(Need::Store, 31_000), None);
        assert_eq!(availability.known(Need::Agents, 1_000), None);
        // A clock that goes back makes nothing older.
        assert_eq!(availability.known(Need::Ledger, 0), Some(Known { away: None, age_ms: 0 }));
    }
}
