//! What is counted, for Prometheus.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicI64, AtomicU64},
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

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
    round_ms: Gauge,
    slot: Gauge<i64, AtomicI64>,
    subjects: Family<SubjectLevel, Gauge>,
    alerts: Family<Kind, Counter>,
    alerts_failed: Counter<u64, AtomicU64>,
    lookup_tables: Gauge,
    lookup_addresses: Gauge,
    lookup_failures: Counter,
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
        let round_ms: Gauge = registered!("round_milliseconds", "Time that the last round took");
        let slot: Gauge<i64, AtomicI64> = registered!("ledger_slot", "Slot of the last snapshot");
        let subjects: Family<SubjectLevel, Gauge> = registered!("subjects", "Subjects by the level last found");
        let alerts: Family<Kind, Counter> = registered!("alerts", "Alerts delivered, by kind");
        let alerts_failed: Counter<u64, AtomicU64> = registered!("alerts_failed", "Alerts that were not delivered");
        let lookup_tables: Gauge = registered!("lookup_tables", "Lookup tables that transactions can use");
        let lookup_addresses: Gauge = registered!("lookup_addresses", "Addresses that they hold");
        let lookup_failures: Counter = registered!("lookup_failures", "Upkeeps of lookup tables that failed");
        Self {
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
            round_ms,
            slot,
            subjects,
            alerts,
            alerts_failed,
            lookup_tables,
            lookup_addresses,
            lookup_failures,
        }
    }
}

fn kind(kind: &str) -> Kind {
    Kind { kind: kind.to_owned() }
}

impl Metrics {
    pub(crate) fn batch_accepted(&self, ignored_samples: u64) {
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
        let set = |gauge: &Gauge, count| gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        set(&self.lookup_tables, tables);
        set(&self.lookup_addresses, addresses);
    }

    pub(crate) fn lookup_failed(&self) {
        self.lookup_failures.inc();
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

    pub(crate) fn round(&self, slot: u64, took_ms: u64) {
        self.rounds.inc();
        self.slot.set(i64::try_from(slot).unwrap_or(i64::MAX));
        self.round_ms.set(i64::try_from(took_ms).unwrap_or(i64::MAX));
    }

    pub(crate) fn round_failed(&self, what: &str) {
        self.failed_rounds.get_or_create(&kind(what)).inc();
        self.failed_rounds_total.inc();
    }

    /// Replaces the numbers of subjects, so that those that are gone leave no series behind.
    pub(crate) fn subjects<'a>(&self, levels: impl Iterator<Item = (&'a str, &'a str)>) {
        self.subjects.clear();
        for (subject, level) in levels {
            self.subjects.get_or_create(&SubjectLevel { subject: subject.to_owned(), level: level.to_owned() }).inc();
        }
    }

    pub(crate) fn alert(&self, what: &str, delivered: bool) {
        if delivered {
            self.alerts.get_or_create(&kind(what)).inc();
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

    /// The text that Prometheus reads.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        if let Ok(registry) = self.registry.lock() {
            // Writing to a string does not fail; were it to, the page is empty and the scrape shows it.
            let _ = encode(&mut text, &registry);
        }
        text
    }
}
