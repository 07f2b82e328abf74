//! What is deployed beside an agent fits one that runs: settings, rules, dashboard, unit, page.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::Arc,
    time::Duration,
};

use causeway_agent::{
    Agent,
    driver::{ProbeKind, Target},
    operation::{Sources, metrics::page, serve::Server},
    stamp::{Prober, ProberSettings, Reflector, ReflectorSettings},
};
use common::*;

/// What every metric's name begins with.
const PREFIX: &str = "causeway_agent_";

fn repository(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

fn deployed(name: &str) -> String {
    std::fs::read_to_string(repository("deploy/agent").join(name)).unwrap()
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_of_a_running_agent_are_well_formed_and_hold_what_rules_dashboard_and_page_name() {
    let oracle = FakeOracle::start().await;
    oracle.first([Does::Answers(400), Does::Answers(503)]);
    let (fabric, directory) = (fabric(), tempfile::tempdir().unwrap());
    let controller = FakeController::new(bundle(5, &text(1, 100)));
    let serving = controller.serve("127.0.0.1:0").await;
    let config = config(&format!("http://{}", serving.address), &[&oracle], directory.path());
    let agent = Agent::start(config, fabric.driver(DEVICE).unwrap()).unwrap();
    let listen = "127.0.0.1:0".parse().unwrap();
    let reflector = Arc::new(Reflector::start(ReflectorSettings { listen, ..ReflectorSettings::default() }).unwrap());
    let port = reflector.address().port();
    let prober = Arc::new(Prober::new(ProberSettings { port, ..ProberSettings::default() }));
    let target = Target { kind: ProbeKind::Qa, code: "x".into(), interface: None, address: Ipv4Addr::LOCALHOST };
    prober.probe(&[target], 5).await.unwrap();
    until_status(&agent, "work", |s| s.applies > 0 && s.oracles[&oracle.url].accepted_batches > 2).await;
    let sources =
        Sources { watch: agent.watch(), device: DEVICE.into(), reflector: Some(reflector), prober: Some(prober) };
    let page = page(&sources);
    promtool(&["check", "metrics"], &page);
    let samples = samples(&page);
    for name in ["alerts.yaml", "alerts_test.yaml", "grafana-dashboard.json"] {
        let named = named(&deployed(name));
        assert!(named.len() > 5, "{name}: {named:?}");
        for metric in named {
            assert!(samples.contains(metric.as_str()), "{name} names {metric}, which an agent does not have");
        }
    }
    // The dashboard shows everything there is.
    let dashboard = named(&deployed("grafana-dashboard.json"));
    for sample in &samples {
        assert!(dashboard.contains(*sample), "the dashboard does not show {sample}");
    }
    let host = oracle.url.trim_start_matches("http://");
    for series in [
        "causeway_agent_connected 1".to_owned(),
        "causeway_agent_applied_generation 5".to_owned(),
        "causeway_agent_configuration_pending 0".to_owned(),
        "causeway_agent_buffer_on_disk 1".to_owned(),
        "causeway_agent_stamp_answered_total 5".to_owned(),
        "causeway_agent_stamp_reflected_total 5".to_owned(),
        "causeway_agent_stamp_refused_total{reason=\"malformed\"} 0".to_owned(),
        format!("causeway_agent_telemetry_refused_batches_total{{oracle=\"{host}\"}} 1"),
    ] {
        assert!(page.lines().any(|line| line == series), "{series} is not in {page}");
    }
    let server = Server::start("127.0.0.1:0".parse().unwrap(), sources).await.unwrap();
    let address = server.address();
    let (status, body) = tokio::task::spawn_blocking(move || get(address, "/ready")).await.unwrap().unwrap();
    assert_eq!((status, body.as_str()), (200, "{\"ready\":true}"));
    agent.shutdown().await;
    committed_table(&page);
}

/// The table of docs/agent.md is of this page; UPDATE=1 writes it.
fn committed_table(page: &str) {
    let path = repository("docs/agent.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once("<!-- metrics -->\n").unwrap();
    let (found, after) = rest.split_once("<!-- /metrics -->").unwrap();
    if std::env::var_os("UPDATE").is_some() {
        let text = format!("{before}<!-- metrics -->\n{}<!-- /metrics -->{after}", table(page));
        return std::fs::write(&path, text).unwrap();
    }
    assert_eq!(found, table(page), "docs/agent.md is not of this code; run this test with UPDATE=1");
}

#[test]
fn alert_rules_are_valid_and_fire_when_they_should() {
    for (verb, name) in [("check", "alerts.yaml"), ("test", "alerts_test.yaml")] {
        promtool(&[verb, "rules", repository("deploy/agent").join(name).to_str().unwrap()], "");
    }
    let (rules, tests) = (deployed("alerts.yaml"), deployed("alerts_test.yaml"));
    let page = std::fs::read_to_string(repository("docs/agent.md")).unwrap();
    let names: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() >= 10);
    for name in names {
        let fires = format!("alertname: {name}\n        exp_alerts:\n          - exp_labels");
        let rests = format!("alertname: {name}, exp_alerts: []");
        assert!(tests.contains(&fires) && tests.contains(&rests), "{name} is not tested both ways");
        assert!(page.contains(&format!("| `{name}` | ")), "docs/agent.md does not say what to do at {name}");
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
    let unit = deployed("causeway-agent.service");
    let program = "/usr/local/bin/causeway-agent";
    assert!(unit.contains(&format!("ExecStart={program} ")));
    // The program is not installed where the tests run; any that can be executed stands for it.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("causeway-agent.service");
    std::fs::write(&path, unit.replace(program, "/bin/true")).unwrap();
    let output = tool("systemd-analyze", "systemd", &["verify", "--man=no", path.to_str().unwrap()], "");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("causeway"), "{said}");
    let help = run(&["--help"], &[]).1;
    for variable in unit.lines().filter_map(|line| line.strip_prefix("Environment=")) {
        let name = variable.split('=').next().unwrap();
        assert!(help.contains(&format!("[env: {name}=")), "{name} is no variable of the agent");
    }
}

/// The agent's program to its end: exit code, and what it said.
fn run(arguments: &[&str], environment: &[(&str, &Path)]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_causeway-agent"));
    let output = command.args(arguments).envs(environment.iter().copied()).stdin(Stdio::null()).output().unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    (output.status.code().unwrap(), said)
}

fn key_files(folder: &Path) -> (PathBuf, PathBuf) {
    let (agent, telemetry) = (folder.join("agent-key"), folder.join("telemetry-key"));
    causeway_wire::keyfile::write(&agent, &[1; 32]).unwrap();
    causeway_wire::keyfile::write(&telemetry, &[2; 32]).unwrap();
    (agent, telemetry)
}

#[test]
fn the_example_can_be_used_and_has_every_key() {
    let folder = tempfile::tempdir().unwrap();
    let (agent, telemetry) = key_files(folder.path());
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, fixture("test-only-ca.pem")).unwrap();
    let keys = [("CAUSEWAY_AGENT_KEY", agent.as_path()), ("CAUSEWAY_TELEMETRY_KEY", &telemetry)];
    let keys = [keys[0], keys[1], ("CAUSEWAY_CONTROLLER_CA", ca.as_path())];
    // With what is commented out as well.
    let whole: Vec<String> = deployed("agent.example.toml")
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => rest.to_owned(),
            _ => line.to_owned(),
        })
        .collect();
    let path = folder.path().join("agent.toml");
    std::fs::write(&path, whole.join("\n")).unwrap();
    let (code, said) = run(&["--config", path.to_str().unwrap(), "--check-config"], &keys);
    assert_eq!(code, 0, "{said}");
    let flags = run(&["--help"], &[]).1.lines().filter(|line| line.trim_start().starts_with("--")).count();
    assert_eq!(said.lines().count(), flags - 2, "but for --config and --check-config:\n{said}");
    assert!(said.contains("device = nyc-1  # ") && said.contains("agent.toml, line 7"), "{said}");
    assert!(said.contains("  # CAUSEWAY_AGENT_KEY\n"), "{said}");
    // As it is, too.
    let example = repository("deploy/agent/agent.example.toml");
    let (code, said) = run(&["--config", example.to_str().unwrap(), "--sample-ms", "7", "--check-config"], &keys);
    assert!(code == 0 && said.contains("sample_ms = 7  # flag\n") && said.contains("poll_ms = 10000  # default\n"));
}

#[test]
fn settings_that_can_not_be_used_end_it_with_2_and_name_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let (agent, _) = key_files(folder.path());
    std::fs::set_permissions(&agent, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let path = folder.path().join("agent.toml");
    std::fs::write(&path, "devise = \"a\"\nsample_ms = \"often\"\ncontrollers = 5.5\n").unwrap();
    let config = path.to_str().unwrap();
    let (code, said) = run(&["--config", config], &[]);
    assert_eq!(code, 2, "{said}");
    for expected in ["line 1: devise: There is no such key.", "line 3: controllers: It has to be a list of texts."] {
        assert!(said.contains("error: CW-AGENT-CONFIG: ") && said.contains(expected), "{said}");
    }
    std::fs::write(
        &path,
        "device = \"a\"\nprogram_id = \"0\"\ncontrollers = [\"http://127.0.0.1:1\"]\ncontroller_keys = [\"l\"]\n\
         agent_key = \"agent-key\"\ntelemetry_key = \"none\"\ndriver = \"simulator-frr\"\n",
    )
    .unwrap();
    let (code, said) = run(&["--config", config, "--agent-key", agent.to_str().unwrap()], &[]);
    assert_eq!(code, 2, "{said}");
    for expected in [
        "CW-AGENT-CONFIG: program_id: not base58",
        "CW-AGENT-CONFIG: controller_keys, \"l\": not base58",
        "CW-KEY-PERMISSIONS: agent_key: ",
        "CW-KEY-MISSING: telemetry_key: ",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

struct Running(Child);

impl Drop for Running {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_serves_metrics_and_health_and_answers_probes() {
    let folder = tempfile::tempdir().unwrap();
    let (agent, telemetry) = key_files(folder.path());
    // Free a moment ago; nobody else on this machine asks for them.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let stamp = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let key = bs58::encode(controller_key().verifying_key()).into_string();
    let command = Command::new(env!("CARGO_BIN_EXE_causeway-agent"))
        .args(["--device", "a", "--program-id", &key, "--controller", "http://127.0.0.1:1", "--controller-key", &key])
        .args(["--driver", "simulator-frr", "--listen", &address.to_string(), "--stamp-listen", &stamp.to_string()])
        .args(["--stamp-peer", "127.0.0.0/8"])
        .env("CAUSEWAY_AGENT_KEY", agent)
        .env("CAUSEWAY_TELEMETRY_KEY", telemetry)
        .env("CAUSEWAY_STATE_DIR", folder.path().join("state"))
        .env("CAUSEWAY_AGENT_LOG_JSON", "true")
        .env("RUST_LOG", "off")
        .spawn();
    let _running = Running(command.unwrap());
    let ask = move |path| get(address, path).ok();
    eventually("an answer", || ask("/live") == Some((200, "live\n".to_owned()))).await;
    let (status, body) = ask("/ready").unwrap();
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["code"]), (503, &"CW-AGENT-NO-CONTROLLER".into()));
    assert!(!body["cause"].as_str().unwrap().is_empty() && !body["remedy"].as_str().unwrap().is_empty());
    assert_eq!(ask("/else").unwrap().0, 404);
    let prober = Prober::new(ProberSettings { port: stamp.port(), ..ProberSettings::default() });
    let target = Target { kind: ProbeKind::Qa, code: "x".into(), interface: None, address: Ipv4Addr::LOCALHOST };
    assert_eq!(prober.probe(&[target], 4).await.unwrap()[0].received, 4);
    let page = ask("/metrics").unwrap().1;
    assert!(page.contains("\ncauseway_agent_stamp_reflected_total 4\n"), "{page}");
    promtool(&["check", "metrics"], &page);
}
