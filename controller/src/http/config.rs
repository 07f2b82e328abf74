//! What the API returns of a device's configuration, what runs and what was reported.

use serde::Serialize;
use utoipa::ToSchema;

use super::error::ErrorBody;
use crate::{
    guards::Removal,
    shared::now_ms,
    store::{ApplyState, Bundle, Drift, Entry, Held, Problem, Report, ReportResult, unified},
};

/// How a device stands to its configuration.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConfigState {
    /// Generation that is served; absent before the first.
    pub generation: Option<u64>,
    /// Hex SHA-256 of the text that is served.
    pub sha256: Option<String>,
    /// Family of the text that is served.
    pub family: Option<String>,
    /// What the device made of it.
    pub state: ApplyState,
    /// How what runs stands to what is served.
    pub drift: Drift,
    /// When the agent last said what runs, unix milliseconds.
    pub running_unix_ms: Option<u64>,
    /// Hex SHA-256 of the managed part of what runs, as the device writes it.
    pub running_sha256: Option<String>,
    /// Generation that it was last reported to run.
    pub applied_generation: Option<u64>,
    /// When its agent last asked, unix milliseconds.
    pub polled_unix_ms: Option<u64>,
    /// Generation that it was offered then.
    pub polled_generation: Option<u64>,
    /// A configuration that waits for approval.
    pub held: Option<HeldView>,
    /// Why the latest configuration can't be made.
    pub problem: Option<ErrorBody>,
}

/// A configuration that waits for approval.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeldView {
    /// Hex SHA-256 of its text: what is to be approved.
    pub sha256: String,
    /// Slot of the snapshot that it was made from.
    pub slot: u64,
    /// Peers that would go.
    pub removed_peers: usize,
    /// Of how many.
    pub of_peers: usize,
    /// Link interfaces that would go.
    pub removed_link_interfaces: usize,
    /// Of how many.
    pub of_link_interfaces: usize,
}

/// A configuration that waits for approval, whole.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeldConfigView {
    /// What it would take away, and its hash.
    #[serde(flatten)]
    pub held: HeldView,
    /// "eos" or "frr".
    pub family: String,
    /// Its text.
    pub text: String,
    /// Unified diff from what is served.
    pub diff: String,
}

/// A configuration.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConfigView {
    /// Device.
    pub device: String,
    /// Its generation; absent for a text that was made for this question in another family than is served.
    pub generation: Option<u64>,
    /// "eos" or "frr".
    pub family: String,
    /// Hex SHA-256 of the text.
    pub sha256: String,
    /// Hex ed25519 signature of what is served.
    pub signature: Option<String>,
    /// The whole managed configuration.
    pub text: String,
    /// Unified diff from the configuration before it.
    pub diff: Option<String>,
    /// Generations that are kept, oldest first.
    pub generations: Vec<u64>,
}

/// What an agent said of a configuration.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReportView {
    /// When it arrived, unix milliseconds.
    pub received_unix_ms: u64,
    /// The agent's time, unix milliseconds.
    pub at_unix_ms: u64,
    /// Generation that it is about.
    pub generation: u64,
    /// Hex SHA-256 of the text that it is about.
    pub sha256: String,
    /// What became of it.
    pub result: ReportResult,
    /// How long it took.
    pub duration_ms: u64,
    /// Error code of the agent, or empty.
    pub error_code: String,
    /// Words, or empty.
    pub message: String,
    /// The same with the code of its page and what to do; absent where nothing went wrong.
    pub error: Option<ErrorBody>,
    /// Hex SHA-256 of the managed part of what runs.
    pub running_sha256: String,
    /// It is what the device starts with.
    pub startup_saved: bool,
    /// Unified diff of what ran and what was asked.
    pub diff: String,
    /// The diff is cut.
    pub diff_cut: bool,
    /// Correlation id of the job's order under which it was applied, or empty.
    pub order: String,
}

impl From<&Problem> for ErrorBody {
    fn from(problem: &Problem) -> Self {
        Self::short(problem.code, problem.cause.clone(), problem.remedy)
    }
}

/// What went wrong for an agent: its own words, under the code of a page where it is one that is known.
#[must_use]
pub fn report_error(code: &str, message: &str) -> ErrorBody {
    let known = causeway_wire::codes::of_report(code);
    ErrorBody {
        code: known.map_or_else(|| code.to_owned(), |known| known.code.to_owned()),
        cause: message.to_owned(),
        remedy: known.map_or("Look at the agent's log.", |known| known.remedy).to_owned(),
        job: None,
    }
}

impl From<&Report> for ReportView {
    fn from(report: &Report) -> Self {
        Self {
            received_unix_ms: report.received_unix_ms,
            at_unix_ms: report.at_unix_ms,
            generation: report.generation,
            sha256: hex::encode(&report.sha256),
            result: report.result,
            duration_ms: report.duration_ms,
            error_code: report.error_code.clone(),
            message: report.message.clone(),
            error: (!report.error_code.is_empty()).then(|| report_error(&report.error_code, &report.message)),
            running_sha256: hex::encode(&report.running_sha256),
            startup_saved: report.startup_saved,
            diff: report.diff.clone(),
            diff_cut: report.diff_cut,
            order: report.order.clone(),
        }
    }
}

impl From<&Held> for HeldView {
    fn from(held: &Held) -> Self {
        let Removal { peers, of_peers, link_interfaces, of_link_interfaces } = held.removal;
        Self {
            sha256: hex::encode(held.rendered.sha256),
            slot: held.slot,
            removed_peers: peers,
            of_peers,
            removed_link_interfaces: link_interfaces,
            of_link_interfaces,
        }
    }
}

/// What waits for approval, beside what is served.
#[must_use]
pub fn held(held: &Held, current: Option<&Bundle>) -> HeldConfigView {
    let (from, old) = match current {
        Some(bundle) => (bundle.generation.to_string(), bundle.text.to_string()),
        None => ("none".to_string(), String::new()),
    };
    let text = held.rendered.text.to_string();
    HeldConfigView {
        held: HeldView::from(held),
        family: held.rendered.family.name().into(),
        diff: unified(&old, &text, &from, "held"),
        text,
    }
}

impl ConfigState {
    /// Of what the store has.
    pub fn of(entry: Option<&Entry>) -> Self {
        let current = entry.and_then(|e| e.current.as_ref());
        let polled = entry.and_then(|e| e.polled);
        let held = entry.and_then(|e| e.held.as_ref());
        let word = entry.and_then(|e| e.word.as_ref());
        Self {
            generation: current.map(|b| b.generation),
            sha256: current.map(|b| hex::encode(b.sha256)),
            family: current.map(|b| b.family.name().into()),
            state: entry.map_or(ApplyState::Never, Entry::apply_state),
            drift: entry.map_or(Drift::Unknown, |entry| entry.drift(now_ms())),
            running_unix_ms: word.map(|word| word.at_unix_ms),
            running_sha256: word.map(|word| hex::encode(&word.running_sha256)),
            applied_generation: entry.and_then(Entry::applied).map(|r| r.generation),
            polled_unix_ms: polled.map(|p| p.at_unix_ms),
            polled_generation: polled.map(|p| p.generation),
            held: held.map(HeldView::from),
            problem: entry.and_then(|e| e.problem.as_ref()).map(ErrorBody::from),
        }
    }
}
