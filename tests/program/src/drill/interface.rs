//! A device's interfaces.

use causeway_interface::{
    AccountType::{Contributor, Device},
    InterfaceKind, InterfaceRole, LoopbackType, Prefix,
    instruction::{SetInterface, Tag},
};
use solana_sdk::{instruction::Instruction, pubkey::Pubkey, signature::Signer};

use super::{
    case::Case,
    checks::Check::{Changes, Pays, Reads, Sequence, Signs, System, Takes},
    device::{ANY_OF_ONES_OWN_BY_EITHER_KEY, LIVE, OF_CONTRIBUTOR, OWNER_OR_OPERATIONS, TO_OWNER, may, refs, status},
    town::Town,
};
use crate::plant::interface;

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

pub fn cases() -> Vec<Case> {
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
