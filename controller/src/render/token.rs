//! The gate that every value passes before it reaches configuration text: a token can't end a line, begin another, or
//! split into two words.

use std::fmt::Display;

use serde::Serialize;

/// Longest token: twice the longest code.
const MAX_TOKEN: usize = 64;

/// One word of a configuration: printable ASCII without spaces, quotes, or characters that a router's command line
/// reads as anything but themselves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Token(String);

/// A value that can't be written into a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {value:?} can't be written into a configuration")]
pub struct TokenError {
    what: &'static str,
    value: String,
}

impl Token {
    /// Checks a value; `what` names it in the error.
    ///
    /// # Errors
    /// Empty, too long, or a character other than letters, digits and `. / : _ -`.
    pub fn new(what: &'static str, value: impl Display) -> Result<Self, TokenError> {
        let value = value.to_string();
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | ':' | '_' | '-');
        if value.is_empty() || value.len() > MAX_TOKEN || !value.chars().all(allowed) {
            return Err(TokenError { what, value });
        }
        Ok(Self(value))
    }

    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_pass() {
        for good in ["nyc-1", "Ethernet1/1.100", "198.18.0.0/31", "49.0000.0e0e.0e0e.0000.00", "1000000"] {
            assert_eq!(Token::new("value", good).map(|t| t.as_str().to_string()), Ok(good.to_string()));
        }
        for bad in ["", " ", "a b", "a\nb", "a\r", "a\t", "a\u{0}", "!x", "a;b", "a|b", "\"a\"", "é", "a?", "{{ x }}"]
        {
            assert!(Token::new("value", bad).is_err(), "{bad:?} passed");
        }
        assert!(Token::new("value", "a".repeat(65)).is_err());
    }
}
