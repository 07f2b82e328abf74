//! Compute units of every instruction, from the SBF binary in the real virtual machine, as one JSON object.
//!
//! A case is near the worst that its instruction meets in a network of ordinary size: a device with all default
//! interfaces and a dz prefix, three oracles, a link between two parties. What the binary weighs stands beside it.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a measurement: a surprise ends it")]

use causeway_program_tests::{artifact, cost};

fn main() {
    let mut table = serde_json::Map::new();
    for (name, cost) in cost::measure() {
        let mut row = serde_json::Map::new();
        row.insert("cu".into(), cost.cu.into());
        if let Some(further) = cost.per_further_subject {
            row.insert("per_further_subject".into(), further.into());
        }
        table.insert(name.into(), row.into());
    }
    table.insert("program".into(), serde_json::json!({ "binary_bytes": artifact::bytes().len() }));
    println!("{:#}", serde_json::Value::Object(table));
}
