//! HTTP with a real client: what people and scripts see.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::collections::BTreeSet;

use causeway_controller::{
    daemon::{Config, Controller, StartError},
    shared::EVENT_STREAMS,
};
use causeway_interface::{DeviceStatus, LinkStatus};
use common::{PATIENCE, Running, config};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;

struct Caller {
    base: String,
    client: Client,
}

impl Caller {
    fn of(running: &Running) -> Self {
        Self { base: format!("http://{}", running.handle.http_addr), client: Client::new() }
    }

    async fn get(&self, path: &str) -> Response {
        self.client.get(format!("{}{path}", self.base)).send().await.unwrap()
    }

    async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.json().await.unwrap()
    }

    async fn error(&self, path: &str) -> (u16, String) {
        let response = self.get(path).await;
        let status = response.status().as_u16();
        let body: Value = response.json().await.unwrap();
        assert!(!body["cause"].as_str().unwrap().is_empty() && !body["remedy"].as_str().unwrap().is_empty());
        (status, body["code"].as_str().unwrap().into())
    }
}

#[tokio::test]
async fn every_question_of_the_description_has_its_answer() {
    let mut running = Running::start(config()).await;
    let http = Caller::of(&running);
    let generation = running.generation("ams");
    let api = http.json("/api/v1/openapi.json").await;
    let paths: BTreeSet<_> = api["paths"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(paths.len(), 49);
    for path in &paths {
        // What takes more than a question has tests of its own.
        let own = ["approv", "held", "running", "drift", "events", "provision", "jobs", "rollouts"];
        if own.iter().any(|part| path.contains(part)) {
            continue;
        }
        let code = if path.starts_with("/api/v1/links") { "ams-fra" } else { "ams" };
        let response = http.get(&path.replace("{code}", code)).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
    }
    assert_eq!(http.json("/api/v1/network").await["devices_activated"], 4);
    let device = http.json("/api/v1/devices/ams").await;
    assert_eq!(device["config"]["generation"], generation);
    assert_eq!(device["config"]["state"], "never");
    assert_eq!(device["coordinates"]["lat"], 40.71427);
    assert_eq!(http.json("/api/v1/links/ams-fra").await["metric"], 4_000);
    let topology = http.json("/api/v1/topology").await;
    assert_eq!((topology["devices"].as_array().unwrap().len(), topology["links"].as_array().unwrap().len()), (4, 5));

    running.ledger.link_mut("ams-fra").header.status = LinkStatus::SoftDrained;
    running.publish().await;
    let diff = http.get("/api/v1/devices/ams/config/diff").await.text().await.unwrap();
    assert!(diff.contains("+ isis metric 1000000"), "{diff}");
    let now = running.generation("ams");
    let back = http.get(&format!("/api/v1/devices/ams/config/diff?from={now}&to={generation}")).await;
    assert!(back.text().await.unwrap().contains("- isis metric 1000000"));
    let old = http.json(&format!("/api/v1/devices/ams/config?generation={generation}")).await;
    assert_eq!(old["generations"], json!([generation, now]));
    assert!(old["text"].as_str().unwrap().contains("isis metric 4000"));
    let eos = http.json("/api/v1/devices/ams/config?family=eos").await;
    assert_eq!((eos["family"].as_str(), eos["generation"].is_null()), (Some("eos"), true));
    running.handle.shutdown().await;
}

#[tokio::test]
async fn a_configuration_is_sent_once_per_etag_and_as_text_where_asked() {
    let running = Running::start(config()).await;
    let http = Caller::of(&running);
    let url = format!("{}/api/v1/devices/ams/config", http.base);
    let first = http.client.get(&url).header("accept", "text/plain").send().await.unwrap();
    let etag = first.headers()["etag"].clone();
    let generation = running.generation("ams").to_string();
    assert_eq!(first.headers()["causeway-generation"], generation.as_str());
    let bundle = running.handle.bundle(&"ams".parse().unwrap()).unwrap();
    assert_eq!(first.text().await.unwrap(), bundle.text.to_string());
    let again = http.client.get(&url).header("accept", "text/plain").header("if-none-match", etag);
    let again = again.send().await.unwrap();
    assert_eq!((again.status(), again.text().await.unwrap().len()), (StatusCode::NOT_MODIFIED, 0));
    running.handle.shutdown().await;
}

#[tokio::test]
async fn a_wrong_question_is_told_what_is_wrong() {
    let running = Running::start(config()).await;
    let http = Caller::of(&running);
    for (path, expected) in [
        ("/api/v1/devices/nowhere", (404, "CW-CONTROLLER-DEVICE-UNKNOWN")),
        ("/api/v1/devices/%0A/config", (404, "CW-CONTROLLER-DEVICE-UNKNOWN")),
        ("/api/v1/links/nowhere", (404, "CW-CONTROLLER-LINK-UNKNOWN")),
        ("/api/v1/devices/ams/config?generation=1", (404, "CW-CONTROLLER-GENERATION-UNKNOWN")),
        ("/api/v1/devices/ams/config?family=ios", (400, "CW-CONTROLLER-REQUEST-INVALID")),
        ("/nothing", (404, "CW-CONTROLLER-PATH-UNKNOWN")),
    ] {
        let (status, code) = http.error(path).await;
        assert_eq!((status, code.as_str()), expected, "{path}");
    }
    running.handle.shutdown().await;
}

#[tokio::test]
async fn a_held_configuration_is_approved_by_the_operator_only() {
    let token = "a-token-of-the-operator";
    let mut running = Running::start(Config { operator_token: Some(token.into()), ..config() }).await;
    let http = Caller::of(&running);
    for name in ["fra", "lon", "par"] {
        running.ledger.device_mut(name).header.status = DeviceStatus::Suspended;
    }
    running.publish().await;
    let held = http.json("/api/v1/devices/ams").await["config"]["held"].clone();
    assert_eq!((&held["removed_peers"], &held["of_peers"]), (&json!(3), &json!(3)));
    let waits = http.json("/api/v1/devices/ams/config/held").await;
    assert_eq!(waits["sha256"], held["sha256"]);
    assert!(waits["diff"].as_str().unwrap().contains("+++ generation held\n"), "{waits}");
    let url = format!("{}/api/v1/devices/ams/config/approve", http.base);
    let body = json!({ "sha256": held["sha256"] });
    for (given, body, expected) in [
        (None, &body, 401),
        (Some("another-token-entirely"), &body, 401),
        (Some(token), &json!({ "sha256": "00" }), 400),
        (Some(token), &json!({}), 422),
        (Some(token), &json!({ "sha256": "00".repeat(32) }), 409),
        (Some(token), &body, 200),
        (Some(token), &body, 409),
    ] {
        let mut request = http.client.post(&url).json(body);
        if let Some(given) = given {
            request = request.bearer_auth(given);
        }
        assert_eq!(request.send().await.unwrap().status().as_u16(), expected, "{given:?} {body}");
    }
    assert_eq!(running.generation("ams"), running.ledger.snapshot.slot);
    running.handle.shutdown().await;
}

#[tokio::test]
async fn without_a_token_this_machine_approves_but_no_page_of_another_site() {
    let running = Running::start(config()).await;
    let http = Caller::of(&running);
    let url = format!("{}/api/v1/devices/ams/config/approve", http.base);
    let post = |origin: Option<String>| {
        let request = http.client.post(&url).json(&json!({ "sha256": "00".repeat(32) }));
        match origin {
            Some(origin) => request.header("origin", origin),
            None => request,
        }
    };
    assert_eq!(post(None).send().await.unwrap().status(), StatusCode::CONFLICT);
    assert_eq!(post(Some(http.base.clone())).send().await.unwrap().status(), StatusCode::CONFLICT);
    let foreign = post(Some("https://example.net".into())).send().await.unwrap();
    assert_eq!(foreign.status(), StatusCode::UNAUTHORIZED);
    // A page whose name was made to resolve to this machine is of the same origin as what it calls.
    let name = format!("rebound.example:{}", running.handle.http_addr.port());
    let rebound = post(Some(format!("http://{name}"))).header("host", &name).send().await.unwrap();
    assert_eq!(rebound.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(post(None).header("host", &name).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    for (header, value) in [("forwarded", "for=192.0.2.1"), ("x-forwarded-for", "192.0.2.1")] {
        let proxied = post(None).header(header, value).send().await.unwrap();
        assert_eq!(proxied.status(), StatusCode::UNAUTHORIZED, "{header}");
    }
    running.handle.shutdown().await;
}

/// Reads the stream until `enough` holds of what came.
async fn read(mut response: Response, enough: impl Fn(&str) -> bool) -> String {
    let mut text = String::new();
    let reading = async {
        while !enough(&text) {
            let chunk = response.chunk().await.unwrap().expect("the stream goes on");
            text.push_str(&String::from_utf8_lossy(&chunk));
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("the events come in time");
    text
}

#[tokio::test]
async fn events_stream_live_and_resume_by_id() {
    let mut running = Running::start(config()).await;
    let http = Caller::of(&running);
    let live = http.get("/api/v1/events").await;
    running.ledger.link_mut("ams-fra").header.status = LinkStatus::SoftDrained;
    running.publish().await;
    let text = read(live, |t| t.contains("link-status") && t.matches("config-changed").count() >= 4).await;
    let first: u64 = text.split("id: ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
    let again = http.client.get(format!("{}/api/v1/events", http.base));
    let again = again.header("last-event-id", first.to_string()).send().await.unwrap();
    let rest = read(again, |t| t.contains("link-status")).await;
    assert!(!rest.contains(&format!("id: {first}\n")) && !rest.contains("event: lost"));
    let lost = http.get("/api/v1/events?after=3").await;
    read(lost, |t| t.contains("event: lost") && t.contains("link-status")).await;
    running.handle.shutdown().await;
}

#[tokio::test]
async fn streams_of_events_are_bounded_and_a_closed_one_makes_room() {
    let running = Running::start(config()).await;
    let http = Caller::of(&running);
    let here = std::net::IpAddr::from([127, 0, 0, 1]);
    let _others: Vec<_> = (1..EVENT_STREAMS).map(|_| running.handle.shared().event_stream(here).unwrap()).collect();
    let last = http.get("/api/v1/events").await;
    assert_eq!(last.status(), StatusCode::OK);
    assert_eq!(http.error("/api/v1/events").await, (503, "CW-CONTROLLER-STREAMS-FULL".into()));
    drop(last);
    let again = async {
        while http.get("/api/v1/events").await.status() != StatusCode::OK {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("a closed stream makes room");
    running.handle.shutdown().await;
}

#[tokio::test]
async fn it_is_live_before_the_ledger_was_read_and_ready_after() {
    let (sender, receiver) = watch::channel(None);
    let handle = Controller::start_from(config(), receiver).await.unwrap();
    let base = format!("http://{}", handle.http_addr);
    let status = async |path: &str| reqwest::get(format!("{base}{path}")).await.unwrap().status().as_u16();
    assert_eq!((status("/live").await, status("/ready").await), (200, 503));
    assert_eq!(status("/api/v1/network").await, 503);
    drop(sender);
    handle.shutdown().await;

    let running = Running::start(config()).await;
    let http = Caller::of(&running);
    assert_eq!(http.get("/ready").await.status(), StatusCode::OK);
    let metrics = http.get("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("causeway_controller_devices{state=\"never\"} 4"), "{metrics}");
    assert!(metrics.contains("causeway_controller_generation{device=\"ams\"}"));
    let page = http.get("/").await;
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("script-src 'self'"));
    assert!(page.text().await.unwrap().contains("app.js"));
    running.handle.shutdown().await;
}

#[tokio::test]
async fn it_does_not_start_on_a_port_in_use_or_in_plain_beyond_this_machine() {
    let running = Running::start(config()).await;
    let (_sender, receiver) = watch::channel(None);
    let taken = Config { http_addr: running.handle.http_addr, ..config() };
    let error = Controller::start_from(taken, receiver.clone()).await.err().unwrap();
    assert_eq!(error.to_string(), format!("HTTP can't listen on {}", running.handle.http_addr));
    let open = Config { grpc_addr: "0.0.0.0:0".parse().unwrap(), ..config() };
    let error = Controller::start_from(open, receiver).await.err().unwrap();
    assert!(matches!(error, StartError::Plain { what: "gRPC", .. }));
    running.handle.shutdown().await;
}
