//! Why a step failed, and the codes by which operators know it.

use serde::{Deserialize, Serialize};

/// Longest message of an error that is recorded, in bytes; the rest is cut.
pub const MAX_MESSAGE_BYTES: usize = 2_048;

/// What is to be done about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Trying again does not help.
    Critical,
    /// It may be gone in a moment.
    Transient,
    /// It is recorded, and the job goes on: what the job is for has been reached.
    NonCritical,
}

/// Where the trouble is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trouble {
    /// The ledger, the store or what is between.
    Network,
    /// The device or its agent does not answer.
    Device,
    /// What is asked can't be: refused, or not as expected.
    Validation,
    /// None of these.
    Other,
}

/// Why a step failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct StepError {
    /// What is to be done about it.
    pub class: Class,
    /// Where it is.
    pub trouble: Trouble,
    /// Page in docs/errors.
    pub code: String,
    /// Words.
    pub message: String,
    /// What should have been there.
    pub expected: Option<String>,
    /// What was there.
    pub found: Option<String>,
}

/// A code with what is known of it beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorKind {
    /// The code.
    pub code: &'static str,
    /// What is wrong.
    pub cause: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $name:ident = $code:literal, $cause:literal, $remedy:literal;)+) => {
        $($(#[doc = $doc])* pub const $name: ErrorKind = ErrorKind { code: $code, cause: $cause, remedy: $remedy };)+
        /// Every code of a job.
        pub const ALL: &[ErrorKind] = &[$($name),+];
    };
}

kinds! {
    /// The ledger does not allow it.
    LEDGER_REFUSED = "CW-JOB-LEDGER-REFUSED",
        "The ledger has the device in a state in which this job makes no sense; the error says which was expected and which was found.",
        "Bring the device into the expected state, or ask for another kind of job; then `retry`.";
    /// The ledger can't be asked.
    LEDGER_AWAY = "CW-JOB-LEDGER-AWAY",
        "The ledger, or what the controller knows of it, could not be read.",
        "The step is tried again by itself. If it stays, check the controller's RPC address and `/ready`.";
    /// The device does not answer.
    UNREACHABLE = "CW-JOB-UNREACHABLE",
        "The device, its agent or its management does not answer.",
        "Check the device's power, its way to the controller and its agent; then `retry`. What was committed and not confirmed has gone back by itself.";
    /// A try took too long.
    TIMEOUT = "CW-JOB-TIMEOUT",
        "A step was not done within its time limit. What it asked for may have happened all the same; the next try looks first.",
        "Look at the device's load and the step's limit; then `retry`.";
    /// The device is not what it is said to be, or not ready.
    PRECHECK_REFUSED = "CW-JOB-PRECHECK-REFUSED",
        "The device is not what the ledger says it is, or somebody else's change is under way on it; the error says what was expected and what was found.",
        "Correct the device's platform on the ledger or finish the other change; then `retry`.";
    /// The device refuses a line.
    LINE_REFUSED = "CW-JOB-LINE-REFUSED",
        "The device refuses the configuration; the message names the lines. Nothing was changed.",
        "Correct what the lines come from: the ledger's record, or a snippet of the site; then `retry`.";
    /// A device whose state does not fit the verb.
    DEVICE_STATE = "CW-JOB-DEVICE-STATE",
        "The device is in a state in which it does not do what was asked, as while another commit waits for its confirmation.",
        "The step is tried again by itself. If it stays, look at the open sessions on the device.";
    /// The configuration can't be made.
    RENDER_FAILED = "CW-JOB-RENDER-FAILED",
        "No configuration could be made for the device; the message says why.",
        "Mend what the message names, or approve the configuration that is held; then `retry`.";
    /// The device does not do with it what was meant.
    VERIFY_FAILED = "CW-JOB-VERIFY-FAILED",
        "After the commit the device does not run what was asked, or neighbours that it had are gone. It went back.",
        "Read what was expected and found; mend the cause; then `retry`.";
    /// The time to confirm was over.
    REVERTED_BY_ITSELF = "CW-JOB-REVERTED-BY-ITSELF",
        "The device took the configuration back before it was confirmed: its timer went off, or somebody told it to.",
        "Find what took so long (a controller that died, a slow step); raise the time to confirm if it has to be so; then `retry`.";
    /// It runs, but the device would start with something else.
    STARTUP_NOT_SAVED = "CW-JOB-STARTUP-NOT-SAVED",
        "The configuration runs and is confirmed, but could not be saved as what the device starts with.",
        "Free space on the device's flash or mend its storage; then `retry` the step.";
    /// What a confirmed configuration would go back to is not known.
    NO_BACKUP = "CW-JOB-NO-BACKUP",
        "A configuration that was confirmed has to be taken back, and what ran before could not be kept or can't be brought by this transport.",
        "Bring the device to an earlier generation with a job of kind `revert`, or by hand.";
    /// Nobody was told.
    NOTIFY_FAILED = "CW-JOB-NOTIFY-FAILED",
        "The job is done, and whoever was to be told could not be.",
        "Mend the receiver and `retry` the step, or `skip-step` it.";
    /// A pair that does not work together.
    UNSUPPORTED = "CW-JOB-UNSUPPORTED",
        "Devices of this family are not reached over this transport, or the transport can't do what this kind of job needs.",
        "Choose another transport for the device; docs/jobs.md has the table.";
    /// Interrupted over and over.
    INTERRUPTED = "CW-JOB-INTERRUPTED",
        "Controllers died in this step so often that it is not begun again.",
        "Read the controllers' logs from the step's correlation id on; then `retry`.";
    /// Somebody else runs a job on it.
    BUSY = "CW-JOB-BUSY",
        "Another job holds the device; the error names it.",
        "Wait for that job, or cancel it.";
    /// No such job.
    UNKNOWN = "CW-JOB-UNKNOWN",
        "There is no job of this number.",
        "`causeway job list` shows the jobs that are kept.";
    /// Not now.
    NOT_NOW = "CW-JOB-NOT-NOW",
        "The job is in a state in which this can't be asked of it; the message says which.",
        "Look at the job's status; cancel works until the last critical step has ended, retry when the job has ended, skip on optional steps.";
    /// A request that can't be meant.
    INVALID = "CW-JOB-INVALID",
        "The job that is asked for makes no sense; the message says why.",
        "Correct the request.";
    /// An event that can't be read.
    UNDECODABLE = "CW-JOB-UNDECODABLE",
        "An event of the job in the store can't be read, or does not follow from those before it. The job is not run; its devices stay held.",
        "A newer controller may have written it: upgrade this one. Otherwise look at the row that the error names, see to the devices by hand, and cancel the job with `--abandon`.";
    /// The lease went to somebody else.
    LEASE_LOST = "CW-JOB-LEASE-LOST",
        "This controller could not renew its hold of the job in time, and stopped working on it; another one goes on.",
        "Nothing for this job. If it happens often, look at the store's latency and the controller's load.";
    /// A device is not reached from here any more.
    OUT_OF_REACH = "CW-JOB-OUT-OF-REACH",
        "A device of the job could not be worked on any more from the controller that held the job: its agent went away, or to another controller. The controller let go of the job, so that the one that the agent is at goes on.",
        "Nothing where the job goes on within a minute. If it does not, see to the device's agent; if it happens often, to the way between agents and controllers.";
    /// A rollback that failed.
    ROLLBACK_FAILED = "CW-JOB-ROLLBACK-FAILED",
        "A commit could not be taken back, and the device could not be seen to have gone back by itself. What it runs is not known.",
        "Go to the device now: see what it runs. Bring it to one of the two configurations in the job, then `retry`, which looks again.";
    /// It needs an approval, and was proposed by nobody.
    PROPOSER_UNKNOWN = "CW-JOB-PROPOSER-UNKNOWN",
        "This change needs an approval, and who proposes it is not known by a key of the ledger.",
        "Propose it with a key: who proposes a change can't approve it, and has to be told from who does.";
    /// An approval that does not count.
    APPROVAL_REFUSED = "CW-JOB-APPROVAL-REFUSED",
        "The approval does not count: it is the proposer's own, or a second one of the same key, or the key has no role that may give it, or none is missing, or it is too late. The message says which.",
        "Have somebody approve it who has the role on the ledger; if the time is over, propose the change again.";
    /// Not approved in time.
    APPROVAL_EXPIRED = "CW-JOB-APPROVAL-EXPIRED",
        "Nobody approved the change in time, and it was cancelled. No device was touched.",
        "Propose it again, and tell those who have to approve it.";
    /// Begun without approvals.
    GLASS_BROKEN = "CW-JOB-GLASS-BROKEN",
        "Somebody began a change without the approvals that it needs. It is recorded with the key and the reason.",
        "Find out whether it was an emergency; review the change.";
    /// A rollout whose devices are not well.
    ROLLOUT_UNHEALTHY = "CW-JOB-ROLLOUT-UNHEALTHY",
        "Devices of a wave were not healthy for long enough after it; the message names them. The wave was reverted, earlier waves stay.",
        "Read what the oracles see (`causeway health explain`), mend it, and start a rollout of the devices that are left.";
    /// A rollout whose devices could not be brought back.
    ROLLOUT_STUCK = "CW-JOB-ROLLOUT-STUCK",
        "A rollout stopped, and devices of its last wave could not be brought back to what they ran; it names them.",
        "See what each of them runs, and bring it to one of the two configurations with a job of its own.";
    /// Not a job, or not a rollout.
    OTHER_KIND = "CW-JOB-OTHER-KIND",
        "A number of a rollout was given where a job is meant, or the other way round: both are numbered together.",
        "Ask `causeway rollout status` about rollouts and `causeway job status` about jobs.";
    /// Another change than the one that was looked at.
    CHANGE_DIFFERS = "CW-JOB-CHANGE-DIFFERS",
        "An approval names the change that was looked at by its hash, and another one is kept under the number.",
        "Look at what waits (`causeway job waiting`), at the controller that keeps it, and approve that.";
    /// Devices that can't be brought back.
    NOT_BY_JOBS = "CW-JOB-NOT-BY-JOBS",
        "Devices of a rollout are served continuously what the ledger asks for. What a rollout brings back would be replaced in the next moment, so that it could not go back.",
        "Have the devices provisioned by jobs (`jobs_devices`, `jobs_contributors` or `jobs_all` of the controller), leave them out, or start a dry run.";
    /// The store's answer.
    STORE = "CW-JOB-STORE",
        "The store of jobs could not be read or written.",
        "Check the disk or the PostgreSQL server; jobs go on when it is back.";
}

impl ErrorKind {
    /// An error of this code.
    #[must_use]
    pub fn error(self, class: Class, trouble: Trouble, message: impl Into<String>) -> StepError {
        let mut message = message.into();
        cut(&mut message, MAX_MESSAGE_BYTES);
        StepError { class, trouble, code: self.code.to_owned(), message, expected: None, found: None }
    }

    /// One that a further try may mend.
    #[must_use]
    pub fn transient(self, trouble: Trouble, message: impl Into<String>) -> StepError {
        self.error(Class::Transient, trouble, message)
    }

    /// One that no further try mends.
    #[must_use]
    pub fn critical(self, trouble: Trouble, message: impl Into<String>) -> StepError {
        self.error(Class::Critical, trouble, message)
    }

    /// Something other than expected was there.
    #[must_use]
    pub fn mismatch(self, expected: impl Into<String>, found: impl Into<String>) -> StepError {
        let (mut expected, mut found) = (expected.into(), found.into());
        cut(&mut expected, MAX_MESSAGE_BYTES);
        cut(&mut found, MAX_MESSAGE_BYTES);
        let mut error = self.critical(Trouble::Validation, format!("expected {expected}, found {found}"));
        (error.expected, error.found) = (Some(expected), Some(found));
        error
    }
}

/// Shortens to at most `most` bytes, at a character. Says whether it did.
pub fn cut(text: &mut String, most: usize) -> bool {
    if text.len() <= most {
        return false;
    }
    let at = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.truncate(at);
    true
}
