//! Devices that are stopped, refused, or on their way out.

use causeway_interface::{
    AccountType::{Attestations, Contributor, Device, Exchange, Location, Network, PrefixTable},
    DeviceStatus, ErrorCode, PoolKind, RejectReason,
    instruction::Tag,
};
use solana_sdk::{instruction::Instruction, pubkey::Pubkey, signature::Signer};

use super::{
    case::{Case, Lands, swap},
    checks::{
        Check::{Changes, Idle, May, Names, Pool, Reads, Sequence, Signs, Takes},
        Named, RUNNING, RUNNING_OR_PAUSED, Who,
    },
    device::{OF_CONTRIBUTOR, OF_EXCHANGE, OF_LOCATION, TO_OWNER, may, refs, status},
    town::Town,
};
use crate::world::code;

/// Statuses that a device is suspended from.
const SUSPENDABLE: &[u8] = &[
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

const OWNER_OR_AUTHORITY: &[Who] = &[Who::Owner("contributor"), Who::Authority];
const ANY: &[Lands] = &[swap("device", "the authority decides on every device")];

pub fn cases() -> Vec<Case> {
    let mut cases = by_authority();
    cases.extend(removal());
    cases
}

fn by_authority() -> Vec<Case> {
    let checks = |allowed, breaker| {
        vec![
            Signs("authority"),
            Reads("network", Network),
            Changes("device", Device),
            Sequence("device"),
            breaker,
            status(allowed),
            May("authority", &[Who::Authority], ErrorCode::NotAuthority),
        ]
    };
    vec![
        Case::new(
            Tag::SuspendDevice,
            "pending",
            |town| town.world.ix.suspend_device(&town.world.authority.pubkey(), &refs(town, "a1").device, 0),
            checks(SUSPENDABLE, RUNNING_OR_PAUSED),
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
            checks(const { &[DeviceStatus::Suspended.byte()] }, RUNNING),
            &[],
        ),
        Case::new(
            Tag::RejectDevice,
            "pending",
            |town| {
                let (authority, device) = (town.world.authority.pubkey(), refs(town, "a1").device);
                town.world.ix.reject_device(&authority, &device, RejectReason::Policy, 0)
            },
            checks(UNPROVEN, RUNNING_OR_PAUSED),
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
            RUNNING_OR_PAUSED,
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
            RUNNING_OR_PAUSED,
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
