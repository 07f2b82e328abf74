//! What is wrong with a configuration: each with a code, where it is, a cause and a remedy.

use causeway_sdk::{Explain, keys::KeyError};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The code of its page.
    pub code: String,
    /// Where: a flag, a variable, a line of a file; and which option.
    pub place: String,
    /// What is wrong, a sentence.
    pub cause: String,
    /// What to do, a sentence.
    pub remedy: String,
}

impl Problem {
    /// A value, a key or a file that can't be used.
    pub fn config(place: impl Into<String>, cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        let code = "CW-ORACLE-CONFIG".to_owned();
        Self { code, place: place.into(), cause: cause.into(), remedy: remedy.into() }
    }

    /// A file that holds a secret and can't be used.
    pub fn secret(place: impl Into<String>, error: &KeyError) -> Self {
        Self { code: error.code(), place: place.into(), cause: error.cause(), remedy: error.remedy() }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: {} {}", self.code, self.place, self.cause, self.remedy)
    }
}
