//! Reading back: devices and series, then what each series says in bits, made by the server.
//!
//! Samples stay where they are. For each hour the server answers one row per series with the bits of its buckets; of
//! buckets that are bad it is asked for the sums as well, which are few in a fleet that works. The samples of the last
//! buckets, to which more is still added, come one by one. Answers are taken in while the server makes the next.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Range,
    sync::mpsc,
};

use causeway_interface::Digest;

use super::{
    error::ClickHouseError,
    http::{Client, Request},
    journal::counting,
    kinds::{KINDS, Kind, loss_ppm},
    native::Rows,
    prune::forgotten_ms,
    schema::{COMMIT_SLICE, PARTITION_MS, SLICE_MS},
    tail,
};
use crate::{
    store::{
        Loader, StoreError,
        commit::{BlockRow, DeviceRow, MAX_SERIES, Note, SeriesRow},
    },
    telemetry::{
        ConfigState,
        growth::SeriesKey,
        track::{BLOCK, Masks},
    },
};

/// Series in one answer: 40 MB of names.
const SERIES_CHUNK: u32 = 1_000_000;
/// Bad buckets of which sums are asked at once: some 40 MB.
const MAX_NOTES: u32 = 500_000;
/// Bad buckets of a series in one block that are given back in full; what is kept of them is no more.
const NOTES: usize = 8;
/// Buckets up to the latest whose samples come one by one.
const TAIL: u64 = 3;

/// One reading: what to ask and how wide a bucket is.
pub(super) struct Reading<'a> {
    pub client: &'a Client,
    pub bucket_ms: u64,
    /// Addition to every condition: only what counts.
    pub counting: String,
}

/// Reads everything from `from_ms` on into the loader. Returns the last commit that was read.
pub fn load(client: &Client, bucket_ms: u64, from_ms: u64, into: &mut dyn Loader) -> Result<u32, StoreError> {
    let (counting, last) = counting(client)?;
    let reading = Reading { client, bucket_ms: bucket_ms.max(1), counting };
    reading.devices(into)?;
    reading.series(into)?;
    let from_ms = from_ms.max(forgotten_ms(client)?);
    for kind in &KINDS {
        reading.samples(kind, from_ms, into)?;
    }
    Ok(last)
}

/// Bad buckets in full, by series and block.
type Notes = HashMap<(u32, u64), Vec<(u64, Note)>>;

impl Reading<'_> {
    pub(super) fn ask(&self, sql: String) -> Result<Vec<u8>, ClickHouseError> {
        self.client.one(Request::plain(sql + " FORMAT RowBinary"))
    }

    fn devices(&self, into: &mut dyn Loader) -> Result<(), StoreError> {
        let counting = &self.counting;
        // The second condition finds the few slices of commits in which a device was last heard, by the index.
        let answer = self.ask(format!(
            "SELECT id, code, last_sequence, chain, lost_samples, config_at_ms, config_polled_ms, offered_generation,
             offered_sha256, applied_generation, applied_sha256, evaluated_slot, in_sync_ms FROM device
             WHERE (id, commit) IN (SELECT id, max(commit) FROM device WHERE 1{counting} GROUP BY id)
             AND intDiv(commit, {COMMIT_SLICE}) IN
             (SELECT intDiv(max(commit), {COMMIT_SLICE}) FROM device WHERE 1{counting} GROUP BY id) ORDER BY id"
        ))?;
        let mut rows = Rows::new(&answer);
        while !rows.is_empty() {
            let id = rows.u32()?;
            let code = rows.text()?.parse().map_err(|_| StoreError::Corrupt("a code that is none"))?;
            let (last_sequence, chain, lost_samples) = (rows.u64()?, Digest(rows.array()?), rows.u64()?);
            let config = ConfigState {
                at_ms: rows.u64()?,
                polled_ms: rows.u64()?,
                offered_generation: rows.u64()?,
                offered_sha256: Digest(rows.array()?),
                applied_generation: rows.u64()?,
                applied_sha256: Digest(rows.array()?),
                evaluated_slot: rows.u64()?,
                in_sync_ms: rows.u64()?,
            };
            let config = (config.at_ms > 0).then_some(config);
            into.device(DeviceRow { id, code, last_sequence, chain, lost_samples, config });
        }
        Ok(())
    }

    fn series(&self, into: &mut dyn Loader) -> Result<(), StoreError> {
        let mut from = 0;
        while from < MAX_SERIES {
            let answer = self.ask(format!(
                "SELECT id, device, kind, name, first_ms FROM series WHERE id >= {from}{} ORDER BY id
                 LIMIT {SERIES_CHUNK}",
                self.counting
            ))?;
            let (mut rows, mut count) = (Rows::new(&answer), 0);
            while !rows.is_empty() {
                let (id, device, kind) = (rows.u32()?, rows.u32()?, rows.u8()?);
                let key = SeriesKey::from_stored(i64::from(kind), rows.text()?)
                    .ok_or(StoreError::Corrupt("a series that is none"))?;
                into.series(SeriesRow { id, device, key, first_ms: rows.u64()? });
                (from, count) = (id.saturating_add(1), count + 1);
            }
            if count < SERIES_CHUNK {
                break;
            }
        }
        Ok(())
    }

    fn block_ms(&self) -> u64 {
        self.bucket_ms.saturating_mul(BLOCK)
    }

    /// Width of what is asked for at once: whole blocks, and about an hour.
    pub(super) fn chunk_ms(&self) -> u64 {
        let block_ms = self.block_ms();
        block_ms.saturating_mul(SLICE_MS.div_ceil(block_ms))
    }

    /// The condition for samples of these times, so that the index finds them.
    pub(super) fn between(&self, times: &Range<u64>) -> String {
        let (first, last) = (times.start / SLICE_MS, times.end.saturating_sub(1) / SLICE_MS);
        format!(
            "intDiv(at_ms, {SLICE_MS}) >= {first} AND intDiv(at_ms, {SLICE_MS}) <= {last}
             AND at_ms >= {} AND at_ms < {}{}",
            times.start, times.end, self.counting
        )
    }

    /// Numbers of the chunks from `from_ms` on in which a table may have samples, ascending.
    fn chunks(&self, table: &str, from_ms: u64) -> Result<Vec<u64>, ClickHouseError> {
        let chunk_ms = self.chunk_ms();
        let mut chunks = BTreeSet::new();
        for partition in partitions(self.client, table)? {
            let from = partition.saturating_mul(PARTITION_MS);
            let to = from.saturating_add(PARTITION_MS);
            if to > from_ms {
                chunks.extend(from.max(from_ms) / chunk_ms..to.div_ceil(chunk_ms));
            }
        }
        Ok(chunks.into_iter().collect())
    }

    fn newest(&self, table: &str, chunks: &[u64]) -> Result<Option<u64>, ClickHouseError> {
        let chunk_ms = self.chunk_ms();
        for chunk in chunks.iter().rev() {
            let times = chunk * chunk_ms..(chunk + 1) * chunk_ms;
            let answer =
                self.ask(format!("SELECT toUInt64(max(at_ms)), count() FROM {table} WHERE {}", self.between(&times)))?;
            let mut rows = Rows::new(&answer);
            // An older server answers nothing where a newer one answers zeros.
            if !rows.is_empty()
                && let (newest, 1..) = (rows.u64()?, rows.u64()?)
            {
                return Ok(Some(newest));
            }
        }
        Ok(None)
    }

    fn samples(&self, kind: &Kind, from_ms: u64, into: &mut dyn Loader) -> Result<(), StoreError> {
        let chunks = self.chunks(kind.table, from_ms)?;
        let Some(newest) = self.newest(kind.table, &chunks)? else { return Ok(()) };
        let cut = (newest / self.bucket_ms + 1).saturating_sub(TAIL) * self.bucket_ms;
        let chunk_ms = self.chunk_ms();
        let from_ms = from_ms / self.block_ms() * self.block_ms();
        let times = |chunk: u64| (chunk * chunk_ms).max(from_ms)..((chunk + 1) * chunk_ms).min(cut);
        let past: Vec<Range<u64>> = chunks.into_iter().map(times).filter(|times| !times.is_empty()).collect();
        let mut last = Vec::new();
        std::thread::scope(|scope| {
            let (answers, coming) = mpsc::sync_channel(1);
            let asked = &past;
            scope.spawn(move || {
                for times in asked {
                    // Nobody waits any more after a failure.
                    if answers.send(self.masks(kind, times)).is_err() {
                        break;
                    }
                }
            });
            for (times, answer) in past.iter().zip(coming) {
                self.blocks(kind, times, &answer?, &mut last, into)?;
            }
            Ok::<(), StoreError>(())
        })?;
        if kind.table == KINDS[0].table {
            tail::counters(self, &last, cut, into)?;
        }
        tail::samples(self, kind.table, cut..newest.saturating_add(1), into)?;
        Ok(())
    }

    fn masks(&self, kind: &Kind, times: &Range<u64>) -> Result<Vec<u8>, ClickHouseError> {
        let bit = format!("bitShiftLeft(toUInt64(1), toUInt8(intDiv(at_ms, {}) % {BLOCK}))", self.bucket_ms);
        let mask = |condition: &str| match condition {
            "0" => "toUInt64(0)".to_owned(),
            "1" => format!("groupBitOr({bit})"),
            condition => format!("groupBitOr(if({condition}, {bit}, toUInt64(0)))"),
        };
        let (present, bad) = (mask(kind.present), mask(kind.bad));
        let (busy, compared) = (mask(kind.busy), mask(kind.compared));
        // Usually a chunk is one block, and grouping by one number takes a server a quarter less.
        let (block_ms, first) = (self.block_ms(), times.start / self.block_ms());
        let (block, group) = if (times.end.saturating_sub(1)) / block_ms == first {
            (format!("toUInt64({first})"), "GROUP BY series")
        } else {
            (format!("toUInt64(intDiv(at_ms, {block_ms})) AS block"), "GROUP BY series, block ORDER BY block")
        };
        self.ask(format!(
            "SELECT series, {block}, {present}, {bad}, {busy}, {compared}, max(at_ms) FROM {} WHERE {} {group}",
            kind.table,
            self.between(times)
        ))
    }

    /// Hands on what a chunk's answer says, with the sums of its bad buckets, some series at a time.
    fn blocks(
        &self,
        kind: &Kind,
        times: &Range<u64>,
        answer: &[u8],
        last: &mut Vec<u64>,
        into: &mut dyn Loader,
    ) -> Result<(), StoreError> {
        let found = MaskRow::sorted(answer)?;
        let mut bad: BTreeMap<u32, u32> = BTreeMap::new();
        for row in found.iter().filter(|row| row.masks.bad != 0) {
            *bad.entry(row.series).or_default() += row.masks.bad.count_ones();
        }
        for part in parts(&bad) {
            let mut notes = self.notes(kind, times, &part, bad.range(part.clone()).next().is_some())?;
            for row in found.iter().filter(|row| part.contains(&row.series)) {
                let place = row.series as usize;
                if last.len() <= place {
                    last.resize(place + 1, 0);
                }
                if let Some(last) = last.get_mut(place) {
                    *last = row.last_ms.max(*last);
                }
                let mut notes = match row.masks.bad {
                    0 => Vec::new(),
                    _ => notes.remove(&(row.series, row.block)).unwrap_or_default(),
                };
                notes.sort_unstable_by_key(|(bucket, _)| *bucket);
                let losses = notes.iter().filter_map(|(bucket, note)| Some((*bucket, loss_ppm(note)?))).collect();
                notes.drain(..notes.len().saturating_sub(NOTES));
                into.block(BlockRow {
                    series: row.series,
                    block: row.block,
                    masks: row.masks,
                    uncompared: row.uncompared(),
                    notes,
                    losses,
                    last_ms: row.last_ms,
                    counters: None,
                });
            }
        }
        Ok(())
    }

    fn notes(&self, kind: &Kind, times: &Range<u64>, part: &Range<u32>, any: bool) -> Result<Notes, StoreError> {
        let mut notes: HashMap<_, Vec<_>> = HashMap::new();
        if !any {
            return Ok(notes);
        }
        let bucket = format!("intDiv(at_ms, {})", self.bucket_ms);
        let within = format!("{} AND series >= {} AND series < {}", self.between(times), part.start, part.end);
        let limit = if kind.every { String::new() } else { format!(" LIMIT {NOTES} BY series") };
        let Kind { table, bad, sums, .. } = kind;
        let answer = self.ask(format!(
            "SELECT series, toUInt64({bucket}) AS bucket, {sums} FROM {table} WHERE {within}
             AND (series, {bucket}) IN (SELECT series, {bucket} FROM {table} WHERE {within} AND {bad})
             GROUP BY series, bucket ORDER BY series, bucket DESC{limit}"
        ))?;
        let mut rows = Rows::new(&answer);
        while !rows.is_empty() {
            let (series, bucket) = (rows.u32()?, rows.u64()?);
            notes.entry((series, bucket / BLOCK)).or_default().push((bucket, (kind.note)(&mut rows)?));
        }
        Ok(notes)
    }
}

/// One series' bits of one block, as the server answers.
#[derive(Clone, Copy)]
struct MaskRow {
    series: u32,
    block: u64,
    masks: Masks,
    compared: u64,
    last_ms: u64,
}

impl MaskRow {
    /// Bytes of a row in an answer: a series and six numbers.
    const BYTES: usize = 4 + 6 * 8;

    /// All rows of an answer by series, and those of one series as they came: what is known of neighbours lies together in
    /// memory, and a server answers in no order.
    fn sorted(answer: &[u8]) -> Result<Vec<Self>, ClickHouseError> {
        let mut found = Vec::with_capacity(answer.len() / Self::BYTES);
        let mut rows = Rows::new(answer);
        while !rows.is_empty() {
            let row = Self::read(&mut rows)?;
            if row.series < MAX_SERIES {
                found.push(row);
            }
        }
        found.sort_by_key(|row| row.series);
        Ok(found)
    }

    fn read(rows: &mut Rows<'_>) -> Result<Self, ClickHouseError> {
        Ok(Self {
            series: rows.u32()?,
            block: rows.u64()?,
            masks: Masks { present: rows.u64()?, bad: rows.u64()?, busy: rows.u64()? },
            compared: rows.u64()?,
            last_ms: rows.u64()?,
        })
    }

    /// The latest bucket in which no sample could be compared.
    fn uncompared(&self) -> Option<u64> {
        let bits = self.masks.present & !self.compared;
        let bucket = u64::from(bits.checked_ilog2()?);
        Some(self.block.saturating_mul(BLOCK).saturating_add(bucket))
    }
}

/// Ranges of series that have at most [`MAX_NOTES`] bad buckets each, and together hold every series.
fn parts(bad: &BTreeMap<u32, u32>) -> Vec<Range<u32>> {
    let (mut parts, mut from, mut sum) = (Vec::new(), 0, 0u32);
    for (series, count) in bad {
        if sum > 0 && sum.saturating_add(*count) > MAX_NOTES {
            parts.push(from..*series);
            (from, sum) = (*series, 0);
        }
        sum = sum.saturating_add(*count);
    }
    parts.push(from..u32::MAX);
    parts
}

/// Numbers of the partitions that a table has, ascending.
pub fn partitions(client: &Client, table: &str) -> Result<BTreeSet<u64>, ClickHouseError> {
    let answer = client.one(Request::plain(format!(
        "SELECT DISTINCT partition FROM system.parts
         WHERE database = currentDatabase() AND table = '{table}' AND active FORMAT RowBinary"
    )))?;
    let mut rows = Rows::new(&answer);
    let mut partitions = BTreeSet::new();
    while !rows.is_empty() {
        let number = rows.text()?.parse().map_err(|_| ClickHouseError::Malformed("a partition that is no number"))?;
        partitions.insert(number);
    }
    Ok(partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_hold_every_series_and_few_bad_buckets() {
        let whole = 0..u32::MAX;
        assert_eq!(parts(&BTreeMap::new()), [whole]);
        let bad: BTreeMap<u32, u32> = (0..30_000).map(|series| (series * 3, 64)).collect();
        let parts = parts(&bad);
        assert_eq!(parts.len(), 4);
        assert_eq!((parts[0].start, parts[3].end), (0, u32::MAX));
        assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
        for part in parts {
            assert!(bad.range(part).map(|(_, count)| count).sum::<u32>() <= MAX_NOTES);
        }
    }

    #[test]
    fn the_latest_uncompared_bucket_is_found() {
        let masks = Masks { present: 0b1011, ..Masks::default() };
        let row = MaskRow { series: 1, block: 2, masks, compared: 0b1000, last_ms: 0 };
        assert_eq!(row.uncompared(), Some(2 * 64 + 1));
        assert_eq!(MaskRow { compared: u64::MAX, ..row }.uncompared(), None);
    }
}
