//! Where telemetry is kept: signed batches as they came, and per-bucket sums of what is in them.
//!
//! [`TelemetryStore`] is what the oracle asks of a store. Every implementation passes the same contract tests. Methods
//! block; callers on an async runtime move them to a blocking thread. [`writer::Writer`] puts a bounded queue and group
//! commit in front of one.
//!
//! A store guarantees that what [`TelemetryStore::append`] accepted is there after a crash, that a batch is accepted at
//! most once and only after every older one of its device, and that sums and batches never disagree (one transaction
//! holds both). It does not verify signatures: that was done before.

#[cfg(test)]
pub(crate) mod contract;
pub mod rollup;
pub mod sqlite;
pub mod writer;

use causeway_interface::{Code, InterfaceName};
use causeway_wire::telemetry::Batch;

use crate::telemetry::{DeviceTelemetry, ProbeKind};

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

/// What to read of a device: these series in these buckets. What commits to the batches, the configuration and the
/// presence are always read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowQuery {
    /// The device.
    pub device: Code,
    /// First bucket.
    pub from: u64,
    /// The bucket after the last.
    pub to: u64,
    /// Interfaces.
    pub interfaces: Vec<InterfaceName>,
    /// Adjacencies, by interface.
    pub adjacencies: Vec<InterfaceName>,
    /// Probes.
    pub probes: Vec<(ProbeKind, Code)>,
}

/// Why a store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused.
    #[error("the telemetry database refused")]
    Database(#[from] rusqlite::Error),
    /// The store was made with another width of buckets; its sums can't be read with this one.
    #[error("the store holds buckets of {found} ms, {wanted} ms are configured; use another data directory")]
    BucketWidth {
        /// What it holds.
        found: u64,
        /// What was asked.
        wanted: u64,
    },
    /// It was made by a version that this build does not know.
    #[error("the store has schema {found}, this build reads {known}")]
    Schema {
        /// What it has.
        found: i64,
        /// What is known.
        known: i64,
    },
    /// A stored value can't be what was written.
    #[error("the store holds an impossible value: {0}")]
    Corrupt(&'static str),
    /// A thread died while it used the store.
    #[error("the store is unusable after a failure")]
    Poisoned,
}

/// What an oracle asks of a store.
pub trait TelemetryStore: Send + Sync {
    /// Stores batches, each wholly or not at all, in order; on return they survive a crash. One answer per batch.
    ///
    /// # Errors
    /// The database failed: nothing of the call was stored.
    fn append(&self, batches: &[VerifiedBatch]) -> Result<Vec<Append>, StoreError>;

    /// Sequence of the last batch accepted of a device.
    ///
    /// # Errors
    /// The database can't be read.
    fn last_sequence(&self, device: &Code) -> Result<Option<u64>, StoreError>;

    /// What is known of a device; nothing (and no error) of one that never reported.
    ///
    /// # Errors
    /// The database can't be read. That is not "no data": nothing may be concluded from it.
    fn window(&self, query: &WindowQuery) -> Result<DeviceTelemetry, StoreError>;

    /// Forgets sums of buckets that ended before `before_ms`, and batches that were received before it. Returns how many
    /// rows went; at most a bounded number in one call.
    ///
    /// # Errors
    /// The database failed.
    fn prune(&self, before_ms: u64) -> Result<u64, StoreError>;
}
