//! What is known of devices over time, as plain values held in memory.
//!
//! A *series* is one thing measured over time, summed into buckets of a fixed width: bucket `n` of width `w` holds the
//! samples taken from `n * w` ms up to, not including, `(n + 1) * w` ms since 1970. A bucket without samples is something
//! else than one with bad samples.
//!
//! - [`track`]: one series as bit masks, three bits a bucket. What a round judges.
//! - [`growth`]: from samples to buckets, pure.
//! - [`lines`]: the series of a device by name.
//! - [`fleet`]: every series of every device, and the one place where a batch is taken: replays, series, growth;
//!   [`loader`] builds one from what a store gives back.
//! - [`vitals`]: what is shown and not judged.
//!
//! Samples come in and buckets grow; a round reads what is there. So a round costs what there is to say, and not what
//! there was to read.

pub mod fleet;
pub mod growth;
pub mod lines;
pub mod loader;
pub mod track;
pub mod vitals;

use causeway_interface::{Code, Digest, InterfaceName};
use serde::{Deserialize, Serialize};

pub use lines::Lines;
pub use track::{Bucket, Says, Track};
pub use vitals::Vitals;

/// Interface samples of one bucket. Amounts are the growth of the device's counters since the sample before, which may
/// lie in an earlier bucket; the first sample of a series has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceBucket {
    /// Samples.
    pub samples: u32,
    /// Samples in which it was down.
    pub down: u32,
    /// Samples that have a predecessor to be compared with.
    pub compared: u32,
    /// Octets in and out.
    pub octets: u64,
    /// Errors in and out.
    pub errors: u64,
    /// Discards in and out; kept, not judged.
    pub discards: u64,
    /// Carrier transitions between samples.
    pub flaps: u64,
}

/// Adjacency samples of one bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdjacencyBucket {
    /// Samples.
    pub samples: u32,
    /// Samples in which it was down.
    pub down: u32,
}

/// Probe samples of one bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeBucket {
    /// Samples.
    pub samples: u32,
    /// Probes sent.
    pub sent: u64,
    /// Probes answered.
    pub received: u64,
    /// Longest round trip in ns.
    pub rtt_max_ns: u64,
}

/// The latest word of a device about its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigState {
    /// When it said so, in ms since 1970.
    pub at_ms: u64,
    /// When it last reached the controller; 0 for never.
    pub polled_ms: u64,
    /// Generation on offer.
    pub offered_generation: u64,
    /// Hash of what is on offer.
    pub offered_sha256: Digest,
    /// Generation that runs.
    pub applied_generation: u64,
    /// Hash of what runs.
    pub applied_sha256: Digest,
    /// Slot of the ledger up to which what is on offer is what the ledger asks for; 0 where the agent can't say.
    pub evaluated_slot: u64,
    /// When it last said that what runs is what is offered, in ms since 1970; 0 for never.
    pub in_sync_ms: u64,
}

/// What commits to every batch that was accepted of a device, in order: `head` is the SHA-256 over the head before it,
/// the sequence and the SHA-256 of the batch. Zero before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// Sequence of the last accepted batch.
    pub sequence: u64,
    /// Head of the chain.
    pub head: Digest,
}

/// Which kind of probe; the numbers are the protocol's and are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ProbeKind {
    /// Over one link to its far end.
    Link = 1,
    /// To the loopback of another device.
    Qa = 2,
    /// Over direct internet access.
    Reachability = 3,
}

impl ProbeKind {
    /// Every kind.
    pub const ALL: [ProbeKind; 3] = [Self::Link, Self::Qa, Self::Reachability];

    /// The kind with this number.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as i32 == number)
    }
}

/// Samples of any kind in one bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportBucket {
    /// Samples.
    pub samples: u32,
}

/// What is known of one device. A series that never had a sample is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeviceTelemetry {
    /// Interface samples, of any interface.
    pub interface_reports: Track<ReportBucket>,
    /// Probe samples, of any kind and whatever their success.
    pub probe_reports: Track<ReportBucket>,
    /// Interfaces by name.
    pub interfaces: Lines<InterfaceName, InterfaceBucket>,
    /// Adjacencies by interface.
    pub adjacencies: Lines<InterfaceName, AdjacencyBucket>,
    /// Probes by kind and target.
    pub probes: Lines<(ProbeKind, Code), ProbeBucket>,
    /// The latest word about the configuration.
    pub config: Option<ConfigState>,
    /// What commits to the batches.
    pub chain: Chain,
}
