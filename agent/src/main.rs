//! `causeway-agent`: the agent of one device, as a process.

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use causeway_agent::{
    Agent, AgentConfig, AgentHandle, Intervals,
    apply::ApplyLimits,
    config::{BUFFERED_SAMPLES, PROBES_PER_SAMPLE},
    eos::{EosArgs, EosDriver, NoProber},
    frr::{FrrDriver, FrrOptions, watchdog},
    operation::{Failure, PROGRAM, Problem, Sources, key, serve::Server, shown},
    sim::{Fabric, Family, Port, SimDriver, UplinkKind},
    stamp::{
        self, Prober, ProberSettings, Reflector, ReflectorSettings,
        reflect::Peers,
        socket::{self, Opener},
    },
};
use clap::{Parser, ValueEnum};
use tracing_subscriber::EnvFilter;

/// Exit code for settings that can't be used: a supervisor need not try again.
const MISCONFIGURED: u8 = 2;

/// What stands between the agent and a device.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum DriverChoice {
    /// An Arista switch, over eAPI.
    Eos,
    /// The FRR of this network namespace.
    Frr,
    /// A simulated FRR router, in this process, with no neighbours.
    SimulatorFrr,
    /// A simulated EOS router, in this process, with no neighbours.
    SimulatorEos,
}

/// Pulls, applies, verifies and reports the configuration of one device, and measures it.
///
/// A flag wins over its environment variable, that over the configuration file, that over the default.
#[derive(Parser)]
#[command(version, about)]
struct Options {
    /// Configuration file in TOML; agent.example.toml has every key
    #[arg(long, env = "CAUSEWAY_AGENT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the settings in force with the origin of each, and exit: 0 if they can be used, 2 if not
    #[arg(long)]
    check_config: bool,
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
    /// File with the device's agent key: JSON as solana-keygen writes it, or PKCS#8 (PEM or DER); readable by its owner only
    #[arg(long, env = "CAUSEWAY_AGENT_KEY")]
    agent_key: PathBuf,
    /// File with the device's telemetry key, in the same forms
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
    /// Address for metrics and health; without it there are none
    #[arg(long, env = "CAUSEWAY_AGENT_LISTEN", value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Address on which STAMP probes of other devices are answered, 0.0.0.0:862 for the standard's port; without it they
    /// are not
    #[arg(long, env = "CAUSEWAY_STAMP_LISTEN", value_name = "ADDRESS")]
    stamp_listen: Option<SocketAddrV4>,
    /// Network whose STAMP probes are answered; repeat for more, without any all are
    #[arg(long = "stamp-peer", env = "CAUSEWAY_STAMP_PEERS", value_delimiter = ',', value_name = "PREFIX")]
    stamp_peers: Vec<ipnet::Ipv4Net>,
    /// Address that STAMP probes to other devices are sent from; without it the one that routing chooses
    #[arg(long, env = "CAUSEWAY_STAMP_SOURCE", value_name = "ADDRESS")]
    stamp_source: Option<Ipv4Addr>,
    /// Port on which other devices answer STAMP probes
    #[arg(long, env = "CAUSEWAY_STAMP_PORT", value_name = "PORT", default_value_t = stamp::PORT)]
    stamp_port: u16,
    /// Logs as JSON; RUST_LOG says what is logged, info without it
    #[arg(long, env = "CAUSEWAY_AGENT_LOG_JSON")]
    log_json: bool,
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
    /// FRR only: longest that it may take for one step, in milliseconds
    #[arg(long, env = "CAUSEWAY_STEP_MS")]
    step_ms: Option<u64>,
    /// FRR only: milliseconds after a change for neighbours to come back
    #[arg(long, env = "CAUSEWAY_VERIFY_MS")]
    verify_ms: Option<u64>,
    /// Simulator only: public address of the simulated device
    #[arg(long)]
    simulator_public_ip: Option<Ipv4Addr>,
    /// Simulator only: interface with direct internet access; repeat for more
    #[arg(long)]
    simulator_uplink: Vec<String>,
    #[command(flatten)]
    eos: EosArgs,
}

impl Options {
    /// Makes sockets where the device's interfaces and addresses are.
    fn opener(&self) -> Opener {
        match (self.driver, &self.frr_netns) {
            (DriverChoice::Frr, Some(namespace)) => socket::opener_in(namespace),
            (DriverChoice::Frr, None)
            | (DriverChoice::Eos | DriverChoice::SimulatorFrr | DriverChoice::SimulatorEos, _) => socket::opener(),
        }
    }

    /// Probes of a device whose interfaces are this machine's.
    fn prober(&self) -> ProberSettings {
        let source = self.stamp_source.unwrap_or(Ipv4Addr::UNSPECIFIED);
        ProberSettings { source, port: self.stamp_port, opener: self.opener(), ..ProberSettings::default() }
    }

    /// The FRR that is driven.
    fn frr(&self) -> FrrOptions {
        FrrOptions {
            pathspace: self.frr_pathspace.clone(),
            netns: self.frr_netns.clone(),
            vtysh: self.frr_vtysh.clone(),
            daemons: self.frr_daemons.clone(),
            verb: limits(self).verb,
            ..FrrOptions::new(&self.device, &self.state_dir)
        }
    }
}

fn main() -> ExitCode {
    // A watchdog has no runtime, and none of the agent's options.
    let Some(options) = watchdog::asked() else { return agent() };
    log(false);
    match watchdog::watch(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the watchdog ends");
            ExitCode::FAILURE
        }
    }
}

fn log(json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    // Nobody may read any more what a watchdog says; it has to go on.
    let logs = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(colours).log_internal_errors(false);
    let logs = logs.with_env_filter(filter);
    if json { logs.json().init() } else { logs.init() }
}

fn agent() -> ExitCode {
    let (options, settings) = match PROGRAM.read::<Options>(std::env::args_os().collect()) {
        Ok(read) => read,
        Err(Failure::Command(error)) => error.exit(),
        Err(Failure::Problems(problems)) => return misconfigured(&problems),
    };
    let config = match config(&options) {
        Ok(config) => config,
        Err(problems) => return misconfigured(&problems),
    };
    if options.check_config {
        print!("{}", shown(&settings));
        return ExitCode::SUCCESS;
    }
    log(options.log_json);
    match run(&options, config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("causeway-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn misconfigured(problems: &[Problem]) -> ExitCode {
    for problem in problems {
        eprintln!("error: {problem}");
    }
    ExitCode::from(MISCONFIGURED)
}

#[tokio::main]
async fn run(options: &Options, config: AgentConfig) -> anyhow::Result<()> {
    let Running { agent, prober, clock } = start(options, config)?;
    let reflector = options.stamp_listen.map(|listen| reflector(listen, options)).transpose()?;
    let sources = Sources { watch: agent.watch(), device: options.device.clone(), reflector, prober };
    let server = match options.listen {
        Some(listen) => {
            let server = Server::start(listen, sources).await;
            Some(server.with_context(|| format!("metrics can not be served on {listen}"))?)
        }
        None => None,
    };
    tracing::info!(device = %options.device, driver = ?options.driver, "agent started");
    stop_signal().await?;
    tracing::info!(device = %options.device, "agent stops");
    agent.shutdown().await;
    drop(server);
    if let Some(clock) = clock {
        clock.abort();
    }
    Ok(())
}

/// An agent with what stands behind its driver.
struct Running {
    agent: AgentHandle,
    /// Of a device whose interfaces are this machine's.
    prober: Option<Arc<Prober>>,
    /// Of a simulated device.
    clock: Option<tokio::task::JoinHandle<()>>,
}

fn start(options: &Options, config: AgentConfig) -> anyhow::Result<Running> {
    const FAILED: &str = "the agent can not start";
    let family = match options.driver {
        DriverChoice::Frr => {
            let prober = Arc::new(Prober::new(options.prober()));
            let driver = FrrDriver::open(&options.frr(), prober.clone()).context("FRR can not be driven")?;
            let agent = Agent::start(config, driver).context(FAILED)?;
            return Ok(Running { agent, prober: Some(prober), clock: None });
        }
        DriverChoice::Eos => {
            let eos = options.eos.config(&options.state_dir, &options.device)?;
            let config = AgentConfig { limits: eos.timeouts.apply_limits(), ..config };
            // A switch's interfaces are not this machine's: what left from here would say nothing of its links.
            let agent = Agent::start(config, EosDriver::new(&eos, NoProber)?).context(FAILED)?;
            return Ok(Running { agent, prober: None, clock: None });
        }
        DriverChoice::SimulatorFrr => Family::Frr,
        DriverChoice::SimulatorEos => Family::Eos,
    };
    let (driver, clock) = simulator(options, family)?;
    Ok(Running { agent: Agent::start(config, driver).context(FAILED)?, prober: None, clock: Some(clock) })
}

fn reflector(listen: SocketAddrV4, options: &Options) -> anyhow::Result<Arc<Reflector>> {
    let peers = &options.stamp_peers;
    let peers = if peers.is_empty() { Peers::ANYBODY } else { Peers::only(peers.iter().copied()) };
    let opener = options.opener();
    let started = Reflector::start(ReflectorSettings { listen, peers, opener, ..ReflectorSettings::default() });
    let reflector = started.with_context(|| {
        format!(
            "STAMP probes can not be answered on {listen}: another process has the port, or this one may not have it \
             (CAP_NET_BIND_SERVICE), or may not enter the network namespace (CAP_SYS_ADMIN)"
        )
    })?;
    Ok(Arc::new(reflector))
}

/// Everything that is wrong with it is found in one go.
fn config(options: &Options) -> Result<AgentConfig, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut sound = |place: &str, found: anyhow::Result<[u8; 32]>| match found {
        Ok(key) => key,
        Err(error) => {
            problems.push(PROGRAM.problem(place, format!("{error:#}."), "Give a key of 32 bytes in base 58."));
            [0; 32]
        }
    };
    let program_id = sound("program_id", base58(&options.program_id));
    let pinned = options.controller_keys.iter().map(|key| sound(&format!("controller_keys, {key:?}"), base58(key)));
    let controller_keys = pinned.collect();
    let ca = options.controller_ca.as_ref().map(std::fs::read).transpose().unwrap_or_else(|error| {
        let remedy = "Name the file with the CA certificates in PEM.";
        problems.push(PROGRAM.problem("controller_ca", format!("It can't be read: {error}."), remedy));
        None
    });
    let (agent_key, telemetry_key) =
        (key("agent_key", &options.agent_key), key("telemetry_key", &options.telemetry_key));
    problems.extend(agent_key.as_ref().err().cloned());
    problems.extend(telemetry_key.as_ref().err().cloned());
    let (Ok(agent_key), Ok(telemetry_key)) = (agent_key, telemetry_key) else { return Err(problems) };
    let config = AgentConfig {
        device: options.device.clone(),
        program_id,
        controllers: options.controllers.clone(),
        controller_ca: ca,
        controller_keys,
        oracles: options.oracles.clone(),
        agent_key,
        telemetry_key,
        state_dir: options.state_dir.clone(),
        intervals: Intervals {
            sample: Duration::from_millis(options.sample_ms),
            poll: Duration::from_millis(options.poll_ms),
            ..Intervals::default()
        },
        limits: limits(options),
        probes_per_sample: PROBES_PER_SAMPLE,
        buffered_samples: BUFFERED_SAMPLES,
    };
    if problems.is_empty() {
        problems.extend(config.check().err().map(|error| PROGRAM.problem("settings", format!("{error}."), "Mend it.")));
    }
    if problems.is_empty() { Ok(config) } else { Err(problems) }
}

fn limits(options: &Options) -> ApplyLimits {
    let default = ApplyLimits::default();
    let given = |ms: Option<u64>, usual| ms.map_or(usual, Duration::from_millis);
    ApplyLimits {
        verb: given(options.step_ms, default.verb),
        verify: given(options.verify_ms, default.verify),
        revert_after: given(options.revert_after_ms, default.revert_after),
        ..default
    }
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

async fn stop_signal() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        stopped = tokio::signal::ctrl_c() => stopped?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
