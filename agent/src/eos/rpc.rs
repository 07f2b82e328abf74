//! eAPI's JSON-RPC: what is sent, and what an answer says. Pure.
//!
//! A call runs commands in order until one fails. A failure carries the answers of those before it and the words of the
//! one that failed, so its place in the list is known.

use serde::Deserialize;
use serde_json::{Value, json};

/// Words of a device that are repeated to people, in characters: a refusal fits, a dump doesn't.
const MAX_WORDS: usize = 400;

/// eAPI's code of a command that is sound and allowed and has nothing to work on: a show of what doesn't run.
pub const FAILED: i64 = 1000;

/// In what form answers are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// As the models of EOS.
    Json,
    /// As the CLI prints.
    Text,
}

/// A command that the device did not carry out. Those before it were, those after it were not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandFailure {
    /// eAPI's code: 1000 failed, 1002 invalid, 1003 no JSON, 1005 not authorized, and others.
    pub code: i64,
    /// Place in the list of commands, from 0; none where the answer doesn't tell.
    pub index: Option<usize>,
    /// The device's words.
    pub words: String,
}

/// Why a call brought no answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// No connection, no answer in time, or no permission to ask. Whether the commands ran is not known.
    Transport(String),
    /// An answer that is not one. Whether the commands ran is not known.
    Answer(String),
    /// A command failed.
    Command(CommandFailure),
}

/// The body of a call.
pub fn request(id: u64, commands: &[String], format: Format) -> Vec<u8> {
    let format = match format {
        Format::Json => "json",
        Format::Text => "text",
    };
    let call = json!({
        "jsonrpc": "2.0",
        "method": "runCmds",
        // The models as the switch's release has them: decoding is strict, so one that changed is noticed.
        "params": { "version": "latest", "cmds": commands, "format": format },
        "id": id.to_string(),
    });
    call.to_string().into_bytes()
}

#[derive(Deserialize)]
struct Reply {
    id: Option<Value>,
    result: Option<Vec<Value>>,
    error: Option<ReplyError>,
}

#[derive(Deserialize)]
struct ReplyError {
    code: i64,
    #[serde(default)]
    message: String,
    #[serde(default)]
    data: Vec<Value>,
}

/// Reads an answer: one value per command.
///
/// # Errors
/// [`CallError::Answer`], [`CallError::Command`].
pub fn answers(body: &[u8], id: u64, commands: usize) -> Result<Vec<Value>, CallError> {
    let reply: Reply =
        serde_json::from_slice(body).map_err(|error| CallError::Answer(format!("not an eAPI answer: {error}")))?;
    if let Some(error) = reply.error {
        return Err(CallError::Command(failure(error)));
    }
    let ours = match &reply.id {
        Some(Value::String(found)) => *found == id.to_string(),
        Some(Value::Number(found)) => found.as_u64() == Some(id),
        Some(_) | None => false,
    };
    if !ours {
        return Err(CallError::Answer("the answer is to another call".to_owned()));
    }
    let results = reply.result.ok_or_else(|| CallError::Answer("neither a result nor an error".to_owned()))?;
    if results.len() != commands {
        return Err(CallError::Answer(format!("{} answers to {commands} commands", results.len())));
    }
    // Some releases report what a command complained of beside a success.
    if let Some((index, words)) = results.iter().enumerate().find_map(|(i, one)| Some((i, complaint(one)?))) {
        return Err(CallError::Command(CommandFailure { code: 0, index: Some(index), words }));
    }
    Ok(results)
}

fn failure(error: ReplyError) -> CommandFailure {
    let found = error.data.iter().enumerate().find_map(|(index, one)| Some((index, complaint(one)?)));
    let (index, said) = found.map_or((None, None), |(index, said)| (Some(index), Some(said)));
    let words = match said {
        Some(said) if !said.is_empty() => said,
        Some(_) | None => readable(&error.message),
    };
    CommandFailure { code: error.code, index, words }
}

/// The words of one command's `errors`, if it has any.
fn complaint(answer: &Value) -> Option<String> {
    let errors = answer.get("errors")?.as_array().filter(|errors| !errors.is_empty())?;
    let words: Vec<&str> = errors.iter().filter_map(Value::as_str).collect();
    Some(readable(&words.join("; ")))
}

/// A device's words on one line, cut to a length that people read.
pub fn readable(words: &str) -> String {
    let line: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.trim().chars().take(MAX_WORDS).collect()
}

/// The text of an answer in [`Format::Text`].
///
/// # Errors
/// [`CallError::Answer`].
pub fn output(answer: &Value) -> Result<&str, CallError> {
    let text = answer.get("output").and_then(Value::as_str);
    text.ok_or_else(|| CallError::Answer("an answer without its output".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_the_devices_words() {
        let body = br#"{"jsonrpc":"2.0","id":"7","error":{"code":1002,"message":"CLI command 3 of 9 'x' failed: invalid command",
            "data":[{},{},{"errors":["Invalid input (at token 0: 'x')"]}]}}"#;
        let expected =
            CommandFailure { code: 1002, index: Some(2), words: "Invalid input (at token 0: 'x')".to_owned() };
        assert_eq!(answers(body, 7, 9), Err(CallError::Command(expected)));
    }

    #[test]
    fn a_failure_without_data_still_has_words_and_no_place() {
        let body = br#"{"jsonrpc":"2.0","id":"7","error":{"code":1005,"message":"not authorized"}}"#;
        let expected = CommandFailure { code: 1005, index: None, words: "not authorized".to_owned() };
        assert_eq!(answers(body, 7, 1), Err(CallError::Command(expected)));
    }

    #[test]
    fn answers_that_are_none_are_errors() {
        for body in [
            &b""[..],
            b"<html>busy</html>",
            b"{}",
            br#"{"jsonrpc":"2.0","id":"7"}"#,
            br#"{"jsonrpc":"2.0","id":"8","result":[{}]}"#,
            br#"{"jsonrpc":"2.0","id":"7","result":[{},{}]}"#,
            br#"{"jsonrpc":"2.0","id":"7","result":{}}"#,
        ] {
            assert!(matches!(answers(body, 7, 1), Err(CallError::Answer(_))), "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn a_complaint_beside_a_success_is_a_failure() {
        let body = br#"{"jsonrpc":"2.0","id":"7","result":[{},{"errors":["overlaps"]}]}"#;
        assert!(matches!(answers(body, 7, 2), Err(CallError::Command(CommandFailure { index: Some(1), .. }))));
    }
}
