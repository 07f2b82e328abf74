//! Slow, idle and too many connections, over real sockets.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use axum::routing::get;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;

const SOON: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(10);
const QUESTION: &[u8] = b"GET / HTTP/1.1\r\nHost: o\r\n\r\n";

const BOUNDS: Bounds = Bounds { connections: 64, per_address: 8, head: LONG, life: LONG, last_request: LONG };

struct Rig {
    address: SocketAddr,
    refused: Arc<AtomicUsize>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

async fn rig(bounds: Bounds) -> Rig {
    let slow = || async {
        tokio::time::sleep(SOON).await;
        "slow"
    };
    let large = || async { vec![0_u8; 64 * 1024 * 1024] };
    let from = |ConnectInfo(Peer(from)): ConnectInfo<Peer>| async move { from.ip().to_string() };
    let router = Router::new().route("/", get(from)).route("/slow", get(slow)).route("/large", get(large));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let refused = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&refused);
    let count = move || {
        counted.fetch_add(1, Ordering::Relaxed);
    };
    let task = tokio::spawn(serve(listener, router, bounds, count, stopped));
    Rig { address, refused, stop, task }
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
    let rig = rig(Bounds { head: SOON, ..BOUNDS }).await;
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
    let rig = rig(Bounds { connections: 2, ..BOUNDS }).await;
    let (first, _second) = (rig.greeted().await.unwrap(), rig.greeted().await.unwrap());
    assert!(closed(rig.connect().await).await < LONG / 2);
    assert_eq!(rig.refused.load(Ordering::Relaxed), 1);
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
    let rig = rig(Bounds { life: SOON / 2, last_request: SOON * 2, ..BOUNDS }).await;
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
    let rig = rig(BOUNDS).await;
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
