//! The health oracle: signed telemetry in, verdicts and attestations out.
pub mod criteria;
pub mod evidence;
pub mod store;
pub mod submission;
pub mod telemetry;
pub mod time;
