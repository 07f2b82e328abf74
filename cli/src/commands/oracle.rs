//! `causeway oracle`: what oracles recorded.

use std::{collections::BTreeMap, path::Path};

use causeway_health_oracle::{
    Rules,
    backtest::{
        self, FleetBench, Plan, Report as Found, SubjectReport,
        recording::{Recording, RecordingError, Survey},
        timeline::{Entry, State},
    },
};
use causeway_interface::Code;
use serde::Serialize;
use serde_json::Value;

use crate::{
    args::{Backtest, OracleVerb, RuleChange},
    failure::{self, Exit, Failure},
    output::{Report, pairs, span, utc, wrapped},
};

/// Does one verb.
pub fn run(verb: OracleVerb) -> Result<Report, Failure> {
    match verb {
        OracleVerb::Backtest(args) => backtest(&args),
    }
}

/// What is printed for scripts.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    /// The thresholds that were changed: their name, the values of the record, and the other one.
    rules: Vec<Changed>,
    /// Documents that could not be judged again, for want of the facts that they were judged by.
    without_facts: u64,
    #[serde(flatten)]
    found: &'a Found,
}

/// One changed threshold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Changed {
    name: String,
    recorded: Vec<Value>,
    other: u64,
}

fn unreadable(dir: &Path, error: &RecordingError) -> Failure {
    let source = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    let cause = format!("{} can't be read: {error}{source}.", dir.display());
    Failure::new(failure::RECORDING, Exit::File, cause)
}

fn backtest(args: &Backtest) -> Result<Report, Failure> {
    let changes = changes(args)?;
    let unreadable = |error: RecordingError| unreadable(&args.from, &error);
    let mut recording = Recording::open(&args.from).map_err(unreadable)?;
    let wanted = |code: &Code| args.subject.is_empty() || args.subject.contains(code);
    let survey = recording.survey(wanted).map_err(unreadable)?;
    let Some(first_ms) = survey.first_ms else { return Err(nothing(args, &survey)) };
    let invalid = |why: String| Failure::new(failure::NO_SUCH_VALUE, Exit::Usage, why);
    let (others, mut buckets) = (others(&survey.rules, &changes).map_err(invalid)?, Vec::new());
    buckets.extend(others.iter().map(|rules| rules.bucket_ms));
    buckets.dedup();
    // Telemetry is held in buckets of one width.
    let [bucket_ms] = buckets[..] else {
        return Err(invalid("The record has rules with buckets of several widths.".to_owned()));
    };
    let recorded_ms = recording.bucket_ms();
    let plan = Plan {
        since_ms: args.since.unwrap_or(first_ms).max(first_ms),
        until_ms: args.until.unwrap_or(survey.last_ms).min(survey.last_ms),
        step_ms: recorded_ms.min(bucket_ms).max(1),
    };
    plan.check().map_err(|why| invalid(format!("This can't be run: {why}.")))?;
    let reach_ms =
        others.iter().map(|rules| rules.hold_ms.saturating_add(rules.lag_ms)).fold(survey.reach_ms, u64::max);
    let mut benches = [recorded_ms, bucket_ms].map(|bucket_ms| FleetBench::new(bucket_ms, reach_ms));
    let [by_recorded, by_other] = &mut benches;
    // Every set of rules of the record was tried above.
    let change = |rules: &Rules| changed(rules, &changes).unwrap_or_else(|_| rules.clone());
    let found = backtest::run(recording.events(wanted), &plan, change, by_recorded, by_other).map_err(unreadable)?;
    let answer = Answer {
        rules: changes.iter().map(|change| compared(change, &survey.rules)).collect(),
        without_facts: survey.without_facts,
        found: &found,
    };
    Report::new(text(&answer), &answer)
}

/// Why there is nothing to run.
fn nothing(args: &Backtest, survey: &Survey) -> Failure {
    let dir = args.from.display();
    match (survey.without_facts, args.subject.is_empty()) {
        (0, true) => Failure::new(failure::RECORDING, Exit::File, format!("{dir} holds no document.")),
        (0, false) => Failure::not_found(format_args!("document of these subjects in {dir}")),
        (some, _) => {
            let cause = format!("The {some} documents in {dir} don't carry the facts that they were judged by.");
            Failure::new(failure::RECORDING, Exit::File, cause)
        }
    }
}

/// Thresholds of the file, then those of the command line, which go before.
fn changes(args: &Backtest) -> Result<Vec<RuleChange>, Failure> {
    let mut changes = BTreeMap::new();
    if let Some(path) = &args.config {
        let text = std::fs::read_to_string(path).map_err(|error| Failure::read(path, &error))?;
        let of_file = in_file(&text)
            .map_err(|why| Failure::new(failure::NO_SUCH_VALUE, Exit::Usage, format!("{}: {why}.", path.display())))?;
        changes.extend(of_file.into_iter().map(|change| (change.name.clone(), change)));
    }
    changes.extend(args.rules.iter().map(|change| (change.name.clone(), change.clone())));
    if changes.is_empty() {
        let cause = "Neither --rule nor --config names a threshold to change.";
        return Err(Failure::new(failure::NO_SUCH_VALUE, Exit::Usage, cause));
    }
    Ok(changes.into_values().collect())
}

/// Thresholds of an oracle's configuration file: `name = number` under `[rules]`, or anywhere in a file without sections.
fn in_file(text: &str) -> Result<Vec<RuleChange>, String> {
    let has_section = text.lines().any(|line| line.trim() == "[rules]");
    let mut inside = !has_section;
    let mut changes = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.starts_with('[') {
            inside = line == "[rules]";
        } else if inside && !line.is_empty() {
            let change = line.split_whitespace().collect::<String>().parse::<RuleChange>();
            changes.push(change.map_err(|why| format!("line {}: {why}", number + 1))?);
        }
    }
    Ok(changes)
}

/// Rules with these thresholds.
fn changed(rules: &Rules, changes: &[RuleChange]) -> Result<Rules, String> {
    let not_json = |error: serde_json::Error| format!("These thresholds can't be: {error}.");
    let mut value = serde_json::to_value(rules).map_err(not_json)?;
    for RuleChange { name, value: other } in changes {
        let Some(object) = value.as_object_mut() else { continue };
        match object.get_mut(name) {
            Some(slot) if slot.is_u64() => *slot = (*other).into(),
            Some(_) | None => {
                let known: Vec<_> =
                    object.iter().filter(|(_, v)| v.is_u64()).map(|(k, _)| k.replace('_', "-")).collect();
                return Err(format!(
                    "There is no threshold {}; there are {}.",
                    name.replace('_', "-"),
                    known.join(", ")
                ));
            }
        }
    }
    let rules: Rules = serde_json::from_value(value).map_err(not_json)?;
    rules.check().map_err(|why| format!("These thresholds can't be: {why}."))?;
    Ok(rules)
}

/// What each set of rules of the record becomes.
fn others(recorded: &[Rules], changes: &[RuleChange]) -> Result<Vec<Rules>, String> {
    recorded.iter().map(|rules| changed(rules, changes)).collect()
}

/// The values that a threshold had, and the other one.
fn compared(change: &RuleChange, recorded: &[Rules]) -> Changed {
    let mut values: Vec<Value> = Vec::new();
    for rules in recorded {
        let value = serde_json::to_value(rules).ok().and_then(|value| value.get(&change.name).cloned());
        values.extend(value.filter(|value| !values.contains(value)));
    }
    Changed { name: change.name.clone(), recorded: values, other: change.value }
}

fn time(ms: u64) -> String {
    utc(i64::try_from(ms / 1_000).unwrap_or(i64::MAX))
}

/// A length of time; what is shorter than a second is not nothing.
fn length(ms: u64) -> String {
    if ms > 0 && ms < 1_000 { format!("{ms} ms") } else { span(ms / 1_000) }
}

fn text(answer: &Answer<'_>) -> String {
    let (found, summary) = (answer.found, &answer.found.summary);
    let mut rows = vec![
        (
            "from",
            format!("{} to {}, looked at every {}", time(found.since_ms), time(found.until_ms), length(found.step_ms)),
        ),
        ("subjects", format!("{}, {} differ", summary.subjects, summary.differ)),
        (
            "differ",
            format!(
                "{} lower, {} higher, {} otherwise",
                length(summary.differs.lower_ms),
                length(summary.differs.higher_ms),
                length(summary.differs.other_ms)
            ),
        ),
        (
            "promotions",
            format!("{} later, {} earlier, {} lost, {} won", summary.later, summary.earlier, summary.lost, summary.won),
        ),
        (
            "replayed",
            format!("{} of {} documents came out the same by their own rules", summary.alike, summary.documents),
        ),
    ];
    if answer.without_facts > 0 {
        rows.push((
            "left out",
            format!("{} documents without the facts that they were judged by", answer.without_facts),
        ));
    }
    let rule = |changed: &Changed| {
        let recorded: Vec<_> = changed.recorded.iter().map(Value::to_string).collect();
        vec![changed.name.replace('_', "-"), recorded.join(", "), changed.other.to_string()]
    };
    let mut parts = vec![pairs(&rows), wrapped(&["threshold", "recorded", "other"], answer.rules.iter().map(rule))];
    let levels: std::collections::BTreeSet<_> = summary.recorded_ms.keys().chain(summary.other_ms.keys()).collect();
    let at = |times: &BTreeMap<&str, u64>, level: &str| length(times.get(level).copied().unwrap_or(0));
    let level =
        |level: &&&'static str| vec![level.to_string(), at(&summary.recorded_ms, level), at(&summary.other_ms, level)];
    parts.push(wrapped(&["time at", "recorded", "other"], levels.iter().map(level)));
    parts.extend(found.subjects.iter().filter(|subject| subject.differs.any()).map(subject_text));
    parts.join("\n\n")
}

/// A subject's story by both rules, and when each level was first reached.
fn subject_text(subject: &SubjectReport) -> String {
    let state = |state: &State| {
        let not_passed: Vec<_> = state.not_passed.iter().map(|id| id.name()).collect();
        match not_passed.is_empty() {
            true => state.level.name().to_owned(),
            false => format!("{} ({})", state.level.name(), not_passed.join(" ")),
        }
    };
    let row = |entry: &Entry| {
        let same = entry.recorded == entry.other;
        let other = if same { "the same".to_owned() } else { state(&entry.other) };
        vec![time(entry.at_ms), state(&entry.recorded), other]
    };
    let mut rows = Vec::new();
    for stretch in &subject.stretches {
        rows.extend(stretch.entries.iter().map(row));
        rows.push(vec![time(stretch.end_ms), "last look".to_owned(), String::new()]);
    }
    let mut lines = vec![format!("{} {}", subject.kind.name(), subject.code)];
    lines.push(wrapped(&["from", "recorded", "other"], rows));
    for reached in &subject.reached {
        let words = match (reached.recorded_ms, reached.other_ms, reached.later_by_ms) {
            (Some(_), None, _) => "never by the other thresholds".to_owned(),
            (None, Some(_), _) => "only by the other thresholds".to_owned(),
            (_, _, Some(ms)) if ms > 0 => format!("{} later", length(ms.unsigned_abs())),
            (_, _, Some(ms)) if ms < 0 => format!("{} earlier", length(ms.unsigned_abs())),
            _ => continue,
        };
        lines.push(format!("{} first reached {words}", reached.level));
    }
    lines.join("\n")
}

#[cfg(test)]
#[path = "oracle_tests.rs"]
mod tests;
