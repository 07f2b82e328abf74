//! `/metrics`: counters that grow, and gauges made anew from the store at each scrape, so that a device that is gone
//! leaves no series behind.

use std::fmt;

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::{
    auth::AuthError,
    store::{ApplyState, ReportResult, Store},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Device {
    device: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

/// Counters.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    refused_calls: Family<Code, Counter>,
    reports: Family<State, Counter>,
}

impl Metrics {
    /// Counts a caller that was not let in.
    pub fn refused(&self, error: AuthError) {
        self.refused_calls.get_or_create(&Code { code: error.code() }).inc();
    }

    /// Counts a caller above its rate.
    pub fn rate_limited(&self) {
        self.refused_calls.get_or_create(&Code { code: "rate-limited" }).inc();
    }

    /// Counts a report.
    pub fn report(&self, result: ReportResult) {
        self.reports.get_or_create(&State { state: result.name() }).inc();
    }

    /// Prometheus text.
    ///
    /// # Errors
    /// Formatting failed.
    pub fn text(&self, store: &Store, finalized_slot: u64) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix("causeway_controller");
        registry.register("refused_calls", "Agent calls that were refused, by reason", self.refused_calls.clone());
        registry.register("reports", "Apply reports, by result", self.reports.clone());
        let gauge = |value: u64| {
            let gauge: Gauge = Gauge::default();
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
            gauge
        };
        registry.register("slot", "Slot of what is served", gauge(store.slot()));
        registry.register("finalized_slot", "Latest finalized slot known", gauge(finalized_slot));
        registry.register("rendered_texts", "Configurations made since start", gauge(store.renders()));
        registry.register("faults", "Records on the ledger that can't be used", gauge(store.faults().len() as u64));
        let unreadable = u64::from(store.unreadable().is_some());
        registry.register("ledger_unreadable", "1 while the ledger as read changes nothing", gauge(unreadable));
        let states: Family<State, Gauge> = Family::default();
        for state in ApplyState::ALL {
            states.get_or_create(&State { state: state.name() }).set(0);
        }
        let generations: Family<Device, Gauge> = Family::default();
        let (mut held, mut problems) = (0, 0);
        for (code, entry) in store.entries() {
            states.get_or_create(&State { state: entry.apply_state().name() }).inc();
            held += u64::from(entry.held.is_some());
            problems += u64::from(entry.problem.is_some());
            let generation = entry.current.as_ref().map_or(0, |b| b.generation);
            let generation = i64::try_from(generation).unwrap_or(i64::MAX);
            generations.get_or_create(&Device { device: code.to_string() }).set(generation);
        }
        registry.register("devices", "Devices by how they stand to their configuration", states);
        registry.register("generation", "Generation of each device's configuration", generations);
        registry.register("held", "Configurations that wait for approval", gauge(held));
        registry.register("problems", "Devices whose configuration can't be made", gauge(problems));
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }
}
