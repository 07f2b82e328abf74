//! What the API calls that is not of the controller's own state: a node of the ledger, and what starts jobs.
//!
//! Each is set when it is there, so that a controller without it answers what it can and says what is missing.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use causeway_interface::Code;
use causeway_jobs::{availability::Availability, spec::JobId};
use causeway_sdk::{Ledger, LedgerError, Snapshot};
use solana_sdk::hash::Hash;
use tokio::sync::{Mutex, MutexGuard};

use crate::onboard::Mode;

/// What is under way.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A blockhash for a transaction that somebody else signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recent {
    /// The blockhash.
    pub blockhash: Hash,
    /// Block height after which a transaction with it can't be included.
    pub last_valid_block_height: u64,
}

/// A node of the ledger.
pub trait Node: Send + Sync + 'static {
    /// A recent blockhash. Its wait is bounded.
    fn recent(&self) -> Doing<'_, Result<Recent, LedgerError>>;
}

impl Node for Ledger {
    fn recent(&self) -> Doing<'_, Result<Recent, LedgerError>> {
        Box::pin(async {
            let (blockhash, last_valid_block_height) = self.recent_blockhash().await?;
            Ok(Recent { blockhash, last_valid_block_height })
        })
    }
}

/// A device to be provisioned, once the ledger has everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The device.
    pub device: Code,
    /// Compare only.
    pub dry_run: bool,
    /// What becomes of lines that are not the controller's.
    pub mode: Mode,
    /// Which way the device is reached; its usual one where nothing is said.
    pub transport: Option<String>,
    /// Who asks: the operator's name.
    pub actor: String,
}

/// Why no job was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotStarted {
    /// What kind of refusal it is.
    pub kind: NotStartedKind,
    /// The code of its page.
    pub code: String,
    /// What is wrong; of a device that is busy, with the number of the job that runs.
    pub cause: String,
    /// What to do.
    pub remedy: String,
}

/// How a caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotStartedKind {
    /// Another job holds the device: 409.
    Busy,
    /// It can't be meant: 400.
    Refused,
    /// What keeps jobs is away: 503.
    Away,
}

/// Starts jobs.
pub trait Provision: Send + Sync + 'static {
    /// Starts one; its number.
    fn start(&self, start: Start) -> Doing<'_, Result<i64, NotStarted>>;
}

/// The store of jobs, as far as it is asked whether it is there.
pub trait JobStore: Send + Sync + 'static {
    /// Whether it answers, or why not. Its wait is bounded.
    fn there(&self) -> Doing<'_, Result<(), String>>;
}

/// How long the store of jobs may take to answer before it counts as away.
const STORE_LIMIT: Duration = Duration::from_secs(5);

/// A store of jobs, asked by looking for a job that there never is.
pub struct Asking(pub Arc<dyn causeway_jobs::store::JobStore>);

impl JobStore for Asking {
    fn there(&self) -> Doing<'_, Result<(), String>> {
        Box::pin(async {
            match tokio::time::timeout(STORE_LIMIT, self.0.job(JobId(0))).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err(format!("no answer within {} s", STORE_LIMIT.as_secs())),
            }
        })
    }
}

/// What is there.
#[derive(Default)]
pub struct Services {
    bare: RwLock<Option<Arc<Snapshot>>>,
    job_store: RwLock<Option<Arc<dyn JobStore>>>,
    availability: Mutex<Availability>,
    node: RwLock<Option<Arc<dyn Node>>>,
    provision: RwLock<Option<Arc<dyn Provision>>>,
}

impl Services {
    /// The ledger as it was last read without any device. Nothing is served of it; but the first device has to be
    /// registered beside something.
    pub fn bare(&self) -> Option<Arc<Snapshot>> {
        self.bare.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes a ledger without any device.
    pub fn set_bare(&self, snapshot: Arc<Snapshot>) {
        *self.bare.write().unwrap_or_else(PoisonError::into_inner) = Some(snapshot);
    }

    /// The node that is asked.
    pub fn node(&self) -> Option<Arc<dyn Node>> {
        self.node.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks this node from now on.
    pub fn set_node(&self, node: Arc<dyn Node>) {
        *self.node.write().unwrap_or_else(PoisonError::into_inner) = Some(node);
    }

    /// The store of jobs.
    pub fn job_store(&self) -> Option<Arc<dyn JobStore>> {
        self.job_store.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks this store from now on.
    pub fn set_job_store(&self, store: Arc<dyn JobStore>) {
        *self.job_store.write().unwrap_or_else(PoisonError::into_inner) = Some(store);
    }

    /// What was there when it was last asked. Whoever has it may ask anew; the others wait.
    pub async fn availability(&self) -> MutexGuard<'_, Availability> {
        self.availability.lock().await
    }

    /// What starts jobs.
    pub fn provision(&self) -> Option<Arc<dyn Provision>> {
        self.provision.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts jobs by this from now on.
    pub fn set_provision(&self, provision: Arc<dyn Provision>) {
        *self.provision.write().unwrap_or_else(PoisonError::into_inner) = Some(provision);
    }
}
