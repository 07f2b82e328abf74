//! What is deployed beside an oracle fits one that runs: rules, dashboard, unit, page.

use std::{
    collections::BTreeSet,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use solana_sdk::signature::Keypair;
use tokio::{net::TcpListener, time::timeout};

use super::{fake_chain::FakeChain, network::network_of, scene::*};
use crate::{Config, Kind, Oracle, metrics::Metrics, time};

/// What every metric's name begins with.
const PREFIX: &str = "causeway_oracle_";

fn deployed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/oracle").join(name)
}

/// Runs a tool of a Debian package with this on its stdin. Where it is missing the test fails.
fn tool(name: &str, package: &str, arguments: &[&str], stdin: &str) -> Output {
    let mut command = Command::new(name);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = command.spawn();
    let mut child = started.unwrap_or_else(|e| panic!("{name}: {e}; install the Debian package {package}"));
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn promtool(arguments: &[&str], stdin: &str) {
    let output = tool("promtool", "prometheus", arguments, stdin);
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
}

/// The page of an oracle that took and refused telemetry, judged, attested, and failed.
async fn lived_in() -> (Rig, String) {
    let rig = rig().await;
    rig.report(0).await;
    rig.wait("users", |r| r.level(Kind::Device, "d-1") == "ready-for-users").await;
    let now = time::now_ms();
    assert_ne!(rig.post(&Rig::batch(9, now, now, now, 0), 1).await.status(), 202);
    let failed = rig.oracle.counters().failed_rounds;
    rig.chain.dead.store(true, Ordering::Relaxed);
    rig.wait("a failed round", |r| r.oracle.counters().failed_rounds > failed).await;
    let page = rig.get("/metrics").await.1;
    (rig, page)
}

/// Names of all samples of a page.
fn samples(page: &str) -> BTreeSet<&str> {
    page.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split(['{', ' ']).next()).collect()
}

/// Metrics that a text names.
fn named(text: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let of = |at: usize| text[at..].chars().take_while(|c| word(*c)).collect();
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
            let labels: BTreeSet<_> = page
                .lines()
                .filter_map(|l| l.strip_prefix(name)?.strip_prefix('{')?.split_once('}'))
                .flat_map(|(labels, _)| labels.split("\",").filter_map(|label| label.split_once('=')))
                .map(|(label, _)| format!("`{label}`"))
                .collect();
            let labels: Vec<_> = labels.into_iter().collect();
            let by = if labels.is_empty() { String::new() } else { format!(" By {}.", labels.join(", ")) };
            rows.push_str(&format!("| `{name}` | {kind} | {}{by} |\n", help.1));
        }
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_of_a_running_oracle_are_well_formed_and_hold_what_rules_and_dashboard_name() {
    let (rig, page) = lived_in().await;
    promtool(&["check", "metrics"], &page);
    let samples = samples(&page);
    for name in ["alerts.yaml", "alerts_test.yaml", "grafana-dashboard.json"] {
        let text = std::fs::read_to_string(deployed(name)).unwrap();
        let named = named(&text);
        assert!(named.len() > 5, "{name}: {named:?}");
        for metric in named {
            assert!(samples.contains(metric.as_str()), "{name} names {metric}, which an oracle does not have");
        }
    }
    // The dashboard shows everything there is.
    let dashboard = named(&std::fs::read_to_string(deployed("grafana-dashboard.json")).unwrap());
    for sample in samples {
        let part = ["_sum", "_count"].iter().any(|end| sample.ends_with(end));
        assert!(part || dashboard.contains(sample), "the dashboard does not show {sample}");
    }
    for series in [
        "causeway_oracle_criteria{kind=\"device\",criterion=\"D1\",outcome=\"passed\"} 2",
        "causeway_oracle_criteria{kind=\"link\",criterion=\"L2\",outcome=\"failed\"} 0",
        "causeway_oracle_in_set 1",
        "causeway_oracle_balance_lamports 5000000000",
        "causeway_oracle_telemetry_refused_total{code=\"CW-TELEMETRY-UNKNOWN-DEVICE\"} 1",
    ] {
        assert!(page.contains(series), "{series} is not in {page}");
    }
    crate::config::resolve::committed("../docs/oracle.md", |text| {
        crate::config::resolve::part(text, "metrics", &table(&page))
    });
    let url = format!("{}/metrics", rig.oracle.base_url());
    let answer = rig.http.get(url).header("accept", "application/openmetrics-text;version=1.0.0").send().await.unwrap();
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    assert!(answer.text().await.unwrap().ends_with("# EOF\n"));
    rig.oracle.shutdown().await;
}

#[test]
fn alert_rules_are_valid_and_fire_when_they_should() {
    promtool(&["check", "rules", deployed("alerts.yaml").to_str().unwrap()], "");
    promtool(&["test", "rules", deployed("alerts_test.yaml").to_str().unwrap()], "");
}

#[test]
fn every_alert_has_a_test_and_says_on_the_page_what_to_do() {
    let rules = std::fs::read_to_string(deployed("alerts.yaml")).unwrap();
    let tests = std::fs::read_to_string(deployed("alerts_test.yaml")).unwrap();
    let page = std::fs::read_to_string(deployed("../../docs/oracle.md")).unwrap();
    let names: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() >= 12);
    for name in names {
        let fires = format!("alertname: {name}\n        exp_alerts:\n          - exp_labels");
        let rests = format!("alertname: {name}, exp_alerts: []");
        assert!(tests.contains(&fires) && tests.contains(&rests), "{name} is not tested both ways");
        assert!(page.contains(&format!("| `{name}` | ")), "docs/oracle.md does not say what to do at {name}");
    }
}

#[test]
fn the_dashboard_is_whole() {
    let text = std::fs::read_to_string(deployed("grafana-dashboard.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    for panel in panels {
        assert!(!panel["description"].as_str().unwrap().is_empty(), "{}", panel["title"]);
        for target in panel["targets"].as_array().unwrap() {
            // The dashboard's own variables are filled in before Prometheus sees a query.
            let query = target["expr"].as_str().unwrap().replace("$job", "a").replace("$instance", "b");
            let rules = serde_json::json!({"groups": [{"name": "x", "rules": [{"record": "x", "expr": query}]}]});
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), rules.to_string()).unwrap();
            promtool(&["check", "rules", file.path().to_str().unwrap()], "");
        }
    }
}

#[test]
fn the_unit_is_one_that_systemd_takes() {
    let unit = std::fs::read_to_string(deployed("causeway-health-oracle.service")).unwrap();
    let program = "/usr/local/bin/causeway-health-oracle";
    assert!(unit.contains(&format!("ExecStart={program} ")));
    // The program is not installed where the tests run; any that can be executed stands for it.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("causeway-health-oracle.service");
    std::fs::write(&path, unit.replace(program, "/bin/true")).unwrap();
    let output = tool("systemd-analyze", "systemd", &["verify", "--man=no", path.to_str().unwrap()], "");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("causeway"), "{said}");
    for variable in unit.lines().filter_map(|line| line.strip_prefix("Environment=")) {
        let name = variable.split('=').next().unwrap();
        // The allocator's own.
        if name.starts_with("MIMALLOC_") {
            continue;
        }
        assert!(crate::config::options::OPTIONS.iter().any(|spec| spec.env == name), "{name} is no option");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_follows_ledger_and_says_why_not() {
    let rig = rig().await;
    let ready = async || {
        let (status, body) = rig.get("/ready").await;
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        (status, body["code"].as_str().unwrap_or_default().to_owned(), body)
    };
    assert_eq!(ready().await.0, 200);
    let failed = rig.oracle.counters().failed_rounds;
    rig.chain.dead.store(true, Ordering::Relaxed);
    rig.wait("a failed round", |r| r.oracle.counters().failed_rounds > failed).await;
    let (status, code, body) = ready().await;
    assert_eq!((status, code.as_str()), (503, "CW-ORACLE-LEDGER"));
    assert!(body["cause"].as_str().unwrap().ends_with("the ledger could not be read: no answer."), "{body}");
    assert!(!body["remedy"].as_str().unwrap().is_empty());
    let rounds = rig.oracle.counters().rounds;
    rig.chain.dead.store(false, Ordering::Relaxed);
    rig.wait("a round", |r| r.oracle.counters().rounds > rounds).await;
    assert_eq!(ready().await.0, 200);
    let network = rig.chain.snapshot.lock().unwrap().network.take();
    rig.wait("no network", |r| r.oracle.counters().failed_rounds > failed + 2).await;
    for _ in 0..100 {
        if ready().await.1 == "CW-ORACLE-NO-NETWORK" {
            rig.chain.snapshot.lock().unwrap().network = network;
            return rig.oracle.shutdown().await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{:?}", ready().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_type_is_judged_by_its_rules_and_the_evidence_names_them() {
    let key = Arc::new(Keypair::new());
    let chain = FakeChain::new(network_of(&key), &key);
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&key, folder.path());
    // Every tenth probe may be lost of a WAN link, none of anything else.
    let lenient = crate::book::Patch { loss_limit_ppm: Some(100_000), ..Default::default() };
    config.overrides.types.insert(crate::book::Class::Wan, lenient);
    let oracle = Oracle::start_on(config, chain.clone(), Metrics::default()).await.unwrap();
    let rig = Rig { chain, oracle, folder, http: reqwest::Client::new(), key };
    rig.wait("the first round", |r| r.oracle.counters().rounds > 0).await;
    rig.report(1).await;
    rig.wait("service", |r| r.level(Kind::Link, "l-1") == "ready-for-service").await;
    let status: serde_json::Value = serde_json::from_str(&rig.get("/v1/status").await.1).unwrap();
    assert_eq!(status["rules"]["wan"]["loss_limit_ppm"], 100_000);
    assert_eq!(status["rules"]["dzx"]["loss_limit_ppm"], 0);
    for (code, limit) in [("l-1", 100_000), ("d-1", 0)] {
        let mut found = serde_json::Value::Null;
        for _ in 0..100 {
            let answer: serde_json::Value =
                serde_json::from_str(&rig.get(&format!("/v1/subjects/{code}/verdict")).await.1).unwrap();
            let name = answer["attested"]["evidence_sha256"].as_str().unwrap_or("none").to_owned();
            found = serde_json::from_str(&rig.get(&format!("/v1/evidence/{name}")).await.1).unwrap();
            if !found["rules"].is_null() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(found["rules"]["loss_limit_ppm"], limit, "{code}: {found}");
    }
    rig.oracle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_of_the_oracle_reaches_the_webhook_and_its_end_too() {
    let (said, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let take = move |axum::Json(body): axum::Json<serde_json::Value>| async move { drop(said.send(body)) };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let router = axum::Router::new().route("/hook", axum::routing::post(take));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let key = Arc::new(Keypair::new());
    let chain = FakeChain::new(network_of(&key), &key);
    let folder = tempfile::tempdir().unwrap();
    let alerts = crate::alerts::Terms { balance_lamports: u64::MAX, ..Default::default() };
    let config = Config { webhook: Some(url), alerts, ..config(&key, folder.path()) };
    let start = || Oracle::start_on(config.clone(), chain.clone(), Metrics::default());
    let mut next = async || {
        let body: serde_json::Value = timeout(Duration::from_secs(20), heard.recv()).await.unwrap().unwrap();
        body["text"].as_str().unwrap().to_owned()
    };
    let oracle = start().await.unwrap();
    // Everything is in service and nothing reports: three subjects fall silent, and the key is "low".
    let mut texts = BTreeSet::new();
    for _ in 0..4 {
        texts.insert(next().await);
    }
    for expected in
        ["device d-1 is not observed", "device d-2 is", "link l-1 is", "the oracle's key is low on lamports"]
    {
        assert!(texts.iter().any(|text| text.contains(expected)), "{expected}: {texts:#?}");
    }
    chain.dead.store(true, Ordering::Relaxed);
    let text = next().await;
    assert!(text.starts_with("oracle: rounds fail, nothing is attested, since "), "{text}");
    assert!(text.ends_with("the ledger could not be read: no answer"), "{text}");
    // After a restart nothing is said again; the next word is of what changed.
    oracle.shutdown().await;
    let oracle = start().await.unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    chain.dead.store(false, Ordering::Relaxed);
    assert!(next().await.starts_with("oracle: rounds are complete again, it had been so since "));
    oracle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cant_be_read_or_written_is_named_and_heals() {
    let key = Arc::new(Keypair::new());
    let chain = FakeChain::new(network_of(&key), &key);
    let folder = tempfile::tempdir().unwrap();
    let config = config(&key, folder.path());
    let oracle = Oracle::start_on(config, chain.clone(), Metrics::default()).await.unwrap();
    let rig = Rig { chain, oracle, folder, http: reqwest::Client::new(), key };
    rig.wait("words", |r| !r.chain.attested().is_empty()).await;
    let concerns = || {
        let text = std::fs::read_to_string(rig.folder.path().join("alerts.json")).unwrap_or_default();
        let out: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        out["concerns"].as_object().map(|c| c.keys().cloned().collect::<Vec<_>>()).unwrap_or_default()
    };
    // What is to be attested changes, and its evidence can't be kept.
    let evidence = rusqlite::Connection::open(rig.folder.path().join("evidence.sqlite")).unwrap();
    evidence.busy_timeout(Duration::from_secs(5)).unwrap();
    evidence.execute_batch("ALTER TABLE batch RENAME TO gone").unwrap();
    rig.report(0).await;
    rig.wait("evidence that is not kept", |_| concerns() == ["evidence"]).await;
    let said = rig.chain.attested().len();
    assert_eq!(rig.get("/ready").await.0, 200, "it can be read what there is; the words are missing");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(rig.chain.attested().len(), said, "no word without evidence");
    evidence.execute_batch("ALTER TABLE gone RENAME TO batch").unwrap();
    rig.wait("words again", |r| r.chain.attested().len() > said && concerns().is_empty()).await;

    let telemetry = rusqlite::Connection::open(rig.folder.path().join("telemetry.sqlite")).unwrap();
    telemetry.execute_batch("DROP TABLE probe_sample").unwrap();
    let failed = rig.oracle.counters().failed_rounds;
    rig.wait("three failed rounds", |r| r.oracle.counters().failed_rounds > failed + 3).await;
    let (status, why) = rig.get("/ready").await;
    assert!(
        status == 503 && why.contains("\"code\":\"CW-ORACLE-STORE\"") && why.contains("store could not be read: "),
        "{why}"
    );
    rig.wait("the alert", |_| concerns() == ["rounds"]).await;
    rig.oracle.shutdown().await;
}
