//! What every telemetry store has to do; each engine runs all of it, behind the recorder that it always works with.

use std::sync::Arc;

use causeway_interface::InterfaceName;
use causeway_wire::{
    signing::sha256,
    telemetry::{AdjacencySample, Batch, ConfigSample, InterfaceSample, ProbeSample, SessionSample, SystemSample},
};
use prost::Message;

use super::{Append, TelemetryStore, VerifiedBatch, commit::TIMES_MS, recorder::Recorder};
use crate::telemetry::{DeviceTelemetry, ProbeKind, Track, track::BLOCK};

/// Width of a bucket in these tests.
pub(crate) const BUCKET_MS: u64 = 1_000;
/// First bucket of these tests, the first of a block.
const ZERO: u64 = (TIMES_MS.start / BUCKET_MS / BLOCK + 10_000) * BLOCK;
/// How far back these tests look: more than they measure.
const WINDOW_MS: u64 = 2_000 * BUCKET_MS;

/// Milliseconds after the first bucket, as a time.
pub(crate) const fn at(ms: u64) -> u64 {
    ZERO * BUCKET_MS + ms
}

pub(crate) fn interface(at_ms: u64, name: &str, octets: u64) -> InterfaceSample {
    InterfaceSample {
        at_unix_ms: at(at_ms),
        interface: name.into(),
        oper_up: true,
        in_octets: octets,
        ..Default::default()
    }
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
        received_ms: at(5_000),
    }
}

fn eth1() -> InterfaceName {
    "eth1".parse().unwrap()
}

const STORED: Append = Append::Stored { ignored_samples: 0 };

type Open<'a> = &'a dyn Fn() -> Arc<dyn TelemetryStore>;

fn recorder(open: Open<'_>) -> Recorder {
    Recorder::new(open(), BUCKET_MS)
}

/// What is known of a device now, and again after everything was read back: both have to be the same.
fn known(open: Open<'_>, recorder: &Recorder, device: &str) -> DeviceTelemetry {
    let of = |recorder: &Recorder| {
        recorder.read(at(0), WINDOW_MS, |fleet| fleet.device(&device.parse().unwrap()).cloned()).unwrap()
    };
    let (held, again) = (of(recorder), of(&Recorder::new(open(), BUCKET_MS)));
    match (&held, &again) {
        (Some(held), Some(again)) => same(held, again),
        (None, None) => {}
        (held, again) => panic!("{held:?} is {again:?} after a restart"),
    }
    held.unwrap_or_default()
}

/// The same to whoever judges: bits, bad buckets and losses.
fn same(held: &DeviceTelemetry, again: &DeviceTelemetry) {
    fn bits<T: crate::telemetry::Bucket>(track: &Track<T>) -> Vec<(u64, crate::telemetry::track::Masks, u64)> {
        let blocks = track.held().map(|block| (block, track.masks(block), track.idle(block)));
        blocks.filter(|(_, masks, _)| masks.present != 0).collect()
    }
    macro_rules! compare {
        ($held:expr, $again:expr, $what:expr) => {
            assert_eq!(bits($held), bits($again), "{} after a restart", $what);
            assert_eq!(($held).first_ms(), ($again).first_ms(), "{} after a restart", $what);
            assert_eq!(
                ($held).notes().collect::<Vec<_>>(),
                ($again).notes().collect::<Vec<_>>(),
                "{} after a restart",
                $what
            );
            assert_eq!(
                ($held).losses(0, u64::MAX).collect::<Vec<_>>(),
                ($again).losses(0, u64::MAX).collect::<Vec<_>>(),
                "{} after a restart",
                $what
            );
        };
    }
    compare!(&held.interface_reports, &again.interface_reports, "reports of interfaces");
    compare!(&held.probe_reports, &again.probe_reports, "reports of probes");
    assert_eq!(held.interfaces.len(), again.interfaces.len());
    for (name, track) in held.interfaces.iter() {
        compare!(track, again.interfaces.get(name).unwrap(), name);
    }
    assert_eq!(held.adjacencies.len(), again.adjacencies.len());
    for (name, track) in held.adjacencies.iter() {
        compare!(track, again.adjacencies.get(name).unwrap(), name);
    }
    assert_eq!(held.probes.len(), again.probes.len());
    for (key, track) in held.probes.iter() {
        compare!(track, again.probes.get(key).unwrap(), key.1);
    }
    assert_eq!((held.config, held.chain), (again.config, again.chain));
}

fn present<T: crate::telemetry::Bucket>(track: &Track<T>) -> Vec<u64> {
    let held = track.held();
    (held.start * BLOCK..held.end * BLOCK)
        .filter(|bucket| track.count(*bucket, bucket + 1, |masks| masks.present) == 1)
        .map(|bucket| bucket - ZERO)
        .collect()
}

/// Runs everything; `open` opens the same store again.
pub(crate) fn run(open: Open<'_>) {
    unknown_devices_have_nothing(open);
    buckets_hold_what_was_measured(open);
    replays_are_refused_also_after_a_restart(open);
    counters_go_on_over_batches_and_restarts(open);
    hostile_samples_are_left_out(open);
    the_latest_configuration_wins(open);
    the_chain_commits_to_every_batch(open);
    batches_read_back_as_they_were_signed(open);
    long_histories_read_back_the_same(open);
    late_batches_of_one_commit_read_back_the_same(open);
    pruning_forgets_the_old_only(open);
    what_is_shown_is_not_judged_and_not_read_back(open);
}

/// Two sessions and a machine of the device `v`, of one moment whatever the sequence.
pub(crate) fn vital(sequence: u64) -> VerifiedBatch {
    let at_unix_ms = at(1_000);
    let sessions = vec![
        SessionSample { at_unix_ms, peer: vec![198, 18, 0, 1], established: true, prefixes_received: Some(4) },
        SessionSample {
            at_unix_ms,
            peer: std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).octets().to_vec(),
            ..Default::default()
        },
    ];
    let systems = vec![SystemSample { at_unix_ms, cpu_busy_permille: Some(125) }];
    verified(Batch { device: "v".into(), sequence, sessions, systems, ..Default::default() })
}

fn what_is_shown_is_not_judged_and_not_read_back(open: Open<'_>) {
    let before = recorder(open);
    assert!(before.look(|_| ()).is_none(), "nothing was read yet");
    assert_eq!(before.append(vec![vital(1)]).unwrap(), [STORED]);
    let code = "v".parse().unwrap();
    let shown = |recorder: &Recorder| {
        recorder.look(|fleet| {
            fleet.vitals(&code).map(|vitals| (vitals.sessions(at(1_000)).count(), vitals.machine(at(1_000))))
        })
    };
    let (sessions, machine) = shown(&before).unwrap().unwrap();
    assert_eq!((sessions, machine.map(|machine| machine.cpu_busy_permille)), (2, Some(125)));
    let judged =
        |recorder: &Recorder| recorder.read(at(0), WINDOW_MS, |fleet| fleet.device(&code).cloned()).unwrap().unwrap();
    let chain = judged(&before).chain;
    assert_eq!(judged(&before), DeviceTelemetry { chain, ..Default::default() });
    let after = recorder(open);
    assert_eq!(judged(&after), DeviceTelemetry { chain, ..Default::default() });
    assert_eq!(shown(&after), Some(Some((0, None))), "not known is not idle");
}

fn unknown_devices_have_nothing(open: Open<'_>) {
    let recorder = recorder(open);
    assert!(recorder.read(at(0), WINDOW_MS, |fleet| fleet.device(&"nobody".parse().unwrap()).is_none()).unwrap());
}

fn probes(at_ms: u64, sent: u32, received: u32) -> ProbeSample {
    ProbeSample {
        at_unix_ms: at(at_ms),
        kind: 1,
        target: "l-1".into(),
        sent,
        received,
        rtt_max_ns: 5,
        ..Default::default()
    }
}

fn buckets_hold_what_was_measured(open: Open<'_>) {
    let recorder = recorder(open);
    let mut b = batch(
        "sums",
        1,
        vec![interface(3_000, "eth1", 900), interface(1_000, "eth1", 100), interface(1_500, "eth1", 300)],
    );
    b.batch.interfaces[1].oper_up = false;
    b.batch.adjacencies = vec![
        AdjacencySample { at_unix_ms: at(1_000), interface: "eth1".into(), up: true, neighbor: "x".into() },
        AdjacencySample { at_unix_ms: at(1_100), interface: "eth1".into(), up: false, neighbor: String::new() },
    ];
    b.batch.probes = vec![probes(2_000, 10, 9), probes(2_500, 10, 10), probes(4_000, 0, 0)];
    assert_eq!(recorder.append(vec![b]).unwrap(), [STORED]);
    let telemetry = known(open, &recorder, "sums");
    let track = telemetry.interfaces.get(&eth1()).unwrap();
    assert_eq!((track.first_ms(), present(track)), (Some(at(1_000)), vec![1, 3]));
    let (bucket, sum) = track.notes().next().unwrap();
    assert_eq!((bucket - ZERO, sum.samples, sum.down, sum.octets), (1, 2, 1, 200));
    let (bucket, sum) = telemetry.adjacencies.get(&eth1()).unwrap().notes().next().unwrap();
    assert_eq!((bucket - ZERO, sum.samples, sum.down), (1, 2, 1));
    let track = telemetry.probes.get(&(ProbeKind::Link, "l-1".parse().unwrap())).unwrap();
    assert_eq!(present(track), [2], "none sent is no sample");
    assert_eq!(track.losses(0, u64::MAX).collect::<Vec<_>>(), [&(ZERO + 2, 50_000)]);
    assert_eq!((present(&telemetry.interface_reports), present(&telemetry.probe_reports)), (vec![1, 3], vec![2]));
}

fn replays_are_refused_also_after_a_restart(open: Open<'_>) {
    let one = recorder(open);
    assert_eq!(one.append(vec![batch("replay", 5, vec![interface(1_000, "eth1", 1)])]).unwrap(), [STORED]);
    for again in [one, recorder(open)] {
        for sequence in [5, 4] {
            assert_eq!(
                again.append(vec![batch("replay", sequence, vec![])]).unwrap(),
                [Append::Replay { last_sequence: 5 }]
            );
        }
    }
    let both = recorder(open)
        .append(vec![batch("replay", 6, vec![]), batch("replay", 6, vec![]), batch("replay-2", 6, vec![])])
        .unwrap();
    assert_eq!(both, [STORED, Append::Replay { last_sequence: 6 }, STORED]);
}

fn counters_go_on_over_batches_and_restarts(open: Open<'_>) {
    let errors = |at_ms, errors| InterfaceSample { in_errors: errors, ..interface(at_ms, "eth1", at_ms) };
    recorder(open).append(vec![batch("restart", 1, vec![errors(1_000, 7)])]).unwrap();
    // Another process: what it compares with was read back.
    let again = recorder(open);
    again.read(at(0), WINDOW_MS, |_| ()).unwrap();
    again.append(vec![batch("restart", 2, vec![errors(2_000, 7), errors(3_000, 9)])]).unwrap();
    let telemetry = known(open, &again, "restart");
    let notes: Vec<_> =
        telemetry.interfaces.get(&eth1()).unwrap().notes().map(|(n, sum)| (n - ZERO, sum.errors)).collect();
    assert_eq!(notes, [(3, 2)]);
}

fn hostile_samples_are_left_out(open: Open<'_>) {
    let recorder = recorder(open);
    let long = "x".repeat(200);
    let early = InterfaceSample { at_unix_ms: 5, ..interface(0, "eth1", 1) };
    let late = InterfaceSample { at_unix_ms: u64::MAX, ..interface(0, "eth1", 1) };
    let mut b = batch(
        "hostile",
        1,
        vec![interface(1_000, &long, 1), interface(1_000, "", 1), early, late, interface(1_000, "eth1", u64::MAX)],
    );
    b.batch.interfaces.push(interface(1_000, "eth1", 5));
    b.batch.probes = vec![
        ProbeSample { kind: 99, ..probes(1_000, 1, 1) },
        ProbeSample { target: "NOT A CODE".into(), ..probes(1_000, 1, 1) },
        probes(1_000, u32::MAX, 0),
    ];
    assert_eq!(recorder.append(vec![b]).unwrap(), [Append::Stored { ignored_samples: 7 }]);
    let telemetry = known(open, &recorder, "hostile");
    assert_eq!((telemetry.interfaces.len(), telemetry.probes.len()), (1, 1));
    let many = (0..3_000u64).map(|n| interface(2_000, &format!("eth{n}"), 1)).collect();
    let Append::Stored { ignored_samples } = recorder.append(vec![batch("inventive", 1, many)]).unwrap()[0] else {
        panic!("not stored");
    };
    assert_eq!(ignored_samples, 3_000 - 1_024);
}

fn config(device: &str, sequence: u64, at_ms: u64, generation: u64) -> VerifiedBatch {
    let sample = ConfigSample {
        at_unix_ms: at(at_ms),
        polled_unix_ms: at(at_ms) - 1,
        offered_generation: generation,
        offered_sha256: vec![1; 32],
        applied_generation: generation,
        applied_sha256: vec![2; 31],
        offered_evaluated_slot: generation + 100,
    };
    verified(Batch { device: device.into(), sequence, configs: vec![sample], ..Default::default() })
}

fn the_latest_configuration_wins(open: Open<'_>) {
    let recorder = recorder(open);
    let batches = [(1, 1_000, 7), (2, 2_000, 8), (3, 1_500, 6)];
    for (sequence, at_ms, generation) in batches {
        recorder.append(vec![config("config", sequence, at_ms, generation)]).unwrap();
    }
    let config = known(open, &recorder, "config").config.unwrap();
    assert_eq!((config.at_ms, config.polled_ms, config.applied_generation), (at(2_000), at(1_999), 8));
    assert_eq!(config.evaluated_slot, 108);
    assert_eq!(config.offered_sha256.0, [1; 32]);
    assert!(config.applied_sha256.is_zero(), "a hash of 31 bytes is none");
}

fn the_chain_commits_to_every_batch(open: Open<'_>) {
    let recorder = recorder(open);
    let mut head = [0; 32];
    for sequence in [1u64, 2, 9] {
        let b = batch("chain", sequence, vec![]);
        head = sha256(&[head.as_slice(), &sequence.to_le_bytes(), &sha256(&b.bytes)].concat());
        recorder.append(vec![b]).unwrap();
        let chain = known(open, &recorder, "chain").chain;
        assert_eq!((chain.sequence, chain.head.0), (sequence, head));
    }
    let before = known(open, &recorder, "chain").chain;
    recorder.append(vec![batch("chain", 9, vec![])]).unwrap();
    assert_eq!(known(open, &recorder, "chain").chain, before, "a replay changes nothing");
}

fn batches_read_back_as_they_were_signed(open: Open<'_>) {
    let recorder = recorder(open);
    let sent: Vec<_> = (1..=6u64).map(|n| batch("audit", n, vec![interface(n * 100, "eth1", n)])).collect();
    recorder.append(sent[..2].to_vec()).unwrap();
    recorder.append(vec![sent[2].clone(), batch("audit-other", 1, vec![]), sent[3].clone()]).unwrap();
    recorder.append(sent[4..].to_vec()).unwrap();
    let id = recorder.read(at(0), 0, |fleet| fleet.known(&"audit".parse().unwrap())).unwrap().unwrap().0;
    let kept = recorder.store().batches(id, 2, 4).unwrap();
    let expected = &sent[1..5];
    assert_eq!(kept.iter().map(|b| b.sequence).collect::<Vec<_>>(), [2, 3, 4, 5]);
    for (kept, sent) in kept.iter().zip(expected) {
        assert_eq!((&kept.bytes, kept.signature, kept.received_ms), (&sent.bytes, sent.signature, sent.received_ms));
    }
}

/// Over many blocks, with faults, gaps, losses and a device that is late: what is read back from sums and samples is what
/// was in memory.
fn long_histories_read_back_the_same(open: Open<'_>) {
    let recorder = recorder(open);
    recorder.read(at(0), WINDOW_MS, |_| ()).unwrap();
    let sample = |step: u64| {
        let at_ms = step * 700;
        let mut b = batch("long", step + 1, vec![interface(at_ms, "eth1", step / 3 * 3)]);
        b.batch.interfaces[0].oper_up = !step.is_multiple_of(97);
        b.batch.interfaces[0].in_errors = step / 150;
        b.batch.adjacencies.push(AdjacencySample {
            at_unix_ms: at(at_ms),
            interface: "eth1".into(),
            up: step % 211 != 5,
            ..Default::default()
        });
        b.batch.probes.push(probes(at_ms, 10, if step % 40 == 3 { 9 } else { 10 }));
        b
    };
    for step in (1..600).filter(|step| !(200..230).contains(step)) {
        recorder.append(vec![sample(step)]).unwrap();
        if step % 100 == 0 {
            known(open, &recorder, "long");
        }
    }
    // Late by several blocks, whose sums were written before.
    for step in 1..300 {
        let late = VerifiedBatch { device: "late".parse().unwrap(), ..sample(step) };
        recorder.append(vec![late]).unwrap();
    }
    let telemetry = known(open, &recorder, "late");
    assert!(telemetry.interfaces.get(&eth1()).unwrap().held().count() >= 4, "several blocks");
    let telemetry = known(open, &recorder, "long");
    assert!(telemetry.probes.values().next().unwrap().losses(0, u64::MAX).count() > 10);
    // And the counters go on.
    let after = Recorder::new(open(), BUCKET_MS);
    after.read(at(0), WINDOW_MS, |_| ()).unwrap();
    after.append(vec![sample(600)]).unwrap();
    recorder.append(vec![sample(600)]).ok();
    known(open, &after, "long");
}

/// A device whose batches of an hour arrive at once: each changes the sums of the same blocks, and the last ones hold.
fn late_batches_of_one_commit_read_back_the_same(open: Open<'_>) {
    const BATCHES: usize = 60;
    let recorder = recorder(open);
    recorder.read(at(0), WINDOW_MS, |_| ()).unwrap();
    recorder.append(vec![batch("punctual", 1, vec![interface(300_000, "eth1", 1)])]).unwrap();
    let ports = |n: u64| (0..8).map(|port| interface(n * 1_000, &format!("eth{port}"), n)).collect();
    let answers = recorder.append((1..=BATCHES as u64).map(|n| batch("tardy", n, ports(n))).collect()).unwrap();
    assert_eq!(answers, vec![STORED; BATCHES]);
    let telemetry = known(open, &recorder, "tardy");
    assert_eq!(present(telemetry.interfaces.get(&eth1()).unwrap()).len(), BATCHES);
}

fn pruning_forgets_the_old_only(open: Open<'_>) {
    let recorder = recorder(open);
    let samples = (1..200u64).map(|n| interface(n * BUCKET_MS, "eth1", n)).collect();
    recorder.append(vec![batch("prune", 1, samples)]).unwrap();
    while recorder.prune(at(2 * BLOCK * BUCKET_MS)).unwrap() {}
    let again = Recorder::new(open(), BUCKET_MS);
    let telemetry = again.read(at(0), WINDOW_MS, |fleet| fleet.device(&"prune".parse().unwrap()).cloned());
    let left = present(telemetry.unwrap().unwrap().interfaces.get(&eth1()).unwrap());
    assert_eq!(left, (2 * BLOCK..200).collect::<Vec<_>>());
    assert_eq!(again.append(vec![batch("prune", 1, vec![])]).unwrap(), [Append::Replay { last_sequence: 1 }]);
}

#[test]
fn sqlite_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.sqlite");
    run(&|| Arc::new(super::sqlite::SqliteStore::open(&path, BUCKET_MS).unwrap()));
}

/// Its pages may be in memory, in two caches: neither may answer for the file.
#[test]
fn sqlite_that_was_spoiled_in_place_is_noticed_and_takes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.sqlite");
    let store = Arc::new(super::sqlite::SqliteStore::open(&path, BUCKET_MS).unwrap());
    let recorder = Recorder::new(store.clone(), BUCKET_MS);
    let one = |sequence| vec![batch("spoiled", sequence, vec![interface(sequence * 1_000, "eth1", 1)])];
    assert_eq!(recorder.append(one(1)).unwrap(), [STORED]);
    let read = || recorder.read(at(0), WINDOW_MS, |fleet| fleet.device(&"spoiled".parse().unwrap()).is_some());
    assert!(read().unwrap());
    for name in ["telemetry.sqlite", "telemetry.sqlite-wal"] {
        let path = folder.path().join(name);
        let length = usize::try_from(std::fs::metadata(&path).unwrap().len()).unwrap();
        // In place, so that the store's open file is the same.
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &vec![0xa5; length], 0).unwrap();
    }
    assert!(store.check().is_err());
    assert!(read().is_err(), "nothing is judged from memory");
    assert!(recorder.append(one(2)).is_err(), "nothing is accepted that can't be read again");
}

#[test]
fn sqlite_refuses_another_bucket_width() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.sqlite");
    drop(super::sqlite::SqliteStore::open(&path, 1_000).unwrap());
    let error = super::sqlite::SqliteStore::open(&path, 60_000).unwrap_err();
    assert!(matches!(error, super::StoreError::BucketWidth { found: 1_000, wanted: 60_000 }), "{error}");
    assert_eq!(super::sqlite::SqliteStore::bucket_ms_of(&path).unwrap(), 1_000);
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
    let recorder = Recorder::new(Arc::new(super::sqlite::SqliteStore::open(&path, BUCKET_MS).unwrap()), BUCKET_MS);
    for sequence in 1..=20u64 {
        let sample = interface(sequence * BUCKET_MS, "eth1", sequence * 10);
        assert_eq!(recorder.append(vec![batch("killed", sequence, vec![sample])]).unwrap(), [STORED]);
        let after = tempfile::tempdir().unwrap();
        for name in ["telemetry.sqlite", "telemetry.sqlite-wal"] {
            std::fs::copy(folder.path().join(name), after.path().join(name)).unwrap();
        }
        let copy = after.path().join("telemetry.sqlite");
        let again: Open<'_> = &|| Arc::new(super::sqlite::SqliteStore::open(&copy, BUCKET_MS).unwrap());
        let telemetry = known(again, &recorder, "killed");
        assert_eq!(
            (telemetry.chain.sequence, present(telemetry.interfaces.get(&eth1()).unwrap()).len() as u64),
            (sequence, sequence)
        );
    }
}
