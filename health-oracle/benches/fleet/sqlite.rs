//! SQLite: the same rows by a bare prepared insert, and a full aggregate.

use std::{path::Path, sync::Arc};

use causeway_health_oracle::store::{Commit, TelemetryStore, sqlite::SqliteStore};
use rusqlite::{Connection, params};

use crate::{Engine, Scan};

/// The embedded store in a folder.
pub struct Sqlite<'a> {
    pub folder: &'a Path,
    pub bucket_ms: u64,
}

impl Engine for Sqlite<'_> {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn open(&self) -> anyhow::Result<Arc<dyn TelemetryStore>> {
        Ok(Arc::new(SqliteStore::open(&self.folder.join("telemetry.sqlite"), self.bucket_ms)?))
    }

    /// One prepared statement a table, one transaction a commit, synced like the store's: samples, signed batches as they
    /// came, the states of devices.
    fn raw_insert(&self, commits: &[Commit]) -> anyhow::Result<f64> {
        let path = self.folder.join("raw.sqlite");
        drop(SqliteStore::open(&path, self.bucket_ms)?);
        let mut connection = Connection::open(&path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(
            "CREATE TABLE batch (device INTEGER, sequence INTEGER, received_ms INTEGER, signature BLOB, bytes BLOB)",
        )?;
        let began = std::time::Instant::now();
        for commit in commits {
            let transaction = connection.transaction()?;
            {
                let mut insert = transaction.prepare_cached("INSERT INTO batch VALUES (?1, ?2, ?3, ?4, ?5)")?;
                for row in &commit.batches {
                    let (sequence, received) = (row.sequence as i64, row.received_ms as i64);
                    insert.execute(params![row.device, sequence, received, row.signature, row.bytes])?;
                }
                let mut insert =
                    transaction.prepare_cached("INSERT OR REPLACE INTO device VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
                for row in &commit.devices {
                    let (sequence, lost) = (row.last_sequence as i64, row.lost_samples as i64);
                    insert.execute(params![row.id, row.code.as_str(), sequence, row.chain.0, lost, [0_u8; 112]])?;
                }
                let key = |series: u32, at_ms: u64| (((at_ms - 1_704_067_200_000) << 24) | u64::from(series)) as i64;
                let mut insert = transaction
                    .prepare_cached("INSERT INTO interface_sample VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
                for row in &commit.interfaces {
                    let c = &row.counters;
                    insert.execute(params![
                        key(row.series, row.at_ms),
                        row.growth.down == 0,
                        c.octets[0] as i64,
                        c.octets[1] as i64,
                        c.errors[0] as i64,
                        c.errors[1] as i64,
                        c.discards[0] as i64,
                        c.discards[1] as i64,
                        c.carrier as i64
                    ])?;
                }
                let mut insert = transaction.prepare_cached("INSERT INTO adjacency_sample VALUES (?1, ?2)")?;
                for row in &commit.adjacencies {
                    insert.execute(params![key(row.series, row.at_ms), row.up])?;
                }
                let mut insert = transaction.prepare_cached("INSERT INTO probe_sample VALUES (?1, ?2, ?3, ?4)")?;
                for row in &commit.probes {
                    insert.execute(params![
                        key(row.series, row.at_ms),
                        row.sent as i64,
                        row.received as i64,
                        row.rtt_max_ns as i64
                    ])?;
                }
            }
            transaction.commit()?;
        }
        let seconds = began.elapsed().as_secs_f64();
        drop(connection);
        for name in ["raw.sqlite", "raw.sqlite-wal", "raw.sqlite-shm"] {
            let _ = std::fs::remove_file(self.folder.join(name));
        }
        Ok(seconds)
    }

    fn scan(&self) -> anyhow::Result<Scan> {
        let connection = Connection::open(self.folder.join("telemetry.sqlite"))?;
        let began = std::time::Instant::now();
        let mut samples = 0;
        for sql in [
            "SELECT count(*), total(up), total(in_octets), total(out_octets), total(in_errors), total(out_errors),
             total(in_discards), total(out_discards), total(carrier_transitions) FROM interface_sample",
            "SELECT count(*), total(up) FROM adjacency_sample",
            "SELECT count(*), total(sent), total(received), max(rtt_max_ns) FROM probe_sample",
        ] {
            let rows: i64 = connection.query_row(sql, [], |row| row.get(0))?;
            anyhow::ensure!(rows > 0, "an empty table was scanned");
            samples += u64::try_from(rows)?;
        }
        Ok(Scan { seconds: began.elapsed().as_secs_f64(), samples })
    }
}
