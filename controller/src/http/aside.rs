//! Work for a caller that takes a while, such as making or comparing texts: where it keeps nobody waiting, and little at a time.

use std::{sync::Arc, time::Duration};

use axum::http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;
use crate::{codes, shared::Shared};

/// Works at a time: a machine that serves agents has two processors at least, and a text of ten thousand devices takes a second.
const AT_ONCE: usize = 2;
/// Longest wait for a turn; whoever asked is told to come back.
const TURN: Duration = Duration::from_secs(2);
/// When to come back, in seconds.
const AGAIN_S: u32 = 5;

/// Room for such work.
pub struct Aside(Arc<Semaphore>);

impl Default for Aside {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Aside {
    /// A turn, once there is one; none where there was none in time.
    pub async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        tokio::time::timeout(TURN, Arc::clone(&self.0).acquire_owned()).await.ok()?.ok()
    }
}

/// Does it. Who goes away meanwhile leaves the work, which keeps its room until it has ended.
///
/// # Errors
/// It had no turn in time, or what `work` said.
pub async fn aside<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let busy = || {
        let cause = format!("{AT_ONCE} of them are under way, and there was no turn within {} s", TURN.as_secs());
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, codes::BUSY, cause).again_in(AGAIN_S)
    };
    let turn = shared.aside.turn().await.ok_or_else(busy)?;
    let shared = Arc::clone(shared);
    let done = tokio::task::spawn_blocking(move || {
        let done = work(&shared);
        drop(turn);
        done
    });
    done.await.unwrap_or_else(|error| {
        tracing::error!(%error, "what a caller asked for could not be made");
        let cause = "what was asked for could not be made; the controller's log says why";
        Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, codes::TOO_SLOW, cause))
    })
}
