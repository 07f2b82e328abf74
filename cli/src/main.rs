//! `causeway`: registers, provisions and watches a network whose state is on a ledger.
//!
//! Results go to stdout, everything else to stderr; exit codes are those of [`causeway_cli::failure::Exit`].

use std::process::ExitCode;

use causeway_cli::{
    args::Cli,
    commands,
    failure::{Exit, Failure},
};
use clap::Parser;
use tracing_subscriber::EnvFilter;

/// What is logged where RUST_LOG says nothing: what a person should look at.
const LOG: &str = "off,causeway_sdk=warn,causeway_cli=warn";

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOG));
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter).without_time().init();
    match run(cli) {
        Ok(()) => Exit::Done.into(),
        Err(failure) => {
            eprintln!("{failure}");
            failure.exit.into()
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let format = cli.format();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Failure::read("/proc/self".as_ref(), &e))?;
    let done = runtime.block_on(commands::run(cli));
    if let Err(Failure { report: Some(report), .. }) = &done {
        report.write(format, std::io::stdout())?;
    }
    done?.write(format, std::io::stdout())
}
