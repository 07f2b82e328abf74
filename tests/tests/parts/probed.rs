//! Whom devices have probed end to end with an answer, as an oracle's store has it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use causeway_health_oracle::{
    store::{
        Loader, TelemetryStore,
        commit::{AdjacencyRow, BlockRow, DeviceRow, ProbeRow, SeriesRow},
        sqlite::SqliteStore,
    },
    telemetry::{
        ProbeKind,
        growth::{Counters, SeriesKey},
    },
};
use causeway_interface::Code;

#[derive(Default)]
struct Probed {
    devices: BTreeMap<u32, Code>,
    /// Series of QA probes: from whom to whom.
    series: BTreeMap<u32, (Code, Code)>,
    answered: BTreeSet<(Code, Code)>,
}

impl Loader for Probed {
    fn device(&mut self, row: DeviceRow) {
        self.devices.insert(row.id, row.code);
    }

    fn series(&mut self, row: SeriesRow) {
        if let SeriesKey::Probe(ProbeKind::Qa, target) = row.key {
            self.series.insert(row.id, (self.devices[&row.device], target));
        }
    }

    fn block(&mut self, row: BlockRow) {
        if row.masks.busy != 0 {
            self.answered.extend(self.series.get(&row.series));
        }
    }

    fn interface(&mut self, _: u32, _: u64, _: bool, _: &Counters) {}

    fn adjacency(&mut self, _: &AdjacencyRow) {}

    fn probe(&mut self, row: &ProbeRow) {
        if row.received > 0 {
            self.answered.extend(self.series.get(&row.series));
        }
    }
}

/// From whom to whom, of an oracle that keeps its files in this folder and buckets of this width.
pub fn answered(data: &Path, bucket_ms: u64) -> BTreeSet<(Code, Code)> {
    let store = SqliteStore::open(&data.join("telemetry.sqlite"), bucket_ms).unwrap();
    let mut probed = Probed::default();
    store.load(0, &mut probed).unwrap();
    probed.answered
}
