//! Writing a commit.

use rusqlite::{Transaction, params};

use super::{batches, rollup_id, sample_id, signed};
use crate::{
    store::{
        StoreError,
        commit::{BlockRow, Commit, DeviceRow, Note},
    },
    telemetry::{ConfigState, growth::Counters},
};

/// What a block's detail holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Detail {
    pub uncompared: Option<u64>,
    pub notes: Vec<(u64, Note)>,
    pub losses: Vec<(u64, u32)>,
}

/// Batches that are worth a thread of their own while they are compressed.
const MANY_BATCHES: usize = 64;

pub(super) fn write(transaction: &Transaction<'_>, commit: &Commit) -> Result<(), StoreError> {
    if commit.batches.len() < MANY_BATCHES {
        rows(transaction, commit)?;
        return keep(transaction, batches::pack(&commit.batches));
    }
    std::thread::scope(|scope| {
        let packing = scope.spawn(|| batches::pack(&commit.batches));
        rows(transaction, commit)?;
        // A thread that died packed nothing: the same panic goes on here.
        keep(transaction, packing.join().unwrap_or_else(|_| batches::pack(&commit.batches)))
    })
}

fn keep(transaction: &Transaction<'_>, group: Result<Option<batches::Group>, StoreError>) -> Result<(), StoreError> {
    match group? {
        Some(group) => batches::write(transaction, &group),
        None => Ok(()),
    }
}

fn rows(transaction: &Transaction<'_>, commit: &Commit) -> Result<(), StoreError> {
    devices(transaction, &commit.devices)?;
    let mut insert = transaction.prepare_cached("INSERT INTO series VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for row in &commit.series {
        insert.execute(params![row.id, row.device, row.key.kind_number(), row.key.name(), signed(row.first_ms)])?;
    }
    let mut insert =
        transaction.prepare_cached("INSERT INTO interface_sample VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
    for row in in_order(&commit.interfaces, |row| sample_id(row.series, row.at_ms)) {
        let Counters { octets, errors, discards, carrier } = row.counters;
        insert.execute(params![
            sample_id(row.series, row.at_ms),
            row.growth.down == 0,
            signed(octets[0]),
            signed(octets[1]),
            signed(errors[0]),
            signed(errors[1]),
            signed(discards[0]),
            signed(discards[1]),
            signed(carrier)
        ])?;
    }
    let mut insert = transaction.prepare_cached("INSERT INTO adjacency_sample VALUES (?1, ?2)")?;
    for row in in_order(&commit.adjacencies, |row| sample_id(row.series, row.at_ms)) {
        insert.execute(params![sample_id(row.series, row.at_ms), row.up])?;
    }
    let mut insert = transaction.prepare_cached("INSERT INTO probe_sample VALUES (?1, ?2, ?3, ?4)")?;
    for row in in_order(&commit.probes, |row| sample_id(row.series, row.at_ms)) {
        insert.execute(params![
            sample_id(row.series, row.at_ms),
            signed(row.sent),
            signed(row.received),
            signed(row.rtt_max_ns)
        ])?;
    }
    rollups(transaction, &commit.blocks)
}

/// In the order of their keys: rows that are added at the end of a table cost the least. Rows of one key stay in the order
/// in which they came, because of several sums of one block the last holds.
fn in_order<T>(rows: &[T], key: impl Fn(&T) -> i64) -> Vec<&T> {
    let mut sorted: Vec<&T> = rows.iter().collect();
    sorted.sort_by_key(|row| key(row));
    sorted
}

fn devices(transaction: &Transaction<'_>, rows: &[DeviceRow]) -> Result<(), StoreError> {
    let mut upsert = transaction.prepare_cached(
        "INSERT INTO device VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO UPDATE SET
         last_sequence = excluded.last_sequence, chain = excluded.chain, lost_samples = excluded.lost_samples,
         config = excluded.config",
    )?;
    for row in rows {
        upsert.execute(params![
            row.id,
            row.code.as_str(),
            signed(row.last_sequence),
            row.chain.0,
            signed(row.lost_samples),
            row.config.as_ref().map(config_bytes)
        ])?;
    }
    Ok(())
}

/// Six numbers (when it was said, last poll, generations offered and applied, slot evaluated, last in sync) and two hashes
/// (offered, applied); numbers little-endian.
pub(super) fn config_bytes(config: &ConfigState) -> Vec<u8> {
    let ConfigState {
        at_ms,
        polled_ms,
        offered_generation,
        offered_sha256,
        applied_generation,
        applied_sha256,
        evaluated_slot,
        in_sync_ms,
    } = config;
    let mut bytes = Vec::with_capacity(6 * 8 + 2 * 32);
    for number in [at_ms, polled_ms, offered_generation, applied_generation, evaluated_slot, in_sync_ms] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&offered_sha256.0);
    bytes.extend_from_slice(&applied_sha256.0);
    bytes
}

pub(super) fn counters_bytes(counters: &Counters) -> Vec<u8> {
    let Counters { octets, errors, discards, carrier } = counters;
    [octets.as_slice(), errors, discards, &[*carrier]].concat().iter().flat_map(|n| n.to_le_bytes()).collect()
}

fn rollups(transaction: &Transaction<'_>, rows: &[BlockRow]) -> Result<(), StoreError> {
    let mut upsert = transaction.prepare_cached("INSERT OR REPLACE INTO rollup VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    for row in in_order(rows, |row| rollup_id(row.series, row.block)) {
        let detail = Detail { uncompared: row.uncompared, notes: row.notes.clone(), losses: row.losses.clone() };
        let detail = if detail == Detail::default() { None } else { Some(serde_json::to_string(&detail)) };
        upsert.execute(params![
            rollup_id(row.series, row.block),
            row.masks.present.cast_signed(),
            row.masks.bad.cast_signed(),
            row.masks.busy.cast_signed(),
            signed(row.last_ms),
            row.counters.as_ref().map(counters_bytes),
            detail.transpose().map_err(|_| StoreError::Corrupt("a detail that can't be written"))?
        ])?;
    }
    Ok(())
}
