//! The oracle against [`Model`]: days of stories at every minute, and random days.

use std::sync::atomic::{AtomicU64, Ordering};

use causeway_health_oracle::{
    Kind,
    criteria::{Criterion, Outcome},
    subjects::Judged,
};
use proptest::prelude::*;

use crate::{
    count, ledger,
    model::{Model, Said},
    play::{Day, at, play},
    script::{DEVICES, Fault, MINUTES, What, Where},
    stories,
};

/// Random days.
const DAYS: u32 = 6;
/// What has to be compared at least: so many of each day's criteria.
const LEAST_OF_A_DAY: u64 = 5_000;
/// Minutes between two rounds of a random day that are compared; those after a restart are too. Odd and prime, so that
/// days don't repeat themselves.
const STEP: u64 = 7;

/// Compares what both say; with words where the oracle still has them all.
fn compare(minute: u64, judged: &[Judged], model: &Model, with_words: bool) -> Result<u64, TestCaseError> {
    let mut compared = 0;
    for subject in judged {
        let code = subject.code.as_str();
        let said: Said = match subject.kind {
            Kind::Device => model.device(code, minute),
            Kind::Link => model.link(code, minute),
        };
        for (id, outcome, words) in said {
            let found = subject.verdict.criteria.iter().find(|found| found.id == id).unwrap();
            let place = format!("{} of {code} at minute {minute}", id.name());
            prop_assert_eq!(found.passed, outcome, "{}: {:?}, the model: {:?}", place, &found.observed, words);
            let mut observed: Vec<&str> = found.observed.split("; ").collect();
            if code == "old-z" {
                observed.sort_unstable();
            }
            // Words of an outcome that a restart can't have changed.
            if with_words || outcome == Outcome::Passed {
                let mut expected: Vec<&str> = words.split("; ").collect();
                if code == "old-z" {
                    expected.sort_unstable();
                }
                // Of several interfaces the first that passes is enough, and the only one that is named.
                if outcome == Outcome::Passed && matches!(id, Criterion::D4 | Criterion::U2) {
                    prop_assert!(observed.len() == 1, "{}: {:?}", place, observed);
                    expected.retain(|words| observed.contains(words));
                }
                prop_assert_eq!(observed, expected, "{}", place);
            }
            compared += 1;
        }
    }
    Ok(compared)
}

/// Plays a day beside the model; returns how many criteria were compared.
fn beside(day: &Day, every: u64) -> Result<u64, TestCaseError> {
    let snapshot = ledger::healthy();
    // Both callbacks of the play have it; they are never called at once.
    let model = std::cell::RefCell::new(Model::default());
    let mut outcome = Ok(0);
    play(
        day,
        &snapshot,
        |device, batch| model.borrow_mut().take(device, batch),
        |round| {
            let minute = round.minute;
            let looked_at = minute.is_multiple_of(every) || day.restarts.contains(&minute) || minute == MINUTES;
            if let (true, Ok(so_far)) = (looked_at, &outcome) {
                let judged = round.judge(&at(&snapshot, minute));
                let words = day.restarts.iter().all(|restart| minute < *restart);
                outcome = compare(minute, &judged, &model.borrow(), words).map(|more| so_far + more);
            }
        },
    );
    outcome
}

/// Days of the table that are followed minute by minute.
const FOLLOWED: [(Where, &str); 6] = [
    (Where::Dia, "failed and healed in the morning"),
    (Where::Fabric, "good for the first time at five"),
    (Where::Fabric, "no traffic over the limit"),
    (Where::LinkProbes, "flapping slowly"),
    (Where::Interfaces, "gap over the limit"),
    (Where::Probes, "share just below 99 %"),
];

#[test]
fn every_minute_of_a_day_is_as_the_model_says() {
    let all = stories::all();
    let mut compared = 0;
    for (place, name) in FOLLOWED {
        let story = all.iter().find(|story| story.place == place && story.name == name).unwrap();
        let day = Day { faults: story.faults.clone(), ..Day::default() };
        compared += beside(&day, 1).unwrap_or_else(|error| panic!("{place:?} {name}: {error}"));
    }
    assert!(compared >= LEAST_OF_A_DAY * FOLLOWED.len() as u64, "{compared}");
    println!("{compared} criteria compared with the model, minute by minute");
    count("criteria of a day compared with the model", compared);
}

fn fault() -> impl Strategy<Value = Fault> {
    let place = prop_oneof![
        Just(Where::Dia),
        Just(Where::Fabric),
        Just(Where::Adjacencies),
        Just(Where::LinkProbes),
        Just(Where::Interfaces),
        Just(Where::Probes),
        Just(Where::Qa("old-a")),
        Just(Where::Config),
        Just(Where::Agent),
    ];
    let what = prop_oneof![
        4 => Just(What::Missing),
        2 => Just(What::Down),
        2 => Just(What::Idle),
        1 => Just(What::Errors),
        1 => Just(What::Flap),
        1 => Just(What::Restart),
        1 => Just(What::Lossy),
        1 => Just(What::Unanswered),
        1 => Just(What::Unpolled),
        1 => Just(What::Drifted),
    ];
    // Around the limits, and now and then long.
    let length = prop_oneof![3 => 1..8u64, 1 => 8..40u64, 1 => 40..400u64];
    (place, what, 0..MINUTES, length, 0..DEVICES.len()).prop_map(|(place, what, from, length, device)| Fault {
        place,
        what,
        minutes: from..(from + length).min(MINUTES),
        device: Some(device),
    })
}

fn day() -> impl Strategy<Value = Day> {
    // Late by up to an hour, each device on its own.
    let delay =
        (0..DEVICES.len(), 1..MINUTES, 1..=60u64).prop_map(|(device, from, length)| (device, from..from + length));
    let faults = prop::collection::vec(fault(), 1..30);
    let delays = prop::collection::vec(delay, 0..8);
    let restarts = prop::collection::vec(1..MINUTES, 0..4);
    (faults, delays, restarts).prop_map(|(faults, delays, restarts)| Day { faults, delays, restarts })
}

#[test]
fn random_days_with_late_batches_and_restarts_are_as_the_model_says() {
    let compared = AtomicU64::new(0);
    let config = ProptestConfig { cases: DAYS, max_shrink_iters: 200, ..ProptestConfig::default() };
    proptest!(config, |(day in day())| {
        compared.fetch_add(beside(&day, STEP)?, Ordering::Relaxed);
    });
    let compared = compared.into_inner();
    assert!(compared >= LEAST_OF_A_DAY, "{compared}");
    println!("{compared} criteria of random days compared with the model");
    count("criteria of a day compared with the model", compared);
}
