//! A tolerant reader of GML, as far as the Topology Zoo and its relatives use it.
//!
//! A file is a list of `key value` pairs; a value is a number, a quoted string or a list in brackets. Keys may repeat
//! and any key may appear anywhere. It knows nothing of nodes or edges: that is [`super::graph`]'s.
//!
//! It guarantees to end with a value or an error that names the line, for any text: nesting and size are bounded. It
//! refuses what it can't read rather than guessing, but takes the liberties that real files take: comments, strings
//! over several lines, unquoted words as values, character entities.

/// Largest text that is read: the largest file of the Topology Zoo has 0.2 MB.
pub const MAX_BYTES: usize = 64 << 20;
/// Deepest nesting: real files have three levels.
const MAX_DEPTH: usize = 32;

/// Why text is not GML.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GmlError {
    /// Too large.
    #[error("the text has {bytes} bytes, more than the {MAX_BYTES} that are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// A string without its closing quote.
    #[error("line {line}: a string begins here and never ends")]
    OpenString {
        /// Where it begins, from 1.
        line: usize,
    },
    /// A list without its closing bracket.
    #[error("line {line}: a list begins here and never ends")]
    OpenList {
        /// Where it begins, from 1.
        line: usize,
    },
    /// A closing bracket too many.
    #[error("line {line}: `]` without a list")]
    StrayBracket {
        /// Where, from 1.
        line: usize,
    },
    /// Something that is not a key where a key has to be.
    #[error("line {line}: expected a key, found {found:?}")]
    NotAKey {
        /// Where, from 1.
        line: usize,
        /// What is there.
        found: String,
    },
    /// A key without a value.
    #[error("line {line}: {key:?} has no value")]
    NoValue {
        /// Where, from 1.
        line: usize,
        /// The key.
        key: String,
    },
    /// Lists in lists in lists.
    #[error("line {line}: lists are nested deeper than {MAX_DEPTH}")]
    TooDeep {
        /// Where, from 1.
        line: usize,
    },
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number.
    Number(f64),
    /// A string or a bare word, entities resolved.
    Text(String),
    /// A list.
    List(List),
}

/// Pairs in the order of the file.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct List(pub Vec<(String, Value)>);

impl List {
    /// The first value of `key`, whatever its case.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(k, _)| k.eq_ignore_ascii_case(key)).map(|(_, value)| value)
    }

    /// Every list under `key`.
    pub fn lists<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a List> {
        self.0.iter().filter_map(move |(k, value)| match value {
            Value::List(list) if k.eq_ignore_ascii_case(key) => Some(list),
            Value::List(_) | Value::Number(_) | Value::Text(_) => None,
        })
    }

    /// The first value of `key` as text; numbers are written as they print.
    pub fn text(&self, key: &str) -> Option<String> {
        match self.get(key)? {
            Value::Number(number) => Some(number.to_string()),
            Value::Text(text) => Some(text.clone()),
            Value::List(_) => None,
        }
    }

    /// The first value of `key` as a finite number; text is read as one where it is one.
    pub fn number(&self, key: &str) -> Option<f64> {
        let number = match self.get(key)? {
            Value::Number(number) => *number,
            Value::Text(text) => text.trim().parse().ok()?,
            Value::List(_) => return None,
        };
        number.is_finite().then_some(number)
    }
}

enum Token {
    Open,
    Close,
    Text(String),
    Bare(String),
}

struct Tokens<'a> {
    rest: &'a str,
    line: usize,
}

impl Tokens<'_> {
    fn skip_blank(&mut self) {
        loop {
            let trimmed = self.rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}' || c == '\0');
            self.line += newlines(self.rest.get(..self.rest.len() - trimmed.len()).unwrap_or_default());
            self.rest = trimmed;
            if !trimmed.starts_with('#') {
                return;
            }
            self.rest = trimmed.find('\n').and_then(|end| trimmed.get(end..)).unwrap_or_default();
        }
    }

    /// The next token and the line it begins on.
    fn next(&mut self) -> Result<Option<(usize, Token)>, GmlError> {
        self.skip_blank();
        let line = self.line;
        let Some(first) = self.rest.chars().next() else { return Ok(None) };
        let after = self.rest.get(first.len_utf8()..).unwrap_or_default();
        let token = match first {
            '[' => {
                self.rest = after;
                Token::Open
            }
            ']' => {
                self.rest = after;
                Token::Close
            }
            '"' => {
                let end = after.find('"').ok_or(GmlError::OpenString { line })?;
                let text = after.get(..end).unwrap_or_default();
                self.line += newlines(text);
                self.rest = after.get(end + 1..).unwrap_or_default();
                Token::Text(unescape(text))
            }
            _ => {
                let ends = |c: char| c.is_whitespace() || matches!(c, '[' | ']' | '"');
                let end = self.rest.find(ends).unwrap_or(self.rest.len());
                let (word, rest) = self.rest.split_at(end);
                self.rest = rest;
                Token::Bare(word.to_owned())
            }
        };
        Ok(Some((line, token)))
    }
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|b| *b == b'\n').count()
}

/// Reads a whole text.
///
/// # Errors
/// What is not `key value` pairs, with its line.
pub fn parse(text: &str) -> Result<List, GmlError> {
    if text.len() > MAX_BYTES {
        return Err(GmlError::TooLarge { bytes: text.len() });
    }
    let mut tokens = Tokens { rest: text, line: 1 };
    // The lists that are open, each with its key and the line on which it begins.
    let mut open: Vec<(String, usize, List)> = Vec::new();
    let mut current = List::default();
    while let Some((line, token)) = tokens.next()? {
        let key = match token {
            Token::Bare(word) if is_key(&word) => word,
            Token::Close => {
                let (key, _, mut outer) = open.pop().ok_or(GmlError::StrayBracket { line })?;
                outer.0.push((key, Value::List(std::mem::take(&mut current))));
                current = outer;
                continue;
            }
            Token::Bare(found) | Token::Text(found) => return Err(GmlError::NotAKey { line, found: shortened(found) }),
            Token::Open => return Err(GmlError::NotAKey { line, found: "[".into() }),
        };
        match tokens.next()? {
            Some((line, Token::Open)) => {
                if open.len() >= MAX_DEPTH {
                    return Err(GmlError::TooDeep { line });
                }
                open.push((key, line, std::mem::take(&mut current)));
            }
            Some((_, Token::Text(text))) => current.0.push((key, Value::Text(text))),
            Some((_, Token::Bare(word))) => current.0.push((key, number_or_text(word))),
            Some((_, Token::Close)) | None => return Err(GmlError::NoValue { line, key: shortened(key) }),
        }
    }
    match open.pop() {
        Some((_, line, _)) => Err(GmlError::OpenList { line }),
        None => Ok(current),
    }
}

fn is_key(word: &str) -> bool {
    let mut chars = word.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':'))
}

fn number_or_text(word: String) -> Value {
    // `parse` would take "nan", "inf" and "infinity" for numbers.
    let numeric = word.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    match word.parse::<f64>() {
        Ok(number) if numeric && number.is_finite() => Value::Number(number),
        Ok(_) | Err(_) => Value::Text(unescape(&word)),
    }
}

fn shortened(text: String) -> String {
    const SHOWN: usize = 40;
    if text.chars().count() > SHOWN { text.chars().take(SHOWN).chain(['…']).collect() } else { text }
}

/// Resolves numeric and the common named entities; GML is ASCII, so other letters come as these.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        // The longest entity that is known, "&#1114111;", has ten characters.
        let end = from.char_indices().take(12).find(|(_, c)| *c == ';').map(|(index, _)| index);
        let resolved = end.and_then(|end| from.get(1..end)).and_then(entity);
        match (resolved, end) {
            (Some(c), Some(end)) => {
                out.push(c);
                rest = from.get(end + 1..).unwrap_or_default();
            }
            (Some(_) | None, Some(_) | None) => {
                out.push('&');
                rest = from.get(1..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    out
}

fn entity(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code);
    }
    match name {
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "nbsp" => Some(' '),
        _ => None,
    }
}

/// A file's bytes as text: UTF-8, or Latin-1 where they are not.
pub fn decode(bytes: &[u8]) -> (String, Encoding) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), Encoding::Utf8),
        Err(_) => (bytes.iter().map(|b| char::from(*b)).collect(), Encoding::Latin1),
    }
}

/// How a file's bytes were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As UTF-8.
    Utf8,
    /// As Latin-1, because they are not UTF-8.
    Latin1,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_pairs_lists_comments_and_entities() {
        let text = "# by hand\nCreator \"x\ny\"\ngraph [\n node [ id 1 label \"S&#227;o &amp; P\" Latitude -2.5e1 ]\n \
                    node [ id 2 ] type word ]";
        let list = parse(text).unwrap();
        let graph = list.lists("graph").next().unwrap();
        let nodes: Vec<_> = graph.lists("node").collect();
        assert_eq!(list.text("creator").as_deref(), Some("x\ny"));
        assert_eq!(nodes.len(), 2);
        assert_eq!(nodes[0].text("label").as_deref(), Some("São & P"));
        assert_eq!(nodes[0].number("latitude"), Some(-25.0));
        assert_eq!(graph.text("type").as_deref(), Some("word"));
    }

    #[test]
    fn says_where_it_stopped() {
        let cases = [
            ("graph [\n node [\n", GmlError::OpenList { line: 2 }),
            ("\n\nlabel \"abc", GmlError::OpenString { line: 3 }),
            ("a 1 ]", GmlError::StrayBracket { line: 1 }),
            ("a [ b ]", GmlError::NoValue { line: 1, key: "b".into() }),
            ("a 1\n7 8", GmlError::NotAKey { line: 2, found: "7".into() }),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), Err(expected), "{text:?}");
        }
        let deep = "a [ ".repeat(100);
        assert_eq!(parse(&deep), Err(GmlError::TooDeep { line: 1 }));
    }

    #[test]
    fn words_that_rust_takes_for_numbers_stay_words() {
        let list = parse("a nan b inf c infinity d 1e999 e .5 f &lt; g &bogus;").unwrap();
        for key in ["a", "b", "c", "d"] {
            assert!(matches!(list.get(key), Some(Value::Text(_))), "{key}");
            assert_eq!(list.number(key), None, "{key}");
        }
        assert_eq!(list.number("e"), Some(0.5));
        assert_eq!(list.text("f").as_deref(), Some("<"));
        assert_eq!(list.text("g").as_deref(), Some("&bogus;"));
    }
}
