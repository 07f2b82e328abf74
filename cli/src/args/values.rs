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
