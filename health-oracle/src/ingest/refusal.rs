//! Why telemetry is refused: for each reason a code, a cause, a remedy and an HTTP status.

use causeway_wire::{MAX_MESSAGE_BYTES, signing};

use super::verify::MAX_SAMPLES;

/// When to come back where the oracle is busy, in seconds: a group of batches is committed many times in this.
const BUSY_RETRY_S: u64 = 1;

/// Why a batch is refused. Each has a code, a cause and a remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Larger than any honest batch.
    #[error("the body has more than {MAX_MESSAGE_BYTES} bytes or {MAX_SAMPLES} samples")]
    TooLarge,
    /// Compressed in a way that is not known here.
    #[error("the content encoding is none of zstd, gzip and identity")]
    Encoding,
    /// Not the protocol.
    #[error("the body is not a signed batch: {0}")]
    Malformed(&'static str),
    /// The body came too slowly.
    #[error("the body did not arrive within {limit_s} s")]
    Slow {
        /// How long it may take, in seconds.
        limit_s: u64,
    },
    /// No ledger snapshot yet.
    #[error("the ledger has not been read yet")]
    NotReady,
    /// The ledger holds no such device.
    #[error("the ledger holds no device of this code")]
    UnknownDevice,
    /// The device has no telemetry key.
    #[error("the device has no telemetry key")]
    NoKey,
    /// The signature is not the device's.
    #[error("the signature is not the device's: {0}")]
    BadSignature(signing::SignatureError),
    /// More than the device's share.
    #[error("the device sends more than its share; there is room in {retry_ms} ms")]
    Rate {
        /// When the batch would fit, in ms from now.
        retry_ms: u64,
    },
    /// Times too far ahead.
    #[error("the batch is {ahead_ms} ms ahead of this oracle's clock, {limit_slots} slots are the limit")]
    Ahead {
        /// How far.
        ahead_ms: u64,
        /// How far is too far.
        limit_slots: u64,
    },
    /// Times too far behind.
    #[error("the batch begins {behind_ms} ms behind this oracle's clock, {limit_slots} slots are the limit")]
    Behind {
        /// How far.
        behind_ms: u64,
        /// How far is too far.
        limit_slots: u64,
    },
    /// Not younger than the last accepted one.
    #[error("sequence {last_sequence} of this device was accepted before")]
    Replay {
        /// Sequence of the last accepted batch.
        last_sequence: u64,
    },
    /// The queue is full, or as many bytes are held as may be.
    #[error("too many batches are waiting")]
    Busy,
    /// The store failed.
    #[error("the batch could not be stored")]
    StoreFailed,
}

impl Refusal {
    /// The code that people look up and metrics carry.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "CW-TELEMETRY-TOO-LARGE",
            Self::Encoding => "CW-TELEMETRY-ENCODING",
            Self::Malformed(_) => "CW-TELEMETRY-MALFORMED",
            Self::Slow { .. } => "CW-TELEMETRY-SLOW",
            Self::NotReady => "CW-TELEMETRY-NOT-READY",
            Self::UnknownDevice => "CW-TELEMETRY-UNKNOWN-DEVICE",
            Self::NoKey => "CW-TELEMETRY-NO-KEY",
            Self::BadSignature(_) => "CW-TELEMETRY-BAD-SIGNATURE",
            Self::Rate { .. } => "CW-TELEMETRY-RATE",
            Self::Ahead { .. } => "CW-TELEMETRY-AHEAD",
            Self::Behind { .. } => "CW-TELEMETRY-BEHIND",
            Self::Replay { .. } => "CW-TELEMETRY-REPLAY",
            Self::Busy => "CW-TELEMETRY-BUSY",
            Self::StoreFailed => "CW-TELEMETRY-STORE-FAILED",
        }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::TooLarge => 413,
            Self::Encoding => 415,
            Self::Malformed(_) => 400,
            Self::Slow { .. } => 408,
            Self::NotReady | Self::StoreFailed => 503,
            Self::UnknownDevice => 404,
            Self::NoKey => 403,
            Self::BadSignature(_) => 401,
            Self::Ahead { .. } | Self::Behind { .. } => 422,
            Self::Replay { .. } => 409,
            Self::Busy | Self::Rate { .. } => 429,
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::TooLarge => "Send it in pieces.",
            Self::Encoding => "Send it with Content-Encoding zstd or gzip, or plain.",
            Self::Malformed(_) => "Update the agent, or point it at a telemetry endpoint of the same protocol.",
            Self::Slow { .. } => "Send it again; look for loss on the way to the oracle.",
            Self::NotReady | Self::StoreFailed => "Send it again later; the oracle's log says what is wrong.",
            Self::UnknownDevice => "Register the device, or point the agent at an oracle of its own network.",
            Self::NoKey => "Set the device's telemetry key with `causeway device update`.",
            Self::BadSignature(_) => {
                "Give the agent the key that the ledger names; `causeway device get` shows it. The program has to be the same too."
            }
            Self::Rate { .. } => "Send it again after the time in Retry-After; sample less often if it stays.",
            Self::Ahead { .. } => "Set the device's clock.",
            Self::Behind { .. } => "Drop the batch; it is too old to be judged. Set the device's clock if it is wrong.",
            Self::Replay { .. } => "Go on with a higher sequence.",
            Self::Busy => "Back off and send it again.",
        }
    }

    /// Seconds after which it is worth another try, where the oracle can tell.
    #[must_use]
    pub const fn retry_after_s(&self) -> Option<u64> {
        match self {
            Self::Busy => Some(BUSY_RETRY_S),
            Self::Rate { retry_ms } => Some(retry_ms.div_ceil(1_000)),
            Self::TooLarge
            | Self::Encoding
            | Self::Malformed(_)
            | Self::Slow { .. }
            | Self::NotReady
            | Self::UnknownDevice
            | Self::NoKey
            | Self::BadSignature(_)
            | Self::Ahead { .. }
            | Self::Behind { .. }
            | Self::Replay { .. }
            | Self::StoreFailed => None,
        }
    }
}
