//! Promise 1, on the built program: nothing reaches service without a quorum's continuous word for the burn-in.
//!
//! Every set of one to seven oracles, every way in which each of them may be honest, silent, late or lying, each with
//! a subject of its own; then the edges one by one.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use causeway_interface::{ErrorCode, Key};
use causeway_program_tests::{
    World, counts,
    fleet::{BURN_IN, Fleet, Kind, State},
    reference::quorum::{DEVICE, Does, LINK, SMALLEST_QUORUM, is_in_service, is_in_service_later, is_looked_at},
    world::refused,
};
use solana_sdk::signature::Keypair;

/// What each oracle does, for every assignment of `ways` to `oracles`.
fn assignments(ways: &[Does], oracles: usize) -> Vec<Vec<Does>> {
    let count = ways.len().pow(oracles as u32);
    let digit = |n: usize, oracle: usize| ways[n / ways.len().pow(oracle as u32) % ways.len()];
    (0..count).map(|n| (0..oracles).map(|oracle| digit(n, oracle)).collect()).collect()
}

/// Lets every oracle that is `who` speak of every subject.
fn speak(fleet: &mut Fleet, cases: &[Vec<Does>], who: &[Does], verdicts: [u8; 2]) {
    let [good, bad] = verdicts;
    for oracle in 0..cases[0].len() {
        let words: Vec<(Key, u8)> = cases
            .iter()
            .zip(&fleet.subjects)
            .filter(|(case, _)| who.contains(&case[oracle]))
            .map(|(case, subject)| (*subject, if case[oracle] == Does::Bad { bad } else { good }))
            .collect();
        fleet.attest(oracle, &words);
    }
}

/// Compares every subject with what the rule says.
fn compare(fleet: &Fleet, cases: &[Vec<Does>], quorum: u8, when: &str, up: impl Fn(&[Does], u8) -> bool) -> usize {
    let mut in_service = 0;
    for (n, case) in cases.iter().enumerate() {
        let expected = match (up(case, quorum), is_looked_at(case, quorum)) {
            (true, _) => State::InService,
            (false, true) => State::LookedAt,
            (false, false) => State::Unknown,
        };
        assert_eq!(fleet.state(n), expected, "{when}: {case:?} by a quorum of {quorum}");
        in_service += usize::from(expected == State::InService);
    }
    in_service
}

/// Everybody speaks at the burn-in's beginning, a slot before its end, at its end and a slot after; the late ones
/// begin a slot later than the others.
fn burn_in(kind: Kind, cases: &[Vec<Does>], quorum: u8) {
    let verdicts = if kind == Kind::Devices { DEVICE } else { LINK };
    let everybody = [Does::Honest, Does::Late, Does::Bad];
    let mut fleet = Fleet::new(kind, cases[0].len(), quorum, cases.len());
    speak(&mut fleet, cases, &[Does::Honest, Does::Bad], verdicts);
    fleet.world.warp(1);
    speak(&mut fleet, cases, &[Does::Late], verdicts);
    fleet.world.warp(BURN_IN - 2);
    speak(&mut fleet, cases, &everybody, verdicts);
    fleet.advance();
    assert_eq!(compare(&fleet, cases, quorum, "a slot too early", |_, _| false), 0);
    fleet.world.warp(1);
    speak(&mut fleet, cases, &everybody, verdicts);
    fleet.advance();
    let first = compare(&fleet, cases, quorum, "at the end of the burn-in", is_in_service);
    fleet.world.warp(1);
    speak(&mut fleet, cases, &everybody, verdicts);
    fleet.advance();
    let later = compare(&fleet, cases, quorum, "a slot later", is_in_service_later);
    assert!(first > 0 && later >= first, "somebody is activated: {first}, {later}");
}

fn every_assignment(kind: Kind, sets: impl Iterator<Item = usize>) -> usize {
    sets.map(|oracles| {
        let cases = assignments(&Does::ALL, oracles);
        burn_in(kind, &cases, SMALLEST_QUORUM[oracles - 1]);
        cases.len()
    })
    .sum()
}

#[test]
fn a_device_is_activated_by_exactly_the_sets_of_seven_that_hold_an_honest_quorum() {
    counts::report("oracle subsets", every_assignment(Kind::Devices, 7..=7));
}

#[test]
fn a_device_is_activated_by_exactly_the_sets_that_hold_an_honest_quorum() {
    counts::report("oracle subsets", every_assignment(Kind::Devices, 1..=6));
}

#[test]
fn a_link_is_activated_by_exactly_the_sets_that_hold_an_honest_quorum() {
    counts::report("oracle subsets", every_assignment(Kind::Links, 1..=6));
}

/// The subject is bad and the honest ones say so; the others lie, from the first slot to the last.
#[test]
fn liars_activate_nothing_unless_they_are_a_quorum_themselves() {
    let mut pairs = 0;
    for oracles in 1..=7_usize {
        for quorum in SMALLEST_QUORUM[oracles - 1]..=oracles as u8 {
            let cases = assignments(&[Does::Honest, Does::Bad], oracles);
            // Read the other way round: who says good lies, who says bad is right.
            burn_in(Kind::Devices, &cases, quorum);
            pairs += cases.len();
        }
    }
    counts::report("oracle subsets with liars", pairs);
}

/// One oracle fewer is refused, so that the sets above stand at the edge.
#[test]
fn no_smaller_quorum_is_allowed() {
    let mut world = World::with_oracles(0, 0);
    for oracles in 1..=7_usize {
        let keys = || (0..oracles).map(|_| Keypair::new()).collect();
        let smallest = SMALLEST_QUORUM[oracles - 1];
        assert_eq!(refused(world.set_oracles(keys(), smallest - 1)), ErrorCode::QuorumNotAllowed, "{oracles}");
        assert_eq!(refused(world.set_oracles(keys(), oracles as u8 + 1)), ErrorCode::QuorumNotAllowed, "{oracles}");
        world.set_oracles(keys(), smallest).unwrap();
    }
}
