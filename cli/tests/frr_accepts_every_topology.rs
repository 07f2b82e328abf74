//! Real FRR reads what would be rendered for every device of every topology of the repository.
//!
//! `vtysh -C -f FILE` checks syntax without a daemon: exit 0, or 2 and the line.

use std::{path::Path, process::Command};

use causeway_cli::{
    import::{ImportOptions, site_from_gml},
    simulate,
};
use causeway_controller::render::{Family, Renderer, site::Site as Snippets};
use causeway_controller::topology::Topology;
use causeway_interface::Key;

/// Checks at once: each is a process of some 20 ms.
const WORKERS: usize = 4;

fn accepts(file: &Path) -> Result<(), String> {
    let run = Command::new("vtysh").arg("-C").arg("-f").arg(file).output();
    let output = run.unwrap_or_else(|e| panic!("this test needs FRR's vtysh (Debian package frr): {e}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{}: {said}", file.display())) }
}

fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../topologies").join(format!("{name}.gml"));
    let (site, _) = site_from_gml(&std::fs::read_to_string(path).unwrap(), &ImportOptions::default()).unwrap();
    let snapshot = simulate::activated(&site, Key([9; 32]), &Default::default()).unwrap();
    let (topology, snippets) = (Topology::new(&snapshot), Snippets::none());
    let renderer = Renderer::new(&topology, &snapshot, Some(Family::Frr), &snippets);
    let dir = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for device in &site.devices {
        let text = renderer.render(&device.code).unwrap().text;
        let links = site.links.iter().filter(|l| l.a.device == device.code || l.z.device == device.code).count();
        assert_eq!(text.matches("isis network point-to-point").count(), links, "{}: {text}", device.code);
        let file = dir.path().join(format!("{}.conf", device.code));
        std::fs::write(&file, text).unwrap();
        files.push(file);
    }
    let share = files.len().div_ceil(WORKERS);
    let refused: Vec<String> = std::thread::scope(|scope| {
        let check = |part: &[std::path::PathBuf]| part.iter().filter_map(|f| accepts(f).err()).collect::<Vec<_>>();
        let workers: Vec<_> = files.chunks(share).map(|part| scope.spawn(move || check(part))).collect();
        workers.into_iter().flat_map(|w| w.join().unwrap()).collect()
    });
    assert!(refused.is_empty(), "{name}: FRR refuses {} of {}: {}", refused.len(), files.len(), refused[0]);
}

#[test]
fn frr_refuses_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bad.conf");
    std::fs::write(&file, "router isis core\n no such line\n").unwrap();
    assert!(accepts(&file).is_err());
}

macro_rules! topologies {
    ($($test:ident $file:literal;)+) => {$(
        #[test]
        fn $test() {
            check($file);
        }
    )+};
}

topologies! {
    abilene "Abilene";
    att_mpls "AttMpls";
    geant_2012 "Geant2012";
    us_carrier "UsCarrier";
    cogentco "Cogentco";
    kdl "Kdl";
}
