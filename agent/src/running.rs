//! What runs, in words, for a person who asked the controller: the managed part as the device writes it, and how it
//! differs from what is intended. Looks only; nothing is changed on the device.
//!
//! Renderings hold no secrets. An operator may have written some beside them, so whatever follows a word that announces a
//! secret is hidden here, before it leaves the device's agent: in this answer, and in the diffs of reports.

use causeway_wire::controller::{RunningComparison, RunningConfig};

use crate::{
    apply::{Applier, Paused},
    bundle::TextHash,
    driver::Driver,
    pull::{MAX_DIFF_BYTES, prefix},
    shared::unix_ms,
    state::Applied,
};

/// Longest text of an answer, in bytes: five times the largest configuration known. A message holds 4 MiB.
const MAX_TEXT_BYTES: usize = 1024 * 1024;
/// In place of a secret.
const HIDDEN: &str = "<hidden>";
/// Words after which a line of FRR's or EOS's may hold a secret. What follows is hidden, also where it is none.
const ANNOUNCE: [&str; 17] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "key",
    "key-string",
    "authentication-key",
    "auth-key",
    "auth-string",
    "message-digest-key",
    "pre-shared-key",
    "shared-secret",
    "area-password",
    "domain-password",
    "md5",
    "sha512",
    "token",
];

/// The configuration that was taken last.
#[derive(Clone, Debug)]
pub struct Intended {
    /// Its generation and hash.
    pub applied: Applied,
    /// Its text.
    pub text: String,
}

/// Looks at what runs, and at the neighbours of what waits for a word, and answers a question for it. A device that does
/// not answer is an answer too.
pub async fn answer<D: Driver>(
    applier: &Applier<D>,
    intended: Option<&Intended>,
    waiting: Option<&Paused>,
    device: &str,
    wanted: u64,
) -> RunningConfig {
    let mut answer = RunningConfig { device: device.to_owned(), wanted, ..RunningConfig::default() };
    match applier.bounded(applier.driver().running_text()).await {
        Ok(text) => {
            answer.running_sha256 = TextHash::of(&text).0.to_vec();
            let (text, lines) = hidden(&text);
            answer.hidden_lines += lines;
            answer.text_cut = text.len() > MAX_TEXT_BYTES;
            answer.text = prefix(&text, MAX_TEXT_BYTES).to_owned();
        }
        Err(failure) => (answer.error_code, answer.message) = (failure.code.to_owned(), failure.message),
    }
    if let Some(intended) = intended.filter(|_| answer.error_code.is_empty()) {
        match applier.bounded(applier.driver().compare(&intended.text)).await {
            Ok(comparison) => {
                let (diff, lines) = hidden(&comparison.diff);
                answer.hidden_lines += lines;
                answer.comparison = Some(RunningComparison {
                    generation: intended.applied.generation.0,
                    sha256: intended.applied.sha256.0.to_vec(),
                    equal: comparison.equal,
                    diff_cut: diff.len() > MAX_DIFF_BYTES,
                    diff: prefix(&diff, MAX_DIFF_BYTES).to_owned(),
                });
            }
            Err(failure) => (answer.error_code, answer.message) = (failure.code.to_owned(), failure.message),
        }
    }
    if let Some(paused) = waiting {
        answer.problems = applier.problems(paused).await;
    }
    answer.at_unix_ms = unix_ms();
    answer
}

/// A text, or a diff, without secrets, and in how many lines something was hidden.
pub fn hidden(text: &str) -> (String, u32) {
    let mut lines = 0;
    let mut shown = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match secret_at(line) {
            Some(at) => {
                lines += 1;
                shown.push_str(line.get(..at).unwrap_or_default());
                shown.push_str(HIDDEN);
                shown.push_str(if line.ends_with('\n') { "\n" } else { "" });
            }
            None => shown.push_str(line),
        }
    }
    (shown, lines)
}

/// Where in a line a secret may begin: at the word after the first that announces one.
fn secret_at(line: &str) -> Option<usize> {
    let mut words = line.split_ascii_whitespace().peekable();
    let mut before = "";
    while let Some(word) = words.next() {
        // The first word of a line of a diff has its sign before it.
        let plain = word.trim_start_matches(['+', '-']).to_ascii_lowercase();
        let community = plain == "community" && before.ends_with("snmp-server");
        if ANNOUNCE.contains(&plain.as_str()) || community {
            let next = words.peek()?;
            // Both are parts of the line, so that their addresses tell where.
            return (next.as_ptr() as usize).checked_sub(line.as_ptr() as usize);
        }
        before = word;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_word_that_announces_a_secret_is_hidden() {
        for (line, shown) in [
            (" neighbor 198.18.0.1 password s3cret\n", " neighbor 198.18.0.1 password <hidden>\n"),
            ("- neighbor 198.18.0.1 password s3cret", "- neighbor 198.18.0.1 password <hidden>"),
            ("+password 8 zX y\n", "+password <hidden>\n"),
            (" isis password md5 abc\n", " isis password <hidden>\n"),
            (
                "   authentication key-id 3 algorithm sha-1 key 7 00aa\n",
                "   authentication key-id 3 algorithm sha-1 key <hidden>\n",
            ),
            ("username admin privilege 15 secret sha512 $6$x\n", "username admin privilege 15 secret <hidden>\n"),
            ("snmp-server community public ro\n", "snmp-server community <hidden>\n"),
            ("  key-string  x\n", "  key-string  <hidden>\n"),
            ("PASSWORD é\n", "PASSWORD <hidden>\n"),
        ] {
            assert_eq!(hidden(line), (shown.to_owned(), 1), "{line:?}");
        }
    }

    #[test]
    fn what_is_rendered_is_shown_whole() {
        let text = " neighbor X send-community both\n isis metric 100\n set community 65342:100\n password\nkeyed\n\n";
        assert_eq!(hidden(text), (text.to_owned(), 0));
    }
}
