//! What every instruction costs: one representative case each, near the worst of an ordinary network.
//!
//! Creating an account means searching its address, and how long that takes is the luck of its code: it is measured
//! for a fixed set of codes, and the dearest counts.

pub mod accounts;
pub mod floor;
pub mod needs;
mod table;

pub use table::{Cost, Costs};

use causeway_interface::{
    Code, Country, DesiredStatus, DeviceHealth, InterfaceKind, InterfaceRole, Key, LinkHealth, LinkType, LoopbackType,
    PoolKind, Prefix, RegistryStatus, RejectReason,
    instruction::{
        ADVANCE_DEVICE, ADVANCE_LINK, SetInterface, Tag, UpdateContributor, UpdateDevice, UpdateExchange, UpdateLink,
        UpdateLocation, UpdateNetwork,
    },
    seeds,
};
use causeway_sdk::{
    RegistryTarget,
    address::{UPGRADEABLE_LOADER, to_key},
};
use solana_sdk::signature::{Keypair, Signer};

use self::{
    needs::{Creation, Search},
    table::Table,
};
use crate::{
    Party, World,
    parties::{exchange, label, location},
    plant::{edge, hybrid, interface},
    world::{BURN_IN_MAINTENANCE, BURN_IN_NEW, code},
};

/// Subjects after the first of the full batch that [`Cost::per_further_subject`] is taken from.
pub const FURTHER: u64 = 23;

/// Measures every instruction.
///
/// # Panics
/// One is refused, or has no case.
pub fn measure() -> Costs {
    let mut table = Table::default();
    network(&mut table);
    registry(&mut table);
    device(&mut table);
    link(&mut table);
    oracle(&mut table);
    table.finish()
}

fn network(table: &mut Table) {
    let mut world = World::bare();
    let data = world.init_data();
    let created = world.init(data);
    let program = world.ix.addresses().program_id;
    let kinds = PoolKind::ALL.iter().map(|kind| [kind.byte()]).collect::<Vec<_>>();
    let pools = kinds.iter().map(|kind| [seeds::POOL, kind.as_slice()]);
    let all = pools.chain([[seeds::PREFIX_TABLE, &[]], [seeds::NETWORK, &[]]]);
    let creations = all.map(|seeds| Creation::of(&world, seeds)).collect();
    table.put_creation(Tag::InitNetwork, creations, created);
    // Who may replace the program is told by the loader's account, whose address is proven.
    let proof = Search::new(&UPGRADEABLE_LOADER, [program.as_ref(), &[]]).0;
    table.of(Tag::InitNetwork).needs.proofs.push(proof);
    let oracles = (0..7).map(|_| Keypair::new()).collect();
    table.put(Tag::SetOracleSet, world.set_oracles(oracles, 5));
    let authority = world.authority.pubkey();
    let data = UpdateNetwork {
        expected_sequence: 0,
        core_asn: 65_001,
        burn_in_new_slots: 200_000,
        burn_in_maintenance_slots: 5_000,
        attestation_max_age_slots: 1_500,
    };
    let ix = world.ix.update_network(&authority, data);
    table.put(Tag::UpdateNetwork, world.as_authority(ix));
    let ix = world.ix.set_paused(&authority, true, 0);
    table.put(Tag::SetPaused, world.as_authority(ix));
    let next = world.somebody();
    let ix = world.ix.propose_authority(&authority, to_key(&next.pubkey()), 0);
    table.put(Tag::ProposeAuthority, world.as_authority(ix));
    let ix = world.ix.accept_authority(&next.pubkey(), 0);
    table.put(Tag::AcceptAuthority, world.by(&next, ix));
    let ix = world.ix.extend_prefix_table(&next.pubkey(), 0);
    table.put(Tag::ExtendPrefixTable, world.by(&next, ix));
}

fn registry(table: &mut Table) {
    let mut world = World::new();
    let authority = world.authority.pubkey();
    for name in ["long-registry-code", "b", "c", "d", "e"] {
        let owner = to_key(&world.somebody().pubkey());
        let data =
            causeway_interface::instruction::CreateContributor { code: code(name), owner, operations_key: owner };
        let ix = world.ix.create_contributor(&authority, &authority, data);
        let created = world.as_authority(ix);
        table.put_creation(
            Tag::CreateContributor,
            vec![Creation::of(&world, [seeds::CONTRIBUTOR, name.as_bytes()])],
            created,
        );
        let ix = world.ix.create_location(&authority, &authority, location(name));
        let created = world.as_authority(ix);
        table.put_creation(
            Tag::CreateLocation,
            vec![Creation::of(&world, [seeds::LOCATION, name.as_bytes()])],
            created,
        );
        let ix = world.ix.create_exchange(&authority, &authority, exchange(name));
        let created = world.as_authority(ix);
        table.put_creation(
            Tag::CreateExchange,
            vec![Creation::of(&world, [seeds::EXCHANGE, name.as_bytes()])],
            created,
        );
    }
    let c = code("b");
    let key = Key([1; 32]);
    let data = UpdateContributor { expected_sequence: 0, owner: key, operations_key: key };
    let ix = world.ix.update_contributor(&authority, &c, data);
    table.put(Tag::UpdateContributor, world.as_authority(ix));
    let (name, country) = (label("Amsterdam Science Park"), Country::ZERO);
    let data = UpdateLocation { expected_sequence: 0, name, country, lat_e6: 1, lng_e6: 1 };
    let ix = world.ix.update_location(&authority, &c, data);
    table.put(Tag::UpdateLocation, world.as_authority(ix));
    let data = UpdateExchange { expected_sequence: 0, name, country, lat_e6: 1, lng_e6: 1, bgp_community: 1 };
    let ix = world.ix.update_exchange(&authority, &c, data);
    table.put(Tag::UpdateExchange, world.as_authority(ix));
    for target in [RegistryTarget::Contributor(&c), RegistryTarget::Location(&c), RegistryTarget::Exchange(&c)] {
        let ix = world.ix.set_registry_status(&authority, target, RegistryStatus::Suspended, 0);
        table.put(Tag::SetRegistryStatus, world.as_authority(ix));
    }
    for target in [RegistryTarget::Contributor(&c), RegistryTarget::Location(&c), RegistryTarget::Exchange(&c)] {
        let ix = world.ix.close_registry(&authority, target, &authority, 0);
        table.put(Tag::CloseRegistry, world.as_authority(ix));
    }
}

fn set_interface(name: &str) -> SetInterface {
    SetInterface {
        expected_sequence: 0,
        name: interface(name),
        kind: InterfaceKind::Physical,
        role: InterfaceRole::Fabric,
        loopback: LoopbackType::None,
        vlan_id: 0,
        mtu: 9_000,
        bandwidth_bps: 100_000_000_000,
        address: Prefix::NONE,
    }
}

fn device(table: &mut Table) {
    let mut world = World::new();
    let party = world.party("acme");
    let authority = world.authority.pubkey();
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        let data = world.device_data(hybrid(name));
        let created = world.create_device(&party, data);
        table.put_creation(Tag::CreateDevice, with_attestations(&world, [seeds::DEVICE, name.as_bytes()]), created);
    }
    let owner = party.owner.pubkey();
    let device = code("d");
    let refs = world.device_refs(&device);
    let created = world.device_data(hybrid("unused"));
    let data = UpdateDevice {
        expected_sequence: 0,
        public_ip: created.public_ip,
        dz_prefix_count: 1,
        dz_prefixes: created.dz_prefixes,
        agent_key: created.agent_key,
        telemetry_key: created.telemetry_key,
        management_vrf: created.management_vrf,
    };
    let ix = world.ix.update_device(&owner, &refs, data);
    table.put(Tag::UpdateDevice, world.by(&party.owner, ix));
    let ix = world.ix.add_interface(&owner, &refs, set_interface("eth40"));
    table.put(Tag::AddInterface, world.by(&party.owner, ix));
    let ix = world.ix.update_interface(&owner, &refs, set_interface("eth40"));
    table.put(Tag::UpdateInterface, world.by(&party.owner, ix));
    let ix = world.ix.remove_interface(&owner, &refs, &owner, interface("eth5"), 0);
    table.put(Tag::RemoveInterface, world.by(&party.owner, ix));
    table.put(Tag::ProvisionDevice, world.provision_device(&party, &device));
    table.put(Tag::SetDeviceDesired, world.want_device(&party, &device, DesiredStatus::HardDrained));
    let ix = world.ix.suspend_device(&authority, &refs.device, 0);
    table.put(Tag::SuspendDevice, world.as_authority(ix));
    let ix = world.ix.resume_device(&authority, &refs.device, 0);
    table.put(Tag::ResumeDevice, world.as_authority(ix));
    let ix = world.ix.reject_device(&authority, &refs.device, RejectReason::Policy, 0);
    table.put(Tag::RejectDevice, world.as_authority(ix));
    let ix = world.ix.delete_device(&authority, &refs, 0);
    table.put(Tag::DeleteDevice, world.as_authority(ix));
    let ix = world.ix.close_device(&authority, &refs, &owner, 0);
    table.put(Tag::CloseDevice, world.as_authority(ix));
}

/// A subject and its attestations, which are created with it.
fn with_attestations(world: &World, subject: [&[u8]; 2]) -> Vec<Creation> {
    let (_, address) = Search::new(&world.ix.addresses().program_id, subject);
    let attestations = [seeds::ATTESTATIONS, address.as_ref()];
    vec![Creation::of(world, subject), Creation::of(world, attestations)]
}

/// Two parties with an edge and a hybrid device.
fn two_parties(world: &mut World) -> (Party, Party, Code, Code) {
    let (a, z) = (world.party("acme"), world.party("zeta"));
    let (device_a, device_z) = (world.add_device(&a, edge("edge")), world.add_device(&z, hybrid("core")));
    (a, z, device_a, device_z)
}

fn link(table: &mut Table) {
    let mut world = World::new();
    let (a, z, device_a, device_z) = two_parties(&mut world);
    let authority = world.authority.pubkey();
    world.provision_device(&a, &device_a).expect("provisioning");
    world.provision_device(&z, &device_z).expect("provisioning");
    for (n, port) in ["eth3", "eth4", "eth5", "eth6"].into_iter().enumerate() {
        let name = format!("dzx-{n}");
        let data = world.link_data(&name, LinkType::Dzx, port, port);
        let created = world.create_link(&a, &device_a, &device_z, data);
        table.put_creation(Tag::CreateLink, with_attestations(&world, [seeds::LINK, name.as_bytes()]), created);
    }
    let other = world.add_device(&z, hybrid("other"));
    let data = world.link_data("wan", LinkType::Wan, "eth10", "eth10");
    let created = world.create_link(&z, &device_z, &other, data);
    table.put_creation(Tag::CreateLink, with_attestations(&world, [seeds::LINK, b"wan"]), created);
    let rejected = code("dzx-0");
    let refs = world.link_refs(&rejected);
    let ix = world.ix.reject_link(&z.owner.pubkey(), &refs, RejectReason::NotAgreed, 0);
    table.put(Tag::RejectLink, world.by(&z.owner, ix));

    let link = code("dzx-3");
    let refs = world.link_refs(&link);
    table.put(Tag::AcceptLink, world.accept(&z, &link));
    table.put(Tag::ProvisionLink, world.provision_link(&a, &link));
    let owner = a.owner.pubkey();
    let data = UpdateLink {
        expected_sequence: 0,
        bandwidth_bps: 400_000_000_000,
        mtu: 9_216,
        delay_ns: 20_000,
        jitter_ns: 20_000,
        delay_override_ns: 50_000,
    };
    let ix = world.ix.update_link(&owner, &refs.a.contributor, &refs.link, data);
    table.put(Tag::UpdateLink, world.by(&a.owner, ix));
    table.put(Tag::SetLinkDesired, world.want_link(&z, &link, DesiredStatus::SoftDrained));
    let ix = world.ix.resume_link(&authority, &refs.link, 0);
    let suspend = world.ix.suspend_link(&authority, &refs, 0);
    table.put(Tag::SuspendLink, world.as_authority(suspend));
    table.put(Tag::ResumeLink, world.as_authority(ix));
    let ix = world.ix.delete_link(&owner, &refs.a.contributor, &refs.link, 0);
    table.put(Tag::DeleteLink, world.by(&a.owner, ix));
    let ix = world.ix.close_link(&owner, &refs, &owner, 0);
    table.put(Tag::CloseLink, world.by(&a.owner, ix));
}

fn oracle(table: &mut Table) {
    let mut world = World::new();
    let party = world.party("acme");
    let subjects: Vec<(Key, u8)> = (0..=FURTHER)
        .map(|n| {
            let device = world.add_device(&party, hybrid(&format!("d{n}")));
            (world.device_key(&device), DeviceHealth::ReadyForUsers.byte())
        })
        .collect();
    // The last oracle is the one that is found last.
    let last = world.oracles.len() - 1;
    world.attest(last, &subjects).expect("a first word");
    world.warp(1);
    let one = world.attest(last, &subjects[..1]).expect("one subject");
    let all = world.attest(last, &subjects).expect("a full batch").cu;
    let ten = world.attest(last, &subjects[..10]).expect("ten subjects").cu;
    assert!(one.cu < ten && ten < all);
    table.of(Tag::Attest).per_further_subject = Some((all - one.cu).div_ceil(FURTHER));
    table.put_longer(Tag::Attest, 1, Ok(one));

    // Every move of a device and a link into service and out for maintenance.
    let a = world.add_device(&party, hybrid("a"));
    let z = world.add_device(&party, hybrid("z"));
    let link = world.add_wan(&party, "a-z", (&a, "eth10"), (&z, "eth10"));
    for device in [&a, &z] {
        world.provision_device(&party, device).expect("provisioning");
    }
    world.provision_link(&party, &link).expect("provisioning");
    let verdicts = [
        (world.device_key(&a), DeviceHealth::ReadyForUsers.byte()),
        (world.device_key(&z), DeviceHealth::ReadyForUsers.byte()),
        (world.link_key(&link), LinkHealth::ReadyForService.byte()),
    ];
    world.attest_for(&verdicts, BURN_IN_NEW);
    table.put_longer(Tag::Advance, ADVANCE_DEVICE.len(), world.advance_device(&a));
    table.put_longer(Tag::Advance, ADVANCE_DEVICE.len(), world.advance_device(&z));
    table.put_longer(Tag::Advance, ADVANCE_LINK.len(), world.advance_link(&link));
    table.put_longer(Tag::Advance, ADVANCE_DEVICE.len(), world.advance_device(&a));
    world.want_link(&party, &link, DesiredStatus::SoftDrained).expect("a wish");
    table.put_longer(Tag::Advance, ADVANCE_LINK.len(), world.advance_link(&link));
    world.want_link(&party, &link, DesiredStatus::Activated).expect("a wish");
    world.attest_for(&verdicts, BURN_IN_MAINTENANCE);
    table.put_longer(Tag::Advance, ADVANCE_LINK.len(), world.advance_link(&link));
    let refs = world.link_refs(&link);
    let suspend = world.ix.suspend_link(&world.authority.pubkey(), &refs, 0);
    table.put(Tag::SuspendLink, world.as_authority(suspend));

    let mut oracles: Vec<_> = world.oracles.iter().map(Keypair::insecure_clone).collect();
    oracles.extend((0..28).map(|_| Keypair::new()));
    world.set_oracles(oracles, 21).expect("a full oracle set");
    let payer = world.somebody();
    let ix = world.ix.extend_attestations(&payer.pubkey(), &verdicts[0].0, 0);
    table.put(Tag::ExtendAttestations, world.by(&payer, ix));
}
