//! The demo, from a topology file to its JSON line: the whole system, in both families.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use causeway_tests::{Said, command, run};

/// Four sites.
const SQUARE: &str = r#"graph [
  label "Square"
  node [ id 0 label "Ayr" Latitude 55.4 Longitude -4.6 ]
  node [ id 1 label "Bath" Latitude 51.3 Longitude -2.3 ]
  node [ id 2 label "Caen" Latitude 49.1 Longitude -0.3 ]
  node [ id 3 label "Dax" Latitude 43.7 Longitude -1.0 ]
  edge [ source 0 target 1 ]
  edge [ source 1 target 2 ]
  edge [ source 2 target 3 ]
  edge [ source 3 target 0 ]
]"#;

fn demo(arguments: &[&str]) -> Said {
    let mut demo = command("causeway-demo").unwrap();
    demo.args(["--exit-when-done", "--json"]).args(arguments);
    run(demo).unwrap()
}

#[track_caller]
fn came_out(said: &Said, devices: u64, links: u64) {
    let last = said.stdout.lines().last().unwrap_or_default();
    assert_eq!(said.code, Some(0), "{}\n{last}", said.stderr);
    assert_eq!(said.stdout.lines().count(), 1, "stdout is for the result: {}", said.stdout);
    let json: serde_json::Value = serde_json::from_str(last).unwrap();
    let expected: [(&str, serde_json::Value); 8] = [
        ("devices", devices.into()),
        ("devices_activated", devices.into()),
        ("links", links.into()),
        ("links_activated", links.into()),
        ("drained_metric", 1_000_000.into()),
        ("impaired_seen", true.into()),
        ("healed", true.into()),
        ("errors", 0.into()),
    ];
    for (field, value) in expected {
        assert_eq!(json[field], value, "{field} in {last}\n{}", said.stderr);
    }
    assert!(json["transactions"].as_u64().unwrap() > devices + links, "{last}");
    assert!(json["seconds"].as_f64().unwrap() > 0.0, "{last}");
}

#[test]
fn abilene_comes_into_service_is_drained_and_heals() {
    let said = demo(&[]);
    came_out(&said, 11, 14);
    for words in ["soft-drained → activated", "is impaired on the ledger", "failing D4", "+ isis metric 1000000"] {
        assert!(said.stderr.contains(words), "{words:?} is missing in\n{}", said.stderr);
    }
}

#[test]
fn arista_routers_do_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("square.gml");
    std::fs::write(&file, SQUARE).unwrap();
    came_out(&demo(&["--family", "eos", "--topology", file.to_str().unwrap()]), 4, 4);
}

#[test]
fn a_wrong_file_is_one_sentence() {
    let missing = demo(&["--topology", "/no/such/file.gml"]);
    assert_eq!(missing.code, Some(1));
    assert!(
        missing.stderr.starts_with("error: the topology file /no/such/file.gml can't be read"),
        "{}",
        missing.stderr
    );
    assert_eq!(missing.stdout, "");
}
