//! FRRouting on Linux, 8.4 and later, as the agent's device.
//!
//! A text is rehearsed before anything runs of it: a second FRR without interfaces ([`shadow`]) takes it, goes back to what
//! runs and forward again. The difference ([`diff`]) between what runs and how FRR shows the text is then given to the real one in
//! one `vtysh` ([`vtysh`]). Before that the revert is armed in a process of its own ([`watchdog`]), with all that it needs
//! in a file ([`memory`]).
//!
//! Guarantees: a line that FRR refuses changes nothing; killed at any point, agent or watchdog or both, the device ends on
//! what it ran or on the whole new text, at the latest after the next start of the agent; nothing is saved before it is
//! confirmed. What an operator configured beside the managed sections ([`scope`]) is left alone.
//!
//! What it does not do: start, stop or restart FRR's daemons; give interfaces names, VRFs or port channels.

pub mod arrival;
pub mod daemons;
pub mod database;
pub mod device;
pub mod diff;
pub mod driver;
pub mod engine;
pub mod links;
pub mod memory;
pub mod observe;
pub mod passage;
pub mod processors;
pub mod run;
pub mod scope;
pub mod shadow;
pub mod stale;
pub mod startup;
pub mod tree;
pub mod values;
pub mod vty;
pub mod vtysh;
pub mod watchdog;

pub use crate::probing::{NoProber, Prober};
pub use driver::{FrrDriver, FrrOptions};
