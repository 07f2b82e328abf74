//! Arista EOS. By an agent, or pushed over eAPI; the switch itself has the timer that takes a commit back.

use super::Strategy;
use crate::{
    adapter::Candidate,
    spec::{Family, Transport},
};

/// Lines that would end a configuration session, and what follows would be entered into what runs.
const LEAVES_SESSION: [&str; 4] = ["commit", "abort", "configure", "end"];

/// Arista EOS.
#[derive(Clone, Copy, Debug, Default)]
pub struct Eos;

impl Strategy for Eos {
    fn family(&self) -> Family {
        Family::Eos
    }

    fn transports(&self) -> &'static [Transport] {
        &[Transport::AgentPull, Transport::EapiPush, Transport::InMemory]
    }

    /// A session begins with what runs: what is entered comes on top of it.
    fn again(&self, told: &str) -> String {
        causeway_agent::eos::again(told)
    }

    fn objection(&self, candidate: &Candidate) -> Option<String> {
        let mut lines = candidate.text.lines().enumerate();
        let leaves = |line: &str| line.split_whitespace().next().is_some_and(|word| LEAVES_SESSION.contains(&word));
        let (at, line) = lines.find(|(_, line)| leaves(line))?;
        Some(format!("line {}, {line:?}, would leave the configuration session", at + 1))
    }
}
