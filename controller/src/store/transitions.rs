//! What changed on the ledger between two snapshots, for the log of events.

use causeway_sdk::snapshot::Snapshot;

use crate::events::Change;

/// Changes of status and health between two snapshots.
pub(super) fn transitions(before: &Snapshot, after: &Snapshot) -> Vec<Change> {
    let mut changes = changed_records(before, after);
    for (_, device) in before.devices.iter().filter(|(key, _)| !after.devices.contains_key(*key)) {
        changes.push(Change::DeviceStatus { device: device.code, from: Some(device.header.status), to: None });
    }
    for (_, link) in before.links.iter().filter(|(key, _)| !after.links.contains_key(*key)) {
        changes.push(Change::LinkStatus { link: link.code, from: Some(link.header.status), to: None });
    }
    changes
}

/// Changes of status and health of the records of `after`.
pub(super) fn changed_records(before: &Snapshot, after: &Snapshot) -> Vec<Change> {
    let mut changes = Vec::new();
    for (key, device) in &after.devices {
        let known = before.devices.get(key);
        let (from, to) = (known.map(|d| d.header.status), device.header.status);
        if from != Some(to) {
            changes.push(Change::DeviceStatus { device: device.code, from, to: Some(to) });
        }
        if let Some(from) = known.map(|d| d.header.health).filter(|from| *from != device.header.health) {
            changes.push(Change::DeviceHealth { device: device.code, from, to: device.header.health });
        }
    }
    for (key, link) in &after.links {
        let known = before.links.get(key);
        let (from, to) = (known.map(|l| l.header.status), link.header.status);
        if from != Some(to) {
            changes.push(Change::LinkStatus { link: link.code, from, to: Some(to) });
        }
        if let Some(from) = known.map(|l| l.header.health).filter(|from| *from != link.header.health) {
            changes.push(Change::LinkHealth { link: link.code, from, to: link.header.health });
        }
    }
    changes
}
