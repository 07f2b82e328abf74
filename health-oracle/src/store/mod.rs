//! Where telemetry is kept: signed batches as they came, the samples in them, and sums of the past.
//!
//! [`TelemetryStore`] is what the oracle asks of an engine: keep this, whole; give back what was kept. Every engine passes
//! the same contract tests. Methods block; callers on an async runtime move them to a blocking thread.
//! [`recorder::Recorder`] decides what is kept and holds in memory what is judged; [`writer::Writer`] puts a bounded
//! queue and group commit in front of it.
//!
//! What [`TelemetryStore::append`] accepted is there after a crash, a batch is accepted at most once and only after every
//! older one of its device, and what is judged is never ahead of what is kept. Signatures were verified before.

pub mod clickhouse;
pub mod commit;
#[cfg(test)]
pub(crate) mod contract;
pub mod recorder;
pub mod sqlite;
pub mod writer;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use causeway_interface::Code;
use causeway_wire::telemetry::Batch;

use tracing::warn;

pub use commit::{Commit, Loader};

use crate::config::StoreConfig;

/// Time between two tries to open a store whose server is away.
const OPEN_AGAIN: Duration = Duration::from_secs(1);

/// Opens the store that is asked for; `file` is where the embedded one is. Blocks: a server that is away, as one is that
/// starts with the same machine, is waited for as long as for a commit.
///
/// # Errors
/// The database can't be opened, or its server can't be asked.
pub fn open(config: StoreConfig, file: &Path, bucket_ms: u64) -> Result<Arc<dyn TelemetryStore>, StoreError> {
    let settings = match config {
        StoreConfig::Sqlite => return Ok(Arc::new(sqlite::SqliteStore::open(file, bucket_ms)?)),
        StoreConfig::ClickHouse(settings) => settings,
    };
    let (began, patience) = (Instant::now(), settings.patience);
    loop {
        match clickhouse::ClickHouseStore::open(settings.clone(), bucket_ms) {
            Err(StoreError::ClickHouse(error))
                if error.is_transient() && began.elapsed().saturating_add(OPEN_AGAIN) < patience =>
            {
                let cause = std::error::Error::source(&error);
                warn!(%error, ?cause, "the telemetry store is waited for");
                std::thread::sleep(OPEN_AGAIN);
            }
            opened => return Ok(Arc::new(opened?)),
        }
    }
}

/// A batch whose signature was verified.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifiedBatch {
    /// The device that signed it.
    pub device: Code,
    /// Its content.
    pub batch: Batch,
    /// Its bytes as signed.
    pub bytes: Vec<u8>,
    /// The signature.
    pub signature: [u8; 64],
    /// When it was received, in ms since 1970.
    pub received_ms: u64,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Append {
    /// It is stored.
    Stored {
        /// Samples that were left out: a name that can't exist, a time out of order, or too many series.
        ignored_samples: u64,
    },
    /// It is not younger than the last accepted one of its device.
    Replay {
        /// Sequence of that one.
        last_sequence: u64,
    },
}

/// Why a store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The embedded database refused.
    #[error("the telemetry database refused")]
    Database(#[from] rusqlite::Error),
    /// The ClickHouse server refused, or could not be asked.
    #[error("the telemetry database in ClickHouse failed")]
    ClickHouse(#[from] clickhouse::ClickHouseError),
    /// The store was made with another width of buckets; its sums can't be read with this one.
    #[error(
        "the store holds buckets of {found} ms, {wanted} ms are configured; use another data directory or database"
    )]
    BucketWidth {
        /// What it holds.
        found: u64,
        /// What was asked.
        wanted: u64,
    },
    /// It was made by a version that this build does not know.
    #[error("the store has schema {found}, this build reads {known}; use another data directory or database")]
    Schema {
        /// What it has.
        found: i64,
        /// What is known.
        known: i64,
    },
    /// A stored value can't be what was written.
    #[error("the store holds an impossible value: {0}")]
    Corrupt(&'static str),
    /// The database's file is not where it was.
    #[error("the telemetry database's file is gone")]
    Gone,
    /// A thread died while it used the store.
    #[error("the store is unusable after a failure")]
    Poisoned,
}

/// What an oracle asks of an engine that keeps telemetry.
pub trait TelemetryStore: Send + Sync {
    /// Keeps this, whole or not at all; on return it survives a crash.
    ///
    /// # Errors
    /// The database failed. What was asked may be kept all the same when the failure was in the answer: the caller forgets
    /// what it believes and loads anew.
    fn append(&self, commit: &Commit) -> Result<(), StoreError>;

    /// Gives back every device and series, and what was measured at `from_ms` and after; more of the past does no harm.
    ///
    /// # Errors
    /// The database can't be read. That is not "no data": nothing may be concluded from it.
    fn load(&self, from_ms: u64, into: &mut dyn Loader) -> Result<(), StoreError>;

    /// Whether [`Self::load`] gives back the sums of blocks that [`Commit::blocks`] brought. A store that sums by itself
    /// needs none.
    fn keeps_sums(&self) -> bool {
        true
    }

    /// Whether it can be read now: a cheap look at everything that [`Self::load`] reads, past what is cached. It is asked
    /// in every round, so that it may take some ms; damage in the midst of the past is found by the next load only.
    ///
    /// # Errors
    /// It can't.
    fn check(&self) -> Result<(), StoreError>;

    /// Forgets what is older than `before_ms`; at most a bounded amount in one call. Returns whether there may be more.
    ///
    /// # Errors
    /// The database failed.
    fn prune(&self, before_ms: u64) -> Result<bool, StoreError>;

    /// The signed batches of a device from this sequence on, in order, at most `limit`: sequence, bytes, signature.
    ///
    /// # Errors
    /// The database can't be read.
    fn batches(&self, device: u32, from_sequence: u64, limit: usize) -> Result<Vec<commit::BatchRow>, StoreError>;
}
