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

/// What the ledger says of device d-1 as one verdict, without telemetry.
fn verdict_of(snapshot: &Snapshot, kind: Kind) -> crate::subjects::Judged {
    let clock = time::SlotClock::new(snapshot.slot, 10_000_000);
    let mut stages = crate::subjects::Stages::default();
    stages.update(snapshot, &clock);
    let court = crate::subjects::Court {
        snapshot,
        network: snapshot.network.as_ref().unwrap(),
        clock: &clock,
        rules: &rules(),
        stages: &stages,
        now_ms: 10_000_000,
    };
    let silent = |_: &crate::store::WindowQuery| Ok(crate::telemetry::DeviceTelemetry::default());
    court.judge(silent).unwrap().into_iter().find(|j| j.kind == kind).unwrap()
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
    // Only a change that shows in the configuration asks for a younger one.
    for (status, generation) in [(LinkStatus::SoftDrained, 900), (LinkStatus::Deleting, 0)] {
        let header = &mut snapshot.links.get_mut(&link).unwrap().header;
        (header.status, header.status_since_slot) = (status, 900);
        let required = result(&snapshot, Criterion::D6).required;
        assert!(required.ends_with(&format!("generation at least {generation}")), "{required}");
    }
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
