//! What is wrong with what a program is told: each with a code, where it is, a cause and a remedy.

use std::path::Path;

use causeway_wire::keyfile::{self, KeyError};
use ed25519_dalek::SigningKey;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The code of its page.
    pub code: &'static str,
    /// Where: a flag, a variable, a line of a file.
    pub place: String,
    /// What is wrong, a sentence.
    pub cause: String,
    /// What to do, a sentence.
    pub remedy: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: {} {}", self.code, self.place, self.cause, self.remedy)
    }
}

/// Reads a key file; `place` says what for.
///
/// # Errors
/// It is missing, others can read it, or it holds no key.
pub fn key(place: &str, path: &Path) -> Result<SigningKey, Problem> {
    keyfile::read(path).map(|seed| SigningKey::from_bytes(&seed)).map_err(|error| of_key(place, &error))
}

fn of_key(place: &str, error: &KeyError) -> Problem {
    let (code, remedy) = match error {
        KeyError::Missing { .. } => (
            "CW-KEY-MISSING",
            "Check the path; `causeway key new FILE` makes a key, `causeway device enroll` those of a device.",
        ),
        KeyError::Malformed { .. } => (
            "CW-KEY-MALFORMED",
            "Use a file that solana-keygen, `causeway key new` or `openssl genpkey -algorithm ed25519` wrote.",
        ),
        KeyError::Permissions { .. } => ("CW-KEY-PERMISSIONS", "Run `chmod 600` on it."),
        KeyError::Exists { .. } => ("CW-KEY-EXISTS", "Choose another path, or move the old one away first."),
        KeyError::Write { .. } => ("CW-KEY-WRITE", "Check the folder and its permissions."),
    };
    let cause = match error {
        KeyError::Missing { source, .. } | KeyError::Write { source, .. } => format!("{error}: {source}."),
        KeyError::Malformed { .. } | KeyError::Permissions { .. } | KeyError::Exists { .. } => format!("{error}."),
    };
    Problem { code, place: place.to_owned(), cause, remedy: remedy.to_owned() }
}
