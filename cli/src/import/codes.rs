//! Codes out of names: lower-case ASCII, cut to length, and unique.

use std::collections::{BTreeMap, BTreeSet};

use causeway_interface::Code;

/// Longest code that the ledger takes.
pub const MAX_LEN: usize = 32;

/// Hands out each code once.
#[derive(Debug, Default)]
pub struct Codes {
    taken: BTreeSet<String>,
    /// The number that was last added to a text, so that ten thousand equal names take no quadratic time.
    numbers: BTreeMap<String, u32>,
}

impl Codes {
    /// `wanted`, or with a number at its end where that is taken. Falls back to `otherwise` where `wanted` has nothing
    /// that a code can hold. The flag says whether a number had to be added.
    pub fn unique(&mut self, wanted: &str, otherwise: &str, max_len: usize) -> (Code, bool) {
        let max_len = max_len.min(MAX_LEN);
        let mut base = slug(wanted);
        if base.is_empty() {
            base = slug(otherwise);
        }
        if base.is_empty() {
            base = "x".into();
        }
        let plain = cut(&base, max_len);
        if self.taken.insert(plain.clone()) {
            return (code(&plain), false);
        }
        let mut number = self.numbers.get(&plain).copied().unwrap_or(1);
        let text = loop {
            number += 1;
            let suffix = format!("-{number}");
            let text = cut(&base, max_len.saturating_sub(suffix.len())) + &suffix;
            if self.taken.insert(text.clone()) {
                break text;
            }
        };
        self.numbers.insert(plain, number);
        (code(&text), true)
    }
}

/// A code from text that [`slug`] and [`cut`] made.
fn code(text: &str) -> Code {
    // Both yield 1 to 32 characters of the alphabet, so that this can't fail; zero is refused wherever it would go.
    text.parse().unwrap_or_default()
}

fn cut(text: &str, max_len: usize) -> String {
    let cut = text.get(..max_len).unwrap_or(text).trim_end_matches('-');
    if cut.is_empty() { "x".into() } else { cut.into() }
}

/// Letters and digits in lower-case ASCII, everything else a single hyphen between them.
pub fn slug(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        let plain = if c.is_ascii() { None } else { plain(c) };
        match plain {
            Some(letters) => out.push_str(letters),
            None if c.is_ascii_alphanumeric() => out.push(c.to_ascii_lowercase()),
            None if c == '\'' => {}
            None if !out.is_empty() && !out.ends_with('-') => out.push('-'),
            None => {}
        }
    }
    out.trim_end_matches('-').into()
}

/// Letters of Latin alphabets without their marks.
fn plain(c: char) -> Option<&'static str> {
    Some(match c {
        'à'..='å' | 'À'..='Å' | 'ā' | 'ă' | 'ą' | 'Ā' | 'Ă' | 'Ą' | 'ạ'..='ặ' => "a",
        'æ' | 'Æ' => "ae",
        'ç' | 'Ç' | 'ć' | 'č' | 'Ć' | 'Č' | 'ĉ' | 'ċ' => "c",
        'ď' | 'đ' | 'Ď' | 'Đ' | 'ð' | 'Ð' => "d",
        'è'..='ë' | 'È'..='Ë' | 'ē' | 'ė' | 'ę' | 'ě' | 'Ę' | 'Ě' => "e",
        'ğ' | 'ģ' | 'ĝ' | 'ġ' | 'Ğ' => "g",
        'ì'..='ï' | 'Ì'..='Ï' | 'ī' | 'į' | 'ı' | 'İ' => "i",
        'ķ' | 'Ķ' => "k",
        'ľ' | 'ł' | 'ļ' | 'ĺ' | 'Ľ' | 'Ł' => "l",
        'ñ' | 'Ñ' | 'ń' | 'ň' | 'ņ' | 'Ń' | 'Ň' => "n",
        'ò'..='ö' | 'Ò'..='Ö' | 'ø' | 'Ø' | 'ō' | 'ő' | 'Ő' => "o",
        'œ' | 'Œ' => "oe",
        'ŕ' | 'ř' | 'Ř' => "r",
        'ś' | 'š' | 'ş' | 'ș' | 'Ś' | 'Š' | 'Ş' | 'Ș' => "s",
        'ß' => "ss",
        'ť' | 'ţ' | 'ț' | 'Ť' | 'Ț' => "t",
        'þ' | 'Þ' => "th",
        'ù'..='ü' | 'Ù'..='Ü' | 'ū' | 'ů' | 'ű' | 'ų' | 'Ů' | 'Ű' => "u",
        'ý' | 'ÿ' | 'Ý' => "y",
        'ź' | 'ż' | 'ž' | 'Ź' | 'Ż' | 'Ž' => "z",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_unique_codes_of_the_ledgers_alphabet() {
        let mut codes = Codes::default();
        let mut next = |wanted: &str| codes.unique(wanted, "node-7", 14).0.to_string();
        assert_eq!(next("New York"), "new-york");
        assert_eq!(next("new york!"), "new-york-2");
        assert_eq!(next("São Paulo / Łódź"), "sao-paulo-lodz");
        assert_eq!(next("São Paulo / Łódź"), "sao-paulo-lo-2");
        assert_eq!(next("東京"), "node-7");
        assert_eq!(next(""), "node-7-2");
        assert_eq!(next("--"), "node-7-3");
        assert_eq!(next("St. John's"), "st-johns");
    }
}
