//! What an oracle recorded, from its data directory: batches and documents in the order in which they came to be known.
//!
//! Nothing is written, and the oracle may be running. Batches are kept as long as telemetry is, and documents likewise;
//! what was pruned can't be judged again.

use std::{
    collections::{BTreeSet, VecDeque},
    path::Path,
};

use causeway_interface::Code;
use causeway_wire::telemetry::Batch;
use prost::Message;
use serde::Deserialize;

use super::{
    Case, Event,
    documents::{Documents, DocumentsError},
};
use crate::{
    criteria::coverage::Rules,
    evidence::{Evidence, VERSION},
    store::{StoreError, VerifiedBatch, sqlite::Received},
};

/// Telemetry in an oracle's data directory.
pub const TELEMETRY_FILE: &str = "telemetry.sqlite";
/// Evidence beside it.
pub const EVIDENCE_FILE: &str = "evidence.sqlite";

/// Why a recording can't be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// Of telemetry.
    #[error(transparent)]
    Telemetry(#[from] StoreError),
    /// Of documents.
    #[error(transparent)]
    Documents(#[from] DocumentsError),
    /// A document can't be one.
    #[error("a document that can't be read: {0}")]
    Document(String),
    /// A batch can't be one.
    #[error("a batch of {device} that can't be read")]
    Batch {
        /// Whose it is.
        device: Code,
    },
}

/// What is in a recording, as far as a run has to know it before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// When the first document was written, in ms since 1970; none where there is no document that can be judged again.
    pub first_ms: Option<u64>,
    /// When the last one was.
    pub last_ms: u64,
    /// Documents that can be judged again.
    pub documents: u64,
    /// Documents that can't, for want of the facts that they were judged by: those of older versions.
    pub without_facts: u64,
    /// The longest window with its hold, in ms.
    pub reach_ms: u64,
    /// Every set of rules that something was judged by.
    pub rules: Vec<Rules>,
    /// The subjects.
    pub subjects: BTreeSet<(crate::subjects::Kind, Code)>,
}

/// A data directory.
#[derive(Debug)]
pub struct Recording {
    received: Received,
    documents: Documents,
}

impl Recording {
    /// Opens it.
    ///
    /// # Errors
    /// One of the files is missing, or is of another form.
    pub fn open(dir: &Path) -> Result<Self, RecordingError> {
        Ok(Self {
            received: Received::open(&dir.join(TELEMETRY_FILE))?,
            documents: Documents::open(&dir.join(EVIDENCE_FILE))?,
        })
    }

    /// Width of the buckets that were judged, in ms.
    #[must_use]
    pub fn bucket_ms(&self) -> u64 {
        self.received.bucket_ms()
    }

    /// Goes through the documents once.
    ///
    /// # Errors
    /// The file can't be read, or holds what is no document.
    pub fn survey(&mut self, wanted: impl Fn(&Code) -> bool) -> Result<Survey, RecordingError> {
        let mut survey = Survey::default();
        self.documents.rewind();
        loop {
            let page = self.documents.page()?;
            if page.is_empty() {
                self.documents.rewind();
                return Ok(survey);
            }
            for bytes in page {
                match case_of(&bytes)? {
                    Some(case) if wanted(&case.code) => survey.note(&case),
                    Some(_) => {}
                    None => survey.without_facts += 1,
                }
            }
        }
    }

    /// Everything in it, the documents only of wanted subjects.
    pub fn events(self, wanted: impl Fn(&Code) -> bool) -> impl Iterator<Item = Result<Event, RecordingError>> {
        Events { recording: self, wanted, batches: VecDeque::new(), cases: VecDeque::new(), ended: (false, false) }
    }
}

impl Survey {
    fn note(&mut self, case: &Case) {
        self.first_ms = Some(self.first_ms.map_or(case.at_ms, |first| first.min(case.at_ms)));
        self.last_ms = self.last_ms.max(case.at_ms);
        self.documents += 1;
        let reach_ms = case.window_ms.max(case.rules.hold_ms);
        self.reach_ms = self.reach_ms.max(reach_ms.saturating_add(case.rules.lag_ms));
        if !self.rules.contains(&case.rules) {
            self.rules.push(case.rules.clone());
        }
        self.subjects.insert((case.kind, case.code));
    }
}

/// The case of a document. One of an older form has no facts and none of what else is asked of a document, so that it
/// can be told from a damaged one by its version alone.
fn case_of(bytes: &[u8]) -> Result<Option<Case>, RecordingError> {
    #[derive(Deserialize)]
    struct Form {
        version: u32,
    }
    let malformed = |error: serde_json::Error| RecordingError::Document(error.to_string());
    let Form { version } = serde_json::from_slice(bytes).map_err(malformed)?;
    if version < VERSION {
        return Ok(None);
    }
    let evidence: Evidence = serde_json::from_slice(bytes).map_err(malformed)?;
    Ok(Some(Case::of(&evidence)))
}

/// Two streams as one, in the order of their times.
struct Events<W> {
    recording: Recording,
    wanted: W,
    batches: VecDeque<VerifiedBatch>,
    cases: VecDeque<Case>,
    ended: (bool, bool),
}

impl<W: Fn(&Code) -> bool> Events<W> {
    fn fill(&mut self) -> Result<(), RecordingError> {
        while self.batches.is_empty() && !self.ended.0 {
            let page = self.recording.received.page()?;
            self.ended.0 = page.is_empty();
            for row in page {
                // A device that is gone from the store has nothing to be judged.
                let Some(device) = self.recording.received.code(row.device) else { continue };
                let batch = Batch::decode(row.bytes.as_slice()).map_err(|_| RecordingError::Batch { device })?;
                let (signature, received_ms) = (row.signature, row.received_ms);
                self.batches.push_back(VerifiedBatch { device, batch, bytes: row.bytes, signature, received_ms });
            }
        }
        while self.cases.is_empty() && !self.ended.1 {
            let page = self.recording.documents.page()?;
            self.ended.1 = page.is_empty();
            for bytes in page {
                let case = case_of(&bytes)?;
                self.cases.extend(case.filter(|case| (self.wanted)(&case.code)));
            }
        }
        Ok(())
    }
}

impl<W: Fn(&Code) -> bool> Iterator for Events<W> {
    type Item = Result<Event, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(error) = self.fill() {
            self.ended = (true, true);
            self.batches.clear();
            self.cases.clear();
            return Some(Err(error));
        }
        // Of one moment the batch first: a document knows what had been received.
        let batch_first = match (self.batches.front(), self.cases.front()) {
            (Some(batch), Some(case)) => batch.received_ms <= case.at_ms,
            (batch, _) => batch.is_some(),
        };
        let event = if batch_first {
            self.batches.pop_front().map(|batch| Event::Batch(Box::new(batch)))
        } else {
            self.cases.pop_front().map(|case| Event::Case(Box::new(case)))
        };
        event.map(Ok)
    }
}

#[cfg(test)]
#[path = "recording_tests.rs"]
mod tests;
