//! Which words are due, and their batches on the way to the ledger.

use std::collections::BTreeSet;

use causeway_interface::{Digest, Key, accounts::Network, instruction::Verdict as Word};
use causeway_sdk::{
    Snapshot, Window,
    address::to_key,
    pack::{self, Limits},
};
use futures::{StreamExt, stream};
use solana_sdk::{instruction::Instruction, message::AddressLookupTableAccount, pubkey::Pubkey};
use tracing::{error, warn};

use super::{Judge, transmit::TRANSACTIONS_AT_ONCE};
use crate::{
    chain::{Chain, SendError},
    criteria::coverage::Rules,
    evidence::{self, Evidence},
    subjects::{Judged, rank_of},
    submission::{self, Held, Terms},
};

/// A word that is due, with its document.
#[derive(Clone)]
struct Due {
    judged: Judged,
    reason: submission::Due,
    name: Digest,
    document: Vec<u8>,
}

/// Words of one transaction, and the lookup tables that it needs.
struct Batch {
    due: Vec<Due>,
    tables: Vec<AddressLookupTableAccount>,
}

impl<C: Chain> Judge<C> {
    /// This oracle's word as the ledger holds it or will, once what was sent shows.
    fn held(&mut self, snapshot: &Snapshot, subject: &Key, place: usize) -> Option<Held> {
        let entry = snapshot.attestations.get(subject).and_then(|a| a.entries.get(place));
        let onchain = entry.map(|e| Held { verdict: e.verdict, failed: e.failed, epoch: e.epoch, slot: e.slot });
        match self.sent.get(subject).copied() {
            Some(sent) if onchain.is_none_or(|o| o.slot < sent.slot) => Some(sent),
            Some(_) => {
                self.sent.remove(subject);
                onchain
            }
            None => onchain,
        }
    }

    pub(super) async fn attest(
        &mut self,
        snapshot: &Snapshot,
        network: &Network,
        place: usize,
        round: Vec<Judged>,
        rules: &Rules,
        now_ms: u64,
    ) {
        let terms =
            Terms { epoch: network.oracle_epoch, max_age: network.attestation_max_age_slots, now: snapshot.slot };
        self.epoch = network.oracle_epoch;
        self.want_tables(&round);
        let mut due = Vec::new();
        let mut too_small = Vec::new();
        for judged in round {
            let held = self.held(snapshot, &judged.key, place);
            let (byte, failed) = (judged.verdict.level.byte(), judged.verdict.failed_bits());
            let kind = judged.kind;
            let Some(reason) = submission::due(held, byte, failed, &terms, |b| rank_of(kind, b)) else { continue };
            if snapshot.attestations.get(&judged.key).is_none_or(|a| a.entries.len() <= place) {
                too_small.push(judged.key);
            }
            match self.document(&judged, rules, snapshot.slot, now_ms).document() {
                Ok((name, document)) => due.push(Due { judged, reason, name, document }),
                Err(error) => error!(code = %judged.code, %error, "no evidence, so no word"),
            }
        }
        // The urgent first; then by kind and code, so that batches are the same whatever order things were read in.
        due.sort_by_key(|d| (d.reason, d.judged.kind, d.judged.code));
        self.extend(&too_small).await;
        let tables = self.chain.tables();
        let landed: Vec<Vec<Due>> = stream::iter(self.batches(due, &tables))
            .map(|batch| self.attest_batch(batch, now_ms))
            .buffer_unordered(TRANSACTIONS_AT_ONCE)
            .collect()
            .await;
        for due in landed.into_iter().flatten() {
            self.metrics.attested(due.reason.name());
            let verdict = &due.judged.verdict;
            let word = Held {
                verdict: verdict.level.byte(),
                failed: verdict.failed_bits(),
                epoch: terms.epoch,
                slot: terms.now,
            };
            self.sent.insert(due.judged.key, word);
        }
        self.sent.retain(|key, _| snapshot.attestations.contains_key(key));
    }

    fn document(&self, judged: &Judged, rules: &Rules, ledger_slot: u64, at_ms: u64) -> Evidence {
        Evidence {
            version: evidence::VERSION,
            program: self.settings.program_id,
            oracle: to_key(&self.settings.oracle),
            subject: judged.key,
            code: judged.code,
            ledger_slot,
            at_ms,
            window: judged.window,
            verdict: judged.verdict.clone(),
            not_judged: Evidence::not_judged(),
            rules: rules.clone(),
            telemetry: judged.telemetry.clone(),
        }
    }

    async fn extend(&self, subjects: &[Key]) {
        let oracle = self.settings.oracle;
        let extend = |key: &Key| self.instructions.extend_attestations(&oracle, key, 0);
        self.send_packed("extend", subjects.iter().map(|key| (*key, extend(key))).collect()).await;
    }

    /// Asks for lookup tables where not all subjects fit a plain transaction: every one is renewed at about the same
    /// time.
    fn want_tables(&self, round: &[Judged]) {
        if round.len() <= self.plain_capacity.min(self.settings.batch) {
            return;
        }
        let addresses = self.instructions.addresses();
        let mut wanted: BTreeSet<Pubkey> = round.iter().map(|judged| addresses.attestations(&judged.key)).collect();
        wanted.insert(addresses.network());
        self.chain.want_in_tables(wanted);
    }

    /// In as few transactions as fit, by lookup tables where one without does not hold everything.
    fn batches(&self, due: Vec<Due>, tables: &[AddressLookupTableAccount]) -> Vec<Batch> {
        let count = (due.len(), self.settings.batch);
        let split = |tables: &[AddressLookupTableAccount]| {
            let attest = |range: std::ops::Range<usize>| {
                self.attest_instruction(due.get(range).unwrap_or_default(), Digest::ZERO)
            };
            pack::ranges(&self.settings.oracle, tables, &Limits::default(), count, attest)
        };
        let plain = due.len() <= self.plain_capacity;
        let tables = if plain { &[] } else { tables };
        let ranges = split(tables).unwrap_or_else(|error| {
            // One word fits any transaction.
            error!(%error, "words are sent one by one");
            (0..due.len()).map(|n| n..n + 1).collect()
        });
        let words = |range: std::ops::Range<usize>| due.get(range).unwrap_or_default().to_vec();
        ranges.into_iter().map(|range| Batch { due: words(range), tables: tables.to_vec() }).collect()
    }

    /// Attests a batch; where the program refuses it, its halves, and where its lookup tables are gone, as many
    /// transactions as it takes without. Returns what landed.
    async fn attest_batch(&self, batch: Batch, now_ms: u64) -> Vec<Due> {
        let mut landed = Vec::new();
        let mut waiting = vec![batch];
        while let Some(Batch { mut due, tables }) = waiting.pop() {
            match self.attest_once(&due, &tables, now_ms).await {
                Ok(()) => landed.append(&mut due),
                Err(SendError::Program { code }) if due.len() > 1 => {
                    warn!(subjects = due.len(), %code, "attestation refused; trying its halves");
                    let rest = due.split_off(due.len() / 2);
                    waiting.extend([rest, due].map(|due| Batch { due, tables: tables.clone() }));
                }
                Err(SendError::Tables { message }) if !tables.is_empty() => {
                    warn!(subjects = due.len(), message, "lookup tables are gone; attesting without them");
                    waiting.extend(self.batches(due, &[]));
                }
                Err(error) => {
                    let codes: Vec<_> = due.iter().map(|d| d.judged.code.to_string()).collect();
                    warn!(?codes, %error, "not attested; the next round tries again");
                }
            }
        }
        landed
    }

    fn attest_instruction(&self, batch: &[Due], evidence_root: Digest) -> Instruction {
        let windows = || batch.iter().map(|d| d.judged.window);
        let window = Window {
            epoch: self.epoch,
            // The shortest of the windows: every subject was judged over at least this. Each document has its own.
            start_slot: windows().map(|w| w.start_slot).max().unwrap_or_default(),
            // All windows of a round end together.
            end_slot: windows().map(|w| w.end_slot).max().unwrap_or_default(),
            evidence_root,
        };
        let words: Vec<(Key, Word)> = batch
            .iter()
            .map(|d| {
                let verdict = &d.judged.verdict;
                (d.judged.key, Word { verdict: verdict.level.byte(), failed: verdict.failed_bits() })
            })
            .collect();
        self.instructions.attest(&self.settings.oracle, window, &words)
    }

    async fn attest_once(
        &self,
        batch: &[Due],
        tables: &[AddressLookupTableAccount],
        now_ms: u64,
    ) -> Result<(), SendError> {
        let documents: Vec<_> = batch.iter().map(|d| (d.judged.key, d.name, d.document.clone())).collect();
        let evidence = self.evidence.clone();
        let kept = tokio::task::spawn_blocking(move || evidence.put(&documents, now_ms)).await;
        let lost = |message: String| SendError::Lost { message };
        let (id, evidence_root) = kept
            .map_err(|e| lost(format!("evidence not kept: {e}")))?
            .map_err(|e| lost(format!("evidence not kept: {e}")))?;
        let attest = self.attest_instruction(batch, evidence_root);
        let signature = self.send("attest", vec![attest], tables).await?;
        let evidence = self.evidence.clone();
        let noted = tokio::task::spawn_blocking(move || evidence.signed(id, &signature)).await;
        if !matches!(noted, Ok(Ok(()))) {
            error!("an attestation landed and its transaction could not be noted beside the evidence");
        }
        Ok(())
    }
}
