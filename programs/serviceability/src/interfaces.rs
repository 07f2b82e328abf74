//! A device's interfaces: finding them, and which combinations make sense.

use causeway_interface::{
    DeviceStatus, DeviceType, ErrorCode, InterfaceKind, InterfaceName, InterfaceRole, Key, LoopbackType, Prefix,
    accounts::{RawDevice, RawInterface},
    instruction::RawSetInterface,
    values,
};

use crate::{
    Outcome,
    checks::{ensure, given, stored},
};

/// Place of the interface of this name.
#[inline(always)]
pub fn position(interfaces: &[RawInterface], name: &InterfaceName) -> Option<usize> {
    let index = index_of(interfaces, name);
    if index < interfaces.len() { Some(index) } else { None }
}

/// Place of the interface of this name, or the end of the list.
#[inline(never)]
fn index_of(interfaces: &[RawInterface], name: &InterfaceName) -> usize {
    let mut index = 0;
    for interface in interfaces {
        if interface.name.0 == name.0 {
            break;
        }
        index += 1;
    }
    index
}

/// The interface of this name.
///
/// # Errors
/// [`ErrorCode::InterfaceNotFound`].
#[inline(always)]
pub fn find_mut<'d>(interfaces: &'d mut [RawInterface], name: &InterfaceName) -> Outcome<&'d mut RawInterface> {
    let index = index_of(interfaces, name);
    interfaces.get_mut(index).ok_or(ErrorCode::InterfaceNotFound)
}

/// Whether a link holds the interface at `index`, or a sub-interface that stands on it.
#[inline(never)]
pub fn is_held(interfaces: &[RawInterface], index: usize) -> bool {
    let Some(own) = interfaces.get(index) else { return false };
    let child = |i: &RawInterface| {
        i.kind == InterfaceKind::SubInterface.byte() && !i.link.is_zero() && stands_on(&i.name, &own.name)
    };
    !own.link.is_zero() || interfaces.iter().any(child)
}

/// The interface of this name, where a link may take it.
///
/// # Errors
/// [`ErrorCode::InterfaceNameInvalid`], [`ErrorCode::InterfaceNotFound`], [`ErrorCode::InterfaceInUse`],
/// [`ErrorCode::InterfaceUnfit`].
#[inline(always)]
pub fn free_for_link<'d>(interfaces: &'d mut [RawInterface], name: &InterfaceName) -> Outcome<&'d mut RawInterface> {
    let index = index_of(interfaces, name);
    let held = is_held(interfaces, index);
    // What is there has a valid name; only one that is not there is looked at.
    let Some(interface) = interfaces.get_mut(index) else {
        ensure(name.is_valid(), ErrorCode::InterfaceNameInvalid)?;
        return Err(ErrorCode::InterfaceNotFound);
    };
    ensure(!held, ErrorCode::InterfaceInUse)?;
    let kind = match stored!(interface.kind, InterfaceKind) {
        InterfaceKind::Physical | InterfaceKind::PortChannel | InterfaceKind::SubInterface => true,
        InterfaceKind::Loopback | InterfaceKind::Management => false,
    };
    let role = match stored!(interface.role, InterfaceRole) {
        InterfaceRole::Fabric => true,
        InterfaceRole::Cyoa | InterfaceRole::Dia => false,
    };
    ensure(kind && role, ErrorCode::InterfaceUnfit)?;
    Ok(interface)
}

/// Takes the interface that `link` holds back from it.
///
/// # Errors
/// [`ErrorCode::CorruptAccount`] where the link does not hold it.
pub fn release(interfaces: &mut [RawInterface], name: &InterfaceName, link: &Key) -> Outcome {
    let interface = find_mut(interfaces, name).map_err(|_| ErrorCode::CorruptAccount)?;
    ensure(interface.link == *link, ErrorCode::CorruptAccount)?;
    interface.link = Key::ZERO;
    Ok(())
}

/// Whether it is a routing loopback, whose addresses the program assigns.
#[inline(always)]
pub fn is_routing(interface: &RawInterface) -> bool {
    interface.loopback != LoopbackType::None.byte()
}

/// The routing loopback of a type.
#[inline(always)]
pub fn routing_mut(interfaces: &mut [RawInterface], loopback: LoopbackType) -> Option<&mut RawInterface> {
    let index = routing_index(interfaces, loopback);
    interfaces.get_mut(index)
}

/// Whether there is a routing loopback of a type.
#[inline(always)]
pub fn has_routing(interfaces: &[RawInterface], loopback: LoopbackType) -> bool {
    routing_index(interfaces, loopback) < interfaces.len()
}

/// Place of the routing loopback of a type, or the end of the list.
#[inline(never)]
fn routing_index(interfaces: &[RawInterface], loopback: LoopbackType) -> usize {
    let mut index = 0;
    for interface in interfaces {
        if interface.loopback == loopback.byte() {
            break;
        }
        index += 1;
    }
    index
}

/// Whether users connect over one of them.
#[inline(always)]
pub fn has_cyoa(interfaces: &[RawInterface]) -> bool {
    has_cyoa_beside(interfaces, usize::MAX)
}

/// Whether users connect over one of them, the one at `index` left aside.
#[inline(never)]
pub fn has_cyoa_beside(interfaces: &[RawInterface], index: usize) -> bool {
    interfaces.iter().enumerate().any(|(at, interface)| at != index && is_cyoa(interface))
}

/// Whether sub-interfaces stand on the port of this name.
#[inline(never)]
pub fn has_children(interfaces: &[RawInterface], parent: &InterfaceName) -> bool {
    interfaces.iter().any(|i| i.kind == InterfaceKind::SubInterface.byte() && stands_on(&i.name, parent))
}

/// Whether a sub-interface of this name stands on the port of that one: the port's name, a dot, and a number.
#[inline(never)]
fn stands_on(name: &InterfaceName, port: &InterfaceName) -> bool {
    let mut at = 0;
    while let (Some(own), Some(other)) = (name.0.get(at), port.0.get(at)) {
        if own != other {
            break;
        }
        at += 1;
    }
    // Where the names part, the port's is at its end and this one goes on: neither holds a byte behind its padding.
    let parted = port.0.get(at).is_none_or(|byte| *byte == 0) && name.0.get(at) == Some(&b'.');
    let mut number = name.0.get(at + 1..).unwrap_or_default().iter().take_while(|byte| **byte != 0).peekable();
    parted && number.peek().is_some() && number.all(u8::is_ascii_digit)
}

/// Whether a change of interfaces leaves the part of a device type's shape that they make: of a device in service it
/// may not be broken, because nothing would take it out of service then.
///
/// # Errors
/// [`ErrorCode::DeviceShapeBroken`], and [`ErrorCode::CorruptAccount`].
#[inline(never)]
pub fn keeps_shape(device: &RawDevice, others: bool, changed: Option<&RawInterface>) -> Outcome {
    let status = stored!(device.header.status, DeviceStatus);
    let suspended_from = stored!(device.suspended_from, DeviceStatus);
    if !status.is_in_service(suspended_from) {
        return Ok(());
    }
    let has_cyoa = others || changed.is_some_and(is_cyoa);
    let wants_cyoa = match stored!(device.header.kind, DeviceType) {
        DeviceType::Edge | DeviceType::Hybrid => true,
        DeviceType::Transit => false,
    };
    ensure(has_cyoa == wants_cyoa, ErrorCode::DeviceShapeBroken)
}

#[inline(always)]
fn is_cyoa(interface: &RawInterface) -> bool {
    interface.role == InterfaceRole::Cyoa.byte()
}

/// Checks what an interface is to be, on its own and against the others of its device, and makes the entry.
///
/// # Errors
/// [`ErrorCode::InterfaceNameInvalid`], [`ErrorCode::InterfaceShape`], [`ErrorCode::VlanOutOfRange`],
/// [`ErrorCode::MtuOutOfRange`], [`ErrorCode::InterfaceAddressInvalid`], [`ErrorCode::InterfaceManaged`],
/// [`ErrorCode::LoopbackDuplicate`].
pub fn checked(given: &RawSetInterface, interfaces: &[RawInterface]) -> Outcome<RawInterface> {
    ensure(given.name.is_valid(), ErrorCode::InterfaceNameInvalid)?;
    let kind = given!(given.kind, InterfaceKind);
    let role = given!(given.role, InterfaceRole);
    let loopback = given!(given.loopback, LoopbackType);
    shape(&given.name, kind, role, loopback, interfaces)?;
    values::vlan(given.vlan_id.get(), matches!(kind, InterfaceKind::SubInterface))?;
    values::mtu(given.mtu.get())?;
    address(&given.address)?;
    if !matches!(loopback, LoopbackType::None) {
        ensure(given.address.is_none(), ErrorCode::InterfaceManaged)?;
        let other = |i: &&RawInterface| i.loopback == loopback.byte() && i.name != given.name;
        ensure(!interfaces.iter().any(|i| other(&i)), ErrorCode::LoopbackDuplicate)?;
    }
    Ok(RawInterface {
        name: given.name,
        kind: given.kind,
        role: given.role,
        loopback: given.loopback,
        vlan_id: given.vlan_id,
        mtu: given.mtu,
        bandwidth_bps: given.bandwidth_bps,
        address: given.address,
        node_segment: 0.into(),
        link: Key::ZERO,
    })
}

fn shape(
    name: &InterfaceName,
    kind: InterfaceKind,
    role: InterfaceRole,
    loopback: LoopbackType,
    interfaces: &[RawInterface],
) -> Outcome {
    let has_role = match role {
        InterfaceRole::Fabric => false,
        InterfaceRole::Cyoa | InterfaceRole::Dia => true,
    };
    let has_loopback = match loopback {
        LoopbackType::None => false,
        LoopbackType::Vpnv4 | LoopbackType::Ipv4 => true,
    };
    let dotted = has_dot(&name.0);
    let fits = match kind {
        InterfaceKind::Physical | InterfaceKind::PortChannel => !has_loopback && !dotted,
        InterfaceKind::Loopback => !has_role && !dotted,
        InterfaceKind::Management => !has_role && !has_loopback && !dotted,
        InterfaceKind::SubInterface => !has_loopback && stands_on_port(name, interfaces),
    };
    ensure(fits, ErrorCode::InterfaceShape)
}

#[expect(clippy::manual_contains, reason = "core's search is unrolled to eighty instructions")]
#[inline(never)]
fn has_dot(name: &[u8]) -> bool {
    name.iter().any(|byte| *byte == b'.')
}

#[inline(never)]
fn stands_on_port(name: &InterfaceName, interfaces: &[RawInterface]) -> bool {
    let port =
        |i: &RawInterface| i.kind == InterfaceKind::Physical.byte() || i.kind == InterfaceKind::PortChannel.byte();
    interfaces.iter().any(|i| port(i) && stands_on(name, &i.name))
}

/// An address that an interface can have, or none.
fn address(prefix: &Prefix) -> Outcome {
    if prefix.is_none() {
        return ensure(prefix.addr.is_zero(), ErrorCode::InterfaceAddressInvalid);
    }
    let own = prefix.addr.to_u32();
    let fits = prefix.len <= 32 && !values::is_no_host(prefix.addr);
    // Below /31 the first and the last address of a net are not a host's.
    let host = prefix.len > 30 || own != prefix.first() && own != prefix.last();
    ensure(fits && host, ErrorCode::InterfaceAddressInvalid)
}
