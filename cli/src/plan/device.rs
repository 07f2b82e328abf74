//! Devices and their interfaces.

use causeway_interface::{
    DesiredStatus, DeviceStatus, LoopbackType, Prefix,
    accounts::{Device, Interface, MAX_DZ_PREFIXES},
    instruction::{ANY_SEQUENCE, CreateDevice, SetInterface, UpdateDevice},
    recipe,
};
use causeway_sdk::DeviceRefs;

use super::{Change, Draft, Kind, Operation, Signer, Stage, differ};
use crate::site::{DeviceSpec, InterfaceSpec, Site};

/// Interfaces of one transaction: each takes some 70 of its 1 232 bytes, beside signature, accounts and budget.
const INTERFACES_PER_STEP: usize = 10;

pub(super) fn plan(site: &Site, draft: &mut Draft<'_>) {
    for spec in &site.devices {
        match draft.snapshot.device(&spec.code) {
            None => create(spec, draft),
            Some((_, found)) => change(spec, found, draft),
        }
    }
}

/// A device's prefixes as the ledger holds them.
fn prefixes(spec: &DeviceSpec) -> (u8, [Prefix; MAX_DZ_PREFIXES]) {
    let mut all = [Prefix::NONE; MAX_DZ_PREFIXES];
    for (to, from) in all.iter_mut().zip(&spec.dz_prefixes) {
        *to = *from;
    }
    // A checked site has at most as many as fit.
    (spec.dz_prefixes.len().min(MAX_DZ_PREFIXES) as u8, all)
}

fn refs(spec: &DeviceSpec, draft: &Draft<'_>) -> DeviceRefs {
    DeviceRefs::by_codes(&draft.addresses, &spec.code, &spec.contributor, &spec.location, &spec.exchange)
}

fn set_interface(spec: &InterfaceSpec) -> SetInterface {
    SetInterface {
        expected_sequence: ANY_SEQUENCE,
        name: spec.name,
        kind: spec.kind,
        role: spec.role,
        loopback: LoopbackType::None,
        vlan_id: spec.vlan_id,
        mtu: spec.mtu,
        bandwidth_bps: spec.bandwidth_bps,
        address: spec.address,
    }
}

/// What provisioning needs and is not there; empty when all is.
fn missing(spec: &DeviceSpec) -> Vec<&'static str> {
    let fields = [
        ("public IP", spec.public_ip.is_zero()),
        ("agent key", spec.agent_key.is_zero()),
        ("telemetry key", spec.telemetry_key.is_zero()),
    ];
    fields.into_iter().filter(|(_, missing)| *missing).map(|(name, _)| name).collect()
}

fn create(spec: &DeviceSpec, draft: &mut Draft<'_>) {
    let subject = (Kind::Device, spec.code);
    let signer = Signer::Owner(spec.contributor);
    let (dz_prefix_count, dz_prefixes) = prefixes(spec);
    let data = Box::new(CreateDevice {
        code: spec.code,
        device_type: spec.device_type,
        platform: spec.platform,
        public_ip: spec.public_ip,
        dz_prefix_count,
        dz_prefixes,
        agent_key: spec.agent_key,
        telemetry_key: spec.telemetry_key,
        management_vrf: spec.management_vrf,
        desired: spec.desired,
        skip_recipe: false,
    });
    let parents = [spec.contributor, spec.location, spec.exchange];
    draft.step(Stage::Devices, subject, signer, Operation::CreateDevice { parents, data }, Vec::new());
    let defaults: Vec<_> = (0..recipe::len(spec.device_type))
        .map(|index| recipe::interface(spec.device_type, spec.platform, index).name)
        .collect();
    let (updates, additions): (Vec<_>, Vec<_>) = spec.interfaces.iter().partition(|i| defaults.contains(&i.name));
    interfaces(spec, updates, additions, Vec::new(), draft);
    provision(spec, draft);
}

fn interfaces(
    spec: &DeviceSpec,
    updates: Vec<&InterfaceSpec>,
    additions: Vec<&InterfaceSpec>,
    changes: Vec<Change>,
    draft: &mut Draft<'_>,
) {
    let subject = (Kind::Device, spec.code);
    let signer = Signer::Owner(spec.contributor);
    let refs = refs(spec, draft);
    let mut piece = 0;
    let mut changes = Some(changes);
    for chunk in updates.chunks(INTERFACES_PER_STEP) {
        let operation = Operation::UpdateInterfaces(refs, chunk.iter().map(|i| set_interface(i)).collect());
        draft.step(Stage::Interfaces(piece), subject, signer, operation, changes.take().unwrap_or_default());
        piece += 1;
    }
    for chunk in additions.chunks(INTERFACES_PER_STEP) {
        let operation = Operation::AddInterfaces(refs, chunk.iter().map(|i| set_interface(i)).collect());
        draft.step(Stage::Interfaces(piece), subject, signer, operation, Vec::new());
        piece += 1;
    }
}

fn provision(spec: &DeviceSpec, draft: &mut Draft<'_>) {
    let subject = (Kind::Device, spec.code);
    let missing = missing(spec);
    if missing.is_empty() {
        let operation = Operation::ProvisionDevice(refs(spec, draft));
        draft.step(Stage::ProvisionDevices, subject, Signer::Owner(spec.contributor), operation, Vec::new());
    } else {
        draft.note(subject, format!("registered and not provisioned: no {}", missing.join(", no ")));
    }
}

fn change(spec: &DeviceSpec, found: &Device, draft: &mut Draft<'_>) {
    let subject = (Kind::Device, spec.code);
    let before = draft.plan.steps.len();
    let fixed = [
        ("contributor", found.contributor != key(draft.addresses.contributor(&spec.contributor))),
        ("location", found.location != key(draft.addresses.location(&spec.location))),
        ("exchange", found.exchange != key(draft.addresses.exchange(&spec.exchange))),
        ("type", found.header.kind != spec.device_type),
        ("platform", found.platform != spec.platform),
    ];
    let other: Vec<_> = fixed.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect();
    if !other.is_empty() {
        let message = format!("exists with another {}: delete it first, or choose another code", other.join(", "));
        return draft.conflict(subject, message);
    }
    if matches!(found.header.status, DeviceStatus::Deleting | DeviceStatus::Rejected) {
        return draft.conflict(subject, format!("is {}: delete it first", found.header.status));
    }
    fields(spec, found, draft);
    existing_interfaces(spec, found, draft);
    if found.header.status == DeviceStatus::Pending {
        provision(spec, draft);
    }
    desired(spec, found, draft);
    if draft.plan.steps.len() == before {
        draft.plan.unchanged += 1;
    }
}

fn fields(spec: &DeviceSpec, found: &Device, draft: &mut Draft<'_>) {
    let (dz_prefix_count, dz_prefixes) = prefixes(spec);
    let shown = |all: &[Prefix]| all.iter().map(Prefix::to_string).collect::<Vec<_>>().join(" ");
    // Keys that the site leaves out are the device's own business.
    let agent_key = if spec.agent_key.is_zero() { found.agent_key } else { spec.agent_key };
    let telemetry_key = if spec.telemetry_key.is_zero() { found.telemetry_key } else { spec.telemetry_key };
    let mut changes = Vec::new();
    differ(&mut changes, "public_ip", &found.public_ip, &spec.public_ip);
    let held = found.dz_prefixes.get(..usize::from(found.dz_prefix_count)).unwrap_or_default();
    differ(&mut changes, "dz_prefixes", &shown(held), &shown(&spec.dz_prefixes));
    differ(&mut changes, "agent_key", &found.agent_key, &agent_key);
    differ(&mut changes, "telemetry_key", &found.telemetry_key, &telemetry_key);
    differ(&mut changes, "management_vrf", &found.management_vrf, &spec.management_vrf);
    if changes.is_empty() {
        return;
    }
    let data = Box::new(UpdateDevice {
        expected_sequence: found.header.sequence,
        public_ip: spec.public_ip,
        dz_prefix_count,
        dz_prefixes,
        agent_key,
        telemetry_key,
        management_vrf: spec.management_vrf,
    });
    let operation = Operation::UpdateDevice(refs(spec, draft), data);
    draft.step(Stage::Devices, (Kind::Device, spec.code), Signer::Owner(spec.contributor), operation, changes);
}

fn same(spec: &InterfaceSpec, found: &Interface) -> bool {
    // Written out so that a new field of either side does not compile until somebody has thought of it.
    let InterfaceSpec { name, kind, role, vlan_id, mtu, bandwidth_bps, address } = *spec;
    let wanted = (name, kind, role, vlan_id, mtu, bandwidth_bps, address);
    wanted == (found.name, found.kind, found.role, found.vlan_id, found.mtu, found.bandwidth_bps, found.address)
}

fn existing_interfaces(spec: &DeviceSpec, found: &Device, draft: &mut Draft<'_>) {
    let mut updates = Vec::new();
    let mut additions = Vec::new();
    let mut changes = Vec::new();
    for wanted in &spec.interfaces {
        match found.interfaces.iter().find(|i| i.name == wanted.name) {
            None => additions.push(wanted),
            Some(there) if same(wanted, there) => {}
            Some(there) if !there.link.is_zero() => {
                let message = format!("interface {} differs and a link holds it: delete that link first", wanted.name);
                draft.conflict((Kind::Device, spec.code), message);
            }
            Some(_) => {
                changes.push(Change { field: "interface", from: wanted.name.to_string(), to: "other values".into() });
                updates.push(wanted);
            }
        }
    }
    interfaces(spec, updates, additions, changes, draft);
}

fn desired(spec: &DeviceSpec, found: &Device, draft: &mut Draft<'_>) {
    let from: DesiredStatus = found.header.desired;
    if from == spec.desired {
        return;
    }
    let mut changes = Vec::new();
    differ(&mut changes, "desired", &from, &spec.desired);
    let operation = Operation::SetDeviceDesired(refs(spec, draft), ANY_SEQUENCE, spec.desired);
    draft.step(Stage::Desired, (Kind::Device, spec.code), Signer::Owner(spec.contributor), operation, changes);
}

fn key(address: solana_sdk::pubkey::Pubkey) -> causeway_interface::Key {
    causeway_sdk::address::to_key(&address)
}
