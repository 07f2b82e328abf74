//! Metrics and health over HTTP, for a Prometheus and a supervisor of the same machine: `/metrics`, `/live`, `/ready`.
//!
//! Everything that a client can hold is bounded: how many connections there are, and how long each may take. Nothing
//! here is a secret, and nothing here changes anything; it belongs on a local address all the same.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{Method, Request, Response, StatusCode, body::Incoming, header::CONTENT_TYPE, server::conn::http1};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
};

use super::metrics::{Sources, page, unready};

/// Connections at once: a scraper, a supervisor and a person, each twice over.
const CONNECTIONS: usize = 16;
/// How long a connection may live: a scrape's interval and more.
const LIFE: Duration = Duration::from_secs(300);
/// How long a head may take.
const HEAD: Duration = Duration::from_secs(10);
/// Wait after the system had no connection to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Prometheus' text format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What serves; dropped, it stops.
pub struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts serving on the current tokio runtime.
    ///
    /// # Errors
    /// The address can't be had.
    pub async fn start(address: SocketAddr, sources: Sources) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { address, task: tokio::spawn(serve(listener, Arc::new(sources))) })
    }

    /// Where it serves.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, sources: Arc<Sources>) {
    let seats = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let Ok(seat) = seats.clone().try_acquire_owned() else { continue };
                let sources = sources.clone();
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(LIFE, talk(stream, sources)).await;
                    drop(seat);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "no connection could be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn talk(stream: TcpStream, sources: Arc<Sources>) {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let sources = sources.clone();
        async move { Ok::<_, Infallible>(answer(&request, &sources)) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "connection ended");
    }
}

fn answer<B>(request: &Request<B>, sources: &Sources) -> Response<String> {
    let (status, kind, body) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/live") => (StatusCode::OK, TEXT, "live\n".to_owned()),
        (&Method::GET, "/metrics") => (StatusCode::OK, TEXT, page(sources)),
        (&Method::GET, "/ready") => match unready(sources) {
            None => (StatusCode::OK, "application/json", serde_json::json!({"ready": true}).to_string()),
            Some(problem) => {
                let (code, cause, remedy) = problem;
                let body = serde_json::json!({"code": code, "cause": cause, "remedy": remedy}).to_string();
                (StatusCode::SERVICE_UNAVAILABLE, "application/json", body)
            }
        },
        _ => (StatusCode::NOT_FOUND, TEXT, "There are /metrics, /live and /ready.\n".to_owned()),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    response
}
