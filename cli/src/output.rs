//! What goes to stdout: a table for people or JSON for scripts, of the same result.
//!
//! Commands return a [`Report`] and print nothing; [`Report::write`] is the one place that does. A reader that went
//! away is a normal end.

use std::io::{ErrorKind, Write};

use causeway_interface::Key;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::Value;

use crate::failure::{self, Exit, Failure};

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For scripts.
    Json,
}

/// A command's result, in both forms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// For people; without a last line break.
    pub text: String,
    /// For scripts; none where the text itself is the result, as a configuration is.
    pub json: Option<Value>,
}

/// A record with its address.
#[derive(Debug, Serialize)]
pub struct Addressed<'a, T> {
    /// Where it is on the ledger.
    pub address: Key,
    /// The record.
    #[serde(flatten)]
    pub record: &'a T,
}

impl Report {
    /// Text alone: it is the result in either form.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), json: None }
    }

    /// Both forms.
    ///
    /// # Errors
    /// The value has no JSON form.
    pub fn new(text: impl Into<String>, value: &impl Serialize) -> Result<Self, Failure> {
        let json = serde_json::to_value(value);
        let json = json.map_err(|e| Failure::new(failure::OUTPUT_FAILED, Exit::Refused, format!("Not JSON: {e}.")))?;
        Ok(Self { text: text.into(), json: Some(json) })
    }

    /// What is printed, with the last line break.
    #[must_use]
    pub fn render(&self, format: Format) -> String {
        let mut out = match (format, &self.json) {
            (Format::Json, Some(json)) => serde_json::to_string_pretty(json).unwrap_or_default(),
            (Format::Json, None) | (Format::Table, _) => self.text.clone(),
        };
        if !out.is_empty() && !out.ends_with('\n') {
            out.push('\n');
        }
        out
    }

    /// Prints it.
    ///
    /// # Errors
    /// It can't be written, for another reason than that nobody reads it any more.
    pub fn write(&self, format: Format, mut to: impl Write) -> Result<(), Failure> {
        match to.write_all(self.render(format).as_bytes()).and_then(|()| to.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            Err(error) => {
                Err(Failure::new(failure::OUTPUT_FAILED, Exit::File, format!("stdout can't be written: {error}.")))
            }
        }
    }
}

/// Columns under headings, aligned, without lines.
#[must_use]
pub fn table(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings.iter().map(|h| h.to_uppercase()));
    for row in rows {
        table.add_row(row);
    }
    trimmed(&table)
}

/// Columns of a table that is wrapped: what fits any terminal and a page of documentation.
const WIDTH: u16 = 100;

/// The same for cells of many words: wrapped to a page's width.
#[must_use]
pub fn wrapped(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table.set_header(headings.iter().map(|h| h.to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|cell| plain(cell)));
    }
    trimmed(&table)
}

/// Words of others on one line: a control character could tell a terminal anything.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// A number of seconds in the unit that people would say it in.
#[must_use]
pub fn span(seconds: u64) -> String {
    const UNITS: [(u64, u64, &str); 3] = [(172_800, 86_400, "d"), (7_200, 3_600, "h"), (120, 60, "min")];
    match UNITS.iter().find(|(from, _, _)| seconds >= *from) {
        Some((_, unit, name)) => format!("{}.{} {name}", seconds / unit, seconds % unit * 10 / unit),
        None => format!("{seconds} s"),
    }
}

/// Names and values, one pair on a line.
#[must_use]
pub fn pairs(rows: &[(&str, String)]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    for (name, value) in rows {
        table.add_row([name, value.as_str()]);
    }
    trimmed(&table)
}

/// Cells carry a space on each side, which nobody needs at the edges.
fn trimmed(table: &Table) -> String {
    let text = table.to_string();
    let lines = text.lines().map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end());
    lines.collect::<Vec<_>>().join("\n")
}

/// A value, or a dash for none.
#[must_use]
pub fn or_dash(value: impl ToString) -> String {
    let text = value.to_string();
    if text.is_empty() { "-".into() } else { text }
}

/// Bits per second in the largest unit that keeps it whole.
#[must_use]
pub fn bandwidth(bps: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")];
    match UNITS.iter().find(|(size, _)| bps >= *size && bps.is_multiple_of(*size)) {
        Some((size, unit)) => format!("{}{unit}", bps / size),
        None if bps == 0 => "-".into(),
        None => bps.to_string(),
    }
}

/// Lamports as SOL, exactly.
#[must_use]
pub fn sol(lamports: u64) -> String {
    const LAMPORTS_PER_SOL: u64 = 1_000_000_000;
    let (whole, rest) = (lamports / LAMPORTS_PER_SOL, lamports % LAMPORTS_PER_SOL);
    format!("{whole}.{rest:09}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Nanoseconds as milliseconds or microseconds.
#[must_use]
pub fn delay(ns: u64) -> String {
    match ns {
        0 => "-".into(),
        1..1_000_000 => format!("{}us", ns as f64 / 1e3),
        _ => format!("{}ms", ns as f64 / 1e6),
    }
}

/// Seconds since 1970 as a date and time in UTC.
#[must_use]
pub fn utc(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Gregorian calendar in eras of 400 years that begin on the first of March.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_exact() {
        for (bps, text) in [(0, "-"), (10_000_000_000, "10G"), (2_500_000_000, "2500M"), (1_001, "1001")] {
            assert_eq!(bandwidth(bps), text);
        }
        for (ns, text) in [(0, "-"), (10_000, "10us"), (12_345_000, "12.345ms"), (1_000_000_000, "1000ms")] {
            assert_eq!(delay(ns), text);
        }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00Z"),
            (951_782_400, "2000-02-29 00:00:00Z"),
            (1_709_251_199, "2024-02-29 23:59:59Z"),
            (4_102_444_800, "2100-01-01 00:00:00Z"),
            (-1, "1969-12-31 23:59:59Z"),
        ] {
            assert_eq!(utc(seconds), text);
        }
    }

    #[test]
    fn tables_are_aligned_and_have_no_trailing_space() {
        let text = table(&["code", "status"], [vec!["a".into(), "x".into()], vec!["long".into(), "y".into()]]);
        assert_eq!(text, "CODE  STATUS\na     x\nlong  y");
        assert_eq!(pairs(&[("code", "a".into()), ("address", "b".into())]), "code     a\naddress  b");
    }

    #[test]
    fn a_reader_that_went_away_is_a_normal_end() {
        struct Gone(ErrorKind);
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let report = Report::text("x");
        assert!(report.write(Format::Table, Gone(ErrorKind::BrokenPipe)).is_ok());
        assert!(report.write(Format::Table, Gone(ErrorKind::StorageFull)).is_err());
    }
}
