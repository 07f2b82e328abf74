//! One committed text per row of the status table, in both families. `CAUSEWAY_REWRITE_GOLDEN=1` rewrites them.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "common/network.rs"]
mod network;

use std::{env, fs, path::PathBuf};

use causeway_controller::{
    render::{Family, render_device},
    testing::{SyntheticLedger, code},
};
use causeway_interface::{DesiredStatus, DeviceStatus, InterfaceKind, InterfaceRole, LinkStatus, LoopbackType, Prefix};

type Change = fn(&mut SyntheticLedger);

fn link(ledger: &mut SyntheticLedger, status: LinkStatus) {
    ledger.link_mut("ams-fra").header.status = status;
}

fn device(ledger: &mut SyntheticLedger, status: DeviceStatus, desired: DesiredStatus) {
    let device = ledger.device_mut("ams");
    device.header.status = status;
    device.header.desired = desired;
}

fn every_kind_of_interface(l: &mut SyntheticLedger) {
    let device = l.device_mut("ams");
    let channel = if device.platform == Family::Frr { "bond1" } else { "Port-Channel1" };
    device.management_vrf = "mgmt".parse().unwrap();
    let template = device.interfaces.last().unwrap().clone();
    for interface in &mut device.interfaces {
        if interface.kind == InterfaceKind::Management {
            interface.address = Prefix::new(0xc0a8_0105, 24);
        }
        if interface.role == InterfaceRole::Dia {
            interface.address = Prefix::new(0xc613_0905, 30);
        }
    }
    for (name, kind, vlan) in [
        (channel.to_string(), InterfaceKind::PortChannel, 0),
        (format!("{channel}.100"), InterfaceKind::SubInterface, 100),
        ("eth30.200".to_string(), InterfaceKind::SubInterface, 200),
        ("eth30.201".to_string(), InterfaceKind::SubInterface, 201),
    ] {
        let mut interface = template.clone();
        interface.name = name.parse().unwrap();
        interface.kind = kind;
        interface.vlan_id = vlan;
        interface.address = Prefix::new(0xc612_ff00 + u32::from(vlan), 31);
        device.interfaces.push(interface);
    }
}

/// Each row: its name and what makes it of a ring in service, seen from `ams`.
const ROWS: &[(&str, Change)] = &[
    ("link-activated", |_| {}),
    ("link-delay-override", |l| l.link_mut("ams-fra").delay_override_ns = 50_000),
    ("link-soft-drained", |l| link(l, LinkStatus::SoftDrained)),
    ("link-hard-drained", |l| link(l, LinkStatus::HardDrained)),
    ("link-provisioning", |l| link(l, LinkStatus::Provisioning)),
    ("link-pending", |l| link(l, LinkStatus::Pending)),
    ("link-suspended", |l| link(l, LinkStatus::Suspended)),
    ("device-soft-drained", |l| device(l, DeviceStatus::Drained, DesiredStatus::SoftDrained)),
    ("device-hard-drained", |l| device(l, DeviceStatus::Drained, DesiredStatus::HardDrained)),
    ("device-undraining", |l| device(l, DeviceStatus::Drained, DesiredStatus::Activated)),
    ("device-suspended", |l| device(l, DeviceStatus::Suspended, DesiredStatus::Activated)),
    ("device-provisioning", |l| device(l, DeviceStatus::DeviceProvisioning, DesiredStatus::Activated)),
    ("peer-pending", |l| l.device_mut("fra").header.status = DeviceStatus::Pending),
    ("device-suspended-with-every-kind-of-interface", |l| {
        every_kind_of_interface(l);
        device(l, DeviceStatus::Suspended, DesiredStatus::Activated);
    }),
    ("loopbacks-of-its-own-and-of-others", |l| {
        let device = l.device_mut("ams");
        (device.dz_prefix_count, device.dz_prefixes[0]) = (1, Prefix::new(0xc613_4000, 24));
        let template = device.interfaces[1].clone();
        for (name, address) in [
            ("Loopback100", Prefix::new(0xc613_4007, 32)),
            // A neighbour's router id, and somebody's public address.
            ("Loopback101", Prefix::new(0xc612_0003, 32)),
            ("Loopback102", Prefix::new(0x0808_0808, 32)),
        ] {
            let mut loopback = template.clone();
            (loopback.name, loopback.address) = (name.parse().unwrap(), address);
            (loopback.loopback, loopback.node_segment) = (LoopbackType::None, 0);
            device.interfaces.push(loopback);
        }
    }),
    ("links-over-a-channel-and-a-vlan", |l| {
        let frr = l.device_mut("ams").platform == Family::Frr;
        let (channel, vlan_parent) = if frr { ("bond", "eth30") } else { ("Port-Channel", "Ethernet30") };
        for (link, name, kind, vlan) in [
            ("ams-fra", format!("{channel}1"), InterfaceKind::PortChannel, 0),
            ("ams-lon", format!("{vlan_parent}.200"), InterfaceKind::SubInterface, 200),
            ("ams-par", format!("{channel}2.300"), InterfaceKind::SubInterface, 300),
        ] {
            let key = l.link_key(link);
            let port = l.device_mut("ams").interfaces.iter_mut().find(|i| i.link == key).unwrap();
            (port.name, port.kind, port.vlan_id) = (name.parse().unwrap(), kind, vlan);
            let port = port.name;
            l.link_mut(link).interface_a = port;
        }
    }),
    ("every-kind-of-interface", every_kind_of_interface),
];

/// Devices of a network in which routes are reflected, and what they are there.
const REFLECTED: &[(&str, &str)] = &[("d000", "reflector"), ("d006", "reflectors-client")];

/// The row that a link's status belongs to.
const fn link_row(status: LinkStatus) -> &'static str {
    match status {
        LinkStatus::Activated => "link-activated",
        LinkStatus::SoftDrained => "link-soft-drained",
        LinkStatus::HardDrained => "link-hard-drained",
        LinkStatus::Provisioning => "link-provisioning",
        LinkStatus::Pending
        | LinkStatus::Suspended
        | LinkStatus::Deleting
        | LinkStatus::Rejected
        | LinkStatus::Requested => "link-pending",
    }
}

/// The same of a device and what is wished for it.
const fn device_row(status: DeviceStatus, desired: DesiredStatus) -> &'static str {
    match (status, desired) {
        (DeviceStatus::Activated | DeviceStatus::DeviceProvisioning | DeviceStatus::LinkProvisioning, _) => {
            "link-activated"
        }
        (DeviceStatus::Drained, DesiredStatus::HardDrained) => "device-hard-drained",
        (DeviceStatus::Drained, DesiredStatus::SoftDrained) => "device-soft-drained",
        (DeviceStatus::Drained, DesiredStatus::Activated | DesiredStatus::Pending) => "device-undraining",
        (DeviceStatus::Pending | DeviceStatus::Suspended | DeviceStatus::Deleting | DeviceStatus::Rejected, _) => {
            "device-suspended"
        }
    }
}

#[test]
fn every_status_has_a_row() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for family in [Family::Frr, Family::Eos] {
        let same = |row: &str, ledger: &SyntheticLedger| {
            let golden = fs::read_to_string(folder.join(format!("{row}.{family}"))).unwrap();
            golden == render_device(&ledger.snapshot, &code("ams"), None).unwrap().text.to_string()
        };
        for status in LinkStatus::ALL {
            let mut ledger = SyntheticLedger::ring(family);
            link(&mut ledger, *status);
            assert!(same(link_row(*status), &ledger), "{family}: a link that is {status}");
        }
        for status in DeviceStatus::ALL {
            for desired in DesiredStatus::ALL {
                let mut ledger = SyntheticLedger::ring(family);
                device(&mut ledger, *status, *desired);
                assert!(same(device_row(*status, *desired), &ledger), "{family}: {status}, wished {desired}");
            }
        }
    }
}

#[test]
fn every_row_of_the_status_table_has_its_text() {
    let rewrite = env::var_os("CAUSEWAY_REWRITE_GOLDEN").is_some_and(|v| v == "1");
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let (mut wrong, mut texts) = (Vec::new(), Vec::new());
    for family in [Family::Frr, Family::Eos] {
        for (row, change) in ROWS {
            let mut ledger = SyntheticLedger::ring(family);
            change(&mut ledger);
            texts.push((
                format!("{row}.{family}"),
                render_device(&ledger.snapshot, &code("ams"), None).unwrap().text.to_string(),
            ));
        }
        let ledger = network::ring(50, family);
        for (device, row) in REFLECTED {
            texts.push((
                format!("{row}.{family}"),
                render_device(&ledger.snapshot, &code(device), None).unwrap().text.to_string(),
            ));
        }
    }
    for (file, text) in texts {
        let path = folder.join(file);
        if rewrite {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &text).unwrap();
        }
        match fs::read_to_string(&path) {
            Ok(golden) if golden == text => {}
            Ok(golden) => wrong.push(format!(
                "{}\n{}",
                path.display(),
                similar::TextDiff::from_lines(&golden, &text).unified_diff()
            )),
            Err(error) => wrong.push(format!("{}: {error}", path.display())),
        }
    }
    assert!(wrong.is_empty(), "run with CAUSEWAY_REWRITE_GOLDEN=1 if this is meant:\n{}", wrong.join("\n"));
}
