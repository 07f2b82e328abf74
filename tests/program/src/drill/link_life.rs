//! What happens to a link that exists.

use causeway_interface::{
    AccountType::{Attestations, Contributor, Device, Link, Network},
    DesiredStatus, ErrorCode, LinkStatus, PoolKind,
    instruction::{Tag, UpdateLink},
};
use solana_sdk::{
    instruction::Instruction,
    signature::{Keypair, Signer},
};

use super::{
    case::{Case, Lands, read_only, swap},
    checks::{
        Check::{self, Changes, May, Names, Pool, Reads, Sequence, Side, Signs, Takes},
        Named, Who,
    },
    link::{may, ready, refs, status},
    town::Town,
};
use crate::world::code;

/// Statuses of a link that has not left the game.
const LIVE: &[u8] = &[
    LinkStatus::Pending.byte(),
    LinkStatus::Activated.byte(),
    LinkStatus::Suspended.byte(),
    LinkStatus::Requested.byte(),
    LinkStatus::HardDrained.byte(),
    LinkStatus::SoftDrained.byte(),
    LinkStatus::Provisioning.byte(),
];
/// Statuses that a link is suspended from.
const RUNNING: &[u8] = &[
    LinkStatus::Pending.byte(),
    LinkStatus::Activated.byte(),
    LinkStatus::Requested.byte(),
    LinkStatus::HardDrained.byte(),
    LinkStatus::SoftDrained.byte(),
    LinkStatus::Provisioning.byte(),
];
/// Statuses that a link is deleted from.
const DELETABLE: &[u8] = &[
    LinkStatus::Pending.byte(),
    LinkStatus::Suspended.byte(),
    LinkStatus::Rejected.byte(),
    LinkStatus::Requested.byte(),
    LinkStatus::HardDrained.byte(),
    LinkStatus::SoftDrained.byte(),
    LinkStatus::Provisioning.byte(),
];

const OWNER: &[Who] = &[Who::Owner("contributor")];
const OWNER_OR_OPERATIONS: &[Who] = &[Who::Owner("contributor"), Who::Operations("contributor")];
const OWNER_OR_AUTHORITY: &[Who] = &[Who::Owner("contributor"), Who::Authority];

const EACH_OF_ONES_OWN: Lands = swap("link", "a contributor decides on its side of each of its links");
const EITHER_KEY: Lands = swap("owner_or_operations", "the contributor's other key may as well");

pub fn cases() -> Vec<Case> {
    let mut cases = update();
    cases.extend(desired());
    cases.extend(by_authority());
    cases.extend(delete());
    cases.extend(close());
    cases
}

fn of_side(who: &'static [Who]) -> Vec<Check> {
    vec![
        Signs("owner_or_operations"),
        Reads("contributor", Contributor),
        Changes("link", Link),
        Side("link", "contributor"),
        Sequence("link"),
        status(LIVE),
        may("owner_or_operations", who),
    ]
}

fn update() -> Vec<Case> {
    /// Figures that links of a town are registered with, and this override.
    fn figures(delay_override_ns: u64) -> UpdateLink {
        UpdateLink {
            expected_sequence: 0,
            bandwidth_bps: 100_000_000_000,
            mtu: 9_000,
            delay_ns: 5_000_000,
            jitter_ns: 50_000,
            delay_override_ns,
        }
    }
    vec![
        Case::new(
            Tag::UpdateLink,
            "figures by side A's owner",
            |town| {
                town.accepted_dzx();
                let refs = refs(town, "x-open");
                let data = UpdateLink { mtu: 1_500, ..figures(0) };
                town.world.ix.update_link(&town.acme.owner.pubkey(), &refs.a.contributor, &refs.link, data)
            },
            of_side(OWNER),
            &[EACH_OF_ONES_OWN],
        ),
        Case::new(
            Tag::UpdateLink,
            "override by side Z's operations key",
            |town| {
                town.accepted_dzx();
                let refs = refs(town, "x-open");
                let operations = town.zeta.operations.pubkey();
                town.world.ix.update_link(&operations, &refs.z.contributor, &refs.link, figures(20_000))
            },
            of_side(OWNER_OR_OPERATIONS),
            &[EACH_OF_ONES_OWN, EITHER_KEY],
        ),
    ]
}

fn desired() -> Vec<Case> {
    vec![
        Case::new(
            Tag::SetLinkDesired,
            "by side A's owner",
            |town| {
                town.accepted_dzx();
                let refs = refs(town, "x-open");
                let owner = town.acme.owner.pubkey();
                town.world.ix.set_link_desired(&owner, &refs.a.contributor, &refs.link, DesiredStatus::SoftDrained, 0)
            },
            of_side(OWNER_OR_OPERATIONS),
            &[EACH_OF_ONES_OWN, EITHER_KEY],
        ),
        Case::new(
            Tag::SetLinkDesired,
            "by side Z's operations key",
            |town| {
                town.accepted_dzx();
                let refs = refs(town, "x-open");
                let key = town.zeta.operations.pubkey();
                town.world.ix.set_link_desired(&key, &refs.z.contributor, &refs.link, DesiredStatus::HardDrained, 0)
            },
            of_side(OWNER_OR_OPERATIONS),
            &[EACH_OF_ONES_OWN, EITHER_KEY],
        ),
    ]
}

fn by_authority() -> Vec<Case> {
    const AUTHORITY: Check = May("authority", &[Who::Authority], ErrorCode::NotAuthority);
    let suspends = |bound: &[Check]| {
        let mut checks = vec![
            Signs("authority"),
            Reads("network", Network),
            Changes("link", Link),
            Names("link", Named::DeviceA, "device_a", ErrorCode::LinkForeignDevice),
            Names("link", Named::DeviceZ, "device_z", ErrorCode::LinkForeignDevice),
            Sequence("link"),
            status(RUNNING),
            AUTHORITY,
        ];
        checks.extend_from_slice(bound);
        checks
    };
    let resumes = vec![
        Signs("authority"),
        Reads("network", Network),
        Changes("link", Link),
        Sequence("link"),
        status(const { &[LinkStatus::Suspended.byte()] }),
        AUTHORITY,
    ];
    fn suspend(town: &Town) -> Instruction {
        town.world.ix.suspend_link(&town.world.authority.pubkey(), &refs(town, "w-acme"), 0)
    }
    vec![
        Case::new(
            Tag::SuspendLink,
            "in service",
            |town| {
                ready(town, "w-acme", ["a1", "a2"]);
                town.world.advance_link(&code("w-acme")).expect("into service");
                suspend(town)
            },
            suspends(&[Changes("device_a", Device), Changes("device_z", Device)]),
            &[],
        ),
        Case::new(
            Tag::SuspendLink,
            "out of service",
            |town| suspend(town),
            suspends(&[]),
            &[
                read_only("device_a", "a link out of service is not counted at its devices"),
                read_only("device_z", "a link out of service is not counted at its devices"),
            ],
        ),
        Case::new(
            Tag::ResumeLink,
            "suspended",
            |town| {
                let suspend = suspend(town);
                town.world.as_authority(suspend).expect("it is suspended");
                town.world.ix.resume_link(&town.world.authority.pubkey(), &refs(town, "w-acme").link, 0)
            },
            resumes,
            &[],
        ),
    ]
}

fn delete() -> Vec<Case> {
    let checks = || {
        vec![
            Signs("owner_or_authority"),
            Reads("network", Network),
            Reads("contributor", Contributor),
            Changes("link", Link),
            Side("link", "contributor"),
            Sequence("link"),
            status(DELETABLE),
            may("owner_or_authority", OWNER_OR_AUTHORITY),
        ]
    };
    const AUTHORITY_TOO: Lands = swap("owner_or_authority", "the authority may as well");
    vec![
        Case::new(
            Tag::DeleteLink,
            "WAN by the owner",
            |town| {
                let refs = refs(town, "w-acme");
                town.world.ix.delete_link(&town.acme.owner.pubkey(), &refs.a.contributor, &refs.link, 0)
            },
            checks(),
            &[EACH_OF_ONES_OWN, AUTHORITY_TOO],
        ),
        Case::new(
            Tag::DeleteLink,
            "DZX by side Z",
            |town| {
                town.accepted_dzx();
                let refs = refs(town, "x-open");
                town.world.ix.delete_link(&town.zeta.owner.pubkey(), &refs.z.contributor, &refs.link, 0)
            },
            checks(),
            &[EACH_OF_ONES_OWN, AUTHORITY_TOO],
        ),
        Case::new(
            Tag::DeleteLink,
            "DZX by the authority",
            |town| {
                let refs = refs(town, "x-open");
                town.world.ix.delete_link(&town.world.authority.pubkey(), &refs.a.contributor, &refs.link, 0)
            },
            checks(),
            &[
                swap("contributor", "the authority may name either side"),
                swap("link", "the authority decides on every link"),
                swap("owner_or_authority", "the owner may as well"),
            ],
        ),
    ]
}

/// What closing checks before it looks at side Z.
fn closes() -> Vec<Check> {
    vec![
        Signs("owner_or_authority"),
        Takes("contributor_a_owner"),
        Changes("network", Network),
        Changes("contributor_a", Contributor),
        Changes("device_a", Device),
        Pool("link_net_pool", PoolKind::LinkNet),
        Pool("link_id_pool", PoolKind::LinkId),
        Names("contributor_a", Named::Owner, "contributor_a_owner", ErrorCode::AccountMismatch),
        Changes("link", Link),
        Changes("attestations", Attestations),
        Names("attestations", Named::Subject, "link", ErrorCode::AttestationsMismatch),
        Names("link", Named::ContributorA, "contributor_a", ErrorCode::AccountMismatch),
        Names("link", Named::DeviceA, "device_a", ErrorCode::LinkForeignDevice),
        Sequence("link"),
    ]
}

/// The closing of a link of the town, after its deletion.
fn closing(town: &mut Town, link: &str, signer: &Keypair) -> Instruction {
    let (refs, owner) = (refs(town, link), town.acme.owner.insecure_clone());
    let delete = town.world.ix.delete_link(&owner.pubkey(), &refs.a.contributor, &refs.link, 0);
    town.world.by(&owner, delete).expect("it is deleted");
    town.world.ix.close_link(&signer.pubkey(), &refs, &owner.pubkey(), 0)
}

fn close() -> Vec<Case> {
    const DELETING: &[u8] = &[LinkStatus::Deleting.byte()];
    const OF_Z: Check = Names("link", Named::DeviceZ, "device_z", ErrorCode::LinkForeignDevice);
    const BY_A: &[Who] = &[Who::Owner("contributor_a"), Who::Authority];
    const BY_EITHER: &[Who] = &[Who::Owner("contributor_a"), Who::Owner("contributor_z"), Who::Authority];
    const GONE: &str = "side Z never accepted, holds nothing and may be gone";
    let wan = [Changes("device_z", Device), OF_Z, status(DELETING), may("owner_or_authority", BY_A)];
    let dzx = [
        Changes("device_z", Device),
        Changes("contributor_z", Contributor),
        OF_Z,
        Names("link", Named::ContributorZ, "contributor_z", ErrorCode::AccountMismatch),
        status(DELETING),
        may("owner_or_authority", BY_EITHER),
    ];
    let requested = [status(DELETING), may("owner_or_authority", BY_A)];
    vec![
        Case::new(
            Tag::CloseLink,
            "WAN",
            |town| {
                ready(town, "w-acme", ["a1", "a2"]);
                let owner = town.acme.owner.insecure_clone();
                closing(town, "w-acme", &owner)
            },
            [&closes()[..], &wan].concat(),
            &[
                swap("owner_or_authority", "the authority may as well"),
                swap("contributor_z", "a WAN link has one contributor, and the second place is not looked at"),
            ],
        ),
        Case::new(
            Tag::CloseLink,
            "DZX that was accepted",
            |town| {
                town.accepted_dzx();
                let owner = town.zeta.owner.insecure_clone();
                closing(town, "x-open", &owner)
            },
            [&closes()[..], &dzx].concat(),
            &[swap("owner_or_authority", "side A's owner and the authority may as well")],
        ),
        Case::new(
            Tag::CloseLink,
            "DZX that was never accepted",
            |town| {
                let owner = town.acme.owner.insecure_clone();
                closing(town, "x-open", &owner)
            },
            [&closes()[..], &requested].concat(),
            &[
                swap("owner_or_authority", "the authority may as well"),
                swap("contributor_z", GONE),
                read_only("contributor_z", GONE),
                swap("device_z", GONE),
                read_only("device_z", GONE),
            ],
        ),
    ]
}
