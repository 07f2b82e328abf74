//! The daemon as a process: what it prints when it can't start, what it says of its configuration, and how it stops.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use solana_sdk::signature::Keypair;

/// Longest wait for the daemon to do something.
const PATIENCE: Duration = Duration::from_secs(60);

fn bare() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_causeway-health-oracle"));
    command.env_clear().stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn command(folder: &Path, rpc_url: &str) -> Command {
    let mut command = bare();
    command
        .args(["--rpc-url", rpc_url, "--program-id", "11111111111111111111111111111112"])
        .args(["--listen", "127.0.0.1:0", "--seconds", "--log-json"])
        .arg("--key")
        .arg(folder.join("key.json"))
        .arg("--data-dir")
        .arg(folder.join("data"));
    command
}

/// A daemon that has started, its address, and what it says from then on.
struct Daemon {
    process: Child,
    addr: String,
    said: std::thread::JoinHandle<Vec<String>>,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Daemon {
    fn start(folder: &Path, rpc_url: &str) -> Self {
        causeway_sdk::keys::write(&folder.join("key.json"), &Keypair::new()).unwrap();
        let mut process = command(folder, rpc_url).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let started = lines.find(|line| line.as_ref().unwrap().contains("oracle started")).unwrap().unwrap();
        let entry: serde_json::Value = serde_json::from_str(&started).unwrap();
        let addr = entry["fields"]["addr"].as_str().unwrap().to_owned();
        let said = std::thread::spawn(move || lines.map_while(Result::ok).collect());
        Self { process, addr, said }
    }

    fn terminate(&self) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    /// Waits for its end; how it ended and what it said.
    fn ended(mut self) -> (std::process::ExitStatus, Vec<String>) {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(status) = self.process.try_wait().unwrap() {
                let said = std::mem::replace(&mut self.said, std::thread::spawn(Vec::new));
                return (status, said.join().unwrap());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("it did not stop");
    }
}

#[test]
fn a_configuration_that_cant_be_used_is_every_problem_at_once_and_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let output = command(folder.path(), "http://127.0.0.1:1").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("error: CW-KEY-MISSING: the oracle's key (--key): key file"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");

    let file = folder.path().join("oracle.toml");
    std::fs::write(&file, "key = \"/none\"\nlisten = \"nowhere\"\n[rule]\nhold_ms = 1\n").unwrap();
    for check in [true, false] {
        let mut command = bare();
        command.env("CAUSEWAY_ORACLE_CONFIG", &file).env("CAUSEWAY_ORACLE_ROUND", "x");
        let output = command.args(check.then_some("--check-config")).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8(output.stderr).unwrap();
        for part in [
            "rpc_url: It has to be set",
            "program_id: It",
            "/none",
            "line 2: listen",
            "line 3: rule: There is no such key",
            "CAUSEWAY_ORACLE_ROUND: It",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert_eq!(said.lines().count(), 6, "{said}");
    }
}

#[test]
fn check_config_prints_what_is_in_force_and_starts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    causeway_sdk::keys::write(&folder.path().join("key.json"), &Keypair::new()).unwrap();
    let mut command = command(folder.path(), "http://127.0.0.1:1");
    command.args(["--check-config", "--seconds=false"]).env("CAUSEWAY_ORACLE_WEBHOOK", "https://secret.example.net/x");
    let output = command.stdout(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!said.contains("secret.example"), "{said}");
    let line = |key: &str| said.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap().to_owned();
    assert!(line("round_seconds").starts_with("round_seconds = 60 ") && line("round_seconds").ends_with("# default"));
    assert!(line("seconds").ends_with("# --seconds") && line("name").contains("\"oracle\""));
    assert!(
        line("alerts.webhook").contains("\"(hidden)\"")
            && line("alerts.webhook").ends_with("# CAUSEWAY_ORACLE_WEBHOOK")
    );
    assert!(!folder.path().join("data").exists());
    // What is printed can be read back as a file.
    let file = folder.path().join("printed.toml");
    let printed: Vec<&str> = said.lines().filter(|line| !line.starts_with("alerts.webhook")).collect();
    std::fs::write(&file, printed.join("\n")).unwrap();
    assert!(bare().arg("--config").arg(&file).arg("--check-config").status().unwrap().success());
}

/// A ledger's endpoint that takes its time: it says when it was asked, and answers when it is told, with an error.
fn fake_slow_rpc() -> (String, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (asked, was_asked) = mpsc::channel();
    let (answer, may_answer) = mpsc::channel();
    std::thread::spawn(move || {
        let answer = |mut stream: TcpStream| {
            let mut request = [0; 65_536];
            let _ = stream.read(&mut request);
            let _ = asked.send(());
            let _ = may_answer.recv_timeout(PATIENCE);
            let body = r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32000,"message":"not now"}}"#;
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
            let _ = write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len());
        };
        listener.incoming().map_while(Result::ok).for_each(answer);
    });
    (url, was_asked, answer)
}

#[test]
fn a_round_under_way_is_ended_before_it_stops() {
    let folder = tempfile::tempdir().unwrap();
    let (url, was_asked, answer) = fake_slow_rpc();
    let daemon = Daemon::start(folder.path(), &format!("{url}/v1/PROVIDERS-SECRET"));
    was_asked.recv_timeout(PATIENCE).expect("a round reads the ledger");
    daemon.terminate();
    std::thread::sleep(Duration::from_secs(1));
    // From here on it may have every answer that it asks for.
    drop(answer);
    let (status, said) = daemon.ended();
    assert_eq!(status.code(), Some(0), "{said:#?}");
    let at =
        |what: &str| said.iter().position(|line| line.contains(what)).unwrap_or_else(|| panic!("{what}: {said:#?}"));
    assert!(at("\"stopping\"") < at("nothing attested in this round"), "{said:#?}");
    assert!(!said.iter().any(|line| line.contains("did not stop in time")), "{said:#?}");
    assert!(!said.iter().any(|line| line.contains("PROVIDERS-SECRET")), "{said:#?}");
}

#[test]
fn it_serves_without_a_ledger_and_stops_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(folder.path(), "http://127.0.0.1:1");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let get = |path: &str| {
        let url = format!("http://{}{path}", daemon.addr);
        runtime.block_on(async {
            let response = reqwest::get(url).await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        })
    };
    assert_eq!(get("/live").0, 200);
    let (status, why) = get("/ready");
    assert!(status == 503 && why.contains("\"code\":\"CW-ORACLE-"), "no ledger, no round: {why}");
    assert_eq!(get("/v1/status").0, 200);
    assert!(get("/metrics").1.contains("# TYPE causeway_oracle_rounds_total counter"));
    daemon.terminate();
    let (status, said) = daemon.ended();
    assert!(status.success(), "{status}");
    assert!(said.join("\n").contains("nothing attested in this round"), "{said:#?}");
}
