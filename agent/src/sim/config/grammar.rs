//! A table-driven command grammar: rules by context, values checked as they are read.
//!
//! Like a router's shell: a line is tried in the context it stands in, then in the contexts around it, and the context
//! becomes the one it was found in. Indentation means nothing, `!` begins a comment.

use std::{collections::BTreeSet, net::Ipv4Addr};

use ipnet::Ipv4Net;

use super::{MAX_LINE_BYTES, MAX_LISTED, MAX_TEXT_BYTES, Refusal, RefusedLine, RunningConfig};

/// Longest piece of a refused line that is repeated to the reader.
const MAX_QUOTED_CHARS: usize = 120;
/// Deepest nesting of contexts; the deepest known is four.
const MAX_DEPTH: usize = 8;

/// Where a line can stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    Global,
    Interface(String),
    Isis,
    IsisFamily(String),
    SegmentRouting,
    Bgp,
    BgpFamily(String),
    /// A section whose lines are kept and have no simulated behaviour.
    Kept(&'static str, String),
}

impl Node {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Interface(_) => "interface",
            Self::Isis => "isis",
            Self::IsisFamily(_) => "isis-family",
            Self::SegmentRouting => "segment-routing",
            Self::Bgp => "bgp",
            Self::BgpFamily(_) => "bgp-family",
            Self::Kept(name, _) => name,
        }
    }

    fn label(&self) -> String {
        match self {
            Self::Global | Self::Isis | Self::Bgp | Self::SegmentRouting => self.name().to_owned(),
            Self::Interface(word) | Self::IsisFamily(word) | Self::BgpFamily(word) | Self::Kept(_, word) => {
                format!("{} {word}", self.name())
            }
        }
    }
}

/// Which of a statement and its `no` form a rule takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sense {
    Set,
    Unset,
    Both,
}

/// A value read from a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Address(Ipv4Addr),
    Prefix(Ipv4Net),
    Number(u32),
    Word(String),
}

/// What a rule's action gets.
pub struct Args {
    pub unset: bool,
    pub values: Vec<Value>,
}

impl Args {
    pub fn word(&self, index: usize) -> &str {
        match self.values.get(index) {
            Some(Value::Word(word)) => word,
            Some(Value::Address(_) | Value::Prefix(_) | Value::Number(_)) | None => "",
        }
    }

    pub fn number(&self, index: usize) -> u32 {
        match self.values.get(index) {
            Some(Value::Number(number)) => *number,
            Some(Value::Address(_) | Value::Prefix(_) | Value::Word(_)) | None => 0,
        }
    }

    pub fn address(&self, index: usize) -> Ipv4Addr {
        match self.values.get(index) {
            Some(Value::Address(address)) => *address,
            Some(Value::Number(_) | Value::Prefix(_) | Value::Word(_)) | None => Ipv4Addr::UNSPECIFIED,
        }
    }

    pub fn prefix(&self, index: usize) -> Ipv4Net {
        match self.values.get(index) {
            Some(Value::Prefix(prefix)) => *prefix,
            Some(Value::Number(_) | Value::Address(_) | Value::Word(_)) | None => Ipv4Net::default(),
        }
    }
}

pub type Act = fn(&mut Draft, &Args) -> Result<(), String>;

/// One statement. `form` is made of literal words, `a|b` (the one taken is a value), `{address}`, `{prefix}`,
/// `{interface}`, `{word}`, `{1-63}`, and as the last one `{text}`: one or more words, to the end of the line.
pub struct Rule {
    pub at: &'static str,
    pub form: &'static str,
    pub sense: Sense,
    pub act: Act,
}

/// A family's grammar.
pub struct Grammar {
    pub rules: &'static [Rule],
    /// Contexts in which any printable line is kept.
    pub free: &'static [&'static str],
    /// The full name of an interface; none where there can be no such interface.
    pub interface: fn(&str) -> Option<String>,
}

/// A configuration in the making.
pub struct Draft {
    pub config: RunningConfig,
    stack: Vec<Node>,
    statement: String,
}

impl Draft {
    fn new() -> Self {
        Self { config: RunningConfig::default(), stack: vec![Node::Global], statement: String::new() }
    }

    pub fn node(&self) -> &Node {
        self.stack.last().unwrap_or(&Node::Global)
    }

    pub fn enter(&mut self, node: Node) {
        if self.stack.len() < MAX_DEPTH {
            self.stack.push(node);
        }
    }

    pub fn leave(&mut self) {
        if self.stack.len() > 1 {
            self.stack.pop();
        }
    }

    /// Keeps the statement as it stands, in place of its opposite.
    pub fn keep(&mut self, unset: bool) {
        let place = self.stack.iter().skip(1).map(|node| node.label() + " / ").collect::<String>();
        let (yes, no) = (format!("{place}{}", self.statement), format!("{place}no {}", self.statement));
        let (now, was) = if unset { (no, yes) } else { (yes, no) };
        self.config.kept.remove(&was);
        self.config.kept.insert(now);
    }

    /// Keeps words of its own about the context just entered.
    pub fn keep_as(&mut self, statement: &str) {
        statement.clone_into(&mut self.statement);
        self.keep(false);
    }

    /// Whether a statement of another context is kept.
    pub fn keeps(&self, start: &str) -> bool {
        self.config.kept.iter().any(|kept| kept.starts_with(start))
    }

    /// Forgets every kept statement of the present context that begins with `start`.
    pub fn forget(&mut self, start: &str) {
        let place = self.stack.iter().skip(1).map(|node| node.label() + " / ").collect::<String>() + start;
        let gone: BTreeSet<String> = self.config.kept.iter().filter(|kept| kept.starts_with(&place)).cloned().collect();
        for kept in gone {
            self.config.kept.remove(&kept);
        }
    }
}

/// Reads a text.
pub fn parse(grammar: &Grammar, text: &str) -> Result<RunningConfig, Refusal> {
    if text.len() > MAX_TEXT_BYTES {
        let reason = format!("{} bytes are more than the {MAX_TEXT_BYTES} that the device takes", text.len());
        return Err(Refusal { lines: vec![RefusedLine { line: 1, text: String::new(), reason }] });
    }
    let mut draft = Draft::new();
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if let Err(reason) = read_line(grammar, &mut draft, line) {
            let quoted = line.trim().chars().take(MAX_QUOTED_CHARS).collect();
            lines.push(RefusedLine { line: index + 1, text: quoted, reason });
            if lines.len() == MAX_LISTED {
                break;
            }
        }
    }
    if lines.is_empty() { Ok(draft.config) } else { Err(Refusal { lines }) }
}

fn read_line(grammar: &Grammar, draft: &mut Draft, line: &str) -> Result<(), String> {
    if line.len() > MAX_LINE_BYTES {
        return Err(format!("longer than {MAX_LINE_BYTES} bytes"));
    }
    if line.chars().any(|c| c.is_control() && c != '\t') {
        return Err("a control character".to_owned());
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        [] => return Ok(()),
        [first, ..] if first.starts_with('!') || first.starts_with('#') => return Ok(()),
        ["exit"] => {
            draft.leave();
            return Ok(());
        }
        ["end"] => {
            draft.stack.truncate(1);
            return Ok(());
        }
        ["exit-address-family"] => {
            return match draft.node() {
                Node::BgpFamily(_) | Node::IsisFamily(_) => {
                    draft.stack.pop();
                    Ok(())
                }
                Node::Global | Node::Interface(_) | Node::Isis | Node::SegmentRouting | Node::Bgp | Node::Kept(..) => {
                    Err("not in an address family".to_owned())
                }
            };
        }
        _ => {}
    }
    let (unset, words) = match words.as_slice() {
        ["no", rest @ ..] => (true, rest),
        all => (false, all),
    };
    let mut near = None;
    for depth in (0..draft.stack.len()).rev() {
        let Some(place) = draft.stack.get(depth).map(Node::name) else { continue };
        for rule in grammar.rules.iter().filter(|rule| rule.at == place) {
            let allowed = match rule.sense {
                Sense::Set => !unset,
                Sense::Unset => unset,
                Sense::Both => true,
            };
            if !allowed {
                continue;
            }
            match read_form(grammar, rule.form, words) {
                Ok(values) => {
                    draft.stack.truncate(depth + 1);
                    draft.statement = words.join(" ");
                    return (rule.act)(draft, &Args { unset, values });
                }
                Err(Miss { matched, reason }) => {
                    if matched > 0 && near.as_ref().is_none_or(|(most, _)| matched > *most) {
                        near = Some((matched, reason));
                    }
                }
            }
        }
        if grammar.free.contains(&place) && !begins_elsewhere(grammar, words) {
            draft.stack.truncate(depth + 1);
            draft.statement = words.join(" ");
            draft.keep(unset);
            return Ok(());
        }
    }
    Err(near.map_or_else(|| "unknown command".to_owned(), |(_, reason)| reason))
}

/// Whether a line is a statement of the outermost context, which ends a section of free lines.
fn begins_elsewhere(grammar: &Grammar, words: &[&str]) -> bool {
    grammar.rules.iter().any(|rule| rule.at == "global" && read_form(grammar, rule.form, words).is_ok())
}

struct Miss {
    matched: usize,
    reason: String,
}

fn read_form(grammar: &Grammar, form: &str, words: &[&str]) -> Result<Vec<Value>, Miss> {
    let mut values = Vec::new();
    let mut rest = words.iter();
    for (matched, part) in form.split_whitespace().enumerate() {
        let miss = |reason: String| Miss { matched, reason };
        if part == "{text}" {
            let text: Vec<&str> = rest.by_ref().copied().collect();
            if text.is_empty() {
                return Err(miss("incomplete command".to_owned()));
            }
            values.push(Value::Word(text.join(" ")));
            return Ok(values);
        }
        let Some(word) = rest.next() else { return Err(miss("incomplete command".to_owned())) };
        match part.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) {
            Some(kind) => values.push(read_value(grammar, kind, word).map_err(miss)?),
            None if part.contains('|') => {
                if !part.split('|').any(|choice| choice == *word) {
                    return Err(miss(format!("{word:?} is not one of {part}")));
                }
                values.push(Value::Word((*word).to_owned()));
            }
            None if part == *word => {}
            None => return Err(miss("unknown command".to_owned())),
        }
    }
    match rest.next() {
        None => Ok(values),
        Some(word) => {
            Err(Miss { matched: form.split_whitespace().count(), reason: format!("{word:?} is not expected here") })
        }
    }
}

fn read_value(grammar: &Grammar, kind: &str, word: &str) -> Result<Value, String> {
    match kind {
        "address" => word.parse().map(Value::Address).map_err(|_| format!("{word:?} is not an IPv4 address")),
        "prefix" => match word.contains('/') {
            true => word.parse().map(Value::Prefix).map_err(|_| format!("{word:?} is not an IPv4 prefix")),
            false => Err(format!("{word:?} has no prefix length")),
        },
        "interface" => (grammar.interface)(word)
            .map(Value::Word)
            .ok_or_else(|| format!("{word:?} is not an interface of this system")),
        "word" => Ok(Value::Word(word.to_owned())),
        range => {
            let bounds = range.split_once('-').and_then(|(low, high)| Some((low.parse().ok()?, high.parse().ok()?)));
            let (low, high): (u32, u32) = bounds.ok_or_else(|| "unknown command".to_owned())?;
            let digits = word.bytes().all(|b| b.is_ascii_digit());
            match word.parse() {
                Ok(number) if digits && (low..=high).contains(&number) => Ok(Value::Number(number)),
                Ok(_) | Err(_) => Err(format!("{word:?} is not a number from {low} to {high}")),
            }
        }
    }
}
