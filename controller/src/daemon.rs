//! A running controller: the ledger watched, configurations made, agents and people served, until it is told to stop.
//!
//! [`Controller::start`] binds its ports before it returns, so that what it returns can be used at once, and so that a port
//! in use is an error of the start. Nothing is served before the ledger was read once.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::serve::ListenerExt;
pub use causeway_connections::Peer;
use causeway_connections::serve;
use causeway_interface::{Code, Key};
use causeway_sdk::{
    address::to_pubkey,
    client::{Ledger, REQUEST_TIMEOUT},
    snapshot::Snapshot,
    watch::{Update, WatchConfig, Watcher},
};
use ed25519_dalek::SigningKey;
use solana_commitment_config::CommitmentConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinSet,
};

use crate::{
    agent_port,
    audit::{Audit, AuditError},
    change::Announced,
    guards::Limits,
    http::{self, serve::BOUNDS},
    jobs::{self, JobsConfig},
    kept::{self, KeptError},
    orders::Orders,
    prepare::Settings,
    render::{
        Family, Renderer,
        site::{Site, SiteError},
        timers,
    },
    shared::Shared,
    store::{ApplyState, Bundle, Signer},
    tls::{TlsError, TlsFiles, TlsListener},
};

/// Pause between two questions for the finalized slot: finality moves every few hundred milliseconds, and an agent that
/// saves its startup a second later loses nothing.
const FINALITY_PERIOD: Duration = Duration::from_secs(1);
/// Longest wait for open calls when stopping; streams end at once, so that only a stuck caller is cut off.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Small changes that wait to be taken in, a tenth of a second of the ledger each; with more, the next snapshot has them.
const UPDATES: usize = 64;

/// What a controller needs.
#[derive(Clone)]
pub struct Config {
    /// RPC node.
    pub rpc_url: String,
    /// Its websocket.
    pub ws_url: String,
    /// The program.
    pub program_id: Key,
    /// Where agents come in; port 0 for any.
    pub grpc_addr: SocketAddr,
    /// Where people come in; port 0 for any.
    pub http_addr: SocketAddr,
    /// Signs configurations.
    pub key: SigningKey,
    /// Overrides every device's platform.
    pub family: Option<Family>,
    /// Folder of the operator's snippets.
    pub site_dir: Option<PathBuf>,
    /// Milliseconds between BFD packets on links, within [`timers::BFD_INTERVALS_MS`].
    pub bfd_interval_ms: u16,
    /// Limits of the guards.
    pub limits: Limits,
    /// Who may approve over HTTP; without one, only callers on this machine.
    pub operator_token: Option<String>,
    /// File of the audit log; without one it is in memory.
    pub audit_file: Option<PathBuf>,
    /// File of what is served, by which the next start is measured; without one the first ledger that is read is taken as it is.
    pub served_file: Option<PathBuf>,
    /// Certificate and key for both ports.
    pub tls: Option<TlsFiles>,
    /// Serve without TLS also beyond this machine, where something else protects the way.
    pub allow_plain: bool,
    /// Provisioning jobs.
    pub jobs: JobsConfig,
}

impl Config {
    /// For the deployment at a node of this machine, on free ports of this machine.
    #[must_use]
    pub fn local(rpc_url: String, ws_url: String, program_id: Key, key: SigningKey) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            rpc_url,
            ws_url,
            program_id,
            grpc_addr: any,
            http_addr: any,
            key,
            family: None,
            site_dir: None,
            bfd_interval_ms: timers::BFD_INTERVAL_MS,
            limits: Limits::default(),
            operator_token: None,
            audit_file: None,
            served_file: None,
            tls: None,
            allow_plain: false,
            jobs: JobsConfig::default(),
        }
    }
}

/// Why a controller did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not this machine's.
    #[error("{what} can't listen on {address}")]
    Bind {
        /// Which server.
        what: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Beyond this machine, the way has to be protected.
    #[error("{what} on {address} would be without TLS: give a certificate and key, or allow plain connections")]
    Plain {
        /// Which server.
        what: &'static str,
        /// Where.
        address: SocketAddr,
    },
    /// Snippets can't be used.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// Certificate or key can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The audit log can't be used.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// What was served before can't be used.
    #[error(transparent)]
    Kept(#[from] KeptError),
    /// The store of jobs can't be used.
    #[error("the store of jobs can't be used")]
    Jobs(#[from] causeway_jobs::store::StoreError),
    /// A switch can't be pushed to as it is set up.
    #[error(transparent)]
    Eapi(#[from] jobs::eapi::Unusable),
    /// No random numbers.
    #[error("the system gives no random numbers")]
    Random(#[source] rand::Error),
}

/// Starts controllers.
#[derive(Clone, Copy, Debug)]
pub struct Controller;

impl Controller {
    /// Starts one that watches the ledger.
    ///
    /// # Errors
    /// See [`StartError`]. A ledger that can't be reached is none: it is tried again until it can.
    pub async fn start(config: Config) -> Result<ControllerHandle, StartError> {
        let program_id = to_pubkey(&config.program_id);
        let ledger = Ledger::new(&config.rpc_url, program_id);
        let (sender, updates) = mpsc::channel(UPDATES);
        let watch = WatchConfig::default();
        let watcher = Watcher::start_telling(ledger.clone(), &config.ws_url, watch, Some(sender));
        let mut handle = Self::serve(config).await?;
        handle.tasks.spawn(follow_ledger(watcher, updates, Arc::clone(&handle.shared)));
        handle.shared.services.set_node(Arc::new(ledger.clone()));
        handle.tasks.spawn(follow_finality(ledger, Arc::clone(&handle.shared)));
        Ok(handle)
    }

    /// Starts one that takes snapshots from elsewhere: tests, replays.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start_from(
        config: Config,
        snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    ) -> Result<ControllerHandle, StartError> {
        let mut handle = Self::serve(config).await?;
        handle.tasks.spawn(take_in(snapshots, Arc::clone(&handle.shared)));
        Ok(handle)
    }

    /// Serves what there is, which is nothing yet.
    async fn serve(config: Config) -> Result<ControllerHandle, StartError> {
        let site = config.site_dir.as_deref().map(Site::read).transpose()?.unwrap_or_default();
        let tls = config.tls.as_ref().map(TlsFiles::load).transpose()?;
        let program_id = config.program_id;
        let kept = config.served_file.as_deref().map(|path| kept::read(path, &program_id)).transpose()?.flatten();
        for (what, address) in [("gRPC", config.grpc_addr), ("HTTP", config.http_addr)] {
            if tls.is_none() && !config.allow_plain && !address.ip().is_loopback() {
                return Err(StartError::Plain { what, address });
            }
        }
        let (grpc, grpc_addr) = bind("gRPC", config.grpc_addr).await?;
        let (http, http_addr) = bind("HTTP", config.http_addr).await?;
        let mut secret = [0; 32];
        rand::RngCore::try_fill_bytes(&mut rand::rngs::OsRng, &mut secret).map_err(StartError::Random)?;
        let (stop, stopping) = watch::channel(false);
        let signer = Signer { key: config.key, program_id: config.program_id };
        let settings = Settings {
            renderer: Renderer::new(config.family, site).with_bfd_interval(config.bfd_interval_ms),
            limits: config.limits,
        };
        let audit = match &config.audit_file {
            Some(path) => Audit::open(path)?,
            None => Audit::in_memory()?,
        };
        let jobs_store = match &config.jobs.store {
            Some(at) => jobs::open(at, config.allow_plain).await.map(Some).or_else(|error| {
                // What can be away is asked again; nobody's configuration waits for it.
                if !error.is_away() || matches!(at, jobs::StoreAt::File(_)) {
                    return Err(error);
                }
                tracing::warn!(%error, "the store of jobs is away");
                Ok(None)
            })?,
            None => None,
        };
        // Found out before anything is served, also while the store is away.
        jobs::eapi::adapter(&config.jobs.eapi)?;
        let mut by_jobs = config.jobs.by_jobs.clone();
        by_jobs.pushed.extend(config.jobs.eapi.keys().copied());
        let orders = Orders::new(by_jobs);
        let token = config.operator_token;
        let shared = Arc::new(Shared::new(signer, settings, orders, token, audit, secret, stopping.clone()));
        if let Some(kept) = kept {
            tracing::info!(
                slot = kept.effective.slot,
                "the first ledger that is read is measured by what was served before"
            );
            shared.begin_from(kept);
        }

        let mut tasks = JoinSet::new();
        if let Some(path) = config.served_file {
            tasks.spawn(kept::keep(Arc::clone(&shared), path));
        }
        // Its name among the controllers of one store: unlike that of another process at this address before it.
        let name = format!("{http_addr}-{:08x}", rand::random::<u32>());
        let begun = match jobs_store {
            Some(store) => {
                let runner = jobs::set_up(&shared, Arc::clone(&store), &config.jobs, name.clone())?;
                Some((store, runner))
            }
            None => None,
        };
        tasks.spawn(jobs::work(Arc::clone(&shared), begun, config.jobs, config.allow_plain, name));
        let app = http::router(Arc::clone(&shared));
        let (of_people, of_agents) = (Arc::clone(&shared), Arc::clone(&shared));
        let refused = move || of_people.metrics.connection_refused();
        match tls {
            None => {
                let grpc = grpc.tap_io(at_once);
                tasks.spawn(agent_port::serve(grpc, Arc::clone(&shared), agent_port::BOUNDS, stopping.clone()));
                tasks.spawn(serve(http, app, BOUNDS, refused, stopping.clone()));
            }
            Some(tls) => {
                let refused_agent = move || of_agents.metrics.agent_connection_refused();
                let grpc =
                    TlsListener::start(grpc, grpc_addr, tls.server_config(b"h2")?, refused_agent, stopping.clone());
                tasks.spawn(agent_port::serve(grpc, Arc::clone(&shared), agent_port::BOUNDS, stopping.clone()));
                let config = tls.server_config(b"http/1.1")?;
                let http = TlsListener::start(http, http_addr, config, refused.clone(), stopping.clone());
                tasks.spawn(serve(http, app, BOUNDS, refused, stopping.clone()));
            }
        }
        tracing::info!(%grpc_addr, %http_addr, program_id = %config.program_id, "controller started");
        Ok(ControllerHandle { grpc_addr, http_addr, shared, stop, tasks })
    }
}

/// A running controller. Dropping it ends it at once; [`ControllerHandle::shutdown`] ends it in order.
pub struct ControllerHandle {
    /// Where agents come in.
    pub grpc_addr: SocketAddr,
    /// Where people come in.
    pub http_addr: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl ControllerHandle {
    /// The current configuration of a device: text, generation, hash, diff.
    #[must_use]
    pub fn bundle(&self, device: &Code) -> Option<Arc<Bundle>> {
        self.shared.store().entry(device)?.current.clone()
    }

    /// How a device stands to its configuration.
    #[must_use]
    pub fn apply_state(&self, device: &Code) -> Option<ApplyState> {
        self.shared.store().entry(device).map(crate::store::Entry::apply_state)
    }

    /// Key that configurations are signed with.
    #[must_use]
    pub fn controller_key(&self) -> [u8; 32] {
        self.shared.signer.key.verifying_key().to_bytes()
    }

    /// The state beneath.
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Ends streams, lets open calls finish within a bound, and ends.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_LIMIT, all).await.is_err() {
            tracing::warn!("calls still open when stopping were cut off");
            self.tasks.abort_all();
        }
    }
}

async fn bind(what: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let error = |source| StartError::Bind { what, address, source };
    let listener = TcpListener::bind(address).await.map_err(error)?;
    let bound = listener.local_addr().map_err(error)?;
    Ok((listener, bound))
}

/// A notice is a few bytes, and is not to wait until the agent has acknowledged the one before it.
fn at_once(stream: &mut TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection sends small packets late");
    }
}

/// Takes each snapshot in, the latest only where several came meanwhile.
async fn take_in(mut snapshots: watch::Receiver<Option<Arc<Snapshot>>>, shared: Arc<Shared>) {
    let mut stopping = shared.stopping.clone();
    loop {
        let snapshot = snapshots.borrow_and_update().clone();
        if let Some(snapshot) = snapshot {
            let shared = Arc::clone(&shared);
            blocking(move || shared.ingest(snapshot)).await;
        }
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            more = snapshots.changed() => if more.is_err() {
                tracing::warn!("no more snapshots come; what is served stays");
                return;
            },
        }
    }
}

/// Takes the ledger in as it changes: small changes as they are told, anything else as whole snapshots. Holds the watcher,
/// which ends with this.
async fn follow_ledger(watcher: Watcher, mut updates: mpsc::Receiver<Update>, shared: Arc<Shared>) {
    let mut stopping = shared.stopping.clone();
    let mut watched = watcher.receiver();
    // Version of the snapshot that is taken in; 0 before the first.
    let mut taken = 0;
    let mut reprobe = false;
    loop {
        if std::mem::take(&mut reprobe) && updates.is_empty() {
            let shared = Arc::clone(&shared);
            blocking(move || shared.reprobe()).await;
        }
        let news = tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => return,
            Some(update) = updates.recv() => Some(update),
            more = watched.changed() => if more.is_ok() { None } else { return },
        };
        let shared = Arc::clone(&shared);
        match news {
            Some(update) if taken != 0 && update.version == taken + 1 => {
                let announced = Announced { slot: update.slot, accounts: update.accounts };
                if let Some(Some(stale)) = blocking(move || shared.ingest_change(&announced)).await {
                    taken = update.version;
                    reprobe |= stale;
                }
            }
            // Not the next one: the snapshot that it led to has it.
            Some(_) => {}
            None => {
                let (version, snapshot) = {
                    let watched = watched.borrow_and_update();
                    (watched.version, watched.snapshot.clone())
                };
                // The watcher also tells of failures, which are its to log, and of what was taken in as an update.
                let Some(snapshot) = snapshot.filter(|_| version > taken) else { continue };
                if blocking(move || shared.ingest(snapshot)).await.is_some() {
                    taken = version;
                }
            }
        }
    }
}

/// Does what takes a while where it keeps nobody waiting; none when it panicked.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Some(done),
        Err(error) => {
            tracing::error!(%error, "the ledger's news could not be taken in; what is served stays");
            None
        }
    }
}

async fn follow_finality(ledger: Ledger, shared: Arc<Shared>) {
    let mut stopping = shared.stopping.clone();
    let mut failing = false;
    loop {
        let asked = ledger.rpc().get_slot_with_commitment(CommitmentConfig::finalized());
        let answer = tokio::time::timeout(REQUEST_TIMEOUT, asked).await;
        match answer.map_err(|_| "no answer in time".to_string()).and_then(|a| a.map_err(|e| e.to_string())) {
            Ok(slot) => {
                failing = false;
                shared.finalized(slot);
            }
            Err(error) => {
                if !failing {
                    tracing::warn!(%error, "the finalized slot can't be read");
                }
                failing = true;
            }
        }
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(FINALITY_PERIOD) => {}
        }
    }
}
