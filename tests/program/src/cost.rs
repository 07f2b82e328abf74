//! What every instruction costs: one representative case each, near the worst of an ordinary network.

use std::collections::BTreeMap;

use causeway_interface::{
    Code, Country, DesiredStatus, DeviceHealth, InterfaceKind, InterfaceRole, Key, LinkHealth, LinkType, LoopbackType,
    Prefix, RegistryStatus, RejectReason,
    instruction::{
        SetInterface, Tag, UpdateContributor, UpdateDevice, UpdateExchange, UpdateLink, UpdateLocation, UpdateNetwork,
    },
};
use causeway_sdk::{RegistryTarget, address::to_key};
use solana_sdk::signature::{Keypair, Signer};

use crate::{
    Party, World,
    parties::{exchange, label, location},
    plant::{edge, hybrid, interface},
    world::{BURN_IN_MAINTENANCE, BURN_IN_NEW, Done, Failure, code},
};

/// Compute units of an instruction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Of the case, alone in its transaction.
    pub cu: u64,
    /// Of `attest`: what each subject after the first adds, averaged over a full batch.
    pub per_further_subject: Option<u64>,
}

/// Further subjects of the full batch that [`Cost::per_further_subject`] is taken from.
const FURTHER: u64 = 23;

#[derive(Default)]
struct Table(BTreeMap<&'static str, Cost>);

impl Table {
    #[track_caller]
    fn put(&mut self, tag: Tag, result: Result<Done, Failure>) {
        let done = result.unwrap_or_else(|failure| panic!("{tag}: {:?}\n{}", failure.error, failure.logs.join("\n")));
        // Where an instruction is met twice the dearer case counts.
        let cost = self.0.entry(tag.name()).or_default();
        cost.cu = cost.cu.max(done.cu);
    }
}

/// Measures every instruction.
///
/// # Panics
/// One is refused, or has no case.
pub fn measure() -> BTreeMap<&'static str, Cost> {
    let mut table = Table::default();
    network(&mut table);
    registry(&mut table);
    device(&mut table);
    link(&mut table);
    oracle(&mut table);
    for tag in Tag::ALL {
        assert!(table.0.contains_key(tag.name()), "{tag} has no case");
    }
    table.0
}

fn network(table: &mut Table) {
    let mut world = World::bare();
    let data = world.init_data();
    table.put(Tag::InitNetwork, world.init(data));
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
        table.put(Tag::CreateContributor, world.as_authority(ix));
        let ix = world.ix.create_location(&authority, &authority, location(name));
        table.put(Tag::CreateLocation, world.as_authority(ix));
        let ix = world.ix.create_exchange(&authority, &authority, exchange(name));
        table.put(Tag::CreateExchange, world.as_authority(ix));
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
        table.put(Tag::CreateDevice, world.create_device(&party, data));
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
        let data = world.link_data(&format!("dzx-{n}"), LinkType::Dzx, port, port);
        table.put(Tag::CreateLink, world.create_link(&a, &device_a, &device_z, data));
    }
    let other = world.add_device(&z, hybrid("other"));
    let data = world.link_data("wan", LinkType::Wan, "eth10", "eth10");
    table.put(Tag::CreateLink, world.create_link(&z, &device_z, &other, data));
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
    let one = world.attest(last, &subjects[..1]).expect("one subject").cu;
    let all = world.attest(last, &subjects).expect("a full batch").cu;
    let ten = world.attest(last, &subjects[..10]).expect("ten subjects").cu;
    assert!(one < ten && ten < all);
    table.0.insert(Tag::Attest.name(), Cost { cu: one, per_further_subject: Some((all - one).div_ceil(FURTHER)) });

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
    table.put(Tag::Advance, world.advance_device(&a));
    table.put(Tag::Advance, world.advance_device(&z));
    table.put(Tag::Advance, world.advance_link(&link));
    table.put(Tag::Advance, world.advance_device(&a));
    world.want_link(&party, &link, DesiredStatus::SoftDrained).expect("a wish");
    table.put(Tag::Advance, world.advance_link(&link));
    world.want_link(&party, &link, DesiredStatus::Activated).expect("a wish");
    world.attest_for(&verdicts, BURN_IN_MAINTENANCE);
    table.put(Tag::Advance, world.advance_link(&link));
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
