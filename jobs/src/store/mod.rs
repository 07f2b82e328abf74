//! Where jobs are kept: events that are only ever added, who holds which device, and who works on what.
//!
//! [`JobStore`] is what the engine asks of a database; [`sqlite`] and [`postgres`] pass one set of contract tests. A store
//! knows nothing of what events mean: it keeps text, numbers it, and guards it.
//!
//! Guarantees: an event is kept before its append returns, and survives a crash; events of a job have no gaps; an append
//! by somebody whose lease is over, or who does not know the latest event, is refused whole; a device is held by one job
//! at a time; a job is leased to one holder at a time, by the store's own clock, so that no controller's clock
//! counts. One row that makes no sense concerns its own job only.

pub mod postgres;
pub mod sqlite;

use causeway_interface::Code;
use futures::future::BoxFuture;

use crate::{
    event::Seq,
    job::Job,
    spec::{JobId, JobSpec},
};

/// Jobs that are not ended at most; a start beyond it is refused. Ten times the devices of the largest network known.
pub const MAX_OPEN_JOBS: i64 = 100_000;
/// Events of one job at most: every step of the largest one tried nine times, there and back.
pub const MAX_EVENTS: u64 = 65_536;
/// Longest artifact in bytes: a configuration of 27 000 lines takes 1 MB.
pub const MAX_ARTIFACT_BYTES: usize = 4 * 1_024 * 1_024;
/// Rows of one answer at most.
pub const MAX_PAGE: usize = 1_000;
/// Longest lease: whoever dies keeps a job from the others for so long.
pub const MAX_LEASE_MS: u64 = 600_000;

/// Position of an event among those of all jobs. Grows in the order in which a reader may go through them; of the two
/// numbers the first is the writing transaction's where a server gives numbers to several at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Position(pub i64, pub i64);

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

impl std::str::FromStr for Position {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (writer, number) = text.split_once('-').unwrap_or(("0", text));
        Ok(Self(writer.parse()?, number.parse()?))
    }
}

/// A store's answer.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// Why a store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A device is held.
    #[error("job {job} holds device {device}")]
    Busy {
        /// By which job.
        job: JobId,
        /// Which device.
        device: Code,
    },
    /// Somebody else added an event.
    #[error("the next event of the job is {next}, not the one that was to be added")]
    Conflict {
        /// Number of the next event.
        next: Seq,
    },
    /// The lease is somebody else's, or over.
    #[error("the lease of the job is over, or somebody else's")]
    Fenced,
    /// No such job.
    #[error("there is no job {0}")]
    Unknown(JobId),
    /// A bound is reached.
    #[error("the store is full: {0}")]
    Full(&'static str),
    /// A row that can't have been written.
    #[error("the store holds an impossible value: {0}")]
    Corrupt(&'static str),
    /// Made by another version.
    #[error("the store has schema {found}, this build reads {known}; use another database")]
    Schema {
        /// What it has.
        found: i64,
        /// What is known.
        known: i64,
    },
    /// The embedded database failed.
    #[error("the embedded database failed")]
    Sqlite(#[from] rusqlite::Error),
    /// The server failed, or could not be asked.
    #[error("the PostgreSQL server failed")]
    Postgres(#[from] tokio_postgres::Error),
    /// It did not answer in time; what was asked may have been done.
    #[error("the store did not answer within {0} ms")]
    Timeout(u64),
    /// Passwords and configurations would go over the network as they are.
    #[error("a PostgreSQL server beyond this machine is asked without TLS: allow plain connections, or use a tunnel")]
    Plain,
    /// A thread died while it used the store.
    #[error("the store is unusable after a failure")]
    Poisoned,
}

impl StoreError {
    /// Whether the store is away, and what was asked may be asked again.
    #[must_use]
    pub const fn is_away(&self) -> bool {
        match self {
            Self::Sqlite(_) | Self::Postgres(_) | Self::Timeout(_) | Self::Poisoned => true,
            Self::Busy { .. }
            | Self::Conflict { .. }
            | Self::Fenced
            | Self::Unknown(_)
            | Self::Full(_)
            | Self::Corrupt(_)
            | Self::Schema { .. }
            | Self::Plain => false,
        }
    }
}

/// What is found of a job without reading its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Its status, by name.
    pub status: String,
    /// Its state, by name.
    pub state: String,
    /// How far it is.
    pub percent: u8,
    /// Whether its devices are its own.
    pub holds: bool,
    /// Whether a controller has something to do with it.
    pub runnable: bool,
}

impl Summary {
    /// Of a job.
    #[must_use]
    pub fn of(job: &Job) -> Self {
        Self {
            status: job.status().name().to_owned(),
            state: job.state().name().to_owned(),
            percent: job.percent(),
            holds: job.holds_devices(),
            runnable: job.is_runnable(),
        }
    }
}

/// A new job.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Name of its kind.
    pub kind: String,
    /// Devices that it holds, sorted.
    pub devices: Vec<Code>,
    /// The job that it is part of.
    pub parent: Option<JobId>,
    /// Its first event.
    pub event: String,
    /// What is found of it.
    pub summary: Summary,
    /// The token under which the job that it is part of is worked on, where it is started by who does that: nothing is
    /// started in the name of somebody who has lost it.
    pub under: Option<i64>,
}

impl NewJob {
    /// Of a job that has its first event.
    #[must_use]
    pub fn of(spec: &JobSpec, event: String, job: &Job) -> Self {
        Self {
            kind: spec.kind.name().to_owned(),
            devices: spec.targets.iter().map(|target| target.device).collect(),
            parent: spec.parent,
            event,
            summary: Summary::of(job),
            under: None,
        }
    }
}

/// Events to be added.
#[derive(Clone, Debug)]
pub struct Append {
    /// To which job.
    pub job: JobId,
    /// Number of the first of them, which has to be the job's next.
    pub seq: Seq,
    /// The token of who works on the job; none of somebody who asks something of it.
    pub token: Option<i64>,
    /// The events, at least one.
    pub events: Vec<String>,
    /// What steps left, by name; the same name again takes its place.
    pub artifacts: Vec<(String, Vec<u8>)>,
    /// What is found of the job after them.
    pub summary: Summary,
}

/// An event as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Among those of all jobs.
    pub position: Position,
    /// Of which job.
    pub job: JobId,
    /// In its job.
    pub seq: Seq,
    /// Its form in the store.
    pub text: String,
}

/// What is kept of a job beside its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRow {
    /// Its number.
    pub id: JobId,
    /// Name of its kind.
    pub kind: String,
    /// The job that it is part of.
    pub parent: Option<JobId>,
    /// What is found of it.
    pub summary: Summary,
    /// Who holds its lease.
    pub holder: Option<String>,
    /// Number of its next event.
    pub next_seq: Seq,
    /// When it was made, by the store's clock.
    pub created_ms: u64,
    /// When an event was last added, by the store's clock.
    pub changed_ms: u64,
    /// Why nobody works on it, where it can't be read.
    pub broken: Option<String>,
}

/// A job that was given to somebody to work on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Which.
    pub job: JobId,
    /// Greater than that of everybody who had it before.
    pub token: i64,
}

/// A job that has something to do, and that nobody holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Which.
    pub job: JobId,
    /// Its devices, sorted; none of a rollout, whose jobs have them.
    pub devices: Vec<Code>,
    /// How long nobody has held it or asked anything of it, in ms of the store's clock.
    pub idle_ms: u64,
}

/// Which jobs are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this device.
    pub device: Option<Code>,
    /// Of this status.
    pub status: Option<String>,
    /// At this state.
    pub state: Option<String>,
    /// Part of this job.
    pub parent: Option<JobId>,
    /// Numbered below this one.
    pub before: Option<JobId>,
    /// Of this kind, by name.
    pub kind: Option<String>,
}

/// What the engine asks of a database.
pub trait JobStore: Send + Sync + 'static {
    /// Its name, for logs and metrics.
    fn name(&self) -> &'static str;

    /// Whether several controllers may use it.
    fn is_shared(&self) -> bool;

    /// Keeps a new job, which then holds its devices.
    ///
    /// # Errors
    /// [`StoreError::Busy`] with the job that holds one of them; [`StoreError::Fenced`] where the one that it is part of is
    /// somebody else's by now.
    fn start(&self, new: NewJob) -> Answer<'_, JobId>;

    /// Adds events, all of them or none. Takes or gives up the job's devices as its summary says.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::Fenced`], [`StoreError::Busy`], [`StoreError::Unknown`].
    fn append(&self, append: Append) -> Answer<'_, ()>;

    /// Events of a job from a number on, in order, at most `limit` and at most [`MAX_PAGE`].
    fn events(&self, job: JobId, from: Seq, limit: usize) -> Answer<'_, Vec<Row>>;

    /// Events of all jobs after a position, in order, at most `limit`. What was seen once with a position is never
    /// preceded by something new: a reader that goes on from the last position misses nothing.
    fn feed(&self, after: Position, limit: usize) -> Answer<'_, Vec<Row>>;

    /// The position of the latest event that [`JobStore::feed`] tells by now.
    fn tail(&self) -> Answer<'_, Position>;

    /// What a step left.
    fn artifact(&self, job: JobId, name: String) -> Answer<'_, Option<Vec<u8>>>;

    /// Leases up to `limit` jobs that have something to do and that nobody holds, the oldest first.
    fn claim(&self, holder: String, lease_ms: u64, limit: usize) -> Answer<'_, Vec<Claim>>;

    /// Jobs that [`JobStore::claim`] would lease, numbered above `after`, the oldest first, at most `limit`.
    fn waiting(&self, after: JobId, limit: usize) -> Answer<'_, Vec<Waiting>>;

    /// Leases those of these jobs, at most [`MAX_PAGE`], that have something to do and that nobody holds.
    fn claim_these(&self, holder: String, lease_ms: u64, jobs: Vec<JobId>) -> Answer<'_, Vec<Claim>>;

    /// Makes a lease that is not over last longer. Answers the number of the job's next event: somebody may have asked something.
    ///
    /// # Errors
    /// [`StoreError::Fenced`].
    fn renew(&self, claim: Claim, lease_ms: u64) -> Answer<'_, Seq>;

    /// Gives a job back. Nothing where it is not this one's any more.
    fn release(&self, claim: Claim) -> Answer<'_, ()>;

    /// Notes that a job can't be read, so that nobody takes it again.
    ///
    /// # Errors
    /// [`StoreError::Fenced`].
    fn set_broken(&self, claim: Claim, why: String) -> Answer<'_, ()>;

    /// Gives up the devices of a job that can't be read, on a person's word.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] also for a job that is not noted as broken.
    fn abandon(&self, job: JobId) -> Answer<'_, ()>;

    /// What is kept of a job.
    fn job(&self, job: JobId) -> Answer<'_, Option<JobRow>>;

    /// Jobs, the youngest first, at most `limit`.
    fn list(&self, filter: Filter, limit: usize) -> Answer<'_, Vec<JobRow>>;

    /// The job that holds a device.
    fn holder_of(&self, device: Code) -> Answer<'_, Option<JobId>>;

    /// Forgets ended jobs that were last changed before a time of the store's clock, at most `limit` of them. Answers how many.
    /// Those that are part of one that is under way are kept: it may have to go back to what they found.
    fn prune(&self, before_ms: u64, limit: usize) -> Answer<'_, usize>;
}

/// Devices' codes as a store has them.
fn codes(texts: &[String]) -> Result<Vec<Code>, StoreError> {
    texts.iter().map(|text| text.parse().map_err(|_| StoreError::Corrupt("a device's code"))).collect()
}

/// Whether a bound forbids this append.
fn within_bounds(append: &Append) -> Result<(), StoreError> {
    if append.events.is_empty() {
        return Err(StoreError::Corrupt("an append of nothing"));
    }
    if append.seq.saturating_add(append.events.len() as u64) > MAX_EVENTS {
        return Err(StoreError::Full("a job has no more than 65 536 events"));
    }
    if append.artifacts.iter().any(|(_, bytes)| bytes.len() > MAX_ARTIFACT_BYTES) {
        return Err(StoreError::Full("an artifact has no more than 4 MiB"));
    }
    Ok(())
}
