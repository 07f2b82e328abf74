//! What people ask of jobs, and what they are told.

use std::{sync::Arc, time::Duration};

use causeway_jobs::{
    adapter::memory::{Fault, Op},
    clock::sleep,
    desk::AskError,
    engine::{DIFF, artifact},
    job::StepStatus,
    spec::{Kind, Mode, Transport},
    status::{JobStatus, State},
    store::{Append, StoreError, Summary},
};

use crate::{
    fakes::Wrong,
    world::{World, in_virtual_time},
};

const FOR_EVER: u32 = 1_000;
/// Places of steps in a job of one device.
const COMMIT: u16 = 5;
const NOTIFY: u16 = 8;

#[test]
fn a_critical_step_fails_and_after_the_repair_a_retry_provisions() {
    in_virtual_time(async |time| {
        let world = World::new(&time, 1);
        let controller = world.controller("c", Arc::clone(&world.store));
        world.fleet.with(&world.devices[0], |device| device.fault(Op::Commit, Fault::Refuse, FOR_EVER)).unwrap();
        let id = world.desk.start(&world.request(Kind::Provision), None).await.unwrap();
        let job = world.settled(id).await;
        assert_eq!((job.status(), job.state()), (JobStatus::Failed, State::FailedValidation));
        let failed = &job.steps[usize::from(COMMIT)].forward;
        assert_eq!(failed.attempts, 1, "what is refused is not tried again");
        assert_eq!(failed.error.as_ref().map(|error| error.code.as_str()), Some("CW-JOB-LINE-REFUSED"));

        world.fleet.with(&world.devices[0], |device| device.mend()).unwrap();
        world.desk.retry(id, &[], "operator").await.unwrap();
        let job = world.settled(id).await;
        assert_eq!((job.status(), job.percent(), job.round), (JobStatus::Provisioned, 100, 2));
        controller.stop().await;
    });
}

#[test]
fn a_transient_error_is_tried_again_after_1_2_and_4_seconds() {
    in_virtual_time(async |time| {
        let world = World::new(&time, 1);
        let controller = world.controller("c", Arc::clone(&world.store));
        world.fleet.with(&world.devices[0], |device| device.fault(Op::Commit, Fault::Away, FOR_EVER)).unwrap();
        let id = world.desk.start(&world.request(Kind::Provision), None).await.unwrap();
        let job = world.settled(id).await;
        let step = &job.steps[usize::from(COMMIT)].forward;
        assert_eq!((step.attempts, step.took_ms()), (4, Some(7_000)));
        assert_eq!((job.status(), job.state()), (JobStatus::Failed, State::RolledBack));
        controller.stop().await;
    });
}

#[test]
fn an_optional_step_that_failed_may_be_skipped_and_others_may_not() {
    in_virtual_time(async |time| {
        let world = World::new(&time, 1);
        let controller = world.controller("c", Arc::clone(&world.store));
        world.office.wrong.lock().unwrap().push_back((Wrong::NotifyFails, FOR_EVER));
        let id = world.desk.start(&world.request(Kind::Provision), None).await.unwrap();
        let job = world.settled(id).await;
        assert_eq!((job.status(), job.state()), (JobStatus::Partial, State::DonePartly));
        let refused = world.desk.skip(id, COMMIT, "operator", "not needed").await.unwrap_err();
        assert_eq!(refused.kind().code, "CW-JOB-NOT-NOW");
        let job = world.desk.skip(id, NOTIFY, "operator", "nobody listens").await.unwrap();
        assert_eq!(
            (job.status(), job.steps[usize::from(NOTIFY)].forward.status),
            (JobStatus::Provisioned, StepStatus::Skipped)
        );
        controller.stop().await;
    });
}

#[test]
fn a_second_start_is_refused_with_the_number_of_the_job_that_runs() {
    in_virtual_time(async |time| {
        let world = World::new(&time, 2);
        let id = world.desk.start(&world.request(Kind::NetworkChange), None).await.unwrap();
        let mut one = world.request(Kind::Provision);
        one.targets.truncate(1);
        match world.desk.start(&one, None).await {
            Err(error @ AskError::Store(StoreError::Busy { job, device })) => {
                assert_eq!((job, device, error.kind().code), (id, world.devices[0], "CW-JOB-BUSY"));
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_dry_run_leaves_the_difference_and_provisioning_again_is_a_success_that_changes_nothing() {
    in_virtual_time(async |time| {
        let world = World::new(&time, 1);
        let controller = world.controller("c", Arc::clone(&world.store));
        let id = world.desk.start(&world.request(Kind::DryRun), None).await.unwrap();
        let job = world.settled(id).await;
        assert_eq!((job.status(), job.state()), (JobStatus::NotProvisioned, State::Done));
        assert_eq!(job.steps[3].forward.facts.differs, Some(true));
        let diff = world.store.artifact(id, artifact(&world.devices[0], DIFF)).await.unwrap().unwrap();
        let diff = String::from_utf8(diff).unwrap();
        assert!(diff.contains("-metric 3\n") && diff.contains("+metric 20\n"), "{diff}");

        for round in 0..2 {
            let id = world.desk.start(&world.request(Kind::Provision), None).await.unwrap();
            let job = world.settled(id).await;
            assert_eq!(job.status(), JobStatus::Provisioned);
            let commits =
                world.fleet.with(&world.devices[0], |d| d.done.iter().filter(|op| **op == Op::Commit).count());
            assert_eq!(commits, Some(1), "in round {round}");
            let already = job.steps[usize::from(COMMIT)].forward.status == StepStatus::Already;
            assert_eq!(already, round == 1);
        }
        controller.stop().await;
    });
}

#[test]
fn a_held_job_begins_no_step_until_it_is_released() {
    in_virtual_time(async |time| {
        let world = World::new(&time, 1);
        let controller = world.controller("c", Arc::clone(&world.store));
        let id = world.desk.start(&world.request(Kind::Provision), Some("waits for approval")).await.unwrap();
        sleep(world.clock.as_ref(), Duration::from_secs(3_600)).await;
        let job = world.desk.job(id).await.unwrap();
        assert_eq!((job.status(), job.state(), job.next_seq), (JobStatus::NotProvisioned, State::Held, 2));
        world.desk.release(id, "approver").await.unwrap();
        assert_eq!(world.settled(id).await.status(), JobStatus::Provisioned);

        // And one that is cancelled while it is held.
        let id = world.desk.start(&world.request(Kind::Provision), Some("waits for approval")).await.unwrap();
        world.desk.cancel(id, "approver", "no").await.unwrap();
        let job = world.settled(id).await;
        assert_eq!((job.status(), job.state()), (JobStatus::NotProvisioned, State::Cancelled));
        let late = world.desk.cancel(id, "approver", "no, again").await.unwrap_err();
        assert_eq!(late.kind().code, "CW-JOB-NOT-NOW");
        controller.stop().await;
    });
}

#[test]
fn a_pair_that_does_not_work_is_refused_before_there_is_a_job() {
    in_virtual_time(async |time| {
        let world = World::new(&time, 1);
        let mut request = world.request(Kind::Provision);
        request.targets[0].transport = Transport::EapiPush;
        let refused = world.desk.start(&request, None).await.unwrap_err();
        assert_eq!(refused.kind().code, "CW-JOB-UNSUPPORTED");
        assert!(refused.to_string().contains("in-memory, agent-pull, not over eapi-push"), "{refused}");
        request.targets[0].transport = Transport::AgentPull;
        assert!(world.desk.start(&request, None).await.unwrap_err().to_string().contains("no agent-pull set up"));
        let merge = causeway_jobs::kinds::Request { mode: Mode::Merge, ..world.request(Kind::Provision) };
        assert!(world.desk.start(&merge, None).await.unwrap_err().to_string().contains("can not merge"));
        let nobody = causeway_jobs::kinds::Request { actor: "a\nb".into(), ..world.request(Kind::Provision) };
        assert_eq!(world.desk.start(&nobody, None).await.unwrap_err().kind().code, "CW-JOB-INVALID");
        assert_eq!(world.store.list(Default::default(), 9).await.unwrap(), []);
    });
}

#[test]
fn a_hostile_row_stops_its_own_job_and_no_other() {
    in_virtual_time(async |time| {
        let world = World::new(&time, 4);
        let one = |n: usize| {
            let mut request = world.request(Kind::Provision);
            request.targets = vec![request.targets[n]];
            request
        };
        let mut ids = Vec::new();
        for n in 0..4 {
            ids.push(world.desk.start(&one(n), None).await.unwrap());
        }
        let hostile = [
            r#"{"v":1,"at_ms":0,"event":{"claimed":{"holder":"x","token":1,"more":2}}}"#.to_owned(),
            r#"{"v":2,"at_ms":0,"event":"from a newer one"}"#.to_owned(),
            r#"{"v":1,"at_ms":0,"event":{"step-began":{"step":5,"attempt":1}}}"#.to_owned(),
        ];
        for (id, text) in ids.iter().zip(hostile) {
            let summary = Summary::of(&world.desk.job(*id).await.unwrap());
            let append = Append { job: *id, seq: 1, token: None, events: vec![text], artifacts: Vec::new(), summary };
            world.store.append(append).await.unwrap();
        }
        let controller = world.controller("c", Arc::clone(&world.store));
        assert_eq!(world.settled(ids[3]).await.status(), JobStatus::Provisioned);
        for id in &ids[..3] {
            let row = world.store.job(*id).await.unwrap().unwrap();
            assert!(row.broken.as_deref().is_some_and(|why| why.contains("event 1 of job")), "{row:?}");
            assert!(world.desk.job(*id).await.is_err());
        }
        assert_eq!(world.store.holder_of(world.devices[0]).await.unwrap(), Some(ids[0]));
        controller.stop().await;
    });
}

#[test]
fn a_rollback_that_failed_is_a_state_that_alerts_and_a_retry_looks_again() {
    in_virtual_time(async |time| {
        let world = World::new(&time, 1);
        let controller = world.controller("c", Arc::clone(&world.store));
        let device = world.devices[0];
        world
            .fleet
            .with(&device, |device| {
                device.problems = vec!["no adjacency on eth1".into()];
                device.fault_after(Op::Problems, Op::Standing, Fault::Away, FOR_EVER);
            })
            .unwrap();
        let id = world.desk.start(&world.request(Kind::Provision), None).await.unwrap();
        let job = world.settled(id).await;
        assert_eq!((job.status(), job.state()), (JobStatus::Failed, State::RollbackFailed));
        assert!(job.state().alerts() && job.stuck_devices().contains(&device));
        world.fleet.with(&device, |device| device.mend()).unwrap();
        world.desk.retry(id, &[], "operator").await.unwrap();
        assert_eq!(world.settled(id).await.state(), State::RolledBack);
        controller.stop().await;
    });
}

#[test]
fn a_controller_that_stops_in_order_leaves_its_jobs_to_the_next() {
    in_virtual_time(async |time| {
        let world = World::new(&time, 1);
        world.fleet.with(&world.devices[0], |device| device.fault(Op::Compare, Fault::Hang, 1)).unwrap();
        let first = world.controller("a", Arc::clone(&world.store));
        let id = world.desk.start(&world.request(Kind::Provision), None).await.unwrap();
        sleep(world.clock.as_ref(), Duration::from_secs(6)).await;
        first.stop().await;
        let began_ms = world.clock.now_ms();
        let second = world.controller("b", Arc::clone(&world.store));
        assert_eq!(world.settled(id).await.status(), JobStatus::Provisioned);
        assert!(world.clock.now_ms() - began_ms < 15_000, "the lease was given back, not waited for");
        second.stop().await;
    });
}
