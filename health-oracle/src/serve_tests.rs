//! Slow, idle and too many connections, over real sockets.

use std::{net::SocketAddr, time::Instant};

use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const SOON: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(10);
const QUESTION: &[u8] = b"GET / HTTP/1.1\r\nHost: o\r\n\r\n";

struct Rig {
    address: SocketAddr,
    metrics: Metrics,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

async fn rig(bounds: Bounds) -> Rig {
    let slow = || async {
        tokio::time::sleep(SOON).await;
        "slow"
    };
    let large = || async { vec![0_u8; 64 * 1024 * 1024] };
    let router =
        Router::new().route("/", get(|| async { "here" })).route("/slow", get(slow)).route("/large", get(large));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let metrics = Metrics::default();
    let task = tokio::spawn(serve(listener, router, bounds, metrics.clone(), stopped));
    Rig { address, metrics, stop, task }
}

impl Rig {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A connection that was answered, or none where it was closed.
    async fn greeted(&self) -> Option<TcpStream> {
        let mut stream = self.connect().await;
        stream.write_all(QUESTION).await.ok()?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.ok()?;
        assert_eq!(&answer, b"HTTP/1.1 200");
        Some(stream)
    }
}

/// Reads until it is closed; how long that took.
async fn closed(mut stream: impl tokio::io::AsyncRead + Unpin) -> Duration {
    let began = Instant::now();
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(LONG, stream.read_to_end(&mut rest)).await.expect("it is closed");
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_head_and_an_idle_connection_are_closed() {
    let rig = rig(Bounds { head: SOON, ..Bounds::default() }).await;
    let (silent, idle) = (rig.connect().await, rig.greeted().await.unwrap());
    let (reading, mut writing) = rig.connect().await.into_split();
    // One byte at a time, each well within the limit; only the whole is late.
    let trickle = tokio::spawn(async move {
        for byte in QUESTION.iter().cycle().filter(|byte| **byte != b'\n') {
            if writing.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(SOON / 10).await;
        }
    });
    for (name, took) in
        [("silent", closed(silent).await), ("idle", closed(idle).await), ("trickling", closed(reading).await)]
    {
        assert!(took < LONG / 2, "{name}: {took:?}");
    }
    trickle.await.unwrap();
    assert!(rig.greeted().await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_too_many_is_closed_until_another_ends() {
    let rig = rig(Bounds { connections: 2, ..Bounds::default() }).await;
    let (first, _second) = (rig.greeted().await.unwrap(), rig.greeted().await.unwrap());
    assert!(closed(rig.connect().await).await < LONG / 2);
    assert!(rig.metrics.text().contains("connections_refused_total 1"), "{}", rig.metrics.text());
    drop(first);
    for _ in 0..100 {
        if rig.greeted().await.is_some() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the place did not become free");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_connection_lives_for_ever_and_its_last_request_is_answered() {
    let rig = rig(Bounds { life: SOON / 2, last_request: SOON * 2, ..Bounds::default() }).await;
    let mut stream = rig.connect().await;
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: o\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(LONG, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("slow"), "{answer}");
    // Who does not read its answer is not waited for.
    let mut deaf = rig.connect().await;
    deaf.write_all(b"GET /large HTTP/1.1\r\nHost: o\r\n\r\n").await.unwrap();
    tokio::time::sleep(SOON * 4).await;
    let mut read = Vec::new();
    let _ = tokio::time::timeout(LONG, deaf.read_to_end(&mut read)).await.unwrap();
    assert!(read.len() < 64 * 1024 * 1024, "{}", read.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_answers_what_is_under_way_and_takes_nothing_new() {
    let rig = rig(Bounds::default()).await;
    let idle = rig.greeted().await.unwrap();
    let mut stream = rig.connect().await;
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: o\r\n\r\n").await.unwrap();
    tokio::time::sleep(SOON / 3).await;
    rig.stop.send_replace(true);
    let mut answer = String::new();
    tokio::time::timeout(LONG, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.ends_with("slow"), "{answer}");
    assert!(closed(idle).await < LONG / 2);
    tokio::time::timeout(LONG, rig.task).await.unwrap().unwrap();
    assert!(TcpStream::connect(rig.address).await.is_err());
}

#[test]
fn one_address_does_not_take_all_places() {
    let (seats, guests) = (Arc::new(Semaphore::new(10)), Guests::default());
    let place = |peer: &str| place(&seats, &guests, peer.parse().unwrap(), 2);
    let taken = [place("192.0.2.1"), place("::ffff:192.0.2.1")];
    assert!(taken.iter().all(Option::is_some) && place("192.0.2.1").is_none());
    let others = [place("192.0.2.2"), place("2001:db8::1"), place("2001:db8::ffff:1")];
    assert!(others.iter().all(Option::is_some) && place("2001:db8:0:0:7::").is_none(), "a /64 is one address");
    assert!(place("2001:db8:0:1::1").is_some());
    let here = ["127.0.0.1", "127.0.0.1", "127.0.0.1", "::1", "::1"].map(place);
    assert!(here.iter().all(Option::is_some), "this machine trusts itself");
    assert!(place("192.0.2.3").is_none(), "all places together");
    drop(taken);
    assert!(place("192.0.2.1").is_some());
    drop((others, here));
    assert!(guests.lock().unwrap().is_empty(), "who is gone is forgotten");
}
