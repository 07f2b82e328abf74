//! Values as people type them.

use std::path::PathBuf;

use causeway_interface::Key;

/// An address, or `none` to have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaybeKey(pub Key);

impl std::str::FromStr for MaybeKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(Key::ZERO));
        }
        text.parse().map(Self).map_err(|e| format!("{e}, or none"))
    }
}

/// A key by its address, or by the file that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyName {
    /// The address itself.
    Address(Key),
    /// Anything that is no address.
    File(PathBuf),
}

impl std::str::FromStr for KeyName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(key) if key == Key::ZERO => {
                Err("this is the system program's address, which nobody has the key of".into())
            }
            Ok(key) => Ok(Self::Address(key)),
            Err(_) => Ok(Self::File(text.into())),
        }
    }
}

/// Zeros of a SOL in lamports.
const SOL_ZEROS: usize = 9;
/// Most lamports of one transfer: a billion SOL, more than there are.
const MAX_LAMPORTS: u64 = 1_000_000_000_000_000_000;

/// Lamports: a number of SOL, such as `0.5`.
///
/// # Errors
/// It is something else, nothing, not a whole number of lamports, or more than a billion SOL.
pub fn parse_sol(text: &str) -> Result<u64, String> {
    match scaled(text, SOL_ZEROS) {
        Some(lamports @ 1..=MAX_LAMPORTS) => Ok(lamports),
        Some(_) | None => {
            Err(format!("{text:?} is not a number of SOL between 0.000000001 and 1000000000, such as 10 or 0.5"))
        }
    }
}

/// A number and the unit after it.
fn split(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_')).unwrap_or(text.len());
    text.split_at(end)
}

/// A number times a power of ten, exactly; none where it is not whole or too large.
fn scaled(number: &str, zeros: usize) -> Option<u64> {
    let number = number.replace('_', "");
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || number.ends_with('.') {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let zeros = zeros.checked_sub(fraction.len())?;
    format!("{whole}{fraction}{}", "0".repeat(zeros)).parse().ok()
}

/// Bits per second: a number, or one with `k`, `M`, `G` or `T`, such as `100G`.
///
/// # Errors
/// It is something else, or not a whole number of bits.
pub fn parse_bandwidth(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let unit = unit.trim_end_matches("bps").trim_end_matches("bit/s");
    let zeros = match unit {
        "" => Some(0),
        "k" | "K" => Some(3),
        "M" => Some(6),
        "G" | "g" => Some(9),
        "T" => Some(12),
        _ => None,
    };
    let bps = zeros.and_then(|zeros| scaled(number, zeros));
    bps.ok_or_else(|| format!("{text:?} is not a bandwidth, such as 100G or 100000000000"))
}

/// Nanoseconds: a number, or one with `ns`, `us` or `ms`, such as `5.2ms`.
///
/// # Errors
/// It is something else, or not a whole number of nanoseconds.
pub fn parse_delay(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let zeros = match unit {
        "" | "ns" => Some(0),
        "us" => Some(3),
        "ms" => Some(6),
        "s" => Some(9),
        _ => None,
    };
    let ns = zeros.and_then(|zeros| scaled(number, zeros));
    ns.ok_or_else(|| format!("{text:?} is not a time, such as 5.2ms, 120us or a number of nanoseconds"))
}

/// A threshold and its other value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleChange {
    /// Its name, as a field of the rules: words with underscores.
    pub name: String,
    /// The value.
    pub value: u64,
}

impl std::str::FromStr for RuleChange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=').and_then(|(name, value)| Some((name, value.replace('_', "").parse().ok()?)));
        let (name, value) = parts.ok_or_else(|| format!("{text:?} is not NAME=NUMBER, such as loss-limit-ppm=1000"))?;
        Ok(Self { name: name.replace('-', "_"), value })
    }
}

/// Years that a moment may be in: those of which a number of seconds has ten digits, rounded.
const YEARS: std::ops::RangeInclusive<i64> = 2001..=2286;

/// Milliseconds since 1970: a UTC time such as `2026-01-31T12:00:00Z`, or seconds since 1970.
///
/// # Errors
/// It is something else, or no day of the calendar.
pub fn parse_moment(text: &str) -> Result<u64, String> {
    let seconds = match text.parse::<i64>() {
        Ok(seconds) => Some(seconds),
        Err(_) => of_calendar(text),
    };
    let seconds = seconds.and_then(|s| u64::try_from(s).ok()).and_then(|s| s.checked_mul(1_000));
    seconds.ok_or_else(|| format!("{text:?} is not a time, such as 2026-01-31T12:00:00Z or seconds since 1970"))
}

/// Seconds since 1970 of a UTC time in its one form; a space may stand for the `T`.
fn of_calendar(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once(['T', ' '])?;
    let numbers = |text: &str, by: char, widths: [usize; 3]| -> Option<[i64; 3]> {
        let parts: Vec<&str> = text.split(by).collect();
        let fits = parts.len() == widths.len() && parts.iter().zip(widths).all(|(part, width)| part.len() == width);
        let parsed: Option<Vec<i64>> = parts.iter().map(|part| part.parse().ok()).collect();
        parsed.filter(|_| fits)?.try_into().ok()
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    if !(YEARS.contains(&year) && (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second)) {
        return None;
    }
    // Days by the Gregorian calendar, whose years are counted from the first of March.
    let shifted = if month <= 2 { year - 1 } else { year };
    let march_month = (month + 9) % 12;
    let leaps = shifted / 4 - shifted / 100 + shifted / 400;
    let days = 365 * shifted + leaps + (153 * march_month + 2) / 5 + day - 1 - 719_468;
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second;
    // A day that its month does not have is another day when written again.
    let again = crate::output::utc(seconds);
    (again.get(..10)? == date).then_some(seconds)
}
