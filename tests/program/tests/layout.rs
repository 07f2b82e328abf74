//! How layout versions follow each other: the program is replaced by a successor that writes a version which does not
//! exist yet, over accounts that it did not write.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use causeway_interface::{
    DesiredStatus, DeviceHealth, ErrorCode,
    accounts::{DecodeError, Device, LAYOUT_VERSION, Record, upgrade},
    instruction::UpdateContributor,
};
use causeway_program_tests::{
    Party, World, artifact,
    plant::hybrid,
    world::{code, refused},
};
use causeway_sdk::address::to_key;
use solana_sdk::{pubkey::Pubkey, signature::Signer};

/// The version that the successor writes, and the mark that its step from the one before leaves.
const NEXT: u8 = LAYOUT_VERSION + 1;
const MARK: u8 = 0x80;
/// Where a header holds them.
const VERSION: usize = 1;
const FLAGS: usize = 7;

fn bytes(world: &World, address: &Pubkey) -> Vec<u8> {
    world.account(address).expect("an account").data
}

fn version(world: &World, address: &Pubkey) -> (u8, u8) {
    let bytes = bytes(world, address);
    (bytes[VERSION], bytes[FLAGS] & MARK)
}

/// Two devices and a link, made by the program of today, which the successor then replaces.
fn upgraded() -> (World, Party) {
    let mut world = World::new();
    let party = world.party("acme");
    let (a, z) = (world.add_device(&party, hybrid("a")), world.add_device(&party, hybrid("z")));
    world.add_wan(&party, "a-z", (&a, "eth10"), (&z, "eth10"));
    world.upgrade(&artifact::next_bytes());
    (world, party)
}

#[test]
fn an_older_account_is_read_as_it_is_and_the_next_write_brings_it_up_to_date() {
    let (mut world, party) = upgraded();
    let addresses = *world.ix.addresses();
    let device = addresses.device(&code("a"));
    let contributor = addresses.contributor(&party.code);
    let (device_before, contributor_before) = (bytes(&world, &device), bytes(&world, &contributor));
    assert_eq!(version(&world, &device), (LAYOUT_VERSION, 0));

    world.want_device(&party, &code("a"), DesiredStatus::HardDrained).expect("an older account is written");
    let mut expected = device_before;
    expected[VERSION] = NEXT;
    expected[FLAGS] |= MARK;
    expected[5] = DesiredStatus::HardDrained.byte();
    let sequence = u64::from_le_bytes(expected[8..16].try_into().unwrap()) + 1;
    expected[8..16].copy_from_slice(&sequence.to_le_bytes());
    assert_eq!(bytes(&world, &device), expected, "nothing but version, mark, wish and sequence has changed");
    assert_eq!(bytes(&world, &contributor), contributor_before, "what was only read is as it was");

    // And once more, from the new version. Today's client can't read it, so the accounts are named by hand.
    let owner = party.owner.pubkey();
    let refs = causeway_sdk::DeviceRefs { device, ..world.device_refs(&code("z")) };
    let ix = world.ix.set_device_desired(&owner, &refs, DesiredStatus::Activated, 0);
    world.by(&party.owner, ix).expect("a new account is written");
    assert_eq!(version(&world, &device), (NEXT, MARK));
}

#[test]
fn every_kind_of_account_is_brought_up_to_date_by_its_own_writes() {
    let (mut world, party) = upgraded();
    let addresses = *world.ix.addresses();
    let verdict = DeviceHealth::ReadyForLinks.byte();
    let subject = world.device_key(&code("z"));
    let refs = world.device_refs(&code("z"));
    world.provision_device(&party, &code("z")).expect("provisioning");
    world.attest(0, &[(subject, verdict)]).expect("a word");
    let sender = world.somebody();
    let advance = world.ix.advance_device(&sender.pubkey(), &refs, 0);
    world.by(&sender, advance).expect("an advance over accounts of both versions");
    world.add_device(&party, hybrid("new"));
    let written = [
        addresses.network(),
        addresses.contributor(&party.code),
        addresses.location(&code("ams")),
        addresses.exchange(&code("ams")),
        addresses.device(&code("z")),
        addresses.attestations(&subject),
        addresses.pool(causeway_interface::PoolKind::Loopback),
        addresses.pool(causeway_interface::PoolKind::NodeSegment),
        addresses.prefix_table(),
        addresses.device(&code("new")),
    ];
    for address in written {
        assert_eq!(version(&world, &address), (NEXT, MARK), "{address}");
    }
    for untouched in [addresses.link(&code("a-z")), addresses.device(&code("a"))] {
        assert_eq!(version(&world, &untouched), (LAYOUT_VERSION, 0), "{untouched}");
    }
}

#[test]
fn a_version_that_is_not_known_is_refused_by_program_and_client() {
    let (mut world, party) = upgraded();
    world.want_device(&party, &code("a"), DesiredStatus::HardDrained).expect("a wish");
    world.upgrade(&artifact::bytes());
    let refs = world.device_refs(&code("z"));
    let device = world.ix.addresses().device(&code("a"));
    let refs = causeway_sdk::DeviceRefs { device, ..refs };
    let owner = party.owner.pubkey();
    let ix = world.ix.set_device_desired(&owner, &refs, DesiredStatus::Activated, 0);
    assert_eq!(refused(world.by(&party.owner, ix)), ErrorCode::WrongVersion);
    let found = Device::decode(&bytes(&world, &device));
    assert_eq!(found, Err(DecodeError::WrongVersion { found: NEXT }));
    // What the successor did not write is as good as before.
    world.want_device(&party, &code("z"), DesiredStatus::HardDrained).expect("an untouched account");
    let key = to_key(&owner);
    let data = UpdateContributor { expected_sequence: 0, owner: key, operations_key: key };
    let ix = world.ix.update_contributor(&owner, &party.code, data);
    world.by(&party.owner, ix).expect("an untouched account");
}

#[test]
fn today_there_is_no_older_version() {
    let mut header: causeway_interface::accounts::RawHeader = bytemuck::Zeroable::zeroed();
    header.version = LAYOUT_VERSION;
    upgrade(&mut header);
    assert_eq!((header.version, header.flags), (LAYOUT_VERSION, 0));
}
