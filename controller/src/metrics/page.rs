//! The page of `/metrics`, in Prometheus' text format.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Arc, atomic::Ordering},
};

use super::{BUCKETS, Durations, What};
use crate::{
    shared::Shared,
    store::{ApplyState, Drift, ReportResult, Store},
};

/// A page under way.
#[derive(Default)]
struct Page(String);

impl Page {
    /// One family: of each series its labels as they are written, and its value.
    fn family(&mut self, name: &str, kind: &str, help: &str, series: impl IntoIterator<Item = (String, f64)>) {
        self.head(name, kind, help);
        for (labels, value) in series {
            self.sample(name, &labels, value);
        }
    }

    // Writing to a string does not fail.
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP causeway_controller_{name} {help}\n# TYPE causeway_controller_{name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: f64) {
        let _ = writeln!(self.0, "causeway_controller_{name}{labels} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.family(name, "gauge", help, [(String::new(), value)]);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "counter", help, [(String::new(), number(value))]);
    }
}

/// Values of labels are codes and names of this program: nothing in them has to be escaped.
fn label(name: &str, value: impl std::fmt::Display) -> String {
    format!("{{{name}=\"{value}\"}}")
}

/// As Prometheus has every number.
#[allow(clippy::cast_precision_loss)]
const fn number(value: u64) -> f64 {
    value as f64
}

fn by<N: std::fmt::Display + Copy>(
    name: &str,
    known: impl IntoIterator<Item = N>,
    count: impl Fn(N) -> u64,
) -> Vec<(String, f64)> {
    known.into_iter().map(|value| (label(name, value), number(count(value)))).collect()
}

/// Everything.
#[must_use]
pub fn page(shared: &Shared, now_ms: u64) -> String {
    let mut page = Page::default();
    page.family("info", "gauge", "1, with the version", [(label("version", env!("CARGO_PKG_VERSION")), 1.0)]);
    ledger(&mut page, shared, now_ms);
    served(&mut page, &shared.store(), now_ms);
    agents(&mut page, shared);
    let inner = shared.metrics.inner();
    let kinds: Vec<_> = inner.events.iter().map(|(kind, count)| (label("kind", kind), number(*count))).collect();
    page.family("events_total", "counter", "What happened, by kind of event", kinds);
    let answers = inner.answers.iter().map(|(status, count)| (label("status", status), number(*count)));
    page.family("http_answers_total", "counter", "Answers over HTTP, by status", answers);
    drop(inner);
    let refused = shared.metrics.refused_connections.load(Ordering::Relaxed);
    page.counter("http_refused_connections_total", "HTTP connections beyond the bound, closed unread", refused);
    let refused = shared.metrics.refused_agent_connections.load(Ordering::Relaxed);
    page.counter("agent_refused_connections_total", "Connections of agents beyond the bound, closed unread", refused);
    if let Some(jobs) = shared.jobs.get() {
        page.0.push_str(&jobs.metrics());
    }
    let streams = shared.event_streams.taken();
    page.gauge("event_streams", "Streams of events that are open", number(streams as u64));
    page.0
}

fn ledger(page: &mut Page, shared: &Shared, now_ms: u64) {
    let (slot, unreadable) = {
        let store = shared.store();
        (store.slot(), store.unreadable().is_some())
    };
    let finalized = shared.finalized_slot();
    page.gauge("slot", "Slot of what is served, 0 before the first", number(slot));
    page.gauge("finalized_slot", "Latest finalized slot known, 0 before the first", number(finalized));
    let lag = if slot == 0 { 0 } else { finalized.saturating_sub(slot) };
    page.gauge("ledger_lag_slots", "Slots by which what is served is older than the finalized ledger", number(lag));
    // Of what never was, since the start.
    let age = |at: u64| {
        let since = if at == 0 { shared.metrics.started_unix_ms() } else { at };
        number(now_ms.saturating_sub(since)) / 1_000.0
    };
    let heard = age(shared.heard_unix_ms());
    page.gauge("heard_age_seconds", "Time since the ledger was last read, whether or not it was acted on", heard);
    page.gauge("snapshot_age_seconds", "Time since the ledger was last taken in", age(shared.taken_unix_ms()));
    page.gauge(
        "ledger_unreadable",
        "1 while the ledger as read changes nothing, else 0",
        f64::from(u8::from(unreadable)),
    );
    let inner = shared.metrics.inner();
    let durations: BTreeMap<What, Durations> = inner.durations.clone();
    drop(inner);
    const RENDER: &str = "render_seconds";
    page.head(RENDER, "histogram", "Time to take the ledger in and make every text that it asks for");
    for what in What::ALL {
        let known = durations.get(&what).copied().unwrap_or_default();
        let what = what.name();
        for (bound, within) in BUCKETS.iter().zip(known.within) {
            page.sample("render_seconds_bucket", &format!("{{what=\"{what}\",le=\"{bound}\"}}"), number(within));
        }
        page.sample("render_seconds_bucket", &format!("{{what=\"{what}\",le=\"+Inf\"}}"), number(known.count));
        page.sample("render_seconds_sum", &label("what", what), known.seconds);
        page.sample("render_seconds_count", &label("what", what), number(known.count));
    }
}

fn served(page: &mut Page, store: &Store, now_ms: u64) {
    let mut states: BTreeMap<ApplyState, u64> = BTreeMap::new();
    let mut drifts: BTreeMap<Drift, u64> = BTreeMap::new();
    let mut problems: BTreeMap<&str, u64> = BTreeMap::new();
    let mut faults: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut held, mut bytes) = (0, 0);
    for entry in store.entries().values() {
        *states.entry(entry.apply_state()).or_default() += 1;
        *drifts.entry(entry.drift(now_ms)).or_default() += 1;
        held += u64::from(entry.held.is_some());
        bytes += entry.history.iter().map(|bundle| bundle.text.len() as u64).sum::<u64>();
        if let Some(problem) = &entry.problem {
            *problems.entry(problem.code).or_default() += 1;
        }
    }
    for fault in store.faults().values() {
        *faults.entry(fault.code()).or_default() += 1;
    }
    page.counter("rendered_texts_total", "Configurations made", store.renders());
    let of = |states: &BTreeMap<ApplyState, u64>, state: ApplyState| states.get(&state).copied().unwrap_or(0);
    let series = ApplyState::ALL.map(|state| (label("state", state.name()), number(of(&states, state))));
    page.family("devices", "gauge", "Devices by how they stand to their configuration", series);
    let of = |drift: Drift| number(drifts.get(&drift).copied().unwrap_or(0));
    let series = Drift::ALL.map(|drift| (label("state", drift.name()), of(drift)));
    page.family("drift", "gauge", "Devices by how what runs stands to what is served", series);
    page.gauge("held", "Configurations that wait for approval", number(held));
    let codes = |counts: &BTreeMap<&str, u64>| -> Vec<(String, f64)> {
        // One series that is always there, so that a rule has something to compare with.
        let none = counts.is_empty().then(|| (label("code", "none"), 0.0));
        none.into_iter().chain(counts.iter().map(|(code, count)| (label("code", code), number(*count)))).collect()
    };
    page.family("problems", "gauge", "Devices whose configuration can't be made, by code", codes(&problems));
    page.family("faults", "gauge", "Records on the ledger that can't be used, by code", codes(&faults));
    page.gauge("kept_text_bytes", "Bytes of configurations that are kept, older ones included", number(bytes));
    let generations = store.entries().iter().map(|(code, entry)| {
        (label("device", code), number(entry.current.as_ref().map_or(0, |bundle| bundle.generation)))
    });
    page.family("generation", "gauge", "Generation of each device's configuration, 0 for none", generations);
}

fn agents(page: &mut Page, shared: &Shared) {
    let metrics = &shared.metrics;
    // One of them is the counter's own.
    let watchers = Arc::strong_count(&metrics.watchers).saturating_sub(1);
    page.gauge("watchers", "Agents that wait for notices", number(watchers as u64));
    let polls = [("text", &metrics.polls_with_text), ("unchanged", &metrics.polls_unchanged)];
    let polls = polls.map(|(answer, count)| (label("answer", answer), number(count.load(Ordering::Relaxed))));
    page.family("polls_total", "counter", "Polls of agents, by whether a text was given", polls);
    let inner = metrics.inner();
    let results =
        by("result", ReportResult::ALL.map(ReportResult::name), |name| inner.reports.get(name).copied().unwrap_or(0));
    page.family("reports_total", "counter", "Reports of agents, by result", results);
    let none = inner.refused_calls.is_empty().then(|| (label("code", "none"), 0.0));
    let codes = inner.refused_calls.iter().map(|(code, count)| (label("code", code), number(*count)));
    page.family(
        "refused_calls_total",
        "counter",
        "Calls of agents that were refused, by code",
        none.into_iter().chain(codes),
    );
}
