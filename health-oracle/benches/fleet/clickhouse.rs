//! ClickHouse: a server of its own, the same rows by bare inserts, and a full aggregate.

use std::{path::Path, sync::Arc, time::Instant};

use causeway_health_oracle::store::{
    Commit, TelemetryStore,
    clickhouse::{ClickHouseStore, Settings, bare::Bare, server::Server},
};

use crate::{Engine, Scan};

/// Where the rows go that are inserted raw.
const RAW: &str = "raw";
/// Tables of samples and what is summed up in them: every column but the series, by which it is grouped.
const TABLES: [(&str, &str); 3] = [
    (
        "interface_sample",
        "up, in_octets, out_octets, in_errors, out_errors, in_discards, out_discards, carrier_transitions, compared,
         octets, errors, discards, flaps, at_ms, commit",
    ),
    ("adjacency_sample", "up, at_ms, commit"),
    ("probe_sample", "sent, received, rtt_max_ns, at_ms, commit"),
];

/// A server that ends with the bench.
pub struct ClickHouse {
    server: Server,
    bucket_ms: u64,
}

impl ClickHouse {
    pub fn start(folder: &Path, bucket_ms: u64) -> anyhow::Result<Self> {
        Ok(Self { server: Server::start(folder).map_err(anyhow::Error::msg)?, bucket_ms })
    }

    fn bare(&self, database: &str) -> anyhow::Result<Bare> {
        Ok(Bare::open(Settings { database: database.to_owned(), ..self.server.settings() })?)
    }
}

impl Engine for ClickHouse {
    fn name(&self) -> &'static str {
        "clickhouse"
    }

    fn open(&self) -> anyhow::Result<Arc<dyn TelemetryStore>> {
        Ok(Arc::new(ClickHouseStore::open(self.server.settings(), self.bucket_ms)?))
    }

    /// One insert a table and commit, of all tables side by side, encoded like the store's: samples, signed batches as they
    /// came, the states of devices.
    fn raw_insert(&self, commits: &[Commit]) -> anyhow::Result<f64> {
        let bare = self.bare(RAW)?;
        let began = Instant::now();
        for commit in commits {
            bare.insert(commit)?;
        }
        let seconds = began.elapsed().as_secs_f64();
        let expected = [
            commits.iter().map(|commit| commit.interfaces.len()).sum::<usize>(),
            commits.iter().map(|commit| commit.adjacencies.len()).sum(),
            commits.iter().map(|commit| commit.probes.len()).sum(),
        ];
        for ((table, _), expected) in TABLES.iter().zip(expected) {
            let found = bare.number(&format!("SELECT count() FROM {table}"))?;
            anyhow::ensure!(found == expected as u64, "{found} rows in {table} instead of {expected}");
        }
        bare.remove()?;
        Ok(seconds)
    }

    fn scan(&self) -> anyhow::Result<Scan> {
        let bare = self.bare(&self.server.settings().database)?;
        let began = Instant::now();
        let mut samples = 0;
        for (table, columns) in TABLES {
            // The outer sums keep the server from leaving the inner ones out.
            let names = || columns.split(',').map(str::trim);
            let inner: Vec<String> = names().map(|name| format!("sum({name}) AS sum_{name}")).collect();
            let outer: Vec<String> = names().map(|name| format!("sum(sum_{name})")).collect();
            samples += bare.number(&format!(
                "SELECT sum(rows), {} FROM (SELECT series, count() AS rows, {} FROM {table} GROUP BY series)",
                outer.join(", "),
                inner.join(", ")
            ))?;
        }
        Ok(Scan { seconds: began.elapsed().as_secs_f64(), samples })
    }

    fn process(&self) -> Option<u32> {
        self.server.process()
    }
}
