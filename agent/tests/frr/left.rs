//! What an agent that is killed in the middle of a check leaves: nothing that runs, and nothing that stays.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use causeway_agent::frr::{FrrDriver, NoProber, shadow::sweep};

use crate::{
    killed::Agent,
    lab::{ALL, Router, eventually, may, naming, text},
};

/// A machine that is busy with other tests. The daemons would end by themselves after a minute.
const SOON: Duration = Duration::from_secs(20);
/// For `timeout`, in seconds: nothing of a test stays for long.
const LONG_SECONDS: &str = "300";

/// Of a text whose check takes seconds.
const PEERS: usize = 5_000;

/// A text whose check takes a while.
fn large() -> String {
    let peers: String =
        (0..PEERS).map(|n| format!(" neighbor 198.20.{}.{} remote-as 65000\n", n / 250, n % 250)).collect();
    text(1, 4000).replace(" timers bgp 1 3\n", &format!(" timers bgp 1 3\n{peers}"))
}

/// The check's folder of an agent's process, once there is one.
fn check_of(agent: u32) -> Option<PathBuf> {
    let start = format!("/run/causeway-frr-{agent}-");
    fs::read_dir("/run")
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.to_string_lossy().starts_with(&start))
}

fn network_of(pid: &str) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/net")).ok()
}

#[test]
fn killed_in_the_middle_of_a_check_an_agent_leaves_no_daemon() {
    let router = Router::new("l", &ALL);
    for whole_namespace in [false, true] {
        let agent = Agent::start(&router, &large(), Duration::from_secs(60));
        let pid = agent.pid();
        eventually("the check's daemons", || {
            check_of(pid).is_some_and(|folder| folder.join("bfdd.vty").exists() && folder.join("zebra.vty").exists())
        });
        let folder = check_of(pid).unwrap();
        let name = folder.display().to_string();
        let ours = network_of("self");
        let daemons = naming(&name);
        assert!(daemons.iter().any(|daemon| network_of(daemon) != ours), "{daemons:?}");
        // As whoever takes a network namespace away kills everything that is in it.
        let beside: Vec<String> = daemons.into_iter().filter(|daemon| network_of(daemon) == ours).collect();
        agent.kill();
        if whole_namespace {
            beside.iter().for_each(|pid| drop(may("kill", &["-KILL", pid])));
        }
        let took = eventually("the check's daemons end", || naming(&name).is_empty());
        assert!(took < SOON, "{took:?}");
        // The folder stays, and the next agent takes it away.
        drop(FrrDriver::open(&router.options(), NoProber).unwrap());
        assert!(!folder.exists());
    }
}

#[test]
fn what_an_earlier_agent_left_goes_when_the_next_one_starts() {
    let runs = tempfile::Builder::new().prefix("cw").tempdir_in("/run").unwrap();
    fs::set_permissions(runs.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut ended = Command::new("true").spawn().unwrap();
    ended.wait().unwrap();
    let daemon = |agent: u32| {
        let folder = runs.path().join(format!("causeway-frr-{agent}-0"));
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let mut command = Command::new("timeout");
        command.args([LONG_SECONDS, "unshare", "--net", "--", "/usr/lib/frr/zebra", "-f", "/dev/null", "-P", "0"]);
        command
            .arg("--vty_socket")
            .arg(&folder)
            .arg("-z")
            .arg(folder.join("zserv.api"))
            .arg("-i")
            .arg(folder.join("pid"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        eventually("a daemon", || folder.join("zebra.vty").exists());
        (folder, child)
    };
    let ((left, mut its), (used, mut others)) = (daemon(ended.id()), daemon(std::process::id()));
    let running = |folder: &Path| naming(&folder.display().to_string()).len();
    assert_eq!((running(&left), running(&used)), (2, 2), "a daemon, and who times it");
    sweep(runs.path());
    its.wait().unwrap();
    eventually("what was left ends", || running(&left) == 0);
    assert!(!left.exists());
    assert_eq!(running(&used), 2, "what somebody uses stays");
    assert!(used.exists());
    naming(&used.display().to_string()).iter().for_each(|pid| drop(may("kill", &["-KILL", pid])));
    others.wait().unwrap();
}
