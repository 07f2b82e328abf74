//! Verbs that are not about one record: history, configurations, files and keys.

use std::{ffi::OsString, path::PathBuf};

use causeway_interface::{AccountType, Code, Platform};
use clap::{Args, Subcommand, ValueEnum};

use super::{KeyName, one_of, parse_sol};

/// Verbs of the whole ledger.
#[derive(Debug, Subcommand)]
pub enum Topology {
    /// Print a snapshot of the ledger, for offline use.
    Export,
}

/// Whose history.
#[derive(Clone, Debug, Args)]
pub struct History {
    /// Its code.
    pub code: Code,
    /// What it is; every kind of object that ever had this code if left out.
    #[arg(long, value_parser = ["device", "link", "contributor", "location", "exchange"])]
    pub of: Option<String>,
    /// Transitions to show at most: the newest ones.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub limit: u32,
    /// Oldest first.
    #[arg(long)]
    pub reverse: bool,
}

impl History {
    /// The kinds of object to look for.
    #[must_use]
    pub fn kinds(&self) -> Vec<AccountType> {
        const KINDS: [AccountType; 5] = [
            AccountType::Device,
            AccountType::Link,
            AccountType::Contributor,
            AccountType::Location,
            AccountType::Exchange,
        ];
        KINDS.into_iter().filter(|kind| self.of.as_deref().is_none_or(|of| of == kind.name())).collect()
    }
}

/// Verbs of a local ledger. Arguments are those of `causeway-localnet`.
#[derive(Debug, Subcommand)]
#[command(disable_help_flag = true)]
pub enum LocalnetVerb {
    /// Start a ledger with the program and a network, and keep it running until Ctrl-C.
    #[command(disable_help_flag = true)]
    Start(Passed),
    /// Stop what runs.
    #[command(disable_help_flag = true)]
    Stop(Passed),
    /// Say what runs.
    #[command(disable_help_flag = true)]
    Status(Passed),
}

/// Arguments that another binary reads.
#[derive(Clone, Debug, Args)]
pub struct Passed {
    /// Arguments for `causeway-localnet`; `--help` shows them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    pub rest: Vec<OsString>,
}

impl LocalnetVerb {
    /// The verb and its arguments.
    #[must_use]
    pub fn parts(&self) -> (&'static str, &[OsString]) {
        match self {
            Self::Start(passed) => ("start", &passed.rest),
            Self::Stop(passed) => ("stop", &passed.rest),
            Self::Status(passed) => ("status", &passed.rest),
        }
    }
}

/// Verbs of key files.
#[derive(Debug, Subcommand)]
pub enum KeyVerb {
    /// Make a key and write it to a new file.
    New {
        /// The file.
        file: PathBuf,
    },
    /// Print a key file's public key.
    Show {
        /// The file.
        file: PathBuf,
    },
    /// Transfer SOL to keys from that of --keypair; on a local ledger from its payer unless another is given.
    Fund(KeyFund),
}

/// Who gets how much.
#[derive(Clone, Debug, Args)]
pub struct KeyFund {
    /// Key files or addresses. A key gets its part once, however often it is named; a file whose name is an address is
    /// meant by ./NAME.
    #[arg(required = true, value_name = "FILE_OR_ADDRESS")]
    pub keys: Vec<KeyName>,
    /// SOL for each of them, exact to nine places, such as 10 or 0.5.
    #[arg(long = "sol", value_name = "N", value_parser = parse_sol, allow_negative_numbers = true)]
    pub lamports: u64,
}

/// What a topology is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Source {
    /// GML, as of the Internet Topology Zoo.
    Gml,
}

/// A topology file to import.
#[derive(Clone, Debug, Args)]
pub struct Import {
    /// The topology file.
    pub file: PathBuf,
    /// Its form.
    #[arg(long, value_enum)]
    pub from: Source,
    /// Site file to write; stdout if left out.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Contributors that share the devices by region.
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub contributors: usize,
    /// Operating system of every device.
    #[arg(long, value_parser = one_of::<Platform>(), default_value = "frr")]
    pub platform: Platform,
    /// Folder of key files; missing ones are made: CODE.agent.json and CODE.telemetry.json of each device, and
    /// contributors/CODE.json of each owner.
    #[arg(long, value_name = "DIR")]
    pub keys: Option<PathBuf>,
}

/// A site file to apply.
#[derive(Clone, Debug, Args)]
pub struct Apply {
    /// The site file.
    #[arg(short, long, value_name = "FILE")]
    pub file: PathBuf,
    /// Folder of key files: contributors/CODE.json of each owner, and authority.json; without the latter a local
    /// ledger's authority signs on it.
    #[arg(long, value_name = "DIR")]
    pub keys: PathBuf,
    /// Print the plan and send nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Don't ask.
    #[arg(long)]
    pub yes: bool,
}
