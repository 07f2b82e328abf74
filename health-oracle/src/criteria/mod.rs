//! The criteria of readiness for service, as pure functions of facts, telemetry and time.
//!
//! [`device::evaluate_device`] and [`link::evaluate_link`] give a [`Verdict`]. They do no IO and read no clock.
//!
//! # Good now, and good throughout
//!
//! The burn-in is the ledger's: the program counts for how long each oracle has attested a level without a break. A
//! verdict says "good now, over this window"; the streak onchain makes it "good throughout". What makes the two one
//! promise is the *hold*: a *break* (a bad bucket, or a gap longer than the limit) keeps the verdict bad until it ended
//! at least a hold ago, and a hold is at least the maximum age of an attestation plus the longest delay with which
//! data may arrive ([`coverage::Rules::hold_ms`]). So while a break is held, either a bad attestation lands, which ends
//! the streak, or none lands for longer than the maximum age, which ends it as well. No break in the data is survived
//! by a streak.
//!
//! What is older than the hold has therefore done its work, and the judgement begins after it. That is why healing takes
//! the hold and then the burn-in, and not the window twice:
//!
//! | Moment | Verdict | Onchain |
//! |---|---|---|
//! | fault begins | bad in the next round, at most a bucket, the lag and a round later | streak ends; health falls once a quorum says so |
//! | fault ends | bad for one hold more | |
//! | a hold after that | good | streak begins |
//! | a burn-in after that | good | health rises |
//!
//! The window is the subject's burn-in (new, or maintenance when in service or drained) turned into time, and at least
//! a hold. It decides how much is looked at for coverage: a share of buckets that must hold a sample.
//!
//! A subject in its first stage (device provisioning, link provisioning) is looked at only since that stage began plus a
//! time to settle; and a series that was never good since then, or since its first sample ever, holds nothing: no good
//! attestation can rest on it. So a link that has just come up is not held to the time in which it could not be up.
//!
//! # Missing and bad
//!
//! [`Outcome::NotObserved`] and [`Outcome::Failed`] differ: a level needs every criterion passed, so that missing data is
//! never health, but only what was observed to be bad makes a subject [`Level::Impaired`].

pub mod coverage;
pub mod device;
pub mod link;
mod qa;
#[cfg(test)]
mod qa_tests;
mod series;
pub mod standard;
#[cfg(test)]
mod tests;
pub mod text;

use causeway_interface::{DeviceHealth, LinkHealth};
use serde::{Deserialize, Serialize};
use text::Text;

/// A criterion. Its place in the bitmap is fixed: D1 to D7 are bits 0 to 6, U1 to U4 bits 8 to 11; of a link, L1 to L3
/// are bits 0 to 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Criterion {
    /// Public IP set and globally routable.
    D1,
    /// At least one dz prefix of /29 or larger.
    D2,
    /// Loopbacks 255 (vpnv4) and 256 (ipv4) with addresses.
    D3,
    /// At least one DIA interface up throughout, no errors, non-zero traffic.
    D4,
    /// Interface counters reported throughout.
    D5,
    /// The agent polled, and the configuration it reports applied is the current one.
    D6,
    /// Probes reported throughout.
    D7,
    /// At least one activated link.
    U1,
    /// At least one such link up throughout, no errors, non-zero traffic.
    U2,
    /// The device type's shape.
    U3,
    /// Of a new device: enough answered QA probes to other activated devices.
    U4,
    /// Counters of both ends' interfaces throughout, no errors, non-zero traffic.
    L1,
    /// Probed in both directions throughout, loss at most the limit.
    L2,
    /// IS-IS adjacency up at both ends throughout.
    L3,
}

impl Criterion {
    /// The criterion's bit in an attestation's bitmap.
    #[must_use]
    pub const fn bit(self) -> u32 {
        1 << match self {
            Self::D1 | Self::L1 => 0,
            Self::D2 | Self::L2 => 1,
            Self::D3 | Self::L3 => 2,
            Self::D4 => 3,
            Self::D5 => 4,
            Self::D6 => 5,
            Self::D7 => 6,
            Self::U1 => 8,
            Self::U2 => 9,
            Self::U3 => 10,
            Self::U4 => 11,
        }
    }

    /// Whether it is asked of a device before users, beyond what links need.
    #[must_use]
    pub const fn is_for_users(self) -> bool {
        match self {
            Self::U1 | Self::U2 | Self::U3 | Self::U4 => true,
            Self::D1
            | Self::D2
            | Self::D3
            | Self::D4
            | Self::D5
            | Self::D6
            | Self::D7
            | Self::L1
            | Self::L2
            | Self::L3 => false,
        }
    }

    /// The name that people see.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::D1 => "D1",
            Self::D2 => "D2",
            Self::D3 => "D3",
            Self::D4 => "D4",
            Self::D5 => "D5",
            Self::D6 => "D6",
            Self::D7 => "D7",
            Self::U1 => "U1",
            Self::U2 => "U2",
            Self::U3 => "U3",
            Self::U4 => "U4",
            Self::L1 => "L1",
            Self::L2 => "L2",
            Self::L3 => "L3",
        }
    }
}

/// What became of a criterion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It was observed not to hold.
    Failed,
    /// There is not enough data to say.
    NotObserved,
}

impl Outcome {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Passed, Self::Failed, Self::NotObserved];

    /// The name that people see.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::NotObserved => "not-observed",
        }
    }

    /// All of several hold: one that failed decides, then one that was not observed.
    #[must_use]
    pub fn all(outcomes: impl IntoIterator<Item = Outcome>) -> Outcome {
        outcomes.into_iter().fold(Self::Passed, |so_far, outcome| match (so_far, outcome) {
            (Self::Failed, _) | (_, Self::Failed) => Self::Failed,
            (Self::NotObserved, _) | (_, Self::NotObserved) => Self::NotObserved,
            (Self::Passed, Self::Passed) => Self::Passed,
        })
    }

    /// At least one of several holds: one that passed decides; then one that was not observed, which might have.
    #[must_use]
    pub fn any(outcomes: impl IntoIterator<Item = Outcome>) -> Outcome {
        outcomes.into_iter().fold(Self::Failed, |so_far, outcome| match (so_far, outcome) {
            (Self::Passed, _) | (_, Self::Passed) => Self::Passed,
            (Self::NotObserved, _) | (_, Self::NotObserved) => Self::NotObserved,
            (Self::Failed, Self::Failed) => Self::Failed,
        })
    }
}

/// A criterion's result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CriterionResult {
    /// Which.
    pub id: Criterion,
    /// What became of it.
    pub passed: Outcome,
    /// What was seen.
    pub observed: String,
    /// What is asked.
    pub required: Text,
    /// What else a person should know; may be empty.
    pub detail: Text,
}

/// The level that a verdict gives: the ledger's own health enums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Of a device.
    Device(DeviceHealth),
    /// Of a link.
    Link(LinkHealth),
}

impl Level {
    /// The byte that is attested.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Device(health) => health.byte(),
            Self::Link(health) => health.byte(),
        }
    }

    /// Height of the level; 0 for none.
    #[must_use]
    pub const fn rank(self) -> u8 {
        match self {
            Self::Device(health) => health.rank(),
            Self::Link(health) => health.rank(),
        }
    }

    /// The name that people see.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Device(health) => health.name(),
            Self::Link(health) => health.name(),
        }
    }
}

/// What was found of one subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The level that it is at.
    pub level: Level,
    /// Every criterion, in the order of the design's table.
    pub criteria: Vec<CriterionResult>,
}

impl Verdict {
    /// Bits of the criteria that did not pass, whether failed or not observed.
    #[must_use]
    pub fn failed_bits(&self) -> u32 {
        self.not_passed().fold(0, |bits, result| bits | result.id.bit())
    }

    /// The criteria that did not pass.
    pub fn not_passed(&self) -> impl Iterator<Item = &CriterionResult> {
        self.criteria.iter().filter(|c| c.passed != Outcome::Passed)
    }
}

/// What an unreached lowest level is called: bad when anything was observed to be, else waiting.
fn below(outcome: Outcome) -> Below {
    match outcome {
        Outcome::Passed => Below::Reached,
        Outcome::Failed => Below::Impaired,
        Outcome::NotObserved => Below::Pending,
    }
}

enum Below {
    Reached,
    Impaired,
    Pending,
}
