//! Measuring, keeping and sending. What is measured is written down once ([`Journal`]); every oracle has a sender that
//! reads it at its own pace, so that none waits for another.

mod answer;
mod journal;
mod progress;
mod record;
mod sampler;
mod samples;
mod segments;
mod sender;
mod vitals;

pub use answer::Answer;
pub use journal::{BufferStatus, Journal, KEEP_MS, MEMORY_SAMPLES, Position, SYNC_EVERY, Taken, folder};
pub use progress::{Progress, Unanswered};
pub use sampler::Sampler;
pub use samples::Samples;
pub use sender::Sender;

/// Samples that go into one batch at most: half a megabyte. An outage's backlog is sent in pieces.
pub const MAX_BATCH_SAMPLES: usize = 5_000;
/// Telemetry can't be kept on disk.
pub const DISK_CODE: &str = "CW-AGENT-BUFFER";
