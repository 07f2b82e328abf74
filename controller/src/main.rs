//! The controller's process: flags and environment in, a running [`Controller`], an orderly end on SIGTERM or SIGINT.

use std::{
    fs,
    io::{IsTerminal, Write},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, bail};
use causeway_controller::{
    daemon::{Config, Controller},
    guards::Limits,
    render::{Family, timers::BFD_INTERVAL_MS},
    tls::TlsFiles,
};
use causeway_interface::Key;
use clap::Parser;
use ed25519_dalek::SigningKey;
use tokio::signal::unix::{SignalKind, signal};

/// Turns the ledger into router configurations and serves them to agents and people.
#[derive(Debug, Parser)]
#[command(version)]
struct Flags {
    /// RPC address of a ledger node.
    #[arg(long, env = "CAUSEWAY_RPC_URL")]
    rpc_url: String,
    /// Websocket address of the node; by default the RPC address with the scheme and port that go with it.
    #[arg(long, env = "CAUSEWAY_WS_URL")]
    ws_url: Option<String>,
    /// The program, base58.
    #[arg(long, env = "CAUSEWAY_PROGRAM_ID")]
    program_id: Key,
    /// File of the key that signs configurations.
    #[arg(long, env = "CAUSEWAY_CONTROLLER_KEY")]
    key: PathBuf,
    /// Where agents come in.
    #[arg(long, env = "CAUSEWAY_GRPC_ADDR", default_value = "127.0.0.1:7443")]
    grpc_addr: SocketAddr,
    /// Where people come in.
    #[arg(long, env = "CAUSEWAY_HTTP_ADDR", default_value = "127.0.0.1:7080")]
    http_addr: SocketAddr,
    /// Family of all texts, whatever the devices' platforms: eos or frr.
    #[arg(long, env = "CAUSEWAY_FAMILY")]
    family: Option<Family>,
    /// Folder of snippets that go into every text: eos/*.conf and frr/*.conf.
    #[arg(long, env = "CAUSEWAY_SITE_DIR")]
    site_dir: Option<PathBuf>,
    /// Milliseconds between BFD packets on links; a link that fell silent is found after three.
    #[arg(long, env = "CAUSEWAY_BFD_INTERVAL_MS", default_value_t = BFD_INTERVAL_MS,
        value_parser = clap::value_parser!(u16).range(50..=60_000))]
    bfd_interval_ms: u16,
    /// File of the token with which held configurations are approved; without one, only from this machine.
    #[arg(long, env = "CAUSEWAY_OPERATOR_TOKEN_FILE")]
    operator_token_file: Option<PathBuf>,
    /// PEM certificate chain of both ports.
    #[arg(long, env = "CAUSEWAY_TLS_CERT", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// PEM private key of both ports.
    #[arg(long, env = "CAUSEWAY_TLS_KEY", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Serve without TLS also beyond this machine.
    #[arg(long, env = "CAUSEWAY_ALLOW_PLAIN")]
    allow_plain: bool,
    /// Share of a device's peers or link interfaces beyond which a removal waits for approval, 0 to 1.
    #[arg(long, env = "CAUSEWAY_HOLD_SHARE", default_value_t = Limits::default().removed_share)]
    hold_share: f64,
    /// Removals of fewer peers or link interfaces than this never wait.
    #[arg(long, env = "CAUSEWAY_HOLD_AT_LEAST", default_value_t = Limits::default().removed_at_least)]
    hold_at_least: usize,
}

fn main() -> ExitCode {
    match run(Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody to read it is no reason to panic.
            let _ = writeln!(std::io::stderr(), "causeway-controller: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(flags: Flags) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        logs.init()
    } else {
        logs.json().init()
    }
    if !(0.0..=1.0).contains(&flags.hold_share) {
        bail!("--hold-share {} is not between 0 and 1", flags.hold_share);
    }
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM can't be waited for")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT can't be waited for")?;
    let controller = Controller::start(config(flags)?).await?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    controller.shutdown().await;
    Ok(())
}

fn config(flags: Flags) -> anyhow::Result<Config> {
    let key = causeway_sdk::keys::read(&flags.key)?;
    let operator_token = flags.operator_token_file.map(read_token).transpose()?;
    let ws_url = match flags.ws_url {
        Some(url) => url,
        None => ws_of(&flags.rpc_url)?,
    };
    let tls = flags.tls_cert.zip(flags.tls_key).map(|(certificate, key)| TlsFiles { certificate, key });
    Ok(Config {
        rpc_url: flags.rpc_url,
        ws_url,
        program_id: flags.program_id,
        grpc_addr: flags.grpc_addr,
        http_addr: flags.http_addr,
        key: SigningKey::from_bytes(key.secret_bytes()),
        family: flags.family,
        site_dir: flags.site_dir,
        bfd_interval_ms: flags.bfd_interval_ms,
        limits: Limits { removed_share: flags.hold_share, removed_at_least: flags.hold_at_least, ..Limits::default() },
        operator_token,
        tls,
        allow_plain: flags.allow_plain,
    })
}

/// Shortest operator token: 16 random bytes in base64 are longer.
const MIN_TOKEN: usize = 20;

fn read_token(path: PathBuf) -> anyhow::Result<String> {
    let text = fs::read_to_string(&path).with_context(|| format!("{} can't be read", path.display()))?;
    let token = text.trim().to_string();
    if token.len() < MIN_TOKEN || !token.chars().all(|c| c.is_ascii_graphic()) {
        bail!("{} does not hold a token of at least {MIN_TOKEN} printable characters", path.display());
    }
    Ok(token)
}

/// The websocket that goes with an RPC address: Solana's nodes serve it on the next port, gateways on the same.
fn ws_of(rpc_url: &str) -> anyhow::Result<String> {
    let (scheme, rest) = match rpc_url.split_once("://") {
        Some(("http", rest)) => ("ws", rest),
        Some(("https", rest)) => ("wss", rest),
        Some((_, _)) | None => bail!("RPC address {rpc_url:?} begins with neither http:// nor https://"),
    };
    let rest = rest.trim_end_matches('/');
    let next = rest.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?.checked_add(1)?)));
    Ok(match next {
        Some((host, port)) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{rest}"),
    })
}
