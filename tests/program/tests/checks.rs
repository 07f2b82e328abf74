//! Single checks that no ordinary use runs into: each is what a fault of `tests/program/mutants` drops.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use std::mem::offset_of;

use causeway_interface::{
    DeviceHealth, ErrorCode, LinkHealth, PoolKind, RegistryStatus,
    accounts::{LAYOUT_VERSION, RawPool},
    instruction::{CreateContributor, RawSetOracleSet, UpdateDevice},
    seeds,
};
use causeway_program_tests::{
    World,
    plant::hybrid,
    world::{MAX_AGE, code, refused},
};
use causeway_sdk::{RegistryTarget, address::to_key};
use solana_sdk::{account::Account, pubkey::Pubkey, signature::Signer};

#[test]
fn a_registry_account_of_another_layout_is_refused() {
    let mut world = World::new();
    let place = world.place("ams");
    let address = world.ix.addresses().location(&place);
    world.tamper(&address, |account| account.data[1] = LAYOUT_VERSION + 1);
    let authority = world.authority.pubkey();
    let ix = world.ix.set_registry_status(&authority, RegistryTarget::Location(&place), RegistryStatus::Suspended, 0);
    assert_eq!(refused(world.as_authority(ix)), ErrorCode::WrongVersion);
}

#[test]
fn nothing_is_created_at_an_address_that_is_not_the_canonical_one() {
    let mut world = World::new();
    let authority = world.authority.pubkey();
    let program = world.ix.addresses().program_id;
    let name = code("twice");
    let (canonical, bump) = Pubkey::find_program_address(&[seeds::CONTRIBUTOR, name.as_bytes()], &program);
    let other = (0..bump)
        .rev()
        .find_map(|bump| Pubkey::create_program_address(&[seeds::CONTRIBUTOR, name.as_bytes(), &[bump]], &program).ok())
        .expect("a second address that is off the curve");
    let owner = to_key(&authority);
    let data = CreateContributor { code: name, owner, operations_key: owner };
    let mut ix = world.ix.create_contributor(&authority, &authority, data);
    let place = ix.accounts.iter_mut().find(|meta| meta.pubkey == canonical).expect("the contributor");
    place.pubkey = other;
    assert_eq!(refused(world.as_authority(ix)), ErrorCode::WrongAddress);
}

/// Whoever deploys a program has a record of the loader's that names him.
#[test]
fn another_programs_upgrade_authority_does_not_create_the_network() {
    let mut world = World::bare();
    let (stranger, data) = (world.somebody(), world.init_data());
    let own = world.ix.addresses().program_data();
    let mut record: Account = world.account(&own).expect("the loader's record");
    let authority = world.upgrade_authority.pubkey().to_bytes();
    let at = record.data.windows(32).position(|window| window == authority).expect("the upgrade authority");
    record.data[at..at + 32].copy_from_slice(stranger.pubkey().as_ref());
    let foreign = Pubkey::new_unique();
    world.svm.set_account(foreign, record).expect("another program's record");
    let mut ix = world.ix.init_network(&stranger.pubkey(), &stranger.pubkey(), data);
    let place = ix.accounts.iter_mut().find(|meta| meta.pubkey == own).expect("the record");
    place.pubkey = foreign;
    assert_eq!(refused(world.by(&stranger, ix)), ErrorCode::WrongAddress);
}

#[test]
fn a_list_is_as_long_as_it_says() {
    let mut world = World::new();
    let keys = world.oracles.iter().map(|oracle| to_key(&oracle.pubkey())).collect();
    let ix = world.ix.set_oracle_set(&world.authority.pubkey(), keys, 2, 0);
    let count = 1 + RawSetOracleSet::LEN;
    assert_eq!(ix.data[count], 3);
    for said in [0, 2, 4] {
        let mut ix = ix.clone();
        ix.data[count] = said;
        assert_eq!(refused(world.as_authority(ix)), ErrorCode::InstructionData, "{said} entries");
    }
}

#[test]
fn another_links_attestations_advance_no_link() {
    let mut world = World::new();
    let party = world.party("acme");
    let (a, z, link) = world.pair_in_service(&party);
    let other = world.add_wan(&party, "other", (&a, "eth4"), (&z, "eth4"));
    let sender = world.somebody();
    let mut ix = world.ix.advance_link(&sender.pubkey(), &world.link_refs(&link), 0);
    let own = world.ix.addresses().attestations(&world.link_key(&link));
    let place = ix.accounts.iter_mut().find(|meta| meta.pubkey == own).expect("the attestations");
    place.pubkey = world.ix.addresses().attestations(&world.link_key(&other));
    assert_eq!(refused(world.by(&sender, ix)), ErrorCode::AttestationsMismatch);
}

/// A pool that says of a device's loopback that it is free, or not its own.
#[test]
fn a_pool_that_contradicts_a_device_is_not_made_worse() {
    for (change, expected) in
        [(clear as fn(&mut [u8]), ErrorCode::PoolDoubleFree), (shrink as fn(&mut [u8]), ErrorCode::PoolForeignValue)]
    {
        let mut world = World::new();
        let party = world.party("acme");
        let device = world.add_device(&party, hybrid("a"));
        world.provision_device(&party, &device).unwrap();
        let (owner, refs) = (party.owner.pubkey(), world.device_refs(&device));
        let ix = world.ix.delete_device(&owner, &refs, 0);
        world.by(&party.owner, ix).unwrap();
        let pool = world.ix.addresses().pool(PoolKind::Loopback);
        world.tamper(&pool, |account| change(&mut account.data));
        let ix = world.ix.close_device(&owner, &refs, &owner, 0);
        assert_eq!(refused(world.by(&party.owner, ix)), expected);
    }
}

/// Everything is free.
fn clear(pool: &mut [u8]) {
    pool[RawPool::LEN + 4..][..8].fill(0);
}

/// It never had a value.
fn shrink(pool: &mut [u8]) {
    pool[offset_of!(RawPool, capacity)..][..4].fill(0);
}

/// The second of two equal prefixes is neither new nor gone.
#[test]
fn a_device_does_not_name_a_prefix_twice() {
    let mut world = World::new();
    let party = world.party("acme");
    let device = world.add_device(&party, hybrid("a"));
    let (refs, before) = (world.device_refs(&device), world.device(&device));
    let mut dz_prefixes = before.dz_prefixes;
    dz_prefixes[1] = dz_prefixes[0];
    let data = UpdateDevice {
        expected_sequence: 0,
        public_ip: before.public_ip,
        dz_prefix_count: 2,
        dz_prefixes,
        agent_key: before.agent_key,
        telemetry_key: before.telemetry_key,
        management_vrf: before.management_vrf,
    };
    let ix = world.ix.update_device(&party.owner.pubkey(), &refs, data);
    assert_eq!(refused(world.by(&party.owner, ix)), ErrorCode::DzPrefixOverlap);
}

/// One word of two says nothing, not even that a level is lost.
#[test]
fn health_is_unknown_where_less_than_a_quorum_speaks() {
    let mut world = World::with_oracles(3, 2);
    let party = world.party("acme");
    let (device, _, link) = world.pair_in_service(&party);
    world.warp(MAX_AGE + 1);
    let verdicts = [
        (world.device_key(&device), DeviceHealth::ReadyForUsers.byte()),
        (world.link_key(&link), LinkHealth::ReadyForService.byte()),
    ];
    world.attest(0, &verdicts).unwrap();
    world.advance_device(&device).unwrap();
    world.advance_link(&link).unwrap();
    assert_eq!(world.device(&device).header.health, DeviceHealth::Unknown);
    assert_eq!(world.link(&link).header.health, LinkHealth::Unknown);
}
