//! What a topology file says of a link's speed, in the ways that files say it.

use causeway_interface::values::{MAX_BANDWIDTH_BPS, MIN_BANDWIDTH_BPS};

use super::gml::List;

/// SONET's basic rate, STS-1, in bit/s (ANSI T1.105): OC-n is n of it, STM-n is 3n of it.
const STS_1_BPS: f64 = 51_840_000.0;

/// Speed of an edge in bit/s: `LinkSpeedRaw`, else `LinkSpeed` with `LinkSpeedUnits`, else words in `LinkLabel` or
/// `LinkType`. None where none of them tells.
pub fn of_edge(edge: &List) -> Option<f64> {
    let positive = |bps: &f64| bps.is_finite() && *bps > 0.0;
    edge.number("LinkSpeedRaw")
        .filter(positive)
        .or_else(|| {
            let speed = edge.text("LinkSpeed")?;
            let units = edge.text("LinkSpeedUnits").unwrap_or_default();
            in_words(&format!("{speed} {units}"))
        })
        .or_else(|| in_words(&edge.text("LinkLabel")?))
        .or_else(|| in_words(&edge.text("LinkType")?))
        .filter(positive)
}

/// Clamps a speed into what the ledger takes; whole bit/s.
pub fn clamped(bps: f64) -> u64 {
    // A float beyond u64 saturates, and NaN becomes 0: both end at a limit.
    (bps.round() as u64).clamp(MIN_BANDWIDTH_BPS, MAX_BANDWIDTH_BPS)
}

/// Reads "10 Gbps", "OC-192c", "STM16", "< 2.5 Gbit/s", "2 x 10GE", "622M", "T3", "Fast Ethernet" and the like. Of a
/// range or several speeds the largest counts.
pub fn in_words(text: &str) -> Option<f64> {
    let lower = text.to_ascii_lowercase().replace("×", "x");
    let words = split(&lower);
    let mut best: Option<f64> = None;
    let mut times = 1.0;
    let mut index = 0;
    while let Some(word) = words.get(index) {
        index += 1;
        let next = words.get(index).copied();
        let found = match *word {
            Word::Number(n) => match next {
                Some(Word::Letters("x")) => {
                    // "2 x 10 G": a count, then what is counted.
                    times = n;
                    index += 1;
                    continue;
                }
                Some(Word::Letters(unit)) => unit_bps(unit).map(|bps| {
                    index += 1;
                    n * bps
                }),
                Some(Word::Number(_)) | None => None,
            },
            Word::Letters(letters) => match (letters, next) {
                ("oc" | "ocx" | "sts", Some(Word::Number(n))) => Some(n * STS_1_BPS),
                ("stm", Some(Word::Number(n))) => Some(n * 3.0 * STS_1_BPS),
                ("t" | "ds", Some(Word::Number(n))) => digital_signal(n),
                ("e", Some(Word::Number(n))) => e_carrier(n),
                _ => by_name(letters),
            },
        };
        if let Some(bps) = found.map(|bps| bps * times) {
            best = Some(best.map_or(bps, |b| b.max(bps)));
        }
        if found.is_some() {
            times = 1.0;
        }
    }
    best
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Word<'a> {
    Number(f64),
    Letters(&'a str),
}

/// Runs of digits (with one dot) and runs of letters; everything else separates.
fn split(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = if first.is_ascii_digit() {
            let mut dots = 0;
            rest.find(|c: char| {
                dots += usize::from(c == '.');
                !(c.is_ascii_digit() || c == '.' && dots == 1)
            })
        } else if first.is_ascii_lowercase() {
            rest.find(|c: char| !c.is_ascii_lowercase())
        } else {
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
            continue;
        };
        let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        match word.parse::<f64>() {
            Ok(number) if first.is_ascii_digit() => words.push(Word::Number(number)),
            Ok(_) | Err(_) => words.push(Word::Letters(word)),
        }
    }
    words
}

fn unit_bps(unit: &str) -> Option<f64> {
    match unit {
        "t" | "tb" | "tbps" | "tbit" | "tbits" | "terabit" => Some(1e12),
        "g" | "gb" | "gbps" | "gbit" | "gbits" | "gbe" | "ge" | "gig" | "gige" | "gigabit" | "gigabits" | "gpbs"
        | "gbs" => Some(1e9),
        "m" | "mb" | "mbps" | "mbit" | "mbits" | "megabit" | "megabits" | "mbs" | "mpbs" => Some(1e6),
        "k" | "kb" | "kbps" | "kbit" | "kbits" | "kilobit" | "kbs" => Some(1e3),
        "bps" | "bit" | "bits" => Some(1.0),
        _ => None,
    }
}

/// T1 and T3 (DS1, DS3).
fn digital_signal(n: f64) -> Option<f64> {
    match n as u64 {
        0 => Some(64e3),
        1 => Some(1.544e6),
        3 => Some(44.736e6),
        _ => None,
    }
}

/// E1 and E3.
fn e_carrier(n: f64) -> Option<f64> {
    match n as u64 {
        1 => Some(2.048e6),
        3 => Some(34.368e6),
        _ => None,
    }
}

fn by_name(name: &str) -> Option<f64> {
    match name {
        "gige" | "gigabit" | "ge" | "gbe" | "gigether" => Some(1e9),
        "fe" | "fastethernet" | "fast" => Some(100e6),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_ways_in_which_files_say_it() {
        let cases = [
            ("10 Gbps", Some(10e9)),
            ("2.5 Gbit/s", Some(2.5e9)),
            ("< 2.5 Gbit/s", Some(2.5e9)),
            ("OC-192", Some(192.0 * STS_1_BPS)),
            ("OC-192c", Some(192.0 * STS_1_BPS)),
            ("oc48", Some(48.0 * STS_1_BPS)),
            ("STM-16", Some(48.0 * STS_1_BPS)),
            ("155 Mbps", Some(155e6)),
            ("155 M", Some(155e6)),
            ("10GE", Some(10e9)),
            ("2 x 10GE", Some(20e9)),
            ("2x10 Gbps", Some(20e9)),
            ("100Mb/s - 1Gb/s", Some(1e9)),
            ("Gigabit Ethernet", Some(1e9)),
            ("T3", Some(44.736e6)),
            ("E1", Some(2.048e6)),
            ("34 Mbit/s (E3)", Some(34.368e6)),
            ("Lit Fibre", None),
            ("Completion 2007-2008", None),
            ("", None),
            ("10", None),
            ("Leased Wavelength/Managed Service", None),
        ];
        for (text, expected) in cases {
            assert_eq!(in_words(text), expected, "{text:?}");
        }
    }

    #[test]
    fn raw_wins_over_units_over_words() {
        let edge = |text: &str| of_edge(&super::super::gml::parse(text).unwrap());
        assert_eq!(edge("LinkSpeed \"1\" LinkSpeedUnits \"G\" LinkSpeedRaw 2500000000.0"), Some(2.5e9));
        assert_eq!(edge("LinkSpeed \"155\" LinkSpeedUnits \"M\" LinkLabel \"10 Gbps\""), Some(155e6));
        assert_eq!(edge("LinkSpeed \"?\" LinkLabel \"10 Gbps\""), Some(10e9));
        assert_eq!(edge("LinkSpeedRaw 0"), None);
        assert_eq!(edge("source 1"), None);
    }

    #[test]
    fn clamps_into_the_ledgers_range() {
        assert_eq!(clamped(155e6), MIN_BANDWIDTH_BPS);
        assert_eq!(clamped(f64::NAN), MIN_BANDWIDTH_BPS);
        assert_eq!(clamped(1e30), MAX_BANDWIDTH_BPS);
        assert_eq!(clamped(40e9), 40_000_000_000);
    }
}
