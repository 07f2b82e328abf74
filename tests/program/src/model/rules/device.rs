//! Devices: their life, and what they hold.

use causeway_interface::{
    DeviceHealth, DeviceStatus, DeviceType, ErrorCode, InterfaceKind, InterfaceRole, LinkType, LoopbackType, Platform,
    Prefix, RejectReason,
};

use super::{Broken, Verdict, fresh, is_network, is_unusable, lowest_free};
use crate::model::{
    changes,
    command::{Around, Command, Fields, Interface, Subject, What},
    state::{Device, Id, Model, Port, Stamp, Words, loopbacks_of},
};

/// Most dz prefixes of a device.
const MOST_PREFIXES: usize = 4;
/// Entries that attestations begin with at least.
const FIRST_ENTRIES: usize = 3;

pub fn step(model: &mut Model, command: &Command) -> Verdict {
    match &command.what {
        What::CreateDevice { .. } => create(model, command),
        What::UpdateDevice { id, contributor, fields } => update(model, command, *id, *contributor, fields),
        What::ProvisionDevice { id, around } => provision(model, command, *id, around),
        What::CloseDevice { id, around, .. } => close(model, command, *id, around),
        _ => simple(model, command),
    }
}

fn create(model: &mut Model, command: &Command) -> Verdict {
    let What::CreateDevice { id, around, device_type, platform, fields, desired, skip_recipe } = &command.what else {
        unreachable!("asked for one")
    };
    let mut broken = Broken::default();
    check_fields(&mut broken, fields);
    if !model.stands(around) {
        return broken.missing();
    }
    check_prefixes(&mut broken, model, None, &fields.prefixes);
    broken.unless(!model.devices.contains_key(id), ErrorCode::AlreadyInitialized);
    broken.unless(model.owns(command.by, around.contributor), ErrorCode::NotDeviceOwner);
    broken.unless(!model.net().paused, ErrorCode::NetworkPaused);
    broken.unless(model.in_good_standing(around), ErrorCode::RegistrySuspended);
    broken.so_far()?;
    let ports = if *skip_recipe { Vec::new() } else { recipe(*device_type, *platform) };
    let device = Device {
        stamp: Stamp::new(model.slot),
        status: DeviceStatus::Pending,
        health: DeviceHealth::Pending,
        health_since: model.slot,
        desired: *desired,
        suspended_from: DeviceStatus::Pending,
        reject_reason: RejectReason::None,
        device_type: *device_type,
        platform: *platform,
        contributor: around.contributor,
        location: around.location,
        exchange: around.exchange,
        public_ip: fields.public_ip,
        prefixes: fields.prefixes.clone(),
        agent_key: fields.agent_key,
        telemetry_key: fields.telemetry_key,
        ports,
    };
    model.devices.insert(*id, device);
    open_words(model, Subject::Device(*id));
    model.touch_around(around);
    model.net_mut().stamp.sequence += 1;
    Ok(())
}

/// A new subject's attestations: room for the oracle set.
pub fn open_words(model: &mut Model, subject: Subject) {
    let places = vec![Vec::new(); model.net().oracles.len().max(FIRST_ENTRIES)];
    model.words.insert(subject, Words { stamp: Stamp::new(model.slot), places });
}

fn check_fields(broken: &mut Broken, fields: &Fields) {
    let address = fields.public_ip;
    let private = matches!(address.to_be_bytes(), [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [169, 254, ..]);
    broken.unless(address == 0 || !private && !is_unusable(address), ErrorCode::PublicIpNotRoutable);
    let count = fields.prefixes.len();
    broken.unless(count <= MOST_PREFIXES, ErrorCode::DzPrefixTooMany);
    broken
        .unless(fields.prefixes.iter().all(|p| (8..=29).contains(&p.len) && is_network(p)), ErrorCode::DzPrefixInvalid);
    let apart = (0..count).all(|z| (0..z).all(|a| !overlap(&fields.prefixes[a], &fields.prefixes[z])));
    broken.unless(apart, ErrorCode::DzPrefixOverlap);
}

/// No other device has them, and, once the program says so, neither has the network itself.
fn check_prefixes(broken: &mut Broken, model: &Model, own: Option<Id>, wanted: &[Prefix]) {
    let others = model.devices.iter().filter(|(id, _)| Some(**id) != own).flat_map(|(_, device)| &device.prefixes);
    let free = others.into_iter().all(|taken| wanted.iter().all(|prefix| !overlap(taken, prefix)));
    broken.unless(free, ErrorCode::DzPrefixOverlap);
    if changes::PREFIXES_KEEP_CLEAR {
        let own = [&model.net().link_block, &model.net().loopback_block];
        broken.unless(wanted.iter().all(|p| own.iter().all(|block| !overlap(p, block))), ErrorCode::DzPrefixOverlap);
        broken.unless(wanted.iter().all(|p| !is_unusable(p.first())), ErrorCode::DzPrefixInvalid);
    }
}

fn overlap(a: &Prefix, z: &Prefix) -> bool {
    a.first() <= z.last() && z.first() <= a.last()
}

fn update(model: &mut Model, command: &Command, id: Id, contributor: Id, fields: &Fields) -> Verdict {
    let mut broken = Broken::default();
    check_fields(&mut broken, fields);
    let Some(device) = model.devices.get(&id) else { return broken.missing() };
    if !model.contributors.contains_key(&contributor) {
        return broken.missing();
    }
    broken.unless(device.contributor == contributor, ErrorCode::AccountMismatch);
    broken.unless(fresh(command, &device.stamp), ErrorCode::StaleSequence);
    broken.unless(device.is_live(), ErrorCode::DeviceTransitionRefused);
    let complete = fields.public_ip != 0 && fields.agent_key != 0 && fields.telemetry_key != 0;
    broken.unless(complete || device.status == DeviceStatus::Pending, ErrorCode::DeviceFieldsMissing);
    broken.unless(model.owns(command.by, contributor), ErrorCode::NotDeviceOwner);
    check_prefixes(&mut broken, model, Some(id), &fields.prefixes);
    broken.so_far()?;
    if let Some(device) = model.devices.get_mut(&id) {
        device.public_ip = fields.public_ip;
        device.prefixes.clone_from(&fields.prefixes);
        device.agent_key = fields.agent_key;
        device.telemetry_key = fields.telemetry_key;
        device.stamp.sequence += 1;
    }
    Ok(())
}

fn provision(model: &mut Model, command: &Command, id: Id, around: &Around) -> Verdict {
    let mut broken = Broken::default();
    let Some(device) = model.devices.get(&id).filter(|_| model.stands(around)) else { return broken.missing() };
    broken.unless(is_around(device, around), ErrorCode::AccountMismatch);
    broken.unless(fresh(command, &device.stamp), ErrorCode::StaleSequence);
    broken.unless(device.status == DeviceStatus::Pending, ErrorCode::DeviceTransitionRefused);
    broken.unless(model.owns(command.by, around.contributor), ErrorCode::NotDeviceOwner);
    broken.unless(!model.net().paused, ErrorCode::NetworkPaused);
    broken.unless(model.in_good_standing(around), ErrorCode::RegistrySuspended);
    let keys = device.public_ip != 0 && device.agent_key != 0 && device.telemetry_key != 0;
    let routed = device.has_routing(LoopbackType::Vpnv4) && device.has_routing(LoopbackType::Ipv4);
    broken.unless(keys && routed, ErrorCode::DeviceFieldsMissing);
    let mut used = model.loopbacks();
    let vpnv4 = lowest_free(loopbacks_of(&model.net().loopback_block), &used);
    used.extend(vpnv4);
    let ipv4 = lowest_free(loopbacks_of(&model.net().loopback_block), &used);
    let segment = lowest_free(1..=16_383, &model.segments());
    broken.unless(vpnv4.is_some() && ipv4.is_some() && segment.is_some(), ErrorCode::PoolExhausted);
    broken.so_far()?;
    let slot = model.slot;
    if let (Some(device), Some(vpnv4), Some(ipv4), Some(segment)) = (model.devices.get_mut(&id), vpnv4, ipv4, segment) {
        for port in &mut device.ports {
            match port.given.loopback {
                LoopbackType::None => {}
                LoopbackType::Vpnv4 => {
                    port.given.address = Prefix::new(vpnv4, 32);
                    port.segment = segment as u16;
                }
                LoopbackType::Ipv4 => port.given.address = Prefix::new(ipv4, 32),
            }
        }
        enter(device, DeviceStatus::DeviceProvisioning, slot);
    }
    Ok(())
}

fn is_around(device: &Device, around: &Around) -> bool {
    let Around { contributor, location, exchange } = *around;
    (device.contributor, device.location, device.exchange) == (contributor, location, exchange)
}

/// A change of status by an instruction.
pub fn enter(device: &mut Device, status: DeviceStatus, slot: u64) {
    device.status = status;
    device.stamp.status_since = slot;
    device.stamp.sequence += 1;
}

/// What concerns nothing but the device itself.
fn simple(model: &mut Model, command: &Command) -> Verdict {
    use DeviceStatus::{
        Activated, Deleting, DeviceProvisioning, Drained, LinkProvisioning, Pending, Rejected, Suspended,
    };
    let mut broken = Broken::default();
    let (id, named) = match command.what {
        What::SuspendDevice { id } | What::ResumeDevice { id } | What::RejectDevice { id, .. } => (id, None),
        What::SetDeviceDesired { id, contributor, .. } | What::DeleteDevice { id, contributor } => {
            (id, Some(contributor))
        }
        ref other => unreachable!("not of a device: {other:?}"),
    };
    if named.is_some_and(|contributor| !model.contributors.contains_key(&contributor)) {
        return broken.missing();
    }
    let Some(device) = model.devices.get(&id) else { return broken.missing() };
    broken.unless(named.is_none_or(|contributor| contributor == device.contributor), ErrorCode::AccountMismatch);
    broken.unless(fresh(command, &device.stamp), ErrorCode::StaleSequence);
    let authority = model.is_authority(command.by);
    let activated = model.activated_links_of(id, LinkType::Wan) + model.activated_links_of(id, LinkType::Dzx);
    let mut next = device.clone();
    let mut only_when = |from: &[DeviceStatus]| {
        broken.unless(from.contains(&device.status), ErrorCode::DeviceTransitionRefused);
    };
    match command.what {
        What::SuspendDevice { .. } => {
            only_when(&[Pending, DeviceProvisioning, LinkProvisioning, Activated, Drained]);
            broken.unless(authority, ErrorCode::NotAuthority);
            next.suspended_from = device.status;
            enter(&mut next, Suspended, model.slot);
        }
        What::ResumeDevice { .. } => {
            only_when(&[Suspended]);
            broken.unless(authority, ErrorCode::NotAuthority);
            broken.unless(!model.net().paused, ErrorCode::NetworkPaused);
            let to = if device.suspended_from == Activated { Drained } else { device.suspended_from };
            next.suspended_from = Pending;
            enter(&mut next, to, model.slot);
        }
        What::RejectDevice { reason, .. } => {
            only_when(&[Pending, DeviceProvisioning, LinkProvisioning]);
            broken.unless(authority, ErrorCode::NotAuthority);
            broken.unless(reason != RejectReason::None, ErrorCode::InstructionData);
            broken.unless(!changes::REJECT_WITHOUT_LINKS || activated == 0, ErrorCode::DeviceHasLinks);
            next.reject_reason = reason;
            enter(&mut next, Rejected, model.slot);
        }
        What::DeleteDevice { contributor, .. } => {
            only_when(&[Pending, Suspended, Rejected, Drained, DeviceProvisioning, LinkProvisioning]);
            broken.unless(authority || model.owns(command.by, contributor), ErrorCode::NotDeviceOwner);
            broken.unless(model.links_of(id) == 0, ErrorCode::DeviceHasLinks);
            enter(&mut next, Deleting, model.slot);
        }
        What::SetDeviceDesired { contributor, desired, .. } => {
            broken.unless(device.is_live(), ErrorCode::DeviceTransitionRefused);
            broken.unless(model.operates(command.by, contributor), ErrorCode::NotDeviceOwner);
            broken.unless(device.desired != desired, ErrorCode::NoChange);
            next.desired = desired;
            next.stamp.sequence += 1;
        }
        ref other => unreachable!("not of a device: {other:?}"),
    }
    broken.so_far()?;
    model.devices.insert(id, next);
    Ok(())
}

fn close(model: &mut Model, command: &Command, id: Id, around: &Around) -> Verdict {
    let mut broken = Broken::default();
    let What::CloseDevice { recipient, .. } = command.what else { unreachable!("asked for one") };
    if let Some(contributor) = model.contributors.get(&around.contributor) {
        broken.unless(contributor.owner == recipient, ErrorCode::AccountMismatch);
    }
    let Some(device) = model.devices.get(&id).filter(|_| model.stands(around)) else { return broken.missing() };
    broken.unless(is_around(device, around), ErrorCode::AccountMismatch);
    broken.unless(fresh(command, &device.stamp), ErrorCode::StaleSequence);
    broken.unless(device.status == DeviceStatus::Deleting, ErrorCode::DeviceTransitionRefused);
    let allowed = model.is_authority(command.by) || model.owns(command.by, around.contributor);
    broken.unless(allowed, ErrorCode::NotDeviceOwner);
    broken.unless(model.links_of(id) == 0, ErrorCode::DeviceHasLinks);
    broken.so_far()?;
    model.devices.remove(&id);
    model.words.remove(&Subject::Device(id));
    model.touch_around(around);
    model.net_mut().stamp.sequence += 1;
    Ok(())
}

/// Management, the two routing loopbacks, and ports: for users and for internet access first, then fabric.
fn recipe(device_type: DeviceType, platform: Platform) -> Vec<Port> {
    let (management, port) = match platform {
        Platform::Eos => ("Management1", "Ethernet"),
        Platform::Frr => ("eth0", "eth"),
    };
    let (ports, cyoa, dia) = match device_type {
        DeviceType::Hybrid => (10, 1, 2),
        DeviceType::Transit => (9, 0, 1),
        DeviceType::Edge => (6, 1, 2),
    };
    let make = |name: String, kind, role, loopback, mtu, bandwidth_bps| Port {
        given: Interface { name, kind, role, loopback, vlan: 0, mtu, bandwidth_bps, address: Prefix::NONE },
        segment: 0,
        link: None,
    };
    let fabric = InterfaceRole::Fabric;
    let mut all = vec![
        make(management.into(), InterfaceKind::Management, fabric, LoopbackType::None, 1_500, 0),
        make("Loopback255".into(), InterfaceKind::Loopback, fabric, LoopbackType::Vpnv4, 9_000, 0),
        make("Loopback256".into(), InterfaceKind::Loopback, fabric, LoopbackType::Ipv4, 9_000, 0),
    ];
    for number in 1..=ports {
        let (role, mtu) = match number {
            n if n == cyoa => (InterfaceRole::Cyoa, 1_500),
            n if n == dia => (InterfaceRole::Dia, 1_500),
            _ => (fabric, 9_000),
        };
        let name = format!("{port}{number}");
        all.push(make(name, InterfaceKind::Physical, role, LoopbackType::None, mtu, 100_000_000_000));
    }
    all
}
