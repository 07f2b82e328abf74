//! Steady probes from one router to others, for whoever has to know what a change of the network lost: sends to other ends
//! and answers theirs. Asked by a line on its standard input, it says in a line of JSON how its probes stand; the line
//! `start` begins them.
//!
//! It is no part of an agent, so that agents can be restarted under it.

use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddrV4},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use causeway_agent::stamp::{
    Reflector, ReflectorSettings, Standing, Steady, SteadySettings,
    limit::{Limits, Share},
    socket,
};
use clap::Parser;
use tokio::io::{AsyncBufReadExt, BufReader};

/// Packets that are answered, of one source and of all: no measurement is to be cut short by it.
const ALL: Share = Share { per_second: 1_000_000, burst: 1_000_000 };

/// Probes other ends steadily and answers theirs.
#[derive(Clone, Debug, Parser)]
#[command(version, about)]
struct Options {
    /// Address that probes leave from and are answered at
    #[arg(long)]
    address: Ipv4Addr,
    /// Port that probes are answered at, here and there; not an agent's
    #[arg(long, default_value_t = 8_862)]
    port: u16,
    /// Another end; repeat for more
    #[arg(long)]
    target: Vec<Ipv4Addr>,
    /// Probes a second to each
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    per_second: u32,
    /// Longest way there and back in ms
    #[arg(long, default_value_t = 1_000)]
    patience_ms: u64,
    /// Longest wait for an answer to be read, in ms
    #[arg(long, default_value_t = 3_000)]
    wait_ms: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("causeway-steady: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Until its standard input ends.
async fn run(options: &Options) -> anyhow::Result<()> {
    let settings = ReflectorSettings {
        listen: SocketAddrV4::new(options.address, options.port),
        limits: Limits { source: ALL, total: ALL },
        ..ReflectorSettings::default()
    };
    let _reflector = Reflector::start(settings)
        .with_context(|| format!("probes can't be answered at {}:{}", options.address, options.port))?;
    let start = |target: &Ipv4Addr| {
        Steady::start(SteadySettings {
            source: options.address,
            target: SocketAddrV4::new(*target, options.port),
            per_second: options.per_second,
            patience: Duration::from_millis(options.patience_ms),
            wait: Duration::from_millis(options.wait_ms),
            opener: socket::opener(),
        })
    };
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    // Nothing is sent before everybody answers: whoever started it knows when.
    let mut probes: Vec<Steady> = Vec::new();
    while let Some(line) = lines.next_line().await? {
        if line == "start" {
            probes = options.target.iter().map(start).collect::<Result<_, _>>().context("probes can't be sent")?;
        }
        let standings: Vec<Standing> = probes.iter().map(|probe| probe.report().into()).collect();
        let mut out = std::io::stdout();
        writeln!(out, "{}", serde_json::to_string(&standings)?)?;
        out.flush()?;
    }
    Ok(())
}
