//! Every series of every device, and the one place where a batch is taken.
//!
//! [`Fleet::take`] decides whether a batch is a replay, which series its samples belong to, and by how much counters have
//! grown; it brings the tracks up to date and writes down, as a [`Commit`], what a store has to keep. It does no IO. A
//! caller whose store fails throws the fleet away and loads it anew, so that what is judged is never ahead of what is
//! kept.

use std::collections::{HashMap, hash_map::Entry};

use causeway_interface::{Code, Digest};
use causeway_wire::{signing::sha256, telemetry::Batch};

use super::{
    Bucket, Chain, ConfigState, DeviceTelemetry, InterfaceBucket, ProbeBucket, ReportBucket, Track,
    growth::{self, Counters, SeriesKey},
    lines::{Line, Lines, Name, Series},
    track::BLOCK,
    vitals::{Totals, Vitals},
};
use crate::store::{
    Append, VerifiedBatch,
    commit::{
        AdjacencyRow, BatchRow, BlockRow, Commit, DeviceRow, InterfaceRow, MAX_SERIES, Note, ProbeRow, SeriesRow,
        TIMES_MS,
    },
};

/// Most series of one device: 112 interfaces with an adjacency each, and a probe to some hundred targets. More is a
/// device that invents names.
const MAX_SERIES_PER_DEVICE: usize = 1_024;
/// Largest growth of one bucket in one sample. More can't be real; it keeps sums inside a database's integers.
const MAX_GROWTH: u64 = 1 << 50;
/// Buckets after the end of a block until its sums are written: samples that are a little late still find them open.
const SEAL_AFTER: u64 = 2;

/// All devices.
#[derive(Clone, Debug)]
pub struct Fleet {
    pub(super) bucket_ms: u64,
    pub(super) keep: usize,
    pub(super) devices: HashMap<Code, Device>,
    pub(super) next_device: u32,
    pub(super) next_series: u32,
    /// The latest time of any sample.
    pub(super) newest_ms: u64,
    /// Blocks before this one have had their sums written.
    pub(super) sealed: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Device {
    pub(super) id: u32,
    pub(super) last_sequence: Option<u64>,
    pub(super) lost_samples: u64,
    pub(super) telemetry: DeviceTelemetry,
    /// Shown, and not judged: apart from what is, and not read back.
    pub(super) vitals: Vitals,
}

impl Fleet {
    /// An empty fleet with buckets of this width, of which it holds `window_ms` and a block more.
    #[must_use]
    pub fn new(bucket_ms: u64, window_ms: u64) -> Self {
        let bucket_ms = bucket_ms.max(1);
        // The block under way, and one that the window's begin cuts.
        let blocks = window_ms.div_ceil(bucket_ms.saturating_mul(BLOCK)).saturating_add(2);
        Self {
            bucket_ms,
            keep: usize::try_from(blocks).unwrap_or(usize::MAX),
            devices: HashMap::new(),
            next_device: 0,
            next_series: 0,
            newest_ms: 0,
            sealed: 0,
        }
    }

    /// Width of a bucket in ms.
    #[must_use]
    pub fn bucket_ms(&self) -> u64 {
        self.bucket_ms
    }

    /// What is known of a device; none of one that never reported.
    #[must_use]
    pub fn device(&self, code: &Code) -> Option<&DeviceTelemetry> {
        self.devices.get(code).map(|device| &device.telemetry)
    }

    /// What a device says of its sessions and processors; none of one that never reported.
    #[must_use]
    pub fn vitals(&self, code: &Code) -> Option<&Vitals> {
        self.devices.get(code).map(|device| &device.vitals)
    }

    /// What all devices say of them, as of a moment.
    #[must_use]
    pub fn totals(&self, now_ms: u64) -> Totals {
        let mut totals = Totals::default();
        self.devices.values().for_each(|device| device.vitals.add_to(&mut totals, now_ms));
        totals
    }

    /// Shows this of a device, as if it had been measured.
    #[cfg(test)]
    pub(crate) fn show(&mut self, code: Code, telemetry: DeviceTelemetry) {
        self.devices.insert(code, Device { telemetry, ..Device::default() });
    }

    /// Number and last accepted sequence of a device.
    #[must_use]
    pub fn known(&self, code: &Code) -> Option<(u32, Option<u64>)> {
        self.devices.get(code).map(|device| (device.id, device.last_sequence))
    }

    /// The latest time of any sample, in ms since 1970; 0 for none.
    #[must_use]
    pub fn newest_ms(&self) -> u64 {
        self.newest_ms
    }

    /// Series that are held.
    #[must_use]
    pub fn series(&self) -> usize {
        self.devices.values().map(|device| device.telemetry.series()).sum()
    }

    /// Takes a batch: what has to be kept of it goes into `commit`.
    pub fn take(&mut self, verified: VerifiedBatch, commit: &mut Commit) -> Append {
        let sequence = verified.batch.sequence;
        let code = verified.device;
        let next_device = &mut self.next_device;
        let device = match self.devices.entry(code) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let id = *next_device;
                *next_device = next_device.saturating_add(1);
                new.insert(Device { id, ..Device::default() })
            }
        };
        if let Some(last_sequence) = device.last_sequence.filter(|last| sequence <= *last) {
            return Append::Replay { last_sequence };
        }
        let chain = &mut device.telemetry.chain;
        let link = [chain.head.0.as_slice(), &sequence.to_le_bytes(), &sha256(&verified.bytes)].concat();
        *chain = Chain { sequence, head: Digest(sha256(&link)) };
        device.last_sequence = Some(sequence);
        device.lost_samples = device.lost_samples.saturating_add(verified.batch.lost_samples).min(MAX_GROWTH);
        let taker = Taker {
            telemetry: &mut device.telemetry,
            device: device.id,
            commit,
            bucket_ms: self.bucket_ms,
            keep: self.keep,
            next_series: &mut self.next_series,
            newest_ms: &mut self.newest_ms,
            sealed: self.sealed,
        };
        let ignored_samples = taker.take(&verified.batch) + device.vitals.take(&verified.batch, device.id, commit);
        commit.batches.push(BatchRow {
            device: device.id,
            sequence,
            received_ms: verified.received_ms,
            bytes: verified.bytes,
            signature: verified.signature,
        });
        commit.devices.push(device.row(code));
        Append::Stored { ignored_samples }
    }

    /// Writes the sums of blocks that have ended since the last call.
    pub fn seal(&mut self, commit: &mut Commit) {
        let bucket = self.newest_ms / self.bucket_ms;
        let ended = bucket.saturating_sub(SEAL_AFTER) / BLOCK;
        if ended <= self.sealed {
            return;
        }
        for device in self.devices.values() {
            let blocks = self.sealed..ended;
            let DeviceTelemetry { interfaces, adjacencies, probes, .. } = &device.telemetry;
            sums(interfaces, &blocks, self.bucket_ms, Note::Interface, commit);
            sums(adjacencies, &blocks, self.bucket_ms, Note::Adjacency, commit);
            sums(probes, &blocks, self.bucket_ms, Note::Probe, commit);
        }
        self.sealed = ended;
    }
}

impl Device {
    fn row(&self, code: Code) -> DeviceRow {
        DeviceRow {
            id: self.id,
            code,
            last_sequence: self.last_sequence.unwrap_or(0),
            chain: self.telemetry.chain.head,
            lost_samples: self.lost_samples,
            config: self.telemetry.config,
        }
    }
}

impl DeviceTelemetry {
    fn series(&self) -> usize {
        self.interfaces.len() + self.adjacencies.len() + self.probes.len()
    }
}

/// The sums of these blocks of every series of a kind.
fn sums<K: Name, T: Bucket>(
    lines: &Lines<K, T>,
    blocks: &std::ops::Range<u64>,
    bucket_ms: u64,
    note: fn(T) -> Note,
    commit: &mut Commit,
) {
    for line in lines.lines() {
        let held = line.track.held();
        for block in blocks.start.max(held.start)..blocks.end.min(held.end) {
            commit.blocks.extend(block_row(line, block, bucket_ms, note));
        }
    }
}

/// The sums of one block of one series; none where it holds nothing.
fn block_row<K, T: Bucket>(line: &Line<K, T>, block: u64, bucket_ms: u64, note: fn(T) -> Note) -> Option<BlockRow> {
    let track = &line.track;
    let masks = track.masks(block);
    let (from, to) = (block * BLOCK, (block + 1) * BLOCK);
    let inside = |bucket: &u64| (from..to).contains(bucket);
    let last = line.series.up_to(block, bucket_ms * BLOCK);
    (masks.present != 0).then(|| BlockRow {
        series: line.series.id,
        block,
        masks,
        uncompared: track.uncompared().filter(inside),
        notes: track.notes().filter(|(bucket, _)| inside(bucket)).map(|(bucket, sum)| (*bucket, note(*sum))).collect(),
        losses: track.losses(from, to).copied().collect(),
        last_ms: last.at_ms,
        counters: last.counters,
    })
}

/// Takes one batch's samples.
struct Taker<'a> {
    telemetry: &'a mut DeviceTelemetry,
    device: u32,
    commit: &'a mut Commit,
    bucket_ms: u64,
    keep: usize,
    next_series: &'a mut u32,
    newest_ms: &'a mut u64,
    sealed: u64,
}

impl Taker<'_> {
    /// Returns how many samples were left out.
    fn take(mut self, batch: &Batch) -> u64 {
        let room = MAX_SERIES_PER_DEVICE.saturating_sub(self.telemetry.series());
        let mut books = Books {
            series: &mut self.commit.series,
            device: self.device,
            next: self.next_series,
            room,
            newest_ms: self.newest_ms,
            late: Vec::new(),
            sealed: self.sealed,
            block_ms: self.bucket_ms * BLOCK,
            ignored: 0,
        };
        let (bucket_ms, keep) = (self.bucket_ms, self.keep);
        let block_ms = books.block_ms;
        let DeviceTelemetry { interfaces, adjacencies, probes, interface_reports, probe_reports, .. } =
            &mut *self.telemetry;
        let report = ReportBucket { samples: 1 };

        let mut guess = 0;
        in_order(
            &batch.interfaces,
            |s| s.at_unix_ms,
            |sample| {
                let at_ms = sample.at_unix_ms;
                let said = sample.interface.as_str();
                let Some(place) = books.place(interfaces, guess, said, at_ms, SeriesKey::Interface) else { return };
                guess = place + 1;
                let Some(line) = interfaces.at(place) else { return };
                let counters = Counters::of(sample);
                let growth = cut(growth::between(line.series.last.counters.as_ref(), &counters, sample.oper_up));
                line.series = line.series.next(at_ms, Some(counters), block_ms);
                line.track.add(at_ms, &growth, bucket_ms, keep);
                interface_reports.add_late(at_ms, &report, bucket_ms, keep);
                self.commit.interfaces.push(InterfaceRow { series: line.series.id, at_ms, counters, growth });
            },
        );
        let late_interfaces = books.late();

        let mut guess = 0;
        in_order(
            &batch.adjacencies,
            |s| s.at_unix_ms,
            |sample| {
                let at_ms = sample.at_unix_ms;
                let said = sample.interface.as_str();
                let Some(place) = books.place(adjacencies, guess, said, at_ms, SeriesKey::Adjacency) else { return };
                guess = place + 1;
                let Some(line) = adjacencies.at(place) else { return };
                line.series = line.series.next(at_ms, None, block_ms);
                line.track.add(at_ms, &growth::adjacency(sample), bucket_ms, keep);
                self.commit.adjacencies.push(AdjacencyRow { series: line.series.id, at_ms, up: sample.up });
            },
        );
        let late_adjacencies = books.late();

        let mut guess = 0;
        in_order(
            &batch.probes,
            |s| s.at_unix_ms,
            |sample| {
                let at_ms = sample.at_unix_ms;
                let said = (sample.kind, sample.target.as_str());
                let key = |(kind, target)| SeriesKey::Probe(kind, target);
                let Some(place) = books.place(probes, guess, said, at_ms, key) else { return };
                guess = place + 1;
                let Some(line) = probes.at(place) else { return };
                let one = growth::probe(sample);
                line.series = line.series.next(at_ms, None, block_ms);
                line.track.add(at_ms, &one, bucket_ms, keep);
                // Where none was sent nothing is reported.
                if one.sent > 0 {
                    probe_reports.add_late(at_ms, &report, bucket_ms, keep);
                }
                let ProbeBucket { sent, received, rtt_max_ns, .. } = one;
                self.commit.probes.push(ProbeRow { series: line.series.id, at_ms, sent, received, rtt_max_ns });
            },
        );
        let late_probes = books.late();

        let ignored = books.ignored;
        for (place, block) in late_interfaces {
            let line = interfaces.at(place).map(|line| block_row(line, block, bucket_ms, Note::Interface));
            self.commit.blocks.extend(line.flatten());
        }
        for (place, block) in late_adjacencies {
            let line = adjacencies.at(place).map(|line| block_row(line, block, bucket_ms, Note::Adjacency));
            self.commit.blocks.extend(line.flatten());
        }
        for (place, block) in late_probes {
            let line = probes.at(place).map(|line| block_row(line, block, bucket_ms, Note::Probe));
            self.commit.blocks.extend(line.flatten());
        }
        self.config(batch);
        ignored
    }

    fn config(&mut self, batch: &Batch) {
        in_order(
            &batch.configs,
            |s| s.at_unix_ms,
            |sample| {
                let known = self.telemetry.config;
                if sample.at_unix_ms <= known.map_or(0, |config| config.at_ms) {
                    return;
                }
                // A hash of another length is no hash: it equals nothing.
                let hash = |bytes: &[u8]| bytes.try_into().map(Digest).unwrap_or(Digest::ZERO);
                let (offered, applied) = (hash(&sample.offered_sha256), hash(&sample.applied_sha256));
                let in_sync = offered == applied && !applied.is_zero();
                self.telemetry.config = Some(ConfigState {
                    at_ms: sample.at_unix_ms,
                    polled_ms: sample.polled_unix_ms,
                    offered_generation: sample.offered_generation,
                    offered_sha256: offered,
                    applied_generation: sample.applied_generation,
                    applied_sha256: applied,
                    evaluated_slot: sample.offered_evaluated_slot,
                    in_sync_ms: if in_sync { sample.at_unix_ms } else { known.map_or(0, |config| config.in_sync_ms) },
                });
            },
        );
    }
}

/// What is the same for every kind of sample of a batch: new series, what is left out, and what is late.
struct Books<'a> {
    series: &'a mut Vec<SeriesRow>,
    device: u32,
    next: &'a mut u32,
    /// Series that the device may still have.
    room: usize,
    newest_ms: &'a mut u64,
    /// Series with samples in blocks whose sums were written before.
    late: Vec<(usize, u64)>,
    sealed: u64,
    block_ms: u64,
    ignored: u64,
}

impl Books<'_> {
    /// The place of a sample's series; none where the sample is left out.
    fn place<K: Name, T: Bucket>(
        &mut self,
        lines: &mut Lines<K, T>,
        guess: usize,
        said: K::Said<'_>,
        at_ms: u64,
        key: impl Fn(K) -> SeriesKey,
    ) -> Option<usize> {
        let place = self.known(lines, guess, said, at_ms, key);
        let Some(place) = place else {
            self.ignored += 1;
            return None;
        };
        *self.newest_ms = (*self.newest_ms).max(at_ms);
        let block = at_ms / self.block_ms;
        if block < self.sealed && !self.late.contains(&(place, block)) {
            self.late.push((place, block));
        }
        Some(place)
    }

    fn known<K: Name, T: Bucket>(
        &mut self,
        lines: &mut Lines<K, T>,
        guess: usize,
        said: K::Said<'_>,
        at_ms: u64,
        key: impl Fn(K) -> SeriesKey,
    ) -> Option<usize> {
        if !TIMES_MS.contains(&at_ms) {
            return None;
        }
        if let Some(place) = lines.place(guess, said) {
            return lines.at(place).is_some_and(|line| at_ms > line.series.last.at_ms).then_some(place);
        }
        let name = K::parse(said)?;
        if self.room == 0 || *self.next >= MAX_SERIES {
            return None;
        }
        let id = *self.next;
        *self.next += 1;
        self.room -= 1;
        self.series.push(SeriesRow { id, device: self.device, key: key(name), first_ms: at_ms });
        lines.put(Line { name, series: Series { id, ..Series::default() }, track: Track::default() });
        Some(lines.len() - 1)
    }

    fn late(&mut self) -> Vec<(usize, u64)> {
        std::mem::take(&mut self.late)
    }
}

/// Growth that no line carries is a device that invents numbers.
pub(super) fn cut(growth: InterfaceBucket) -> InterfaceBucket {
    InterfaceBucket {
        octets: growth.octets.min(MAX_GROWTH),
        errors: growth.errors.min(MAX_GROWTH),
        discards: growth.discards.min(MAX_GROWTH),
        flaps: growth.flaps.min(MAX_GROWTH),
        ..growth
    }
}

/// Calls `take` with each sample in the order of their times, which is how an honest agent sends them.
pub(super) fn in_order<T>(samples: &[T], at: impl Fn(&T) -> u64, mut take: impl FnMut(&T)) {
    if samples.is_sorted_by_key(&at) {
        samples.iter().for_each(take);
        return;
    }
    let mut sorted: Vec<&T> = samples.iter().collect();
    sorted.sort_by_key(|sample| at(sample));
    sorted.into_iter().for_each(&mut take);
}
