//! What happens to a job, as numbered events, and their form in a store.
//!
//! An event is written once and never changed. Its JSON carries the version of its form: a reader that does not know it
//! refuses it, and so does one that finds a field that it does not know, because an event that is half understood makes
//! a state that never was.

use causeway_interface::Key;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    approval::Role,
    error::StepError,
    spec::{JobId, JobSpec, StepIndex},
};

/// Version of the form that is written.
const VERSION: u16 = 1;
/// Longest event in a store, in bytes: the first one of a job with [`crate::spec::MAX_STEPS`] steps.
pub const MAX_EVENT_BYTES: usize = 1_024 * 1_024;

/// Place of an event in its job, from 0.
pub type Seq = u64;

/// Where a step left the device's configuration, and what it found out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// Generation of the configuration that was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Its hash, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Whether what runs differs from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub differs: Option<bool>,
}

/// What came of one try of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum StepResult {
    /// It is done.
    Done {
        /// It was so before: nothing had to be done.
        already: bool,
        /// Words.
        message: String,
        /// What it found out.
        facts: Facts,
    },
    /// It failed.
    Failed(StepError),
    /// It was stopped, because the job was cancelled.
    Stopped,
}

/// Why a job goes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Cause {
    /// Steps failed for good.
    Failed(Vec<StepIndex>),
    /// Somebody asked for it.
    Cancelled {
        /// Who.
        actor: String,
        /// Why.
        reason: String,
    },
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum End {
    /// Every step is done or skipped.
    Done,
    /// Steps that are not critical failed.
    Partly(Vec<StepIndex>),
    /// It went back: every device runs what it ran.
    Back(Cause),
    /// It should have gone back, and for these steps that could not be established.
    Stuck {
        /// Why it went back.
        cause: Cause,
        /// Steps whose undoing failed.
        steps: Vec<StepIndex>,
    },
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// The job was asked for; always the first one.
    Started(Box<JobSpec>),
    /// A controller took it; whatever an earlier one had begun is interrupted.
    Claimed {
        /// Which controller.
        holder: String,
        /// The fencing token of its lease.
        token: i64,
    },
    /// A step is about to be tried.
    StepBegan {
        /// Which.
        step: StepIndex,
        /// Which try, from 1.
        attempt: u16,
    },
    /// A try ended.
    StepEnded {
        /// Of which step.
        step: StepIndex,
        /// Which try.
        attempt: u16,
        /// What came of it.
        result: StepResult,
    },
    /// The job goes back.
    BackBegan(Cause),
    /// A step is about to be undone.
    UndoBegan {
        /// Which.
        step: StepIndex,
        /// Which try, from 1.
        attempt: u16,
    },
    /// A try to undo a step ended.
    UndoEnded {
        /// Of which step.
        step: StepIndex,
        /// Which try.
        attempt: u16,
        /// What came of it.
        result: StepResult,
    },
    /// Somebody wants it to go back.
    CancelRequested {
        /// Who.
        actor: String,
        /// Why.
        reason: String,
    },
    /// No further step begins: for an approval, a maintenance window, or because somebody paused it.
    Held {
        /// Who.
        actor: String,
        /// Why.
        reason: String,
    },
    /// It goes on.
    Released {
        /// Who.
        actor: String,
    },
    /// Somebody agrees that it begins.
    Approved {
        /// Who.
        key: Key,
        /// As what.
        role: Role,
        /// Words.
        reason: String,
    },
    /// Somebody makes it begin without the approvals that it needs: an emergency, to be looked at afterwards.
    GlassBroken {
        /// Who.
        key: Key,
        /// As what.
        role: Role,
        /// Why.
        reason: String,
    },
    /// An optional step will not be done.
    Skipped {
        /// Which.
        step: StepIndex,
        /// Who says so.
        actor: String,
        /// Why.
        reason: String,
    },
    /// An ended job is to go on: failed steps are tried anew.
    RetryRequested {
        /// These, of a job that ended partly; ignored where it went back, because then everything is done anew.
        steps: Vec<StepIndex>,
        /// Who.
        actor: String,
    },
    /// It is over.
    Ended(End),
}

impl Event {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Started(_) => "started",
            Self::Claimed { .. } => "claimed",
            Self::StepBegan { .. } => "step-began",
            Self::StepEnded { .. } => "step-ended",
            Self::BackBegan(_) => "back-began",
            Self::UndoBegan { .. } => "undo-began",
            Self::UndoEnded { .. } => "undo-ended",
            Self::CancelRequested { .. } => "cancel-requested",
            Self::Held { .. } => "held",
            Self::Released { .. } => "released",
            Self::Approved { .. } => "approved",
            Self::GlassBroken { .. } => "glass-broken",
            Self::Skipped { .. } => "skipped",
            Self::RetryRequested { .. } => "retry-requested",
            Self::Ended(_) => "ended",
        }
    }
}

/// An event with its time, by the clock of who recorded it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Unix milliseconds.
    pub at_ms: u64,
    /// What happened.
    pub event: Event,
}

/// Why an event can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// Not the form, or not this version's.
    #[error("event {seq} of job {job} can not be read")]
    Undecodable {
        /// Of which job.
        job: JobId,
        /// Which.
        seq: Seq,
        /// What the decoder said.
        #[source]
        source: serde_json::Error,
    },
    /// Written by a version that this one does not know.
    #[error("event {seq} of job {job} has form {found}; this build reads {VERSION}")]
    Version {
        /// Of which job.
        job: JobId,
        /// Which.
        seq: Seq,
        /// Its version.
        found: u16,
    },
    /// Longer than any event.
    #[error("event {seq} of job {job} has {bytes} bytes; {MAX_EVENT_BYTES} are the most")]
    TooLong {
        /// Of which job.
        job: JobId,
        /// Which.
        seq: Seq,
        /// How long.
        bytes: usize,
    },
}

#[derive(Deserialize)]
struct Version {
    v: u16,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored<E> {
    v: u16,
    at_ms: u64,
    event: E,
}

/// The form of an event in a store, of a job or a rollout.
///
/// # Errors
/// [`EventError::TooLong`].
pub(crate) fn write(stored: &impl Serialize, job: JobId, seq: Seq) -> Result<String, EventError> {
    let text = serde_json::to_string(stored).map_err(|source| EventError::Undecodable { job, seq, source })?;
    bounded(&text, job, seq)?;
    Ok(text)
}

/// An event of a store, where anything may be; its version is looked at before the rest.
///
/// # Errors
/// [`EventError`].
pub(crate) fn read<V: DeserializeOwned, T: DeserializeOwned>(
    text: &str,
    job: JobId,
    seq: Seq,
    version: fn(V) -> u16,
    known: u16,
) -> Result<T, EventError> {
    bounded(text, job, seq)?;
    let wrong = |source| EventError::Undecodable { job, seq, source };
    let found = version(serde_json::from_str(text).map_err(wrong)?);
    if found != known {
        return Err(EventError::Version { job, seq, found });
    }
    serde_json::from_str(text).map_err(wrong)
}

const fn bounded(text: &str, job: JobId, seq: Seq) -> Result<(), EventError> {
    if text.len() > MAX_EVENT_BYTES {
        return Err(EventError::TooLong { job, seq, bytes: text.len() });
    }
    Ok(())
}

impl Recorded {
    /// Its form in a store.
    ///
    /// # Errors
    /// [`EventError::TooLong`].
    pub fn encode(&self, job: JobId, seq: Seq) -> Result<String, EventError> {
        let stored = Stored { v: VERSION, at_ms: self.at_ms, event: &self.event };
        write(&stored, job, seq)
    }

    /// From a store; anything may be there.
    ///
    /// # Errors
    /// [`EventError`].
    pub fn decode(job: JobId, seq: Seq, text: &str) -> Result<Self, EventError> {
        let stored: Stored<Event> = read(text, job, seq, |version: Version| version.v, VERSION)?;
        Ok(Self { at_ms: stored.at_ms, event: stored.event })
    }
}
