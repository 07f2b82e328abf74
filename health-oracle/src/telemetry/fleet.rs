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
    AdjacencyBucket, Chain, ConfigState, DeviceTelemetry, InterfaceBucket, ProbeBucket, ReportBucket, Track,
    growth::{self, Counters, SeriesKey},
    track::BLOCK,
};
use crate::store::{
    Append, VerifiedBatch,
    commit::{
        AdjacencyRow, BatchRow, BlockRow, Commit, DeviceRow, InterfaceRow, Loader, MAX_SERIES, Note, ProbeRow,
        SeriesRow, TIMES_MS,
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
    bucket_ms: u64,
    keep: usize,
    devices: HashMap<Code, Device>,
    next_device: u32,
    next_series: u32,
    /// The latest time of any sample.
    newest_ms: u64,
    /// Blocks before this one have had their sums written.
    sealed: u64,
}

#[derive(Clone, Debug, Default)]
struct Device {
    id: u32,
    last_sequence: Option<u64>,
    lost_samples: u64,
    telemetry: DeviceTelemetry,
    /// Numbers of the series, with the last counters of interfaces.
    series: HashMap<SeriesKey, Series>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Series {
    id: u32,
    last: Last,
    /// The same as of the last block with samples before the latest one.
    before: Last,
}

/// The latest sample of a series.
#[derive(Clone, Copy, Debug, Default)]
struct Last {
    at_ms: u64,
    /// Of interfaces only.
    counters: Option<Counters>,
}

impl Series {
    /// The same after one more sample.
    fn next(self, at_ms: u64, counters: Option<Counters>, block_ms: u64) -> Self {
        let before = if at_ms / block_ms > self.last.at_ms / block_ms { self.last } else { self.before };
        Self { last: Last { at_ms, counters }, before, ..self }
    }

    /// The latest sample that is not after this block; of older ones than the one before nothing is known any more.
    fn up_to(&self, block: u64, block_ms: u64) -> Last {
        let held = [self.last, self.before].into_iter().find(|last| last.at_ms / block_ms <= block);
        held.unwrap_or_default()
    }
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
        self.devices.values().map(|device| device.series.len()).sum()
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
        let mut taker = Taker {
            device,
            commit,
            bucket_ms: self.bucket_ms,
            keep: self.keep,
            next_series: &mut self.next_series,
            newest_ms: &mut self.newest_ms,
            sealed: self.sealed,
        };
        let ignored_samples = taker.take(&verified.batch);
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
            for (key, series) in &device.series {
                let first = self.sealed.max(device.telemetry.held(key).start);
                for block in first..ended.min(device.telemetry.held(key).end) {
                    commit.blocks.extend(device.telemetry.block(key, series, block, self.bucket_ms));
                }
            }
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
    fn held(&self, key: &SeriesKey) -> std::ops::Range<u64> {
        match key {
            SeriesKey::Interface(name) => self.interfaces.get(name).map_or(0..0, Track::held),
            SeriesKey::Adjacency(name) => self.adjacencies.get(name).map_or(0..0, Track::held),
            SeriesKey::Probe(kind, target) => self.probes.get(&(*kind, *target)).map_or(0..0, Track::held),
        }
    }

    /// The sums of one block of one series; none where it holds nothing.
    fn block(&self, key: &SeriesKey, series: &Series, block: u64, bucket_ms: u64) -> Option<BlockRow> {
        let last = series.up_to(block, bucket_ms * BLOCK);
        let id = series.id;
        match key {
            SeriesKey::Interface(name) => block_row(self.interfaces.get(name)?, id, last, block, Note::Interface),
            SeriesKey::Adjacency(name) => block_row(self.adjacencies.get(name)?, id, last, block, Note::Adjacency),
            SeriesKey::Probe(kind, target) => {
                block_row(self.probes.get(&(*kind, *target))?, id, last, block, Note::Probe)
            }
        }
    }
}

fn block_row<T: super::Bucket>(
    track: &Track<T>,
    series: u32,
    last: Last,
    block: u64,
    note: impl Fn(T) -> Note,
) -> Option<BlockRow> {
    let masks = track.masks(block);
    let (from, to) = (block * BLOCK, (block + 1) * BLOCK);
    let inside = |bucket: &u64| (from..to).contains(bucket);
    (masks.present != 0).then(|| BlockRow {
        series,
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
    device: &'a mut Device,
    commit: &'a mut Commit,
    bucket_ms: u64,
    keep: usize,
    next_series: &'a mut u32,
    newest_ms: &'a mut u64,
    sealed: u64,
}

impl Taker<'_> {
    /// Returns how many samples were left out.
    fn take(&mut self, batch: &Batch) -> u64 {
        let mut ignored = 0;
        // Series with samples in blocks whose sums were written before.
        let mut late: Vec<(SeriesKey, u64)> = Vec::new();
        in_order(
            &batch.interfaces,
            |s| s.at_unix_ms,
            |sample| {
                let at_ms = sample.at_unix_ms;
                let Some((key, series)) = self.series(SeriesKey::of_interface(sample), at_ms) else {
                    ignored += 1;
                    return;
                };
                let SeriesKey::Interface(name) = key else { return };
                let counters = Counters::of(sample);
                let growth = cut(growth::interface(series.last.counters.as_ref(), sample));
                self.device.series.insert(key, series.next(at_ms, Some(counters), self.bucket_ms * BLOCK));
                let telemetry = &mut self.device.telemetry;
                telemetry.interfaces.entry(name).or_default().add(at_ms, &growth, self.bucket_ms, self.keep);
                telemetry.interface_reports.add_late(at_ms, &ReportBucket { samples: 1 }, self.bucket_ms, self.keep);
                self.commit.interfaces.push(InterfaceRow { series: series.id, at_ms, counters, growth });
                self.note_late(&mut late, key, at_ms);
            },
        );
        in_order(
            &batch.adjacencies,
            |s| s.at_unix_ms,
            |sample| {
                let at_ms = sample.at_unix_ms;
                let Some((key, series)) = self.series(SeriesKey::of_adjacency(sample), at_ms) else {
                    ignored += 1;
                    return;
                };
                let SeriesKey::Adjacency(name) = key else { return };
                self.device.series.insert(key, series.next(at_ms, None, self.bucket_ms * BLOCK));
                let one = growth::adjacency(sample);
                let track = self.device.telemetry.adjacencies.entry(name).or_default();
                track.add(at_ms, &one, self.bucket_ms, self.keep);
                self.commit.adjacencies.push(AdjacencyRow { series: series.id, at_ms, up: sample.up });
                self.note_late(&mut late, key, at_ms);
            },
        );
        in_order(
            &batch.probes,
            |s| s.at_unix_ms,
            |sample| {
                let at_ms = sample.at_unix_ms;
                let Some((key, series)) = self.series(SeriesKey::of_probe(sample), at_ms) else {
                    ignored += 1;
                    return;
                };
                let SeriesKey::Probe(kind, target) = key else { return };
                self.device.series.insert(key, series.next(at_ms, None, self.bucket_ms * BLOCK));
                let one = growth::probe(sample);
                let telemetry = &mut self.device.telemetry;
                telemetry.probes.entry((kind, target)).or_default().add(at_ms, &one, self.bucket_ms, self.keep);
                // Where none was sent nothing is reported.
                if one.sent > 0 {
                    telemetry.probe_reports.add_late(at_ms, &ReportBucket { samples: 1 }, self.bucket_ms, self.keep);
                }
                let ProbeBucket { sent, received, rtt_max_ns, .. } = one;
                self.commit.probes.push(ProbeRow { series: series.id, at_ms, sent, received, rtt_max_ns });
                self.note_late(&mut late, key, at_ms);
            },
        );
        self.config(batch);
        for (key, block) in late {
            if let Some(series) = self.device.series.get(&key) {
                self.commit.blocks.extend(self.device.telemetry.block(&key, series, block, self.bucket_ms));
            }
        }
        ignored
    }

    fn note_late(&mut self, late: &mut Vec<(SeriesKey, u64)>, key: SeriesKey, at_ms: u64) {
        *self.newest_ms = (*self.newest_ms).max(at_ms);
        let block = at_ms / self.bucket_ms / BLOCK;
        if block < self.sealed && late.last() != Some(&(key, block)) {
            late.push((key, block));
        }
    }

    /// The series of a sample; none where the sample is left out.
    fn series(&mut self, key: Option<SeriesKey>, at_ms: u64) -> Option<(SeriesKey, Series)> {
        let key = key.filter(|_| TIMES_MS.contains(&at_ms))?;
        let known = self.device.series.len();
        let series = match self.device.series.entry(key) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(_) if known >= MAX_SERIES_PER_DEVICE || *self.next_series >= MAX_SERIES => return None,
            Entry::Vacant(new) => {
                let id = *self.next_series;
                *self.next_series += 1;
                self.commit.series.push(SeriesRow { id, device: self.device.id, key, first_ms: at_ms });
                *new.insert(Series { id, ..Series::default() })
            }
        };
        (at_ms > series.last.at_ms).then_some((key, series))
    }

    fn config(&mut self, batch: &Batch) {
        let Some(sample) = batch.configs.iter().max_by_key(|sample| sample.at_unix_ms) else { return };
        let known = self.device.telemetry.config.map_or(0, |config| config.at_ms);
        if sample.at_unix_ms <= known {
            return;
        }
        // A hash of another length is no hash: it equals nothing.
        let hash = |bytes: &[u8]| bytes.try_into().map(Digest).unwrap_or(Digest::ZERO);
        self.device.telemetry.config = Some(ConfigState {
            at_ms: sample.at_unix_ms,
            polled_ms: sample.polled_unix_ms,
            offered_generation: sample.offered_generation,
            offered_sha256: hash(&sample.offered_sha256),
            applied_generation: sample.applied_generation,
            applied_sha256: hash(&sample.applied_sha256),
            evaluated_slot: sample.offered_evaluated_slot,
        });
    }
}

/// Growth that no line carries is a device that invents numbers.
fn cut(growth: InterfaceBucket) -> InterfaceBucket {
    InterfaceBucket {
        octets: growth.octets.min(MAX_GROWTH),
        errors: growth.errors.min(MAX_GROWTH),
        discards: growth.discards.min(MAX_GROWTH),
        flaps: growth.flaps.min(MAX_GROWTH),
        ..growth
    }
}

/// Calls `take` with each sample in the order of their times, which is how an honest agent sends them.
fn in_order<T>(samples: &[T], at: impl Fn(&T) -> u64, mut take: impl FnMut(&T)) {
    if samples.is_sorted_by_key(&at) {
        samples.iter().for_each(take);
        return;
    }
    let mut sorted: Vec<&T> = samples.iter().collect();
    sorted.sort_by_key(|sample| at(sample));
    sorted.into_iter().for_each(&mut take);
}

/// Builds a fleet from what a store gives back.
pub struct FleetLoader {
    fleet: Fleet,
    codes: HashMap<u32, Code>,
    series: Vec<Option<Loaded>>,
}

/// A series while it is loaded.
struct Loaded {
    device: u32,
    key: SeriesKey,
    series: Series,
    track: LoadedTrack,
}

enum LoadedTrack {
    Interface(Track<InterfaceBucket>),
    Adjacency(Track<AdjacencyBucket>),
    Probe(Track<ProbeBucket>),
}

impl FleetLoader {
    /// For a fleet like [`Fleet::new`].
    #[must_use]
    pub fn new(bucket_ms: u64, window_ms: u64) -> Self {
        Self { fleet: Fleet::new(bucket_ms, window_ms), codes: HashMap::new(), series: Vec::new() }
    }

    /// What was loaded.
    #[must_use]
    pub fn finish(mut self) -> Fleet {
        let keep = self.fleet.keep;
        for loaded in self.series.into_iter().flatten() {
            let Some(device) = self.codes.get(&loaded.device).and_then(|code| self.fleet.devices.get_mut(code)) else {
                continue;
            };
            self.fleet.newest_ms = self.fleet.newest_ms.max(loaded.series.last.at_ms);
            device.series.insert(loaded.key, loaded.series);
            let telemetry = &mut device.telemetry;
            match (loaded.key, loaded.track) {
                (SeriesKey::Interface(name), LoadedTrack::Interface(track)) => {
                    telemetry.interface_reports.report(&track, keep);
                    telemetry.interfaces.insert(name, track);
                }
                (SeriesKey::Adjacency(name), LoadedTrack::Adjacency(track)) => {
                    telemetry.adjacencies.insert(name, track);
                }
                (SeriesKey::Probe(kind, target), LoadedTrack::Probe(track)) => {
                    telemetry.probe_reports.report(&track, keep);
                    telemetry.probes.insert((kind, target), track);
                }
                (SeriesKey::Interface(_) | SeriesKey::Adjacency(_) | SeriesKey::Probe(..), _) => {}
            }
        }
        self.fleet
    }

    fn at(&mut self, series: u32) -> Option<&mut Loaded> {
        self.series.get_mut(series as usize)?.as_mut()
    }
}

impl Loader for FleetLoader {
    fn device(&mut self, row: DeviceRow) {
        self.fleet.next_device = self.fleet.next_device.max(row.id.saturating_add(1));
        self.codes.insert(row.id, row.code);
        let telemetry = DeviceTelemetry {
            config: row.config,
            chain: Chain { sequence: row.last_sequence, head: row.chain },
            ..DeviceTelemetry::default()
        };
        let device = Device {
            id: row.id,
            last_sequence: (row.last_sequence > 0).then_some(row.last_sequence),
            lost_samples: row.lost_samples,
            telemetry,
            series: HashMap::new(),
        };
        self.fleet.devices.insert(row.code, device);
    }

    fn series(&mut self, row: SeriesRow) {
        if row.id >= MAX_SERIES {
            return;
        }
        self.fleet.next_series = self.fleet.next_series.max(row.id + 1);
        let place = row.id as usize;
        if self.series.len() <= place {
            self.series.resize_with(place + 1, || None);
        }
        fn begun<T: super::Bucket>(first_ms: u64) -> Track<T> {
            let mut track = Track::default();
            track.began(first_ms);
            track
        }
        let track = match row.key {
            SeriesKey::Interface(_) => LoadedTrack::Interface(begun(row.first_ms)),
            SeriesKey::Adjacency(_) => LoadedTrack::Adjacency(begun(row.first_ms)),
            SeriesKey::Probe(..) => LoadedTrack::Probe(begun(row.first_ms)),
        };
        let series = Series { id: row.id, ..Series::default() };
        if let Some(slot) = self.series.get_mut(place) {
            *slot = Some(Loaded { device: row.device, key: row.key, series, track });
        }
    }

    fn block(&mut self, row: BlockRow) {
        let (keep, block_ms) = (self.fleet.keep, self.fleet.bucket_ms * BLOCK);
        self.fleet.sealed = self.fleet.sealed.max(row.block.saturating_add(1));
        let Some(loaded) = self.at(row.series) else { return };
        if row.last_ms >= loaded.series.last.at_ms {
            let counters = row.counters.or(loaded.series.last.counters);
            loaded.series = loaded.series.next(row.last_ms, counters, block_ms);
        }
        match &mut loaded.track {
            LoadedTrack::Interface(track) => {
                track.restore(row.block, row.masks, row.uncompared, &row.losses, keep);
                for (bucket, note) in row.notes {
                    if let Note::Interface(sum) = note {
                        track.keep_note(bucket, sum);
                    }
                }
            }
            LoadedTrack::Adjacency(track) => {
                track.restore(row.block, row.masks, row.uncompared, &row.losses, keep);
                for (bucket, note) in row.notes {
                    if let Note::Adjacency(sum) = note {
                        track.keep_note(bucket, sum);
                    }
                }
            }
            LoadedTrack::Probe(track) => {
                track.restore(row.block, row.masks, row.uncompared, &row.losses, keep);
                for (bucket, note) in row.notes {
                    if let Note::Probe(sum) = note {
                        track.keep_note(bucket, sum);
                    }
                }
            }
        }
    }

    fn interface(&mut self, series: u32, at_ms: u64, up: bool, counters: &Counters) {
        let (keep, bucket_ms) = (self.fleet.keep, self.fleet.bucket_ms);
        let Some(loaded) = self.at(series).filter(|loaded| at_ms > loaded.series.last.at_ms) else { return };
        let growth = cut(growth::between(loaded.series.last.counters.as_ref(), counters, up));
        loaded.series = loaded.series.next(at_ms, Some(*counters), bucket_ms * BLOCK);
        if let LoadedTrack::Interface(track) = &mut loaded.track {
            track.add(at_ms, &growth, bucket_ms, keep);
        }
    }

    fn adjacency(&mut self, row: &AdjacencyRow) {
        let (keep, bucket_ms) = (self.fleet.keep, self.fleet.bucket_ms);
        let Some(loaded) = self.at(row.series).filter(|loaded| row.at_ms > loaded.series.last.at_ms) else { return };
        loaded.series = loaded.series.next(row.at_ms, None, bucket_ms * BLOCK);
        if let LoadedTrack::Adjacency(track) = &mut loaded.track {
            track.add(row.at_ms, &AdjacencyBucket { samples: 1, down: u32::from(!row.up) }, bucket_ms, keep);
        }
    }

    fn probe(&mut self, row: &ProbeRow) {
        let (keep, bucket_ms) = (self.fleet.keep, self.fleet.bucket_ms);
        let Some(loaded) = self.at(row.series).filter(|loaded| row.at_ms > loaded.series.last.at_ms) else { return };
        loaded.series = loaded.series.next(row.at_ms, None, bucket_ms * BLOCK);
        if let LoadedTrack::Probe(track) = &mut loaded.track {
            let ProbeRow { sent, received, rtt_max_ns, .. } = *row;
            track.add(row.at_ms, &ProbeBucket { samples: 1, sent, received, rtt_max_ns }, bucket_ms, keep);
        }
    }
}
