//! What stands between a rendered text and the routers: no configuration from a ledger that can't be trusted to be
//! whole, and none that takes a large part of a device's network away without a person's word.
//!
//! Pure. [`readable`] is asked once per snapshot, [`removal`] once per rendered text, [`carry_over`] before rendering.

use std::collections::BTreeMap;

use causeway_interface::{
    Key, Platform,
    accounts::{Device, Link},
};
use causeway_sdk::snapshot::Snapshot;
use serde::Serialize;

use crate::{
    render::Extent,
    topology::{Fault, Topology, identity_fault, link_fault},
};

/// Limits of the guards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// A text is held when it removes more than this share of the peers or of the link interfaces.
    pub removed_share: f64,
    /// Removing fewer than this many is never held: the last link of a device with two is ordinary work.
    pub removed_at_least: usize,
    /// With more than this share of devices, links and unreadable accounts unreadable, the ledger counts as partly
    /// readable as a whole.
    pub unreadable_share: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { removed_share: 0.5, removed_at_least: 3, unreadable_share: 0.2 }
    }
}

/// Why no configuration is made from a snapshot at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// No network account.
    #[error("the ledger has no readable network account")]
    NoNetwork,
    /// No device.
    #[error("the ledger has no device")]
    Empty,
    /// The snapshot is of another program.
    #[error("the snapshot is of program {found}, not {expected}")]
    OtherProgram {
        /// Whose configurations are served.
        expected: Key,
        /// What was read.
        found: Key,
    },
    /// It is older than what is served.
    #[error("the snapshot is of slot {found}, what is served of slot {served}")]
    Older {
        /// Slot of what is served.
        served: u64,
        /// Slot of the snapshot.
        found: u64,
    },
    /// Too many accounts can't be decoded.
    #[error("{unreadable} of {total} accounts can't be decoded")]
    Partly {
        /// How many can't.
        unreadable: usize,
        /// Of how many.
        total: usize,
    },
}

impl Unreadable {
    /// A short name for people and scripts.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoNetwork => "network-unreadable",
            Self::Empty => "ledger-empty",
            Self::OtherProgram { .. } => "other-program",
            Self::Older { .. } => "snapshot-older",
            Self::Partly { .. } => "ledger-partly-readable",
        }
    }
}

/// Whether configuration may be made from this snapshot, given what is served (program and slot), if anything.
///
/// One unreadable account never stops the rest; beyond that the share decides.
///
/// # Errors
/// See [`Unreadable`].
pub fn readable(snapshot: &Snapshot, served: Option<(Key, u64)>, limits: &Limits) -> Result<(), Unreadable> {
    if let Some((expected, slot)) = served {
        if snapshot.program_id != expected {
            return Err(Unreadable::OtherProgram { expected, found: snapshot.program_id });
        }
        if snapshot.slot < slot {
            return Err(Unreadable::Older { served: slot, found: snapshot.slot });
        }
    }
    let unreadable = snapshot.undecodable.len();
    let known = |k: &Key| snapshot.devices.contains_key(k) || snapshot.links.contains_key(k);
    let lost = snapshot.undecodable.iter().filter(|u| !known(&u.address)).count();
    let total = snapshot.devices.len() + snapshot.links.len() + lost;
    if unreadable > 1 && unreadable as f64 > total as f64 * limits.unreadable_share {
        return Err(Unreadable::Partly { unreadable, total });
    }
    if snapshot.network.is_none() {
        return Err(Unreadable::NoNetwork);
    }
    if snapshot.devices.is_empty() {
        return Err(Unreadable::Empty);
    }
    Ok(())
}

/// Puts what was last good in place of each device or link that is at fault now, so that the others' configurations
/// go on as they were; the one at fault is still reported.
///
/// Of a record that decodes, only the parts that can be at fault are replaced. Its status, and what is wished for it, are as
/// on the ledger: nobody keeps a device in service against a suspension or a drain by breaking its record.
///
/// Returns the snapshot to render from, and the faults as they are on the ledger. A link is at fault only if it still is
/// once its devices are the last good ones: a broken device is not also its neighbours' trouble.
#[must_use]
pub fn carry_over(
    last_good: Option<&Snapshot>,
    new: &Snapshot,
    family: Option<Platform>,
) -> (Snapshot, BTreeMap<Key, Fault>) {
    let mut carried = new.clone();
    let mut faults = Topology::of(new, family).faults;
    if faults.is_empty() {
        return (carried, faults);
    }
    faults.retain(|key, _| !new.links.contains_key(key) || new.undecodable.iter().any(|u| u.address == *key));
    restore(last_good, &mut carried, faults.keys());
    let mut links = Topology::of(&carried, family).faults;
    links.retain(|key, _| carried.links.contains_key(key) && !faults.contains_key(key));
    restore(last_good, &mut carried, links.keys());
    faults.append(&mut links);
    (carried, faults)
}

fn restore<'k>(last_good: Option<&Snapshot>, carried: &mut Snapshot, keys: impl Iterator<Item = &'k Key>) {
    let Some(last) = last_good else { return };
    for key in keys {
        if let Some(device) = last.devices.get(key) {
            let device = device_for(device, carried.devices.get(key));
            carried.devices.insert(*key, device);
        } else if let Some(link) = last.links.get(key) {
            let link = link_for(key, link, carried);
            carried.links.insert(*key, link);
        } else if let Some(location) = last.locations.get(key) {
            // Where devices stand decides who reflects routes to whom: nobody is moved by a record that can't be read.
            carried.locations.insert(*key, location.clone());
        } else {
            continue;
        }
        carried.undecodable.retain(|u| u.address != *key);
    }
}

/// What stands in for a device at fault: what was last good, or the new record with what can be at fault as it last was.
fn device_for(last: &Device, new: Option<&Device>) -> Device {
    let sound = |device: &Device| identity_fault(device).is_ok();
    let standing_in = new.map(|new| Device {
        code: last.code,
        platform: last.platform,
        management_vrf: last.management_vrf,
        interfaces: last.interfaces.clone(),
        ..new.clone()
    });
    // A status that asks for loopbacks which were never good is not taken: that would be a step forward.
    standing_in.filter(sound).unwrap_or_else(|| last.clone())
}

/// The same of a link, as of devices that are sound already.
fn link_for(key: &Key, last: &Link, carried: &Snapshot) -> Link {
    let sound = |link: &Link| link_fault(key, link, |device| carried.devices.get(device)).is_ok();
    let standing_in = carried.links.get(key).map(|new| Link { header: new.header.clone(), ..last.clone() });
    standing_in.filter(sound).unwrap_or_else(|| last.clone())
}

/// What a new text would take away, when that is too much to do without a person's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Removal {
    /// Peers that would go.
    pub peers: usize,
    /// Of how many.
    pub of_peers: usize,
    /// Link interfaces that would go.
    pub link_interfaces: usize,
    /// Of how many.
    pub of_link_interfaces: usize,
}

/// Whether a text has to be held for approval. `reach` is the number of other devices whose routes the device learns now,
/// which grows without a new text where they are reflected.
///
/// The guard is against accidents in derived values. A device that its own record takes out of routing (suspended,
/// rejected, deleting) is not held: that is an authority's signed word about this one device. Sessions that go because
/// a reflector gives the same routes take nothing away; what counts then is how many devices are out of reach.
#[must_use]
pub fn removal(current: &Extent, reach: usize, new: &Extent, limits: &Limits) -> Option<Removal> {
    if current.is_routing() && !new.is_routing() {
        return None;
    }
    let out_of_reach = reach.saturating_sub(new.reach);
    let gone = current.peers_gone(new);
    let peers = if new.by_reflection() { out_of_reach } else { gone.max(out_of_reach) };
    let link_interfaces = current.link_interfaces.difference(&new.link_interfaces).count();
    let too_many =
        |gone: usize, of: usize| gone >= limits.removed_at_least && gone as f64 > of as f64 * limits.removed_share;
    let (of_peers, of_link_interfaces) = (reach.max(current.peers()), current.link_interfaces.len());
    (too_many(peers, of_peers) || too_many(link_interfaces, of_link_interfaces)).then_some(Removal {
        peers,
        of_peers,
        link_interfaces,
        of_link_interfaces,
    })
}
