//! One entry, and the chain that entries are.

use causeway_wire::signing;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{MAX_DETAIL, MAX_NAME};

/// How far an action is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is about to be done.
    Asked,
    /// It was done.
    Done,
    /// It was refused, or failed; nothing was done, unless `after` says otherwise.
    Refused,
}

impl Outcome {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Asked, Self::Done, Self::Refused].into_iter().find(|outcome| outcome.name() == name)
    }
}

/// What somebody did. One line of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its number, from 1, without gaps.
    pub seq: u64,
    /// When, unix milliseconds, by the controller's clock.
    pub at_unix_ms: u64,
    /// Who: an operator's name, `operator` for a token without one, `local` for a caller on the controller's machine.
    pub actor: String,
    /// What, as in `config.approve`.
    pub action: String,
    /// Of what: a device's code, a job's number.
    pub subject: String,
    /// How far it is.
    pub outcome: Outcome,
    /// Number of the entry that it is the end of.
    pub of: Option<u64>,
    /// What was so before, and what was asked.
    #[schema(value_type = Object)]
    pub before: Value,
    /// What was so after.
    #[schema(value_type = Object)]
    pub after: Value,
    /// Hex SHA-256 over the hash before it and the rest of this entry.
    pub hash: String,
}

fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        let end = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

fn detail(value: Value) -> Value {
    let bytes = value.to_string().len();
    if bytes <= MAX_DETAIL { value } else { json!({ "left_out_bytes": bytes }) }
}

impl Entry {
    /// One that is not in the log yet.
    #[must_use]
    pub fn new(at_unix_ms: u64, actor: &str, action: &str, subject: &str, outcome: Outcome) -> Self {
        let name = |text: &str| cut(text.to_owned(), MAX_NAME);
        Self {
            seq: 0,
            at_unix_ms,
            actor: name(actor),
            action: name(action),
            subject: name(subject),
            outcome,
            of: None,
            before: Value::Null,
            after: Value::Null,
            hash: String::new(),
        }
    }

    /// What was so before; too much of it is told by its length.
    pub fn set_before(&mut self, value: Value) {
        self.before = detail(value);
    }

    /// The same of after.
    pub fn set_after(&mut self, value: Value) {
        self.after = detail(value);
    }

    /// The hash that it has to have after an entry with that hash: over both, the entry as JSON with its fields in order
    /// and an empty hash. Objects within it are sorted by their keys.
    #[must_use]
    pub fn digest(&self, previous: &str) -> String {
        let bare = Self { hash: String::new(), ..self.clone() };
        // Plain values under text keys always become JSON.
        let text = serde_json::to_string(&bare).unwrap_or_default();
        hex::encode(signing::sha256([previous.as_bytes(), b"\n", text.as_bytes()].concat().as_slice()))
    }
}

/// Why entries are no chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// One is missing, or there twice.
    #[error("after entry {after} comes entry {found}")]
    Gap {
        /// The last good one.
        after: u64,
        /// What follows.
        found: u64,
    },
    /// One is not what was written, or what came before it is not.
    #[error("entry {0} is not what was written")]
    Changed(u64),
}

/// Follows entries from the first one on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Number of the last one.
    pub seq: u64,
    /// Its hash.
    pub hash: String,
}

impl Chain {
    /// Takes the next one.
    ///
    /// # Errors
    /// It does not follow.
    pub fn take(&mut self, entry: &Entry) -> Result<(), Broken> {
        if entry.seq != self.seq.saturating_add(1) {
            return Err(Broken::Gap { after: self.seq, found: entry.seq });
        }
        if entry.digest(&self.hash) != entry.hash {
            return Err(Broken::Changed(entry.seq));
        }
        (self.seq, self.hash) = (entry.seq, entry.hash.clone());
        Ok(())
    }
}
