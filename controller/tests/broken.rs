//! One broken record of each kind at once: every other device's bundle stays what it was, byte for byte.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "common/network.rs"]
mod network;

use causeway_controller::{render::Family, testing::code};
use causeway_interface::{Key, LinkStatus, LoopbackType, Prefix};
use causeway_sdk::snapshot::Snapshot;
use network::{Serving, accounts, changed, encode, ring};

/// Bytes of a device's account with a platform that doesn't exist.
fn of_unknown_platform(device: &causeway_interface::accounts::Device) -> Vec<u8> {
    let mut other = device.clone();
    other.platform = if device.platform == Family::Frr { Family::Eos } else { Family::Frr };
    let (mut bytes, other) = (encode(device), encode(&other));
    let at = bytes.iter().zip(&other).position(|(a, b)| a != b).unwrap();
    bytes[at] = 77;
    bytes
}

#[test]
fn a_broken_record_of_every_kind_changes_nothing_for_the_others() {
    // In a mesh and with reflectors; among the broken ones are two reflectors and the location of a third of all devices.
    for devices in [12, 60] {
        for family in [Family::Frr, Family::Eos] {
            let ledger = ring(devices, family);
            let mut serving = Serving::new();
            let whole = accounts(&ledger.snapshot);
            let read = |accounts: &std::collections::BTreeMap<Key, Vec<u8>>, slot: u64| {
                let accounts = accounts.iter().map(|(k, b)| (*k, b.as_slice()));
                Snapshot::from_accounts(ledger.snapshot.program_id, slot, accounts)
            };
            serving.take(&read(&whole, 1_000));
            let before = serving.everything();

            let mut broken = whole.clone();
            let mut loopback = ledger.snapshot.devices[&ledger.device_key("d000")].clone();
            loopback.interfaces.iter_mut().find(|i| i.loopback == LoopbackType::Vpnv4).unwrap().address =
                Prefix::new(0xc612_0001, 24);
            broken.insert(ledger.device_key("d000"), encode(&loopback));
            let platform = ledger.device_key("d003");
            broken.insert(platform, of_unknown_platform(&ledger.snapshot.devices[&platform]));
            broken.insert(ledger.device_key("d007"), vec![0xee; 700]);
            broken.insert(Key([99; 32]), vec![0xff; 33]);
            broken.insert(Key([98; 32]), Vec::new());
            let location = ledger.snapshot.devices[&ledger.device_key("d001")].location;
            broken.insert(location, vec![0xaa; 20]);

            let found = read(&broken, 2_000);
            assert_eq!(found.undecodable.len(), 5);
            let changes = serving.take(&found);
            assert!(changed(&changes).is_empty(), "{changes:?}");
            let after = serving.everything();
            for (device, (bundle, probes, ..)) in &before {
                assert_eq!((bundle, probes), (&after[device].0, &after[device].1), "{device}");
            }
            for (device, problem) in
                [("d000", "loopback-unsound"), ("d003", "account-undecodable"), ("d007", "account-undecodable")]
            {
                let entry = serving.store.entry(&code(device)).unwrap();
                assert_eq!(entry.problem.as_ref().map(|p| p.code), Some(problem), "{device}");
            }
            assert_eq!(after.values().filter(|(.., troubled)| *troubled).count(), 3);

            // The others go on being changed.
            let mut link = ledger.snapshot.links[&ledger.link_key("l009")].clone();
            link.header.status = LinkStatus::SoftDrained;
            broken.insert(ledger.link_key("l009"), encode(&link));
            let changes = serving.take(&read(&broken, 3_000));
            assert_eq!(changed(&changes).into_iter().collect::<Vec<_>>(), ["d009", "d010"]);
        }
    }
}
