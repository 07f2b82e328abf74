//! What a request wants of a device's interfaces, held against the rules of the program (design 2.6, 2.7).

use causeway_interface::{
    DeviceStatus, DeviceType, ErrorCode, InterfaceKind, InterfaceName, InterfaceRole, Key, LoopbackType, Platform,
    Prefix,
    accounts::{Interface, MAX_INTERFACES},
    instruction::{ANY_SEQUENCE, SetInterface},
    recipe, values,
};

use super::ask::WantedInterface;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Of one that is there.
    Update(SetInterface),
    /// A further one.
    Add(SetInterface),
}

impl Change {
    /// For a device of this sequence.
    #[must_use]
    pub fn expecting(mut self, sequence: u64) -> Self {
        let (Self::Update(data) | Self::Add(data)) = &mut self;
        data.expected_sequence = sequence;
        self
    }

    fn data(&self) -> &SetInterface {
        let (Self::Update(data) | Self::Add(data)) = self;
        data
    }
}

/// Interfaces of a new device, as the program makes them.
#[must_use]
pub fn recipe(device_type: DeviceType, platform: Platform, with_defaults: bool) -> Vec<Interface> {
    let count = if with_defaults { recipe::len(device_type) } else { 0 };
    let one = |index| {
        let default = recipe::interface(device_type, platform, index);
        Interface {
            name: default.name,
            kind: default.kind,
            role: default.role,
            loopback: default.loopback,
            vlan_id: 0,
            mtu: default.mtu,
            bandwidth_bps: default.bandwidth_bps,
            address: Prefix::NONE,
            node_segment: 0,
            link: Key::ZERO,
        }
    };
    (0..count).map(one).collect()
}

/// Whether both routing loopbacks are among what is added.
#[must_use]
pub fn has_routing(changes: &[Change]) -> bool {
    routing_after(&[], changes)
}

/// Whether both routing loopbacks are there once this was done.
#[must_use]
pub fn routing_after(before: &[Interface], changes: &[Change]) -> bool {
    let there = |wanted: LoopbackType| {
        let changed = |name: &InterfaceName| changes.iter().any(|change| change.data().name == *name);
        before.iter().any(|i| i.loopback == wanted && !changed(&i.name))
            || changes.iter().any(|change| change.data().loopback == wanted)
    };
    there(LoopbackType::Vpnv4) && there(LoopbackType::Ipv4)
}

/// The changes that lead from what is there to what is wanted, in the order of the request, and what stands in their way.
pub fn changes(
    wanted: &[WantedInterface],
    mut there: Vec<Interface>,
    status: DeviceStatus,
    device_type: DeviceType,
) -> (Vec<Change>, Vec<(ErrorCode, String)>) {
    let (mut changes, mut problems) = (Vec::new(), Vec::new());
    for wanted in wanted {
        let found = there.iter().position(|interface| interface.name == wanted.name);
        let now = found.and_then(|at| there.get(at));
        let interface = wanted.over(now);
        if now.is_some_and(|now| *now == interface) {
            continue;
        }
        let refusal = allowed(&interface, now, &there, status, device_type);
        match (refusal, found.and_then(|at| there.get_mut(at))) {
            (Err(error), _) => problems.push((error, format!("interface {}", wanted.name))),
            (Ok(()), Some(place)) => {
                *place = interface.clone();
                changes.push(Change::Update(data(&interface)));
            }
            (Ok(()), None) => {
                there.push(interface.clone());
                changes.push(Change::Add(data(&interface)));
            }
        }
    }
    (changes, problems)
}

const fn data(interface: &Interface) -> SetInterface {
    SetInterface {
        expected_sequence: ANY_SEQUENCE,
        name: interface.name,
        kind: interface.kind,
        role: interface.role,
        loopback: interface.loopback,
        vlan_id: interface.vlan_id,
        mtu: interface.mtu,
        bandwidth_bps: interface.bandwidth_bps,
        address: interface.address,
    }
}

/// Whether the program takes this interface: on its own, beside the others, and in place of what is there.
fn allowed(
    interface: &Interface,
    now: Option<&Interface>,
    others: &[Interface],
    status: DeviceStatus,
    device_type: DeviceType,
) -> Result<(), ErrorCode> {
    let ensure = |holds: bool, error: ErrorCode| if holds { Ok(()) } else { Err(error) };
    match now {
        None => ensure(others.len() < MAX_INTERFACES, ErrorCode::InterfaceLimit)?,
        Some(now) => {
            let held = !now.link.is_zero() || others.iter().any(|i| !i.link.is_zero() && stands_on(i, &now.name));
            ensure(!held, ErrorCode::InterfaceInUse)?;
            let routing = now.loopback != LoopbackType::None;
            ensure(!routing || status == DeviceStatus::Pending, ErrorCode::InterfaceManaged)?;
            let carries = others.iter().any(|i| stands_on(i, &now.name));
            ensure(now.kind == interface.kind || !carries, ErrorCode::InterfaceInUse)?;
        }
    }
    // Addresses of routing loopbacks are handed out when the device is provisioned, and only then.
    let routing = interface.loopback != LoopbackType::None;
    ensure(!routing || status == DeviceStatus::Pending, ErrorCode::InterfaceManaged)?;
    ensure(shape(interface, others), ErrorCode::InterfaceShape)?;
    values::vlan(interface.vlan_id, interface.kind == InterfaceKind::SubInterface)?;
    values::mtu(interface.mtu)?;
    address(&interface.address)?;
    if routing {
        ensure(interface.address.is_none(), ErrorCode::InterfaceManaged)?;
        let twice = others.iter().any(|i| i.loopback == interface.loopback && i.name != interface.name);
        ensure(!twice, ErrorCode::LoopbackDuplicate)?;
    }
    ensure(keeps_shape(interface, others, status, device_type), ErrorCode::DeviceShapeBroken)
}

/// Whether the part of a type's shape that interfaces make can hold: a transit device never has a port for users, and of a
/// device in service the last such port of another type stays.
fn keeps_shape(interface: &Interface, others: &[Interface], status: DeviceStatus, device_type: DeviceType) -> bool {
    let is_cyoa = interface.role == InterfaceRole::Cyoa;
    let has_cyoa = is_cyoa || others.iter().any(|i| i.role == InterfaceRole::Cyoa && i.name != interface.name);
    let in_service = match status {
        DeviceStatus::Activated | DeviceStatus::Drained => true,
        DeviceStatus::Pending
        | DeviceStatus::DeviceProvisioning
        | DeviceStatus::LinkProvisioning
        | DeviceStatus::Suspended
        | DeviceStatus::Deleting
        | DeviceStatus::Rejected => false,
    };
    match device_type {
        DeviceType::Transit => !is_cyoa,
        DeviceType::Edge | DeviceType::Hybrid => has_cyoa || !in_service,
    }
}

const fn port(kind: InterfaceKind) -> bool {
    match kind {
        InterfaceKind::Physical | InterfaceKind::PortChannel => true,
        InterfaceKind::Loopback | InterfaceKind::Management | InterfaceKind::SubInterface => false,
    }
}

/// Whether kind, role, loopback type and name go together.
fn shape(interface: &Interface, others: &[Interface]) -> bool {
    let has_role = interface.role != InterfaceRole::Fabric;
    let has_loopback = interface.loopback != LoopbackType::None;
    let dotted = interface.name.as_str().contains('.');
    match interface.kind {
        InterfaceKind::Physical | InterfaceKind::PortChannel => !has_loopback && !dotted,
        InterfaceKind::Loopback => !has_role && !dotted,
        InterfaceKind::Management => !has_role && !has_loopback && !dotted,
        InterfaceKind::SubInterface => {
            !has_loopback && others.iter().any(|other| port(other.kind) && stands_on(interface, &other.name))
        }
    }
}

/// Whether a sub-interface stands on the port of this name: the port's name, a dot, and a number.
fn stands_on(interface: &Interface, port: &InterfaceName) -> bool {
    let number = interface.name.as_str().strip_prefix(port.as_str()).and_then(|rest| rest.strip_prefix('.'));
    let is_number = number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    interface.kind == InterfaceKind::SubInterface && is_number
}

/// An address that a host can have, or none.
fn address(prefix: &Prefix) -> Result<(), ErrorCode> {
    if prefix.is_none() {
        return Ok(());
    }
    let own = prefix.addr.to_u32();
    let host = prefix.len > 30 || own != prefix.first() && own != prefix.last();
    let fits = prefix.len <= 32 && !values::is_no_host(prefix.addr) && host;
    if fits { Ok(()) } else { Err(ErrorCode::InterfaceAddressInvalid) }
}
