//! Starts the parts of an agent and holds them together.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinHandle};

use crate::{
    apply::Applier,
    config::{AgentConfig, BUFFER_BYTES, ConfigError},
    driver::Driver,
    plan::Plan,
    pull::Puller,
    shared::{Shared, Status, unix_ms},
    state::{StateError, StateStore},
    telemetry::{self, Journal, Sampler, Sender},
};

/// A stop that takes longer than this is made short; the device's revert timer covers an apply that it cuts off.
pub const STOP_WITHIN: Duration = Duration::from_secs(30);
/// Idle connections per oracle: batches go one at a time.
const IDLE_CONNECTIONS: usize = 1;

/// An agent that can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What it is told can't work.
    #[error("the agent's configuration can not work")]
    Config(#[from] ConfigError),
    /// Its memory can't be read.
    #[error("the agent's state can not be used")]
    State(#[from] StateError),
    /// No HTTP client.
    #[error("no HTTP client can be made")]
    Http(#[from] reqwest::Error),
}

/// The agent of one device.
pub struct Agent;

impl Agent {
    /// Starts an agent on the current tokio runtime. Any number can run in one process; each has its own device.
    ///
    /// # Errors
    /// See [`StartError`]; then nothing runs.
    pub fn start<D: Driver>(config: AgentConfig, driver: D) -> Result<AgentHandle, StartError> {
        config.check()?;
        let store = Arc::new(StateStore::open(&config.state_dir, &config.device)?);
        let plan_path = config.state_dir.join(format!("{}.plan", config.device));
        let shared = Arc::new(Shared::new(Plan::load(&plan_path), store.memory().startup));
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build()?;
        let (config, driver) = (Arc::new(config), Arc::new(driver));
        let (stop, stopped) = watch::channel(false);
        let folder = telemetry::folder(&config.state_dir, &config.device);
        let journal = Arc::new(Journal::open(&folder, config.buffered_samples, BUFFER_BYTES));
        let sender = |url: &String| {
            let (config, store, shared) = (config.clone(), store.clone(), shared.clone());
            Arc::new(Sender::new(url.clone(), config, store, shared, http.clone(), journal.clone()))
        };
        let senders: Vec<Arc<Sender>> = config.oracles.iter().map(sender).collect();
        let sampler = Sampler::new(
            driver.clone(),
            shared.clone(),
            journal,
            senders.clone(),
            config.intervals.sample,
            config.probes_per_sample,
            config.device.clone(),
        );
        let applier = Applier::new(driver, store.clone(), config.limits);
        let puller = Puller::new(config.clone(), applier, store, shared.clone(), plan_path);
        let mut tasks = vec![tokio::spawn(puller.run(stopped.clone())), tokio::spawn(sampler.run(stopped.clone()))];
        tasks.extend(senders.into_iter().map(|sender| tokio::spawn(sender.run(stopped.clone()))));
        Ok(AgentHandle { watch: Watch { shared, started_unix_ms: unix_ms() }, stop, tasks })
    }
}

/// Sees how an agent stands, for as long as it likes.
#[derive(Clone)]
pub struct Watch {
    shared: Arc<Shared>,
    started_unix_ms: u64,
}

impl Watch {
    /// How it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.status().clone()
    }

    /// When it was started.
    #[must_use]
    pub const fn started_unix_ms(&self) -> u64 {
        self.started_unix_ms
    }
}

/// A running agent. Dropped, it stops at once, as if killed.
pub struct AgentHandle {
    watch: Watch,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl AgentHandle {
    /// How it stands.
    pub fn status(&self) -> Status {
        self.watch.status()
    }

    /// For whoever looks on.
    #[must_use]
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// Stops in good order: an apply that has begun is finished, within [`STOP_WITHIN`].
    pub async fn shutdown(mut self) {
        let _ = self.stop.send(true);
        let deadline = tokio::time::Instant::now() + STOP_WITHIN;
        for mut task in std::mem::take(&mut self.tasks) {
            if tokio::time::timeout_at(deadline, &mut task).await.is_err() {
                task.abort();
            }
        }
    }

    /// Ends at once, wherever it stands, as a killed process would.
    pub fn kill(self) {}
}

impl Drop for AgentHandle {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
