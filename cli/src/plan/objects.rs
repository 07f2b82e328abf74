//! One object of the site against what the ledger holds of it.

use std::collections::BTreeMap;
use std::fmt::Display;

use causeway_interface::{
    Code, DeviceStatus, LinkStatus, RegistryStatus,
    accounts::{Device, Link},
    recipe,
};
use causeway_sdk::{Snapshot, address::to_key};

use super::{Action, Item, Kind, Step};
use crate::site::{Degrees, DeviceSpec, InterfaceSpec, LinkSpec, Site};

/// An item in the making.
struct Draft {
    item: Item,
}

impl Draft {
    fn new(kind: Kind, code: Code, index: usize) -> Self {
        let item = Item {
            kind,
            code,
            index,
            action: Action::Nothing,
            steps: Vec::new(),
            changes: Vec::new(),
            blocked: None,
            note: None,
        };
        Self { item }
    }

    fn step(&mut self, step: Step) {
        self.item.steps.push(step);
    }

    /// Notes a field that differs, and says whether it does.
    fn differs<T: PartialEq + Display>(&mut self, field: &str, ledger: T, site: T) -> bool {
        let differs = ledger != site;
        if differs {
            self.item.changes.push(format!("{field}: {ledger} -> {site}"));
        }
        differs
    }

    fn block(&mut self, why: String) {
        self.item.blocked.get_or_insert(why);
    }

    fn done(mut self) -> Item {
        self.item.action = match (self.item.steps.first(), &self.item.blocked) {
            (Some(Step::Create), _) => Action::Create,
            (Some(_), _) => Action::Change,
            (None, Some(_)) => Action::Blocked,
            (None, None) => Action::Nothing,
        };
        self.item
    }
}

fn suspended(draft: &mut Draft, status: RegistryStatus) {
    match status {
        RegistryStatus::Activated => {}
        RegistryStatus::Suspended => {
            let kind = draft.item.kind;
            draft.block(format!("it is suspended; the authority activates it with `causeway {kind} activate`"));
        }
    }
}

/// Contributors, locations and exchanges.
pub(super) fn registry(site: &Site, snapshot: &Snapshot) -> Vec<Item> {
    let mut items = Vec::new();
    for (index, spec) in site.contributors.iter().enumerate() {
        let mut draft = Draft::new(Kind::Contributor, spec.code, index);
        match snapshot.contributor(&spec.code) {
            None => draft.step(Step::Create),
            Some((_, there)) => {
                // Keys that the site leaves out are the ledger's own affair.
                let owner = !spec.owner.is_zero() && draft.differs("owner", there.owner, spec.owner);
                let operations = !spec.operations_key.is_zero()
                    && draft.differs("operations_key", there.operations_key, spec.operations_key);
                if owner || operations {
                    draft.step(Step::Update);
                }
                suspended(&mut draft, there.header.status);
            }
        }
        items.push(draft.done());
    }
    for (index, spec) in site.locations.iter().enumerate() {
        let mut draft = Draft::new(Kind::Location, spec.code, index);
        match snapshot.location(&spec.code) {
            None => draft.step(Step::Create),
            Some((_, there)) => {
                let differs = [
                    draft.differs("name", there.name, spec.name),
                    draft.differs("country", there.country, spec.country),
                    draft.differs("lat", Degrees(there.lat_e6), spec.lat),
                    draft.differs("lng", Degrees(there.lng_e6), spec.lng),
                ];
                if differs.contains(&true) {
                    draft.step(Step::Update);
                }
                suspended(&mut draft, there.header.status);
            }
        }
        items.push(draft.done());
    }
    for (index, spec) in site.exchanges.iter().enumerate() {
        let mut draft = Draft::new(Kind::Exchange, spec.code, index);
        match snapshot.exchange(&spec.code) {
            None => draft.step(Step::Create),
            Some((_, there)) => {
                let differs = [
                    draft.differs("name", there.name, spec.name),
                    draft.differs("country", there.country, spec.country),
                    draft.differs("lat", Degrees(there.lat_e6), spec.lat),
                    draft.differs("lng", Degrees(there.lng_e6), spec.lng),
                    draft.differs("bgp_community", there.bgp_community, spec.bgp_community),
                ];
                if differs.contains(&true) {
                    draft.step(Step::Update);
                }
                suspended(&mut draft, there.header.status);
            }
        }
        items.push(draft.done());
    }
    items
}

/// Devices.
pub(super) fn devices(site: &Site, snapshot: &Snapshot) -> Vec<Item> {
    let item = |(index, spec): (usize, &DeviceSpec)| {
        let mut draft = Draft::new(Kind::Device, spec.code, index);
        match snapshot.device(&spec.code) {
            None => {
                draft.step(Step::Create);
                new_interfaces(&mut draft, spec);
                provision_if_complete(&mut draft, spec, None);
            }
            Some((_, there)) => existing_device(&mut draft, spec, there, snapshot),
        }
        draft.done()
    };
    site.devices.iter().enumerate().map(item).collect()
}

/// Interfaces that the recipe does not make, or makes with other values.
fn new_interfaces(draft: &mut Draft, spec: &DeviceSpec) {
    for interface in &spec.interfaces {
        let mut defaults =
            (0..recipe::len(spec.device_type)).map(|i| recipe::interface(spec.device_type, spec.platform, i));
        match defaults.find(|d| d.name == interface.name) {
            None => draft.step(Step::AddInterface(interface.name)),
            Some(d) => {
                let same = (d.kind, d.role, d.mtu, d.bandwidth_bps)
                    == (interface.kind, interface.role, interface.mtu, interface.bandwidth_bps)
                    && interface.vlan_id == 0
                    && interface.address.is_none();
                if !same {
                    draft.step(Step::UpdateInterface(interface.name));
                }
            }
        }
    }
}

/// Plans provisioning where the fields that it needs are there, in the site or on the ledger.
fn provision_if_complete(draft: &mut Draft, spec: &DeviceSpec, there: Option<&Device>) {
    let missing: Vec<&str> = [
        ("public_ip", spec.public_ip.is_zero()),
        ("agent_key", spec.agent_key.is_zero() && there.is_none_or(|d| d.agent_key.is_zero())),
        ("telemetry_key", spec.telemetry_key.is_zero() && there.is_none_or(|d| d.telemetry_key.is_zero())),
    ]
    .into_iter()
    .filter_map(|(field, missing)| missing.then_some(field))
    .collect();
    if missing.is_empty() {
        draft.step(Step::ProvisionDevice);
    } else {
        draft.block(format!(
            "not provisioned: the site file gives no {}; `causeway device keygen --device {}` makes keys",
            missing.join(", "),
            spec.code
        ));
    }
}

fn existing_device(draft: &mut Draft, spec: &DeviceSpec, there: &Device, snapshot: &Snapshot) {
    let addresses = snapshot.addresses();
    let fixed = [
        ("contributor", there.contributor == to_key(&addresses.contributor(&spec.contributor))),
        ("location", there.location == to_key(&addresses.location(&spec.location))),
        ("exchange", there.exchange == to_key(&addresses.exchange(&spec.exchange))),
        ("device_type", there.header.kind == spec.device_type),
        ("platform", there.platform == spec.platform),
    ];
    let other: Vec<&str> = fixed.into_iter().filter_map(|(field, same)| (!same).then_some(field)).collect();
    if !other.is_empty() {
        return draft.block(format!(
            "{} can't be changed; delete the device and apply again, or give this one another code",
            other.join(", ")
        ));
    }
    match there.header.status {
        DeviceStatus::Pending
        | DeviceStatus::DeviceProvisioning
        | DeviceStatus::LinkProvisioning
        | DeviceStatus::Activated
        | DeviceStatus::Drained => {}
        DeviceStatus::Suspended => {
            return draft.block("it is suspended; the authority resumes it with `causeway device resume`".into());
        }
        DeviceStatus::Deleting | DeviceStatus::Rejected => {
            let status = there.header.status;
            return draft.block(format!("it is {status}; remove it with `causeway device delete`, then apply again"));
        }
    }
    let prefixes: Vec<_> = there.dz_prefixes.iter().take(usize::from(there.dz_prefix_count)).copied().collect();
    let list = |prefixes: &[causeway_interface::Prefix]| {
        if prefixes.is_empty() {
            return "none".to_owned();
        }
        prefixes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    let differs = [
        draft.differs("public_ip", there.public_ip, spec.public_ip),
        draft.differs("dz_prefixes", list(&prefixes), list(&spec.dz_prefixes)),
        !spec.agent_key.is_zero() && draft.differs("agent_key", there.agent_key, spec.agent_key),
        !spec.telemetry_key.is_zero() && draft.differs("telemetry_key", there.telemetry_key, spec.telemetry_key),
        draft.differs("management_vrf", there.management_vrf, spec.management_vrf),
    ];
    if differs.contains(&true) {
        draft.step(Step::Update);
    }
    for interface in &spec.interfaces {
        existing_interface(draft, interface, there);
    }
    if there.header.status == DeviceStatus::Pending {
        provision_if_complete(draft, spec, Some(there));
    }
    if there.header.desired != spec.desired {
        let (ledger, site) = (there.header.desired, spec.desired);
        draft.item.note = Some(format!("desired is {ledger} on the ledger, {site} in the file; left as it is"));
    }
}

fn existing_interface(draft: &mut Draft, spec: &InterfaceSpec, device: &Device) {
    let Some(there) = device.interfaces.iter().find(|i| i.name == spec.name) else {
        return draft.step(Step::AddInterface(spec.name));
    };
    let name = spec.name;
    let differs = [
        draft.differs(&format!("{name} kind"), there.kind, spec.kind),
        draft.differs(&format!("{name} role"), there.role, spec.role),
        draft.differs(&format!("{name} vlan_id"), there.vlan_id, spec.vlan_id),
        draft.differs(&format!("{name} mtu"), there.mtu, spec.mtu),
        draft.differs(&format!("{name} bandwidth_bps"), there.bandwidth_bps, spec.bandwidth_bps),
        draft.differs(&format!("{name} address"), there.address, spec.address),
    ];
    if !differs.contains(&true) {
        return;
    }
    if there.link.is_zero() {
        draft.step(Step::UpdateInterface(name));
    } else {
        draft.block(format!("a link holds {name}, so that it can't be changed"));
    }
}

/// Links. `devices` are the site's devices' items: a link can't be provisioned before both of its devices.
pub(super) fn links(site: &Site, snapshot: &Snapshot, devices: &[Item]) -> Vec<Item> {
    let blocked: BTreeMap<Code, bool> = devices
        .iter()
        .map(|item| {
            let provisioned = item.steps.contains(&Step::ProvisionDevice)
                || snapshot.device(&item.code).is_some_and(|(_, d)| past_pending(d.header.status));
            (item.code, !provisioned)
        })
        .collect();
    let item = |(index, spec): (usize, &LinkSpec)| {
        let mut draft = Draft::new(Kind::Link, spec.code, index);
        let held = [&spec.a.device, &spec.z.device].into_iter().find(|d| blocked.get(d).copied().unwrap_or(true));
        let provision = |draft: &mut Draft| match held {
            None => draft.step(Step::ProvisionLink),
            Some(device) => draft.block(format!("not provisioned: device {device} is not")),
        };
        match snapshot.link(&spec.code) {
            None => {
                draft.step(Step::Create);
                if matches!(spec.link_type, causeway_interface::LinkType::Dzx) {
                    draft.step(Step::Accept);
                }
                if spec.delay_override_ns != 0 {
                    draft.step(Step::SetFigures);
                }
                provision(&mut draft);
            }
            Some((_, there)) => existing_link(&mut draft, spec, there, snapshot, provision),
        }
        draft.done()
    };
    site.links.iter().enumerate().map(item).collect()
}

fn past_pending(status: DeviceStatus) -> bool {
    causeway_interface::lifecycle::link::past_pending(status)
}

fn existing_link(
    draft: &mut Draft,
    spec: &LinkSpec,
    there: &Link,
    snapshot: &Snapshot,
    provision: impl Fn(&mut Draft),
) {
    let addresses = snapshot.addresses();
    let side_z_open = there.header.status == LinkStatus::Requested;
    let fixed = [
        ("link_type", there.header.kind == spec.link_type),
        ("a.device", there.device_a == to_key(&addresses.device(&spec.a.device))),
        ("z.device", there.device_z == to_key(&addresses.device(&spec.z.device))),
        ("a.interface", there.interface_a == spec.a.interface),
        // What side A proposed is nothing until side Z accepts with a name of its own.
        ("z.interface", side_z_open || there.interface_z == spec.z.interface),
    ];
    let other: Vec<&str> = fixed.into_iter().filter_map(|(field, same)| (!same).then_some(field)).collect();
    if !other.is_empty() {
        return draft.block(format!(
            "{} can't be changed; delete the link and apply again, or give this one another code",
            other.join(", ")
        ));
    }
    let differs = [
        draft.differs("bandwidth_bps", there.bandwidth_bps, spec.bandwidth_bps),
        draft.differs("mtu", there.mtu, spec.mtu),
        draft.differs("delay_ns", there.delay_ns, spec.delay_ns),
        draft.differs("jitter_ns", there.jitter_ns, spec.jitter_ns),
        draft.differs("delay_override_ns", there.delay_override_ns, spec.delay_override_ns),
    ];
    let differs = differs.contains(&true);
    match there.header.status {
        LinkStatus::Requested => draft.step(Step::Accept),
        LinkStatus::Pending
        | LinkStatus::Provisioning
        | LinkStatus::Activated
        | LinkStatus::SoftDrained
        | LinkStatus::HardDrained => {}
        LinkStatus::Suspended => {
            return draft.block("it is suspended; the authority resumes it with `causeway link resume`".into());
        }
        LinkStatus::Deleting | LinkStatus::Rejected => {
            let status = there.header.status;
            return draft.block(format!("it is {status}; remove it with `causeway link delete`, then apply again"));
        }
    }
    if differs {
        draft.step(Step::Update);
    }
    if matches!(there.header.status, LinkStatus::Requested | LinkStatus::Pending) {
        provision(draft);
    }
    if there.header.desired != spec.desired {
        let (ledger, site) = (there.header.desired, spec.desired);
        draft.item.note = Some(format!("desired is {ledger} on the ledger, {site} in the file; left as it is"));
    }
}
