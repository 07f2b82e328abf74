//! The controller's process: flags, environment and file in, a running [`Controller`], an orderly end on SIGTERM or SIGINT.

use std::{
    io::{IsTerminal, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use causeway_controller::{
    codes,
    daemon::{Config, Controller},
    guards::Limits,
    http::description,
    jobs::{
        JobsConfig, StoreAt,
        automatic::{AutomaticConfig, Field},
        eapi,
        policy::{ApprovalRule, ChangePolicy, WindowRule},
    },
    kept, operators,
    orders::ByJobs,
    render::{Family, site::Site, timers::BFD_INTERVAL_MS},
    tls::TlsFiles,
};
use causeway_interface::{Code, DeviceStatus, Key};
use causeway_jobs::rollout::Budget;
use causeway_settings::{Failure, Problem, Program, key, shown};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

/// Exit code for settings that can't be used: a supervisor need not try again.
const MISCONFIGURED: u8 = 2;

/// The controller, as a program that has settings.
const PROGRAM: Program = Program {
    code: codes::CONFIG.code,
    variable: "CAUSEWAY_CONTROLLER_CONFIG",
    example: "deploy/controller/controller.example.toml",
};

/// Turns the ledger into router configurations and serves them to agents and people.
///
/// A flag wins over its environment variable, that over the configuration file, that over the default.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Configuration file in TOML; controller.example.toml has every key
    #[arg(long, env = "CAUSEWAY_CONTROLLER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the settings in force with the origin of each, and exit: 0 if they can be used, 2 if not
    #[arg(long)]
    check_config: bool,
    /// Print the description of the HTTP API (OpenAPI), and exit; the only flag then
    #[arg(long)]
    #[allow(dead_code)] // Looked for before anything else is.
    openapi: bool,
    /// RPC address of a ledger node
    #[arg(long, env = "CAUSEWAY_RPC_URL", value_name = "URL")]
    rpc_url: String,
    /// Websocket address of the node; by default the RPC address with the scheme and port that go with it
    #[arg(long, env = "CAUSEWAY_WS_URL", value_name = "URL")]
    ws_url: Option<String>,
    /// The program, base58
    #[arg(long, env = "CAUSEWAY_PROGRAM_ID")]
    program_id: Key,
    /// File of the key that signs configurations: JSON as solana-keygen writes it, or PKCS#8 (PEM or DER); readable by its
    /// owner only
    #[arg(long, env = "CAUSEWAY_CONTROLLER_KEY", value_name = "FILE")]
    key: PathBuf,
    /// Where agents come in
    #[arg(long, env = "CAUSEWAY_GRPC_ADDR", value_name = "ADDRESS", default_value = "127.0.0.1:7443")]
    grpc_addr: SocketAddr,
    /// Where people come in
    #[arg(long, env = "CAUSEWAY_HTTP_ADDR", value_name = "ADDRESS", default_value = "127.0.0.1:7080")]
    http_addr: SocketAddr,
    /// Family of all texts, whatever the devices' platforms: eos or frr
    #[arg(long, env = "CAUSEWAY_FAMILY")]
    family: Option<Family>,
    /// Folder of snippets that go into every text: eos/*.conf and frr/*.conf
    #[arg(long, env = "CAUSEWAY_SITE_DIR", value_name = "DIR")]
    site_dir: Option<PathBuf>,
    /// Milliseconds between BFD packets on links; a link that fell silent is found after three
    #[arg(long, env = "CAUSEWAY_BFD_INTERVAL_MS", default_value_t = BFD_INTERVAL_MS,
        value_parser = clap::value_parser!(u16).range(50..=60_000))]
    bfd_interval_ms: u16,
    /// File of the operators' tokens, with which held configurations are approved and agents are asked what runs, readable
    /// by its owner only: a token, or `NAME TOKEN` on a line for each operator; without one, only from this machine
    #[arg(long, env = "CAUSEWAY_OPERATOR_TOKEN_FILE", value_name = "FILE")]
    operator_token_file: Option<PathBuf>,
    /// File of the audit log, made if it is not there; by default audit.sqlite in the folder that systemd keeps for the
    /// service (STATE_DIRECTORY), and without one the log is in memory and ends with the controller
    #[arg(long, env = "CAUSEWAY_AUDIT_FILE", value_name = "FILE")]
    audit_file: Option<PathBuf>,
    /// File of what is served, made if it is not there, by which the next start is measured: what waits for approval goes on
    /// waiting, and a record that can't be read any more is what it was; by default served in the folder that systemd keeps for
    /// the service (STATE_DIRECTORY), and without one a start takes the ledger as it is
    #[arg(long, env = "CAUSEWAY_SERVED_FILE", value_name = "FILE")]
    served_file: Option<PathBuf>,
    /// PEM certificate chain of both ports
    #[arg(long, env = "CAUSEWAY_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// PEM private key of both ports, readable by its owner only
    #[arg(long, env = "CAUSEWAY_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Serve without TLS also beyond this machine
    #[arg(long, env = "CAUSEWAY_ALLOW_PLAIN")]
    allow_plain: bool,
    /// Share of a device's peers or link interfaces beyond which a removal waits for approval, 0 to 1
    #[arg(long, env = "CAUSEWAY_HOLD_SHARE", default_value_t = Limits::default().removed_share)]
    hold_share: f64,
    /// Removals of fewer peers or link interfaces than this never wait
    #[arg(long, env = "CAUSEWAY_HOLD_AT_LEAST", value_name = "N", default_value_t = Limits::default().removed_at_least)]
    hold_at_least: usize,
    /// Where provisioning jobs are kept: an SQLite file, or the URL of a PostgreSQL server (postgres://user@host/database);
    /// by default jobs.sqlite in the folder that systemd keeps for the service (STATE_DIRECTORY), and without one there are none
    #[arg(long, env = "CAUSEWAY_JOBS_STORE", value_name = "FILE|URL")]
    jobs_store: Option<String>,
    /// Devices that are provisioned by jobs: they are served what their last job brought, and only a job changes it
    #[arg(long, env = "CAUSEWAY_JOBS_DEVICES", value_name = "CODE", value_delimiter = ',')]
    jobs_devices: Vec<Code>,
    /// Contributors whose devices are provisioned by jobs
    #[arg(long, env = "CAUSEWAY_JOBS_CONTRIBUTORS", value_name = "CODE", value_delimiter = ',')]
    jobs_contributors: Vec<Code>,
    /// Every device is provisioned by jobs
    #[arg(long, env = "CAUSEWAY_JOBS_ALL")]
    jobs_all: bool,
    /// File of the Arista switches that the controller pushes to over eAPI, instead of an agent that pulls: a TOML table for
    /// each device, with url, ca or certificate, and credentials; they are provisioned by jobs
    #[arg(long, env = "CAUSEWAY_JOBS_EAPI_FILE", value_name = "FILE")]
    jobs_eapi_file: Option<PathBuf>,
    /// Folder for what has to be remembered of them; by default eapi in the folder that systemd keeps for the service
    #[arg(long, env = "CAUSEWAY_JOBS_EAPI_STATE_DIR", value_name = "DIR")]
    jobs_eapi_state_dir: Option<PathBuf>,
    /// Changes on the ledger start jobs for devices that are provisioned by jobs: dry runs, but for devices that are opted in
    #[arg(long, env = "CAUSEWAY_JOBS_AUTOMATIC")]
    jobs_automatic: bool,
    /// What has to change for it: status, desired, interfaces, links, record, others; all of them by default
    #[arg(long, env = "CAUSEWAY_JOBS_AUTOMATIC_FIELDS", value_name = "FIELD", value_delimiter = ',')]
    jobs_automatic_fields: Vec<Field>,
    /// Statuses of devices for which it counts; by default all but pending, rejected and deleting
    #[arg(long, env = "CAUSEWAY_JOBS_AUTOMATIC_STATUSES", value_name = "STATUS", value_delimiter = ',')]
    jobs_automatic_statuses: Vec<DeviceStatus>,
    /// Devices whose automatic jobs are no dry runs
    #[arg(long, env = "CAUSEWAY_JOBS_AUTOMATIC_COMMIT_DEVICES", value_name = "CODE", value_delimiter = ',')]
    jobs_automatic_commit_devices: Vec<Code>,
    /// Contributors whose devices' automatic jobs are no dry runs
    #[arg(long, env = "CAUSEWAY_JOBS_AUTOMATIC_COMMIT_CONTRIBUTORS", value_name = "CODE", value_delimiter = ',')]
    jobs_automatic_commit_contributors: Vec<Code>,
    /// An automatic job begins after the ledger has been quiet about its device for so many milliseconds
    #[arg(long, env = "CAUSEWAY_JOBS_AUTOMATIC_DEBOUNCE_MS", value_name = "MS", default_value_t = 5_000,
        value_parser = clap::value_parser!(u64).range(0..=3_600_000))]
    jobs_automatic_debounce_ms: u64,
    /// Who has to agree before a change begins: a rule of `kinds= roles= [devices=N] [approvals=N] [glass=] [hours=N]`; of several
    /// rules, in the environment apart by `;`, the one for the most devices counts
    #[arg(long, env = "CAUSEWAY_JOBS_APPROVALS", value_name = "RULE", value_delimiter = ';')]
    jobs_approvals: Vec<ApprovalRule>,
    /// When rollouts may begin devices, in UTC: `opens=tue-02:00 minutes=N [devices=] [contributors=]`; without devices and
    /// contributors for everybody that no other window names
    #[arg(long, env = "CAUSEWAY_JOBS_WINDOWS", value_name = "WINDOW", value_delimiter = ';')]
    jobs_windows: Vec<WindowRule>,
    /// All rollouts together begin at most so many devices in any time of jobs_budget_minutes; as many as there are without it
    #[arg(long, env = "CAUSEWAY_JOBS_BUDGET_DEVICES", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    jobs_budget_devices: Option<u32>,
    /// The time of jobs_budget_devices, in minutes
    #[arg(long, env = "CAUSEWAY_JOBS_BUDGET_MINUTES", value_name = "MINUTES", default_value_t = 60,
        value_parser = clap::value_parser!(u64).range(1..=40_320))]
    jobs_budget_minutes: u64,
    /// Logs as JSON, as they are also where stderr is no terminal; RUST_LOG says what is logged, info without it
    #[arg(long, env = "CAUSEWAY_CONTROLLER_LOG_JSON")]
    log_json: bool,
}

fn main() -> ExitCode {
    // Nothing has to be set for this.
    if std::env::args_os().skip(1).eq(["--openapi"]) {
        return print(&description());
    }
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
        return print(&shown(&settings));
    }
    match run(options.log_json, config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody to read it is no reason to panic.
            let _ = writeln!(std::io::stderr(), "causeway-controller: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn misconfigured(problems: &[Problem]) -> ExitCode {
    for problem in problems {
        let _ = writeln!(std::io::stderr(), "error: {problem}");
    }
    ExitCode::from(MISCONFIGURED)
}

#[tokio::main]
async fn run(log_json: bool, config: Config) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() && !log_json {
        logs.init()
    } else {
        logs.json().init()
    }
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM can't be waited for")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT can't be waited for")?;
    let controller = Controller::start(config).await?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    controller.shutdown().await;
    Ok(())
}

/// Everything that is wrong with it is found in one go.
fn config(options: &Options) -> Result<Config, Vec<Problem>> {
    let mut problems = Vec::new();
    if !(0.0..=1.0).contains(&options.hold_share) {
        let cause = format!("{} is not between 0 and 1.", options.hold_share);
        problems.push(PROGRAM.problem("hold_share", cause, "Give a share, such as 0.5."));
    }
    let ws_url = match &options.ws_url {
        Some(url) => Some(url.clone()),
        None => ws_of(&options.rpc_url),
    };
    if ws_url.is_none() {
        let cause = "It begins with neither http:// nor https://.".to_owned();
        problems.push(PROGRAM.problem("rpc_url", cause, "Give the RPC address of a ledger node."));
    }
    let operator_token = options.operator_token_file.as_deref().map(token).transpose().unwrap_or_else(|problem| {
        problems.push(problem);
        None
    });
    let tls = options.tls_cert.clone().zip(options.tls_key.clone());
    let tls = tls.map(|(certificate, key)| TlsFiles { certificate, key });
    problems.extend(tls.as_ref().and_then(|files| check_tls(files).err()));
    if let Some(Err(error)) = options.site_dir.as_deref().map(Site::read) {
        problems.push(PROGRAM.problem("site_dir", format!("{error}."), "Mend the snippet, or name another folder."));
    }
    let served_file = options.served_file.clone().or_else(|| in_state_directory("served"));
    if let Some(Err(error)) = served_file.as_deref().map(|path| kept::read(path, &options.program_id)) {
        let remedy = "Move the file away if what it says is of no use any more: the next start then takes the ledger as it is, \
                      and holds nothing back that it would take away.";
        problems.push(PROGRAM.problem("served_file", format!("{error}."), remedy));
    }
    for (name, address) in [("grpc_addr", options.grpc_addr), ("http_addr", options.http_addr)] {
        if tls.is_none() && !options.allow_plain && !address.ip().is_loopback() {
            let cause = format!("{address} is not of this machine alone, and there is no TLS.");
            let remedy = "Set tls_cert and tls_key, or allow_plain where something else protects the way.";
            problems.push(PROGRAM.problem(name, cause, remedy));
        }
    }
    let key = key("key", &options.key);
    problems.extend(key.as_ref().err().cloned());
    let eapi = switches(options).unwrap_or_else(|wrong| {
        problems.extend(wrong);
        eapi::Targets::new()
    });
    let jobs = jobs(options, eapi);
    let named = !options.jobs_devices.is_empty() || !options.jobs_contributors.is_empty();
    let by_jobs = options.jobs_all || named || options.jobs_eapi_file.is_some();
    if by_jobs && jobs.store.is_none() {
        let cause = "Devices are provisioned by jobs, and there is nowhere to keep jobs.".to_owned();
        problems.push(PROGRAM.problem("jobs_store", cause, "Give a file or the URL of a PostgreSQL server."));
    }
    if let Some(cause) = jobs.changes.problem(jobs.policy.confirm_within_ms) {
        let remedy = "Make the windows longer, or the rules fewer.";
        problems.push(PROGRAM.problem("jobs_windows", format!("{cause}."), remedy));
    }
    let (Ok(key), Some(ws_url), true) = (key, ws_url, problems.is_empty()) else { return Err(problems) };
    Ok(Config {
        rpc_url: options.rpc_url.clone(),
        ws_url,
        program_id: options.program_id,
        grpc_addr: options.grpc_addr,
        http_addr: options.http_addr,
        key,
        family: options.family,
        site_dir: options.site_dir.clone(),
        bfd_interval_ms: options.bfd_interval_ms,
        limits: Limits {
            removed_share: options.hold_share,
            removed_at_least: options.hold_at_least,
            ..Limits::default()
        },
        operator_token,
        audit_file: options.audit_file.clone().or_else(|| in_state_directory("audit.sqlite")),
        served_file,
        tls,
        allow_plain: options.allow_plain,
        jobs,
    })
}

/// A file in the folder that systemd keeps for the service.
fn in_state_directory(name: &str) -> Option<PathBuf> {
    Some(PathBuf::from(std::env::var_os("STATE_DIRECTORY")?).join(name))
}

/// Of a minute.
const MINUTE_MS: u64 = 60_000;
/// File of jobs in the folder that systemd keeps for the service.
const JOBS_FILE: &str = "jobs.sqlite";

/// Folder of what is remembered of switches, in the folder that systemd keeps for the service.
const EAPI_DIR: &str = "eapi";

/// The switches that are pushed to.
fn switches(options: &Options) -> Result<eapi::Targets, Vec<Problem>> {
    let Some(file) = &options.jobs_eapi_file else { return Ok(eapi::Targets::new()) };
    let own = || Some(PathBuf::from(std::env::var_os("STATE_DIRECTORY")?).join(EAPI_DIR));
    let Some(state) = options.jobs_eapi_state_dir.clone().or_else(own) else {
        let cause = "There is nowhere to keep what has to be remembered of switches.".to_owned();
        return Err(vec![PROGRAM.problem("jobs_eapi_state_dir", cause, "Give a folder of the controller's own.")]);
    };
    let remedy = "docs/jobs.md shows a table; a file of credentials is one line, user:password, with mode 600.";
    let problem = |wrong: eapi::Wrong| {
        PROGRAM.problem(format!("jobs_eapi_file: {}", wrong.place), format!("{}.", wrong.cause), remedy)
    };
    eapi::read(file, &state).map_err(|wrong| wrong.into_iter().map(problem).collect())
}

fn jobs(options: &Options, eapi: eapi::Targets) -> JobsConfig {
    let own = || Some(StoreAt::File(PathBuf::from(std::env::var_os("STATE_DIRECTORY")?).join(JOBS_FILE)));
    JobsConfig {
        store: options.jobs_store.as_deref().map(StoreAt::parse).or_else(own),
        by_jobs: ByJobs {
            all: options.jobs_all,
            devices: options.jobs_devices.iter().copied().collect(),
            contributors: options.jobs_contributors.iter().copied().collect(),
            pushed: eapi.keys().copied().collect(),
        },
        eapi,
        automatic: automatic(options),
        changes: ChangePolicy {
            approvals: options.jobs_approvals.clone(),
            windows: options.jobs_windows.clone(),
            budget: options.jobs_budget_devices.map(|devices| {
                let per_ms = options.jobs_budget_minutes.saturating_mul(MINUTE_MS);
                Budget { devices, per_ms }
            }),
        },
        ..JobsConfig::default()
    }
}

fn automatic(options: &Options) -> AutomaticConfig {
    let usual = AutomaticConfig::default();
    let or = |given: &[Field], usual| if given.is_empty() { usual } else { given.iter().copied().collect() };
    let statuses = match options.jobs_automatic_statuses.as_slice() {
        [] => usual.statuses,
        given => given.iter().copied().collect(),
    };
    AutomaticConfig {
        enabled: options.jobs_automatic,
        fields: or(&options.jobs_automatic_fields, usual.fields),
        statuses,
        commit_devices: options.jobs_automatic_commit_devices.iter().copied().collect(),
        commit_contributors: options.jobs_automatic_commit_contributors.iter().copied().collect(),
        debounce: Duration::from_millis(options.jobs_automatic_debounce_ms),
    }
}

/// Reads a file that nobody else may read, as a key's.
fn private(place: &str, path: &Path) -> Result<Vec<u8>, Problem> {
    causeway_wire::keyfile::read_private(path).map_err(|error| {
        let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        let remedy = "Check the path, and that nobody but its owner can read it (`chmod 600`).";
        PROGRAM.problem(place, format!("{error}{source}."), remedy)
    })
}

fn token(path: &Path) -> Result<String, Problem> {
    let content = private("operator_token_file", path)?;
    let token = String::from_utf8_lossy(&content).trim().to_string();
    if let Some(problem) = operators::problem(&token) {
        let cause = format!("{} can't be used: {problem}.", path.display());
        let remedy = "Give a token, or `NAME TOKEN` on a line for each operator; `openssl rand -base64 24` makes one.";
        return Err(PROGRAM.problem("operator_token_file", cause, remedy));
    }
    Ok(token)
}

fn check_tls(files: &TlsFiles) -> Result<(), Problem> {
    private("tls_key", &files.key)?;
    let unfit = |error: causeway_controller::tls::TlsError| {
        let remedy = "Give a PEM certificate chain, the server's first, and the PEM key that goes with it.";
        PROGRAM.problem("tls_cert", format!("{:#}.", anyhow::Error::from(error)), remedy)
    };
    files.load().map(drop).map_err(unfit)
}

/// The websocket that goes with an RPC address: Solana's nodes serve it on the next port, gateways on the same.
fn ws_of(rpc_url: &str) -> Option<String> {
    let (scheme, rest) = match rpc_url.split_once("://")? {
        ("http", rest) => ("ws", rest),
        ("https", rest) => ("wss", rest),
        _ => return None,
    };
    let rest = rest.trim_end_matches('/');
    let next = rest.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?.checked_add(1)?)));
    Some(match next {
        Some((host, port)) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{rest}"),
    })
}
