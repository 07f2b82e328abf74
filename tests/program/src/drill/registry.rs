//! Contributors, locations and exchanges.

use causeway_interface::{
    AccountType::{Contributor, Exchange, Location, Network},
    ErrorCode, Key, RegistryStatus,
    instruction::{CreateContributor, Tag, UpdateContributor, UpdateExchange, UpdateLocation},
};
use causeway_sdk::RegistryTarget;
use solana_sdk::{instruction::Instruction, pubkey::Pubkey, signature::Signer};

use super::{
    case::{Case, Lands, swap},
    checks::{
        Check::{
            self, Apart, Changes, Idle, May, Pays, Placed, Reads, Registry, Sequence, Signs, System, Takes, Vacant,
        },
        Slot, Who,
    },
    town::Town,
};
use crate::{
    parties::{exchange, location},
    plant::PLACE,
    world::code,
};

const PAID_BY_ANYBODY: &[Lands] = &[swap("payer", "whoever signs may pay")];
const ANY_LOCATION: &[Lands] = &[swap("location", "the authority decides on every location")];
const ANY_EXCHANGE: &[Lands] = &[swap("exchange", "the authority decides on every exchange")];
const ANY_TARGET: &[Lands] = &[swap("target", "the authority decides on every contributor, location and exchange")];
const ANY_IDLE_TARGET: &[Lands] = &[
    swap("target", "the authority decides on every contributor, location and exchange that nothing depends on"),
    swap("recipient", "the authority says who gets the rent"),
];

/// Creation by the authority.
fn creates(slot: Slot) -> Vec<Check> {
    vec![
        Pays("payer"),
        Signs("authority"),
        Vacant(slot),
        System("system_program"),
        Changes("network", Network),
        May("authority", &[Who::Authority], ErrorCode::NotAuthority),
        Placed(slot),
    ]
}

/// A change by the authority.
fn updates(check: Check, slot: Slot) -> Vec<Check> {
    vec![
        Signs("authority"),
        Reads("network", Network),
        check,
        Sequence(slot),
        May("authority", &[Who::Authority], ErrorCode::NotAuthority),
    ]
}

fn updates_contributor() -> Vec<Check> {
    vec![
        Signs("owner_or_authority"),
        Reads("network", Network),
        Changes("contributor", Contributor),
        Sequence("contributor"),
        May("owner_or_authority", &[Who::Owner("contributor"), Who::Authority], ErrorCode::NotAuthority),
    ]
}

fn closes() -> Vec<Check> {
    vec![
        Signs("authority"),
        Changes("network", Network),
        Takes("recipient"),
        Registry("target"),
        Sequence("target"),
        May("authority", &[Who::Authority], ErrorCode::NotAuthority),
        Idle("target", ErrorCode::RegistryInUse),
        Apart("recipient", "target", ErrorCode::DuplicateAccount),
    ]
}

pub fn cases() -> Vec<Case> {
    let mut cases = creations();
    cases.extend(updated());
    cases.extend(suspended_and_closed());
    cases
}

fn creations() -> Vec<Case> {
    vec![
        Case::new(
            Tag::CreateContributor,
            "a new one",
            |town| {
                let data = CreateContributor { code: code("new"), owner: Key([1; 32]), operations_key: Key([2; 32]) };
                town.world.ix.create_contributor(&town.stranger.pubkey(), &town.world.authority.pubkey(), data)
            },
            creates("contributor"),
            PAID_BY_ANYBODY,
        ),
        Case::new(
            Tag::CreateLocation,
            "a new one",
            |town| {
                let authority = town.world.authority.pubkey();
                town.world.ix.create_location(&town.stranger.pubkey(), &authority, location("new"))
            },
            creates("location"),
            PAID_BY_ANYBODY,
        ),
        Case::new(
            Tag::CreateExchange,
            "a new one",
            |town| {
                let authority = town.world.authority.pubkey();
                town.world.ix.create_exchange(&town.stranger.pubkey(), &authority, exchange("new"))
            },
            creates("exchange"),
            PAID_BY_ANYBODY,
        ),
    ]
}

fn update_contributor(town: &Town, signer: &Pubkey) -> Instruction {
    let data = UpdateContributor { expected_sequence: 0, owner: Key([1; 32]), operations_key: Key::ZERO };
    town.world.ix.update_contributor(signer, &town.acme.code, data)
}

fn updated() -> Vec<Case> {
    vec![
        Case::new(
            Tag::UpdateContributor,
            "by its owner",
            |town| update_contributor(town, &town.acme.owner.pubkey()),
            updates_contributor(),
            &[swap("owner_or_authority", "the authority may, for recovery")],
        ),
        Case::new(
            Tag::UpdateContributor,
            "by the authority",
            |town| update_contributor(town, &town.world.authority.pubkey()),
            updates_contributor(),
            &[
                swap("owner_or_authority", "its owner may"),
                swap("contributor", "the authority decides on every contributor"),
            ],
        ),
        Case::new(
            Tag::UpdateLocation,
            "another name",
            |town| {
                let given = location("other");
                let data = UpdateLocation {
                    expected_sequence: 0,
                    name: given.name,
                    country: given.country,
                    lat_e6: given.lat_e6,
                    lng_e6: given.lng_e6,
                };
                town.world.ix.update_location(&town.world.authority.pubkey(), &code(PLACE), data)
            },
            updates(Changes("location", Location), "location"),
            ANY_LOCATION,
        ),
        Case::new(
            Tag::UpdateExchange,
            "another name",
            |town| {
                let given = exchange("other");
                let data = UpdateExchange {
                    expected_sequence: 0,
                    name: given.name,
                    country: given.country,
                    lat_e6: given.lat_e6,
                    lng_e6: given.lng_e6,
                    bgp_community: given.bgp_community,
                };
                town.world.ix.update_exchange(&town.world.authority.pubkey(), &code(PLACE), data)
            },
            updates(Changes("exchange", Exchange), "exchange"),
            ANY_EXCHANGE,
        ),
    ]
}

fn suspend(town: &Town, target: RegistryTarget<'_>) -> Instruction {
    town.world.ix.set_registry_status(&town.world.authority.pubkey(), target, RegistryStatus::Suspended, 0)
}

fn close(town: &Town, target: RegistryTarget<'_>) -> Instruction {
    town.world.ix.close_registry(&town.world.authority.pubkey(), target, &town.stranger.pubkey(), 0)
}

fn suspended_and_closed() -> Vec<Case> {
    type Make = fn(&mut Town) -> Instruction;
    let suspended: [(&'static str, Make); 3] = [
        ("a contributor", |town| suspend(town, RegistryTarget::Contributor(&code("acme")))),
        ("a location", |town| suspend(town, RegistryTarget::Location(&code(PLACE)))),
        ("an exchange", |town| suspend(town, RegistryTarget::Exchange(&code(PLACE)))),
    ];
    let closed: [(&'static str, Make); 3] = [
        ("a contributor", |town| close(town, RegistryTarget::Contributor(&code("idle")))),
        ("a location", |town| close(town, RegistryTarget::Location(&code("idle")))),
        ("an exchange", |town| close(town, RegistryTarget::Exchange(&code("idle")))),
    ];
    let mut cases = Vec::new();
    for (name, make) in suspended {
        let checks = updates(Registry("target"), "target");
        cases.push(Case::new(Tag::SetRegistryStatus, name, make, checks, ANY_TARGET));
    }
    for (name, make) in closed {
        cases.push(Case::new(Tag::CloseRegistry, name, make, closes(), ANY_IDLE_TARGET));
    }
    cases
}
