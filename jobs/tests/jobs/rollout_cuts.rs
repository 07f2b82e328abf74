//! Rollouts, hit at every event: the controller dies before it is kept and after, is held up and comes back when another has
//! taken over, somebody cancels or pauses. While it goes well, while a wave fails, while one is unwell, and while a device
//! can't be brought back. Whatever happens: waves before the one that was under way run the new configuration, that wave
//! runs the old one or names who does not, and nobody after it was touched.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use causeway_jobs::{
    adapter::memory::{Fault, Op},
    clock::sleep,
    rollout::{Cause, End, Health, Phase, Rollout, RolloutState, Shape, Soak},
    spec::{JobId, Wanted},
    store::JobStore,
};

use crate::{
    fakes::{Cut, CutStore, text},
    world::{OLD, World, in_virtual_time},
};

const FOR_EVER: u32 = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Story {
    Well,
    /// A device of the second wave is taken back by its own job.
    Fails,
    /// A device of the second wave is unwell afterwards.
    Unwell,
    /// And another one of it can't be brought back.
    Stuck,
}

#[derive(Clone, Copy, Debug)]
enum Blow {
    None,
    Dies(u64, Cut),
    HeldUp(u64),
    Cancelled(u64),
    Paused(u64),
}

fn run(story: Story, blow: Blow) -> (u64, Rollout) {
    in_virtual_time(async |time| {
        // Waves of one, two and one.
        let world = World::new(&time, 4);
        match story {
            Story::Well => {}
            Story::Fails => {
                world.fleet.with(&world.devices[2], |d| d.problems = vec!["no adjacency on eth1".into()]).unwrap();
            }
            Story::Unwell | Story::Stuck => {
                world.oracles.0.lock().unwrap().insert(world.devices[2], Health::Bad("D3".into()));
            }
        }
        if story == Story::Stuck {
            let bring = |d: &mut causeway_jobs::adapter::memory::SimulatedDevice| {
                d.fault_after(Op::Save, Op::Commit, Fault::Refuse, FOR_EVER);
            };
            world.fleet.with(&world.devices[1], bring).unwrap();
        }
        let mut request = world.rollout(Shape { most: 2, ..Shape::default() });
        request.soak = Soak { for_ms: 20_000, settle_ms: 10_000, ..request.soak };
        let id = world.desk.start_rollout(&request).await.unwrap();
        let appends = live(&world, id, blow).await;
        let rollout = world.desk.rollout(id).await.unwrap();
        judge(&world, story, blow, &rollout).await;
        (appends, rollout)
    })
}

async fn live(world: &World, id: JobId, blow: Blow) -> u64 {
    let cut = match blow {
        Blow::None => None,
        Blow::Dies(at, cut) => Some((at, cut)),
        Blow::HeldUp(at) | Blow::Cancelled(at) | Blow::Paused(at) => Some((at, Cut::Stopped)),
    };
    let store = CutStore::of(Arc::clone(&world.store), cut, Some(id));
    let first = world.controller("first", Arc::clone(&store) as Arc<dyn JobStore>);
    let mut second = None;
    if cut.is_some() {
        // It may be over before it comes to that.
        tokio::select! {
            () = store.reached.notified() => {}
            _ = world.rolled_out(id) => {}
        }
    }
    match blow {
        Blow::None => {}
        Blow::Dies(..) => {
            first.kill();
            second = Some(world.controller("second", Arc::clone(&world.store)));
        }
        Blow::HeldUp(_) => {
            second = Some(world.controller("second", Arc::clone(&world.store)));
            world.rolled_out(id).await;
            let events = world.store.job(id).await.unwrap().unwrap().next_seq;
            store.go_on.notify_one();
            sleep(world.clock.as_ref(), Duration::from_secs(60)).await;
            assert_eq!(world.store.job(id).await.unwrap().unwrap().next_seq, events, "the first one was let in again");
        }
        Blow::Cancelled(_) => {
            let _ = world.desk.cancel_rollout(id, "tester", "changed my mind").await;
            store.go_on.notify_one();
        }
        Blow::Paused(_) => {
            let paused = world.desk.pause_rollout(id, "tester", "for a while").await.is_ok();
            store.go_on.notify_one();
            sleep(world.clock.as_ref(), Duration::from_secs(600)).await;
            if paused {
                // It may have gone back meanwhile, which no pause holds up.
                let _ = world.desk.resume_rollout(id, "tester").await;
            }
        }
    }
    world.rolled_out(id).await;
    drop((first, second));
    store.appends.load(std::sync::atomic::Ordering::SeqCst)
}

async fn judge(world: &World, story: Story, blow: Blow, rollout: &Rollout) {
    let told = || format!("{story:?}, {blow:?}: {rollout:#?}");
    let now_ms = world.clock.now_ms();
    let Phase::Ended(end) = &rollout.phase else { panic!("not over: {}", told()) };
    let stuck = match end {
        End::Done => {
            assert!(story == Story::Well && rollout.wave == 2, "{}", told());
            Vec::new()
        }
        End::Back(cause) => {
            let cancelled = matches!(blow, Blow::Cancelled(_));
            assert!(cancelled || (story != Story::Well && story != Story::Stuck), "{}", told());
            assert!(cancelled || !matches!(cause, Cause::Cancelled { .. }), "{}", told());
            Vec::new()
        }
        End::Stuck { devices, .. } => {
            assert!(story == Story::Stuck && *devices == [world.devices[1]], "{}", told());
            assert_eq!(rollout.state(), RolloutState::RollbackFailed);
            devices.clone()
        }
    };
    let wave = rollout.spec.wave(rollout.wave).unwrap();
    for (place, target) in (0_u16..).zip(&rollout.spec.targets) {
        let device = &target.device;
        let (running, done) = world.fleet.with(device, |d| (d.running.clone(), d.done.clone())).unwrap();
        let new = running == text(device, Wanted::Current);
        assert!(new || running == text(device, OLD), "{device} runs {running:?}: {}", told());
        assert!(!world.fleet.with(device, |d| d.is_armed(now_ms)).unwrap(), "{device} waits: {}", told());
        assert_eq!(world.store.holder_of(*device).await.unwrap(), None, "{device} is held: {}", told());
        if *end == End::Done || place < wave.start {
            assert!(new, "{device} is not changed: {}", told());
        } else if place >= wave.end {
            assert!(done.is_empty(), "{device} was touched: {}", told());
        } else {
            assert_eq!(new, stuck.contains(device), "{device}: {}", told());
        }
        // Never twice the same way: a controller that was held up starts nothing any more.
        let commits = done.iter().filter(|op| **op == Op::Commit).count();
        assert!(commits <= 2, "{device} was changed {commits} times: {}", told());
    }
    assert!(!matches!(blow, Blow::None) || story != Story::Well || *end == End::Done);
}

#[test]
fn a_rollout_ends_well_whatever_happens_at_any_event() {
    let began = std::time::Instant::now();
    let mut tried: BTreeMap<&str, u32> = BTreeMap::new();
    let mut ends: BTreeMap<&str, u32> = BTreeMap::new();
    let mut one = |what: &'static str, story: Story, blow: Blow| {
        let (appends, rollout) = run(story, blow);
        *tried.entry(what).or_default() += 1;
        *ends.entry(rollout.state().name()).or_default() += 1;
        appends
    };
    for story in [Story::Well, Story::Fails, Story::Unwell, Story::Stuck] {
        let appends = one("to its end", story, Blow::None);
        for at in 0..appends {
            one("dies before an event is kept", story, Blow::Dies(at, Cut::Before));
            one("dies after an event is kept", story, Blow::Dies(at, Cut::After));
            one("taken over while it is held up", story, Blow::HeldUp(at));
            one("cancelled at an event", story, Blow::Cancelled(at));
            one("paused at an event", story, Blow::Paused(at));
        }
    }
    let all: u32 = tried.values().sum();
    println!("rollouts: {all} cases in {:.1?}: {tried:?}; ended {ends:?}", began.elapsed());
    assert!(all > 300, "fewer cases than there are points");
}
