//! Devices and links from registration to service and out again.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use causeway_interface::{
    Code, DesiredStatus, DeviceHealth, DeviceStatus, ErrorCode, InterfaceName, LinkHealth, LinkStatus, LoopbackType,
    PoolKind, RejectReason, accounts::LINK_FLAG_Z_ATTACHED,
};
use causeway_program_tests::{
    Party, World,
    plant::{ROUND, edge, hybrid},
    world::{BURN_IN_MAINTENANCE, BURN_IN_NEW, MAX_AGE, code, refused},
};
use solana_sdk::signature::Signer;

const USERS: u8 = DeviceHealth::ReadyForUsers as u8;
const SERVICE: u8 = LinkHealth::ReadyForService as u8;

fn status(world: &World, device: &Code) -> DeviceStatus {
    world.device(device).header.status
}

fn link_status(world: &World, link: &Code) -> LinkStatus {
    world.link(link).header.status
}

/// Sends the attestations of `pair` up to one slot before the end of a burn-in, and stops there.
fn attest_to_the_eve(world: &mut World, verdicts: &[(causeway_interface::Key, u8)], burn_in: u64) {
    world.attest_for(verdicts, burn_in - 1);
}

#[test]
fn a_device_reaches_link_provisioning_at_the_end_of_the_burn_in_and_not_a_slot_earlier() {
    let mut world = World::new();
    let party = world.party("acme");
    let device = world.add_device(&party, hybrid("a"));
    assert_eq!(status(&world, &device), DeviceStatus::Pending);
    world.provision_device(&party, &device).unwrap();
    assert_eq!(status(&world, &device), DeviceStatus::DeviceProvisioning);
    let verdict = [(world.device_key(&device), DeviceHealth::ReadyForLinks.byte())];
    attest_to_the_eve(&mut world, &verdict, BURN_IN_NEW);
    world.advance_device(&device).unwrap();
    assert_eq!(status(&world, &device), DeviceStatus::DeviceProvisioning, "a slot too early");
    assert_eq!(world.device(&device).header.health, DeviceHealth::Pending);
    world.warp(1);
    // Time alone does nothing: a streak ends at the last word.
    world.advance_device(&device).unwrap();
    assert_eq!(status(&world, &device), DeviceStatus::DeviceProvisioning, "no word at the end of the burn-in");
    // One oracle of three is not a quorum of two.
    world.attest(0, &verdict).unwrap();
    world.advance_device(&device).unwrap();
    assert_eq!(status(&world, &device), DeviceStatus::DeviceProvisioning, "one oracle is no quorum");
    world.attest(2, &verdict).unwrap();
    world.advance_device(&device).unwrap();
    let record = world.device(&device);
    assert_eq!(record.header.status, DeviceStatus::LinkProvisioning);
    assert_eq!(record.header.health, DeviceHealth::ReadyForLinks);
    assert_eq!(record.header.status_since_slot, world.slot);
    assert_eq!(record.health_since_slot, world.slot);
}

#[test]
fn a_gap_longer_than_the_maximum_age_begins_the_burn_in_anew() {
    let mut world = World::new();
    let party = world.party("acme");
    let device = world.add_device(&party, hybrid("a"));
    world.provision_device(&party, &device).unwrap();
    let verdict = [(world.device_key(&device), USERS)];
    world.attest_for(&verdict, BURN_IN_NEW / 2);
    world.warp(MAX_AGE + 1);
    world.attest_for(&verdict, BURN_IN_NEW / 2);
    world.advance_device(&device).unwrap();
    assert_eq!(status(&world, &device), DeviceStatus::DeviceProvisioning);
    world.attest_for(&verdict, BURN_IN_NEW / 2);
    world.advance_device(&device).unwrap();
    assert_eq!(status(&world, &device), DeviceStatus::LinkProvisioning);
}

#[test]
fn provisioning_assigns_loopbacks_and_segment_from_the_pools() {
    let mut world = World::new();
    let party = world.party("acme");
    let device = world.add_device(&party, hybrid("a"));
    world.provision_device(&party, &device).unwrap();
    let record = world.device(&device);
    let loopback = |kind| record.interfaces.iter().find(|i| i.loopback == kind).unwrap();
    assert_eq!(loopback(LoopbackType::Vpnv4).address.to_string(), "172.17.0.1/32");
    assert_eq!(loopback(LoopbackType::Vpnv4).node_segment, 1);
    assert_eq!(loopback(LoopbackType::Ipv4).address.to_string(), "172.17.0.2/32");
    assert_eq!(loopback(LoopbackType::Ipv4).node_segment, 0);
    assert_eq!(world.pool(PoolKind::Loopback).allocated, 2);
    assert_eq!(world.pool(PoolKind::NodeSegment).allocated, 1);
}

#[test]
fn a_pair_of_devices_and_their_wan_link_reach_service() {
    let mut world = World::new();
    let party = world.party("acme");
    let (a, z, link) = world.pair_in_service(&party);
    for device in [&a, &z] {
        let record = world.device(device);
        assert_eq!(record.header.status, DeviceStatus::Activated);
        assert_eq!((record.link_count, record.activated_wan_links, record.activated_dzx_links), (1, 1, 0));
    }
    let record = world.link(&link);
    assert_eq!(record.header.status, LinkStatus::Activated);
    assert_eq!(record.tunnel_id, 1);
    assert_eq!(record.tunnel_net.to_string(), "172.16.0.0/31");
    assert_eq!(world.contributor(&party.code).link_count, 2, "both sides are this contributor's");
}

/// An edge device of one party and a core pair of another, with an accepted DZX link between them.
fn dzx(world: &mut World) -> (Party, Party, Code, Code, Code) {
    let (edge_party, core_party) = (world.party("acme"), world.party("zeta"));
    let a = world.add_device(&edge_party, edge("edge"));
    let z = world.add_device(&core_party, hybrid("core"));
    let link = world.request_dzx(&edge_party, "dzx", (&a, "eth3"), (&z, "eth3"));
    (edge_party, core_party, a, z, link)
}

#[test]
fn a_dzx_link_is_requested_accepted_and_reaches_service() {
    let mut world = World::new();
    let (edge_party, core_party, a, z, link) = dzx(&mut world);
    assert_eq!(link_status(&world, &link), LinkStatus::Requested);
    assert_eq!(world.device(&z).link_count, 0, "side Z holds nothing before it agrees");
    assert_eq!(world.contributor(&core_party.code).link_count, 0);
    world.accept(&core_party, &link).unwrap();
    let record = world.link(&link);
    assert_eq!(record.header.status, LinkStatus::Pending);
    assert_eq!(record.header.flags, LINK_FLAG_Z_ATTACHED);
    assert_eq!(world.device(&z).link_count, 1);
    assert_eq!(world.contributor(&core_party.code).link_count, 1);
    assert_eq!(world.contributor(&edge_party.code).link_count, 1);
    world.provision_device(&edge_party, &a).unwrap();
    assert_eq!(refused(world.provision_link(&edge_party, &link)), ErrorCode::LinkDevicesNotReady);
    world.provision_device(&core_party, &z).unwrap();
    world.provision_link(&core_party, &link).unwrap();
    let verdicts = [(world.device_key(&a), USERS), (world.device_key(&z), USERS), (world.link_key(&link), SERVICE)];
    world.attest_for(&verdicts, BURN_IN_NEW);
    world.advance_link(&link).unwrap();
    assert_eq!(link_status(&world, &link), LinkStatus::Provisioning, "its devices are not ready for links yet");
    assert_eq!(world.link(&link).header.health, LinkHealth::ReadyForService);
    for device in [&a, &z] {
        world.advance_device(device).unwrap();
        world.advance_device(device).unwrap();
        assert_eq!(status(&world, device), DeviceStatus::LinkProvisioning, "no activated link yet");
    }
    world.advance_link(&link).unwrap();
    assert_eq!(link_status(&world, &link), LinkStatus::Activated);
    world.advance_device(&a).unwrap();
    assert_eq!(status(&world, &a), DeviceStatus::Activated);
    world.advance_device(&z).unwrap();
    assert_eq!(status(&world, &z), DeviceStatus::LinkProvisioning, "a hybrid device also needs a WAN link");
}

#[test]
fn either_side_drains_a_dzx_link_and_both_have_to_want_it_back() {
    let mut world = World::new();
    let (edge_party, core_party, ..) = dzx(&mut world);
    let link = code("dzx");
    world.accept(&core_party, &link).unwrap();
    world.want_link(&core_party, &link, DesiredStatus::HardDrained).unwrap();
    assert_eq!(world.link(&link).header.desired, DesiredStatus::HardDrained);
    world.want_link(&edge_party, &link, DesiredStatus::SoftDrained).unwrap();
    assert_eq!(world.link(&link).header.desired, DesiredStatus::HardDrained, "the stricter of the two");
    world.want_link(&core_party, &link, DesiredStatus::Activated).unwrap();
    assert_eq!(world.link(&link).header.desired, DesiredStatus::SoftDrained);
    world.want_link(&edge_party, &link, DesiredStatus::Activated).unwrap();
    assert_eq!(world.link(&link).header.desired, DesiredStatus::Activated);
    assert_eq!(refused(world.want_link(&edge_party, &link, DesiredStatus::Activated)), ErrorCode::NoChange);
}

#[test]
fn a_link_is_drained_at_once_and_undrained_after_the_maintenance_burn_in_since_the_drain() {
    let mut world = World::new();
    let party = world.party("acme");
    let (a, _, link) = world.pair_in_service(&party);
    let verdict = [(world.link_key(&link), SERVICE)];
    world.want_link(&party, &link, DesiredStatus::SoftDrained).unwrap();
    world.advance_link(&link).unwrap();
    assert_eq!(link_status(&world, &link), LinkStatus::SoftDrained);
    assert_eq!(world.device(&a).activated_wan_links, 0);
    world.want_link(&party, &link, DesiredStatus::HardDrained).unwrap();
    world.advance_link(&link).unwrap();
    assert_eq!(link_status(&world, &link), LinkStatus::HardDrained);
    let drained = world.slot;
    world.want_link(&party, &link, DesiredStatus::Activated).unwrap();
    world.advance_link(&link).unwrap();
    assert_eq!(link_status(&world, &link), LinkStatus::HardDrained, "the streak before the drain does not count");
    attest_to_the_eve(&mut world, &verdict, BURN_IN_MAINTENANCE);
    world.advance_link(&link).unwrap();
    assert_eq!(link_status(&world, &link), LinkStatus::HardDrained, "a slot too early");
    world.warp(1);
    world.attest_all(&verdict);
    world.advance_link(&link).unwrap();
    assert_eq!(world.slot, drained + BURN_IN_MAINTENANCE);
    assert_eq!(link_status(&world, &link), LinkStatus::Activated);
    assert_eq!(world.device(&a).activated_wan_links, 1);
}

#[test]
fn a_device_is_drained_and_undrained() {
    let mut world = World::new();
    let party = world.party("acme");
    let (a, ..) = world.pair_in_service(&party);
    world.want_device(&party, &a, DesiredStatus::SoftDrained).unwrap();
    world.advance_device(&a).unwrap();
    assert_eq!(status(&world, &a), DeviceStatus::Drained);
    world.want_device(&party, &a, DesiredStatus::Activated).unwrap();
    let verdict = [(world.device_key(&a), USERS)];
    attest_to_the_eve(&mut world, &verdict, BURN_IN_MAINTENANCE);
    world.advance_device(&a).unwrap();
    assert_eq!(status(&world, &a), DeviceStatus::Drained);
    world.warp(1);
    world.attest_all(&verdict);
    world.advance_device(&a).unwrap();
    assert_eq!(status(&world, &a), DeviceStatus::Activated);
}

#[test]
fn falling_health_is_shown_and_drains_nothing() {
    let mut world = World::new();
    let party = world.party("acme");
    let (a, _, link) = world.pair_in_service(&party);
    world.attest_all(&[(world.device_key(&a), DeviceHealth::ReadyForLinks.byte())]);
    world.attest_all(&[(world.link_key(&link), LinkHealth::Impaired.byte())]);
    world.advance_device(&a).unwrap();
    world.advance_link(&link).unwrap();
    assert_eq!(world.device(&a).header.health, DeviceHealth::Impaired);
    assert_eq!(world.link(&link).header.health, LinkHealth::Impaired);
    assert_eq!(status(&world, &a), DeviceStatus::Activated);
    assert_eq!(link_status(&world, &link), LinkStatus::Activated);
    world.warp(MAX_AGE + 1);
    world.advance_device(&a).unwrap();
    assert_eq!(world.device(&a).header.health, DeviceHealth::Unknown, "nobody has a fresh word");
    world.attest_for(&[(world.device_key(&a), USERS)], BURN_IN_MAINTENANCE);
    world.advance_device(&a).unwrap();
    assert_eq!(world.device(&a).header.health, DeviceHealth::ReadyForUsers);
}

#[test]
fn an_advance_that_changes_nothing_leaves_the_sequence_and_logs_no_event() {
    let mut world = World::new();
    let party = world.party("acme");
    let (a, ..) = world.pair_in_service(&party);
    let before = world.device(&a);
    let done = world.advance_device(&a).unwrap();
    assert_eq!(world.device(&a), before);
    assert!(!done.logs.iter().any(|line| line.starts_with("Program data")));
}

#[test]
fn a_suspended_device_resumes_drained_or_where_it_was() {
    let mut world = World::new();
    let party = world.party("acme");
    let (a, ..) = world.pair_in_service(&party);
    let fresh = world.add_device(&party, hybrid("fresh"));
    let authority = world.authority.pubkey();
    for (device, back) in [(a, DeviceStatus::Drained), (fresh, DeviceStatus::Pending)] {
        let left = status(&world, &device);
        let address = world.ix.addresses().device(&device);
        let ix = world.ix.suspend_device(&authority, &address, 0);
        world.as_authority(ix).unwrap();
        let record = world.device(&device);
        assert_eq!((record.header.status, record.suspended_from), (DeviceStatus::Suspended, left));
        let again = world.ix.suspend_device(&authority, &address, 0);
        assert_eq!(refused(world.as_authority(again)), ErrorCode::DeviceTransitionRefused);
        let ix = world.ix.resume_device(&authority, &address, 0);
        world.as_authority(ix).unwrap();
        let record = world.device(&device);
        assert_eq!((record.header.status, record.suspended_from), (back, DeviceStatus::Pending));
    }
}

#[test]
fn a_suspended_link_leaves_the_counts_and_resumes_hard_drained() {
    let mut world = World::new();
    let party = world.party("acme");
    let (a, _, link) = world.pair_in_service(&party);
    let authority = world.authority.pubkey();
    let refs = world.link_refs(&link);
    let ix = world.ix.suspend_link(&authority, &refs, 0);
    world.as_authority(ix).unwrap();
    assert_eq!(link_status(&world, &link), LinkStatus::Suspended);
    assert_eq!(world.device(&a).activated_wan_links, 0);
    let ix = world.ix.resume_link(&authority, &refs.link, 0);
    world.as_authority(ix).unwrap();
    assert_eq!(link_status(&world, &link), LinkStatus::HardDrained);
}

#[test]
fn a_rejected_device_or_link_keeps_the_reason_and_can_only_be_deleted() {
    let mut world = World::new();
    let (edge_party, core_party, a, _, link) = dzx(&mut world);
    let refs = world.link_refs(&link);
    let none = world.ix.reject_link(&core_party.owner.pubkey(), &refs, RejectReason::None, 0);
    assert_eq!(refused(world.by(&core_party.owner, none)), ErrorCode::InstructionData);
    let mine = world.ix.reject_link(&edge_party.owner.pubkey(), &refs, RejectReason::Other, 0);
    assert_eq!(
        refused(world.by(&edge_party.owner, mine)),
        ErrorCode::NotLinkParty,
        "side A deletes, it does not reject"
    );
    let ix = world.ix.reject_link(&core_party.owner.pubkey(), &refs, RejectReason::NotAgreed, 0);
    world.by(&core_party.owner, ix).unwrap();
    let record = world.link(&link);
    assert_eq!((record.header.status, record.reject_reason), (LinkStatus::Rejected, RejectReason::NotAgreed));
    assert_eq!(refused(world.accept(&core_party, &link)), ErrorCode::LinkTransitionRefused);

    let authority = world.authority.pubkey();
    let address = world.ix.addresses().device(&a);
    let ix = world.ix.reject_device(&authority, &address, RejectReason::Duplicate, 0);
    world.as_authority(ix).unwrap();
    assert_eq!(world.device(&a).reject_reason, RejectReason::Duplicate);
    assert_eq!(refused(world.provision_device(&edge_party, &a)), ErrorCode::DeviceTransitionRefused);
    assert_eq!(refused(world.want_device(&edge_party, &a, DesiredStatus::Pending)), ErrorCode::DeviceTransitionRefused);
}

#[test]
fn closing_gives_everything_back() {
    let mut world = World::new();
    let party = world.party("acme");
    let owner = party.owner.pubkey();
    world.add_device(&party, hybrid("warm-up"));
    let (network, contributor, place) = (world.network(), world.contributor(&party.code), world.location(&code("ams")));
    let pools = [PoolKind::Loopback, PoolKind::NodeSegment, PoolKind::LinkId, PoolKind::LinkNet];
    let allocated = |world: &World| pools.map(|kind| world.pool(kind).allocated);
    let before = allocated(&world);
    let ranges = world.prefix_table().used;
    let funds = world.account(&owner).unwrap().lamports;

    let (a, z, link) = world.pair_in_service(&party);
    world.want_link(&party, &link, DesiredStatus::HardDrained).unwrap();
    let refs = world.link_refs(&link);
    let delete = world.ix.delete_link(&owner, &refs.a.contributor, &refs.link, 0);
    assert_eq!(refused(world.by(&party.owner, delete.clone())), ErrorCode::LinkTransitionRefused, "it is in service");
    world.advance_link(&link).unwrap();
    let close = world.ix.close_link(&owner, &refs, &owner, 0);
    assert_eq!(refused(world.by(&party.owner, close.clone())), ErrorCode::LinkTransitionRefused, "not yet deleted");
    world.by(&party.owner, delete).unwrap();
    world.by(&party.owner, close).unwrap();
    assert!(world.account(&refs.link).is_none());
    for device in [&a, &z] {
        let record = world.device(device);
        assert_eq!((record.link_count, record.activated_wan_links), (0, 0));
        assert!(record.interfaces.iter().all(|i| i.link.is_zero()));
        let refs = world.device_refs(device);
        world.want_device(&party, device, DesiredStatus::HardDrained).unwrap();
        world.advance_device(device).unwrap();
        let delete = world.ix.delete_device(&owner, &refs, 0);
        let close = world.ix.close_device(&owner, &refs, &owner, 0);
        world.send(&[delete, close], &[&party.owner]).unwrap();
        assert!(world.account(&refs.device).is_none());
        assert!(world.account(&world.ix.addresses().attestations(&world.device_key(device))).is_none());
    }
    assert_eq!(allocated(&world), before);
    assert_eq!(world.prefix_table().used, ranges);
    assert_eq!(world.network().device_count, network.device_count);
    assert_eq!(world.network().link_count, network.link_count);
    assert_eq!(world.contributor(&party.code).device_count, contributor.device_count);
    assert_eq!(world.contributor(&party.code).link_count, contributor.link_count);
    assert_eq!(world.location(&code("ams")).device_count, place.device_count);
    let fees = funds - world.account(&owner).unwrap().lamports;
    assert!(fees < 1_000_000, "all rent came back, {fees} lamports went to fees");
}

#[test]
fn a_request_never_blocks_side_z_and_can_be_withdrawn_after_side_z_is_gone() {
    let mut world = World::new();
    let (edge_party, core_party, a, z, link) = dzx(&mut world);
    let refs = world.link_refs(&link);
    let device_refs = world.device_refs(&z);
    let core = core_party.owner.pubkey();
    let delete = world.ix.delete_device(&core, &device_refs, 0);
    let close = world.ix.close_device(&core, &device_refs, &core, 0);
    world.send(&[delete, close], &[&core_party.owner]).unwrap();

    // A namesake of another party is not the device that was asked for.
    let third = world.party("third");
    let namesake = world.add_device(&third, hybrid("core"));
    assert_eq!(world.ix.addresses().device(&namesake), refs.z.device);
    let accept = world.ix.accept_link(&core, &refs, InterfaceName::ZERO, 0);
    assert_eq!(refused(world.by(&core_party.owner, accept)), ErrorCode::LinkForeignDevice);

    let owner = edge_party.owner.pubkey();
    let delete = world.ix.delete_link(&owner, &refs.a.contributor, &refs.link, 0);
    let close = world.ix.close_link(&owner, &refs, &owner, 0);
    world.send(&[delete, close], &[&edge_party.owner]).unwrap();
    assert_eq!(world.device(&a).link_count, 0);
    assert_eq!(world.device(&namesake).link_count, 0);
    assert_eq!(world.contributor(&edge_party.code).link_count, 0);
}

#[test]
fn a_closed_code_can_be_used_again_and_an_old_transaction_does_not_fit_it() {
    let mut world = World::new();
    let party = world.party("acme");
    let owner = party.owner.pubkey();
    let device = world.add_device(&party, hybrid("a"));
    let refs = world.device_refs(&device);
    let old = world.device(&device).header.sequence;
    let delete = world.ix.delete_device(&owner, &refs, 0);
    let close = world.ix.close_device(&owner, &refs, &owner, 0);
    world.send(&[delete, close], &[&party.owner]).unwrap();
    world.warp(10);
    world.add_device(&party, hybrid("a"));
    let stale = world.ix.set_device_desired(&owner, &refs, DesiredStatus::Pending, old);
    assert_eq!(refused(world.by(&party.owner, stale)), ErrorCode::StaleSequence);
}

#[test]
fn the_breaker_stops_forward_moves_and_not_drains() {
    let mut world = World::new();
    let party = world.party("acme");
    let (a, _, link) = world.pair_in_service(&party);
    let authority = world.authority.pubkey();
    let fresh = world.add_device(&party, hybrid("fresh"));
    let ix = world.ix.set_paused(&authority, true, 0);
    world.as_authority(ix.clone()).unwrap();
    assert_eq!(refused(world.as_authority(ix)), ErrorCode::NoChange);
    assert_eq!(refused(world.provision_device(&party, &fresh)), ErrorCode::NetworkPaused);
    let data = world.device_data(hybrid("another"));
    assert_eq!(refused(world.create_device(&party, data)), ErrorCode::NetworkPaused);
    world.want_link(&party, &link, DesiredStatus::SoftDrained).unwrap();
    world.advance_link(&link).unwrap();
    assert_eq!(link_status(&world, &link), LinkStatus::SoftDrained, "a drain works");
    world.want_link(&party, &link, DesiredStatus::HardDrained).unwrap();
    world.advance_link(&link).unwrap();
    world.want_link(&party, &link, DesiredStatus::SoftDrained).unwrap();
    world.advance_link(&link).unwrap();
    assert_eq!(link_status(&world, &link), LinkStatus::HardDrained, "softening lets traffic back, so it waits");
    world.want_link(&party, &link, DesiredStatus::Activated).unwrap();
    world.attest_for(&[(world.link_key(&link), SERVICE), (world.device_key(&a), USERS)], BURN_IN_MAINTENANCE);
    world.advance_link(&link).unwrap();
    assert_eq!(link_status(&world, &link), LinkStatus::HardDrained);
    let ix = world.ix.set_paused(&authority, false, 0);
    world.as_authority(ix).unwrap();
    world.advance_link(&link).unwrap();
    assert_eq!(link_status(&world, &link), LinkStatus::Activated);
}

#[test]
fn a_new_oracle_set_voids_every_attestation_at_once() {
    let mut world = World::new();
    let party = world.party("acme");
    let device = world.add_device(&party, hybrid("a"));
    world.provision_device(&party, &device).unwrap();
    let verdict = [(world.device_key(&device), USERS)];
    world.attest_for(&verdict, BURN_IN_NEW);
    let same = world.oracles.iter().map(|o| o.insecure_clone()).collect();
    world.set_oracles(same, 2).unwrap();
    world.advance_device(&device).unwrap();
    assert_eq!(status(&world, &device), DeviceStatus::DeviceProvisioning);
    assert_eq!(world.device(&device).header.health, DeviceHealth::Unknown);
    world.attest_for(&verdict, BURN_IN_NEW - ROUND);
    world.advance_device(&device).unwrap();
    assert_eq!(status(&world, &device), DeviceStatus::DeviceProvisioning, "the streak begins anew");
    world.attest_for(&verdict, ROUND);
    world.advance_device(&device).unwrap();
    assert_eq!(status(&world, &device), DeviceStatus::LinkProvisioning);
}

#[test]
fn health_from_before_a_silence_moves_nothing_without_a_burn_in_of_its_own() {
    let mut world = World::new();
    let party = world.party("acme");
    let device = world.add_device(&party, hybrid("a"));
    world.provision_device(&party, &device).unwrap();
    world.want_device(&party, &device, DesiredStatus::Pending).unwrap();
    let verdict = [(world.device_key(&device), USERS)];
    world.attest_for(&verdict, BURN_IN_NEW);
    world.advance_device(&device).unwrap();
    assert_eq!(world.device(&device).header.health, DeviceHealth::ReadyForUsers);
    assert_eq!(status(&world, &device), DeviceStatus::DeviceProvisioning, "its contributor holds it");

    // Everything is void, and nobody advances until each oracle has spoken once: health is held by fresh words.
    let same = world.oracles.iter().map(|o| o.insecure_clone()).collect();
    world.set_oracles(same, 2).unwrap();
    for oracle in 0..3 {
        world.attest(oracle, &verdict).unwrap();
    }
    world.want_device(&party, &device, DesiredStatus::Activated).unwrap();
    world.advance_device(&device).unwrap();
    assert_eq!(status(&world, &device), DeviceStatus::DeviceProvisioning, "no streak is as long as the burn-in");
    world.attest_for(&verdict, BURN_IN_NEW);
    world.advance_device(&device).unwrap();
    assert_eq!(status(&world, &device), DeviceStatus::LinkProvisioning);
}

#[test]
fn a_word_that_was_overtaken_by_a_newer_one_is_refused() {
    let mut world = World::new();
    let party = world.party("acme");
    let device = world.add_device(&party, hybrid("a"));
    world.provision_device(&party, &device).unwrap();
    let key = world.device_key(&device);
    let (oracle, now) = (world.oracles[0].insecure_clone(), world.slot);
    let attest = |world: &World, end_slot: u64, verdict: DeviceHealth| {
        let window =
            causeway_sdk::Window { epoch: 1, start_slot: end_slot, end_slot, evidence_root: Default::default() };
        let word = causeway_interface::instruction::Verdict { verdict: verdict.byte(), failed: 0 };
        world.ix.attest(&oracle.pubkey(), window, &[(key, word)])
    };
    let newer = attest(&world, now, DeviceHealth::Impaired);
    let older = attest(&world, now - 1, DeviceHealth::ReadyForUsers);
    world.by(&oracle, newer).unwrap();
    assert_eq!(refused(world.by(&oracle, older)), ErrorCode::WindowInvalid);
}
