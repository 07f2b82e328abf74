//! Simulated devices: nothing is different.

use super::Strategy;
use crate::spec::{Family, Transport};

/// Simulated devices.
#[derive(Clone, Copy, Debug, Default)]
pub struct Simulator;

impl Strategy for Simulator {
    fn family(&self) -> Family {
        Family::Simulator
    }

    fn transports(&self) -> &'static [Transport] {
        &[Transport::InMemory, Transport::AgentPull]
    }
}
