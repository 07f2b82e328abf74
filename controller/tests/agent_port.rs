//! The port of agents before any session: how many connections there are, of whom, and how long one may be silent.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::serve::Listener;
use causeway_controller::{
    agent_port::{BOUNDS, Bounds, serve},
    grpc::CODE_METADATA,
};
use causeway_wire::controller::{
    NonceRequest, WatchConfigRequest, WatchEventsRequest, config_client::ConfigClient, events_client::EventsClient,
};
use common::{PATIENCE, Running, agent_key, config, elsewhere::Elsewhere, open, with_token};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tonic::Status;

const SOON: Duration = Duration::from_millis(300);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// A frame of settings without any.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// A controller, and a further port of it with these bounds.
struct Rig {
    running: Running,
    address: SocketAddr,
    _stop: watch::Sender<bool>,
}

impl Rig {
    async fn start(bounds: Bounds) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self::of(listener, address, bounds).await
    }

    async fn of(listener: impl Listener<Addr = SocketAddr>, address: SocketAddr, bounds: Bounds) -> Self {
        let running = Running::start(config()).await;
        let (stop, stopping) = watch::channel(false);
        tokio::spawn(serve(listener, Arc::clone(running.handle.shared()), bounds, stopping));
        Self { running, address, _stop: stop }
    }

    async fn metrics(&self) -> String {
        let url = format!("http://{}/metrics", self.running.handle.http_addr);
        reqwest::get(url).await.unwrap().text().await.unwrap()
    }
}

/// Reads until it is closed; how long that took.
async fn closed(mut stream: impl tokio::io::AsyncRead + Unpin) -> Duration {
    let began = Instant::now();
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("it is closed");
    began.elapsed()
}

fn code(status: &Status) -> &str {
    status.metadata().get(CODE_METADATA).unwrap().to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_does_not_begin_in_time_ends_and_an_agent_that_does_stays() {
    let rig = Rig::start(Bounds { preface: SOON, ..BOUNDS }).await;
    let mut agent = ConfigClient::connect(format!("http://{}", rig.address)).await.unwrap();
    let token = open(&mut agent, "ams", &agent_key(1)).await.unwrap();
    let mut notices = agent.watch_config(with_token(&token, WatchConfigRequest {})).await.unwrap().into_inner();
    let first = notices.message().await.unwrap().unwrap();
    let silent = TcpStream::connect(rig.address).await.unwrap();
    let (reading, mut writing) = TcpStream::connect(rig.address).await.unwrap().into_split();
    let mut half = TcpStream::connect(rig.address).await.unwrap();
    half.write_all(&PREFACE[..PREFACE.len() - 1]).await.unwrap();
    // One byte at a time, each well within the limit; only the whole is late.
    let trickle = tokio::spawn(async move {
        for byte in &PREFACE[..PREFACE.len() - 1] {
            if writing.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(SOON / 10).await;
        }
        tokio::time::sleep(PATIENCE).await;
    });
    for (name, took) in
        [("silent", closed(silent).await), ("trickling", closed(reading).await), ("half", closed(half).await)]
    {
        assert!(took < PATIENCE / 2, "{name}: {took:?}");
    }
    trickle.abort();
    // Far beyond that time, and still told.
    rig.running.handle.shared().finalized(first.generation);
    let told = tokio::time::timeout(PATIENCE, notices.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(told.finalized_slot, first.generation);
    rig.running.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_too_many_is_closed_unread_and_counted_until_another_ends() {
    let rig = Rig::start(Bounds { connections: 2, ..BOUNDS }).await;
    let (first, _second) =
        (TcpStream::connect(rig.address).await.unwrap(), TcpStream::connect(rig.address).await.unwrap());
    // Both have their places before the third comes.
    assert!(closed(TcpStream::connect(rig.address).await.unwrap()).await < PATIENCE / 2);
    assert!(rig.metrics().await.contains("causeway_controller_agent_refused_connections_total 1\n"));
    drop(first);
    let again = async {
        loop {
            let connected = ConfigClient::connect(format!("http://{}", rig.address)).await;
            let Ok(mut agent) = connected else { continue };
            if agent.get_nonce(NonceRequest { device: "ams".into() }).await.is_ok() {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("a place becomes free");
    rig.running.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_does_not_take_all_connections() {
    let from = ["192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"];
    let listener = Elsewhere::bind(from).await;
    let address = listener.address;
    let rig = Rig::of(listener, address, Bounds { per_address: 2, ..BOUNDS }).await;
    let _two = (TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap());
    assert!(closed(TcpStream::connect(address).await.unwrap()).await < BOUNDS.preface, "the third of one address");
    let mut other = ConfigClient::connect(format!("http://{address}")).await.unwrap();
    other.get_nonce(NonceRequest { device: "ams".into() }).await.unwrap();
    rig.running.handle.shutdown().await;
}

/// RFC 9113, 6.5.2: the server's own settings come first, and 3 is how many streams it takes at a time.
#[tokio::test]
async fn a_connection_is_told_how_many_calls_it_may_have_under_way() {
    let rig = Rig::start(BOUNDS).await;
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    stream.write_all(&[PREFACE, SETTINGS].concat()).await.unwrap();
    let mut head = [0; 9];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut head)).await.unwrap().unwrap();
    assert_eq!(head[3], 4, "settings");
    let mut settings = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
    stream.read_exact(&mut settings).await.unwrap();
    let streams = settings.chunks(6).find(|setting| setting[..2] == [0, 3]).expect("a bound on streams");
    assert_eq!(u32::from_be_bytes(streams[2..].try_into().unwrap()), 256);
    rig.running.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_does_not_take_all_streams_of_events() {
    let listener = Elsewhere::bind(["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"]).await;
    let address = listener.address;
    let rig = Rig::of(listener, address, BOUNDS).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = EventsClient::connect(format!("http://{address}")).await.unwrap();
        let stream = client.watch_events(WatchEventsRequest { after: 0 }).await.unwrap();
        clients.push((client, vec![stream]));
    }
    let [(first, streams), (second, _), (other, _)] = &mut clients[..] else { panic!("three of them") };
    let refused = loop {
        match first.watch_events(WatchEventsRequest { after: 0 }).await {
            Ok(stream) => streams.push(stream),
            Err(status) => break status,
        }
    };
    // With the one of the other address in the /64.
    assert_eq!((code(&refused), streams.len() + 1), ("streams-full", 128));
    let refused = second.watch_events(WatchEventsRequest { after: 0 }).await.unwrap_err();
    assert_eq!(code(&refused), "streams-full", "a /64 is one address");
    other.watch_events(WatchEventsRequest { after: 0 }).await.unwrap();
    rig.running.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_before_a_session_are_counted_by_the_64_and_not_by_its_addresses() {
    let from: Vec<String> = (1..200).map(|n| format!("2001:db8::{n:x}")).collect();
    let listener = Elsewhere::bind(from.iter().map(String::as_str)).await;
    let address = listener.address;
    let rig = Rig::of(listener, address, BOUNDS).await;
    // Each connection is another address; what one is given a second is far less than what is asked.
    let asked = (1..200).map(|_| async {
        let mut agent = ConfigClient::connect(format!("http://{address}")).await.unwrap();
        agent.get_nonce(NonceRequest { device: "ams".into() }).await
    });
    let answers = futures::future::join_all(asked).await;
    let refused =
        answers.iter().filter_map(|answer| answer.as_ref().err()).find(|status| code(status) == "rate-limited");
    assert!(refused.is_some(), "{} calls of one /64 were answered", answers.len());
    rig.running.handle.shutdown().await;
}
