//! Real FRR accepts the text of every device of all six topologies, imported, simulated and rendered.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use causeway_cli::{
    import::{ImportOptions, gml, site_from_gml},
    simulate::activated,
};
use causeway_controller::{
    render::{Family, Renderer, site::Site},
    topology::Topology,
};
use causeway_interface::Key;

/// File and number of devices: a device that is forgotten would prove nothing.
const FILES: [(&str, usize); 6] =
    [("Abilene", 11), ("AttMpls", 25), ("Geant2012", 40), ("UsCarrier", 158), ("Cogentco", 197), ("Kdl", 754)];

/// Most checks at once: each is a process of its own, and more than a few wait for each other.
const MAX_WORKERS: usize = 8;

/// Renders every device of one topology to a file each.
fn render(file: &str, folder: &Path) -> Vec<PathBuf> {
    let path = format!("{}/../topologies/{file}.gml", env!("CARGO_MANIFEST_DIR"));
    let (text, _) = gml::decode(&fs::read(path).unwrap());
    let site = site_from_gml(&text, &ImportOptions::default()).unwrap().site;
    let snapshot = activated(&site, Key([7; 32])).unwrap();
    let topology = Topology::new(&snapshot);
    let snippets = Site::none();
    let renderer = Renderer::new(&topology, &snapshot, Some(Family::Frr), &snippets);
    let write = |device: &causeway_cli::site::DeviceSpec| {
        let rendered = renderer.render(&device.code).unwrap_or_else(|error| panic!("{file}: {}: {error}", device.code));
        let links = site.links.iter().filter(|l| l.a.device == device.code || l.z.device == device.code).count();
        let nets = rendered.text.matches("/31").count();
        assert_eq!(nets, links, "{file}: {} has {links} links, its text {nets} of their nets", device.code);
        let out = folder.join(format!("{file}.{}.conf", device.code));
        fs::write(&out, rendered.text).unwrap();
        out
    };
    site.devices.iter().map(write).collect()
}

/// What FRR says against a file; none where it accepts it.
fn refusal(file: &Path) -> Option<String> {
    let output = Command::new("vtysh").arg("-C").arg("-f").arg(file).output().unwrap_or_else(|error| {
        panic!("this test needs FRR's vtysh (Debian: apt-get install frr), which could not be run: {error}")
    });
    let said = || format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (!output.status.success()).then(|| format!("{}: {}", file.display(), said()))
}

fn refusals(files: &[PathBuf]) -> Vec<String> {
    let workers = thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKERS);
    thread::scope(|scope| {
        let batches: Vec<_> = files
            .chunks(files.len().div_ceil(workers).max(1))
            .map(|batch| scope.spawn(|| batch.iter().filter_map(|file| refusal(file)).collect::<Vec<_>>()))
            .collect();
        batches.into_iter().flat_map(|batch| batch.join().unwrap()).collect()
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
        let files = render(file, folder.path());
        assert_eq!(files.len(), devices, "{file}");
        let refused = refusals(&files);
        let first = refused.first().map_or("", String::as_str);
        assert!(refused.is_empty(), "{file}: FRR refused {} of {devices} texts, first {first}", refused.len());
    }
}
