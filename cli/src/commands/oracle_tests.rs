use causeway_health_oracle::{
    Kind,
    backtest::{Differs, Reached, Summary, timeline::Stretch},
    criteria::{Criterion, Level},
};
use causeway_interface::LinkHealth;

use super::*;

fn change(text: &str) -> RuleChange {
    text.parse().unwrap()
}

#[test]
fn thresholds_are_changed_by_name_and_stay_within_what_can_be() {
    let rules = Rules::default();
    let other = changed(&rules, &[change("loss-limit-ppm=1_000"), change("max_gap_ms=600000")]).unwrap();
    assert_eq!(other, Rules { loss_limit_ppm: 1_000, max_gap_ms: 600_000, ..rules.clone() });
    let unknown = changed(&rules, &[change("lost=1")]).unwrap_err();
    assert!(unknown.contains("no threshold lost") && unknown.contains("loss-limit-ppm"), "{unknown}");
    assert!(changed(&rules, &[change("max-gap-ms=1")]).unwrap_err().contains("at least a bucket"));
    assert!(changed(&rules, &[change("loss-limit-ppm=99999999999")]).is_err());
    for wrong in ["", "x", "x=", "x=y", "x=-1"] {
        assert!(wrong.parse::<RuleChange>().is_err(), "{wrong}");
    }
}

#[test]
fn an_oracles_configuration_file_says_thresholds() {
    let file =
        "name = \"oracle\"\n[rules]\n# a comment\nloss_limit_ppm = 1_000 # more\n\n[rules.edge]\nmax_gap_ms = 1\n";
    assert_eq!(in_file(file).unwrap(), [change("loss-limit-ppm=1000")]);
    assert_eq!(in_file("max-gap-ms=5\n").unwrap(), [change("max-gap-ms=5")]);
    assert!(in_file("max_gap_ms = x\n").unwrap_err().contains("line 1"));
    assert!(in_file("").unwrap().is_empty());
}

#[test]
fn a_folder_without_a_recording_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let args = Backtest {
        from: folder.path().to_owned(),
        rules: vec![change("loss-limit-ppm=1000")],
        config: None,
        since: None,
        until: None,
        subject: Vec::new(),
    };
    let failure = backtest(&args).unwrap_err();
    assert_eq!((failure.code.as_str(), failure.exit), ("CW-RECORDING", Exit::File));
    let failure = backtest(&Backtest { rules: Vec::new(), ..args }).unwrap_err();
    assert_eq!(failure.code, "CW-VALUE-INVALID");
}

#[test]
fn what_differs_is_told_side_by_side() {
    let state = |health, ids: &[Criterion]| State { level: Level::Link(health), not_passed: ids.to_vec() };
    let entry = |at_ms, recorded, other| Entry { at_ms, recorded, other };
    let bad = || state(LinkHealth::Impaired, &[Criterion::L2]);
    let good = || state(LinkHealth::ReadyForService, &[]);
    let entries = vec![entry(0, bad(), good()), entry(600_000, good(), good())];
    let subject = SubjectReport {
        kind: Kind::Link,
        code: "l-1".parse().unwrap(),
        stretches: vec![Stretch { entries, end_ms: 1_200_000 }],
        differs: Differs { higher_ms: 600_000, ..Differs::default() },
        recorded_ms: BTreeMap::from([("impaired", 600_000), ("ready-for-service", 660_000)]),
        other_ms: BTreeMap::from([("ready-for-service", 1_260_000)]),
        reached: vec![Reached {
            level: "ready-for-service",
            recorded_ms: Some(600_000),
            other_ms: Some(0),
            later_by_ms: Some(-600_000),
        }],
        documents: 7,
        alike: 7,
    };
    let summary = Summary { subjects: 2, differ: 1, earlier: 1, ..Summary::default() };
    let found = Found { since_ms: 0, until_ms: 1_200_000, step_ms: 60_000, summary, subjects: vec![subject] };
    let rules = vec![compared(&change("loss-limit-ppm=1000"), &[Rules::default()])];
    let text = text(&Answer { rules, without_facts: 3, found: &found });
    for words in [
        "2, 1 differ",
        "0 later, 1 earlier",
        "loss-limit-ppm",
        "impaired (L2)",
        "the same",
        "first reached 10.0 min earlier",
        "left out",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
}
