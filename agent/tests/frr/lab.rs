//! Real routers: FRR's daemons in network namespaces, joined by veth pairs. All of it goes when it is dropped, and by
//! itself some minutes after a test that was killed.

use std::{
    fs,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use causeway_agent::frr::{FrrDriver, FrrOptions, NoProber};

pub const ALL: [&str; 5] = ["zebra", "staticd", "isisd", "bgpd", "bfdd"];
/// A machine that is busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(60);

static NUMBER: AtomicU32 = AtomicU32::new(0);

pub fn must(program: &str, arguments: &[&str]) -> String {
    let output = may(program, arguments);
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

pub fn may(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap_or_else(|error| {
        panic!("these tests need root, iproute2 and FRR (Debian: apt-get install frr iproute2); {program}: {error}")
    })
}

pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "not in {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
    began.elapsed()
}

/// Process ids of those whose arguments name something.
pub fn naming(what: &str) -> Vec<String> {
    let named = |pid: &String| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(what)
    };
    let all = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    all.filter(|name| name.bytes().all(|b| b.is_ascii_digit())).filter(named).collect()
}

/// One router.
pub struct Router {
    pub name: String,
    children: Vec<(String, Child)>,
    pub state: tempfile::TempDir,
}

impl Router {
    /// With these daemons running and no configuration.
    pub fn new(label: &str, daemons: &[&str]) -> Self {
        let name = format!("cwt{}{label}{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        must("ip", &["netns", "add", &name]);
        must("ip", &["-n", &name, "link", "set", "lo", "up"]);
        let mut router = Self { name, children: Vec::new(), state: tempfile::tempdir().unwrap() };
        let frr = fs::metadata("/var/run/frr").expect("FRR is not installed (Debian: apt-get install frr)");
        for folder in [router.run(), router.etc()] {
            fs::create_dir_all(&folder).unwrap();
            chown(&folder, Some(frr.uid()), Some(frr.gid())).unwrap();
        }
        fs::write(router.etc().join("vtysh.conf"), "service integrated-vtysh-config\n").unwrap();
        fs::write(router.etc().join("frr.conf"), "! nothing yet\n").unwrap();
        for daemon in daemons {
            router.start(daemon);
        }
        router
    }

    fn run(&self) -> PathBuf {
        Path::new("/var/run/frr").join(&self.name)
    }

    fn etc(&self) -> PathBuf {
        Path::new("/etc/frr").join(&self.name)
    }

    pub fn startup(&self) -> String {
        fs::read_to_string(self.etc().join("frr.conf")).unwrap()
    }

    /// Starts a daemon and waits until it takes commands.
    pub fn start(&mut self, daemon: &str) {
        let socket = self.run().join(format!("{daemon}.vty"));
        let _ = fs::remove_file(&socket);
        let mut command = Command::new("ip");
        // Bounded: a test that is killed leaves nothing for long.
        command.args(["netns", "exec", &self.name, "timeout", "--kill-after=1", "600"]);
        command.arg(format!("/usr/lib/frr/{daemon}")).args(["-N", &self.name, "-f", "/dev/null", "-P", "0"]);
        command.arg("-i").arg(self.run().join(format!("{daemon}.pid")));
        let log = fs::File::create(self.run().join(format!("{daemon}.log"))).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.children.push((daemon.to_owned(), command.spawn().unwrap()));
        eventually("a daemon's socket", || socket.exists());
    }

    pub fn pid(&self, daemon: &str) -> String {
        fs::read_to_string(self.run().join(format!("{daemon}.pid"))).unwrap().trim().to_owned()
    }

    /// Sends a signal to a daemon.
    pub fn signal(&self, daemon: &str, signal: &str) {
        must("kill", &[&format!("-{signal}"), &self.pid(daemon)]);
    }

    /// Kills a daemon and waits until it is gone.
    pub fn crash(&mut self, daemon: &str) {
        self.signal(daemon, "KILL");
        for (name, child) in &mut self.children {
            if name == daemon {
                child.wait().unwrap();
            }
        }
        self.children.retain(|(name, _)| name != daemon);
    }

    pub fn vtysh(&self, commands: &[&str]) -> String {
        // Without a terminal, which it would want to set up.
        let mut all = vec!["timeout", "20", "vtysh", "-N", &self.name];
        for command in commands {
            all.extend(["-c", command]);
        }
        must("setsid", &all)
    }

    /// Kills every daemon and starts it again, by what FRR starts with.
    pub fn lose_power(&mut self) {
        let daemons: Vec<String> = self.children.iter().map(|(daemon, _)| daemon.clone()).collect();
        for daemon in &daemons {
            self.crash(daemon);
        }
        for daemon in &daemons {
            self.start(daemon);
        }
        must("setsid", &["timeout", "20", "vtysh", "-N", &self.name, "-b"]);
    }

    /// All that runs, the operator's part too.
    pub fn running(&self) -> String {
        self.vtysh(&["show running-config"])
    }

    pub fn options(&self) -> FrrOptions {
        FrrOptions {
            pathspace: Some(self.name.clone()),
            netns: Some(self.name.clone()),
            watchdog: Some(PathBuf::from(env!("CARGO_BIN_EXE_causeway-agent"))),
            ..FrrOptions::new("r", self.state.path())
        }
    }

    /// As a new agent process would.
    pub fn driver(&self) -> FrrDriver {
        FrrDriver::open(&self.options(), NoProber).unwrap()
    }

    pub fn has_adjacency(&self) -> bool {
        self.vtysh(&["show isis neighbor json"]).contains("\"state\":\"Up\"")
    }

    /// Lets its kernel forward packets.
    pub fn forward(&self) {
        must("ip", &["netns", "exec", &self.name, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
    }

    pub fn forwards(&self) -> bool {
        must("ip", &["netns", "exec", &self.name, "cat", "/proc/sys/net/ipv4/ip_forward"]).trim() == "1"
    }

    pub fn mtu(&self, interface: &str) -> String {
        let shown = must("ip", &["-n", &self.name, "-json", "link", "show", "dev", interface]);
        let value: serde_json::Value = serde_json::from_str(&shown).unwrap();
        value[0]["mtu"].to_string()
    }

    /// Process ids of the watchdogs of this router.
    pub fn watchdogs(&self) -> Vec<String> {
        let mut all = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry.file_name().to_str().map(str::to_owned) else { continue };
            let Ok(line) = fs::read(entry.path().join("cmdline")) else { continue };
            let words = String::from_utf8_lossy(&line).replace('\0', " ");
            if words.contains(" watchdog ") && words.contains(&self.name) && !words.starts_with("setsid") {
                all.push(pid);
            }
        }
        all
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        for pid in self.watchdogs() {
            may("kill", &["-KILL", &pid]);
        }
        let pids: Vec<String> = self.children.iter().map(|(_, child)| child.id().to_string()).collect();
        for (daemon, _) in &self.children {
            let pid = fs::read_to_string(self.run().join(format!("{daemon}.pid"))).unwrap_or_default();
            may("kill", &["-CONT", pid.trim()]);
            let _ = fs::remove_dir_all(format!("/var/tmp/frr/{daemon}-{}.{}", self.name, pid.trim()));
            let _ = fs::remove_dir_all(format!("/var/tmp/frr/{daemon}.{}", pid.trim()));
        }
        for pid in &pids {
            may("kill", &["-TERM", pid]);
        }
        for (_, child) in &mut self.children {
            let _ = child.wait();
        }
        may("ip", &["netns", "delete", &self.name]);
        for folder in [self.run(), self.etc()] {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

/// Joins `eth1` of one to `eth1` of the other.
pub fn join(a: &Router, b: &Router) {
    join_by("eth1", a, b);
}

/// Joins two by a port of this name on each.
pub fn join_by(port: &str, a: &Router, b: &Router) {
    must("ip", &["link", "add", port, "netns", &a.name, "type", "veth", "peer", "name", port, "netns", &b.name]);
    for router in [a, b] {
        must("ip", &["-n", &router.name, "link", "set", port, "up"]);
    }
}

/// Two routers with all daemons, joined.
pub fn pair() -> (Router, Router) {
    let (a, b) = (Router::new("a", &ALL), Router::new("b", &ALL));
    join(&a, &b);
    (a, b)
}

/// The text of router 1 or 2 of a pair, as the controller renders one.
pub fn text(number: u8, metric: u32) -> String {
    let (other, side) = (3 - number, number - 1);
    format!(
        "hostname r{number}\n!\nrouter isis 1\n net 49.0000.c612.000{number}.0000.00\n is-type level-2-only\n metric-style wide\n \
         log-adjacency-changes\n lsp-gen-interval 1\n spf-delay-ietf init-delay 50 short-delay 200 long-delay 1000 holddown 2000 \
         time-to-learn 500\nexit\n!\ninterface lo\n description LOOPBACK\n ip address 198.18.0.{number}/32\n ip router isis 1\n \
         isis circuit-type level-2-only\n isis passive\nexit\n!\ninterface eth1\n description one-two\n ip address 10.0.0.{side}/31\n \
         ip router isis 1\n isis circuit-type level-2-only\n isis hello-interval 1\n isis metric {metric}\n \
         isis network point-to-point\nexit\n!\nrouter bgp 65000\n bgp router-id 198.18.0.{number}\n no bgp default ipv4-unicast\n \
         timers bgp 1 3\n neighbor 198.18.0.{other} remote-as 65000\n neighbor 198.18.0.{other} description r{other}\n \
         neighbor 198.18.0.{other} update-source 198.18.0.{number}\n neighbor 198.18.0.{other} timers 3 9\n \
         neighbor 198.18.0.{other} timers connect 1\n !\n address-family ipv4 unicast\n  distance bgp 20 200 200\n  \
         neighbor 198.18.0.{other} activate\n  neighbor 198.18.0.{other} next-hop-self\n exit-address-family\nexit\n!\nend\n"
    )
}

/// The same with IS-IS broken on the link: no adjacency forms with a neighbour that is passive.
pub fn broken(number: u8) -> String {
    text(number, 4000).replace(" isis network point-to-point\n", " isis network point-to-point\n isis passive\n")
}
