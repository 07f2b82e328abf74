//! A fake controller and a fake oracle over real sockets, and devices of a simulated network for tests.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State as AxumState,
    http::{HeaderMap, Response as HttpResponse, StatusCode},
    routing::post,
};
use causeway_agent::{
    AgentConfig, AgentHandle, Intervals, Status as AgentStatus,
    apply::ApplyLimits,
    sim::{Fabric, Family, Port, UplinkKind},
};
use causeway_wire::{
    controller::{
        ApplyReport, ApplyResult, ConfigBundle, ConfigNotice, GetConfigRequest, GetConfigResponse, Nonce, NonceRequest,
        OpenSessionRequest, Order, OrderAnswer, OrderWord, ProbePlan, ReportReceipt, RunningConfig, Session,
        WatchConfigRequest,
        config_server::{Config, ConfigServer},
    },
    signing::{
        SignedOrder, bundle_message, extension_message, order_message, session_message, sha256, sign,
        telemetry_message, verify, word_message,
    },
    telemetry::{Batch, SignedBatch},
};
use ed25519_dalek::SigningKey;
use prost::Message;
use tokio::{net::TcpListener, sync::broadcast, task::JoinHandle};
use tokio_stream::{
    StreamExt,
    wrappers::{BroadcastStream, TcpListenerStream},
};
use tonic::{
    Request, Response, Status,
    transport::{Identity, ServerTlsConfig},
};

pub const PROGRAM: [u8; 32] = [42; 32];
pub const DEVICE: &str = "r1";
/// Longest wait for something that must happen; a loaded machine needs some of it.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// Certificates and keys made for these tests alone.
pub fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

pub fn controller_key() -> SigningKey {
    key(1)
}

/// What the fake controller serves and has seen.
pub struct FakeState {
    pub program_id: [u8; 32],
    pub bundle: ConfigBundle,
    pub finalized_slot: u64,
    pub evaluated_slot: u64,
    pub plan: ProbePlan,
    pub session_ms: u64,
    pub reports: Vec<ApplyReport>,
    pub running_wanted: u64,
    pub running: Vec<RunningConfig>,
    pub word: Option<OrderWord>,
    pub polls: Vec<GetConfigRequest>,
    pub sessions: u64,
    pub bodies: u64,
    tokens: BTreeMap<String, Instant>,
    nonces: BTreeSet<Vec<u8>>,
}

#[derive(Clone)]
pub struct FakeController {
    pub state: Arc<Mutex<FakeState>>,
    notices: broadcast::Sender<ConfigNotice>,
}

pub struct Serving {
    pub address: SocketAddr,
    task: JoinHandle<()>,
    stop: Arc<tokio::sync::Notify>,
}

impl Serving {
    /// Closes the port and every connection.
    pub async fn stop(self) {
        self.task.abort();
        self.stop.notify_waiters();
        let _ = self.task.await;
    }
}

pub fn bundle(generation: u64, text: &str) -> ConfigBundle {
    signed_by(&controller_key(), DEVICE, "frr", generation, text)
}

pub fn signed_by(key: &SigningKey, device: &str, family: &str, generation: u64, text: &str) -> ConfigBundle {
    let hash = sha256(text.as_bytes());
    ConfigBundle {
        device: device.into(),
        generation,
        family: family.into(),
        text: text.into(),
        sha256: hash.to_vec(),
        signature: sign(key, &bundle_message(&PROGRAM, device, generation, family, &hash)).to_vec(),
        controller_key: key.verifying_key().to_bytes().to_vec(),
        order: None,
    }
}

/// A configuration under an order that waits.
pub fn ordered(generation: u64, text: &str, correlation: &str, confirm_within_ms: u64) -> ConfigBundle {
    let hash = sha256(text.as_bytes());
    let order = SignedOrder { correlation, waits: true, confirm_within_ms };
    let message = order_message(&PROGRAM, DEVICE, generation, "frr", &hash, order);
    ConfigBundle {
        signature: sign(&controller_key(), &message).to_vec(),
        order: Some(Order { correlation: correlation.into(), waits: true, confirm_within_ms }),
        ..bundle(generation, text)
    }
}

/// The controller's word about an order.
pub fn word(correlation: &str, text: &str, answer: OrderAnswer) -> OrderWord {
    let hash = sha256(text.as_bytes());
    let message = word_message(&PROGRAM, DEVICE, correlation, &hash, answer.into());
    OrderWord {
        correlation: correlation.into(),
        sha256: hash.to_vec(),
        answer: answer.into(),
        signature: sign(&controller_key(), &message).to_vec(),
        controller_key: controller_key().verifying_key().to_bytes().to_vec(),
        extension: 0,
    }
}

/// The controller's word that an order's time counts anew.
pub fn extension(correlation: &str, text: &str, number: u32) -> OrderWord {
    let message = extension_message(&PROGRAM, DEVICE, correlation, &sha256(text.as_bytes()), number);
    OrderWord {
        extension: number,
        signature: sign(&controller_key(), &message).to_vec(),
        ..word(correlation, text, OrderAnswer::Extend)
    }
}

impl FakeController {
    pub fn new(bundle: ConfigBundle) -> Self {
        let state = FakeState {
            program_id: PROGRAM,
            bundle,
            finalized_slot: 0,
            evaluated_slot: 0,
            plan: ProbePlan::default(),
            session_ms: 600_000,
            reports: Vec::new(),
            running_wanted: 0,
            running: Vec::new(),
            word: None,
            polls: Vec::new(),
            sessions: 0,
            bodies: 0,
            tokens: BTreeMap::new(),
            nonces: BTreeSet::new(),
        };
        Self { state: Arc::new(Mutex::new(state)), notices: broadcast::channel(16).0 }
    }

    pub fn state(&self) -> MutexGuard<'_, FakeState> {
        self.state.lock().unwrap()
    }

    /// Offers a bundle and tells everyone who watches.
    pub fn offer(&self, bundle: ConfigBundle) {
        let notice = {
            let mut state = self.state();
            state.bundle = bundle;
            notice(&state)
        };
        let _ = self.notices.send(notice);
    }

    /// Says something about an order, and tells of it.
    pub fn say(&self, word: OrderWord) {
        let notice = {
            let mut state = self.state();
            state.word = Some(word);
            notice(&state)
        };
        let _ = self.notices.send(notice);
    }

    pub fn finalize(&self, slot: u64) {
        let notice = {
            let mut state = self.state();
            state.finalized_slot = slot;
            notice(&state)
        };
        let _ = self.notices.send(notice);
    }

    /// The same configuration, as of a later slot.
    pub fn evaluate(&self, slot: u64) {
        let notice = {
            let mut state = self.state();
            state.evaluated_slot = slot;
            notice(&state)
        };
        let _ = self.notices.send(notice);
    }

    /// Asks what runs and tells everyone who watches.
    pub fn want_running(&self, number: u64) {
        let notice = {
            let mut state = self.state();
            state.running_wanted = number;
            notice(&state)
        };
        let _ = self.notices.send(notice);
    }

    pub fn reports(&self, result: ApplyResult) -> Vec<ApplyReport> {
        self.state().reports.iter().filter(|r| r.result == i32::from(result)).cloned().collect()
    }

    pub async fn serve(&self, address: &str) -> Serving {
        self.serve_by(tonic::transport::Server::builder(), address).await
    }

    /// With the certificate of the fixtures, which is for localhost.
    pub async fn serve_tls(&self, address: &str) -> Serving {
        let identity = Identity::from_pem(fixture("test-only-server.pem"), fixture("test-only-server-key.pem"));
        let server = tonic::transport::Server::builder().tls_config(ServerTlsConfig::new().identity(identity));
        self.serve_by(server.unwrap(), address).await
    }

    async fn serve_by(&self, mut server: tonic::transport::Server, address: &str) -> Serving {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(tokio::sync::Notify::new());
        let stopped = stop.clone();
        let incoming = TcpListenerStream::new(listener)
            .map(move |stream| stream.map(|stream| Cuttable { stream, cut: Box::pin(notified(stopped.clone())) }));
        let server = server.add_service(ConfigServer::new(self.clone()));
        let task = tokio::spawn(async move {
            server.serve_with_incoming(incoming).await.unwrap();
        });
        Serving { address, task, stop }
    }

    #[allow(clippy::result_large_err)]
    fn authorized<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let token = request.metadata().get("authorization").and_then(|v| v.to_str().ok()).unwrap_or_default();
        let known = token.strip_prefix("Bearer ").and_then(|t| self.state().tokens.get(t).copied());
        match known {
            Some(until) if Instant::now() < until => Ok(()),
            _ => Err(Status::unauthenticated("no such session")),
        }
    }
}

async fn notified(notify: Arc<tokio::sync::Notify>) {
    notify.notified().await;
}

/// A connection that the test can cut.
struct Cuttable {
    stream: tokio::net::TcpStream,
    cut: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>,
}

mod cuttable {
    use std::{
        io,
        pin::Pin,
        task::{Context, Poll},
    };

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::Cuttable;

    impl AsyncRead for Cuttable {
        fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            if self.cut.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            Pin::new(&mut self.stream).poll_read(cx, buf)
        }
    }

    impl AsyncWrite for Cuttable {
        fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.stream).poll_write(cx, buf)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_shutdown(cx)
        }
    }

    impl tonic::transport::server::Connected for Cuttable {
        type ConnectInfo = ();

        fn connect_info(&self) {}
    }
}

fn notice(state: &FakeState) -> ConfigNotice {
    ConfigNotice {
        generation: state.bundle.generation,
        sha256: state.bundle.sha256.clone(),
        finalized_slot: state.finalized_slot,
        probe_plan_sha256: state.plan.sha256.clone(),
        evaluated_slot: state.evaluated_slot,
        running_wanted: state.running_wanted,
        order: state.bundle.order.as_ref().map(|order| order.correlation.clone()).unwrap_or_default(),
        word: state.word.as_ref().map_or(0, |word| word.answer),
    }
}

#[tonic::async_trait]
impl Config for FakeController {
    async fn get_nonce(&self, _: Request<NonceRequest>) -> Result<Response<Nonce>, Status> {
        let mut state = self.state();
        let nonce: Vec<u8> = (0..32).map(|_| rand::random::<u8>()).collect();
        state.nonces.insert(nonce.clone());
        Ok(Response::new(Nonce { nonce, valid_ms: 10_000, program_id: state.program_id.to_vec() }))
    }

    async fn open_session(&self, request: Request<OpenSessionRequest>) -> Result<Response<Session>, Status> {
        let request = request.into_inner();
        let mut state = self.state();
        let message = session_message(&PROGRAM, &request.device, &request.nonce);
        let known = state.nonces.remove(&request.nonce);
        if !known || verify(&key(2).verifying_key().to_bytes(), &message, &request.signature).is_err() {
            return Err(Status::unauthenticated("not the agent"));
        }
        state.sessions += 1;
        let token = format!("token-{}", state.sessions);
        let until = Instant::now() + Duration::from_millis(state.session_ms);
        state.tokens.insert(token.clone(), until);
        Ok(Response::new(Session { token, valid_ms: state.session_ms }))
    }

    async fn get_config(&self, request: Request<GetConfigRequest>) -> Result<Response<GetConfigResponse>, Status> {
        self.authorized(&request)?;
        let have = request.into_inner();
        let mut state = self.state();
        let other_order = state.bundle.order.as_ref().is_some_and(|order| order.correlation != have.have_order);
        let body = have.have_sha256 != state.bundle.sha256 || other_order;
        state.bodies += u64::from(body);
        state.polls.push(have.clone());
        Ok(Response::new(GetConfigResponse {
            generation: state.bundle.generation,
            sha256: state.bundle.sha256.clone(),
            finalized_slot: state.finalized_slot,
            bundle: body.then(|| state.bundle.clone()),
            probe_plan: (have.have_probe_plan_sha256 != state.plan.sha256).then(|| state.plan.clone()),
            evaluated_slot: state.evaluated_slot,
            running_wanted: state.running_wanted,
            word: state.word.clone(),
            nothing: false,
        }))
    }

    type WatchConfigStream = std::pin::Pin<Box<dyn tokio_stream::Stream<Item = Result<ConfigNotice, Status>> + Send>>;

    async fn watch_config(
        &self,
        request: Request<WatchConfigRequest>,
    ) -> Result<Response<Self::WatchConfigStream>, Status> {
        self.authorized(&request)?;
        let first = tokio_stream::once(Ok(notice(&self.state())));
        let rest = BroadcastStream::new(self.notices.subscribe()).filter_map(|n| n.ok().map(Ok));
        Ok(Response::new(Box::pin(first.chain(rest))))
    }

    async fn report(&self, request: Request<ApplyReport>) -> Result<Response<ReportReceipt>, Status> {
        self.authorized(&request)?;
        self.state().reports.push(request.into_inner());
        Ok(Response::new(ReportReceipt {}))
    }

    async fn report_running(&self, request: Request<RunningConfig>) -> Result<Response<ReportReceipt>, Status> {
        self.authorized(&request)?;
        self.state().running.push(request.into_inner());
        Ok(Response::new(ReportReceipt {}))
    }
}

/// What a fake oracle does with a request.
#[derive(Clone, Copy, Debug)]
pub enum Does {
    /// Answers with this status, as the protocol has it.
    Answers(u16),
    /// 429, to come back after seconds.
    Postpones(u64),
    /// 409, with this last sequence.
    Replays(u64),
    /// As a real one: takes what has a higher sequence than the last, and says of the rest that it is a replay. With
    /// `true` the connection is closed instead of answered.
    Judges(bool),
    /// Takes the batch and closes the connection without an answer.
    TakesAndCloses,
    /// Never answers.
    Stalls,
}

/// An oracle that keeps what it gets and answers as told.
#[derive(Clone)]
pub struct FakeOracle {
    pub batches: Arc<Mutex<Vec<Batch>>>,
    pub does: Arc<Mutex<Does>>,
    /// Does these first.
    pub script: Arc<Mutex<VecDeque<Does>>>,
    pub tries: Arc<Mutex<Vec<Bytes>>>,
    pub times: Arc<Mutex<Vec<Instant>>>,
    pub encodings: Arc<Mutex<Vec<String>>>,
    pub url: String,
}

impl FakeOracle {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let oracle = Self {
            batches: Arc::default(),
            does: Arc::new(Mutex::new(Does::Answers(202))),
            script: Arc::default(),
            tries: Arc::default(),
            times: Arc::default(),
            encodings: Arc::default(),
            url: format!("http://{}", listener.local_addr().unwrap()),
        };
        let router = Router::new().route("/v1/telemetry", post(take)).with_state(oracle.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        oracle
    }

    pub fn answers(&self, status: u16) {
        *self.does.lock().unwrap() = Does::Answers(status);
    }

    pub fn first(&self, script: impl IntoIterator<Item = Does>) {
        self.script.lock().unwrap().extend(script);
    }

    pub fn batches(&self) -> Vec<Batch> {
        self.batches.lock().unwrap().clone()
    }

    /// Bodies as they came.
    pub fn tries(&self) -> Vec<Bytes> {
        self.tries.lock().unwrap().clone()
    }
}

/// A body as it was before it was compressed.
pub fn inflated(encoding: &str, body: &Bytes) -> Vec<u8> {
    match encoding {
        "zstd" => zstd::stream::decode_all(body.as_ref()).unwrap(),
        "identity" => body.to_vec(),
        other => panic!("{other}"),
    }
}

async fn take(AxumState(oracle): AxumState<FakeOracle>, headers: HeaderMap, body: Bytes) -> HttpResponse<Body> {
    let encoding = headers["content-encoding"].to_str().unwrap().to_owned();
    oracle.times.lock().unwrap().push(Instant::now());
    oracle.tries.lock().unwrap().push(body.clone());
    oracle.encodings.lock().unwrap().push(encoding.clone());
    let signed = SignedBatch::decode(inflated(&encoding, &body).as_slice()).unwrap();
    let message = telemetry_message(&PROGRAM, &signed.batch);
    verify(&key(3).verifying_key().to_bytes(), &message, &signed.signature).unwrap();
    let does = oracle.script.lock().unwrap().pop_front().unwrap_or(*oracle.does.lock().unwrap());
    let takes = || oracle.batches.lock().unwrap().push(Batch::decode(signed.batch.as_slice()).unwrap());
    let refusal = |more: &str| Body::from(format!(r#"{{"code":"FAKE","cause":"told to","remedy":"none"{more}}}"#));
    let answer = HttpResponse::builder();
    match does {
        Does::Answers(status) => {
            if StatusCode::from_u16(status).unwrap().is_success() {
                takes();
            }
            answer.status(status).body(refusal("")).unwrap()
        }
        Does::Postpones(seconds) => answer.status(429).header("retry-after", seconds).body(refusal("")).unwrap(),
        Does::Replays(last) => answer.status(409).body(refusal(&format!(r#","last_sequence":{last}"#))).unwrap(),
        Does::Judges(closes) => {
            let sequence = Batch::decode(signed.batch.as_slice()).unwrap().sequence;
            let last = oracle.batches.lock().unwrap().last().map_or(0, |batch| batch.sequence);
            if sequence > last {
                takes();
            }
            if closes {
                panic!("told to close");
            }
            match sequence > last {
                true => answer.status(202).body(Body::empty()).unwrap(),
                false => answer.status(409).body(refusal(&format!(r#","last_sequence":{last}"#))).unwrap(),
            }
        }
        Does::TakesAndCloses => {
            takes();
            // A handler that dies takes its connection with it.
            panic!("told to close");
        }
        Does::Stalls => std::future::pending().await,
    }
}

/// Short intervals.
pub fn config(controller: &str, oracles: &[&FakeOracle], state_dir: &std::path::Path) -> AgentConfig {
    AgentConfig {
        device: DEVICE.into(),
        program_id: PROGRAM,
        controllers: vec![controller.to_owned()],
        controller_ca: None,
        controller_keys: BTreeSet::from([controller_key().verifying_key().to_bytes()]),
        oracles: oracles.iter().map(|oracle| oracle.url.clone()).collect(),
        agent_key: key(2),
        telemetry_key: key(3),
        state_dir: state_dir.to_owned(),
        intervals: Intervals {
            sample: Duration::from_millis(50),
            poll: Duration::from_millis(100),
            retry_base: Duration::from_millis(20),
            retry_max: Duration::from_millis(100),
            reapply_base: Duration::from_millis(400),
            reapply_max: Duration::from_secs(2),
        },
        limits: limits(),
        probes_per_sample: 3,
        buffered_samples: 10_000,
    }
}

pub fn limits() -> ApplyLimits {
    ApplyLimits {
        verb: Duration::from_millis(300),
        load: Duration::from_millis(300),
        verify: Duration::from_millis(300),
        settle: Duration::from_millis(50),
        look: Duration::from_millis(20),
        revert_after: Duration::from_millis(1_000),
    }
}

/// r1 and r2 with one cable and internet.
pub fn fabric() -> Fabric {
    let fabric = Fabric::new(7);
    for (code, ip) in [("r1", "198.18.0.1"), ("r2", "198.18.0.2")] {
        fabric.add_device(code, Family::Frr, Some(ip.parse().unwrap())).unwrap();
        fabric.add_uplink(Port::new(code, "eth2"), UplinkKind::Dia).unwrap();
    }
    fabric.add_cable(Port::new("r1", "eth3"), Port::new("r2", "eth3"), Duration::from_millis(2)).unwrap();
    fabric
}

/// Configuration of r1 or r2, with some metric.
pub fn text(number: u8, metric: u32) -> String {
    format!(
        "hostname r{number}\nrouter isis 1\n net 49.0000.0a00.000{number}.0000.00\n is-type level-2-only\nexit\n\
         interface lo\n ip address 10.0.0.{number}/32\n ip router isis 1\n isis passive\nexit\n\
         interface eth3\n ip address 10.1.0.{}/31\n ip router isis 1\n isis circuit-type level-2-only\n \
         isis network point-to-point\n isis metric {metric}\nexit\n",
        number - 1
    )
}

/// Waits until something holds.
pub async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub async fn until_status(agent: &AgentHandle, what: &str, holds: impl Fn(&AgentStatus) -> bool) {
    eventually(what, || holds(&agent.status())).await;
}
