//! `cargo xtask`: everything that is done with this repository, on a machine with nothing but Rust.
//!
//! What a command does is told on stderr; what it is asked for is printed on stdout. It installs what is missing with
//! apt-get where it may, and otherwise names it. It depends on no Solana crate, so that it builds in seconds.

mod bench;
mod binary;
mod counts;
mod cu;
mod demo;
mod docs;
mod fuzz;
mod lab;
mod lint;
mod mutants;
mod process;
mod program;
mod progress;
mod setup;
mod states;
mod suite;
mod workspace;

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Parser)]
#[command(
    name = "xtask",
    bin_name = "cargo xtask",
    about = "Build, test and show Causeway",
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what building and testing need; the other commands do so by themselves
    Setup,
    /// Build the onchain program and print where its binary is
    BuildProgram {
        /// Build it once more from a copy in another folder, and compare with that and with the recorded release
        #[arg(long)]
        verify: bool,
        /// Record this build as the release's
        #[arg(long, conflicts_with = "verify")]
        record: bool,
        /// Compare with a binary or with what `solana program dump` wrote
        #[arg(long, value_name = "FILE")]
        against: Option<PathBuf>,
    },
    /// Print the transition tables
    States {
        /// As a JSON array
        #[arg(long)]
        json: bool,
        /// Write docs/states.md, tables and diagrams, instead
        #[arg(long, conflicts_with = "json")]
        mermaid: bool,
    },
    /// Measure the compute units of every instruction on the program's binary, the runtime's share of them, and sizes
    Cu {
        /// As one JSON object
        #[arg(long)]
        json: bool,
        /// Fail when an instruction costs, or the binary weighs, over 5 % more than docs/cu.json says, or an account grew
        #[arg(long)]
        check: bool,
    },
    /// Run the whole system on this machine; arguments are the demo's own, see `demo --help`
    #[command(disable_help_flag = true)]
    Demo {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Run the whole system with real routers on this machine, as root; arguments are the lab's own, see `lab --help`
    #[command(disable_help_flag = true)]
    Lab {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Measure what the system promises about its speed
    Bench {
        #[command(subcommand)]
        bench: bench::Bench,
    },
    /// Run every test and check; the last line is `N passed, N failed`
    Test {
        /// Only the tests of this part, without the other checks; may be repeated
        #[arg(long, value_enum)]
        only: Vec<suite::Part>,
        /// Leave clippy and cargo-deny out
        #[arg(long)]
        no_lint: bool,
    },
    /// Fuzz instructions, accounts, events and the program's binary, and print the figures
    Fuzz {
        /// Only this target; may be repeated
        #[arg(value_enum)]
        targets: Vec<fuzz::Target>,
        /// How long each target runs
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Where the random numbers of the program's target begin
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Put one fault after the other into the program, and see whether a test finds each
    Mutants {
        /// Only the fault of this name; may be repeated
        #[arg(long, value_name = "NAME")]
        only: Vec<String>,
        /// Threads of the tests
        #[arg(long, default_value_t = 1)]
        jobs: usize,
    },
    /// Check formatting, clippy and, where cargo-deny is installed, licences and advisories
    Lint,
    /// Write the generated pages: docs/states.md, docs/cost.md, docs/reference, docs/errors
    Docs {
        /// Only check that they are current
        #[arg(long)]
        check: bool,
    },
    /// Do what .ci/run does
    Ci,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            progress::failure(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    match command {
        Command::Setup => {
            setup::ensure(&[
                setup::Need::Native,
                setup::Need::Program,
                setup::Need::Routers,
                setup::Need::Packets,
                setup::Need::Databases,
            ])?;
            progress::step("everything is there");
        }
        Command::BuildProgram { verify, record, against } => {
            let built = program::build(&workspace)?;
            if let Some(file) = against {
                program::release::against(&built, &file)?;
            }
            if record {
                program::release::record(&workspace, &built)?;
            }
            let verified = if verify { program::release::verify(&workspace, &built)? } else { ExitCode::SUCCESS };
            progress::result(&built.path.display().to_string())?;
            return Ok(verified);
        }
        Command::States { mermaid: true, .. } => docs::write_states(&workspace)?,
        Command::States { json: true, .. } => progress::result(&serde_json::to_string(&states::all())?)?,
        Command::States { .. } => progress::result(&states::table(&states::all()))?,
        Command::Cu { json, check } => return cu::run(&workspace, json, check),
        Command::Demo { arguments } => demo::run(&workspace, &arguments)?,
        Command::Lab { arguments } => lab::run(&workspace, &arguments)?,
        Command::Bench { bench } => return bench::run(&workspace, &bench),
        Command::Test { only, no_lint } => return suite::run(&workspace, &only, !no_lint),
        Command::Fuzz { targets, seconds, seed } => return fuzz::run(&workspace, &targets, seconds, seed),
        Command::Mutants { only, jobs } => return mutants::run(&workspace, &only, jobs),
        Command::Lint => return Ok(lint::run(&workspace)?.exit_code()),
        Command::Docs { check: true } => docs::check(&workspace)?,
        Command::Docs { check: false } => docs::write(&workspace)?,
        Command::Ci => return process::exit_code_of(process::plain(workspace.root.join(".ci/run"))),
    }
    Ok(ExitCode::SUCCESS)
}
