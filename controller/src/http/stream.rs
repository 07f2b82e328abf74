//! Server-sent events, resumable by id.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    extract::{ConnectInfo, State},
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse,
        sse::{Event as Sse, KeepAlive, Sse as Stream},
    },
};
use serde::Deserialize;

use super::{
    error::{ApiError, ErrorBody},
    extract::Asked,
};
use crate::{
    codes,
    daemon::Peer,
    feed::{self, Room, Told},
    shared::Shared,
};

/// Silence after which a comment is sent, so that proxies keep the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How to resume.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsQuery {
    /// The last event seen; the header `Last-Event-ID` says the same.
    after: Option<u64>,
}

/// What happens, as it happens. An event `lost` means that events since the given id are gone: read the state anew.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    params(("after" = Option<u64>, Query, description = "Id of the last event seen")),
    responses(
        (status = 200, description = "Server-sent events; data is an Event", content_type = "text/event-stream"),
        (status = 503, body = ErrorBody),
    )
)]
pub async fn events(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(Peer(from)): ConnectInfo<Peer>,
    Asked(query): Asked<EventsQuery>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    let events = feed::open(Arc::clone(&shared), room(&shared, from)?, last_seen(&headers, query.after), message);
    Ok(Stream::new(events).keep_alive(keep_alive()))
}

/// Room for one more reader.
///
/// # Errors
/// As many streams are open as the controller serves, in all or to one address.
pub fn room(shared: &Shared, to: SocketAddr) -> Result<Room, ApiError> {
    shared.event_stream(to.ip()).ok_or_else(|| {
        let cause = "as many streams of events are open as the controller serves, in all or to one address";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, codes::STREAMS_FULL, cause)
    })
}

/// The last event that a reader saw: what its browser says when it comes back, or what it asked for first.
pub fn last_seen(headers: &HeaderMap, after: Option<u64>) -> Option<u64> {
    headers.get("last-event-id").and_then(|value| value.to_str().ok()).and_then(|id| id.parse().ok()).or(after)
}

/// A comment in silence.
pub fn keep_alive() -> KeepAlive {
    KeepAlive::new().interval(KEEP_ALIVE)
}

/// An error ends the stream; plain values under text keys always become JSON.
fn message(told: Told<'_>) -> Result<Sse, axum::Error> {
    match told {
        Told::Lost => Ok(Sse::default().event("lost").data("{}")),
        Told::Happened(event) => Sse::default().id(event.id.to_string()).event(event.change.kind()).json_data(event),
    }
}
