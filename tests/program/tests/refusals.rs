//! Who may not do what, and which accounts are not taken.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use causeway_interface::{
    DesiredStatus, DeviceHealth, Digest, ErrorCode, Ip4, Key, LinkType, Prefix, RegistryStatus, RejectReason,
    instruction::{CreateDevice, InitNetwork, MAX_ATTEST_BATCH, UpdateContributor, UpdateLink, UpdateNetwork, Verdict},
};
use causeway_program_tests::{
    Done, Failure, Party, World,
    parties::{exchange, location},
    plant::hybrid,
    world::{FIRST_SLOT, MAX_AGE, code, prefix, refused},
};
use causeway_sdk::{
    DeviceRefs, RegistryTarget, Window,
    address::{SYSTEM_PROGRAM, to_key},
};
use solana_sdk::{
    account::Account,
    instruction::{AccountMeta, Instruction},
    pubkey::Pubkey,
    signature::{Keypair, Signer},
};

#[test]
fn only_the_upgrade_authority_initialises_and_only_once() {
    let mut world = World::bare();
    let stranger = world.somebody();
    let data = world.init_data();
    let ix = world.ix.init_network(&stranger.pubkey(), &stranger.pubkey(), data.clone());
    assert_eq!(refused(world.by(&stranger, ix)), ErrorCode::NotUpgradeAuthority);
    world.init(data.clone()).unwrap();
    assert_eq!(refused(world.init(data)), ErrorCode::AlreadyInitialized);
}

#[test]
fn a_network_begins_with_sound_numbers_only() {
    let mut world = World::bare();
    let good = world.init_data();
    let cases: Vec<(InitNetwork, ErrorCode)> = vec![
        (InitNetwork { authority: Key::ZERO, ..good.clone() }, ErrorCode::KeyMissing),
        (InitNetwork { core_asn: 0, ..good.clone() }, ErrorCode::AsnInvalid),
        (InitNetwork { core_asn: 23_456, ..good.clone() }, ErrorCode::AsnInvalid),
        (InitNetwork { burn_in_new_slots: 0, ..good.clone() }, ErrorCode::SlotsOutOfRange),
        (InitNetwork { burn_in_maintenance_slots: 101, ..good.clone() }, ErrorCode::SlotsOutOfRange),
        (InitNetwork { attestation_max_age_slots: 160_000_001, ..good.clone() }, ErrorCode::SlotsOutOfRange),
        (InitNetwork { link_block: prefix("172.16.0.1/16"), ..good.clone() }, ErrorCode::AddressBlockInvalid),
        (InitNetwork { link_block: prefix("172.16.0.0/31"), ..good.clone() }, ErrorCode::AddressBlockInvalid),
        (InitNetwork { link_block: prefix("172.17.0.0/24"), ..good.clone() }, ErrorCode::AddressBlocksOverlap),
    ];
    for (data, expected) in cases {
        assert_eq!(refused(world.init(data.clone())), expected, "{data:?}");
    }
    world.init(good).unwrap();
}

#[test]
fn an_address_that_somebody_has_funded_beforehand_can_still_be_created() {
    let mut world = World::new();
    let party = world.party("acme");
    let device = code("a");
    for lamports in [1, 10_000_000_000] {
        let address = world.ix.addresses().device(&device);
        world.svm.set_account(address, Account { lamports, ..Account::default() }).unwrap();
        world.add_device(&party, hybrid("a"));
        let refs = world.device_refs(&device);
        let owner = party.owner.pubkey();
        let delete = world.ix.delete_device(&owner, &refs, 0);
        let close = world.ix.close_device(&owner, &refs, &owner, 0);
        world.send(&[delete, close], &[&party.owner]).unwrap();
    }
}

#[test]
fn a_payer_who_can_not_pay_is_told_so() {
    let mut world = World::new();
    let party = world.party("acme");
    world.add_device(&party, hybrid("a"));
    let data = world.device_data(hybrid("b"));
    world.tamper(&party.owner.pubkey(), |account| account.lamports = 1_000_000);
    assert_eq!(refused(world.create_device(&party, data)), ErrorCode::NotRentExempt);
}

#[test]
fn what_exists_is_not_created_again() {
    let mut world = World::new();
    let party = world.party("acme");
    world.add_device(&party, hybrid("a"));
    world.add_device(&party, hybrid("b"));
    let data = world.device_data(hybrid("a"));
    assert_eq!(refused(world.create_device(&party, data)), ErrorCode::AlreadyInitialized);
    let (a, b) = (code("a"), code("b"));
    world.add_wan(&party, "l", (&a, "eth3"), (&b, "eth3"));
    let data = world.link_data("l", LinkType::Wan, "eth4", "eth4");
    assert_eq!(refused(world.create_link(&party, &a, &b, data)), ErrorCode::AlreadyInitialized);
    let authority = world.authority.pubkey();
    let ix = world.ix.create_location(&authority, &authority, location("ams"));
    assert_eq!(refused(world.as_authority(ix)), ErrorCode::AlreadyInitialized);
    let ix = world.ix.create_exchange(&authority, &authority, exchange("ams"));
    assert_eq!(refused(world.as_authority(ix)), ErrorCode::AlreadyInitialized);
}

#[test]
fn a_closed_account_can_not_be_revived_in_its_transaction() {
    let mut world = World::new();
    let party = world.party("acme");
    let device = world.add_device(&party, hybrid("a"));
    let refs = world.device_refs(&device);
    let owner = party.owner.pubkey();
    let instructions = [
        world.ix.delete_device(&owner, &refs, 0),
        world.ix.close_device(&owner, &refs, &owner, 0),
        transfer(&owner, &refs.device),
        world.ix.set_device_desired(&owner, &refs, DesiredStatus::Pending, 0),
    ];
    assert_eq!(refused(world.send(&instructions, &[&party.owner])), ErrorCode::WrongOwner);
}

/// The transfer that would revive a closed account.
fn transfer(from: &Pubkey, to: &Pubkey) -> Instruction {
    let mut data = vec![2, 0, 0, 0];
    data.extend(10_000_000_u64.to_le_bytes());
    let accounts = vec![AccountMeta::new(*from, true), AccountMeta::new(*to, false)];
    Instruction { program_id: SYSTEM_PROGRAM, accounts, data }
}

#[test]
fn tampered_accounts_are_refused() {
    let mut world = World::new();
    let party = world.party("acme");
    let device = world.add_device(&party, hybrid("a"));
    let refs = world.device_refs(&device);
    let good = world.account(&refs.device).unwrap();
    type Change = fn(&mut Vec<u8>);
    let cases: [(Change, ErrorCode); 8] = [
        (|data| data[0] = 6, ErrorCode::WrongType),
        (|data| data[0] = 200, ErrorCode::WrongType),
        (|data| data[1] = 2, ErrorCode::WrongVersion),
        (|data| data.truncate(data.len() - 1), ErrorCode::WrongLength),
        (|data| data.push(0), ErrorCode::WrongLength),
        (Vec::clear, ErrorCode::WrongLength),
        (|data| data[3] = 99, ErrorCode::CorruptAccount),
        (|data| data.truncate(24), ErrorCode::WrongLength),
    ];
    for (change, expected) in cases {
        world.tamper(&refs.device, |account| change(&mut account.data));
        assert_eq!(refused(want_at(&mut world, &party, &refs)), expected);
        world.svm.set_account(refs.device, good.clone()).unwrap();
    }
}

/// Sets a wish on the device at an address, whatever its bytes are by now.
fn want_at(world: &mut World, party: &Party, refs: &DeviceRefs) -> Result<Done, Failure> {
    let ix = world.ix.set_device_desired(&party.owner.pubkey(), refs, DesiredStatus::Pending, 0);
    world.by(&party.owner, ix)
}

#[test]
fn every_role_is_refused_what_is_not_its_own() {
    let mut world = World::new();
    let (a, other) = (world.party("acme"), world.party("other"));
    let device = world.add_device(&a, hybrid("a"));
    let second = world.add_device(&a, hybrid("b"));
    let link = world.add_wan(&a, "l", (&device, "eth3"), (&second, "eth3"));
    let refs = world.device_refs(&device);
    let link_refs = world.link_refs(&link);
    let stranger = world.somebody();
    let network = world.network();
    let update = UpdateNetwork {
        expected_sequence: 0,
        core_asn: network.core_asn,
        burn_in_new_slots: 1,
        burn_in_maintenance_slots: 1,
        attestation_max_age_slots: 1,
    };
    let device_data = CreateDevice { code: code("new"), ..world.device_data(hybrid("new")) };
    let figures = UpdateLink {
        expected_sequence: 0,
        bandwidth_bps: 100_000_000_000,
        mtu: 9_000,
        delay_ns: 5_000_000,
        jitter_ns: 60_000,
        delay_override_ns: 0,
    };
    let keys = UpdateContributor { expected_sequence: 0, owner: Key([1; 32]), operations_key: Key::ZERO };
    // Everybody who is not allowed, tried in turn.
    let nobodies: [&Keypair; 3] = [&stranger, &other.owner, &a.operations];
    for signer in nobodies {
        let key = signer.pubkey();
        let ix = &world.ix;
        let cases = [
            (ix.update_network(&key, update.clone()), ErrorCode::NotAuthority),
            (ix.set_paused(&key, true, 0), ErrorCode::NotAuthority),
            (ix.set_oracle_set(&key, vec![Key([1; 32])], 1, 0), ErrorCode::NotAuthority),
            (ix.propose_authority(&key, Key([1; 32]), 0), ErrorCode::NotAuthority),
            (ix.accept_authority(&key, 0), ErrorCode::NoPendingAuthority),
            (ix.update_contributor(&key, &a.code, keys.clone()), ErrorCode::NotAuthority),
            (
                ix.set_registry_status(&key, RegistryTarget::Contributor(&a.code), RegistryStatus::Suspended, 0),
                ErrorCode::NotAuthority,
            ),
            (ix.close_registry(&key, RegistryTarget::Contributor(&other.code), &key, 0), ErrorCode::NotAuthority),
            (ix.create_location(&key, &key, location("new")), ErrorCode::NotAuthority),
            (ix.create_exchange(&key, &key, exchange("new")), ErrorCode::NotAuthority),
            (
                ix.create_device(&key, &a.code, &code("ams"), &code("ams"), device_data.clone()),
                ErrorCode::NotDeviceOwner,
            ),
            (ix.provision_device(&key, &refs, 0), ErrorCode::NotDeviceOwner),
            (ix.suspend_device(&key, &refs.device, 0), ErrorCode::NotAuthority),
            (ix.reject_device(&key, &refs.device, RejectReason::Other, 0), ErrorCode::NotAuthority),
            (ix.delete_device(&key, &world.device_refs(&second), 0), ErrorCode::NotDeviceOwner),
            (ix.provision_link(&key, &link_refs, 0), ErrorCode::NotLinkParty),
            (ix.suspend_link(&key, &link_refs, 0), ErrorCode::NotAuthority),
            (ix.reject_link(&key, &link_refs, RejectReason::Other, 0), ErrorCode::NotLinkParty),
            (ix.delete_link(&key, &link_refs.a.contributor, &link_refs.link, 0), ErrorCode::NotLinkParty),
            (ix.update_link(&key, &link_refs.a.contributor, &link_refs.link, figures.clone()), ErrorCode::NotLinkParty),
        ];
        for (instruction, expected) in cases {
            let tag = causeway_sdk::instructions::tag_of(&instruction).unwrap();
            assert_eq!(refused(world.by(signer, instruction)), expected, "{tag}");
        }
    }
    // The operations key may set wishes and the override; a stranger and the other contributor may not.
    for signer in [&stranger, &other.owner] {
        let key = signer.pubkey();
        let desired = world.ix.set_device_desired(&key, &refs, DesiredStatus::Pending, 0);
        assert_eq!(refused(world.by(signer, desired)), ErrorCode::NotDeviceOwner);
        let desired =
            world.ix.set_link_desired(&key, &link_refs.a.contributor, &link_refs.link, DesiredStatus::Pending, 0);
        assert_eq!(refused(world.by(signer, desired)), ErrorCode::NotLinkParty);
        let window = world.window();
        let verdict = Verdict { verdict: 1, failed: 0 };
        let attest = world.ix.attest(&key, window, &[(to_key(&refs.device), verdict)]);
        assert_eq!(refused(world.by(signer, attest)), ErrorCode::NotOracle);
    }
    // The other contributor's account opens nothing either.
    let foreign = DeviceRefs { contributor: world.ix.addresses().contributor(&other.code), ..refs };
    let ix = world.ix.set_device_desired(&other.owner.pubkey(), &foreign, DesiredStatus::Pending, 0);
    assert_eq!(refused(world.by(&other.owner, ix)), ErrorCode::AccountMismatch);
    let operational = UpdateLink { jitter_ns: 50_000, delay_override_ns: 20_000, ..figures };
    let key = a.operations.pubkey();
    let ix = world.ix.update_link(&key, &link_refs.a.contributor, &link_refs.link, operational);
    world.by(&a.operations, ix).unwrap();
}

#[test]
fn authority_changes_hands_in_two_steps() {
    let mut world = World::new();
    let (old, next) = (world.authority.insecure_clone(), world.somebody());
    let ix = world.ix.propose_authority(&old.pubkey(), to_key(&next.pubkey()), 0);
    world.by(&old, ix).unwrap();
    assert_eq!(world.network().authority, to_key(&old.pubkey()), "not before it is accepted");
    let ix = world.ix.accept_authority(&next.pubkey(), 0);
    world.by(&next, ix).unwrap();
    let network = world.network();
    assert_eq!((network.authority, network.pending_authority), (to_key(&next.pubkey()), Key::ZERO));
    let ix = world.ix.set_paused(&old.pubkey(), true, 0);
    assert_eq!(refused(world.by(&old, ix)), ErrorCode::NotAuthority);
}

#[test]
fn an_oracle_set_has_distinct_keys_and_an_allowed_quorum() {
    let mut world = World::bare();
    let data = world.init_data();
    world.init(data).unwrap();
    let keys = |n: u8| (1..=n).map(|b| Key([b; 32])).collect::<Vec<_>>();
    let cases = [
        (keys(32), 22, ErrorCode::OracleSetTooLarge),
        (vec![Key([1; 32]), Key([1; 32])], 2, ErrorCode::OracleDuplicate),
        (vec![Key([1; 32]), Key::ZERO], 2, ErrorCode::OracleDuplicate),
        (keys(1), 0, ErrorCode::QuorumNotAllowed),
        (keys(2), 1, ErrorCode::QuorumNotAllowed),
        (keys(3), 1, ErrorCode::QuorumNotAllowed),
        (keys(4), 2, ErrorCode::QuorumNotAllowed),
        (keys(6), 4, ErrorCode::QuorumNotAllowed),
        (keys(7), 8, ErrorCode::QuorumNotAllowed),
    ];
    let authority = world.authority.pubkey();
    for (set, quorum, expected) in cases {
        let ix = world.ix.set_oracle_set(&authority, set, quorum, 0);
        assert_eq!(refused(world.as_authority(ix)), expected);
    }
    for (n, quorum) in [(1, 1), (2, 2), (3, 2), (4, 3), (31, 21)] {
        let ix = world.ix.set_oracle_set(&authority, keys(n), quorum, 0);
        world.as_authority(ix).unwrap();
    }
    assert_eq!(world.network().oracle_epoch, 5);
}

#[test]
fn a_suspended_registry_account_blocks_what_is_beneath_it() {
    let mut world = World::new();
    let party = world.party("acme");
    let device = world.add_device(&party, hybrid("a"));
    let authority = world.authority.pubkey();
    let ams = code("ams");
    let targets =
        [RegistryTarget::Contributor(&party.code), RegistryTarget::Location(&ams), RegistryTarget::Exchange(&ams)];
    for target in targets {
        let ix = world.ix.set_registry_status(&authority, target, RegistryStatus::Suspended, 0);
        world.as_authority(ix.clone()).unwrap();
        assert_eq!(refused(world.as_authority(ix)), ErrorCode::NoChange);
        assert_eq!(refused(world.provision_device(&party, &device)), ErrorCode::RegistrySuspended);
        let data = world.device_data(hybrid("b"));
        assert_eq!(refused(world.create_device(&party, data)), ErrorCode::RegistrySuspended);
        let close = world.ix.close_registry(&authority, target, &authority, 0);
        assert_eq!(refused(world.as_authority(close)), ErrorCode::RegistryInUse);
        let ix = world.ix.set_registry_status(&authority, target, RegistryStatus::Activated, 0);
        world.as_authority(ix).unwrap();
    }
    world.provision_device(&party, &device).unwrap();
}

#[test]
fn provisioning_needs_every_field() {
    let mut world = World::new();
    let party = world.party("acme");
    let good = world.device_data(hybrid("unused"));
    let cases = [
        CreateDevice { code: code("no-ip"), public_ip: Ip4::ZERO, ..good.clone() },
        CreateDevice { code: code("no-agent"), agent_key: Key::ZERO, ..good.clone() },
        CreateDevice { code: code("no-telemetry"), telemetry_key: Key::ZERO, ..good.clone() },
        CreateDevice { code: code("no-loopbacks"), skip_recipe: true, ..good },
    ];
    for data in cases {
        let data = CreateDevice { dz_prefix_count: 0, dz_prefixes: [Prefix::NONE; 4], ..data };
        let device = data.code;
        world.create_device(&party, data).unwrap();
        assert_eq!(refused(world.provision_device(&party, &device)), ErrorCode::DeviceFieldsMissing, "{device}");
    }
}

#[test]
fn an_attestation_is_checked() {
    let mut world = World::new();
    let party = world.party("acme");
    let device = world.add_device(&party, hybrid("a"));
    let key = world.device_key(&device);
    let oracle = world.oracles[0].insecure_clone();
    let good = DeviceHealth::ReadyForUsers.byte();
    for verdict in [0, 5, 255] {
        assert_eq!(refused(world.attest(0, &[(key, verdict)])), ErrorCode::VerdictInvalid);
    }
    let now = world.slot;
    for (start_slot, end_slot) in [(now, now - 1), (now, now + 1), (0, now - MAX_AGE - 1)] {
        let window = Window { epoch: 1, start_slot, end_slot, evidence_root: Digest::ZERO };
        let ix = world.ix.attest(&oracle.pubkey(), window, &[(key, Verdict { verdict: good, failed: 0 })]);
        assert_eq!(refused(world.by(&oracle, ix)), ErrorCode::WindowInvalid);
    }
    let ix = world.ix.attest(&oracle.pubkey(), world.window(), &[]);
    assert_eq!(refused(world.by(&oracle, ix)), ErrorCode::BatchMismatch);
    assert_eq!(refused(world.attest(0, &[(key, good), (key, good)])), ErrorCode::DuplicateAccount);
    for epoch in [0, 2, u32::MAX] {
        let window = Window { epoch, ..world.window() };
        let ix = world.ix.attest(&oracle.pubkey(), window, &[(key, Verdict { verdict: good, failed: 0 })]);
        assert_eq!(refused(world.by(&oracle, ix)), ErrorCode::OracleEpochStale);
    }
    world.attest(0, &[(key, good)]).unwrap();
    let entry = &world.attestations(&key).entries[0];
    assert_eq!((entry.verdict, entry.slot, entry.since), (good, FIRST_SLOT, [FIRST_SLOT; 2]));
    assert!(world.attestations(&key).entries[1..].iter().all(|e| e.slot == 0), "only its own entry");
    // A larger set needs room.
    let oracles = (0..7).map(|_| Keypair::new()).collect();
    world.set_oracles(oracles, 5).unwrap();
    assert_eq!(refused(world.attest(6, &[(key, good)])), ErrorCode::AttestationsTooSmall);
    let payer = world.somebody();
    let ix = world.ix.extend_attestations(&payer.pubkey(), &key, 0);
    world.by(&payer, ix.clone()).unwrap();
    assert_eq!(refused(world.by(&payer, ix)), ErrorCode::NoChange);
    world.attest(6, &[(key, good)]).unwrap();
}

#[test]
fn another_subjects_attestations_advance_nothing() {
    let mut world = World::new();
    let party = world.party("acme");
    let a = world.add_device(&party, hybrid("a"));
    let b = world.add_device(&party, hybrid("b"));
    let sender = world.somebody();
    let mut ix = world.ix.advance_device(&sender.pubkey(), &world.device_refs(&a), 0);
    ix.accounts[3].pubkey = world.ix.addresses().attestations(&world.device_key(&b));
    assert_eq!(refused(world.by(&sender, ix)), ErrorCode::AttestationsMismatch);
}

#[test]
fn an_exhausted_pool_refuses_and_takes_freed_values_again() {
    let mut world = World::bare();
    let data = InitNetwork { loopback_block: prefix("172.17.0.0/30"), ..world.init_data() };
    world.init(data).unwrap();
    let party = world.party("acme");
    let a = world.add_device(&party, hybrid("a"));
    let b = world.add_device(&party, hybrid("b"));
    world.provision_device(&party, &a).unwrap();
    assert_eq!(refused(world.provision_device(&party, &b)), ErrorCode::PoolExhausted);
    let owner = party.owner.pubkey();
    let refs = world.device_refs(&a);
    let delete = world.ix.delete_device(&owner, &refs, 0);
    let close = world.ix.close_device(&owner, &refs, &owner, 0);
    world.send(&[delete, close], &[&party.owner]).unwrap();
    world.provision_device(&party, &b).unwrap();
}

#[test]
fn a_batch_holds_as_many_subjects_as_a_transaction_can_lock() {
    let mut world = World::new();
    let party = world.party("acme");
    let verdicts: Vec<_> = (0..MAX_ATTEST_BATCH + 1)
        .map(|n| {
            let device = world.add_device(&party, hybrid(&format!("d{n}")));
            (world.device_key(&device), DeviceHealth::ReadyForUsers.byte())
        })
        .collect();
    let done = world.attest(0, &verdicts[..MAX_ATTEST_BATCH]).unwrap();
    assert!(done.cu < 900 + 250 * 55, "{} compute units", done.cu);
    for (key, verdict) in &verdicts[..MAX_ATTEST_BATCH] {
        assert_eq!(world.attestations(key).entries[0].verdict, *verdict);
    }
    assert_eq!(refused(world.attest(0, &verdicts)), ErrorCode::BatchMismatch);
}

#[test]
fn a_network_with_more_oracles_than_any_set_holds_creates_nothing() {
    let mut world = World::new();
    let party = world.party("acme");
    world.add_device(&party, hybrid("a"));
    let data = world.device_data(hybrid("b"));
    let network = world.ix.addresses().network();
    let oracle_count = std::mem::offset_of!(causeway_interface::accounts::RawNetwork, oracle_count);
    world.tamper(&network, |account| account.data[oracle_count] = 127);
    assert_eq!(refused(world.create_device(&party, data)), ErrorCode::CorruptAccount);
}

#[test]
fn interfaces_of_a_device_in_service_keep_its_types_shape() {
    use causeway_interface::{DeviceStatus, InterfaceKind, InterfaceRole, LoopbackType, instruction::SetInterface};
    use causeway_program_tests::plant::{interface, transit};

    let set = |name: &str, role| SetInterface {
        expected_sequence: 0,
        name: interface(name),
        kind: InterfaceKind::Physical,
        role,
        loopback: LoopbackType::None,
        vlan_id: 0,
        mtu: 1_500,
        bandwidth_bps: 0,
        address: Prefix::NONE,
    };
    let mut world = World::new();
    let party = world.party("acme");
    let owner = party.owner.pubkey();
    world.add_device(&party, hybrid("hybrid"));
    world.add_device(&party, transit("transit"));
    // The first port of a hybrid device is its only one for users.
    let (hybrid, transit) = (world.device_refs(&code("hybrid")), world.device_refs(&code("transit")));
    let breaking = [
        world.ix.remove_interface(&owner, &hybrid, &owner, interface("eth1"), 0),
        world.ix.update_interface(&owner, &hybrid, set("eth1", InterfaceRole::Fabric)),
        world.ix.update_interface(&owner, &transit, set("eth3", InterfaceRole::Cyoa)),
        world.ix.add_interface(&owner, &transit, set("eth90", InterfaceRole::Cyoa)),
    ];
    for status in [DeviceStatus::Activated, DeviceStatus::Drained] {
        for device in [hybrid.device, transit.device] {
            world.tamper(&device, |account| account.data[3] = status.byte());
        }
        for ix in &breaking {
            assert_eq!(refused(world.by(&party.owner, ix.clone())), ErrorCode::DeviceShapeBroken, "{status}");
        }
    }
    // What leaves a port for users is as good as before, and so is everything before service.
    let add = world.ix.add_interface(&owner, &hybrid, set("eth90", InterfaceRole::Cyoa));
    world.by(&party.owner, add).unwrap();
    world.by(&party.owner, breaking[0].clone()).unwrap();
    world.tamper(&transit.device, |account| account.data[3] = DeviceStatus::DeviceProvisioning.byte());
    world.by(&party.owner, breaking[3].clone()).unwrap();
}
