//! A way to devices: small verbs that do what they are told. Time limits and tries are the engine's.
//!
//! What every adapter guarantees, and [`contract`] tests: nothing runs before [`Adapter::commit`]; from the commit on the
//! device goes back by itself unless it is confirmed in time, whoever dies; a verb that is repeated, or whose answer was
//! lost, leaves the device as one would have; after any error the device runs the old configuration or the whole new one.

pub mod agent_pull;
pub mod driver;
pub mod memory;

use causeway_agent::bundle::TextHash;
use causeway_interface::Code;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::{
    error::{self, StepError, Trouble},
    spec::{Family, JobId, Mode, Transport},
};

/// What a verb answers.
pub type Doing<'a, T> = BoxFuture<'a, Result<T, AdapterError>>;

/// Why a verb was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdapterError {
    /// Nobody answers; it may have been done all the same.
    #[error("the device can not be reached: {0}")]
    Unreachable(String),
    /// The device refuses the configuration; nothing was changed.
    #[error("the device refuses the configuration: {0}")]
    Refused(String),
    /// Not in this state.
    #[error("the device is not in a state for this: {0}")]
    State(String),
    /// It took back by itself what was committed.
    #[error("the device took it back: {0}")]
    TookBack(String),
    /// This way can't do it at all.
    #[error("this transport can not {0}")]
    Unsupported(&'static str),
}

impl From<AdapterError> for StepError {
    /// The one place where a transport's troubles become a job's.
    fn from(error: AdapterError) -> Self {
        let words = error.to_string();
        match error {
            AdapterError::Unreachable(_) => error::UNREACHABLE.transient(Trouble::Device, words),
            AdapterError::Refused(_) => error::LINE_REFUSED.critical(Trouble::Validation, words),
            AdapterError::State(_) => error::DEVICE_STATE.transient(Trouble::Device, words),
            AdapterError::TookBack(_) => error::REVERTED_BY_ITSELF.critical(Trouble::Other, words),
            AdapterError::Unsupported(_) => error::UNSUPPORTED.critical(Trouble::Other, words),
        }
    }
}

/// A configuration that a device is to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// Slot of its youngest input.
    pub generation: u64,
    /// For what kind of device.
    pub family: Family,
    /// Its text.
    pub text: String,
}

impl Candidate {
    /// Hash of the text.
    #[must_use]
    pub fn hash(&self) -> TextHash {
        TextHash::of(&self.text)
    }
}

/// What a verb is told beside its own.
#[derive(Clone, Debug)]
pub struct Context {
    /// For which job.
    pub job: JobId,
    /// Which device.
    pub device: Code,
    /// Under which the try is found everywhere.
    pub correlation: String,
    /// What becomes of other lines.
    pub mode: Mode,
    /// The device goes back by itself after this, in ms.
    pub confirm_within_ms: u64,
    /// The commit waits for the controller's word: it verifies too, and others may have to have committed.
    pub waits: bool,
}

/// What an adapter can do beside the verbs that all can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// Leave lines alone that the configuration does not name.
    pub merges: bool,
    /// Keep a commit unconfirmed until it is told: needed where several devices change together.
    pub waits: bool,
    /// What runs reads the same as long as nothing changes it.
    pub reads_back: bool,
}

/// What a device says that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// What it takes; none where it does not say.
    pub family: Option<Family>,
    /// Words: model, version.
    pub words: String,
}

/// A commit that waits for its confirmation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pending {
    /// None.
    Nothing,
    /// Ours.
    Ours,
    /// Somebody else's, in words.
    Foreign(String),
}

/// How a device stands to a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// It runs it.
    pub runs: bool,
    /// What waits for a confirmation.
    pub pending: Pending,
}

/// What runs against what is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Nothing would change.
    pub equal: bool,
    /// Unified diff; empty when equal.
    pub diff: String,
}

/// What came of letting a commit's time begin anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extended {
    /// It counts from now.
    Anew,
    /// It is the one that the device was armed with, because of this, in words.
    Kept(&'static str),
}

/// A way to devices.
pub trait Adapter: Send + Sync + 'static {
    /// Which way.
    fn transport(&self) -> Transport;

    /// What it can do.
    fn abilities(&self) -> Abilities;

    /// Why this device is not reached this way, where it is known before it is asked; none where it may be.
    fn objection(&self, _device: &Code) -> Option<&'static str> {
        None
    }

    /// Asks the device what it is.
    fn identify<'a>(&'a self, context: &'a Context) -> Doing<'a, Identity>;

    /// The managed part of what runs.
    fn running<'a>(&'a self, context: &'a Context) -> Doing<'a, String>;

    /// What would change. Changes nothing.
    ///
    /// # Errors
    /// [`AdapterError::Refused`] where the device would refuse it.
    fn compare<'a>(&'a self, context: &'a Context, candidate: &'a Candidate) -> Doing<'a, Comparison>;

    /// Whether the device runs this, and what waits for a confirmation.
    fn standing<'a>(&'a self, context: &'a Context, candidate: &'a Candidate) -> Doing<'a, Standing>;

    /// Makes it run, whole, armed to go back after the context's time.
    fn commit<'a>(&'a self, context: &'a Context, candidate: &'a Candidate) -> Doing<'a, ()>;

    /// What is not as it should be with the configuration running, in words: lost neighbours and sessions.
    fn problems<'a>(&'a self, context: &'a Context, candidate: &'a Candidate) -> Doing<'a, Vec<String>>;

    /// Keeps it.
    ///
    /// # Errors
    /// [`AdapterError::TookBack`] where it does not run any more.
    fn confirm<'a>(&'a self, context: &'a Context, candidate: &'a Candidate) -> Doing<'a, ()>;

    /// Makes what runs what the device starts with. Also a transport that does it by itself, later, says that it is done.
    fn save<'a>(&'a self, context: &'a Context) -> Doing<'a, ()>;

    /// Takes back our commit that waits for its confirmation; nothing where none does.
    fn abort<'a>(&'a self, context: &'a Context) -> Doing<'a, ()>;

    /// Lets the time of our commit that waits for its confirmation begin anew. Where this way has no means to, the device
    /// keeps the time that it was armed with, and the answer says why.
    fn extend<'a>(&'a self, _context: &'a Context, _candidate: &'a Candidate) -> Doing<'a, Extended> {
        Box::pin(async { Ok(Extended::Kept("this transport has no means to extend it")) })
    }

    /// Makes what ran before the candidate run again, after a confirmation.
    ///
    /// # Errors
    /// [`AdapterError::Unsupported`] where this way leads forward only.
    fn restore<'a>(&'a self, context: &'a Context, candidate: &'a Candidate, text: &'a str) -> Doing<'a, ()>;
}

/// A unified diff with three lines of context, empty where nothing differs.
#[must_use]
pub fn diff(running: &str, wanted: &str) -> String {
    const CONTEXT_LINES: usize = 3;
    let diff = similar::TextDiff::from_lines(running, wanted);
    diff.unified_diff().context_radius(CONTEXT_LINES).header("running", "wanted").to_string()
}
