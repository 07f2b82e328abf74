//! A simulated network: devices with a real configuration model, cables between them, an internet, and faults.
//!
//! Everything that a simulated device shows (interfaces up, adjacencies, routes, sessions, counters, probe answers)
//! follows from the configurations, the cabling and the faults; nothing is scripted. The same calls in the same order at
//! the same times give the same results. It does not model packets, protocol timers or convergence: a change has its
//! effect at once. It is for tests and demonstrations, and says simulator wherever a user can choose it.

pub mod config;
mod derive;
mod device;
mod driver;
mod fabric;
mod faults;
#[cfg(test)]
mod tests;
mod traffic;
mod world;

pub use config::Family;
pub use derive::Route;
pub use driver::SimDriver;
pub use fabric::{Fabric, FabricError, Port, SessionState, UplinkKind};
pub use faults::{Fault, FaultId, Moment, Verb};
