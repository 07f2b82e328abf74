//! From a snapshot to what is judged, over which window.

use causeway_interface::{DeviceStatus, LinkStatus};
use causeway_sdk::Snapshot;
use solana_sdk::signature::Keypair;

use super::scene::*;
use crate::{
    Kind,
    criteria::{Criterion, Outcome},
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
