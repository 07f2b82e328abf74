//! The end of every series: its counters before the last buckets, and the samples in these.

use std::{collections::BTreeMap, ops::Range};

use super::{error::ClickHouseError, load::Reading, native::Rows, schema::SAMPLES, schema::SLICE_MS};
use crate::{
    store::{
        Loader, StoreError,
        commit::{AdjacencyRow, BlockRow, ProbeRow},
    },
    telemetry::{
        growth::Counters,
        track::{BLOCK, Masks},
    },
};

/// Series that are named in a statement; of more, all are asked for.
const FEW: usize = 2_000;
/// Width in ms of what is asked for at once: eight minutes, some million samples.
const STEP_MS: u64 = SLICE_MS / 8;

/// Bytes of a row's series and time.
const KEY_BYTES: usize = 4 + 8;

const COUNTERS: &str = "in_octets, out_octets, in_errors, out_errors, in_discards, out_discards, carrier_transitions";

/// Hands on the counters of each interface at its last sample before `cut`; `last` has its time by the series' number, 0
/// for none.
pub fn counters(reading: &Reading<'_>, last: &[u64], cut: u64, into: &mut dyn Loader) -> Result<(), StoreError> {
    let chunk_ms = reading.chunk_ms();
    // Nearly all have been heard in the bucket before: only of the others more is looked at.
    let recent = cut.saturating_sub(reading.bucket_ms);
    let mut by_times: BTreeMap<(u64, u64), Vec<u32>> = BTreeMap::new();
    for (series, last_ms) in (0u32..).zip(last).filter(|(_, last_ms)| **last_ms > 0) {
        let chunk = last_ms / chunk_ms;
        let times = if *last_ms >= recent { (recent, cut) } else { (chunk * chunk_ms, (chunk + 1) * chunk_ms) };
        by_times.entry(times).or_default().push(series);
    }
    let columns: Vec<String> = COUNTERS.split(", ").map(|name| format!("argMax({name}, at_ms)")).collect();
    for ((from, to), wanted) in by_times {
        let named = if wanted.len() <= FEW {
            let names: Vec<String> = wanted.iter().map(u32::to_string).collect();
            format!(" AND series IN ({})", names.join(", "))
        } else {
            String::new()
        };
        let answer = reading.ask(format!(
            "SELECT series, max(at_ms), {} FROM {} WHERE {}{named} GROUP BY series",
            columns.join(", "),
            SAMPLES[0],
            reading.between(&(from..to.min(cut)))
        ))?;
        let mut rows = Rows::new(&answer);
        while !rows.is_empty() {
            let (series, last_ms, counters) = (rows.u32()?, rows.u64()?, read(&mut rows)?);
            if last.get(series as usize) == Some(&last_ms) {
                into.block(BlockRow {
                    series,
                    block: last_ms / reading.bucket_ms / BLOCK,
                    masks: Masks::default(),
                    uncompared: None,
                    notes: Vec::new(),
                    losses: Vec::new(),
                    last_ms,
                    counters: Some(counters),
                });
            }
        }
    }
    Ok(())
}

fn read(rows: &mut Rows<'_>) -> Result<Counters, ClickHouseError> {
    Ok(Counters {
        octets: [rows.u64()?, rows.u64()?],
        errors: [rows.u64()?, rows.u64()?],
        discards: [rows.u64()?, rows.u64()?],
        carrier: rows.u64()?,
    })
}

/// Hands on every sample of these times, of each series in order.
pub fn samples(
    reading: &Reading<'_>,
    table: &'static str,
    times: Range<u64>,
    into: &mut dyn Loader,
) -> Result<(), StoreError> {
    let columns = match table {
        "interface_sample" => COUNTERS,
        "probe_sample" => "sent, received, rtt_max_ns",
        _ => "up",
    };
    let up = if table == SAMPLES[0] { "up, " } else { "" };
    // What is selected: a series, a time, and either or both of a byte and numbers.
    let width = KEY_BYTES
        + match table {
            "interface_sample" => 1 + 8 * COUNTERS.split(", ").count(),
            "probe_sample" => 8 * columns.split(", ").count(),
            _ => 1,
        };
    let mut from = times.start;
    while from < times.end {
        let to = from.saturating_add(STEP_MS).min(times.end);
        let answer = reading
            .ask(format!("SELECT series, at_ms, {up}{columns} FROM {table} WHERE {}", reading.between(&(from..to))))?;
        for (series, at_ms, mut rows) in in_order(&answer, width)? {
            match table {
                "interface_sample" => {
                    let up = rows.u8()? != 0;
                    into.interface(series, at_ms, up, &read(&mut rows)?);
                }
                "probe_sample" => {
                    let (sent, received, rtt_max_ns) = (rows.u64()?, rows.u64()?, rows.u64()?);
                    into.probe(&ProbeRow { series, at_ms, sent, received, rtt_max_ns });
                }
                _ => into.adjacency(&AdjacencyRow { series, at_ms, up: rows.u8()? != 0 }),
            }
        }
        from = to;
    }
    Ok(())
}

/// Rows of so many bytes by series and time, which they begin with, each with what follows: sorting them here takes a third
/// of what it takes a server.
fn in_order(answer: &[u8], width: usize) -> Result<Vec<(u32, u64, Rows<'_>)>, ClickHouseError> {
    let rows = answer.chunks_exact(width);
    if !rows.remainder().is_empty() {
        return Err(ClickHouseError::Malformed("it ends too early"));
    }
    let row = |row| {
        let mut rows = Rows::new(row);
        Ok((rows.u32()?, rows.u64()?, rows))
    };
    let mut rows = rows.map(row).collect::<Result<Vec<_>, ClickHouseError>>()?;
    rows.sort_unstable_by_key(|(series, at_ms, _)| (*series, *at_ms));
    Ok(rows)
}
