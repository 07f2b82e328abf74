//! A change of 25 devices at once: all stage and commit to be confirmed, all verify, then all confirm; one failure and all
//! go back, over every transport that can wait.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use causeway_jobs::{
    Job,
    adapter::{
        agent_pull::AgentPull,
        memory::{Fault, Op, SimulatedDevice},
    },
    clock::sleep,
    kinds::Policy,
    spec::{Kind, Transport, Verb, Wanted},
    status::{JobStatus, State},
};

use crate::{
    agents::ModelPort,
    fakes::text,
    world::{OLD, World, in_virtual_time, policy, registry},
};

const DEVICES: usize = 25;
const FOR_EVER: u32 = 1_000;
const BOTH: [Transport; 2] = [Transport::InMemory, Transport::AgentPull];

fn change(transport: Transport, policy: &Policy, bring: impl Fn(&World), judge: impl Fn(&World, &Job)) {
    let began = std::time::Instant::now();
    in_virtual_time(async |time| {
        let world = World::new(&time, DEVICES);
        let agents = AgentPull::new(ModelPort::new(world.fleet.clone()), Arc::clone(&world.clock));
        let registry = registry(&world.fleet).over(Arc::new(agents));
        let world = world.reached_by(registry, policy.clone());
        bring(&world);
        let controller = world.controller("c", Arc::clone(&world.store));
        let mut request = world.request(Kind::NetworkChange);
        request.targets.iter_mut().for_each(|target| target.transport = transport);
        let id = world.desk.start(&request, None).await.unwrap();
        let job = world.settled(id).await;
        // Whatever was armed has gone off.
        sleep(world.clock.as_ref(), Duration::from_secs(1_800)).await;
        let now_ms = world.clock.now_ms();
        for device in &world.devices {
            assert!(!world.fleet.with(device, |d| d.is_armed(now_ms)).unwrap(), "{device} waits for a confirmation");
        }
        judge(&world, &job);
        let took_s = (job.changed_ms - job.started_ms) / 1_000;
        println!(
            "{DEVICES} devices over {}: {} after {took_s} s, in {:.1?}",
            transport.name(),
            job.state().name(),
            began.elapsed()
        );
        controller.stop().await;
    });
}

fn run_new(world: &World) -> usize {
    let new = |device: &&causeway_interface::Code| {
        let running = world.running(device);
        assert!(running == text(device, Wanted::Current) || running == text(device, OLD));
        running == text(device, Wanted::Current)
    };
    world.devices.iter().filter(new).count()
}

fn ended(job: &Job, verb: Verb) -> usize {
    let steps = job.steps.iter().zip(&job.spec.steps).filter(|(_, spec)| spec.verb == verb);
    steps.filter(|(step, _)| step.forward.is_good()).count()
}

#[test]
fn all_stage_then_all_verify_then_all_confirm() {
    for transport in BOTH {
        change(
            transport,
            &policy(),
            |_| {},
            |world, job| {
                assert_eq!((job.status(), run_new(world)), (JobStatus::Provisioned, DEVICES));
                let ends = |verb| {
                    let of = job.steps.iter().zip(&job.spec.steps).filter(move |(_, spec)| spec.verb == verb);
                    of.map(|(step, _)| (step.forward.began_ms.unwrap(), step.forward.ended_ms.unwrap()))
                };
                for (before, after) in [(Verb::Commit, Verb::Verify), (Verb::Verify, Verb::Confirm)] {
                    let last = ends(before).map(|(_, ended)| ended).max();
                    assert!(
                        last <= ends(after).map(|(began, _)| began).min(),
                        "{after:?} began before {before:?} was over"
                    );
                }
            },
        );
    }
}

#[test]
fn one_that_refuses_at_commit_takes_all_back() {
    for transport in BOTH {
        let bring = |world: &World| {
            world.fleet.with(&world.devices[7], |d| d.fault(Op::Commit, Fault::Refuse, FOR_EVER)).unwrap()
        };
        change(transport, &policy(), bring, |world, job| {
            assert_eq!((job.state(), run_new(world)), (State::FailedValidation, 0));
            assert_eq!((ended(job, Verb::Commit), ended(job, Verb::Verify)), (DEVICES - 1, 0));
        });
    }
}

#[test]
fn one_that_does_not_verify_takes_all_back() {
    for transport in BOTH {
        let bring = |world: &World| {
            world.fleet.with(&world.devices[24], |d| d.problems = vec!["no adjacency on eth1".to_owned()]).unwrap();
        };
        change(transport, &policy(), bring, |world, job| {
            assert_eq!((job.state(), run_new(world)), (State::RolledBack, 0));
            assert_eq!(ended(job, Verb::Confirm), 0);
        });
    }
}

#[test]
fn one_that_loses_its_neighbour_after_its_commit_takes_all_back() {
    for transport in BOTH {
        let bring = |world: &World| {
            // One is slow to commit, and meanwhile another one, which has committed, loses a neighbour.
            world.fleet.with(&world.devices[11], |d| d.fault(Op::Commit, Fault::Hang, 1)).unwrap();
            let (fleet, clock, device) = (world.fleet.clone(), Arc::clone(&world.clock), world.devices[24]);
            tokio::spawn(async move {
                let has_committed = || fleet.with(&device, |d| d.done.contains(&Op::Commit)).unwrap();
                while !has_committed() {
                    sleep(clock.as_ref(), Duration::from_millis(100)).await;
                }
                sleep(clock.as_ref(), Duration::from_secs(1)).await;
                fleet.with(&device, |d| d.problems = vec!["no adjacency any more on eth1".to_owned()]).unwrap();
            });
        };
        change(transport, &policy(), bring, |world, job| {
            assert_eq!((job.state(), run_new(world)), (State::RolledBack, 0));
            assert_eq!((ended(job, Verb::Commit), ended(job, Verb::Confirm)), (DEVICES, 0));
            assert_eq!(ended(job, Verb::Verify), DEVICES - 1);
        });
    }
}

#[test]
fn one_that_is_silent_at_confirm_takes_all_back_also_those_that_confirmed() {
    for transport in BOTH {
        let bring = |world: &World| {
            world.fleet.with(&world.devices[0], |d| d.fault(Op::Confirm, Fault::Away, FOR_EVER)).unwrap();
        };
        change(transport, &policy(), bring, |world, job| {
            assert_eq!((job.state(), run_new(world)), (State::RolledBack, 0), "{:?}", job.stuck_devices());
            assert_eq!((ended(job, Verb::Verify), ended(job, Verb::Confirm)), (DEVICES, DEVICES - 1));
            let saved = |device| world.fleet.with(device, |d| d.startup == d.running).unwrap();
            assert!(world.devices.iter().all(saved), "a device would start with what was taken back");
        });
    }
}

#[test]
fn one_that_is_heard_of_again_is_taken_back_then_and_not_at_the_end() {
    let bring = |world: &World| {
        // From its verification on it is away, for the tries of its confirmation and the first ones of its way back.
        let away = |d: &mut SimulatedDevice| d.fault_after(Op::Problems, Op::Standing, Fault::Away, 8);
        world.fleet.with(&world.devices[3], away).unwrap();
    };
    change(Transport::InMemory, &policy(), bring, |world, job| {
        assert_eq!((job.state(), run_new(world)), (State::RolledBack, 0));
        let took_ms = job.changed_ms - job.started_ms;
        assert!(took_ms < job.spec.confirm_within_ms / 2, "it was back long before {took_ms} ms");
    });
}

#[test]
fn what_stays_half_done_is_inconsistent_and_names_the_devices() {
    let bring = |world: &World| {
        world.fleet.with(&world.devices[0], |d| d.fault(Op::Confirm, Fault::Away, FOR_EVER)).unwrap();
        for device in [&world.devices[3], &world.devices[20]] {
            world.fleet.with(device, |d| d.fault(Op::Restore, Fault::Refuse, FOR_EVER)).unwrap();
        }
    };
    change(Transport::InMemory, &policy(), bring, |world, job| {
        assert_eq!((job.status(), job.state()), (JobStatus::Failed, State::Inconsistent));
        assert!(job.state().alerts());
        assert_eq!(job.stuck_devices(), BTreeSet::from([world.devices[3], world.devices[20]]));
        assert_eq!(run_new(world), 2);
    });
}

/// The timer of a device is shorter than the slowest one's commit and another one's verification together.
fn short() -> Policy {
    Policy { confirm_within_ms: 30_000, confirm_more_ms: 0, ..policy() }
}

fn slow(world: &World) {
    let hangs = |d: &mut SimulatedDevice| d.fault(Op::Commit, Fault::Hang, 2);
    world.fleet.with(&world.devices[11], hangs).unwrap();
    world.fleet.with(&world.devices[12], |d| d.fault(Op::Problems, Fault::Away, 4)).unwrap();
}

#[test]
fn a_slow_device_extends_the_timer_of_all() {
    change(Transport::InMemory, &short(), slow, |world, job| {
        assert_eq!((job.status(), run_new(world)), (JobStatus::Provisioned, DEVICES), "{:?}", job.state());
        assert!(job.changed_ms - job.started_ms > 30_000, "it was not slow");
    });
    // And it is that which keeps them: where it can't be done, all go back.
    let unextended = |world: &World| {
        slow(world);
        for device in &world.devices {
            world.fleet.with(device, |d| d.fault(Op::Extend, Fault::Refuse, FOR_EVER)).unwrap();
        }
    };
    change(Transport::InMemory, &short(), unextended, |world, job| {
        assert_eq!((job.state(), run_new(world)), (State::RolledBack, 0));
    });
}
