//! The whole of Causeway on one machine: a ledger, the program, a controller, oracles, and an agent with a simulated
//! router for each device of a real topology.
//!
//! Nothing is shortened by other code: burn-ins are network parameters, and contributors register everything through the
//! CLI's own plan and apply. What is simulated is the routers and the wires between them.
//!
//! The story goes to stdout, with `--json` to stderr; then the last line of stdout is one JSON object.

mod args;
mod story;
mod summary;
mod system;

use std::{fs::File, io::Write, process::ExitCode, time::Duration};

use anyhow::Context;
use causeway_demo::screen::Screen;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::{args::Args, summary::Summary, system::System};

/// Longest time that stopping may take; what has not stopped by then ends with the process.
const STOP_LIMIT: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let args = Args::parse();
    // The validator prints to stdout, which is for the story and its result.
    let stdout = match causeway_localnet::stdout::detach() {
        Ok(stdout) => stdout,
        Err(error) => {
            eprintln!("error: standard output can't be used: {error}");
            return ExitCode::FAILURE;
        }
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("CAUSEWAY_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(&args, stdout) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything came out as it should.
fn run(args: &Args, stdout: File) -> anyhow::Result<bool> {
    let (topology, text) = args.topology_text()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    let mut result = stdout.try_clone().context("standard output")?;
    let mut screen = Screen::new(stdout, args.json);
    let outcome = runtime.block_on(async {
        tokio::select! {
            done = play(args, &topology, &text, &mut screen) => done,
            signal = interrupted() => {
                signal?;
                anyhow::bail!("interrupted")
            }
        }
    });
    let finished = match outcome {
        Ok((summary, system)) => {
            screen.end_live();
            screen.say(&summary.table());
            if args.json {
                writeln!(result, "{}", serde_json::to_string(&summary)?)?;
            }
            if !args.exit_when_done {
                screen.say(&system.where_to_look());
                runtime.block_on(interrupted())?;
                screen.say("Stopping.");
            }
            let stopped = runtime.block_on(async { tokio::time::timeout(STOP_LIMIT, system.stop()).await });
            if stopped.is_err() {
                screen.say("Some parts did not stop in time and end with the process.");
            }
            Ok(summary.is_complete())
        }
        Err(error) => {
            screen.end_live();
            Err(error)
        }
    };
    runtime.shutdown_timeout(Duration::from_secs(5));
    finished
}

/// Until Ctrl-C or a request to terminate.
async fn interrupted() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("no signals")?;
    tokio::select! {
        interrupt = tokio::signal::ctrl_c() => interrupt.context("no signals"),
        _ = terminate.recv() => Ok(()),
    }
}

async fn play(args: &Args, topology: &str, text: &str, screen: &mut Screen) -> anyhow::Result<(Summary, System)> {
    let mut system = System::start(args, topology, text, screen).await?;
    let summary = story::tell(&mut system, screen).await?;
    Ok((summary, system))
}
