//! Tables, and how an older database becomes today's.
//!
//! Every row carries the number of the commit that wrote it; `commits` says which commits count (see
//! [`super::journal`]). Rows of samples are sorted by the hour, then series, then time: what a start reads lies together,
//! and so does one series within an hour. Each table is cut into partitions of 6.4 hours; forgetting drops whole ones.
//!
//! Migrations are numbered and only go up. ClickHouse has no transactions for them: each statement may be run again, so
//! that a start which died in between goes on.

use super::{
    error::ClickHouseError,
    http::{Client, Request},
    native::Rows,
};
use crate::store::StoreError;

/// Width in ms of what lies together in a table of samples: 64 minutes, a block of one-minute buckets.
pub const SLICE_MS: u64 = 64 * 60_000;
/// Width of a partition in ms: six slices, some 20 million samples of ten thousand devices. The unit of forgetting.
pub const PARTITION_MS: u64 = 6 * SLICE_MS;
/// Commits whose rows of devices lie together: an hour of one a second.
pub const COMMIT_SLICE: u32 = 4_096;

/// Tables with samples.
pub const SAMPLES: [&str; 3] = ["interface_sample", "adjacency_sample", "probe_sample"];

/// Tables with what is shown to people and never read back.
pub const SHOWN: [&str; 2] = ["session_sample", "system_sample"];

/// A server's version: year and month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32);

impl Version {
    /// The first that can sync an insert to the disk before it answers.
    const SYNCS: Self = Self(20, 10);

    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.trim().split('.').map_while(|part| part.parse().ok());
        Some(Self(numbers.next()?, numbers.next()?))
    }

    /// What to say after a table's definition; `granularity` is the number of rows between entries of its index.
    fn settings(self, granularity: u32) -> String {
        let sync = if self >= Self::SYNCS { ", fsync_after_insert = 1, fsync_part_directory = 1" } else { "" };
        let merged = format!("max_bytes_to_merge_at_max_space_in_pool = {MAX_MERGED}");
        format!("SETTINGS index_granularity = {granularity}, {merged}{sync}")
    }
}

/// Rows between entries of an index: the engine's own choice.
const GRANULARITY: u32 = 8_192;
/// The same for signed batches, which are of some kilobytes each: reading one reads so many.
const BATCH_GRANULARITY: u32 = 256;

/// Bytes of parts up to which a server merges them. Merging is the largest part of what inserts cost it, and is done level by
/// level: without a bound what came first is written anew three or four times until a partition is one part. Nothing here
/// gains by that; parts of this size are few hundred a week, and are dropped with their partition.
const MAX_MERGED: u64 = 128 << 20;

/// What brings a database from the version before to this one.
type Migration = fn(Version) -> Vec<String>;

/// All of them; the first makes the first version.
const MIGRATIONS: [Migration; 2] = [tables, shown];

/// The version of a database of today.
pub const CURRENT: i64 = MIGRATIONS.len() as i64;

fn tables(version: Version) -> Vec<String> {
    let at = "at DateTime ALIAS toDateTime(intDiv(at_ms, 1000), 'UTC')";
    let samples = |name: &str, columns: &str| {
        format!(
            "CREATE TABLE IF NOT EXISTS {name} (commit UInt32, series UInt32, at_ms UInt64, {columns}, {at})
             ENGINE = MergeTree PARTITION BY intDiv(at_ms, {PARTITION_MS})
             ORDER BY (intDiv(at_ms, {SLICE_MS}), series, at_ms) {}",
            version.settings(GRANULARITY)
        )
    };
    vec![
        format!(
            "CREATE TABLE IF NOT EXISTS commits (commit UInt32, state UInt8, at_ms UInt64, {at})
             ENGINE = MergeTree PARTITION BY intDiv(at_ms, {PARTITION_MS}) ORDER BY commit {}",
            version.settings(GRANULARITY)
        ),
        format!(
            "CREATE TABLE IF NOT EXISTS forgotten (before_ms UInt64) ENGINE = MergeTree ORDER BY before_ms {}",
            version.settings(GRANULARITY)
        ),
        format!(
            "CREATE TABLE IF NOT EXISTS device (commit UInt32, id UInt32, code String, written_ms UInt64,
             last_sequence UInt64, chain FixedString(32), lost_samples UInt64, config_at_ms UInt64,
             config_polled_ms UInt64, offered_generation UInt64, offered_sha256 FixedString(32),
             applied_generation UInt64, applied_sha256 FixedString(32), evaluated_slot UInt64, in_sync_ms UInt64)
             ENGINE = MergeTree PARTITION BY intDiv(written_ms, {PARTITION_MS})
             ORDER BY (intDiv(commit, {COMMIT_SLICE}), id, commit) {}",
            version.settings(GRANULARITY)
        ),
        format!(
            "CREATE TABLE IF NOT EXISTS series (commit UInt32, id UInt32, device UInt32, kind UInt8, name String,
             first_ms UInt64) ENGINE = MergeTree ORDER BY id {}",
            version.settings(GRANULARITY)
        ),
        format!(
            "CREATE TABLE IF NOT EXISTS batch (commit UInt32, device UInt32, sequence UInt64, received_ms UInt64,
             signature FixedString(64), bytes String)
             ENGINE = MergeTree PARTITION BY intDiv(received_ms, {PARTITION_MS})
             ORDER BY (device, sequence) {}",
            version.settings(BATCH_GRANULARITY)
        ),
        samples(
            "interface_sample",
            "up UInt8, in_octets UInt64, out_octets UInt64, in_errors UInt64, out_errors UInt64, in_discards UInt64,
             out_discards UInt64, carrier_transitions UInt64, compared UInt8, octets UInt64, errors UInt64,
             discards UInt64, flaps UInt64",
        ),
        samples("adjacency_sample", "up UInt8"),
        samples("probe_sample", "sent UInt64, received UInt64, rtt_max_ns UInt64"),
    ]
}

/// What devices say of sessions and machines. Both are of a device: no series is made for what nobody judges.
fn shown(version: Version) -> Vec<String> {
    let columns =
        ["peer String, established UInt8, prefixes_known UInt8, prefixes_received UInt32", "cpu_busy_permille UInt32"];
    let table = |(name, columns): (&str, &str)| {
        format!(
            "CREATE TABLE IF NOT EXISTS {name} (commit UInt32, device UInt32, at_ms UInt64, {columns},
             at DateTime ALIAS toDateTime(intDiv(at_ms, 1000), 'UTC'))
             ENGINE = MergeTree PARTITION BY intDiv(at_ms, {PARTITION_MS})
             ORDER BY (intDiv(at_ms, {SLICE_MS}), device, at_ms) {}",
            version.settings(GRANULARITY)
        )
    };
    SHOWN.into_iter().zip(columns).map(table).collect()
}

/// Makes the database if it is missing, and brings it to today's version.
///
/// # Errors
/// The server refuses, or the database is of a later version.
pub fn prepare(client: &Client, database: &str) -> Result<(), StoreError> {
    let found =
        client.outside(format!("SELECT count() FROM system.databases WHERE name = '{database}' FORMAT RowBinary"))?;
    // Asked first: making one needs a right that an oracle's user need not have.
    if Rows::new(&found).u64()? == 0 {
        client.outside(format!("CREATE DATABASE IF NOT EXISTS {database}"))?;
    }
    let text = client.outside("SELECT version() FORMAT TabSeparated")?;
    let version = std::str::from_utf8(&text)
        .ok()
        .and_then(Version::parse)
        .ok_or(ClickHouseError::Malformed("a version that is none"))?;
    let run = |sql: String| client.one(Request::plain(sql));
    run(format!(
        "CREATE TABLE IF NOT EXISTS schema_version (version UInt32) ENGINE = MergeTree ORDER BY version {}",
        version.settings(GRANULARITY)
    ))?;
    let found = run("SELECT toUInt32(max(version)) FROM schema_version FORMAT RowBinary".to_owned())?;
    let found = if found.is_empty() { 0 } else { Rows::new(&found).u32()? };
    if i64::from(found) > CURRENT {
        return Err(StoreError::Schema { found: i64::from(found), known: CURRENT });
    }
    for (number, migration) in (1..).zip(MIGRATIONS).skip(found as usize) {
        for statement in migration(version) {
            run(statement)?;
        }
        run(format!("INSERT INTO schema_version VALUES ({number})"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_year_and_month() {
        assert_eq!(Version::parse("18.16.1\n"), Some(Version(18, 16)));
        assert_eq!(Version::parse("26.9.2.1"), Some(Version(26, 9)));
        assert_eq!(Version::parse("newest"), None);
        assert!(!Version(18, 16).settings(1).contains("fsync"));
        assert!(Version(20, 10).settings(1).contains("fsync_after_insert"));
        assert!(Version(21, 3).settings(1).contains("fsync_after_insert"));
    }
}
