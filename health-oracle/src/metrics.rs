//! What is counted, for Prometheus.
//!
//! Names follow Prometheus: base units, `_total` on counters. Where the values of a label are known beforehand, every
//! series is there from the start with 0, so that a rate can be taken of the first event. Ages are as of the scrape;
//! before the first event they count from the start of the process, so that an alert on them also finds what never came.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::{
    alerts::AlertKind,
    criteria::Outcome,
    round::RoundError,
    subjects::Judged,
    submission::Due,
    telemetry::vitals::Totals,
    time::{self, SlotClock},
};

/// What transactions are sent for.
const TRANSACTION_KINDS: [&str; 4] = ["attest", "advance", "extend", "lookup"];
/// Bounds of the round time's buckets, in seconds: a localnet's round, one that is late at rounds of a minute, and far
/// beyond.
const ROUND_BUCKETS: [f64; 12] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Code {
    code: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Kind {
    kind: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct SubjectLevel {
    subject: String,
    level: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct State {
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Busy {
    busy_percent: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CriterionOutcome {
    kind: &'static str,
    criterion: &'static str,
    outcome: &'static str,
}

type Seconds = Gauge<f64, AtomicU64>;

/// What the ages are taken from, in ms since 1970.
#[derive(Debug)]
struct Pulse {
    round_ms: u64,
    telemetry_ms: u64,
    /// When the ledger's slot was last seen to go forward.
    moved_ms: u64,
    slot: u64,
    clock: Option<SlotClock>,
}

/// Totals that an embedding program reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Transactions that were finalized or confirmed without an error.
    pub transactions: u64,
    /// Transactions that failed, expired or could not be sent.
    pub transaction_errors: u64,
    /// Rounds that judged everything.
    pub rounds: u64,
    /// Rounds that attested nothing because the ledger or a store could not be read.
    pub failed_rounds: u64,
    /// Telemetry batches stored.
    pub batches: u64,
    /// Telemetry batches refused.
    pub refused_batches: u64,
    /// Words attested.
    pub attestations: u64,
    /// Advances that landed.
    pub advances: u64,
}

/// All metrics. Clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    batches: Counter,
    ignored_samples: Counter,
    refused: Family<Code, Counter>,
    refused_total: Counter,
    connections_refused: Counter,
    transactions: Family<Kind, Counter>,
    transactions_total: Counter,
    errors: Family<Kind, Counter>,
    errors_total: Counter,
    attested: Family<Kind, Counter>,
    attested_total: Counter,
    advances: Counter,
    rounds: Counter,
    failed_rounds: Family<Kind, Counter>,
    failed_rounds_total: Counter,
    round_seconds: Histogram,
    round_age: Seconds,
    telemetry_age: Seconds,
    ledger_lag: Seconds,
    ledger_lag_slots: Gauge,
    pulse: Arc<Mutex<Pulse>>,
    criteria: Family<CriterionOutcome, Gauge>,
    in_set: Gauge,
    balance: Gauge,
    telemetry_waiting: Gauge,
    alerts_waiting: Gauge,
    slot: Gauge<i64, AtomicI64>,
    subjects: Family<SubjectLevel, Gauge>,
    alerts: Family<Kind, Counter>,
    alerts_failed: Counter<u64, AtomicU64>,
    lookup_tables: Gauge,
    lookup_addresses: Gauge,
    lookup_failures: Counter,
    foreign_words: Counter,
    held_back: Gauge,
    fees: Counter,
    sessions: Family<State, Gauge>,
    busy: Family<Busy, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("causeway_oracle");
        macro_rules! registered {
            ($name:literal, $help:literal) => {{
                let metric = Default::default();
                registry.register($name, $help, Clone::clone(&metric));
                metric
            }};
        }
        let batches: Counter = registered!("telemetry_batches", "Telemetry batches stored");
        let ignored_samples: Counter = registered!("telemetry_ignored_samples", "Samples left out of stored batches");
        let refused: Family<Code, Counter> = registered!("telemetry_refused", "Telemetry batches refused, by reason");
        let connections_refused: Counter = registered!("connections_refused", "Connections closed unread: too many");
        let transactions: Family<Kind, Counter> = registered!("transactions", "Transactions that landed, by kind");
        let errors: Family<Kind, Counter> = registered!("transaction_errors", "Transactions that did not, by kind");
        let attested: Family<Kind, Counter> = registered!("attestations", "Words attested, by reason");
        let advances: Counter = registered!("advances", "Advances that landed");
        let rounds: Counter = registered!("rounds", "Rounds that judged everything");
        let failed_rounds: Family<Kind, Counter> =
            registered!("failed_rounds", "Rounds that attested nothing, by what could not be read");
        let round_seconds = Histogram::new(ROUND_BUCKETS);
        registry.register("round_seconds", "Time that complete rounds took", round_seconds.clone());
        let round_age: Seconds = registered!("round_age_seconds", "Time since the last complete round");
        let telemetry_age: Seconds = registered!("telemetry_age_seconds", "Time since telemetry was last stored");
        let ledger_lag: Seconds =
            registered!("ledger_lag_seconds", "Time since the ledger was last seen to go forward");
        let ledger_lag_slots: Gauge = registered!("ledger_lag_slots", "The same in slots, by the pace last measured");
        let criteria: Family<CriterionOutcome, Gauge> =
            registered!("criteria", "Subjects by what was last found of each criterion");
        let in_set: Gauge = registered!("in_set", "1 while the network counts this oracle in its set, else 0");
        let balance: Gauge = registered!("balance_lamports", "What the oracle's key holds, as last read");
        let telemetry_waiting: Gauge = registered!("telemetry_waiting", "Telemetry batches that wait for the disk");
        let alerts_waiting: Gauge = registered!("alerts_waiting", "Alerts that wait for delivery");
        let slot: Gauge<i64, AtomicI64> = registered!("ledger_slot", "Slot of the last snapshot");
        let subjects: Family<SubjectLevel, Gauge> = registered!("subjects", "Subjects by the level last found");
        let alerts: Family<Kind, Counter> = registered!("alerts", "Alerts delivered, by kind");
        let alerts_failed: Counter<u64, AtomicU64> = registered!("alerts_failed", "Alerts that were not delivered");
        let lookup_tables: Gauge = registered!("lookup_tables", "Lookup tables that transactions can use");
        let lookup_addresses: Gauge = registered!("lookup_addresses", "Addresses that they hold");
        let lookup_failures: Counter = registered!("lookup_failures", "Upkeeps of lookup tables that failed");
        let foreign_words: Counter =
            registered!("foreign_words", "Words under this oracle's key that another instance said");
        let held_back: Gauge = registered!("words_held_back", "Words of the last round that the fee budget held back");
        let fees: Counter = registered!("fees_lamports", "Lamports paid for transactions");
        let sessions: Family<State, Gauge> =
            registered!("bgp_sessions", "BGP sessions as devices last told of them, each at both ends");
        let busy: Family<Busy, Gauge> =
            registered!("devices_by_cpu", "Devices by how busy they last told that their processors are");
        for what in TRANSACTION_KINDS {
            transactions.get_or_create(&kind(what)).inc_by(0);
            errors.get_or_create(&kind(what)).inc_by(0);
        }
        for due in Due::ALL {
            attested.get_or_create(&kind(due.name())).inc_by(0);
        }
        for what in RoundError::KINDS {
            failed_rounds.get_or_create(&kind(what)).inc_by(0);
        }
        for alert in AlertKind::ALL {
            alerts.get_or_create(&kind(alert.name())).inc_by(0);
        }
        let now_ms = time::now_ms();
        let pulse = Pulse { round_ms: now_ms, telemetry_ms: now_ms, moved_ms: now_ms, slot: 0, clock: None };
        let metrics = Self {
            registry: Arc::new(Mutex::new(registry)),
            batches,
            ignored_samples,
            refused,
            refused_total: Counter::default(),
            connections_refused,
            transactions,
            transactions_total: Counter::default(),
            errors,
            errors_total: Counter::default(),
            attested,
            attested_total: Counter::default(),
            advances,
            rounds,
            failed_rounds,
            failed_rounds_total: Counter::default(),
            round_seconds,
            round_age,
            telemetry_age,
            ledger_lag,
            ledger_lag_slots,
            pulse: Arc::new(Mutex::new(pulse)),
            criteria,
            in_set,
            balance,
            telemetry_waiting,
            alerts_waiting,
            slot,
            subjects,
            alerts,
            alerts_failed,
            lookup_tables,
            lookup_addresses,
            lookup_failures,
            foreign_words,
            held_back,
            fees,
            sessions,
            busy,
        };
        metrics.vitals(&Totals::default());
        metrics
    }
}

fn kind(kind: &str) -> Kind {
    Kind { kind: kind.to_owned() }
}

/// As a gauge has it; what no gauge can hold is as much as one can.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn seconds_between(from_ms: u64, to_ms: u64) -> f64 {
    Duration::from_millis(to_ms.saturating_sub(from_ms)).as_secs_f64()
}

/// A batch that waits for the disk; it is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Waiting(Gauge);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    fn pulse(&self, change: impl FnOnce(&mut Pulse)) {
        // A thread that died while it counted has left nothing half done that matters here.
        change(&mut self.pulse.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }

    pub(crate) fn waiting(&self) -> Waiting {
        self.telemetry_waiting.inc();
        Waiting(self.telemetry_waiting.clone())
    }

    pub(crate) fn alerts_waiting(&self, count: usize) {
        self.alerts_waiting.set(signed(count as u64));
    }

    pub(crate) fn balance(&self, lamports: u64) {
        self.balance.set(signed(lamports));
    }

    /// After the ledger was read.
    pub(crate) fn ledger_read(&self, slot: u64, clock: SlotClock, now_ms: u64) {
        self.slot.set(signed(slot));
        self.pulse(|pulse| {
            if slot > pulse.slot {
                pulse.moved_ms = now_ms;
            }
            // Back to an older slot is another node; from there on it has to go forward again.
            pulse.slot = slot;
            pulse.clock = Some(clock);
        });
    }

    pub(crate) fn batch_accepted(&self, ignored_samples: u64) {
        let now_ms = time::now_ms();
        self.pulse(|pulse| pulse.telemetry_ms = now_ms);
        self.batches.inc();
        self.ignored_samples.inc_by(ignored_samples);
    }

    pub(crate) fn batch_refused(&self, code: &str) {
        self.refused.get_or_create(&Code { code: code.to_owned() }).inc();
        self.refused_total.inc();
    }

    pub(crate) fn connection_refused(&self) {
        self.connections_refused.inc();
    }

    pub(crate) fn transactions_landed(&self, what: &str, count: u64) {
        if count > 0 {
            self.transactions.get_or_create(&kind(what)).inc_by(count);
            self.transactions_total.inc_by(count);
        }
    }

    pub(crate) fn lookup_tables(&self, tables: usize, addresses: usize) {
        self.lookup_tables.set(signed(tables as u64));
        self.lookup_addresses.set(signed(addresses as u64));
    }

    pub(crate) fn lookup_failed(&self) {
        self.lookup_failures.inc();
    }

    pub(crate) fn foreign_words(&self, count: usize) {
        self.foreign_words.inc_by(count as u64);
    }

    pub(crate) fn held_back(&self, words: usize) {
        self.held_back.set(i64::try_from(words).unwrap_or(i64::MAX));
    }

    pub(crate) fn fees(&self, lamports: u64) {
        self.fees.inc_by(lamports);
    }

    pub(crate) fn transaction_failed(&self, what: &str) {
        self.errors.get_or_create(&kind(what)).inc();
        self.errors_total.inc();
    }

    pub(crate) fn attested(&self, due: &str) {
        self.attested.get_or_create(&kind(due)).inc();
        self.attested_total.inc();
    }

    pub(crate) fn advanced(&self, count: usize) {
        self.advances.inc_by(count as u64);
    }

    pub(crate) fn round(&self, took: Duration) {
        let now_ms = time::now_ms();
        self.pulse(|pulse| pulse.round_ms = now_ms);
        self.rounds.inc();
        self.round_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn round_failed(&self, what: &str) {
        self.failed_rounds.get_or_create(&kind(what)).inc();
        self.failed_rounds_total.inc();
    }

    /// Replaces the numbers of subjects and criteria, so that those that are gone leave no series behind.
    pub(crate) fn judged(&self, round: &[Judged], in_set: bool) {
        self.in_set.set(i64::from(in_set));
        self.subjects.clear();
        self.criteria.clear();
        for judged in round {
            let (subject, level) = (judged.kind.name().to_owned(), judged.verdict.level.name().to_owned());
            self.subjects.get_or_create(&SubjectLevel { subject, level }).inc();
            for result in &judged.verdict.criteria {
                let series =
                    |outcome| CriterionOutcome { kind: judged.kind.name(), criterion: result.id.name(), outcome };
                for outcome in Outcome::ALL {
                    let gauge = self.criteria.get_or_create(&series(outcome.name()));
                    gauge.inc_by(i64::from(outcome == result.passed));
                }
            }
        }
    }

    /// Replaces what devices say of sessions and processors.
    pub(crate) fn vitals(&self, totals: &Totals) {
        for (state, count) in [("established", totals.established), ("down", totals.down)] {
            self.sessions.get_or_create(&State { state }).set(signed(count));
        }
        for busy_percent in Totals::bands() {
            let count = totals.by_busy.get(busy_percent).copied().unwrap_or(0);
            self.busy.get_or_create(&Busy { busy_percent }).set(signed(count));
        }
    }

    pub(crate) fn alert(&self, what: AlertKind, delivered: bool) {
        if delivered {
            self.alerts.get_or_create(&kind(what.name())).inc();
        } else {
            self.alerts_failed.inc();
        }
    }

    /// The totals.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters {
            transactions: self.transactions_total.get(),
            transaction_errors: self.errors_total.get(),
            rounds: self.rounds.get(),
            failed_rounds: self.failed_rounds_total.get(),
            batches: self.batches.get(),
            refused_batches: self.refused_total.get(),
            attestations: self.attested_total.get(),
            advances: self.advances.get(),
        }
    }

    /// Everything in OpenMetrics' text form, with ages as of now.
    #[must_use]
    pub fn text(&self) -> String {
        self.text_at(time::now_ms())
    }

    fn text_at(&self, now_ms: u64) -> String {
        self.pulse(|pulse| {
            self.round_age.set(seconds_between(pulse.round_ms, now_ms));
            self.telemetry_age.set(seconds_between(pulse.telemetry_ms, now_ms));
            self.ledger_lag.set(seconds_between(pulse.moved_ms, now_ms));
            let clock = pulse.clock.unwrap_or_else(|| SlotClock::new(0, 0));
            self.ledger_lag_slots.set(signed(clock.slots_in(now_ms.saturating_sub(pulse.moved_ms))));
        });
        let mut text = String::new();
        if let Ok(registry) = self.registry.lock() {
            // Writing to a string does not fail; were it to, the page is empty and the scrape shows it.
            let _ = encode(&mut text, &registry);
        }
        text
    }
}

/// OpenMetrics' text in the older form of Prometheus, for what asks for that: there the name of a counter ends in
/// `_total` in its description as well, and no end is marked.
#[must_use]
pub fn in_old_form(text: &str) -> String {
    let counters: std::collections::BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let mut old = String::new();
    for line in text.lines().filter(|line| *line != "# EOF") {
        let described = ["# HELP ", "# TYPE "].into_iter().find_map(|begin| {
            let (name, rest) = line.strip_prefix(begin)?.split_once(' ')?;
            counters.contains(name).then(|| format!("{begin}{name}_total {rest}\n"))
        });
        old.push_str(&described.unwrap_or_else(|| format!("{line}\n")));
    }
    old
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
