//! The port of agents: gRPC, bounded before anything is read of a caller.
//!
//! A connection takes a place or is closed unread; it says that it speaks HTTP/2 within a few seconds, or ends; one that has
//! gone silent is asked and ends within a minute; and only so many calls are under way on it. What a call may do after that is
//! its session's to say (`grpc.rs`).

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::serve::Listener;
use causeway_connections::{Guests, Place};
use causeway_wire::{
    MAX_MESSAGE_BYTES,
    controller::{config_server::ConfigServer, events_server::EventsServer},
};
use futures::stream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::watch,
    time::Sleep,
};
use tonic::{
    Request,
    codec::CompressionEncoding,
    transport::{
        Server,
        server::{Connected, TcpConnectInfo},
    },
};

use crate::{event_stream::EventService, grpc::ConfigService, shared::Shared};

/// Silence after which a connection is asked whether anybody is there, and how long the answer may take: a dead one is known
/// within a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const KEEP_ALIVE_ANSWER: Duration = Duration::from_secs(20);
/// Longest that a call may take; streams are answered at once and go on.
const CALL_LIMIT: Duration = Duration::from_secs(30);
/// Calls and streams under way on one connection: an agent has three, and something in between that carries the calls of
/// 10 000 agents that watch needs forty connections.
const STREAMS: u32 = 256;
/// Longest request for events, in bytes: a number.
const MAX_EVENTS_REQUEST: usize = 1_024;
/// Bytes with which every connection of HTTP/2 begins (RFC 9113, 3.4).
const PREFACE_BYTES: usize = 24;

/// What connections may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// All together.
    pub connections: usize,
    /// Of one address; of one /64 where addresses are of IPv6. Not of this machine itself.
    pub per_address: usize,
    /// How long a connection may take to say that it speaks HTTP/2.
    pub preface: Duration,
}

/// A connection for each of ten thousand agents, and half as many again for those that come back before the old one is known
/// to be dead. An address has a quarter of them: a site's agents behind one.
pub const BOUNDS: Bounds = Bounds { connections: 16_384, per_address: 4_096, preface: Duration::from_secs(10) };

/// Serves until told to stop; then until the calls under way are answered.
pub async fn serve<L>(listener: L, shared: Arc<Shared>, bounds: Bounds, mut stopping: watch::Receiver<bool>)
where
    L: Listener<Addr = SocketAddr>,
{
    let config = ConfigServer::new(ConfigService::new(Arc::clone(&shared)))
        .send_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let events =
        EventsServer::new(EventService::new(Arc::clone(&shared))).max_decoding_message_size(MAX_EVENTS_REQUEST);
    let mut server = Server::builder()
        .timeout(CALL_LIMIT)
        .max_concurrent_streams(STREAMS)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_ANSWER));
    let guests = Guests::new(bounds.connections, bounds.per_address);
    let door = Door { listener, guests, shared, preface: bounds.preface };
    let arrivals = stream::unfold(door, |mut door| async move { Some((Ok::<_, io::Error>(door.next().await), door)) });
    let stopped = async move {
        // A sender that is gone means the same.
        let _ = stopping.wait_for(|stop| *stop).await;
    };
    let served = server.add_service(config).add_service(events).serve_with_incoming_shutdown(arrivals, stopped).await;
    if let Err(error) = served {
        tracing::error!(%error, "gRPC server ended");
    }
}

/// Whose call it is. Every connection of this port says it.
#[must_use]
pub fn peer<T>(request: &Request<T>) -> IpAddr {
    request.remote_addr().map_or(IpAddr::from([0, 0, 0, 0]), |address| address.ip())
}

/// Who comes in.
struct Door<L> {
    listener: L,
    guests: Guests,
    shared: Arc<Shared>,
    preface: Duration,
}

impl<L: Listener<Addr = SocketAddr>> Door<L> {
    /// The next connection that has a place.
    async fn next(&mut self) -> Arrived<L::Io> {
        loop {
            let (io, from) = self.listener.accept().await;
            let Some(place) = self.guests.place(from.ip()) else {
                tracing::debug!(%from, "too many connections of agents");
                self.shared.metrics.agent_connection_refused();
                continue;
            };
            let deadline = Box::pin(tokio::time::sleep(self.preface));
            let preface = Some(Preface { missing: PREFACE_BYTES, deadline });
            return Arrived { io, from, preface, _place: place };
        }
    }
}

/// The beginning of a connection, while it is not there.
struct Preface {
    missing: usize,
    deadline: Pin<Box<Sleep>>,
}

/// A connection that has a place. Reading fails once it has taken too long to begin.
struct Arrived<I> {
    io: I,
    from: SocketAddr,
    preface: Option<Preface>,
    _place: Place,
}

impl<I: AsyncRead + Unpin> AsyncRead for Arrived<I> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut me.io).poll_read(cx, buffer);
        let Some(preface) = &mut me.preface else { return read };
        if read.is_pending() {
            let late = || Err(io::Error::new(io::ErrorKind::TimedOut, "it did not begin to speak HTTP/2 in time"));
            return preface.deadline.as_mut().poll(cx).map(|()| late());
        }
        preface.missing = preface.missing.saturating_sub(buffer.filled().len() - before);
        if preface.missing == 0 {
            me.preface = None;
        }
        read
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Arrived<I> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

impl<I> Connected for Arrived<I> {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        TcpConnectInfo { local_addr: None, remote_addr: Some(self.from) }
    }
}
