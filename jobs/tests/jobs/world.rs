//! Simulated devices, a store in memory, and controllers that work on jobs, in virtual time.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use causeway_interface::Code;
use causeway_jobs::{
    Desk, Engine, Job, Registry, Runner,
    adapter::memory::{SimulatedDevice, SimulatedFleet},
    clock::{Clock, VirtualTime, sleep, within},
    kinds::{Policy, Request},
    rollout::{Budget, Rollout, RolloutRequest, Shape, Soak},
    runner::{RunnerConfig, near::Reach},
    spec::{Family, JobId, Kind, Mode, Target, Transport, Trigger, Wanted},
    store::{JobStore, sqlite::SqliteStore},
};
use tokio::{sync::watch, task::JoinHandle};

use crate::fakes::{FakeOffice, FakeOracles, text};

/// Some day in 2026.
pub const DAY_MS: u64 = 1_790_000_000_000;
/// Longest that a job may take, by the clock of the test: every try of everything, twice over.
pub const PATIENCE_MS: u64 = 4 * 3_600_000;
/// The same of a rollout: with windows and budgets weeks.
pub const ROLLOUT_PATIENCE_MS: u64 = 60 * 24 * 3_600_000;
/// What every device runs before.
pub const OLD: Wanted = Wanted::Generation(3);

/// Runs in virtual time.
pub fn in_virtual_time<T>(test: impl AsyncFnOnce(VirtualTime) -> T) -> T {
    let time = VirtualTime::new(DAY_MS);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(time.drive(test(time.clone())))
}

pub struct World {
    pub clock: Clock,
    pub fleet: SimulatedFleet,
    pub office: Arc<FakeOffice>,
    pub oracles: Arc<FakeOracles>,
    pub store: Arc<dyn JobStore>,
    pub registry: Registry,
    pub desk: Desk,
    pub devices: Vec<Code>,
}

/// Short, because what never ends has to be waited for in steps of a poll.
pub fn policy() -> Policy {
    Policy {
        look_ms: 5_000,
        ask_ms: 5_000,
        commit_ms: 10_000,
        verify_ms: 5_000,
        confirm_ms: 5_000,
        notify_ms: 5_000,
        confirm_within_ms: 120_000,
        ..Policy::default()
    }
}

pub fn registry(fleet: &SimulatedFleet) -> Registry {
    Registry::standard().over(Arc::new(fleet.clone()))
}

impl World {
    /// In virtual time, with everything in memory.
    pub fn new(time: &VirtualTime, devices: usize) -> Self {
        let clock: Clock = Arc::new(time.clone());
        let store = Arc::new(SqliteStore::in_memory(Arc::clone(&clock)).unwrap());
        Self::on(store, clock, devices)
    }

    pub fn on(store: Arc<dyn JobStore>, clock: Clock, devices: usize) -> Self {
        let fleet = SimulatedFleet::new(Arc::clone(&clock));
        let devices: Vec<Code> = (1..=devices).map(|n| format!("r{n:04}").parse().unwrap()).collect();
        for device in &devices {
            fleet.devices().insert(*device, SimulatedDevice::new(Family::Simulator, &text(device, OLD)));
        }
        let registry = registry(&fleet);
        let desk = Desk::new(Arc::clone(&store), registry.clone(), policy(), Arc::clone(&clock), None);
        Self { clock, fleet, office: Arc::default(), oracles: Arc::default(), store, registry, desk, devices }
    }

    /// With other ways to devices, or other times.
    pub fn reached_by(mut self, registry: Registry, policy: Policy) -> Self {
        self.desk = Desk::new(Arc::clone(&self.store), registry.clone(), policy, Arc::clone(&self.clock), None);
        self.registry = registry;
        self
    }

    pub fn request(&self, kind: Kind) -> Request {
        let target =
            |device: &Code| Target { device: *device, family: Family::Simulator, transport: Transport::InMemory };
        Request {
            kind,
            targets: self.devices.iter().map(target).collect(),
            generation: (kind == Kind::Revert).then_some(5),
            mode: Mode::Replace,
            trigger: Trigger::Cli,
            actor: "tester".to_owned(),
            parent: None,
        }
    }

    /// A rollout to all devices, the first by code before all, watched for a minute.
    pub fn rollout(&self, shape: Shape) -> RolloutRequest {
        let Request { kind, targets, mode, actor, .. } = self.request(Kind::Provision);
        RolloutRequest {
            kind,
            targets,
            generation: None,
            mode,
            shape,
            soak: Soak { for_ms: 60_000, settle_ms: 20_000, look_ms: 10_000, limit_ms: 600_000, by_health: true },
            at_once: 64,
            budget: None,
            windows: Vec::new(),
            own_windows: BTreeMap::new(),
            trigger: Trigger::Cli,
            actor,
            message: "because".to_owned(),
            proposer: None,
        }
    }

    /// Waits until a rollout is over.
    pub async fn rolled_out(&self, id: JobId) -> Rollout {
        let over = async {
            while self.store.job(id).await.unwrap().unwrap().summary.holds {
                sleep(self.clock.as_ref(), Duration::from_secs(10)).await;
            }
        };
        if within(self.clock.as_ref(), ROLLOUT_PATIENCE_MS, over).await.is_none() {
            let rollout = self.desk.rollout(id).await.unwrap();
            panic!("rollout is still {:?} in wave {}: {:#?}", rollout.state(), rollout.wave, rollout.devices);
        }
        self.desk.rollout(id).await.unwrap()
    }

    /// A controller at work.
    pub fn controller(&self, holder: &str, store: Arc<dyn JobStore>) -> Controller {
        self.controller_with(holder, store, None, None)
    }

    /// One that says which devices it reaches.
    pub fn controller_at(&self, holder: &str, store: Arc<dyn JobStore>, reach: Option<Arc<dyn Reach>>) -> Controller {
        self.controller_with(holder, store, reach, None)
    }

    /// One with a budget over all rollouts.
    pub fn paced_controller(&self, holder: &str, store: Arc<dyn JobStore>, budget: Option<Budget>) -> Controller {
        self.controller_with(holder, store, None, budget)
    }

    fn controller_with(
        &self,
        holder: &str,
        store: Arc<dyn JobStore>,
        reach: Option<Arc<dyn Reach>>,
        budget: Option<Budget>,
    ) -> Controller {
        let engine = Arc::new(Engine {
            source: self.office.clone(),
            notifier: self.office.clone(),
            registry: self.registry.clone(),
            clock: Arc::clone(&self.clock),
        });
        let config = RunnerConfig { poll: Duration::from_secs(5), ..RunnerConfig::new(holder) };
        let (stop, stopping) = watch::channel(false);
        let mut runner = Runner::new(engine, store, config).rolling(policy(), self.oracles.clone()).paced(budget);
        if let Some(reach) = reach {
            runner = runner.reaching(reach);
        }
        Controller { task: tokio::spawn(runner.run(stopping)), stop }
    }

    /// Waits until nobody has anything to do with a job any more.
    pub async fn settled(&self, job: JobId) -> Job {
        let settled = async {
            while self.store.job(job).await.unwrap().unwrap().summary.runnable {
                sleep(self.clock.as_ref(), Duration::from_secs(10)).await;
            }
        };
        if within(self.clock.as_ref(), PATIENCE_MS, settled).await.is_none() {
            let job = self.desk.job(job).await.unwrap();
            panic!("job is still {:?} / {:?}: {:#?}", job.phase, job.state(), job.steps);
        }
        self.desk.job(job).await.unwrap()
    }

    pub fn running(&self, device: &Code) -> String {
        self.fleet.with(device, |device| device.running.clone()).unwrap()
    }
}

pub struct Controller {
    pub task: JoinHandle<()>,
    pub stop: watch::Sender<bool>,
}

impl Controller {
    /// Ends it as a power cut would.
    pub fn kill(&self) {
        self.task.abort();
    }

    pub async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap();
    }
}
