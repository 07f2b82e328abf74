//! A device from nothing onto the ledger, over the controller's API and the contributor's own key: the transactions that the
//! controller answers go through `causeway sign`, and what they do is what the ledger then has.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use causeway_controller::{
    daemon::{Config, Controller, ControllerHandle},
    services::{Doing, NotStarted, Provision, Start},
};
use causeway_interface::{
    DeviceStatus, Key, Label,
    accounts::Device,
    instruction::{CreateContributor, CreateExchange, CreateLocation},
};
use causeway_localnet::{Localnet, NetworkParams, Options};
use causeway_sdk::{Instructions, Submission, address::to_key, keys};
use causeway_tests::{Said, command, run};
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use solana_sdk::{signature::Keypair, signer::Signer};

/// Longest wait for the controller to see what was confirmed.
const PATIENCE: Duration = Duration::from_secs(60);
/// 100 SOL.
const LAMPORTS: u64 = 100_000_000_000;

struct Rig {
    localnet: Localnet,
    controller: ControllerHandle,
    folder: tempfile::TempDir,
}

/// Remembers what it was asked to start.
#[derive(Default)]
struct FakeJobs(Mutex<Vec<Start>>);

impl Provision for FakeJobs {
    fn start(&self, start: Start) -> Doing<'_, Result<i64, NotStarted>> {
        self.0.lock().unwrap().push(start);
        Box::pin(async { Ok(7) })
    }
}

impl Rig {
    /// A ledger with a contributor, a location and an exchange, a controller, and the owner's key in a file.
    async fn start() -> Self {
        let (authority, owner, other) = (Arc::new(Keypair::new()), Keypair::new(), Keypair::new());
        let funded = [&authority.pubkey(), &owner.pubkey(), &other.pubkey()].map(|key| (*key, LAMPORTS)).to_vec();
        let options = Options { authority: Some(Arc::clone(&authority)), funded, ..Options::default() };
        let localnet = Localnet::start(options).await.unwrap();
        localnet.init_network(&NetworkParams::default()).await.unwrap();
        let build = Instructions::new(localnet.program_id());
        let key = authority.pubkey();
        let contributor = CreateContributor {
            code: "co".parse().unwrap(),
            owner: to_key(&owner.pubkey()),
            operations_key: Key::ZERO,
        };
        let (name, country) = (Label::default(), "NL".parse().unwrap());
        let location =
            CreateLocation { code: "ams".parse().unwrap(), name, country, lat_e6: 52_370_000, lng_e6: 4_900_000 };
        let exchange = CreateExchange {
            code: "ams-ix".parse().unwrap(),
            name,
            country,
            lat_e6: 52_370_000,
            lng_e6: 4_900_000,
            bgp_community: 7,
        };
        let instructions = vec![
            build.create_contributor(&key, &key, contributor),
            build.create_location(&key, &key, location),
            build.create_exchange(&key, &key, exchange),
        ];
        localnet.sender().send(Submission::new(instructions, &authority)).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        keys::write(&folder.path().join("owner.json"), &owner).unwrap();
        keys::write(&folder.path().join("other.json"), &other).unwrap();
        let config = Config::local(
            localnet.rpc_url().into(),
            localnet.websocket_url().into(),
            to_key(&localnet.program_id()),
            SigningKey::from_bytes(&[5; 32]),
        );
        let controller = Controller::start(config).await.unwrap();
        let rig = Self { localnet, controller, folder };
        // Without any device nothing is served; that there is none is known.
        rig.until("the controller reads the ledger", || rig.controller.shared().services.bare().is_some()).await;
        rig
    }

    async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn provision(&self, device: &str, body: Value) -> (u16, Value) {
        let url = format!("http://{}/api/v1/devices/{device}/provision", self.controller.http_addr);
        let response = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// `causeway sign FILE` with this key.
    async fn sign(&self, file: &Path, key: &str, more: &[&str]) -> Said {
        let mut causeway = command("causeway").unwrap();
        causeway.current_dir(self.folder.path()).arg("sign").arg(file).args(more);
        causeway.arg("--url").arg(self.localnet.rpc_url());
        causeway.arg("--program-id").arg(self.localnet.program_id().to_string());
        causeway.arg("--keypair").arg(self.path(key));
        tokio::task::spawn_blocking(move || run(causeway).unwrap()).await.unwrap()
    }

    async fn device(&self, code: &str) -> Option<Device> {
        self.localnet.ledger().device(&code.parse().unwrap()).await.ok()
    }

    /// Waits until the controller has the device in this status.
    async fn serves(&self, code: &str, status: DeviceStatus) {
        let code = code.parse().unwrap();
        let is_there = || self.controller.shared().store().device(&code).is_some_and(|d| d.header.status == status);
        self.until("the controller sees the device", is_there).await;
    }
}

fn whole() -> Value {
    json!({
        "contributor": "co", "location": "ams", "exchange": "ams-ix", "device_type": "hybrid", "platform": "frr",
        "public_ip": "198.19.9.1", "agent_key": Key([1; 32]).to_string(), "telemetry_key": Key([2; 32]).to_string(),
        "dz_prefixes": ["10.9.0.0/29"],
        "interfaces": [{"name": "eth3", "mtu": 9100}, {"name": "eth3.7", "kind": "sub-interface", "vlan": 7}],
    })
}

fn written(path: &Path, answer: &Value) {
    std::fs::write(path, answer.to_string()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_device_goes_onto_the_ledger_by_its_contributors_signature_alone() {
    let rig = Rig::start().await;
    let file = rig.path("ams-2.json");
    let (status, answer) = rig.provision("ams-2", whole()).await;
    assert_eq!((status, answer["state"].as_str()), (200, Some("sign")), "{answer}");
    written(&file, &answer);

    // It is read before it is signed, and by whom it has to be.
    let shown = rig.sign(&file, "owner.json", &["--dry-run"]).await;
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    for said in ["create-device", "code = ams-2", "public_ip = 198.19.9.1", "(owner of co)", "(location ams)", "eth3.7"]
    {
        assert!(shown.stdout.contains(said), "{said}: {}", shown.stdout);
    }
    assert!(rig.device("ams-2").await.is_none(), "a dry run sends nothing");
    let unasked = rig.sign(&file, "owner.json", &[]).await;
    assert!(unasked.code == Some(1) && unasked.stderr.contains("CW-NOT-CONFIRMED"), "{}", unasked.stderr);
    let other = rig.sign(&file, "other.json", &["--yes"]).await;
    assert!(other.code == Some(1) && other.stderr.contains("CW-TRANSACTION-SIGNER"), "{}", other.stderr);
    let changed = rig.path("changed.txt");
    let mut text = answer["transactions"][0]["transaction"].as_str().unwrap().to_owned();
    text.insert(100, 'A');
    std::fs::write(&changed, text).unwrap();
    let refused = rig.sign(&changed, "owner.json", &["--yes"]).await;
    assert!(refused.code == Some(1) && refused.stderr.contains("CW-TRANSACTION-"), "{}", refused.stderr);
    assert!(rig.device("ams-2").await.is_none());

    let signed = rig.sign(&file, "owner.json", &["--yes", "--output", "json"]).await;
    assert_eq!(signed.code, Some(0), "{}", signed.stderr);
    let sent: Value = serde_json::from_str(&signed.stdout).unwrap();
    assert!(sent[0]["sent"]["slot"].as_u64().unwrap() > 0, "{sent}");
    let device = rig.device("ams-2").await.unwrap();
    assert_eq!(device.header.status, DeviceStatus::DeviceProvisioning);
    assert_eq!((device.public_ip.to_string().as_str(), device.dz_prefix_count), ("198.19.9.1", 1));
    let mtu = |name: &str| device.interfaces.iter().find(|i| i.name.as_str() == name).map(|i| i.mtu);
    assert_eq!((mtu("eth3"), mtu("eth3.7")), (Some(9_100), Some(9_000)));
    assert!(device.interfaces.iter().any(|i| !i.address.is_none()), "loopbacks are assigned");

    // The same transactions once more change nothing.
    let again = rig.sign(&file, "owner.json", &["--yes"]).await;
    assert!(again.code == Some(1) && again.stderr.contains("CW-6011"), "{}", again.stderr);

    // Asked again, the ledger has everything, and a job begins.
    rig.serves("ams-2", DeviceStatus::DeviceProvisioning).await;
    let jobs = Arc::new(FakeJobs::default());
    rig.controller.shared().services.set_provision(Arc::clone(&jobs) as Arc<dyn Provision>);
    let (status, answer) = rig.provision("ams-2", whole()).await;
    assert_eq!((status, answer["job"].as_i64()), (202, Some(7)), "{answer}");
    assert_eq!(jobs.0.lock().unwrap()[0].device.as_str(), "ams-2");

    // A change goes the same way, and one that was prepared for an older record does not land.
    let (status, change) = rig.provision("ams-2", json!({"public_ip": "198.19.9.2"})).await;
    assert_eq!(status, 200, "{change}");
    written(&rig.path("change.json"), &change);
    let (_, stale) = rig.provision("ams-2", json!({"public_ip": "198.19.9.3"})).await;
    written(&rig.path("stale.json"), &stale);
    let signed = rig.sign(&rig.path("change.json"), "owner.json", &["--yes"]).await;
    assert_eq!(signed.code, Some(0), "{}", signed.stderr);
    let refused = rig.sign(&rig.path("stale.json"), "owner.json", &["--yes"]).await;
    assert!(refused.code == Some(1) && refused.stderr.contains("CW-6012"), "{}", refused.stderr);
    assert_eq!(rig.device("ams-2").await.unwrap().public_ip.to_string(), "198.19.9.2");

    let Rig { localnet, controller, .. } = rig;
    controller.shutdown().await;
    localnet.stop().await;
}

/// What the program would refuse is refused beforehand with the same code: the two are held against each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_refused_beforehand_is_what_the_program_refuses() {
    let rig = Rig::start().await;
    let (_, answer) = rig.provision("ams-1", whole()).await;
    written(&rig.path("one.json"), &answer);
    assert_eq!(rig.sign(&rig.path("one.json"), "owner.json", &["--yes"]).await.code, Some(0));
    rig.serves("ams-1", DeviceStatus::DeviceProvisioning).await;
    let device = |more: &[&str]| {
        let mut causeway = command("causeway").unwrap();
        causeway.arg("device").args(more).arg("--url").arg(rig.localnet.rpc_url());
        causeway.arg("--program-id").arg(rig.localnet.program_id().to_string());
        causeway.arg("--keypair").arg(rig.path("owner.json"));
        run(causeway).unwrap()
    };
    for (verb, arguments, interface, code) in [
        (
            "add",
            &["--name", "eth99.7", "--kind", "sub-interface", "--vlan", "7"][..],
            json!({"name": "eth99.7", "kind": "sub-interface", "vlan": 7}),
            "CW-2018",
        ),
        ("update", &["--name", "eth4", "--mtu", "100"], json!({"name": "eth4", "mtu": 100}), "CW-2020"),
        ("update", &["--name", "eth4", "--vlan", "9"], json!({"name": "eth4", "vlan": 9}), "CW-2019"),
        (
            "update",
            &["--name", "eth4", "--address", "10.0.0.0/24"],
            json!({"name": "eth4", "address": "10.0.0.0/24"}),
            "CW-2025",
        ),
        ("update", &["--name", "Loopback255", "--mtu", "1500"], json!({"name": "Loopback255", "mtu": 1500}), "CW-2017"),
        ("update", &["--name", "eth4", "--loopback", "ipv4"], json!({"name": "eth4", "loopback": "ipv4"}), "CW-2017"),
        ("update", &["--name", "eth3", "--kind", "loopback"], json!({"name": "eth3", "kind": "loopback"}), "CW-2014"),
    ] {
        let said = device(&[&["interface", verb, "ams-1"][..], arguments].concat());
        let by_program = said.stderr.split("error ").nth(1).and_then(|rest| rest.split(':').next()).unwrap_or_default();
        let (status, answer) = rig.provision("ams-1", json!({ "interfaces": [interface.clone()] })).await;
        let beforehand = answer["code"].as_str().unwrap_or_default();
        assert_eq!((status, beforehand), (400, code), "{interface}: {answer}");
        // Where several things are wrong at once, which is named first may differ; that it is refused may not.
        assert!(by_program.starts_with("CW-20"), "{interface}: {}", said.stderr);
    }
    let Rig { localnet, controller, .. } = rig;
    controller.shutdown().await;
    localnet.stop().await;
}
