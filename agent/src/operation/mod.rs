//! Running an agent as a service: its settings, its keys, and what it says of itself.

pub mod metrics;
pub mod problem;
pub mod serve;
pub mod settings;

pub use metrics::Sources;
pub use problem::Problem;
pub use settings::{Failure, Origin, Settings};
