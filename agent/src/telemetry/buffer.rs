//! What waits for one oracle: bounded, oldest lost first, losses counted. Pure.

use std::{collections::VecDeque, sync::Arc};

use causeway_wire::telemetry::{AdjacencySample, Batch, ConfigSample, InterfaceSample, ProbeSample};

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
}

impl Samples {
    /// How many.
    pub fn len(&self) -> usize {
        self.interfaces.len() + self.adjacencies.len() + self.probes.len() + self.configs.len()
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Samples on their way out, and the losses to be told with them.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    /// In order of time; at least one.
    pub moments: Vec<Arc<Samples>>,
    /// Lost since the last batch that was taken.
    pub lost: u64,
}

impl Taken {
    /// Samples in it.
    pub fn len(&self) -> usize {
        self.moments.iter().map(|moment| moment.len()).sum()
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The batch to sign.
    pub fn batch(&self, device: &str, sequence: u64) -> Batch {
        let mut batch = Batch {
            device: device.to_owned(),
            sequence,
            from_unix_ms: self.moments.iter().map(|m| m.at_unix_ms).min().unwrap_or(0),
            to_unix_ms: self.moments.iter().map(|m| m.at_unix_ms).max().unwrap_or(0),
            lost_samples: self.lost,
            ..Batch::default()
        };
        for moment in &self.moments {
            batch.interfaces.extend(moment.interfaces.iter().cloned());
            batch.adjacencies.extend(moment.adjacencies.iter().cloned());
            batch.probes.extend(moment.probes.iter().cloned());
            batch.configs.extend(moment.configs.iter().cloned());
        }
        batch
    }
}

/// The buffer of one oracle.
#[derive(Debug)]
pub struct Buffer {
    waiting: VecDeque<Arc<Samples>>,
    samples: usize,
    bound: usize,
    lost: u64,
}

impl Buffer {
    /// Holds at most `bound` samples.
    pub fn new(bound: usize) -> Self {
        Self { waiting: VecDeque::new(), samples: 0, bound, lost: 0 }
    }

    /// Adds a moment; returns how many samples were lost for it.
    pub fn push(&mut self, moment: Arc<Samples>) -> u64 {
        let before = self.lost;
        self.samples += moment.len();
        self.waiting.push_back(moment);
        while self.samples > self.bound {
            let Some(oldest) = self.waiting.pop_front() else { break };
            self.samples -= oldest.len();
            self.lose(oldest.len());
        }
        self.lost - before
    }

    /// The oldest moments of at most `max` samples together, but at least one moment.
    pub fn take(&mut self, max: usize) -> Option<Taken> {
        let mut moments = Vec::new();
        let mut samples = 0;
        while let Some(next) = self.waiting.front() {
            if !moments.is_empty() && samples + next.len() > max {
                break;
            }
            samples += next.len();
            moments.extend(self.waiting.pop_front());
        }
        self.samples -= samples;
        (!moments.is_empty()).then(|| Taken { moments, lost: std::mem::take(&mut self.lost) })
    }

    /// What was taken never arrived: its samples and the losses it would have told of are lost.
    pub fn give_up(&mut self, taken: &Taken) {
        self.lost = self.lost.saturating_add(taken.lost);
        self.lose(taken.len());
    }

    fn lose(&mut self, samples: usize) {
        self.lost = self.lost.saturating_add(u64::try_from(samples).unwrap_or(u64::MAX));
    }

    /// Samples that wait.
    pub fn len(&self) -> usize {
        self.samples
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn moment(at_unix_ms: u64, samples: usize) -> Arc<Samples> {
        Arc::new(Samples { at_unix_ms, configs: vec![ConfigSample::default(); samples], ..Samples::default() })
    }

    #[test]
    fn a_full_buffer_loses_the_oldest_and_says_so_once() {
        let mut buffer = Buffer::new(10);
        let lost: u64 = (0..5).map(|at| buffer.push(moment(at, 4))).sum();
        assert_eq!((buffer.len(), lost), (8, 12));
        let taken = buffer.take(100).unwrap();
        assert_eq!((taken.moments.len(), taken.lost), (2, 12));
        let batch = taken.batch("a", 7);
        assert_eq!((batch.from_unix_ms, batch.to_unix_ms, batch.lost_samples, batch.configs.len()), (3, 4, 12, 8));
        buffer.push(moment(9, 1));
        assert_eq!(buffer.take(100).unwrap().lost, 0);
    }

    #[test]
    fn a_batch_that_is_given_up_counts_with_what_it_carried() {
        let mut buffer = Buffer::new(4);
        (0..3).for_each(|at| assert!(buffer.push(moment(at, 3)) <= 3));
        let taken = buffer.take(100).unwrap();
        assert_eq!(taken.lost, 6);
        buffer.give_up(&taken);
        buffer.push(moment(4, 1));
        assert_eq!(buffer.take(100).unwrap().lost, 9);
    }

    proptest! {
        /// Every sample that went in is waiting, delivered or counted as lost, and the bound holds.
        #[test]
        fn nothing_vanishes(bound in 0_usize..40, steps in prop::collection::vec((0_u8..4, 0_usize..15), 0..80)) {
            let mut buffer = Buffer::new(bound);
            let (mut pushed, mut delivered, mut told) = (0_usize, 0_usize, 0_u64);
            for (step, size) in steps {
                match step {
                    0 | 1 => { pushed += size; buffer.push(moment(0, size)); }
                    2 => if let Some(taken) = buffer.take(size) { delivered += taken.len(); told += taken.lost; },
                    _ => if let Some(taken) = buffer.take(size) { buffer.give_up(&taken) },
                }
                prop_assert!(buffer.len() <= bound);
            }
            let waiting = buffer.len();
            if let Some(taken) = buffer.take(usize::MAX) { told += taken.lost } else { told += buffer.lost }
            prop_assert_eq!(pushed as u64, delivered as u64 + waiting as u64 + told);
        }
    }
}
