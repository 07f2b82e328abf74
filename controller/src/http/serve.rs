//! Connections of people and scripts: how many there are, and for how long.
//!
//! A head has to come within its time, which is also how long a connection may idle; a connection ends after its life, with
//! the request under way. One beyond the bound is closed unread, and counted. A stream of events that is ended so is
//! resumed by its id.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo, serve::Listener};
use hyper::{Request, body::Incoming, server::conn::http1, service::Service};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::sync::{Semaphore, watch};

use crate::{daemon::Peer, shared::EVENT_STREAMS};

/// What connections may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// All together: every stream of events, and as many others.
    pub connections: usize,
    /// How long the head of a request may take, and how long a connection may idle.
    pub head: Duration,
    /// How long a connection may live; then it is closed after the request under way.
    pub life: Duration,
    /// How long that last request may take.
    pub last_request: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 2 * EVENT_STREAMS,
            head: Duration::from_secs(30),
            life: Duration::from_secs(3_600),
            last_request: Duration::from_secs(4),
        }
    }
}

/// Read buffer of a connection, in bytes: a head has to fit.
const BUFFER_BYTES: usize = 16 * 1024;
/// Headers of a request: a browser sends twenty.
const MAX_HEADERS: usize = 64;

/// Serves until told to stop; then until the requests under way are answered, or their time is over. `refused` is called
/// for a connection beyond the bound.
pub async fn serve<L>(
    mut listener: L,
    router: Router,
    bounds: Bounds,
    refused: impl Fn() + Send,
    mut stopping: watch::Receiver<bool>,
) where
    L: Listener<Addr = SocketAddr>,
{
    let connections = bounds.connections.min(u32::MAX as usize);
    let seats = Arc::new(Semaphore::new(connections));
    loop {
        let (stream, from) = tokio::select! {
            // An error means that nobody can tell it any more, which is a stop as well.
            _ = stopping.wait_for(|stop| *stop) => break,
            accepted = listener.accept() => accepted,
        };
        let Ok(seat) = Arc::clone(&seats).try_acquire_owned() else {
            tracing::debug!(%from, "too many connections");
            refused();
            continue;
        };
        let (router, stopping) = (router.clone(), stopping.clone());
        tokio::spawn(async move {
            talk(stream, from, router, bounds, stopping).await;
            drop(seat);
        });
    }
    drop(listener);
    // All of them are told to stop too, and each ends within its last request's time.
    let _ = seats.acquire_many(u32::try_from(connections).unwrap_or(u32::MAX)).await;
}

async fn talk<I>(stream: I, from: SocketAddr, router: Router, bounds: Bounds, mut stopping: watch::Receiver<bool>)
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
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
        tracing::debug!(%from, %error, "connection ended");
    }
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
