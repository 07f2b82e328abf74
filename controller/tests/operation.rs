//! What is deployed beside a controller fits one that runs: settings, rules, dashboard, unit, page.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use causeway_controller::{
    http::{STALE_MS, description},
    store::ReportResult,
};
use causeway_interface::{DeviceStatus, InterfaceName, LinkStatus};
use causeway_sdk::snapshot::Undecodable;
use causeway_wire::controller::{ApplyReport, ApplyResult, GetConfigRequest, WatchConfigRequest};
use common::{PATIENCE, Running, agent_key, config, open, with_token};

/// What every metric's name begins with.
const PREFIX: &str = "causeway_controller_";
const PROGRAM: &str = env!("CARGO_BIN_EXE_causeway-controller");

fn repository(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

fn deployed(name: &str) -> String {
    std::fs::read_to_string(repository("deploy/controller").join(name)).unwrap()
}

/// Runs a tool of a Debian package with this on its stdin. Where it is missing the test fails.
fn tool(name: &str, package: &str, arguments: &[&str], stdin: &str) -> Output {
    let mut command = Command::new(name);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|e| panic!("{name}: {e}; install the Debian package {package}"));
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn promtool(arguments: &[&str], stdin: &str) {
    let output = tool("promtool", "prometheus", arguments, stdin);
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
}

/// Names of all samples of a page.
fn samples(page: &str) -> BTreeSet<&str> {
    page.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split(['{', ' ']).next()).collect()
}

/// Metrics that a text names.
fn named(text: &str) -> BTreeSet<String> {
    let of = |at: usize| text[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    text.match_indices(PREFIX).map(|(at, _)| of(at)).collect()
}

/// Rows of the page's table: name, kind, what it is.
fn table(page: &str) -> String {
    let mut rows = String::from("| Metric | Type | What it is |\n|---|---|---|\n");
    let mut help = ("", "");
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').unwrap();
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            assert_eq!(help.0, name);
            rows.push_str(&format!("| `{name}` | {kind} | {} |\n", help.1));
        }
    }
    rows
}

/// The page of a controller that served, held, could not render, was told and refused.
async fn lived_in() -> (Running, String) {
    let mut running = Running::start(config()).await;
    let mut client = running.client().await;
    open(&mut client, "ams", &agent_key(2)).await.unwrap_err();
    let token = open(&mut client, "ams", &agent_key(1)).await.unwrap();
    let given = client.get_config(with_token(&token, GetConfigRequest::default())).await.unwrap().into_inner();
    let have = GetConfigRequest { have_sha256: given.sha256.clone(), ..GetConfigRequest::default() };
    client.get_config(with_token(&token, have)).await.unwrap();
    let mut notices = client.watch_config(with_token(&token, WatchConfigRequest {})).await.unwrap().into_inner();
    notices.message().await.unwrap().unwrap();
    let report = ApplyReport {
        device: "ams".into(),
        generation: given.generation,
        sha256: given.sha256,
        result: ApplyResult::Applied.into(),
        running_sha256: vec![1; 32],
        ..ApplyReport::default()
    };
    client.report(with_token(&token, report)).await.unwrap();
    running.ledger.link_mut("lon-par").header.status = LinkStatus::SoftDrained;
    let broken: InterfaceName = running.ledger.device_mut("par").interfaces[0].name;
    running.ledger.device_mut("par").interfaces[1].name = broken;
    running.publish().await;
    running.handle.shared().finalized(running.ledger.snapshot.slot + 40);
    let url = format!("http://{}/metrics", running.handle.http_addr);
    let ready = format!("http://{}/ready", running.handle.http_addr);
    assert_eq!(reqwest::get(ready).await.unwrap().status().as_u16(), 200);
    let page = reqwest::get(url).await.unwrap().text().await.unwrap();
    drop(notices);
    (running, page)
}

#[tokio::test]
async fn metrics_of_a_running_controller_are_well_formed_and_hold_what_rules_dashboard_and_page_name() {
    let (running, page) = lived_in().await;
    promtool(&["check", "metrics"], &page);
    let samples = samples(&page);
    for name in ["alerts.yaml", "alerts_test.yaml", "grafana-dashboard.json"] {
        let named = named(&deployed(name));
        assert!(named.len() > 5, "{name}: {named:?}");
        for metric in named {
            assert!(samples.contains(metric.as_str()), "{name} names {metric}, which a controller does not have");
        }
    }
    // The dashboard shows everything there is.
    let dashboard = named(&deployed("grafana-dashboard.json"));
    for sample in &samples {
        assert!(dashboard.contains(*sample), "the dashboard does not show {sample}");
    }
    for series in [
        "ledger_lag_slots 40".to_owned(),
        "ledger_unreadable 0".to_owned(),
        "devices{state=\"never\"} 3".to_owned(),
        "devices{state=\"current\"} 1".to_owned(),
        "drift{state=\"in-sync\"} 1".to_owned(),
        "drift{state=\"unknown\"} 3".to_owned(),
        "faults{code=\"interface-twice\"} 1".to_owned(),
        "watchers 1".to_owned(),
        "polls_total{answer=\"text\"} 1".to_owned(),
        "polls_total{answer=\"unchanged\"} 1".to_owned(),
        format!("reports_total{{result=\"{}\"}} 1", ReportResult::Applied.name()),
        "refused_calls_total{code=\"wrong-key\"} 1".to_owned(),
        "render_seconds_count{what=\"snapshot\"} 2".to_owned(),
        "http_answers_total{status=\"200\"} 1".to_owned(),
    ] {
        assert!(page.lines().any(|line| line == format!("{PREFIX}{series}")), "{series} is not in {page}");
    }
    let gone = async {
        while !metrics_of(&running).await.contains("causeway_controller_watchers 0\n") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("who went does not watch any more");
    running.handle.shutdown().await;
    committed_table(&page);
}

async fn metrics_of(running: &Running) -> String {
    reqwest::get(format!("http://{}/metrics", running.handle.http_addr)).await.unwrap().text().await.unwrap()
}

/// The table of docs/controller.md is of this page; UPDATE=1 writes it.
fn committed_table(page: &str) {
    let path = repository("docs/controller.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once("<!-- metrics -->\n").unwrap();
    let (found, after) = rest.split_once("<!-- /metrics -->").unwrap();
    if std::env::var_os("UPDATE").is_some() {
        let text = format!("{before}<!-- metrics -->\n{}<!-- /metrics -->{after}", table(page));
        return std::fs::write(&path, text).unwrap();
    }
    assert_eq!(found, table(page), "docs/controller.md is not of this code; run this test with UPDATE=1");
}

#[test]
fn alert_rules_are_valid_and_fire_when_they_should() {
    for (verb, name) in [("check", "alerts.yaml"), ("test", "alerts_test.yaml")] {
        promtool(&[verb, "rules", repository("deploy/controller").join(name).to_str().unwrap()], "");
    }
    let (rules, tests) = (deployed("alerts.yaml"), deployed("alerts_test.yaml"));
    let page = std::fs::read_to_string(repository("docs/controller.md")).unwrap();
    let names: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() >= 12);
    for name in names {
        let fires = format!("alertname: {name}\n        exp_alerts:\n          - exp_labels");
        let rests = format!("alertname: {name}, exp_alerts: []");
        assert!(tests.contains(&fires) && tests.contains(&rests), "{name} is not tested both ways");
        assert!(page.contains(&format!("| `{name}` | ")), "docs/controller.md does not say what to do at {name}");
    }
}

#[test]
fn the_dashboard_is_whole() {
    let dashboard: serde_json::Value = serde_json::from_str(&deployed("grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    let mut rules = Vec::new();
    for panel in panels {
        assert!(!panel["description"].as_str().unwrap().is_empty(), "{}", panel["title"]);
        for target in panel["targets"].as_array().unwrap() {
            // The dashboard's own variables are filled in before Prometheus sees a query.
            let query = target["expr"].as_str().unwrap().replace("$job", "a").replace("$instance", "b");
            rules.push(serde_json::json!({"record": format!("x{}", rules.len()), "expr": query}));
        }
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), serde_json::json!({"groups": [{"name": "x", "rules": rules}]}).to_string()).unwrap();
    promtool(&["check", "rules", file.path().to_str().unwrap()], "");
}

#[test]
fn the_unit_is_one_that_systemd_takes() {
    let unit = deployed("causeway-controller.service");
    let program = "/usr/local/bin/causeway-controller";
    assert!(unit.contains(&format!("ExecStart={program} ")));
    // The program is not installed where the tests run; any that can be executed stands for it.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("causeway-controller.service");
    std::fs::write(&path, unit.replace(program, "/bin/true")).unwrap();
    let output = tool("systemd-analyze", "systemd", &["verify", "--man=no", path.to_str().unwrap()], "");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("causeway"), "{said}");
    let help = run(&["--help"], &[]).1;
    for variable in unit.lines().filter_map(|line| line.strip_prefix("Environment=")) {
        let name = variable.split('=').next().unwrap();
        assert!(help.contains(&format!("[env: {name}=")), "{name} is no variable of the controller");
    }
}

/// The controller's program to its end: exit code, and what it said.
fn run(arguments: &[&str], environment: &[(&str, &Path)]) -> (i32, String) {
    let mut command = Command::new(PROGRAM);
    let output = command.args(arguments).envs(environment.iter().copied()).stdin(Stdio::null()).output().unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    (output.status.code().unwrap(), said)
}

/// Writes a file with these permissions.
fn file(folder: &Path, name: &str, content: &[u8], mode: u32) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    path
}

fn key_file(folder: &Path) -> PathBuf {
    let path = folder.join("key");
    causeway_wire::keyfile::write(&path, &[1; 32]).unwrap();
    path
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(repository("agent/tests/fixtures").join(name)).unwrap()
}

#[test]
fn the_example_can_be_used_and_has_every_key() {
    let folder = tempfile::tempdir().unwrap();
    let key = key_file(folder.path());
    let token = file(folder.path(), "token", b"a-token-of-the-operator\n", 0o600);
    let tls_cert = file(folder.path(), "tls.pem", &fixture("test-only-server.pem"), 0o644);
    let tls_key = file(folder.path(), "tls-key.pem", &fixture("test-only-server-key.pem"), 0o600);
    let site = folder.path().join("site");
    std::fs::create_dir(&site).unwrap();
    let switches = file(folder.path(), "eapi.toml", b"", 0o600);
    let files = [
        ("CAUSEWAY_CONTROLLER_KEY", key.as_path()),
        ("CAUSEWAY_OPERATOR_TOKEN_FILE", &token),
        ("CAUSEWAY_TLS_CERT", &tls_cert),
        ("CAUSEWAY_TLS_KEY", &tls_key),
        ("CAUSEWAY_SITE_DIR", &site),
        ("CAUSEWAY_JOBS_EAPI_FILE", &switches),
    ];
    // With what is commented out as well.
    let whole: Vec<String> = deployed("controller.example.toml")
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => rest.to_owned(),
            _ => line.to_owned(),
        })
        .collect();
    let path = folder.path().join("controller.toml");
    std::fs::write(&path, whole.join("\n")).unwrap();
    let (code, said) = run(&["--config", path.to_str().unwrap(), "--check-config"], &files);
    assert_eq!(code, 0, "{said}");
    let flags = run(&["--help"], &[]).1.lines().filter(|line| line.trim_start().starts_with("--")).count();
    assert_eq!(said.lines().count(), flags - 3, "but for --config, --check-config and --openapi:\n{said}");
    assert!(said.contains("rpc_url = http://127.0.0.1:8899  # ") && said.contains("controller.toml, line 8"), "{said}");
    assert!(said.contains("  # CAUSEWAY_CONTROLLER_KEY\n") && !said.contains("a-token-of"), "{said}");
    // As it is, too.
    let example = repository("deploy/controller/controller.example.toml");
    let arguments = ["--config", example.to_str().unwrap(), "--hold-at-least", "7", "--check-config"];
    let (code, said) = run(&arguments, &files[..1]);
    assert!(code == 0 && said.contains("hold_at_least = 7  # flag\n"), "{said}");
    assert!(said.contains("hold_share = 0.5  # default\n"), "{said}");
    // What the defaults in the example say is what they are.
    for line in deployed("controller.example.toml").lines().filter_map(|line| line.strip_prefix('#')) {
        let Some((name, value)) = line.split_once(" = ").filter(|(name, _)| !name.starts_with(' ')) else { continue };
        let shown = format!("{name} = {}  # default\n", value.trim_matches('"'));
        let has_default = said.contains(&format!("{name} = ")) && !["key", "hold_at_least"].contains(&name);
        assert!(!has_default || said.contains(&shown), "{shown}: {said}");
    }
}

#[test]
fn settings_that_can_not_be_used_end_it_with_2_and_name_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let key = key_file(folder.path());
    let path = folder.path().join("controller.toml");
    std::fs::write(&path, "rpc = \"a\"\nhold_share = \"much\"\nallow_plain = 5.5\n").unwrap();
    let config = path.to_str().unwrap();
    let (code, said) = run(&["--config", config], &[]);
    assert_eq!(code, 2, "{said}");
    for expected in
        ["line 1: rpc: There is no such key. Did you mean rpc_url?", "line 3: allow_plain: It has to be true or false."]
    {
        assert!(said.contains("error: CW-CONTROLLER-CONFIG: ") && said.contains(expected), "{said}");
    }
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
    let token = file(folder.path(), "token", b"short\n", 0o600);
    let open = file(folder.path(), "tls-key.pem", &fixture("test-only-server-key.pem"), 0o644);
    let cert = file(folder.path(), "tls.pem", &fixture("test-only-server.pem"), 0o644);
    let text = format!(
        "rpc_url = \"localhost\"\nprogram_id = \"11111111111111111111111111111112\"\nkey = {key:?}\nhold_share = 1.5\n\
         operator_token_file = {token:?}\ntls_key = {open:?}\ntls_cert = {cert:?}\n"
    );
    std::fs::write(&path, text).unwrap();
    let (code, said) = run(&["--config", config], &[]);
    assert_eq!(code, 2, "{said}");
    for expected in [
        "CW-CONTROLLER-CONFIG: hold_share: 1.5 is not between 0 and 1.",
        "CW-CONTROLLER-CONFIG: rpc_url: It begins with neither",
        "CW-CONTROLLER-CONFIG: operator_token_file: ",
        "CW-CONTROLLER-CONFIG: tls_cert: ",
        "CW-CONTROLLER-CONFIG: tls_key: ",
        "CW-KEY-PERMISSIONS: key: ",
    ] {
        // A key that others can read is not looked at any further.
        let found = said.contains(expected) || expected.contains("tls_cert");
        assert!(found, "{expected}: {said}");
    }
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    let plain = ["--rpc-url", "http://127.0.0.1:1", "--program-id", "11111111111111111111111111111112"];
    let plain = [&plain[..], &["--key", key.to_str().unwrap(), "--grpc-addr", "0.0.0.0:0"]].concat();
    let (code, said) = run(&plain, &[]);
    assert!(code == 2 && said.contains("CW-CONTROLLER-CONFIG: grpc_addr: 0.0.0.0:0 is not of this machine"), "{said}");
}

#[test]
fn the_program_prints_the_description_of_its_api_without_any_setting() {
    let (code, said) = run(&["--openapi"], &[]);
    assert_eq!(code, 0);
    assert!(said == description());
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn get(address: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok((status, text.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned()))
}

#[test]
fn the_program_is_live_without_a_ledger_says_why_it_is_not_ready_and_stops_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let key = key_file(folder.path());
    // Free a moment ago; nobody else on this machine asks for it.
    let http = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut child = Command::new(PROGRAM)
        .args(["--rpc-url", "http://127.0.0.1:1/SECRET", "--program-id", "11111111111111111111111111111112"])
        .args(["--key", key.to_str().unwrap(), "--grpc-addr", "127.0.0.1:0", "--http-addr", &http.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(said.next().unwrap().unwrap().starts_with('{'), "logs are JSON where stderr is no terminal");
    std::thread::spawn(move || said.for_each(drop));
    let mut process = Process(child);
    let deadline = Instant::now() + PATIENCE;
    while get(http, "/live").map(|(status, _)| status).ok() != Some(200) {
        assert!(Instant::now() < deadline, "it is not live");
        std::thread::sleep(Duration::from_millis(50));
    }
    let (status, body) = get(http, "/ready").unwrap();
    assert_eq!(status, 503);
    assert!(body.contains("CW-CONTROLLER-LEDGER-NOT-READ") && !body.contains("SECRET"), "{body}");
    assert!(get(http, "/metrics").unwrap().1.contains("causeway_controller_slot 0\n"));
    let killed = Command::new("kill").args(["-TERM", &process.0.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = process.0.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "it does not stop");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(status.success());
}

/// A ledger that is read and not acted on is heard of: what is served is still good, and a person looks.
#[tokio::test]
async fn a_ledger_that_is_not_acted_on_is_a_concern_and_one_that_is_not_heard_of_is_no_readiness() {
    let running = Running::start(config()).await;
    let shared = running.handle.shared();
    let ready = async || {
        let answer = reqwest::get(format!("http://{}/ready", running.handle.http_addr)).await.unwrap();
        (answer.status().as_u16(), answer.json::<serde_json::Value>().await.unwrap())
    };
    shared.age(STALE_MS + 1_000);
    let (status, body) = ready().await;
    assert_eq!((status, body["code"].as_str()), (503, Some("CW-CONTROLLER-LEDGER-STALE")), "{body}");
    let mut partly = running.ledger.snapshot.clone();
    partly.slot += 1;
    for name in ["ams", "fra", "lon"] {
        let address = running.ledger.device_key(name);
        partly.devices.remove(&address);
        partly.undecodable.push(Undecodable { address, data_len: 7, error: "malformed".into() });
    }
    shared.ingest(Arc::new(partly));
    let (status, body) = ready().await;
    assert_eq!((status, &body["ready"]), (200, &true.into()), "{body}");
    assert_eq!(body["concerns"][0]["code"], "CW-CONTROLLER-LEDGER-PARTLY-READABLE", "{body}");
    assert!(body["snapshot_age_seconds"].as_u64() > Some(STALE_MS / 1_000), "{body}");
    assert!(body["heard_age_seconds"].as_u64() < Some(STALE_MS / 1_000), "{body}");
    let page = metrics_of(&running).await;
    let of = |name: &str| -> f64 {
        let line = page.lines().find_map(|line| line.strip_prefix(&format!("{PREFIX}{name} ")));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} is not in {page}"))
    };
    assert_eq!(of("ledger_unreadable"), 1.0);
    assert!(of("heard_age_seconds") < 120.0 && of("snapshot_age_seconds") > 300.0, "{page}");
    // Whoever acts on what is served goes by when it was taken in.
    let url = format!("http://{}/api/v1/availability", running.handle.http_addr);
    let needs: serde_json::Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    let ledger = needs["needs"].as_array().unwrap().iter().find(|need| need["need"] == "ledger").unwrap();
    assert!(ledger["reason"].as_str().unwrap().contains("it was last taken in 301 s ago"), "{ledger}");
    shared.age(STALE_MS + 1_000);
    assert_eq!(ready().await.0, 503);
    running.handle.shutdown().await;
}

/// A device that is suspended is none of those that a controller can't serve.
#[tokio::test]
async fn readiness_is_of_the_ledger_and_not_of_devices() {
    let mut running = Running::start(config()).await;
    running.ledger.device_mut("ams").header.status = DeviceStatus::Suspended;
    running.publish().await;
    let answer = reqwest::get(format!("http://{}/ready", running.handle.http_addr)).await.unwrap();
    let body: serde_json::Value = answer.json().await.unwrap();
    assert_eq!((&body["ready"], &body["slot"]), (&true.into(), &running.ledger.snapshot.slot.into()));
    assert_eq!(body["concerns"].as_array().unwrap().len(), 0);
    running.handle.shutdown().await;
}
