//! Jobs per second, end to end on simulated devices, beside the store's bare commits in the same run, for SQLite and a real
//! PostgreSQL. Numbers on stdout, everything else on stderr.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use causeway_interface::Code;
use causeway_jobs::{
    Desk, Engine, Registry, Runner,
    adapter::{
        Candidate,
        memory::{SimulatedDevice, SimulatedFleet},
    },
    clock::{self, Clock},
    engine::{NoNotifier, Source},
    error::StepError,
    kinds::{Policy, Request},
    runner::RunnerConfig,
    spec::{Family, JobId, Kind, Mode, Target, Transport, Trigger, Wanted},
    store::{
        Append, Filter, JobStore, NewJob, Summary,
        postgres::{PostgresStore, server::Server},
        sqlite::SqliteStore,
    },
    strategy::PreCheck,
};
use futures::future::BoxFuture;
use tokio::sync::watch;

/// Lines of a device's configuration: about that of one in a network of fifty.
const LINES: usize = 400;
/// Longest run of one store; slower than this is a defect.
const PATIENCE: Duration = Duration::from_secs(300);
/// As of an event in the midst of a job.
const BARE_EVENT: &str = r#"{"v":1,"at_ms":1790000000000,"event":{"step-began":{"step":5,"attempt":1}}}"#;

struct Texts;

impl Source for Texts {
    fn check<'a>(&'a self, _: &'a Code, _: Kind) -> BoxFuture<'a, Result<PreCheck, StepError>> {
        Box::pin(async { Ok(PreCheck::Ready("simulated".to_owned())) })
    }

    fn render<'a>(&'a self, target: &'a Target, _: Wanted) -> BoxFuture<'a, Result<Candidate, StepError>> {
        let text = (0..LINES).map(|line| format!("{} line {line}\n", target.device)).collect();
        Box::pin(async { Ok(Candidate { generation: 1, family: Family::Simulator, text }) })
    }
}

struct Arguments {
    jobs: usize,
    at_once: usize,
    json: bool,
}

fn arguments() -> Result<Arguments> {
    let mut read = Arguments { jobs: 1_000, at_once: 64, json: false };
    let mut all = std::env::args().skip(1);
    while let Some(argument) = all.next() {
        let mut number = || all.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0).context("a number is missing");
        match argument.as_str() {
            "--jobs" => read.jobs = number()?,
            "--at-once" => read.at_once = number()?,
            "--json" => read.json = true,
            // Cargo adds it.
            "--bench" => {}
            other => bail!("{other:?} is not one of --jobs N, --at-once N, --json"),
        }
    }
    Ok(read)
}

struct Measured {
    store: &'static str,
    jobs_per_second: f64,
    events_per_second: f64,
    bare_alone_per_second: f64,
    bare_together_per_second: f64,
}

/// Appends of one event each, to as many jobs at once as is said.
async fn bare(store: &Arc<dyn JobStore>, at_once: usize, appends: u64, name: &str) -> Result<f64> {
    let summary = Summary { status: "x".into(), state: "x".into(), percent: 0, holds: true, runnable: false };
    let mut jobs: Vec<JobId> = Vec::new();
    for n in 0..at_once {
        let devices = vec![format!("{name}-{n}").parse().context("a code")?];
        let new = NewJob {
            kind: "bare".into(),
            devices,
            parent: None,
            event: BARE_EVENT.into(),
            summary: summary.clone(),
            under: None,
        };
        jobs.push(store.start(new).await?);
    }
    let began = Instant::now();
    let writers = jobs.into_iter().map(|job| {
        let (store, summary) = (Arc::clone(store), summary.clone());
        tokio::spawn(async move {
            for seq in 1..=appends {
                let events = vec![BARE_EVENT.to_owned()];
                store
                    .append(Append { job, seq, token: None, events, artifacts: Vec::new(), summary: summary.clone() })
                    .await?;
            }
            anyhow::Ok(())
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await??;
    }
    Ok(at_once as f64 * appends as f64 / began.elapsed().as_secs_f64())
}

async fn measure(store: Arc<dyn JobStore>, arguments: &Arguments) -> Result<Measured> {
    let clock: Clock = clock::system();
    let fleet = SimulatedFleet::new(Arc::clone(&clock));
    let registry = Registry::standard().over(Arc::new(fleet.clone()));
    let engine = Engine {
        source: Arc::new(Texts),
        notifier: Arc::new(NoNotifier),
        registry: registry.clone(),
        clock: Arc::clone(&clock),
    };
    let config = RunnerConfig { jobs: arguments.at_once, ..RunnerConfig::new("bench") };
    let runner = Runner::new(Arc::new(engine), Arc::clone(&store), config);
    let desk = Desk::new(Arc::clone(&store), registry, Policy::default(), clock, Some(runner.waker()));
    for n in 0..arguments.jobs {
        let device: Code = format!("r{n}").parse().context("a code")?;
        fleet.devices().insert(device, SimulatedDevice::new(Family::Simulator, ""));
        let request = Request {
            kind: Kind::Provision,
            targets: vec![Target { device, family: Family::Simulator, transport: Transport::InMemory }],
            generation: None,
            mode: Mode::Replace,
            trigger: Trigger::Cli,
            actor: "bench".to_owned(),
            parent: None,
        };
        desk.start(&request, None).await?;
    }
    let (stop, stopping) = watch::channel(false);
    let began = Instant::now();
    let working = tokio::spawn(runner.run(stopping));
    let done = Filter { status: Some("PROVISIONED".to_owned()), ..Filter::default() };
    let mut events = 0;
    // A page at a time, from the youngest on: the last page is full when all are done.
    let mut left = arguments.jobs;
    while left > 0 {
        if began.elapsed() > PATIENCE {
            bail!("{left} jobs are not done after {PATIENCE:?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        let (mut found, mut filter) = (Vec::new(), done.clone());
        loop {
            let page = store.list(filter.clone(), 1_000).await?;
            let Some(last) = page.last() else { break };
            filter.before = Some(last.id);
            found.extend(page);
        }
        left = arguments.jobs - found.len();
        events = found.iter().map(|row| row.next_seq).sum();
    }
    let seconds = began.elapsed().as_secs_f64();
    stop.send_replace(true);
    working.await?;
    Ok(Measured {
        store: store.name(),
        jobs_per_second: arguments.jobs as f64 / seconds,
        events_per_second: events as f64 / seconds,
        bare_alone_per_second: bare(&store, 1, 500, "alone").await?,
        bare_together_per_second: bare(&store, arguments.at_once, 100, "all").await?,
    })
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = arguments()?;
    let folder = tempfile::tempdir()?;
    let sqlite: Arc<dyn JobStore> = Arc::new(SqliteStore::open(&folder.path().join("jobs.sqlite"))?);
    let server = Server::start(folder.path()).map_err(anyhow::Error::msg)?;
    let postgres: Arc<dyn JobStore> = Arc::new(PostgresStore::open(&server.url(), false).await?);
    let mut all = Vec::new();
    for store in [sqlite, postgres] {
        eprintln!("{}: {} jobs, {} at once", store.name(), arguments.jobs, arguments.at_once);
        all.push(measure(store, &arguments).await?);
    }
    if arguments.json {
        let rows = all.iter().map(|m| {
            serde_json::json!({
                "store": m.store,
                "jobs": arguments.jobs,
                "at_once": arguments.at_once,
                "jobs_per_second": m.jobs_per_second,
                "events_per_second": m.events_per_second,
                "bare_commits_per_second_alone": m.bare_alone_per_second,
                "bare_commits_per_second_together": m.bare_together_per_second,
            })
        });
        println!("{}", serde_json::Value::Array(rows.collect()));
    } else {
        for m in &all {
            println!(
                "{:8} {:7.0} jobs/s, {:7.0} events/s; bare commits {:7.0}/s one after the other, {:7.0}/s {} at once",
                m.store,
                m.jobs_per_second,
                m.events_per_second,
                m.bare_alone_per_second,
                m.bare_together_per_second,
                arguments.at_once
            );
        }
    }
    Ok(())
}
