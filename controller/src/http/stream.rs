//! Server-sent events, resumable by id.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse,
        sse::{Event as Sse, KeepAlive, Sse as Stream},
    },
};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, broadcast::error::RecvError, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use super::{
    error::{ApiError, ErrorBody},
    extract::Asked,
};
use crate::{
    codes,
    events::{Event, Resumed},
    shared::Shared,
};

/// Events that wait for a slow reader; beyond it, it waits in the log.
const WAITING: usize = 64;
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
    Asked(query): Asked<EventsQuery>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    let room = Arc::clone(&shared.event_streams).try_acquire_owned().map_err(|_| {
        let cause = "as many streams of events are open as the controller serves";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, codes::STREAMS_FULL, cause)
    })?;
    let header = headers.get("last-event-id").and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    let last = header.or(query.after);
    // Before the caller is answered: what happens from then on is in the stream.
    let resumed = shared.events.resume(last);
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::spawn(feed(shared, last, resumed, sender, room));
    Ok(Stream::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

type Sender = mpsc::Sender<Result<Sse, Infallible>>;

/// Feeds one stream until its reader goes or the controller stops; then its room is free again.
async fn feed(
    shared: Arc<Shared>,
    mut last: Option<u64>,
    mut resumed: Resumed,
    sender: Sender,
    _room: OwnedSemaphorePermit,
) {
    let mut stopping = shared.stopping.clone();
    loop {
        let Resumed { lost, past, mut live } = resumed;
        if lost && sender.send(Ok(Sse::default().event("lost").data("{}"))).await.is_err() {
            return;
        }
        for event in past {
            last = Some(event.id);
            if send(&sender, &event).await.is_err() {
                return;
            }
        }
        loop {
            let received = tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => return,
                () = sender.closed() => return,
                received = live.recv() => received,
            };
            match received {
                Ok(event) => {
                    last = Some(event.id);
                    if send(&sender, &event).await.is_err() {
                        return;
                    }
                }
                // It fell behind: on from the log.
                Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => return,
            }
        }
        resumed = shared.events.resume(last);
    }
}

async fn send(sender: &Sender, event: &Event) -> Result<(), ()> {
    let message = Sse::default().id(event.id.to_string()).event(event.change.kind());
    // Plain values under text keys always become JSON.
    let message = message.json_data(event).map_err(|_| ())?;
    sender.send(Ok(message)).await.map_err(|_| ())
}
