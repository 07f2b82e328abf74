//! Whether a device runs what it is meant to run, by what its agent said last.
//!
//! What runs is compared by hashes of the managed part as the device itself writes it, which is not byte for byte the text
//! that it was given. So the measure is the hash that the agent saw when it last verified that the device runs a text.

use super::{
    bundle::Bundle,
    report::{Report, ReportResult},
};

/// Age in milliseconds from which an agent's word says nothing any more. Agents poll every ten seconds, and oracles also
/// call a poll of five minutes ago too old.
pub const MAX_WORD_AGE_MS: u64 = 300_000;

/// What an agent said of what runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// SHA-256 of the text that the device was last verified to run.
    pub text_sha256: Vec<u8>,
    /// SHA-256 of the managed part of what ran when that was verified.
    pub verified_sha256: Vec<u8>,
    /// SHA-256 of the managed part of what runs.
    pub running_sha256: Vec<u8>,
    /// When it was said, unix milliseconds.
    pub at_unix_ms: u64,
}

/// What runs, compared with what is meant to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Drift {
    /// The device runs what is served.
    InSync,
    /// It runs something else: an older text, or one that was changed beside the agent.
    Drifted,
    /// Nobody has said, or too long ago.
    Unknown,
}

impl Drift {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::InSync, Self::Drifted, Self::Unknown];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InSync => "in-sync",
            Self::Drifted => "drifted",
            Self::Unknown => "unknown",
        }
    }
}

impl Word {
    /// What runs is not what was verified.
    #[must_use]
    pub fn changed_beside(&self) -> bool {
        self.running_sha256 != self.verified_sha256
    }

    /// What is known after a report. Only what was compared with the text is a measure; a report that says only that the
    /// startup was saved, or that something was not taken, leaves the measure as it was.
    #[must_use]
    pub fn after(known: Option<&Self>, report: &Report) -> Option<Self> {
        let measured = |known: &&Self| known.text_sha256 == report.sha256;
        let kept = match report.result {
            ReportResult::Applied => None,
            ReportResult::Unchanged => known.filter(measured),
            // What waits may go back, and is not what the device is meant to run.
            ReportResult::Refused | ReportResult::Reverted | ReportResult::Waiting => Some(known?),
        };
        let (running_sha256, at_unix_ms) = (report.running_sha256.clone(), report.received_unix_ms);
        Some(match kept {
            // A device that did not answer when the report was written has told nothing new.
            Some(known) if running_sha256.is_empty() => known.clone(),
            Some(known) => Self { running_sha256, at_unix_ms, ..known.clone() },
            None => Self {
                text_sha256: report.sha256.clone(),
                verified_sha256: running_sha256.clone(),
                running_sha256,
                at_unix_ms,
            },
        })
    }
}

/// How what runs stands to what is served.
#[must_use]
pub fn drift(word: Option<&Word>, current: Option<&Bundle>, now_ms: u64) -> Drift {
    let (Some(word), Some(current)) = (word, current) else { return Drift::Unknown };
    if word.running_sha256.is_empty() || now_ms.saturating_sub(word.at_unix_ms) > MAX_WORD_AGE_MS {
        return Drift::Unknown;
    }
    if word.text_sha256 == current.sha256 && !word.changed_beside() { Drift::InSync } else { Drift::Drifted }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(result: ReportResult, text: u8, running: &[u8]) -> Report {
        Report { sha256: vec![text; 32], result, running_sha256: running.to_vec(), ..Report::default() }
    }

    fn word(text: u8, verified: u8, running: u8) -> Word {
        let of = |n: u8| vec![n; 32];
        Word { text_sha256: of(text), verified_sha256: of(verified), running_sha256: of(running), at_unix_ms: 0 }
    }

    #[test]
    fn only_what_was_compared_with_the_text_is_a_measure() {
        let drifted = word(1, 2, 3);
        let after = |result, text, running| Word::after(Some(&drifted), &report(result, text, &[running; 32])).unwrap();
        assert_eq!(after(ReportResult::Applied, 1, 4), word(1, 4, 4), "it was applied anew");
        assert_eq!(after(ReportResult::Unchanged, 1, 3), word(1, 2, 3), "saved as startup, and drifted all the same");
        assert_eq!(after(ReportResult::Unchanged, 5, 6), word(5, 6, 6), "another text, which ran already");
        assert_eq!(after(ReportResult::Refused, 5, 2), word(1, 2, 2), "still the older text, and as it should be");
        assert_eq!(Word::after(None, &report(ReportResult::Reverted, 5, &[2; 32])), None);
        assert_eq!(Word::after(Some(&drifted), &report(ReportResult::Reverted, 5, &[])), Some(drifted));
    }
}
