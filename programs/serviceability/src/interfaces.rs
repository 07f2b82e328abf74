//! A device's interfaces: finding them, and which combinations make sense.

use causeway_interface::{
    ErrorCode, InterfaceKind, InterfaceName, InterfaceRole, Key, LoopbackType, Prefix, accounts::RawInterface,
    instruction::RawSetInterface, values,
};

use crate::{
    Outcome,
    checks::{ensure, given, stored},
};

/// First octets at which no interface has an address: this network, loopback, and multicast and beyond.
fn is_unusable(address: u32) -> bool {
    matches!(address >> 24, 0 | 127 | 224..)
}

/// Place of the interface of this name.
#[inline]
pub fn position(interfaces: &[RawInterface], name: &InterfaceName) -> Option<usize> {
    interfaces.iter().position(|interface| interface.name == *name)
}

/// The interface of this name.
///
/// # Errors
/// [`ErrorCode::InterfaceNotFound`].
#[inline]
pub fn find_mut<'d>(interfaces: &'d mut [RawInterface], name: &InterfaceName) -> Outcome<&'d mut RawInterface> {
    interfaces.iter_mut().find(|interface| interface.name == *name).ok_or(ErrorCode::InterfaceNotFound)
}

/// The interface of this name, where a link may take it.
///
/// # Errors
/// [`ErrorCode::InterfaceNameInvalid`], [`ErrorCode::InterfaceNotFound`], [`ErrorCode::InterfaceInUse`],
/// [`ErrorCode::InterfaceUnfit`].
pub fn free_for_link<'d>(interfaces: &'d mut [RawInterface], name: &InterfaceName) -> Outcome<&'d mut RawInterface> {
    ensure(name.is_valid(), ErrorCode::InterfaceNameInvalid)?;
    let interface = find_mut(interfaces, name)?;
    ensure(interface.link.is_zero(), ErrorCode::InterfaceInUse)?;
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
pub fn routing_mut(interfaces: &mut [RawInterface], loopback: LoopbackType) -> Option<&mut RawInterface> {
    interfaces.iter_mut().find(|interface| interface.loopback == loopback.byte())
}

/// Whether users connect over one of them.
#[inline]
pub fn has_cyoa(interfaces: &[RawInterface]) -> bool {
    interfaces.iter().any(|interface| interface.role == InterfaceRole::Cyoa.byte())
}

/// Whether sub-interfaces stand on the port of this name.
pub fn has_children(interfaces: &[RawInterface], parent: &InterfaceName) -> bool {
    interfaces.iter().any(|interface| {
        interface.kind == InterfaceKind::SubInterface.byte() && parent_name(&interface.name) == Some(*parent)
    })
}

/// Name of the port that a sub-interface of this name stands on: what is before the last dot, where a number follows.
fn parent_name(name: &InterfaceName) -> Option<InterfaceName> {
    let dot = name.as_bytes().iter().rposition(|b| *b == b'.')?;
    let number = name.as_bytes().get(dot + 1..)?;
    if number.is_empty() || !number.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut parent = InterfaceName::ZERO;
    for (to, from) in parent.0.iter_mut().zip(name.as_bytes()).take(dot) {
        *to = *from;
    }
    Some(parent)
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
    let dotted = name.as_bytes().contains(&b'.');
    let fits = match kind {
        InterfaceKind::Physical | InterfaceKind::PortChannel => !has_loopback && !dotted,
        InterfaceKind::Loopback => !has_role && !dotted,
        InterfaceKind::Management => !has_role && !has_loopback && !dotted,
        InterfaceKind::SubInterface => !has_loopback && stands_on_port(name, interfaces),
    };
    ensure(fits, ErrorCode::InterfaceShape)
}

fn stands_on_port(name: &InterfaceName, interfaces: &[RawInterface]) -> bool {
    let port =
        |i: &RawInterface| i.kind == InterfaceKind::Physical.byte() || i.kind == InterfaceKind::PortChannel.byte();
    parent_name(name).is_some_and(|parent| interfaces.iter().any(|i| i.name == parent && port(i)))
}

/// An address that an interface can have, or none.
fn address(prefix: &Prefix) -> Outcome {
    if prefix.is_none() {
        return ensure(prefix.addr.is_zero(), ErrorCode::InterfaceAddressInvalid);
    }
    let own = prefix.addr.to_u32();
    let fits = prefix.len <= 32 && !is_unusable(own);
    // Below /31 the first and the last address of a net are not a host's.
    let host = prefix.len > 30 || own != prefix.first() && own != prefix.last();
    ensure(fits && host, ErrorCode::InterfaceAddressInvalid)
}
