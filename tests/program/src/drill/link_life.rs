//! What happens to a link that exists.

use causeway_interface::{
    AccountType::{Contributor, Device, Link, Network},
    DesiredStatus, ErrorCode, LinkStatus,
    instruction::{Tag, UpdateLink},
};
use solana_sdk::{instruction::Instruction, signature::Signer};

use super::{
    case::{Case, Lands, read_only, swap},
    checks::{
        Check::{self, Changes, May, Names, Reads, Sequence, Side, Signs},
        Named, RUNNING, RUNNING_OR_PAUSED, Who,
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
const SUSPENDABLE: &[u8] = &[
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
            RUNNING_OR_PAUSED,
            status(SUSPENDABLE),
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
        RUNNING,
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
            RUNNING_OR_PAUSED,
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
