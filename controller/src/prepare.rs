//! From a snapshot to what would be served, without changing what is: pure, so that a failure at any point leaves
//! everything as it was, and readers are never locked out while thousands of texts are made.
//!
//! Only devices whose plan can have changed are planned, and only those whose plan did change are rendered.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use causeway_interface::{Code, Key, Prefix, accounts::Device};
use causeway_sdk::snapshot::Snapshot;

use crate::{
    backbone::Backbone,
    guards::{self, Limits, Unreadable},
    plan::{DevicePlan, PlanError, Planner},
    probes::{Plan as ProbePlan, ProbePlanner},
    render::{Lead, RenderError, Rendered, Renderer},
    topology::{Fault, Topology, is_configured},
};

/// What is served now, as far as preparing needs it.
#[derive(Clone, Debug, Default)]
pub struct Basis {
    /// The snapshot that it was made from, faulty records replaced by their last good ones.
    pub effective: Option<Arc<Snapshot>>,
    /// What the latest texts were made of, by device.
    pub made: BTreeMap<Code, Made>,
    /// Everybody's sessions.
    pub backbone: Arc<Backbone>,
    /// Devices that could not be planned or rendered last time.
    pub troubled: BTreeSet<Code>,
}

/// What a text was made of, for the next one.
#[derive(Clone, Debug)]
pub struct Made {
    /// The plan.
    pub plan: Arc<DevicePlan>,
    /// The part of it that is long and seldom changes.
    pub lead: Arc<Lead>,
}

/// How configurations are made.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Family, snippets and compiled templates.
    pub renderer: Renderer,
    /// Limits of the guards.
    pub limits: Limits,
}

/// What became of one device.
#[derive(Debug)]
pub enum Outcome {
    /// It has a new text, or the first.
    Rendered(Arc<DevicePlan>, Box<Rendered>),
    /// The same, of what was last good: a record of it is at fault on the ledger.
    StoodIn(RenderError, Arc<DevicePlan>, Box<Rendered>),
    /// Its plan is the same as before.
    Unchanged,
    /// It has none.
    Failed(RenderError),
}

/// Where things are in a snapshot, for what has to be looked up without looking at all of it.
#[derive(Clone, Debug, Default)]
pub struct Index {
    /// Address of each device.
    pub devices: BTreeMap<Code, Key>,
    /// Which sound, configured link has a net.
    pub nets: BTreeMap<Prefix, Key>,
}

/// What would be served.
#[derive(Debug)]
pub struct Prepared {
    /// The snapshot to render from.
    pub effective: Arc<Snapshot>,
    /// Where things are in it.
    pub index: Index,
    /// Faults on the ledger, by address.
    pub faults: BTreeMap<Key, Fault>,
    /// Outcomes of the devices that were looked at.
    pub outcomes: BTreeMap<Code, Outcome>,
    /// Probe plans of every device.
    pub probes: BTreeMap<Code, ProbePlan>,
    /// Everybody's sessions.
    pub backbone: Arc<Backbone>,
    /// Codes of the devices that exist, sound or not.
    pub devices: BTreeSet<Code>,
}

/// Prepares.
///
/// # Errors
/// The snapshot can't be trusted to be whole; nothing is to change.
pub fn prepare(basis: &Basis, live: &Snapshot, settings: &Settings) -> Result<Prepared, Unreadable> {
    let served = basis.effective.as_ref().map(|s| (s.program_id, s.slot));
    guards::readable(live, served, &settings.limits)?;
    let family = settings.renderer.family();
    let (effective, faults) = guards::carry_over(basis.effective.as_deref(), live, family);
    let effective = Arc::new(effective);
    let topology = Topology::of(&effective, family);
    let backbone = Arc::new(Backbone::new(&topology).sharing(&basis.backbone));
    let planner = Planner::new(&topology, &backbone);
    let devices = device_codes(&effective);
    let touched = match basis.effective.as_deref() {
        Some(before) if common(before) == common(&effective) => {
            let mut touched = touched(before, &effective, &basis.troubled, &devices);
            if *backbone != *basis.backbone {
                touched.extend(devices.iter().filter(|code| basis.backbone.sessions(code) != backbone.sessions(code)));
            }
            touched
        }
        Some(_) | None => devices.clone(),
    };
    let at_fault = at_fault(&topology, &faults);
    let mut outcomes = BTreeMap::new();
    for code in touched.iter().filter(|code| !at_fault.contains_key(code)) {
        let troubled = basis.troubled.contains(code);
        let outcome = outcome(&planner, code, basis.made.get(code), troubled, &settings.renderer);
        outcomes.insert(*code, outcome);
    }
    for (code, error) in at_fault {
        let made = outcome(&planner, &code, basis.made.get(&code), false, &settings.renderer);
        outcomes.insert(code, stood_in(made, error));
    }
    let probes = probes(&topology, &devices);
    let index = Index {
        devices: effective.devices.iter().map(|(key, device)| (device.code, *key)).collect(),
        nets: topology
            .links
            .values()
            .filter(|link| is_configured(link.record.header.status))
            .map(|link| (link.record.tunnel_net, link.key))
            .collect(),
    };
    drop(topology);
    Ok(Prepared { effective, index, faults, outcomes, probes, backbone, devices })
}

/// What is wrong on the ledger with a device or with a link of it; it is said also while what was last good stands in.
fn at_fault(topology: &Topology<'_>, faults: &BTreeMap<Key, Fault>) -> BTreeMap<Code, PlanError> {
    if faults.is_empty() {
        return BTreeMap::new();
    }
    let error = |key: &Key, device: &Device| {
        // What is wrong with a link says more than that the device's record holds one which can't be read.
        let links = device.interfaces.iter().map(|i| i.link).filter(|link| !link.is_zero());
        if let Some((link, fault)) = links.filter_map(|link| Some((link, faults.get(&link)?))).next() {
            return Some(PlanError::Link {
                device: device.code,
                link: topology.link_name(&link),
                fault: fault.clone(),
            });
        }
        Some(PlanError::Device { device: device.code, fault: faults.get(key)?.clone() })
    };
    let devices = topology.snapshot().devices.iter().filter(|(_, device)| device.code.is_valid());
    devices.filter_map(|(key, device)| Some((device.code, error(key, device)?))).collect()
}

/// What became of a device at fault, whose plan is one of what was last good.
fn stood_in(made: Outcome, error: PlanError) -> Outcome {
    match made {
        Outcome::Rendered(plan, rendered) => Outcome::StoodIn(error.into(), plan, rendered),
        Outcome::Unchanged | Outcome::Failed(_) | Outcome::StoodIn(..) => Outcome::Failed(error.into()),
    }
}

/// One device, planned, and rendered when its plan is not the known one or it had trouble.
pub fn outcome(
    planner: &Planner<'_, '_>,
    code: &Code,
    known: Option<&Made>,
    troubled: bool,
    renderer: &Renderer,
) -> Outcome {
    match planner.plan(code) {
        Err(error) => Outcome::Failed(error.into()),
        Ok(plan) if !troubled && known.is_some_and(|known| *known.plan == plan) => Outcome::Unchanged,
        Ok(plan) => {
            let lead = known.map(|known| &known.lead);
            match renderer.render(&plan, lead) {
                Ok(rendered) => Outcome::Rendered(Arc::new(plan), Box::new(rendered)),
                Err(error) => Outcome::Failed(error),
            }
        }
    }
}

/// What every device is to probe.
#[must_use]
pub fn probes(topology: &Topology<'_>, devices: &BTreeSet<Code>) -> BTreeMap<Code, ProbePlan> {
    let probing = ProbePlanner::new(topology);
    devices.iter().map(|code| (*code, probing.plan(code))).collect()
}

/// What every device's plan has of the network's account.
fn common(snapshot: &Snapshot) -> Option<(u32, [Prefix; 3])> {
    snapshot.network.as_ref().map(|n| (n.core_asn, [n.loopback_block, n.link_block, n.user_block]))
}

/// Codes of the devices of a snapshot, sound or not.
#[must_use]
pub fn device_codes(snapshot: &Snapshot) -> BTreeSet<Code> {
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
