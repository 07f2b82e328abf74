//! The whole of Causeway with real routers: a ledger, the program, a controller, oracles, and for each device of a topology
//! an FRR in a network namespace with the agent's own program beside it. From nothing to everything in service by itself,
//! and then maintenance and faults under a steady probe between far ends.
//!
//! Nothing is simulated but distance and the ends of the network: links are as long as their metric only, and the
//! internet is a switch.
//!
//! The story goes to stdout, with `--json` to stderr; then the last line of stdout is one JSON object.

mod agents;
mod args;
mod command;
mod graph;
mod network;
mod priority;
mod probes;
mod provision;
mod refusals;
mod report;
mod router;
mod script;
mod system;

use std::{fs::File, io::Write, process::ExitCode, time::Duration};

use anyhow::Context;
use causeway_demo::screen::Screen;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::{args::Args, report::Report, system::Lab};

/// Longest time that stopping may take.
const STOP_LIMIT: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    match lab(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything came out as it should.
fn lab(args: &Args) -> anyhow::Result<bool> {
    // The validator prints to stdout, which is for the story and its result.
    let stdout = causeway_localnet::stdout::detach().context("standard output can't be used")?;
    let filter = tracing_subscriber::EnvFilter::try_from_env("CAUSEWAY_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let (topology, text) = args.topology_text()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    let mut screen = Screen::new(stdout.try_clone().context("standard output")?, args.json);
    let finished = runtime.block_on(async {
        let started = tokio::select! {
            started = Lab::start(args, &topology, &text, &mut screen) => started,
            signal = interrupted() => signal.and_then(|()| Err(anyhow::anyhow!("interrupted"))),
        };
        let mut lab = match started {
            Ok(lab) => lab,
            Err(error) => {
                screen.end_live();
                // What was under way when somebody pressed Ctrl-C knows nothing of its end.
                network::remove_run(&std::process::id().to_string()).await;
                return Err(error);
            }
        };
        let done = tokio::select! {
            told = script::tell(&mut lab, args, &topology, &mut screen) => told,
            signal = interrupted() => signal.and_then(|()| Err(anyhow::anyhow!("interrupted"))),
        };
        screen.end_live();
        let finished = match done {
            Ok(report) => finish(args, &report, stdout, &lab, &mut screen).await,
            Err(error) => Err(error),
        };
        if tokio::time::timeout(STOP_LIMIT, lab.stop()).await.is_err() {
            screen.say("Some parts did not stop in time; the next lab removes what they left.");
        }
        finished
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
    finished
}

async fn finish(
    args: &Args,
    report: &Report,
    mut result: File,
    lab: &Lab,
    screen: &mut Screen,
) -> anyhow::Result<bool> {
    screen.say(&report.table());
    let problems = report.problems();
    for problem in &problems {
        screen.say(&format!("Not as it should be: {problem}."));
    }
    if args.json {
        writeln!(result, "{}", serde_json::to_string(report)?)?;
    }
    if !args.exit_when_done {
        screen.say(&lab.where_to_look());
        let router = lab.places.iter().next().map(|(code, place)| (code, &place.namespace));
        if let Some((code, namespace)) = router {
            screen.say(&format!("The router of {code}: ip netns exec {namespace} vtysh -N {namespace}"));
        }
        interrupted().await?;
        screen.say("Stopping.");
    }
    Ok(problems.is_empty())
}

/// Until Ctrl-C or a request to terminate.
async fn interrupted() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("no signals")?;
    tokio::select! {
        interrupt = tokio::signal::ctrl_c() => interrupt.context("no signals"),
        _ = terminate.recv() => Ok(()),
    }
}
