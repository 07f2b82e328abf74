//! The health oracle as a daemon.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context;
use causeway_health_oracle::{Config, Oracle, Rules};
use clap::Parser;
use solana_sdk::pubkey::Pubkey;
use tracing::info;
use tracing_subscriber::EnvFilter;

/// Judges devices and links by signed telemetry and attests what it finds on the ledger.
#[derive(Debug, Parser)]
#[command(name = "causeway-health-oracle", version)]
struct Args {
    /// Name for people, in logs and alerts.
    #[arg(long, env = "CAUSEWAY_ORACLE_NAME", default_value = "oracle")]
    name: String,
    /// RPC endpoint of the ledger.
    #[arg(long, env = "CAUSEWAY_RPC_URL")]
    rpc_url: String,
    /// The program.
    #[arg(long, env = "CAUSEWAY_PROGRAM_ID")]
    program_id: Pubkey,
    /// Key file of the oracle: it signs and pays.
    #[arg(long, env = "CAUSEWAY_ORACLE_KEY")]
    key: PathBuf,
    /// Address for telemetry, API and metrics.
    #[arg(long, env = "CAUSEWAY_ORACLE_LISTEN", default_value = "127.0.0.1:7090")]
    listen: SocketAddr,
    /// Folder for telemetry and evidence.
    #[arg(long, env = "CAUSEWAY_ORACLE_DATA", default_value = "oracle-data")]
    data_dir: PathBuf,
    /// Count in seconds instead of minutes: for a localnet whose agents report every second.
    #[arg(long, env = "CAUSEWAY_ORACLE_SECONDS")]
    seconds: bool,
    /// Seconds between rounds [default: 60, or 2 with --seconds].
    #[arg(long, env = "CAUSEWAY_ORACLE_ROUND")]
    round_seconds: Option<u64>,
    /// Width of a bucket in milliseconds [default: 60000, or 2000 with --seconds].
    #[arg(long)]
    bucket_ms: Option<u64>,
    /// Share of buckets that must hold a sample, in percent [default: 99, or 80 with --seconds].
    #[arg(long)]
    min_share_percent: Option<u32>,
    /// Longest gap in milliseconds [default: 300000, or 8000 with --seconds].
    #[arg(long)]
    max_gap_ms: Option<u64>,
    /// How long a fault is held after it ended, in milliseconds.
    #[arg(long)]
    hold_ms: Option<u64>,
    /// Probes that may be lost, in a million.
    #[arg(long)]
    loss_limit_ppm: Option<u32>,
    /// Hours for which telemetry and evidence are kept.
    #[arg(long)]
    retention_hours: Option<u64>,
    /// Price of a compute unit in millionths of a lamport.
    #[arg(long, env = "CAUSEWAY_PRIORITY_FEE", default_value_t = 0)]
    priority_fee: u64,
    /// Lamports that may go to fees in an hour, 0 for no limit: beyond it renewals are held back, demotions never.
    #[arg(long, env = "CAUSEWAY_ORACLE_FEE_BUDGET", default_value_t = 0)]
    fee_budget_lamports_per_hour: u64,
    /// Spell every address out in every transaction instead of keeping lookup tables, which cost a deposit.
    #[arg(long, env = "CAUSEWAY_ORACLE_NO_LOOKUP_TABLES")]
    no_lookup_tables: bool,
    /// Webhook for alerts (Slack-compatible).
    #[arg(long, env = "CAUSEWAY_ORACLE_WEBHOOK", hide_env_values = true)]
    webhook: Option<String>,
    /// Logs as JSON.
    #[arg(long)]
    log_json: bool,
}

impl Args {
    fn config(self) -> anyhow::Result<Config> {
        let key = Arc::new(causeway_sdk::keys::read(&self.key).context("the oracle's key")?);
        let preset = if self.seconds { Config::localnet } else { Config::new };
        let mut config = preset(self.rpc_url, self.program_id, key, self.data_dir);
        config.name = self.name;
        config.http_addr = self.listen;
        config.webhook = self.webhook;
        config.priority_fee_micro_lamports = self.priority_fee;
        config.fee_budget_lamports_per_hour = self.fee_budget_lamports_per_hour;
        config.lookup_tables = !self.no_lookup_tables;
        if let Some(seconds) = self.round_seconds {
            config.round_interval = Duration::from_secs(seconds);
        }
        if let Some(hours) = self.retention_hours {
            config.retention = Duration::from_secs(hours.saturating_mul(3_600));
        }
        let rules = &mut config.rules;
        let percent = self.min_share_percent.map(|percent| percent.saturating_mul(10_000));
        *rules = Rules {
            bucket_ms: self.bucket_ms.unwrap_or(rules.bucket_ms),
            min_share_ppm: percent.unwrap_or(rules.min_share_ppm),
            max_gap_ms: self.max_gap_ms.unwrap_or(rules.max_gap_ms),
            hold_ms: self.hold_ms.unwrap_or(rules.hold_ms),
            loss_limit_ppm: self.loss_limit_ppm.unwrap_or(rules.loss_limit_ppm),
            ..rules.clone()
        };
        Ok(config)
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if args.log_json {
        logs.json().init();
    } else {
        logs.init();
    }
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(args: Args) -> anyhow::Result<()> {
    let mut oracle = Oracle::start(args.config()?).await?;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let ended = tokio::select! {
        _ = terminate.recv() => None,
        _ = tokio::signal::ctrl_c() => None,
        part = oracle.ended() => Some(part),
    };
    info!("stopping");
    oracle.shutdown().await;
    match ended {
        None => Ok(()),
        Some(part) => anyhow::bail!("{part} ended unexpectedly; the log says why"),
    }
}
