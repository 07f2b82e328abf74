//! A command as the instruction that is sent.

use causeway_interface::{
    Digest, InterfaceName, Ip4, Key, Label, Prefix, RegistryStatus, VrfName,
    accounts::MAX_DZ_PREFIXES,
    instruction::{
        ANY_SEQUENCE, CreateContributor, CreateDevice, CreateExchange, CreateLink, CreateLocation, InitNetwork,
        SetInterface, UpdateContributor, UpdateDevice, UpdateExchange, UpdateLink, UpdateLocation, UpdateNetwork,
        Verdict,
    },
};
use causeway_sdk::{Instructions, RegistryTarget, Window};
use solana_sdk::{instruction::Instruction, pubkey::Pubkey};

use super::{
    atlas::{Place, atlas, code_of},
    command::{Around, Command, End, Fields, Figures, Interface, Particulars, Registry, Subject, What},
    state::Id,
};

/// The instruction of a command; nothing for time that goes by.
pub fn instruction(ix: &Instructions, command: &Command) -> Option<Instruction> {
    let atlas = atlas();
    let by = atlas.pubkey(command.by);
    let expect = command.expect.unwrap_or(ANY_SEQUENCE);
    let built = match &command.what {
        What::Warp(_) => return None,
        What::InitNetwork { authority, terms, blocks: [link_block, loopback_block, user_block] } => {
            let data = InitNetwork {
                authority: atlas.ledger_key(*authority),
                core_asn: terms.core_asn,
                burn_in_new_slots: terms.burn_in_new,
                burn_in_maintenance_slots: terms.burn_in_maintenance,
                attestation_max_age_slots: terms.max_age,
                link_block: *link_block,
                loopback_block: *loopback_block,
                user_block: *user_block,
            };
            ix.init_network(&by, &by, data)
        }
        What::UpdateNetwork(terms) => {
            let data = UpdateNetwork {
                expected_sequence: expect,
                core_asn: terms.core_asn,
                burn_in_new_slots: terms.burn_in_new,
                burn_in_maintenance_slots: terms.burn_in_maintenance,
                attestation_max_age_slots: terms.max_age,
            };
            ix.update_network(&by, data)
        }
        What::SetPaused(paused) => ix.set_paused(&by, *paused, expect),
        What::SetOracleSet { oracles, quorum } => {
            let keys = oracles.iter().map(|oracle| atlas.ledger_key(Some(*oracle))).collect();
            ix.set_oracle_set(&by, keys, *quorum, expect)
        }
        What::ProposeAuthority(next) => ix.propose_authority(&by, atlas.ledger_key(*next), expect),
        What::AcceptAuthority => ix.accept_authority(&by, expect),
        What::ExtendPrefixTable { entries } => ix.extend_prefix_table(&by, *entries),
        What::CreateContributor { id, owner, operations } => {
            let (owner, operations_key) = (atlas.ledger_key(*owner), atlas.ledger_key(*operations));
            ix.create_contributor(&by, &by, CreateContributor { code: code_of('c', *id), owner, operations_key })
        }
        What::UpdateContributor { id, owner, operations } => {
            let (owner, operations_key) = (atlas.ledger_key(*owner), atlas.ledger_key(*operations));
            let data = UpdateContributor { expected_sequence: expect, owner, operations_key };
            ix.update_contributor(&by, &code_of('c', *id), data)
        }
        What::SetRegistryStatus { target, suspended } => {
            let status = if *suspended { RegistryStatus::Suspended } else { RegistryStatus::Activated };
            with_target(*target, |target| ix.set_registry_status(&by, target, status, expect))
        }
        What::CloseRegistry { target, recipient } => {
            with_target(*target, |target| ix.close_registry(&by, target, &atlas.pubkey(*recipient), expect))
        }
        What::CreateLocation { id, particulars } => ix.create_location(&by, &by, location(*id, *particulars)),
        What::UpdateLocation { id, particulars } => {
            let Particulars { country, lat_e6, lng_e6, .. } = *particulars;
            let data = UpdateLocation { expected_sequence: expect, name: name(), country, lat_e6, lng_e6 };
            ix.update_location(&by, &code_of('p', *id), data)
        }
        What::CreateExchange { id, particulars } => ix.create_exchange(&by, &by, exchange(*id, *particulars)),
        What::UpdateExchange { id, particulars } => {
            let Particulars { country, lat_e6, lng_e6, community } = *particulars;
            let bgp_community = community;
            let data =
                UpdateExchange { expected_sequence: expect, name: name(), country, lat_e6, lng_e6, bgp_community };
            ix.update_exchange(&by, &code_of('p', *id), data)
        }
        What::Attest { .. }
        | What::AdvanceDevice { .. }
        | What::AdvanceLink { .. }
        | What::ExtendAttestations { .. } => of_health(ix, &by, expect, &command.what),
        What::CreateLink { .. }
        | What::AcceptLink { .. }
        | What::RejectLink { .. }
        | What::ProvisionLink { .. }
        | What::UpdateLink { .. }
        | What::SetLinkDesired { .. }
        | What::SuspendLink { .. }
        | What::ResumeLink { .. }
        | What::DeleteLink { .. }
        | What::CloseLink { .. } => of_link(ix, &by, expect, &command.what),
        _ => of_device(ix, &by, expect, &command.what),
    };
    Some(built)
}

fn of_device(ix: &Instructions, by: &Pubkey, expect: u64, what: &What) -> Instruction {
    let atlas = atlas();
    let device = |id: Id| atlas.address(Place::Subject(Subject::Device(id)));
    // Where only the contributor is passed, the places are nobody's concern.
    let refs = |id: Id, contributor: Id| atlas.device_refs(id, Around { contributor, location: 0, exchange: 0 });
    match what {
        What::CreateDevice { id, around, device_type, platform, fields, desired, skip_recipe } => {
            let (dz_prefix_count, dz_prefixes) = prefixes(&fields.prefixes);
            let data = CreateDevice {
                code: code_of('d', *id),
                device_type: *device_type,
                platform: *platform,
                public_ip: Ip4::from_u32(fields.public_ip),
                dz_prefix_count,
                dz_prefixes,
                agent_key: Key([fields.agent_key; 32]),
                telemetry_key: Key([fields.telemetry_key; 32]),
                management_vrf: VrfName::ZERO,
                desired: *desired,
                skip_recipe: *skip_recipe,
            };
            let Around { contributor, location, exchange } = *around;
            let (location, exchange) = (code_of('p', location), code_of('p', exchange));
            ix.create_device(by, &code_of('c', contributor), &location, &exchange, data)
        }
        What::UpdateDevice { id, contributor, fields } => {
            ix.update_device(by, &refs(*id, *contributor), update_device(expect, fields))
        }
        What::ProvisionDevice { id, around } => ix.provision_device(by, &atlas.device_refs(*id, *around), expect),
        What::SetDeviceDesired { id, contributor, desired } => {
            ix.set_device_desired(by, &refs(*id, *contributor), *desired, expect)
        }
        What::SuspendDevice { id } => ix.suspend_device(by, &device(*id), expect),
        What::ResumeDevice { id } => ix.resume_device(by, &device(*id), expect),
        What::RejectDevice { id, reason } => ix.reject_device(by, &device(*id), *reason, expect),
        What::DeleteDevice { id, contributor } => ix.delete_device(by, &refs(*id, *contributor), expect),
        What::CloseDevice { id, around, recipient } => {
            ix.close_device(by, &atlas.device_refs(*id, *around), &atlas.pubkey(*recipient), expect)
        }
        What::AddInterface { id, contributor, interface } => {
            ix.add_interface(by, &refs(*id, *contributor), set_interface(expect, interface))
        }
        What::UpdateInterface { id, contributor, interface } => {
            ix.update_interface(by, &refs(*id, *contributor), set_interface(expect, interface))
        }
        What::RemoveInterface { id, contributor, name, recipient } => {
            let recipient = atlas.pubkey(*recipient);
            ix.remove_interface(by, &refs(*id, *contributor), &recipient, interface_name(name), expect)
        }
        other => unreachable!("not of a device: {other:?}"),
    }
}

fn of_link(ix: &Instructions, by: &Pubkey, expect: u64, what: &What) -> Instruction {
    let atlas = atlas();
    let link = |id: Id| atlas.address(Place::Subject(Subject::Link(id)));
    let contributor = |id: Id| atlas.address(Place::Registry(Registry::Contributor(id)));
    match what {
        What::CreateLink { id, link_type, ends, ports: [a, z], figures, desired } => {
            let data = CreateLink {
                code: code_of('k', *id),
                link_type: *link_type,
                interface_a: interface_name(a),
                interface_z: interface_name(z),
                bandwidth_bps: figures.bandwidth_bps,
                mtu: figures.mtu,
                delay_ns: figures.delay_ns,
                jitter_ns: figures.jitter_ns,
                desired: *desired,
            };
            let [a, z] = ends.map(|end| atlas.device_refs(end.device, end.around));
            ix.create_link(by, &a, &z, data)
        }
        What::AcceptLink { id, ends, port } => {
            ix.accept_link(by, &atlas.link_refs(*id, *ends), interface_name(port), expect)
        }
        What::RejectLink { id, contributor, reason } => {
            let around = Around { contributor: *contributor, location: 0, exchange: 0 };
            let end = End { device: 0, around };
            ix.reject_link(by, &atlas.link_refs(*id, [end; 2]), *reason, expect)
        }
        What::ProvisionLink { id, ends } => ix.provision_link(by, &atlas.link_refs(*id, *ends), expect),
        What::UpdateLink { id, contributor: side, figures } => {
            ix.update_link(by, &contributor(*side), &link(*id), update_link(expect, figures))
        }
        What::SetLinkDesired { id, contributor: side, desired } => {
            ix.set_link_desired(by, &contributor(*side), &link(*id), *desired, expect)
        }
        What::SuspendLink { id, ends } => ix.suspend_link(by, &atlas.link_refs(*id, *ends), expect),
        What::ResumeLink { id } => ix.resume_link(by, &link(*id), expect),
        What::DeleteLink { id, contributor: side } => ix.delete_link(by, &contributor(*side), &link(*id), expect),
        What::CloseLink { id, ends, recipient } => {
            ix.close_link(by, &atlas.link_refs(*id, *ends), &atlas.pubkey(*recipient), expect)
        }
        other => unreachable!("not of a link: {other:?}"),
    }
}

fn of_health(ix: &Instructions, by: &Pubkey, expect: u64, what: &What) -> Instruction {
    let atlas = atlas();
    match what {
        What::Attest { epoch, window: [start_slot, end_slot], verdicts } => {
            let evidence_root = Digest([0xe; 32]);
            let window = Window { epoch: *epoch, start_slot: *start_slot, end_slot: *end_slot, evidence_root };
            let verdicts: Vec<_> = verdicts
                .iter()
                .map(|(subject, verdict)| (atlas.subject_key(*subject), Verdict { verdict: *verdict, failed: 0 }))
                .collect();
            ix.attest(by, window, &verdicts)
        }
        What::AdvanceDevice { id, around } => ix.advance_device(by, &atlas.device_refs(*id, *around), expect),
        What::AdvanceLink { id, ends } => ix.advance_link(by, &atlas.link_refs(*id, *ends), expect),
        What::ExtendAttestations { subject, entries } => {
            ix.extend_attestations(by, &atlas.subject_key(*subject), *entries)
        }
        other => unreachable!("not of health: {other:?}"),
    }
}

fn with_target<T>(target: Registry, act: impl FnOnce(RegistryTarget<'_>) -> T) -> T {
    match target {
        Registry::Contributor(id) => act(RegistryTarget::Contributor(&code_of('c', id))),
        Registry::Location(id) => act(RegistryTarget::Location(&code_of('p', id))),
        Registry::Exchange(id) => act(RegistryTarget::Exchange(&code_of('p', id))),
    }
}

fn name() -> Label {
    crate::parties::label(Particulars::NAME)
}

fn location(id: Id, Particulars { country, lat_e6, lng_e6, .. }: Particulars) -> CreateLocation {
    CreateLocation { code: code_of('p', id), name: name(), country, lat_e6, lng_e6 }
}

fn exchange(id: Id, Particulars { country, lat_e6, lng_e6, community }: Particulars) -> CreateExchange {
    CreateExchange { code: code_of('p', id), name: name(), country, lat_e6, lng_e6, bgp_community: community }
}

/// The count says how many there are, also where that is more than fit.
fn prefixes(given: &[Prefix]) -> (u8, [Prefix; MAX_DZ_PREFIXES]) {
    let mut all = [Prefix::NONE; MAX_DZ_PREFIXES];
    for (place, prefix) in all.iter_mut().zip(given) {
        *place = *prefix;
    }
    (given.len() as u8, all)
}

fn update_device(expected_sequence: u64, fields: &Fields) -> UpdateDevice {
    let (dz_prefix_count, dz_prefixes) = prefixes(&fields.prefixes);
    UpdateDevice {
        expected_sequence,
        public_ip: Ip4::from_u32(fields.public_ip),
        dz_prefix_count,
        dz_prefixes,
        agent_key: Key([fields.agent_key; 32]),
        telemetry_key: Key([fields.telemetry_key; 32]),
        management_vrf: VrfName::ZERO,
    }
}

fn set_interface(expected_sequence: u64, interface: &Interface) -> SetInterface {
    SetInterface {
        expected_sequence,
        name: interface_name(&interface.name),
        kind: interface.kind,
        role: interface.role,
        loopback: interface.loopback,
        vlan_id: interface.vlan,
        mtu: interface.mtu,
        bandwidth_bps: interface.bandwidth_bps,
        address: interface.address,
    }
}

fn update_link(expected_sequence: u64, figures: &Figures) -> UpdateLink {
    UpdateLink {
        expected_sequence,
        bandwidth_bps: figures.bandwidth_bps,
        mtu: figures.mtu,
        delay_ns: figures.delay_ns,
        jitter_ns: figures.jitter_ns,
        delay_override_ns: figures.delay_override_ns,
    }
}

/// The bytes of a name, valid or not: what is wrong with it is the program's to say.
pub fn interface_name(text: &str) -> InterfaceName {
    let mut name = InterfaceName::ZERO;
    for (place, byte) in name.0.iter_mut().zip(text.bytes()) {
        *place = byte;
    }
    name
}
