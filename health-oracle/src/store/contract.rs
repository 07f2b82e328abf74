//! What every telemetry store has to do; each implementation runs all of it.

use causeway_interface::InterfaceName;
use causeway_wire::telemetry::{AdjacencySample, Batch, ConfigSample, InterfaceSample, ProbeSample};
use prost::Message;

use super::{Append, TelemetryStore, VerifiedBatch, WindowQuery};
use crate::telemetry::ProbeKind;

/// Width of a bucket in these tests.
pub(crate) const BUCKET_MS: u64 = 1_000;

pub(crate) fn interface(at: u64, name: &str, octets: u64) -> InterfaceSample {
    InterfaceSample { at_unix_ms: at, interface: name.into(), oper_up: true, in_octets: octets, ..Default::default() }
}

pub(crate) fn batch(device: &str, sequence: u64, interfaces: Vec<InterfaceSample>) -> VerifiedBatch {
    verified(Batch { device: device.into(), sequence, interfaces, ..Default::default() })
}

pub(crate) fn verified(batch: Batch) -> VerifiedBatch {
    VerifiedBatch {
        device: batch.device.parse().unwrap(),
        bytes: batch.encode_to_vec(),
        batch,
        signature: [7; 64],
        received_ms: 5_000,
    }
}

pub(crate) fn query(device: &str, from: u64, to: u64) -> WindowQuery {
    WindowQuery {
        device: device.parse().unwrap(),
        from,
        to,
        interfaces: vec!["eth1".parse().unwrap()],
        adjacencies: vec!["eth1".parse().unwrap()],
        probes: vec![(ProbeKind::Link, "l-1".parse().unwrap())],
    }
}

fn eth1() -> InterfaceName {
    "eth1".parse().unwrap()
}

const STORED: Append = Append::Stored { ignored_samples: 0 };

/// Runs everything; `open` opens the same store again after what was returned before is gone.
pub(crate) fn run(open: &dyn Fn() -> Box<dyn TelemetryStore>) {
    unknown_devices_have_nothing(&*open());
    sums_by_bucket_and_window(&*open());
    replays_are_refused_also_after_a_restart(open);
    counters_go_on_over_batches_and_restarts(open);
    hostile_samples_are_left_out(&*open());
    the_latest_configuration_wins(&*open());
    the_chain_commits_to_every_batch(open);
    pruning_forgets_the_old_only(&*open());
}

fn unknown_devices_have_nothing(store: &dyn TelemetryStore) {
    let telemetry = store.window(&query("nobody", 0, 100)).unwrap();
    assert_eq!(telemetry.config, None);
    assert!(telemetry.interface_reports.buckets.is_empty() && telemetry.interface_reports.first_ms.is_none());
    assert_eq!(store.last_sequence(&"nobody".parse().unwrap()).unwrap(), None);
}

fn sums_by_bucket_and_window(store: &dyn TelemetryStore) {
    let mut b = batch(
        "sums",
        1,
        vec![interface(3_000, "eth1", 900), interface(1_000, "eth1", 100), interface(1_500, "eth1", 300)],
    );
    b.batch.interfaces[1].oper_up = false;
    b.batch.adjacencies = vec![
        AdjacencySample { at_unix_ms: 1_000, interface: "eth1".into(), up: true, neighbor: "x".into() },
        AdjacencySample { at_unix_ms: 1_100, interface: "eth1".into(), up: false, neighbor: String::new() },
    ];
    b.batch.probes = vec![
        ProbeSample {
            at_unix_ms: 2_000,
            kind: 1,
            target: "l-1".into(),
            sent: 10,
            received: 9,
            rtt_max_ns: 5,
            ..Default::default()
        },
        ProbeSample {
            at_unix_ms: 2_500,
            kind: 1,
            target: "l-1".into(),
            sent: 10,
            received: 10,
            rtt_max_ns: 4,
            ..Default::default()
        },
    ];
    assert_eq!(store.append(&[b]).unwrap(), [STORED]);
    let telemetry = store.window(&query("sums", 0, 100)).unwrap();
    let series = &telemetry.interfaces[&eth1()];
    assert_eq!(series.first_ms, Some(1_000));
    assert_eq!(
        series.buckets.iter().map(|(n, b)| (*n, b.samples, b.down, b.octets)).collect::<Vec<_>>(),
        [(1, 2, 1, 200), (3, 1, 0, 600)]
    );
    assert_eq!(
        telemetry.adjacencies[&eth1()].buckets.iter().map(|(n, b)| (*n, b.samples, b.down)).collect::<Vec<_>>(),
        [(1, 2, 1)]
    );
    let probes = &telemetry.probes[&(ProbeKind::Link, "l-1".parse().unwrap())].buckets;
    assert_eq!(
        probes.iter().map(|(n, b)| (*n, b.sent, b.received, b.rtt_max_ns)).collect::<Vec<_>>(),
        [(2, 20, 19, 5)]
    );
    assert_eq!(telemetry.interface_reports.buckets.iter().filter(|(_, n)| *n > 0).count(), 2);
    assert_eq!(telemetry.probe_reports.first_ms, Some(2_000));
    let part = store.window(&query("sums", 2, 3)).unwrap();
    assert!(part.interfaces[&eth1()].buckets.is_empty());
    assert_eq!(part.interfaces[&eth1()].first_ms, Some(1_000));
}

fn replays_are_refused_also_after_a_restart(open: &dyn Fn() -> Box<dyn TelemetryStore>) {
    let first = batch("replays", 10, vec![interface(1_000, "eth1", 1)]);
    {
        let store = open();
        let twice = [first.clone(), first.clone(), batch("replays", 9, vec![])];
        let replay = Append::Replay { last_sequence: 10 };
        assert_eq!(store.append(&twice).unwrap(), [STORED, replay, replay]);
    }
    let store = open();
    assert_eq!(store.append(&[first]).unwrap(), [Append::Replay { last_sequence: 10 }]);
    assert_eq!(store.last_sequence(&"replays".parse().unwrap()).unwrap(), Some(10));
    assert_eq!(store.append(&[batch("replays", 11, vec![])]).unwrap(), [STORED]);
    let telemetry = store.window(&query("replays", 0, 10)).unwrap();
    assert_eq!(telemetry.interfaces[&eth1()].buckets[0].1.samples, 1);
}

fn counters_go_on_over_batches_and_restarts(open: &dyn Fn() -> Box<dyn TelemetryStore>) {
    open().append(&[batch("counters", 1, vec![interface(1_000, "eth1", 1_000)])]).unwrap();
    let store = open();
    store.append(&[batch("counters", 2, vec![interface(2_000, "eth1", 1_500)])]).unwrap();
    store.append(&[batch("counters", 3, vec![interface(3_000, "eth1", 20)])]).unwrap();
    let telemetry = store.window(&query("counters", 0, 10)).unwrap();
    let octets: Vec<u64> = telemetry.interfaces[&eth1()].buckets.iter().map(|(_, b)| b.octets).collect();
    assert_eq!(octets, [0, 500, 20]);
    // The same bucket over two batches is one sum.
    store.append(&[batch("counters", 4, vec![interface(3_500, "eth1", 50)])]).unwrap();
    let telemetry = store.window(&query("counters", 0, 10)).unwrap();
    assert_eq!(telemetry.interfaces[&eth1()].buckets.last().unwrap().1.octets, 50);
}

fn hostile_samples_are_left_out(store: &dyn TelemetryStore) {
    let mut b = batch(
        "hostile",
        1,
        vec![
            interface(1_000, "eth 1", 1),
            interface(1_000, "", 1),
            interface(1_000, &"x".repeat(200), 1),
            interface(0, "eth1", 1),
            interface(1_000, "eth1", u64::MAX),
            interface(1_000, "eth1", 5),
        ],
    );
    b.batch.interfaces[4].in_errors = u64::MAX;
    b.batch.probes = vec![
        ProbeSample { at_unix_ms: 1_000, kind: 99, target: "l-1".into(), ..Default::default() },
        ProbeSample { at_unix_ms: 1_000, kind: 1, target: "NOT A CODE".into(), ..Default::default() },
    ];
    assert_eq!(store.append(&[b]).unwrap(), [Append::Stored { ignored_samples: 7 }]);
    for sequence in 2..6 {
        let big = interface(1_000 * sequence, "eth1", if sequence % 2 == 0 { u64::MAX } else { 0 });
        store.append(&[batch("hostile", sequence, vec![big])]).unwrap();
    }
    store.window(&query("hostile", 0, u64::MAX)).unwrap();
    // Names without end don't fill the store.
    let names = (0..3_000u64).map(|n| interface(50_000, &format!("eth{n}x"), 1)).collect();
    let Append::Stored { ignored_samples } = store.append(&[batch("hostile", 7, names)]).unwrap()[0] else { panic!() };
    assert!(ignored_samples >= 1_900, "{ignored_samples}");
}

fn the_latest_configuration_wins(store: &dyn TelemetryStore) {
    let config = |at, generation| ConfigSample {
        at_unix_ms: at,
        polled_unix_ms: at - 1,
        offered_generation: generation,
        offered_sha256: vec![1; 32],
        applied_generation: generation,
        applied_sha256: vec![1; 31],
        offered_evaluated_slot: generation + 100,
    };
    let with = |sequence, configs| verified(Batch { device: "config".into(), sequence, configs, ..Default::default() });
    store.append(&[with(1, vec![config(2_000, 8), config(1_000, 7)])]).unwrap();
    store.append(&[with(2, vec![config(1_500, 6)])]).unwrap();
    let config = store.window(&query("config", 0, 1)).unwrap().config.unwrap();
    assert_eq!((config.at_ms, config.polled_ms, config.applied_generation), (2_000, 1_999, 8));
    assert_eq!(config.evaluated_slot, 108);
    assert_eq!(config.offered_sha256.0, [1; 32]);
    assert!(config.applied_sha256.is_zero(), "a hash of 31 bytes is none");
}

fn the_chain_commits_to_every_batch(open: &dyn Fn() -> Box<dyn TelemetryStore>) {
    let head = |name| open().window(&query(name, 0, 1)).unwrap().chain;
    open().append(&[batch("chain", 1, vec![])]).unwrap();
    let one = head("chain");
    open().append(&[batch("chain", 2, vec![])]).unwrap();
    let two = head("chain");
    assert_eq!((one.sequence, two.sequence), (1, 2));
    assert_ne!(one.head, two.head);
    open().append(&[batch("chain", 2, vec![])]).unwrap();
    assert_eq!(head("chain"), two, "a replay changes nothing");
}

fn pruning_forgets_the_old_only(store: &dyn TelemetryStore) {
    let samples = (1..20u64).map(|n| interface(n * BUCKET_MS, "eth1", n)).collect();
    store.append(&[batch("prune", 1, samples)]).unwrap();
    while store.prune(10 * BUCKET_MS).unwrap() > 0 {}
    let telemetry = store.window(&query("prune", 0, 100)).unwrap();
    let left: Vec<u64> = telemetry.interfaces[&eth1()].buckets.iter().map(|(n, _)| *n).collect();
    assert_eq!(left, (10..20).collect::<Vec<_>>());
    assert_eq!(store.append(&[batch("prune", 1, vec![])]).unwrap(), [Append::Replay { last_sequence: 1 }]);
}

#[test]
fn sqlite_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.sqlite");
    run(&|| Box::new(super::sqlite::SqliteStore::open(&path, BUCKET_MS).unwrap()));
}

#[test]
fn sqlite_refuses_another_bucket_width() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.sqlite");
    drop(super::sqlite::SqliteStore::open(&path, 1_000).unwrap());
    let error = super::sqlite::SqliteStore::open(&path, 60_000).unwrap_err();
    assert!(matches!(error, super::StoreError::BucketWidth { found: 1_000, wanted: 60_000 }), "{error}");
}

#[test]
fn sqlite_refuses_a_file_that_is_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.sqlite");
    std::fs::write(&path, vec![b'x'; 10_000]).unwrap();
    assert!(super::sqlite::SqliteStore::open(&path, 1_000).is_err());
}

/// The files as a power cut would leave them, taken while the store is open.
#[test]
fn sqlite_keeps_what_it_accepted_when_it_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.sqlite");
    let store = super::sqlite::SqliteStore::open(&path, BUCKET_MS).unwrap();
    for sequence in 1..=20u64 {
        let sample = interface(sequence * BUCKET_MS, "eth1", sequence * 10);
        assert_eq!(store.append(&[batch("killed", sequence, vec![sample])]).unwrap(), [STORED]);
        let after = tempfile::tempdir().unwrap();
        for name in ["telemetry.sqlite", "telemetry.sqlite-wal"] {
            std::fs::copy(folder.path().join(name), after.path().join(name)).unwrap();
        }
        let again = super::sqlite::SqliteStore::open(&after.path().join("telemetry.sqlite"), BUCKET_MS).unwrap();
        assert_eq!(again.last_sequence(&"killed".parse().unwrap()).unwrap(), Some(sequence));
        let telemetry = again.window(&query("killed", 0, 100)).unwrap();
        assert_eq!(telemetry.interfaces[&eth1()].buckets.len() as u64, sequence);
        assert_eq!(telemetry.chain, store.window(&query("killed", 0, 1)).unwrap().chain);
    }
}
