//! Jobs as people and scripts read them.

use std::fmt;

use causeway_jobs::{
    Job,
    error::{self, Class, StepError},
    event::{Cause, End, Event, Recorded, StepResult},
    job::{Asked, Phase, Progress, Step},
    spec::{Criticality, Mode, StepIndex, StepSpec, Trigger, Wanted},
    status::correlation,
    store::JobRow,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::{approvals::ApprovalView, error::ErrorBody};

/// A job in a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobSummary {
    /// Its number.
    pub id: i64,
    /// What it is for.
    pub kind: String,
    /// Its status, such as PROVISIONING.
    pub status: String,
    /// What exactly it is at, such as WAITING_FOR_DEVICE.
    pub state: String,
    /// How many of a hundred parts of the steps that count are settled.
    pub percent: u8,
    /// Its devices; empty for one that can't be read.
    pub devices: Vec<String>,
    /// Who asked for it; absent for one that can't be read.
    pub actor: Option<String>,
    /// The job that it is part of.
    pub parent: Option<i64>,
    /// The controller that works on it.
    pub holder: Option<String>,
    /// When it was made, unix milliseconds.
    pub created_unix_ms: u64,
    /// When something last happened, unix milliseconds.
    pub changed_unix_ms: u64,
    /// Why nobody works on it, where it can't be read.
    pub broken: Option<String>,
}

impl JobSummary {
    /// Of what the store has.
    #[must_use]
    pub fn of(row: &JobRow, job: Option<&Job>) -> Self {
        let devices = job.map(|job| job.spec.targets.iter().map(|target| target.device.to_string()).collect());
        Self {
            id: row.id.0,
            kind: row.kind.clone(),
            status: row.summary.status.clone(),
            state: row.summary.state.clone(),
            percent: row.summary.percent,
            devices: devices.unwrap_or_default(),
            actor: job.map(|job| job.spec.actor.clone()),
            parent: row.parent.map(|parent| parent.0),
            holder: row.holder.clone(),
            created_unix_ms: row.created_ms,
            changed_unix_ms: row.changed_ms,
            broken: row.broken.clone(),
        }
    }
}

/// A device of a job.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobDevice {
    /// Its code.
    pub code: String,
    /// What it takes.
    pub family: String,
    /// How it is reached.
    pub transport: String,
    /// What it runs is not known: the job went back, and that could not be seen to have happened.
    pub stuck: bool,
}

/// What somebody asked of a job.
#[derive(Debug, Serialize, ToSchema)]
pub struct AskedView {
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
}

impl From<&Asked> for AskedView {
    fn from(asked: &Asked) -> Self {
        Self { actor: asked.actor.clone(), reason: asked.reason.clone() }
    }
}

/// Why a step failed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StepErrorView {
    /// Code, cause and remedy.
    #[serde(flatten)]
    pub error: ErrorBody,
    /// "critical", "transient" or "non-critical".
    pub class: String,
    /// What should have been there.
    pub expected: Option<String>,
    /// What was there.
    pub found: Option<String>,
}

impl From<&StepError> for StepErrorView {
    fn from(error: &StepError) -> Self {
        let known = error::ALL.iter().find(|kind| kind.code == error.code);
        let remedy = known.map_or("Look at the controller's log.", |kind| kind.remedy).to_owned();
        let class = match error.class {
            Class::Critical => "critical",
            Class::Transient => "transient",
            Class::NonCritical => "non-critical",
        };
        Self {
            error: ErrorBody { code: error.code.clone(), cause: error.message.clone(), remedy, job: None },
            class: class.to_owned(),
            expected: error.expected.clone(),
            found: error.found.clone(),
        }
    }
}

/// How far a step, or the undoing of one, has come.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProgressView {
    /// "pending", "running", "interrupted", "done", "already", "failed", "skipped" or "stopped".
    pub status: String,
    /// Tries in this round.
    pub attempts: u16,
    /// Words of the last try.
    pub message: String,
    /// Under which the last try is found in logs, reports and metrics; absent before the first.
    pub correlation: Option<String>,
    /// When it first began in this round, unix milliseconds.
    pub began_unix_ms: Option<u64>,
    /// When the last try ended, unix milliseconds.
    pub ended_unix_ms: Option<u64>,
    /// From the first try to the end of the last, in milliseconds.
    pub took_ms: Option<u64>,
    /// Why the last try failed.
    pub error: Option<StepErrorView>,
}

impl ProgressView {
    fn of(job: &Job, step: StepIndex, undo: bool, progress: &Progress) -> Self {
        let tried = progress.attempts > 0;
        Self {
            status: progress.status.name().to_owned(),
            attempts: progress.attempts,
            message: progress.message.clone(),
            correlation: tried.then(|| correlation(job.id, job.round, step, undo, progress.attempts)),
            began_unix_ms: progress.began_ms,
            ended_unix_ms: progress.ended_ms,
            took_ms: progress.took_ms(),
            error: progress.error.as_ref().map(StepErrorView::from),
        }
    }
}

/// A step.
#[derive(Debug, Serialize, ToSchema)]
pub struct StepView {
    /// Its place in the job.
    pub index: StepIndex,
    /// What it does.
    pub step: String,
    /// To which device.
    pub device: String,
    /// Steps of one group run at once; groups run in order.
    pub group: u16,
    /// "critical", "non-critical" or "optional"; an optional one may be skipped.
    pub criticality: String,
    /// Whether it counts for the percentage.
    pub counts: bool,
    /// Time limit of one try, in milliseconds.
    pub limit_ms: u64,
    /// How far it has come.
    #[serde(flatten)]
    pub progress: ProgressView,
    /// Generation of the configuration that it made.
    pub generation: Option<u64>,
    /// Hex SHA-256 of its text.
    pub sha256: Option<String>,
    /// Whether what runs differs from what was made.
    pub differs: Option<bool>,
    /// How far the undoing of it has come; absent where nothing is to be undone.
    pub undo: Option<ProgressView>,
}

impl StepView {
    fn of(job: &Job, index: StepIndex, spec: &StepSpec, step: &Step) -> Self {
        let criticality = match spec.criticality {
            Criticality::Critical => "critical",
            Criticality::NonCritical => "non-critical",
            Criticality::Optional => "optional",
        };
        let facts = &step.forward.facts;
        Self {
            index,
            step: spec.verb.name().to_owned(),
            device: spec.device.to_string(),
            group: spec.group,
            criticality: criticality.to_owned(),
            counts: spec.counts,
            limit_ms: spec.limit_ms,
            progress: ProgressView::of(job, index, false, &step.forward),
            generation: facts.generation,
            sha256: facts.sha256.clone(),
            differs: facts.differs,
            undo: step.undo.as_ref().map(|undo| ProgressView::of(job, index, true, undo)),
        }
    }
}

/// A job with its steps.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobView {
    /// Its number.
    pub id: i64,
    /// What it is for.
    pub kind: String,
    /// Its status, such as PROVISIONING.
    pub status: String,
    /// What exactly it is at, such as WAITING_FOR_DEVICE.
    pub state: String,
    /// It is over; `retry` may still begin it anew.
    pub over: bool,
    /// A person has to look now: it is not known what a device runs.
    pub alerts: bool,
    /// How many of a hundred parts of the steps that count are settled.
    pub percent: u8,
    /// Its devices.
    pub devices: Vec<JobDevice>,
    /// "replace" or "merge".
    pub mode: String,
    /// The generation that is meant; absent for what the ledger asks for.
    pub wanted_generation: Option<u64>,
    /// A device goes back by itself if nothing is confirmed for so long, in milliseconds.
    pub confirm_within_ms: u64,
    /// Which way it came in: "cli", "http", "automatic" or "rollout".
    pub trigger: String,
    /// Who asked for it.
    pub actor: String,
    /// The job that it is part of.
    pub parent: Option<i64>,
    /// The controller that works on it, as far as the events say.
    pub holder: Option<String>,
    /// How often it was begun: 1, and one more for every retry.
    pub round: u32,
    /// It is held, by whom and why.
    pub held: Option<AskedView>,
    /// It was cancelled, by whom and why.
    pub cancelled: Option<AskedView>,
    /// Who has to agree, and who has; absent where nobody has to.
    pub approval: Option<ApprovalView>,
    /// When it was asked for, unix milliseconds.
    pub started_unix_ms: u64,
    /// When something last happened, unix milliseconds.
    pub changed_unix_ms: u64,
    /// Number of its last event.
    pub last_event: u64,
    /// Why it failed: of the first step that did.
    pub error: Option<StepErrorView>,
    /// What is done.
    pub steps: Vec<StepView>,
}

/// Which way something came in.
pub const fn trigger_name(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Cli => "cli",
        Trigger::Http => "http",
        Trigger::Automatic => "automatic",
        Trigger::Rollout => "rollout",
    }
}

/// What becomes of other lines.
pub const fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Replace => "replace",
        Mode::Merge => "merge",
    }
}

/// The error that a job's end is about.
fn why(job: &Job) -> Option<StepErrorView> {
    let failed = match &job.phase {
        Phase::Forward => return None,
        Phase::Back(cause) | Phase::Ended(End::Back(cause) | End::Stuck { cause, .. }) => match cause {
            Cause::Failed(steps) => steps,
            Cause::Cancelled { .. } => return None,
        },
        Phase::Ended(End::Partly(steps)) => steps,
        Phase::Ended(End::Done) => return None,
    };
    let first = job.steps.get(usize::from(*failed.first()?))?;
    first.forward.error.as_ref().map(StepErrorView::from)
}

impl JobView {
    /// Of a job.
    #[must_use]
    pub fn of(job: &Job) -> Self {
        let (spec, stuck) = (&job.spec, job.stuck_devices());
        let devices = spec.targets.iter().map(|target| JobDevice {
            code: target.device.to_string(),
            family: target.family.name().to_owned(),
            transport: target.transport.name().to_owned(),
            stuck: stuck.contains(&target.device),
        });
        let steps = spec.steps().zip(&job.steps);
        Self {
            id: job.id.0,
            kind: spec.kind.name().to_owned(),
            status: job.status().name().to_owned(),
            state: job.state().name().to_owned(),
            over: matches!(job.phase, Phase::Ended(_)),
            alerts: job.state().alerts(),
            percent: job.percent(),
            devices: devices.collect(),
            mode: mode_name(spec.mode).to_owned(),
            wanted_generation: match spec.wanted {
                Wanted::Generation(generation) => Some(generation),
                Wanted::Current | Wanted::Bare | Wanted::Before(_) => None,
            },
            confirm_within_ms: spec.confirm_within_ms,
            trigger: trigger_name(spec.trigger).to_owned(),
            actor: spec.actor.clone(),
            parent: spec.parent.map(|parent| parent.0),
            holder: job.holder.clone(),
            round: job.round,
            held: job.held.as_ref().map(AskedView::from),
            cancelled: job.cancel.as_ref().map(AskedView::from),
            approval: job.approvals.as_ref().map(|of| ApprovalView::of(of, job.change())),
            started_unix_ms: job.started_ms,
            changed_unix_ms: job.changed_ms,
            last_event: job.next_seq.saturating_sub(1),
            error: why(job),
            steps: steps.map(|((index, spec), step)| StepView::of(job, index, spec, step)).collect(),
        }
    }
}

/// What a job changes on a device.
#[derive(Debug, Serialize, ToSchema)]
pub struct DiffView {
    /// The device.
    pub device: String,
    /// Unified diff from what ran to what was made, empty where nothing differs; absent before it was compared.
    pub diff: Option<String>,
}

/// Something that happened to a job.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LogLine {
    /// Its number in the job.
    pub seq: u64,
    /// When, unix milliseconds.
    pub at_unix_ms: u64,
    /// What, such as "step-began".
    pub event: String,
    /// The step that it is about, by index.
    pub step: Option<StepIndex>,
    /// What the step does.
    pub verb: Option<String>,
    /// To which device.
    pub device: Option<String>,
    /// Under which the try is found everywhere.
    pub correlation: Option<String>,
    /// Words.
    pub words: String,
    /// Why a try failed.
    pub error: Option<StepErrorView>,
    /// The job's status after it.
    pub status: String,
    /// The job's state after it.
    pub state: String,
    /// The job's percentage after it.
    pub percent: u8,
    /// The job is over after it.
    pub over: bool,
}

/// What is told of an event beside its name: step, whether it is undone, attempt, words, error.
type Told<'a> = (Option<(StepIndex, bool, u16)>, String, Option<&'a StepError>);

fn result(result: &StepResult) -> (String, Option<&StepError>) {
    match result {
        StepResult::Done { already: true, message, .. } => (format!("already so: {message}"), None),
        StepResult::Done { already: false, message, .. } => (message.clone(), None),
        StepResult::Failed(error) => (format!("{}: {}", error.code, error.message), Some(error)),
        StepResult::Stopped => ("stopped".to_owned(), None),
    }
}

fn told(event: &Event) -> Told<'_> {
    let plain = |words: String| (None, words, None);
    match event {
        Event::Started(spec) => plain(format!("{} asked for {}", spec.actor, spec.kind.name())),
        Event::Claimed { holder, .. } => plain(format!("taken by {holder}")),
        Event::StepBegan { step, attempt } => (Some((*step, false, *attempt)), format!("try {attempt}"), None),
        Event::UndoBegan { step, attempt } => (Some((*step, true, *attempt)), format!("try {attempt}"), None),
        Event::StepEnded { step, attempt, result: came } => {
            let (words, error) = result(came);
            (Some((*step, false, *attempt)), words, error)
        }
        Event::UndoEnded { step, attempt, result: came } => {
            let (words, error) = result(came);
            (Some((*step, true, *attempt)), words, error)
        }
        Event::BackBegan(Cause::Failed(steps)) => plain(format!("{} critical steps failed", steps.len())),
        Event::BackBegan(Cause::Cancelled { actor, reason }) | Event::CancelRequested { actor, reason } => {
            plain(format!("{actor} cancelled it: {reason}"))
        }
        Event::Held { actor, reason } => plain(format!("{actor} holds it: {reason}")),
        Event::Released { actor } => plain(format!("{actor} lets it go on")),
        Event::Approved { key, role, reason } => plain(format!("{key} approves it as {}: {reason}", role.name())),
        Event::GlassBroken { key, role, reason } => {
            plain(format!("{key} begins it without approval, as {}: {reason}", role.name()))
        }
        Event::Skipped { step, actor, reason } => {
            (Some((*step, false, 0)), format!("{actor} leaves it out: {reason}"), None)
        }
        Event::RetryRequested { actor, .. } => plain(format!("{actor} wants it tried again")),
        Event::Ended(End::Done) => plain("done".to_owned()),
        Event::Ended(End::Partly(steps)) => plain(format!("done but for {} steps", steps.len())),
        Event::Ended(End::Back(_)) => plain("every device runs what it ran".to_owned()),
        Event::Ended(End::Stuck { steps, .. }) => plain(format!("{} steps could not be undone", steps.len())),
    }
}

impl LogLine {
    /// Of an event, with the job as it left it.
    #[must_use]
    pub fn of(job: &Job, recorded: &Recorded) -> Self {
        let (step, words, error) = told(&recorded.event);
        let spec = step.and_then(|(index, _, _)| job.spec.steps.get(usize::from(index)));
        let verb = spec.zip(step).map(|(spec, (_, undo, _))| match &spec.undo {
            Some(back) if undo => back.verb.name(),
            Some(_) | None => spec.verb.name(),
        });
        let tried = step.filter(|(_, _, attempt)| *attempt > 0);
        Self {
            seq: job.next_seq.saturating_sub(1),
            at_unix_ms: recorded.at_ms,
            event: recorded.event.name().to_owned(),
            step: step.map(|(index, _, _)| index),
            verb: verb.map(str::to_owned),
            device: spec.map(|spec| spec.device.to_string()),
            correlation: tried.map(|(index, undo, attempt)| correlation(job.id, job.round, index, undo, attempt)),
            words,
            error: error.map(StepErrorView::from),
            status: job.status().name().to_owned(),
            state: job.state().name().to_owned(),
            percent: job.percent(),
            over: matches!(job.phase, Phase::Ended(_)),
        }
    }
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:>4} {:<16}", self.at_unix_ms, self.seq, self.event)?;
        if let (Some(device), Some(verb)) = (&self.device, &self.verb) {
            write!(f, " {device} {verb}")?;
        }
        if let Some(correlation) = &self.correlation {
            write!(f, " [{correlation}]")?;
        }
        // Words of devices stay on their line.
        let words: String = self.words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        write!(f, " {words}")
    }
}
