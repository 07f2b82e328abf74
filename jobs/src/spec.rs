//! What a job is to do, as data: devices, and steps in groups.
//!
//! A job is a list of steps. Steps of one group may run at once; a group begins when every step of the groups before it
//! is settled. One device after another, all at once, and "all commit, then all verify, then all confirm" differ in their
//! groups alone. What a step does, how long it may take, how often it is tried and what takes it back is in its
//! definition, so that a new kind of job is a new list and no new engine.

use std::collections::BTreeSet;

use causeway_interface::Code;
use serde::{Deserialize, Serialize};

use crate::approval::Need;

/// Devices of one job at most: a change of the whole network is one job, and its first event holds every step.
pub const MAX_DEVICES: usize = 256;
/// Steps of one job at most: ten a device.
pub const MAX_STEPS: usize = MAX_DEVICES * 10;
/// Longest time limit of a step. Whatever takes longer is not one step.
pub const MAX_LIMIT_MS: u64 = 3_600_000;
/// Tries of a step after the first one, at most.
pub const MAX_RETRIES: usize = 8;
/// Longest actor, reason or holder, in bytes.
pub const MAX_WORDS_BYTES: usize = 256;

/// Number of a job in its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub i64);

impl std::fmt::Display for JobId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Place of a step in its job's list.
pub type StepIndex = u16;

/// What configuration a device takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Arista EOS.
    Eos,
    /// FRRouting.
    Frr,
    /// A simulated router.
    Simulator,
}

impl Family {
    /// Its name, as bundles have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Eos => "eos",
            Self::Frr => "frr",
            Self::Simulator => "simulator",
        }
    }
}

/// How a device is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// Its agent pulls from the controller.
    AgentPull,
    /// The controller pushes over eAPI.
    EapiPush,
    /// In the controller's memory.
    InMemory,
}

impl Transport {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AgentPull => "agent-pull",
            Self::EapiPush => "eapi-push",
            Self::InMemory => "in-memory",
        }
    }
}

/// A device of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its code on the ledger.
    pub device: Code,
    /// What it takes.
    pub family: Family,
    /// How it is reached.
    pub transport: Transport,
}

/// What a job is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Brings a device to what the ledger asks of it.
    Provision,
    /// Shows what provisioning would change, and changes nothing.
    DryRun,
    /// Brings a device back to an earlier generation.
    Revert,
    /// Takes the network's configuration off a device that leaves it.
    Decommission,
    /// Provisions several devices, all of them or none.
    NetworkChange,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Provision, Self::DryRun, Self::Revert, Self::Decommission, Self::NetworkChange];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provision => "provision",
            Self::DryRun => "dry-run",
            Self::Revert => "revert",
            Self::Decommission => "decommission",
            Self::NetworkChange => "network-change",
        }
    }
}

/// Which configuration is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted {
    /// What the ledger asks for now.
    Current,
    /// An earlier generation that is still kept.
    Generation(u64),
    /// Management and loopbacks only.
    Bare,
    /// What an earlier job found running on the device and kept.
    Before(JobId),
}

/// What becomes of lines that the configuration does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// What earlier configurations brought goes; what the operator has stays.
    Replace,
    /// They stay.
    Merge,
}

/// Which way a job came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// The command line.
    Cli,
    /// A person or a script, over HTTP.
    Http,
    /// A change on the ledger.
    Automatic,
    /// Another job, as a rollout's waves.
    Rollout,
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// The ledger has the device in a state in which this may be done.
    CheckLedger,
    /// The device is what it is said to be, and ready.
    PreCheck,
    /// The configuration is made.
    Render,
    /// What would change.
    Compare,
    /// What runs is kept.
    BackUp,
    /// The configuration runs, to be confirmed in time.
    Commit,
    /// The time to confirm counts from now: others took longer than this device.
    Extend,
    /// The device does with it what was meant.
    Verify,
    /// It stays, and is what the device starts with.
    Confirm,
    /// Whoever asked is told.
    Notify,
    /// The device runs what it ran before; takes a commit back.
    RollBack,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 11] = [
        Self::CheckLedger,
        Self::PreCheck,
        Self::Render,
        Self::Compare,
        Self::BackUp,
        Self::Commit,
        Self::Extend,
        Self::Verify,
        Self::Confirm,
        Self::Notify,
        Self::RollBack,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CheckLedger => "check-ledger",
            Self::PreCheck => "pre-check",
            Self::Render => "render",
            Self::Compare => "compare",
            Self::BackUp => "back-up",
            Self::Commit => "commit",
            Self::Extend => "extend",
            Self::Verify => "verify",
            Self::Confirm => "confirm",
            Self::Notify => "notify",
            Self::RollBack => "roll-back",
        }
    }
}

/// What a step's failure means to its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Criticality {
    /// The job stops and goes back.
    Critical,
    /// It is recorded, and the job goes on.
    NonCritical,
    /// The same, and an operator may skip it.
    Optional,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepSpec {
    /// What it does.
    pub verb: Verb,
    /// To which device.
    pub device: Code,
    /// Steps of one group may run at once; groups run in order.
    pub group: u16,
    /// What its failure means.
    pub criticality: Criticality,
    /// Whether it counts for the percentage.
    pub counts: bool,
    /// Time limit of one try, in ms.
    pub limit_ms: u64,
    /// Waits before the tries after the first one, in ms.
    pub retry_ms: Vec<u64>,
    /// What takes it back, where something does.
    pub undo: Option<Undo>,
}

/// What takes a step back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    /// What it does.
    pub verb: Verb,
    /// Time limit of one try, in ms.
    pub limit_ms: u64,
    /// As of a step. The last one is long enough for the device's own timer to have gone off.
    pub retry_ms: Vec<u64>,
}

/// A whole job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpec {
    /// What it is for.
    pub kind: Kind,
    /// Its devices, sorted by code; it holds all of them until it ends.
    pub targets: Vec<Target>,
    /// Which configuration is meant.
    pub wanted: Wanted,
    /// What becomes of other lines.
    pub mode: Mode,
    /// The device goes back by itself if nothing is confirmed for so long, in ms.
    pub confirm_within_ms: u64,
    /// What is done.
    pub steps: Vec<StepSpec>,
    /// Which way it came in.
    pub trigger: Trigger,
    /// Who asked for it.
    pub actor: String,
    /// The job that it is part of.
    pub parent: Option<JobId>,
    /// Who has to agree before a step begins; nobody where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Need>,
}

/// Why a job can't be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// No device, or too many, or not in order, or one twice.
    #[error("a job is for 1 to {MAX_DEVICES} devices, each once and sorted by code")]
    Targets,
    /// No step, or too many.
    #[error("a job has 1 to {MAX_STEPS} steps")]
    Steps,
    /// Groups go down.
    #[error("step {0} is of an earlier group than the step before it")]
    Groups(StepIndex),
    /// For a device that is none of the job's.
    #[error("step {0} is for a device that the job does not hold")]
    Foreign(StepIndex),
    /// No time, or too much, or too many tries.
    #[error("step {0}: a try takes 1 to {MAX_LIMIT_MS} ms, and there are at most {MAX_RETRIES} more")]
    Limits(StepIndex),
    /// Too many words.
    #[error("the actor's name has 1 to {MAX_WORDS_BYTES} bytes and no control characters")]
    Actor,
}

impl JobSpec {
    /// Checks what nothing later looks at again.
    ///
    /// # Errors
    /// [`SpecError`] names the first thing that is wrong.
    pub fn check(&self) -> Result<(), SpecError> {
        let sorted = self.targets.windows(2).all(|pair| matches!(pair, [a, b] if a.device < b.device));
        if self.targets.is_empty() || self.targets.len() > MAX_DEVICES || !sorted {
            return Err(SpecError::Targets);
        }
        if self.steps.is_empty() || self.steps.len() > MAX_STEPS {
            return Err(SpecError::Steps);
        }
        if !are_words(&self.actor) {
            return Err(SpecError::Actor);
        }
        let held: BTreeSet<Code> = self.targets.iter().map(|target| target.device).collect();
        let mut group = 0;
        for (index, step) in self.steps() {
            if step.group < group {
                return Err(SpecError::Groups(index));
            }
            group = step.group;
            if !held.contains(&step.device) {
                return Err(SpecError::Foreign(index));
            }
            let sound = |limit_ms: u64, retry_ms: &[u64]| {
                let times = std::iter::once(limit_ms).chain(retry_ms.iter().copied());
                retry_ms.len() <= MAX_RETRIES && times.into_iter().all(|ms| (1..=MAX_LIMIT_MS).contains(&ms))
            };
            let undo = step.undo.as_ref().is_none_or(|undo| sound(undo.limit_ms, &undo.retry_ms));
            if !sound(step.limit_ms, &step.retry_ms) || !undo {
                return Err(SpecError::Limits(index));
            }
        }
        Ok(())
    }

    /// Its steps with their places.
    pub fn steps(&self) -> impl DoubleEndedIterator<Item = (StepIndex, &StepSpec)> {
        // More than fit into an index are refused by `check`.
        self.steps.iter().enumerate().map(|(index, step)| (StepIndex::try_from(index).unwrap_or(StepIndex::MAX), step))
    }

    /// One of its devices.
    #[must_use]
    pub fn target(&self, device: &Code) -> Option<&Target> {
        self.targets.iter().find(|target| target.device == *device)
    }
}

/// Whether this is short, printable and not empty.
#[must_use]
pub fn are_words(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_WORDS_BYTES && !text.chars().any(char::is_control)
}
