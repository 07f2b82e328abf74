//! Devices and their interfaces.

use causeway_interface::{
    AccountType::{Attestations, Contributor, Device, Exchange, Location, Network, PrefixTable},
    DesiredStatus, DeviceStatus, ErrorCode, InterfaceKind, InterfaceRole, LoopbackType, PoolKind, Prefix, RejectReason,
    instruction::{SetInterface, Tag, UpdateDevice},
};
use causeway_sdk::DeviceRefs;
use solana_sdk::{instruction::Instruction, pubkey::Pubkey, signature::Signer};

use super::{
    case::{Case, Lands, swap},
    checks::{
        Check::{
            self, Changes, Idle, May, Names, Pays, Placed, Pool, Reads, Sequence, Signs, Status, System, Takes, Vacant,
        },
        Named, Slot, Who,
    },
    town::Town,
};
use crate::{
    plant::{PLACE, hybrid, interface},
    world::code,
};

/// Statuses of a device that has not left the game.
const LIVE: &[u8] = &[
    DeviceStatus::Pending.byte(),
    DeviceStatus::Activated.byte(),
    DeviceStatus::Suspended.byte(),
    DeviceStatus::Drained.byte(),
    DeviceStatus::DeviceProvisioning.byte(),
    DeviceStatus::LinkProvisioning.byte(),
];
/// Statuses that a device is suspended from.
const RUNNING: &[u8] = &[
    DeviceStatus::Pending.byte(),
    DeviceStatus::Activated.byte(),
    DeviceStatus::Drained.byte(),
    DeviceStatus::DeviceProvisioning.byte(),
    DeviceStatus::LinkProvisioning.byte(),
];
/// Statuses that a device is rejected from.
const UNPROVEN: &[u8] =
    &[DeviceStatus::Pending.byte(), DeviceStatus::DeviceProvisioning.byte(), DeviceStatus::LinkProvisioning.byte()];
/// Statuses that a device is deleted from.
const DELETABLE: &[u8] = &[
    DeviceStatus::Pending.byte(),
    DeviceStatus::Suspended.byte(),
    DeviceStatus::Rejected.byte(),
    DeviceStatus::Drained.byte(),
    DeviceStatus::DeviceProvisioning.byte(),
    DeviceStatus::LinkProvisioning.byte(),
];

const OWNER: &[Who] = &[Who::Owner("contributor")];
const OWNER_OR_OPERATIONS: &[Who] = &[Who::Owner("contributor"), Who::Operations("contributor")];
const OWNER_OR_AUTHORITY: &[Who] = &[Who::Owner("contributor"), Who::Authority];

const ANY_OF_ONES_OWN: &[Lands] = &[swap("device", "an owner decides on each of its devices")];
const ANY_OF_ONES_OWN_BY_EITHER_KEY: &[Lands] = &[
    swap("device", "a contributor's keys decide on each of its devices"),
    swap("owner_or_operations", "the contributor's other key may as well"),
];
const ANY: &[Lands] = &[swap("device", "the authority decides on every device")];

/// The device is the contributor's.
const OF_CONTRIBUTOR: Check = Names("device", Named::Contributor, "contributor", ErrorCode::AccountMismatch);
const OF_LOCATION: Check = Names("device", Named::Location, "location", ErrorCode::AccountMismatch);
const OF_EXCHANGE: Check = Names("device", Named::Exchange, "exchange", ErrorCode::AccountMismatch);
/// The recipient is the contributor's owner.
const TO_OWNER: Check = Names("contributor", Named::Owner, "contributor_owner", ErrorCode::AccountMismatch);

fn status(allowed: &'static [u8]) -> Check {
    Status("device", allowed, ErrorCode::DeviceTransitionRefused)
}

fn may(signer: Slot, who: &'static [Who]) -> Check {
    May(signer, who, ErrorCode::NotDeviceOwner)
}

fn refs(town: &Town, device: &str) -> DeviceRefs {
    town.world.device_refs(&code(device))
}

pub fn cases() -> Vec<Case> {
    let mut cases = vec![create(), update(), provision()];
    cases.extend(desired());
    cases.extend(by_authority());
    cases.extend(removal());
    cases.extend(interfaces());
    cases
}

fn create() -> Case {
    Case::new(
        Tag::CreateDevice,
        "hybrid",
        |town| {
            let data = town.world.device_data(hybrid("new"));
            let place = code(PLACE);
            town.world.ix.create_device(&town.acme.owner.pubkey(), &town.acme.code, &place, &place, data)
        },
        vec![
            Pays("owner"),
            Vacant("device"),
            Vacant("attestations"),
            System("system_program"),
            Changes("network", Network),
            Changes("contributor", Contributor),
            Changes("location", Location),
            Changes("exchange", Exchange),
            Changes("prefix_table", PrefixTable),
            may("owner", OWNER),
            Placed("device"),
            Placed("attestations"),
        ],
        &[
            swap("location", "the owner says where the device stands"),
            swap("exchange", "the owner says which metro the device belongs to"),
        ],
    )
}

fn update() -> Case {
    let mut checks = vec![Signs("owner")];
    // Prefixes are judged against the network's blocks where the instruction is given the network.
    if Tag::UpdateDevice.accounts().iter().any(|account| account.name == "network") {
        checks.push(Reads("network", Network));
    }
    checks.extend([
        Reads("contributor", Contributor),
        Changes("device", Device),
        Changes("prefix_table", PrefixTable),
        OF_CONTRIBUTOR,
        Sequence("device"),
        status(LIVE),
        may("owner", OWNER),
    ]);
    Case::new(
        Tag::UpdateDevice,
        "another prefix",
        |town| {
            let given = town.world.device_data(hybrid("unused"));
            let data = UpdateDevice {
                expected_sequence: 0,
                public_ip: given.public_ip,
                dz_prefix_count: given.dz_prefix_count,
                dz_prefixes: given.dz_prefixes,
                agent_key: given.agent_key,
                telemetry_key: given.telemetry_key,
                management_vrf: given.management_vrf,
            };
            town.world.ix.update_device(&town.acme.owner.pubkey(), &refs(town, "a1"), data)
        },
        checks,
        ANY_OF_ONES_OWN,
    )
}

fn provision() -> Case {
    Case::new(
        Tag::ProvisionDevice,
        "complete",
        |town| town.world.ix.provision_device(&town.acme.owner.pubkey(), &refs(town, "a1"), 0),
        vec![
            Signs("owner"),
            Reads("network", Network),
            Reads("contributor", Contributor),
            Reads("location", Location),
            Reads("exchange", Exchange),
            Changes("device", Device),
            Pool("loopback_pool", PoolKind::Loopback),
            Pool("node_segment_pool", PoolKind::NodeSegment),
            OF_CONTRIBUTOR,
            OF_LOCATION,
            OF_EXCHANGE,
            Sequence("device"),
            status(const { &[DeviceStatus::Pending.byte()] }),
            may("owner", OWNER),
        ],
        ANY_OF_ONES_OWN,
    )
}

fn desired() -> Vec<Case> {
    fn drain(town: &Town, signer: &Pubkey) -> Instruction {
        town.world.ix.set_device_desired(signer, &refs(town, "a1"), DesiredStatus::HardDrained, 0)
    }
    let checks = || {
        vec![
            Signs("owner_or_operations"),
            Reads("contributor", Contributor),
            Changes("device", Device),
            OF_CONTRIBUTOR,
            Sequence("device"),
            status(LIVE),
            may("owner_or_operations", OWNER_OR_OPERATIONS),
        ]
    };
    vec![
        Case::new(
            Tag::SetDeviceDesired,
            "by the owner",
            |town| drain(town, &town.acme.owner.pubkey()),
            checks(),
            ANY_OF_ONES_OWN_BY_EITHER_KEY,
        ),
        Case::new(
            Tag::SetDeviceDesired,
            "by the operations key",
            |town| drain(town, &town.acme.operations.pubkey()),
            checks(),
            ANY_OF_ONES_OWN_BY_EITHER_KEY,
        ),
    ]
}

fn by_authority() -> Vec<Case> {
    let checks = |allowed| {
        vec![
            Signs("authority"),
            Reads("network", Network),
            Changes("device", Device),
            Sequence("device"),
            status(allowed),
            May("authority", &[Who::Authority], ErrorCode::NotAuthority),
        ]
    };
    vec![
        Case::new(
            Tag::SuspendDevice,
            "pending",
            |town| town.world.ix.suspend_device(&town.world.authority.pubkey(), &refs(town, "a1").device, 0),
            checks(RUNNING),
            ANY,
        ),
        Case::new(
            Tag::ResumeDevice,
            "suspended",
            |town| {
                let (authority, device) = (town.world.authority.pubkey(), refs(town, "a1").device);
                let suspend = town.world.ix.suspend_device(&authority, &device, 0);
                town.world.as_authority(suspend).expect("it is suspended");
                town.world.ix.resume_device(&authority, &device, 0)
            },
            checks(const { &[DeviceStatus::Suspended.byte()] }),
            &[],
        ),
        Case::new(
            Tag::RejectDevice,
            "pending",
            |town| {
                let (authority, device) = (town.world.authority.pubkey(), refs(town, "a1").device);
                town.world.ix.reject_device(&authority, &device, RejectReason::Policy, 0)
            },
            checks(UNPROVEN),
            ANY,
        ),
    ]
}

fn delete(town: &Town, signer: &Pubkey) -> Instruction {
    town.world.ix.delete_device(signer, &refs(town, "a3"), 0)
}

fn close(town: &mut Town, by_owner: bool) -> Instruction {
    let owner = town.acme.owner.pubkey();
    let device = code("a3");
    town.world.provision_device(&town.acme, &device).expect("it holds addresses");
    let delete = delete(town, &owner);
    town.world.by(&town.acme.owner, delete).expect("it is deleted");
    let signer = if by_owner { owner } else { town.world.authority.pubkey() };
    town.world.ix.close_device(&signer, &refs(town, "a3"), &owner, 0)
}

fn removal() -> Vec<Case> {
    let deletes = || {
        vec![
            Signs("owner_or_authority"),
            Reads("network", Network),
            Reads("contributor", Contributor),
            Changes("device", Device),
            OF_CONTRIBUTOR,
            Sequence("device"),
            status(DELETABLE),
            may("owner_or_authority", OWNER_OR_AUTHORITY),
            Idle("device", ErrorCode::DeviceHasLinks),
        ]
    };
    let closes = || {
        vec![
            Signs("owner_or_authority"),
            Takes("contributor_owner"),
            Changes("network", Network),
            Changes("contributor", Contributor),
            Changes("location", Location),
            Changes("exchange", Exchange),
            Pool("loopback_pool", PoolKind::Loopback),
            Pool("node_segment_pool", PoolKind::NodeSegment),
            Changes("prefix_table", PrefixTable),
            TO_OWNER,
            Changes("device", Device),
            Changes("attestations", Attestations),
            Names("attestations", Named::Subject, "device", ErrorCode::AttestationsMismatch),
            OF_CONTRIBUTOR,
            OF_LOCATION,
            OF_EXCHANGE,
            Sequence("device"),
            status(const { &[DeviceStatus::Deleting.byte()] }),
            may("owner_or_authority", OWNER_OR_AUTHORITY),
            Idle("device", ErrorCode::DeviceHasLinks),
        ]
    };
    const AUTHORITY_TOO: &[Lands] = &[swap("owner_or_authority", "the authority may as well")];
    const OWNER_TOO: &[Lands] = &[swap("owner_or_authority", "the owner may as well")];
    vec![
        Case::new(
            Tag::DeleteDevice,
            "by the owner",
            |town| delete(town, &town.acme.owner.pubkey()),
            deletes(),
            AUTHORITY_TOO,
        ),
        Case::new(
            Tag::DeleteDevice,
            "by the authority",
            |town| delete(town, &town.world.authority.pubkey()),
            deletes(),
            OWNER_TOO,
        ),
        Case::new(Tag::CloseDevice, "by the owner", |town| close(town, true), closes(), AUTHORITY_TOO),
        Case::new(Tag::CloseDevice, "by the authority", |town| close(town, false), closes(), OWNER_TOO),
    ]
}

fn port(name: &str) -> SetInterface {
    SetInterface {
        expected_sequence: 0,
        name: interface(name),
        kind: InterfaceKind::Physical,
        role: InterfaceRole::Fabric,
        loopback: LoopbackType::None,
        vlan_id: 0,
        mtu: 1_500,
        bandwidth_bps: 100_000_000_000,
        address: Prefix::NONE,
    }
}

fn remove(town: &Town, signer: &Pubkey) -> Instruction {
    town.world.ix.remove_interface(signer, &refs(town, "a1"), &town.acme.owner.pubkey(), interface("eth9"), 0)
}

fn interfaces() -> Vec<Case> {
    let last = [OF_CONTRIBUTOR, Sequence("device"), status(LIVE), may("owner_or_operations", OWNER_OR_OPERATIONS)];
    let adds = [
        Pays("owner_or_operations"),
        System("system_program"),
        Reads("contributor", Contributor),
        Changes("device", Device),
    ];
    let updates = [Signs("owner_or_operations"), Reads("contributor", Contributor), Changes("device", Device)];
    let removes = [
        Signs("owner_or_operations"),
        Takes("contributor_owner"),
        Reads("contributor", Contributor),
        TO_OWNER,
        Changes("device", Device),
    ];
    vec![
        Case::new(
            Tag::AddInterface,
            "a port",
            |town| town.world.ix.add_interface(&town.acme.operations.pubkey(), &refs(town, "a1"), port("eth40")),
            [&adds[..], &last].concat(),
            ANY_OF_ONES_OWN_BY_EITHER_KEY,
        ),
        Case::new(
            Tag::UpdateInterface,
            "a free port",
            |town| town.world.ix.update_interface(&town.acme.operations.pubkey(), &refs(town, "a1"), port("eth9")),
            [&updates[..], &last].concat(),
            ANY_OF_ONES_OWN_BY_EITHER_KEY,
        ),
        Case::new(
            Tag::RemoveInterface,
            "by the owner",
            |town| remove(town, &town.acme.owner.pubkey()),
            [&removes[..], &last].concat(),
            ANY_OF_ONES_OWN_BY_EITHER_KEY,
        ),
        Case::new(
            Tag::RemoveInterface,
            "by the operations key",
            |town| remove(town, &town.acme.operations.pubkey()),
            [&removes[..], &last].concat(),
            ANY_OF_ONES_OWN_BY_EITHER_KEY,
        ),
    ]
}
