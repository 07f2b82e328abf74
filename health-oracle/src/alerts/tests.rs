use causeway_interface::LinkHealth;

use super::*;
use crate::{
    criteria::{Criterion, CriterionResult, Level, Verdict, text::Text},
    evidence::EvidenceWindow,
};

pub(super) fn judged(health: LinkHealth, in_service: bool) -> Judged {
    let passed = match health {
        LinkHealth::ReadyForService => Outcome::Passed,
        LinkHealth::Impaired => Outcome::Failed,
        LinkHealth::Pending | LinkHealth::Unknown => Outcome::NotObserved,
    };
    let result = CriterionResult {
        id: Criterion::L2,
        passed,
        observed: "3 of 10 lost".into(),
        required: "no loss".into(),
        detail: Text::default(),
    };
    Judged {
        key: Key([1; 32]),
        code: "l-1".parse().unwrap(),
        kind: Kind::Link,
        in_service,
        verdict: Verdict { level: Level::Link(health), criteria: vec![result] },
        window: EvidenceWindow { start_slot: 0, end_slot: 0, start_ms: 0, end_ms: 0 },
        telemetry: vec![],
        basis: None,
    }
}

const MINUTE: u64 = 60_000;

fn terms() -> Terms {
    Terms { flap_ms: 10 * MINUTE, ..Terms::default() }
}

/// A story of one link: minute, health, what is said.
fn tell(story: &[(u64, LinkHealth, &str)]) {
    let mut watch = Watch::default();
    for (minute, health, expected) in story {
        let said = watch.round(&[judged(*health, true)], minute * MINUTE, &terms());
        let kinds: Vec<_> = said.iter().map(|a| a.kind.name()).collect();
        assert_eq!(kinds.join(" "), *expected, "minute {minute}");
    }
}

use LinkHealth::{Impaired, Pending, ReadyForService};

#[test]
fn each_change_is_said_once_and_bad_stays_bad_until_it_is_good() {
    tell(&[
        (0, ReadyForService, ""),
        (1, Pending, "silent"),
        (2, Pending, ""),
        (3, Impaired, "impaired"),
        (4, Pending, ""),
        (5, Impaired, ""),
        (6, ReadyForService, "recovered"),
        (7, ReadyForService, ""),
        (17, ReadyForService, ""),
        (18, Impaired, "impaired"),
        (40, ReadyForService, "recovered"),
    ]);
}

#[test]
fn a_flapping_subject_is_said_once_and_again_with_a_count_when_it_is_steady() {
    tell(&[
        (0, Impaired, "impaired"),
        (1, ReadyForService, "recovered"),
        (2, Impaired, "flapping"),
        (3, ReadyForService, ""),
        (4, Pending, ""),
        (5, Impaired, ""),
        (6, ReadyForService, ""),
        (15, ReadyForService, ""),
        (16, ReadyForService, "steady"),
        (17, ReadyForService, ""),
        (18, Impaired, "impaired"),
    ]);
    let mut watch = Watch::default();
    for minute in 0..7 {
        let health = if minute % 2 == 0 { Impaired } else { ReadyForService };
        watch.round(&[judged(health, true)], minute * MINUTE, &terms());
    }
    let said = watch.round(&[judged(Impaired, true)], 16 * MINUTE, &terms());
    assert_eq!(said[0].headline, "link l-1 is impaired after 7 changes");
    assert_eq!(said[0].since_ms, 6 * MINUTE);
    let said = watch.round(&[judged(ReadyForService, true)], 30 * MINUTE, &terms());
    assert_eq!(said[0].headline, "link l-1 is well again", "it was steady: this is news and no flap");
}

#[test]
fn what_is_not_in_service_or_gone_is_no_news() {
    let mut watch = Watch::default();
    assert_eq!(watch.round(&[judged(Impaired, false)], 0, &terms()), []);
    assert_eq!(watch.round(&[judged(Impaired, true)], 1, &terms()).len(), 1);
    assert_eq!(watch.round(&[], 2, &terms()), []);
    assert_eq!(watch, Watch::default(), "nothing is kept of what is gone");
}

#[test]
fn an_alert_names_criterion_observed_required_and_since_when() {
    let mut watch = Watch::default();
    let alert = watch.round(&[judged(Impaired, true)], 5, &terms()).remove(0);
    let details = vec!["L2: 3 of 10 lost; required: no loss".to_owned()];
    let headline = "link l-1 is impaired".to_owned();
    assert_eq!(alert, Alert { kind: AlertKind::Impaired, headline, details, since_ms: 5 });
    let over = watch.round(&[judged(ReadyForService, true)], 9, &terms()).remove(0);
    assert_eq!((over.headline.as_str(), over.since_ms, over.details.len()), ("link l-1 is well again", 5, 0));
}

#[test]
fn trouble_of_the_oracle_is_said_after_enough_rounds_and_once() {
    let mut watch = Watch::default();
    let mut kinds = Vec::new();
    let story = [Some("a"), Some("b"), None, Some("c"), Some("d"), Some("e"), Some("f"), None, None];
    for (n, bad) in (0..).zip(story) {
        let alert = watch.observe(Concern::Rounds, bad, n, 3);
        kinds.push(alert.map(|a| (a.kind.name(), a.since_ms)));
    }
    let expected = [None, None, None, None, None, Some(("trouble", 3)), None, Some(("relief", 3)), None];
    assert_eq!(kinds, expected);
}

#[test]
fn many_at_once_are_one_message() {
    let many: Vec<Judged> = (0..40)
        .map(|n| Judged { key: Key([n; 32]), code: format!("l-{n}").parse().unwrap(), ..judged(Impaired, true) })
        .collect();
    let said = Watch::default().round(&many, 0, &terms());
    assert_eq!((said.len(), said[0].headline.as_str()), (1, "40 alerts in one round"));
    assert_eq!((said[0].details.len(), said[0].details[30].as_str()), (31, "and 10 more"));
    assert_eq!(Watch::default().round(&many[..10], 0, &terms()).len(), 10);
}
