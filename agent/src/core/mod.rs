//! The apply state machine: which step follows which outcome. Pure: no clock, no device, no storage.
//!
//! `load -> compare -> record -> commit (revert armed) -> verify -> confirm -> done`. What fails before the commit changes
//! nothing and is refused; what fails from the commit on is reverted, and if the revert fails too, the device's own timer
//! does it and the machine waits for that. A confirmation whose outcome is not known is looked up, never guessed.

#[cfg(test)]
mod tests;

/// Why a step failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Stable name.
    pub code: &'static str,
    /// Words for an operator.
    pub message: String,
}

impl Failure {
    /// Makes one.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// Where an apply stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The device checks the text.
    Loading,
    /// What runs is compared with the text.
    Comparing,
    /// The intent is written down, so that a restarted agent knows of it.
    Recording,
    /// The device switches over, armed to revert.
    Committing,
    /// What runs and its neighbours are looked at.
    Verifying,
    /// The revert is disarmed.
    Confirming,
    /// The confirmation was not answered: does the commit still await it?
    LookingUp(Failure),
    /// The candidate is dropped; nothing had changed.
    Discarding(Failure),
    /// The device is told to go back.
    Reverting(Failure),
    /// The device could not be told; its timer goes off.
    AwaitingTimer(Failure),
    /// Over.
    Done(Outcome),
}

/// What came of the step that the last [`Action`] asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was done.
    Ok,
    /// It was done, and what runs is already what is asked (compare), or no commit awaits confirmation and the text runs
    /// (look-up).
    AlreadySo,
    /// It failed, or was not answered in time.
    Failed(Failure),
}

/// The step to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Load the candidate.
    Load,
    /// Compare.
    Compare,
    /// Write down what is about to be tried.
    Record,
    /// Commit with the revert armed.
    Commit,
    /// Verify.
    Verify,
    /// Confirm.
    Confirm,
    /// Ask whether a commit awaits confirmation, and whether the text runs.
    LookUp,
    /// Discard the candidate.
    Discard,
    /// Revert.
    Revert,
    /// Wait until no commit awaits confirmation any more.
    AwaitTimer,
    /// Nothing: it is over.
    Nothing,
}

/// How an apply ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What is asked ran already.
    Unchanged,
    /// It runs, verified and confirmed.
    Applied,
    /// Nothing was changed.
    Refused(Failure),
    /// The device runs what it ran.
    Reverted(Failure),
    /// Neither answer nor timer could be observed; the device's timer bounds how long what failed can run.
    Lost(Failure),
}

impl State {
    /// The step that this state waits for.
    pub const fn action(&self) -> Action {
        match self {
            Self::Loading => Action::Load,
            Self::Comparing => Action::Compare,
            Self::Recording => Action::Record,
            Self::Committing => Action::Commit,
            Self::Verifying => Action::Verify,
            Self::Confirming => Action::Confirm,
            Self::LookingUp(_) => Action::LookUp,
            Self::Discarding(_) => Action::Discard,
            Self::Reverting(_) => Action::Revert,
            Self::AwaitingTimer(_) => Action::AwaitTimer,
            Self::Done(_) => Action::Nothing,
        }
    }

    /// What follows.
    #[must_use]
    pub fn next(self, event: Event) -> Self {
        match (self, event) {
            (Self::Loading, Event::Ok | Event::AlreadySo) => Self::Comparing,
            (Self::Comparing, Event::Ok) => Self::Recording,
            (Self::Comparing, Event::AlreadySo) => Self::Done(Outcome::Unchanged),
            (Self::Recording, Event::Ok | Event::AlreadySo) => Self::Committing,
            (Self::Loading | Self::Comparing | Self::Recording, Event::Failed(failure)) => Self::Discarding(failure),
            (Self::Committing, Event::Ok | Event::AlreadySo) => Self::Verifying,
            (Self::Verifying, Event::Ok | Event::AlreadySo) => Self::Confirming,
            (Self::Confirming, Event::Ok | Event::AlreadySo) => Self::Done(Outcome::Applied),
            (Self::Committing | Self::Verifying, Event::Failed(failure)) => Self::Reverting(failure),
            (Self::Confirming, Event::Failed(failure)) => Self::LookingUp(failure),
            (Self::LookingUp(_), Event::AlreadySo) => Self::Done(Outcome::Applied),
            (Self::LookingUp(failure), Event::Ok | Event::Failed(_)) => Self::Reverting(failure),
            // A candidate that could not be dropped runs nothing, and the next one takes its place.
            (Self::Discarding(failure), Event::Ok | Event::AlreadySo | Event::Failed(_)) => {
                Self::Done(Outcome::Refused(failure))
            }
            (Self::Reverting(failure), Event::Ok | Event::AlreadySo) => Self::Done(Outcome::Reverted(failure)),
            (Self::Reverting(failure), Event::Failed(_)) => Self::AwaitingTimer(failure),
            (Self::AwaitingTimer(failure), Event::Ok | Event::AlreadySo) => Self::Done(Outcome::Reverted(failure)),
            (Self::AwaitingTimer(failure), Event::Failed(_)) => Self::Done(Outcome::Lost(failure)),
            (Self::Done(outcome), Event::Ok | Event::AlreadySo | Event::Failed(_)) => Self::Done(outcome),
        }
    }
}
