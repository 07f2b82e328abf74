//! Killed at any step, by the agent's death or the device management's: the device runs the old configuration or the new
//! one, and the next agent brings it to the new one.

#![allow(clippy::unwrap_used)]

mod common;

use std::{sync::Arc, time::Duration};

use causeway_agent::{
    apply::Applier,
    bundle::{Bundle, Generation, TextHash},
    core::Outcome,
    driver::Driver,
    sim::{Fabric, Fault, Moment, SimDriver, Verb},
    state::StateStore,
};
use common::{DEVICE, eventually, fabric, limits, text};

const STEPS: [(Verb, Moment); 8] = [
    (Verb::Load, Moment::Before),
    (Verb::Load, Moment::After),
    (Verb::Compare, Moment::Before),
    (Verb::Compare, Moment::After),
    (Verb::Commit, Moment::Before),
    (Verb::Commit, Moment::After),
    (Verb::Confirm, Moment::Before),
    (Verb::Confirm, Moment::After),
];

fn bundle(generation: u64, text: &str) -> Bundle {
    Bundle { generation: Generation(generation), hash: TextHash::of(text), text: text.to_owned() }
}

struct Bench {
    fabric: Fabric,
    directory: tempfile::TempDir,
    old: String,
    new: String,
}

impl Bench {
    async fn new() -> Self {
        let fabric = fabric();
        let (old, new) = (text(1, 100), text(1, 200));
        let driver = fabric.driver(DEVICE).unwrap();
        driver.load_candidate(&old).await.unwrap();
        driver.commit(Duration::from_secs(60)).await.unwrap();
        driver.confirm().await.unwrap();
        Self { fabric, directory: tempfile::tempdir().unwrap(), old, new }
    }

    /// As a new process would.
    fn applier(&self) -> (Applier<SimDriver>, Arc<StateStore>) {
        let store = Arc::new(StateStore::open(self.directory.path(), DEVICE).unwrap());
        (Applier::new(Arc::new(self.fabric.driver(DEVICE).unwrap()), store.clone(), limits()), store)
    }

    fn running(&self) -> String {
        self.fabric.running_text(DEVICE).unwrap()
    }

    fn runs_old_or_new(&self) {
        let running = self.running();
        assert!(running == self.old || running == self.new, "a mix: {running}");
    }
}

#[tokio::test]
async fn an_agent_killed_at_any_step_leaves_old_or_new() {
    for (verb, moment) in STEPS {
        let bench = Bench::new().await;
        let fault = bench.fabric.inject(Fault::Hang { device: DEVICE.into(), verb, moment });
        let (applier, _) = bench.applier();
        let offered = bundle(7, &bench.new);
        let task = tokio::spawn(async move { applier.apply(&offered).await });
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(!task.is_finished(), "{verb:?} {moment:?} hangs");
        task.abort();
        let _ = task.await;
        bench.runs_old_or_new();
        // Nobody is there any more; only the device's own timer can act.
        bench.fabric.advance_to(60_000);
        let confirmed = (verb, moment) == (Verb::Confirm, Moment::After);
        assert_eq!(bench.running(), if confirmed { &bench.new } else { &bench.old }.clone(), "{verb:?} {moment:?}");
        bench.fabric.heal(fault);
        let (applier, store) = bench.applier();
        applier.settle().await.unwrap();
        if matches!(verb, Verb::Commit | Verb::Confirm) {
            assert_eq!(store.memory().floor(), Generation(7), "nothing older than what may run");
        }
        let ended = applier.apply(&bundle(7, &bench.new)).await;
        assert!(matches!(ended.outcome, Outcome::Applied | Outcome::Unchanged), "{:?}", ended.outcome);
        assert_eq!((bench.running(), store.memory().applied.unwrap().generation), (bench.new.clone(), Generation(7)));
    }
}

#[tokio::test]
async fn a_new_agent_reverts_what_its_predecessor_did_not_confirm() {
    let bench = Bench::new().await;
    let fault = bench.fabric.inject(Fault::Hang { device: DEVICE.into(), verb: Verb::Commit, moment: Moment::After });
    let (applier, _) = bench.applier();
    let offered = bundle(7, &bench.new);
    let task = tokio::spawn(async move { applier.apply(&offered).await });
    eventually("committed", || bench.running() == bench.new).await;
    task.abort();
    bench.fabric.heal(fault);
    let (applier, _) = bench.applier();
    applier.settle().await.unwrap();
    assert_eq!(bench.running(), bench.old);
}

#[tokio::test]
async fn a_device_that_hangs_or_dies_at_any_step_keeps_old_or_new() {
    for (verb, moment) in STEPS {
        for dies in [false, true] {
            let bench = Bench::new().await;
            let clock = bench.fabric.run_clock();
            let device = DEVICE.to_owned();
            let fault = bench.fabric.inject(if dies {
                Fault::ManagementDies { device, verb, moment }
            } else {
                Fault::Hang { device, verb, moment }
            });
            let (applier, store) = bench.applier();
            let ended = applier.apply(&bundle(7, &bench.new)).await;
            let what = format!("{verb:?} {moment:?} dies {dies}: {:?}", ended.outcome);
            bench.runs_old_or_new();
            match &ended.outcome {
                Outcome::Refused(_) => assert!(matches!(verb, Verb::Load | Verb::Compare), "{what}"),
                Outcome::Reverted(_) | Outcome::Lost(_) => {
                    assert!(matches!(verb, Verb::Commit | Verb::Confirm), "{what}")
                }
                Outcome::Applied => assert_eq!((verb, moment, dies), (Verb::Confirm, Moment::After, false), "{what}"),
                Outcome::Unchanged => panic!("{what}"),
            }
            if dies && !matches!(verb, Verb::Load | Verb::Compare) {
                assert!(matches!(ended.outcome, Outcome::Lost(_)), "{what}");
                assert_eq!(store.memory().floor(), Generation(7), "what runs is not known: {what}");
            }
            let confirmed = verb == Verb::Confirm && moment == Moment::After;
            assert_eq!(bench.running(), if confirmed { &bench.new } else { &bench.old }.clone(), "{what}");
            bench.fabric.heal(fault);
            applier.settle().await.unwrap();
            let ended = applier.apply(&bundle(7, &bench.new)).await;
            assert!(matches!(ended.outcome, Outcome::Applied | Outcome::Unchanged), "{what}, then {:?}", ended.outcome);
            clock.abort();
        }
    }
}

#[tokio::test]
async fn startup_is_saved_only_once_confirmed_and_final() {
    let bench = Bench::new().await;
    let (applier, store) = bench.applier();
    assert_eq!(applier.save_startup(u64::MAX).await, Ok(false), "nothing was applied by an agent");
    applier.apply(&bundle(7, &bench.new)).await;
    assert_eq!(applier.save_startup(6).await, Ok(false));
    assert_eq!(applier.save_startup(7).await, Ok(true));
    assert_eq!(applier.save_startup(7).await, Ok(false), "once");
    assert_eq!(bench.fabric.startup_text(DEVICE).unwrap(), bench.new);
    assert_eq!(store.memory().startup, Some(TextHash::of(&bench.new)));
}
