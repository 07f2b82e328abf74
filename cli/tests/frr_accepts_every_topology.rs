//! Real FRR accepts the text of every device of all six topologies, imported, simulated and rendered.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{fs, path::Path, process::Command, thread};

use causeway_cli::{
    import::{ImportOptions, gml, site_from_gml},
    simulate::activated,
    site::DeviceSpec,
};
use causeway_controller::{
    backbone::Backbone,
    plan::Planner,
    render::{Family, Renderer, site::Site as Snippets},
    topology::Topology,
};
use causeway_interface::Key;

/// File and number of devices: a device that is forgotten would prove nothing.
const FILES: [(&str, usize); 6] =
    [("Abilene", 11), ("AttMpls", 25), ("Geant2012", 40), ("UsCarrier", 158), ("Cogentco", 197), ("Kdl", 754)];

/// Most checks at once: each is a process of its own, and more than a few wait for each other.
const MAX_WORKERS: usize = 8;

/// What FRR says against a file; none where it accepts it.
fn refusal(file: &Path) -> Option<String> {
    let output = Command::new("vtysh").arg("-C").arg("-f").arg(file).output().unwrap_or_else(|error| {
        panic!("this test needs FRR's vtysh (Debian: apt-get install frr), which could not be run: {error}")
    });
    let said = || format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (!output.status.success()).then(|| format!("{}: {}", file.display(), said()))
}

/// Renders every device of one topology, and what FRR says against each of them.
fn refusals(file: &str, devices: usize, folder: &Path) -> Vec<String> {
    let path = format!("{}/../topologies/{file}.gml", env!("CARGO_MANIFEST_DIR"));
    let (text, _) = gml::decode(&fs::read(path).unwrap());
    let site = site_from_gml(&text, &ImportOptions::default()).unwrap().site;
    assert_eq!(site.devices.len(), devices, "{file}");
    let snapshot = activated(&site, Key([7; 32])).unwrap();
    let topology = Topology::new(&snapshot);
    let check = |batch: &[DeviceSpec]| -> Vec<String> {
        let backbone = Backbone::new(&topology);
        let planner = Planner::new(&topology, &backbone);
        let renderer = Renderer::new(Some(Family::Frr), Snippets::none());
        batch
            .iter()
            .filter_map(|device| {
                let plan = planner.plan(&device.code);
                let plan = plan.unwrap_or_else(|error| panic!("{file}: {}: {error}", device.code));
                let rendered = renderer.render(&plan, None);
                let text = rendered.unwrap_or_else(|error| panic!("{file}: {}: {error}", device.code)).text.to_string();
                let links = site.links.iter().filter(|l| [l.a.device, l.z.device].contains(&device.code)).count();
                let nets = text.matches("/31").count();
                assert_eq!(nets, links, "{file}: {} has {links} links, its text {nets} of their nets", device.code);
                let out = folder.join(format!("{file}.{}.conf", device.code));
                fs::write(&out, text).unwrap();
                refusal(&out)
            })
            .collect()
    };
    // Rendering takes as long as checking, so each worker does both.
    let workers = thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKERS);
    let share = site.devices.len().div_ceil(workers).max(1);
    thread::scope(|scope| {
        let workers: Vec<_> = site.devices.chunks(share).map(|batch| scope.spawn(|| check(batch))).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

#[test]
fn real_frr_accepts_every_device_of_all_six_topologies() {
    let folder = tempfile::tempdir().unwrap();
    // Before anything is rendered: without vtysh there is one sentence to read, at once.
    let bad = folder.path().join("bad.conf");
    fs::write(&bad, "router isis 1\n no such line\n").unwrap();
    assert!(refusal(&bad).is_some(), "vtysh accepts anything, so this test would prove nothing");
    for (file, devices) in FILES {
        let refused = refusals(file, devices, folder.path());
        let first = refused.first().map_or("", String::as_str);
        assert!(refused.is_empty(), "{file}: FRR refused {} of {devices} texts, first {first}", refused.len());
    }
}
