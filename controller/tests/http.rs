//! The form of answers: ETags, gzip, limits, and that everything that is refused is refused in the same form.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::{
    io::Read,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::http::HeaderMap;
use causeway_controller::{
    codes,
    daemon::Config,
    http::{self, description, whole::Whole},
    shared::Shared,
    store::Store,
};
use causeway_sdk::snapshot::Snapshot;
use causeway_wire::controller::{ApplyReport, ApplyResult, GetConfigRequest, config_client::ConfigClient};
use common::{PATIENCE, Running, agent_key, config, elsewhere::Elsewhere, open, with_token};
use flate2::read::GzDecoder;
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use tonic::codec::CompressionEncoding;

/// What is committed as the API's description is what this code serves; UPDATE=1 writes it, as `cargo xtask docs` does.
#[test]
fn the_committed_description_is_of_this_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/api/controller.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        return std::fs::write(&path, description()).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == description(), "docs/api/controller.json is not of this code: run `cargo xtask docs`");
}

/// Every answer that is described names a schema that is described, and every refusal is an `ErrorBody`.
#[test]
fn the_description_is_whole() {
    let api: Value = serde_json::from_str(&description()).unwrap();
    let schemas = api["components"]["schemas"].as_object().unwrap();
    let text = description();
    for (at, _) in text.match_indices("#/components/schemas/") {
        let name: String = text[at + 21..].chars().take_while(char::is_ascii_alphanumeric).collect();
        assert!(schemas.contains_key(&name), "{name} is not described");
    }
    for (path, methods) in api["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(
                operation["description"].as_str().is_some_and(|d| !d.is_empty()) || operation["summary"].is_string()
            );
            for (status, answer) in operation["responses"].as_object().unwrap() {
                if status.starts_with(['4', '5']) {
                    let body = &answer["content"]["application/json"]["schema"]["$ref"];
                    assert_eq!(body, "#/components/schemas/ErrorBody", "{method} {path} {status}");
                }
            }
        }
    }
}

#[tokio::test]
async fn what_a_caller_has_is_not_sent_again_and_what_is_large_is_compressed() {
    let mut running = Running::start(config()).await;
    let base = format!("http://{}", running.handle.http_addr);
    // One that decodes nothing by itself, whatever it was built with.
    let client = Client::builder().no_gzip().no_brotli().no_zstd().no_deflate().build().unwrap();
    for path in [
        "/api/v1/network",
        "/api/v1/devices",
        "/api/v1/devices/ams",
        "/api/v1/devices/ams/interfaces",
        "/api/v1/devices/ams/config",
        "/api/v1/devices/ams/config/diff",
        "/api/v1/devices/ams/reports",
        "/api/v1/links",
        "/api/v1/links/ams-fra",
        "/api/v1/topology",
        "/api/v1/openapi.json",
        "/",
        "/app.js",
    ] {
        let url = format!("{base}{path}");
        let plain = client.get(&url).send().await.unwrap();
        assert_eq!(plain.status(), StatusCode::OK, "{path}");
        assert!(!plain.headers().contains_key("content-encoding"));
        let etag = plain.headers()["etag"].clone();
        let body = plain.bytes().await.unwrap();
        let packed = client.get(&url).header("accept-encoding", "br, gzip;q=0.8").send().await.unwrap();
        assert_eq!(packed.headers()["etag"], etag, "{path}");
        if body.len() < 1_024 {
            assert!(!packed.headers().contains_key("content-encoding"), "{path}: {} bytes", body.len());
        } else {
            assert_eq!(packed.headers()["content-encoding"], "gzip", "{path}");
            let packed = packed.bytes().await.unwrap();
            assert!(packed.len() < body.len() / 2, "{path}: {} of {}", packed.len(), body.len());
            let mut unpacked = Vec::new();
            GzDecoder::new(packed.as_ref()).read_to_end(&mut unpacked).unwrap();
            assert_eq!(unpacked, body, "{path}");
        }
        let again =
            client.get(&url).header("if-none-match", &etag).header("accept-encoding", "gzip").send().await.unwrap();
        assert_eq!((again.status(), &again.headers()["etag"]), (StatusCode::NOT_MODIFIED, &etag), "{path}");
        assert_eq!(again.bytes().await.unwrap().len(), 0);
    }
    // The text and the JSON of one configuration are not taken for each other.
    let url = format!("{base}/api/v1/devices/ams/config");
    let json = client.get(&url).send().await.unwrap().headers()["etag"].clone();
    let text = client.get(&url).header("accept", "text/plain").header("if-none-match", &json).send().await.unwrap();
    assert_eq!(text.status(), StatusCode::OK);
    running.ledger.link_mut("ams-fra").header.status = causeway_interface::LinkStatus::HardDrained;
    running.publish().await;
    let changed = client.get(&url).header("if-none-match", &json).send().await.unwrap();
    assert_eq!(changed.status(), StatusCode::OK);
    running.handle.shutdown().await;
}

#[tokio::test]
async fn every_refusal_is_json_with_a_code_that_has_a_page() {
    let running = Running::start(config()).await;
    let base = format!("http://{}", running.handle.http_addr);
    let client = Client::new();
    let long = format!("{{\"sha256\":\"{}\"}}", "0".repeat(20_000));
    let approve = "/api/v1/devices/ams/config/approve";
    for (method, path, body, expected) in [
        (Method::GET, "/nothing", "", (404, "PATH-UNKNOWN")),
        (Method::DELETE, "/api/v1/devices", "", (405, "METHOD-UNKNOWN")),
        (Method::GET, approve, "", (405, "METHOD-UNKNOWN")),
        (Method::GET, "/api/v1/devices/nowhere", "", (404, "DEVICE-UNKNOWN")),
        (Method::GET, "/api/v1/devices/%FF", "", (400, "REQUEST-INVALID")),
        (Method::GET, "/api/v1/links/nowhere", "", (404, "LINK-UNKNOWN")),
        (Method::GET, "/api/v1/devices/ams/config?generation=x", "", (400, "REQUEST-INVALID")),
        (Method::GET, "/api/v1/devices/ams/config?generatoin=1", "", (400, "REQUEST-INVALID")),
        (Method::GET, "/api/v1/devices/ams/config?family=ios", "", (400, "REQUEST-INVALID")),
        (Method::GET, "/api/v1/devices/ams/config?generation=1", "", (404, "GENERATION-UNKNOWN")),
        (Method::GET, "/api/v1/devices/ams/config/held", "", (409, "NOTHING-HELD")),
        (Method::GET, "/api/v1/events?after=x", "", (400, "REQUEST-INVALID")),
        (Method::POST, approve, "{", (400, "REQUEST-INVALID")),
        (Method::POST, approve, "{\"sha256\":\"00\",\"x\":1}", (422, "REQUEST-INVALID")),
        (Method::POST, approve, long.as_str(), (413, "BODY-TOO-LARGE")),
    ] {
        let request = client.request(method, format!("{base}{path}")).header("content-type", "application/json");
        let response = request.body(body.to_owned()).send().await.unwrap();
        let status = response.status().as_u16();
        let body: Value = response.json().await.unwrap_or_else(|e| panic!("{path}: {e}"));
        let code = body["code"].as_str().unwrap();
        assert_eq!((status, code), (expected.0, format!("CW-CONTROLLER-{}", expected.1).as_str()), "{path}");
        assert!(!body["cause"].as_str().unwrap().is_empty() && !body["remedy"].as_str().unwrap().is_empty());
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../docs/errors/{}.md", code.to_lowercase()));
        assert!(page.exists(), "{code} has no page");
    }
    let typeless = client.post(format!("{base}{approve}")).body("{}").send().await.unwrap();
    assert_eq!(typeless.status().as_u16(), 415);
    assert_eq!(typeless.json::<Value>().await.unwrap()["code"], codes::REQUEST_INVALID.code);
    running.handle.shutdown().await;
}

/// Its words and its difference hold what the device ran.
#[tokio::test]
async fn what_an_agent_reported_is_for_the_operator_and_written_down() {
    const TOKEN: &str = "a-token-of-the-operator";
    let running = Running::start(Config { operator_token: Some(TOKEN.to_owned()), ..config() }).await;
    let mut agent = running.client().await;
    let token = open(&mut agent, "ams", &agent_key(1)).await.unwrap();
    let report = ApplyReport {
        device: "ams".into(),
        generation: running.generation("ams"),
        sha256: vec![1; 32],
        result: ApplyResult::Reverted.into(),
        error_code: "running-differs".into(),
        message: "the router has a line of its own".into(),
        diff: "- snmp-server community of-its-own".into(),
        ..ApplyReport::default()
    };
    agent.report(with_token(&token, report)).await.unwrap();
    let (client, base) = (Client::new(), format!("http://{}", running.handle.http_addr));
    let reports = client.get(format!("{base}/api/v1/devices/ams/reports"));
    let refused = reports.try_clone().unwrap().send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let body: Value = refused.json().await.unwrap();
    assert_eq!(body["code"], codes::NOT_OPERATOR.code);
    let told: Value = reports.bearer_auth(TOKEN).send().await.unwrap().json().await.unwrap();
    assert_eq!(told[0]["diff"], "- snmp-server community of-its-own");
    // Nothing else says it to anybody.
    for path in ["/api/v1/devices", "/api/v1/devices/ams", "/api/v1/network", "/api/v1/topology"] {
        let text = client.get(format!("{base}{path}")).send().await.unwrap().text().await.unwrap();
        assert!(!text.contains("of-its-own") && !text.contains("line of its own"), "{path}: {text}");
    }
    let audit = client.get(format!("{base}/api/v1/audit?subject=ams")).bearer_auth(TOKEN).send().await.unwrap();
    assert!(audit.text().await.unwrap().contains("config.reports"));
    running.handle.shutdown().await;
}

/// Texts are made and compared by turns, and what needs none is answered meanwhile.
#[tokio::test]
async fn what_takes_a_while_waits_its_turn_and_not_for_ever() {
    let running = Running::start(config()).await;
    let (client, base) = (Client::new(), format!("http://{}", running.handle.http_addr));
    let get = async |path: &str| client.get(format!("{base}{path}")).send().await.unwrap();
    let shared = running.handle.shared();
    let mut turns = Vec::new();
    while let Some(turn) = shared.aside.turn().await {
        turns.push(turn);
    }
    let paths = ["config", "config?family=eos", "config/diff", "config/held"];
    let answers = paths.map(|path| async move { get(&format!("/api/v1/devices/ams/{path}")).await });
    for (path, response) in paths.into_iter().zip(futures::future::join_all(answers).await) {
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(response.headers()["retry-after"], "5");
        assert_eq!(response.json::<Value>().await.unwrap()["code"], codes::BUSY.code);
    }
    for path in ["/api/v1/topology", "/api/v1/devices", "/api/v1/links", "/api/v1/devices/ams", "/ready"] {
        assert_eq!(get(path).await.status(), StatusCode::OK, "{path}");
    }
    turns.clear();
    assert_eq!(get("/api/v1/devices/ams/config?family=eos").await.status(), StatusCode::OK);
    running.handle.shutdown().await;
}

/// What everybody asks for is made once, whoever goes away; a change is in it at once, and polls are in a second.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_answer_is_made_once_for_all_until_something_changes() {
    let mut running = Running::start(config()).await;
    let whole = Arc::new(Whole::default());
    let made = Arc::new(AtomicUsize::new(0));
    let ask = |shared: &Arc<Shared>| {
        let (whole, shared, made) = (Arc::clone(&whole), Arc::clone(shared), Arc::clone(&made));
        tokio::spawn(async move {
            let view = move |_: &Store, snapshot: &Snapshot| {
                made.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(50));
                snapshot.slot
            };
            let response = whole.answer(&shared, &HeaderMap::new(), view).await.unwrap();
            let body = axum::body::to_bytes(response.into_body(), 1_024).await.unwrap();
            String::from_utf8_lossy(&body).parse::<u64>().unwrap()
        })
    };
    let began = Instant::now();
    let asked: Vec<_> = (0..100).map(|_| ask(running.handle.shared())).collect();
    for (n, asked) in asked.into_iter().enumerate() {
        if n % 2 == 0 {
            asked.abort();
        } else {
            assert_eq!(asked.await.unwrap(), running.ledger.snapshot.slot);
        }
    }
    // Once a second at most.
    let most = 1 + usize::try_from(began.elapsed().as_secs()).unwrap();
    assert!(made.load(Ordering::SeqCst) <= most, "{made:?} times in {:?}", began.elapsed());
    running.publish().await;
    assert_eq!(ask(running.handle.shared()).await.unwrap(), running.ledger.snapshot.slot);

    let url = format!("http://{}/api/v1/devices", running.handle.http_addr);
    let polled = async || reqwest::get(&url).await.unwrap().json::<Value>().await.unwrap()[0]["config"].clone();
    assert!(polled().await["polled_unix_ms"].is_null());
    let mut agent = running.client().await;
    let token = open(&mut agent, "ams", &agent_key(1)).await.unwrap();
    agent.get_config(with_token(&token, GetConfigRequest::default())).await.unwrap();
    let seen = async {
        while polled().await["polled_unix_ms"].is_null() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.expect("a poll is in it after a second");
    running.handle.shutdown().await;
}

/// An address that asks without end is told to come back; its neighbour, the operator and this machine are not.
#[tokio::test]
async fn an_address_is_slowed_and_nobody_else() {
    const TOKEN: &str = "a-token-of-the-operator";
    let running = Running::start(Config { operator_token: Some(TOKEN.to_owned()), ..config() }).await;
    let shared = Arc::clone(running.handle.shared());
    let listener = Elsewhere::bind(["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"]).await;
    let base = format!("http://{}", listener.address);
    let (_stop, stopping) = tokio::sync::watch::channel(false);
    let app = http::router(Arc::clone(&shared));
    tokio::spawn(causeway_connections::serve(listener, app, http::serve::BOUNDS, || {}, stopping));
    let [first, second, other] = [(); 3].map(|()| Client::new());
    // Each has its address from its first call on.
    for client in [&first, &second, &other] {
        assert_eq!(client.get(format!("{base}/live")).send().await.unwrap().status(), StatusCode::OK);
    }
    let slowed = async {
        loop {
            while shared.within_caller_rate("2001:db8::ffff".parse().unwrap()) {}
            let response = second.get(format!("{base}/api/v1/topology")).send().await.unwrap();
            if response.status() == StatusCode::TOO_MANY_REQUESTS {
                return response;
            }
        }
    };
    let slowed = tokio::time::timeout(PATIENCE, slowed).await.expect("an address has a bound");
    assert_eq!(slowed.headers()["retry-after"], "1");
    assert_eq!(slowed.json::<Value>().await.unwrap()["code"], codes::ASKED_TOO_OFTEN.code);
    for _ in 0..20 {
        while shared.within_caller_rate("2001:db8::ffff".parse().unwrap()) {}
        let operator = first.get(format!("{base}/api/v1/topology")).bearer_auth(TOKEN).send().await.unwrap();
        assert_eq!(operator.status(), StatusCode::OK);
        assert_eq!(other.get(format!("{base}/live")).send().await.unwrap().status(), StatusCode::OK);
        assert!(shared.within_caller_rate([127, 0, 0, 1].into()));
    }
    running.handle.shutdown().await;
}

/// A text is compressed for an agent that takes it, and arrives whole either way.
#[tokio::test]
async fn an_agents_text_is_compressed_where_it_takes_that() {
    let running = Running::start(config()).await;
    let mut plain = running.client().await;
    let token = open(&mut plain, "ams", &agent_key(1)).await.unwrap();
    let mut packed: ConfigClient<_> = running.client().await.accept_compressed(CompressionEncoding::Gzip);
    let whole = plain.get_config(with_token(&token, GetConfigRequest::default())).await.unwrap();
    assert!(!whole.metadata().contains_key("grpc-encoding"));
    let short = packed.get_config(with_token(&token, GetConfigRequest::default())).await.unwrap();
    assert_eq!(short.metadata().get("grpc-encoding").unwrap(), "gzip");
    assert_eq!(short.get_ref(), whole.get_ref());
    running.handle.shutdown().await;
}
