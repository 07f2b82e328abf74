//! Provisioning jobs in a running controller: where they are kept, who works on them, and how they reach the ledger, the
//! renderer and the agents.
//!
//! Serving goes on without them: a store on a server that is away is asked for again until it is there, and until then
//! nobody can start a job. What agents are served for jobs is in [`crate::orders`].

pub mod automatic;
pub mod eapi;
pub mod health;
pub mod kept;
pub mod policy;
pub mod port;
pub mod roles;
pub mod source;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use causeway_interface::Code;
pub use causeway_jobs::kinds::Policy;
use causeway_jobs::{
    Desk, Engine, Job, Registry, Runner,
    adapter::agent_pull::AgentPull,
    clock::{self, Clock},
    error::StepError,
    event::Recorded,
    job::Phase,
    metrics::JobMetrics,
    rollout::{self, Rollout},
    runner::{Observer, RunError, RunnerConfig},
    spec::JobId,
    store::{JobStore, StoreError, postgres::PostgresStore, sqlite::SqliteStore},
};
use futures::future::BoxFuture;
use prometheus_client::registry::Registry as Prometheus;
use tokio::sync::watch;

use crate::{
    events::Change,
    job_events::JobEvents,
    job_start::AtDesk,
    orders::ByJobs,
    services::Asking,
    shared::{Shared, now_ms},
};

/// Between two tries to reach a store on a server that is away.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// How long ended jobs are kept: a quarter, so that the last maintenance can be looked up.
const KEPT_FOR_MS: u64 = 90 * 86_400_000;
/// Between two times that old jobs are forgotten.
const FORGET_PERIOD: Duration = Duration::from_secs(3_600);
/// Jobs that are forgotten in one go: a write that others wait for.
const FORGOTTEN: usize = 500;

/// Where jobs are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreAt {
    /// An SQLite file of this controller's.
    File(PathBuf),
    /// A PostgreSQL server, by its URL.
    Server(String),
}

impl StoreAt {
    /// From a setting: a URL, else a path.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            Self::Server(text.to_owned())
        } else {
            Self::File(PathBuf::from(text))
        }
    }
}

/// How a controller runs jobs.
#[derive(Clone, Debug, Default)]
pub struct JobsConfig {
    /// Where they are kept; without it there are none.
    pub store: Option<StoreAt>,
    /// Which devices are provisioned by jobs.
    pub by_jobs: ByJobs,
    /// Times and tries.
    pub policy: Policy,
    /// What a change on the ledger starts.
    pub automatic: automatic::AutomaticConfig,
    /// Switches that are pushed to over eAPI.
    pub eapi: eapi::Targets,
    /// Who has to agree, when devices may be begun, and how many in a time.
    pub changes: policy::ChangePolicy,
}

/// Jobs, as the parts of a controller use them.
pub struct Jobs {
    /// Where they are asked for.
    pub desk: Desk,
    /// Where they are kept.
    pub store: Arc<dyn JobStore>,
    /// Whether changes on the ledger start jobs.
    pub automatic: automatic::Switch,
    /// When devices may be begun.
    pub changes: policy::ChangePolicy,
    /// Counts up with every event that this controller recorded.
    pub changed: watch::Sender<u64>,
    metrics: Mutex<Prometheus>,
}

impl Jobs {
    /// Metrics in Prometheus' text format.
    #[must_use]
    pub fn metrics(&self) -> String {
        let registry = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        let mut page = String::new();
        // Writing to a string does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut page, &registry);
        // The end of the page of which this is a part is another one.
        page.strip_suffix("# EOF\n").map(str::to_owned).unwrap_or(page)
    }
}

/// Opens a store.
///
/// # Errors
/// It can't be used, or is away.
pub async fn open(at: &StoreAt, allow_plain: bool) -> Result<Arc<dyn JobStore>, StoreError> {
    match at {
        StoreAt::File(path) => {
            let path = path.clone();
            let opened = tokio::task::spawn_blocking(move || open_file(&path)).await;
            Ok(Arc::new(opened.map_err(|_| StoreError::Poisoned)??))
        }
        StoreAt::Server(url) => Ok(Arc::new(PostgresStore::open(url, allow_plain).await?)),
    }
}

fn open_file(path: &Path) -> Result<SqliteStore, StoreError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        // What is wrong with it is said of the file.
        let _ = std::fs::create_dir_all(folder);
    }
    SqliteStore::open(path)
}

/// Sets jobs up over a store, and answers what works on them.
///
/// # Errors
/// A switch can't be pushed to as it is set up.
pub fn set_up(
    shared: &Arc<Shared>,
    store: Arc<dyn JobStore>,
    config: &JobsConfig,
    holder: String,
) -> Result<Runner, eapi::Unusable> {
    let clock: Clock = clock::system();
    let agents = AgentPull::new(port::Agents::new(Arc::downgrade(shared)), Arc::clone(&clock));
    let mut registry = Registry::standard().over(Arc::new(agents));
    if !config.eapi.is_empty() {
        registry = registry.over(Arc::new(eapi::adapter(&config.eapi)?));
    }
    let notifier = Arc::new(Notices(Arc::downgrade(shared)));
    let source = Arc::new(source::Ledger::new(Arc::downgrade(shared)));
    let engine = Engine { source, notifier, registry: registry.clone(), clock: Arc::clone(&clock) };
    let mut metrics = Prometheus::default();
    let counting = JobMetrics::register(&mut metrics);
    let changed = watch::channel(0).0;
    let oracles = Arc::new(health::Attested::new(Arc::downgrade(shared)));
    let runner = Runner::new(Arc::new(engine), Arc::clone(&store), RunnerConfig::new(holder))
        .rolling(config.policy.clone(), oracles)
        .paced(config.changes.budget)
        .observed(Arc::new(counting.clone()))
        .observed(Arc::new(kept::Following::new(Arc::downgrade(shared), Arc::clone(&store))))
        .observed(Arc::new(Rings(changed.clone())))
        .observed(Arc::new(JobEvents::new(shared)))
        .reaching(Arc::new(port::Here::new(Arc::clone(&shared.presence), config.eapi.keys().copied().collect())));
    let roles = Arc::new(roles::LedgerRoles::new(Arc::downgrade(shared)));
    let desk = Desk::new(Arc::clone(&store), registry, config.policy.clone(), clock, Some(runner.waker()))
        .approved_by(config.changes.approvals(), roles)
        .counted(counting);
    shared.services.set_provision(Arc::new(AtDesk::new(desk.clone(), shared)));
    shared.services.set_job_store(Arc::new(Asking(Arc::clone(&store))));
    let automatic = automatic::Switch::new(config.automatic.enabled);
    let changes = config.changes.clone();
    let jobs = Jobs { desk, store, automatic, changes, changed, metrics: Mutex::new(metrics) };
    // Set up once for each controller.
    let _ = shared.jobs.set(Arc::new(jobs));
    Ok(runner)
}

/// A store, and who works on what is in it.
pub type Begun = (Arc<dyn JobStore>, Runner);

/// Works on jobs until the controller stops, once there is a store.
pub async fn work(shared: Arc<Shared>, begun: Option<Begun>, config: JobsConfig, plain: bool, name: String) {
    let mut stopping = shared.stopping.clone();
    let (store, runner) = match (begun, &config.store) {
        (Some(begun), _) => begun,
        (None, None) => return,
        (None, Some(at)) => loop {
            tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(TRY_AGAIN) => {}
            }
            match open(at, plain).await {
                Ok(store) => match set_up(&shared, Arc::clone(&store), &config, name.clone()) {
                    Ok(runner) => break (store, runner),
                    Err(error) => {
                        let cause = std::error::Error::source(&error).map(ToString::to_string);
                        tracing::error!(%error, ?cause, "there are no jobs");
                        return;
                    }
                },
                Err(error) => tracing::warn!(%error, "the store of jobs is away"),
            }
        },
    };
    tracing::info!(store = store.name(), "jobs are worked on");
    let automatic = async {
        if let Some(jobs) = shared.jobs.get() {
            automatic::follow(Arc::clone(&shared), Arc::clone(jobs), config.automatic.clone()).await;
        }
    };
    // A job that goes on without the ledger would find no device in it.
    let read = async {
        let (mut stopping, mut changed) = (shared.stopping.clone(), shared.subscribe());
        while shared.store().effective().is_none() {
            tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => return,
                more = changed.changed() => if more.is_err() { return },
            }
        }
    };
    read.await;
    let following = kept::Following::new(Arc::downgrade(&shared), Arc::clone(&store));
    let is_shared = store.is_shared();
    let others = async {
        if is_shared {
            following.follow_others().await;
        }
    };
    tokio::join!(
        runner.run(stopping),
        automatic,
        kept::look_up(Arc::clone(&shared), Arc::clone(&store)),
        others,
        forget(Arc::clone(&shared), store)
    );
}

/// Forgets old jobs.
async fn forget(shared: Arc<Shared>, store: Arc<dyn JobStore>) {
    let mut stopping = shared.stopping.clone();
    loop {
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(FORGET_PERIOD) => {}
        }
        match store.prune(now_ms().saturating_sub(KEPT_FOR_MS), FORGOTTEN).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "old jobs were forgotten"),
            Err(error) => tracing::warn!(%error, "old jobs can't be forgotten"),
        }
    }
}

/// Tells streams that there is something new.
struct Rings(watch::Sender<u64>);

impl Observer for Rings {
    fn recorded(&self, _: &Job, _: &Recorded) {
        self.0.send_modify(|count| *count += 1);
    }

    fn rollout_recorded(&self, _: &Rollout, _: &rollout::Recorded) {
        self.0.send_modify(|count| *count += 1);
    }

    fn left(&self, _: JobId, _: &RunError) {
        self.0.send_modify(|count| *count += 1);
    }
}

/// Tells whoever reads the controller's events.
struct Notices(std::sync::Weak<Shared>);

impl causeway_jobs::engine::Notifier for Notices {
    fn notify(&self, notice: causeway_jobs::engine::Notice) -> BoxFuture<'_, Result<(), StepError>> {
        Box::pin(async move {
            if let Some(shared) = self.0.upgrade() {
                let change = Change::JobDone {
                    device: notice.device,
                    job: notice.job.0,
                    job_kind: notice.kind.name().to_owned(),
                    correlation: notice.correlation,
                };
                shared.happened(vec![change]);
            }
            Ok(())
        })
    }
}

/// Devices whose orders a job that goes back, or did not reach its end, may have left open.
#[must_use]
pub fn to_withdraw(job: &Job) -> Vec<Code> {
    use causeway_jobs::{event::End, spec::Transport};
    match &job.phase {
        Phase::Back(_) | Phase::Ended(End::Back(_) | End::Stuck { .. }) => {
            let pulled = job.spec.targets.iter().filter(|target| target.transport == Transport::AgentPull);
            pulled.map(|target| target.device).collect()
        }
        Phase::Forward | Phase::Ended(End::Done | End::Partly(_)) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_a_servers_url_or_a_file() {
        for url in ["postgres://jobs@db/causeway", "postgresql://db/causeway"] {
            assert_eq!(StoreAt::parse(url), StoreAt::Server(url.to_owned()));
        }
        assert_eq!(StoreAt::parse("/var/lib/jobs.sqlite"), StoreAt::File("/var/lib/jobs.sqlite".into()));
        assert_eq!(StoreAt::parse("postgres"), StoreAt::File("postgres".into()));
    }
}
