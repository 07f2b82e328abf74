//! Provisioning jobs on the real routers: the controller is started anew with its devices provisioned by jobs, and
//! afterwards as it was.
//!
//! What a router runs is asked of its FRR, and never of its agent or of the job that says so.

mod automatic;
mod network_change;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use causeway_controller::{
    jobs::{Jobs, JobsConfig, Policy, StoreAt, automatic::AutomaticConfig},
    orders::ByJobs,
    shared::now_ms,
};
use causeway_demo::screen::Screen;
use causeway_interface::Code;
use causeway_jobs::{
    Job,
    job::{Phase, StepStatus},
    kinds::Request,
    spec::{Family, JobId, Kind, Mode, Target, Transport, Trigger, Verb},
    status::{JobStatus, State},
};
use serde::Serialize;
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    args::Step,
    command::run,
    network::Place,
    probes::{Moment, Probes},
    report::Event,
    script::all_current,
    system::Lab,
};

/// File of jobs, in the run's folder.
const STORE: &str = "jobs.sqlite";
/// Who asks for jobs.
const ACTOR: &str = "lab";
/// Longest wait for every agent to have found the controller that was started: they try again every 30 s at the latest.
const BACK: Duration = Duration::from_secs(120);
/// Longest wait for anything of a job: a commit of every router, and another way back, on a machine that does all of them.
const JOB: Duration = Duration::from_secs(600);
/// Between two looks where nobody tells.
const LOOK: Duration = Duration::from_millis(100);
/// A job's events come in bursts, of which each is read from the first one on.
const BURST: Duration = Duration::from_millis(20);
/// Routers that are asked at once: who answers takes a core meanwhile.
const ASKED_AT_ONCE: usize = 2;
/// What is watched beyond a job.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// Times of the lab's jobs: a router that says nothing is to be found out in half a minute, and not in four. Nothing passes by
/// itself here but what is looked at while neighbours come back.
fn policy() -> Policy {
    Policy {
        retry_ms: Vec::new(),
        verify_retry_ms: vec![1_000, 2_000],
        // With saving, which waits until the generation's slot is final: 32 slots of 400 ms, and a poll.
        confirm_ms: 30_000,
        // The agents' own limit: a job that looks for the last time has to find that the router went back.
        confirm_within_ms: 200_000,
        confirm_more_ms: 0,
        ..Policy::default()
    }
}

/// What a job came to on the routers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// Of which event.
    pub event: &'static str,
    /// Its kind.
    pub kind: &'static str,
    /// Its status.
    pub status: &'static str,
    /// Its state.
    pub state: &'static str,
    /// The router that was made to fail; empty where none was.
    pub failing: String,
    /// Code of the error that it failed by; empty where it did not.
    pub error: String,
    /// Devices that the job says are neither on the one nor on the other.
    pub stuck: Vec<String>,
    /// Its devices.
    pub devices: usize,
    /// Of them, routers that run what they ran before, as read from their FRR.
    pub run_old: usize,
    /// And that run something else.
    pub run_new: usize,
    /// From its start to its end.
    pub seconds: f64,
}

/// What steps of jobs work with.
pub struct Crew<'a> {
    /// The lab.
    pub lab: &'a mut Lab,
    /// Where the story goes.
    pub screen: &'a mut Screen,
    /// The probes.
    pub probes: &'a mut Probes,
    /// A link that nobody needs.
    pub link: Code,
}

/// What came of a step.
#[derive(Debug, Default)]
pub struct Told {
    /// Of the traffic.
    pub events: Vec<Event>,
    /// Of the jobs.
    pub jobs: Vec<Outcome>,
}

/// What routers run, as their FRR tells it.
type Running = BTreeMap<Code, String>;

/// Does a step of jobs.
///
/// # Errors
/// A job did not come to what it has to, or a router runs what it must not.
pub async fn play(mut crew: Crew<'_>, step: Step) -> anyhow::Result<Told> {
    match step {
        Step::Automatic => crew.automatic().await,
        Step::NetworkChange => crew.network_change().await,
        Step::None
        | Step::LinkMaintenance
        | Step::DeviceMaintenance
        | Step::Changes
        | Step::LinkCut
        | Step::LinkSilent
        | Step::RouterCrash
        | Step::ControllerRestart
        | Step::AgentRestart => Ok(Told::default()),
    }
}

impl Crew<'_> {
    /// From now on devices are provisioned by jobs, and their first ones are over: each found that it runs what it is to run.
    async fn by_jobs(&mut self, automatic: AutomaticConfig) -> anyhow::Result<()> {
        let store = Some(StoreAt::File(self.lab.folder().join(STORE)));
        let by_jobs = ByJobs { all: true, ..ByJobs::default() };
        self.restart(JobsConfig { store, by_jobs, policy: policy(), automatic, ..JobsConfig::default() }).await?;
        let id = self.start(Kind::NetworkChange).await?;
        let job = self.over(id).await?;
        ensure!(job.status() == JobStatus::Provisioned, "the first jobs: {}", words(&job));
        self.screen.say(&format!("{} devices are provisioned by jobs from now on.", self.lab.places.len()));
        Ok(())
    }

    /// From now on the ledger is served continuously, as it was.
    async fn continuously(&mut self) -> anyhow::Result<()> {
        self.restart(JobsConfig::default()).await?;
        let deadline = Instant::now() + BACK;
        while !all_current(self.lab) {
            ensure!(Instant::now() < deadline, "the routers do not run what the ledger asks for, served continuously");
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    async fn restart(&mut self, jobs: JobsConfig) -> anyhow::Result<()> {
        let since = now_ms();
        self.lab.restart_controller(jobs, self.screen).await?;
        let deadline = Instant::now() + BACK;
        loop {
            let shared = self.lab.controller().context("the controller runs")?.shared();
            let polled = |code: &Code| shared.orders.of(code).said.is_some_and(|said| said.at_unix_ms >= since);
            let Some(missing) = self.lab.places.keys().find(|code| !polled(code)) else { return Ok(()) };
            ensure!(
                Instant::now() < deadline,
                "the agent of {missing} did not come to the controller that was started"
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    fn jobs(&self) -> anyhow::Result<Arc<Jobs>> {
        let controller = self.lab.controller().context("the controller runs")?;
        controller.shared().jobs.get().cloned().context("the controller has jobs")
    }

    /// Starts a job for every device.
    async fn start(&self, kind: Kind) -> anyhow::Result<JobId> {
        let target = |code: &Code| Target { device: *code, family: Family::Frr, transport: Transport::AgentPull };
        let request = Request {
            kind,
            targets: self.lab.places.keys().map(target).collect(),
            generation: None,
            mode: Mode::Replace,
            trigger: Trigger::Cli,
            actor: ACTOR.to_owned(),
            parent: None,
        };
        self.jobs()?.desk.start(&request, None).await.context("the job was not started")
    }

    /// Waits until a job is as it is to be.
    async fn until_job(&self, id: JobId, what: &str, so: impl Fn(&Job) -> bool) -> anyhow::Result<Job> {
        let jobs = self.jobs()?;
        let mut changed = jobs.changed.subscribe();
        let deadline = tokio::time::Instant::now() + JOB;
        loop {
            changed.borrow_and_update();
            let job = jobs.desk.job(id).await.context("the job can't be read")?;
            if so(&job) {
                return Ok(job);
            }
            if let Phase::Ended(_) = job.phase {
                bail!("the job was over before {what}: {}", words(&job));
            }
            if tokio::time::timeout_at(deadline, changed.changed()).await.is_err() {
                bail!("not within {} s: {what}: {}", JOB.as_secs(), words(&job));
            }
            tokio::time::sleep(BURST).await;
        }
    }

    async fn over(&self, id: JobId) -> anyhow::Result<Job> {
        self.until_job(id, "its end", |job| matches!(job.phase, Phase::Ended(_))).await
    }

    /// What every router runs, asked of its FRR.
    async fn running(&self) -> anyhow::Result<Running> {
        let turns = Arc::new(Semaphore::new(ASKED_AT_ONCE));
        let mut asked = JoinSet::new();
        for (code, place) in &self.lab.places {
            let (code, place, turns) = (*code, place.clone(), Arc::clone(&turns));
            asked.spawn(async move {
                let _turn = turns.acquire_owned().await?;
                anyhow::Ok((code, running(&place).await?))
            });
        }
        let mut all = Running::new();
        while let Some(answer) = asked.join_next().await {
            let (code, text) = answer.context("a router can't be asked")??;
            all.insert(code, text);
        }
        Ok(all)
    }

    /// What became of the traffic since a moment.
    async fn event(
        &mut self,
        name: &'static str,
        on: String,
        planned: bool,
        from: &Moment,
        began: Instant,
    ) -> anyhow::Result<Event> {
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tokio::time::sleep(AFTERWARDS).await;
        let window = self.probes.since(from).await?;
        Ok(Event::new(name, on, planned, &window, self.probes.per_second, took_ms))
    }
}

/// What a router runs, as its FRR tells it.
async fn running(place: &Place) -> anyhow::Result<String> {
    run("vtysh", &["-N", &place.namespace, "-c", "show running-config"]).await
}

/// What a job came to.
fn outcome(event: &'static str, failing: Option<Code>, job: &Job, before: &Running, after: &Running) -> Outcome {
    let devices: BTreeSet<Code> = job.spec.targets.iter().map(|target| target.device).collect();
    let run_old = devices.iter().filter(|code| before.get(code) == after.get(code)).count();
    let milliseconds = job.changed_ms.saturating_sub(job.started_ms);
    Outcome {
        event,
        kind: job.spec.kind.name(),
        status: job.status().name(),
        state: job.state().name(),
        failing: failing.map(|code| code.to_string()).unwrap_or_default(),
        error: error(job).map(|(code, _)| code).unwrap_or_default(),
        stuck: job.stuck_devices().iter().map(ToString::to_string).collect(),
        devices: devices.len(),
        run_old,
        run_new: devices.len() - run_old,
        seconds: (Duration::from_millis(milliseconds).as_secs_f64() * 10.0).round() / 10.0,
    }
}

/// Code and words of the first step that failed for good.
fn error(job: &Job) -> Option<(String, String)> {
    job.critically_failed().find_map(|index| {
        let (step, spec) = (job.steps.get(usize::from(index))?, job.spec.steps.get(usize::from(index))?);
        let error = step.forward.error.as_ref()?;
        let words = format!("{} of {}: {}: {}", spec.verb.name(), spec.device, error.code, error.message);
        Some((error.code.to_string(), words))
    })
}

/// Whether every step of a verb is done.
fn all_done(job: &Job, verb: Verb) -> bool {
    let mut of = job.steps.iter().zip(&job.spec.steps).filter(|(_, spec)| spec.verb == verb);
    of.all(|(step, _)| step.forward.is_good())
}

/// Whether some step of a verb has begun.
fn has_begun(job: &Job, verb: Verb) -> bool {
    let mut of = job.steps.iter().zip(&job.spec.steps).filter(|(_, spec)| spec.verb == verb);
    of.any(|(step, _)| step.forward.status != StepStatus::Pending)
}

/// How a job stands, for a person.
fn words(job: &Job) -> String {
    let stuck: Vec<String> = job.stuck_devices().iter().map(ToString::to_string).collect();
    let stuck = if stuck.is_empty() { String::new() } else { format!("; not known: {}", stuck.join(", ")) };
    let why = error(job).map(|(_, words)| format!(": {words}")).unwrap_or_default();
    format!("job {} is {}{why}{stuck}", job.id, job.state().name())
}

/// A job has to have ended so, with every router where that state says.
fn expect(outcome: &Outcome, states: &[State], new: bool, job: &Job) -> anyhow::Result<()> {
    let Outcome { event, run_old, run_new, .. } = outcome;
    ensure!(states.contains(&job.state()), "{event}: {}", words(job));
    let wrong = if new { *run_old } else { *run_new };
    let where_to = if new { "what they ran before" } else { "something else than before" };
    ensure!(wrong == 0, "{event}: {wrong} of {} routers run {where_to}; {}", outcome.devices, words(job));
    Ok(())
}
