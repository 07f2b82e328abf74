//! Answers about the whole network: large, and the same for everybody. One is made at a time, compressed and hashed once, and
//! given to whoever asks until what is served has changed. What polls change, such as when an agent last asked, is up to
//! [`MAX_AGE`] old in them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::Bytes,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use causeway_sdk::snapshot::Snapshot;
use serde::Serialize;
use tokio::sync::Mutex;

use super::{
    answer::{self, Prepared},
    error::ApiError,
    routes::served,
};
use crate::{codes, shared::Shared, store::Store};

/// Age up to which an answer is given while nothing but polls has changed: a fleet polls a thousand times a second.
const MAX_AGE: Duration = Duration::from_secs(1);

/// The large answers.
#[derive(Default)]
pub struct Wholes {
    /// Every device.
    pub devices: Whole,
    /// Every link.
    pub links: Whole,
    /// Both.
    pub topology: Whole,
}

/// One of them, as it was made last. Whoever holds the lock may make it anew; the others wait for what comes of it.
#[derive(Default)]
pub struct Whole(Arc<Mutex<Option<Made>>>);

struct Made {
    version: u64,
    at: Instant,
    answer: Prepared,
}

impl Whole {
    /// The answer to these headers. `view` reads it out of the store; it becomes text when the store is free again.
    ///
    /// # Errors
    /// Nothing is served.
    pub async fn answer<V: Serialize>(
        &self,
        shared: &Arc<Shared>,
        headers: &HeaderMap,
        view: impl FnOnce(&Store, &Snapshot) -> V + Send + 'static,
    ) -> Result<Response, ApiError> {
        let mut kept = Arc::clone(&self.0).lock_owned().await;
        let version = shared.store_version().1;
        if let Some(made) = kept.as_ref().filter(|made| made.version == version && made.at.elapsed() < MAX_AGE) {
            return Ok(answer::of(&made.answer, headers));
        }
        let (shared, at) = (Arc::clone(shared), Instant::now());
        // The lock goes with the work: who asks and goes away has it made once, and not once for each time.
        let made = tokio::task::spawn_blocking(move || {
            let (view, version) = {
                let (store, version) = shared.store_version();
                (view(&store, served(&store)?), version)
            };
            let text = serde_json::to_vec(&view).map_err(|error| failed(&error))?;
            *kept = Some(Made { version, at, answer: Prepared::of(Bytes::from(text)) });
            Ok::<_, ApiError>(kept)
        });
        let kept = made.await.map_err(|error| failed(&error))??;
        kept.as_ref().map(|made| answer::of(&made.answer, headers)).ok_or_else(ApiError::not_ready)
    }
}

fn failed(error: &dyn std::error::Error) -> ApiError {
    tracing::error!(%error, "an answer about the whole network could not be made");
    let cause = "the answer could not be made; the controller's log says why";
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, codes::TOO_SLOW, cause)
}
