//! Verbs of provisioning jobs, which a controller runs.

use causeway_interface::Code;
use clap::{ArgGroup, Args, Subcommand};

use super::AskController;

/// Verbs of jobs.
#[derive(Debug, Subcommand)]
pub enum Job {
    /// Bring devices to what the ledger asks of them, or show what that would change. Signed with --keypair where it needs
    /// approvals.
    Start(JobStart),
    /// Show a job with its steps. Exit code 1 if it failed.
    Status(JobOne),
    /// Try anew what failed: a failed job from its first step, a partial one its failed steps.
    Retry(JobRetry),
    /// Leave an optional step out.
    SkipStep(JobSkip),
    /// Take a job back: its devices run again what they ran.
    Cancel(JobCancel),
    /// Let no further step of a job begin.
    Hold(JobWords),
    /// Let a job that is held go on.
    Release(JobRelease),
    /// List what waits for approvals: jobs and rollouts.
    Waiting(AskJobs),
    /// Agree that a job begins, with a key of the ledger that is not the proposer's.
    Approve(JobApprove),
    /// Have a job begin without its approvals, in an emergency: recorded with key and reason.
    BreakGlass(JobApprove),
    /// Print what happened to a job, or with --diff what it changes.
    Logs(JobLogs),
    /// Follow a job until it is over. Exit code 1 if it fails.
    Watch(JobOne),
    /// List jobs, the youngest first.
    List(JobList),
    /// Show whether changes on the ledger start jobs at a controller, or switch that on or off until it is started anew.
    Automatic(JobAutomatic),
}

impl Job {
    /// Whether the result is wanted as JSON whatever `--output` says.
    #[must_use]
    pub fn json(&self) -> bool {
        match self {
            Self::Start(args) => args.ask.json,
            Self::Status(args) | Self::Watch(args) => args.ask.json,
            Self::Retry(args) => args.ask.json,
            Self::SkipStep(args) => args.ask.json,
            Self::Cancel(args) => args.ask.json,
            Self::Hold(args) => args.ask.json,
            Self::Release(args) => args.ask.json,
            Self::Waiting(ask) => ask.json,
            Self::Approve(args) | Self::BreakGlass(args) => args.ask.json,
            Self::Logs(args) => args.ask.json,
            Self::List(args) => args.ask.json,
            Self::Automatic(args) => args.ask.json,
        }
    }
}

/// Which controller, and how the result looks.
#[derive(Clone, Debug, Args)]
pub struct AskJobs {
    /// Which controller.
    #[command(flatten)]
    pub controller: AskController,
    /// The same as --output json.
    #[arg(long)]
    pub json: bool,
}

/// What is to be done, and with which devices.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).multiple(true))]
pub struct JobStart {
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
    #[arg(long, value_enum, default_value_t = JobKind::Provision)]
    pub kind: JobKind,
    /// The generation to go back to, of a revert.
    #[arg(long, value_name = "N", required_if_eq("kind", "revert"))]
    pub generation: Option<u64>,
    /// Only show what would change.
    #[arg(long)]
    pub dry_run: bool,
    /// What becomes of lines that the configuration does not name.
    #[arg(long, value_enum, default_value_t = JobMode::Replace)]
    pub mode: JobMode,
    /// How the devices are reached; by default as is usual for each.
    #[arg(long, value_enum)]
    pub transport: Option<JobTransport>,
    /// Follow it until it is over; for one job.
    #[arg(long)]
    pub watch: bool,
    /// Who asks, for the record.
    #[arg(long, value_name = "NAME", env = "USER")]
    pub actor: Option<String>,
    /// Which controller.
    #[command(flatten)]
    pub ask: AskJobs,
}

/// What a job is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum JobKind {
    /// What the ledger asks for.
    Provision,
    /// An earlier generation that the controller keeps.
    Revert,
    /// Management and loopbacks only, for a device that leaves.
    Decommission,
    /// What the ledger asks for, on all of the devices or none.
    NetworkChange,
}

/// What becomes of other lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum JobMode {
    /// What earlier configurations brought goes.
    Replace,
    /// They stay.
    Merge,
}

/// How a device is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum JobTransport {
    /// Its agent pulls.
    AgentPull,
    /// The controller pushes over eAPI.
    EapiPush,
    /// In the controller's memory.
    InMemory,
}

/// A job.
#[derive(Clone, Debug, Args)]
pub struct JobOne {
    /// Its number.
    #[arg(value_parser = clap::value_parser!(i64).range(1..))]
    pub id: i64,
    /// Which controller.
    #[command(flatten)]
    pub ask: AskJobs,
}

/// What is tried anew.
#[derive(Clone, Debug, Args)]
pub struct JobRetry {
    /// The job's number.
    #[arg(value_parser = clap::value_parser!(i64).range(1..))]
    pub id: i64,
    /// A failed step of a partial job, by its index; all of them if left out.
    #[arg(long = "step", value_name = "INDEX")]
    pub steps: Vec<u16>,
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

/// What is left out.
#[derive(Clone, Debug, Args)]
pub struct JobSkip {
    /// The job's number.
    #[arg(value_parser = clap::value_parser!(i64).range(1..))]
    pub id: i64,
    /// The step's index.
    #[arg(long, value_name = "INDEX")]
    pub step: u16,
    /// Why, for the record.
    #[arg(long, value_name = "WORDS")]
    pub reason: String,
    /// Who asks, for the record.
    #[arg(long, value_name = "NAME", env = "USER")]
    pub actor: Option<String>,
    /// Which controller.
    #[command(flatten)]
    pub ask: AskJobs,
}

/// What is cancelled.
#[derive(Clone, Debug, Args)]
pub struct JobCancel {
    /// The job's number.
    #[arg(value_parser = clap::value_parser!(i64).range(1..))]
    pub id: i64,
    /// Why, for the record.
    #[arg(long, value_name = "WORDS")]
    pub reason: String,
    /// Give up the devices of a job that can't be read; nothing is taken back then.
    #[arg(long)]
    pub abandon: bool,
    /// Who asks, for the record.
    #[arg(long, value_name = "NAME", env = "USER")]
    pub actor: Option<String>,
    /// Which controller.
    #[command(flatten)]
    pub ask: AskJobs,
}

/// A job or a rollout, and words for the record.
#[derive(Clone, Debug, Args)]
pub struct JobWords {
    /// Its number.
    #[arg(value_parser = clap::value_parser!(i64).range(1..))]
    pub id: i64,
    /// Why, for the record.
    #[arg(long, value_name = "WORDS")]
    pub reason: String,
    /// Who asks, for the record.
    #[arg(long, value_name = "NAME", env = "USER")]
    pub actor: Option<String>,
    /// Which controller.
    #[command(flatten)]
    pub ask: AskJobs,
}

/// What goes on.
#[derive(Clone, Debug, Args)]
pub struct JobRelease {
    /// The job's number.
    #[arg(value_parser = clap::value_parser!(i64).range(1..))]
    pub id: i64,
    /// Who asks, for the record.
    #[arg(long, value_name = "NAME", env = "USER")]
    pub actor: Option<String>,
    /// Which controller.
    #[command(flatten)]
    pub ask: AskJobs,
}

/// What is agreed to, or done without.
#[derive(Clone, Debug, Args)]
pub struct JobApprove {
    /// Its number.
    #[arg(value_parser = clap::value_parser!(i64).range(1..))]
    pub id: i64,
    /// Why, for the record.
    #[arg(long, value_name = "WORDS")]
    pub reason: String,
    /// The change that was looked at, by its hash; whatever is under the number, after a look at it, if left out.
    #[arg(long, value_name = "SHA256")]
    pub change: Option<String>,
    /// Don't ask.
    #[arg(long)]
    pub yes: bool,
    /// Which controller.
    #[command(flatten)]
    pub ask: AskJobs,
}

/// What is printed of a job.
#[derive(Clone, Debug, Args)]
pub struct JobLogs {
    /// The job's number.
    #[arg(value_parser = clap::value_parser!(i64).range(1..))]
    pub id: i64,
    /// What it changes, from what ran to what was made.
    #[arg(long)]
    pub diff: bool,
    /// Which controller.
    #[command(flatten)]
    pub ask: AskJobs,
}

/// Which jobs.
#[derive(Clone, Debug, Args)]
pub struct JobList {
    /// Of this device.
    #[arg(long, value_name = "CODE")]
    pub device: Option<Code>,
    /// Of this status, such as FAILED.
    #[arg(long, value_name = "STATUS")]
    pub status: Option<String>,
    /// Part of this rollout.
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(i64).range(1..))]
    pub rollout: Option<i64>,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub limit: u64,
    /// Which controller.
    #[command(flatten)]
    pub ask: AskJobs,
}

/// What the switch is to be.
#[derive(Clone, Debug, Args)]
pub struct JobAutomatic {
    /// What it is to be; left out, it is shown.
    #[arg(value_enum)]
    pub to: Option<OnOff>,
    /// Which controller.
    #[command(flatten)]
    pub ask: AskJobs,
}

/// A switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum OnOff {
    /// They do.
    On,
    /// They don't.
    Off,
}
