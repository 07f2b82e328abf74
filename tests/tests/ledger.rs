//! The CLI against a local ledger of its own, as a person would use it: from an empty folder to a registered network,
//! what a second apply and wrong words say, and what a controller serves against what is rendered offline.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    collections::BTreeSet,
    io::Read,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use causeway_controller::daemon::{Config, Controller};
use causeway_sdk::Snapshot;
use causeway_tests::{Said, command, run};

#[path = "parts/oracle.rs"]
mod oracle;

const PAGE: &str = include_str!("../../docs/cli.md");

/// Longest wait for a local ledger to write what it is.
const START: Duration = Duration::from_secs(120);

/// A `causeway-localnet` in a folder; stopped when dropped.
struct Ledger {
    folder: tempfile::TempDir,
    process: Child,
}

impl Ledger {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut start = command("causeway").unwrap();
        start.args(["localnet", "start", "--dir"]).arg(folder.path()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = start.spawn().unwrap();
        let began = Instant::now();
        while !folder.path().join("localnet.json").is_file() {
            if process.try_wait().unwrap().is_some() || began.elapsed() > START {
                let _ = process.kill();
                let mut words = String::new();
                process.stderr.take().unwrap().read_to_string(&mut words).unwrap();
                panic!("no local ledger: {words}");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Self { folder, process }
    }

    /// What the local ledger says of itself.
    fn described(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.path("localnet.json")).unwrap();
        let description: serde_json::Value = serde_json::from_str(&text).unwrap();
        description[name].as_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn causeway(&self, arguments: &[&str]) -> Said {
        let mut causeway = command("causeway").unwrap();
        causeway.current_dir(self.folder.path()).arg("--localnet").arg(self.folder.path()).args(arguments);
        run(causeway).unwrap()
    }

    #[track_caller]
    fn works(&self, arguments: &[&str]) -> Said {
        let said = self.causeway(arguments);
        assert_eq!(said.code, Some(0), "{arguments:?}\n{}{}", said.stdout, said.stderr);
        said
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        let mut stop = command("causeway").unwrap();
        let _ = run({
            stop.args(["localnet", "stop", "--dir"]).arg(self.folder.path());
            stop
        });
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The commands of the walkthrough in docs/cli.md, without the first word: what a person types is what is tested.
fn walkthrough() -> Vec<Vec<String>> {
    let (_, section) = PAGE.split_once("## From a topology to a network").unwrap();
    let lines = section.lines().filter_map(|line| line.strip_prefix("    causeway "));
    lines.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

/// What a shell makes of a `*.json` in an argument.
fn globbed(folder: &Path, arguments: &[String]) -> Vec<String> {
    let expand = |argument: &String| match argument.strip_suffix("*.json") {
        None => vec![argument.clone()],
        Some(inside) => {
            let entries = std::fs::read_dir(folder.join(inside)).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut paths: Vec<_> =
                names.filter(|name| name.ends_with(".json")).map(|name| format!("{inside}{name}")).collect();
            paths.sort();
            paths
        }
    };
    arguments.iter().flat_map(expand).collect()
}

fn words(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// Abilene as a site file with everyone's keys, and owners that can pay.
fn site(ledger: &Ledger, import: &[String], fund: &[String]) {
    let topologies = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("topologies");
    std::os::unix::fs::symlink(topologies, ledger.path("topologies")).unwrap();
    let imported = ledger.works(&words(import));
    assert!(imported.stderr.contains("assum"), "what was assumed is listed: {}", imported.stderr);
    let funded = ledger.works(&words(&globbed(ledger.folder.path(), fund)));
    assert!(funded.stdout.contains("gave 40 SOL from"), "{}", funded.stdout);
    too_much(ledger);
}

/// An owner can't give what it does not have.
fn too_much(ledger: &Ledger) {
    let owner = "keys/contributors/contributor-1.json";
    let other = "keys/contributors/contributor-2.json";
    let refused = ledger.causeway(&["--keypair", owner, "key", "fund", other, "--sol", "11"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{}", refused.stderr);
    assert!(refused.stderr.contains("CW-SEND-UNFUNDED") && refused.stderr.contains("has 10 SOL"), "{}", refused.stderr);
}

#[test]
fn from_an_empty_folder_to_a_registered_network() {
    let ledger = Ledger::start();
    let walkthrough = walkthrough();
    let [import, fund, dry_run, apply] = walkthrough.as_slice() else { panic!("{walkthrough:?}") };
    site(&ledger, import, fund);

    let planned = ledger.works(&words(dry_run));
    assert!(planned.stdout.contains("create"), "{}", planned.stdout);
    let nothing = ledger.works(&["device", "list", "--output", "json"]);
    assert_eq!(nothing.stdout.trim(), "[]", "a dry run sends nothing");

    // Nobody is there to answer.
    let apply = [&words(apply)[..], &["--yes"]].concat();
    let applied = ledger.works(&apply);
    assert!(applied.stdout.starts_with("applied: "), "{}", applied.stdout);
    let again = ledger.works(&apply);
    assert!(again.stdout.starts_with("nothing to do: "), "{}", again.stdout);

    let contributors: serde_json::Value =
        serde_json::from_str(&ledger.works(&["contributor", "list", "--output", "json"]).stdout).unwrap();
    let owners: BTreeSet<_> = contributors.as_array().unwrap().iter().map(|c| c["owner"].as_str().unwrap()).collect();
    assert_eq!(owners.len(), 4, "every contributor has an owner of its own");
    let devices: serde_json::Value =
        serde_json::from_str(&ledger.works(&["device", "list", "--output", "json"]).stdout).unwrap();
    assert_eq!(devices.as_array().unwrap().len(), 11);
    let links: serde_json::Value =
        serde_json::from_str(&ledger.works(&["link", "list", "--output", "json"]).stdout).unwrap();
    assert_eq!(links.as_array().unwrap().len(), 14);
    a_history(&ledger);

    unknown_code(&ledger);
    paused_and_back(&ledger);
    offline_is_what_is_served(&ledger);
    oracle::packs_its_words(&ledger);
}

/// Who did what in which transaction, newest first for people and oldest first when asked.
fn a_history(ledger: &Ledger) {
    let text = ledger.works(&["history", "seattle", "--of", "device"]).stdout;
    let [heading, provisioned, created] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
    assert!(heading.contains("BY") && heading.ends_with("TRANSACTION"), "{text}");
    assert!(provisioned.contains("pending -> device-provisioning"), "{text}");
    assert!(created.contains("create-device") && created.contains("'s owner"), "{text}");
    let json = ledger.works(&["history", "seattle", "--of", "device", "--reverse", "--output", "json"]).stdout;
    let history: serde_json::Value = serde_json::from_str(&json).unwrap();
    let did: Vec<_> = history["transitions"].as_array().unwrap().iter().map(|t| t["did"].as_str().unwrap()).collect();
    assert_eq!(did, ["create-device", "provision-device"], "{json}");
    let first = &history["transitions"][0];
    let time = first["time"].as_str().unwrap();
    assert!(time.len() == 20 && &time[10..11] == "T" && time.ends_with('Z'), "{time}");
    assert!(created.contains(first["transaction"].as_str().unwrap()), "{text}");
    assert!(created.contains(first["actor"].as_str().unwrap()), "{text}");
    assert_eq!((&history["truncated"], &history["incomplete"]), (&false.into(), &serde_json::json!([])));
    let newest = ledger.works(&["history", "seattle", "--of", "device", "--limit", "1"]);
    assert!(
        newest.stdout.contains("provision-device") && !newest.stdout.contains("create-device"),
        "{}",
        newest.stdout
    );
    assert!(newest.stderr.contains("older transactions"), "{}", newest.stderr);
}

fn unknown_code(ledger: &Ledger) {
    let said = ledger.causeway(&["device", "get", "atlantis"]);
    assert_eq!(said.code, Some(4), "{}", said.stderr);
    assert_eq!(said.stdout, "");
    assert!(said.stderr.contains("CW-NOT-FOUND") && said.stderr.contains("atlantis"), "{}", said.stderr);
}

fn paused_and_back(ledger: &Ledger) {
    let authority = ledger.described("authority");
    let key = ["--keypair", authority.as_str()];
    ledger.works(&[&key[..], &["network", "pause"]].concat());
    let twice = ledger.causeway(&[&key[..], &["network", "pause"]].concat());
    assert_eq!(twice.code, Some(1), "{}", twice.stderr);
    assert!(twice.stderr.contains("CW-1018"), "the program's own code: {}", twice.stderr);
    ledger.works(&[&key[..], &["network", "pause", "--off"]].concat());
    let stranger = ledger.described("payer");
    let refused = ledger.causeway(&["--keypair", &stranger, "network", "pause"]);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("CW-1000"), "{}", refused.stderr);
}

/// `causeway config render` from an exported snapshot gives, byte for byte, what a controller serves.
fn offline_is_what_is_served(ledger: &Ledger) {
    let snapshot = ledger.works(&["topology", "export"]).stdout;
    let file = ledger.path("snapshot.json");
    std::fs::write(&file, &snapshot).unwrap();
    let snapshot = Snapshot::from_json(&snapshot).unwrap();

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let controller = runtime.block_on(async {
        let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
        let config =
            Config::local(ledger.described("rpc_url"), ledger.described("websocket_url"), snapshot.program_id, key);
        Controller::start(config).await.unwrap()
    });
    let began = Instant::now();
    for device in snapshot.devices.values() {
        while controller.bundle(&device.code).is_none() {
            assert!(began.elapsed() < Duration::from_secs(30), "the controller serves {} in time", device.code);
            std::thread::sleep(Duration::from_millis(50));
        }
        let code = device.code.to_string();
        let base = format!("http://{}", controller.http_addr);
        for family in ["frr", "eos"] {
            let offline = ledger.works(&[
                "config",
                "render",
                "--snapshot",
                file.to_str().unwrap(),
                "--device",
                &code,
                "--family",
                family,
            ]);
            let served = ledger.works(&["config", "get", &code, "--controller", &base, "--family", family]);
            assert_eq!(offline.stdout, served.stdout, "{code} {family}");
            assert!(!offline.stdout.is_empty());
        }
    }
    runtime.block_on(controller.shutdown());
}

#[test]
fn a_port_in_use_is_one_sentence() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let folder = tempfile::tempdir().unwrap();
    let mut start = command("causeway").unwrap();
    start.args(["localnet", "start", "--rpc-port", &port, "--dir"]).arg(folder.path());
    let said = run(start).unwrap();
    assert_ne!(said.code, Some(0));
    assert_eq!(said.stdout, "");
    assert!(said.stderr.contains("CW-LOCALNET-PORT-IN-USE") && said.stderr.contains(&port), "{}", said.stderr);
}
