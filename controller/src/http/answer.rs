//! What every answer goes through: a bound on its time, an ETag that spares a body which the caller has, gzip.
//!
//! Bodies are made whole in memory, so that what they hash to and what they compress to is known before they are sent. A
//! stream of events passes as it is, and so does what has its ETag already. ETags are weak: the same words, whether or not
//! they are compressed. Before anything is done for an address that shows no operator's token, its rate is looked at.

use std::{io::Write, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, response::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use causeway_wire::signing;
use flate2::{Compression, write::GzEncoder};

use super::{error::ApiError, operator};
use crate::{codes, daemon::Peer, running, shared::Shared};

/// Longest that a request may take; the longest is one that waits for an agent.
pub const TIME_LIMIT: Duration = Duration::from_secs(45);
/// Longest wait for an agent that a caller can ask for, in milliseconds; well within [`TIME_LIMIT`] and within the time that
/// a question is open.
pub const MAX_WAIT_MS: u64 = 30_000;
const _: () = assert!(MAX_WAIT_MS < running::OPEN_MS);

/// Bodies from this size on are compressed, in bytes: what fits a packet gains nothing.
const COMPRESSED_FROM: usize = 1_024;
/// Bodies from this size on are hashed and compressed where that keeps nobody waiting: beyond it, it takes milliseconds.
const ASIDE_FROM: usize = 128 * 1024;
/// Longest body that is made, in bytes: a topology of ten thousand devices and twenty thousand links takes a tenth of it.
const MAX_ANSWER: usize = 256 * 1024 * 1024;
/// Bytes of a SHA-256 that make an ETag.
const ETAG_BYTES: usize = 16;

/// When an address that asked too often may ask again, in seconds.
const AGAIN_S: u32 = 1;

/// Bounds, shortens and counts an answer.
pub async fn finish(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(Peer(from)): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let is_operator = operator::authorize(shared.operator_token.as_deref(), from, request.headers()).is_ok();
    let response = if is_operator || shared.within_caller_rate(from.ip()) {
        answered(request, next).await
    } else {
        let cause = "this address has asked too often in a short time";
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, codes::ASKED_TOO_OFTEN, cause).again_in(AGAIN_S).into_response()
    };
    shared.metrics.answered(response.status().as_u16());
    response
}

async fn answered(request: Request, next: Next) -> Response {
    let get = request.method() == Method::GET;
    let wanted = Wanted::of(request.headers());
    match tokio::time::timeout(TIME_LIMIT, next.run(request)).await {
        Ok(response) if get && response.status() == StatusCode::OK && !is_done(&response) => {
            shorten(response, wanted).await
        }
        Ok(response) => response,
        Err(_) => {
            let cause = format!("there was no answer within {} s", TIME_LIMIT.as_secs());
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, codes::TOO_SLOW, cause).into_response()
        }
    }
}

/// What a caller has, and takes.
struct Wanted {
    known: String,
    gzip: bool,
}

impl Wanted {
    fn of(headers: &HeaderMap) -> Self {
        let known = joined(headers, &header::IF_NONE_MATCH);
        Self { known, gzip: accepts_gzip(&joined(headers, &header::ACCEPT_ENCODING)) }
    }
}

/// A body of JSON that is given more than once: hashed, and compressed where it is large.
pub struct Prepared {
    etag: String,
    plain: Bytes,
    packed: Option<Bytes>,
}

impl Prepared {
    /// Of this body.
    pub fn of(plain: Bytes) -> Self {
        let packed = if plain.len() >= COMPRESSED_FROM { packed(&plain) } else { None };
        Self { etag: etag(&plain), plain, packed }
    }
}

/// The answer that has it, to these headers.
pub fn of(prepared: &Prepared, headers: &HeaderMap) -> Response {
    let Wanted { known, gzip } = Wanted::of(headers);
    let body = match &prepared.packed {
        _ if matches(&known, &prepared.etag) => None,
        Some(packed) if gzip => Some((true, packed.clone())),
        Some(_) | None => Some((false, prepared.plain.clone())),
    };
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    finished(parts, &prepared.etag, body)
}

/// All values of a header that may be there several times.
fn joined(headers: &HeaderMap, name: &header::HeaderName) -> String {
    let values: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    values.join(",")
}

/// Whether nothing is left to be done: a stream, or what was prepared.
fn is_done(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    response.headers().contains_key(header::ETAG) || kind.is_some_and(|kind| kind.starts_with("text/event-stream"))
}

async fn shorten(response: Response, Wanted { known, gzip }: Wanted) -> Response {
    let (parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, MAX_ANSWER).await else {
        let cause = format!("the answer is longer than {MAX_ANSWER} bytes");
        return ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, codes::TOO_SLOW, cause).into_response();
    };
    let small = body.len() < ASIDE_FROM;
    let work = move || {
        let etag = etag(&body);
        if matches(&known, &etag) {
            return (etag, None);
        }
        let packed = if gzip && body.len() >= COMPRESSED_FROM { packed(&body) } else { None };
        (etag, Some((packed.is_some(), packed.unwrap_or(body))))
    };
    let worked = if small { Ok(work()) } else { tokio::task::spawn_blocking(work).await };
    let Ok((etag, body)) = worked else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    finished(parts, &etag, body)
}

/// With its ETag, and the body, said to be compressed or not; without one where the caller has it.
fn finished(mut parts: Parts, etag: &str, body: Option<(bool, Bytes)>) -> Response {
    if let Ok(etag) = HeaderValue::from_str(etag) {
        parts.headers.insert(header::ETAG, etag);
    }
    parts.headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
    parts.headers.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
    parts.headers.remove(header::CONTENT_LENGTH);
    match body {
        None => {
            parts.status = StatusCode::NOT_MODIFIED;
            Response::from_parts(parts, Body::empty())
        }
        Some((packed, body)) => {
            if packed {
                parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
            Response::from_parts(parts, Body::from(body))
        }
    }
}

fn etag(body: &[u8]) -> String {
    let hash = signing::sha256(body);
    format!("W/\"{}\"", hex::encode(hash.get(..ETAG_BYTES).unwrap_or(&hash)))
}

/// Whether an `If-None-Match` names this ETag. Compared weakly, as RFC 9110 (13.1.2) has it.
fn matches(known: &str, etag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let etag = opaque(etag);
    known.split(',').any(|tag| tag.trim() == "*" || opaque(tag) == etag)
}

/// Whether an `Accept-Encoding` takes gzip (RFC 9110, 12.5.3): it names it, or anything, with a weight above zero.
fn accepts_gzip(accepted: &str) -> bool {
    let weight = |wanted: &str| {
        accepted.split(',').find_map(|part| {
            let (name, weight) = part.split_once(';').unwrap_or((part, "q=1"));
            let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.trim().parse::<f32>().ok());
            name.trim().eq_ignore_ascii_case(wanted).then(|| weight.unwrap_or(0.0))
        })
    };
    weight("gzip").or_else(|| weight("*")).is_some_and(|weight| weight > 0.0)
}

fn packed(body: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    // Memory takes everything.
    encoder.write_all(body).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_taken_where_it_is_accepted() {
        for (accepted, expected) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("br, *", true),
            ("gzip;q=0, *", false),
            ("gzip; q=0.0", false),
            ("*;q=0", false),
            ("identity", false),
            ("gzip;q=x", false),
            ("", false),
        ] {
            assert_eq!(accepts_gzip(accepted), expected, "{accepted:?}");
        }
    }

    #[test]
    fn an_etag_is_known_however_it_is_written() {
        let tag = etag(b"x");
        for (known, expected) in [
            (tag.clone(), true),
            (tag.trim_start_matches("W/").to_owned(), true),
            (format!("\"a\", {tag}"), true),
            ("*".to_owned(), true),
            ("\"a\"".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(matches(&known, &tag), expected, "{known:?}");
        }
    }
}
