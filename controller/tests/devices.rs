//! The device API with a real client: what may follow for a device, what its contributor has to sign, jobs, and who asked.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use causeway_controller::{
    audit::{Chain, Entry},
    daemon::Config,
    services::{Doing, Node, NotStarted, NotStartedKind, Provision, Recent, Start},
    testing::PROGRAM_ID,
};
use causeway_interface::{DeviceStatus, Key, RegistryStatus};
use causeway_sdk::{
    LedgerError,
    address::{Addresses, to_pubkey},
    unsigned::{Asked, names},
};
use common::{Running, config};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

const TOKENS: &str = "anna annas-token-of-many-characters\nbob bobs-token-of-many-characters";
const ANNA: &str = "annas-token-of-many-characters";

/// A node that gives the same blockhash for ever, or none.
struct FakeNode(bool);

impl Node for FakeNode {
    fn recent(&self) -> Doing<'_, Result<Recent, LedgerError>> {
        let recent = Recent { blockhash: Default::default(), last_valid_block_height: 150 };
        let answer = self.0.then_some(recent).ok_or(LedgerError::Timeout { url: "a node".into(), seconds: 10 });
        Box::pin(async move { answer })
    }
}

/// Starts no job, and remembers what it was asked for.
#[derive(Default)]
struct FakeJobs {
    asked: Mutex<Vec<Start>>,
    refuses: Mutex<Option<NotStartedKind>>,
}

impl Provision for FakeJobs {
    fn start(&self, start: Start) -> Doing<'_, Result<i64, NotStarted>> {
        self.asked.lock().unwrap().push(start);
        let refuses = *self.refuses.lock().unwrap();
        let answer = match refuses {
            None => Ok(42),
            Some(kind) => Err(NotStarted {
                kind,
                code: "CW-JOB-BUSY".into(),
                cause: "job 41 holds the device".into(),
                remedy: "Wait for that job, or cancel it.".into(),
            }),
        };
        Box::pin(async move { answer })
    }
}

struct Rig {
    running: Running,
    base: String,
    client: Client,
    folder: tempfile::TempDir,
}

impl Rig {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            operator_token: Some(TOKENS.into()),
            audit_file: Some(folder.path().join("audit.db")),
            ..config()
        };
        let mut running = Running::start(config).await;
        for name in ["ams", "fra", "lon", "par"] {
            let device = running.ledger.device_mut(name);
            (device.agent_key, device.telemetry_key) = (Key([1; 32]), Key([2; 32]));
        }
        running.publish().await;
        let base = format!("http://{}", running.handle.http_addr);
        Self { running, base, client: Client::new(), folder }
    }

    async fn get(&self, path: &str) -> Value {
        let response = self.client.get(format!("{}{path}", self.base)).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.json().await.unwrap()
    }

    /// Provisions a device as this operator; status and answer.
    async fn provision(&self, device: &str, token: &str, body: &str) -> (u16, Value) {
        let url = format!("{}/api/v1/devices/{device}/provision", self.base);
        let mut request = self.client.post(url).bearer_auth(token);
        if !body.is_empty() {
            request = request.header("content-type", "application/json").body(body.to_owned());
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap())
    }

    async fn audit(&self, query: &str) -> Vec<Entry> {
        let request = self.client.get(format!("{}/api/v1/audit{query}", self.base)).bearer_auth(ANNA);
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "application/x-ndjson");
        let text = response.text().await.unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn whole() -> Value {
    json!({
        "contributor": "co", "location": "lo", "exchange": "ex", "device_type": "hybrid", "platform": "frr",
        "public_ip": "198.19.9.1", "agent_key": Key([1; 32]).to_string(), "telemetry_key": Key([2; 32]).to_string(),
        "interfaces": [{"name": "eth3", "mtu": 9100}],
    })
}

#[tokio::test]
async fn what_has_to_be_signed_is_answered_whole_and_in_words() {
    let rig = Rig::start().await;
    let shared = Arc::clone(rig.running.handle.shared());
    let (status, body) = rig.provision("new-1", ANNA, &whole().to_string()).await;
    assert_eq!((status, body["code"].as_str()), (503, Some("CW-CONTROLLER-NODE-AWAY")), "{body}");
    shared.services.set_node(Arc::new(FakeNode(false)));
    let (status, body) = rig.provision("new-1", ANNA, &whole().to_string()).await;
    assert!(status == 503 && body["cause"].as_str().unwrap().contains("a node"), "{body}");
    shared.services.set_node(Arc::new(FakeNode(true)));
    let (status, body) = rig.provision("new-1", ANNA, &whole().to_string()).await;
    assert_eq!((status, body["state"].as_str(), &body["job"]), (200, Some("sign"), &Value::Null), "{body}");
    let [one] = body["transactions"].as_array().unwrap().as_slice() else { panic!("{body}") };
    let said: Vec<_> = one["instructions"].as_array().unwrap().iter().map(|i| i["name"].as_str().unwrap()).collect();
    assert_eq!(said, ["create-device", "update-interface", "provision-device"]);
    assert_eq!(one["signer_name"], "owner of co");
    assert_eq!(one["instructions"][0]["accounts"][2]["name"], "contributor co");
    assert_eq!(one["last_valid_block_height"], 150);
    // Who signs reads the same out of the transaction itself.
    let names = names(&rig.running.ledger.snapshot);
    let addresses = Addresses::new(to_pubkey(&PROGRAM_ID));
    let asked = Asked::read(one["transaction"].as_str().unwrap(), &addresses, &names).unwrap();
    assert_eq!(asked.signer.to_string(), one["signer"].as_str().unwrap());
    assert_eq!(serde_json::to_value(&asked.described).unwrap(), one["instructions"]);
    rig.running.handle.shutdown().await;
}

#[tokio::test]
async fn a_device_with_everything_is_handed_to_jobs_or_says_that_there_are_none() {
    let rig = Rig::start().await;
    let shared = Arc::clone(rig.running.handle.shared());
    if shared.services.provision().is_none() {
        let (status, body) = rig.provision("ams", ANNA, "").await;
        assert_eq!((status, body["code"].as_str()), (501, Some("CW-CONTROLLER-NO-PROVISIONING")), "{body}");
    }
    let jobs = Arc::new(FakeJobs::default());
    shared.services.set_provision(Arc::clone(&jobs) as Arc<dyn Provision>);
    let (status, body) = rig.provision("ams", ANNA, "").await;
    assert_eq!((status, body["state"].as_str(), body["job"].as_i64()), (202, Some("started"), Some(42)), "{body}");
    let asked = r#"{"dry_run": true, "mode": "merge", "transport": "eapi-push"}"#;
    assert_eq!(rig.provision("ams", "bobs-token-of-many-characters", asked).await.0, 202);
    {
        let asked = jobs.asked.lock().unwrap();
        assert_eq!((asked[0].actor.as_str(), asked[0].dry_run), ("anna", false));
        assert_eq!((asked[1].actor.as_str(), asked[1].dry_run), ("bob", true));
        assert_eq!(asked[1].transport.as_deref(), Some("eapi-push"));
    }
    for (kind, expected) in [(NotStartedKind::Busy, 409), (NotStartedKind::Refused, 400), (NotStartedKind::Away, 503)] {
        *jobs.refuses.lock().unwrap() = Some(kind);
        let (status, body) = rig.provision("ams", ANNA, "{}").await;
        assert_eq!((status, body["cause"].as_str()), (expected, Some("job 41 holds the device")), "{kind:?}");
    }
    rig.running.handle.shutdown().await;
}

/// With the jobs' own desk and store; the agents are fake.
#[tokio::test]
async fn a_desk_of_jobs_starts_one_and_names_the_one_that_runs() {
    use causeway_controller::{job_start::AtDesk, services::Asking};
    use causeway_interface::Code;
    use causeway_jobs::{
        Desk, Registry,
        adapter::{
            AdapterError, Doing as Adapting,
            agent_pull::{AgentPort, AgentPull, AgentView, Offer},
        },
        clock::system,
        kinds::Policy,
        store::{JobStore, sqlite::SqliteStore},
    };

    /// Knows no agent.
    struct FakePort;
    impl FakePort {
        fn nobody<'a, T: Send + 'a>() -> Adapting<'a, T> {
            Box::pin(async { Err(AdapterError::Unreachable("a fake".into())) })
        }
    }
    impl AgentPort for FakePort {
        fn can_wait(&self) -> bool {
            false
        }
        fn view<'a>(&'a self, _: &'a Code) -> Adapting<'a, AgentView> {
            Self::nobody()
        }
        fn offer<'a>(&'a self, _: &'a Code, _: Offer) -> Adapting<'a, ()> {
            Self::nobody()
        }
        fn confirm<'a>(&'a self, _: &'a Code, _: causeway_agent::bundle::TextHash) -> Adapting<'a, ()> {
            Self::nobody()
        }
        fn withdraw<'a>(&'a self, _: &'a Code) -> Adapting<'a, ()> {
            Self::nobody()
        }
    }

    let rig = Rig::start().await;
    let shared = Arc::clone(rig.running.handle.shared());
    let store: Arc<dyn JobStore> = Arc::new(SqliteStore::in_memory(system()).unwrap());
    let registry = Registry::standard().over(Arc::new(AgentPull::new(FakePort, system())));
    let desk = Desk::new(Arc::clone(&store), registry, Policy::default(), system(), None);
    shared.services.set_provision(Arc::new(AtDesk::new(desk.clone(), &shared)));
    shared.services.set_job_store(Arc::new(Asking(store)));
    let (status, body) = rig.provision("ams", ANNA, r#"{"dry_run": true}"#).await;
    assert_eq!(status, 202, "{body}");
    let job = body["job"].as_i64().unwrap();
    let spec = desk.job(causeway_jobs::spec::JobId(job)).await.unwrap().spec;
    assert_eq!((spec.kind.name(), spec.actor.as_str(), spec.targets.len()), ("dry-run", "anna", 1));
    let (status, body) = rig.provision("ams", ANNA, "").await;
    assert_eq!((status, body["code"].as_str()), (409, Some("CW-JOB-BUSY")), "{body}");
    assert!(body["cause"].as_str().unwrap().contains(&job.to_string()), "the running one is named: {body}");
    for (asked, code) in [
        (r#"{"transport": "pigeon"}"#, "CW-JOB-INVALID"),
        (r#"{"transport": "eapi-push"}"#, "CW-JOB-UNSUPPORTED"),
        (r#"{"mode": "merge"}"#, "CW-JOB-UNSUPPORTED"),
    ] {
        let (status, body) = rig.provision("fra", ANNA, asked).await;
        assert_eq!((status, body["code"].as_str()), (400, Some(code)), "{asked}: {body}");
    }
    let view = rig.get("/api/v1/availability").await;
    assert_eq!(view["needs"][1]["available"], true, "{view}");
    rig.running.handle.shutdown().await;
}

#[tokio::test]
async fn hostile_and_mistaken_requests_are_refused_with_a_code_that_has_a_page() {
    let mut rig = Rig::start().await;
    rig.running.handle.shared().services.set_node(Arc::new(FakeNode(true)));
    let with = |field: &str, value: Value| {
        let mut body = whole();
        body[field] = value;
        body.to_string()
    };
    let long = format!("{{\"contributor\": \"{}\"}}", "a".repeat(20_000));
    let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    for (device, body, expected) in [
        ("nowhere", String::new(), (404, "CW-CONTROLLER-DEVICE-UNKNOWN")),
        ("nowhere", "{}".into(), (404, "CW-CONTROLLER-DEVICE-UNKNOWN")),
        ("nowhere", r#"{"dry_run": true}"#.into(), (404, "CW-CONTROLLER-DEVICE-UNKNOWN")),
        ("%0A", whole().to_string(), (404, "CW-CONTROLLER-DEVICE-UNKNOWN")),
        ("..%2F..%2Fetc", whole().to_string(), (404, "CW-CONTROLLER-DEVICE-UNKNOWN")),
        (&"a".repeat(33), whole().to_string(), (404, "CW-CONTROLLER-DEVICE-UNKNOWN")),
        ("%FF", whole().to_string(), (400, "CW-CONTROLLER-REQUEST-INVALID")),
        ("ams", "{".into(), (400, "CW-CONTROLLER-REQUEST-INVALID")),
        ("ams", "[]".into(), (400, "CW-CONTROLLER-REQUEST-INVALID")),
        ("ams", "null".into(), (400, "CW-CONTROLLER-REQUEST-INVALID")),
        ("ams", deep, (400, "CW-CONTROLLER-REQUEST-INVALID")),
        ("ams", r#"{"dry-run": true}"#.into(), (400, "CW-CONTROLLER-REQUEST-INVALID")),
        ("ams", r#"{"mode": "overwrite"}"#.into(), (400, "CW-CONTROLLER-REQUEST-INVALID")),
        ("ams", r#"{"interfaces": [{"name": "eth3", "mtu": -1}]}"#.into(), (400, "CW-CONTROLLER-REQUEST-INVALID")),
        ("ams", r#"{"interfaces": [{"name": "eth3", "mtu": 1e99}]}"#.into(), (400, "CW-CONTROLLER-REQUEST-INVALID")),
        ("ams", r#"{"interfaces": {"name": "eth3"}}"#.into(), (400, "CW-CONTROLLER-REQUEST-INVALID")),
        ("ams", long, (413, "CW-CONTROLLER-BODY-TOO-LARGE")),
        ("ams", with("contributor", json!("co")), (400, "CW-2014")),
        ("ams", r#"{"device_type": "edge"}"#.into(), (400, "CW-CONTROLLER-DEVICE-EXISTS")),
        ("new", with("contributor", json!("nobody")), (400, "CW-CONTROLLER-UPSTREAM-MISSING")),
        ("new", with("location", json!("nowhere")), (400, "CW-CONTROLLER-UPSTREAM-MISSING")),
        ("new", with("exchange", json!("none")), (400, "CW-CONTROLLER-UPSTREAM-MISSING")),
        ("new", with("public_ip", json!("10.0.0.1")), (400, "CW-2007")),
        ("new", with("management_vrf", json!("mgmt\n!")), (400, "CW-CONTROLLER-OVERRIDE-INVALID")),
        ("new", with("interfaces", json!([{"name": "eth3"}, {"name": "eth3"}])), (400, "CW-CONTROLLER-NAME-TWICE")),
        ("new", with("interfaces", json!([{"name": "eth3", "mtu": 70_000}])), (400, "CW-CONTROLLER-OVERRIDE-INVALID")),
        ("new", with("interfaces", json!([{"name": "eth3\nrouter bgp 1"}])), (400, "CW-CONTROLLER-OVERRIDE-INVALID")),
    ] {
        let (status, answer) = rig.provision(device, ANNA, &body).await;
        let code = answer["code"].as_str().unwrap();
        let shown = body.chars().take(80).collect::<String>();
        assert_eq!((status, code), expected, "{device} {shown}: {answer}");
        assert!(!answer["remedy"].as_str().unwrap().is_empty());
        if let Some(number) = code.strip_prefix("CW-").filter(|rest| rest.parse::<u32>().is_ok()) {
            assert!(
                std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors"))
                    .unwrap()
                    .any(|page| page.unwrap().file_name().to_string_lossy().starts_with(number))
            );
        } else {
            let page = format!("../docs/errors/{}.md", code.to_lowercase());
            assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(page).exists(), "{code} has no page");
        }
    }
    // Nobody's call is read.
    for token in ["", "annas-token-of-many-character", TOKENS] {
        let url = format!("{}/api/v1/devices/ams/provision", rig.base);
        let request = rig.client.post(url).header("authorization", format!("Bearer {}", token.replace('\n', " ")));
        assert_eq!(request.body("{").send().await.unwrap().status(), StatusCode::UNAUTHORIZED, "{token:?}");
    }
    for contributor in rig.running.ledger.snapshot.contributors.values_mut() {
        contributor.header.status = RegistryStatus::Suspended;
    }
    rig.running.publish().await;
    for (device, body) in [("ams", String::new()), ("new", whole().to_string())] {
        let (status, answer) = rig.provision(device, ANNA, &body).await;
        assert_eq!((status, answer["code"].as_str()), (400, Some("CW-CONTROLLER-UPSTREAM-SUSPENDED")), "{answer}");
    }
    rig.running.handle.shutdown().await;
}

#[tokio::test]
async fn every_move_of_a_device_and_a_link_says_what_keeps_it() {
    let mut rig = Rig::start().await;
    let moves = |view: &Value| -> Vec<(String, String, bool)> {
        let text = |value: &Value| value.as_str().unwrap_or("closed").to_owned();
        let list = view["transitions"].as_array().unwrap().iter();
        list.map(|t| (text(&t["event"]), text(&t["to"]), t["possible"].as_bool().unwrap())).collect()
    };
    let view = rig.get("/api/v1/devices/ams/transitions").await;
    assert_eq!((view["status"].as_str(), view["desired"].as_str()), (Some("activated"), Some("activated")));
    assert_eq!(
        moves(&view),
        [("advance".into(), "drained".into(), false), ("suspend".into(), "suspended".into(), true)]
    );
    let kept = &view["transitions"][0]["conditions"][0];
    assert_eq!(
        (kept["needs"].as_str(), kept["holds"].as_bool()),
        (Some("desired hard-drained or soft-drained"), Some(false))
    );
    assert_eq!(kept["otherwise"]["code"], "CW-2006");
    let device = rig.running.ledger.device_mut("fra");
    (device.header.status, device.suspended_from) = (DeviceStatus::Suspended, DeviceStatus::LinkProvisioning);
    let device = rig.running.ledger.device_mut("lon");
    (device.header.status, device.agent_key) = (DeviceStatus::Pending, Key::ZERO);
    rig.running.publish().await;
    // Of the four ways out of a suspension only the one that it was left by is a move.
    let view = rig.get("/api/v1/devices/fra/transitions").await;
    let expected = [("resume", "link-provisioning", true), ("delete", "deleting", false)];
    assert_eq!(moves(&view), expected.map(|(event, to, possible)| (event.to_owned(), to.to_owned(), possible)));
    let view = rig.get("/api/v1/devices/lon/transitions").await;
    let provision = &view["transitions"][0];
    assert_eq!((provision["event"].as_str(), provision["by"][0].as_str()), (Some("provision"), Some("contributor")));
    let failing: Vec<_> =
        provision["conditions"].as_array().unwrap().iter().filter(|c| c["holds"] == json!(false)).collect();
    assert!(failing.len() == 1 && failing[0]["otherwise"]["code"] == "CW-2002", "{failing:?}");
    let view = rig.get("/api/v1/links/ams-fra/transitions").await;
    let tos: Vec<_> = moves(&view).into_iter().map(|(event, to, _)| format!("{event} {to}")).collect();
    let expected = ["advance soft-drained", "advance hard-drained", "suspend suspended"];
    assert_eq!(tos, expected, "{view}");
    let links = rig.get("/api/v1/devices/ams/links").await;
    let codes: Vec<_> = links.as_array().unwrap().iter().map(|link| link["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["ams-fra", "ams-lon", "ams-par"]);
    for path in ["/api/v1/devices/nowhere/links", "/api/v1/devices/nowhere/transitions", "/api/v1/links/x/transitions"]
    {
        let response = rig.client.get(format!("{}{path}", rig.base)).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
    }
    rig.running.handle.shutdown().await;
}

#[tokio::test]
async fn what_operators_do_is_in_the_log_with_before_and_after() {
    let mut rig = Rig::start().await;
    rig.running.handle.shared().services.set_node(Arc::new(FakeNode(true)));
    for name in ["fra", "lon", "par"] {
        rig.running.ledger.device_mut(name).header.status = DeviceStatus::Suspended;
    }
    rig.running.publish().await;
    let held = rig.get("/api/v1/devices/ams/config/held").await["sha256"].as_str().unwrap().to_owned();
    let before = rig.running.generation("ams");
    let url = format!("{}/api/v1/devices/ams/config/approve", rig.base);
    for (token, sha256, expected) in [(ANNA, "00".repeat(32), 409), ("nobody", held.clone(), 401), (ANNA, held, 200)] {
        let request = rig.client.post(&url).bearer_auth(token).json(&json!({ "sha256": sha256 }));
        assert_eq!(request.send().await.unwrap().status().as_u16(), expected);
    }
    assert_eq!(rig.provision("new", "bobs-token-of-many-characters", &whole().to_string()).await.0, 200);
    let entries = rig.audit("").await;
    let told: Vec<_> = entries.iter().map(|e| (e.actor.as_str(), e.action.as_str(), e.outcome.name())).collect();
    assert_eq!(
        told,
        [
            ("anna", "config.approve", "asked"),
            ("anna", "config.approve", "refused"),
            ("anna", "config.approve", "asked"),
            ("anna", "config.approve", "done"),
            ("bob", "device.provision", "asked"),
            ("bob", "device.provision", "done"),
        ]
    );
    assert_eq!(entries[1].after["code"], "CW-CONTROLLER-HELD-CHANGED");
    assert_eq!(entries[2].before["served"]["generation"], before);
    assert_eq!(entries[3].after["served"]["generation"], rig.running.generation("ams"));
    assert_eq!(entries[4].before["asked"]["public_ip"], "198.19.9.1");
    let mut chain = Chain::default();
    entries.iter().for_each(|entry| chain.take(entry).unwrap());
    assert_eq!(rig.audit("?actor=bob&subject=new&limit=1").await.len(), 1);
    assert_eq!(rig.audit("?after=4").await.len(), 2);
    assert_eq!(rig.audit("?action=config.approve&since_unix_ms=0&until_unix_ms=1").await.len(), 0);
    for (query, expected) in [("?limit=0", 400), ("?limit=1001", 400), ("?who=anna", 400), ("?after=x", 400)] {
        let request = rig.client.get(format!("{}/api/v1/audit{query}", rig.base)).bearer_auth(ANNA);
        assert_eq!(request.send().await.unwrap().status().as_u16(), expected, "{query}");
    }
    let stranger = rig.client.get(format!("{}/api/v1/audit", rig.base)).send().await.unwrap();
    assert_eq!(stranger.status(), StatusCode::UNAUTHORIZED);
    let Rig { running, folder, .. } = rig;
    running.handle.shutdown().await;
    assert!(folder.path().join("audit.db").exists());
}

/// What can't be written down is not done.
#[tokio::test]
async fn an_audit_log_that_fails_stops_the_action() {
    let mut rig = Rig::start().await;
    for name in ["fra", "lon", "par"] {
        rig.running.ledger.device_mut(name).header.status = DeviceStatus::Suspended;
    }
    rig.running.publish().await;
    let raw = rusqlite::Connection::open(rig.folder.path().join("audit.db")).unwrap();
    raw.execute_batch("CREATE TRIGGER full BEFORE INSERT ON entry BEGIN SELECT RAISE(ABORT, 'the disk is full'); END;")
        .unwrap();
    let held = rig.get("/api/v1/devices/ams/config/held").await["sha256"].clone();
    let before = rig.running.generation("ams");
    let url = format!("{}/api/v1/devices/ams/config/approve", rig.base);
    let response = rig.client.post(url).bearer_auth(ANNA).json(&json!({ "sha256": held })).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["code"], "CW-CONTROLLER-AUDIT-FAILED");
    assert_eq!(rig.running.generation("ams"), before);
    rig.running.handle.shutdown().await;
}

#[tokio::test]
async fn events_come_over_grpc_as_over_http_and_are_resumed_by_id() {
    use causeway_controller::events::{Change, StepChange};
    use causeway_wire::controller::{Event, WatchEventsRequest, event::What, events_client::EventsClient};

    async fn next(stream: &mut tonic::Streaming<Event>) -> Event {
        let event = tokio::time::timeout(common::PATIENCE, stream.message()).await.expect("an event comes in time");
        event.unwrap().expect("the stream goes on")
    }

    let mut rig = Rig::start().await;
    let mut client = EventsClient::connect(format!("http://{}", rig.running.handle.grpc_addr)).await.unwrap();
    let mut live = client.watch_events(WatchEventsRequest { after: 0 }).await.unwrap().into_inner();
    let shared = Arc::clone(rig.running.handle.shared());
    let step = StepChange {
        step: 5,
        verb: "commit".into(),
        undo: true,
        attempt: 2,
        status: "failed".into(),
        error_code: "CW-JOB-TIMEOUT".into(),
        message: "no answer".into(),
    };
    let device = "ams".parse().unwrap();
    shared.happened(vec![
        Change::Job {
            job: 42,
            job_kind: "provision".into(),
            status: "PROVISIONING".into(),
            state: "RUNNING".into(),
            percent: 12,
            device: Some(device),
            devices: 1,
        },
        Change::JobStep { job: 42, device, step, correlation: "job42-r1-u5-t2".into() },
    ]);
    let job = next(&mut live).await;
    let Some(What::Job(said)) = &job.what else { panic!("{job:?}") };
    assert_eq!(
        (said.job, said.kind.as_str(), said.percent, said.device.as_deref()),
        (42, "provision", 12, Some("ams"))
    );
    let step = next(&mut live).await;
    let Some(What::JobStep(said)) = &step.what else { panic!("{step:?}") };
    assert_eq!((said.undo, said.attempt, said.correlation.as_str()), (true, 2, "job42-r1-u5-t2"));
    rig.running.ledger.device_mut("fra").header.status = DeviceStatus::Drained;
    rig.running.publish().await;
    let mut kinds = Vec::new();
    while !kinds.contains(&"device-status") || !kinds.contains(&"config") {
        kinds.push(match next(&mut live).await.what.unwrap() {
            What::DeviceStatus(status) => {
                assert_eq!((status.code.as_str(), status.to.as_deref()), ("fra", Some("drained")));
                "device-status"
            }
            What::Config(_) => "config",
            _ => "other",
        });
    }
    let mut again = client.watch_events(WatchEventsRequest { after: job.id }).await.unwrap().into_inner();
    assert_eq!(next(&mut again).await, step);
    let mut lost = client.watch_events(WatchEventsRequest { after: 3 }).await.unwrap().into_inner();
    assert!(matches!(next(&mut lost).await.what, Some(What::Lost(_))));
    assert!(next(&mut lost).await.id > 3);
    // The same log over HTTP.
    let url = format!("{}/api/v1/events?after={}", rig.base, job.id);
    let mut response = rig.client.get(url).send().await.unwrap();
    let chunk = tokio::time::timeout(common::PATIENCE, response.chunk()).await.unwrap().unwrap().unwrap();
    let text = String::from_utf8_lossy(&chunk);
    assert!(text.contains("event: job-step") && text.contains("\"verb\":\"commit\""), "{text}");
    drop((live, again, lost, response));
    // Both share one bound.
    let closed = async {
        while shared.event_streams.taken() > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(common::PATIENCE, closed).await.expect("streams that are closed make room");
    let here = std::net::IpAddr::from([127, 0, 0, 1]);
    let all = causeway_controller::shared::EVENT_STREAMS;
    let _room: Vec<_> = (0..all).map(|_| shared.event_stream(here).unwrap()).collect();
    let refused = client.watch_events(WatchEventsRequest { after: 0 }).await.unwrap_err();
    assert_eq!(refused.metadata().get("causeway-code").unwrap(), "streams-full");
    rig.running.handle.shutdown().await;
}

#[tokio::test]
async fn what_jobs_need_is_asked_seldom_told_with_its_age_and_looked_at_before_a_job() {
    use causeway_controller::services::JobStore;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Is away, and counts who asks.
    #[derive(Default)]
    struct FakeStore(AtomicUsize);
    impl JobStore for FakeStore {
        fn there(&self) -> Doing<'_, Result<(), String>> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Box::pin(async { Err("the disk is full".to_owned()) })
        }
    }

    let rig = Rig::start().await;
    let shared = Arc::clone(rig.running.handle.shared());
    shared.services.set_provision(Arc::new(FakeJobs::default()));
    let need = |view: &Value, name: &str| {
        let needs = view["needs"].as_array().unwrap();
        needs.iter().find(|need| need["need"] == name).cloned().unwrap()
    };
    let store = Arc::new(FakeStore::default());
    shared.services.set_job_store(Arc::clone(&store) as Arc<dyn JobStore>);
    let view = rig.get("/api/v1/availability").await;
    assert_eq!(view["available"], false);
    assert_eq!(need(&view, "ledger")["available"], true);
    let agents = need(&view, "agents");
    assert!(agents["reason"].as_str().unwrap().contains("none of 4 agents"), "{agents}");
    assert_eq!(need(&view, "store")["reason"], "the disk is full");
    for _ in 0..5 {
        let again = rig.get("/api/v1/availability").await;
        assert!(need(&again, "store")["age_ms"].as_u64().unwrap() < 30_000);
    }
    let (status, body) = rig.provision("ams", ANNA, "").await;
    assert_eq!((status, body["code"].as_str()), (503, Some("CW-CONTROLLER-NEED-AWAY")), "{body}");
    assert!(body["cause"].as_str().unwrap().contains("the store was away"), "{body}");
    assert_eq!(store.0.load(Ordering::SeqCst), 1, "one answer serves all of them");
    rig.running.handle.shutdown().await;
}

#[tokio::test]
async fn the_first_device_of_a_network_is_registered_although_nothing_is_served_yet() {
    use causeway_controller::{daemon::Controller, testing::SyntheticLedger};
    use causeway_interface::Platform;
    use tokio::sync::watch;

    let snapshot = SyntheticLedger::new(Platform::Frr).snapshot;
    let (sender, receiver) = watch::channel(None);
    let handle = Controller::start_from(config(), receiver).await.unwrap();
    let shared = Arc::clone(handle.shared());
    shared.services.set_node(Arc::new(FakeNode(true)));
    let url = format!("http://{}/api/v1/devices/new-1/provision", handle.http_addr);
    let status = async || {
        let response = Client::new().post(&url).json(&whole()).send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    let (before, body) = status().await;
    assert_eq!((before, body["code"].as_str()), (503, Some("CW-CONTROLLER-LEDGER-NOT-READ")));
    sender.send_replace(Some(Arc::new(snapshot)));
    let read = async {
        while shared.services.bare().is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(common::PATIENCE, read).await.expect("the ledger is read");
    let (after, body) = status().await;
    assert_eq!((after, body["state"].as_str()), (200, Some("sign")), "{body}");
    let listed = Client::new().get(format!("http://{}/api/v1/devices", handle.http_addr)).send().await.unwrap();
    let (status, body) = (listed.status().as_u16(), listed.json::<Value>().await.unwrap());
    assert_eq!((status, body["code"].as_str()), (503, Some("CW-CONTROLLER-LEDGER-EMPTY")), "what is so is said");
    handle.shutdown().await;
}
