//! Reading back: devices, series, the sums of blocks that have ended, and the samples since.

use causeway_interface::Digest;
use rusqlite::Transaction;

use super::{rollup_id, sample_id, sample_of, unsigned, write::Detail};
use crate::{
    store::{
        Loader, StoreError,
        commit::{AdjacencyRow, BlockRow, DeviceRow, ProbeRow, SeriesRow},
    },
    telemetry::{
        ConfigState,
        growth::{Counters, SeriesKey},
        track::{BLOCK, Masks},
    },
};

pub(super) fn load(
    transaction: &Transaction<'_>,
    from_ms: u64,
    bucket_ms: u64,
    into: &mut dyn Loader,
) -> Result<(), StoreError> {
    devices(transaction, into)?;
    series(transaction, into)?;
    let block_ms = bucket_ms.max(1).saturating_mul(BLOCK);
    let samples_from = match rollups(transaction, from_ms / block_ms, into)? {
        Some(last) => from_ms.max((last + 1).saturating_mul(block_ms)),
        None => from_ms,
    };
    samples(transaction, samples_from, into)
}

fn devices(transaction: &Transaction<'_>, into: &mut dyn Loader) -> Result<(), StoreError> {
    let mut statement = transaction
        .prepare_cached("SELECT id, code, last_sequence, chain, lost_samples, config FROM device ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let chain = row.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?;
        let held = row.get_ref(5)?.as_blob_or_null().map_err(rusqlite::Error::from)?;
        into.device(DeviceRow {
            id: row.get(0)?,
            code: row.get::<_, String>(1)?.parse().map_err(|_| StoreError::Corrupt("a code that is none"))?,
            last_sequence: unsigned(row.get(2)?)?,
            chain: chain.try_into().map(Digest).map_err(|_| StoreError::Corrupt("a digest that is not 32 bytes"))?,
            lost_samples: unsigned(row.get(4)?)?,
            config: held.map(config).transpose()?,
        });
    }
    Ok(())
}

fn series(transaction: &Transaction<'_>, into: &mut dyn Loader) -> Result<(), StoreError> {
    let mut statement =
        transaction.prepare_cached("SELECT id, device, kind, name, first_ms FROM series ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let name = row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?;
        into.series(SeriesRow {
            id: row.get(0)?,
            device: row.get(1)?,
            key: SeriesKey::from_stored(row.get(2)?, name).ok_or(StoreError::Corrupt("a series that is none"))?,
            first_ms: unsigned(row.get(4)?)?,
        });
    }
    Ok(())
}

fn config(bytes: &[u8]) -> Result<ConfigState, StoreError> {
    let corrupt = || StoreError::Corrupt("a configuration state that is none");
    let mut rest = bytes;
    let mut numbers = [0; 6];
    for number in &mut numbers {
        let (head, tail) = rest.split_first_chunk::<8>().ok_or_else(corrupt)?;
        (*number, rest) = (u64::from_le_bytes(*head), tail);
    }
    let (offered, rest) = rest.split_first_chunk::<32>().ok_or_else(corrupt)?;
    let applied: [u8; 32] = rest.try_into().map_err(|_| corrupt())?;
    let [at_ms, polled_ms, offered_generation, applied_generation, evaluated_slot, in_sync_ms] = numbers;
    Ok(ConfigState {
        at_ms,
        polled_ms,
        offered_generation,
        offered_sha256: Digest(*offered),
        applied_generation,
        applied_sha256: Digest(applied),
        evaluated_slot,
        in_sync_ms,
    })
}

fn counters(bytes: &[u8]) -> Result<Counters, StoreError> {
    let numbers: Vec<u64> =
        bytes.chunks_exact(8).filter_map(|chunk| chunk.try_into().ok().map(u64::from_le_bytes)).collect();
    match numbers.as_slice() {
        [o0, o1, e0, e1, d0, d1, carrier] => {
            Ok(Counters { octets: [*o0, *o1], errors: [*e0, *e1], discards: [*d0, *d1], carrier: *carrier })
        }
        _ => Err(StoreError::Corrupt("counters of another length")),
    }
}

/// Returns the last block that has sums.
fn rollups(transaction: &Transaction<'_>, from: u64, into: &mut dyn Loader) -> Result<Option<u64>, StoreError> {
    let mut statement = transaction.prepare_cached(
        "SELECT id, present, bad, busy, last_ms, counters, detail FROM rollup WHERE id >= ?1 ORDER BY id",
    )?;
    let mut rows = statement.query([rollup_id(0, from)])?;
    let mut last = None;
    while let Some(row) = rows.next()? {
        let id = unsigned(row.get(0)?)?;
        let (series, block) = ((id & ((1 << super::SERIES_BITS) - 1)) as u32, id >> super::SERIES_BITS);
        let mask = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        let detail = match row.get_ref(6)?.as_str_or_null().map_err(rusqlite::Error::from)? {
            Some(text) => serde_json::from_str(text).map_err(|_| StoreError::Corrupt("a detail that is none"))?,
            None => Detail::default(),
        };
        let held = row.get_ref(5)?.as_blob_or_null().map_err(rusqlite::Error::from)?;
        into.block(BlockRow {
            series,
            block,
            masks: Masks { present: mask(1)?, bad: mask(2)?, busy: mask(3)? },
            uncompared: detail.uncompared,
            notes: detail.notes,
            losses: detail.losses,
            last_ms: unsigned(row.get(4)?)?,
            counters: held.map(counters).transpose()?,
        });
        last = Some(block);
    }
    Ok(last)
}

fn samples(transaction: &Transaction<'_>, from_ms: u64, into: &mut dyn Loader) -> Result<(), StoreError> {
    let from = sample_id(0, from_ms);
    let mut statement = transaction.prepare_cached(
        "SELECT id, up, in_octets, out_octets, in_errors, out_errors, in_discards, out_discards, carrier_transitions
         FROM interface_sample WHERE id >= ?1 ORDER BY id",
    )?;
    let mut rows = statement.query([from])?;
    while let Some(row) = rows.next()? {
        let (series, at_ms) = sample_of(row.get(0)?);
        let number = |column| row.get::<_, i64>(column).map_err(StoreError::from).and_then(unsigned);
        let counters = Counters {
            octets: [number(2)?, number(3)?],
            errors: [number(4)?, number(5)?],
            discards: [number(6)?, number(7)?],
            carrier: number(8)?,
        };
        into.interface(series, at_ms, row.get(1)?, &counters);
    }
    let mut statement = transaction.prepare_cached("SELECT id, up FROM adjacency_sample WHERE id >= ?1 ORDER BY id")?;
    let mut rows = statement.query([from])?;
    while let Some(row) = rows.next()? {
        let (series, at_ms) = sample_of(row.get(0)?);
        into.adjacency(&AdjacencyRow { series, at_ms, up: row.get(1)? });
    }
    let mut statement = transaction
        .prepare_cached("SELECT id, sent, received, rtt_max_ns FROM probe_sample WHERE id >= ?1 ORDER BY id")?;
    let mut rows = statement.query([from])?;
    while let Some(row) = rows.next()? {
        let (series, at_ms) = sample_of(row.get(0)?);
        let number = |column| row.get::<_, i64>(column).map_err(StoreError::from).and_then(unsigned);
        into.probe(&ProbeRow { series, at_ms, sent: number(1)?, received: number(2)?, rtt_max_ns: number(3)? });
    }
    Ok(())
}
