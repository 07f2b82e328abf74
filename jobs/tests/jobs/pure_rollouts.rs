//! The pure core of rollouts against random histories: what `next` advises is legal, nothing of a later wave is begun, what is
//! kept reads back, and a refused event changes nothing.

use std::collections::BTreeMap;

use causeway_jobs::{
    rollout::{
        Budget, Cause, End, Event, Outcome, Phase, Progress, Recorded, Rollout, RolloutSpec, Shape, Soak,
        next::{Action, Work, next},
    },
    spec::{Family, JobId, Kind, Mode, Target, Transport, Trigger},
    window::Window,
};
use proptest::prelude::*;

const DAY_MS: u64 = 1_790_000_000_000;

fn spec(devices: usize, growth: usize, budget: Option<u32>, in_window: bool) -> RolloutSpec {
    let target = |n| Target {
        device: format!("r{n}").parse().unwrap(),
        family: Family::Simulator,
        transport: Transport::InMemory,
    };
    let request = causeway_jobs::rollout::RolloutRequest {
        kind: Kind::Provision,
        targets: (0..devices).map(target).collect(),
        generation: None,
        mode: Mode::Replace,
        shape: Shape { growth, ..Shape::default() },
        soak: Soak { for_ms: 3_000, settle_ms: 1_000, look_ms: 1_000, limit_ms: 20_000, by_health: true },
        at_once: 2,
        budget: budget.map(|devices| Budget { devices, per_ms: 3_600_000 }),
        windows: in_window.then_some(Window { opens: 600, minutes: 90 }).into_iter().collect(),
        own_windows: BTreeMap::new(),
        trigger: Trigger::Cli,
        actor: "tester".into(),
        message: String::new(),
        proposer: None,
    };
    RolloutSpec::new(&request, &causeway_jobs::kinds::Policy::default(), None).unwrap()
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        12 => Just(Outcome::Done),
        1 => Just(Outcome::Unchanged { code: None, message: "on demand".into() }),
        1 => Just(Outcome::Unknown { message: "on demand".into() }),
    ]
}

/// Anything, possible or not.
fn any_event() -> impl Strategy<Value = Event> {
    let place = 0_u16..8;
    let back = any::<bool>();
    prop_oneof![
        Just(Event::Claimed { holder: "other".into(), token: 9 }),
        (place.clone(), back).prop_map(|(place, back)| Event::Began { places: vec![place], back }),
        (place.clone(), back, 0_i64..99).prop_map(|(place, back, job)| Event::Made { place, back, job: JobId(job) }),
        (place.clone(), back).prop_map(|(place, back)| Event::Deferred { place, back, holder: JobId(1) }),
        (place.clone(), back, any_outcome()).prop_map(|(place, back, outcome)| Event::Settled { place, back, outcome }),
        Just(Event::SoakBegan),
        Just(Event::WaveEnded),
        Just(Event::Looked { bad: None, unsure: None }),
        place.prop_map(|place| Event::BackBegan(Cause::Failed(vec![place]))),
        Just(Event::Paused { actor: "a".into(), reason: "b".into() }),
        Just(Event::Resumed { actor: "a".into() }),
        Just(Event::CancelRequested { actor: "a".into(), reason: "b".into() }),
        Just(Event::Ended(End::Done)),
    ]
}

fn take(rollout: &mut Rollout, history: &mut Vec<Recorded>, at_ms: u64, event: Event) -> bool {
    let recorded = Recorded { at_ms, event };
    let before = rollout.clone();
    let taken = rollout.apply(&recorded).is_ok();
    if taken {
        history.push(recorded);
    } else {
        assert_eq!(*rollout, before, "a refused event changed something");
    }
    taken
}

/// What comes of the work, as chance has it.
fn done(work: &Work, jobs: &mut i64, turn: u8, outcome: &Outcome) -> Vec<Event> {
    let mut events = Vec::new();
    for (place, back) in &work.start {
        *jobs += 1;
        let (place, back) = (*place, *back);
        events.push(match turn % 8 {
            0 => Event::Deferred { place, back, holder: JobId(0) },
            1 => Event::Settled { place, back, outcome: outcome.clone() },
            _ => Event::Made { place, back, job: JobId(*jobs) },
        });
    }
    for place in &work.find {
        let outcome = Outcome::Unchanged { code: None, message: "not begun".into() };
        events.push(Event::Settled { place: *place, back: false, outcome });
    }
    for (place, back, _) in work.watch.iter().take(usize::from(turn % 3)) {
        events.push(Event::Settled { place: *place, back: *back, outcome: outcome.clone() });
    }
    if work.look {
        let words = |wrong: bool| wrong.then(|| "on demand".to_owned());
        events.push(Event::Looked { bad: words(turn == 7), unsure: words(turn % 16 == 5) });
    }
    events
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_advised_is_legal_and_what_is_kept_reads_back(
        (devices, growth, budget, in_window) in (1_usize..7, 1_usize..4, proptest::option::of(1_u32..4), any::<bool>()),
        turns in proptest::collection::vec((proptest::bool::weighted(0.15), any_event(), any::<u8>(), any_outcome()), 0..300),
    ) {
        let spec = spec(devices, growth, budget, in_window);
        let (mut at_ms, mut jobs) = (DAY_MS, 1_000);
        let mut history = vec![Recorded { at_ms, event: Event::Started(Box::new(spec)) }];
        let mut rollout = Rollout::fold(JobId(1), &history).unwrap();
        for (outsider, outside, turn, outcome) in turns {
            at_ms += 100;
            if outsider {
                if let Event::Made { job, .. } = &outside {
                    jobs = jobs.max(job.0);
                }
                take(&mut rollout, &mut history, at_ms, outside);
                continue;
            }
            match next(&rollout, at_ms) {
                Action::Record(event) => {
                    prop_assert!(take(&mut rollout, &mut history, at_ms, event.clone()), "{event:?}: {rollout:#?}");
                }
                Action::Do(work) => {
                    let events = done(&work, &mut jobs, turn, &outcome);
                    if events.is_empty() {
                        at_ms = at_ms.max(work.wake_ms.unwrap_or(at_ms));
                    }
                    for event in events {
                        prop_assert!(take(&mut rollout, &mut history, at_ms, event.clone()), "{event:?}: {rollout:#?}");
                    }
                }
                Action::Rest => prop_assert!(false, "it needs no approval"),
                Action::Over => prop_assert!(matches!(rollout.phase, Phase::Ended(_))),
            }
            let wave = rollout.spec.wave(rollout.wave).unwrap();
            for (place, device) in (0_u16..).zip(&rollout.devices) {
                let untouched = matches!(device.forward, Progress::Waiting { .. });
                prop_assert!(place < wave.end || untouched, "a device of a later wave was begun");
                prop_assert!(place >= wave.start || device.forward.is_done(), "a wave before has a device that is not done");
            }
            prop_assert!(rollout.percent() <= 100);
            let over = matches!(rollout.phase, Phase::Ended(_));
            prop_assert_eq!((rollout.summary().holds, rollout.summary().runnable), (!over, !over));
        }
        let kept: Vec<String> = (0..).zip(&history).map(|(seq, r)| r.encode(JobId(1), seq).unwrap()).collect();
        let read: Vec<Recorded> = (0..).zip(&kept).map(|(seq, t)| Recorded::decode(JobId(1), seq, t).unwrap()).collect();
        prop_assert_eq!(&read, &history);
        prop_assert_eq!(Rollout::fold(JobId(1), &read).unwrap(), rollout);
    }

    #[test]
    fn any_text_for_an_event_is_an_error_or_an_event(text in "\\PC{0,200}") {
        let _ = Recorded::decode(JobId(1), 0, &text);
    }
}

#[test]
fn the_largest_rollout_fits_into_its_first_event() {
    let largest = spec(causeway_jobs::rollout::MAX_DEVICES, 4, None, true);
    let started = Recorded { at_ms: u64::MAX, event: Event::Started(Box::new(largest)) };
    started.encode(JobId(1), 0).unwrap();
}
