//! Interfaces: which combinations make sense, and which are locked.

use causeway_interface::{DeviceStatus, DeviceType, ErrorCode, InterfaceKind, InterfaceRole, LoopbackType, Prefix};

use super::{Broken, Verdict, fresh, is_unusable};
use crate::model::{
    changes,
    command::{Command, Interface, What},
    state::{Device, Id, Model, Port},
};

/// Most interfaces of a device.
const MOST: usize = 112;

pub fn step(model: &mut Model, command: &Command) -> Verdict {
    let mut broken = Broken::default();
    let (id, contributor) = match command.what {
        What::AddInterface { id, contributor, .. }
        | What::UpdateInterface { id, contributor, .. }
        | What::RemoveInterface { id, contributor, .. } => (id, contributor),
        ref other => unreachable!("not of an interface: {other:?}"),
    };
    if !model.contributors.contains_key(&contributor) {
        return broken.missing();
    }
    if let What::RemoveInterface { recipient, .. } = command.what {
        broken.unless(model.owns(recipient, contributor), ErrorCode::AccountMismatch);
    }
    let Some(device) = model.devices.get(&id) else { return broken.missing() };
    broken.unless(device.contributor == contributor, ErrorCode::AccountMismatch);
    broken.unless(fresh(command, &device.stamp), ErrorCode::StaleSequence);
    broken.unless(device.is_live(), ErrorCode::DeviceTransitionRefused);
    broken.unless(model.operates(command.by, contributor), ErrorCode::NotDeviceOwner);
    let pending = device.status == DeviceStatus::Pending;
    let mut next = device.clone();
    match &command.what {
        What::AddInterface { interface, .. } => {
            check(&mut broken, interface, device);
            broken.unless(pending || !is_routing(interface), ErrorCode::InterfaceManaged);
            broken.unless(device.port(&interface.name).is_none(), ErrorCode::InterfaceExists);
            broken.unless(device.ports.len() < MOST, ErrorCode::InterfaceLimit);
            next.ports.push(Port { given: interface.clone(), segment: 0, link: None });
        }
        What::UpdateInterface { interface, .. } => {
            check(&mut broken, interface, device);
            match device.port(&interface.name) {
                None => broken.unless(false, ErrorCode::InterfaceNotFound),
                Some(before) => {
                    let routing = is_routing(&before.given) || is_routing(interface);
                    broken.unless(pending || !routing, ErrorCode::InterfaceManaged);
                    let stays = before.given.kind == interface.kind || device.children(&interface.name).count() == 0;
                    broken.unless(stays && !is_locked(device, before), ErrorCode::InterfaceInUse);
                }
            }
            if let Some(port) = next.port_mut(&interface.name) {
                *port = Port { given: interface.clone(), segment: 0, link: None };
            }
        }
        What::RemoveInterface { name, .. } => {
            match device.port(name) {
                None => broken.unless(false, ErrorCode::InterfaceNotFound),
                Some(gone) => {
                    broken.unless(pending || !is_routing(&gone.given), ErrorCode::InterfaceManaged);
                    let alone = device.children(name).count() == 0;
                    broken.unless(alone && !is_locked(device, gone), ErrorCode::InterfaceInUse);
                }
            }
            next.ports.retain(|port| port.given.name != *name);
        }
        other => unreachable!("not of an interface: {other:?}"),
    }
    if changes::CYOA_KEPT_IN_SERVICE {
        broken.unless(!device.in_service() || cyoa_fits(&next), ErrorCode::DeviceShapeBroken);
    }
    broken.so_far()?;
    next.stamp.sequence += 1;
    model.devices.insert(id, next);
    Ok(())
}

/// Users connect over edge and hybrid devices, and over no other.
fn cyoa_fits(device: &Device) -> bool {
    device.has_cyoa() == matches!(device.device_type, DeviceType::Edge | DeviceType::Hybrid)
}

fn is_routing(interface: &Interface) -> bool {
    interface.loopback != LoopbackType::None
}

/// A link holds it or, once the program says so, what stands on it.
fn is_locked(device: &Device, port: &Port) -> bool {
    let above = changes::CHILDREN_LOCK_PORTS && device.children(&port.given.name).any(|child| child.link.is_some());
    port.link.is_some() || above
}

/// What an interface is to be, on its own and beside the others.
fn check(broken: &mut Broken, wanted: &Interface, device: &Device) {
    let Interface { name, kind, role, loopback, vlan, mtu, address, .. } = wanted;
    broken.unless(is_name(name), ErrorCode::InterfaceNameInvalid);
    let plain = *role == InterfaceRole::Fabric;
    let unrouted = *loopback == LoopbackType::None;
    let dotted = name.contains('.');
    let fits = match kind {
        InterfaceKind::Physical | InterfaceKind::PortChannel => unrouted && !dotted,
        InterfaceKind::Loopback => plain && !dotted,
        InterfaceKind::Management => plain && unrouted && !dotted,
        InterfaceKind::SubInterface => unrouted && stands_on_port(name, device),
    };
    broken.unless(fits, ErrorCode::InterfaceShape);
    let vlans = if *kind == InterfaceKind::SubInterface { 1..=4_094 } else { 0..=0 };
    broken.unless(vlans.contains(vlan), ErrorCode::VlanOutOfRange);
    broken.unless((1_500..=9_216).contains(mtu), ErrorCode::MtuOutOfRange);
    broken.unless(is_host(address), ErrorCode::InterfaceAddressInvalid);
    if !unrouted {
        broken.unless(address.is_none(), ErrorCode::InterfaceManaged);
        let other = device.ports.iter().any(|p| p.given.loopback == *loopback && p.given.name != *name);
        broken.unless(!other, ErrorCode::LoopbackDuplicate);
    }
}

fn is_name(name: &str) -> bool {
    let letter = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic());
    letter && name.len() <= 24 && name.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
}

fn stands_on_port(name: &str, device: &Device) -> bool {
    let Some((parent, number)) = name.rsplit_once('.') else { return false };
    let port = |kind| matches!(kind, InterfaceKind::Physical | InterfaceKind::PortChannel);
    let numbered = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit());
    numbered && device.port(parent).is_some_and(|parent| port(parent.given.kind))
}

/// An address that an interface can have, or none.
fn is_host(prefix: &Prefix) -> bool {
    let address = prefix.addr.to_u32();
    match prefix.len {
        0 => address == 0,
        31 | 32 => !is_unusable(address),
        33.. => false,
        len => {
            let hosts = (1_u64 << (32 - len)) - 1;
            let host = u64::from(address) & hosts;
            !is_unusable(address) && host != 0 && host != hosts
        }
    }
}

/// The interface of this name, where a link may take it.
pub(super) fn check_free(broken: &mut Broken, device: &Device, name: &str) {
    if !is_name(name) {
        return broken.unless(false, ErrorCode::InterfaceNameInvalid);
    }
    let Some(port) = device.port(name) else { return broken.unless(false, ErrorCode::InterfaceNotFound) };
    broken.unless(!is_locked(device, port), ErrorCode::InterfaceInUse);
    let kind = !matches!(port.given.kind, InterfaceKind::Loopback | InterfaceKind::Management);
    broken.unless(kind && port.given.role == InterfaceRole::Fabric, ErrorCode::InterfaceUnfit);
}

/// A link takes the interface of this name.
pub(super) fn take(device: &mut Device, name: &str, link: Id) {
    if let Some(port) = device.port_mut(name) {
        port.link = Some(link);
    }
    device.stamp.sequence += 1;
}

/// A link gives the interface of this name back.
pub(super) fn give_back(device: &mut Device, name: &str) {
    if let Some(port) = device.port_mut(name) {
        port.link = None;
    }
    device.stamp.sequence += 1;
}
