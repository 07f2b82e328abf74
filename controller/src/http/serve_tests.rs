//! Slow, idle and too many connections, over real sockets.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use axum::routing::get;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::*;

const SOON: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(10);
const QUESTION: &[u8] = b"GET / HTTP/1.1\r\nHost: c\r\n\r\n";

struct Rig {
    address: SocketAddr,
    refused: Arc<AtomicUsize>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

async fn rig(bounds: Bounds) -> Rig {
    let slow = async || {
        tokio::time::sleep(SOON).await;
        "slow"
    };
    let from = async |ConnectInfo(Peer(from)): ConnectInfo<Peer>| from.ip().to_string();
    let router = Router::new().route("/", get(from)).route("/slow", get(slow));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopping) = watch::channel(false);
    let refused = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&refused);
    let count = move || {
        counted.fetch_add(1, Ordering::Relaxed);
    };
    let task = tokio::spawn(serve(listener, router, bounds, count, stopping));
    Rig { address, refused, stop, task }
}

impl Rig {
    /// A connection that was answered, or none where it was closed.
    async fn greeted(&self) -> Option<TcpStream> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(QUESTION).await.ok()?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.ok()?;
        assert_eq!(&answer, b"HTTP/1.1 200");
        Some(stream)
    }
}

/// Reads until it is closed: what came, and how long that took.
async fn closed(mut stream: TcpStream) -> (String, Duration) {
    let began = Instant::now();
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(LONG, stream.read_to_end(&mut rest)).await.expect("it is closed");
    (String::from_utf8_lossy(&rest).into_owned(), began.elapsed())
}

#[tokio::test]
async fn silent_and_idle_connections_are_closed() {
    let rig = rig(Bounds { head: SOON, ..Bounds::default() }).await;
    let (silent, idle) = (TcpStream::connect(rig.address).await.unwrap(), rig.greeted().await.unwrap());
    for (name, stream) in [("silent", silent), ("idle", idle)] {
        assert!(closed(stream).await.1 < LONG / 2, "{name}");
    }
}

#[tokio::test]
async fn a_connection_too_many_is_closed_and_counted_and_a_free_seat_is_given_again() {
    let rig = rig(Bounds { connections: 2, ..Bounds::default() }).await;
    let held = [rig.greeted().await.unwrap(), rig.greeted().await.unwrap()];
    assert!(rig.greeted().await.is_none());
    assert_eq!(rig.refused.load(Ordering::Relaxed), 1);
    drop(held);
    let again = async {
        while rig.greeted().await.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONG, again).await.expect("seats are free again");
}

#[tokio::test]
async fn a_stop_waits_for_the_request_under_way_and_for_no_idle_one() {
    let rig = rig(Bounds::default()).await;
    let _idle = rig.greeted().await.unwrap();
    let mut slow = TcpStream::connect(rig.address).await.unwrap();
    slow.write_all(b"GET /slow HTTP/1.1\r\nHost: c\r\n\r\n").await.unwrap();
    tokio::time::sleep(SOON / 3).await;
    let began = Instant::now();
    rig.stop.send_replace(true);
    assert!(closed(slow).await.0.ends_with("slow"));
    rig.task.await.unwrap();
    assert!(began.elapsed() < Bounds::default().last_request);
}
