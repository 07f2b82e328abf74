//! An alert as Slack takes it: a text, which notifications and other systems of the same form show, and blocks.

use serde_json::{Value, json};

use super::{Alert, AlertKind};

/// Most characters of a header; Slack's limit is 150.
const MAX_HEADER: usize = 140;
/// Most characters of a section; Slack's limit is 3 000, and an escaped character is up to five.
const MAX_SECTION: usize = 2_500;
const SECONDS_PER_DAY: u64 = 86_400;

/// The body of the request.
#[must_use]
pub fn body(oracle: &str, alert: &Alert) -> Value {
    let since = if is_end(alert.kind) { "it had been so since" } else { "since" };
    let since = format!("{since} {}", utc(alert.since_ms));
    let headline = format!("{oracle}: {}", alert.headline);
    let details = alert.details.join("\n");
    let rest = if details.is_empty() { String::new() } else { format!("\n{details}") };
    let mut blocks = vec![
        json!({"type": "header", "text": {"type": "plain_text", "text": cut(&headline, MAX_HEADER)}}),
        json!({"type": "context", "elements": [{"type": "mrkdwn", "text": escape(&since)}]}),
    ];
    if !details.is_empty() {
        let lines: Vec<String> = alert.details.iter().map(|line| format!("• {line}")).collect();
        let text = cut(&escape(&lines.join("\n")), MAX_SECTION);
        blocks.push(json!({"type": "section", "text": {"type": "mrkdwn", "text": text}}));
    }
    json!({"text": cut(&escape(&format!("{headline}, {since}{rest}")), MAX_SECTION), "blocks": blocks})
}

const fn is_end(kind: AlertKind) -> bool {
    match kind {
        AlertKind::Recovered | AlertKind::Relief => true,
        AlertKind::Impaired
        | AlertKind::Silent
        | AlertKind::Flapping
        | AlertKind::Steady
        | AlertKind::Trouble
        | AlertKind::Digest => false,
    }
}

/// Slack reads these three as its own; what an agent reports can't mention a channel or forge a link.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// A time as `2026-01-31 23:59:59 UTC`.
#[must_use]
pub fn utc(at_ms: u64) -> String {
    let seconds = at_ms / 1_000;
    let (days, rest) = (seconds / SECONDS_PER_DAY, seconds % SECONDS_PER_DAY);
    // Years that begin in March put the leap day last: 146 097 days are 400 of them.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest % 3_600 / 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc() {
        let cases = [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399_999, "2000-02-28 23:59:59 UTC"),
            (951_782_400_000, "2000-02-29 00:00:00 UTC"),
            (951_868_800_000, "2000-03-01 00:00:00 UTC"),
            (1_767_225_599_000, "2025-12-31 23:59:59 UTC"),
            (4_107_542_400_000, "2100-03-01 00:00:00 UTC"),
        ];
        for (ms, expected) in cases {
            assert_eq!(utc(ms), expected);
        }
    }

    #[test]
    fn a_message_says_who_what_why_and_since_when_and_mentions_nobody() {
        let alert = Alert {
            kind: AlertKind::Impaired,
            headline: "link l-1 is impaired".into(),
            details: vec!["L2: 5 of 10 <!channel> lost & more; required: no loss".into()],
            since_ms: 951_782_400_000,
        };
        let body = body("oracle-1", &alert);
        assert_eq!(
            body["text"],
            "oracle-1: link l-1 is impaired, since 2000-02-29 00:00:00 UTC\n\
             L2: 5 of 10 &lt;!channel&gt; lost &amp; more; required: no loss"
        );
        assert_eq!(body["blocks"][0]["text"]["text"], "oracle-1: link l-1 is impaired");
        assert_eq!(
            body["blocks"][2]["text"]["text"],
            "• L2: 5 of 10 &lt;!channel&gt; lost &amp; more; required: no loss"
        );
        let relief = Alert { kind: AlertKind::Relief, details: vec![], ..alert };
        let text = super::body("o", &relief)["text"].as_str().unwrap().to_owned();
        assert!(text.ends_with(", it had been so since 2000-02-29 00:00:00 UTC"), "{text}");
    }

    #[test]
    fn no_part_is_longer_than_slack_takes() {
        let alert = Alert {
            kind: AlertKind::Digest,
            headline: "ä".repeat(5_000),
            details: vec!["<".repeat(9_000); 3],
            since_ms: 0,
        };
        let body = body("o", &alert);
        let length = |value: &Value| value.as_str().unwrap().chars().count();
        assert!(length(&body["text"]) <= 3_000 && length(&body["blocks"][0]["text"]["text"]) <= 150);
        assert!(length(&body["blocks"][2]["text"]["text"]) <= 3_000);
    }
}
