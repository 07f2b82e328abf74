//! `causeway-localnet`: keeps a local ledger running, and finds or stops one that does.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::Arc,
    time::{Duration, Instant},
};

use causeway_interface::Key;
use causeway_localnet::{
    DEFAULT_TICKS_PER_SLOT, Description, LAMPORTS, Localnet, LocalnetError, NetworkParams, Options, smallest_quorum,
    stdout,
};
use causeway_sdk::{Explain, Ledger, address::to_key, keys};
use clap::{Args, Parser, Subcommand};
use solana_sdk::{pubkey::Pubkey, signature::Keypair, signer::Signer};
use tokio::signal::unix::{SignalKind, signal};

/// Longest wait for a ledger to stop; it takes about a second.
const STOP: Duration = Duration::from_secs(30);
/// Time between two looks whether it has stopped.
const STOP_EVERY: Duration = Duration::from_millis(100);

/// A ledger of one's own for demos and tests.
#[derive(Parser)]
#[command(name = "causeway-localnet", version)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Start a ledger with the program and a network, and keep it running until Ctrl-C.
    Start(Start),
    /// Say what runs.
    Status(Place),
    /// Stop what runs.
    Stop(Place),
}

#[derive(Args)]
struct Place {
    /// Folder of localnet.json and the keys.
    #[arg(long, default_value = ".causeway/localnet")]
    dir: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Start {
    #[command(flatten)]
    place: Place,
    /// RPC port; pubsub is the next one. Free ports if left out.
    #[arg(long)]
    rpc_port: Option<u16>,
    /// The program's binary.
    #[arg(long)]
    program: Option<PathBuf>,
    /// Oracles in the set.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(0..=31))]
    oracles: u8,
    /// Oracles that have to agree; the smallest that is allowed if left out.
    #[arg(long)]
    quorum: Option<u8>,
    /// Burn-in before first service, in slots.
    #[arg(long, value_name = "SLOTS", default_value_t = NetworkParams::default().burn_in_new_slots)]
    burn_in_new: u64,
    /// Burn-in after maintenance, in slots.
    #[arg(long, value_name = "SLOTS", default_value_t = NetworkParams::default().burn_in_maintenance_slots)]
    burn_in_maintenance: u64,
    /// Age after which an attestation no longer counts, in slots.
    #[arg(long, value_name = "SLOTS", default_value_t = NetworkParams::default().attestation_max_age_slots)]
    max_age: u64,
    /// Leave the network to `causeway network init`.
    #[arg(long)]
    no_network: bool,
    /// Ticks of 6.25 ms in a slot.
    #[arg(long, default_value_t = DEFAULT_TICKS_PER_SLOT)]
    ticks_per_slot: u64,
    /// Also print the validator's own messages, on stderr.
    #[arg(long)]
    log: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.verb {
        Verb::Start(start) => run_start(start),
        Verb::Status(place) => on_runtime(status(place)),
        Verb::Stop(place) => on_runtime(stop(place)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error {}: {}\n  {}", error.code(), error.cause(), error.remedy());
            ExitCode::FAILURE
        }
    }
}

fn on_runtime(work: impl Future<Output = Result<(), LocalnetError>>) -> Result<(), LocalnetError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|e| LocalnetError::Start { reason: e.to_string() })?.block_on(work)
}

fn run_start(start: &Start) -> Result<(), LocalnetError> {
    let results = stdout::detach().map_err(|source| LocalnetError::File { path: "stdout".into(), source })?;
    let filter = if start.log { "info" } else { "off,causeway_localnet=warn,causeway_sdk=error" };
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter).init();
    on_runtime(serve(start, results))
}

/// Reads a key file of the folder, or makes it.
fn key(dir: &Path, name: &str) -> Result<(PathBuf, Arc<Keypair>), LocalnetError> {
    let path = dir.join(format!("{name}.json"));
    let key = if path.exists() { keys::read(&path)? } else { keys::generate(&path)? };
    Ok((path, Arc::new(key)))
}

async fn serve(start: &Start, results: File) -> Result<(), LocalnetError> {
    let dir = &start.place.dir;
    if let Some(there) = Description::read(dir)?.filter(Description::is_running) {
        return Err(LocalnetError::Running { dir: dir.clone(), pid: there.pid });
    }
    let file = |path: &Path| {
        let path = path.to_owned();
        move |source| LocalnetError::File { path, source }
    };
    // Before anything slow, so that a signal during the start is not lost.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(file(dir))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(file(dir))?;
    let keys_dir = dir.join("keys");
    std::fs::create_dir_all(&keys_dir).map_err(file(&keys_dir))?;
    let keys_dir = keys_dir.canonicalize().map_err(file(&keys_dir))?;
    let (authority_file, authority) = key(&keys_dir, "authority")?;
    let (payer_file, payer) = key(&keys_dir, "payer")?;
    let (_, program) = key(&keys_dir, "program")?;
    let mut oracle_files = Vec::new();
    let mut oracles: Vec<Pubkey> = Vec::new();
    for n in 1..=start.oracles {
        let (path, oracle) = key(&keys_dir, &format!("oracle-{n}"))?;
        oracle_files.push(path);
        oracles.push(oracle.pubkey());
    }
    let quorum = start.quorum.unwrap_or(smallest_quorum(start.oracles));

    let options = Options {
        program: start.program.clone(),
        program_id: Some(program.pubkey()),
        authority: Some(authority),
        payer: Some(payer),
        rpc_port: start.rpc_port,
        funded: oracles.iter().map(|key| (*key, LAMPORTS)).collect(),
        ticks_per_slot: start.ticks_per_slot,
    };
    let localnet = Localnet::start(options).await?;
    if !start.no_network {
        let params = NetworkParams {
            burn_in_new_slots: start.burn_in_new,
            burn_in_maintenance_slots: start.burn_in_maintenance,
            attestation_max_age_slots: start.max_age,
            oracles: oracles.iter().map(to_key).collect::<Vec<Key>>(),
            quorum,
            ..NetworkParams::default()
        };
        localnet.init_network(&params).await?;
    }
    let description = Description {
        rpc_url: localnet.rpc_url().to_owned(),
        websocket_url: localnet.websocket_url().to_owned(),
        program_id: localnet.program_id().to_string(),
        pid: std::process::id(),
        authority: authority_file,
        payer: payer_file,
        oracles: oracle_files,
        quorum,
    };
    description.write(dir)?;
    print(results, &description, start.place.json, "Stop it with Ctrl-C, or `causeway localnet stop`.");
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Description::remove(dir);
    localnet.stop().await;
    Ok(())
}

fn print(mut to: impl Write, description: &Description, json: bool, note: &str) {
    let text = if json {
        serde_json::to_string(description).unwrap_or_default()
    } else {
        let Description { rpc_url, websocket_url, program_id, pid, authority, payer, oracles, quorum } = description;
        format!(
            "local ledger   {rpc_url}\nsubscriptions  {websocket_url}\nprogram        {program_id}\n\
             process        {pid}\nauthority      {}\npayer          {}\noracles        {}, quorum {quorum}\n{note}",
            authority.display(),
            payer.display(),
            oracles.len(),
        )
    };
    // A reader that went away is a normal end.
    let _ = writeln!(to, "{text}");
}

async fn status(place: &Place) -> Result<(), LocalnetError> {
    let description = Description::running(&place.dir)?;
    let program = description.program_id.parse().unwrap_or_default();
    let slot = Ledger::new(&description.rpc_url, program).slot().await?;
    print(std::io::stdout(), &description, place.json, &format!("It is at slot {slot}."));
    Ok(())
}

async fn stop(place: &Place) -> Result<(), LocalnetError> {
    let description = Description::running(&place.dir)?;
    let failed = |source| LocalnetError::File { path: "sh".into(), source };
    // The shell's own `kill`: it is everywhere, and signals have no safe call in the standard library.
    let pid = description.pid.to_string();
    Command::new("sh").args(["-c", "kill -TERM \"$0\"", &pid]).status().map_err(failed)?;
    let deadline = Instant::now() + STOP;
    while description.is_running() {
        if Instant::now() >= deadline {
            let reason = format!("process {pid} does not stop");
            return Err(LocalnetError::Start { reason });
        }
        tokio::time::sleep(STOP_EVERY).await;
    }
    Description::remove(&place.dir);
    if place.json {
        println!("{{\"stopped\":{pid}}}");
    } else {
        println!("stopped process {pid}");
    }
    Ok(())
}
