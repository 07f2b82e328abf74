//! Connections: how many there are, of whom, and for how long.
//!
//! Every connection has a bound on how long the head of a request may take, which is also how long one may idle, and on
//! how long it lives at all, so that neither who writes slowly nor who reads slowly holds a place for long. A
//! connection beyond the bounds is closed unread, and counted; whoever it was comes back later. What the body of a
//! request may take is its handler's to say.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};
use tracing::{debug, warn};

use crate::metrics::Metrics;

/// What connections may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// All together.
    pub connections: usize,
    /// Of one address; of one /64 where addresses are of IPv6. Not of this machine itself.
    pub per_address: usize,
    /// How long the head of a request may take, and how long a connection may idle.
    pub head: Duration,
    /// How long a connection may live; then it is closed after the request under way.
    pub life: Duration,
    /// How long that last request may take.
    pub last_request: Duration,
}

impl Default for Bounds {
    /// A connection for each of ten thousand devices and half as many again; agents that sample every ten seconds keep
    /// theirs. A site's devices may come from one address. Idle ones hold a few kilobytes and a file descriptor each,
    /// which the system has to allow. The last request ends before a stop is made short.
    fn default() -> Self {
        Self {
            connections: 16_384,
            per_address: 1_024,
            head: Duration::from_secs(30),
            life: Duration::from_secs(3_600),
            last_request: Duration::from_secs(15),
        }
    }
}

/// Read buffer of a connection, in bytes: a head has to fit, a batch of 34 samples fits beside it.
const BUFFER_BYTES: usize = 16 * 1024;
/// Headers of a request: an agent sends seven.
const MAX_HEADERS: usize = 64;
/// Wait after the system had no connection to give (no file descriptor left, say): some will have ended.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections by address. Bounded by the number of connections.
type Guests = Arc<Mutex<BTreeMap<IpAddr, usize>>>;

/// A connection's place; dropped, it is free.
struct Place {
    _seat: OwnedSemaphorePermit,
    guests: Guests,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = guests.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                guests.remove(&self.address);
            }
        }
    }
}

/// What counts as one address: who has one of IPv6 has 2^64 of them.
fn address_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(peer) => {
            let [a, b, c, d, ..] = peer.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        peer @ IpAddr::V4(_) => peer,
    }
}

fn place(seats: &Arc<Semaphore>, guests: &Guests, peer: IpAddr, per_address: usize) -> Option<Place> {
    let seat = seats.clone().try_acquire_owned().ok()?;
    let address = address_of(peer);
    let mut counts = guests.lock().unwrap_or_else(PoisonError::into_inner);
    let count = counts.get(&address).copied().unwrap_or(0);
    if count >= per_address && !peer.to_canonical().is_loopback() {
        return None;
    }
    counts.insert(address, count + 1);
    Some(Place { _seat: seat, guests: guests.clone(), address })
}

/// Serves until told to stop; then until the requests under way are answered, or their time is over.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    bounds: Bounds,
    metrics: Metrics,
    mut stopped: watch::Receiver<bool>,
) {
    let connections = bounds.connections.min(u32::MAX as usize);
    let seats = Arc::new(Semaphore::new(connections));
    let guests = Guests::default();
    loop {
        let accepted = tokio::select! {
            // An error means that the handle is gone, which is a stop as well.
            _ = stopped.wait_for(|stop| *stop) => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "no connection could be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        match place(&seats, &guests, peer.ip(), bounds.per_address) {
            Some(place) => drop(tokio::spawn(talk(stream, router.clone(), bounds, stopped.clone(), place))),
            None => {
                debug!(%peer, "too many connections");
                metrics.connection_refused();
            }
        }
    }
    drop(listener);
    // All of them are told to stop too, and each ends within its last request's time.
    let _ = seats.acquire_many(u32::try_from(connections).unwrap_or(u32::MAX)).await;
}

async fn talk(stream: TcpStream, router: Router, bounds: Bounds, mut stopped: watch::Receiver<bool>, _place: Place) {
    // Answers are small and awaited.
    let _ = stream.set_nodelay(true);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(bounds.head).max_buf_size(BUFFER_BYTES).max_headers(MAX_HEADERS);
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        _ = stopped.wait_for(|stop| *stop) => None,
        () = tokio::time::sleep(bounds.life) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(bounds.last_request, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        debug!(%error, "connection ended");
    }
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
