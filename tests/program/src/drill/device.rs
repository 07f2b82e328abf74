//! Devices and their interfaces.

use causeway_interface::{
    AccountType::{Contributor, Device, Exchange, Location, Network, PrefixTable},
    DesiredStatus, DeviceStatus, ErrorCode, PoolKind,
    instruction::{Tag, UpdateDevice},
};
use causeway_sdk::DeviceRefs;
use solana_sdk::{instruction::Instruction, pubkey::Pubkey, signature::Signer};

use super::{
    case::{Case, Lands, swap},
    checks::{
        Check::{self, Changes, May, Names, Pays, Placed, Pool, Reads, Sequence, Signs, Status, System, Vacant},
        Named, RUNNING, Slot, Who, active,
    },
    town::Town,
};
use crate::{
    plant::{PLACE, hybrid},
    world::code,
};

/// Statuses of a device that has not left the game.
pub const LIVE: &[u8] = &[
    DeviceStatus::Pending.byte(),
    DeviceStatus::Activated.byte(),
    DeviceStatus::Suspended.byte(),
    DeviceStatus::Drained.byte(),
    DeviceStatus::DeviceProvisioning.byte(),
    DeviceStatus::LinkProvisioning.byte(),
];

const OWNER: &[Who] = &[Who::Owner("contributor")];
pub const OWNER_OR_OPERATIONS: &[Who] = &[Who::Owner("contributor"), Who::Operations("contributor")];

const ANY_OF_ONES_OWN: &[Lands] = &[swap("device", "an owner decides on each of its devices")];
pub const ANY_OF_ONES_OWN_BY_EITHER_KEY: &[Lands] = &[
    swap("device", "a contributor's keys decide on each of its devices"),
    swap("owner_or_operations", "the contributor's other key may as well"),
];

/// The device is the contributor's.
pub const OF_CONTRIBUTOR: Check = Names("device", Named::Contributor, "contributor", ErrorCode::AccountMismatch);
pub const OF_LOCATION: Check = Names("device", Named::Location, "location", ErrorCode::AccountMismatch);
pub const OF_EXCHANGE: Check = Names("device", Named::Exchange, "exchange", ErrorCode::AccountMismatch);
/// The recipient is the contributor's owner.
pub const TO_OWNER: Check = Names("contributor", Named::Owner, "contributor_owner", ErrorCode::AccountMismatch);

pub fn status(allowed: &'static [u8]) -> Check {
    Status("device", allowed, ErrorCode::DeviceTransitionRefused)
}

pub fn may(signer: Slot, who: &'static [Who]) -> Check {
    May(signer, who, ErrorCode::NotDeviceOwner)
}

pub fn refs(town: &Town, device: &str) -> DeviceRefs {
    town.world.device_refs(&code(device))
}

pub fn cases() -> Vec<Case> {
    let mut cases = vec![create(), update(), provision()];
    cases.extend(desired());
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
            RUNNING,
            active("contributor"),
            active("location"),
            active("exchange"),
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
            RUNNING,
            active("contributor"),
            active("location"),
            active("exchange"),
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
