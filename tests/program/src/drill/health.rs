//! Attestations, and `Advance`, which counts them.

use causeway_interface::{
    AccountType::{Attestations, Contributor, Device, Exchange, Link, Location, Network},
    DeviceHealth, DeviceStatus, ErrorCode, LinkHealth, LinkStatus,
    instruction::{ADVANCE_DEVICE, ADVANCE_LINK, AccountSpec, Tag},
};
use solana_sdk::{instruction::Instruction, signature::Signer};

use super::{
    case::{Case, Lands, swap},
    checks::{
        Check::{self, Apart, Changes, May, Names, Pays, Reads, Sequence, Signs, Status, System, Visits},
        Named, RUNNING_OR_PAUSED, Slot, Who, active_or_suspended,
    },
    link::{self, ready},
    overheard,
    town::Town,
};
use crate::world::{BURN_IN_NEW, code};

/// Whether the same attestations twice in one `Attest` are refused: so since the program knows of stale oracle epochs
/// (error 4006). Before that the second word replaced the first, which said the same.
const ATTEST_REFUSES_DUPLICATES: bool = ErrorCode::from_code(4_006).is_some();

/// The batch: a device's attestations and a link's.
const BATCH: &[AccountSpec] = &[
    AccountSpec { name: "attestations_0", signer: false, writable: true },
    AccountSpec { name: "attestations_1", signer: false, writable: true },
];

/// Bytes that no oracle can give of subject `n` of the batch.
pub fn undefined_verdicts(n: usize) -> Vec<u8> {
    let given: Vec<u8> = match n {
        0 => DeviceHealth::ALL.iter().map(|health| health.byte()).collect(),
        _ => LinkHealth::ALL.iter().map(|health| health.byte()).collect(),
    };
    // Zero is "unknown": what nobody has said.
    (0..=u8::MAX).filter(|byte| *byte == 0 || !given.contains(byte)).collect()
}

pub fn cases() -> Vec<Case> {
    let mut cases = vec![attest(), extend()];
    cases.extend(advance());
    cases
}

fn attest() -> Case {
    let mut checks = vec![
        Signs("oracle"),
        Reads("network", Network),
        May("oracle", &[Who::Oracle], ErrorCode::NotOracle),
        Visits("attestations_0", Attestations),
        Visits("attestations_1", Attestations),
    ];
    const ANY: [Lands; 3] = [
        swap("oracle", "every oracle speaks for itself"),
        swap("attestations_0", "an oracle speaks about every device and link"),
        swap("attestations_1", "an oracle speaks about every device and link"),
    ];
    if ATTEST_REFUSES_DUPLICATES {
        checks.push(Apart("attestations_0", "attestations_1", ErrorCode::DuplicateAccount));
    }
    Case::new(
        Tag::Attest,
        "a device and a link",
        |town| {
            let verdicts = [
                (town.world.device_key(&code("a1")), DeviceHealth::ReadyForUsers.byte()),
                (town.world.link_key(&code("w-acme")), LinkHealth::ReadyForService.byte()),
            ];
            town.world.attest(0, &verdicts).expect("it lands");
            let instruction = overheard();
            town.world.warp(1);
            instruction
        },
        checks,
        &ANY,
    )
    .followed_by(BATCH)
}

fn extend() -> Case {
    Case::new(
        Tag::ExtendAttestations,
        "by one",
        |town| {
            let subject = town.world.device_key(&code("a1"));
            town.world.ix.extend_attestations(&town.stranger.pubkey(), &subject, 1)
        },
        vec![Pays("payer"), System("system_program"), Reads("network", Network), Changes("attestations", Attestations)],
        &[swap("payer", "whoever signs may pay"), swap("attestations", "every subject may be given room")],
    )
}

const ANY_SENDER: &[Lands] = &[swap("sender", "no trust is in the sender")];
const SPOKEN_OF: Check = Names("attestations", Named::Subject, "subject", ErrorCode::AttestationsMismatch);

/// Any status that a device can have: what does not allow a move stays where it is.
fn device_status(slot: Slot) -> Check {
    const ANY: &[u8] = &[
        DeviceStatus::Pending.byte(),
        DeviceStatus::Activated.byte(),
        DeviceStatus::Suspended.byte(),
        DeviceStatus::Deleting.byte(),
        DeviceStatus::Rejected.byte(),
        DeviceStatus::Drained.byte(),
        DeviceStatus::DeviceProvisioning.byte(),
        DeviceStatus::LinkProvisioning.byte(),
    ];
    Status(slot, ANY, ErrorCode::CorruptAccount)
}

/// Any status that a link can have.
fn link_status(slot: Slot) -> Check {
    const ANY: &[u8] = &[
        LinkStatus::Pending.byte(),
        LinkStatus::Activated.byte(),
        LinkStatus::Suspended.byte(),
        LinkStatus::Deleting.byte(),
        LinkStatus::Rejected.byte(),
        LinkStatus::Requested.byte(),
        LinkStatus::HardDrained.byte(),
        LinkStatus::SoftDrained.byte(),
        LinkStatus::Provisioning.byte(),
    ];
    Status(slot, ANY, ErrorCode::CorruptAccount)
}

fn advance() -> Vec<Case> {
    let device = vec![
        Signs("sender"),
        Reads("network", Network),
        Changes("subject", Device),
        Reads("attestations", Attestations),
        Reads("contributor", Contributor),
        Reads("location", Location),
        Reads("exchange", Exchange),
        SPOKEN_OF,
        Names("subject", Named::Contributor, "contributor", ErrorCode::AccountMismatch),
        Names("subject", Named::Location, "location", ErrorCode::AccountMismatch),
        Names("subject", Named::Exchange, "exchange", ErrorCode::AccountMismatch),
        Sequence("subject"),
        RUNNING_OR_PAUSED,
        active_or_suspended("contributor"),
        active_or_suspended("location"),
        active_or_suspended("exchange"),
        device_status("subject"),
    ];
    let of_link = || {
        let mut checks = vec![
            Signs("sender"),
            Reads("network", Network),
            Changes("subject", Link),
            Reads("attestations", Attestations),
            Changes("device_a", Device),
            Changes("device_z", Device),
            SPOKEN_OF,
            Sequence("subject"),
        ];
        checks.extend(link::ends("subject"));
        checks.extend([
            RUNNING_OR_PAUSED,
            link_status("subject"),
            device_status("device_a"),
            device_status("device_z"),
        ]);
        checks.extend(link::ABOVE.map(active_or_suspended));
        checks
    };
    fn advance_link(town: &mut Town, link: &str) -> Instruction {
        let refs = town.world.link_refs(&code(link));
        town.world.ix.advance_link(&town.stranger.pubkey(), &refs, 0)
    }
    vec![
        Case::new(
            Tag::Advance,
            "a device to link provisioning",
            |town| {
                let a1 = code("a1");
                town.world.provision_device(&town.acme, &a1).expect("it is provisioned");
                let verdict = (town.world.device_key(&a1), DeviceHealth::ReadyForUsers.byte());
                town.world.attest_for(&[verdict], BURN_IN_NEW);
                town.world.ix.advance_device(&town.stranger.pubkey(), &town.world.device_refs(&a1), 0)
            },
            device,
            ANY_SENDER,
        )
        .followed_by(ADVANCE_DEVICE),
        Case::new(
            Tag::Advance,
            "a WAN link into service",
            |town| {
                ready(town, "w-acme", ["a1", "a2"]);
                advance_link(town, "w-acme")
            },
            of_link(),
            ANY_SENDER,
        )
        .followed_by(ADVANCE_LINK),
        Case::new(
            Tag::Advance,
            "a DZX link into service",
            |town| {
                town.accepted_dzx();
                ready(town, "x-open", ["a1", "z1"]);
                advance_link(town, "x-open")
            },
            of_link(),
            ANY_SENDER,
        )
        .followed_by(ADVANCE_LINK),
    ]
}
