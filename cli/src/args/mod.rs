//! The command line: what can be typed, and which instruction data it means. Pure; nothing here opens a file.
//!
//! The object's code is the one positional argument; everything else has a name.

mod audit;
mod config;
mod device;
mod health;
mod job;
mod link;
mod network;
mod registry;
mod rollout;
mod sign;
mod tools;
mod values;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use causeway_interface::{Key, layout::DescribedEnum};
use clap::{
    Args, Parser, Subcommand,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};

pub use self::{
    audit::Audit,
    config::{AskController, Config, ConfigApprove, ConfigDiff, ConfigGet, ConfigLook, ConfigRender, ConfigShow},
    device::{
        Device, DeviceCreate, DeviceEnroll, DeviceList, DeviceReject, DeviceUpdate, Interface, InterfaceFigures,
        InterfaceRemove, InterfaceSet,
    },
    health::{Ask, Backtest, Health, OracleVerb, Subject},
    job::{
        AskJobs, Job, JobApprove, JobAutomatic, JobCancel, JobKind, JobList, JobLogs, JobMode, JobOne, JobRelease,
        JobRetry, JobSkip, JobStart, JobTransport, JobWords, OnOff,
    },
    link::{Link, LinkAccept, LinkCreate, LinkList, LinkUpdate, acts_for},
    network::{Network, NetworkInit, NetworkUpdate, SetOracles},
    registry::{
        Contributor, ContributorCreate, ContributorUpdate, Exchange, ExchangeCreate, ExchangeUpdate, Location,
        LocationCreate, LocationUpdate, RegistryList,
    },
    rollout::{Rollout, RolloutAgain, RolloutKind, RolloutList, RolloutResume, RolloutStart, RolloutStatus},
    sign::Sign,
    tools::{Apply, History, Import, KeyFund, KeyVerb, LocalnetVerb, Source, Topology},
    values::{KeyName, MaybeKey, RuleChange, parse_bandwidth, parse_delay, parse_moment, parse_sol},
};
use crate::{failure::EXIT_CODES, output::Format};

/// Registers, provisions and watches a network whose state is on a ledger.
#[derive(Debug, Parser)]
#[command(name = "causeway", version, after_help = EXIT_CODES, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// Which ledger, who signs, how results look.
    #[command(flatten)]
    pub globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub noun: Noun,
}

impl Cli {
    /// How the result is printed.
    #[must_use]
    pub fn format(&self) -> Format {
        match &self.noun {
            Noun::Job(verb) if verb.json() => Format::Json,
            Noun::Rollout(verb) if verb.json() => Format::Json,
            _ => self.globals.output,
        }
    }
}

/// Options of every verb.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// RPC endpoint of the ledger.
    #[arg(long, global = true, env = "CAUSEWAY_URL", value_name = "URL")]
    pub url: Option<String>,
    /// Address of the program.
    #[arg(long, global = true, env = "CAUSEWAY_PROGRAM_ID", value_name = "ADDRESS")]
    pub program_id: Option<Key>,
    /// Folder of a local ledger: gives what --url, --program-id and --keypair don't. Without any of these,
    /// .causeway/localnet if a local ledger is described there.
    #[arg(long, global = true, env = "CAUSEWAY_LOCALNET", value_name = "DIR")]
    pub localnet: Option<PathBuf>,
    /// Key file that signs and pays.
    #[arg(long, global = true, env = "CAUSEWAY_KEYPAIR", value_name = "FILE")]
    pub keypair: Option<PathBuf>,
    /// How results are printed.
    #[arg(long, global = true, env = "CAUSEWAY_OUTPUT", value_enum, default_value_t = Format::Table)]
    pub output: Format,
}

/// What the command is about.
#[derive(Debug, Subcommand)]
pub enum Noun {
    /// The network: its parameters, oracles and authority.
    #[command(subcommand)]
    Network(Network),
    /// Parties that bring devices and links.
    #[command(subcommand)]
    Contributor(Contributor),
    /// Places where devices stand.
    #[command(subcommand)]
    Location(Location),
    /// Metros that devices belong to.
    #[command(subcommand)]
    Exchange(Exchange),
    /// Routers and their interfaces.
    #[command(subcommand)]
    Device(Device),
    /// Circuits between two devices.
    #[command(subcommand)]
    Link(Link),
    /// What the oracles say.
    #[command(subcommand)]
    Health(Health),
    /// What oracles recorded.
    #[command(subcommand)]
    Oracle(OracleVerb),
    /// The ledger as a whole.
    #[command(subcommand)]
    Topology(Topology),
    /// Configurations of devices.
    #[command(subcommand)]
    Config(Config),
    /// Provisioning jobs, which a controller runs.
    #[command(subcommand)]
    Job(Job),
    /// One change of many devices, in waves, which a controller runs.
    #[command(subcommand)]
    Rollout(Rollout),
    /// What happened to a device, link, contributor, location or exchange.
    History(History),
    /// A ledger of one's own, for trying things out; arguments are those of causeway-localnet.
    #[command(subcommand)]
    Localnet(LocalnetVerb),
    /// Key files.
    #[command(subcommand)]
    Key(KeyVerb),
    /// Turn a topology file into a site file.
    Import(Import),
    /// Make the ledger hold what a site file says.
    Apply(Apply),
    /// Who did what at a controller.
    Audit(Audit),
    /// Whether what a controller's jobs need is there: the ledger, the store of jobs, the agents.
    Availability(AskController),
    /// Show what a transaction does that a controller prepared, sign it and send it.
    Sign(Sign),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write manual pages.
    Man {
        /// Folder, which is made if it does not exist.
        dir: PathBuf,
    },
}

/// The object and its sequence, for verbs that change it.
#[derive(Clone, Debug, Args)]
pub struct Target {
    /// Its code.
    pub code: causeway_interface::Code,
    /// What sequence it is to be expected with.
    #[command(flatten)]
    pub expect: Expect,
}

/// The sequence that the object is expected to have.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Expect {
    /// Refuse unless the object has this sequence; the one just read if left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub expected_sequence: Option<u64>,
}

impl Expect {
    /// The sequence to send.
    #[must_use]
    pub fn or(self, read: u64) -> u64 {
        self.expected_sequence.unwrap_or(read)
    }
}

/// Longest wait that can be asked for: a week. Nobody keeps a command running for longer; a status can be asked again.
const MAX_WAIT_SECONDS: u64 = 604_800;

/// Whether and for how long to wait for the status.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Wait {
    /// Wait until the status is what is desired.
    #[arg(long)]
    pub wait: bool,
    /// Longest wait.
    #[arg(long, value_name = "SECONDS", default_value_t = 600, requires = "wait",
        value_parser = clap::value_parser!(u64).range(1..=MAX_WAIT_SECONDS))]
    pub wait_timeout: u64,
}

/// A value of one of the ledger's enums by its name, with its meaning in the help.
fn one_of<T>() -> impl TypedValueParser<Value = T>
where
    T: DescribedEnum + std::str::FromStr + Clone + Send + Sync + 'static,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let values = T::VALUES.iter().map(|value| PossibleValue::new(value.name).help(value.about.trim()));
    PossibleValuesParser::new(values).try_map(|name| name.parse::<T>())
}
