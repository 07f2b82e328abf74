//! The raw and the typed view of the same bytes are equal, whatever the bytes are.
#![allow(clippy::unwrap_used, reason = "tests")]

mod samples;

use causeway_interface::{accounts::*, *};
use proptest::prelude::*;

/// Compares the fields of a raw and a typed record: integers by value, enums by byte, the rest as they are.
macro_rules! same {
    ($raw:expr, $typed:expr; int $($int:ident)*; byte $($byte:ident)*; is $($is:ident)*) => {{
        $(assert_eq!($raw.$int.get(), $typed.$int, stringify!($int));)*
        $(assert_eq!($raw.$byte, $typed.$byte.byte(), stringify!($byte));)*
        $(assert_eq!($raw.$is, $typed.$is, stringify!($is));)*
    }};
}

macro_rules! same_header {
    ($raw:expr, $typed:expr) => {{
        same!($raw.header, $typed.header; int sequence status_since_slot;
            byte account_type status health desired kind; is version bump flags);
    }};
}

fn network(raw: &RawNetwork, typed: &Network) {
    same_header!(raw, typed);
    same!(raw, typed; int oracle_epoch core_asn burn_in_new_slots burn_in_maintenance_slots attestation_max_age_slots
        contributor_count location_count exchange_count device_count link_count; byte;
        is authority pending_authority quorum oracle_count link_block loopback_block user_block oracles reserved);
}

fn contributor(raw: &RawContributor, typed: &Contributor) {
    same_header!(raw, typed);
    same!(raw, typed; int device_count link_count; byte; is code owner operations_key reserved);
}

fn location(raw: &RawLocation, typed: &Location) {
    same_header!(raw, typed);
    same!(raw, typed; int lat_e6 lng_e6 device_count; byte; is code name country reserved);
}

fn exchange(raw: &RawExchange, typed: &Exchange) {
    same_header!(raw, typed);
    same!(raw, typed; int lat_e6 lng_e6 bgp_community device_count; byte; is code name country reserved);
}

fn device(raw: &RawDevice, typed: &Device) {
    same_header!(raw, typed);
    same!(raw, typed; int health_since_slot link_count activated_wan_links activated_dzx_links user_count;
        byte platform suspended_from reject_reason;
        is code contributor location exchange public_ip dz_prefix_count dz_prefixes agent_key telemetry_key
        management_vrf reserved);
}

fn interface(raw: &RawInterface, typed: &Interface) {
    same!(raw, typed; int vlan_id mtu bandwidth_bps node_segment; byte kind role loopback; is name address link);
}

fn link(raw: &RawLink, typed: &Link) {
    same_header!(raw, typed);
    same!(raw, typed; int bandwidth_bps mtu delay_ns jitter_ns delay_override_ns tunnel_id health_since_slot;
        byte suspended_from reject_reason desired_a desired_z;
        is code device_a device_z interface_a interface_z contributor_a contributor_z tunnel_net reserved);
}

fn attestations(raw: &RawAttestations, typed: &Attestations) {
    same_header!(raw, typed);
    same!(raw, typed; int; byte; is subject);
}

fn attestation(raw: &RawAttestation, typed: &Attestation) {
    same!(raw, typed; int epoch slot failed window_start_slot window_end_slot; byte; is verdict evidence_root);
    assert_eq!(raw.since.map(|s| s.get()), typed.since);
}

fn pool(raw: &RawPool, typed: &Pool) {
    same_header!(raw, typed);
    same!(raw, typed; int base stride capacity allocated; byte; is);
    assert_eq!(raw.full_words.map(|w| w.get()), typed.full_words);
}

fn prefix_table(raw: &RawPrefixTable, typed: &PrefixTable) {
    same_header!(raw, typed);
    same!(raw, typed; int used; byte; is);
}

/// Decodes both ways and compares; `true` where the typed view accepts the bytes.
fn compare<R: Account, T: Record>(bytes: &[u8], fixed: fn(&R, &T)) -> Option<T> {
    let typed = T::decode(bytes).ok()?;
    assert_eq!(borsh::to_vec(&typed).unwrap(), bytes, "the typed view writes what it read");
    fixed(bytemuck::from_bytes(&bytes[..size_of::<R>()]), &typed);
    Some(typed)
}

fn list<R: Account, E: bytemuck::Pod, T>(bytes: &[u8], typed: &[T], entry: fn(&E, &T)) {
    let tail = &bytes[size_of::<R>()..];
    assert_eq!(u32::from_le_bytes(tail[..4].try_into().unwrap()) as usize, typed.len());
    assert_eq!(bytes.len(), R::len_with(typed.len()));
    for (raw, typed) in bytemuck::cast_slice::<u8, E>(&tail[4..]).iter().zip(typed) {
        entry(raw, typed);
    }
}

/// The accounts' bytes with some of them changed.
fn changed(sample: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let len = sample.len();
    prop::collection::vec((0..len, any::<u8>()), 0..12).prop_map(move |changes| {
        let mut bytes = sample.clone();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        bytes
    })
}

fn bytes_of<T: Record>(sample: &T) -> Vec<u8> {
    borsh::to_vec(sample).unwrap()
}

#[test]
fn the_samples_are_equal_in_both_views() {
    assert!(compare(&bytes_of(&samples::network()), network).is_some());
    assert!(compare(&bytes_of(&samples::contributor()), contributor).is_some());
    assert!(compare(&bytes_of(&samples::location()), location).is_some());
    assert!(compare(&bytes_of(&samples::exchange()), exchange).is_some());
    assert!(compare(&bytes_of(&samples::device()), device).is_some());
    assert!(compare(&bytes_of(&samples::link()), link).is_some());
    assert!(compare(&bytes_of(&samples::attestations()), attestations).is_some());
    assert!(compare(&bytes_of(&samples::pool()), pool).is_some());
    assert!(compare(&bytes_of(&samples::prefix_table()), prefix_table).is_some());
}

#[test]
fn the_memcmp_offsets_are_where_the_header_says() {
    let bytes = bytes_of(&samples::device());
    assert_eq!(bytes[OFFSET_TYPE], AccountType::Device.byte());
    assert_eq!(bytes[OFFSET_STATUS], DeviceStatus::LinkProvisioning.byte());
    assert_eq!(bytes[OFFSET_HEALTH], DeviceHealth::ReadyForLinks.byte());
    assert_eq!(bytes[OFFSET_DESIRED], DesiredStatus::Activated.byte());
    assert_eq!(bytes[OFFSET_KIND], DeviceType::Edge.byte());
}

#[test]
fn undefined_enum_bytes_are_an_error() {
    let good = bytes_of(&samples::device());
    for at in [OFFSET_TYPE, OFFSET_STATUS, OFFSET_HEALTH, OFFSET_DESIRED, OFFSET_KIND] {
        let mut bytes = good.clone();
        bytes[at] = 250;
        assert!(Device::decode(&bytes).is_err(), "byte {at}");
    }
    let mut bytes = good.clone();
    bytes[1] = LAYOUT_VERSION + 1;
    assert!(matches!(Device::decode(&bytes), Err(DecodeError::WrongVersion { .. })));
    assert!(matches!(Link::decode(&good), Err(DecodeError::WrongType { .. })));
}

proptest! {
    #[test]
    fn networks(bytes in changed(bytes_of(&samples::network()))) {
        compare(&bytes, network);
    }

    #[test]
    fn contributors(bytes in changed(bytes_of(&samples::contributor()))) {
        compare(&bytes, contributor);
    }

    #[test]
    fn locations(bytes in changed(bytes_of(&samples::location()))) {
        compare(&bytes, location);
    }

    #[test]
    fn exchanges(bytes in changed(bytes_of(&samples::exchange()))) {
        compare(&bytes, exchange);
    }

    #[test]
    fn devices(bytes in changed(bytes_of(&samples::device()))) {
        if let Some(typed) = compare(&bytes, device) {
            list::<RawDevice, _, _>(&bytes, &typed.interfaces, interface);
        }
    }

    #[test]
    fn links(bytes in changed(bytes_of(&samples::link()))) {
        compare(&bytes, link);
    }

    #[test]
    fn attestation_lists(bytes in changed(bytes_of(&samples::attestations()))) {
        if let Some(typed) = compare(&bytes, attestations) {
            list::<RawAttestations, _, _>(&bytes, &typed.entries, attestation);
        }
    }

    #[test]
    fn pools(bytes in changed(bytes_of(&samples::pool()))) {
        if let Some(typed) = compare(&bytes, pool) {
            list::<RawPool, Le64, u64>(&bytes, &typed.words, |raw, typed| assert_eq!(raw.get(), *typed));
        }
    }

    #[test]
    fn prefix_tables(bytes in changed(bytes_of(&samples::prefix_table()))) {
        if let Some(typed) = compare(&bytes, prefix_table) {
            list::<RawPrefixTable, RawPrefixRange, PrefixRange>(&bytes, &typed.ranges, |raw, typed| {
                assert_eq!((raw.first.get(), raw.last.get()), (typed.first, typed.last));
            });
        }
    }

    /// Any bytes at all: an error or a value, never a panic.
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let _ = Network::decode(&bytes);
        let _ = Device::decode(&bytes);
        let _ = Link::decode(&bytes);
        let _ = Attestations::decode(&bytes);
        let _ = Pool::decode(&bytes);
        let _ = instruction::Instruction::decode(&bytes);
    }
}
