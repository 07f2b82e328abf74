//! Arista EOS over eAPI: configuration sessions with a commit timer.
//!
//! One bundle is one session `causeway-<nonce>`: a copy of what runs, with the text entered into it line by line. What EOS
//! itself makes of that is the wanted configuration, in the switch's own words; it is committed with a timer that EOS
//! keeps, compared with what then runs, and committed for good or aborted. See rfcs/0014 for why, docs/agent-eos.md for
//! how to set it up and for what has only been seen on a model.
//!
//! Guarantees: only sessions with our own prefix are ever aborted; nothing is committed beside another's timer; lines that
//! would leave the session are refused before they are sent; an answer that can't be read is an error, never a
//! default; every call is bounded in time and size.
//!
//! What it does not do: decide, retry, or probe. EOS commits a session as a whole configuration: what somebody else
//! changes between the driver's last look and the commit is lost, a window of one round trip.

pub mod args;
mod calls;
pub mod config;
mod driver;
mod managed;
mod routing;
pub mod rpc;
mod session;
mod show;
mod text;
mod transport;

pub use crate::probing::{NoProber, Prober};
pub use args::EosArgs;
pub use config::{EosConfig, EosConfigError, Timeouts};
pub use driver::EosDriver;
pub use text::{again, full_name, unfit};
