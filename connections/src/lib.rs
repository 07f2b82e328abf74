//! Connections of a server over HTTP: how many there are, of whom, and for how long. Controller and oracles serve by it.
//!
//! Every connection has a bound on how long the head of a request may take, which is also how long one may idle, and on how
//! long it lives at all, so that neither who writes slowly nor who reads slowly holds a place for long. A connection beyond
//! the bounds is closed unread, and told to the caller, who counts it; whoever it was comes back later. What the body of a
//! request may take is its handler's to say. A stream that is ended with its connection is its client's to resume.
//!
//! Who has how many places ([`Guests`]), and what counts as one address ([`address_of`]), is for other servers too.

mod guests;

use std::{net::SocketAddr, time::Duration};

use axum::{Router, extract::ConnectInfo, serve::Listener};
use hyper::{Request, body::Incoming, server::conn::http1, service::Service};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};
use tracing::debug;

pub use guests::{Guests, Place, address_of};

/// Read buffer of a connection, in bytes: a head has to fit, and a batch of 34 samples of an agent fits beside it.
const BUFFER_BYTES: usize = 16 * 1024;
/// Headers of a request: an agent sends seven, a browser twenty.
const MAX_HEADERS: usize = 64;

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

/// Who a request is from: a handler takes it as `ConnectInfo<Peer>`.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Serves until told to stop; then until the requests under way are answered, or their time is over. `refused` is called
/// for a connection beyond the bounds.
pub async fn serve<L>(
    mut listener: L,
    router: Router,
    bounds: Bounds,
    refused: impl Fn() + Send,
    mut stopping: watch::Receiver<bool>,
) where
    L: Listener<Addr = SocketAddr>,
{
    let guests = Guests::new(bounds.connections, bounds.per_address);
    loop {
        let (stream, from) = tokio::select! {
            // An error means that nobody can tell it any more, which is a stop as well.
            _ = stopping.wait_for(|stop| *stop) => break,
            accepted = listener.accept() => accepted,
        };
        let Some(place) = guests.place(from.ip()) else {
            debug!(%from, "too many connections");
            refused();
            continue;
        };
        let (router, stopping) = (router.clone(), stopping.clone());
        tokio::spawn(async move {
            talk(stream, from, router, bounds, stopping).await;
            drop(place);
        });
    }
    drop(listener);
    // All of them are told to stop too, and each ends within its last request's time.
    guests.gone().await;
}

async fn talk<I>(stream: I, from: SocketAddr, router: Router, bounds: Bounds, mut stopping: watch::Receiver<bool>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let router = TowerToHyperService::new(router);
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(Peer(from)));
        router.call(request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(bounds.head).max_buf_size(BUFFER_BYTES).max_headers(MAX_HEADERS);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        _ = stopping.wait_for(|stop| *stop) => None,
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
        debug!(%from, %error, "connection ended");
    }
}

#[cfg(test)]
mod tests;
