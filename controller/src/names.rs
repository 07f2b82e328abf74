//! What a router takes an interface's name for. The ledger takes any word; a router takes some of them for another
//! interface of the list, for several at once, or for none.
//!
//! Pure. It guarantees that in a list that passes, each name is one interface of the router and no two are the same one,
//! the parents that sub-interfaces stand on included. Whether the router has such a port is for the router to say.

use std::collections::BTreeMap;

use causeway_agent::eos;
use causeway_interface::{InterfaceKind, Platform, accounts::Interface};

use crate::topology::{Fault, parent_of};

/// Longest name of an interface on Linux, in bytes: `IFNAMSIZ` without the zero octet.
const LINUX_NAME_BYTES: usize = 15;
/// Linux's own loopback, which a text for FRR has all loopbacks' addresses on.
const LINUX_LOOPBACK: &str = "lo";

/// Looks at a list whose names are valid ones of the ledger.
///
/// # Errors
/// The first fault.
pub fn check(family: Platform, interfaces: &[Interface]) -> Result<(), Fault> {
    // How each interface of the router is spelled, and what it is.
    let mut spelled: BTreeMap<String, (&str, InterfaceKind)> = BTreeMap::new();
    for interface in interfaces {
        let name = interface.name.as_str();
        if spelled.insert(same(family, interface.kind, name)?, (name, interface.kind)).is_some() {
            return Err(Fault::InterfaceTwice { name: name.to_string() });
        }
        if family == Platform::Frr {
            vlan_is_said(interface)?;
        }
    }
    // A parent is an interface of the text as well, listed or not, and is spelled in one way.
    for interface in interfaces.iter().filter(|i| i.kind == InterfaceKind::SubInterface) {
        let Some(parent) = parent_of(interface.name.as_str()) else { continue };
        let (known, kind) = *spelled.entry(same_port(family, parent)?).or_insert((parent, InterfaceKind::Physical));
        if known != parent {
            return Err(Fault::InterfaceTwice { name: parent.to_string() });
        }
        if !matches!(kind, InterfaceKind::Physical | InterfaceKind::PortChannel) {
            return Err(Fault::SubInterface { name: interface.name.to_string() });
        }
    }
    Ok(())
}

/// The key under which a name is the same interface of the router as another one.
fn same(family: Platform, kind: InterfaceKind, name: &str) -> Result<String, Fault> {
    let key = match family {
        Platform::Eos => of_eos(kind, name),
        Platform::Frr => of_linux(kind, name)?,
    };
    key.ok_or_else(|| Fault::InterfaceForeign { name: name.to_string(), family })
}

/// The same of the port or channel that sub-interfaces stand on.
fn same_port(family: Platform, name: &str) -> Result<String, Fault> {
    same(family, InterfaceKind::Physical, name).or_else(|_| same(family, InterfaceKind::PortChannel, name))
}

/// The full name: `et3` and `ETHERNET3` are `Ethernet3`. A kind has its own names, so that no port is the management
/// interface under another kind, and `Ethernet1-10`, which is ten ports, is none.
fn of_eos(kind: InterfaceKind, name: &str) -> Option<String> {
    let full = eos::full_name(name)?;
    let (stem, numbers) = full.split_at_checked(full.find(|c: char| c.is_ascii_digit())?)?;
    let (dotted, slashed) = (numbers.contains('.'), numbers.contains('/'));
    let fits = match (kind, stem) {
        (InterfaceKind::Physical, "Ethernet") => !dotted,
        (InterfaceKind::PortChannel, "Port-Channel") | (InterfaceKind::Loopback, "Loopback") => !dotted && !slashed,
        (InterfaceKind::SubInterface, "Ethernet") => dotted,
        (InterfaceKind::SubInterface, "Port-Channel") => dotted && !slashed,
        // Some are managed over a port, a VLAN or a loopback.
        (InterfaceKind::Management, _) => !dotted,
        (
            InterfaceKind::Physical
            | InterfaceKind::PortChannel
            | InterfaceKind::Loopback
            | InterfaceKind::SubInterface,
            _,
        ) => false,
    };
    // `Ethernet03` would be `Ethernet3`.
    let plain = numbers.split(['/', '.']).all(|number| number == "0" || !number.starts_with('0'));
    (fits && plain).then_some(full)
}

/// Linux heeds capitals and has no names with `/`. Loopbacks are addresses of `lo`, whatever the ledger calls them; nothing
/// else may be. Capitals alone tell no two apart here, since people would not either.
fn of_linux(kind: InterfaceKind, name: &str) -> Result<Option<String>, Fault> {
    if kind != InterfaceKind::Loopback {
        if name.len() > LINUX_NAME_BYTES {
            return Err(Fault::PortName { name: name.to_string(), most: LINUX_NAME_BYTES });
        }
        if name.contains('/') || name == LINUX_LOOPBACK {
            return Ok(None);
        }
    }
    Ok(Some(name.to_ascii_lowercase()))
}

/// FRR takes a sub-interface's VLAN from its name.
fn vlan_is_said(interface: &Interface) -> Result<(), Fault> {
    let name = interface.name.as_str();
    let vlan = interface.vlan_id;
    let said = name.rsplit_once('.').is_some_and(|(_, end)| end == vlan.to_string());
    if vlan == 0 || said { Ok(()) } else { Err(Fault::VlanName { name: name.to_string(), vlan }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        render::{Family, render_device},
        testing::{SyntheticLedger, code},
    };

    use InterfaceKind::{Loopback, Management, Physical, PortChannel, SubInterface};

    /// What is said of a device of the ring that has these interfaces besides.
    fn said(family: Family, more: &[(&str, InterfaceKind, u16)]) -> Result<(), &'static str> {
        let mut ledger = SyntheticLedger::ring(family);
        for (name, kind, vlan) in more {
            let mut interface = ledger.device_mut("ams").interfaces[9].clone();
            interface.name = name.parse().unwrap();
            (interface.kind, interface.vlan_id) = (*kind, *vlan);
            ledger.device_mut("ams").interfaces.push(interface);
        }
        let others = ["fra", "lon", "par"];
        assert!(others.iter().all(|other| render_device(&ledger.snapshot, &code(other), None).is_ok()), "{more:?}");
        render_device(&ledger.snapshot, &code("ams"), None).map(|_| ()).map_err(|error| error.code())
    }

    #[test]
    fn a_name_is_one_interface_of_its_kind_or_its_own_devices_fault() {
        let (foreign, twice) = (Err("interface-name-foreign"), Err("interface-twice"));
        for (name, kind, vlan, expected) in [
            ("Ethernet11", Physical, 0, Ok(())),
            ("Ethernet1/29/128", Physical, 0, Ok(())),
            ("et3", Physical, 0, twice),
            ("ETHERNET3", Physical, 0, twice),
            ("Ethernet03", Physical, 0, foreign),
            ("Ethernet1-10", Physical, 0, foreign),
            ("swp1", Physical, 0, foreign),
            ("Vlan7", Physical, 0, foreign),
            ("Management2", Physical, 0, foreign),
            ("Management2", Management, 0, Ok(())),
            ("ma1", Management, 0, twice),
            ("Ethernet3", Loopback, 0, foreign),
            ("lo7", Loopback, 0, Ok(())),
            ("lo255", Loopback, 0, twice),
            ("po1", PortChannel, 0, Ok(())),
            ("Port-Channel1/2", PortChannel, 0, foreign),
            ("Ethernet30.5", SubInterface, 200, Ok(())),
            ("Ethernet3.5", SubInterface, 5, Ok(())),
            ("et3.5", SubInterface, 5, twice),
            ("Loopback7.5", SubInterface, 5, foreign),
        ] {
            assert_eq!(said(Family::Eos, &[(name, kind, vlan)]), expected, "{name} as {kind}");
        }
        for (name, kind, vlan, expected) in [
            ("eth30", Physical, 0, Ok(())),
            ("enp129s0f0np123", Physical, 0, Ok(())),
            ("enp129s0f0np1234", Physical, 0, Err("port-name-too-long")),
            ("ETH3", Physical, 0, twice),
            ("Ethernet1/1", Physical, 0, foreign),
            ("lo", Physical, 0, foreign),
            ("lo", Management, 0, foreign),
            ("lo", Loopback, 0, Ok(())),
            ("a-loopback-with-its-name", Loopback, 0, Ok(())),
            ("eth30.200", SubInterface, 200, Ok(())),
            ("eth30.5", SubInterface, 200, Err("vlan-not-in-name")),
            ("lo.5", SubInterface, 5, foreign),
        ] {
            assert_eq!(said(Family::Frr, &[(name, kind, vlan)]), expected, "{name} as {kind}");
        }
    }

    #[test]
    fn sub_interfaces_spell_their_parent_in_one_way() {
        let subs = |a, b| said(Family::Eos, &[(a, SubInterface, 5), (b, SubInterface, 6)]);
        assert_eq!(subs("Ethernet30.5", "Ethernet30.6"), Ok(()));
        assert_eq!(subs("Ethernet30.5", "et30.6"), Err("interface-twice"));
    }

    #[test]
    fn a_sub_interface_stands_on_no_loopback() {
        let with = |kind| said(Family::Frr, &[("bond7", kind, 0), ("bond7.5", SubInterface, 5)]);
        assert_eq!(with(PortChannel), Ok(()));
        assert_eq!([with(Loopback), with(Management)], [Err("sub-interface-invalid"); 2]);
    }

    #[test]
    fn a_name_that_is_too_long_is_said_with_the_limit() {
        let mut ledger = SyntheticLedger::ring(Family::Frr);
        ledger.device_mut("ams").interfaces[9].name = "enp129s0f0np1234".parse().unwrap();
        let said = render_device(&ledger.snapshot, &code("ams"), None).unwrap_err().to_string();
        assert!(said.contains("enp129s0f0np1234") && said.contains("ams") && said.contains("15"), "{said}");
    }
}
