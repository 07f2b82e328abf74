//! Signed batches: those of one commit together, compressed, because batches of one moment are much alike.
//!
//! Inside, one after the other: device number (4 bytes), sequence (8), time received in ms since 1970 (8), signature (64),
//! length (4), and the bytes as signed; numbers little-endian.

use rusqlite::{Connection, Transaction, params};

use super::signed;
use crate::store::{StoreError, commit::BatchRow};

/// zstd's fastest level: a third of the bytes for a few microseconds a batch.
const LEVEL: i32 = 1;
/// Most bytes that one group can hold; more was never written.
const MAX_GROUP_BYTES: usize = 1 << 30;
const HEAD: usize = 4 + 8 + 8 + 64 + 4;

/// The batches of one commit as they are kept.
pub(super) struct Group {
    newest_ms: u64,
    bytes: Vec<u8>,
}

/// None for no batches.
pub(super) fn pack(rows: &[BatchRow]) -> Result<Option<Group>, StoreError> {
    let Some(newest_ms) = rows.iter().map(|row| row.received_ms).max() else { return Ok(None) };
    let mut group = Vec::with_capacity(rows.iter().map(|row| HEAD + row.bytes.len()).sum());
    for row in rows {
        let length = u32::try_from(row.bytes.len()).map_err(|_| StoreError::Corrupt("a batch of over 4 GiB"))?;
        group.extend_from_slice(&row.device.to_le_bytes());
        group.extend_from_slice(&row.sequence.to_le_bytes());
        group.extend_from_slice(&row.received_ms.to_le_bytes());
        group.extend_from_slice(&row.signature);
        group.extend_from_slice(&length.to_le_bytes());
        group.extend_from_slice(&row.bytes);
    }
    let bytes =
        zstd::bulk::compress(&group, LEVEL).map_err(|_| StoreError::Corrupt("batches that can't be compressed"))?;
    Ok(Some(Group { newest_ms, bytes }))
}

pub(super) fn write(transaction: &Transaction<'_>, group: &Group) -> Result<(), StoreError> {
    transaction
        .prepare_cached("INSERT INTO batches (received_ms, bytes) VALUES (?1, ?2)")?
        .execute(params![signed(group.newest_ms), group.bytes])?;
    Ok(())
}

/// The batches of one group.
pub(super) fn rows(bytes: &[u8]) -> Result<Vec<BatchRow>, StoreError> {
    let corrupt = || StoreError::Corrupt("batches that can't be read");
    let mut group = Vec::new();
    let decoder = zstd::stream::read::Decoder::new(bytes).map_err(|_| corrupt())?;
    std::io::Read::read_to_end(&mut std::io::Read::take(decoder, MAX_GROUP_BYTES as u64), &mut group)
        .map_err(|_| corrupt())?;
    let mut rest = group.as_slice();
    let mut rows = Vec::new();
    while !rest.is_empty() {
        let (device, tail) = rest.split_first_chunk::<4>().ok_or_else(corrupt)?;
        let (sequence, tail) = tail.split_first_chunk::<8>().ok_or_else(corrupt)?;
        let (received_ms, tail) = tail.split_first_chunk::<8>().ok_or_else(corrupt)?;
        let (signature, tail) = tail.split_first_chunk::<64>().ok_or_else(corrupt)?;
        let (length, tail) = tail.split_first_chunk::<4>().ok_or_else(corrupt)?;
        let (bytes, tail) = tail.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(corrupt)?;
        rows.push(BatchRow {
            device: u32::from_le_bytes(*device),
            sequence: u64::from_le_bytes(*sequence),
            received_ms: u64::from_le_bytes(*received_ms),
            bytes: bytes.to_vec(),
            signature: *signature,
        });
        rest = tail;
    }
    Ok(rows)
}

pub(super) fn read(
    connection: &Connection,
    device: u32,
    from_sequence: u64,
    limit: usize,
) -> Result<Vec<BatchRow>, StoreError> {
    let mut found = Vec::new();
    let mut statement = connection.prepare_cached("SELECT bytes FROM batches ORDER BY id")?;
    let mut groups = statement.query([])?;
    while let Some(group) = groups.next()? {
        let bytes = group.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
        let of_device = |row: &BatchRow| row.device == device && row.sequence >= from_sequence;
        found.extend(rows(bytes)?.into_iter().filter(of_device));
        if found.len() >= limit {
            found.truncate(limit);
            break;
        }
    }
    Ok(found)
}
