//! What an oracle is told when it is started.
//!
//! A daemon's configuration comes from flags, environment and a file ([`resolve`]), all described by one table
//! ([`options`]). A program that embeds oracles fills a [`Config`] itself.

pub mod file;
pub mod options;
mod problem;
pub mod resolve;
pub mod show;
mod values;

pub use problem::Problem;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use causeway_interface::instruction::MAX_ATTEST_BATCH;
use solana_sdk::{pubkey::Pubkey, signature::Keypair};

use crate::{
    alerts::Terms as AlertTerms,
    book::Overrides,
    criteria::coverage::Rules,
    ingest::{Limits, Rate},
    serve::{BOUNDS, Bounds},
    store::clickhouse,
};

/// How far telemetry may be ahead, in slots: half a minute at 400 ms, which a clock that is set by anything keeps.
const AHEAD_SLOTS: u64 = 75;
/// How far behind, in slots: six hours at 400 ms, more than an agent buffers.
const BEHIND_SLOTS: u64 = 54_000;

/// What the daemon is told: an oracle's configuration and what is about the process.
#[derive(Clone, Debug)]
pub struct Daemon {
    /// Of the oracle.
    pub config: Config,
    /// Logs as JSON.
    pub log_json: bool,
}

/// Where telemetry is kept.
#[derive(Clone, Debug)]
pub enum StoreConfig {
    /// In a file of the data directory.
    Sqlite,
    /// In a ClickHouse server.
    ClickHouse(clickhouse::Settings),
}

/// Everything that an oracle needs.
#[derive(Clone)]
pub struct Config {
    /// Name for people, in logs and alerts.
    pub name: String,
    /// The ledger's RPC endpoint.
    pub rpc_url: String,
    /// The program.
    pub program_id: Pubkey,
    /// The oracle's key: signs and pays.
    pub key: Arc<Keypair>,
    /// Where telemetry comes in and everything is served; port 0 for a free one.
    pub http_addr: SocketAddr,
    /// Folder of the oracle's own files; made if missing.
    pub data_dir: PathBuf,
    /// Where telemetry is kept.
    pub store: StoreConfig,
    /// Time between rounds.
    pub round_interval: Duration,
    /// The numbers that criteria are judged by.
    pub rules: Rules,
    /// What is different for a type of device or link, or for one network.
    pub overrides: Overrides,
    /// Most subjects of one `Attest`; fewer where no more fit a transaction.
    pub batch: usize,
    /// Keep lookup tables, so that more subjects fit a transaction, once they don't fit one without.
    pub lookup_tables: bool,
    /// Price of a compute unit in millionths of a lamport.
    pub priority_fee_micro_lamports: u64,
    /// Lamports that may go to fees in an hour, 0 for no limit: beyond it renewals are held back, demotions never.
    pub fee_budget_lamports_per_hour: u64,
    /// How far telemetry may be off the oracle's clock.
    pub limits: Limits,
    /// What one device may send.
    pub rate: Rate,
    /// What connections may do.
    pub connections: Bounds,
    /// How long telemetry and evidence are kept. At least twice the longest window, or windows are cut.
    pub retention: Duration,
    /// Where alerts go.
    pub webhook: Option<String>,
    /// When something is an alert.
    pub alerts: AlertTerms,
}

impl Config {
    /// With the design's numbers: minutes, rounds of one, three days of telemetry and evidence.
    #[must_use]
    pub fn new(rpc_url: String, program_id: Pubkey, key: Arc<Keypair>, data_dir: PathBuf) -> Self {
        Self {
            name: "oracle".to_owned(),
            rpc_url,
            program_id,
            key,
            http_addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            data_dir,
            store: StoreConfig::Sqlite,
            round_interval: Duration::from_secs(60),
            rules: Rules::default(),
            overrides: Overrides::default(),
            batch: MAX_ATTEST_BATCH,
            lookup_tables: true,
            priority_fee_micro_lamports: 0,
            fee_budget_lamports_per_hour: 0,
            limits: Limits { ahead_slots: AHEAD_SLOTS, behind_slots: BEHIND_SLOTS },
            rate: Rate::default(),
            connections: BOUNDS,
            retention: Duration::from_secs(72 * 3_600),
            webhook: None,
            alerts: AlertTerms::default(),
        }
    }

    /// For a localnet: rounds of two seconds, rules in seconds.
    #[must_use]
    pub fn localnet(rpc_url: String, program_id: Pubkey, key: Arc<Keypair>, data_dir: PathBuf) -> Self {
        Self {
            round_interval: Duration::from_secs(2),
            rules: Rules::seconds(),
            retention: Duration::from_secs(6 * 3_600),
            ..Self::new(rpc_url, program_id, key, data_dir)
        }
    }
}

impl std::fmt::Debug for Config {
    /// Without the key and the webhook, which are secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("name", &self.name)
            .field("rpc_url", &crate::secret::shown(&self.rpc_url))
            .field("program_id", &self.program_id)
            .field("http_addr", &self.http_addr)
            .field("data_dir", &self.data_dir)
            .field("store", &self.store)
            .field("round_interval", &self.round_interval)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}
