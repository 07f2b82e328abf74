//! When a subject goes into service, by what each oracle does: the rule that a reader can count on fingers.

use causeway_interface::{DeviceHealth, LinkHealth};

/// What an oracle does while a subject burns in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// It says from the first slot to the last that the subject is good.
    Honest,
    /// It says nothing.
    Silent,
    /// It says the same as an honest one, beginning one slot later.
    Late,
    /// It says from the first slot to the last that the subject is bad.
    Bad,
}

impl Does {
    /// All of it.
    pub const ALL: [Does; 4] = [Does::Honest, Does::Silent, Does::Late, Does::Bad];
}

/// The smallest quorum that sets of 1, 2, … 7 oracles may have: a majority of two or three, more than two thirds of
/// four or more.
pub const SMALLEST_QUORUM: [u8; 7] = [1, 2, 2, 3, 4, 5, 5];

fn count(oracles: &[Does], does: &[Does]) -> usize {
    oracles.iter().filter(|d| does.contains(d)).count()
}

/// Whether the subject is in service when the burn-in of those who began first is over.
pub fn is_in_service(oracles: &[Does], quorum: u8) -> bool {
    count(oracles, &[Does::Honest]) >= usize::from(quorum)
}

/// Whether it is a slot later, when the burn-in of the late ones is over too.
pub fn is_in_service_later(oracles: &[Does], quorum: u8) -> bool {
    count(oracles, &[Does::Honest, Does::Late]) >= usize::from(quorum)
}

/// Health of a subject that is not in service: somebody looks, or not enough do.
pub fn is_looked_at(oracles: &[Does], quorum: u8) -> bool {
    count(oracles, &[Does::Honest, Does::Late, Does::Bad]) >= usize::from(quorum)
}

/// Verdict bytes: of a device and of a link, good and bad.
pub const DEVICE: [u8; 2] = [DeviceHealth::ReadyForUsers as u8, DeviceHealth::Impaired as u8];
/// The same of a link.
pub const LINK: [u8; 2] = [LinkHealth::ReadyForService as u8, LinkHealth::Impaired as u8];
