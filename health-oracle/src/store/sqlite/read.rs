//! Reading windows from the file.

use causeway_interface::Code;
use rusqlite::{OptionalExtension, Transaction, params};

use super::{digest, signed, small, unsigned};
use crate::{
    store::{StoreError, WindowQuery, rollup::SeriesKey},
    telemetry::{
        AdjacencyBucket, Chain, ConfigState, DeviceTelemetry, InterfaceBucket, ProbeBucket, ProbeKind, Series,
    },
};

/// What is known of a device, as of one state of the file.
pub(super) fn window(transaction: &Transaction<'_>, query: &WindowQuery) -> Result<DeviceTelemetry, StoreError> {
    let mut telemetry = DeviceTelemetry::default();
    let mut statement = transaction.prepare_cached(
        "SELECT id, last_sequence, chain, first_interface_ms, first_probe_ms, config_at_ms, config_polled_ms,
         config_offered_generation, config_offered_sha256, config_applied_generation, config_applied_sha256,
         config_evaluated_slot FROM device WHERE code = ?1",
    )?;
    let mut rows = statement.query([query.device.as_str()])?;
    let Some(row) = rows.next()? else { return Ok(telemetry) };
    let id: i64 = row.get(0)?;
    telemetry.chain = Chain {
        sequence: unsigned(row.get(1)?)?,
        head: digest(row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?)?,
    };
    telemetry.interface_reports.first_ms = row.get::<_, Option<i64>>(3)?.map(unsigned).transpose()?;
    telemetry.probe_reports.first_ms = row.get::<_, Option<i64>>(4)?.map(unsigned).transpose()?;
    if let Some(at_ms) = row.get::<_, Option<i64>>(5)? {
        telemetry.config = Some(ConfigState {
            at_ms: unsigned(at_ms)?,
            polled_ms: unsigned(row.get(6)?)?,
            offered_generation: unsigned(row.get(7)?)?,
            offered_sha256: digest(&row.get::<_, Vec<u8>>(8)?)?,
            applied_generation: unsigned(row.get(9)?)?,
            applied_sha256: digest(&row.get::<_, Vec<u8>>(10)?)?,
            evaluated_slot: unsigned(row.get(11)?)?,
        });
    }
    let range = (signed(query.from), signed(query.to));
    let mut statement = transaction.prepare_cached(
        "SELECT bucket, interfaces, probes FROM presence WHERE device = ?1 AND bucket >= ?2 AND bucket < ?3
         ORDER BY bucket",
    )?;
    let mut rows = statement.query(params![id, range.0, range.1])?;
    while let Some(row) = rows.next()? {
        let bucket = unsigned(row.get(0)?)?;
        telemetry.interface_reports.buckets.push((bucket, small(row.get(1)?)?));
        telemetry.probe_reports.buckets.push((bucket, small(row.get(2)?)?));
    }
    for name in &query.interfaces {
        let series = read_series(transaction, id, &SeriesKey::Interface(*name), range, |n| {
            Ok(InterfaceBucket {
                samples: small(n[0])?,
                down: small(n[1])?,
                compared: small(n[2])?,
                octets: unsigned(n[3])?,
                errors: unsigned(n[4])?,
                discards: unsigned(n[5])?,
                flaps: unsigned(n[6])?,
            })
        })?;
        telemetry.interfaces.insert(*name, series);
    }
    for name in &query.adjacencies {
        let series = read_series(transaction, id, &SeriesKey::Adjacency(*name), range, |n| {
            Ok(AdjacencyBucket { samples: small(n[0])?, down: small(n[1])? })
        })?;
        telemetry.adjacencies.insert(*name, series);
    }
    for key in &query.probes {
        let series = read_probes(transaction, id, *key, range)?;
        telemetry.probes.insert(*key, series);
    }
    Ok(telemetry)
}

fn read_probes(
    transaction: &Transaction<'_>,
    device: i64,
    (kind, target): (ProbeKind, Code),
    range: (i64, i64),
) -> Result<Series<ProbeBucket>, StoreError> {
    read_series(transaction, device, &SeriesKey::Probe(kind, target), range, |n| {
        Ok(ProbeBucket {
            samples: small(n[0])?,
            sent: unsigned(n[2])?,
            received: unsigned(n[3])?,
            rtt_max_ns: unsigned(n[4])?,
        })
    })
}

fn read_series<T>(
    transaction: &Transaction<'_>,
    device: i64,
    key: &SeriesKey,
    (from, to): (i64, i64),
    read: impl Fn([i64; 7]) -> Result<T, StoreError>,
) -> Result<Series<T>, StoreError> {
    let mut statement =
        transaction.prepare_cached("SELECT id, first_ms FROM series WHERE device = ?1 AND kind = ?2 AND name = ?3")?;
    let found: Option<(i64, i64)> = statement
        .query_row(params![device, key.kind_number(), key.name()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((id, first_ms)) = found else { return Ok(Series::default()) };
    let mut series = Series { first_ms: Some(unsigned(first_ms)?), buckets: Vec::new() };
    let mut statement = transaction.prepare_cached(
        "SELECT bucket, samples, down, a, b, c, d, e FROM rollup WHERE series = ?1 AND bucket >= ?2 AND bucket < ?3
         ORDER BY bucket",
    )?;
    let mut rows = statement.query(params![id, from, to])?;
    while let Some(row) = rows.next()? {
        let numbers = [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?];
        series.buckets.push((unsigned(row.get(0)?)?, read(numbers)?));
    }
    Ok(series)
}
