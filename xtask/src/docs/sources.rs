//! Reading error codes out of the sources.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::workspace;

/// One Rust source file that is part of a crate, without tests.
pub struct Source {
    /// Path below the root, with slashes.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// What is said of a code where it is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Where.
    pub path: String,
    /// The constant that holds it, where it is one.
    pub constant: Option<String>,
    /// What is wrong.
    pub cause: String,
    /// What to do.
    pub remedy: String,
}

/// A code somewhere in a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The code.
    pub code: String,
    /// Its cause and remedy, where they follow.
    pub declared: Option<Declared>,
}

/// Every source of the repository in order of its path. Tests and this command itself are left out: they name codes
/// without raising them.
pub fn read(root: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for file in workspace::files(root)? {
        let path = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().into_owned();
        let is_source = path.ends_with(".rs") && path.contains("src/") && !path.ends_with("tests.rs");
        if !is_source || ["xtask/", "tests/"].iter().any(|t| path.starts_with(t)) {
            continue;
        }
        let text = fs::read_to_string(&file).with_context(|| format!("can't read {path}"))?;
        // Unit tests at the end of a file name codes to compare with them.
        let text = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned();
        sources.push(Source { path, text });
    }
    Ok(sources)
}

/// Whether a text has this path as a whole: not as the beginning of a longer name.
pub fn names(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let after = text.get(at + word.len()..).and_then(|rest| rest.chars().next());
        !after.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

/// Every string literal that is an off-chain code, and whether two more literals follow it, as they do where it is
/// declared.
pub fn codes(source: &Source) -> Vec<Found> {
    let mut found = Vec::new();
    let mut rest = source.text.as_str();
    while let Some(at) = rest.find("\"CW-") {
        let (before, from) = rest.split_at(at);
        let Some((code, after)) = literal(from) else { break };
        if is_code(&code) {
            found.push(Found { declared: explanation(before, after, &source.path), code });
        }
        rest = after;
    }
    found
}

fn explanation(before: &str, after: &str, path: &str) -> Option<Declared> {
    let (cause, after) = literal(next(after)?)?;
    let (remedy, _) = literal(next(after)?)?;
    Some(Declared { path: path.to_owned(), constant: assigned(before), cause, remedy })
}

/// The name that is given a value after this text: `NAME =`.
fn assigned(before: &str) -> Option<String> {
    let before = before.trim_end().strip_suffix('=')?.trim_end();
    let begins = before.rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).map_or(0, |at| at + 1);
    before.get(begins..).filter(|name| !name.is_empty()).map(str::to_owned)
}

/// What follows a comma and, where fields are named, a name.
fn next(text: &str) -> Option<&str> {
    let text = text.trim_start().strip_prefix(',')?.trim_start();
    let name_ends = text.find(|c: char| !(c.is_ascii_lowercase() || c == '_')).unwrap_or(text.len());
    match text.get(name_ends..)?.strip_prefix(':') {
        Some(value) if name_ends > 0 => Some(value.trim_start()),
        _ => Some(text),
    }
}

/// Words after `CW-`; numbers are the program's.
fn is_code(text: &str) -> bool {
    text.strip_prefix("CW-").is_some_and(|rest| {
        // A prefix of codes is none.
        rest.starts_with(|c: char| c.is_ascii_uppercase())
            && !rest.ends_with('-')
            && rest.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-')
    })
}

/// A string literal at the beginning of a text, its escapes undone, and what follows it.
fn literal(text: &str) -> Option<(String, &str)> {
    let mut chars = text.strip_prefix('"')?.char_indices();
    let mut value = String::new();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, text.get(at + 2..)?)),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                '\n' => {
                    while chars.as_str().starts_with(char::is_whitespace) {
                        chars.next();
                    }
                }
                other => value.push(other),
            },
            _ => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<Found> {
        codes(&Source { path: "x.rs".into(), text: text.into() })
    }

    #[test]
    fn a_declaration_is_read_in_both_forms_and_over_lines() {
        for text in [
            r#"X = "CW-RPC-BEHIND", "It is \"behind\".", "Wait."; "#,
            "Entry { code: \"CW-RPC-BEHIND\",\n  cause: \"It is \\\n     \\\"behind\\\".\", remedy: \"Wait.\" }",
        ] {
            let found = found(text);
            let declared = found[0].declared.clone().unwrap();
            assert_eq!(found[0].code, "CW-RPC-BEHIND");
            assert_eq!(declared.constant.is_some(), text.starts_with('X'));
            assert_eq!((declared.cause.as_str(), declared.remedy.as_str()), ("It is \"behind\".", "Wait."));
        }
    }

    #[test]
    fn a_mention_declares_nothing_and_numbers_are_not_codes_of_words() {
        assert_eq!(found(r#"fail("CW-RPC-BEHIND")"#)[0].declared, None);
        assert!(found(r#"format!("CW-{:04}", n); "CW-2013" "CW-lower""#).is_empty());
    }

    #[test]
    fn a_name_is_not_found_in_a_longer_one() {
        assert!(names("Err(ErrorCode::CodeInvalid)", "ErrorCode::CodeInvalid"));
        assert!(!names("ErrorCode::CodeInvalidAgain", "ErrorCode::CodeInvalid"));
    }
}
