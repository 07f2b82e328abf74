//! Connections: how many there are, of whom, and for how long. What they are bounded by is the same for every server of the
//! project; these are the oracle's numbers.

use std::time::Duration;

use axum::{Router, serve::ListenerExt};
pub use causeway_connections::Bounds;
use tokio::{net::TcpListener, sync::watch};

use crate::metrics::Metrics;

/// A connection for each of ten thousand devices and half as many again; agents that sample every ten seconds keep theirs. A
/// site's devices may come from one address. Idle ones hold a few kilobytes and a file descriptor each, which the system has
/// to allow. The last request ends before a stop is made short.
pub const BOUNDS: Bounds = Bounds {
    connections: 16_384,
    per_address: 1_024,
    head: Duration::from_secs(30),
    life: Duration::from_secs(3_600),
    last_request: Duration::from_secs(15),
};

/// Serves until told to stop; then until the requests under way are answered, or their time is over.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    bounds: Bounds,
    metrics: Metrics,
    stopped: watch::Receiver<bool>,
) {
    let listener = listener.tap_io(|stream| {
        // Answers are small and awaited.
        let _ = stream.set_nodelay(true);
    });
    causeway_connections::serve(listener, router, bounds, move || metrics.connection_refused(), stopped).await;
}
