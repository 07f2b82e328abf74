//! The embedded store: SQLite in WAL mode, one file, one writing connection and one reading.
//!
//! A commit is synced before it is reported (`synchronous = FULL`). Rows of samples have the time in their key, so that
//! writing adds at the end of each table, forgetting cuts off its front, and reading the past goes straight through.

mod batches;
mod load;
mod received;
mod write;

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};

use super::{
    Commit, Loader, StoreError, TelemetryStore,
    commit::{BatchRow, TIMES_MS},
};
use crate::telemetry::track::BLOCK;
pub use received::Received;

/// Version of the schema.
const SCHEMA: i64 = 2;
/// Each connection is behind a lock of its own: SQLite need not lock it again for every row.
const UNSHARED: OpenFlags = OpenFlags::SQLITE_OPEN_NO_MUTEX;
/// Longest wait for a lock of the file: another process that reads it for a moment, such as a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of a page. Rows are only added and read in order: large pages cost less upkeep.
const PAGE_BYTES: u32 = 16_384;
/// Pages of the log before they are written into the file: 128 MiB, so that a page is written once and not for each
/// commit that touches it.
const CHECKPOINT_PAGES: u32 = 8_192;
/// Bits of a key that number the series.
const SERIES_BITS: u32 = 24;
/// Rows that one call of prune removes from each table: some 100 ms of work.
const PRUNE_ROWS: i64 = 200_000;

/// Telemetry in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
    bucket_ms: u64,
    path: PathBuf,
}

impl SqliteStore {
    /// Opens the store in this file, or makes it.
    ///
    /// # Errors
    /// The file can't be opened or is no store of this schema and bucket width.
    pub fn open(path: &Path, bucket_ms: u64) -> Result<Self, StoreError> {
        let mut connection = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | UNSHARED,
        )?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "page_size", PAGE_BYTES)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        prepare(&mut connection, bucket_ms)?;
        let reader = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | UNSHARED)?;
        reader.busy_timeout(BUSY_TIMEOUT)?;
        Ok(Self { writer: Mutex::new(connection), reader: Mutex::new(reader), bucket_ms, path: path.to_owned() })
    }

    /// Opens a store that exists, for reading only; `None` for the width of buckets takes what it holds.
    ///
    /// # Errors
    /// There is no such file, or it is no store of this schema.
    pub fn bucket_ms_of(path: &Path) -> Result<u64, StoreError> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let (schema, bucket_ms) = meta(&connection)?;
        if schema != SCHEMA {
            return Err(StoreError::Schema { found: schema, known: SCHEMA });
        }
        Ok(bucket_ms)
    }

    fn reader(&self) -> Result<MutexGuard<'_, Connection>, StoreError> {
        self.reader.lock().map_err(|_| StoreError::Poisoned)
    }

    /// A file that was removed still takes what is written, and loses it at the next start.
    fn check_file(&self) -> Result<(), StoreError> {
        if self.path.try_exists().unwrap_or(false) { Ok(()) } else { Err(StoreError::Gone) }
    }

    fn writer(&self) -> Result<MutexGuard<'_, Connection>, StoreError> {
        self.writer.lock().map_err(|_| StoreError::Poisoned)
    }
}

fn meta(connection: &Connection) -> Result<(i64, u64), StoreError> {
    let (schema, bucket_ms): (i64, i64) =
        connection.query_row("SELECT schema, bucket_ms FROM meta", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((schema, unsigned(bucket_ms)?))
}

fn prepare(connection: &mut Connection, bucket_ms: u64) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let made = transaction.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'meta'")?.exists([])?;
    if made {
        let (schema, found) = meta(&transaction)?;
        if schema != SCHEMA {
            return Err(StoreError::Schema { found: schema, known: SCHEMA });
        }
        if found != bucket_ms {
            return Err(StoreError::BucketWidth { found, wanted: bucket_ms });
        }
    } else {
        transaction.execute_batch(include_str!("schema.sql"))?;
        transaction.execute("INSERT INTO meta VALUES (?1, ?2)", params![SCHEMA, signed(bucket_ms)])?;
    }
    Ok(transaction.commit()?)
}

/// Numbers beyond SQLite's never reach it but by a hostile sample: they are cut.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|_| StoreError::Corrupt("a negative number"))
}

/// The key of a sample's row.
fn sample_id(series: u32, at_ms: u64) -> i64 {
    let since = at_ms.clamp(TIMES_MS.start, TIMES_MS.end - 1) - TIMES_MS.start;
    signed(since << SERIES_BITS | u64::from(series))
}

/// Series and time of a sample's row.
fn sample_of(id: i64) -> (u32, u64) {
    let id = u64::try_from(id).unwrap_or(0);
    ((id & ((1 << SERIES_BITS) - 1)) as u32, (id >> SERIES_BITS) + TIMES_MS.start)
}

fn rollup_id(series: u32, block: u64) -> i64 {
    signed(block.min(1 << 38) << SERIES_BITS | u64::from(series))
}

impl TelemetryStore for SqliteStore {
    fn append(&self, commit: &Commit) -> Result<(), StoreError> {
        self.check_file()?;
        let mut connection = self.writer()?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        write::write(&transaction, commit)?;
        Ok(transaction.commit()?)
    }

    fn check(&self) -> Result<(), StoreError> {
        self.check_file()?;
        let reader = self.reader()?;
        // Pages that this connection still holds would answer for a file that no longer can.
        reader.execute_batch("PRAGMA shrink_memory")?;
        let mut statement = reader.prepare_cached(
            "SELECT (SELECT schema FROM meta), (SELECT max(id) FROM device), (SELECT max(id) FROM series),
             (SELECT max(id) FROM interface_sample), (SELECT max(id) FROM adjacency_sample),
             (SELECT max(id) FROM probe_sample), (SELECT max(id) FROM rollup)",
        )?;
        let schema: i64 = statement.query_row([], |row| row.get(0))?;
        if schema == SCHEMA { Ok(()) } else { Err(StoreError::Schema { found: schema, known: SCHEMA }) }
    }

    fn load(&self, from_ms: u64, into: &mut dyn Loader) -> Result<(), StoreError> {
        let mut reader = self.reader()?;
        // One transaction: one state of the file, however many statements.
        let transaction = reader.transaction()?;
        load::load(&transaction, from_ms, self.bucket_ms, into)
    }

    fn prune(&self, before_ms: u64) -> Result<bool, StoreError> {
        let mut connection = self.writer()?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut more = false;
        let samples = sample_id(0, before_ms.max(TIMES_MS.start));
        let rollups = rollup_id(0, before_ms / self.bucket_ms.max(1) / BLOCK);
        for (table, below) in [
            ("interface_sample", samples),
            ("adjacency_sample", samples),
            ("probe_sample", samples),
            ("rollup", rollups),
        ] {
            // The row at the bound: everything before it goes, in one range from the front.
            let bound: i64 = transaction
                .prepare_cached(&format!(
                    "SELECT coalesce((SELECT id FROM {table} WHERE id < ?1 ORDER BY id LIMIT 1 OFFSET ?2), ?1)"
                ))?
                .query_row(params![below, PRUNE_ROWS], |row| row.get(0))?;
            transaction.prepare_cached(&format!("DELETE FROM {table} WHERE id < ?1"))?.execute([bound])?;
            more |= bound < below;
        }
        transaction.execute("DELETE FROM batches WHERE received_ms < ?1", [signed(before_ms)])?;
        transaction.commit()?;
        Ok(more)
    }

    fn batches(&self, device: u32, from_sequence: u64, limit: usize) -> Result<Vec<BatchRow>, StoreError> {
        batches::read(&*self.reader()?, device, from_sequence, limit)
    }
}
