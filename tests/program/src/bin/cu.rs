//! Compute units of every instruction, from the SBF binary in the real virtual machine, as one JSON object; beside
//! them what the runtime alone charges for what the instruction needs, what it charges for single things, the sizes of
//! accounts, and that of the binary.
//!
//! A case is near the worst that its instruction meets in a network of ordinary size: a device with all default
//! interfaces and a dz prefix, three oracles, a link between two parties.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a measurement: a surprise ends it")]

use causeway_interface::{instruction::Tag, seeds};
use causeway_program_tests::{
    artifact,
    cost::{self, Cost, FURTHER, floor::Floor, needs::Creation, needs::Search},
};
use serde_json::{Map, Value, json};

fn main() {
    let mut floor = Floor::new();
    let mut table: Map<String, Value> =
        cost::measure().into_iter().map(|(name, cost)| (name.to_owned(), instruction(&mut floor, &cost))).collect();
    for (name, size) in cost::accounts::sizes() {
        let mut row = json!({ "bytes": size.bytes, "lamports": size.lamports });
        if size.entry_bytes > 0 {
            row["empty_bytes"] = size.empty_bytes.into();
            row["entry_bytes"] = size.entry_bytes.into();
        }
        table.insert(format!("account-{name}"), row);
    }
    for (name, cu) in singles(&mut floor) {
        table.insert(format!("floor-{name}"), json!({ "cu": cu }));
    }
    table.insert("program".into(), json!({ "binary_bytes": artifact::bytes().len() }));
    println!("{:#}", Value::Object(table));
}

fn instruction(floor: &mut Floor, cost: &Cost) -> Value {
    let parts = floor.of(&cost.needs);
    assert!(parts.sum() <= cost.cu, "less than its floor: {cost:?}, {parts:?}");
    let mut row = json!({ "cu": cost.cu });
    for (name, cu) in parts.named() {
        row[name] = cu.into();
    }
    if !cost.needs.creations.is_empty() {
        row["address_steps"] = cost.needs.steps().into();
        row["dearest_cu"] = cost.dearest_cu.into();
        row["dearest_steps"] = cost.dearest_steps.into();
    }
    if let Some(further) = cost.per_further_subject {
        row["per_further_subject"] = further.into();
        let accounts = cost.needs.accounts;
        let longer = floor.entry(accounts + FURTHER as usize) - floor.entry(accounts);
        row["floor_per_further_subject"] = (longer / FURTHER).into();
    }
    row
}

/// What single things cost.
fn singles(floor: &mut Floor) -> Vec<(String, u64)> {
    let device = Search { seeds: [seeds::DEVICE.to_vec(), vec![b'd'; 32]], bump: 255 };
    let attestations = Search { seeds: [seeds::ATTESTATIONS.to_vec(), vec![1; 32]], bump: 255 };
    let mut singles = vec![
        ("entry".to_owned(), floor.entry(0)),
        ("slot".into(), floor.slot()),
        ("rent".into(), floor.rent()),
        ("hash".into(), floor.hash(&attestations.seeds)),
        ("curve".into(), floor.curve()),
        ("log".into(), floor.log()),
        ("transfer".into(), floor.transfer()),
        ("zero-kilobyte".into(), floor.zero()),
        ("move-kilobyte".into(), floor.shift()),
    ];
    for accounts in [3, Tag::CreateDevice.accounts().len(), 16] {
        singles.push((format!("entry-{accounts}-accounts"), floor.entry(accounts)));
    }
    let sizes = cost::accounts::sizes();
    for (name, search) in [("device", &device), ("attestations", &attestations), ("link", &device)] {
        let len = usize::try_from(sizes[name].bytes).expect("an account's length");
        singles.push((format!("create-{name}"), floor.create(&Creation { search: search.clone(), len })));
    }
    singles
}
