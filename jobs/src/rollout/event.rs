//! What happens to a rollout, as numbered events, and their form in a store. As of a job's: written once, read strictly.

use causeway_interface::{Code, Key};
use serde::{Deserialize, Serialize};

use super::spec::RolloutSpec;
use crate::{
    approval::Role,
    event::{EventError, Seq, read, write},
    spec::JobId,
};

/// Version of the form that is written.
const VERSION: u16 = 1;

/// Place of a device in its rollout's list.
pub type Place = u16;

/// What came of a device's job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Outcome {
    /// It runs what the job was to bring.
    Done,
    /// It runs what it ran before the job.
    Unchanged {
        /// Why, by the page in docs/errors; none where somebody cancelled it.
        code: Option<String>,
        /// Why, in words.
        message: String,
    },
    /// What it runs is not known.
    Unknown {
        /// Words.
        message: String,
    },
}

/// Why a rollout goes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Cause {
    /// Devices of the wave could not be changed.
    Failed(Vec<Place>),
    /// The wave was not well afterwards; words that name devices.
    Unhealthy(String),
    /// Somebody asked for it.
    Cancelled {
        /// Who.
        actor: String,
        /// Why.
        reason: String,
    },
}

/// How a rollout ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum End {
    /// Every device runs what was asked.
    Done,
    /// The wave that was under way runs what it ran before; those before it stay.
    Back(Cause),
    /// The same, but for these devices, of which that could not be established.
    Stuck {
        /// Why it went back.
        cause: Cause,
        /// Which.
        devices: Vec<Code>,
    },
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// It was asked for; always the first one.
    Started(Box<RolloutSpec>),
    /// A controller took it.
    Claimed {
        /// Which controller.
        holder: String,
        /// The fencing token of its lease.
        token: i64,
    },
    /// Jobs of these devices of the wave are about to be started: to change them, or to bring them back.
    Began {
        /// Which.
        places: Vec<Place>,
        /// To bring them back.
        back: bool,
    },
    /// A device's job was started.
    Made {
        /// Of which device.
        place: Place,
        /// To bring it back.
        back: bool,
        /// Which job.
        job: JobId,
    },
    /// It could not be, because another job holds the device; to be begun again later.
    Deferred {
        /// Which device.
        place: Place,
        /// To bring it back.
        back: bool,
        /// The job that holds it.
        holder: JobId,
    },
    /// A device's job is over, or there will be none.
    Settled {
        /// Of which device.
        place: Place,
        /// To bring it back.
        back: bool,
        /// What came of it.
        outcome: Outcome,
    },
    /// Every device of the wave runs what was asked, and it is watched from now on.
    SoakBegan,
    /// Somebody looked at how the wave's devices are.
    Looked {
        /// Devices that are not well, in words; none where there is none.
        bad: Option<String>,
        /// Devices of which nobody knows.
        unsure: Option<String>,
    },
    /// The wave stays, and the next one begins.
    WaveEnded,
    /// The wave goes back.
    BackBegan(Cause),
    /// No further device is begun.
    Paused {
        /// Who.
        actor: String,
        /// Why.
        reason: String,
    },
    /// It goes on.
    Resumed {
        /// Who.
        actor: String,
    },
    /// Somebody wants it to stop, and the wave that is under way to go back.
    CancelRequested {
        /// Who.
        actor: String,
        /// Why.
        reason: String,
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
    /// Somebody makes it begin without the approvals that it needs.
    GlassBroken {
        /// Who.
        key: Key,
        /// As what.
        role: Role,
        /// Why.
        reason: String,
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
            Self::Began { .. } => "began",
            Self::Made { .. } => "made",
            Self::Deferred { .. } => "deferred",
            Self::Settled { .. } => "settled",
            Self::SoakBegan => "soak-began",
            Self::Looked { .. } => "looked",
            Self::WaveEnded => "wave-ended",
            Self::BackBegan(_) => "back-began",
            Self::Paused { .. } => "paused",
            Self::Resumed { .. } => "resumed",
            Self::CancelRequested { .. } => "cancel-requested",
            Self::Approved { .. } => "approved",
            Self::GlassBroken { .. } => "glass-broken",
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

/// By its field `rollout` it is told from a job's event, which has `v`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored<E> {
    rollout: u16,
    at_ms: u64,
    event: E,
}

#[derive(Deserialize)]
struct Version {
    rollout: u16,
}

/// Whether a stored event is a rollout's.
#[must_use]
pub fn is_rollout(text: &str) -> bool {
    serde_json::from_str::<Version>(text).is_ok()
}

impl Recorded {
    /// Its form in a store.
    ///
    /// # Errors
    /// [`EventError::TooLong`].
    pub fn encode(&self, job: JobId, seq: Seq) -> Result<String, EventError> {
        let stored = Stored { rollout: VERSION, at_ms: self.at_ms, event: &self.event };
        write(&stored, job, seq)
    }

    /// From a store; anything may be there.
    ///
    /// # Errors
    /// [`EventError`].
    pub fn decode(job: JobId, seq: Seq, text: &str) -> Result<Self, EventError> {
        let stored: Stored<Event> = read(text, job, seq, |version: Version| version.rollout, VERSION)?;
        Ok(Self { at_ms: stored.at_ms, event: stored.event })
    }
}
