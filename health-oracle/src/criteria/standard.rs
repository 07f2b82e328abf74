//! Rules with what they ask for in words.

use super::{coverage::Rules, text::Text};

/// What subjects of one kind are judged by. Made once a round, not once a subject.
#[derive(Clone, Debug)]
pub struct Standard {
    /// The numbers.
    pub rules: Rules,
    /// What is asked of every series that has to be good throughout.
    pub(super) coverage: Text,
    /// What is asked of probes.
    pub(super) loss: Text,
    /// What is asked of a new device's QA probes.
    pub(super) qa: Text,
}

impl From<&Rules> for Standard {
    fn from(rules: &Rules) -> Self {
        let loss = match rules.loss_limit_ppm {
            0 => Text::from("probed from both ends throughout, no loss"),
            ppm => format!("probed from both ends throughout, at most {ppm} in a million lost").into(),
        };
        let needed = rules.qa_successes_min;
        let qa = format!("a new device: at least {needed} answered QA probes to other activated devices");
        Self { rules: rules.clone(), coverage: coverage(rules).into(), loss, qa: qa.into() }
    }
}

fn coverage(rules: &Rules) -> String {
    let (percent, rest) = (rules.min_share_ppm / 10_000, rules.min_share_ppm % 10_000);
    let share = if rest == 0 { percent.to_string() } else { format!("{percent}.{rest:04}") };
    format!(
        "in at least {share} % of buckets of {} s, no gap over {} s",
        rules.bucket_ms / 1_000,
        rules.max_gap_ms / 1_000
    )
}
