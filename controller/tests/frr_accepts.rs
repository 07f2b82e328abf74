//! Real FRR checks the syntax of what is rendered, for every status a device and its links can have.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "common/network.rs"]
mod network;

use std::{fs, process::Command};

use causeway_controller::{
    render::{Family, render_device},
    testing::SyntheticLedger,
};
use causeway_interface::{DesiredStatus, DeviceStatus, LinkStatus, Prefix};

fn accepts(ledger: &SyntheticLedger, what: &str) {
    let folder = tempfile::tempdir().unwrap();
    for device in ledger.snapshot.devices.values() {
        let text = render_device(&ledger.snapshot, &device.code, Some(Family::Frr)).unwrap().text.to_string();
        let file = folder.path().join(format!("{}.conf", device.code));
        fs::write(&file, &text).unwrap();
        let output = Command::new("vtysh").arg("-C").arg("-f").arg(&file).output().unwrap_or_else(|error| {
            panic!("this test needs FRR's vtysh (Debian: apt-get install frr), which could not be run: {error}")
        });
        assert!(
            output.status.success(),
            "{what}: FRR refused the text of {}: {}{}\n{text}",
            device.code,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn real_frr_accepts_every_status_of_links_and_devices() {
    for status in LinkStatus::ALL {
        let mut ledger = SyntheticLedger::ring(Family::Frr);
        ledger.link_mut("ams-fra").header.status = *status;
        accepts(&ledger, status.name());
    }
    for status in DeviceStatus::ALL {
        for desired in DesiredStatus::ALL {
            let mut ledger = SyntheticLedger::ring(Family::Frr);
            let device = ledger.device_mut("ams");
            device.header.status = *status;
            device.header.desired = *desired;
            accepts(&ledger, status.name());
        }
    }
}

#[test]
fn real_frr_accepts_management_in_a_vrf_and_the_names_of_another_platform() {
    for platform in [Family::Frr, Family::Eos] {
        let mut ledger = SyntheticLedger::ring(platform);
        let device = ledger.device_mut("lon");
        device.management_vrf = "mgmt".parse().unwrap();
        device.interfaces[0].address = Prefix::new(0xc0a8_0001, 24);
        accepts(&ledger, platform.name());
    }
}

#[test]
fn real_frr_accepts_reflectors_and_their_clients() {
    accepts(&network::ring(50, Family::Frr), "reflection");
}

#[test]
fn real_frr_refuses_what_it_should() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.conf");
    fs::write(&file, "router isis 1\n no such line\n").unwrap();
    let output = Command::new("vtysh").arg("-C").arg("-f").arg(&file).output().unwrap();
    assert!(!output.status.success(), "vtysh accepts anything, so the tests beside this one prove nothing");
}
