//! From samples to buckets. Pure.
//!
//! Counters are cumulative since the device came up. What counts is their growth from one sample to the next. A counter
//! that has gone back means that the device restarted (or that somebody cleared it): its growth is what it shows now,
//! as counted from zero, and carrier transitions begin anew, because coming up is one of them. The first sample ever
//! has no growth.

use causeway_interface::{Code, InterfaceName};
use causeway_wire::telemetry::{AdjacencySample, InterfaceSample, ProbeSample};

use super::{AdjacencyBucket, InterfaceBucket, ProbeBucket, ProbeKind};

/// A series' identity within its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SeriesKey {
    /// An interface.
    Interface(InterfaceName),
    /// An adjacency.
    Adjacency(InterfaceName),
    /// Probes.
    Probe(ProbeKind, Code),
}

impl SeriesKey {
    /// Of an interface sample; none for a name that no interface can have.
    #[must_use]
    pub fn of_interface(sample: &InterfaceSample) -> Option<Self> {
        sample.interface.parse().ok().map(Self::Interface)
    }

    /// Of an adjacency sample.
    #[must_use]
    pub fn of_adjacency(sample: &AdjacencySample) -> Option<Self> {
        sample.interface.parse().ok().map(Self::Adjacency)
    }

    /// Of a probe sample; none for an undefined kind or a target that is no code.
    #[must_use]
    pub fn of_probe(sample: &ProbeSample) -> Option<Self> {
        Some(Self::Probe(ProbeKind::from_number(sample.kind)?, sample.target.parse().ok()?))
    }

    /// The number of its kind as stored: 1 interface, 2 adjacency, 10 and up probes by kind.
    #[must_use]
    pub fn kind_number(&self) -> i64 {
        match self {
            Self::Interface(_) => 1,
            Self::Adjacency(_) => 2,
            Self::Probe(kind, _) => 10 + *kind as i64,
        }
    }

    /// The key of this number and name, as stored; none for what was never stored.
    #[must_use]
    pub fn from_stored(kind_number: i64, name: &str) -> Option<Self> {
        match kind_number {
            1 => name.parse().ok().map(Self::Interface),
            2 => name.parse().ok().map(Self::Adjacency),
            _ => {
                let kind = ProbeKind::ALL.into_iter().find(|kind| 10 + *kind as i64 == kind_number)?;
                name.parse().ok().map(|target| Self::Probe(kind, target))
            }
        }
    }

    /// Its name as stored.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Interface(name) | Self::Adjacency(name) => name.as_str(),
            Self::Probe(_, target) => target.as_str(),
        }
    }
}

/// An interface's counters at its last sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Octets in and out.
    pub octets: [u64; 2],
    /// Errors in and out.
    pub errors: [u64; 2],
    /// Discards in and out.
    pub discards: [u64; 2],
    /// Carrier transitions.
    pub carrier: u64,
}

impl Counters {
    /// Of a sample.
    #[must_use]
    pub fn of(sample: &InterfaceSample) -> Self {
        Self {
            octets: [sample.in_octets, sample.out_octets],
            errors: [sample.in_errors, sample.out_errors],
            discards: [sample.in_discards, sample.out_discards],
            carrier: sample.carrier_transitions,
        }
    }
}

fn growth(before: u64, now: u64) -> u64 {
    now.checked_sub(before).unwrap_or(now)
}

fn both(before: [u64; 2], now: [u64; 2]) -> u64 {
    growth(before[0], now[0]).saturating_add(growth(before[1], now[1]))
}

/// One interface sample as a bucket of its own.
#[must_use]
pub fn interface(before: Option<&Counters>, sample: &InterfaceSample) -> InterfaceBucket {
    between(before, &Counters::of(sample), sample.oper_up)
}

/// The bucket of a sample with these counters.
#[must_use]
pub fn between(before: Option<&Counters>, now: &Counters, up: bool) -> InterfaceBucket {
    let mut bucket = InterfaceBucket { samples: 1, down: u32::from(!up), ..InterfaceBucket::default() };
    if let Some(before) = before {
        let restarted =
            now.octets.iter().zip(before.octets).any(|(now, before)| *now < before) || now.carrier < before.carrier;
        bucket.compared = 1;
        bucket.octets = both(before.octets, now.octets);
        bucket.errors = both(before.errors, now.errors);
        bucket.discards = both(before.discards, now.discards);
        bucket.flaps = if restarted { 0 } else { growth(before.carrier, now.carrier) };
    }
    bucket
}

/// One adjacency sample as a bucket of its own.
#[must_use]
pub fn adjacency(sample: &AdjacencySample) -> AdjacencyBucket {
    AdjacencyBucket { samples: 1, down: u32::from(!sample.up) }
}

/// One probe sample as a bucket of its own.
#[must_use]
pub fn probe(sample: &ProbeSample) -> ProbeBucket {
    ProbeBucket {
        samples: 1,
        sent: u64::from(sample.sent),
        received: u64::from(sample.received),
        rtt_max_ns: sample.rtt_max_ns,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Bucket;

    fn sample(octets: u64, errors: u64, carrier: u64) -> InterfaceSample {
        InterfaceSample {
            oper_up: true,
            in_octets: octets,
            in_errors: errors,
            carrier_transitions: carrier,
            ..InterfaceSample::default()
        }
    }

    #[test]
    fn growth_counts_and_a_restart_is_no_error() {
        // (before, now, octets, errors, flaps)
        let cases = [
            (sample(100, 5, 1), sample(150, 5, 1), 50, 0, 0),
            (sample(100, 5, 1), sample(150, 7, 2), 50, 2, 1),
            // Restarted: everything from zero, carrier up once.
            (sample(100, 5, 3), sample(30, 0, 1), 30, 0, 0),
            (sample(100, 0, 0), sample(30, 0, 1), 30, 0, 0),
            // Errors since the restart are errors.
            (sample(100, 5, 3), sample(30, 2, 1), 30, 2, 0),
        ];
        for (before, now, octets, errors, flaps) in cases {
            let bucket = interface(Some(&Counters::of(&before)), &now);
            assert_eq!((bucket.octets, bucket.errors, bucket.flaps), (octets, errors, flaps), "{before:?} {now:?}");
        }
        let first = interface(None, &sample(100, 5, 1));
        assert_eq!((first.samples, first.compared, first.errors, first.flaps), (1, 0, 0, 0));
    }

    #[test]
    fn extreme_counters_saturate() {
        let mut bucket = interface(Some(&Counters::default()), &sample(u64::MAX, u64::MAX, u64::MAX));
        bucket.add(&bucket.clone());
        assert_eq!((bucket.octets, bucket.errors), (u64::MAX, u64::MAX));
    }
}
