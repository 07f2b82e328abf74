//! One oracle short, one slot short, one role short: what is just not enough, and what just is.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use causeway_interface::{
    Code, DesiredStatus, DeviceHealth, DeviceStatus, ErrorCode, InterfaceName, InterfaceRole, LinkHealth, LinkStatus,
    LinkType, instruction::UpdateDevice,
};
use causeway_program_tests::{
    World,
    plant::{ROUND, edge, hybrid, transit},
    world::{BURN_IN_MAINTENANCE, BURN_IN_NEW, MAX_AGE, refused},
};
use causeway_sdk::address::to_key;
use solana_sdk::signature::Signer;

const READY: u8 = DeviceHealth::ReadyForUsers.byte();
const PENDING: u8 = DeviceHealth::Pending.byte();

/// Oracle 0 says ready now and every round until so many slots have passed, and then once more.
fn first_oracle_alone(world: &mut World, device: &Code, slots: u64) {
    let end = world.slot + slots;
    let verdict = [(world.device_key(device), READY)];
    world.attest(0, &verdict).unwrap();
    while world.slot < end {
        world.warp(ROUND.min(end - world.slot));
        world.attest(0, &verdict).unwrap();
    }
}

/// Oracle 1 no longer says ready, and oracle 2 has only just begun to: two say so, and one of them for long.
fn a_quorum_with_one_long_streak(world: &mut World, device: &Code) {
    let key = world.device_key(device);
    world.attest(1, &[(key, PENDING)]).unwrap();
    world.attest(2, &[(key, PENDING)]).unwrap();
    world.attest(2, &[(key, READY)]).unwrap();
}

#[test]
fn one_burnt_in_oracle_of_two_gives_no_level() {
    let mut world = World::with_oracles(3, 2);
    let party = world.party("acme");
    let device = world.add_device(&party, hybrid("a"));
    world.provision_device(&party, &device).unwrap();
    first_oracle_alone(&mut world, &device, BURN_IN_NEW);
    world.attest(1, &[(world.device_key(&device), READY)]).unwrap();
    world.advance_device(&device).unwrap();
    let after = world.device(&device).header;
    assert_eq!((after.status, after.health), (DeviceStatus::DeviceProvisioning, DeviceHealth::Pending));
}

#[test]
fn one_burnt_in_oracle_of_two_puts_nothing_into_service() {
    let mut world = World::with_oracles(3, 2);
    let party = world.party("acme");
    let (a, z) = (world.add_device(&party, hybrid("a")), world.add_device(&party, hybrid("z")));
    let link = world.add_wan(&party, "a-z", (&a, "eth3"), (&z, "eth3"));
    for device in [&a, &z] {
        world.provision_device(&party, device).unwrap();
    }
    world.provision_link(&party, &link).unwrap();
    let all = [
        (world.device_key(&a), READY),
        (world.device_key(&z), READY),
        (world.link_key(&link), LinkHealth::ReadyForService.byte()),
    ];
    world.attest_for(&all, BURN_IN_NEW);
    for device in [&a, &z] {
        world.advance_device(device).unwrap();
    }
    world.advance_link(&link).unwrap();
    assert_eq!(world.link(&link).header.status, LinkStatus::Activated);
    a_quorum_with_one_long_streak(&mut world, &a);
    for device in [&a, &z] {
        world.advance_device(device).unwrap();
    }
    let (short, long) = (world.device(&a).header, world.device(&z).header);
    assert_eq!((short.status, short.health), (DeviceStatus::LinkProvisioning, DeviceHealth::ReadyForUsers));
    assert_eq!(long.status, DeviceStatus::Activated);
}

#[test]
fn one_burnt_in_oracle_of_two_ends_no_drain() {
    let mut world = World::with_oracles(3, 2);
    let party = world.party("acme");
    let (device, _, _) = world.pair_in_service(&party);
    world.want_device(&party, &device, DesiredStatus::SoftDrained).unwrap();
    world.advance_device(&device).unwrap();
    world.want_device(&party, &device, DesiredStatus::Activated).unwrap();
    let ready = [(world.device_key(&device), READY)];
    world.attest_for(&ready, BURN_IN_MAINTENANCE);
    a_quorum_with_one_long_streak(&mut world, &device);
    world.advance_device(&device).unwrap();
    let after = world.device(&device).header;
    assert_eq!((after.status, after.health), (DeviceStatus::Drained, DeviceHealth::ReadyForUsers));
    world.attest_for(&ready, BURN_IN_MAINTENANCE);
    world.advance_device(&device).unwrap();
    assert_eq!(world.device(&device).header.status, DeviceStatus::Activated);
}

#[test]
fn a_word_counts_through_the_last_slot_of_its_age() {
    let mut world = World::new();
    let party = world.party("acme");
    let (device, _, _) = world.pair_in_service(&party);
    world.attest_all(&[(world.device_key(&device), READY)]);
    for (slots, expected) in [(MAX_AGE, DeviceHealth::ReadyForUsers), (1, DeviceHealth::Unknown)] {
        world.warp(slots);
        world.advance_device(&device).unwrap();
        assert_eq!(world.device(&device).header.health, expected);
    }
}

#[test]
fn only_the_key_that_was_proposed_becomes_the_authority() {
    let mut world = World::new();
    let (next, stranger) = (world.somebody(), world.somebody());
    let ix = world.ix.propose_authority(&world.authority.pubkey(), to_key(&next.pubkey()), 0);
    world.as_authority(ix).unwrap();
    let ix = world.ix.accept_authority(&stranger.pubkey(), 0);
    assert_eq!(refused(world.by(&stranger, ix)), ErrorCode::NoPendingAuthority);
    let ix = world.ix.accept_authority(&next.pubkey(), 0);
    world.by(&next, ix).unwrap();
    assert_eq!(world.network().authority, to_key(&next.pubkey()));
}

#[test]
fn an_operations_key_does_not_change_a_devices_own_fields() {
    let mut world = World::new();
    let party = world.party("acme");
    let device = world.add_device(&party, hybrid("a"));
    let (refs, before) = (world.device_refs(&device), world.device(&device));
    let data = UpdateDevice {
        expected_sequence: 0,
        public_ip: before.public_ip,
        dz_prefix_count: before.dz_prefix_count,
        dz_prefixes: before.dz_prefixes,
        agent_key: to_key(&party.operations.pubkey()),
        telemetry_key: before.telemetry_key,
        management_vrf: before.management_vrf,
    };
    let ix = world.ix.update_device(&party.operations.pubkey(), &refs, data);
    assert_eq!(refused(world.by(&party.operations, ix)), ErrorCode::NotDeviceOwner);
}

#[test]
fn side_a_does_not_accept_for_side_z() {
    let mut world = World::new();
    let (acme, zeta) = (world.party("acme"), world.party("zeta"));
    let (a, z) = (world.add_device(&acme, hybrid("a")), world.add_device(&zeta, edge("z")));
    let link = world.request_dzx(&acme, "dzx", (&a, "eth5"), (&z, "eth5"));
    let ix = world.ix.accept_link(&acme.owner.pubkey(), &world.link_refs(&link), InterfaceName::ZERO, 0);
    assert_eq!(refused(world.by(&acme.owner, ix)), ErrorCode::NotLinkParty);
    world.accept(&zeta, &link).unwrap();
}

#[test]
fn a_suspended_device_gets_no_link() {
    let mut world = World::new();
    let party = world.party("acme");
    let (a, z) = (world.add_device(&party, hybrid("a")), world.add_device(&party, hybrid("z")));
    let device = world.device_refs(&z).device;
    let ix = world.ix.suspend_device(&world.authority.pubkey(), &device, 0);
    world.as_authority(ix).unwrap();
    for (a, z) in [(&a, &z), (&z, &a)] {
        let data = world.link_data("a-z", LinkType::Wan, "eth3", "eth3");
        assert_eq!(refused(world.create_link(&party, a, z, data)), ErrorCode::LinkDevicesNotReady);
    }
}

#[test]
fn a_device_without_its_types_shape_does_not_go_into_service() {
    let mut world = World::new();
    let party = world.party("acme");
    // One WAN link is too little for a transit device, and a hybrid one needs an interface for its users.
    let (a, z) = (world.add_device(&party, transit("a")), world.add_device(&party, hybrid("z")));
    let (owner, refs) = (party.owner.pubkey(), world.device_refs(&z));
    for gone in world.device(&z).interfaces.iter().filter(|interface| interface.role == InterfaceRole::Cyoa) {
        let ix = world.ix.remove_interface(&owner, &refs, &owner, gone.name, 0);
        world.by(&party.owner, ix).unwrap();
    }
    let link = world.add_wan(&party, "a-z", (&a, "eth4"), (&z, "eth4"));
    for device in [&a, &z] {
        world.provision_device(&party, device).unwrap();
    }
    world.provision_link(&party, &link).unwrap();
    let all = [
        (world.device_key(&a), READY),
        (world.device_key(&z), READY),
        (world.link_key(&link), LinkHealth::ReadyForService.byte()),
    ];
    world.attest_for(&all, BURN_IN_NEW);
    for device in [&a, &z] {
        world.advance_device(device).unwrap();
    }
    world.advance_link(&link).unwrap();
    assert_eq!(world.link(&link).header.status, LinkStatus::Activated);
    for device in [&a, &z] {
        world.advance_device(device).unwrap();
        let after = world.device(device).header;
        assert_eq!((after.status, after.health), (DeviceStatus::LinkProvisioning, DeviceHealth::ReadyForUsers));
    }
}
