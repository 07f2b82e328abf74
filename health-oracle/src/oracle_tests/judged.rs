//! From a snapshot to what is judged, over which window.

use std::collections::{BTreeSet, HashSet};

use causeway_interface::{
    DeviceStatus, InterfaceName, Key, LinkStatus,
    accounts::{Device, Link},
};
use causeway_sdk::Snapshot;
use solana_sdk::signature::Keypair;

use super::scene::*;
use crate::{
    Kind,
    criteria::{Criterion, Outcome, device::evaluate_device, link::evaluate_link, standard::Standard},
    evidence::exhibit::Facts,
    subjects::{Judged, is_judged_device, is_judged_link},
    telemetry::{AdjacencyBucket, DeviceTelemetry, InterfaceBucket, ProbeBucket, ProbeKind, Track, fleet::Fleet},
    time,
};

/// What the ledger says of its first device or link as one verdict, without telemetry.
fn verdict_of(snapshot: &Snapshot, kind: Kind) -> crate::subjects::Judged {
    judged_of(snapshot, kind, &crate::telemetry::DeviceTelemetry::default())
}

fn judged_of(
    snapshot: &Snapshot,
    kind: Kind,
    telemetry: &crate::telemetry::DeviceTelemetry,
) -> crate::subjects::Judged {
    let clock = time::SlotClock::new(snapshot.slot, 10_000_000);
    let mut stages = crate::subjects::Stages::default();
    stages.update(snapshot, &clock);
    let court = crate::subjects::Court {
        snapshot,
        network: snapshot.network.as_ref().unwrap(),
        clock: &clock,
        rules: &crate::RuleBook::from(rules()),
        stages: &stages,
        now_ms: 10_000_000,
    };
    let mut fleet = crate::telemetry::fleet::Fleet::new(1_000, 0);
    for device in snapshot.devices.values() {
        fleet.show(device.code, telemetry.clone());
    }
    court.judge(&fleet, None).into_iter().find(|j| j.kind == kind).unwrap()
}

#[test]
fn a_drained_link_still_belongs_to_the_shape() {
    let result = |snapshot: &Snapshot, id| {
        let judged = verdict_of(snapshot, Kind::Device);
        judged.verdict.criteria.into_iter().find(|c| c.id == id).unwrap()
    };
    let mut snapshot = network_of(&Keypair::new());
    let link = *snapshot.links.keys().next().unwrap();
    for (status, u1, u3) in [
        (LinkStatus::Activated, Outcome::Passed, Outcome::Passed),
        (LinkStatus::SoftDrained, Outcome::Failed, Outcome::Passed),
        (LinkStatus::HardDrained, Outcome::Failed, Outcome::Passed),
        (LinkStatus::Provisioning, Outcome::Failed, Outcome::Failed),
        (LinkStatus::Suspended, Outcome::Failed, Outcome::Failed),
    ] {
        snapshot.links.get_mut(&link).unwrap().header.status = status;
        assert_eq!(result(&snapshot, Criterion::U1).passed, u1, "{status}");
        assert_eq!(result(&snapshot, Criterion::U3).passed, u3, "{status}");
    }
    // Of an agent that can't say as of which slot it is, only a change that shows asks for a younger generation.
    for (status, generation) in [(LinkStatus::SoftDrained, 900), (LinkStatus::Deleting, 0)] {
        let header = &mut snapshot.links.get_mut(&link).unwrap().header;
        (header.status, header.status_since_slot) = (status, 900);
        let required = result(&snapshot, Criterion::D6).required;
        assert!(required.ends_with(&format!("generation at least {generation}")), "{required}");
    }
}

/// From the ledger to what U4 asks: whom, of whom, and since when.
#[test]
fn a_new_device_is_asked_for_answers_of_the_activated_ones_it_reaches() {
    let mut snapshot = network_of(&Keypair::new());
    let u4 = |snapshot: &Snapshot, telemetry: &crate::telemetry::DeviceTelemetry| {
        let judged = judged_of(snapshot, Kind::Device, telemetry);
        judged.verdict.criteria.into_iter().find(|c| c.id == Criterion::U4).unwrap()
    };
    let silent = crate::telemetry::DeviceTelemetry::default();
    assert_eq!(u4(&snapshot, &silent).observed, "in service");
    // The first of the list, whichever it is, becomes new again; the other is its target.
    let (new, target) = {
        let mut devices = snapshot.devices.iter();
        (*devices.next().unwrap().0, devices.next().unwrap().1.code)
    };
    let link = *snapshot.links.keys().next().unwrap();
    let device = snapshot.devices.get_mut(&new).unwrap();
    device.header.status = DeviceStatus::LinkProvisioning;
    snapshot.links.get_mut(&link).unwrap().header.status = LinkStatus::HardDrained;
    assert_eq!(u4(&snapshot, &silent).observed, "no targets");
    snapshot.links.get_mut(&link).unwrap().header.status = LinkStatus::Activated;
    let asked = u4(&snapshot, &silent);
    assert_eq!(asked.passed, Outcome::NotObserved);
    assert_eq!(asked.observed, "answered in 0 of 0 buckets, by 0 of 1 targets");
    // Probes of 10 s up to now, which is at 10 000 s, as a store would hold them.
    let mut probed = silent.clone();
    let bucket = crate::telemetry::ProbeBucket { samples: 1, sent: 3, received: 3, rtt_max_ns: 1 };
    let mut track = crate::telemetry::Track::default();
    (19_980..20_000).for_each(|n| track.push(n, bucket, 1_000));
    probed.probes.insert((crate::telemetry::ProbeKind::Qa, target), track);
    assert_eq!(u4(&snapshot, &probed).passed, Outcome::Passed);
    // The target was activated after the new device's link: there was nobody to probe before.
    let of_target = snapshot.devices.values_mut().find(|d| d.code == target).unwrap();
    of_target.header.status_since_slot = snapshot.slot - 5;
    let joined = u4(&snapshot, &silent);
    assert_eq!(joined.passed, Outcome::Passed);
    assert!(joined.detail.starts_with("the first target came into reach 2 s ago"), "{joined:?}");
}

#[test]
fn windows_follow_the_stage_and_the_ledgers_pace() {
    let mut snapshot = network_of(&Keypair::new());
    let key = *snapshot.devices.keys().next().unwrap();
    snapshot.network.as_mut().unwrap().burn_in_new_slots = 500;
    snapshot.network.as_mut().unwrap().burn_in_maintenance_slots = 100;
    let length = |snapshot: &Snapshot| {
        let window = verdict_of(snapshot, Kind::Device).window;
        assert!(window.end_slot <= snapshot.slot && window.start_slot <= window.end_slot);
        (window.end_ms - window.start_ms).div_ceil(1_000)
    };
    assert_eq!(length(&snapshot), 40, "in service: 100 slots of 400 ms");
    let header = &mut snapshot.devices.get_mut(&key).unwrap().header;
    header.status = DeviceStatus::DeviceProvisioning;
    assert_eq!(length(&snapshot), 200, "new: 500 slots");
    snapshot.devices.get_mut(&key).unwrap().header.status_since_slot = snapshot.slot - 25;
    assert_eq!(length(&snapshot), 8, "since the stage began 10 s ago and had 2 s to settle");
    for status in [DeviceStatus::Pending, DeviceStatus::Rejected, DeviceStatus::Deleting] {
        snapshot.devices.get_mut(&key).unwrap().header.status = status;
        assert_ne!(verdict_of(&snapshot, Kind::Device).key, key, "{status} is not judged");
    }
}

const NOW: u64 = 10_000_000;

/// Numbers in no order, the same each time.
struct Dice(u64);

impl Dice {
    /// Below `sides`.
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// A network of many, of which some are unreadable, looped, drained or on their way, and what their devices say, which is
/// now and then bad, missing or nothing.
fn any_network(devices: usize, links: usize, dice: &mut Dice) -> (Snapshot, Fleet) {
    let mut snapshot = network_of(&Keypair::new());
    let addresses = snapshot.addresses();
    let (device, link) =
        (snapshot.devices.values().next().unwrap().clone(), snapshot.links.values().next().unwrap().clone());
    (snapshot.devices, snapshot.links) = Default::default();
    let mut keys = vec![Key([9; 32])];
    for n in 0..devices {
        let code = format!("any-{n}").parse().unwrap();
        let mut header = device.header.clone();
        header.status =
            [DeviceStatus::Activated, DeviceStatus::Activated, DeviceStatus::Pending, DeviceStatus::Drained]
                [dice.roll(4) as usize];
        keys.push(causeway_sdk::address::to_key(&addresses.device(&code)));
        snapshot.devices.insert(keys[n + 1], Device { code, header, ..device.clone() });
    }
    let name = |n: u64| format!("eth{n}").parse::<InterfaceName>().unwrap();
    for n in 0..links {
        let code = format!("any-{n}").parse().unwrap();
        let mut header = link.header.clone();
        header.status =
            [LinkStatus::Activated, LinkStatus::SoftDrained, LinkStatus::HardDrained, LinkStatus::Requested]
                [dice.roll(4) as usize];
        header.status_since_slot = 900 + dice.roll(101);
        let [device_a, device_z] = [(); 2].map(|()| keys[dice.roll(keys.len() as u64) as usize]);
        let [interface_a, interface_z] = [(); 2].map(|()| name(dice.roll(5)));
        let any = Link { code, header, device_a, device_z, interface_a, interface_z, ..link.clone() };
        snapshot.links.insert(causeway_sdk::address::to_key(&addresses.link(&code)), any);
    }
    let mut fleet = Fleet::new(1_000, 100_000);
    for device in snapshot.devices.values().filter(|_| dice.roll(10) > 0) {
        fleet.show(device.code, DeviceTelemetry::default());
    }
    let shown: Vec<_> = snapshot.devices.iter().filter(|(_, d)| fleet.device(&d.code).is_some()).collect();
    for (key, device) in shown {
        let mut telemetry = DeviceTelemetry::default();
        let mut last = |rare: u64| (9_900..9_997 + dice.roll(4)).filter(|_| dice.roll(rare) > 0).collect::<Vec<u64>>();
        for n in 0..5 {
            let (mut up, mut adjacent) = (Track::default(), Track::default());
            for bucket in last(200) {
                let bad = u64::from(bucket % 977 == n);
                let sum = InterfaceBucket { samples: 1, compared: 1, octets: 9, errors: bad, ..Default::default() };
                up.push(bucket, sum, 10);
                adjacent.push(bucket, AdjacencyBucket { samples: 1, down: bad as u32 }, 10);
            }
            telemetry.interfaces.insert(name(n), up);
            telemetry.adjacencies.insert(name(n), adjacent);
        }
        for link in snapshot.links.values().filter(|link| [link.device_a, link.device_z].contains(key)) {
            let mut probes = Track::default();
            for bucket in last(100) {
                let sum =
                    ProbeBucket { samples: 1, sent: 9, received: 9 - u64::from(bucket % 991 == 0), rtt_max_ns: 1 };
                probes.push(bucket, sum, 10);
            }
            telemetry.probes.insert((ProbeKind::Link, link.code), probes);
        }
        fleet.show(device.code, telemetry);
    }
    (snapshot, fleet)
}

/// However the work is divided, each verdict is that of the subject's own facts and telemetry alone.
#[test]
fn everything_is_judged_as_it_would_be_alone() {
    // The second is shared among threads.
    for (devices, links) in [(1, 3), (30, 90), (2_100, 2_500)] {
        let (snapshot, fleet) = any_network(devices, links, &mut Dice(7));
        let clock = time::SlotClock::new(snapshot.slot, NOW);
        let rules = crate::RuleBook::from(crate::Rules { bucket_ms: 1_000, ..rules() });
        let stages = crate::subjects::Stages::default();
        let network = snapshot.network.as_ref().unwrap();
        let (snapshot, clock, rules, stages, now_ms) = (&snapshot, &clock, &rules, &stages, NOW);
        let court = crate::subjects::Court { snapshot, network, clock, rules, stages, now_ms };
        let all = court.judge(&fleet, None);

        let there = |key: &Key| snapshot.devices.contains_key(key);
        let judged_devices = snapshot.devices.iter().filter(|(_, device)| is_judged_device(device.header.status));
        let judged_links = snapshot
            .links
            .iter()
            .filter(|(_, link)| is_judged_link(link.header.status) && there(&link.device_a) && there(&link.device_z));
        let expected: Vec<Key> = judged_devices.map(|(key, _)| *key).chain(judged_links.map(|(key, _)| *key)).collect();
        assert_eq!(all.iter().map(|judged| judged.key).collect::<Vec<_>>(), expected);

        let some: HashSet<Key> = expected.iter().step_by(3).copied().collect();
        let shown = court.judge(&fleet, Some(&some));
        let same: Vec<Judged> = shown.iter().map(|judged| Judged { basis: None, ..judged.clone() }).collect();
        assert!(all.iter().filter(|judged| some.contains(&judged.key)).eq(&same));

        let silent = DeviceTelemetry::default();
        let telemetry = |code| fleet.device(code).unwrap_or(&silent);
        let standard = Standard::from(&rules.all);
        for judged in &shown {
            let basis = judged.basis.as_ref().unwrap();
            let alone = match &basis.facts {
                Facts::Device(facts) => evaluate_device(&basis.buckets, facts, telemetry(&judged.code), &standard, NOW),
                Facts::Link(facts) => {
                    let ends = [telemetry(&facts.ends[0].0), telemetry(&facts.ends[1].0)];
                    evaluate_link(&basis.buckets, facts, ends, &standard, NOW)
                }
            };
            assert_eq!(judged.verdict, alone);
        }
        let found: BTreeSet<_> = all
            .iter()
            .flat_map(|judged| &judged.verdict.criteria)
            .filter(|result| matches!(result.id, Criterion::L1 | Criterion::L2 | Criterion::L3 | Criterion::U2))
            .map(|result| (result.id, result.passed.name()))
            .collect();
        assert!(devices < 30 || found.len() > 8, "{found:?}: what is compared says little");
    }
}
