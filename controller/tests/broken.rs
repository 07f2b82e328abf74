//! One broken record of each kind at once: every other device's bundle stays what it was, byte for byte. And a broken record
//! keeps nobody in service.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "common/network.rs"]
mod network;

use causeway_controller::{render::Family, testing::code};
use causeway_interface::{DesiredStatus, DeviceStatus, Key, LinkStatus, LoopbackType, Prefix};
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

#[test]
fn a_broken_record_keeps_no_device_in_service() {
    for devices in [12, 60] {
        for family in [Family::Frr, Family::Eos] {
            let mut ledger = ring(devices, family);
            let mut serving = Serving::new();
            serving.take(&ledger.snapshot);
            let before = serving.texts();
            let (d005, key) = (code("d005"), ledger.device_key("d005"));
            let mut take = |ledger: &mut causeway_controller::testing::SyntheticLedger| {
                ledger.snapshot.slot += 1_000;
                let changes = serving.take(&ledger.snapshot);
                let entry = serving.store.entry(&d005).unwrap();
                assert_eq!(entry.problem.as_ref().map(|p| p.code), Some("interface-twice"));
                assert!(entry.held.is_none());
                (serving.texts(), changed(&changes).into_iter().collect::<Vec<_>>())
            };
            let port = ledger.snapshot.devices[&key].interfaces[3].clone();
            let twice = port.name.to_string().to_ascii_uppercase();
            ledger
                .device_mut("d005")
                .interfaces
                .push(causeway_interface::accounts::Interface { name: twice.parse().unwrap(), ..port });
            assert_eq!(take(&mut ledger), (before.clone(), Vec::new()), "the fault alone changes nothing");

            let device = ledger.device_mut("d005");
            (device.header.status, device.header.desired) = (DeviceStatus::Drained, DesiredStatus::HardDrained);
            let (drained, changed) = take(&mut ledger);
            assert_eq!(changed, ["d005"]);
            let overload = |text: &str| text.lines().any(|line| line.trim() == "set-overload-bit");
            assert!(!overload(&before[&d005]) && overload(&drained[&d005]), "{}", drained[&d005]);

            ledger.device_mut("d005").header.status = DeviceStatus::Suspended;
            let (suspended, changed) = take(&mut ledger);
            assert!(changed.contains(&d005.to_string()), "{changed:?}");
            assert!(!suspended[&d005].contains("\nrouter "), "{}", suspended[&d005]);
            // What the same device without the fault would have.
            ledger.device_mut("d005").interfaces.pop();
            let mended = causeway_controller::render::render_device(&ledger.snapshot, &d005, None).unwrap();
            assert_eq!(suspended[&d005], mended.text.to_string());
        }
    }
}

#[test]
fn a_broken_record_keeps_the_keys_of_the_ledger() {
    let mut ledger = ring(12, Family::Frr);
    let mut serving = Serving::new();
    serving.take(&ledger.snapshot);
    let device = ledger.device_mut("d005");
    device.interfaces[3].name = "lo".parse().unwrap();
    device.agent_key = Key([77; 32]);
    ledger.snapshot.slot += 1_000;
    serving.take(&ledger.snapshot);
    assert_eq!(serving.store.device(&code("d005")).unwrap().agent_key, Key([77; 32]), "a lost key is replaced at once");
}

#[test]
fn a_drain_of_a_broken_link_reaches_both_ends() {
    let mut ledger = ring(12, Family::Frr);
    let mut serving = Serving::new();
    serving.take(&ledger.snapshot);
    let link = ledger.link_mut("l005");
    (link.delay_ns, link.header.status) = (1, LinkStatus::HardDrained);
    ledger.snapshot.slot += 1_000;
    let changes = serving.take(&ledger.snapshot);
    assert_eq!(changed(&changes).into_iter().collect::<Vec<_>>(), ["d005", "d006"]);
    for end in ["d005", "d006"] {
        let entry = serving.store.entry(&code(end)).unwrap();
        assert_eq!(entry.problem.as_ref().map(|p| p.code), Some("delay-out-of-range"));
        assert_eq!(serving.texts()[&code(end)].matches(" isis passive").count(), 2, "the link's, and lo's");
    }
}
