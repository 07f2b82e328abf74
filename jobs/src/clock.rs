//! The time, as a parameter. Waiting is always tokio's, so that tests pause it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Unix milliseconds from somewhere.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// This machine's time.
#[must_use]
pub fn system() -> Clock {
    Arc::new(|| ms(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()))
}

/// Tokio's time, which tests can pause, counted from a moment. To be made inside a runtime.
#[must_use]
pub fn tokio(from_ms: u64) -> Clock {
    let began = tokio::time::Instant::now();
    Arc::new(move || from_ms.saturating_add(ms(began.elapsed())))
}

/// A duration in ms.
#[must_use]
pub fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
