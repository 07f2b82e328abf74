//! A small change costs a small change, and both ways of taking one in give the same.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "common/network.rs"]
mod network;

use std::collections::BTreeSet;

use causeway_controller::{
    change::Announced,
    events::Change,
    render::{Family, render_device},
    testing::code,
};
use causeway_interface::{DesiredStatus, DeviceHealth, DeviceStatus, LinkHealth, LinkStatus, Prefix};
use causeway_sdk::snapshot::Snapshot;
use network::{Serving, accounts, changed, encode, ring};
use proptest::prelude::*;

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|n| (*n).to_string()).collect()
}

/// What an account's change is announced as.
fn link(snapshot: &Snapshot, slot: u64, name: &str) -> Announced {
    let (key, link) = snapshot.link(&code(name)).unwrap();
    Announced { slot, accounts: vec![(key, encode(link))] }
}

fn device(snapshot: &Snapshot, slot: u64, name: &str) -> Announced {
    let (key, device) = snapshot.device(&code(name)).unwrap();
    Announced { slot, accounts: vec![(key, encode(device))] }
}

/// A change of one thing.
#[derive(Clone, Copy, Debug)]
enum One {
    LinkStatus(usize, LinkStatus),
    LinkDelay(usize, u64),
    LinkHealth(usize, LinkHealth),
    LinkNet(usize, usize),
    DeviceStatus(usize, DeviceStatus),
    DeviceDesired(usize, DesiredStatus),
    DeviceHealth(usize, DeviceHealth),
    Address(usize, usize, u32),
    PortTwice(usize),
}

const DEVICES: usize = 7;

fn changes() -> impl Strategy<Value = One> {
    let at = 0..DEVICES;
    prop_oneof![
        (at.clone(), prop::sample::select(LinkStatus::ALL)).prop_map(|(n, s)| One::LinkStatus(n, s)),
        (at.clone(), prop_oneof![Just(1u64), 10_000u64..=1_000_000_000]).prop_map(|(n, d)| One::LinkDelay(n, d)),
        (at.clone(), prop::sample::select(LinkHealth::ALL)).prop_map(|(n, h)| One::LinkHealth(n, h)),
        (at.clone(), at.clone()).prop_map(|(n, m)| One::LinkNet(n, m)),
        (at.clone(), prop::sample::select(DeviceStatus::ALL)).prop_map(|(n, s)| One::DeviceStatus(n, s)),
        (at.clone(), prop::sample::select(DesiredStatus::ALL)).prop_map(|(n, s)| One::DeviceDesired(n, s)),
        (at.clone(), prop::sample::select(DeviceHealth::ALL)).prop_map(|(n, h)| One::DeviceHealth(n, h)),
        (at.clone(), 0usize..12, any::<u32>()).prop_map(|(n, i, a)| One::Address(n, i, a)),
        at.prop_map(One::PortTwice),
    ]
}

fn make(snapshot: &mut Snapshot, one: One) -> Announced {
    let slot = snapshot.slot + 7;
    snapshot.slot = slot;
    let key = |name: String| code(&name);
    let link_key = |s: &Snapshot, n: usize| s.link(&key(format!("l{n:03}"))).unwrap().0;
    let device_key = |s: &Snapshot, n: usize| s.device(&key(format!("d{n:03}"))).unwrap().0;
    let (at, bytes) = match one {
        One::LinkStatus(n, _) | One::LinkDelay(n, _) | One::LinkHealth(n, _) | One::LinkNet(n, _) => {
            let other = match one {
                One::LinkNet(_, m) => snapshot.links[&link_key(snapshot, m)].tunnel_net,
                _ => Prefix::NONE,
            };
            let at = link_key(snapshot, n);
            let link = snapshot.links.get_mut(&at).unwrap();
            match one {
                One::LinkStatus(_, status) => link.header.status = status,
                One::LinkDelay(_, delay_ns) => link.delay_ns = delay_ns,
                One::LinkHealth(_, health) => link.header.health = health,
                _ => link.tunnel_net = other,
            }
            (at, encode(link))
        }
        One::DeviceStatus(n, _)
        | One::DeviceDesired(n, _)
        | One::DeviceHealth(n, _)
        | One::Address(n, ..)
        | One::PortTwice(n) => {
            let at = device_key(snapshot, n);
            let device = snapshot.devices.get_mut(&at).unwrap();
            match one {
                One::DeviceStatus(_, status) => device.header.status = status,
                One::DeviceDesired(_, desired) => device.header.desired = desired,
                One::DeviceHealth(_, health) => device.header.health = health,
                One::Address(_, i, address) => device.interfaces[i].address = Prefix::new(address, 32),
                _ => {
                    let twice = device.interfaces[4].clone();
                    device.interfaces.push(twice);
                }
            }
            (at, encode(device))
        }
    };
    Announced { slot, accounts: vec![(at, bytes)] }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_quick_way_gives_what_the_whole_way_gives(steps in prop::collection::vec(changes(), 1..8)) {
        let mut ledger = ring(DEVICES, Family::Frr);
        let (mut quick, mut whole) = (Serving::new(), Serving::new());
        quick.take(&ledger.snapshot);
        whole.take(&ledger.snapshot);
        for one in steps {
            let announced = make(&mut ledger.snapshot, one);
            let expected = changed(&whole.take(&ledger.snapshot));
            let found = match quick.quick(&announced) {
                Some(changes) => changed(&changes),
                None => changed(&quick.take(&ledger.snapshot)),
            };
            prop_assert_eq!(found, expected, "{:?}", one);
            prop_assert_eq!(quick.everything(), whole.everything(), "{:?}", one);
            prop_assert_eq!(quick.store.effective(), whole.store.effective(), "{:?}", one);
            prop_assert_eq!(quick.store.faults(), whole.store.faults(), "{:?}", one);
            // Who was not looked at has the text that it would be given.
            let effective = whole.store.effective().unwrap();
            for (device, entry) in whole.store.entries().iter().filter(|(_, entry)| entry.is_clear()) {
                let fresh = render_device(effective, device, None).unwrap();
                prop_assert_eq!(&entry.current.as_ref().unwrap().text, &fresh.text, "{:?} {}", one, device);
            }
        }
    }

    #[test]
    fn in_whatever_order_a_large_ledger_was_read_the_bytes_are_the_same(seed in any::<u64>()) {
        let ledger = ring(60, Family::Eos);
        let mut accounts: Vec<_> = accounts(&ledger.snapshot).into_iter().collect();
        accounts.sort_by_key(|(k, _)| causeway_wire::signing::sha256(&[&seed.to_le_bytes()[..], &k.0].concat()));
        let read = accounts.iter().map(|(k, b)| (*k, b.as_slice()));
        let shuffled = Snapshot::from_accounts(ledger.snapshot.program_id, ledger.snapshot.slot, read);
        let (mut one, mut other) = (Serving::new(), Serving::new());
        one.take(&ledger.snapshot);
        other.take(&shuffled);
        prop_assert_eq!(one.texts(), other.texts());
    }
}

#[test]
fn what_happens_all_day_takes_the_quick_way_and_renders_what_it_concerns() {
    for devices in [DEVICES, 60] {
        let mut ledger = ring(devices, Family::Frr);
        let mut serving = Serving::new();
        serving.take(&ledger.snapshot);
        let mut slot = ledger.snapshot.slot;
        for status in [
            LinkStatus::SoftDrained,
            LinkStatus::HardDrained,
            LinkStatus::Activated,
            LinkStatus::Suspended,
            LinkStatus::Provisioning,
            LinkStatus::Activated,
        ] {
            slot += 10;
            ledger.link_mut("l003").header.status = status;
            let changes = serving.quick(&link(&ledger.snapshot, slot, "l003")).expect("a small change");
            assert_eq!(changed(&changes), set(&["d003", "d004"]), "{status}");
            assert!(changes.iter().any(|c| matches!(c, Change::LinkStatus { .. })));
        }
        let renders = serving.store.renders();
        ledger.device_mut("d005").header.health = DeviceHealth::Impaired;
        let changes = serving.quick(&device(&ledger.snapshot, slot, "d005")).expect("a small change");
        assert!(changed(&changes).is_empty() && serving.store.renders() == renders);
        ledger.device_mut("d000").header.status = DeviceStatus::Drained;
        let changes = serving.quick(&device(&ledger.snapshot, slot, "d000")).expect("a small change");
        assert_eq!(changed(&changes), set(&["d000"]), "a reflector that is drained stays everybody's reflector");
    }
}

#[test]
fn what_concerns_others_does_not_take_the_quick_way() {
    let ledger = ring(DEVICES, Family::Frr);
    let mut serving = Serving::new();
    let none = Announced { slot: 2_000, accounts: Vec::new() };
    assert!(serving.quick(&none).is_none(), "nothing is served yet");
    serving.take(&ledger.snapshot);
    let network = encode(ledger.snapshot.network.as_ref().unwrap());
    let (at, location) = ledger.snapshot.locations.iter().next().unwrap();
    let mut suspended = ledger.clone();
    suspended.device_mut("d001").header.status = DeviceStatus::Suspended;
    let mut more = ledger.clone();
    more.device("new");
    more.link("new-link", "new", "d001");
    for (what, announced) in [
        ("the network", Announced { slot: 2_000, accounts: vec![(causeway_interface::Key([42; 32]), network)] }),
        ("a location", Announced { slot: 2_000, accounts: vec![(*at, encode(location))] }),
        ("garbage", Announced { slot: 2_000, accounts: vec![(*at, vec![250; 40])] }),
        ("a device that leaves", device(&suspended.snapshot, 2_000, "d001")),
        ("a new device", device(&more.snapshot, 2_000, "new")),
        ("a new link", link(&more.snapshot, 2_000, "new-link")),
        ("an older slot", link(&ledger.snapshot, 1, "l001")),
    ] {
        assert!(serving.quick(&announced).is_none(), "{what}");
    }
}

#[test]
fn a_device_that_joins_a_large_network_changes_its_regions_reflectors_and_a_small_network_is_a_mesh() {
    for (devices, expected) in
        [(60, set(&["d000", "d003", "d004", "new"])), (5, set(&["d000", "d001", "d002", "d003", "d004", "new"]))]
    {
        let mut ledger = ring(devices, Family::Frr);
        let mut serving = Serving::new();
        serving.take(&ledger.snapshot);
        let location = ledger.snapshot.devices[&ledger.device_key("d000")].location;
        ledger.device("new").location = location;
        ledger.link("new-link", "new", "d004");
        ledger.snapshot.slot += 10;
        let changes = serving.take(&ledger.snapshot);
        assert_eq!(changed(&changes), expected, "d000 and d003 reflect, d004 has the link");
    }
}

#[test]
fn the_fiftieth_device_ends_the_mesh_without_anybodys_approval() {
    let mut ledger = ring(49, Family::Frr);
    let mut serving = Serving::new();
    serving.take(&ledger.snapshot);
    ledger.device("new");
    ledger.snapshot.slot += 10;
    let changes = serving.take(&ledger.snapshot);
    assert_eq!(changed(&changes).len(), 50);
    assert!(serving.store.entries().values().all(|e| e.held.is_none()));
}

#[test]
fn a_network_that_falls_apart_is_held_also_where_routes_are_reflected() {
    let mut ledger = ring(60, Family::Frr);
    let mut serving = Serving::new();
    serving.take(&ledger.snapshot);
    let before = serving.texts();
    for n in 0..50 {
        ledger.device_mut(&format!("d{n:03}")).header.status = DeviceStatus::Suspended;
    }
    for slot in [2_000, 3_000] {
        ledger.snapshot.slot = slot;
        serving.take(&ledger.snapshot);
        for n in 50..60 {
            let device = code(&format!("d{n:03}"));
            assert!(serving.store.entry(&device).unwrap().held.is_some(), "{device}");
            assert_eq!(serving.texts()[&device], before[&device]);
        }
    }
}
