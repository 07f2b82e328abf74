use std::collections::BTreeMap;

use causeway_interface::{Digest, accounts::Attestation};
use serde_json::json;

use super::*;
use crate::commands::fake::{self, FakeOracle, PROGRAM};

const NOW: u64 = 1_800_000_000;
const PACE: Pace = Pace { slot_us: 400_000, measured: true };

fn ready(slot: u64, since: u64) -> Attestation {
    Attestation {
        verdict: causeway_interface::DeviceHealth::ReadyForUsers.byte(),
        epoch: fake::EPOCH,
        slot,
        since: [since, since],
        failed: 0,
        window_start_slot: 1,
        window_end_slot: 2,
        evidence_root: Digest::ZERO,
    }
}

fn answers(subject: &Subject) -> BTreeMap<String, (u16, Vec<u8>)> {
    let status = json!({ "name": "o-\u{1b}[2J", "oracle": fake::oracle(1), "program": PROGRAM, "ready": true });
    let criterion = |id, passed, observed: &str| {
        json!({ "id": id, "passed": passed, "observed": observed,
        "required": "an activated link up throughout, no errors, non-zero traffic",
        "detail": "in at least 99 % of buckets of 60 s, no gap over 300 s" })
    };
    let verdict = json!({
        "ledger_slot": 9_999, "judged_at_ms": (NOW - 30) * 1_000, "kind": "device", "code": subject.code,
        "subject": subject.key, "level": "ready-for-links", "in_service": true,
        "window": { "start_slot": 1, "end_slot": 2, "start_ms": 1, "end_ms": 2 },
        "verdict": { "level": { "device": "ready-for-links" }, "criteria": [
            criterion("D1", "passed", "203.0.113.1"),
            criterion("U2", "failed", "l-1 on eth1: down in 3 of 6 samples, 120 s ago; l-2 on eth2: 1100 of 1200 buckets"),
        ] },
        "since": { "first_ms": (NOW - 7_200) * 1_000, "level_ms": (NOW - 600) * 1_000,
            "criteria": [["D1", (NOW - 7_200) * 1_000], ["U2", (NOW - 600) * 1_000]] },
        "attested": null, "something_new": 1,
    });
    BTreeMap::from([
        ("/v1/status".to_owned(), (200, status.to_string().into_bytes())),
        (format!("/v1/subjects/{}/verdict", subject.code), (200, verdict.to_string().into_bytes())),
    ])
}

async fn explained(snapshot: &Snapshot, subject: Subject, urls: &[&str]) -> Explanation {
    let mut all = Vec::new();
    for url in urls {
        let said = asked(&Client::new(url).unwrap(), subject).await;
        all.push(Asked { url: (*url).to_owned(), said });
    }
    explain(snapshot, subject, all, PACE, NOW).unwrap()
}

#[tokio::test]
async fn each_criterion_of_each_oracle_is_beside_what_the_ledger_holds() {
    let mut snapshot = fake::ledger();
    let subject = fake::device(&snapshot);
    let entries = &mut snapshot.attestations.get_mut(&subject.key).unwrap().entries;
    (entries[0], entries[1]) = (ready(9_990, 9_950), ready(9_980, 9_970));
    let oracle = FakeOracle::start(answers(&subject)).await;
    let explained = explained(&snapshot, subject, &[&oracle.url, "http://127.0.0.1:1"]).await;

    let json = serde_json::to_value(&explained).unwrap();
    let users = &json["levels"][1];
    assert_eq!(users["level"], "ready-for-users");
    assert_eq!((&users["attested_by"], &users["left_slots"]), (&json!(2), &json!(70)));
    assert_eq!((&users["left_seconds"], &users["earliest_slot"]), (&json!(28), &json!(10_070)));
    assert_eq!(json["oracles"].as_array().unwrap().len(), 4, "three of the set, and one that does not answer");
    let judged = &json["oracles"][1]["judged"];
    assert_eq!((&judged["level"], &judged["age_seconds"]), (&json!("ready-for-links"), &json!(30)));
    assert_eq!(judged["criteria"][0]["since_or_longer"], true);
    assert_eq!(judged["criteria"][1]["since_or_longer"], false);
    assert_eq!(judged["criteria"][1]["since"], json!(time(NOW - 600)));
    assert_eq!(json["oracles"][0]["problem"], "its address was not given");
    assert!(json["oracles"][3]["problem"].as_str().unwrap().starts_with("no answer"));

    let text = text(&explained);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert!(!text.contains('\u{1b}'), "a name can't move the cursor");
    for words in ["70 of 100 slots, 28 s", "never spoke", "FAILED", "or longer", "for 80 slots more, 32 s"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[tokio::test]
async fn an_oracle_of_no_set_or_with_another_answer_is_a_row() {
    let snapshot = fake::ledger();
    let subject = fake::device(&snapshot);
    let mut strange = answers(&subject);
    let status = json!({ "name": "x", "oracle": Key([9; 32]), "program": PROGRAM, "ready": true });
    strange.insert("/v1/status".into(), (200, status.to_string().into_bytes()));
    let strange = FakeOracle::start(strange).await;
    let broken = FakeOracle::start(BTreeMap::from([("/v1/status".into(), (200, b"<html>".to_vec()))])).await;
    let long = FakeOracle::start(BTreeMap::from([("/v1/status".into(), (200, vec![b' '; 2 << 20]))])).await;
    let refusing = br#"{"code":"CW-ORACLE-STORE","cause":"It could not be read."}"#.to_vec();
    let refusing = FakeOracle::start(BTreeMap::from([("/v1/status".into(), (503, refusing))])).await;
    let mut unknown = answers(&subject);
    unknown.remove(&format!("/v1/subjects/{}/verdict", subject.code));
    let unknown = FakeOracle::start(unknown).await;
    let urls = [&strange.url, &broken.url, &long.url, &refusing.url, &unknown.url].map(String::as_str);
    let explained = explained(&snapshot, subject, &urls).await;
    let problems: Vec<_> = explained.oracles.iter().map(|o| o.problem.clone().unwrap_or_default()).collect();
    let expected = [
        "its address was not given",
        "it does not judge this subject",
        "its address was not given",
        "is not of the oracle set",
        "not an oracle's answer",
        "more than",
        "CW-ORACLE-STORE",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.contains(expected), "{problems:#?}");
    }
}

#[test]
fn the_pace_is_the_ledgers_own_where_it_says() {
    assert!(!pace_of(None, Some((1, 1))).measured);
    let pace = pace_of(Some((1_000, 1_000_000)), Some((2_000, 1_100_000)));
    assert_eq!((pace.slot_us, pace.measured), (100_000, true));
    assert_eq!(pace.seconds(600), 60);
    let pace = pace_of(Some((1_000, 1_000_000)), Some((1_010, 1_001_000)));
    assert_eq!((pace.slot_us, pace.measured), (NOMINAL_SLOT_US, false));
}
