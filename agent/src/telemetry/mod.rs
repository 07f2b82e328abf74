//! Measuring and sending. Every oracle has its own buffer and its own sender, so that none waits for another.

mod answer;
mod buffer;
mod sampler;
mod sender;

pub use answer::Answer;
pub use buffer::{Buffer, Samples, Taken};
pub use sampler::Sampler;
pub use sender::Sender;

/// Samples that go into one batch at most: half a megabyte. An outage's backlog is sent in pieces.
pub const MAX_BATCH_SAMPLES: usize = 5_000;
