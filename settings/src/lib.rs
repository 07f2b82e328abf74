//! Settings from flags, environment and a file, whatever settings there are: a flag wins over its environment variable,
//! that over the file, that over the default.
//!
//! What a program can be told is what its clap command says. A key of the file (TOML) is the name of the field of the
//! command's type; what the file says is handed to clap as flags that nobody gave otherwise, so that one parser judges
//! every value. A key that is not known is a problem: a slip that is passed over is a setting that does not hold.
//!
//! [`shown`] writes what is in force, with the origin of each value.

pub mod problem;

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches, parser::ValueSource};
use toml_edit::{Document, Item, Value};

pub use problem::{Problem, key};

/// Longest configuration file that is read, in bytes: a hundred times the example.
const MAX_BYTES: u64 = 1 << 20;
/// The flag that names the file, and its field.
const FILE: &str = "config";
/// Fields that are no settings of a file.
const NOT_IN_FILE: [&str; 5] = [FILE, "check_config", "openapi", "help", "version"];

/// A program that has settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// The code of everything that is wrong with one.
    pub code: &'static str,
    /// The variable that names the file.
    pub variable: &'static str,
    /// A file of the repository with every key.
    pub example: &'static str,
}

/// Why there are no settings.
#[derive(Debug)]
pub enum Failure {
    /// As clap says it: a wrong flag, or the help that was asked for.
    Command(clap::Error),
    /// What is wrong with the file, all of it.
    Problems(Vec<Problem>),
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag.
    Flag,
    /// A variable.
    Environment(String),
    /// A line of the file.
    File(PathBuf, usize),
    /// Nobody has set it.
    Default,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Environment(name) => f.write_str(name),
            Self::File(path, line) => write!(f, "{}, line {line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// What was said: of each field its values and where they come from, in the order of the command.
pub type Settings = Vec<(String, Vec<String>, Origin)>;

/// Values of a key of the file, and the line that they begin in.
struct Line {
    values: Vec<String>,
    number: usize,
}

/// Lines of key, value and origin.
#[must_use]
pub fn shown(settings: &Settings) -> String {
    let set = settings.iter().filter(|(_, values, _)| !values.is_empty());
    let line = |(key, values, origin): &(String, Vec<String>, Origin)| {
        let values: Vec<String> = values.iter().map(|value| without_secret(value)).collect();
        format!("{key} = {}  # {origin}\n", values.join(", "))
    };
    set.map(line).collect()
}

/// An address without what may be secret in it, a provider's key for one: what is before the host, and what follows it.
fn without_secret(value: &str) -> String {
    let Some((scheme, after)) = value.split_once("://") else { return value.to_owned() };
    let (authority, rest) = after.split_at(after.find(['/', '?', '#']).unwrap_or(after.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let hidden = host.len() != authority.len() || rest.len() > 1;
    format!("{scheme}://{host}{}", if hidden { "/(hidden)" } else { rest })
}

impl Program {
    /// The settings of a program that is started with these arguments, the program's name first.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn read<T: CommandFactory + FromArgMatches>(&self, arguments: Vec<OsString>) -> Result<(T, Settings), Failure> {
        read(*self, arguments)
    }

    /// A setting or a file that can't be used.
    pub fn problem(&self, place: impl Into<String>, cause: impl Into<String>, remedy: impl Into<String>) -> Problem {
        Problem { code: self.code, place: place.into(), cause: cause.into(), remedy: remedy.into() }
    }
}

fn read<T: CommandFactory + FromArgMatches>(
    program: Program,
    arguments: Vec<OsString>,
) -> Result<(T, Settings), Failure> {
    let command = T::command();
    // First what is said without the file: there are no defaults and nothing is required.
    let bare = command.clone().mut_args(|argument| argument.required(false));
    let given = bare.try_get_matches_from(&arguments).map_err(Failure::Command)?;
    let path: Option<PathBuf> = given.try_get_one::<PathBuf>(FILE).ok().flatten().cloned();
    let lines = match &path {
        Some(path) => parse(program, path, &command).map_err(Failure::Problems)?,
        None => BTreeMap::new(),
    };
    let used: BTreeMap<String, Line> =
        lines.into_iter().filter(|(id, _)| !matches!(source(&given, id), Some(Origin::Flag))).collect();
    let used: BTreeMap<String, Line> =
        used.into_iter().filter(|(id, _)| given.value_source(id) != Some(ValueSource::EnvVariable)).collect();
    let mut all: Vec<OsString> = arguments.first().cloned().into_iter().collect();
    let flags = command.get_arguments().filter_map(|a| Some((a, used.get(a.get_id().as_str())?)));
    all.extend(flags.flat_map(|(argument, line)| as_flags(argument, line)));
    all.extend(arguments.into_iter().skip(1));
    let place = |id: &str| used.get(id).zip(path.as_ref()).map(|(line, path)| place(path, line.number, id));
    let matches =
        command.clone().try_get_matches_from(all).map_err(|error| of_file(program, error, &command, &place))?;
    let settings = list(&command, &matches, &used, path.as_deref());
    let options = T::from_arg_matches(&matches).map_err(Failure::Command)?;
    Ok((options, settings))
}

fn source(matches: &ArgMatches, id: &str) -> Option<Origin> {
    (matches.value_source(id)? == ValueSource::CommandLine).then_some(Origin::Flag)
}

fn place(path: &Path, line: usize, key: &str) -> String {
    format!("{}, line {line}: {key}", path.display())
}

/// An error of clap about a value of the file is told of the file.
fn of_file(program: Program, error: clap::Error, command: &Command, place: &dyn Fn(&str) -> Option<String>) -> Failure {
    use clap::error::{ContextKind, ContextValue};
    let Some(ContextValue::String(named)) = error.get(ContextKind::InvalidArg) else { return Failure::Command(error) };
    // Only a command that was built can name its flags as its errors do.
    let mut command = command.clone();
    command.build();
    let argument = command.get_arguments().find(|argument| argument.to_string() == *named);
    let Some(place) = argument.and_then(|argument| place(argument.get_id().as_str())) else {
        return Failure::Command(error);
    };
    let text = error.to_string();
    let cause = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    let remedy = "Mend the value; --help says what belongs there.";
    Failure::Problems(vec![program.problem(place, format!("{cause}."), remedy)])
}

fn is_switch(argument: &Arg) -> bool {
    matches!(argument.get_action(), ArgAction::SetTrue)
}

fn as_flags(argument: &Arg, line: &Line) -> Vec<OsString> {
    let flag = argument.get_long().unwrap_or_default();
    match (is_switch(argument), line.values.first().map(String::as_str)) {
        (true, Some("true")) => vec![format!("--{flag}").into()],
        (true, _) => Vec::new(),
        (false, _) => line.values.iter().map(|value| format!("--{flag}={value}").into()).collect(),
    }
}

fn list(command: &Command, matches: &ArgMatches, used: &BTreeMap<String, Line>, path: Option<&Path>) -> Settings {
    let mut settings = Settings::new();
    for argument in command.get_arguments() {
        let id = argument.get_id().as_str();
        if NOT_IN_FILE.contains(&id) {
            continue;
        }
        let values = match is_switch(argument) {
            true => vec![matches.get_flag(id).to_string()],
            false => matches.get_raw(id).into_iter().flatten().map(|v| v.to_string_lossy().into_owned()).collect(),
        };
        let variable = || argument.get_env().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let origin = match (used.get(id).zip(path), matches.value_source(id)) {
            (Some((line, path)), _) => Origin::File(path.to_owned(), line.number),
            (None, Some(ValueSource::CommandLine)) => Origin::Flag,
            (None, Some(ValueSource::EnvVariable)) => Origin::Environment(variable()),
            (None, _) => Origin::Default,
        };
        settings.push((id.to_owned(), values, origin));
    }
    settings
}

fn parse(program: Program, path: &Path, command: &Command) -> Result<BTreeMap<String, Line>, Vec<Problem>> {
    let whole = |cause: String, remedy: &str| vec![program.problem(path.display().to_string(), cause, remedy)];
    let length = fs::metadata(path).map(|metadata| metadata.len());
    if length.as_ref().is_ok_and(|length| *length > MAX_BYTES) {
        return Err(whole(format!("It is longer than {MAX_BYTES} bytes."), "Name the configuration file."));
    }
    let text = length.and_then(|_| fs::read_to_string(path)).map_err(|error| {
        whole(
            format!("It can't be read: {error}."),
            &format!("Check the path that --config or {} names.", program.variable),
        )
    })?;
    let line_of = |span: Option<Range<usize>>| {
        let until = span.map_or(0, |span| span.start);
        1 + text.bytes().take(until).filter(|byte| *byte == b'\n').count()
    };
    let document = Document::parse(text.as_str()).map_err(|error| {
        let place = format!("{}, line {}", path.display(), line_of(error.span()));
        let cause = format!("It is not TOML: {}.", error.message().trim().replace('\n', "; "));
        vec![program.problem(place, cause, format!("See {} for the form.", program.example))]
    })?;
    let (mut lines, mut problems) = (BTreeMap::new(), Vec::new());
    for (key, item) in document.as_table() {
        let span = document.as_table().get_key_value(key).and_then(|(key, _)| key.span());
        let number = line_of(span.or_else(|| item.span()));
        match values(program, command, key, item) {
            Ok(values) => drop(lines.insert(key.to_owned(), Line { values, number })),
            Err((cause, remedy)) => problems.push(program.problem(place(path, number, key), cause, remedy)),
        }
    }
    if problems.is_empty() { Ok(lines) } else { Err(problems) }
}

fn values(program: Program, command: &Command, key: &str, item: &Item) -> Result<Vec<String>, (String, String)> {
    let known = |argument: &&Arg| argument.get_id() == key && !NOT_IN_FILE.contains(&key);
    let Some(argument) = command.get_arguments().find(known) else {
        let names: BTreeSet<&str> = command.get_arguments().map(|argument| argument.get_id().as_str()).collect();
        let near = names.into_iter().find(|name| name.starts_with(key) || key.starts_with(name));
        let near = near.filter(|name| !NOT_IN_FILE.contains(name)).map(|name| format!("Did you mean {name}?"));
        let remedy = near.unwrap_or_else(|| format!("{} names every key.", program.example));
        return Err(("There is no such key.".to_owned(), remedy));
    };
    let several = matches!(argument.get_action(), ArgAction::Append);
    let scalar = |value: &Value| match (is_switch(argument), value) {
        (true, Value::Boolean(on)) => Some(on.value().to_string()),
        (false, Value::String(text)) => Some(text.value().clone()),
        (false, Value::Integer(number)) => Some(number.value().to_string()),
        (false, Value::Float(number)) if !several => Some(number.value().to_string()),
        _ => None,
    };
    let found = match item.as_value() {
        Some(Value::Array(array)) if several => array.iter().map(scalar).collect::<Option<Vec<_>>>(),
        Some(value) => scalar(value).map(|value| vec![value]),
        None => None,
    };
    let form = match (is_switch(argument), several) {
        (true, _) => "true or false",
        (false, true) => "a list of texts",
        (false, false) => "a text in quotes or a number",
    };
    found.ok_or_else(|| (format!("It has to be {form}."), "Mend the value.".to_owned()))
}

#[cfg(test)]
mod tests;
