//! An agent outside the network namespace of its router, as a process: what it probes and answers is the router's. Needs
//! root and ip; nothing of FRR runs.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use causeway_agent::{
    driver::{ProbeKind, Target},
    stamp::{Prober, ProberSettings, Reflector, ReflectorSettings},
};
use causeway_wire::controller::{ProbePlan, ProbeTarget};
use common::*;

/// Port of both reflectors; in namespaces of their own they don't meet.
const PORT: u16 = 28_621;
const HERE: Ipv4Addr = Ipv4Addr::new(10, 254, 9, 0);
const THERE: Ipv4Addr = Ipv4Addr::new(10, 254, 9, 1);

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A namespace with a link to this one, whose far end is called `core1`; removed when dropped.
struct Namespace(String);

impl Namespace {
    fn new() -> Self {
        let made = Self(format!("agent-{}", std::process::id()));
        let name = &made.0;
        ip(&format!("netns add {name}"));
        ip(&format!("link add cw-here type veth peer name core1 netns {name}"));
        ip(&format!("addr add {HERE}/31 dev cw-here"));
        ip("link set cw-here up");
        ip(&format!("-n {name} addr add {THERE}/31 dev core1"));
        ip(&format!("-n {name} link set core1 up"));
        made
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Its end of the link goes with it, when the last socket in it does.
        let _ = Command::new("ip").args(["link", "del", "cw-here"]).output();
        let _ = Command::new("ip").args(["netns", "del", &self.0]).output();
    }
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn secret(folder: &Path, name: &str, seed: u8) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, serde_json::to_vec(&key(seed).to_keypair_bytes().to_vec()).unwrap()).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn start(folder: &Path, namespace: &str, controller: &Serving, oracle: &FakeOracle) -> Process {
    let base58 = |bytes: &[u8]| bs58::encode(bytes).into_string();
    let child = Command::new(env!("CARGO_BIN_EXE_causeway-agent"))
        .args(["--device", DEVICE, "--driver", "frr", "--poll-ms", "100", "--sample-ms", "100"])
        .args(["--frr-netns", namespace, "--frr-pathspace", namespace, "--frr-vtysh", "/bin/false"])
        .args(["--stamp-listen", &format!("0.0.0.0:{PORT}"), "--stamp-port", &PORT.to_string()])
        .args(["--program-id", &base58(&PROGRAM)])
        .args(["--controller", &format!("http://{}", controller.address)])
        .args(["--controller-key", &base58(&controller_key().verifying_key().to_bytes())])
        .args(["--oracle", &oracle.url])
        .arg("--state-dir")
        .arg(folder.join("state"))
        .arg("--agent-key")
        .arg(secret(folder, "agent.json", 2))
        .arg("--telemetry-key")
        .arg(secret(folder, "telemetry.json", 3))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Process(child.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_beside_its_routers_namespace_probes_and_answers_in_it() {
    let namespace = Namespace::new();
    let folder = tempfile::tempdir().unwrap();
    // The far end of the link is here.
    let listen = SocketAddrV4::new(HERE, PORT);
    let _far = Reflector::start(ReflectorSettings { listen, ..ReflectorSettings::default() }).unwrap();
    let controller = FakeController::new(bundle(5, "hostname r1\n"));
    let target = ProbeTarget { kind: 1, code: "r1-r2".into(), interface: "core1".into(), address: HERE.to_string() };
    controller.state().plan = ProbePlan { sha256: vec![7; 32], targets: vec![target] };
    let serving = controller.serve("127.0.0.1:0").await;
    let oracle = FakeOracle::start().await;
    let _agent = start(folder.path(), &namespace.0, &serving, &oracle);

    let deadline = Instant::now() + PATIENCE;
    let received =
        |sample: &causeway_wire::telemetry::ProbeSample| sample.received > 0 && sample.received == sample.sent;
    while !oracle.batches().iter().flat_map(|batch| &batch.probes).any(received) {
        assert!(Instant::now() < deadline, "no probe of the router's link is answered");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let prober = Arc::new(Prober::new(ProberSettings { port: PORT, ..ProberSettings::default() }));
    let router =
        Target { kind: ProbeKind::Link, code: "r1-r2".into(), interface: Some("cw-here".into()), address: THERE };
    let outcome = prober.probe(&[router], 5).await.unwrap();
    assert_eq!((outcome[0].sent, outcome[0].received), (5, 5), "the router's address answers");
}
