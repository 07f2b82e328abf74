//! What happened, as a bounded log that a reader can resume from an event's id.
//!
//! Ids grow by one. They begin at the time of start in microseconds, so that an id from before a restart is known as
//! such: a reader that resumes from an id which the log no longer holds is told so first ([`Resumed::lost`]) and
//! reads the present state anew. Nothing here is stored: history is on the ledger.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use causeway_interface::{Code, DeviceHealth, DeviceStatus, LinkHealth, LinkStatus};
use serde::Serialize;
use tokio::sync::broadcast;
use utoipa::ToSchema;

/// Events kept for readers that resume: at ten a second, a quarter of an hour.
const KEPT: usize = 10_000;
/// Events that a slow reader may lag behind before it has to resume from the log.
const LAG: usize = 1_024;

/// How far a step of a job is. Its words are cut: the whole of them is in the job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct StepChange {
    /// Its place in the job, from 0.
    pub step: u16,
    /// What it does, as in `commit`.
    pub verb: String,
    /// It is being taken back.
    pub undo: bool,
    /// Which try, from 1.
    pub attempt: u16,
    /// `began`, `done`, `already`, `failed`, `stopped` or `skipped`.
    pub status: String,
    /// Code of the error, or empty.
    pub error_code: String,
    /// Words, or empty.
    pub message: String,
}

/// Longest message of a step's event, in bytes.
pub const MAX_STEP_MESSAGE: usize = 512;

impl StepChange {
    /// With words that are not longer than an event's.
    #[must_use]
    pub fn cut(mut self) -> Self {
        if self.message.len() > MAX_STEP_MESSAGE {
            let end = (0..=MAX_STEP_MESSAGE).rev().find(|at| self.message.is_char_boundary(*at)).unwrap_or(0);
            self.message.truncate(end);
        }
        self
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Change {
    /// A device has another configuration.
    ConfigChanged {
        /// Device.
        #[schema(value_type = String)]
        device: Code,
        /// Generation of the new configuration.
        generation: u64,
        /// Hex SHA-256 of its text.
        sha256: String,
    },
    /// A configuration waits for approval.
    ConfigHeld {
        /// Device.
        #[schema(value_type = String)]
        device: Code,
        /// Hex SHA-256 of the held text.
        sha256: String,
    },
    /// A device's configuration can't be made; it keeps the last good one.
    ConfigProblem {
        /// Device.
        #[schema(value_type = String)]
        device: Code,
        /// The problem's code.
        code: String,
        /// What is wrong.
        cause: String,
    },
    /// A device's configuration can be made again.
    ConfigRecovered {
        /// Device.
        #[schema(value_type = String)]
        device: Code,
    },
    /// A device's status changed; `from` is absent for a new device, `to` for one that is gone.
    DeviceStatus {
        /// Device.
        #[schema(value_type = String)]
        device: Code,
        /// Before.
        #[schema(value_type = Option<String>)]
        from: Option<DeviceStatus>,
        /// After.
        #[schema(value_type = Option<String>)]
        to: Option<DeviceStatus>,
    },
    /// A device's health changed.
    DeviceHealth {
        /// Device.
        #[schema(value_type = String)]
        device: Code,
        /// Before.
        #[schema(value_type = String)]
        from: DeviceHealth,
        /// After.
        #[schema(value_type = String)]
        to: DeviceHealth,
    },
    /// A link's status changed; `from` is absent for a new link, `to` for one that is gone.
    LinkStatus {
        /// Link.
        #[schema(value_type = String)]
        link: Code,
        /// Before.
        #[schema(value_type = Option<String>)]
        from: Option<LinkStatus>,
        /// After.
        #[schema(value_type = Option<String>)]
        to: Option<LinkStatus>,
    },
    /// A link's health changed.
    LinkHealth {
        /// Link.
        #[schema(value_type = String)]
        link: Code,
        /// Before.
        #[schema(value_type = String)]
        from: LinkHealth,
        /// After.
        #[schema(value_type = String)]
        to: LinkHealth,
    },
    /// An agent said what became of a configuration.
    ApplyReport {
        /// Device.
        #[schema(value_type = String)]
        device: Code,
        /// Generation that it is about.
        generation: u64,
        /// What became of it.
        result: String,
        /// Error code, when it was not applied.
        error_code: String,
    },
    /// A job began, moved on or ended.
    Job {
        /// Its number.
        job: i64,
        /// What it is for, as in `provision`.
        job_kind: String,
        /// Status, as in `PROVISIONING`.
        status: String,
        /// What exactly it is at, as in `WAITING_FOR_DEVICE`.
        state: String,
        /// How many of a hundred parts of its steps are settled.
        percent: u8,
        /// Its device, where it has one alone.
        #[schema(value_type = Option<String>)]
        device: Option<Code>,
        /// How many devices it has.
        devices: u32,
    },
    /// A step of a job began or ended.
    JobStep {
        /// The job's number.
        job: i64,
        /// Device.
        #[schema(value_type = String)]
        device: Code,
        /// The step, and how far it is.
        #[serde(flatten)]
        step: StepChange,
        /// The id of this try in logs and reports.
        correlation: String,
    },
    /// A provisioning job has reached its end on a device.
    JobDone {
        /// Device.
        #[schema(value_type = String)]
        device: Code,
        /// Number of the job.
        job: i64,
        /// What it was for.
        job_kind: String,
        /// Correlation id of the step that tells it.
        correlation: String,
    },
    /// A rollout began, moved on or ended.
    Rollout {
        /// Its number.
        rollout: i64,
        /// What is done to each device, as in `provision`.
        rollout_kind: String,
        /// Status, as in `PROVISIONING`.
        status: String,
        /// What exactly it is at, as in `SOAKING`.
        state: String,
        /// How many of a hundred of its devices run what was asked.
        percent: u8,
        /// The wave that is under way, from 1.
        wave: u16,
        /// How many waves it has.
        waves: u16,
        /// How many devices it has.
        devices: u32,
        /// What happened, as in `wave-ended`.
        what: String,
    },
    /// A change waits for approvals, was approved, or began without.
    Approval {
        /// Number of the job or the rollout.
        job: i64,
        /// It is a rollout.
        is_rollout: bool,
        /// `waits`, `approved` or `glass-broken`.
        act: String,
        /// Whose key, in base58; the proposer's of one that waits.
        key: String,
        /// As what; empty of one that waits.
        role: String,
        /// How many approvals are still missing.
        missing: u8,
    },
    /// No configuration is made: the ledger can't be trusted to be whole.
    LedgerUnreadable {
        /// The problem's code.
        code: String,
        /// What is wrong.
        cause: String,
    },
    /// The ledger can be read again.
    LedgerReadable {},
}

impl Change {
    /// Its kind, as the `event` field of the stream.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ConfigChanged { .. } => "config-changed",
            Self::ConfigHeld { .. } => "config-held",
            Self::ConfigProblem { .. } => "config-problem",
            Self::ConfigRecovered { .. } => "config-recovered",
            Self::DeviceStatus { .. } => "device-status",
            Self::DeviceHealth { .. } => "device-health",
            Self::LinkStatus { .. } => "link-status",
            Self::LinkHealth { .. } => "link-health",
            Self::ApplyReport { .. } => "apply-report",
            Self::Job { .. } => "job",
            Self::JobStep { .. } => "job-step",
            Self::JobDone { .. } => "job-done",
            Self::Rollout { .. } => "rollout",
            Self::Approval { .. } => "approval",
            Self::LedgerUnreadable { .. } => "ledger-unreadable",
            Self::LedgerReadable {} => "ledger-readable",
        }
    }
}

/// An event of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Event {
    /// Its id.
    pub id: u64,
    /// Slot of the snapshot that showed it, or that was served when it happened.
    pub slot: u64,
    /// What happened.
    #[serde(flatten)]
    pub change: Change,
}

/// What a reader gets that resumes.
#[derive(Debug)]
pub struct Resumed {
    /// Events in between may be missing.
    pub lost: bool,
    /// Those that the log holds.
    pub past: Vec<Arc<Event>>,
    /// Those to come.
    pub live: broadcast::Receiver<Arc<Event>>,
}

/// The log.
#[derive(Debug)]
pub struct EventLog {
    inner: Mutex<Inner>,
    live: broadcast::Sender<Arc<Event>>,
}

#[derive(Debug)]
struct Inner {
    next: u64,
    first: u64,
    kept: VecDeque<Arc<Event>>,
}

impl EventLog {
    /// An empty log whose first id is `first`.
    #[must_use]
    pub fn new(first: u64) -> Self {
        let inner = Inner { next: first, first, kept: VecDeque::new() };
        Self { inner: Mutex::new(inner), live: broadcast::channel(LAG).0 }
    }

    /// Adds events.
    pub fn push(&self, slot: u64, changes: impl IntoIterator<Item = Change>) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            let event = Arc::new(Event { id: inner.next, slot, change });
            inner.next += 1;
            if inner.kept.len() == KEPT {
                inner.kept.pop_front();
            }
            inner.kept.push_back(Arc::clone(&event));
            // Nobody listening is no failure.
            let _ = self.live.send(event);
        }
    }

    /// From after `last`, or from now on.
    pub fn resume(&self, last: Option<u64>) -> Resumed {
        // Under the lock nothing is sent, so no event is both in the past and to come, or in neither.
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let live = self.live.subscribe();
        let Some(last) = last else { return Resumed { lost: false, past: Vec::new(), live } };
        let oldest = inner.kept.front().map_or(inner.next, |e| e.id);
        let lost = last >= inner.next || last.saturating_add(1) < oldest.max(inner.first);
        let past = inner.kept.iter().filter(|e| lost || e.id > last).cloned().collect();
        Resumed { lost, past, live }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(events: usize) -> EventLog {
        let log = EventLog::new(1_000);
        log.push(1, (0..events).map(|_| Change::LedgerReadable {}));
        log
    }

    #[test]
    fn a_reader_resumes_after_the_id_it_has_seen() {
        let resumed = log(5).resume(Some(1_002));
        assert!(!resumed.lost);
        assert_eq!(resumed.past.iter().map(|e| e.id).collect::<Vec<_>>(), [1_003, 1_004]);
    }

    #[test]
    fn an_id_of_before_a_restart_or_pushed_out_is_known_as_lost() {
        assert!(log(5).resume(Some(7)).lost);
        assert!(log(5).resume(Some(9_999)).lost);
        let long = log(KEPT + 5);
        assert!(long.resume(Some(1_000)).lost);
        assert!(!long.resume(Some(1_004)).lost);
    }

    #[test]
    fn an_event_of_a_step_is_flat_and_its_words_are_cut() {
        let step = StepChange {
            step: 5,
            verb: "commit".into(),
            undo: false,
            attempt: 2,
            status: "failed".into(),
            error_code: "CW-JOB-TIMEOUT".into(),
            message: "é".repeat(MAX_STEP_MESSAGE),
        };
        let step = step.cut();
        assert!(step.message.len() <= MAX_STEP_MESSAGE && step.message.chars().all(|c| c == 'é'));
        let device = "ams".parse().unwrap();
        let change = Change::JobStep { job: 42, device, step, correlation: "job42-r1-s5-t2".into() };
        assert_eq!(change.kind(), "job-step");
        let json = serde_json::to_value(Event { id: 1, slot: 2, change }).unwrap();
        assert_eq!((&json["kind"], &json["verb"], &json["step"]), (&"job-step".into(), &"commit".into(), &5.into()));
    }

    #[test]
    fn a_new_reader_gets_only_what_is_to_come() {
        let log = log(5);
        let mut resumed = log.resume(None);
        assert!(resumed.past.is_empty());
        log.push(2, [Change::LedgerReadable {}]);
        assert_eq!(resumed.live.try_recv().unwrap().id, 1_005);
    }
}
