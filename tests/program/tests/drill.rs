//! Every instruction, broken in one place at a time.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use causeway_interface::instruction::Tag;
use causeway_program_tests::{cost, drill::drill};

#[test]
fn every_instruction_refuses_every_single_fault_with_an_error_of_its_own() {
    let report = drill(|| {
        cost::measure();
    });
    assert_eq!(report.tags.len(), Tag::ALL.len(), "every instruction was drilled");
    assert!(report.faults > 1_000, "{} faults", report.faults);
    assert!(report.findings.is_empty(), "{} findings:\n{}", report.findings.len(), report.findings.join("\n"));
}
