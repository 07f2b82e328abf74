//! Agents: a bare echo server of the same protocol, callers of either, and watchers in a process of their own.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use causeway_wire::{
    controller::{
        ApplyReport, ConfigNotice, GetConfigRequest, GetConfigResponse, Nonce, NonceRequest, OpenSessionRequest,
        ReportReceipt, RunningConfig, Session, WatchConfigRequest,
        config_client::ConfigClient,
        config_server::{Config, ConfigServer},
    },
    signing,
};
use tokio::{io::AsyncBufReadExt, net::TcpListener, sync::Semaphore, task::JoinSet};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Response, Status,
    transport::{Channel, server::TcpIncoming},
};

use crate::world::agent_key;

/// Connections of the callers; agents have one each, and more than a few would only measure the system.
const CONNECTIONS: usize = 8;
/// Calls under way on each.
const UNDER_WAY: usize = 32;
/// Sessions that are opened at a time.
const OPENING: usize = 64;
/// Longest wait for the watchers to be told.
const PATIENCE: Duration = Duration::from_secs(120);

/// What an agent calls with.
#[derive(Clone)]
pub struct Caller {
    /// `Bearer TOKEN`.
    pub authorization: String,
    /// What it has: of the text and of the probe plan.
    pub have: (Vec<u8>, Vec<u8>),
}

/// Answers as an unchanged poll is answered, and does nothing else.
struct Echo;

#[tonic::async_trait]
impl Config for Echo {
    async fn get_nonce(&self, _: Request<NonceRequest>) -> Result<Response<Nonce>, Status> {
        Err(Status::unimplemented("an echo"))
    }

    async fn open_session(&self, _: Request<OpenSessionRequest>) -> Result<Response<Session>, Status> {
        Err(Status::unimplemented("an echo"))
    }

    async fn get_config(&self, request: Request<GetConfigRequest>) -> Result<Response<GetConfigResponse>, Status> {
        let sha256 = request.into_inner().have_sha256;
        let (generation, finalized_slot, evaluated_slot) = (10_000, 10_000, 10_000);
        Ok(Response::new(GetConfigResponse {
            generation,
            sha256,
            finalized_slot,
            evaluated_slot,
            ..GetConfigResponse::default()
        }))
    }

    type WatchConfigStream = ReceiverStream<Result<ConfigNotice, Status>>;

    async fn watch_config(&self, _: Request<WatchConfigRequest>) -> Result<Response<Self::WatchConfigStream>, Status> {
        Err(Status::unimplemented("an echo"))
    }

    async fn report(&self, _: Request<ApplyReport>) -> Result<Response<ReportReceipt>, Status> {
        Err(Status::unimplemented("an echo"))
    }

    async fn report_running(&self, _: Request<RunningConfig>) -> Result<Response<ReportReceipt>, Status> {
        Err(Status::unimplemented("an echo"))
    }
}

/// Starts the echo.
pub async fn echo() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tonic::transport::Server::builder().add_service(ConfigServer::new(Echo));
    // As the controller does.
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true))));
    Ok(address)
}

/// A connection.
pub async fn connect(address: SocketAddr) -> anyhow::Result<ConfigClient<Channel>> {
    Ok(ConfigClient::connect(format!("http://{address}")).await?)
}

/// Opens a session as an agent does, for the device of this number.
pub async fn open(client: &mut ConfigClient<Channel>, device: usize, code: &str) -> anyhow::Result<String> {
    let nonce = client.get_nonce(NonceRequest { device: code.into() }).await?.into_inner();
    let program_id: [u8; 32] = nonce.program_id.as_slice().try_into()?;
    let signature = signing::sign(&agent_key(device), &signing::session_message(&program_id, code, &nonce.nonce));
    let request = OpenSessionRequest { device: code.into(), nonce: nonce.nonce, signature: signature.to_vec() };
    Ok(format!("Bearer {}", client.open_session(request).await?.into_inner().token))
}

/// Opens a session for each device; what each was given then is what it has from now on.
pub async fn open_all(address: SocketAddr, devices: &[String]) -> anyhow::Result<Vec<Caller>> {
    let room = Arc::new(Semaphore::new(OPENING));
    let client = connect(address).await?;
    let mut tasks = JoinSet::new();
    for (n, code) in devices.iter().cloned().enumerate() {
        let (room, mut client) = (Arc::clone(&room), client.clone());
        tasks.spawn(async move {
            let _permit = room.acquire().await?;
            let authorization = open(&mut client, n, &code).await?;
            let mut request = Request::new(GetConfigRequest::default());
            request.metadata_mut().insert("authorization", authorization.parse()?);
            let given = client.get_config(request).await?.into_inner();
            let probes = given.probe_plan.map(|p| p.sha256).unwrap_or_default();
            anyhow::Ok((n, Caller { authorization, have: (given.sha256, probes) }))
        });
    }
    let mut callers = Vec::with_capacity(devices.len());
    while let Some(done) = tasks.join_next().await {
        callers.push(done??);
    }
    callers.sort_by_key(|(n, _)| *n);
    Ok(callers.into_iter().map(|(_, caller)| caller).collect())
}

/// Calls a second: `calls` calls, spread over the callers. `with_body` asks as one that has nothing.
pub async fn calls_per_s(
    address: SocketAddr,
    callers: &Arc<Vec<Caller>>,
    calls: usize,
    with_body: bool,
) -> anyhow::Result<f64> {
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(connect(address).await?);
    }
    let lanes = CONNECTIONS * UNDER_WAY;
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    for lane in 0..lanes {
        let (mut client, callers) = (clients[lane % CONNECTIONS].clone(), Arc::clone(callers));
        tasks.spawn(async move {
            for n in (lane..calls).step_by(lanes) {
                let caller = &callers[n % callers.len()];
                let (have_sha256, have_probe_plan_sha256) = caller.have.clone();
                let have_sha256 = if with_body { Vec::new() } else { have_sha256 };
                let mut request = Request::new(GetConfigRequest {
                    have_sha256,
                    have_probe_plan_sha256,
                    ..GetConfigRequest::default()
                });
                request.metadata_mut().insert("authorization", caller.authorization.parse()?);
                let answer = client.get_config(request).await?.into_inner();
                anyhow::ensure!(answer.bundle.is_some() == with_body, "an answer of the wrong kind");
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(calls as f64 / began.elapsed().as_secs_f64())
}

/// The other process: watches with a connection of its own for each of the sessions that come on stdin, or with as few
/// as it has files for; says when all have had their first notice, and then stays until its stdin ends.
pub async fn watch(address: SocketAddr, files: usize) -> anyhow::Result<()> {
    let mut lines = tokio::io::BufReader::new(tokio::io::stdin()).lines();
    let mut tokens = Vec::new();
    while let Some(line) = lines.next_line().await? {
        if line.is_empty() {
            break;
        }
        tokens.push(line);
    }
    let per_connection = tokens.len().div_ceil(files.max(1)).max(1);
    let room = Arc::new(Semaphore::new(OPENING));
    let mut tasks = JoinSet::new();
    for tokens in tokens.chunks(per_connection).map(<[String]>::to_vec) {
        let room = Arc::clone(&room);
        tasks.spawn(async move {
            let _permit = room.acquire().await?;
            let mut client = connect(address).await?;
            let mut streams = Vec::new();
            for token in tokens {
                let mut request = Request::new(WatchConfigRequest {});
                request.metadata_mut().insert("authorization", token.parse()?);
                let mut stream = client.watch_config(request).await?.into_inner();
                let first = tokio::time::timeout(PATIENCE, stream.message()).await??;
                anyhow::ensure!(first.is_some(), "a watch without a first notice");
                streams.push(stream);
            }
            anyhow::Ok((client, streams))
        });
    }
    let mut open = Vec::new();
    while let Some(done) = tasks.join_next().await {
        open.push(done??);
    }
    println!("{} {}", open.iter().map(|(_, streams)| streams.len()).sum::<usize>(), open.len());
    lines.next_line().await?;
    Ok(())
}
