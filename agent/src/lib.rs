//! The agent of a device: `pull -> compare -> stage -> commit with a timer -> verify -> confirm | revert -> report`, and
//! measuring beside it.
//!
//! Guarantees: only bundles signed by a pinned controller key, for this device and family, and no older than what the
//! device has had, are applied; killed at any point, the device runs the old configuration or the new one; without a
//! controller everything keeps running and is still measured; one slow oracle delays no other.
//!
//! [`core`] decides and [`apply`] acts on a [`driver::Driver`]: [`frr`] is a real router, [`sim`] a simulated network of devices for tests and
//! demonstrations. What an agent does not do: read the ledger, or judge what it measures.

pub mod agent;
pub mod apply;
pub mod backoff;
pub mod bundle;
pub mod client;
pub mod config;
pub mod core;
pub mod driver;
pub mod eos;
pub mod frr;
pub mod operation;
pub mod order;
pub mod plan;
pub mod probing;
mod pull;
mod running;
mod shared;
pub mod sim;
pub mod stamp;
pub mod state;
pub mod stops;
pub mod telemetry;
pub mod trust;

pub use agent::{Agent, AgentHandle, StartError};
pub use config::{AgentConfig, Intervals};
pub use shared::{OracleStatus, Status};
