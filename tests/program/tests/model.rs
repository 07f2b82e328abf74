//! Random sequences of instructions, through the program and through a simple model of it.
//!
//! `CAUSEWAY_MODEL_SEED` begins with another seed, to see one sequence again or to try others;
//! `CAUSEWAY_MODEL_SECONDS` goes on with further seeds for that long.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use std::time::{Duration, Instant};

use causeway_interface::{DeviceStatus, LinkStatus, instruction::Tag};
use causeway_program_tests::{counts::report, model, model::runner::Reached};

/// Sequences of a usual run.
const SEQUENCES: u64 = 60;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[test]
fn random_sequences_leave_the_ledger_as_a_simple_model_says() {
    let first = number("CAUSEWAY_MODEL_SEED").unwrap_or(0);
    let seconds = number("CAUSEWAY_MODEL_SECONDS").map(Duration::from_secs);
    let begun = Instant::now();
    let mut reached = Reached::default();
    let mut sequences = 0;
    while sequences < SEQUENCES || seconds.is_some_and(|seconds| begun.elapsed() < seconds) {
        if let Err(found) = model::run(first + sequences, &mut reached) {
            panic!("{found}");
        }
        sequences += 1;
    }
    println!("{reached:#?}");
    let sum = |counts: &std::collections::BTreeMap<Tag, usize>| counts.values().sum::<usize>();
    report("random sequences", sequences as usize);
    report("random instructions", reached.instructions);
    report("random instructions accepted", sum(&reached.accepted));
    report("random instructions refused", sum(&reached.refused));
    report("random refusals predicted to the one code", reached.exact);
    assert!(reached.instructions >= 10_000, "{} instructions", reached.instructions);
    for tag in Tag::ALL {
        assert!(reached.accepted.contains_key(tag), "no {tag} was accepted");
        assert!(reached.refused.contains_key(tag), "no {tag} was refused");
    }
    // Depth: a generator that never gets anything into service and out again proves little.
    for status in DeviceStatus::ALL {
        assert!(*status == DeviceStatus::Pending || reached.devices.contains_key(status), "no device became {status}");
    }
    for status in LinkStatus::ALL {
        assert!(*status == LinkStatus::Requested || reached.links.contains_key(status), "no link became {status}");
    }
}
