//! Since when a verdict has been what it is, as far as this process has seen. Pure.

use std::{collections::BTreeMap, sync::Arc};

use causeway_interface::Code;
use serde::Serialize;

use crate::{
    criteria::{Criterion, Verdict},
    subjects::{Judged, Kind},
};

/// Since when, in ms since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Since {
    /// When this process first judged the subject. What is as old may be older.
    pub first_ms: u64,
    /// Since when the level.
    pub level_ms: u64,
    /// Since when each criterion's result.
    pub criteria: Vec<(Criterion, u64)>,
}

impl Since {
    /// What follows from a verdict found at `at_ms`, after what was found before.
    #[must_use]
    pub fn next(before: Option<(&Verdict, &Since)>, found: &Verdict, at_ms: u64) -> Self {
        let of = |id: Criterion| {
            let (verdict, since) = before?;
            let was = verdict.criteria.iter().find(|c| c.id == id)?.passed;
            let now = found.criteria.iter().find(|c| c.id == id)?.passed;
            since.criteria.iter().find(|(c, _)| *c == id).filter(|_| was == now).map(|(_, ms)| *ms)
        };
        let level = before.filter(|(verdict, _)| verdict.level == found.level).map(|(_, since)| since.level_ms);
        Self {
            first_ms: before.map_or(at_ms, |(_, since)| since.first_ms),
            level_ms: level.unwrap_or(at_ms),
            criteria: found.criteria.iter().map(|c| (c.id, of(c.id).unwrap_or(at_ms))).collect(),
        }
    }

    /// Of all subjects of a round; those that are no longer judged are forgotten.
    #[must_use]
    pub fn of_round(
        subjects: &BTreeMap<(Kind, Code), Arc<Judged>>,
        before: &BTreeMap<(Kind, Code), Arc<Judged>>,
        since: &BTreeMap<(Kind, Code), Since>,
        at_ms: u64,
    ) -> BTreeMap<(Kind, Code), Since> {
        let next = |(key, judged): (&(Kind, Code), &Arc<Judged>)| {
            let known = before.get(key).zip(since.get(key)).map(|(judged, since)| (&judged.verdict, since));
            (*key, Since::next(known, &judged.verdict, at_ms))
        };
        subjects.iter().map(next).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::criteria::{CriterionResult, Level, Outcome, text::Text};
    use causeway_interface::LinkHealth;

    fn verdict(health: LinkHealth, l1: Outcome, l2: Outcome) -> Verdict {
        let result = |id, passed| CriterionResult {
            id,
            passed,
            observed: String::new(),
            required: Text::default(),
            detail: Text::default(),
        };
        let criteria = vec![result(Criterion::L1, l1), result(Criterion::L2, l2)];
        Verdict { level: Level::Link(health), criteria }
    }

    #[test]
    fn only_what_changes_begins_anew() {
        use LinkHealth::{Impaired, Pending, ReadyForService};
        use Outcome::{Failed, NotObserved, Passed};
        let mut before: Option<(Verdict, Since)> = None;
        for (at, health, l1, l2, level, since) in [
            (10, Pending, NotObserved, NotObserved, 10, [10, 10]),
            (20, Pending, Passed, NotObserved, 10, [20, 10]),
            (30, ReadyForService, Passed, Passed, 30, [20, 30]),
            (40, ReadyForService, Passed, Passed, 30, [20, 30]),
            (50, Impaired, Failed, Passed, 50, [50, 30]),
            (60, ReadyForService, Passed, Passed, 60, [60, 30]),
        ] {
            let found = verdict(health, l1, l2);
            let next = Since::next(before.as_ref().map(|(v, s)| (v, s)), &found, at);
            assert_eq!((next.first_ms, next.level_ms), (10, level), "{at}");
            let [a, b] = since;
            assert_eq!(next.criteria, [(Criterion::L1, a), (Criterion::L2, b)], "{at}");
            before = Some((found, next));
        }
    }
}
