//! Verbs of rollouts: one change of many devices, in waves, which a controller runs.

use causeway_interface::Code;
use clap::{ArgGroup, Args, Subcommand};

use super::job::{AskJobs, JobApprove, JobMode, JobOne, JobTransport, JobWords};

/// Verbs of rollouts.
#[derive(Debug, Subcommand)]
pub enum Rollout {
    /// Change devices in waves, the canary first, each wave watched before the next. Signed with --keypair where it needs
    /// approvals.
    Start(Box<RolloutStart>),
    /// Show a rollout with its waves, and with --devices every device. Exit code 1 if it failed.
    Status(RolloutStatus),
    /// List rollouts, the youngest first.
    List(RolloutList),
    /// Follow a rollout until it is over. Exit code 1 if it fails.
    Watch(JobOne),
    /// Let no further device begin; jobs that run go on.
    Pause(JobWords),
    /// Let a rollout that is paused go on.
    Resume(RolloutResume),
    /// Stop it: the wave that is under way goes back to what it ran, those before it stay.
    Cancel(JobWords),
    /// Start another rollout for the devices that this one left, under the same conditions.
    Again(RolloutAgain),
    /// Agree that a rollout begins, with a key of the ledger that is not the proposer's.
    Approve(JobApprove),
    /// Have a rollout begin without its approvals, in an emergency: recorded with key and reason.
    BreakGlass(JobApprove),
    /// Print what happened to a rollout.
    Logs(JobOne),
}

impl Rollout {
    /// Whether the result is wanted as JSON whatever `--output` says.
    #[must_use]
    pub fn json(&self) -> bool {
        match self {
            Self::Start(args) => args.ask.json,
            Self::Status(args) => args.ask.json,
            Self::List(args) => args.ask.json,
            Self::Watch(args) | Self::Logs(args) => args.ask.json,
            Self::Pause(args) | Self::Cancel(args) => args.ask.json,
            Self::Resume(args) => args.ask.json,
            Self::Again(args) => args.ask.json,
            Self::Approve(args) | Self::BreakGlass(args) => args.ask.json,
        }
    }
}

/// What a rollout does to each device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum RolloutKind {
    /// What the ledger asks for.
    Provision,
    /// An earlier generation that the controller keeps.
    Revert,
    /// Management and loopbacks only, for devices that leave.
    Decommission,
}

/// What is to be done, with which devices, and how.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).multiple(true))]
pub struct RolloutStart {
    /// Codes of devices. Where several options choose devices, those that all of them choose are meant.
    #[arg(group = "which")]
    pub devices: Vec<Code>,
    /// The devices at this location.
    #[arg(long, value_name = "CODE", group = "which")]
    pub location: Option<Code>,
    /// The devices of this exchange.
    #[arg(long, value_name = "CODE", group = "which")]
    pub exchange: Option<Code>,
    /// The devices of this contributor.
    #[arg(long, value_name = "CODE", group = "which")]
    pub contributor: Option<Code>,
    /// What it is for.
    #[arg(long, value_enum, default_value_t = RolloutKind::Provision)]
    pub kind: RolloutKind,
    /// The generation to go back to, of a revert.
    #[arg(long, value_name = "N", required_if_eq("kind", "revert"))]
    pub generation: Option<u64>,
    /// Only show what would change; `job logs --diff` of its jobs has it.
    #[arg(long)]
    pub dry_run: bool,
    /// What becomes of lines that the configuration does not name.
    #[arg(long, value_enum, default_value_t = JobMode::Replace)]
    pub mode: JobMode,
    /// How the devices are reached; by default as is usual for each.
    #[arg(long, value_enum)]
    pub transport: Option<JobTransport>,
    /// A device of the first wave; without any, the first by code.
    #[arg(long = "canary", value_name = "CODE")]
    pub canaries: Vec<Code>,
    /// Devices of the first wave where none is named.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub first: Option<u16>,
    /// A wave has so many times the devices of the one before it; 4 if left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub growth: Option<u16>,
    /// Devices of a wave at most; 250 if left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub most: Option<u16>,
    /// Every device of a wave has to be well for so long before the next one; 600 if left out.
    #[arg(long, value_name = "SECONDS")]
    pub soak: Option<u64>,
    /// A wave that was not well for long enough by then has failed; 3600 if left out.
    #[arg(long, value_name = "SECONDS")]
    pub soak_limit: Option<u64>,
    /// Devices may be unwell for so long at first; 120 if left out.
    #[arg(long, value_name = "SECONDS")]
    pub settle: Option<u64>,
    /// Don't ask the oracles: only the time of --soak counts.
    #[arg(long)]
    pub no_health: bool,
    /// Jobs at once; 32 if left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub at_once: Option<u16>,
    /// Begin at most so many devices in any time of --budget-minutes.
    #[arg(long, value_name = "N", requires = "budget_minutes", value_parser = clap::value_parser!(u32).range(1..))]
    pub budget: Option<u32>,
    /// The time of --budget.
    #[arg(long, value_name = "MINUTES", requires = "budget", value_parser = clap::value_parser!(u64).range(1..=40_320))]
    pub budget_minutes: Option<u64>,
    /// A time of the week, in UTC, in which devices may be begun that have no windows in the controller's settings: when it opens
    /// and for how many minutes, as tue-02:00+120.
    #[arg(long = "window", value_name = "WINDOW", value_parser = parse_window)]
    pub windows: Vec<(String, u16)>,
    /// Why, for the record.
    #[arg(long, value_name = "WORDS")]
    pub message: Option<String>,
    /// Follow it until it is over.
    #[arg(long)]
    pub watch: bool,
    /// Who asks, for the record.
    #[arg(long, value_name = "NAME", env = "USER")]
    pub actor: Option<String>,
    /// Which controller.
    #[command(flatten)]
    pub ask: AskJobs,
}

/// A window as `tue-02:00+120`; the controller says whether there is such a time.
fn parse_window(text: &str) -> Result<(String, u16), String> {
    let parsed = text.split_once('+').and_then(|(opens, minutes)| Some((opens.to_owned(), minutes.parse().ok()?)));
    parsed.ok_or_else(|| format!("{text:?} is no window, such as tue-02:00+120"))
}

/// What is shown of a rollout.
#[derive(Clone, Debug, Args)]
pub struct RolloutStatus {
    /// Its number.
    #[arg(value_parser = clap::value_parser!(i64).range(1..))]
    pub id: i64,
    /// Every device, and not only those that are not well.
    #[arg(long)]
    pub devices: bool,
    /// Which controller.
    #[command(flatten)]
    pub ask: AskJobs,
}

/// Which rollouts.
#[derive(Clone, Debug, Args)]
pub struct RolloutList {
    /// Of this status, such as FAILED.
    #[arg(long, value_name = "STATUS")]
    pub status: Option<String>,
    /// At this state, such as SOAKING.
    #[arg(long, value_name = "STATE")]
    pub state: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=50))]
    pub limit: u64,
    /// Which controller.
    #[command(flatten)]
    pub ask: AskJobs,
}

/// What goes on.
#[derive(Clone, Debug, Args)]
pub struct RolloutResume {
    /// The rollout's number.
    #[arg(value_parser = clap::value_parser!(i64).range(1..))]
    pub id: i64,
    /// Who asks, for the record.
    #[arg(long, value_name = "NAME", env = "USER")]
    pub actor: Option<String>,
    /// Which controller.
    #[command(flatten)]
    pub ask: AskJobs,
}

/// What is started again.
#[derive(Clone, Debug, Args)]
pub struct RolloutAgain {
    /// The number of the rollout that is over.
    #[arg(value_parser = clap::value_parser!(i64).range(1..))]
    pub id: i64,
    /// Follow the new one until it is over.
    #[arg(long)]
    pub watch: bool,
    /// Who asks, for the record.
    #[arg(long, value_name = "NAME", env = "USER")]
    pub actor: Option<String>,
    /// Which controller.
    #[command(flatten)]
    pub ask: AskJobs,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_when_it_opens_and_for_how_long() {
        assert_eq!(parse_window("tue-02:00+120"), Ok(("tue-02:00".to_owned(), 120)));
        for wrong in ["tue-02:00", "tue-02:00+", "tue-02:00+x", "tue-02:00+-1", "+99999999"] {
            assert!(parse_window(wrong).is_err(), "{wrong}");
        }
    }
}
