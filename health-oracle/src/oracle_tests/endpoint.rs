//! What an oracle refuses, and what it tells people.

use std::time::Duration;

use causeway_wire::telemetry::{Batch, SessionSample, SystemSample};
use tokio::{net::TcpListener, time::timeout};

use super::scene::*;
use crate::{
    Config, Oracle, Rules, StartError,
    alerts::{AlertKind, webhook::Webhook},
    metrics::Metrics,
    time,
};

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_code_cause_and_remedy_also_after_a_restart() {
    let rig = rig().await;
    let now = time::now_ms();
    let batch = Rig::batch(1, now, now - 100, now, 0);
    assert_eq!(rig.post(&batch, 1).await.status(), 202);
    let cases = [
        (rig.post(&batch, 1).await, 409, "CW-TELEMETRY-REPLAY"),
        (rig.post(&Rig::batch(1, now + 1, now, now, 0), 2).await, 401, "CW-TELEMETRY-BAD-SIGNATURE"),
        (rig.post(&Rig::batch(9, now + 1, now, now, 0), 1).await, 404, "CW-TELEMETRY-UNKNOWN-DEVICE"),
        (rig.post(&Rig::batch(1, now + 1, now, now + 90_000, 0), 1).await, 422, "CW-TELEMETRY-AHEAD"),
    ];
    for (response, status, code) in cases {
        assert_eq!(response.status(), status, "{code}");
        let body: serde_json::Value = response.json().await.unwrap();
        assert_eq!(body["code"], code);
        assert!(body["cause"].as_str().is_some_and(|c| !c.is_empty()) && body["remedy"].is_string(), "{body}");
    }
    let huge = rig.http.post(rig.oracle.telemetry_url()).body(vec![0; 5 * 1024 * 1024]).send().await;
    // The server may close the connection before all of it is sent.
    assert!(huge.is_err() || huge.unwrap().status() == 413);

    let Rig { chain, oracle, folder, http, key } = rig;
    oracle.shutdown().await;
    let oracle = Oracle::start_on(config(&key, folder.path()), chain.clone(), Metrics::default()).await.unwrap();
    let rig = Rig { chain, oracle, folder, http, key };
    rig.wait("the first round", |r| r.oracle.counters().rounds > 0).await;
    assert_eq!(rig.post(&batch, 1).await.status(), 409, "a replay after a restart");
    rig.oracle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_devices_say_of_sessions_and_processors_is_shown() {
    let rig = rig().await;
    let now = time::now_ms();
    let session = |last, established| SessionSample {
        at_unix_ms: now,
        peer: vec![198, 18, 0, last],
        established,
        prefixes_received: established.then_some(4),
    };
    let told = Batch {
        sessions: vec![session(1, true), session(2, false), SessionSample { peer: vec![1], ..session(3, true) }],
        systems: vec![SystemSample { at_unix_ms: now, cpu_busy_permille: Some(853) }],
        ..Rig::batch(1, now, now - 100, now, 0)
    };
    assert_eq!(rig.post(&told, 1).await.status(), 202);
    let ahead = SystemSample { at_unix_ms: now + 90_000, cpu_busy_permille: Some(1) };
    let ahead = Batch { systems: vec![ahead], ..Rig::batch(1, now + 1, now, now, 0) };
    assert_eq!(rig.post(&ahead, 1).await.status(), 422);
    let json = async |path: &str| {
        let (status, body) = rig.get(path).await;
        (status, serde_json::from_str::<serde_json::Value>(&body).unwrap())
    };
    let expected = serde_json::json!({
        "device": "d-1",
        "sessions": [
            {"peer": "198.18.0.1", "at_ms": now, "established": true, "prefixes_received": 4},
            {"peer": "198.18.0.2", "at_ms": now, "established": false, "prefixes_received": null},
        ],
        "system": {"at_ms": now, "cpu_busy_permille": 853},
    });
    assert_eq!(json("/v1/devices/d-1/vitals").await, (200, expected));
    // A device that tells of its interfaces alone, as an agent of before.
    assert_eq!(rig.post(&Rig::batch(2, now, now - 100, now, 0), 2).await.status(), 202);
    let nothing = serde_json::json!({"device": "d-2", "sessions": [], "system": null});
    assert_eq!(json("/v1/devices/d-2/vitals").await, (200, nothing));
    for code in ["d-9", "no%20code"] {
        let (status, body) = json(&format!("/v1/devices/{code}/vitals")).await;
        assert_eq!((status, body["code"].as_str()), (404, Some("CW-ORACLE-UNKNOWN-SUBJECT")), "{code}");
    }
    let rounds = rig.oracle.counters().rounds;
    rig.wait("two rounds", |r| r.oracle.counters().rounds > rounds + 1).await;
    let page = rig.get("/metrics").await.1;
    for series in [
        "causeway_oracle_telemetry_ignored_samples_total 1",
        "causeway_oracle_bgp_sessions{state=\"established\"} 1",
        "causeway_oracle_bgp_sessions{state=\"down\"} 1",
        "causeway_oracle_devices_by_cpu{busy_percent=\"80-100\"} 1",
        "causeway_oracle_devices_by_cpu{busy_percent=\"0-50\"} 0",
    ] {
        assert!(page.lines().any(|line| line == series), "{series} is not in {page}");
    }
    rig.oracle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_and_wrong_rules_are_errors() {
    let rig = rig().await;
    let folder = tempfile::tempdir().unwrap();
    let taken = Config { http_addr: rig.oracle.http_addr(), ..config(&rig.key, folder.path()) };
    let error = Oracle::start_on(taken, rig.chain.clone(), Metrics::default()).await.unwrap_err();
    assert!(matches!(error, StartError::Listen { .. }), "{error}");
    let lenient = Rules { min_buckets: 0, ..rules() };
    let wrong = Config { rules: lenient, ..config(&rig.key, folder.path()) };
    assert!(matches!(
        Oracle::start_on(wrong, rig.chain.clone(), Metrics::default()).await.unwrap_err(),
        StartError::Rules(_)
    ));
    rig.oracle.shutdown().await;
}

#[tokio::test]
async fn alerts_reach_the_webhook() {
    let (said, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let take = move |axum::Json(body): axum::Json<serde_json::Value>| async move { drop(said.send(body)) };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let router = axum::Router::new().route("/hook", axum::routing::post(take));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let metrics = Metrics::default();
    let (webhook, _) = Webhook::start(url, "o".into(), metrics.clone());
    let headline = "l-1 is impaired".into();
    webhook.send(crate::alerts::Alert { kind: AlertKind::Impaired, headline, details: vec![], since_ms: 0 });
    let body = timeout(Duration::from_secs(10), heard.recv()).await.unwrap().unwrap();
    assert_eq!(body["text"], "o: l-1 is impaired, since 1970-01-01 00:00:00 UTC");
}
