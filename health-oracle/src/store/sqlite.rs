//! The embedded store: SQLite in WAL mode, one file, one writing connection and one reading.
//!
//! A commit is synced before it is reported (`synchronous = FULL`). What the next sample is compared with is kept in
//! memory as well as in the file; a failed transaction drops the memory, so that the two can't drift.

mod read;

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use causeway_interface::{Code, Digest};
use causeway_wire::{signing::sha256, telemetry::Batch};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};

use super::{
    Append, StoreError, TelemetryStore, VerifiedBatch, WindowQuery,
    rollup::{self, Counters, SeriesKey, Sum},
};
use crate::telemetry::{AdjacencyBucket, DeviceTelemetry, InterfaceBucket, ProbeBucket};

/// Version of the schema.
const SCHEMA: i64 = 1;
/// Longest wait for a lock of the file: another process that reads it for a moment, such as a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Most series of one device: 112 interfaces with an adjacency each, and a probe to some hundred targets. More is a
/// device that invents names.
const MAX_SERIES_PER_DEVICE: usize = 1_024;
/// Series and batches that one call of prune looks at: some 10 ms of work, so that ingest hardly waits.
const PRUNE_CHUNK: usize = 2_000;
/// Largest growth of one bucket in one commit. More can't be real; it keeps sums inside SQLite's integers.
const MAX_GROWTH: u64 = 1 << 50;

/// Telemetry in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    writer: Mutex<Writer>,
    reader: Mutex<Connection>,
    bucket_ms: u64,
}

#[derive(Debug)]
struct Writer {
    connection: Connection,
    memory: Memory,
    /// Series up to this id were pruned by the last call.
    pruned_to: i64,
}

#[derive(Debug, Default)]
struct Memory {
    devices: HashMap<Code, DeviceState>,
    series: HashMap<(i64, SeriesKey), SeriesState>,
}

#[derive(Clone, Copy, Debug)]
struct DeviceState {
    id: i64,
    last_sequence: Option<u64>,
    chain: Digest,
    config_at_ms: u64,
    series: usize,
}

#[derive(Clone, Copy, Debug)]
struct SeriesState {
    id: i64,
    last_ms: u64,
    counters: Counters,
}

/// Sums of one commit, before they are added to what is stored.
#[derive(Debug, Default)]
struct Sums {
    interfaces: BTreeMap<(i64, u64), InterfaceBucket>,
    adjacencies: BTreeMap<(i64, u64), AdjacencyBucket>,
    probes: BTreeMap<(i64, u64), ProbeBucket>,
    presence: BTreeMap<(i64, u64), (u32, u32)>,
    touched: BTreeMap<i64, SeriesState>,
}

impl SqliteStore {
    /// Opens the store in this file, or makes it.
    ///
    /// # Errors
    /// The file can't be opened or is no store of this schema and bucket width.
    pub fn open(path: &Path, bucket_ms: u64) -> Result<Self, StoreError> {
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        prepare(&mut connection, bucket_ms)?;
        let reader = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        reader.busy_timeout(BUSY_TIMEOUT)?;
        let writer = Writer { connection, memory: Memory::default(), pruned_to: 0 };
        Ok(Self { writer: Mutex::new(writer), reader: Mutex::new(reader), bucket_ms })
    }

    fn reader(&self) -> Result<MutexGuard<'_, Connection>, StoreError> {
        self.reader.lock().map_err(|_| StoreError::Poisoned)
    }
}

fn prepare(connection: &mut Connection, bucket_ms: u64) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let made = transaction.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'meta'")?.exists([])?;
    if made {
        let (schema, found): (i64, i64) =
            transaction.query_row("SELECT schema, bucket_ms FROM meta", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if schema != SCHEMA {
            return Err(StoreError::Schema { found: schema, known: SCHEMA });
        }
        let found = unsigned(found)?;
        if found != bucket_ms {
            return Err(StoreError::BucketWidth { found, wanted: bucket_ms });
        }
    } else {
        transaction.execute_batch(include_str!("schema.sql"))?;
        transaction.execute("INSERT INTO meta VALUES (?1, ?2)", params![SCHEMA, signed(bucket_ms)])?;
    }
    Ok(transaction.commit()?)
}

/// Numbers beyond SQLite's never reach it but by a hostile sample: they are cut.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|_| StoreError::Corrupt("a negative number"))
}

fn small(value: i64) -> Result<u32, StoreError> {
    Ok(u32::try_from(unsigned(value)?).unwrap_or(u32::MAX))
}

fn digest(bytes: &[u8]) -> Result<Digest, StoreError> {
    bytes.try_into().map(Digest).map_err(|_| StoreError::Corrupt("a digest that is not 32 bytes"))
}

impl TelemetryStore for SqliteStore {
    fn append(&self, batches: &[VerifiedBatch]) -> Result<Vec<Append>, StoreError> {
        let mut writer = self.writer.lock().map_err(|_| StoreError::Poisoned)?;
        let Writer { connection, memory, .. } = &mut *writer;
        let result = append_all(connection, memory, batches, self.bucket_ms);
        if result.is_err() {
            *memory = Memory::default();
        }
        result
    }

    fn last_sequence(&self, device: &Code) -> Result<Option<u64>, StoreError> {
        let reader = self.reader()?;
        let mut statement = reader.prepare_cached("SELECT last_sequence FROM device WHERE code = ?1")?;
        let found: Option<i64> = statement.query_row([device.as_str()], |row| row.get(0)).optional()?;
        found.map(unsigned).transpose()
    }

    fn window(&self, query: &WindowQuery) -> Result<DeviceTelemetry, StoreError> {
        let mut reader = self.reader()?;
        // One transaction: one state of the file, however many statements.
        let transaction = reader.transaction()?;
        read::window(&transaction, query)
    }

    fn prune(&self, before_ms: u64) -> Result<u64, StoreError> {
        let mut writer = self.writer.lock().map_err(|_| StoreError::Poisoned)?;
        let Writer { connection, pruned_to, .. } = &mut *writer;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut gone = transaction.execute(
            "DELETE FROM batch WHERE (device, sequence) IN
             (SELECT device, sequence FROM batch WHERE received_ms < ?1 ORDER BY received_ms LIMIT ?2)",
            params![signed(before_ms), PRUNE_CHUNK as i64],
        )?;
        let bucket = signed(before_ms / self.bucket_ms.max(1));
        gone += transaction.execute(
            "DELETE FROM rollup WHERE bucket < ?1 AND series IN
             (SELECT id FROM series WHERE id > ?2 ORDER BY id LIMIT ?3)",
            params![bucket, *pruned_to, PRUNE_CHUNK as i64],
        )?;
        let next: Option<i64> = transaction
            .query_row(
                "SELECT max(id) FROM (SELECT id FROM series WHERE id > ?1 ORDER BY id LIMIT ?2)",
                params![*pruned_to, PRUNE_CHUNK as i64],
                |row| row.get(0),
            )
            .optional()?
            .flatten();
        gone += transaction
            .execute("DELETE FROM presence WHERE bucket < ?1 AND device IN (SELECT id FROM device)", params![bucket])?;
        transaction.commit()?;
        *pruned_to = next.unwrap_or(0);
        Ok(gone as u64)
    }
}

fn append_all(
    connection: &mut Connection,
    memory: &mut Memory,
    batches: &[VerifiedBatch],
    bucket_ms: u64,
) -> Result<Vec<Append>, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut sums = Sums::default();
    let mut answers = Vec::with_capacity(batches.len());
    for batch in batches {
        answers.push(append_one(&transaction, memory, &mut sums, batch, bucket_ms)?);
    }
    write_sums(&transaction, &sums)?;
    transaction.commit()?;
    Ok(answers)
}

fn append_one(
    transaction: &Transaction<'_>,
    memory: &mut Memory,
    sums: &mut Sums,
    verified: &VerifiedBatch,
    bucket_ms: u64,
) -> Result<Append, StoreError> {
    let mut device = load_device(transaction, memory, &verified.device)?;
    let sequence = verified.batch.sequence;
    if let Some(last_sequence) = device.last_sequence.filter(|last| sequence <= *last) {
        return Ok(Append::Replay { last_sequence });
    }
    let link = [device.chain.0.as_slice(), &sequence.to_le_bytes(), &sha256(&verified.bytes)].concat();
    device.chain = Digest(sha256(&link));
    device.last_sequence = Some(sequence);
    transaction.prepare_cached("INSERT INTO batch VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(params![
        device.id,
        signed(sequence),
        signed(verified.received_ms),
        device.chain.0,
        verified.signature,
        verified.bytes
    ])?;
    let ignored_samples =
        Sampler { transaction, memory, sums, device: &mut device, bucket_ms }.take(&verified.batch)?;
    transaction
        .prepare_cached(
            "UPDATE device SET last_sequence = ?2, chain = ?3,
             lost_samples = min(lost_samples + ?4, 4611686018427387904) WHERE id = ?1",
        )?
        .execute(params![
            device.id,
            signed(sequence),
            device.chain.0,
            signed(verified.batch.lost_samples.min(MAX_GROWTH))
        ])?;
    memory.devices.insert(verified.device, device);
    Ok(Append::Stored { ignored_samples })
}

fn load_device(transaction: &Transaction<'_>, memory: &mut Memory, code: &Code) -> Result<DeviceState, StoreError> {
    if let Some(device) = memory.devices.get(code) {
        return Ok(*device);
    }
    let mut statement =
        transaction.prepare_cached("SELECT id, last_sequence, chain, config_at_ms FROM device WHERE code = ?1")?;
    let found: Option<(i64, i64, Vec<u8>, Option<i64>)> = statement
        .query_row([code.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    let device = match found {
        Some((id, sequence, chain, config_at)) => {
            let series: i64 =
                transaction.query_row("SELECT count(*) FROM series WHERE device = ?1", [id], |row| row.get(0))?;
            DeviceState {
                id,
                last_sequence: Some(unsigned(sequence)?),
                chain: digest(&chain)?,
                config_at_ms: unsigned(config_at.unwrap_or(0))?,
                series: usize::try_from(series).map_err(|_| StoreError::Corrupt("a negative count"))?,
            }
        }
        None => {
            transaction.execute(
                "INSERT INTO device (code, last_sequence, chain) VALUES (?1, 0, ?2)",
                params![code.as_str(), [0u8; 32]],
            )?;
            let id = transaction.last_insert_rowid();
            DeviceState { id, last_sequence: None, chain: Digest::ZERO, config_at_ms: 0, series: 0 }
        }
    };
    memory.devices.insert(*code, device);
    Ok(device)
}

/// Takes one batch's samples into the sums.
struct Sampler<'a, 'c> {
    transaction: &'a Transaction<'c>,
    memory: &'a mut Memory,
    sums: &'a mut Sums,
    device: &'a mut DeviceState,
    bucket_ms: u64,
}

impl Sampler<'_, '_> {
    /// Returns how many samples were left out.
    fn take(&mut self, batch: &Batch) -> Result<u64, StoreError> {
        let mut ignored = 0;
        let mut first: [Option<u64>; 2] = [None, None];
        for sample in in_order(&batch.interfaces, |s| s.at_unix_ms) {
            let Some((state, bucket)) = self.series(SeriesKey::of_interface(sample), sample.at_unix_ms)? else {
                ignored += 1;
                continue;
            };
            let before = (state.last_ms != 0).then_some(&state.counters);
            let one = rollup::interface(before, sample);
            self.sums.interfaces.entry((state.id, bucket)).or_default().add(&one);
            let key = SeriesKey::of_interface(sample);
            self.keep(key, SeriesState { last_ms: sample.at_unix_ms, counters: Counters::of(sample), ..state });
            self.presence(bucket, |(interfaces, _)| *interfaces = interfaces.saturating_add(1));
            first[0].get_or_insert(sample.at_unix_ms);
        }
        for sample in in_order(&batch.adjacencies, |s| s.at_unix_ms) {
            let key = SeriesKey::of_adjacency(sample);
            let Some((state, bucket)) = self.series(key, sample.at_unix_ms)? else {
                ignored += 1;
                continue;
            };
            self.sums.adjacencies.entry((state.id, bucket)).or_default().add(&rollup::adjacency(sample));
            self.keep(key, SeriesState { last_ms: sample.at_unix_ms, ..state });
        }
        for sample in in_order(&batch.probes, |s| s.at_unix_ms) {
            let key = SeriesKey::of_probe(sample);
            let Some((state, bucket)) = self.series(key, sample.at_unix_ms)? else {
                ignored += 1;
                continue;
            };
            self.sums.probes.entry((state.id, bucket)).or_default().add(&rollup::probe(sample));
            self.keep(key, SeriesState { last_ms: sample.at_unix_ms, ..state });
            self.presence(bucket, |(_, probes)| *probes = probes.saturating_add(1));
            first[1].get_or_insert(sample.at_unix_ms);
        }
        self.first_seen(first)?;
        self.config(batch)?;
        Ok(ignored)
    }

    /// The series of a sample and the sample's bucket; none where the sample is left out.
    fn series(&mut self, key: Option<SeriesKey>, at_ms: u64) -> Result<Option<(SeriesState, u64)>, StoreError> {
        let Some(key) = key.filter(|_| at_ms > 0) else { return Ok(None) };
        let bucket = at_ms / self.bucket_ms.max(1);
        let state = match self.memory.series.get(&(self.device.id, key)) {
            Some(state) => *state,
            None => match self.load_series(&key, at_ms)? {
                Some(state) => state,
                None => return Ok(None),
            },
        };
        if at_ms <= state.last_ms {
            return Ok(None);
        }
        Ok(Some((state, bucket)))
    }

    fn load_series(&mut self, key: &SeriesKey, at_ms: u64) -> Result<Option<SeriesState>, StoreError> {
        let mut statement = self
            .transaction
            .prepare_cached("SELECT id, last_ms, counters FROM series WHERE device = ?1 AND kind = ?2 AND name = ?3")?;
        let found: Option<(i64, i64, Vec<u8>)> = statement
            .query_row(params![self.device.id, key.kind_number(), key.name()], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .optional()?;
        let state = match found {
            Some((id, last_ms, counters)) => {
                SeriesState { id, last_ms: unsigned(last_ms)?, counters: decode_counters(&counters)? }
            }
            None if self.device.series >= MAX_SERIES_PER_DEVICE => return Ok(None),
            None => {
                self.transaction.execute(
                    "INSERT INTO series (device, kind, name, first_ms, last_ms, counters) VALUES (?1, ?2, ?3, ?4, 0, ?5)",
                    params![self.device.id, key.kind_number(), key.name(), signed(at_ms), encode_counters(&Counters::default())],
                )?;
                self.device.series += 1;
                let id = self.transaction.last_insert_rowid();
                SeriesState { id, last_ms: 0, counters: Counters::default() }
            }
        };
        self.memory.series.insert((self.device.id, *key), state);
        Ok(Some(state))
    }

    fn keep(&mut self, key: Option<SeriesKey>, state: SeriesState) {
        if let Some(key) = key {
            self.memory.series.insert((self.device.id, key), state);
            self.sums.touched.insert(state.id, state);
        }
    }

    fn presence(&mut self, bucket: u64, add: impl FnOnce(&mut (u32, u32))) {
        add(self.sums.presence.entry((self.device.id, bucket)).or_default());
    }

    fn first_seen(&mut self, [interface, probe]: [Option<u64>; 2]) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(
                "UPDATE device SET first_interface_ms = coalesce(first_interface_ms, ?2),
                 first_probe_ms = coalesce(first_probe_ms, ?3) WHERE id = ?1
                 AND (first_interface_ms IS NULL OR first_probe_ms IS NULL)",
            )?
            .execute(params![self.device.id, interface.map(signed), probe.map(signed)])?;
        Ok(())
    }

    fn config(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let Some(sample) = batch.configs.iter().max_by_key(|s| s.at_unix_ms) else { return Ok(()) };
        if sample.at_unix_ms <= self.device.config_at_ms {
            return Ok(());
        }
        self.device.config_at_ms = sample.at_unix_ms;
        // A hash of another length is no hash: it equals nothing.
        let hash = |bytes: &[u8]| digest(bytes).unwrap_or(Digest::ZERO).0;
        self.transaction
            .prepare_cached(
                "UPDATE device SET config_at_ms = ?2, config_polled_ms = ?3, config_offered_generation = ?4,
                 config_offered_sha256 = ?5, config_applied_generation = ?6, config_applied_sha256 = ?7,
                 config_evaluated_slot = ?8 WHERE id = ?1",
            )?
            .execute(params![
                self.device.id,
                signed(sample.at_unix_ms),
                signed(sample.polled_unix_ms),
                signed(sample.offered_generation),
                hash(&sample.offered_sha256),
                signed(sample.applied_generation),
                hash(&sample.applied_sha256),
                signed(sample.offered_evaluated_slot),
            ])?;
        Ok(())
    }
}

fn in_order<T>(samples: &[T], at: impl Fn(&T) -> u64) -> Vec<&T> {
    let mut sorted: Vec<&T> = samples.iter().collect();
    sorted.sort_by_key(|sample| at(sample));
    sorted
}

fn encode_counters(counters: &Counters) -> Vec<u8> {
    let Counters { octets, errors, discards, carrier } = counters;
    [octets.as_slice(), errors, discards, &[*carrier]].concat().iter().flat_map(|n| n.to_le_bytes()).collect()
}

fn decode_counters(bytes: &[u8]) -> Result<Counters, StoreError> {
    let numbers: Vec<u64> =
        bytes.chunks_exact(8).filter_map(|chunk| chunk.try_into().ok().map(u64::from_le_bytes)).collect();
    match numbers.as_slice() {
        [o0, o1, e0, e1, d0, d1, carrier] => {
            Ok(Counters { octets: [*o0, *o1], errors: [*e0, *e1], discards: [*d0, *d1], carrier: *carrier })
        }
        _ => Err(StoreError::Corrupt("counters of another length")),
    }
}

const ADD: &str = "INSERT INTO rollup VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
    ON CONFLICT (series, bucket) DO UPDATE SET
    samples = min(samples + excluded.samples, 4611686018427387904),
    down = min(down + excluded.down, 4611686018427387904),
    a = min(a + excluded.a, 4611686018427387904), b = min(b + excluded.b, 4611686018427387904),
    c = min(c + excluded.c, 4611686018427387904), d = min(d + excluded.d, 4611686018427387904),
    e = min(e + excluded.e, 4611686018427387904)";
const ADD_PROBES: &str = "INSERT INTO rollup VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6, 0, 0)
    ON CONFLICT (series, bucket) DO UPDATE SET
    samples = min(samples + excluded.samples, 4611686018427387904),
    a = min(a + excluded.a, 4611686018427387904), b = min(b + excluded.b, 4611686018427387904),
    c = max(c, excluded.c)";

fn write_sums(transaction: &Transaction<'_>, sums: &Sums) -> Result<(), StoreError> {
    let cut = |value: u64| signed(value.min(MAX_GROWTH));
    let mut add = transaction.prepare_cached(ADD)?;
    for ((series, bucket), sum) in &sums.interfaces {
        add.execute(params![
            series,
            signed(*bucket),
            sum.samples,
            sum.down,
            sum.compared,
            cut(sum.octets),
            cut(sum.errors),
            cut(sum.discards),
            cut(sum.flaps)
        ])?;
    }
    for ((series, bucket), sum) in &sums.adjacencies {
        add.execute(params![series, signed(*bucket), sum.samples, sum.down, 0, 0, 0, 0, 0])?;
    }
    let mut add = transaction.prepare_cached(ADD_PROBES)?;
    for ((series, bucket), sum) in &sums.probes {
        let (sent, received, rtt) = (cut(sum.sent), cut(sum.received), cut(sum.rtt_max_ns));
        add.execute(params![series, signed(*bucket), sum.samples, sent, received, rtt])?;
    }
    let mut add = transaction.prepare_cached(
        "INSERT INTO presence VALUES (?1, ?2, ?3, ?4) ON CONFLICT (device, bucket) DO UPDATE SET
         interfaces = min(interfaces + excluded.interfaces, 4611686018427387904),
         probes = min(probes + excluded.probes, 4611686018427387904)",
    )?;
    for ((device, bucket), (interfaces, probes)) in &sums.presence {
        add.execute(params![device, signed(*bucket), interfaces, probes])?;
    }
    let mut touch = transaction.prepare_cached("UPDATE series SET last_ms = ?2, counters = ?3 WHERE id = ?1")?;
    for (id, state) in &sums.touched {
        touch.execute(params![id, signed(state.last_ms), encode_counters(&state.counters)])?;
    }
    Ok(())
}
