//! Forgetting: whole partitions, so that nothing has to be written anew. What is older than asked by less than a
//! partition stays.

use std::time::Instant;

use super::{
    ClickHouseStore, HELD,
    error::ClickHouseError,
    http::{Client, Request},
    journal::{State, now_ms, say, voids},
    load::partitions,
    native::Rows,
    schema::{PARTITION_MS, SAMPLES, SHOWN},
};
use crate::store::StoreError;

/// How long after a commit was declared void it is certain that nothing of it arrives any more, in ms: far longer than
/// any insert takes.
const SETTLED_MS: u64 = 3_600_000;
/// Tables with rows of commits.
const TABLES: [&str; 8] = ["device", "series", "batch", SAMPLES[0], SAMPLES[1], SAMPLES[2], SHOWN[0], SHOWN[1]];

/// Drops the partitions that end before this time. What stays of older samples is not read any more.
pub fn prune(store: &ClickHouseStore, before_ms: u64) -> Result<(), StoreError> {
    if before_ms > forgotten_ms(&store.writing)? {
        store.writing.one(Request::plain(format!("INSERT INTO forgotten (before_ms) VALUES ({before_ms})")))?;
    }
    for table in SAMPLES.into_iter().chain(SHOWN).chain(["batch"]) {
        for partition in ended(&store.writing, table, before_ms)? {
            drop_partition(&store.writing, table, partition)?;
        }
    }
    devices(store, before_ms)?;
    commits(store, before_ms)
}

/// What is older than this was forgotten, in ms since 1970.
pub fn forgotten_ms(client: &Client) -> Result<u64, ClickHouseError> {
    let answer = client.one(Request::plain("SELECT toUInt64(max(before_ms)) FROM forgotten FORMAT RowBinary"))?;
    // An older server answers nothing where a newer one answers 0.
    if answer.is_empty() { Ok(0) } else { Rows::new(&answer).u64() }
}

fn ended(client: &Client, table: &str, before_ms: u64) -> Result<Vec<u64>, ClickHouseError> {
    let all = partitions(client, table)?;
    Ok(all
        .into_iter()
        .filter(|partition| partition.saturating_add(1).saturating_mul(PARTITION_MS) <= before_ms)
        .collect())
}

fn drop_partition(client: &Client, table: &str, partition: u64) -> Result<(), ClickHouseError> {
    client.one(Request::plain(format!("ALTER TABLE {table} DROP PARTITION {partition}")))?;
    Ok(())
}

/// Old rows of devices go once the latest row of each is a younger one: a device is never forgotten, or its batches
/// could be replayed.
fn devices(store: &ClickHouseStore, before_ms: u64) -> Result<(), StoreError> {
    // The younger row is written now, and has to stay.
    let ended = ended(&store.writing, "device", before_ms.min(now_ms()))?;
    let Some(last) = ended.last() else { return Ok(()) };
    let end_ms = last.saturating_add(1).saturating_mul(PARTITION_MS);
    let mut writer = store.writer();
    let client = store.writing.until(Instant::now() + HELD);
    if let Some(journal) = &mut writer.journal {
        journal.settle(&client)?;
    }
    let (counting, _) = super::journal::counting(&client)?;
    let latest = format!("SELECT id, max(commit) FROM device WHERE 1{counting} GROUP BY id");
    let old = format!("FROM device WHERE written_ms < {end_ms} AND (id, commit) IN ({latest})");
    let answer = client.one(Request::plain(format!("SELECT count() {old} FORMAT RowBinary")))?;
    if !answer.is_empty() && Rows::new(&answer).u64()? > 0 {
        const REST: &str = "last_sequence, chain, lost_samples, config_at_ms, config_polled_ms, offered_generation,
            offered_sha256, applied_generation, applied_sha256, evaluated_slot, in_sync_ms";
        writer.commit(store, &client, &|number| {
            vec![Request::plain(format!(
                "INSERT INTO device (commit, id, code, written_ms, {REST})
                 SELECT toUInt32({number}), id, code, toUInt64({}), {REST} {old}",
                now_ms()
            ))]
        })?;
    }
    for partition in ended {
        drop_partition(&client, "device", partition)?;
    }
    Ok(())
}

/// What is known of old commits goes, but for the last one and for void ones of which rows are left.
fn commits(store: &ClickHouseStore, before_ms: u64) -> Result<(), StoreError> {
    let _writer = store.writer();
    let client = &store.writing.until(Instant::now() + HELD);
    let settled_ms = now_ms().saturating_sub(SETTLED_MS);
    let void = voids(client, settled_ms)?;
    if !void.is_empty() {
        let names: Vec<String> = void.iter().map(u32::to_string).collect();
        let mut left = std::collections::BTreeSet::new();
        for table in TABLES {
            let answer = client.one(Request::plain(format!(
                "SELECT DISTINCT commit FROM {table} WHERE commit IN ({}) FORMAT RowBinary",
                names.join(", ")
            )))?;
            let mut rows = Rows::new(&answer);
            while !rows.is_empty() {
                left.insert(rows.u32()?);
            }
        }
        for commit in void.into_iter().filter(|commit| !left.contains(commit)) {
            client.one(say(commit, State::Empty))?;
        }
    }
    let newest = partitions(client, "commits")?.last().copied();
    // A day more than samples: those of a commit may be taken a little before or after it.
    let ended = ended(client, "commits", before_ms.saturating_sub(24 * SETTLED_MS))?;
    for partition in ended.into_iter().filter(|partition| Some(*partition) != newest) {
        let end_ms = partition.saturating_add(1).saturating_mul(PARTITION_MS);
        client.one(Request::plain(format!(
            "INSERT INTO commits (commit, state, at_ms)
             SELECT commit, state, toUInt64({}) FROM commits WHERE at_ms < {end_ms} AND state = 1
             AND commit NOT IN (SELECT commit FROM commits WHERE state = 2)",
            now_ms()
        )))?;
        drop_partition(client, "commits", partition)?;
    }
    Ok(())
}
