//! The network's own instructions.

use causeway_interface::{
    AccountType::{Network, PrefixTable},
    ErrorCode, Key,
    instruction::{Tag, UpdateNetwork},
};
use causeway_sdk::address::to_key;
use solana_sdk::signature::Signer;

use super::{
    case::{Case, swap},
    checks::{
        Check::{self, Changes, May, Pays, Placed, Sequence, Signs, System, Vacant},
        Who,
    },
    town::Town,
};
use crate::world::{BURN_IN_MAINTENANCE, BURN_IN_NEW, MAX_AGE};

/// What the authority changes about the network itself.
fn by_authority() -> Vec<Check> {
    vec![
        Signs("authority"),
        Changes("network", Network),
        Sequence("network"),
        May("authority", &[Who::Authority], ErrorCode::NotAuthority),
    ]
}

pub fn cases() -> Vec<Case> {
    vec![
        Case {
            town: Town::bare,
            ..Case::new(
                Tag::InitNetwork,
                "by the upgrade authority",
                |town| {
                    let data = town.world.init_data();
                    let upgrade_authority = town.world.upgrade_authority.pubkey();
                    town.world.ix.init_network(&town.stranger.pubkey(), &upgrade_authority, data)
                },
                init(),
                &[swap("payer", "whoever signs may pay")],
            )
        },
        Case::new(
            Tag::UpdateNetwork,
            "other figures",
            |town| {
                let data = UpdateNetwork {
                    expected_sequence: 0,
                    core_asn: 65_001,
                    burn_in_new_slots: BURN_IN_NEW + 1,
                    burn_in_maintenance_slots: BURN_IN_MAINTENANCE,
                    attestation_max_age_slots: MAX_AGE,
                };
                town.world.ix.update_network(&town.world.authority.pubkey(), data)
            },
            by_authority(),
            &[],
        ),
        Case::new(
            Tag::SetPaused,
            "tripped",
            |town| town.world.ix.set_paused(&town.world.authority.pubkey(), true, 0),
            by_authority(),
            &[],
        ),
        Case::new(
            Tag::SetOracleSet,
            "two oracles",
            |town| {
                let oracles = vec![Key([1; 32]), Key([2; 32])];
                town.world.ix.set_oracle_set(&town.world.authority.pubkey(), oracles, 2, 0)
            },
            by_authority(),
            &[],
        ),
        Case::new(
            Tag::ProposeAuthority,
            "a stranger",
            |town| {
                let next = to_key(&town.stranger.pubkey());
                town.world.ix.propose_authority(&town.world.authority.pubkey(), next, 0)
            },
            by_authority(),
            &[],
        ),
        Case::new(
            Tag::AcceptAuthority,
            "by whom it was proposed to",
            |town| {
                let next = town.stranger.pubkey();
                let authority = town.world.authority.pubkey();
                let propose = town.world.ix.propose_authority(&authority, to_key(&next), 0);
                town.world.as_authority(propose).expect("it is proposed");
                town.world.ix.accept_authority(&next, 0)
            },
            vec![
                Signs("pending_authority"),
                Changes("network", Network),
                Sequence("network"),
                May("pending_authority", &[Who::PendingAuthority], ErrorCode::NoPendingAuthority),
            ],
            &[],
        ),
        Case::new(
            Tag::ExtendPrefixTable,
            "by one",
            |town| town.world.ix.extend_prefix_table(&town.stranger.pubkey(), 1),
            vec![Pays("payer"), System("system_program"), Changes("prefix_table", PrefixTable)],
            &[swap("payer", "whoever signs may pay")],
        ),
    ]
}

fn init() -> Vec<Check> {
    let mut checks = vec![
        Pays("payer"),
        Signs("upgrade_authority"),
        Vacant("network"),
        Vacant("prefix_table"),
        System("system_program"),
        Placed("program_data"),
        May("upgrade_authority", &[Who::UpgradeAuthority], ErrorCode::NotUpgradeAuthority),
    ];
    for pool in ["link_net_pool", "link_id_pool", "node_segment_pool", "loopback_pool"] {
        checks.extend([Vacant(pool), Placed(pool)]);
    }
    checks.extend([Placed("prefix_table"), Placed("network")]);
    checks
}
