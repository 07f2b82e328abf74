//! What every adapter has to do; each is run on a device that the test can look into.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use causeway_agent::{
    bundle::TextHash,
    driver::{
        Adjacency, Comparison as DriverComparison, Driver, DriverError, InterfaceCounters, ProbeOutcome,
        Target as Probe,
    },
};
use causeway_interface::Code;
use causeway_jobs::{
    adapter::{
        Adapter, AdapterError, Candidate, Context, Doing, Extended, Pending,
        agent_pull::{AgentPort, AgentPull, AgentReport, AgentView, Offer, Word},
        driver::DriverAdapter,
        memory::{Fault, Op, SimulatedDevice, SimulatedFleet},
    },
    clock::{Clock, VirtualTime, sleep, within},
    error::{Class, StepError, Trouble},
    spec::{Family, JobId, Mode, Transport},
};

use crate::world::in_virtual_time;

const OLD: &str = "hostname r1\nmetric 3\n";
const NEW: &str = "hostname r1\nmetric 20\n";
/// The device goes back after this.
const CONFIRM_MS: u64 = 60_000;
/// More than any verb takes here.
const LIMIT_MS: u64 = 10_000;

fn device() -> Code {
    "r1".parse().unwrap()
}

fn context(waits: bool) -> Context {
    Context {
        job: JobId(1),
        device: device(),
        correlation: "job1-r1-s5-t1".into(),
        mode: Mode::Replace,
        confirm_within_ms: CONFIRM_MS,
        waits,
    }
}

fn candidate(text: &str) -> Candidate {
    Candidate { generation: 7, family: Family::Simulator, text: text.into() }
}

/// A driver of a simulated device, as the agent's are.
struct SimulatedDriver {
    fleet: SimulatedFleet,
    candidate: Mutex<Option<Candidate>>,
}

impl SimulatedDriver {
    fn told(error: AdapterError) -> DriverError {
        match error {
            AdapterError::Unreachable(words) => DriverError::Unreachable(words),
            AdapterError::Refused(words) => DriverError::Refused(words),
            AdapterError::State(words) | AdapterError::TookBack(words) => DriverError::State(words),
            AdapterError::Unsupported(words) => DriverError::State(words.into()),
        }
    }

    fn held(&self) -> Result<Candidate, DriverError> {
        self.candidate.lock().unwrap().clone().ok_or_else(|| DriverError::State("no candidate".into()))
    }
}

impl Driver for SimulatedDriver {
    fn family(&self) -> &'static str {
        "eos"
    }

    async fn load_candidate(&self, text: &str) -> Result<(), DriverError> {
        *self.candidate.lock().unwrap() = Some(candidate(text));
        Ok(())
    }

    async fn discard_candidate(&self) -> Result<(), DriverError> {
        *self.candidate.lock().unwrap() = None;
        Ok(())
    }

    async fn compare(&self, text: &str) -> Result<DriverComparison, DriverError> {
        let made = self.fleet.compare(&context(false), &candidate(text)).await.map_err(Self::told)?;
        Ok(DriverComparison { equal: made.equal, diff: made.diff })
    }

    async fn commit(&self, revert_after: Duration) -> Result<(), DriverError> {
        let context = Context { confirm_within_ms: revert_after.as_millis() as u64, ..context(false) };
        self.fleet.commit(&context, &self.held()?).await.map_err(Self::told)
    }

    async fn confirm(&self) -> Result<(), DriverError> {
        self.fleet.confirm(&context(false), &self.held()?).await.map_err(Self::told)
    }

    async fn revert(&self) -> Result<(), DriverError> {
        self.fleet.abort(&context(false)).await.map_err(Self::told)
    }

    async fn is_pending(&self) -> Result<bool, DriverError> {
        let standing = self.fleet.standing(&context(false), &candidate("")).await.map_err(Self::told)?;
        Ok(standing.pending == Pending::Ours)
    }

    async fn save_startup(&self) -> Result<(), DriverError> {
        self.fleet.save(&context(false)).await.map_err(Self::told)
    }

    async fn running_text(&self) -> Result<String, DriverError> {
        self.fleet.running(&context(false)).await.map_err(Self::told)
    }

    async fn wanted_adjacencies(&self, _: &str) -> Result<std::collections::BTreeSet<String>, DriverError> {
        Ok(["eth1".to_owned()].into())
    }

    async fn counters(&self) -> Result<Vec<InterfaceCounters>, DriverError> {
        Ok(Vec::new())
    }

    async fn adjacencies(&self) -> Result<Vec<Adjacency>, DriverError> {
        let lost = self.fleet.with(&device(), |device| !device.problems.is_empty()).unwrap();
        Ok(vec![Adjacency { interface: "eth1".into(), up: !lost, neighbor: "r2".into() }])
    }

    async fn probe(&self, _: &[Probe], _: u32) -> Result<Vec<ProbeOutcome>, DriverError> {
        Ok(Vec::new())
    }
}

/// Agents that come for what is offered whenever they are looked at, and apply it to a simulated device.
struct FakeAgents {
    fleet: SimulatedFleet,
    clock: Clock,
    told: Mutex<(Option<Offer>, Option<AgentReport>, bool)>,
    extended: Mutex<u32>,
}

impl FakeAgents {
    /// What an agent does with what it is offered.
    async fn comes(&self) {
        let (offer, report, may_confirm) = self.told.lock().unwrap().clone();
        let Some(offer) = offer else { return };
        let hash = offer.candidate.hash();
        let context = Context { confirm_within_ms: offer.confirm_within_ms, ..context(true) };
        let known = report.filter(|report| report.hash == hash);
        let word = match known.as_ref().map(|report| &report.word) {
            None => match self.fleet.commit(&context, &offer.candidate).await {
                Ok(()) if offer.waits => Word::Waiting,
                Ok(()) => match self.fleet.confirm(&context, &offer.candidate).await {
                    Ok(()) => Word::Applied,
                    Err(_) => return,
                },
                Err(AdapterError::Refused(words)) => Word::Refused(words),
                Err(_) => return,
            },
            Some(Word::Waiting) => {
                let runs = self.fleet.with(&device(), |device| device.running == offer.candidate.text).unwrap();
                match (runs, may_confirm) {
                    (false, _) => Word::TookBack("its timer went off".into()),
                    (true, true) if self.fleet.confirm(&context, &offer.candidate).await.is_ok() => Word::Applied,
                    (true, _) => Word::Waiting,
                }
            }
            Some(word) => word.clone(),
        };
        let saved = word == Word::Applied && self.fleet.save(&context).await.is_ok();
        let report = AgentReport { hash, word, startup_saved: saved, warnings: Vec::new() };
        self.told.lock().unwrap().1 = Some(report);
    }
}

impl AgentPort for FakeAgents {
    fn can_wait(&self) -> bool {
        true
    }

    fn view<'a>(&'a self, of: &'a Code) -> Doing<'a, AgentView> {
        Box::pin(async {
            self.clock.now_ms();
            self.comes().await;
            let context = context(false);
            let heard = self.fleet.identify(&context).await;
            let report = self.told.lock().unwrap().1.clone();
            let running = self.fleet.with(of, |device| device.running.clone());
            Ok(AgentView {
                is_heard: heard.is_ok(),
                family: heard.ok().and_then(|identity| identity.family),
                running,
                report,
                extended: *self.extended.lock().unwrap(),
            })
        })
    }

    fn offer<'a>(&'a self, _: &'a Code, offer: Offer) -> Doing<'a, ()> {
        Box::pin(async {
            let mut told = self.told.lock().unwrap();
            if told.0.as_ref().is_none_or(|known| known.candidate != offer.candidate) {
                *told = (Some(offer), None, false);
            }
            Ok(())
        })
    }

    fn problems<'a>(&'a self, _: &'a Code) -> Doing<'a, Vec<String>> {
        Box::pin(async { self.fleet.problems(&context(false), &candidate(NEW)).await })
    }

    fn confirm<'a>(&'a self, _: &'a Code, _: TextHash) -> Doing<'a, ()> {
        Box::pin(async {
            self.told.lock().unwrap().2 = true;
            Ok(())
        })
    }

    fn extend<'a>(&'a self, _: &'a Code, _: TextHash) -> Doing<'a, Option<u32>> {
        Box::pin(async {
            let offer = self.told.lock().unwrap().0.clone().unwrap();
            let context = Context { confirm_within_ms: offer.confirm_within_ms, ..context(true) };
            assert_eq!(self.fleet.extend(&context, &offer.candidate).await?, Extended::Anew);
            *self.extended.lock().unwrap() = 3;
            Ok(Some(3))
        })
    }

    fn withdraw<'a>(&'a self, _: &'a Code) -> Doing<'a, ()> {
        Box::pin(async {
            let _ = self.fleet.abort(&context(false)).await;
            *self.told.lock().unwrap() = (None, None, false);
            Ok(())
        })
    }
}

struct Bench {
    fleet: SimulatedFleet,
    clock: Clock,
    adapter: Box<dyn Adapter>,
}

impl Bench {
    fn new(which: Transport, time: &VirtualTime) -> Self {
        let clock: Clock = Arc::new(time.clone());
        let fleet = SimulatedFleet::new(Arc::clone(&clock));
        fleet.devices().insert(device(), SimulatedDevice::new(Family::Eos, OLD));
        let adapter: Box<dyn Adapter> = match which {
            Transport::InMemory => Box::new(fleet.clone()),
            Transport::EapiPush => {
                let driver = SimulatedDriver { fleet: fleet.clone(), candidate: Mutex::default() };
                Box::new(DriverAdapter::new(which, BTreeMap::from([(device(), Arc::new(driver))])))
            }
            Transport::AgentPull => {
                let port = FakeAgents {
                    fleet: fleet.clone(),
                    clock: Arc::clone(&clock),
                    told: Mutex::default(),
                    extended: Mutex::default(),
                };
                Box::new(AgentPull::new(port, Arc::clone(&clock)))
            }
        };
        Self { fleet, clock, adapter }
    }

    fn running(&self) -> String {
        self.fleet.with(&device(), |device| device.running.clone()).unwrap()
    }

    async fn bounded<T>(&self, verb: Doing<'_, T>) -> Option<Result<T, AdapterError>> {
        within(self.clock.as_ref(), LIMIT_MS, verb).await
    }
}

const ALL: [Transport; 3] = [Transport::InMemory, Transport::EapiPush, Transport::AgentPull];

fn each(test: impl AsyncFn(Bench)) {
    for which in ALL {
        in_virtual_time(async |time| test(Bench::new(which, &time)).await);
        println!("{} does", which.name());
    }
}

#[test]
fn every_adapter_maps_what_a_device_says() {
    each(async |bench| {
        let (adapter, context) = (&bench.adapter, context(true));
        assert_eq!(adapter.identify(&context).await.unwrap().family, Some(Family::Eos));
        assert_eq!(adapter.running(&context).await.unwrap(), OLD);
        let same = adapter.compare(&context, &candidate(OLD)).await.unwrap();
        assert_eq!((same.equal, same.diff.as_str()), (true, ""));
        let other = adapter.compare(&context, &candidate(NEW)).await.unwrap();
        assert!(!other.equal && other.diff.contains("-metric 3") && other.diff.contains("+metric 20"), "{other:?}");
        assert_eq!(bench.running(), OLD, "comparing changed something");
        let standing = adapter.standing(&context, &candidate(NEW)).await.unwrap();
        assert_eq!((standing.runs, standing.pending), (false, Pending::Nothing));
    });
}

#[test]
fn every_adapter_commits_confirms_and_saves() {
    each(async |bench| {
        let (adapter, context) = (&bench.adapter, context(true));
        adapter.commit(&context, &candidate(NEW)).await.unwrap();
        assert_eq!(bench.running(), NEW);
        let standing = adapter.standing(&context, &candidate(NEW)).await.unwrap();
        assert_eq!((standing.runs, standing.pending), (true, Pending::Ours));
        assert_eq!(adapter.problems(&context, &candidate(NEW)).await.unwrap(), Vec::<String>::new());
        adapter.confirm(&context, &candidate(NEW)).await.unwrap();
        adapter.save(&context).await.unwrap();
        sleep(bench.clock.as_ref(), Duration::from_millis(CONFIRM_MS * 2)).await;
        assert_eq!(bench.running(), NEW, "a confirmed commit went back");
        assert_eq!(bench.fleet.with(&device(), |device| device.startup.clone()).unwrap(), NEW);
    });
}

#[test]
fn every_adapter_takes_back_at_once_and_when_nobody_confirms() {
    each(async |bench| {
        let (adapter, context) = (&bench.adapter, context(true));
        adapter.abort(&context).await.unwrap();
        adapter.commit(&context, &candidate(NEW)).await.unwrap();
        adapter.abort(&context).await.unwrap();
        assert_eq!(bench.running(), OLD);
        adapter.abort(&context).await.unwrap();
        assert_eq!(bench.running(), OLD, "taking back twice");

        adapter.commit(&context, &candidate(NEW)).await.unwrap();
        sleep(bench.clock.as_ref(), Duration::from_millis(CONFIRM_MS + 1)).await;
        assert_eq!(bench.running(), OLD, "nobody confirmed");
        let late = bench.bounded(adapter.confirm(&context, &candidate(NEW))).await;
        assert!(matches!(late, Some(Err(AdapterError::TookBack(_)))), "{late:?}");
        assert_eq!(bench.running(), OLD, "a late confirmation brought it back");
    });
}

#[test]
fn every_adapter_says_what_went_wrong_and_leaves_old_or_new() {
    for fault in Fault::ALL {
        each(async |bench| {
            let (adapter, context) = (&bench.adapter, context(true));
            bench.fleet.with(&device(), |device| device.fault(Op::Commit, fault, 1)).unwrap();
            let made = bench.bounded(adapter.commit(&context, &candidate(NEW))).await;
            match (fault, &made) {
                (Fault::Refuse, Some(Err(error @ AdapterError::Refused(_)))) => {
                    let error = StepError::from(error.clone());
                    assert_eq!((error.class, error.trouble), (Class::Critical, Trouble::Validation));
                }
                (Fault::Away | Fault::LoseAnswer, Some(Err(error @ AdapterError::Unreachable(_)))) => {
                    let error = StepError::from(error.clone());
                    assert_eq!((error.class, error.trouble), (Class::Transient, Trouble::Device));
                }
                // An agent tries again by itself.
                (Fault::Away | Fault::LoseAnswer, Some(Ok(()))) => {
                    assert_eq!(adapter.transport(), Transport::AgentPull)
                }
                (Fault::Hang | Fault::DoAndHang, None) => {}
                (fault, made) => panic!("{fault:?} came to {made:?}"),
            }
            let running = bench.running();
            assert!(running == OLD || running == NEW);
            assert!(fault != Fault::Refuse || running == OLD);
            // Whatever it was, it can be taken back.
            adapter.abort(&context).await.unwrap();
            assert_eq!(bench.running(), OLD, "{fault:?}");
        });
    }
}

#[test]
fn a_time_that_begins_anew_counts_from_then_and_where_it_can_not_the_adapter_says_so() {
    each(async |bench| {
        let (adapter, context) = (&bench.adapter, context(true));
        adapter.commit(&context, &candidate(NEW)).await.unwrap();
        sleep(bench.clock.as_ref(), Duration::from_millis(CONFIRM_MS / 2)).await;
        let can = adapter.transport() != Transport::EapiPush;
        match bench.bounded(adapter.extend(&context, &candidate(NEW))).await.unwrap().unwrap() {
            Extended::Anew => assert!(can),
            Extended::Kept(why) => assert!(!can && !why.is_empty()),
        }
        sleep(bench.clock.as_ref(), Duration::from_millis(CONFIRM_MS * 3 / 4)).await;
        assert_eq!(bench.running() == NEW, can, "{}", adapter.transport().name());
        sleep(bench.clock.as_ref(), Duration::from_millis(CONFIRM_MS / 2)).await;
        assert_eq!(bench.running(), OLD, "it begins anew once for each word");
    });
}

#[test]
fn a_step_gone_silent_is_unreachable_and_never_good() {
    each(async |bench| {
        let (adapter, context) = (&bench.adapter, context(true));
        for op in [Op::Identify, Op::Standing, Op::Compare, Op::Running] {
            bench.fleet.with(&device(), |device| device.fault(op, Fault::Away, 1_000)).unwrap();
        }
        assert!(matches!(adapter.identify(&context).await, Err(AdapterError::Unreachable(_))));
        assert!(matches!(adapter.standing(&context, &candidate(OLD)).await, Err(AdapterError::Unreachable(_))));
        assert!(matches!(adapter.compare(&context, &candidate(OLD)).await, Err(AdapterError::Unreachable(_))));
        assert!(matches!(adapter.running(&context).await, Err(AdapterError::Unreachable(_))));
    });
}

#[test]
fn every_adapter_tells_neighbours_that_were_lost_after_the_commit() {
    each(async |bench| {
        let (adapter, context) = (&bench.adapter, context(true));
        adapter.commit(&context, &candidate(NEW)).await.unwrap();
        bench.fleet.with(&device(), |device| device.problems = vec!["no adjacency any more on eth1".into()]).unwrap();
        let problems = adapter.problems(&context, &candidate(NEW)).await.unwrap();
        assert_eq!(problems, ["no adjacency any more on eth1"]);
    });
}
