//! Benchmarks that hold promises: builds one in release mode and runs it. Its numbers are on stdout, everything else is
//! on stderr.

use std::{ffi::OsString, process::ExitCode};

use anyhow::Result;
use clap::Subcommand;

use crate::{
    process, progress,
    setup::{self, Need},
    workspace::Workspace,
};

const FIRST_BUILD: &str = "in release mode, with SQLite's C code and Solana's libraries; 10 minutes on two cores";

/// Memory in large pages, where the kernel offers them; what a round gives back is kept for the next one.
const MEMORY: [(&str, &str); 2] = [("MIMALLOC_ALLOW_LARGE_OS_PAGES", "1"), ("MIMALLOC_PURGE_DELAY", "-1")];

/// What can be measured.
#[derive(Subcommand)]
pub enum Bench {
    /// A fleet's telemetry at an oracle: signed ingest, a cold round, a steady round; see `bench oracle --help`
    #[command(disable_help_flag = true)]
    Oracle {
        /// The bench's own
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// A controller at a fleet's size: rendering, changes, polls, watchers; see `bench controller --help`
    #[command(disable_help_flag = true)]
    Controller {
        /// The bench's own
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Jobs end to end on simulated devices, on SQLite and PostgreSQL, beside bare commits; see docs/jobs.md
    #[command(disable_help_flag = true)]
    Jobs {
        /// The bench's own
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

impl Bench {
    /// What cargo calls it: the package and its bench.
    const fn target(&self) -> (&'static str, &'static str) {
        match self {
            Self::Oracle { .. } => ("causeway-health-oracle", "fleet"),
            Self::Controller { .. } => ("causeway-controller", "controller"),
            Self::Jobs { .. } => ("causeway-jobs", "jobs"),
        }
    }

    /// What it needs installed.
    const fn needs(&self) -> &'static [Need] {
        match self {
            Self::Oracle { .. } => &[Need::Native, Need::Databases],
            Self::Controller { .. } => &[Need::Native],
            Self::Jobs { .. } => &[Need::Native, Need::Databases],
        }
    }

    fn arguments(&self) -> &[OsString] {
        match self {
            Self::Oracle { arguments } | Self::Controller { arguments } | Self::Jobs { arguments } => arguments,
        }
    }
}

/// Builds the bench and runs it with its arguments; ends as it does.
///
/// # Errors
/// Something is missing and can't be installed, or cargo can't be run. A bench that fails is no error but an exit code.
pub fn run(workspace: &Workspace, bench: &Bench) -> Result<ExitCode> {
    setup::ensure(bench.needs())?;
    let (package, target) = bench.target();
    progress::step(&format!("building the bench {target}"));
    if !workspace.target.join("release").exists() {
        progress::note(&format!("the first time: {FIRST_BUILD}. After that, a minute."));
    }
    let mut command = process::cargo();
    command.args(["bench", "--package", package, "--bench", target, "--target-dir"]).arg(&workspace.target);
    command.arg("--").args(bench.arguments()).current_dir(&workspace.root);
    // As the service runs by its systemd unit.
    command.envs(MEMORY);
    process::exit_code_of(command)
}
