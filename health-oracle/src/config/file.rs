//! The configuration file, in TOML: its values with the lines that they stand in. A key that is not known is a problem,
//! because a slip that is passed over is a rule that does not hold.

use std::{collections::BTreeMap, ops::Range, path::Path};

use causeway_interface::Key;
use toml_edit::{Document, Item, TableLike, Value};

use super::{
    options::{self, Form, Spec},
    problem::Problem,
};
use crate::book::Class;

/// Longest configuration file that is read: some thousand networks with overrides.
pub const MAX_BYTES: u64 = 1 << 20;

/// A value and the line that it stands in, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// As text, whatever form it has.
    pub value: String,
    /// The line.
    pub line: usize,
}

/// A rule for a part of the subjects only.
#[derive(Clone, Debug)]
pub struct Override {
    /// For this network only.
    pub network: Option<Key>,
    /// For this type only.
    pub class: Option<Class>,
    /// Which rule.
    pub spec: &'static Spec,
    /// To what.
    pub value: Line,
    /// Its key as the file has it.
    pub key: String,
}

/// What a file holds.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// Options by key.
    pub values: BTreeMap<&'static str, Line>,
    /// Rules for a part of the subjects.
    pub overrides: Vec<Override>,
}

/// Where a key's value goes.
enum Target {
    Option(&'static Spec),
    Override { network: Option<Key>, class: Option<Class>, spec: &'static Spec },
}

/// Reads the text of a file; `path` is for the problems.
pub fn parse(text: &str, path: &Path) -> (Content, Vec<Problem>) {
    let mut reader = Reader { text, path, content: Content::default(), problems: Vec::new() };
    match Document::parse(text) {
        Ok(document) => reader.table(&mut Vec::new(), document.as_table()),
        Err(error) => {
            let line = reader.line(error.span());
            let cause = format!("It is not TOML: {}.", error.message().trim().replace('\n', "; "));
            let remedy = "See health-oracle/oracle.example.toml for the form.";
            reader.problems.push(Problem::config(reader.place(line), cause, remedy));
        }
    }
    (reader.content, reader.problems)
}

struct Reader<'a> {
    text: &'a str,
    path: &'a Path,
    content: Content,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn line(&self, span: Option<Range<usize>>) -> usize {
        let until = span.map_or(0, |span| span.start);
        1 + self.text.bytes().take(until).filter(|byte| *byte == b'\n').count()
    }

    fn place(&self, line: usize) -> String {
        format!("{}, line {line}", self.path.display())
    }

    fn table(&mut self, above: &mut Vec<String>, table: &dyn TableLike) {
        for (name, item) in table.iter() {
            let span = table.get_key_value(name).and_then(|(key, _)| key.span());
            let line = self.line(span.or_else(|| item.span()));
            above.push(name.to_owned());
            match item.as_table_like() {
                // A table is looked into only as deep as a known key can be.
                Some(inner) if is_table(above) => self.table(above, inner),
                Some(_) | None => self.leaf(above, item, line),
            }
            above.pop();
        }
    }

    fn leaf(&mut self, path: &[String], item: &Item, line: usize) {
        let key = path.join(".");
        let place = format!("{}: {key}", self.place(line));
        let target = match target(path) {
            Ok(target) => target,
            Err((cause, remedy)) => return self.problems.push(Problem::config(place, cause, remedy)),
        };
        let spec = match &target {
            Target::Option(spec) | Target::Override { spec, .. } => *spec,
        };
        let Some(value) = item.as_value().and_then(|value| text_of(value, spec.form)) else {
            let quotes = if spec.form.is_quoted() { ", in quotes" } else { ", without quotes" };
            let cause = format!("It has to be {}{quotes}.", spec.form.words());
            return self.problems.push(Problem::config(place, cause, "Mend the value."));
        };
        let value = Line { value, line };
        match target {
            Target::Option(spec) => drop(self.content.values.insert(spec.key, value)),
            Target::Override { network, class, spec } => {
                self.content.overrides.push(Override { network, class, spec, value, key });
            }
        }
    }
}

/// Whether a table of this path can hold something known.
fn is_table(path: &[String]) -> bool {
    let words: Vec<&str> = path.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["rules" | "alerts" | "clickhouse" | "network"] | ["network", _] | ["network", _, "rules"] => true,
        ["rules", class] | ["network", _, "rules", class] => class_of(class).is_some(),
        _ => false,
    }
}

fn class_of(name: &str) -> Option<Class> {
    Class::ALL.into_iter().find(|class| class.name() == name)
}

type Refusal = (String, String);

fn target(path: &[String]) -> Result<Target, Refusal> {
    let words: Vec<&str> = path.iter().map(String::as_str).collect();
    if let Some(spec) = options::find(&path.join(".")) {
        return Ok(Target::Option(spec));
    }
    let (network, class, rule) = match words.as_slice() {
        ["rules", class, rule] => (None, class_of(class), *rule),
        ["network", network, "rules", class, rule] => (Some(*network), class_of(class), *rule),
        ["network", network, "rules", rule] => (Some(*network), None, *rule),
        _ => return Err(unknown(path)),
    };
    let spec = options::find(&format!("rules.{rule}")).ok_or_else(|| unknown(path))?;
    let everywhere = words.len() == 4 && network.is_some();
    if class.is_none() && !everywhere {
        return Err(unknown(path));
    }
    if matches!(spec.name(), "bucket_ms" | "lag_ms") {
        let cause = format!("{} can't differ between subjects: one store holds the telemetry of all.", spec.name());
        return Err((cause, format!("Set it in [rules], or for a whole oracle by --{}.", spec.flag())));
    }
    let network = network.map(|name| {
        name.parse::<Key>().map_err(|_| {
            let cause = format!("\"{name}\" is no key in base 58.");
            (cause, "Name the network by the address of its program.".to_owned())
        })
    });
    Ok(Target::Override { network: network.transpose()?, class, spec })
}

fn unknown(path: &[String]) -> Refusal {
    let name = path.last().map_or("", String::as_str);
    let elsewhere = options::OPTIONS.iter().find(|spec| spec.name() == name || spec.flag() == name);
    let remedy = match elsewhere {
        Some(spec) => format!("Did you mean {}?", spec.key),
        None => "health-oracle/oracle.example.toml names every key.".to_owned(),
    };
    ("There is no such key.".to_owned(), remedy)
}

/// A value as text, if it is of a type that the form allows.
fn text_of(value: &Value, form: Form) -> Option<String> {
    match form {
        Form::Text | Form::Url | Form::Key | Form::Path | Form::Address | Form::Choice(_) => {
            value.as_str().map(str::to_owned)
        }
        Form::Switch => value.as_bool().map(|on| on.to_string()),
        Form::Number(..) => value.as_integer().map(|number| number.to_string()),
        Form::Percent => {
            let whole = value.as_integer().map(|number| number.to_string());
            whole.or_else(|| value.as_float().map(|number| number.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: &str = "8qbHbw2BbbTHBW1sbeqakYXVKRQM8Ne7pLK7m6CVfeR";

    fn read(text: &str) -> (Content, Vec<String>) {
        let (content, problems) = parse(text, Path::new("o.toml"));
        (content, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn values_carry_their_lines_and_overrides_their_subjects() {
        let text = format!(
            "name = \"a\"\n\n[rules]\nhold_ms = 5\nmin_share_percent = 99.5\nedge.max_gap_ms = 7\n\
             [rules.wan]\nloss_limit_ppm = 3\n[network.\"{PROGRAM}\".rules]\nhold_ms = 9\nedge = {{ hold_ms = 10 }}\n"
        );
        let (content, problems) = read(&text);
        assert_eq!(problems, [""; 0]);
        let value = |key: &str| content.values.get(key).map(|l| (l.value.as_str(), l.line));
        assert_eq!(value("name"), Some(("a", 1)));
        assert_eq!(value("rules.hold_ms"), Some(("5", 4)));
        assert_eq!(value("rules.min_share_percent"), Some(("99.5", 5)));
        let network: Option<Key> = Some(PROGRAM.parse().unwrap());
        let overrides: Vec<_> = content
            .overrides
            .iter()
            .map(|o| (o.network, o.class, o.spec.name(), o.value.value.as_str(), o.value.line))
            .collect();
        assert_eq!(
            overrides,
            [
                (None, Some(Class::Edge), "max_gap_ms", "7", 6),
                (None, Some(Class::Wan), "loss_limit_ppm", "3", 8),
                (network, None, "hold_ms", "9", 10),
                (network, Some(Class::Edge), "hold_ms", "10", 11),
            ]
        );
    }

    #[test]
    fn every_mistake_is_named_with_file_line_and_key() {
        let text = "nmae = \"a\"\nlisten = 5\nhold_ms = 3\n[rules]\nhold_ms = \"x\"\n[rules.edge]\nbucket_ms = 5\n\
                    [rules.core]\nhold_ms = 1\n[network.zzz.rules]\nhold_ms = 1\n[[alerts]]\nx = 1\n[rules.wan.wan]\nhold_ms = 1\n";
        let (content, problems) = read(text);
        assert!(content.values.is_empty() && content.overrides.is_empty(), "{content:?}");
        let expected = [
            "o.toml, line 1: nmae: There is no such key. health-oracle/oracle.example.toml",
            "o.toml, line 2: listen: It has to be an address with a port, like 127.0.0.1:7090, in quotes.",
            "o.toml, line 3: hold_ms: There is no such key. Did you mean rules.hold_ms?",
            "o.toml, line 5: rules.hold_ms: It has to be a whole number from 0 to",
            "o.toml, line 7: rules.edge.bucket_ms: bucket_ms can't differ between subjects",
            "line 14: rules.wan.wan: There is no such key.",
            "line 8: rules.core: There is no such key.",
            "o.toml, line 11: network.zzz.rules.hold_ms: \"zzz\" is no key in base 58.",
            "o.toml, line 12: alerts: There is no such key.",
        ];
        for expected in expected {
            assert!(
                problems.iter().any(|p| p.starts_with("CW-ORACLE-CONFIG: ") && p.contains(expected)),
                "{expected}: {problems:#?}"
            );
        }
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    }

    #[test]
    fn what_is_not_toml_is_named_with_its_line() {
        for text in ["name = \"a\"\nname = \"b\"\n", "name = \"a\"\n= 3\n", "a = 1\n[a\n", "x = 1\n\u{0}"] {
            let (_, problems) = read(text);
            assert!(problems.len() == 1 && problems[0].contains("o.toml, line 2: It is not TOML"), "{problems:?}");
        }
    }
}
