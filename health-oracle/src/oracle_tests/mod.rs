//! A whole oracle over a fake ledger: real HTTP, real stores, real signatures, made-up chain.

mod endpoint;
mod fake_chain;
mod judged;
mod network;
mod scene;
mod words;
