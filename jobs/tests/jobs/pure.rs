//! The pure core against random histories: whatever is recorded, what `next` advises is legal, and what is kept reads back.

use causeway_interface::Code;
use causeway_jobs::{
    Job,
    error::{self, Class, Trouble},
    event::{Cause, End, Event, Facts, Recorded, StepResult},
    job::{FoldError, Phase},
    kinds::{self, Policy, Request},
    next::{Action, next},
    spec::{Family, JobId, JobSpec, Kind, Mode, SpecError, Target, Transport, Trigger},
};
use proptest::prelude::*;

fn spec(kind: Kind, devices: usize) -> JobSpec {
    let targets = (0..devices)
        .map(|n| Target {
            device: format!("r{n}").parse::<Code>().unwrap(),
            family: Family::Simulator,
            transport: Transport::InMemory,
        })
        .collect();
    let request = Request {
        kind,
        targets,
        generation: None,
        mode: Mode::Replace,
        trigger: Trigger::Cli,
        actor: "tester".into(),
        parent: None,
    };
    kinds::job(&request, &Policy::default())
}

fn any_result() -> impl Strategy<Value = StepResult> {
    let failed = |class| StepResult::Failed(error::UNREACHABLE.error(class, Trouble::Device, "on demand"));
    prop_oneof![
        6 => any::<bool>().prop_map(|already| StepResult::Done { already, message: "x".into(), facts: Facts::default() }),
        2 => Just(failed(Class::Transient)),
        1 => Just(failed(Class::Critical)),
        1 => Just(failed(Class::NonCritical)),
        1 => Just(StepResult::Stopped),
    ]
}

/// Anything, possible or not.
fn any_event() -> impl Strategy<Value = Event> {
    let step = 0_u16..12;
    let attempt = 0_u16..4;
    prop_oneof![
        Just(Event::Claimed { holder: "other".into(), token: 9 }),
        (step.clone(), attempt.clone()).prop_map(|(step, attempt)| Event::StepBegan { step, attempt }),
        (step.clone(), attempt.clone(), any_result()).prop_map(|(step, attempt, result)| Event::StepEnded {
            step,
            attempt,
            result
        }),
        (step.clone(), attempt.clone()).prop_map(|(step, attempt)| Event::UndoBegan { step, attempt }),
        (step.clone(), attempt, any_result()).prop_map(|(step, attempt, result)| Event::UndoEnded {
            step,
            attempt,
            result
        }),
        Just(Event::CancelRequested { actor: "a".into(), reason: "b".into() }),
        Just(Event::Held { actor: "a".into(), reason: "b".into() }),
        Just(Event::Released { actor: "a".into() }),
        step.clone().prop_map(|step| Event::Skipped { step, actor: "a".into(), reason: "b".into() }),
        Just(Event::RetryRequested { steps: vec![8], actor: "a".into() }),
        Just(Event::BackBegan(Cause::Failed(vec![5]))),
        Just(Event::BackBegan(Cause::Cancelled { actor: "a".into(), reason: "b".into() })),
        Just(Event::Ended(End::Done)),
        step.prop_map(|step| Event::Ended(End::Partly(vec![step]))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_advised_is_legal_whatever_happened_and_all_of_it_reads_back(
        kind in prop::sample::select(Kind::ALL.to_vec()),
        more in 0_usize..3,
        turns in prop::collection::vec((any_event(), any_result(), any::<bool>()), 1..120),
    ) {
        let devices = if kind == Kind::NetworkChange { 1 + more } else { 1 };
        let mut at_ms = 1_000;
        let mut history = vec![Recorded { at_ms, event: Event::Started(Box::new(spec(kind, devices))) }];
        let mut job = Job::fold(JobId(1), &history).unwrap();
        let take = |job: &mut Job, history: &mut Vec<Recorded>, at_ms: u64, event: Event| {
            let recorded = Recorded { at_ms, event };
            let taken = job.apply(&recorded);
            if taken.is_ok() {
                history.push(recorded);
            }
            taken
        };
        for (outside, result, outsider) in turns {
            at_ms += 500;
            if outsider {
                // Refused or not; a refusal leaves the job as it was.
                let before = job.clone();
                if take(&mut job, &mut history, at_ms, outside).is_err() {
                    prop_assert_eq!(&job, &before);
                }
                continue;
            }
            match next(&job, at_ms) {
                Action::Run(attempts) => {
                    for attempt in attempts {
                        take(&mut job, &mut history, at_ms, attempt.begin()).unwrap();
                        // It never stops by itself.
                        if result != StepResult::Stopped {
                            take(&mut job, &mut history, at_ms, attempt.end(result.clone())).unwrap();
                        }
                        if job.critically_failed().next().is_some() && matches!(job.phase, Phase::Forward) {
                            break;
                        }
                    }
                }
                Action::Stop(attempts) => {
                    for attempt in attempts {
                        take(&mut job, &mut history, at_ms, attempt.end(StepResult::Stopped)).unwrap();
                    }
                }
                Action::Record(event) => take(&mut job, &mut history, at_ms, event).unwrap(),
                Action::Wait(until_ms) => {
                    prop_assert!(until_ms > at_ms);
                    at_ms = until_ms;
                }
                Action::Rest => prop_assert!(job.is_anything_running() || job.held.is_some()),
                Action::Over => prop_assert!(matches!(job.phase, Phase::Ended(_))),
            }
            prop_assert!(job.percent() <= 100);
            prop_assert_eq!(job.is_runnable(), job.holds_devices() && (job.held.is_none() || job.cancel.is_some()));
        }
        let kept: Vec<String> = (0..).zip(&history).map(|(seq, r)| r.encode(JobId(1), seq).unwrap()).collect();
        let read: Vec<Recorded> = (0..).zip(&kept).map(|(seq, t)| Recorded::decode(JobId(1), seq, t).unwrap()).collect();
        prop_assert_eq!(&read, &history);
        prop_assert_eq!(Job::fold(JobId(1), &read).unwrap(), job);
    }

    #[test]
    fn any_text_for_an_event_is_an_error_or_an_event(text in "\\PC{0,200}") {
        let _ = Recorded::decode(JobId(1), 0, &text);
    }
}

#[test]
fn a_job_without_its_first_event_is_none() {
    assert!(matches!(Job::fold(JobId(1), &[]), Err(FoldError::Empty(_))));
    let claimed = Recorded { at_ms: 0, event: Event::Claimed { holder: "a".into(), token: 1 } };
    assert!(matches!(Job::fold(JobId(1), &[claimed]), Err(FoldError::Illegal { seq: 0, .. })));
    let mut twice = spec(Kind::NetworkChange, 2);
    twice.targets[1] = twice.targets[0];
    let started = Recorded { at_ms: 0, event: Event::Started(Box::new(twice)) };
    let refused = Job::fold(JobId(1), &[started]);
    assert!(matches!(refused, Err(FoldError::Spec { source: SpecError::Targets, .. })), "{refused:?}");
}

#[test]
fn the_largest_job_fits_into_its_first_event() {
    let largest = spec(Kind::NetworkChange, causeway_jobs::spec::MAX_DEVICES);
    assert_eq!(largest.check(), Ok(()));
    let started = Recorded { at_ms: u64::MAX, event: Event::Started(Box::new(largest)) };
    started.encode(JobId(1), 0).unwrap();
    assert!(spec(Kind::NetworkChange, causeway_jobs::spec::MAX_DEVICES + 1).check().is_err());
}
