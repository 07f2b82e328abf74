//! The controller: turns the ledger into router configurations and serves them.
//!
//! `watch -> topology -> plan -> render -> serve`. The middle is pure: [`topology`], [`backbone`], [`plan`], [`probes`],
//! [`render`] and [`guards`] know no clock, socket or storage, and the CLI renders offline through the very same function.
//!
//! It never writes to the ledger and holds no state that can't be made anew from it but its log of what people did
//! ([`audit`]) and what it served last, by which its next start is measured ([`kept`]), so any number may run. Provisioning jobs have a memory, in a store of their own ([`jobs`]); what agents are
//! served for them is in [`orders`]. What has to be written to the ledger it prepares for others to sign ([`onboard`]).

pub mod agent_port;
pub mod audit;
pub mod auth;
pub mod backbone;
pub mod change;
pub mod codes;
pub mod daemon;
pub mod event_stream;
pub mod events;
pub mod feed;
pub mod grpc;
pub mod guards;
pub mod http;
pub mod job_events;
pub mod job_start;
pub mod jobs;
pub mod kept;
pub mod metrics;
pub mod names;
pub mod offering;
pub mod onboard;
pub mod operators;
pub mod orders;
pub mod plan;
pub mod prepare;
pub mod presence;
pub mod probes;
pub mod rate;
pub mod render;
pub mod running;
pub mod services;
pub mod shared;
pub mod signed;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tls;
pub mod topology;
