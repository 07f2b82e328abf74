//! Running an agent as a service: its settings, its keys, and what it says of itself.

pub mod metrics;
pub mod serve;

pub use causeway_settings::{Failure, Origin, Problem, Settings, key, shown};
pub use metrics::Sources;

/// The agent, as a program that has settings.
pub const PROGRAM: causeway_settings::Program = causeway_settings::Program {
    code: "CW-AGENT-CONFIG",
    variable: "CAUSEWAY_AGENT_CONFIG",
    example: "deploy/agent/agent.example.toml",
};
