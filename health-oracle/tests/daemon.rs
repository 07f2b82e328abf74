//! The daemon as a process: what it prints when it can't start, and how it stops.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use solana_sdk::signature::Keypair;

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_causeway-health-oracle"));
    command
        .args(["--rpc-url", "http://127.0.0.1:1", "--program-id", "11111111111111111111111111111112"])
        .args(["--listen", "127.0.0.1:0", "--seconds", "--log-json"])
        .arg("--key")
        .arg(folder.join("key.json"))
        .arg("--data-dir")
        .arg(folder.join("data"))
        .env_clear()
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

#[test]
fn a_missing_key_is_one_sentence_and_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let output = command(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("error: the oracle's key: key file") && said.lines().count() == 1, "{said}");
}

#[test]
fn it_serves_without_a_ledger_and_stops_when_told() {
    let folder = tempfile::tempdir().unwrap();
    causeway_sdk::keys::write(&folder.path().join("key.json"), &Keypair::new()).unwrap();
    let mut daemon = command(folder.path()).spawn().unwrap();
    let mut lines = BufReader::new(daemon.stderr.take().unwrap()).lines();
    let started = lines.find(|line| line.as_ref().unwrap().contains("oracle started")).unwrap().unwrap();
    let entry: serde_json::Value = serde_json::from_str(&started).unwrap();
    let addr = entry["fields"]["addr"].as_str().unwrap().to_owned();
    let drained = std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<_>>());

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let get = |path: &str| {
        let url = format!("http://{addr}{path}");
        runtime.block_on(async { reqwest::get(url).await.unwrap().status().as_u16() })
    };
    assert_eq!(get("/live"), 200);
    assert_eq!(get("/ready"), 503, "no ledger, no round");
    assert_eq!(get("/v1/status"), 200);

    let pid = daemon.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    for _ in 0..300 {
        if let Some(status) = daemon.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            let said = drained.join().unwrap().join("\n");
            assert!(said.contains("nothing attested in this round"), "{said}");
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    daemon.kill().unwrap();
    panic!("it did not stop");
}
