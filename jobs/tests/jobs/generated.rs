//! Every kind of job, with everything that can happen to it at every point: each verb of the device and everything beside it
//! fails in every way; each event is lost with its controller, or outlives it; a controller is held up at each event and
//! comes back when another has taken over; the job is cancelled at each event. And all of the latter while a job goes well,
//! while it goes back, and while it can't. Whatever happens: the job ends in a state that it may end in, and its devices
//! run the old configuration or the new one as that state says.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use causeway_jobs::{
    Job,
    adapter::memory::{Fault, Op, SimulatedDevice},
    clock::sleep,
    event::{Cause, End},
    job::Phase,
    spec::{JobId, Kind, Verb},
    status::{JobStatus, State},
    store::JobStore,
};

use crate::{
    covered::{Covered, Hit},
    fakes::{Cut, CutStore, Wrong, text},
    world::{OLD, World, in_virtual_time},
};

/// More tries than anything has.
const FOR_EVER: u32 = 1_000;

/// What the device or something beside it does.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    None,
    Device(Op, Fault, u32),
    Neighbours,
    Beside(Wrong, u32),
    /// The neighbours stay away, and from the first look at them on this goes wrong too: the job goes back, and meets it.
    WhileBack(Op, Fault, u32),
    /// The last device can't be told to confirm, and the first one, which is confirmed, meets this when it is to go back.
    Restore(Fault, u32),
}

/// What happens to the controller or the job.
#[derive(Clone, Copy, Debug)]
enum Blow {
    None,
    /// The controller dies at an append.
    Dies(u64, Cut),
    /// It is held up at an append until another one is done.
    HeldUp(u64),
    /// The job is cancelled right before an append.
    Cancelled(u64),
    /// It is cancelled while a step hangs.
    CancelledLater,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    kind: Kind,
    trouble: Trouble,
    blow: Blow,
}

fn devices(kind: Kind) -> usize {
    match kind {
        Kind::Provision | Kind::DryRun | Kind::Revert | Kind::Decommission => 1,
        Kind::NetworkChange => 3,
    }
}

/// Runs a case to its end in a runtime of its own; how often a controller appended, and how the job ended.
fn run(case: Case) -> (u64, Job) {
    in_virtual_time(async |time| {
        let world = World::new(&time, devices(case.kind));
        bring(&world, case.trouble);
        let id = world.desk.start(&world.request(case.kind), None).await.unwrap();
        let appends = live(&world, id, case.blow).await;
        let job = world.settled(id).await;
        judge(&world, case, &job).await;
        (appends, job)
    })
}

fn bring(world: &World, trouble: Trouble) {
    // The last one: in a change of several devices the others have gone before it.
    let device = world.devices.last().unwrap();
    match trouble {
        Trouble::None => {}
        Trouble::Device(op, fault, times) => world.fleet.with(device, |device| device.fault(op, fault, times)).unwrap(),
        Trouble::Neighbours => {
            world.fleet.with(device, |device| device.problems = vec!["no adjacency on eth1".to_owned()]).unwrap();
        }
        Trouble::WhileBack(op, fault, times) => {
            let bring = |device: &mut SimulatedDevice| {
                device.problems = vec!["no adjacency on eth1".to_owned()];
                device.fault_after(Op::Problems, op, fault, times);
            };
            world.fleet.with(device, bring).unwrap();
        }
        Trouble::Restore(fault, times) => {
            world.fleet.with(device, |device| device.fault(Op::Confirm, Fault::Away, FOR_EVER)).unwrap();
            world.fleet.with(&world.devices[0], |device| device.fault(Op::Restore, fault, times)).unwrap();
        }
        Trouble::Beside(wrong, times) => world.office.wrong.lock().unwrap().push_back((wrong, times)),
    }
}

async fn live(world: &World, id: JobId, blow: Blow) -> u64 {
    let cut = match blow {
        Blow::Dies(at, cut) => Some((at, cut)),
        Blow::HeldUp(at) | Blow::Cancelled(at) => Some((at, Cut::Stopped)),
        Blow::None | Blow::CancelledLater => None,
    };
    let store = CutStore::new(Arc::clone(&world.store), cut);
    let first = world.controller("first", Arc::clone(&store) as Arc<dyn JobStore>);
    let mut second = None;
    match blow {
        Blow::None => {}
        Blow::Dies(..) => {
            // It may be over before it comes to that.
            tokio::select! {
                () = store.reached.notified() => {}
                _ = world.settled(id) => {}
            }
            first.kill();
            second = Some(world.controller("second", Arc::clone(&world.store)));
        }
        Blow::HeldUp(_) => {
            tokio::select! {
                () = store.reached.notified() => {}
                _ = world.settled(id) => {}
            }
            second = Some(world.controller("second", Arc::clone(&world.store)));
            world.settled(id).await;
            let events = world.store.job(id).await.unwrap().unwrap().next_seq;
            store.go_on.notify_one();
            sleep(world.clock.as_ref(), Duration::from_secs(60)).await;
            assert_eq!(world.store.job(id).await.unwrap().unwrap().next_seq, events, "the first one was let in again");
        }
        Blow::Cancelled(_) => {
            tokio::select! {
                () = store.reached.notified() => {}
                _ = world.settled(id) => {}
            }
            // It may be too late; then it has to say so.
            let _ = world.desk.cancel(id, "tester", "changed my mind").await;
            store.go_on.notify_one();
        }
        Blow::CancelledLater => {
            sleep(world.clock.as_ref(), Duration::from_secs(1)).await;
            let _ = world.desk.cancel(id, "tester", "it hangs").await;
        }
    }
    world.settled(id).await;
    drop((first, second));
    store.appends.load(std::sync::atomic::Ordering::SeqCst)
}

/// Whether it may not be known what a device runs: nothing less than a device that can't be told to go back, and can't be
/// asked any more either.
fn may_be_stuck(trouble: Trouble) -> bool {
    match trouble {
        Trouble::None | Trouble::Neighbours | Trouble::Beside(..) => false,
        Trouble::WhileBack(op, _, times) | Trouble::Device(op, _, times) => {
            times > 2 && matches!(op, Op::Abort | Op::Standing | Op::Restore | Op::Running)
        }
        Trouble::Restore(_, times) => times > 2,
    }
}

async fn judge(world: &World, case: Case, job: &Job) {
    let wanted = job.spec.wanted;
    let (state, status) = (job.state(), job.status());
    let runs: Vec<bool> = world
        .devices
        .iter()
        .map(|device| {
            let running = world.running(device);
            assert!(
                running == text(device, wanted) || running == text(device, OLD),
                "{case:?}: {device} runs {running:?}"
            );
            running == text(device, wanted)
        })
        .collect();
    let all_new = runs.iter().all(|new| *new);
    let all_old = runs.iter().all(|new| !new);
    let now_ms = world.clock.now_ms();
    let armed = world.devices.iter().any(|d| world.fleet.with(d, |device| device.is_armed(now_ms)).unwrap());
    let told = || format!("{case:?} ended {state:?}, {:#?}", job.steps);
    match &job.phase {
        Phase::Ended(End::Done) if case.kind == Kind::DryRun => {
            assert!(all_old && !armed, "{}", told());
            let touched = |done: &[Op]| done.iter().any(|op| matches!(op, Op::Commit | Op::Restore | Op::Save));
            let any = world.devices.iter().any(|d| world.fleet.with(d, |device| touched(&device.done)).unwrap());
            assert!(!any, "a dry run changed something: {}", told());
        }
        Phase::Ended(End::Done) => {
            assert!(all_new && !armed, "{}", told());
            let saved = |d| world.fleet.with(d, |device| device.startup == device.running).unwrap();
            assert!(world.devices.iter().all(saved), "{}", told());
        }
        Phase::Ended(End::Partly(_)) => assert!(all_new && !armed, "{}", told()),
        Phase::Ended(End::Back(cause)) => {
            assert!(all_old && !armed, "{}", told());
            let cancelled = matches!(case.blow, Blow::Cancelled(_) | Blow::CancelledLater);
            assert!(cancelled || !matches!(cause, Cause::Cancelled { .. }), "{}", told());
        }
        Phase::Ended(End::Stuck { .. }) => {
            assert!(may_be_stuck(case.trouble), "{}", told());
            assert!(state.alerts() && status == JobStatus::Failed && !job.stuck_devices().is_empty());
            assert_eq!(state == State::Inconsistent, world.devices.len() > 1);
        }
        Phase::Forward | Phase::Back(_) => panic!("not over: {}", told()),
    }
    for (step, spec) in job.steps.iter().zip(&job.spec.steps) {
        let committed = world.fleet.with(&spec.device, |device| device.done.contains(&Op::Commit)).unwrap();
        let recorded = step.forward.attempts > 0 || job.round > 1;
        assert!(
            spec.verb != Verb::Commit || recorded || !committed,
            "a step was done that is not recorded: {}",
            told()
        );
    }
    for device in &world.devices {
        assert_eq!(world.store.holder_of(*device).await.unwrap(), None, "{}", told());
    }
    if case.kind == Kind::NetworkChange && !state.alerts() {
        assert!(all_new || all_old, "{}", told());
    }
    let settled =
        matches!(case.trouble, Trouble::None) && matches!(case.blow, Blow::None | Blow::Dies(..) | Blow::HeldUp(_));
    assert!(!settled || job.phase == Phase::Ended(End::Done), "{}", told());
}

fn troubles() -> Vec<Trouble> {
    let mut all = vec![Trouble::None, Trouble::Neighbours];
    for op in Op::ALL {
        for fault in Fault::ALL {
            all.extend([1, 2, FOR_EVER].map(|times| Trouble::Device(op, fault, times)));
        }
    }
    for op in [Op::Standing, Op::Abort, Op::Running] {
        for fault in Fault::ALL {
            all.extend([1, FOR_EVER].map(|times| Trouble::WhileBack(op, fault, times)));
        }
    }
    all.extend(Fault::ALL.into_iter().flat_map(|fault| [1, FOR_EVER].map(|times| Trouble::Restore(fault, times))));
    all.extend(Wrong::ALL.into_iter().flat_map(|wrong| [1, FOR_EVER].map(|times| Trouble::Beside(wrong, times))));
    all
}

/// Jobs that go well, that go back, and that can't: to be hit at every point.
fn stories() -> Vec<Trouble> {
    vec![
        Trouble::None,
        Trouble::Neighbours,
        Trouble::Device(Op::Commit, Fault::LoseAnswer, 1),
        Trouble::Device(Op::Commit, Fault::DoAndHang, FOR_EVER),
        Trouble::Device(Op::Confirm, Fault::LoseAnswer, FOR_EVER),
        Trouble::Device(Op::Confirm, Fault::Away, FOR_EVER),
        Trouble::Device(Op::Save, Fault::Away, FOR_EVER),
        Trouble::Device(Op::Abort, Fault::LoseAnswer, 1),
        Trouble::WhileBack(Op::Standing, Fault::Away, FOR_EVER),
        Trouble::Beside(Wrong::NotifyFails, FOR_EVER),
    ]
}

fn hit(blow: Blow) -> Hit {
    match blow {
        Blow::None => Hit::None,
        Blow::Dies(..) => Hit::Died,
        Blow::HeldUp(_) => Hit::TakenOver,
        Blow::Cancelled(_) | Blow::CancelledLater => Hit::Cancelled,
    }
}

fn every_case(kind: Kind) {
    let began = std::time::Instant::now();
    let mut ends: BTreeMap<&str, u32> = BTreeMap::new();
    let mut tried: BTreeMap<&str, u32> = BTreeMap::new();
    let mut covered = Covered::default();
    let mut one = |what: &'static str, case: Case| {
        let (appends, job) = run(case);
        covered.count(hit(case.blow), &job);
        *tried.entry(what).or_default() += 1;
        *ends.entry(job.state().name()).or_default() += 1;
        appends
    };
    for trouble in troubles() {
        one("fails at a step", Case { kind, trouble, blow: Blow::None });
    }
    for op in Op::ALL {
        for fault in [Fault::Hang, Fault::DoAndHang] {
            let trouble = Trouble::Device(op, fault, 1);
            one("cancelled in the midst of a step", Case { kind, trouble, blow: Blow::CancelledLater });
        }
    }
    for trouble in stories() {
        let appends = one("to its end", Case { kind, trouble, blow: Blow::None });
        for at in 0..appends {
            one("dies before an event is kept", Case { kind, trouble, blow: Blow::Dies(at, Cut::Before) });
            one("dies after an event is kept", Case { kind, trouble, blow: Blow::Dies(at, Cut::After) });
            one("taken over while it is held up", Case { kind, trouble, blow: Blow::HeldUp(at) });
            one("cancelled at an event", Case { kind, trouble, blow: Blow::Cancelled(at) });
        }
    }
    let all: u32 = tried.values().sum();
    println!("{}: {all} cases in {:.1?}: {tried:?}; ended {ends:?}", kind.name(), began.elapsed());
    assert!(all > 300, "fewer cases than there are points");
    covered.judge(kind);
}

#[test]
fn provisioning_ends_well_whatever_happens() {
    every_case(Kind::Provision);
}

#[test]
fn a_dry_run_changes_nothing_whatever_happens() {
    every_case(Kind::DryRun);
}

#[test]
fn a_revert_ends_well_whatever_happens() {
    every_case(Kind::Revert);
}

#[test]
fn a_decommissioning_ends_well_whatever_happens() {
    every_case(Kind::Decommission);
}

#[test]
fn a_change_of_several_devices_is_all_or_nothing_whatever_happens() {
    every_case(Kind::NetworkChange);
}
