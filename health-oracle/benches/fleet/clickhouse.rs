//! ClickHouse.

use std::{path::Path, sync::Arc};

use causeway_health_oracle::store::{Commit, TelemetryStore};

use crate::Engine;

/// A server of its own.
pub struct ClickHouse;

impl ClickHouse {
    pub fn start(_: &Path, _: u64) -> anyhow::Result<Self> {
        anyhow::bail!("not there yet")
    }
}

impl Engine for ClickHouse {
    fn name(&self) -> &'static str {
        "clickhouse"
    }

    fn open(&self) -> anyhow::Result<Arc<dyn TelemetryStore>> {
        anyhow::bail!("not there yet")
    }

    fn raw_insert(&self, _: &[Commit]) -> anyhow::Result<f64> {
        anyhow::bail!("not there yet")
    }

    fn scan(&self) -> anyhow::Result<f64> {
        anyhow::bail!("not there yet")
    }
}
