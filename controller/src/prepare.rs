//! From a snapshot to what would be served, without changing what is: pure, so that a failure at any point leaves
//! everything as it was, and readers are never locked out while thousands of texts are made.
//!
//! Only devices whose plan can have changed are planned, and only those whose plan did change are rendered.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use causeway_interface::{Code, Key};
use causeway_sdk::snapshot::Snapshot;

use crate::{
    guards::{self, Limits, Unreadable},
    plan::{DevicePlan, Peer, PlanError},
    probes::{Plan as ProbePlan, ProbePlanner},
    render::{Family, RenderError, Rendered, Renderer, site::Site},
    topology::{Fault, Topology},
};

/// What is served now, as far as preparing needs it.
#[derive(Clone, Debug, Default)]
pub struct Basis {
    /// The snapshot that it was made from, faulty records replaced by their last good ones.
    pub effective: Option<Arc<Snapshot>>,
    /// Plans by device.
    pub plans: Arc<BTreeMap<Code, DevicePlan>>,
    /// The table of peers.
    pub peers: Arc<Vec<Peer>>,
    /// Devices that could not be planned or rendered last time.
    pub troubled: BTreeSet<Code>,
}

/// How configurations are made.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Overrides every device's platform.
    pub family: Option<Family>,
    /// The operator's snippets.
    pub site: Site,
    /// Limits of the guards.
    pub limits: Limits,
}

/// What became of one device.
#[derive(Debug)]
pub enum Outcome {
    /// It has a new text, or the first.
    Rendered(Box<DevicePlan>, Box<Rendered>),
    /// Its plan is the same as before.
    Unchanged,
    /// It has none.
    Failed(RenderError),
}

/// What would be served.
#[derive(Debug)]
pub struct Prepared {
    /// The snapshot as read.
    pub live: Arc<Snapshot>,
    /// The snapshot to render from.
    pub effective: Arc<Snapshot>,
    /// Faults on the ledger, by address.
    pub faults: BTreeMap<Key, Fault>,
    /// Outcomes of the devices that were looked at.
    pub outcomes: BTreeMap<Code, Outcome>,
    /// Probe plans of every device.
    pub probes: BTreeMap<Code, ProbePlan>,
    /// The table of peers.
    pub peers: Arc<Vec<Peer>>,
    /// Codes of the devices that exist, sound or not.
    pub devices: BTreeSet<Code>,
}

/// Prepares.
///
/// # Errors
/// The snapshot can't be trusted to be whole; nothing is to change.
pub fn prepare(basis: &Basis, live: Arc<Snapshot>, settings: &Settings) -> Result<Prepared, Unreadable> {
    let served = basis.effective.as_ref().map(|s| (s.program_id, s.slot));
    guards::readable(&live, served, &settings.limits)?;
    let (effective, faults) = guards::carry_over(basis.effective.as_deref(), &live);
    let topology = Topology::new(&effective);
    let renderer = Renderer::new(&topology, &effective, settings.family, &settings.site);
    let planner = renderer.planner();
    let devices = device_codes(&effective);
    let peers_same = **planner.peers() == *basis.peers;
    let touched = match basis.effective.as_deref() {
        Some(before) if peers_same && asn(before) == asn(&effective) => {
            touched(before, &effective, &basis.troubled, &devices)
        }
        Some(_) | None => devices.clone(),
    };
    // Kept where equal, so that comparing plans compares one pointer and not thousands of peers.
    let peers = if peers_same { Arc::clone(&basis.peers) } else { Arc::clone(planner.peers()) };
    // What is wrong on the ledger is said of a device also while its last good record stands in.
    let faulty: BTreeMap<Code, &Fault> = effective
        .devices
        .iter()
        .filter_map(|(key, device)| Some((device.code, faults.get(key)?)))
        .filter(|(code, _)| code.is_valid())
        .collect();
    let mut outcomes = BTreeMap::new();
    for code in touched.iter().chain(faulty.keys()) {
        let outcome = match faulty.get(code) {
            Some(fault) => Outcome::Failed(PlanError::Device { device: *code, fault: (*fault).clone() }.into()),
            None => match planner.plan(code) {
                Err(error) => Outcome::Failed(error.into()),
                Ok(plan) if basis.plans.get(code) == Some(&plan) && !basis.troubled.contains(code) => {
                    Outcome::Unchanged
                }
                Ok(plan) => match renderer.render(code) {
                    Ok(rendered) => Outcome::Rendered(Box::new(plan), Box::new(rendered)),
                    Err(error) => Outcome::Failed(error),
                },
            },
        };
        outcomes.insert(*code, outcome);
    }
    // A link at fault on the ledger is carried over as it was; its ends are not told anything new, and that is said.
    for (code, node) in &topology.devices {
        let at_fault = node.record.interfaces.iter().find(|i| !i.link.is_zero() && faults.contains_key(&i.link));
        if let Some((link, fault)) = at_fault.and_then(|i| Some((i.link, faults.get(&i.link)?.clone()))) {
            let error = PlanError::Link { device: *code, link: topology.link_name(&link), fault };
            outcomes.insert(*code, Outcome::Failed(error.into()));
        }
    }
    let probing = ProbePlanner::new(&topology);
    let probes = devices.iter().map(|code| (*code, probing.plan(code))).collect();
    Ok(Prepared { live, effective: Arc::new(effective.clone()), faults, outcomes, probes, peers, devices })
}

fn asn(snapshot: &Snapshot) -> Option<u32> {
    snapshot.network.as_ref().map(|n| n.core_asn)
}

fn device_codes(snapshot: &Snapshot) -> BTreeSet<Code> {
    snapshot.devices.values().map(|d| d.code).filter(Code::is_valid).collect()
}

/// Devices that a changed record can reach: its own, both ends of its link, and those that had trouble.
fn touched(before: &Snapshot, after: &Snapshot, troubled: &BTreeSet<Code>, devices: &BTreeSet<Code>) -> BTreeSet<Code> {
    let mut touched: BTreeSet<Code> = troubled.intersection(devices).copied().collect();
    for (key, device) in &after.devices {
        if device.code.is_valid() && before.devices.get(key) != Some(device) {
            touched.insert(device.code);
        }
    }
    let changed = after.links.iter().filter(|(key, link)| before.links.get(*key) != Some(*link));
    let gone = before.links.iter().filter(|(key, _)| !after.links.contains_key(*key));
    for (_, link) in changed.chain(gone) {
        for end in [&link.device_a, &link.device_z] {
            touched.extend(after.devices.get(end).map(|d| d.code).filter(Code::is_valid));
        }
    }
    touched
}
