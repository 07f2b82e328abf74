//! What an agent says of itself: metrics in Prometheus' text format, and whether it does its work.
//!
//! Names follow Prometheus: base units, `_total` on counters. Ages are as of the scrape; before the first event they
//! count from the start of the process, so that an alert on them also finds what never came.

use std::{fmt::Write as _, sync::Arc};

use crate::{
    agent::Watch,
    shared::{Status, unix_ms},
    stamp::{Prober, Reflector, reflect::Refusal},
};

/// An agent that has not reached a controller for so long is not ready, in ms: thirty polls.
const POLL_LIMIT_MS: u64 = 300_000;
/// One that has not sampled its device for so long is not either.
const SAMPLE_LIMIT_MS: u64 = 120_000;

/// What there is to tell of.
#[derive(Clone)]
pub struct Sources {
    /// The agent.
    pub watch: Watch,
    /// Its code.
    pub device: String,
    /// Its STAMP reflector, where it has one.
    pub reflector: Option<Arc<Reflector>>,
    /// Its driver's STAMP prober, where it has one.
    pub prober: Option<Arc<Prober>>,
}

/// A page under way.
#[derive(Default)]
struct Page(String);

/// A label's name and its value.
type Label<'a> = (&'a str, &'a str);

impl Page {
    fn metric(&mut self, name: &str, kind: &str, help: &str, series: &[(&[Label<'_>], f64)]) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "# HELP causeway_agent_{name} {help}\n# TYPE causeway_agent_{name} {kind}");
        for (labels, value) in series {
            let labels: Vec<String> =
                labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _ = writeln!(self.0, "causeway_agent_{name}{labels} {value}");
        }
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.metric(name, "gauge", help, &[(&[], value)]);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.metric(name, "counter", help, &[(&[], number(value))]);
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// As Prometheus has every number.
#[allow(clippy::cast_precision_loss)]
const fn number(value: u64) -> f64 {
    value as f64
}

fn flag(on: bool) -> f64 {
    f64::from(u8::from(on))
}

/// An address without what may be secret in it: what is before the host, and what follows it.
fn host(url: &str) -> &str {
    let after = url.split_once("://").map_or(url, |(_, after)| after);
    let authority = after.split(['/', '?', '#']).next().unwrap_or(after);
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// Everything, in Prometheus' text format.
#[must_use]
pub fn page(sources: &Sources) -> String {
    page_at(sources, &sources.watch.status(), unix_ms())
}

fn page_at(sources: &Sources, status: &Status, now_ms: u64) -> String {
    let mut page = Page::default();
    let age = |at_ms: u64| {
        let at_ms = if at_ms == 0 { sources.watch.started_unix_ms() } else { at_ms };
        number(now_ms.saturating_sub(at_ms)) / 1_000.0
    };
    let device: &[Label<'_>] = &[("device", &sources.device), ("version", env!("CARGO_PKG_VERSION"))];
    page.metric("info", "gauge", "1, with the device and the version", &[(device, 1.0)]);
    page.gauge("connected", "1 while a session with a controller is open, else 0", flag(status.connected));
    page.gauge("poll_age_seconds", "Time since a controller last answered", age(status.polled_unix_ms));
    page.gauge("sample_age_seconds", "Time since the device was last sampled", age(status.sampled_unix_ms));
    let generation = |applied: Option<crate::state::Applied>| number(applied.map_or(0, |applied| applied.generation.0));
    page.gauge("offered_generation", "Generation that the controller offers, 0 for none", generation(status.offered));
    page.gauge("applied_generation", "Generation that runs, verified, 0 for none", generation(status.applied));
    let hash = |applied: Option<crate::state::Applied>| applied.map(|applied| applied.sha256);
    let behind = status.offered.is_some() && hash(status.offered) != hash(status.applied);
    page.gauge("configuration_pending", "1 while what is offered is not what runs, else 0", flag(behind));
    page.counter("applies_total", "Configurations that were applied and confirmed", status.applies);
    page.counter("failed_applies_total", "Configurations that were refused or reverted", status.failed_applies);
    page.gauge("probe_targets", "Targets that are probed", number(status.probe_targets as u64));
    oracles(&mut page, status);
    let buffer = &status.buffer;
    page.gauge(
        "buffer_on_disk",
        "1 while telemetry is kept on disk, 0 while in memory alone",
        flag(buffer.error.is_none()),
    );
    page.gauge("buffer_disk_bytes", "Telemetry on disk", number(buffer.disk_bytes));
    page.gauge("buffer_memory_samples", "Samples that are in memory alone", number(buffer.memory_samples));
    page.counter("buffer_damaged_records_total", "Records on disk that were damaged", buffer.damaged_records);
    page.counter("buffer_unwritten_total", "Moments that could not be written to disk", buffer.unwritten);
    stamp(&mut page, sources);
    page.0
}

fn oracles(page: &mut Page, status: &Status) {
    let mut family = |name: &str, kind: &str, help: &str, of: &dyn Fn(&crate::OracleStatus) -> u64| {
        let labels: Vec<[Label<'_>; 1]> = status.oracles.keys().map(|url| [("oracle", host(url))]).collect();
        let values = status.oracles.values().map(|oracle| number(of(oracle)));
        let series: Vec<(&[Label<'_>], f64)> = labels.iter().map(<[Label<'_>; 1]>::as_slice).zip(values).collect();
        page.metric(name, kind, help, &series);
    };
    family("telemetry_accepted_batches_total", "counter", "Batches that an oracle took", &|o| o.accepted_batches);
    family("telemetry_refused_batches_total", "counter", "Batches that an oracle refused for good", &|o| {
        o.refused_batches
    });
    family("telemetry_retries_total", "counter", "Tries that failed and were or will be repeated", &|o| o.retries);
    family("telemetry_lost_samples_total", "counter", "Samples that an oracle will never get", &|o| o.lost_samples);
    family("telemetry_buffered_samples", "gauge", "Samples that wait for an oracle", &|o| o.buffered_samples);
}

fn stamp(page: &mut Page, sources: &Sources) {
    if let Some(prober) = &sources.prober {
        let counts = prober.counts();
        page.counter("stamp_sent_total", "Probes sent", counts.sent);
        page.counter("stamp_answered_total", "Probes answered in time", counts.answered);
        page.counter("stamp_duplicates_total", "Answers to probes that had been answered", counts.duplicates);
        page.counter("stamp_late_total", "Answers after their time", counts.late);
        page.counter("stamp_foreign_total", "Packets that are no answer to a probe", counts.foreign);
        page.counter("stamp_unsent_total", "Probes that this machine could not send", counts.unsent);
    }
    if let Some(reflector) = &sources.reflector {
        let counts = reflector.counts();
        page.counter("stamp_reflected_total", "Probes of others that were answered", counts.answered);
        let refused = |reason: Refusal| number(counts.refused.get(&reason).copied().unwrap_or(0));
        let labels: Vec<[Label<'_>; 1]> = Refusal::ALL.iter().map(|reason| [("reason", reason.name())]).collect();
        let values = Refusal::ALL.into_iter().map(refused);
        let series: Vec<(&[Label<'_>], f64)> = labels.iter().map(<[Label<'_>; 1]>::as_slice).zip(values).collect();
        page.metric("stamp_refused_total", "counter", "Packets that were not answered, by reason", &series);
        page.counter("stamp_unanswered_total", "Answers that could not be sent", counts.unsent);
    }
}

/// Why an agent does not do its work: code, cause, remedy.
pub type Unready = (&'static str, String, &'static str);

/// Why it is not ready; none when it is.
#[must_use]
pub fn unready(sources: &Sources) -> Option<Unready> {
    unready_at(&sources.watch.status(), sources.watch.started_unix_ms(), unix_ms())
}

fn unready_at(status: &Status, started_ms: u64, now_ms: u64) -> Option<Unready> {
    let since = |at_ms: u64| now_ms.saturating_sub(if at_ms == 0 { started_ms } else { at_ms });
    let because = || status.last_error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
    if status.polled_unix_ms == 0 || since(status.polled_unix_ms) > POLL_LIMIT_MS {
        let cause = format!("No controller has answered for {} s{}.", since(status.polled_unix_ms) / 1_000, because());
        let remedy =
            "Look at the controllers, their addresses and the agent's key. The device keeps running what it runs.";
        return Some(("CW-AGENT-NO-CONTROLLER", cause, remedy));
    }
    if status.sampled_unix_ms == 0 || since(status.sampled_unix_ms) > SAMPLE_LIMIT_MS {
        let cause = format!("The device has not been sampled for {} s.", since(status.sampled_unix_ms) / 1_000);
        return Some((
            "CW-AGENT-NO-SAMPLE",
            cause,
            "Look at the device's management; the agent's log says what it does not answer.",
        ));
    }
    if status.applied.is_none() {
        let cause = format!("No configuration is known to run{}.", because());
        return Some(("CW-AGENT-NOT-APPLIED", cause, "Wait for the first apply; where it fails, its report says why."));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bundle::{Generation, TextHash},
        state::Applied,
    };

    #[test]
    fn readiness_says_why_not() {
        let now = 10_000_000;
        let applied = Some(Applied { generation: Generation(1), sha256: TextHash([0; 32]) });
        let well = Status { polled_unix_ms: now - 1_000, sampled_unix_ms: now - 1_000, applied, ..Status::default() };
        let code = |status: &Status| unready_at(status, now - 5_000, now).map(|(code, ..)| code);
        assert_eq!(code(&well), None);
        let polled = |ago| Status { polled_unix_ms: now - ago, ..well.clone() };
        assert_eq!(code(&polled(300_000)), None);
        assert_eq!(code(&polled(300_001)), Some("CW-AGENT-NO-CONTROLLER"));
        assert_eq!(code(&Status { polled_unix_ms: 0, ..well.clone() }), Some("CW-AGENT-NO-CONTROLLER"));
        assert_eq!(code(&Status { sampled_unix_ms: now - 120_001, ..well.clone() }), Some("CW-AGENT-NO-SAMPLE"));
        let status = Status { applied: None, last_error: Some("refused".into()), ..well };
        let (code, cause, _) = unready_at(&status, 0, now).unwrap();
        assert_eq!((code, cause.as_str()), ("CW-AGENT-NOT-APPLIED", "No configuration is known to run: refused."));
    }

    #[test]
    fn only_the_host_of_an_oracle_is_shown_and_labels_are_escaped() {
        for (url, shown) in [
            ("http://a.example:7090", "a.example:7090"),
            ("https://user:secret@a.example/secret?key=secret", "a.example"),
            ("a.example/secret", "a.example"),
        ] {
            assert_eq!(host(url), shown);
        }
        let mut page = Page::default();
        page.metric("x", "gauge", "X", &[(&[("a", "\"\\\n")], 1.0)]);
        assert!(page.0.ends_with("causeway_agent_x{a=\"\\\"\\\\\\n\"} 1\n"), "{}", page.0);
    }
}
