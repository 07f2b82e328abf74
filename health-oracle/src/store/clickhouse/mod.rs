//! The store for fleets: a ClickHouse server, over HTTP.
//!
//! Works with servers from 18.16, which Debian ships, up to today's. One oracle has one database. A commit is one insert
//! per table and counts once its number is written ([`journal`]); reading asks the server for bits instead of samples
//! ([`load`]); forgetting drops partitions ([`prune`]).
//!
//! What was reported as kept survives the death of the oracle and of the server. It survives a power cut where the server
//! can sync inserts, which is asked of it from version 20.10 on; an older one leaves that to the operating system.

#[doc(hidden)]
pub mod bare;
mod error;
mod http;
mod journal;
mod kinds;
mod load;
mod native;
mod prune;
mod schema;
pub mod server;
mod tail;
#[cfg(test)]
mod tests;
mod write;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

pub use error::ClickHouseError;
pub use http::Settings;

use super::{
    Commit, Loader, StoreError, TelemetryStore,
    commit::{BatchRow, MAX_SERIES},
};
use http::{Client, Request};
use journal::Journal;
use native::Rows;

/// Most batches of one answer: a thousand of some kilobytes.
const MAX_BATCHES: usize = 1_000;
/// Longest time that forgetting may hold up a commit: half of what a commit waits by default.
const HELD: Duration = Duration::from_secs(10);

/// Telemetry in one database of a ClickHouse server.
#[derive(Debug)]
pub struct ClickHouseStore {
    /// For what is written, and for what is read: neither waits for the other.
    writing: Client,
    reading: Client,
    settings: Settings,
    bucket_ms: u64,
    writer: Mutex<Writer>,
}

#[derive(Debug, Default)]
struct Writer {
    /// None before the first commit, and once somebody else has written.
    journal: Option<Journal>,
    /// The last commit that was read.
    read: Option<u32>,
}

impl ClickHouseStore {
    /// Opens the database, made and brought up to date if it has to be. What is read is summed into buckets of this
    /// width; what is stored does not depend on it.
    ///
    /// # Errors
    /// The settings can't be used, the server can't be asked or refuses, or the database is of a later version.
    pub fn open(settings: Settings, bucket_ms: u64) -> Result<Self, StoreError> {
        let writing = Client::start(settings.clone())?;
        let reading = Client::start(settings.clone())?;
        let client = writing.until(Instant::now() + settings.patience);
        schema::prepare(&client, &settings.database)?;
        Ok(Self { writing, reading, settings, bucket_ms, writer: Mutex::default() })
    }

    /// A thread that died here died before or after a statement; the journal knows which number is open.
    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What writes, for as long as a commit may take from now.
    fn patient(&self) -> Client {
        self.writing.until(Instant::now() + self.settings.patience)
    }
}

impl TelemetryStore for ClickHouseStore {
    fn append(&self, commit: &Commit) -> Result<(), StoreError> {
        debug_assert!(commit.series.iter().all(|row| row.id < MAX_SERIES));
        // From before the lock: forgetting may hold it.
        let client = self.patient();
        self.writer().commit(self, &client, &|number| write::requests(commit, number))
    }

    fn load(&self, from_ms: u64, into: &mut dyn Loader) -> Result<(), StoreError> {
        // A server that hangs is found out before anything is asked that may take long.
        self.check()?;
        let client = self.patient();
        let mut writer = self.writer();
        if let Some(journal) = &mut writer.journal {
            journal.settle(&client)?;
        }
        // Held: what is read has to be what the next commit follows.
        writer.read = Some(load::load(&self.reading, self.bucket_ms, from_ms, into)?);
        Ok(())
    }

    fn keeps_sums(&self) -> bool {
        false
    }

    fn check(&self) -> Result<(), StoreError> {
        let tables = ["commits", "device", "series"].into_iter().chain(schema::SAMPLES);
        let looks = tables.map(|table| Request::plain(format!("SELECT commit FROM {table} LIMIT 1")));
        let client = self.reading.until(Instant::now() + self.settings.patience);
        for answer in client.all(looks.collect())? {
            answer?;
        }
        Ok(())
    }

    fn prune(&self, before_ms: u64) -> Result<bool, StoreError> {
        prune::prune(self, before_ms)?;
        Ok(false)
    }

    fn batches(&self, device: u32, from_sequence: u64, limit: usize) -> Result<Vec<BatchRow>, StoreError> {
        let (counting, _) = journal::counting(&self.reading)?;
        let answer = self.reading.one(Request::plain(format!(
            "SELECT sequence, received_ms, signature, bytes FROM batch
             WHERE device = {device} AND sequence >= {from_sequence}{counting}
             ORDER BY sequence LIMIT {} FORMAT RowBinary",
            limit.min(MAX_BATCHES)
        )))?;
        let mut rows = Rows::new(&answer);
        let mut batches = Vec::new();
        while !rows.is_empty() {
            batches.push(BatchRow {
                device,
                sequence: rows.u64()?,
                received_ms: rows.u64()?,
                signature: rows.array()?,
                bytes: rows.bytes()?.to_vec(),
            });
        }
        Ok(batches)
    }
}

impl Writer {
    fn commit(
        &mut self,
        store: &ClickHouseStore,
        client: &Client,
        requests: &dyn Fn(u32) -> Vec<Request>,
    ) -> Result<(), StoreError> {
        let journal = match &mut self.journal {
            Some(journal) => journal,
            slot @ None => slot.insert(Journal::open(client, store.settings.pace, self.read)?),
        };
        let outcome = journal.commit(client, requests);
        if let Err(ClickHouseError::TakenOver { .. }) = outcome {
            self.journal = None;
        }
        Ok(outcome?)
    }
}
