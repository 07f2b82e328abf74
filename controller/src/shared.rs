//! What the parts of a running controller share, and how they touch it. Locks are held for look-ups and swaps only, never
//! across an await or while texts are made.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use causeway_connections::{Guests, Place, address_of};
use causeway_interface::{Code, Key};
use causeway_sdk::snapshot::Snapshot;
use tokio::sync::watch;

use crate::{
    audit::Audit,
    auth::{AuthError, Gate},
    change::{self, Announced},
    events::{Change, EventLog},
    guards::Unreadable,
    http::{aside::Aside, whole::Wholes},
    jobs::Jobs,
    metrics::{Metrics, What},
    orders::{Orders, Said},
    prepare::{Settings, device_codes, prepare, probes},
    presence::Presence,
    rate::RateLimit,
    running::Desk,
    services::Services,
    signed::Seen,
    store::{ApproveError, Kept, Report, Signer, Store, Word},
    topology::Topology,
};

/// Calls of a session: an agent that asks each second and reports has room tenfold.
const SESSION_BURST: f64 = 50.0;
const SESSION_PER_SECOND: f64 = 10.0;
/// Calls before a session, per address and device: an agent that starts over again and again.
const ANONYMOUS_BURST: f64 = 20.0;
const ANONYMOUS_PER_SECOND: f64 = 2.0;
/// What an address asks for without an operator's token, over HTTP and as streams of events: a page asks for seven answers a
/// second while everything changes, and an address may be a proxy in front of thirty.
const CALLER_BURST: f64 = 2_000.0;
const CALLER_PER_SECOND: f64 = 200.0;
/// Streams of events at a time: people's pages and a few scripts, each a connection, a task and up to 64 waiting events.
pub const EVENT_STREAMS: usize = 1_024;
/// Of one address, as of connections over HTTP. Not of this machine itself.
const EVENT_STREAMS_PER_ADDRESS: usize = EVENT_STREAMS / 8;

/// The state of a running controller.
pub struct Shared {
    store: RwLock<Store>,
    before: Mutex<Option<Arc<Kept>>>,
    gate: Mutex<Gate>,
    sessions: Mutex<RateLimit<Code>>,
    anonymous: Mutex<RateLimit<(IpAddr, Code)>>,
    callers: Mutex<RateLimit<IpAddr>>,
    finalized_slot: AtomicU64,
    changed: watch::Sender<u64>,
    /// When the ledger was last read, whether or not it was acted on, unix milliseconds; 0 for never.
    heard_unix_ms: AtomicU64,
    /// When the ledger was last taken in, unix milliseconds; 0 for never.
    taken_unix_ms: AtomicU64,
    /// Counts up with every change of what is served, under the store's lock; not with polls.
    served_version: AtomicU64,
    /// Questions for what runs.
    pub desk: Desk,
    /// What agents are served for jobs, and what they say of it.
    pub orders: Orders,
    /// Which devices' agents are here.
    pub presence: Arc<Presence>,
    /// Provisioning jobs, once their store is there.
    pub jobs: OnceLock<Arc<Jobs>>,
    /// What happened.
    pub events: EventLog,
    /// Room for streams of events, [`EVENT_STREAMS`] in all and an eighth of them for one address.
    pub event_streams: Guests,
    /// Work for callers that takes a while.
    pub aside: Aside,
    /// Answers that are large and the same for everybody.
    pub wholes: Wholes,
    /// Counters.
    pub metrics: Metrics,
    /// Who signs.
    pub signer: Signer,
    /// How configurations are made.
    pub settings: Settings,
    /// Signatures of requests that were used.
    pub signed: Seen,
    /// Who may approve over HTTP; without one, only callers on this machine.
    pub operator_token: Option<String>,
    /// What the API calls beside this.
    pub services: Services,
    /// Who did what.
    pub audit: Audit,
    /// Becomes true when everything is to end.
    pub stopping: watch::Receiver<bool>,
}

impl Shared {
    /// Nothing served yet.
    #[must_use]
    pub fn new(
        signer: Signer,
        settings: Settings,
        orders: Orders,
        operator_token: Option<String>,
        audit: Audit,
        secret: [u8; 32],
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self {
            store: RwLock::new(Store::default()),
            before: Mutex::new(None),
            gate: Mutex::new(Gate::new(secret, signer.program_id)),
            sessions: Mutex::new(RateLimit::new(SESSION_BURST, SESSION_PER_SECOND)),
            anonymous: Mutex::new(RateLimit::new(ANONYMOUS_BURST, ANONYMOUS_PER_SECOND)),
            callers: Mutex::new(RateLimit::new(CALLER_BURST, CALLER_PER_SECOND)),
            finalized_slot: AtomicU64::new(0),
            changed: watch::channel(0).0,
            heard_unix_ms: AtomicU64::new(0),
            taken_unix_ms: AtomicU64::new(0),
            served_version: AtomicU64::new(0),
            desk: Desk::new(now_ms()),
            orders,
            presence: Arc::default(),
            jobs: OnceLock::new(),
            events: EventLog::new(now_ms().saturating_mul(1_000)),
            event_streams: Guests::new(EVENT_STREAMS, EVENT_STREAMS_PER_ADDRESS),
            aside: Aside::default(),
            wholes: Wholes::default(),
            metrics: Metrics::default(),
            signer,
            settings,
            signed: Seen::default(),
            operator_token,
            services: Services::default(),
            audit,
            stopping,
        }
    }

    /// What is served.
    pub fn store(&self) -> RwLockReadGuard<'_, Store> {
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn store_mut(&self) -> RwLockWriteGuard<'_, Store> {
        let store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        self.served_version.fetch_add(1, Ordering::AcqRel);
        store
    }

    /// What is served, and the version that it is: nothing but polls has changed it while the version is the same.
    pub fn store_version(&self) -> (RwLockReadGuard<'_, Store>, u64) {
        let store = self.store();
        let version = self.served_version.load(Ordering::Acquire);
        (store, version)
    }

    /// Nonces and sessions.
    pub fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts up with everything that agents are to be told.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The latest finalized slot known; 0 before the first.
    #[must_use]
    pub fn finalized_slot(&self) -> u64 {
        self.finalized_slot.load(Ordering::Acquire)
    }

    /// Notes a finalized slot; an older one than known is ignored.
    pub fn finalized(&self, slot: u64) {
        if self.finalized_slot.fetch_max(slot, Ordering::AcqRel) < slot {
            self.changed.send_modify(|version| *version += 1);
        }
    }

    /// Has the first snapshot measured by what was served before this process.
    pub fn begin_from(&self, kept: Kept) {
        *self.before.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(kept));
    }

    /// What was served before this process, until the first snapshot was measured by it.
    fn begun(&self, live: &Snapshot) -> Result<Option<Store>, Unreadable> {
        let before = self.before.lock().unwrap_or_else(PoisonError::into_inner).clone();
        before.map(|kept| Store::begun_from(&kept, live, &self.settings, &self.signer)).transpose()
    }

    /// Takes a snapshot in: prepares beside what is served, then swaps. A snapshot that can't be trusted changes nothing.
    pub fn ingest(&self, snapshot: Arc<Snapshot>) {
        let slot = snapshot.slot;
        let began = Instant::now();
        let prepared = self.begun(&snapshot).and_then(|begun| {
            let basis = begun.as_ref().map_or_else(|| self.store().basis(), Store::basis);
            Ok((prepare(&basis, &snapshot, &self.settings)?, begun))
        });
        let changes = match prepared {
            Ok((prepared, begun)) => {
                let mut store = self.store_mut();
                if let Some(begun) = begun {
                    store.begin(begun);
                    *self.before.lock().unwrap_or_else(PoisonError::into_inner) = None;
                }
                let changes = store.commit(prepared, &self.signer, &self.settings.limits);
                drop(store);
                let store = self.store();
                self.orders.keep(|device| store.entry(device).is_some());
                drop(store);
                self.metrics.rendered(What::Snapshot, began.elapsed());
                self.taken();
                changes
            }
            Err(error) => {
                tracing::warn!(slot, code = error.code(), %error, "ledger not acted on");
                self.heard_unix_ms.store(now_ms(), Ordering::Release);
                if error == Unreadable::Empty {
                    self.services.set_bare(Arc::clone(&snapshot));
                }
                self.store_mut().refuse(error.code(), error.to_string())
            }
        };
        self.tell(slot, changes);
    }

    /// Takes a small change in; none for one that is not small, which changes nothing here and comes with the next snapshot.
    /// Says whether [`Shared::reprobe`] is due. Only one caller at a time may take changes and snapshots in.
    #[must_use]
    pub fn ingest_change(&self, announced: &Announced) -> Option<bool> {
        let began = Instant::now();
        let prepared = {
            let store = self.store();
            let served = store.served()?;
            change::prepare(&served, announced, |device| store.made_of(device), &self.settings.renderer)?
        };
        let reprobe = prepared.probes;
        let changes = self.store_mut().commit_change(prepared, &self.signer, &self.settings.limits);
        self.metrics.rendered(What::Change, began.elapsed());
        self.taken();
        self.tell(announced.slot, changes);
        Some(reprobe)
    }

    /// Makes the probe plans anew by what is served. Who probes whom depends on the whole network's shape; configurations
    /// don't wait for it.
    pub fn reprobe(&self) {
        // Not under a lock, and let go of before the next change is taken in.
        let Some(effective) = self.store().effective().cloned() else { return };
        let probes = probes(&Topology::new(&effective), &device_codes(&effective));
        let slot = effective.slot;
        drop(effective);
        self.store_mut().take_probes(probes);
        self.tell(slot, Vec::new());
    }

    /// Serves a held text.
    ///
    /// # Errors
    /// See [`ApproveError`].
    pub fn approve(&self, device: &Code, sha256: &[u8; 32]) -> Result<(), ApproveError> {
        let (slot, changes) = {
            let mut store = self.store_mut();
            (store.slot(), store.approve(device, sha256, &self.signer)?)
        };
        tracing::info!(%device, sha256 = hex::encode(sha256), "held configuration approved");
        self.tell(slot, changes);
        Ok(())
    }

    /// Notes that an agent asked, whether it was given a text, and what it said of what runs.
    pub fn polled(&self, device: &Code, word: Option<Word>, said: Said, with_text: bool) {
        self.metrics.polled(with_text);
        self.orders.polled(device, said);
        // It changes nothing that is served.
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        store.polled(device, word, now_ms());
    }

    /// Asks the agent of a device what runs; the number of the question. None where too many are open.
    #[must_use]
    pub fn ask_running(&self, device: &Code) -> Option<u64> {
        let number = self.desk.ask(*device, now_ms())?;
        self.nudge();
        Some(number)
    }

    /// Tells agents that there may be something for them.
    pub fn nudge(&self) {
        self.changed.send_modify(|version| *version += 1);
    }

    /// When the ledger was last read, whether or not it was acted on, unix milliseconds; 0 for never.
    #[must_use]
    pub fn heard_unix_ms(&self) -> u64 {
        self.heard_unix_ms.load(Ordering::Acquire)
    }

    /// When the ledger was last taken in, unix milliseconds; 0 for never. Whoever acts on what is served goes by this.
    #[must_use]
    pub fn taken_unix_ms(&self) -> u64 {
        self.taken_unix_ms.load(Ordering::Acquire)
    }

    fn taken(&self) {
        let now_ms = now_ms();
        self.heard_unix_ms.store(now_ms, Ordering::Release);
        self.taken_unix_ms.store(now_ms, Ordering::Release);
    }

    /// As if the ledger had been read and taken in so long before.
    #[cfg(any(test, feature = "testing"))]
    pub fn age(&self, by_ms: u64) {
        for at in [&self.heard_unix_ms, &self.taken_unix_ms] {
            at.store(at.load(Ordering::Acquire).saturating_sub(by_ms), Ordering::Release);
        }
    }

    /// Notes a report.
    pub fn report(&self, device: &Code, report: Report) {
        self.metrics.report(report.result);
        self.orders.reported(device, &report, &self.signer);
        let (slot, change) = {
            let mut store = self.store_mut();
            (store.slot(), store.report(device, report))
        };
        self.tell(slot, change.into_iter().collect());
    }

    /// Notes what happened beside the ledger.
    pub fn happened(&self, changes: Vec<Change>) {
        let slot = self.store().slot();
        self.tell(slot, changes);
    }

    fn tell(&self, slot: u64, changes: Vec<Change>) {
        for change in &changes {
            log(slot, change);
            self.metrics.happened(change.kind());
        }
        if !changes.is_empty() {
            self.events.push(slot, changes);
        }
        self.changed.send_modify(|version| *version += 1);
    }

    /// The ledger's agent key of a device, zero for none; nothing for a device that isn't there.
    #[must_use]
    pub fn agent_key(&self, device: &Code) -> Option<Key> {
        self.store().device(device).map(|d| d.agent_key)
    }

    /// The device of a session token, if it may call now.
    ///
    /// # Errors
    /// The token is not good.
    pub fn session(&self, token: &str) -> Result<Code, AuthError> {
        self.gate().check(token, |device| self.agent_key(device), now_ms())
    }

    /// Whether a session's call is within its rate.
    #[must_use]
    pub fn within_session_rate(&self, device: &Code) -> bool {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).allow(device, now_ms())
    }

    /// Whether a call before a session is within its rate.
    #[must_use]
    pub fn within_anonymous_rate(&self, from: IpAddr, device: &Code) -> bool {
        let key = (address_of(from), *device);
        self.anonymous.lock().unwrap_or_else(PoisonError::into_inner).allow(&key, now_ms())
    }

    /// Whether a call that shows no operator's token is within its address' rate. This machine trusts itself.
    #[must_use]
    pub fn within_caller_rate(&self, from: IpAddr) -> bool {
        from.to_canonical().is_loopback()
            || self.callers.lock().unwrap_or_else(PoisonError::into_inner).allow(&address_of(from), now_ms())
    }

    /// Room for one more stream of events to this address; none where it, or all together, have as many as there are.
    #[must_use]
    pub fn event_stream(&self, to: IpAddr) -> Option<Place> {
        self.event_streams.place(to)
    }
}

fn log(slot: u64, change: &Change) {
    match change {
        Change::ConfigChanged { device, generation, .. } => {
            tracing::info!(slot, %device, generation, "configuration changed");
        }
        Change::ConfigHeld { device, sha256 } => {
            tracing::warn!(slot, %device, %sha256, "configuration held for approval");
        }
        Change::ConfigProblem { device, code, cause } => {
            tracing::warn!(slot, %device, %code, %cause, "configuration can't be made");
        }
        Change::ConfigRecovered { device } => tracing::info!(slot, %device, "configuration can be made again"),
        Change::LedgerUnreadable { code, cause } => tracing::warn!(slot, %code, %cause, "ledger unreadable"),
        Change::LedgerReadable {} => tracing::info!(slot, "ledger readable again"),
        Change::ApplyReport { device, generation, result, error_code } => {
            tracing::info!(slot, %device, generation, %result, %error_code, "apply report");
        }
        Change::JobDone { device, job, job_kind, correlation } => {
            tracing::info!(slot, %device, job, %job_kind, %correlation, "job done");
        }
        Change::Rollout { rollout, status, state, wave, waves, what, .. } => {
            tracing::info!(slot, rollout, %status, %state, wave, waves, %what, "rollout");
        }
        Change::Approval { job, is_rollout, act, key, role, missing } => {
            tracing::info!(slot, job, is_rollout, %act, %key, %role, missing, "approval");
        }
        Change::DeviceStatus { device, from, to } => tracing::info!(slot, %device, ?from, ?to, "device status"),
        Change::DeviceHealth { device, from, to } => tracing::info!(slot, %device, %from, %to, "device health"),
        Change::LinkStatus { link, from, to } => tracing::info!(slot, %link, ?from, ?to, "link status"),
        Change::Job { job, job_kind, status, state, .. } => {
            tracing::info!(slot, job, %job_kind, %status, %state, "job");
        }
        Change::JobStep { device, step, correlation, .. } => {
            tracing::info!(slot, %device, ?step, %correlation, "job step")
        }
        Change::LinkHealth { link, from, to } => tracing::info!(slot, %link, %from, %to, "link health"),
    }
}

/// Unix time in milliseconds; 0 for a clock before 1970.
#[must_use]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
