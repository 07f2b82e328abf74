//! The lab, from a topology file to its JSON line: real routers, the agents' own program, maintenance and faults.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use causeway_tests::{binary, command, run};

/// Four sites in a ring, with a shortcut.
const RING: &str = r#"graph [
  label "Ring"
  node [ id 0 label "Ayr" Latitude 55.4 Longitude -4.6 ]
  node [ id 1 label "Bath" Latitude 51.3 Longitude -2.3 ]
  node [ id 2 label "Caen" Latitude 49.1 Longitude -0.3 ]
  node [ id 3 label "Dax" Latitude 43.7 Longitude -1.0 ]
  node [ id 4 label "Evora" Latitude 38.6 Longitude -7.9 ]
  edge [ source 0 target 1 ]
  edge [ source 1 target 2 ]
  edge [ source 2 target 3 ]
  edge [ source 3 target 4 ]
  edge [ source 4 target 0 ]
  edge [ source 1 target 3 ]
]"#;

/// Milliseconds between BFD packets. This machine may have other work, and a router that waits for its turn for three of
/// them loses its links: that would be told as a loss by what was planned.
const BFD_INTERVAL_MS: &str = "400";
/// Longest outage of a pair by a cut link, and by its return, on such a machine.
const BUSY_MS: f64 = 2_000.0;
/// The same by what was planned. Routers hear of a new metric one after the other, and between one that knows and one that
/// doesn't yet packets may go round: on such a machine for some milliseconds. A session that is lost costs far more.
const ROUND_MS: f64 = 50.0;

#[test]
fn real_routers_come_into_service_are_maintained_and_heal() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("Ring.gml");
    std::fs::write(&file, RING).unwrap();
    let mut lab = command("causeway-lab").unwrap();
    lab.arg("--topology").arg(&file).args(["--exit-when-done", "--json", "--pairs", "3", "--per-second", "300"]);
    lab.args(["--bfd-interval-ms", BFD_INTERVAL_MS]);
    lab.args(["--steps", "link-maintenance,controller-restart,agent-restart,link-cut"]);
    lab.env("CAUSEWAY_AGENT_PROGRAM", binary("causeway-agent").unwrap());
    lab.env("CAUSEWAY_STEADY_PROGRAM", binary("causeway-steady").unwrap());
    let said = run(lab).unwrap();
    let last = said.stdout.lines().last().unwrap_or_default();
    let json: serde_json::Value =
        serde_json::from_str(last).unwrap_or_else(|_| panic!("no result: {last:?}\n{}", said.stderr));
    for (field, value) in
        [("devices", 5), ("devices_activated", 5), ("links", 6), ("links_activated", 6), ("refused", 0)]
    {
        assert_eq!(json[field], value, "{field} in {last}\n{}", said.stderr);
    }
    let events: Vec<(&str, u64)> = json["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["event"].as_str().unwrap(), e["probes"].as_u64().unwrap()))
        .collect();
    let names: Vec<&str> = events.iter().map(|(name, _)| *name).collect();
    let expected =
        ["soft-drain", "hard-drain", "undrain", "controller-restart", "agent-restart", "link-cut", "link-back"];
    assert_eq!(names, expected, "{last}");
    assert!(events.iter().all(|(_, probes)| *probes > 500), "{last}");
    for event in json["events"].as_array().unwrap() {
        // How much is lost, and that it is nothing where somebody wanted it, is measured by a lab that has its machine for
        // itself, and decides on its exit code; on one that runs tests it ends, and soon.
        let fault = event["planned"] == false || event["event"] == "link-back";
        let allowed_ms = if fault { BUSY_MS } else { ROUND_MS };
        assert!(event["outage_ms"].as_f64().unwrap() <= allowed_ms, "{event}\n{}", said.stderr);
    }
}
