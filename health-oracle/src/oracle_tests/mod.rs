//! A whole oracle over a fake ledger: real HTTP, real stores, real signatures, made-up chain.

mod clickhouse;
mod endpoint;
mod fake_chain;
mod instances;
mod judged;
pub(crate) mod network;
mod operation;
mod scene;
mod silence;
mod words;
