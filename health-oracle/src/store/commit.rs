//! What is stored in one go, and what is read back.
//!
//! Every decision has been made: a store numbers nothing, compares nothing and refuses nothing. So each of them holds
//! the same, whatever engine is behind it.

use std::net::IpAddr;

use causeway_interface::{Code, Digest};

use crate::telemetry::{
    AdjacencyBucket, ConfigState, InterfaceBucket, ProbeBucket,
    growth::{Counters, SeriesKey},
    track::Masks,
};

/// A device as a store holds it. The number stands for the code in every other row, and never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRow {
    /// Its number.
    pub id: u32,
    /// Its code.
    pub code: Code,
    /// Sequence of its last accepted batch.
    pub last_sequence: u64,
    /// Head of the chain over its accepted batches.
    pub chain: Digest,
    /// Samples that it lost before they could be sent, over its life.
    pub lost_samples: u64,
    /// Its latest word about its configuration.
    pub config: Option<ConfigState>,
}

/// A signed batch as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchRow {
    /// Number of the device.
    pub device: u32,
    /// Its sequence.
    pub sequence: u64,
    /// When it was received, in ms since 1970.
    pub received_ms: u64,
    /// Its bytes as signed.
    pub bytes: Vec<u8>,
    /// The signature.
    pub signature: [u8; 64],
}

/// A new series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesRow {
    /// Its number, below [`MAX_SERIES`].
    pub id: u32,
    /// Number of its device.
    pub device: u32,
    /// What it measures.
    pub key: SeriesKey,
    /// When its first sample was taken, in ms since 1970.
    pub first_ms: u64,
}

/// Series that a store can number: 24 bits, so that a time and a series fit one 64-bit key.
pub const MAX_SERIES: u32 = 1 << 24;

/// Times that a store can hold, in ms since 1970: 2024 to 2041, 39 bits.
pub const TIMES_MS: std::ops::Range<u64> = 1_704_067_200_000..1_704_067_200_000 + (1 << 39);

/// A sample of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceRow {
    /// Number of the series.
    pub series: u32,
    /// When it was taken, in ms since 1970.
    pub at_ms: u64,
    /// Counters as reported.
    pub counters: Counters,
    /// What it adds to its bucket: state, and growth since the sample before.
    pub growth: InterfaceBucket,
}

/// A sample of an adjacency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdjacencyRow {
    /// Number of the series.
    pub series: u32,
    /// When it was taken, in ms since 1970.
    pub at_ms: u64,
    /// Whether it was up.
    pub up: bool,
}

/// A sample of probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeRow {
    /// Number of the series.
    pub series: u32,
    /// When it was taken, in ms since 1970.
    pub at_ms: u64,
    /// Probes sent.
    pub sent: u64,
    /// Probes answered.
    pub received: u64,
    /// Longest round trip in ns.
    pub rtt_max_ns: u64,
}

/// A sample of a BGP session. Shown and not judged: a store that people don't query keeps it in the signed batch only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// Number of the device.
    pub device: u32,
    /// Its neighbour.
    pub peer: IpAddr,
    /// When it was taken, in ms since 1970.
    pub at_ms: u64,
    /// There is a session.
    pub established: bool,
    /// Prefixes received over it; none where the device didn't say.
    pub prefixes_received: Option<u32>,
}

/// A sample of a device's machine. Shown and not judged, like the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemRow {
    /// Number of the device.
    pub device: u32,
    /// When it was taken, in ms since 1970.
    pub at_ms: u64,
    /// Share of the processors' time that was not idle, in thousandths.
    pub cpu_busy_permille: u32,
}

/// Everything that one append stores, whole or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// Devices that changed, new ones among them; of several rows of one device the last holds.
    pub devices: Vec<DeviceRow>,
    /// New series.
    pub series: Vec<SeriesRow>,
    /// Signed batches.
    pub batches: Vec<BatchRow>,
    /// Samples of interfaces; of one series in the order of their times, like the next two.
    pub interfaces: Vec<InterfaceRow>,
    /// Samples of adjacencies.
    pub adjacencies: Vec<AdjacencyRow>,
    /// Samples of probes.
    pub probes: Vec<ProbeRow>,
    /// Samples of BGP sessions.
    pub sessions: Vec<SessionRow>,
    /// Samples of machines.
    pub systems: Vec<SystemRow>,
    /// Sums of blocks that have ended, for stores that read them instead of samples; of several rows of one block the last
    /// holds, of this commit and of all.
    pub blocks: Vec<BlockRow>,
}

impl Commit {
    /// Whether there is nothing to store.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.blocks.is_empty()
    }

    /// Samples in it.
    #[must_use]
    pub fn samples(&self) -> usize {
        let judged = self.interfaces.len() + self.adjacencies.len() + self.probes.len();
        judged + self.sessions.len() + self.systems.len()
    }
}

/// A bad bucket in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Note {
    /// Of an interface.
    Interface(InterfaceBucket),
    /// Of an adjacency.
    Adjacency(AdjacencyBucket),
    /// Of probes.
    Probe(ProbeBucket),
}

/// One series' sums of one block of 64 buckets that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockRow {
    /// Number of the series.
    pub series: u32,
    /// Number of the block.
    pub block: u64,
    /// What its buckets say.
    pub masks: Masks,
    /// The bucket of which traffic can't be said, if it lies in the block.
    pub uncompared: Option<u64>,
    /// Its latest bad buckets in full, ascending.
    pub notes: Vec<(u64, Note)>,
    /// Lossy buckets with their loss in millionths, ascending.
    pub losses: Vec<(u64, u32)>,
    /// When the latest sample up to its end was taken, in ms since 1970.
    pub last_ms: u64,
    /// Counters at that sample; of interfaces only.
    pub counters: Option<Counters>,
}

/// Where a store puts what it reads. Devices come first, then series, then the rest; of one series blocks come before
/// samples, and both in the order of time.
pub trait Loader {
    /// A device.
    fn device(&mut self, row: DeviceRow);
    /// A series of a device.
    fn series(&mut self, row: SeriesRow);
    /// Sums of a block. Its buckets' samples don't come.
    fn block(&mut self, row: BlockRow);
    /// A sample of an interface: whether it was up, and its counters.
    fn interface(&mut self, series: u32, at_ms: u64, up: bool, counters: &Counters);
    /// A sample of an adjacency.
    fn adjacency(&mut self, row: &AdjacencyRow);
    /// A sample of probes.
    fn probe(&mut self, row: &ProbeRow);
}
