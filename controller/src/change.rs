//! The quick way for what happens all day: a few accounts have changed, all of them sound, and nothing that others derive
//! from. Its cost depends on what changed and not on the size of the network.
//!
//! [`prepare`] looks at the changed accounts, the records that they touch, and an index of what has to be unique. It gives
//! back nothing at all as soon as a change is more than that: a record that is not sound, one that was at fault, a new
//! or renamed object, a device that joins or leaves the routing or moves its loopbacks, the network's or a location's
//! account. [`crate::prepare`] then looks at everything; both ways give the same texts, which a property test holds them to.

use std::collections::{BTreeMap, BTreeSet};

use causeway_interface::{
    Code, Key, LoopbackType,
    accounts::{Device, Link, Network},
};
use causeway_sdk::{qa, snapshot::Snapshot};

use crate::{
    backbone::Backbone,
    plan::{PlanError, Planner, Source},
    prepare::{self, Index, Made, Outcome},
    render::{Family, Renderer},
    topology::{Circuit, Fault, Node, interfaces_fault, is_configured, is_routing, link_fault, loopback},
};

/// Accounts as they were announced, of one program.
#[derive(Clone, Debug, Default)]
pub struct Announced {
    /// Slot of the youngest.
    pub slot: u64,
    /// Address and bytes, oldest first.
    pub accounts: Vec<(Key, Vec<u8>)>,
}

/// What is served, as far as a small change needs it.
pub struct Served<'a> {
    /// The snapshot that it was made from.
    pub effective: &'a Snapshot,
    /// Where things are in it.
    pub index: &'a Index,
    /// Faults on the ledger.
    pub faults: &'a BTreeMap<Key, Fault>,
    /// Everybody's sessions.
    pub backbone: &'a Backbone,
}

/// A small change, ready to be served.
#[derive(Debug)]
pub struct Change {
    /// Slot of the youngest account.
    pub slot: u64,
    /// The changed records, decoded.
    pub records: Snapshot,
    /// Outcomes of the devices that the change can reach; none of them failed.
    pub outcomes: BTreeMap<Code, Outcome>,
    /// What devices are to probe may have changed.
    pub probes: bool,
}

/// Prepares a small change; none where it is not small. `known` is what a device's text was made of, none for a device that had
/// trouble.
pub fn prepare(
    served: &Served<'_>,
    announced: &Announced,
    known: impl Fn(&Code) -> Option<Made>,
    renderer: &Renderer,
) -> Option<Change> {
    let records = decode(served, announced)?;
    let overlay = Overlay { served, records: &records, family: renderer.family() };
    let mut touched = BTreeSet::new();
    let mut probes = false;
    for (key, link) in &records.links {
        probes |= overlay.check_link(key, link)?;
        for end in [&link.device_a, &link.device_z] {
            touched.extend(overlay.device(end).map(|d| d.code));
        }
    }
    for (key, device) in &records.devices {
        probes |= overlay.check_device(key, device)?;
        touched.insert(device.code);
    }
    let planner = Planner::new(&overlay, served.backbone);
    let mut outcomes = BTreeMap::new();
    for code in touched {
        // A device that had trouble may have it from elsewhere than these records.
        let known = known(&code)?;
        let outcome = prepare::outcome(&planner, &code, Some(&known), false, renderer);
        if matches!(outcome, Outcome::Failed(_)) {
            return None;
        }
        outcomes.insert(code, outcome);
    }
    Some(Change { slot: announced.slot, records, outcomes, probes })
}

/// The accounts as records; none when one is at fault, or is one that everything depends on.
fn decode(served: &Served<'_>, announced: &Announced) -> Option<Snapshot> {
    let before = served.effective;
    if announced.slot < before.slot || announced.accounts.iter().any(|(key, _)| served.faults.contains_key(key)) {
        return None;
    }
    let accounts = announced.accounts.iter().map(|(key, data)| (*key, data.as_slice()));
    let records = Snapshot::from_accounts(before.program_id, announced.slot, accounts);
    let all = records.network.is_some() || !records.locations.is_empty() || !records.undecodable.is_empty();
    (!all).then_some(records)
}

/// Puts changed records in place of what is there.
pub fn merge(into: &mut Snapshot, records: Snapshot) {
    into.slot = into.slot.max(records.slot);
    into.contributors.extend(records.contributors);
    into.exchanges.extend(records.exchanges);
    into.devices.extend(records.devices);
    into.links.extend(records.links);
    into.attestations.extend(records.attestations);
    into.pools.extend(records.pools);
    into.prefix_table = records.prefix_table.or(into.prefix_table.take());
}

/// What is served, with changed records laid over it.
struct Overlay<'a> {
    served: &'a Served<'a>,
    records: &'a Snapshot,
    /// Of every device, if it is not that of its platform.
    family: Option<Family>,
}

impl<'a> Overlay<'a> {
    fn device(&self, key: &Key) -> Option<&'a Device> {
        self.records.devices.get(key).or_else(|| self.served.effective.devices.get(key))
    }

    fn link(&self, key: &Key) -> Option<&'a Link> {
        self.records.links.get(key).or_else(|| self.served.effective.links.get(key))
    }

    /// Whether what devices probe may change with this link; none when the change is not small.
    fn check_link(&self, key: &Key, link: &Link) -> Option<bool> {
        let old = self.served.effective.links.get(key)?;
        let identity = |l: &Link| (l.code, l.device_a, l.device_z, l.interface_a, l.interface_z);
        if identity(old) != identity(link) || link_fault(key, link, |device| self.device(device)).is_err() {
            return None;
        }
        let configured = is_configured(link.header.status);
        if configured && self.served.index.nets.get(&link.tunnel_net).is_some_and(|holder| holder != key) {
            return None;
        }
        let probed = |l: &Link| (qa::carries(l.header.status), is_configured(l.header.status), l.tunnel_net);
        Some(probed(old) != probed(link))
    }

    /// The same of a device.
    fn check_device(&self, key: &Key, device: &Device) -> Option<bool> {
        let old = self.served.effective.devices.get(key)?;
        let identity = |d: &Device| {
            let loopbacks = [LoopbackType::Vpnv4, LoopbackType::Ipv4].map(|kind| loopback(d, kind));
            (d.code, d.location, is_routing(d.header.status), loopbacks)
        };
        if identity(old) != identity(device)
            || interfaces_fault(device, self.family, |link| self.link(link).is_some()).is_err()
        {
            return None;
        }
        // Its links are sound together with it, and no other than before end here.
        let ends = |d: &Device| d.interfaces.iter().map(|i| i.link).filter(|l| !l.is_zero()).collect::<BTreeSet<_>>();
        let links = ends(device);
        if links != ends(old) {
            return None;
        }
        for key in &links {
            link_fault(key, self.link(key)?, |device| self.device(device)).ok()?;
        }
        let probed = |d: &Device| (d.header.status, d.public_ip);
        let ports = |d: &Device| d.interfaces.iter().map(|i| (i.name, i.link)).collect::<Vec<_>>();
        Some(probed(old) != probed(device) || ports(old) != ports(device))
    }
}

impl<'a> Source<'a> for Overlay<'a> {
    fn network(&self) -> Option<&'a Network> {
        self.served.effective.network.as_ref()
    }

    fn node(&self, code: &Code) -> Result<Node<'a>, PlanError> {
        let key = *self.served.index.devices.get(code).ok_or(PlanError::UnknownDevice(*code))?;
        if let Some(fault) = self.served.faults.get(&key) {
            return Err(PlanError::Device { device: *code, fault: fault.clone() });
        }
        let record = self.device(&key).ok_or(PlanError::UnknownDevice(*code))?;
        Ok(Node { key, record })
    }

    fn circuit(&self, device: &Code, key: &Key) -> Result<Option<Circuit<'a>>, PlanError> {
        if let Some(fault) = self.served.faults.get(key) {
            let link = self.link(key).map_or_else(|| key.to_string(), |link| link.code.to_string());
            return Err(PlanError::Link { device: *device, link, fault: fault.clone() });
        }
        Ok(self.link(key).map(|record| Circuit { key: *key, record }))
    }
}
