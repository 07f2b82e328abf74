//! Default interfaces by device type and platform: what makes a new device complete without further typing.
//!
//! In order: management, loopback 255 (VPNv4), loopback 256 (IPv4), then physical ports. The first port of an edge or
//! hybrid device is for users (CYOA); every device has one port for direct internet access (DIA); the rest are fabric.

use crate::{accounts::RawInterface, enums::*, types::*, values};

/// Interfaces before the physical ports.
const FIXED: usize = 3;

/// Physical ports that a new device of this type gets.
pub const fn port_count(device_type: DeviceType) -> usize {
    match device_type {
        DeviceType::Hybrid => 10,
        DeviceType::Transit => 9,
        DeviceType::Edge => 6,
    }
}

/// How many interfaces a new device of this type gets.
pub const fn len(device_type: DeviceType) -> usize {
    FIXED + port_count(device_type)
}

/// Most interfaces that a recipe has.
pub const MOST: usize = FIXED + port_count(DeviceType::Hybrid);

/// A hybrid device's default interfaces as they lie on the ledger: what a new device's list is copied from, before
/// [`adjust`]. One copy of it instead of a hundred assignments, because the program pays for each.
pub fn template(platform: Platform) -> &'static [RawInterface; MOST] {
    match platform {
        Platform::Eos => const { &raw(Platform::Eos) },
        Platform::Frr => const { &raw(Platform::Frr) },
    }
}

const fn raw(platform: Platform) -> [RawInterface; MOST] {
    let mut all = [entry(DeviceType::Hybrid, platform, 0); MOST];
    let mut index = 1;
    while index < MOST {
        all[index] = entry(DeviceType::Hybrid, platform, index);
        index += 1;
    }
    all
}

const fn entry(device_type: DeviceType, platform: Platform, index: usize) -> RawInterface {
    let default = interface(device_type, platform, index);
    RawInterface {
        name: default.name,
        kind: default.kind.byte(),
        role: default.role.byte(),
        loopback: default.loopback.byte(),
        vlan_id: Le16(0_u16.to_le_bytes()),
        mtu: Le16(default.mtu.to_le_bytes()),
        bandwidth_bps: Le64(default.bandwidth_bps.to_le_bytes()),
        address: Prefix::NONE,
        node_segment: Le16(0_u16.to_le_bytes()),
        link: Key::ZERO,
    }
}

/// Makes what was copied from [`template`] the interfaces of a device of this type: the first ports differ in role.
pub fn adjust(interfaces: &mut [RawInterface], device_type: DeviceType) {
    for (port, place) in interfaces.iter_mut().skip(FIXED).take(SPECIAL_PORTS).enumerate() {
        let role = port_role(device_type, port);
        place.role = role.byte();
        place.mtu.set(port_mtu(role));
    }
}

/// Ports at the beginning that are not fabric in every type.
const SPECIAL_PORTS: usize = 2;

/// What the recipe says of interface `index`; bandwidth in bit/s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefaultInterface {
    /// Name.
    pub name: InterfaceName,
    /// Kind.
    pub kind: InterfaceKind,
    /// Role.
    pub role: InterfaceRole,
    /// Loopback type.
    pub loopback: LoopbackType,
    /// MTU in bytes.
    pub mtu: u16,
    /// Bandwidth in bit/s.
    pub bandwidth_bps: u64,
}

/// Interface `index` of a new device, for `index < len(device_type)`.
pub const fn interface(device_type: DeviceType, platform: Platform, index: usize) -> DefaultInterface {
    match index {
        0 => DefaultInterface {
            name: management_name(platform),
            kind: InterfaceKind::Management,
            role: InterfaceRole::Fabric,
            loopback: LoopbackType::None,
            mtu: values::EDGE_MTU,
            bandwidth_bps: 0,
        },
        1 => loopback(const { name_of(b"Loopback255") }, LoopbackType::Vpnv4),
        2 => loopback(const { name_of(b"Loopback256") }, LoopbackType::Ipv4),
        _ => {
            let role = port_role(device_type, index - FIXED);
            DefaultInterface {
                name: port_name(platform, index - FIXED + 1),
                kind: InterfaceKind::Physical,
                role,
                loopback: LoopbackType::None,
                mtu: port_mtu(role),
                bandwidth_bps: 100_000_000_000,
            }
        }
    }
}

const fn loopback(name: InterfaceName, loopback: LoopbackType) -> DefaultInterface {
    DefaultInterface {
        name,
        kind: InterfaceKind::Loopback,
        role: InterfaceRole::Fabric,
        loopback,
        mtu: values::FABRIC_MTU,
        bandwidth_bps: 0,
    }
}

const fn port_role(device_type: DeviceType, port: usize) -> InterfaceRole {
    match (device_type, port) {
        (DeviceType::Hybrid | DeviceType::Edge, 0) => InterfaceRole::Cyoa,
        (DeviceType::Hybrid | DeviceType::Edge, 1) | (DeviceType::Transit, 0) => InterfaceRole::Dia,
        (DeviceType::Hybrid | DeviceType::Edge | DeviceType::Transit, _) => InterfaceRole::Fabric,
    }
}

const fn port_mtu(role: InterfaceRole) -> u16 {
    match role {
        InterfaceRole::Fabric => values::FABRIC_MTU,
        InterfaceRole::Cyoa | InterfaceRole::Dia => values::EDGE_MTU,
    }
}

const fn management_name(platform: Platform) -> InterfaceName {
    match platform {
        Platform::Eos => const { name_of(b"Management1") },
        Platform::Frr => const { name_of(b"eth0") },
    }
}

/// Name of physical port `number`, counted from 1.
pub const fn port_name(platform: Platform, number: usize) -> InterfaceName {
    let (mut name, len) = match platform {
        Platform::Eos => (const { name_of(b"Ethernet") }, 8),
        Platform::Frr => (const { name_of(b"eth") }, 3),
    };
    let tens = number / 10 % 10;
    let mut at = len;
    if tens > 0 {
        name.0[at] = b'0' + tens as u8;
        at += 1;
    }
    name.0[at] = b'0' + (number % 10) as u8;
    name
}

const fn name_of(text: &[u8]) -> InterfaceName {
    let mut name = InterfaceName::ZERO;
    let mut at = 0;
    while at < text.len() {
        name.0[at] = text[at];
        at += 1;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_adjusted_is_the_recipe_of_every_type_and_platform() {
        for &device_type in DeviceType::ALL {
            for &platform in Platform::ALL {
                let mut made = *template(platform);
                let made = &mut made[..len(device_type)];
                adjust(made, device_type);
                for (index, interface) in made.iter().enumerate() {
                    let expected = entry(device_type, platform, index);
                    assert_eq!(bytemuck::bytes_of(interface), bytemuck::bytes_of(&expected), "{device_type} {index}");
                }
            }
        }
    }
}
