//! From a data directory to what would have been found: the real store, memory and criteria.

use std::sync::Arc;

use causeway_interface::{Key, LinkHealth, LinkStatus};
use causeway_wire::telemetry::{AdjacencySample, InterfaceSample, ProbeSample};
use rusqlite::{Connection, params};

use super::*;
use crate::{
    backtest::{Bench, FleetBench, Plan, Report, run},
    criteria::{Level, Verdict, coverage::Window, link::LinkFacts},
    evidence::{EvidenceWindow, exhibit::Facts},
    store::{recorder::Recorder, sqlite::SqliteStore},
    subjects::Kind,
};

const MINUTE: u64 = 60_000;
/// 2025-01-01, on a minute.
const START: u64 = 1_735_689_600_000;
/// Minutes of the recording, and those in which a probe in a thousand is lost.
const MINUTES: u64 = 180;
const LOSSY: std::ops::Range<u64> = 60..65;
/// A batch arrives so long after its minute began.
const ARRIVES: u64 = 5_000;

fn rules() -> Rules {
    Rules { hold_ms: 20 * MINUTE, ..Rules::default() }
}

fn batch(device: &str, minute: u64) -> VerifiedBatch {
    let at_unix_ms = START + minute * MINUTE + 1_000;
    let lost = u32::from(device == "a" && LOSSY.contains(&minute));
    let batch = Batch {
        device: device.into(),
        sequence: minute + 1,
        interfaces: vec![InterfaceSample {
            at_unix_ms,
            interface: "eth1".into(),
            oper_up: true,
            in_octets: minute * 1_000,
            ..Default::default()
        }],
        adjacencies: vec![AdjacencySample { at_unix_ms, interface: "eth1".into(), up: true, ..Default::default() }],
        probes: vec![ProbeSample {
            at_unix_ms,
            kind: 1,
            target: "l-1".into(),
            sent: 1_000,
            received: 1_000 - lost,
            ..Default::default()
        }],
        ..Default::default()
    };
    let received_ms = START + minute * MINUTE + ARRIVES;
    let bytes = batch.encode_to_vec();
    VerifiedBatch { device: device.parse().unwrap(), batch, bytes, signature: [0; 64], received_ms }
}

fn evidence(at_ms: u64, bench: &FleetBench) -> Evidence {
    let buckets = Window::new(at_ms, 60 * MINUTE, None, &rules());
    let end = |device: &str| (device.parse().unwrap(), "eth1".parse().unwrap());
    let mut evidence = Evidence {
        version: VERSION,
        program: Key([1; 32]),
        oracle: Key([2; 32]),
        subject: Key([3; 32]),
        code: "l-1".parse().unwrap(),
        ledger_slot: 1,
        at_ms,
        window: EvidenceWindow { start_slot: 0, end_slot: 0, start_ms: buckets.start_ms(), end_ms: buckets.end_ms() },
        verdict: Verdict { level: Level::Link(LinkHealth::Pending), criteria: Vec::new() },
        rules: rules(),
        telemetry: Vec::new(),
        buckets,
        facts: Facts::Link(LinkFacts {
            code: "l-1".parse().unwrap(),
            status: LinkStatus::Activated,
            status_since_ms: START - 1_000 * MINUTE,
            ends: [end("a"), end("z")],
        }),
        exhibits: Vec::new(),
    };
    evidence.verdict = bench.judge(&Case::of(&evidence), &rules(), at_ms);
    evidence
}

/// What an oracle would have left behind: telemetry by its own recorder, and a document every third minute.
fn record(dir: &Path) {
    let store = Arc::new(SqliteStore::open(&dir.join(TELEMETRY_FILE), MINUTE).unwrap());
    let recorder = Recorder::new(store, MINUTE);
    let documents = Connection::open(dir.join(EVIDENCE_FILE)).unwrap();
    documents
        .execute_batch(
            "CREATE TABLE batch (id INTEGER PRIMARY KEY, made_ms INTEGER);
             CREATE TABLE document (batch INTEGER, place INTEGER, bytes BLOB);",
        )
        .unwrap();
    let mut bench = FleetBench::new(MINUTE, 200 * MINUTE);
    for minute in 0..MINUTES {
        let batches = ["a", "z"].map(|device| batch(device, minute));
        batches.iter().for_each(|batch| bench.take(batch));
        recorder.append(batches.to_vec()).unwrap();
        if minute % 3 == 0 {
            let at_ms = START + minute * MINUTE + 30_000;
            let (_, bytes) = evidence(at_ms, &bench).document().unwrap();
            documents.execute("INSERT INTO batch VALUES (?1, ?2)", params![minute as i64, at_ms as i64]).unwrap();
            documents.execute("INSERT INTO document VALUES (?1, 0, ?2)", params![minute as i64, bytes]).unwrap();
        }
    }
}

fn backtest(dir: &Path, change: impl Fn(&Rules) -> Rules) -> (Survey, Report) {
    let mut recording = Recording::open(dir).unwrap();
    let survey = recording.survey(|_| true).unwrap();
    let plan = Plan { since_ms: survey.first_ms.unwrap(), until_ms: survey.last_ms, step_ms: MINUTE };
    let mut benches = [(); 2].map(|()| FleetBench::new(MINUTE, survey.reach_ms));
    let [recorded, other] = &mut benches;
    let report = run(recording.events(|_| true), &plan, change, recorded, other).unwrap();
    (survey, report)
}

#[test]
fn a_data_directory_says_what_another_limit_would_have_found() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path());
    let lenient = |rules: &Rules| Rules { loss_limit_ppm: 1_000, ..rules.clone() };
    let (survey, report) = backtest(folder.path(), lenient);
    assert_eq!((survey.documents, survey.without_facts, survey.rules.len()), (60, 0, 1));
    assert_eq!(survey.subjects.iter().next(), Some(&(Kind::Link, "l-1".parse().unwrap())));
    let summary = &report.summary;
    assert_eq!((summary.documents, summary.alike), (60, 60), "the record's own verdicts come out the same");
    assert_eq!((summary.subjects, summary.differ), (1, 1));
    // Five lossy minutes and the hold after them, give or take the minute in which each comes to be known.
    let bad = summary.recorded_ms["impaired"] / MINUTE;
    assert!((24..=27).contains(&bad), "{bad} minutes");
    assert_eq!(summary.differs.higher_ms, summary.recorded_ms["impaired"]);
    assert!(!summary.other_ms.contains_key("impaired"), "{:?}", summary.other_ms);
    let entries: Vec<_> = report.subjects[0].stretches.iter().flat_map(|stretch| &stretch.entries).collect();
    let began = entries.iter().find(|entry| entry.recorded.level.name() == "impaired").unwrap();
    assert_eq!(began.recorded.not_passed, [crate::criteria::Criterion::L2]);
    let minute = (began.at_ms - START) / MINUTE;
    assert!(minute > LOSSY.start && minute <= LOSSY.start + 2, "known in minute {minute}, not before it happened");

    let (_, same) = backtest(folder.path(), Rules::clone);
    assert_eq!((same.summary.differ, same.summary.later + same.summary.earlier), (0, 0));
}

#[test]
fn a_longer_hold_reaches_further_and_a_part_is_a_part() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path());
    let (_, report) = backtest(folder.path(), |rules| Rules { hold_ms: 50 * MINUTE, ..rules.clone() });
    let extra = (report.summary.other_ms["impaired"] - report.summary.recorded_ms["impaired"]) / MINUTE;
    assert_eq!((extra, report.summary.differs.lower_ms / MINUTE), (30, 30));
}

#[test]
fn documents_of_an_older_form_and_damaged_ones_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path());
    let insert = |bytes: &str| {
        let documents = Connection::open(folder.path().join(EVIDENCE_FILE)).unwrap();
        documents.execute("INSERT INTO document VALUES (0, 1, ?1)", [bytes.as_bytes()]).unwrap();
    };
    insert(r#"{"version":1}"#);
    assert_eq!(Recording::open(folder.path()).unwrap().survey(|_| true).unwrap().without_facts, 1);
    insert(r#"{"version":3}"#);
    let error = Recording::open(folder.path()).unwrap().survey(|_| true).unwrap_err();
    assert!(matches!(error, RecordingError::Document(_)), "{error}");
    let events: Result<Vec<_>, _> = Recording::open(folder.path()).unwrap().events(|_| true).collect();
    assert!(matches!(events, Err(RecordingError::Document(_))));
    assert!(Recording::open(&folder.path().join("none")).is_err());
}
