//! The network: parameters, breaker, oracle set, authority.

use causeway_interface::ErrorCode;

use super::{Broken, Verdict, fresh, is_network};
use crate::model::{
    atlas::UPGRADER,
    changes,
    command::{Command, Terms, What},
    state::{Model, Network, Stamp},
};

/// Most oracles of a network.
const MOST_ORACLES: usize = 31;
/// Most entries that one instruction makes the prefix table larger by.
const MOST_ENTRIES: u32 = 1_280;
/// Longest burn-in or age, in slots.
const LONGEST: u64 = 160_000_000;

pub fn step(model: &mut Model, command: &Command) -> Verdict {
    if let What::InitNetwork { .. } = command.what {
        return init(model, command);
    }
    let mut broken = Broken::default();
    if let What::ExtendPrefixTable { entries } = command.what {
        broken.unless(entries <= MOST_ENTRIES, ErrorCode::InstructionData);
        broken.so_far()?;
        let grown = if entries == 0 { MOST_ENTRIES } else { entries };
        model.net_mut().table_grown += grown as usize;
        return Ok(());
    }
    let (by, slot) = (command.by, model.slot);
    let net = model.net_mut();
    broken.unless(fresh(command, &net.stamp), ErrorCode::StaleSequence);
    if let What::AcceptAuthority = command.what {
        broken.unless(net.pending == Some(by), ErrorCode::NoPendingAuthority);
        broken.so_far()?;
        (net.authority, net.pending) = (by, None);
        net.stamp.sequence += 1;
        return Ok(());
    }
    broken.unless(net.authority == by, ErrorCode::NotAuthority);
    match &command.what {
        What::UpdateNetwork(terms) => {
            check_terms(&mut broken, terms);
            broken.so_far()?;
            net.core_asn = terms.core_asn;
            net.burn_in_new = terms.burn_in_new;
            net.burn_in_maintenance = terms.burn_in_maintenance;
            net.max_age = terms.max_age;
        }
        What::SetPaused(paused) => {
            broken.unless(net.paused != *paused, ErrorCode::NoChange);
            broken.so_far()?;
            net.paused = *paused;
            net.stamp.status_since = slot;
        }
        What::SetOracleSet { oracles, quorum } => {
            let repeated = (1..oracles.len()).any(|n| oracles[..n].contains(&oracles[n]));
            broken.unless(oracles.len() <= MOST_ORACLES, ErrorCode::OracleSetTooLarge);
            broken.unless(!repeated, ErrorCode::OracleDuplicate);
            broken.unless(quorum_is_allowed(oracles.len(), usize::from(*quorum)), ErrorCode::QuorumNotAllowed);
            broken.so_far()?;
            net.oracles.clone_from(oracles);
            net.quorum = *quorum;
            net.epoch += 1;
        }
        What::ProposeAuthority(next) => {
            broken.so_far()?;
            net.pending = *next;
        }
        other => unreachable!("not of the network: {other:?}"),
    }
    net.stamp.sequence += 1;
    Ok(())
}

fn init(model: &mut Model, command: &Command) -> Verdict {
    let What::InitNetwork { authority, terms, blocks } = &command.what else { unreachable!("asked for one") };
    let mut broken = Broken::default();
    broken.unless(command.by == UPGRADER, ErrorCode::NotUpgradeAuthority);
    broken.unless(authority.is_some(), ErrorCode::KeyMissing);
    check_terms(&mut broken, terms);
    let valid = blocks.iter().all(|block| (8..=30).contains(&block.len) && is_network(block));
    let apart =
        (0..3).all(|z| (0..z).all(|a| blocks[z].last() < blocks[a].first() || blocks[a].last() < blocks[z].first()));
    broken.unless(valid, ErrorCode::AddressBlockInvalid);
    broken.unless(apart, ErrorCode::AddressBlocksOverlap);
    broken.unless(model.network.is_none(), ErrorCode::AlreadyInitialized);
    broken.so_far()?;
    let (Some(authority), [link_block, loopback_block, user_block]) = (*authority, *blocks) else { return Ok(()) };
    model.network = Some(Network {
        stamp: Stamp::new(model.slot),
        paused: false,
        authority,
        pending: None,
        epoch: 0,
        quorum: 0,
        oracles: Vec::new(),
        core_asn: terms.core_asn,
        burn_in_new: terms.burn_in_new,
        burn_in_maintenance: terms.burn_in_maintenance,
        max_age: terms.max_age,
        link_block,
        loopback_block,
        user_block,
        table_grown: 0,
    });
    Ok(())
}

fn check_terms(broken: &mut Broken, terms: &Terms) {
    let Terms { core_asn, burn_in_new, burn_in_maintenance, max_age } = *terms;
    broken.unless(![0, 23_456, 65_535, u32::MAX].contains(&core_asn), ErrorCode::AsnInvalid);
    let each = [burn_in_new, burn_in_maintenance, max_age].iter().all(|slots| (1..=LONGEST).contains(slots));
    let aged = !changes::MAX_AGE_WITHIN_MAINTENANCE || max_age <= burn_in_maintenance;
    broken.unless(each && burn_in_maintenance <= burn_in_new && aged, ErrorCode::SlotsOutOfRange);
}

/// More than two thirds of four or more, a majority of two or three, one of one, none of none.
fn quorum_is_allowed(oracles: usize, quorum: usize) -> bool {
    let least = match oracles {
        0 => 0,
        1 => 1,
        2 | 3 => 2,
        n => n * 2 / 3 + 1,
    };
    (least..=oracles).contains(&quorum)
}
