//! The health oracle: signed telemetry in, verdicts and attestations out.
//!
//! ```text
//! agents --signed batches--> ingest -> telemetry -> criteria -> verdicts -> evidence -> Attest  --> ledger
//!                                      store            ^                            |
//! ledger --snapshot--------> keys, facts ---------------'                         Advance --> ledger
//! ```
//!
//! - [`criteria`]: the rules, pure; its documentation says how window, hold and burn-in fit together.
//! - [`ingest`]: telemetry in, bounded and verified.
//! - [`telemetry`]: what is known of every series, in memory; what a round judges.
//! - [`store`]: what is kept, and read back at the next start: SQLite or ClickHouse.
//! - [`config`], [`book`]: what an oracle is told, and by which rules it judges whom.
//! - [`subjects`], [`submission`], [`round`]: what is judged, what is said, and one turn of it all.
//! - `tables`: lookup tables, so that one transaction carries the words of a whole network.
//! - [`evidence`]: what a word rests on, hashed to what is signed.
//! - [`backtest`]: recorded telemetry, judged by other thresholds.
//! - [`Oracle`]: a running oracle, for the daemon of this package and for programs that embed several.
//!
//! It guarantees that no unsigned, foreign or replayed sample counts, that missing data is never health, that a store or
//! ledger that can't be read leads to silence and never to a word, and that nothing is attested whose evidence is not
//! on disk. It trusts the ledger's RPC endpoint for what the ledger holds, and its own clock. It decides nothing: a
//! quorum onchain does.

pub mod alerts;
mod api;
pub mod backtest;
pub mod book;
pub mod chain;
pub mod config;
pub mod criteria;
pub mod evidence;
pub mod ingest;
pub mod metrics;
mod oracle;
pub mod round;
mod rpc;
mod secret;
pub mod serve;
pub mod since;
pub mod store;
pub mod subjects;
pub mod submission;
mod tables;
pub mod telemetry;
pub mod time;

pub use book::{Overrides, RuleBook};
pub use config::Config;
pub use criteria::{Verdict, coverage::Rules};
pub use metrics::Counters;
pub use oracle::{Oracle, OracleHandle, StartError};
pub use round::Published;
pub use subjects::Kind;
