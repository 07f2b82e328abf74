use super::*;
use crate::address::to_key;
use bytemuck::Zeroable;
use causeway_interface::{
    AccountType, Code, DesiredStatus, Platform,
    accounts::{
        LAYOUT_VERSION, RawAttestation, RawAttestations, RawContributor, RawDevice, RawExchange, RawHeader,
        RawLocation, RawNetwork,
    },
    lifecycle::{Reason, device::Condition},
};

const NOW: u64 = 1_000;

fn header(account_type: AccountType, status: u8) -> RawHeader {
    RawHeader { account_type: account_type.byte(), version: LAYOUT_VERSION, status, ..RawHeader::zeroed() }
}

/// A device in provisioning, three oracles with quorum two and a burn-in of 100 slots; each streak is the slots for
/// which that oracle has said ready for links.
fn world(streaks: [Option<u64>; 3]) -> (Snapshot, Key) {
    let mut snapshot = Snapshot::empty(Key([7; 32]), NOW);
    let addresses = snapshot.addresses();
    let code: Code = "x1".parse().unwrap();
    let active = RegistryStatus::Activated.byte();

    let mut network = RawNetwork::zeroed();
    network.header = header(AccountType::Network, NetworkStatus::Running.byte());
    network.oracle_epoch.set(3);
    (network.quorum, network.oracle_count) = (2, 3);
    network.burn_in_new_slots.set(100);
    network.burn_in_maintenance_slots.set(10);
    network.attestation_max_age_slots.set(50);
    for (n, oracle) in network.oracles.iter_mut().take(3).enumerate() {
        *oracle = Key([n as u8 + 1; 32]);
    }
    let mut contributor = RawContributor::zeroed();
    (contributor.header, contributor.code) = (header(AccountType::Contributor, active), code);
    let mut location = RawLocation::zeroed();
    (location.header, location.code) = (header(AccountType::Location, active), code);
    let mut exchange = RawExchange::zeroed();
    (exchange.header, exchange.code) = (header(AccountType::Exchange, active), code);
    let mut device = RawDevice::zeroed();
    device.header = header(AccountType::Device, DeviceStatus::DeviceProvisioning.byte());
    device.header.desired = DesiredStatus::Activated.byte();
    (device.code, device.platform) = (code, Platform::Frr.byte());
    device.contributor = to_key(&addresses.contributor(&code));
    device.location = to_key(&addresses.location(&code));
    device.exchange = to_key(&addresses.exchange(&code));
    let key = to_key(&addresses.device(&code));
    let mut attestations = RawAttestations::zeroed();
    attestations.header = header(AccountType::Attestations, 0);
    attestations.header.kind = AccountType::Device.byte();
    attestations.subject = key;
    let mut said = bytemuck::bytes_of(&attestations).to_vec();
    said.extend(3u32.to_le_bytes());
    for streak in streaks {
        let mut entry = RawAttestation::zeroed();
        if let Some(streak) = streak {
            entry.verdict = DeviceHealth::ReadyForLinks.byte();
            entry.epoch.set(3);
            entry.slot.set(NOW - 5);
            entry.since[0].set(NOW - 5 - streak);
        }
        said.extend(bytemuck::bytes_of(&entry));
    }
    let mut device_bytes = bytemuck::bytes_of(&device).to_vec();
    device_bytes.extend(0u32.to_le_bytes());

    snapshot.put(to_key(&addresses.network()), bytemuck::bytes_of(&network));
    snapshot.put(device.contributor, bytemuck::bytes_of(&contributor));
    snapshot.put(device.location, bytemuck::bytes_of(&location));
    snapshot.put(device.exchange, bytemuck::bytes_of(&exchange));
    snapshot.put(key, &device_bytes);
    snapshot.put(to_key(&addresses.attestations(&key)), &said);
    assert_eq!(snapshot.undecodable, vec![]);
    (snapshot, key)
}

#[test]
fn a_burned_in_quorum_moves_a_device_on() {
    let (snapshot, key) = world([Some(100), Some(130), None]);
    let prediction = device(&snapshot, &key, NOW).unwrap();
    assert_eq!(prediction.health, DeviceHealth::ReadyForLinks);
    assert_eq!(prediction.transition, Ok(Outcome::To(DeviceStatus::LinkProvisioning)));
    assert_eq!(prediction.detail.burn_in_left_slots, Some(0));
    assert!(prediction.changes());
}

#[test]
fn the_rest_of_the_burn_in_is_the_quorums() {
    let (snapshot, key) = world([Some(130), Some(40), Some(10)]);
    let prediction = device(&snapshot, &key, NOW).unwrap();
    assert_eq!(prediction.health, DeviceHealth::Pending);
    assert_eq!(prediction.transition.unwrap_err().reason, Reason::Unmet(Condition::HealthForLinks));
    assert_eq!(prediction.detail.burn_in_left_slots, Some(60));
    assert_eq!(prediction.detail.oracles[2].streak_slots, [Some(10), None]);
}

#[test]
fn silence_and_age_are_unknown_and_open_ended() {
    for (streaks, now) in [([Some(500), None, None], NOW), ([Some(500), Some(500), Some(500)], NOW + 46)] {
        let (snapshot, key) = world(streaks);
        let prediction = device(&snapshot, &key, now).unwrap();
        assert_eq!(prediction.health, DeviceHealth::Unknown);
        assert!(prediction.transition.is_err());
        assert_eq!(prediction.detail.burn_in_left_slots, None);
    }
}

#[test]
fn what_is_missing_is_named() {
    let (mut snapshot, key) = world([None; 3]);
    assert_eq!(link(&snapshot, &key, NOW).unwrap_err(), PredictError::NoSubject(key));
    snapshot.locations.clear();
    assert!(matches!(device(&snapshot, &key, NOW), Err(PredictError::Missing { what: "location", .. })));
    snapshot.network = None;
    assert_eq!(device(&snapshot, &key, NOW).unwrap_err(), PredictError::NoNetwork);
}
