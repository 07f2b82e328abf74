//! A job's events as they happen, resumable by number. The stream ends when the job is over.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    extract::{ConnectInfo, State},
    http::HeaderMap,
    response::{
        IntoResponse,
        sse::{Event as Sse, Sse as Stream},
    },
};
use causeway_jobs::{Job, spec::JobId, store::MAX_PAGE};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{
    LogsQuery, jobs_of, number,
    told::{self, Line, Told},
};
use crate::{
    daemon::Peer,
    http::{
        error::{ApiError, ErrorBody},
        extract::{Asked, Named},
        stream::{keep_alive, last_seen, room},
    },
    jobs::Jobs,
    shared::Shared,
};

/// Events that wait for a slow reader; beyond it, it waits in the store.
const WAITING: usize = 64;
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
    ConnectInfo(Peer(from)): ConnectInfo<Peer>,
    Named(id): Named,
    Asked(query): Asked<LogsQuery>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    follow::<Job>(shared, from, number(&id)?, query.after, &headers).await
}

/// The answer to whoever follows a job or a rollout.
///
/// # Errors
/// There is none of this number, or no room for another stream.
pub async fn follow<T: Told>(
    shared: Arc<Shared>,
    from: SocketAddr,
    id: JobId,
    after: Option<u64>,
    headers: &HeaderMap,
) -> Result<impl IntoResponse + use<T>, ApiError> {
    let jobs = Arc::clone(jobs_of(&shared)?);
    let room = room(&shared, from)?;
    // What can't be read is said as an answer, before there is a stream.
    let (lines, state) = told::read::<T>(&jobs, id).await?;
    let last = last_seen(headers, after);
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        feed(&shared, &jobs, (id, state), lines, last, &sender).await;
        drop(room);
    });
    Ok(Stream::new(ReceiverStream::new(receiver)).keep_alive(keep_alive()))
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
        for row in jobs.store.events(id, state.next_seq(), MAX_PAGE).await.unwrap_or_default() {
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
