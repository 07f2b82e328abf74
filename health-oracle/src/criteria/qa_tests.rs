//! U4: healthy, failing, missing, flapping, just under and just over the number of answers; whom it is asked of.

use causeway_interface::{Code, DeviceHealth};

use super::{
    coverage::Rules,
    device::{DeviceFacts, evaluate_device},
    standard::Standard,
    tests::{BUCKET, FROM, NOW, Series, TO, facts, rules, telemetry, window},
    *,
};
use crate::telemetry::{DeviceTelemetry, ProbeBucket, ProbeKind};

const ANSWERED: ProbeBucket = ProbeBucket { samples: 2, sent: 20, received: 20, rtt_max_ns: 1 };
const LOST: ProbeBucket = ProbeBucket { samples: 2, sent: 20, received: 0, rtt_max_ns: 0 };
const NONE_SENT: ProbeBucket = ProbeBucket { samples: 2, sent: 0, received: 0, rtt_max_ns: 0 };

fn code(text: &str) -> Code {
    text.parse().unwrap()
}

/// A device before users, with two targets.
fn new_device() -> DeviceFacts {
    DeviceFacts { in_service: false, qa_targets: vec![code("t-1"), code("t-2")], ..facts() }
}

type Buckets = Vec<(u64, ProbeBucket)>;
type Story = (&'static str, Vec<(&'static str, Buckets)>, Outcome);

fn probed(targets: &[(&str, Buckets)]) -> DeviceTelemetry {
    let mut t = telemetry();
    for (target, buckets) in targets {
        let series = Series { first_ms: Some(1), buckets: buckets.clone() };
        t.probes.insert((ProbeKind::Qa, code(target)), series.into());
    }
    t
}

fn each(numbers: impl IntoIterator<Item = u64>, bucket: ProbeBucket) -> Buckets {
    numbers.into_iter().map(|n| (n, bucket)).collect()
}

fn judge(facts: &DeviceFacts, telemetry: &DeviceTelemetry, rules: &Rules) -> (Outcome, CriterionResult, Level) {
    let verdict = evaluate_device(&window(), facts, telemetry, &Standard::from(rules), NOW);
    let result = verdict.criteria.iter().find(|c| c.id == Criterion::U4).unwrap().clone();
    (result.passed, result, verdict.level)
}

#[test]
fn four_answers_in_the_window_are_needed() {
    use Outcome::{Failed, NotObserved, Passed};
    let throughout = || FROM..TO;
    let flapping = |on: u64| throughout().map(|n| (n, if n % 50 < on { ANSWERED } else { LOST })).collect::<Buckets>();
    let one_answered = |answers: u64| -> Buckets {
        throughout().map(|n| (n, if n < FROM + answers { ANSWERED } else { LOST })).collect()
    };
    let cases: Vec<Story> = vec![
        ("healthy", vec![("t-1", each(throughout(), ANSWERED)), ("t-2", each(throughout(), ANSWERED))], Passed),
        ("one target is away", vec![("t-1", each(throughout(), ANSWERED)), ("t-2", each(throughout(), LOST))], Passed),
        ("failing", vec![("t-1", each(throughout(), LOST)), ("t-2", each(throughout(), LOST))], Failed),
        ("never probed", vec![], NotObserved),
        ("probed before the window", vec![("t-1", each(FROM - 50..FROM, ANSWERED))], NotObserved),
        ("probed after the window", vec![("t-1", each(TO..TO + 9, ANSWERED))], NotObserved),
        ("reported and not sent", vec![("t-1", each(throughout(), NONE_SENT))], NotObserved),
        ("three sent, none answered", vec![("t-1", each(FROM..FROM + 3, LOST))], NotObserved),
        ("three sent, three answered", vec![("t-1", each(FROM..FROM + 3, ANSWERED))], NotObserved),
        ("four sent, none answered", vec![("t-1", each(FROM..FROM + 4, LOST))], Failed),
        ("four sent, four answered", vec![("t-1", each(FROM..FROM + 4, ANSWERED))], Passed),
        ("four of many answered", vec![("t-1", one_answered(4))], Passed),
        ("three of many answered", vec![("t-1", one_answered(3))], Failed),
        ("two each of two", vec![("t-1", each([820, 900], ANSWERED)), ("t-2", each([820, 999], ANSWERED))], Passed),
        ("two and one", vec![("t-1", each([820, 900], ANSWERED)), ("t-2", each([999], ANSWERED))], NotObserved),
        ("flapping, four answers", vec![("t-1", flapping(1))], Passed),
        ("flapping, none in the window", vec![("t-1", flapping(0))], Failed),
        ("at the window's edges", vec![("t-1", each([FROM, FROM + 1, TO - 2, TO - 1], ANSWERED))], Passed),
        ("one beyond its edge", vec![("t-1", each([FROM - 1, FROM + 1, TO - 2, TO - 1], ANSWERED))], NotObserved),
        ("somebody else answers", vec![("t-3", each(throughout(), ANSWERED))], NotObserved),
    ];
    for (name, targets, expected) in cases {
        let (outcome, result, level) = judge(&new_device(), &probed(&targets), &rules());
        assert_eq!(outcome, expected, "{name}: {result:?}");
        let users = if expected == Passed { DeviceHealth::ReadyForUsers } else { DeviceHealth::ReadyForLinks };
        assert_eq!(level, Level::Device(users), "{name}: before users only");
    }
}

#[test]
fn a_bucket_counts_once_and_one_answer_of_many_is_an_answer() {
    let full = ProbeBucket { samples: 60, sent: 600, received: 600, rtt_max_ns: 1 };
    assert_eq!(judge(&new_device(), &probed(&[("t-1", each([900], full))]), &rules()).0, Outcome::NotObserved);
    let lossy = ProbeBucket { received: 1, ..ANSWERED };
    assert_eq!(judge(&new_device(), &probed(&[("t-1", each(900..904, lossy))]), &rules()).0, Outcome::Passed);
}

#[test]
fn the_number_is_configured() {
    let three = probed(&[("t-1", each(900..903, ANSWERED))]);
    for (needed, expected) in [(1, Outcome::Passed), (3, Outcome::Passed), (4, Outcome::NotObserved)] {
        let rules = Rules { qa_successes_min: needed, ..rules() };
        let (outcome, result, _) = judge(&new_device(), &three, &rules);
        assert_eq!(outcome, expected, "{needed}");
        assert!(result.required.contains(&format!("at least {needed} answered")), "{result:?}");
        assert_eq!(result.observed, "answered in 3 of 3 buckets, by 1 of 2 targets");
    }
}

#[test]
fn link_probes_and_reachability_are_no_answers() {
    let mut t = telemetry();
    for kind in [ProbeKind::Link, ProbeKind::Reachability] {
        t.probes.insert((kind, code("t-1")), Series { first_ms: Some(1), buckets: each(FROM..TO, ANSWERED) }.into());
    }
    assert_eq!(judge(&new_device(), &t, &rules()).0, Outcome::NotObserved);
}

#[test]
fn a_device_in_service_is_not_asked() {
    let facts = DeviceFacts { in_service: true, ..new_device() };
    let (outcome, result, _) = judge(&facts, &probed(&[("t-1", each(FROM..TO, LOST))]), &rules());
    assert_eq!((outcome, &*result.detail), (Outcome::Passed, "asked of new devices only"));
}

#[test]
fn the_first_device_of_a_network_or_island_has_nobody_to_reach() {
    let facts = DeviceFacts { qa_targets: Vec::new(), ..new_device() };
    let (outcome, result, _) = judge(&facts, &telemetry(), &rules());
    assert_eq!(outcome, Outcome::Passed);
    assert_eq!(result.detail, "no other activated device is reachable by links in service");
}

/// A streak that began while there was nobody to probe is not broken by the first who can be, until that one had its
/// time to be probed.
#[test]
fn the_first_target_of_a_device_with_links_has_time_to_be_probed() {
    // The configuration's 10 s and five buckets.
    let grace = 10_000 + 5 * BUCKET;
    let joined = |ago: u64| DeviceFacts { qa_joined_ms: Some(NOW - ago), ..new_device() };
    let (silent, lost) = (telemetry(), probed(&[("t-1", each(990..TO, LOST))]));
    for (name, facts, telemetry, expected) in [
        ("just joined", joined(0), &silent, Outcome::Passed),
        ("at the limit", joined(grace), &silent, Outcome::Passed),
        ("over the limit", joined(grace + 1), &silent, Outcome::NotObserved),
        ("at the limit, nothing answers yet", joined(grace), &lost, Outcome::Passed),
        ("over the limit, nothing answers", joined(grace + 1), &lost, Outcome::Failed),
        ("it came with its own first link", new_device(), &silent, Outcome::NotObserved),
    ] {
        assert_eq!(judge(&facts, telemetry, &rules()).0, expected, "{name}");
    }
    let (_, result, _) = judge(&joined(7_000), &silent, &rules());
    assert_eq!(result.detail, "the first target came into reach 7 s ago, asked from 15 s on");
}
