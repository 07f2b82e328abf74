//! From a step to the instruction that does it and the keys that sign it.

use std::{collections::BTreeMap, sync::Arc};

use causeway_interface::{
    Code, LoopbackType, Prefix,
    accounts::MAX_DZ_PREFIXES,
    instruction::{
        ANY_SEQUENCE, CreateContributor, CreateDevice, CreateExchange, CreateLink, CreateLocation, SetInterface,
        UpdateContributor, UpdateDevice, UpdateExchange, UpdateLink, UpdateLocation,
    },
};
use causeway_sdk::{
    DeviceRefs, Instructions, LinkRefs, Snapshot,
    address::{SYSTEM_PROGRAM, to_key},
};
use solana_sdk::{
    instruction::{AccountMeta, Instruction},
    pubkey::Pubkey,
    signature::Keypair,
    signer::Signer,
};

use crate::{
    keyring::Keyring,
    plan::{Item, Kind, Step},
    site::{DeviceSpec, LinkSpec, Site},
};

/// Tag of the system program's transfer.
const SYSTEM_TRANSFER: u32 = 2;

/// A transfer of lamports.
pub(super) fn transfer(from: &Pubkey, to: &Pubkey, lamports: u64) -> Instruction {
    let mut data = SYSTEM_TRANSFER.to_le_bytes().to_vec();
    data.extend(lamports.to_le_bytes());
    let accounts = vec![AccountMeta::new(*from, true), AccountMeta::new(*to, false)];
    Instruction { program_id: SYSTEM_PROGRAM, accounts, data }
}

/// What instructions are built from.
///
/// Creations and moves are idempotent by the ledger's own rules (an object is created once, provisioned once), so they
/// carry no sequence; a change of fields carries the sequence that the plan saw, so that it never overwrites a newer
/// one. A device's sequence also moves with every interface and health change, so that its first step alone carries it.
pub(super) struct Context<'a> {
    build: Instructions,
    site: &'a Site,
    snapshot: &'a Snapshot,
    keyring: &'a Keyring,
    devices: BTreeMap<Code, &'a DeviceSpec>,
}

type Built = (Instruction, Vec<Arc<Keypair>>);

impl<'a> Context<'a> {
    pub(super) fn new(build: Instructions, site: &'a Site, snapshot: &'a Snapshot, keyring: &'a Keyring) -> Self {
        let devices = site.devices.iter().map(|d| (d.code, d)).collect();
        Self { build, site, snapshot, keyring, devices }
    }

    /// The instruction of a step with its signers, the first of which pays. None for a step that the plan never makes:
    /// keys are checked before.
    pub(super) fn instruction(&self, item: &Item, step: Step) -> Option<Built> {
        match item.kind {
            Kind::Contributor | Kind::Location | Kind::Exchange => self.registry(item, step),
            Kind::Device => self.device(self.site.devices.get(item.index)?, step),
            Kind::Link => self.link(self.site.links.get(item.index)?, step),
        }
    }

    fn registry(&self, item: &Item, step: Step) -> Option<Built> {
        let (authority, payer) = (self.keyring.authority()?, self.keyring.payer()?);
        let (by, from) = (authority.pubkey(), payer.pubkey());
        let creates = matches!(step, Step::Create);
        let instruction = match item.kind {
            Kind::Contributor => {
                let spec = self.site.contributors.get(item.index)?;
                let there = self.snapshot.contributor(&spec.code).map(|(_, c)| c);
                let owner = match (spec.owner.is_zero(), there) {
                    (false, _) => spec.owner,
                    (true, Some(there)) => there.owner,
                    (true, None) => to_key(&self.keyring.contributor(&spec.code)?.pubkey()),
                };
                let operations_key = match there {
                    Some(there) if spec.operations_key.is_zero() => there.operations_key,
                    Some(_) | None => spec.operations_key,
                };
                if creates {
                    let data = CreateContributor { code: spec.code, owner, operations_key };
                    self.build.create_contributor(&from, &by, data)
                } else {
                    let expected_sequence = there?.header.sequence;
                    let data = UpdateContributor { expected_sequence, owner, operations_key };
                    self.build.update_contributor(&by, &spec.code, data)
                }
            }
            Kind::Location => {
                let spec = self.site.locations.get(item.index)?.clone();
                let (code, name, country, lat_e6, lng_e6) =
                    (spec.code, spec.name, spec.country, spec.lat.0, spec.lng.0);
                if creates {
                    self.build.create_location(&from, &by, CreateLocation { code, name, country, lat_e6, lng_e6 })
                } else {
                    let expected_sequence = self.snapshot.location(&code)?.1.header.sequence;
                    let data = UpdateLocation { expected_sequence, name, country, lat_e6, lng_e6 };
                    self.build.update_location(&by, &code, data)
                }
            }
            Kind::Exchange => {
                let spec = self.site.exchanges.get(item.index)?.clone();
                let (code, name, country, lat_e6, lng_e6) =
                    (spec.code, spec.name, spec.country, spec.lat.0, spec.lng.0);
                let bgp_community = spec.bgp_community;
                if creates {
                    let data = CreateExchange { code, name, country, lat_e6, lng_e6, bgp_community };
                    self.build.create_exchange(&from, &by, data)
                } else {
                    let expected_sequence = self.snapshot.exchange(&code)?.1.header.sequence;
                    let data = UpdateExchange { expected_sequence, name, country, lat_e6, lng_e6, bgp_community };
                    self.build.update_exchange(&by, &code, data)
                }
            }
            Kind::Device | Kind::Link => return None,
        };
        let mut signers = vec![Arc::clone(payer)];
        if payer.pubkey() != by {
            signers.push(Arc::clone(authority));
        }
        Some((instruction, signers))
    }

    fn refs(&self, device: &DeviceSpec) -> DeviceRefs {
        let addresses = self.build.addresses();
        DeviceRefs::by_codes(addresses, &device.code, &device.contributor, &device.location, &device.exchange)
    }

    fn device(&self, spec: &DeviceSpec, step: Step) -> Option<Built> {
        let owner = self.keyring.contributor(&spec.contributor)?;
        let by = owner.pubkey();
        let refs = self.refs(spec);
        let there = self.snapshot.device(&spec.code).map(|(_, d)| d);
        let mut dz_prefixes = [Prefix::NONE; MAX_DZ_PREFIXES];
        for (to, from) in dz_prefixes.iter_mut().zip(&spec.dz_prefixes) {
            *to = *from;
        }
        let dz_prefix_count = u8::try_from(spec.dz_prefixes.len()).ok()?;
        let instruction = match step {
            Step::Create => {
                let data = CreateDevice {
                    code: spec.code,
                    device_type: spec.device_type,
                    platform: spec.platform,
                    public_ip: spec.public_ip,
                    dz_prefix_count,
                    dz_prefixes,
                    agent_key: spec.agent_key,
                    telemetry_key: spec.telemetry_key,
                    management_vrf: spec.management_vrf,
                    desired: spec.desired,
                    skip_recipe: false,
                };
                self.build.create_device(&by, &spec.contributor, &spec.location, &spec.exchange, data)
            }
            Step::Update => {
                let there = there?;
                let given = |key: causeway_interface::Key, old| if key.is_zero() { old } else { key };
                let data = UpdateDevice {
                    expected_sequence: there.header.sequence,
                    public_ip: spec.public_ip,
                    dz_prefix_count,
                    dz_prefixes,
                    agent_key: given(spec.agent_key, there.agent_key),
                    telemetry_key: given(spec.telemetry_key, there.telemetry_key),
                    management_vrf: spec.management_vrf,
                };
                self.build.update_device(&by, &refs, data)
            }
            Step::AddInterface(name) | Step::UpdateInterface(name) => {
                let wanted = spec.interfaces.iter().find(|i| i.name == name)?;
                let data = SetInterface {
                    expected_sequence: ANY_SEQUENCE,
                    name,
                    kind: wanted.kind,
                    role: wanted.role,
                    loopback: LoopbackType::None,
                    vlan_id: wanted.vlan_id,
                    mtu: wanted.mtu,
                    bandwidth_bps: wanted.bandwidth_bps,
                    address: wanted.address,
                };
                if matches!(step, Step::AddInterface(_)) {
                    self.build.add_interface(&by, &refs, data)
                } else {
                    self.build.update_interface(&by, &refs, data)
                }
            }
            Step::ProvisionDevice => self.build.provision_device(&by, &refs, ANY_SEQUENCE),
            Step::Accept | Step::SetFigures | Step::ProvisionLink => return None,
        };
        Some((instruction, vec![Arc::clone(owner)]))
    }

    fn link(&self, spec: &LinkSpec, step: Step) -> Option<Built> {
        let (device_a, device_z) = (self.devices.get(&spec.a.device)?, self.devices.get(&spec.z.device)?);
        let (a, z) = (self.refs(device_a), self.refs(device_z));
        let refs = LinkRefs::by_code(self.build.addresses(), &spec.code, a, z);
        let owner_a = self.keyring.contributor(&device_a.contributor);
        let figures = |expected_sequence| UpdateLink {
            expected_sequence,
            bandwidth_bps: spec.bandwidth_bps,
            mtu: spec.mtu,
            delay_ns: spec.delay_ns,
            jitter_ns: spec.jitter_ns,
            delay_override_ns: spec.delay_override_ns,
        };
        let (instruction, owner) = match step {
            Step::Create => {
                let data = CreateLink {
                    code: spec.code,
                    link_type: spec.link_type,
                    interface_a: spec.a.interface,
                    interface_z: spec.z.interface,
                    bandwidth_bps: spec.bandwidth_bps,
                    mtu: spec.mtu,
                    delay_ns: spec.delay_ns,
                    jitter_ns: spec.jitter_ns,
                    desired: spec.desired,
                };
                let owner = owner_a?;
                (self.build.create_link(&owner.pubkey(), &a, &z, data), owner)
            }
            Step::Accept => {
                let owner = self.keyring.contributor(&device_z.contributor)?;
                (self.build.accept_link(&owner.pubkey(), &refs, spec.z.interface, ANY_SEQUENCE), owner)
            }
            Step::Update | Step::SetFigures => {
                let owner = owner_a?;
                // One that was just accepted or created has moved on from what the plan saw.
                let there = self.snapshot.link(&spec.code).map(|(_, l)| l);
                let settled = there.filter(|l| l.header.status != causeway_interface::LinkStatus::Requested);
                let sequence = settled.map_or(ANY_SEQUENCE, |l| l.header.sequence);
                let data = figures(sequence);
                (self.build.update_link(&owner.pubkey(), &refs.a.contributor, &refs.link, data), owner)
            }
            Step::ProvisionLink => {
                let owner = owner_a?;
                (self.build.provision_link(&owner.pubkey(), &refs, ANY_SEQUENCE), owner)
            }
            Step::AddInterface(_) | Step::UpdateInterface(_) | Step::ProvisionDevice => return None,
        };
        Some((instruction, vec![Arc::clone(owner)]))
    }
}
