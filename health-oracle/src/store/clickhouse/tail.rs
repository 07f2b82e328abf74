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

const COUNTERS: &str = "in_octets, out_octets, in_errors, out_errors, in_discards, out_discards, carrier_transitions";

/// Hands on the counters of each interface at its last sample before `cut`; `last` has its time by the series' number, 0
/// for none.
pub fn counters(reading: &Reading<'_>, last: &[u64], cut: u64, into: &mut dyn Loader) -> Result<(), StoreError> {
    let chunk_ms = reading.chunk_ms();
    let mut by_chunk: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    for (series, last_ms) in (0u32..).zip(last).filter(|(_, last_ms)| **last_ms > 0) {
        by_chunk.entry(last_ms / chunk_ms).or_default().push(series);
    }
    let columns: Vec<String> = COUNTERS.split(", ").map(|name| format!("argMax({name}, at_ms)")).collect();
    for (chunk, wanted) in by_chunk {
        let times = chunk * chunk_ms..((chunk + 1) * chunk_ms).min(cut);
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
            reading.between(&times)
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
    let mut from = times.start;
    while from < times.end {
        let to = from.saturating_add(STEP_MS).min(times.end);
        let answer = reading.ask(format!(
            "SELECT series, at_ms, {up}{columns} FROM {table} WHERE {} ORDER BY series, at_ms",
            reading.between(&(from..to))
        ))?;
        let mut rows = Rows::new(&answer);
        while !rows.is_empty() {
            let (series, at_ms) = (rows.u32()?, rows.u64()?);
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
