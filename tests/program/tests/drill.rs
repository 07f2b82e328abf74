//! Every valid instruction, broken in one place at a time, by area so that the areas run beside each other.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use causeway_interface::{ErrorCode, instruction::Tag};
use causeway_program_tests::{
    counts,
    drill::{self, Case},
    world::{World, refused},
};

/// Faults that every instruction has at least: one account alone is swapped for more candidates.
const LEAST: usize = 100;

/// Runs an area's cases; every fault must be refused by the declared error.
fn holds(area: &str, cases: &[Case]) {
    let report = drill::run(cases);
    counts::report("negative cases", report.refused);
    assert!(report.refused > LEAST * cases.len(), "{area}: {} faults of {} cases", report.refused, cases.len());
    let findings = &report.findings;
    assert!(findings.is_empty(), "{area}: {} findings, first:\n{}", findings.len(), first(findings));
}

fn first(findings: &[String]) -> String {
    findings.iter().take(40).cloned().collect::<Vec<_>>().join("\n")
}

#[test]
fn the_network_refuses_every_single_fault() {
    holds("network", &drill::network_cases());
}

#[test]
fn the_registry_refuses_every_single_fault() {
    holds("registry", &drill::registry_cases());
}

#[test]
fn devices_refuse_every_single_fault() {
    holds("devices", &drill::device_cases());
}

#[test]
fn links_refuse_every_single_fault() {
    holds("links", &drill::link_cases());
}

#[test]
fn health_refuses_every_single_fault() {
    holds("health", &drill::health_cases());
}

#[test]
fn every_instruction_has_a_case() {
    let areas = [
        drill::network_cases(),
        drill::registry_cases(),
        drill::device_cases(),
        drill::link_cases(),
        drill::health_cases(),
    ];
    let declared: BTreeSet<Tag> = areas.iter().flatten().map(|case| case.tag).collect();
    assert_eq!(declared, Tag::ALL.iter().copied().collect());
}

#[test]
fn every_undefined_tag_is_refused() {
    let mut world = World::new();
    let signer = world.authority.insecure_clone();
    let mut tried = 0;
    for byte in drill::undefined_tags() {
        let mut instruction = world.ix.set_paused(&solana_sdk::signature::Signer::pubkey(&signer), true, 0);
        instruction.data[0] = byte;
        assert_eq!(refused(world.by(&signer, instruction)), ErrorCode::UnknownInstruction, "tag {byte}");
        tried += 1;
    }
    assert_eq!(tried, 256 - Tag::ALL.len());
    counts::report("negative cases", tried);
}
