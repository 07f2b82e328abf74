//! What a round costs at the scale of a fleet, without judging.

use std::time::Instant;

use causeway_interface::{AccountType, accounts::Attestations};
use solana_sdk::{hash::Hash, instruction::Instruction, message::AddressLookupTableAccount, signature::Keypair};

use super::*;
use crate::{
    chain::{ReadError, SendError},
    evidence::tests::long_evidence,
    oracle::tests::network::network_of,
    store::sqlite::SqliteStore,
};

/// A ledger that takes everything at once.
struct FakeSink;

impl Chain for FakeSink {
    async fn snapshot(&self) -> Result<Snapshot, ReadError> {
        Err(ReadError("not asked for".into()))
    }

    async fn slot_time_ms(&self, _: u64) -> Option<u64> {
        None
    }

    fn tables(&self) -> Vec<AddressLookupTableAccount> {
        Vec::new()
    }

    fn want_in_tables(&self, _: std::collections::BTreeSet<Pubkey>) {}

    fn paid(&self) -> Paid {
        Paid::default()
    }

    async fn send(&self, _: Vec<Instruction>, _: &[AddressLookupTableAccount]) -> Result<String, SendError> {
        Ok(Hash::default().to_string())
    }
}

/// Measures, on demand: `--ignored --nocapture the_words_of_a_fleet`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn the_words_of_a_fleet() {
    const SUBJECTS: usize = 60_000;
    let folder = tempfile::tempdir().unwrap();
    let oracle = Pubkey::new_from_array([5; 32]);
    let rules = Rules::default();
    let mut judge = Judge::new(Parts {
        settings: Settings {
            name: "oracle".into(),
            program_id: Key([1; 32]),
            oracle,
            rules: rules.clone(),
            batch: 56,
            round_ms: 60_000,
            priority_fee_micro_lamports: 0,
            fee_budget_lamports_per_hour: 0,
        },
        chain: Arc::new(FakeSink),
        store: Arc::new(SqliteStore::open(&folder.path().join("telemetry.sqlite"), rules.bucket_ms).unwrap()),
        evidence: Arc::new(EvidenceStore::open(&folder.path().join("evidence.sqlite")).unwrap()),
        metrics: Metrics::default(),
        directory: watch::Sender::new(None),
        published: watch::Sender::new(Arc::default()),
        webhook: None,
    });
    let model = network_of(&Keypair::new());
    let network = model.network.clone().unwrap();
    let unsaid = model.attestations.values().find(|a| a.header.kind == AccountType::Device).unwrap();
    let mut snapshot = Snapshot::empty(Key([1; 32]), 100_000);
    let mut found = Vec::new();
    for n in 0..SUBJECTS {
        let (key, evidence) = long_evidence(n);
        snapshot.attestations.insert(key, Attestations { subject: key, ..unsaid.clone() });
        found.push(Judged {
            key,
            code: evidence.code,
            kind: Kind::Device,
            in_service: true,
            verdict: evidence.verdict,
            window: evidence.window,
            telemetry: evidence.telemetry,
        });
    }
    for (name, slots) in [("the first words", 0), ("right after", 1), ("a minute later", 150), ("another", 150)] {
        snapshot.slot += slots;
        let round = found.clone();
        let began = Instant::now();
        judge.keep_addresses(&round);
        let addressed = began.elapsed();
        let round = judge.publish(round, snapshot.slot, 1, true);
        let published = began.elapsed();
        judge.attest(&snapshot, &network, 0, &round, &rules, 1).await;
        let said = judge.metrics.counters().attestations;
        println!(
            "{name}: addresses {} ms, publish {} ms, attest {} ms; {said} words so far",
            addressed.as_millis(),
            (published - addressed).as_millis(),
            (began.elapsed() - published).as_millis(),
        );
    }
    let counters = judge.metrics.counters();
    assert!(counters.attestations > SUBJECTS as u64, "renewed as well");
}
