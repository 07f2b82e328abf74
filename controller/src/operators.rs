//! Who the operators are: each has a name and a token. Pure.
//!
//! The file has one a line, `NAME TOKEN`; a line with a token alone is of [`ALONE`]. A name is what the audit log knows
//! somebody by, so that no two lines have the same one, and no two the same token.

use std::collections::BTreeSet;

use crate::auth::same;

/// Shortest token: 16 random bytes in base64 are longer.
pub const MIN_TOKEN: usize = 20;
/// Longest name.
pub const MAX_NAME: usize = 32;
/// Most operators: a team, not a population.
pub const MAX_OPERATORS: usize = 64;
/// Name of a token without one.
pub const ALONE: &str = "operator";
/// Name of a caller on the controller's own machine, where no token is set.
pub const LOCAL: &str = "local";

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The name.
    pub name: String,
}

/// Names and tokens of a file's text.
fn lines(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| {
        let (name, token) = line.split_once(char::is_whitespace).unwrap_or((ALONE, line));
        (name, token.trim())
    })
}

/// What is wrong with a file's text; none where it can be used.
#[must_use]
pub fn problem(text: &str) -> Option<String> {
    let (mut names, mut tokens) = (BTreeSet::new(), BTreeSet::new());
    for (index, (name, token)) in lines(text).enumerate() {
        let number = index + 1;
        if index == MAX_OPERATORS {
            return Some(format!("it has more than {MAX_OPERATORS} operators"));
        }
        if token.len() < MIN_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Some(format!("operator {number} has no token of at least {MIN_TOKEN} printable characters"));
        }
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'@');
        if name.len() > MAX_NAME || !name.bytes().all(letter) || name == LOCAL {
            return Some(format!("operator {number} has no name of up to {MAX_NAME} letters, digits, . _ - and @"));
        }
        if !names.insert(name) || !tokens.insert(token) {
            return Some(format!("operator {number} has the name or the token of another one"));
        }
    }
    names.is_empty().then(|| "it names nobody".to_owned())
}

/// Whose token this is.
#[must_use]
pub fn who(text: &str, given: &str) -> Option<Actor> {
    let found = lines(text).find(|(_, token)| same(token.as_bytes(), given.as_bytes()));
    found.map(|(name, _)| Actor { name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNA: &str = "anna-has-a-token-of-32-characters";
    const BOB: &str = "bob-has-another-token-of-his-own";

    #[test]
    fn a_token_is_somebodys() {
        let text = format!("# is no comment {ANNA}\n");
        assert!(problem(&text).is_some());
        let text = format!("anna {ANNA}\n\n  bob\t{BOB}  \n");
        assert_eq!(problem(&text), None);
        let name = |given| who(&text, given).map(|actor| actor.name);
        assert_eq!((name(ANNA).as_deref(), name(BOB).as_deref()), (Some("anna"), Some("bob")));
        for other in ["", "anna", "anna-has-a-token-of-32-character", &format!("anna {ANNA}")] {
            assert_eq!(name(other), None, "{other:?}");
        }
        assert_eq!(who(ANNA, ANNA).map(|actor| actor.name).as_deref(), Some(ALONE));
    }

    #[test]
    fn a_file_that_can_not_be_used_says_why() {
        let many: String = (0..=MAX_OPERATORS).map(|n| format!("a{n} {ANNA}{n}\n")).collect();
        for (text, said) in [
            ("", "names nobody"),
            ("\n \n", "names nobody"),
            ("short", "operator 1 has no token"),
            ("anna short", "operator 1 has no token"),
            (&format!("anna {ANNA} {BOB}"), "operator 1 has no token"),
            (&format!("an/na {ANNA}"), "has no name"),
            (&format!("local {ANNA}"), "has no name"),
            (&format!("{} {ANNA}", "a".repeat(33)), "has no name"),
            (&format!("anna {ANNA}\nanna {BOB}"), "operator 2 has the name or the token"),
            (&format!("anna {ANNA}\nbob {ANNA}"), "operator 2 has the name or the token"),
            (&many, "more than 64"),
        ] {
            let found = problem(text).unwrap_or_default();
            assert!(found.contains(said), "{text:?}: {found}");
        }
    }
}
