//! Building a fleet from what a store gives back.

use std::collections::HashMap;

use causeway_interface::Code;

use super::{
    AdjacencyBucket, Bucket, Chain, DeviceTelemetry, InterfaceBucket, ProbeBucket, Track, Vitals,
    fleet::{Device, Fleet, cut},
    growth::{self, Counters, SeriesKey},
    lines::{Line, Series},
    track::BLOCK,
};
use crate::store::commit::{AdjacencyRow, BlockRow, DeviceRow, Loader, MAX_SERIES, Note, ProbeRow, SeriesRow};

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
            let (telemetry, series) = (&mut device.telemetry, loaded.series);
            match (loaded.key, loaded.track) {
                (SeriesKey::Interface(name), LoadedTrack::Interface(track)) => {
                    telemetry.interface_reports.report(&track, keep);
                    telemetry.interfaces.put(Line { name, series, track });
                }
                (SeriesKey::Adjacency(name), LoadedTrack::Adjacency(track)) => {
                    telemetry.adjacencies.put(Line { name, series, track });
                }
                (SeriesKey::Probe(kind, target), LoadedTrack::Probe(track)) => {
                    telemetry.probe_reports.report(&track, keep);
                    telemetry.probes.put(Line { name: (kind, target), series, track });
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
            vitals: Vitals::default(),
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
        fn begun<T: Bucket>(first_ms: u64) -> Track<T> {
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
