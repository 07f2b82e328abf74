//! What is measured at one moment, and how it is kept and sent. Pure.

use causeway_wire::telemetry::{
    AdjacencySample, Batch, ConfigSample, InterfaceSample, ProbeSample, SessionSample, SystemSample,
};
use prost::{DecodeError, Message};

/// Samples of one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    /// Unix milliseconds.
    pub at_unix_ms: u64,
    /// Interfaces.
    pub interfaces: Vec<InterfaceSample>,
    /// Adjacencies.
    pub adjacencies: Vec<AdjacencySample>,
    /// Probes.
    pub probes: Vec<ProbeSample>,
    /// Configuration.
    pub configs: Vec<ConfigSample>,
    /// BGP sessions.
    pub sessions: Vec<SessionSample>,
    /// The machine.
    pub systems: Vec<SystemSample>,
}

impl Samples {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        let judged = self.interfaces.len() + self.adjacencies.len() + self.probes.len() + self.configs.len();
        judged + self.sessions.len() + self.systems.len()
    }

    /// None at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Parts of at most `most` samples each, and at least one: an oracle takes no batch without a bound.
    #[must_use]
    pub fn split(mut self, most: usize) -> Vec<Self> {
        let mut parts = Vec::new();
        while self.len() > most.max(1) {
            let mut room = most.max(1);
            let part = Self {
                at_unix_ms: self.at_unix_ms,
                interfaces: first(&mut self.interfaces, &mut room),
                adjacencies: first(&mut self.adjacencies, &mut room),
                probes: first(&mut self.probes, &mut room),
                configs: first(&mut self.configs, &mut room),
                sessions: first(&mut self.sessions, &mut room),
                systems: first(&mut self.systems, &mut room),
            };
            parts.push(part);
        }
        parts.push(self);
        parts
    }

    /// As it is kept.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut batch = Batch { from_unix_ms: self.at_unix_ms, to_unix_ms: self.at_unix_ms, ..Batch::default() };
        self.add_to(&mut batch);
        batch.encode_to_vec()
    }

    /// As it was kept.
    ///
    /// # Errors
    /// The bytes are something else.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Batch { from_unix_ms: at_unix_ms, interfaces, adjacencies, probes, configs, sessions, systems, .. } =
            Batch::decode(bytes)?;
        Ok(Self { at_unix_ms, interfaces, adjacencies, probes, configs, sessions, systems })
    }

    /// Adds its samples to a batch.
    pub fn add_to(&self, batch: &mut Batch) {
        batch.interfaces.extend(self.interfaces.iter().cloned());
        batch.adjacencies.extend(self.adjacencies.iter().cloned());
        batch.probes.extend(self.probes.iter().cloned());
        batch.configs.extend(self.configs.iter().cloned());
        batch.sessions.extend(self.sessions.iter().cloned());
        batch.systems.extend(self.systems.iter().copied());
    }
}

/// As many of the first as there is room for.
fn first<T>(from: &mut Vec<T>, room: &mut usize) -> Vec<T> {
    let rest = from.split_off((*room).min(from.len()));
    *room -= from.len();
    std::mem::replace(from, rest)
}

/// Samples in a batch.
#[must_use]
pub fn count(batch: &Batch) -> u64 {
    let judged = batch.interfaces.len() + batch.adjacencies.len() + batch.probes.len() + batch.configs.len();
    u64::try_from(judged + batch.sessions.len() + batch.systems.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn samples(at_unix_ms: u64, counts: [usize; 6]) -> Samples {
        let name = |n: usize| format!("eth{n}");
        Samples {
            at_unix_ms,
            interfaces: (0..counts[0]).map(|n| InterfaceSample { interface: name(n), ..Default::default() }).collect(),
            adjacencies: (0..counts[1]).map(|n| AdjacencySample { interface: name(n), ..Default::default() }).collect(),
            probes: (0..counts[2]).map(|n| ProbeSample { target: name(n), ..Default::default() }).collect(),
            configs: (0..counts[3]).map(|n| ConfigSample { at_unix_ms: n as u64, ..Default::default() }).collect(),
            sessions: (0..counts[4]).map(|n| SessionSample { at_unix_ms: n as u64, ..Default::default() }).collect(),
            systems: (0..counts[5]).map(|n| SystemSample { at_unix_ms: n as u64, ..Default::default() }).collect(),
        }
    }

    proptest! {
        #[test]
        fn parts_are_the_whole_in_order_and_within_the_bound(counts: [u8; 6], most in 0_usize..50) {
            let whole = samples(7, counts.map(usize::from));
            let parts = whole.clone().split(most);
            prop_assert!(parts.iter().all(|part| part.len() <= most.max(1) && part.at_unix_ms == 7));
            prop_assert!(parts.len() <= whole.len() / most.max(1) + 1);
            let mut all = Batch::default();
            parts.iter().for_each(|part| part.add_to(&mut all));
            prop_assert_eq!(count(&all), whole.len() as u64);
            let joined = Samples {
                at_unix_ms: 7,
                interfaces: all.interfaces,
                adjacencies: all.adjacencies,
                probes: all.probes,
                configs: all.configs,
                sessions: all.sessions,
                systems: all.systems,
            };
            prop_assert_eq!(&joined, &whole);
            prop_assert_eq!(Samples::decode(&whole.encode()).unwrap(), whole);
        }
    }
}
