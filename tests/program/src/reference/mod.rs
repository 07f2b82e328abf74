//! What the program has to do, written down a second time: tables from the design, read by tests and by people.
//!
//! Nothing here calls a rule of the interface crate. Only its names are used (statuses, health, errors), so that the
//! two can disagree. [`device`] and [`link`] are the state machines, [`health`] is what the oracles' words make of a
//! subject's health, [`quorum`] and [`limits`] say when a burn-in is over, [`pool`] what is taken.

pub mod device;
pub mod health;
pub mod limits;
pub mod link;
pub mod pool;
pub mod quorum;

use causeway_interface::ErrorCode;

/// Who signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// The network's authority.
    Authority,
    /// The owner of the device's contributor; of a link, of side A's.
    Owner,
    /// The operations key of the same.
    Operations,
    /// The owner of another contributor; of a link, of side Z's.
    OtherOwner,
    /// The operations key of the same.
    OtherOperations,
    /// Nobody.
    Stranger,
}

impl Who {
    /// Everybody.
    pub const ALL: [Who; 6] =
        [Who::Authority, Who::Owner, Who::Operations, Who::OtherOwner, Who::OtherOperations, Who::Stranger];
}

/// What becomes of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<S> {
    /// The subject has this status from now on.
    To(S),
    /// The account is gone.
    Gone,
    /// The wish is written down and nothing else.
    Wanted,
    /// It lands, and status stays: an `Advance` that finds nothing to do, but for health.
    Stays,
    /// It is refused.
    Refused(ErrorCode),
}

/// Whose entry of the registry is suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspended {
    /// None.
    Nobody,
    /// The contributor; of a link, side A's.
    Contributor,
    /// The location; of a link, side A's.
    Location,
    /// The exchange; of a link, side A's.
    Exchange,
    /// The contributor of side Z.
    OtherContributor,
    /// The location of side Z.
    OtherLocation,
    /// The exchange of side Z.
    OtherExchange,
}
