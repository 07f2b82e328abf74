//! A job's events as they happen, resumable by number. The stream ends when the job is over.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse,
        sse::{Event as Sse, KeepAlive, Sse as Stream},
    },
};
use causeway_jobs::{Job, spec::JobId};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use super::{
    LogsQuery, jobs_of, number,
    told::{self, Line, Told},
};
use crate::{
    codes,
    http::{
        error::{ApiError, ErrorBody},
        extract::{Asked, Named},
    },
    jobs::Jobs,
    shared::Shared,
};

/// Events that wait for a slow reader; beyond it, it waits in the store.
const WAITING: usize = 64;
/// Silence after which a comment is sent, so that proxies keep the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Between two looks for what another controller recorded; what this one does is told at once.
const LOOK: Duration = Duration::from_secs(1);

/// What happens to a job, as it happens: first what has happened since `after`. Ends when the job is over.
#[utoipa::path(
    get, path = "/api/v1/jobs/{id}/events",
    params(("id" = i64, Path), ("after" = Option<u64>, Query, description = "Number of the last event seen")),
    responses(
        (status = 200, description = "Server-sent events; data is a LogLine", content_type = "text/event-stream"),
        (status = 404, body = ErrorBody), (status = 503, body = ErrorBody),
    )
)]
pub async fn job_events(
    State(shared): State<Arc<Shared>>,
    Named(id): Named,
    Asked(query): Asked<LogsQuery>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    follow::<Job>(shared, number(&id)?, query.after, &headers).await
}

/// The answer to whoever follows a job or a rollout.
///
/// # Errors
/// There is none of this number, or no room for another stream.
pub async fn follow<T: Told>(
    shared: Arc<Shared>,
    id: JobId,
    after: Option<u64>,
    headers: &HeaderMap,
) -> Result<impl IntoResponse + use<T>, ApiError> {
    let jobs = Arc::clone(jobs_of(&shared)?);
    let room = Arc::clone(&shared.event_streams).try_acquire_owned().map_err(|_| {
        let cause = "as many streams of events are open as the controller serves";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, codes::STREAMS_FULL, cause)
    })?;
    // What can't be read is said as an answer, before there is a stream.
    let (lines, state) = told::read::<T>(&jobs, id).await?;
    let header = headers.get("last-event-id").and_then(|value| value.to_str().ok()).and_then(|id| id.parse().ok());
    let last: Option<u64> = header.or(after);
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        feed(&shared, &jobs, (id, state), lines, last, &sender).await;
        drop::<OwnedSemaphorePermit>(room);
    });
    Ok(Stream::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

type Sender = mpsc::Sender<Result<Sse, Infallible>>;

async fn feed<T: Told>(
    shared: &Shared,
    jobs: &Jobs,
    (id, mut state): (JobId, T),
    lines: Vec<T::Line>,
    last: Option<u64>,
    sender: &Sender,
) {
    let (mut stopping, mut changed) = (shared.stopping.clone(), jobs.changed.subscribe());
    for line in lines {
        if last.is_none_or(|last| line.seq() > last) && send(sender, &line).await.is_err() {
            return;
        }
    }
    loop {
        changed.borrow_and_update();
        // A store that is away is asked again.
        for row in jobs.store.events(id, state.next_seq()).await.unwrap_or_default() {
            let Ok(line) = state.take(&row) else { return };
            if send(sender, &line).await.is_err() {
                return;
            }
        }
        if state.is_over() {
            return;
        }
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            () = sender.closed() => return,
            _ = changed.changed() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn send(sender: &Sender, line: &impl Line) -> Result<(), ()> {
    let message = Sse::default().id(line.seq().to_string()).event(line.event());
    // Plain values under text keys always become JSON.
    let message = message.json_data(line).map_err(|_| ())?;
    sender.send(Ok(message)).await.map_err(|_| ())
}
