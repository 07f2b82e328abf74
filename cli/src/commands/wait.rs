//! Waiting until a status is what is desired. Bounded; the decision is pure.

use std::time::{Duration, Instant};

use causeway_interface::{DesiredStatus, DeviceStatus, LinkStatus};

use crate::{
    args::Wait,
    failure::{self, Exit, Failure},
};

/// Time between two looks: a slot is 0.4 s, and a status changes every few hundred of them.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Whether a status is what is desired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// It is.
    Reached,
    /// It can become so by itself.
    Coming,
    /// It can't by itself.
    Never,
}

/// Whether a device's status follows what is desired of it.
pub fn device(status: DeviceStatus, desired: DesiredStatus) -> Follows {
    match (desired, status) {
        (_, DeviceStatus::Suspended | DeviceStatus::Deleting | DeviceStatus::Rejected) => Follows::Never,
        (DesiredStatus::Pending, _)
        | (DesiredStatus::Activated, DeviceStatus::Activated)
        | (DesiredStatus::HardDrained | DesiredStatus::SoftDrained, DeviceStatus::Drained) => Follows::Reached,
        (DesiredStatus::Activated, DeviceStatus::Pending) => Follows::Never,
        (
            DesiredStatus::Activated,
            DeviceStatus::DeviceProvisioning | DeviceStatus::LinkProvisioning | DeviceStatus::Drained,
        )
        | (DesiredStatus::HardDrained | DesiredStatus::SoftDrained, DeviceStatus::Activated) => Follows::Coming,
        // Not in service yet: there is nothing to drain.
        (
            DesiredStatus::HardDrained | DesiredStatus::SoftDrained,
            DeviceStatus::Pending | DeviceStatus::DeviceProvisioning | DeviceStatus::LinkProvisioning,
        ) => Follows::Never,
    }
}

/// Whether a link's status follows what both sides desire of it.
pub fn link(status: LinkStatus, desired: DesiredStatus) -> Follows {
    match (desired, status) {
        (_, LinkStatus::Suspended | LinkStatus::Deleting | LinkStatus::Rejected) => Follows::Never,
        (DesiredStatus::Pending, _)
        | (DesiredStatus::Activated, LinkStatus::Activated)
        | (DesiredStatus::SoftDrained, LinkStatus::SoftDrained)
        | (DesiredStatus::HardDrained, LinkStatus::HardDrained) => Follows::Reached,
        (DesiredStatus::Activated, LinkStatus::Pending | LinkStatus::Requested) => Follows::Never,
        (DesiredStatus::Activated, LinkStatus::Provisioning | LinkStatus::SoftDrained | LinkStatus::HardDrained)
        | (DesiredStatus::SoftDrained, LinkStatus::Activated | LinkStatus::HardDrained)
        | (DesiredStatus::HardDrained, LinkStatus::Activated | LinkStatus::SoftDrained) => Follows::Coming,
        // Not in service yet: there is nothing to drain.
        (
            DesiredStatus::HardDrained | DesiredStatus::SoftDrained,
            LinkStatus::Pending | LinkStatus::Requested | LinkStatus::Provisioning,
        ) => Follows::Never,
    }
}

/// A look: the record, its state in words, and whether it follows.
pub struct Look<T> {
    /// As read.
    pub record: T,
    /// In words.
    pub state: String,
    /// Whether it follows.
    pub follows: Follows,
}

/// Looks until the status follows, telling on stderr what changes.
pub async fn until<T, F: Future<Output = Result<Look<T>, Failure>>>(
    wait: Wait,
    what: &str,
    look: impl Fn() -> F,
) -> Result<Look<T>, Failure> {
    let deadline = Instant::now() + Duration::from_secs(wait.wait_timeout);
    let mut told = String::new();
    loop {
        let now = look().await?;
        if !wait.wait || now.follows == Follows::Reached {
            return Ok(now);
        }
        if now.follows == Follows::Never {
            eprintln!("{what}: {}; the status does not follow by itself, so this does not wait", now.state);
            return Ok(now);
        }
        if told != now.state {
            eprintln!("{what}: {}; waiting", now.state);
            told.clone_from(&now.state);
        }
        if Instant::now() + LOOK_EVERY > deadline {
            let cause = format!("{what} did not follow within {} s: {}.", wait.wait_timeout, now.state);
            return Err(Failure::new(failure::WAIT_TIMEOUT, Exit::Refused, cause));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_follows_only_what_it_can_become_by_itself() {
        use DesiredStatus::{Activated, HardDrained, SoftDrained};
        assert_eq!(device(DeviceStatus::Drained, SoftDrained), Follows::Reached);
        assert_eq!(device(DeviceStatus::Activated, HardDrained), Follows::Coming);
        assert_eq!(device(DeviceStatus::LinkProvisioning, HardDrained), Follows::Never);
        assert_eq!(device(DeviceStatus::Pending, Activated), Follows::Never);
        assert_eq!(link(LinkStatus::HardDrained, SoftDrained), Follows::Coming);
        assert_eq!(link(LinkStatus::SoftDrained, SoftDrained), Follows::Reached);
        assert_eq!(link(LinkStatus::Requested, Activated), Follows::Never);
        for desired in DesiredStatus::ALL {
            assert_eq!(device(DeviceStatus::Suspended, *desired), Follows::Never);
            assert_eq!(link(LinkStatus::Suspended, *desired), Follows::Never);
        }
    }
}
