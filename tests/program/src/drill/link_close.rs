//! The closing of links, which looks at side Z where it holds something.

use causeway_interface::{
    AccountType::{Attestations, Contributor, Device, Link, Network},
    ErrorCode, LinkStatus, PoolKind,
    instruction::Tag,
};
use solana_sdk::{
    instruction::Instruction,
    signature::{Keypair, Signer},
};

use super::{
    case::{Case, read_only, swap},
    checks::{
        Check::{self, Changes, Names, Pool, Same, Sequence, Signs, Takes},
        Named, RUNNING_OR_PAUSED, Who,
    },
    link::{may, ready, refs, status},
    town::Town,
};

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
        RUNNING_OR_PAUSED,
    ]
}

/// The closing of a link of the town, after its deletion.
fn closing(town: &mut Town, link: &str, signer: &Keypair) -> Instruction {
    let (refs, owner) = (refs(town, link), town.acme.owner.insecure_clone());
    let delete = town.world.ix.delete_link(&owner.pubkey(), &refs.a.contributor, &refs.link, 0);
    town.world.by(&owner, delete).expect("it is deleted");
    town.world.ix.close_link(&signer.pubkey(), &refs, &owner.pubkey(), 0)
}

pub fn cases() -> Vec<Case> {
    const DELETING: &[u8] = &[LinkStatus::Deleting.byte()];
    const OF_Z: Check = Names("link", Named::DeviceZ, "device_z", ErrorCode::LinkForeignDevice);
    const BY_A: &[Who] = &[Who::Owner("contributor_a"), Who::Authority];
    const BY_EITHER: &[Who] = &[Who::Owner("contributor_a"), Who::Owner("contributor_z"), Who::Authority];
    const ONE: Check = Same("contributor_z", "contributor_a", ErrorCode::AccountMismatch);
    const GONE: &str = "side Z never accepted, holds nothing and may be gone";
    let wan = [ONE, Changes("device_z", Device), OF_Z, status(DELETING), may("owner_or_authority", BY_A)];
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
            &[swap("owner_or_authority", "the authority may as well")],
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
