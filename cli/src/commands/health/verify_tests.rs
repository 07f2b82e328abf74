use std::{collections::BTreeMap, sync::Mutex};

use causeway_health_oracle::{
    Rules,
    criteria::{Criterion, Level, Outcome, Verdict, coverage::Window, device::DeviceFacts},
    evidence::{
        Evidence, EvidenceWindow, VERSION,
        exhibit::{Asked, Exhibit, Facts},
        merkle,
    },
    telemetry::DeviceTelemetry,
};
use causeway_interface::{
    DeviceHealth, DeviceType, Digest,
    accounts::Attestation,
    instruction::{Attest, Instruction, Verdict as Word},
};
use causeway_sdk::{ExecutedInstruction, address::Addresses, address::to_pubkey};
use serde_json::json;

use super::*;
use crate::commands::fake::{self, FakeOracle, PROGRAM};

/// Slot of the transaction.
const SIGNED: u64 = fake::SLOT - 10;
/// Which oracle of the set it is.
const PLACE: u8 = 1;
/// When it was judged, in ms since 1970, over how long a window.
const AT_MS: u64 = 1_800_000_012_345;
const WINDOW_MS: u64 = 72_000_000;

/// Everything that a word on a subject leaves behind; a test changes one thing.
struct World {
    snapshot: Snapshot,
    subject: Subject,
    evidence: Evidence,
    /// Bytes that are served instead of the document's.
    document: Option<Vec<u8>>,
    /// Names of the documents of the batch; the subject's is the third.
    batch: Vec<Digest>,
    attested: serde_json::Value,
    program: Key,
    executed: Option<Executed>,
    status_oracle: Key,
}

fn facts() -> DeviceFacts {
    DeviceFacts {
        public_ip: "203.0.113.9".parse().unwrap(),
        dz_prefixes: Vec::new(),
        loopbacks: Vec::new(),
        dia: Vec::new(),
        activated: Vec::new(),
        device_type: DeviceType::Hybrid,
        has_cyoa: false,
        wan_in_service: 0,
        dzx_in_service: 0,
        changed_slot: 1,
        changed_ms: 1,
        shown_slot: 1,
        in_service: false,
        qa_targets: Vec::new(),
        qa_joined_ms: None,
    }
}

/// What a device that has never sent anything shows.
fn shown(device: Code, buckets: &Window) -> Exhibit {
    Exhibit::of(
        device,
        &DeviceTelemetry::default(),
        &Asked { reports: true, ..Asked::default() },
        buckets.start,
        buckets.end,
    )
}

impl World {
    fn new() -> Self {
        let snapshot = fake::ledger();
        let subject = fake::device(&snapshot);
        let rules = Rules::default();
        let buckets = Window::new(AT_MS, WINDOW_MS, None, &rules);
        let (start_ms, end_ms) = (buckets.start_ms(), buckets.end_ms());
        let nothing = Verdict { level: Level::Device(DeviceHealth::Pending), criteria: Vec::new() };
        let mut evidence = Evidence {
            version: VERSION,
            program: PROGRAM,
            oracle: fake::oracle(PLACE),
            subject: subject.key,
            code: subject.code,
            ledger_slot: SIGNED - 2,
            at_ms: AT_MS,
            window: EvidenceWindow { start_slot: 9_000, end_slot: 9_980, start_ms, end_ms },
            verdict: nothing,
            rules,
            telemetry: Vec::new(),
            buckets,
            facts: Facts::Device(facts()),
            exhibits: vec![shown(subject.code, &buckets)],
        };
        evidence.verdict = evidence.recompute().unwrap();
        let (program, status_oracle) = (PROGRAM, fake::oracle(PLACE));
        let mut world = Self {
            snapshot,
            subject,
            evidence,
            document: None,
            batch: Vec::new(),
            attested: json!(null),
            program,
            executed: None,
            status_oracle,
        };
        world.sign();
        world
    }

    /// Signs what the evidence says now: document, batch, transaction and entry.
    fn sign(&mut self) {
        let (name, _) = self.evidence.document().unwrap();
        self.batch = vec![Digest([1; 32]), Digest([2; 32]), name, Digest([4; 32]), Digest([5; 32])];
        let root = merkle::root(&self.batch);
        self.attested = json!({
            "evidence_sha256": name,
            "evidence_root": root,
            "proof": merkle::prove(&self.batch, 2).unwrap(),
            "transaction": Signature::default().to_string(),
        });
        let word = Word { verdict: self.evidence.verdict.level.byte(), failed: self.evidence.verdict.failed_bits() };
        let attest = Attest {
            epoch: fake::EPOCH,
            window_start_slot: 9_100,
            window_end_slot: 9_980,
            evidence_root: root,
            verdicts: vec![Word { verdict: 1, failed: 7 }, word.clone()],
        };
        let addresses = Addresses::new(to_pubkey(&PROGRAM));
        let oracle = fake::oracle(PLACE);
        let said = to_key(&addresses.attestations(&self.subject.key));
        let accounts = vec![oracle, to_key(&addresses.network()), Key([9; 32]), said];
        let data = Instruction::Attest(attest).encode().unwrap();
        let budget = ExecutedInstruction { program: Key([3; 32]), accounts: vec![], data: vec![0] };
        self.executed = Some(Executed {
            slot: SIGNED,
            finalized: true,
            failed: None,
            signers: vec![oracle],
            instructions: vec![budget, ExecutedInstruction { program: PROGRAM, accounts, data }],
        });
        *self.entry() = Attestation {
            verdict: word.verdict,
            epoch: fake::EPOCH,
            slot: SIGNED,
            since: [SIGNED, 0],
            failed: word.failed,
            window_start_slot: 9_100,
            window_end_slot: 9_980,
            evidence_root: root,
        };
    }

    fn entry(&mut self) -> &mut Attestation {
        let said = self.snapshot.attestations.get_mut(&self.subject.key).unwrap();
        &mut said.entries[usize::from(PLACE)]
    }

    fn attest(&mut self, change: impl Fn(&mut Attest)) {
        let instruction = &mut self.executed.as_mut().unwrap().instructions[1];
        let Instruction::Attest(mut attest) = Instruction::decode(&instruction.data).unwrap() else { panic!() };
        change(&mut attest);
        instruction.data = Instruction::Attest(attest).encode().unwrap();
    }

    async fn served(&self) -> FakeOracle {
        let status = json!({ "name": "o-2", "oracle": self.status_oracle, "program": self.program, "ready": true });
        let verdict = json!({
            "ledger_slot": 1, "judged_at_ms": 1, "kind": "device", "code": self.subject.code,
            "subject": self.subject.key, "level": "x", "in_service": true, "window": self.evidence.window,
            "verdict": self.evidence.verdict, "attested": self.attested,
        });
        let (name, bytes) = self.evidence.document().unwrap();
        let name = self.attested["evidence_sha256"].as_str().map_or_else(|| name.to_string(), str::to_owned);
        FakeOracle::start(BTreeMap::from([
            ("/v1/status".to_owned(), (200, status.to_string().into_bytes())),
            (format!("/v1/subjects/{}/verdict", self.subject.code), (200, verdict.to_string().into_bytes())),
            (format!("/v1/evidence/{name}"), (200, self.document.clone().unwrap_or(bytes))),
        ]))
        .await
    }

    async fn verified(self) -> Verified {
        let oracle = self.served().await;
        let client = Client::new(&oracle.url).unwrap();
        let subject = self.subject;
        let ledger = FakeLedger { snapshots: Mutex::new(vec![self.snapshot]), executed: self.executed };
        one(&ledger, &oracle.url, &client, subject, Duration::ZERO).await.unwrap()
    }
}

/// Answers with its snapshots in turn, and with the last for ever.
struct FakeLedger {
    snapshots: Mutex<Vec<Snapshot>>,
    executed: Option<Executed>,
}

impl Read for FakeLedger {
    async fn everything(&self) -> Result<Snapshot, LedgerError> {
        let mut snapshots = self.snapshots.lock().unwrap();
        let next = snapshots[0].clone();
        if snapshots.len() > 1 {
            snapshots.remove(0);
        }
        Ok(next)
    }

    async fn executed(&self, _: &Signature) -> Result<Option<Executed>, LedgerError> {
        Ok(self.executed.clone())
    }
}

/// The checks that don't hold, and why; what can't be checked in brackets.
fn found(verified: &Verified) -> Vec<(&'static str, String)> {
    let not_ok = |check: &Check| match &check.finding {
        Finding::Ok => None,
        Finding::Differs(why) => Some((check.what, why.clone())),
        Finding::Unchecked(why) => Some((check.what, format!("[{why}]"))),
    };
    verified.checks.iter().filter_map(not_ok).collect()
}

#[tokio::test]
async fn an_honest_word_holds_from_the_document_to_the_ledger() {
    let verified = World::new().verified().await;
    assert_eq!(found(&verified), []);
    assert_eq!(verified.checks.len(), 9);
    let text = text(&verified);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
}

#[tokio::test]
async fn every_tampering_is_found_where_it_is() {
    type Change = fn(&mut World);
    fn replaced(world: &mut World, change: fn(&mut Evidence)) {
        let mut other = world.evidence.clone();
        change(&mut other);
        world.document = Some(other.document().unwrap().1);
    }
    /// Signs a changed document, so that only what it says is wrong.
    fn signed(world: &mut World, change: fn(&mut Evidence)) {
        change(&mut world.evidence);
        world.sign();
    }
    type Case = (&'static str, Change, &'static [(&'static str, &'static str)]);
    let cases: Vec<Case> = vec![
        (
            "a byte of the document",
            |w| {
                let mut bytes = w.evidence.document().unwrap().1;
                let name = b"\"ledger_slot\":";
                let at = bytes.windows(name.len()).position(|w| w == name).unwrap();
                bytes[at + name.len()] ^= 1;
                w.document = Some(bytes);
            },
            &[("document", "SHA-256")],
        ),
        (
            "a document that is none",
            |w| w.document = Some(b"{}".to_vec()),
            &[
                ("document", "SHA-256"),
                ("written about", "can't be read"),
                ("recomputed", "[there is no"),
                ("signed", "["),
                ("ledger", "["),
            ],
        ),
        (
            "white space in the document",
            |w| {
                let mut bytes = w.evidence.document().unwrap().1;
                bytes.push(b'\n');
                w.document = Some(bytes);
            },
            &[
                ("document", "SHA-256"),
                ("written about", "canonical"),
                ("recomputed", "[there is no"),
                ("signed", "["),
                ("ledger", "["),
            ],
        ),
        (
            "a better verdict in the document that is served",
            |w| replaced(w, |e| e.verdict.level = Level::Device(DeviceHealth::ReadyForUsers)),
            &[
                ("document", "SHA-256"),
                ("recomputed", "the inputs make it"),
                ("signed", "the document says"),
                ("ledger", "the document says"),
            ],
        ),
        (
            "another subject's document",
            |w| signed(w, |e| e.subject = Key([8; 32])),
            &[("written about", "the document is about")],
        ),
        (
            "a link's document of the same code",
            |w| {
                signed(w, |e| {
                    e.verdict.level = Level::Link(causeway_interface::LinkHealth::ReadyForService);
                });
            },
            &[("written about", "the document is about"), ("recomputed", "the inputs make it")],
        ),
        (
            "another oracle's document",
            |w| signed(w, |e| e.oracle = fake::oracle(0)),
            &[("written about", "of the oracle")],
        ),
        ("another program's document", |w| signed(w, |e| e.program = Key([1; 32])), &[("written about", "program")]),
        (
            "a sibling in the path",
            |w| w.attested["proof"]["path"][0] = json!(Digest([9; 32])),
            &[("merkle path", "the path leads to")],
        ),
        (
            "another place in the tree",
            |w| w.attested["proof"]["index"] = json!(1),
            &[("merkle path", "the path leads to")],
        ),
        ("a path too short", |w| w.attested["proof"]["path"] = json!([]), &[("merkle path", "length")]),
        (
            "a tree without end",
            |w| w.attested["proof"]["leaves"] = json!(u64::MAX),
            &[("merkle path", "does not exist")],
        ),
        (
            "another root",
            |w| w.attested["evidence_root"] = json!(Digest([9; 32])),
            &[("merkle path", "the path leads to"), ("signed", "signed the root"), ("ledger", "its root is")],
        ),
        (
            "a failed transaction",
            |w| w.executed.as_mut().unwrap().failed = Some("x".into()),
            &[("transaction", "failed: x")],
        ),
        (
            "a transaction that the node does not have",
            |w| w.executed = None,
            &[("transaction", "[the node"), ("signed", "[the node")],
        ),
        (
            "another signer",
            |w| w.executed.as_mut().unwrap().signers = vec![fake::oracle(0)],
            &[("signed", "did not sign")],
        ),
        (
            "another program's instruction",
            |w| w.executed.as_mut().unwrap().instructions[1].program = Key([8; 32]),
            &[("signed", "no word of this oracle")],
        ),
        (
            "another signer's word in a transaction that it signed too",
            |w| w.executed.as_mut().unwrap().instructions[1].accounts[0] = fake::oracle(0),
            &[("signed", "no word of this oracle")],
        ),
        (
            "another network",
            |w| w.executed.as_mut().unwrap().instructions[1].accounts[1] = Key([8; 32]),
            &[("signed", "no word of this oracle")],
        ),
        (
            "a word on another subject",
            |w| w.executed.as_mut().unwrap().instructions[1].accounts[3] = Key([8; 32]),
            &[("signed", "does not name")],
        ),
        ("another verdict signed", |w| w.attest(|a| a.verdicts[1].verdict = 2), &[("signed", "the document says")]),
        ("other criteria signed", |w| w.attest(|a| a.verdicts[1].failed = 1), &[("signed", "the document says")]),
        (
            "a longer window signed",
            |w| {
                w.attest(|a| a.window_start_slot = 8_999);
                w.entry().window_start_slot = 8_999;
            },
            &[("signed", "the document's are")],
        ),
        (
            "a window that ends later",
            |w| {
                w.attest(|a| a.window_end_slot = 9_981);
                w.entry().window_end_slot = 9_981;
            },
            &[("signed", "the document's are")],
        ),
        ("another verdict on the ledger", |w| w.entry().verdict = 2, &[("ledger", "the document says")]),
        ("other criteria on the ledger", |w| w.entry().failed = 0, &[("ledger", "the document says")]),
        ("another window on the ledger", |w| w.entry().window_start_slot = 1, &[("ledger", "signed were")]),
        ("a younger word on the ledger", |w| w.entry().evidence_root = Digest([9; 32]), &[("ledger", "its root is")]),
        ("another slot on the ledger", |w| w.entry().slot = SIGNED + 1, &[("ledger", "the transaction's is")]),
        ("no word on the ledger", |w| w.entry().slot = 0, &[("ledger", "no word"), ("in force", "no word")]),
        (
            "an old epoch",
            |w| {
                w.attest(|a| a.epoch = fake::EPOCH - 1);
                w.entry().epoch = fake::EPOCH - 1;
            },
            &[("in force", "epoch 3, the oracle set's is 4")],
        ),
        ("an expired word", |w| w.snapshot.slot = SIGNED + 91, &[("in force", "expired")]),
        ("another program's oracle", |w| w.program = Key([1; 32]), &[("oracle", "judges for the program")]),
        (
            "a key that is of no set",
            |w| w.status_oracle = Key([1; 32]),
            &[
                ("oracle", "not of the oracle set"),
                ("written about", "of the oracle"),
                ("signed", "did not sign"),
                ("ledger", "no word"),
                ("in force", "no word"),
            ],
        ),
        (
            "a verdict that does not follow from its inputs",
            |w| {
                signed(w, |e| {
                    let d2 = e.verdict.criteria.iter_mut().find(|c| c.id == Criterion::D2).unwrap();
                    d2.passed = Outcome::Passed;
                });
            },
            &[("recomputed", "D2 by the inputs: none")],
        ),
        (
            "a level that does not follow from its inputs",
            |w| signed(w, |e| e.verdict.level = Level::Device(DeviceHealth::ReadyForUsers)),
            &[("recomputed", "the inputs make it impaired, the document says ready-for-users")],
        ),
        (
            "criteria left out",
            |w| signed(w, |e| drop(e.verdict.criteria.pop())),
            &[("recomputed", "not those of its inputs")],
        ),
        (
            "facts that the verdict was not computed from",
            |w| signed(w, |e| e.facts = Facts::Device(DeviceFacts { has_cyoa: true, ..facts() })),
            &[("recomputed", "U3 by the inputs")],
        ),
        (
            "another device's exhibit",
            |w| signed(w, |e| e.exhibits[0].device = "another".parse().unwrap()),
            &[("written about", "of something else")],
        ),
        (
            "no exhibit",
            |w| signed(w, |e| e.exhibits.clear()),
            &[("written about", "of something else"), ("recomputed", "shows 0 devices")],
        ),
        (
            "an exhibit that is none",
            |w| signed(w, |e| e.exhibits[0].probe_reports.as_mut().unwrap().runs = "9z".into()),
            &[("recomputed", "exhibit of a series")],
        ),
        (
            "a window shorter than the hold",
            |w| {
                signed(w, |e| {
                    e.buckets.start += 1_190;
                    e.window.start_ms = e.buckets.start_ms();
                });
            },
            &[("recomputed", "its rules give")],
        ),
        ("a hold that is shorter", |w| signed(w, |e| e.buckets.hold_from += 1), &[("recomputed", "its rules give")]),
        ("a window in other words", |w| signed(w, |e| e.window.start_ms += 1), &[("recomputed", "another than in ms")]),
        ("a window without end", |w| signed(w, |e| e.buckets.end = u64::MAX), &[("recomputed", "can't be one")]),
        ("a window of the future", |w| signed(w, |e| e.at_ms = 1), &[("recomputed", "can't be one")]),
        (
            "rules that let everything pass",
            |w| signed(w, |e| e.rules.min_buckets = 0),
            &[("recomputed", "its rules can't be")],
        ),
        (
            "buckets of no width",
            |w| {
                signed(w, |e| {
                    e.rules.bucket_ms = 0;
                    e.buckets.bucket_ms = 0;
                });
            },
            &[("recomputed", "its rules can't be")],
        ),
        ("another version", |w| signed(w, |e| e.version += 1), &[("recomputed", "[the document is of version")]),
        ("nothing signed", |w| w.attested = json!(null), &[("oracle", "[it says that it has signed nothing")]),
    ];
    for (name, change, expected) in cases {
        let mut world = World::new();
        change(&mut world);
        let verified = world.verified().await;
        let found = super::tests::found(&verified);
        assert!(!verified.holds, "{name}");
        assert_eq!(found.len(), expected.len(), "{name}: {found:#?}");
        for ((what, why), (expected_what, expected_why)) in found.iter().zip(expected) {
            assert!(what == expected_what && why.contains(expected_why), "{name}: {found:#?}");
        }
    }
}

#[tokio::test]
async fn a_word_that_is_just_renewed_is_looked_at_again() {
    let mut world = World::new();
    let settled = world.snapshot.clone();
    world.entry().evidence_root = Digest([9; 32]);
    let oracle = world.served().await;
    let client = Client::new(&oracle.url).unwrap();
    let ledger = FakeLedger { snapshots: Mutex::new(vec![world.snapshot, settled]), executed: world.executed };
    let verified = one(&ledger, &oracle.url, &client, world.subject, Duration::ZERO).await.unwrap();
    assert_eq!(found(&verified), []);
}

#[tokio::test]
async fn an_oracle_that_does_not_answer_is_a_line() {
    let snapshot = fake::ledger();
    let subject = fake::device(&snapshot);
    let ledger = FakeLedger { snapshots: Mutex::new(vec![snapshot]), executed: None };
    // Port 1 of the loopback: nothing listens there.
    let client = Client::new("http://127.0.0.1:1").unwrap();
    let verified = one(&ledger, "http://127.0.0.1:1", &client, subject, Duration::ZERO).await.unwrap();
    let found = found(&verified);
    assert!(found.len() == 1 && found[0].1.starts_with("[no answer"), "{found:?}");
    assert_eq!(super::verdict(&[verified]).unwrap().code, "CW-VERIFY-INCOMPLETE");
}

#[tokio::test]
async fn what_differs_outweighs_what_can_not_be_checked() {
    let mut world = World::new();
    world.entry().failed = 0;
    world.executed = None;
    let failure = super::verdict(&[world.verified().await]).unwrap();
    assert_eq!((failure.code.as_str(), failure.exit), ("CW-VERIFY-FAILED", Exit::Refused));
    assert_eq!(super::verdict(&[]), None);
}
