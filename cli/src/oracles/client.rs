//! Asking one oracle over HTTP.

use std::{error::Error, time::Duration};

use causeway_health_oracle::{
    Kind, Verdict,
    criteria::Criterion,
    evidence::{EvidenceWindow, merkle::Proof},
};
use causeway_interface::{Code, Digest, Key};
use reqwest::{Response, StatusCode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Longest wait for an answer: an oracle serves from memory and one file.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer about an oracle or a verdict, in bytes. They take some kilobytes.
const MAX_ANSWER: usize = 1 << 20;
/// Longest evidence document, in bytes: a device with a hundred links over a window of 1 200 buckets takes less.
const MAX_DOCUMENT: usize = 16 << 20;

/// Why an oracle's answer is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The address can't be one.
    #[error("{0:?} does not begin with http:// or https://")]
    Address(String),
    /// Nobody answers there.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// It says that it can't answer.
    #[error("refused ({code}): {cause}")]
    Refused {
        /// Its code.
        code: String,
        /// Its words.
        cause: String,
    },
    /// What it answers is no oracle's answer.
    #[error("not an oracle's answer: {0}")]
    Malformed(String),
    /// It answers more than it may.
    #[error("an answer of more than {0} bytes")]
    TooLong(usize),
}

/// What an oracle says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Name for people.
    pub name: String,
    /// Its key.
    pub oracle: Key,
    /// The program whose ledger it judges by.
    pub program: Key,
    /// Whether its last rounds were complete.
    pub ready: bool,
}

/// Since when a verdict has been what it is, as the oracle has seen it since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since {
    /// When this oracle's process first judged the subject, in ms since 1970. What is as old may be older.
    pub first_ms: u64,
    /// Since when the level, in ms since 1970.
    pub level_ms: u64,
    /// Since when each criterion's result, in ms since 1970.
    #[serde(default)]
    pub criteria: Vec<(Criterion, u64)>,
}

/// What an oracle last signed of a subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attested {
    /// Name of the evidence document.
    pub evidence_sha256: Digest,
    /// Root over the documents of its batch.
    pub evidence_root: Digest,
    /// The document's way to the root.
    pub proof: Proof,
    /// Signature of the transaction.
    pub transaction: String,
}

/// What an oracle says of a subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The ledger as of this slot.
    pub ledger_slot: u64,
    /// When it was judged, in ms since 1970.
    pub judged_at_ms: u64,
    /// What the subject is.
    pub kind: Kind,
    /// Its code.
    pub code: Code,
    /// Its address.
    pub subject: Key,
    /// What was looked at.
    pub window: EvidenceWindow,
    /// What was found.
    pub verdict: Verdict,
    /// Since when; none of an oracle that does not say.
    #[serde(default)]
    pub since: Option<Since>,
    /// What was last signed, which may be older than what was found.
    pub attested: Option<Attested>,
}

/// A refusal, as oracles write it.
#[derive(Debug, Deserialize)]
struct Problem {
    code: String,
    cause: String,
}

/// One oracle.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    /// The oracle at this address.
    ///
    /// # Errors
    /// It is no address of HTTP.
    pub fn new(url: &str) -> Result<Self, AskError> {
        if !(url.starts_with("http://") || url.starts_with("https://")) {
            return Err(AskError::Address(url.to_owned()));
        }
        let http = reqwest::Client::builder().timeout(TIMEOUT).build().map_err(|e| unreachable(&e))?;
        Ok(Self { http, base: url.trim_end_matches('/').to_owned() })
    }

    /// What it says of itself.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn status(&self) -> Result<Status, AskError> {
        let response = self.http.get(format!("{}/v1/status", self.base)).send().await.map_err(|e| unreachable(&e))?;
        match found(response, MAX_ANSWER).await? {
            Some(bytes) => read(&bytes),
            None => Err(AskError::Malformed("it has no status".to_owned())),
        }
    }

    /// What it says of a subject; none where it does not judge it.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn verdict(&self, kind: Kind, code: &Code) -> Result<Option<Answer>, AskError> {
        let url = format!("{}/v1/subjects/{code}/verdict", self.base);
        let request = self.http.get(url).query(&[("kind", kind.name())]);
        let response = request.send().await.map_err(|e| unreachable(&e))?;
        found(response, MAX_ANSWER).await?.map(|bytes| read(&bytes)).transpose()
    }

    /// A document's bytes; none where it does not keep it.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn document(&self, sha256: &Digest) -> Result<Option<Vec<u8>>, AskError> {
        let url = format!("{}/v1/evidence/{sha256}", self.base);
        found(self.http.get(url).send().await.map_err(|e| unreachable(&e))?, MAX_DOCUMENT).await
    }
}

/// The body of a success; none of a 404.
async fn found(response: Response, most: usize) -> Result<Option<Vec<u8>>, AskError> {
    let status = response.status();
    let bytes = body(response, most).await?;
    match status {
        StatusCode::OK => Ok(Some(bytes)),
        StatusCode::NOT_FOUND => Ok(None),
        other => Err(match serde_json::from_slice::<Problem>(&bytes) {
            Ok(Problem { code, cause }) => AskError::Refused { code, cause },
            Err(_) => AskError::Malformed(format!("HTTP {other}")),
        }),
    }
}

async fn body(mut response: Response, most: usize) -> Result<Vec<u8>, AskError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| unreachable(&e))? {
        if bytes.len() + chunk.len() > most {
            return Err(AskError::TooLong(most));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, AskError> {
    serde_json::from_slice(bytes).map_err(|error| AskError::Malformed(error.to_string()))
}

/// The transport's own words are at the end of the chain.
fn unreachable(error: &reqwest::Error) -> AskError {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        words = inner.to_string();
        source = inner.source();
    }
    AskError::Unreachable(words)
}
