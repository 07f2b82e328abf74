//! A running oracle: the endpoints, the rounds, the housekeeping, and their end.

use std::{
    collections::BTreeMap,
    fs::{File, TryLockError},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use causeway_interface::{Code, Key};
use causeway_sdk::address::to_key;
use solana_sdk::signer::Signer;
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};
use tracing::{info, warn};

use crate::{
    alerts::{Desk, webhook::Webhook},
    api::{self, Api},
    book::{RuleBook, RulesError},
    chain::Chain,
    config::{Config, StoreConfig},
    criteria::Verdict,
    evidence::store::{EvidenceError, EvidenceStore},
    ingest::{Prover, http},
    metrics::{Counters, Metrics},
    round::{Judge, Parts, Published, Settings},
    rpc::RpcChain,
    serve::serve,
    store::{self, StoreError, recorder::Recorder, writer::Writer},
    time,
};

/// Time between two calls of pruning. One call removes a bounded number of rows, so that this also bounds its load.
const PRUNE_INTERVAL: Duration = Duration::from_secs(30);
/// Calls of pruning in a row: more than a fleet of ten thousand devices adds between two times.
const PRUNE_CALLS: usize = 8;
/// Longest wait for each part when stopping: a round that is sending has its transactions' own limits.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Locked in the data directory for as long as an oracle runs. The lock goes with the process, however that ends.
const LOCK_FILE: &str = "oracle.lock";
/// The code of [`StartError::DataInUse`].
const DATA_IN_USE: &str = "CW-ORACLE-DATA-IN-USE";

/// Why an oracle did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Numbers are out of range.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Rules(Vec<RulesError>),
    /// The time between rounds is zero.
    #[error("the time between rounds has to be at least 100 ms")]
    Interval,
    /// The data directory can't be made or locked.
    #[error("data directory {} can't be made or locked", path.display())]
    DataDir {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Another process uses the data directory.
    #[error("{DATA_IN_USE}: data directory {} is in use by another process; stop it, or give this one a directory of its own", path.display())]
    DataInUse {
        /// Which.
        path: PathBuf,
    },
    /// The telemetry store can't be opened.
    #[error("the telemetry store can't be opened")]
    Store(#[from] StoreError),
    /// The evidence store can't be opened.
    #[error("the evidence store can't be opened")]
    Evidence(#[from] EvidenceError),
    /// The address can't be listened on.
    #[error("can't listen on {addr}")]
    Listen {
        /// Which.
        addr: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The system has no thread to give.
    #[error("a thread can't be started")]
    Thread(#[source] std::io::Error),
}

/// An oracle.
pub struct Oracle;

/// A running oracle. Dropping it stops it without waiting; [`OracleHandle::shutdown`] waits.
#[derive(Debug)]
pub struct OracleHandle {
    addr: SocketAddr,
    key: Key,
    published: watch::Receiver<Arc<Published>>,
    metrics: Metrics,
    stop: watch::Sender<bool>,
    tasks: Vec<(&'static str, JoinHandle<()>)>,
    writer: std::thread::JoinHandle<()>,
    /// Held until everything that writes has ended.
    _lock: File,
}

impl Oracle {
    /// Starts an oracle. It runs until [`OracleHandle::shutdown`]; a ledger that can't be reached is no error, because
    /// telemetry is taken meanwhile and rounds go on trying.
    ///
    /// # Errors
    /// See [`StartError`]: a wrong number, a file or a port that can't be had.
    pub async fn start(config: Config) -> Result<OracleHandle, StartError> {
        let metrics = Metrics::default();
        let chain = RpcChain::new(&config, &metrics);
        Self::start_on(config, chain, metrics).await
    }

    pub(crate) async fn start_on<C: Chain>(
        config: Config,
        chain: C,
        metrics: Metrics,
    ) -> Result<OracleHandle, StartError> {
        let program_id = to_key(&config.program_id);
        let rules = RuleBook::new(&config.rules, &config.overrides, &program_id).map_err(StartError::Rules)?;
        if config.round_interval < Duration::from_millis(100) {
            return Err(StartError::Interval);
        }
        std::fs::create_dir_all(&config.data_dir)
            .map_err(|source| StartError::DataDir { path: config.data_dir.clone(), source })?;
        let lock = lock(&config.data_dir)?;
        let bucket_ms = config.rules.bucket_ms;
        let store = open(config.store.clone(), config.data_dir.join("telemetry.sqlite"), bucket_ms).await?;
        let recorder = Arc::new(Recorder::new(store, bucket_ms));
        let evidence = Arc::new(EvidenceStore::open(&config.data_dir.join("evidence.sqlite"))?);
        let listen = |source| StartError::Listen { addr: config.http_addr, source };
        let listener = TcpListener::bind(config.http_addr).await.map_err(listen)?;
        let addr = listener.local_addr().map_err(listen)?;
        let (writer, writer_thread) = Writer::start(recorder.clone()).map_err(StartError::Thread)?;
        let prover = Prover::start().map_err(StartError::Thread)?;

        let (stop, stopped) = watch::channel(false);
        let (directory, known) = watch::channel(None);
        let (publish, published) = watch::channel(Arc::new(Published::default()));
        let (fail, failing) = watch::channel(None);
        let webhook = config.webhook.clone();
        let webhook = webhook.map(|url| Webhook::start(url, config.name.clone(), metrics.clone()));
        let (webhook, delivery) = webhook.unzip();
        let oracle = config.key.pubkey();
        let round_ms = u64::try_from(config.round_interval.as_millis()).unwrap_or(u64::MAX);
        info!(name = config.name, %addr, oracle = %oracle, "oracle started");

        let (limits, rate) = (config.limits, config.rate);
        let ingest =
            http::Parts { program_id, directory: known, prover, writer, limits, rate, metrics: metrics.clone() };
        let api = Api {
            name: config.name.clone(),
            oracle: to_key(&oracle),
            program_id,
            rules: rules.clone(),
            round_ms,
            published: published.clone(),
            failing,
            recorder: recorder.clone(),
            evidence: evidence.clone(),
            metrics: metrics.clone(),
        };
        let judge = Judge::new(Parts {
            settings: Settings {
                program_id,
                oracle,
                rules,
                batch: config.batch,
                round_ms,
                priority_fee_micro_lamports: config.priority_fee_micro_lamports,
                fee_budget_lamports_per_hour: config.fee_budget_lamports_per_hour,
            },
            chain: Arc::new(chain),
            recorder: recorder.clone(),
            evidence: evidence.clone(),
            metrics: metrics.clone(),
            directory,
            published: publish,
            failing: fail,
            desk: Desk::open(&config.data_dir, config.alerts, webhook),
        });
        let router = http::router(ingest).merge(api::router(api));
        let mut tasks = vec![
            ("http", tokio::spawn(serve(listener, router, config.connections, metrics.clone(), stopped.clone()))),
            ("rounds", tokio::spawn(rounds(judge, config.round_interval, stopped.clone()))),
            ("pruning", tokio::spawn(prune(recorder, evidence, config.retention, stopped))),
        ];
        // It ends once the rounds have ended and what they said is delivered.
        tasks.extend(delivery.map(|task| ("alerts", task)));
        Ok(OracleHandle {
            addr,
            key: to_key(&oracle),
            published,
            metrics,
            stop,
            tasks,
            writer: writer_thread,
            _lock: lock,
        })
    }
}

/// Opens the store that is asked for, on a thread that may block.
async fn open(
    config: StoreConfig,
    file: PathBuf,
    bucket_ms: u64,
) -> Result<Arc<dyn store::TelemetryStore>, StartError> {
    let opening = tokio::task::spawn_blocking(move || store::open(config, &file, bucket_ms));
    let ended = |error| StartError::Thread(std::io::Error::other(error));
    Ok(opening.await.map_err(ended)??)
}

fn lock(folder: &Path) -> Result<File, StartError> {
    let failed = |source| StartError::DataDir { path: folder.to_owned(), source };
    let file = File::options().create(true).truncate(false).write(true).open(folder.join(LOCK_FILE)).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::DataInUse { path: folder.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

async fn wait(mut stopped: watch::Receiver<bool>) {
    // An error means that the handle is gone, which is a stop as well.
    let _ = stopped.wait_for(|stop| *stop).await;
}

async fn rounds<C: Chain>(mut judge: Judge<C>, every: Duration, stopped: watch::Receiver<bool>) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = wait(stopped.clone()) => return,
            _ = ticks.tick() => {}
        }
        // A round is not cut off: what it has begun to send it also notes.
        judge.round().await;
    }
}

async fn prune(
    recorder: Arc<Recorder>,
    evidence: Arc<EvidenceStore>,
    retention: Duration,
    stopped: watch::Receiver<bool>,
) {
    let retention_ms = u64::try_from(retention.as_millis()).unwrap_or(u64::MAX);
    let mut ticks = interval(PRUNE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = wait(stopped.clone()) => return,
            _ = ticks.tick() => {}
        }
        let before_ms = time::now_ms().saturating_sub(retention_ms);
        let (recorder, evidence) = (recorder.clone(), evidence.clone());
        let pruned = tokio::task::spawn_blocking(move || {
            for _ in 0..PRUNE_CALLS {
                match recorder.prune(before_ms) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        warn!(%error, "telemetry not pruned");
                        break;
                    }
                }
            }
            if let Err(error) = evidence.prune(before_ms) {
                warn!(%error, "evidence not pruned");
            }
        });
        if pruned.await.is_err() {
            warn!("pruning was cut off");
        }
    }
}

impl OracleHandle {
    /// Where telemetry is taken and everything is served.
    #[must_use]
    pub fn http_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where agents and people find this oracle: `http://HOST:PORT`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The address of the telemetry endpoint.
    #[must_use]
    pub fn telemetry_url(&self) -> String {
        format!("http://{}/v1/telemetry", self.addr)
    }

    /// The oracle's key.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key
    }

    /// What the last complete round found.
    #[must_use]
    pub fn published(&self) -> Arc<Published> {
        self.published.borrow().clone()
    }

    /// Notices of each complete round.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<Published>> {
        self.published.clone()
    }

    /// The latest verdicts by code; where a device and a link have the same code, the device's.
    #[must_use]
    pub fn verdicts(&self) -> BTreeMap<Code, Verdict> {
        let published = self.published();
        // Links first, so that devices take the place of links of the same code.
        published.subjects.iter().rev().map(|((_, code), judged)| (*code, judged.verdict.clone())).collect()
    }

    /// Totals.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.metrics.counters()
    }

    /// Waits until a part ends by itself, which none does unless it failed.
    pub async fn ended(&mut self) -> &'static str {
        let waits = self.tasks.iter_mut().map(|(name, task)| {
            Box::pin(async move {
                let _ = task.await;
                *name
            })
        });
        futures::future::select_all(waits).await.0
    }

    /// Stops everything in order and waits, with a limit: no new telemetry, the round under way to its end, what was
    /// queued to the disk.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        for (name, task) in self.tasks.drain(..) {
            if task.is_finished() {
                continue;
            }
            let abort = task.abort_handle();
            if timeout(STOP_LIMIT, task).await.is_err() {
                warn!(name, "did not stop in time");
                abort.abort();
            }
        }
        let writer = self.writer;
        let joined = tokio::task::spawn_blocking(move || writer.join());
        if timeout(STOP_LIMIT, joined).await.is_err() {
            warn!("the writer did not stop in time");
        }
    }
}

#[cfg(test)]
#[path = "oracle_tests/mod.rs"]
pub(crate) mod tests;
