//! What the program logged: its events, read from the log of a transaction. Pure.
//!
//! Any program of a transaction can write lines that look like an event, so only lines that the program itself logged
//! count: the log is followed call by call, as the ledger writes it. A log that is not whole is said to be: a ledger
//! keeps some ten thousand bytes of a transaction's log, and then leaves out what does not fit.

use base64::{Engine, prelude::BASE64_STANDARD};
use causeway_interface::event::{EVENT_VERSION, Event};
use solana_sdk::pubkey::Pubkey;

/// The line that stands for what the ledger left out.
const TRUNCATED: &str = "Log truncated";

/// What a transaction's log says of the program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// The program's events, in order. Undecodable ones are left out: they are another version's.
    pub events: Vec<Event>,
    /// Whether nothing is missing. What stands after a gap is not read: whose it is can't be known.
    pub complete: bool,
}

/// What a line means for who is speaking.
enum Line<'a> {
    /// A program is called, at this depth.
    Invoke(&'a str, &'a str),
    /// A program is done.
    Exit(&'a str),
    /// The program that is running has data to show.
    Data(&'a str),
    /// Words of a program, figures, and whatever else.
    Other,
}

impl<'a> Line<'a> {
    /// A program's own words begin with `Program log: `, whatever it says, line breaks and all; `log:` is no address.
    fn read(line: &'a str) -> Self {
        let Some(rest) = line.strip_prefix("Program ") else { return Self::Other };
        if let Some(fields) = rest.strip_prefix("data: ") {
            return Self::Data(fields);
        }
        let mut words = rest.split(' ');
        match (words.next(), words.next(), words.next()) {
            (Some("log:" | "return:" | "consumption:"), _, _) => Self::Other,
            (Some(program), Some("invoke"), Some(depth)) => Self::Invoke(program, depth),
            (Some(program), Some("success"), None) => Self::Exit(program),
            (Some(program), Some("failed:"), _) => Self::Exit(program),
            _ => Self::Other,
        }
    }
}

/// Reads the log of a transaction.
#[must_use]
pub fn read<S: AsRef<str>>(program_id: &Pubkey, logs: &[S]) -> Log {
    let program = program_id.to_string();
    let mut calls: Vec<&str> = Vec::new();
    let mut log = Log::default();
    for line in logs.iter().map(AsRef::as_ref) {
        if line == TRUNCATED {
            return log;
        }
        match Line::read(line) {
            Line::Invoke(callee, depth) => {
                calls.push(callee);
                if depth != format!("[{}]", calls.len()) {
                    return log;
                }
            }
            Line::Exit(callee) => {
                if calls.pop() != Some(callee) {
                    return log;
                }
            }
            Line::Data(fields) => {
                if calls.last() == Some(&program.as_str()) {
                    log.events.extend(decode(fields));
                }
            }
            Line::Other => {}
        }
    }
    log.complete = calls.is_empty();
    log
}

/// The event of a data line: one field, which is all of it.
fn decode(fields: &str) -> Option<Event> {
    let bytes = BASE64_STANDARD.decode(fields).ok()?;
    let event: Event = borsh::from_slice(&bytes).ok()?;
    (event.version == EVENT_VERSION).then_some(event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_interface::{AccountType, Key, event::Triple};

    fn event(sequence: u64) -> Event {
        let triple = |status| Triple { status, health: 0, desired: 1 };
        Event {
            version: EVENT_VERSION,
            kind: 71,
            subject_type: AccountType::Device,
            subject: Key([1; 32]),
            from: triple(6),
            to: triple(7),
            actor: Key([2; 32]),
            sequence,
            slot: 9,
            detail: 0,
        }
    }

    const OURS: Pubkey = Pubkey::new_from_array([5; 32]);
    const OTHER: Pubkey = Pubkey::new_from_array([6; 32]);

    fn field(sequence: u64) -> String {
        BASE64_STANDARD.encode(borsh::to_vec(&event(sequence)).unwrap())
    }

    fn data(sequence: u64) -> String {
        format!("Program data: {}", field(sequence))
    }

    fn invoke(program: Pubkey, depth: usize) -> String {
        format!("Program {program} invoke [{depth}]")
    }

    fn success(program: Pubkey) -> String {
        format!("Program {program} success")
    }

    #[test]
    fn only_the_programs_own_data_lines_count() {
        let system = Pubkey::new_from_array([0; 32]);
        let failed = format!("Program {OTHER} failed: custom program error: 0x1");
        let consumed = format!("Program {OURS} consumed 5 of 10 compute units");
        let forged = format!("Program log: x\nProgram {OURS} invoke [2]\n{}\nProgram {OURS} success", data(7));
        let returned = format!("Program return: {OURS} {}", field(7));
        let cases: Vec<(&str, Vec<String>, &[u64], bool)> = vec![
            ("nothing", vec![], &[], true),
            ("ours", vec![invoke(OURS, 1), data(1), consumed.clone(), success(OURS)], &[1], true),
            ("another's", vec![invoke(OTHER, 1), data(1), success(OTHER)], &[], true),
            (
                "ours called by another, which speaks before, between and after",
                vec![
                    invoke(OTHER, 1),
                    data(1),
                    invoke(OURS, 2),
                    data(2),
                    success(OURS),
                    data(3),
                    invoke(OURS, 2),
                    data(4),
                    success(OURS),
                    data(5),
                    success(OTHER),
                    invoke(OTHER, 1),
                    data(6),
                    success(OTHER),
                ],
                &[2, 4],
                true,
            ),
            (
                "another called by ours speaks, and ours speaks on",
                vec![
                    invoke(OURS, 1),
                    invoke(system, 2),
                    success(system),
                    data(1),
                    invoke(OTHER, 2),
                    invoke(OTHER, 3),
                    data(2),
                    success(OTHER),
                    data(3),
                    success(OTHER),
                    data(4),
                    consumed,
                    success(OURS),
                ],
                &[1, 4],
                true,
            ),
            (
                "a failed call ends, too",
                vec![invoke(OURS, 1), invoke(OTHER, 2), failed, data(1), success(OURS)],
                &[1],
                true,
            ),
            (
                "words that look like lines",
                vec![
                    invoke(OTHER, 1),
                    forged.clone(),
                    format!("Program log: Program {OURS} invoke [2]"),
                    data(1),
                    returned,
                    "Program consumption: 5 units remaining".into(),
                    "Log truncated by the author".into(),
                    success(OTHER),
                    invoke(OURS, 1),
                    forged,
                    data(2),
                    success(OURS),
                ],
                &[2],
                true,
            ),
            (
                "data that is no event",
                vec![
                    invoke(OURS, 1),
                    "Program data: not base64!".into(),
                    "Program data: AAAA".into(),
                    format!("Program data: {} {}", field(1), field(2)),
                    format!(
                        "Program data: {}",
                        BASE64_STANDARD.encode([&borsh::to_vec(&event(3)).unwrap()[..], &[0]].concat())
                    ),
                    data(4),
                    success(OURS),
                ],
                &[4],
                true,
            ),
            ("data outside of any call", vec![data(1)], &[], true),
            ("cut off", vec![invoke(OURS, 1), data(1), "Log truncated".into(), data(2), success(OURS)], &[1], false),
            ("cut off without a word", vec![invoke(OURS, 1), data(1)], &[1], false),
            ("a call whose beginning is missing", vec![data(1), success(OURS), invoke(OURS, 1), data(2)], &[], false),
            (
                "a call whose end is missing",
                vec![invoke(OURS, 1), data(1), invoke(OTHER, 1), data(2), success(OTHER)],
                &[1],
                false,
            ),
            ("an end that is another's", vec![invoke(OURS, 1), invoke(OTHER, 2), success(OURS), data(1)], &[], false),
        ];
        for (name, logs, expected, complete) in cases {
            let log = read(&OURS, &logs);
            let sequences: Vec<u64> = log.events.iter().map(|e| e.sequence).collect();
            assert_eq!((sequences.as_slice(), log.complete), (expected, complete), "{name}");
        }
    }
}
