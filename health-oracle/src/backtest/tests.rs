use causeway_interface::{LinkHealth, LinkStatus};
use causeway_wire::telemetry::Batch;

use super::*;
use crate::criteria::{Criterion, CriterionResult, Outcome, link::LinkFacts, text::Text};

const STEP: u64 = 60_000;
/// A moment at which everything begins.
const START: u64 = 1_000 * STEP;

fn rules(max_gap_ms: u64) -> Rules {
    Rules { max_gap_ms, ..Rules::default() }
}

/// Finds a link ready while the last batch of any device was received no longer ago than the longest gap, else impaired.
#[derive(Default)]
struct FakeBench {
    received: Vec<u64>,
}

impl Bench for FakeBench {
    fn take(&mut self, batch: &VerifiedBatch) {
        self.received.push(batch.received_ms);
    }

    fn judge(&self, case: &Case, rules: &Rules, now_ms: u64) -> Verdict {
        let last = self.received.iter().max().copied().unwrap_or(0);
        assert!(last <= now_ms, "a look at {now_ms} knows a batch of {last}");
        assert!(case.at_ms <= now_ms, "a look at {now_ms} knows a document of {}", case.at_ms);
        verdict(now_ms - last <= rules.max_gap_ms)
    }
}

fn verdict(good: bool) -> Verdict {
    let passed = if good { Outcome::Passed } else { Outcome::Failed };
    let health = if good { LinkHealth::ReadyForService } else { LinkHealth::Impaired };
    let empty = String::new;
    let l2 = CriterionResult {
        id: Criterion::L2,
        passed,
        observed: empty(),
        required: Text::default(),
        detail: Text::default(),
    };
    Verdict { level: Level::Link(health), criteria: vec![l2] }
}

fn batch(minute: u64) -> Event {
    Event::Batch(Box::new(VerifiedBatch {
        device: "a".parse().unwrap(),
        batch: Batch::default(),
        bytes: Vec::new(),
        signature: [0; 64],
        received_ms: START + minute * STEP,
    }))
}

fn case(code: &str, minute: u64, good: bool) -> Event {
    let end = |code: &str| (code.parse().unwrap(), "eth1".parse().unwrap());
    let found = verdict(good);
    Event::Case(Box::new(Case {
        kind: Kind::Link,
        code: code.parse().unwrap(),
        at_ms: START + minute * STEP,
        facts: Facts::Link(LinkFacts {
            code: code.parse().unwrap(),
            status: LinkStatus::Activated,
            status_since_ms: 1,
            ends: [end("a"), end("z")],
        }),
        window_ms: 1,
        observable_since_ms: None,
        rules: rules(2 * STEP),
        level: found.level,
        failed: found.failed_bits(),
    }))
}

fn plan(minutes: std::ops::Range<u64>) -> Plan {
    Plan { since_ms: START + minutes.start * STEP, until_ms: START + minutes.end * STEP, step_ms: STEP }
}

/// Runs it with a longest gap of so many minutes instead of two.
fn other(events: Vec<Event>, plan: &Plan, gap: u64) -> Report {
    let events = events.into_iter().map(Ok::<_, std::convert::Infallible>);
    let change = |recorded: &Rules| Rules { max_gap_ms: gap * STEP, ..recorded.clone() };
    run(events, plan, change, &mut FakeBench::default(), &mut FakeBench::default()).unwrap()
}

/// A minute's number and what was found from then on, by the record's rules and by the others.
fn shown(report: &Report) -> Vec<Vec<(u64, &'static str, &'static str)>> {
    let entry = |e: &timeline::Entry| ((e.at_ms - START) / STEP, e.recorded.level.name(), e.other.level.name());
    report.subjects[0].stretches.iter().map(|s| s.entries.iter().map(entry).collect()).collect()
}

const READY: &str = "ready-for-service";
const BAD: &str = "impaired";

#[test]
fn other_rules_give_another_story_from_the_same_record() {
    // Batches at 0 to 5 and from 10 on; documents every other minute.
    let mut events: Vec<Event> = (0..=5).chain(10..=20).map(batch).collect();
    events.extend((0..=10).map(|n| case("l", 2 * n, !(8..10).contains(&(2 * n)))));
    events.sort_by_key(Event::at_ms);
    let report = other(events.clone(), &plan(0..20), 4);
    // What comes to be known in a minute is known to its look.
    assert_eq!(shown(&report), [[(0, READY, READY), (8, BAD, READY), (10, READY, READY)]]);
    let summary = &report.summary;
    assert_eq!((summary.subjects, summary.differ), (1, 1));
    assert_eq!(summary.differs, Differs { higher_ms: 2 * STEP, ..Differs::default() });
    assert_eq!((summary.recorded_ms[BAD], summary.other_ms.get(BAD)), (2 * STEP, None));
    assert_eq!((summary.documents, summary.alike), (11, 11));

    let same = other(events.clone(), &plan(0..20), 2);
    assert_eq!((same.summary.differ, same.summary.later + same.summary.earlier), (0, 0));
    // Nothing at all from 7 on, where by the record's rules it is good until then.
    let late: Vec<Event> = events.into_iter().filter(|event| event.at_ms() >= START + 7 * STEP).collect();
    let stricter = other(late, &plan(7..9), 0);
    assert_eq!((stricter.summary.lost, stricter.summary.won), (0, 0), "{stricter:?}");
}

#[test]
fn promotions_come_earlier_or_later_by_what_they_do() {
    // Silence from 1 on, a batch at 6: recorded rules find it good at 7, a gap of ten minutes always.
    let mut events: Vec<Event> = [1, 9].map(batch).to_vec();
    events.extend((4..=12).map(|n| case("l", n, true)));
    events.sort_by_key(Event::at_ms);
    let earlier = other(events.clone(), &plan(0..12), 10);
    assert_eq!(earlier.subjects[0].reached[0].later_by_ms, Some(-5 * STEP as i64), "{:?}", shown(&earlier));
    assert_eq!((earlier.summary.earlier, earlier.summary.later), (1, 0));
    // At 4 the document says good, and the record's rules say bad: the replay owns up to it.
    assert!(earlier.summary.alike < earlier.summary.documents);
}

#[test]
fn only_the_part_that_was_asked_for_counts_and_knows_what_came_before() {
    let mut events: Vec<Event> = (0..=20).map(batch).collect();
    events.extend((0..=20).map(|n| case("l", n, true)));
    events.sort_by_key(Event::at_ms);
    let report = other(events, &plan(10..15), 2);
    assert_eq!(shown(&report), [[(10, READY, READY)]], "telemetry of before is known");
    assert_eq!(report.summary.recorded_ms[READY], 5 * STEP, "{report:?}");
    assert_eq!(report.summary.documents, 6);
}

#[test]
fn nothing_counts_after_the_last_document_nor_in_a_long_silence() {
    let mut events: Vec<Event> = (0..=200).map(batch).collect();
    events.extend([0, 5, 10, 110, 115].map(|n| case("l", n, true)));
    events.sort_by_key(Event::at_ms);
    let report = other(events, &plan(0..200), 2);
    assert_eq!(shown(&report), [[(0, READY, READY)], [(110, READY, READY)]]);
    assert_eq!(report.subjects[0].stretches[0].end_ms, START + 9 * STEP);
    assert_eq!(report.summary.recorded_ms[READY], 15 * STEP);
}

#[test]
fn a_recording_that_can_not_be_read_is_said() {
    let events = vec![Ok(batch(0)), Err("broken")];
    let result = run(events, &plan(0..5), Rules::clone, &mut FakeBench::default(), &mut FakeBench::default());
    assert_eq!(result.unwrap_err(), "broken");
}

#[test]
fn a_plan_is_bounded() {
    assert!(plan(0..5).check().is_ok());
    assert!(Plan { until_ms: 0, ..plan(1..5) }.check().is_err());
    assert!(Plan { step_ms: 1, until_ms: u64::MAX, ..plan(0..5) }.check().is_err());
}
