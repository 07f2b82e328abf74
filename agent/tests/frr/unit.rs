//! FRR driven with no more rights than the unit in `deploy` leaves an agent.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use causeway_agent::{
    driver::Driver,
    frr::{
        FrrDriver, FrrOptions, NoProber,
        shadow::{RUN_DIR, Shadow, ShadowOptions, TURN_WITHIN},
        tree::Tree,
    },
};

use crate::{
    LONG, applied,
    lab::{ALL, Router, naming, text},
};

/// What the process that has the unit's rights is told, in its environment.
const ROLE: &str = "CAUSEWAY_TEST_UNIT";

/// The values of a setting of the unit.
fn unit(setting: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/agent/causeway-agent.service");
    let unit = fs::read_to_string(path).unwrap();
    let values = unit.lines().find_map(|line| line.strip_prefix(setting)?.strip_prefix('=')).unwrap();
    values.split_whitespace().map(str::to_owned).collect()
}

/// No test of its own: what runs with the unit's rights. Without the role it has nothing to do.
#[tokio::test]
async fn is_what_runs_with_the_units_rights() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let [name, state] = role.lines().collect::<Vec<_>>().try_into().unwrap();
    let options = FrrOptions {
        pathspace: Some(name.to_owned()),
        netns: Some(name.to_owned()),
        watchdog: Some(PathBuf::from(env!("CARGO_BIN_EXE_causeway-agent"))),
        ..FrrOptions::new("r", Path::new(state))
    };
    let driver = FrrDriver::open(&options, NoProber).unwrap();
    applied(&driver, &text(1, 4000)).await;
    // A port's MTU, an interface that is made, and a way back by the watchdog alone.
    let next = text(1, 5000).replace("one-two", "DIA") + "interface Loopback255\n description LOOPBACK\nexit\n";
    driver.load_candidate(&next).await.unwrap();
    driver.commit(Duration::from_secs(2)).await.unwrap();
    while driver.is_pending().await.unwrap() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(driver.compare(&text(1, 4000)).await.unwrap().equal);
    driver.load_candidate(&next).await.unwrap();
    driver.commit(LONG).await.unwrap();
    driver.revert().await.unwrap();
    assert!(!driver.counters().await.unwrap().is_empty());
    driver.save_startup().await.unwrap();
}

#[test]
fn the_units_rights_suffice_to_check_commit_go_back_and_save() {
    let router = Router::new("u", &ALL);
    let port = ["link", "add", "eth1", "type", "veth", "peer", "name", "eth1x"];
    crate::lab::must("ip", &[["-n", &router.name].as_slice(), &port].concat());
    let rights: Vec<String> = unit("CapabilityBoundingSet")
        .iter()
        .map(|right| format!("+{}", right.strip_prefix("CAP_").unwrap().to_lowercase()))
        .collect();
    let output = Command::new("sh")
        .args(["-c", "umask 0077; exec setpriv \"$@\"", "sh", "--no-new-privs"])
        .arg(format!("--bounding-set=-all,{}", rights.join(",")))
        .args(["timeout", "120"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "unit::is_what_runs_with_the_units_rights", "--nocapture"])
        .env(ROLE, format!("{}\n{}", router.name, router.state.path().display()))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success(), "{said}");
    assert!(router.running().contains("isis metric 4000") && router.startup().contains("router isis 1"));
}

#[test]
fn a_check_opens_sockets_of_no_other_families_than_the_unit_allows() {
    let families = unit("RestrictAddressFamilies");
    let options = ShadowOptions {
        daemons: PathBuf::from("/usr/lib/frr"),
        vtysh: PathBuf::from("/usr/bin/vtysh"),
        run_dir: PathBuf::from(RUN_DIR),
    };
    let tree = Tree::parse(&(text(1, 4000) + "bfd\n profile FABRIC\n exit\nexit\n"));
    let shadow = Shadow::start(&options, &[&tree], TURN_WITHIN).unwrap();
    shadow.canonical(&tree).unwrap();
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    let mut seen = BTreeSet::new();
    for pid in naming(&format!("{RUN_DIR}/causeway-frr-{}-", std::process::id())) {
        // Those that watch over a daemon are in this process's namespace; so are its sockets.
        if fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|net| net != own) {
            for (file, family) in [("packet", "AF_PACKET"), ("netlink", "AF_NETLINK"), ("udp", "AF_INET")] {
                let sockets = fs::read_to_string(format!("/proc/{pid}/net/{file}")).unwrap_or_default();
                seen.extend((sockets.lines().count() > 1).then(|| family.to_owned()));
            }
        }
    }
    assert!(!seen.is_empty() && seen.is_subset(&families), "{seen:?}, and the unit allows {families:?}");
}
