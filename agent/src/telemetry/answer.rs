//! What an oracle's answer means, and what follows from it. Pure.

use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;

/// Longest wait that an oracle can ask for: what is sampled meanwhile still fits the buffer of a usual device.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);
/// How far ahead of the clock a sequence may be moved by an oracle, in ms: a day, for a device whose clock was wrong. All
/// oracles share one sequence, and one that lies may not use it up for the others.
pub const MAX_SEQUENCE_AHEAD_MS: u64 = 24 * 3_600_000;

/// What an oracle's answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has the batch.
    Accepted,
    /// It has a batch that is not older.
    Replay {
        /// In its words.
        why: String,
        /// Sequence of that batch, where it says so.
        last_sequence: Option<u64>,
    },
    /// It can't read what is compressed like this.
    Encoding(String),
    /// It will never take it.
    Refused(String),
    /// Later, perhaps.
    Retry {
        /// In its words.
        why: String,
        /// Not before this, it says.
        after: Option<Duration>,
    },
}

/// The part of an answer's body that matters.
#[derive(Deserialize)]
struct Body {
    last_sequence: Option<u64>,
}

impl Answer {
    /// From status, `Retry-After` and body.
    pub fn read(status: StatusCode, retry_after: Option<&str>, body: &str) -> Self {
        let why = format!("{status}: {}", body.trim());
        // The other form of the header is a date, which needs clocks that agree.
        let after = retry_after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Self::Retry { why, after },
            StatusCode::CONFLICT => {
                let last_sequence = serde_json::from_str::<Body>(body).ok().and_then(|body| body.last_sequence);
                Self::Replay { why, last_sequence }
            }
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::Encoding(why),
            _ if status.is_success() => Self::Accepted,
            _ if status.is_client_error() => Self::Refused(why),
            _ => Self::Retry { why, after },
        }
    }
}

/// The wait before the next try: not before the oracle asked for it, and then not all agents at once.
pub fn pause(backoff: Duration, after: Option<Duration>, jitter: f64) -> Duration {
    let after = after.unwrap_or_default().min(MAX_RETRY_AFTER);
    backoff.max(after.mul_f64(1.0 + 0.5 * jitter.clamp(0.0, 1.0)))
}

/// What an answer that a batch is a replay means for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// An earlier try had arrived, and only its answer was lost.
    Arrived,
    /// The samples may be new, the sequence is not: sign them again with at least this one.
    Jump(u64),
    /// There is nothing to be done.
    Lost,
}

impl Replayed {
    /// Of a batch that was tried so many times, this one included.
    pub fn of(sequence: u64, tries: u64, last_sequence: Option<u64>, now_unix_ms: u64) -> Self {
        match last_sequence {
            Some(last) if last == sequence && tries > 1 => Self::Arrived,
            // Used up by another agent of the device, by this one before its state was restored, or by someone who
            // passed on what was sent to another oracle. Samples that came in after all are not counted twice: an
            // oracle leaves out what is not younger than what it has.
            Some(last) if last >= sequence => {
                if last <= now_unix_ms.saturating_add(MAX_SEQUENCE_AHEAD_MS) {
                    Self::Jump(last.saturating_add(1))
                } else {
                    Self::Lost
                }
            }
            _ if tries > 1 => Self::Arrived,
            _ => Self::Lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_mean_what_the_protocol_says() {
        for (status, expected) in [
            (200, "accepted"),
            (202, "accepted"),
            (400, "refused"),
            (401, "refused"),
            (404, "refused"),
            (409, "replay"),
            (413, "refused"),
            (415, "encoding"),
            (422, "refused"),
            (408, "retry"),
            (429, "retry"),
            (500, "retry"),
            (503, "retry"),
            (302, "retry"),
        ] {
            let found = match Answer::read(StatusCode::from_u16(status).unwrap(), None, "{}") {
                Answer::Accepted => "accepted",
                Answer::Encoding(_) => "encoding",
                Answer::Refused(_) => "refused",
                Answer::Replay { .. } => "replay",
                Answer::Retry { .. } => "retry",
            };
            assert_eq!(found, expected, "{status}");
        }
    }

    #[test]
    fn what_an_answer_carries_is_read_and_nonsense_is_not() {
        let busy = |after| match Answer::read(StatusCode::TOO_MANY_REQUESTS, after, "") {
            Answer::Retry { after, .. } => after,
            other => panic!("{other:?}"),
        };
        assert_eq!(busy(Some(" 7 ")), Some(Duration::from_secs(7)));
        for nonsense in [None, Some("-1"), Some("soon"), Some("Fri, 31 Dec 1999 23:59:59 GMT")] {
            assert_eq!(busy(nonsense), None, "{nonsense:?}");
        }
        let replay = |body| match Answer::read(StatusCode::CONFLICT, None, body) {
            Answer::Replay { last_sequence, .. } => last_sequence,
            other => panic!("{other:?}"),
        };
        assert_eq!(replay(r#"{"code":"CW-TELEMETRY-REPLAY","last_sequence":12}"#), Some(12));
        for nonsense in ["", "{}", "[]", r#"{"last_sequence":-1}"#, r#"{"last_sequence":"12"}"#] {
            assert_eq!(replay(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn pauses_keep_to_what_was_asked_for_within_bounds() {
        let seconds = Duration::from_secs;
        assert_eq!(pause(seconds(3), None, 1.0), seconds(3));
        assert_eq!(pause(seconds(3), Some(seconds(1)), 1.0), seconds(3));
        assert_eq!(pause(seconds(3), Some(seconds(10)), 0.0), seconds(10), "never sooner");
        assert_eq!(pause(seconds(3), Some(seconds(10)), 1.0), seconds(15), "and spread");
        assert_eq!(pause(seconds(3), Some(Duration::MAX), 9.0), MAX_RETRY_AFTER.mul_f64(1.5));
    }

    #[test]
    fn a_replay_is_an_arrival_a_jump_or_a_loss() {
        let now = 1_000_000_000_000;
        let far = now + MAX_SEQUENCE_AHEAD_MS;
        for (sequence, tries, last, expected) in [
            (now, 2, Some(now), Replayed::Arrived),
            (now, 1, Some(now), Replayed::Jump(now + 1)),
            (now, 1, Some(now + 5), Replayed::Jump(now + 6)),
            (now, 2, Some(now + 5), Replayed::Jump(now + 6)),
            (now, 1, Some(far), Replayed::Jump(far + 1)),
            (now, 1, Some(far + 1), Replayed::Lost),
            (now, 1, Some(u64::MAX), Replayed::Lost),
            (now, 1, None, Replayed::Lost),
            (now, 2, None, Replayed::Arrived),
            (now, 1, Some(now - 1), Replayed::Lost),
        ] {
            assert_eq!(Replayed::of(sequence, tries, last, now), expected, "{sequence} {tries} {last:?}");
        }
    }
}
