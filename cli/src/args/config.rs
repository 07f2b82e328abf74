//! Verbs of configurations: rendered here, or as a controller serves them.

use std::path::PathBuf;

use causeway_interface::{Code, Platform};
use clap::{ArgGroup, Args, Subcommand};

use super::one_of;

/// Verbs of configurations.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Render a device's configuration from a snapshot file, without any network.
    Render(ConfigRender),
    /// Print the configuration that a controller serves for a device.
    Get(ConfigGet),
    /// Show how a device stands to its configuration: generation, what its agent made of it, drift, what waits or is wrong.
    Show(ConfigShow),
    /// Print what changed between two generations, or what a held configuration would change.
    Diff(ConfigDiff),
    /// Let a held configuration be served.
    Approve(ConfigApprove),
    /// Ask a device's agent how what runs differs from what is intended. Exit code 1 if it does.
    Drift(ConfigLook),
    /// Ask a device's agent what runs, and print it.
    Running(ConfigLook),
}

/// What to render.
#[derive(Clone, Debug, Args)]
pub struct ConfigRender {
    /// File that `causeway topology export` wrote.
    #[arg(long, value_name = "FILE")]
    pub snapshot: PathBuf,
    /// The device's code.
    #[arg(long, value_name = "CODE")]
    pub device: Code,
    /// Form of the configuration; that of the device's platform if left out.
    #[arg(long, value_parser = one_of::<Platform>())]
    pub family: Option<Platform>,
}

/// Which controller, and who asks.
#[derive(Clone, Debug, Args)]
pub struct AskController {
    /// The controller's HTTP address.
    #[arg(long, env = "CAUSEWAY_CONTROLLER_URL", value_name = "URL")]
    pub controller: String,
    /// File with the CA certificates (PEM) that a controller at https:// is proven by, beside those that everybody trusts.
    #[arg(long, env = "CAUSEWAY_CONTROLLER_CA", value_name = "FILE")]
    pub controller_ca: Option<PathBuf>,
    /// File of the controller's operator token: for `approve`, `drift` and `running`, unless the controller is on this
    /// machine and has none.
    #[arg(long, env = "CAUSEWAY_OPERATOR_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// What to ask a controller for.
#[derive(Clone, Debug, Args)]
pub struct ConfigGet {
    /// The device's code.
    pub code: Code,
    /// Which controller.
    #[command(flatten)]
    pub ask: AskController,
    /// Form of the configuration; that of the device's platform if left out.
    #[arg(long, value_parser = one_of::<Platform>())]
    pub family: Option<Platform>,
    /// An older generation that the controller still keeps.
    #[arg(long, value_name = "N", conflicts_with = "family")]
    pub generation: Option<u64>,
}

/// Whose state.
#[derive(Clone, Debug, Args)]
pub struct ConfigShow {
    /// The device's code.
    pub code: Code,
    /// Which controller.
    #[command(flatten)]
    pub ask: AskController,
}

/// Between what.
#[derive(Clone, Debug, Args)]
pub struct ConfigDiff {
    /// The device's code.
    pub code: Code,
    /// Which controller.
    #[command(flatten)]
    pub ask: AskController,
    /// Generation before; the one before `--to` if left out.
    #[arg(long, value_name = "N")]
    pub from: Option<u64>,
    /// Generation after; the one that is served if left out.
    #[arg(long, value_name = "N")]
    pub to: Option<u64>,
    /// What the configuration that waits for approval would change.
    #[arg(long, conflicts_with_all = ["from", "to"])]
    pub held: bool,
}

/// What is approved.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("what").required(true))]
pub struct ConfigApprove {
    /// The device's code.
    pub code: Code,
    /// Which controller.
    #[command(flatten)]
    pub ask: AskController,
    /// Hash of the held configuration that was looked at; another one is not approved.
    #[arg(long, value_name = "HEX", group = "what")]
    pub sha256: Option<String>,
    /// Print what is held, ask, and approve that.
    #[arg(long, group = "what")]
    pub held: bool,
    /// Don't ask.
    #[arg(long, requires = "held")]
    pub yes: bool,
}

/// Longest wait for an agent that a controller takes, in seconds.
const MAX_WAIT_SECONDS: u64 = 30;

/// Whose device, and how long to wait for its agent.
#[derive(Clone, Debug, Args)]
pub struct ConfigLook {
    /// The device's code.
    pub code: Code,
    /// Which controller.
    #[command(flatten)]
    pub ask: AskController,
    /// Longest wait for the agent; 0 takes what it said before.
    #[arg(long, value_name = "SECONDS", default_value_t = 12, value_parser = clap::value_parser!(u64).range(0..=MAX_WAIT_SECONDS))]
    pub wait: u64,
}
