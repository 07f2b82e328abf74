//! The raw and the typed view of a record, field by field.
//!
//! Every field of a record is in its list here; a unit test holds the lists against the layouts' own descriptions, so
//! that a new field can't be left out.

use causeway_interface::{
    accounts::{
        Attestation, Attestations, Contributor, Device, Exchange, Interface, Link, Location, Network, Pool,
        PrefixRange, PrefixTable, RawAttestation, RawAttestations, RawContributor, RawDevice, RawExchange,
        RawInterface, RawLink, RawLocation, RawNetwork, RawPool, RawPrefixRange, RawPrefixTable,
    },
    event::{Event, RawEvent, Triple},
};

/// `header` compares an account's header; `int` integers by value, `ints` arrays of them, `byte` enums by their byte,
/// `same` what has one form only.
macro_rules! views {
    ($($name:ident: $raw:ident / $typed:ident {
        $(header $header:ident;)? $(int $($int:ident)+;)? $(ints $($ints:ident)+;)? $(byte $($byte:ident)+;)?
        $(same $($same:ident)+;)? $(triple $($triple:ident)+;)?
    })+) => {
        $(
            /// Compares the two views.
            pub fn $name(raw: &$raw, typed: &$typed) {
                $({
                    let (raw, typed) = (&raw.$header, &typed.$header);
                    assert_eq!(raw.account_type, typed.account_type.byte(), "account_type");
                    assert_eq!(raw.version, typed.version, "version");
                    assert_eq!(raw.bump, typed.bump, "bump");
                    assert_eq!(raw.status, typed.status.byte(), "status");
                    assert_eq!(raw.health, typed.health.byte(), "health");
                    assert_eq!(raw.desired, typed.desired.byte(), "desired");
                    assert_eq!(raw.kind, typed.kind.byte(), "kind");
                    assert_eq!(raw.flags, typed.flags, "flags");
                    assert_eq!(raw.sequence.get(), typed.sequence, "sequence");
                    assert_eq!(raw.status_since_slot.get(), typed.status_since_slot, "status_since_slot");
                })?
                $($(assert_eq!(raw.$int.get(), typed.$int, stringify!($int));)+)?
                $($(assert_eq!(raw.$ints.map(|raw| raw.get()), typed.$ints, stringify!($ints));)+)?
                $($(assert_eq!(raw.$byte, typed.$byte.byte(), stringify!($byte));)+)?
                $($(assert_eq!(raw.$same, typed.$same, stringify!($same));)+)?
                $($({
                    let Triple { status, health, desired } = typed.$triple;
                    let raw = &raw.$triple;
                    assert_eq!((raw.status, raw.health, raw.desired), (status, health, desired), stringify!($triple));
                })+)?
            }
        )+

        #[cfg(test)]
        const LISTED: &[(causeway_interface::layout::RecordSpec, &[&str])] = &[$((
            <$raw as causeway_interface::layout::Described>::RECORD,
            &[
                $(stringify!($header),)? $($(stringify!($int),)+)? $($(stringify!($ints),)+)?
                $($(stringify!($byte),)+)? $($(stringify!($same),)+)? $($(stringify!($triple),)+)?
            ],
        )),+];
    };
}

views! {
    network: RawNetwork / Network {
        header header;
        int oracle_epoch core_asn burn_in_new_slots burn_in_maintenance_slots attestation_max_age_slots
            contributor_count location_count exchange_count device_count link_count;
        same authority pending_authority quorum oracle_count link_block loopback_block user_block oracles reserved;
    }
    contributor: RawContributor / Contributor {
        header header;
        int device_count link_count;
        same code owner operations_key reserved;
    }
    location: RawLocation / Location {
        header header;
        int lat_e6 lng_e6 device_count;
        same code name country reserved;
    }
    exchange: RawExchange / Exchange {
        header header;
        int lat_e6 lng_e6 bgp_community device_count;
        same code name country reserved;
    }
    device: RawDevice / Device {
        header header;
        int health_since_slot link_count activated_wan_links activated_dzx_links user_count;
        byte platform suspended_from reject_reason;
        same code contributor location exchange public_ip dz_prefix_count dz_prefixes agent_key telemetry_key
            management_vrf reserved;
    }
    interface: RawInterface / Interface {
        int vlan_id mtu bandwidth_bps node_segment;
        byte kind role loopback;
        same name address link;
    }
    link: RawLink / Link {
        header header;
        int bandwidth_bps mtu delay_ns jitter_ns delay_override_ns tunnel_id health_since_slot;
        byte suspended_from reject_reason desired_a desired_z;
        same code device_a device_z interface_a interface_z contributor_a contributor_z tunnel_net reserved;
    }
    attestations: RawAttestations / Attestations {
        header header;
        same subject;
    }
    attestation: RawAttestation / Attestation {
        int epoch slot failed window_start_slot window_end_slot;
        ints since;
        same verdict evidence_root;
    }
    pool: RawPool / Pool {
        header header;
        int base stride capacity allocated;
        ints full_words;
    }
    prefix_table: RawPrefixTable / PrefixTable {
        header header;
        int used;
    }
    prefix_range: RawPrefixRange / PrefixRange {
        int first last;
    }
    event: RawEvent / Event {
        int sequence slot detail;
        byte subject_type;
        same version kind subject actor;
        triple from to;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_field_of_every_record_is_compared() {
        for (record, listed) in LISTED {
            let fields: BTreeSet<&str> = record.fields.iter().map(|field| field.name).collect();
            assert_eq!(fields, listed.iter().copied().collect(), "{}", record.name);
        }
    }

    #[test]
    #[should_panic(expected = "lat_e6")]
    fn a_field_that_differs_is_found() {
        let samples = crate::golden::samples("account");
        let (_, bytes) = samples.iter().find(|(name, _)| name == "location").expect("a location");
        let typed: Location = borsh::from_slice(bytes).expect("a location");
        let mut raw: RawLocation = *bytemuck::from_bytes(bytes);
        raw.lat_e6.set(raw.lat_e6.get() ^ 1);
        location(&raw, &typed);
    }
}
