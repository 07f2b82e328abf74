//! What people did at a controller.

use clap::Args;

use super::{AskController, parse_moment};

/// Most entries that are fetched: a year of a busy team.
const MAX_ENTRIES: u32 = 1_000_000;

/// Which entries.
#[derive(Clone, Debug, Args)]
pub struct Audit {
    /// Which controller.
    #[command(flatten)]
    pub ask: AskController,
    /// Only what this operator did.
    #[arg(long, value_name = "NAME")]
    pub actor: Option<String>,
    /// Only this action, such as config.approve.
    #[arg(long, value_name = "ACTION")]
    pub action: Option<String>,
    /// Only what was done with this: a device's code, a job's number.
    #[arg(long, value_name = "WHAT")]
    pub subject: Option<String>,
    /// From then on: 2026-01-31T12:00:00Z, or seconds since 1970.
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub since: Option<u64>,
    /// Before then.
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub until: Option<u64>,
    /// At most so many, the oldest ones.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_ENTRIES)))]
    pub limit: u32,
    /// Print each entry as a line of JSON, as it is kept.
    #[arg(long)]
    pub lines: bool,
    /// Check from the first entry on that none was changed or taken out. Exit code 1 if one was.
    #[arg(long, conflicts_with_all = ["actor", "action", "subject", "since", "until", "limit"])]
    pub verify: bool,
}
