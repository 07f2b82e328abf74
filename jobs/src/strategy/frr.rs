//! FRRouting. An agent beside the router applies; it has the watchdog that takes a commit back.

use super::Strategy;
use crate::{
    adapter::Candidate,
    spec::{Family, Transport},
};

/// FRRouting.
#[derive(Clone, Copy, Debug, Default)]
pub struct Frr;

impl Strategy for Frr {
    fn family(&self) -> Family {
        Family::Frr
    }

    fn transports(&self) -> &'static [Transport] {
        &[Transport::AgentPull, Transport::InMemory]
    }

    /// An empty or invalid file makes FRR's reload remove every line (FRRouting/frr#10453).
    fn objection(&self, candidate: &Candidate) -> Option<String> {
        let lines =
            candidate.text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('!'));
        (lines.count() == 0).then(|| "a text without a line would take everything away".to_owned())
    }
}
