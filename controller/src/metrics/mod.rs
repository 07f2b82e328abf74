//! `/metrics`: counters that grow, and gauges made anew from the store at each scrape, so that a device that is gone
//! leaves no series behind. `page.rs` writes them.

mod page;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

pub use page::page;

use crate::{auth::AuthError, shared::now_ms, store::ReportResult};

/// Upper bounds of the buckets of how long taking the ledger in took, in seconds: a small change of a small network takes
/// about a millisecond, a whole snapshot of ten thousand devices some seconds.
pub const BUCKETS: [f64; 8] = [0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0];

/// What was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// The ledger as a whole.
    Snapshot,
    /// A small change.
    Change,
}

impl What {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Snapshot, Self::Change];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Change => "change",
        }
    }
}

/// How long something took, in buckets that count what took at most as long as their bound.
#[derive(Clone, Copy, Debug, Default)]
struct Durations {
    within: [u64; BUCKETS.len()],
    count: u64,
    seconds: f64,
}

impl Durations {
    fn note(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        self.count += 1;
        self.seconds += seconds;
        for (bound, within) in BUCKETS.iter().zip(&mut self.within) {
            *within += u64::from(seconds <= *bound);
        }
    }
}

/// Counts by name. Names come from this program, so that there are only so many.
type Counts = BTreeMap<&'static str, u64>;

#[derive(Debug, Default)]
struct Inner {
    refused_calls: Counts,
    reports: BTreeMap<&'static str, u64>,
    events: Counts,
    durations: BTreeMap<What, Durations>,
    answers: BTreeMap<u16, u64>,
}

/// Counters.
#[derive(Debug)]
pub struct Metrics {
    inner: Mutex<Inner>,
    /// Whoever watches holds a clone.
    watchers: Arc<()>,
    polls_with_text: AtomicU64,
    polls_unchanged: AtomicU64,
    refused_connections: AtomicU64,
    refused_agent_connections: AtomicU64,
    started_unix_ms: u64,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            inner: Mutex::default(),
            watchers: Arc::default(),
            polls_with_text: AtomicU64::new(0),
            polls_unchanged: AtomicU64::new(0),
            refused_connections: AtomicU64::new(0),
            refused_agent_connections: AtomicU64::new(0),
            started_unix_ms: now_ms(),
        }
    }
}

/// Somebody who watches, until it is dropped.
#[derive(Debug)]
pub struct Watcher(#[allow(dead_code)] Arc<()>);

impl Metrics {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a caller that was not let in.
    pub fn refused(&self, error: AuthError) {
        *self.inner().refused_calls.entry(error.code()).or_default() += 1;
    }

    /// Counts a caller above its rate.
    pub fn rate_limited(&self) {
        *self.inner().refused_calls.entry("rate-limited").or_default() += 1;
    }

    /// Counts a report.
    pub fn report(&self, result: ReportResult) {
        *self.inner().reports.entry(result.name()).or_default() += 1;
    }

    /// Counts a poll, and whether it was answered with a text.
    pub fn polled(&self, with_text: bool) {
        let polls = if with_text { &self.polls_with_text } else { &self.polls_unchanged };
        polls.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts something that happened.
    pub fn happened(&self, kind: &'static str) {
        *self.inner().events.entry(kind).or_default() += 1;
    }

    /// Notes how long it took to take the ledger in and make every text that it asks for.
    pub fn rendered(&self, what: What, took: Duration) {
        self.inner().durations.entry(what).or_default().note(took);
    }

    /// Counts an answer over HTTP.
    pub fn answered(&self, status: u16) {
        *self.inner().answers.entry(status).or_default() += 1;
    }

    /// Counts a connection of people that was one too many.
    pub fn connection_refused(&self) {
        self.refused_connections.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection of agents that was one too many.
    pub fn agent_connection_refused(&self) {
        self.refused_agent_connections.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an agent that watches, for as long as the result lives.
    #[must_use]
    pub fn watcher(&self) -> Watcher {
        Watcher(Arc::clone(&self.watchers))
    }

    /// When the process began, unix milliseconds.
    #[must_use]
    pub const fn started_unix_ms(&self) -> u64 {
        self.started_unix_ms
    }
}
