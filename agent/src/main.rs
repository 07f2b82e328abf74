//! `causeway-agent`: the agent of one device, as a process.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use causeway_agent::{
    Agent, AgentConfig, Intervals,
    apply::ApplyLimits,
    config::{BUFFERED_SAMPLES, PROBES_PER_SAMPLE},
    driver::Driver,
    frr::{FrrDriver, FrrOptions, NoProber, watchdog},
    sim::{Fabric, Family, Port, SimDriver, UplinkKind},
};
use clap::{Parser, ValueEnum};
use ed25519_dalek::SigningKey;
use tracing_subscriber::EnvFilter;

/// What stands between the agent and a device.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum DriverChoice {
    /// The FRR of this network namespace.
    Frr,
    /// A simulated FRR router, in this process, with no neighbours.
    SimulatorFrr,
    /// A simulated EOS router, in this process, with no neighbours.
    SimulatorEos,
}

/// Pulls, applies, verifies and reports the configuration of one device, and measures it.
#[derive(Parser)]
#[command(version, about)]
struct Options {
    /// Device code
    #[arg(long, env = "CAUSEWAY_DEVICE")]
    device: String,
    /// Program whose ledger counts (base58)
    #[arg(long, env = "CAUSEWAY_PROGRAM_ID")]
    program_id: String,
    /// gRPC URL of a controller; repeat for more, the next is used when one fails
    #[arg(long = "controller", env = "CAUSEWAY_CONTROLLERS", value_delimiter = ',', required = true)]
    controllers: Vec<String>,
    /// File with the CA certificates (PEM) that controllers at https:// are proven by; needed for them
    #[arg(long, env = "CAUSEWAY_CONTROLLER_CA", value_name = "FILE")]
    controller_ca: Option<PathBuf>,
    /// Key of a controller whose configurations are taken (base58); repeat for more
    #[arg(long = "controller-key", env = "CAUSEWAY_CONTROLLER_KEYS", value_delimiter = ',', required = true)]
    controller_keys: Vec<String>,
    /// Base URL of an oracle; repeat for more, each gets all telemetry
    #[arg(long = "oracle", env = "CAUSEWAY_ORACLES", value_delimiter = ',')]
    oracles: Vec<String>,
    /// File with the device's agent key (keypair as a JSON array of 64 bytes)
    #[arg(long, env = "CAUSEWAY_AGENT_KEY")]
    agent_key: PathBuf,
    /// File with the device's telemetry key (keypair as a JSON array of 64 bytes)
    #[arg(long, env = "CAUSEWAY_TELEMETRY_KEY")]
    telemetry_key: PathBuf,
    /// Folder for what must survive a restart
    #[arg(long, env = "CAUSEWAY_STATE_DIR", default_value = "/var/lib/causeway-agent")]
    state_dir: PathBuf,
    /// Milliseconds between samples
    #[arg(long, env = "CAUSEWAY_SAMPLE_MS", default_value_t = 10_000)]
    sample_ms: u64,
    /// Milliseconds between polls of the controller
    #[arg(long, env = "CAUSEWAY_POLL_MS", default_value_t = 10_000)]
    poll_ms: u64,
    /// What stands between the agent and a device
    #[arg(long, env = "CAUSEWAY_DRIVER")]
    driver: DriverChoice,
    /// FRR only: name of the instance (`-N`); the machine's own without it
    #[arg(long, env = "CAUSEWAY_FRR_PATHSPACE")]
    frr_pathspace: Option<String>,
    /// FRR only: network namespace, as `ip netns` names it; the agent's own without it
    #[arg(long, env = "CAUSEWAY_FRR_NETNS")]
    frr_netns: Option<String>,
    /// FRR only: path of vtysh
    #[arg(long, env = "CAUSEWAY_FRR_VTYSH", default_value = "/usr/bin/vtysh")]
    frr_vtysh: PathBuf,
    /// FRR only: folder with its daemons, which are also started aside to check a configuration
    #[arg(long, env = "CAUSEWAY_FRR_DAEMONS", default_value = "/usr/lib/frr")]
    frr_daemons: PathBuf,
    /// FRR only: milliseconds after which an unconfirmed configuration is taken back
    #[arg(long, env = "CAUSEWAY_REVERT_AFTER_MS")]
    revert_after_ms: Option<u64>,
    /// Simulator only: public address of the simulated device
    #[arg(long)]
    simulator_public_ip: Option<std::net::Ipv4Addr>,
    /// Simulator only: interface with direct internet access; repeat for more
    #[arg(long)]
    simulator_uplink: Vec<String>,
}

fn main() -> ExitCode {
    // A watchdog has no runtime, and none of the agent's options.
    let Some(options) = watchdog::asked() else { return agent() };
    log();
    match watchdog::watch(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the watchdog ends");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn agent() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("causeway-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<()> {
    let options = Options::parse();
    log();
    let config = config(&options)?;
    let family = match options.driver {
        DriverChoice::Frr => return serve(&options, config, frr(&options)?).await,
        DriverChoice::SimulatorFrr => Family::Frr,
        DriverChoice::SimulatorEos => Family::Eos,
    };
    let (driver, clock) = simulator(&options, family)?;
    serve(&options, config, driver).await?;
    clock.abort();
    Ok(())
}

fn log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        // Nobody may read any more what a watchdog says; it has to go on.
        .log_internal_errors(false)
        .init();
}

async fn serve(options: &Options, config: AgentConfig, driver: impl Driver) -> anyhow::Result<()> {
    let agent = Agent::start(config, driver).context("the agent can not start")?;
    tracing::info!(device = %options.device, driver = ?options.driver, "agent started");
    stop_signal().await?;
    tracing::info!(device = %options.device, "agent stops");
    agent.shutdown().await;
    Ok(())
}

fn frr(options: &Options) -> anyhow::Result<FrrDriver> {
    let frr = FrrOptions {
        pathspace: options.frr_pathspace.clone(),
        netns: options.frr_netns.clone(),
        vtysh: options.frr_vtysh.clone(),
        daemons: options.frr_daemons.clone(),
        ..FrrOptions::new(&options.device, &options.state_dir)
    };
    FrrDriver::open(&frr, NoProber).context("FRR can not be driven")
}

fn config(options: &Options) -> anyhow::Result<AgentConfig> {
    let keys: anyhow::Result<BTreeSet<[u8; 32]>> = options
        .controller_keys
        .iter()
        .map(|key| base58(key).with_context(|| format!("controller key {key:?}")))
        .collect();
    let read = |path: &PathBuf| fs::read(path).with_context(|| format!("CA file {} can not be read", path.display()));
    Ok(AgentConfig {
        device: options.device.clone(),
        program_id: base58(&options.program_id).context("program id")?,
        controllers: options.controllers.clone(),
        controller_ca: options.controller_ca.as_ref().map(read).transpose()?,
        controller_keys: keys?,
        oracles: options.oracles.clone(),
        agent_key: keypair(&options.agent_key)?,
        telemetry_key: keypair(&options.telemetry_key)?,
        state_dir: options.state_dir.clone(),
        intervals: Intervals {
            sample: Duration::from_millis(options.sample_ms),
            poll: Duration::from_millis(options.poll_ms),
            ..Intervals::default()
        },
        limits: limits(options),
        probes_per_sample: PROBES_PER_SAMPLE,
        buffered_samples: BUFFERED_SAMPLES,
    })
}

fn limits(options: &Options) -> ApplyLimits {
    let default = ApplyLimits::default();
    let revert_after = options.revert_after_ms.map_or(default.revert_after, Duration::from_millis);
    ApplyLimits { revert_after, ..default }
}

fn simulator(options: &Options, family: Family) -> anyhow::Result<(SimDriver, tokio::task::JoinHandle<()>)> {
    let fabric = Fabric::new(0);
    fabric.add_device(&options.device, family, options.simulator_public_ip)?;
    for interface in &options.simulator_uplink {
        fabric.add_uplink(Port::new(&options.device, interface), UplinkKind::Dia)?;
    }
    Ok((fabric.driver(&options.device)?, fabric.run_clock()))
}

fn base58(text: &str) -> anyhow::Result<[u8; 32]> {
    let bytes = bs58::decode(text).into_vec().context("not base58")?;
    <[u8; 32]>::try_from(bytes.as_slice()).ok().with_context(|| format!("{} bytes where a key has 32", bytes.len()))
}

fn keypair(path: &Path) -> anyhow::Result<SigningKey> {
    let text = fs::read_to_string(path).with_context(|| format!("key file {} can not be read", path.display()))?;
    let bytes: Vec<u8> = serde_json::from_str(&text)
        .with_context(|| format!("key file {} is not a JSON array of bytes", path.display()))?;
    let Ok(pair) = <[u8; 64]>::try_from(bytes.as_slice()) else {
        bail!("key file {} holds {} bytes where a keypair has 64", path.display(), bytes.len());
    };
    let key = SigningKey::from_keypair_bytes(&pair);
    ensure!(key.is_ok(), "key file {} holds a public key that is not the secret key's", path.display());
    Ok(key?)
}

async fn stop_signal() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        stopped = tokio::signal::ctrl_c() => stopped?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
