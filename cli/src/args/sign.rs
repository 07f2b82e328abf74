//! Signing what somebody else prepared.

use std::path::PathBuf;

use clap::Args;

/// What is to be signed.
#[derive(Clone, Debug, Args)]
pub struct Sign {
    /// File of a controller's answer to `provision`, of one of its transactions, or of a transaction in base64; - for
    /// stdin, which needs --yes or --dry-run.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Show what it does, and sign nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Don't ask.
    #[arg(long)]
    pub yes: bool,
}
