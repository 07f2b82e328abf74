//! How much a configuration configures. It follows from the sessions that all devices of a region share, and holds those instead of a
//! list of its own.

use std::collections::BTreeSet;

use causeway_interface::Code;

use crate::{
    backbone::{Peer, Sessions},
    plan::DevicePlan,
};

/// How much a configuration configures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    device: Code,
    /// None for a device that takes no part in routing.
    sessions: Option<Sessions>,
    /// Other devices whose routes it learns, over its sessions.
    pub reach: usize,
    /// Interfaces that carry a link.
    pub link_interfaces: BTreeSet<String>,
}

impl Extent {
    /// Of a plan.
    pub(super) fn of(plan: &DevicePlan) -> Self {
        let link_interfaces = plan.interfaces.iter().filter(|i| i.link.is_some()).map(|i| i.name.clone()).collect();
        let sessions = plan.routing.as_ref().map(|routing| routing.sessions.clone());
        let reach = sessions.as_ref().map_or(0, |sessions| sessions.reach.0.saturating_sub(1));
        Self { device: plan.code, sessions, reach, link_interfaces }
    }

    /// Whether the device takes part in routing.
    #[must_use]
    pub const fn is_routing(&self) -> bool {
        self.sessions.is_some()
    }

    /// How many devices it holds iBGP sessions with.
    #[must_use]
    pub fn peers(&self) -> usize {
        self.others().count()
    }

    /// Whether routes of devices that it holds no session with come from a reflector.
    #[must_use]
    pub fn by_reflection(&self) -> bool {
        self.peers() < self.reach
    }

    /// How many of its peers `new` has no session with.
    #[must_use]
    pub fn peers_gone(&self, new: &Self) -> usize {
        if self.sessions == new.sessions && self.device == new.device {
            return 0;
        }
        let kept: BTreeSet<Code> = new.others().collect();
        self.others().filter(|code| !kept.contains(code)).count()
    }

    fn others(&self) -> impl Iterator<Item = Code> + '_ {
        self.sessions.iter().flat_map(peers).map(|peer| peer.code).filter(|code| *code != self.device)
    }
}

/// Those that a device has sessions with, and perhaps itself. Nobody is both a peer and a client.
fn peers(sessions: &Sessions) -> impl Iterator<Item = &Peer> {
    sessions.peers.iter().chain(sessions.clients.iter())
}
