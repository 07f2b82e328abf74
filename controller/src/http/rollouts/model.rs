//! Rollouts as people and scripts read them.

use std::fmt;

use causeway_jobs::{
    error::{self, ErrorKind},
    rollout::{Cause, Device, End, Event, Outcome, Phase, Place, Progress, Recorded, Rollout, RolloutSpec, Soaking},
    store::JobRow,
    window::Window,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::{
    approvals::ApprovalView,
    error::ErrorBody,
    jobs::{AskedView, mode_name, trigger_name},
};

/// Devices that a line names at most.
const MAX_NAMED: usize = 8;

/// A rollout in a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct RolloutSummary {
    /// Its number, among those of jobs.
    pub id: i64,
    /// What is done to each device; absent for one that can't be read.
    pub kind: Option<String>,
    /// Its status, such as PROVISIONING.
    pub status: String,
    /// What exactly it is at, such as SOAKING.
    pub state: String,
    /// How many of a hundred of its devices run what was asked.
    pub percent: u8,
    /// How many devices it has; absent for one that can't be read.
    pub devices: Option<usize>,
    /// How many waves.
    pub waves: Option<usize>,
    /// Who asked for it.
    pub actor: Option<String>,
    /// Why, in words.
    pub message: Option<String>,
    /// The controller that works on it.
    pub holder: Option<String>,
    /// When it was made, unix milliseconds.
    pub created_unix_ms: u64,
    /// When something last happened, unix milliseconds.
    pub changed_unix_ms: u64,
    /// Why nobody works on it, where it can't be read.
    pub broken: Option<String>,
}

impl RolloutSummary {
    /// Of what the store has, and of its first event.
    #[must_use]
    pub fn of(row: &JobRow, spec: Option<&RolloutSpec>) -> Self {
        Self {
            id: row.id.0,
            kind: spec.map(|spec| spec.kind.name().to_owned()),
            status: row.summary.status.clone(),
            state: row.summary.state.clone(),
            percent: row.summary.percent,
            devices: spec.map(|spec| spec.targets.len()),
            waves: spec.map(|spec| spec.waves.len()),
            actor: spec.map(|spec| spec.actor.clone()),
            message: spec.map(|spec| spec.message.clone()),
            holder: row.holder.clone(),
            created_unix_ms: row.created_ms,
            changed_unix_ms: row.changed_ms,
            broken: row.broken.clone(),
        }
    }
}

/// How far a device's job has come.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProgressView {
    /// "waiting", "began", "running", "done", "unchanged" or "unknown".
    pub state: String,
    /// The job that runs.
    pub job: Option<i64>,
    /// Why it was not changed, by the page in docs/errors.
    pub code: Option<String>,
    /// Words.
    pub message: Option<String>,
}

impl From<&Progress> for ProgressView {
    fn from(progress: &Progress) -> Self {
        let plain = |state: &str| Self { state: state.to_owned(), job: None, code: None, message: None };
        match progress {
            Progress::Waiting { .. } => plain("waiting"),
            Progress::Began { .. } => plain("began"),
            Progress::Running(job) => Self { job: Some(job.0), ..plain("running") },
            Progress::Settled(Outcome::Done) => plain("done"),
            Progress::Settled(Outcome::Unchanged { code, message }) => {
                Self { code: code.clone(), message: Some(message.clone()), ..plain("unchanged") }
            }
            Progress::Settled(Outcome::Unknown { message }) => {
                Self { message: Some(message.clone()), ..plain("unknown") }
            }
        }
    }
}

/// A device of a rollout.
#[derive(Debug, Serialize, ToSchema)]
pub struct RolloutDevice {
    /// Its code.
    pub code: String,
    /// Its wave, from 1.
    pub wave: u16,
    /// Changing it.
    pub forward: ProgressView,
    /// Bringing it back; absent as long as it need not be.
    pub back: Option<ProgressView>,
    /// The youngest of its jobs.
    pub last_job: Option<i64>,
}

/// A wave of a rollout.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct WaveView {
    /// Its number, from 1.
    pub number: u16,
    /// How many devices it has.
    pub devices: u16,
    /// Of them, that run what was asked.
    pub done: u16,
    /// Whose job runs, there or back.
    pub running: u16,
    /// That could not be changed.
    pub failed: u16,
    /// That run again what they ran.
    pub back: u16,
    /// "waiting", "running", "soaking", "passed", "going-back" or "back".
    pub state: String,
}

/// A wave that is watched.
#[derive(Debug, Serialize, ToSchema)]
pub struct SoakView {
    /// Since when, unix milliseconds.
    pub began_unix_ms: u64,
    /// Since when every device is well without a break, unix milliseconds.
    pub good_since_unix_ms: Option<u64>,
    /// When somebody last looked, unix milliseconds.
    pub looked_unix_ms: Option<u64>,
    /// For how long every device has to be well, in milliseconds.
    pub for_ms: u64,
    /// By when it has to be, unix milliseconds.
    pub limit_unix_ms: u64,
    /// Whether the oracles are asked.
    pub by_health: bool,
    /// Devices that were not well at the last look, in words.
    pub bad: Option<String>,
    /// Devices of which nobody knew.
    pub unsure: Option<String>,
}

/// A time of every week, in UTC.
#[derive(Debug, Serialize, ToSchema)]
pub struct WindowView {
    /// When it opens, in minutes since Monday 00:00 UTC.
    pub opens_minute: u16,
    /// How long it is open, in minutes.
    pub minutes: u16,
}

impl From<&Window> for WindowView {
    fn from(window: &Window) -> Self {
        Self { opens_minute: window.opens, minutes: window.minutes }
    }
}

/// How many devices may be begun in a time.
#[derive(Debug, Serialize, ToSchema)]
pub struct BudgetView {
    /// How many.
    pub devices: u32,
    /// In any time of this length, in milliseconds.
    pub per_ms: u64,
}

/// A rollout with its waves and devices.
#[derive(Debug, Serialize, ToSchema)]
pub struct RolloutView {
    /// Its number, among those of jobs.
    pub id: i64,
    /// What is done to each device.
    pub kind: String,
    /// Its status, such as PROVISIONING.
    pub status: String,
    /// What exactly it is at, such as SOAKING.
    pub state: String,
    /// It is over.
    pub over: bool,
    /// A person has to look now: it is not known what a device runs.
    pub alerts: bool,
    /// How many of a hundred of its devices run what was asked.
    pub percent: u8,
    /// The wave that is under way, from 1.
    pub wave: u16,
    /// Its waves.
    pub waves: Vec<WaveView>,
    /// How the wave is watched; absent while it is not.
    pub soak: Option<SoakView>,
    /// Who asked for it.
    pub actor: String,
    /// Why, in words.
    pub message: String,
    /// "replace" or "merge".
    pub mode: String,
    /// Which way it came in.
    pub trigger: String,
    /// The controller that works on it, as far as the events say.
    pub holder: Option<String>,
    /// It is paused, by whom and why.
    pub paused: Option<AskedView>,
    /// It was cancelled, by whom and why.
    pub cancelled: Option<AskedView>,
    /// Who has to agree, and who has; absent where nobody has to.
    pub approval: Option<ApprovalView>,
    /// How many devices may be begun in a time.
    pub budget: Option<BudgetView>,
    /// When devices may be begun that have no windows of their own; any time where it is empty.
    pub windows: Vec<WindowView>,
    /// Devices that have windows of their own.
    pub own_windows: usize,
    /// Jobs at once.
    pub at_once: u16,
    /// When it was asked for, unix milliseconds.
    pub started_unix_ms: u64,
    /// When something last happened, unix milliseconds.
    pub changed_unix_ms: u64,
    /// Number of its last event.
    pub last_event: u64,
    /// Why it went back.
    pub error: Option<ErrorBody>,
    /// Devices that could not be brought back.
    pub stuck: Vec<String>,
    /// Its devices, wave by wave.
    pub devices: Vec<RolloutDevice>,
}

fn remedied(code: &str, cause: String) -> ErrorBody {
    let known = error::ALL.iter().find(|kind| kind.code == code);
    ErrorBody::of(code, cause, known.map_or("Look at the controller's log.", |kind| kind.remedy))
}

fn of_kind(kind: ErrorKind, cause: String) -> ErrorBody {
    ErrorBody::of(kind.code, cause, kind.remedy)
}

/// Why a rollout goes or went back; none where nobody has to ask.
fn why(rollout: &Rollout) -> Option<ErrorBody> {
    let cause = match &rollout.phase {
        Phase::Forward | Phase::Ended(End::Done) => return None,
        Phase::Ended(End::Stuck { devices, .. }) => {
            let named: Vec<String> = devices.iter().map(ToString::to_string).collect();
            return Some(of_kind(error::ROLLOUT_STUCK, format!("not brought back: {}", named.join(", "))));
        }
        Phase::Back(cause) | Phase::Ended(End::Back(cause)) => cause,
    };
    match cause {
        Cause::Cancelled { .. } => None,
        Cause::Unhealthy(words) => Some(of_kind(error::ROLLOUT_UNHEALTHY, words.clone())),
        Cause::Failed(places) => {
            let first = *places.first()?;
            let (target, device) = rollout.spec.target(first).zip(rollout.devices.get(usize::from(first)))?;
            let (code, words) = match &device.forward {
                Progress::Settled(Outcome::Unchanged { code, message }) => (code.clone(), message.clone()),
                Progress::Settled(Outcome::Unknown { message }) => (None, message.clone()),
                Progress::Settled(Outcome::Done)
                | Progress::Waiting { .. }
                | Progress::Began { .. }
                | Progress::Running(_) => (None, String::new()),
            };
            let more = match places.len() {
                1 => String::new(),
                all => format!(", and {} more", all - 1),
            };
            let cause = format!("{}: {words}{more}", target.device);
            Some(remedied(code.as_deref().unwrap_or(error::ROLLBACK_FAILED.code), cause))
        }
    }
}

fn count(of: impl Iterator<Item = bool>) -> u16 {
    u16::try_from(of.filter(|is| *is).count()).unwrap_or(u16::MAX)
}

fn wave_view(rollout: &Rollout, wave: u16) -> Option<WaveView> {
    let places = rollout.spec.wave(wave)?;
    let devices: Vec<&Device> = rollout.devices.iter().take(places.end.into()).skip(places.start.into()).collect();
    let is_now = wave == rollout.wave;
    let state = match &rollout.phase {
        _ if wave > rollout.wave => "waiting",
        _ if wave < rollout.wave => "passed",
        Phase::Forward if rollout.soaking.is_some() => "soaking",
        Phase::Forward => "running",
        Phase::Back(_) => "going-back",
        Phase::Ended(End::Done) => "passed",
        Phase::Ended(End::Back(_) | End::Stuck { .. }) => "back",
    };
    let is_failed = |device: &&Device| {
        matches!(&device.forward, Progress::Settled(Outcome::Unchanged { .. } | Outcome::Unknown { .. }))
    };
    let runs = |device: &&Device| {
        is_now && (device.forward.is_in_flight() || device.back.as_ref().is_some_and(Progress::is_in_flight))
    };
    Some(WaveView {
        number: wave.saturating_add(1),
        devices: u16::try_from(devices.len()).unwrap_or(u16::MAX),
        done: count(devices.iter().map(|device| device.forward.is_done() && device.back.is_none())),
        running: count(devices.iter().map(runs)),
        failed: count(devices.iter().map(is_failed)),
        back: count(devices.iter().map(|device| device.back.as_ref().is_some_and(Progress::is_done))),
        state: state.to_owned(),
    })
}

fn soak_view(rollout: &Rollout, soaking: &Soaking) -> SoakView {
    let soak = rollout.spec.soak;
    SoakView {
        began_unix_ms: soaking.began_ms,
        good_since_unix_ms: soaking.good_since_ms,
        looked_unix_ms: soaking.looked_ms,
        for_ms: soak.for_ms,
        limit_unix_ms: soaking.began_ms.saturating_add(soak.limit_ms),
        by_health: soak.by_health,
        bad: soaking.bad.clone(),
        unsure: soaking.unsure.clone(),
    }
}

impl RolloutView {
    /// Of a rollout.
    #[must_use]
    pub fn of(rollout: &Rollout) -> Self {
        let spec = &rollout.spec;
        let waves: Vec<WaveView> = (0_u16..).map_while(|wave| wave_view(rollout, wave)).collect();
        let of_wave = waves.iter().flat_map(|wave| std::iter::repeat_n(wave.number, wave.devices.into()));
        let devices =
            spec.targets.iter().zip(&rollout.devices).zip(of_wave).map(|((target, device), wave)| RolloutDevice {
                code: target.device.to_string(),
                wave,
                forward: ProgressView::from(&device.forward),
                back: device.back.as_ref().map(ProgressView::from),
                last_job: device.last_job.map(|job| job.0),
            });
        let devices = devices.collect();
        Self {
            id: rollout.id.0,
            kind: spec.kind.name().to_owned(),
            status: rollout.status().name().to_owned(),
            state: rollout.state().name().to_owned(),
            over: matches!(rollout.phase, Phase::Ended(_)),
            alerts: matches!(rollout.phase, Phase::Ended(End::Stuck { .. })),
            percent: rollout.percent(),
            wave: rollout.wave.saturating_add(1),
            waves,
            soak: rollout.soaking.as_ref().map(|soaking| soak_view(rollout, soaking)),
            actor: spec.actor.clone(),
            message: spec.message.clone(),
            mode: mode_name(spec.mode).to_owned(),
            trigger: trigger_name(spec.trigger).to_owned(),
            holder: rollout.holder.clone(),
            paused: rollout.paused.as_ref().map(AskedView::from),
            cancelled: rollout.cancel.as_ref().map(AskedView::from),
            approval: rollout.approvals.as_ref().map(|of| ApprovalView::of(of, rollout.change())),
            budget: spec.budget.map(|budget| BudgetView { devices: budget.devices, per_ms: budget.per_ms }),
            windows: spec.windows.iter().map(WindowView::from).collect(),
            own_windows: spec.own_windows.len(),
            at_once: spec.at_once,
            started_unix_ms: rollout.started_ms,
            changed_unix_ms: rollout.changed_ms,
            last_event: rollout.next_seq.saturating_sub(1),
            error: why(rollout),
            stuck: rollout.stuck_devices().iter().map(ToString::to_string).collect(),
            devices,
        }
    }
}

/// Something that happened to a rollout.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RolloutLine {
    /// Its number in the rollout.
    pub seq: u64,
    /// When, unix milliseconds.
    pub at_unix_ms: u64,
    /// What, such as "wave-ended".
    pub event: String,
    /// Devices that it is about, the first of them.
    pub devices: Vec<String>,
    /// How many devices it is about.
    pub count: usize,
    /// The job that it is about.
    pub job: Option<i64>,
    /// Words.
    pub words: String,
    /// The wave that is under way after it, from 1.
    pub wave: u16,
    /// How many waves there are.
    pub waves: usize,
    /// The rollout's status after it.
    pub status: String,
    /// The rollout's state after it.
    pub state: String,
    /// The rollout's percentage after it.
    pub percent: u8,
    /// The rollout is over after it.
    pub over: bool,
}

fn of_cause(cause: &Cause) -> String {
    match cause {
        Cause::Failed(places) => format!("{} devices could not be changed", places.len()),
        Cause::Unhealthy(words) => format!("not well: {words}"),
        Cause::Cancelled { actor, reason } => format!("{actor} cancelled it: {reason}"),
    }
}

fn way(back: bool) -> &'static str {
    if back { "to be brought back" } else { "to be changed" }
}

/// What is told of an event: devices, the job, words.
fn told(event: &Event) -> (Vec<Place>, Option<i64>, String) {
    let plain = |words: String| (Vec::new(), None, words);
    match event {
        Event::Started(spec) => {
            plain(format!("{} asked for {} of {} devices", spec.actor, spec.kind.name(), spec.targets.len()))
        }
        Event::Claimed { holder, .. } => plain(format!("taken by {holder}")),
        Event::Began { places, back } => (places.clone(), None, way(*back).to_owned()),
        Event::Made { place, back, job } => (vec![*place], Some(job.0), format!("job {job}, {}", way(*back))),
        Event::Deferred { place, holder, .. } => {
            (vec![*place], Some(holder.0), format!("job {holder} holds it; begun again later"))
        }
        Event::Settled { place, back, outcome } => {
            let words = match (outcome, back) {
                (Outcome::Done, false) => "it runs what was asked".to_owned(),
                (Outcome::Done, true) => "it runs again what it ran".to_owned(),
                (Outcome::Unchanged { code, message }, _) => {
                    format!("{}: {message}", code.as_deref().unwrap_or("not changed"))
                }
                (Outcome::Unknown { message }, _) => format!("not known what it runs: {message}"),
            };
            (vec![*place], None, words)
        }
        Event::SoakBegan => plain("every device of the wave runs what was asked, and is watched".to_owned()),
        Event::Looked { bad: None, unsure: None } => plain("all well".to_owned()),
        Event::Looked { bad, unsure } => {
            let words: Vec<&str> = [bad, unsure].into_iter().flatten().map(String::as_str).collect();
            plain(words.join("; "))
        }
        Event::WaveEnded => plain("the wave was well for long enough, and stays".to_owned()),
        Event::BackBegan(cause) => plain(of_cause(cause)),
        Event::Paused { actor, reason } => plain(format!("{actor} pauses it: {reason}")),
        Event::Resumed { actor } => plain(format!("{actor} lets it go on")),
        Event::CancelRequested { actor, reason } => plain(format!("{actor} cancelled it: {reason}")),
        Event::Approved { key, role, reason } => plain(format!("{key} approves it as {}: {reason}", role.name())),
        Event::GlassBroken { key, role, reason } => {
            plain(format!("{key} begins it without approval, as {}: {reason}", role.name()))
        }
        Event::Ended(End::Done) => plain("every device runs what was asked".to_owned()),
        Event::Ended(End::Back(cause)) => plain(format!("the wave runs what it ran: {}", of_cause(cause))),
        Event::Ended(End::Stuck { devices, .. }) => {
            plain(format!("{} devices could not be brought back", devices.len()))
        }
    }
}

impl RolloutLine {
    /// Of an event, with the rollout as it left it.
    #[must_use]
    pub fn of(rollout: &Rollout, recorded: &Recorded) -> Self {
        let (places, job, words) = told(&recorded.event);
        let named = places.iter().take(MAX_NAMED).filter_map(|place| rollout.spec.target(*place));
        Self {
            seq: rollout.next_seq.saturating_sub(1),
            at_unix_ms: recorded.at_ms,
            event: recorded.event.name().to_owned(),
            devices: named.map(|target| target.device.to_string()).collect(),
            count: places.len(),
            job,
            words,
            wave: rollout.wave.saturating_add(1),
            waves: rollout.spec.waves.len(),
            status: rollout.status().name().to_owned(),
            state: rollout.state().name().to_owned(),
            percent: rollout.percent(),
            over: matches!(rollout.phase, Phase::Ended(_)),
        }
    }
}

impl fmt::Display for RolloutLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:>5} {:<16} wave {}/{}", self.at_unix_ms, self.seq, self.event, self.wave, self.waves)?;
        if !self.devices.is_empty() {
            write!(f, " {}", self.devices.join(" "))?;
            if self.count > self.devices.len() {
                write!(f, " and {} more", self.count - self.devices.len())?;
            }
        }
        // Words of devices stay on their line.
        let words: String = self.words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        write!(f, " {words}")
    }
}
