//! Every committed input, and every seed, once more.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use causeway_fuzz::{
    PURE, corpus,
    program::{Case, Outcome, Stage, seeds, stage::tag},
};
use causeway_interface::instruction::Tag;
use causeway_program_tests::counts::report;

/// Instructions whose seed has to succeed: with fewer, the search would begin at the door.
const DEEP: usize = 35;

#[test]
fn the_pure_targets_hold_on_their_corpus() {
    for (name, target) in PURE {
        let inputs = corpus::read(&corpus::folder(name));
        assert!(!inputs.is_empty(), "the corpus of {name} is empty");
        for (file, bytes) in &inputs {
            println!("{name}/{file}");
            target(bytes);
        }
        report("fuzz inputs replayed", inputs.len());
    }
}

#[test]
fn the_program_holds_on_its_corpus() {
    let mut stage = Stage::new();
    let inputs = corpus::read(&corpus::folder("program"));
    assert!(!inputs.is_empty(), "the corpus of program is empty");
    let broken: Vec<String> = inputs
        .iter()
        .filter_map(|(file, bytes)| stage.run(&Case::read(bytes)).err().map(|finding| format!("{file}: {finding}")))
        .collect();
    report("fuzz inputs replayed", inputs.len());
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_seeds_reach_deep_into_the_program() {
    let mut stage = Stage::new();
    let (mut tried, mut deep) = (BTreeSet::new(), BTreeSet::new());
    for (name, case) in seeds::all(&stage) {
        let run = stage.run(&case).unwrap_or_else(|finding| panic!("{name}: {finding}"));
        println!("{name}: {:?}, {} compute units", run.outcome, run.units);
        tried.extend(tag(&case));
        if run.outcome == Outcome::Done {
            deep.extend(tag(&case));
        }
    }
    assert_eq!(tried.len(), Tag::ALL.len(), "every instruction has a seed");
    let shallow: Vec<&str> = tried.difference(&deep).map(|tag| tag.name()).collect();
    assert!(deep.len() >= DEEP, "{} succeed; these don't: {}", deep.len(), shallow.join(", "));
}
