//! The evidence of the words that are due, and their batches on the way to the ledger.
//!
//! Batches go in groups: the evidence of a group is made and written with one wait for the disk, then its transactions are
//! sent, then what landed is noted with one more. A group bounds the memory that documents take. What landed and could not
//! be noted is noted later; what a process that died had sent is found by the ledger's roots (`recognise`).

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use causeway_interface::{Digest, Key, instruction::Verdict as Word};
use causeway_sdk::{
    Snapshot, Window,
    address::to_key,
    pack::{self, Limits},
};
use futures::{StreamExt, stream};
use solana_sdk::{instruction::Instruction, message::AddressLookupTableAccount, pubkey::Pubkey};
use tracing::{error, warn};

use super::{Judge, RoundError, Scene, transmit::TRANSACTIONS_AT_ONCE, words::Due};
use crate::{
    book::RuleBook,
    chain::{Chain, SendError},
    evidence::{
        self, Evidence,
        store::{BatchId, Document},
    },
    subjects::{Basis, Judged},
    submission::{Held, Terms},
};

/// Words whose evidence is written at once: some 15 MB of documents, which compress to one.
const GROUP: usize = 5_000;
/// Notes of landed batches that wait for a store that does not take them. More are given up: the ledger's roots tell.
const MAX_NOTES: usize = 10_000;

type Tables = Arc<Vec<AddressLookupTableAccount>>;

/// Words of one transaction, and the lookup tables that it needs.
struct Batch {
    due: Vec<Due>,
    tables: Tables,
}

/// A batch whose evidence is on disk.
struct Kept {
    batch: Batch,
    id: BatchId,
    root: Digest,
}

/// What became of a batch.
#[derive(Default)]
struct Landed {
    due: Vec<Due>,
    notes: Vec<(BatchId, String)>,
}

/// What all documents of a round have in common.
struct Scribe {
    program: Key,
    oracle: Key,
    rules: Arc<RuleBook>,
    snapshot: Arc<Snapshot>,
    ledger_slot: u64,
    at_ms: u64,
}

impl Scribe {
    /// None of what was judged without keeping what it was judged by.
    fn document(&self, judged: &Judged) -> Result<Option<Document>, evidence::canonical::CanonicalError> {
        let Some(Basis { buckets, facts, exhibits }) = judged.basis.as_deref().cloned() else { return Ok(None) };
        let evidence = Evidence {
            version: evidence::VERSION,
            program: self.program,
            oracle: self.oracle,
            subject: judged.key,
            code: judged.code,
            ledger_slot: self.ledger_slot,
            at_ms: self.at_ms,
            window: judged.window,
            verdict: judged.verdict.clone(),
            rules: self.rules.for_subject(&self.snapshot, judged.kind, &judged.key).clone(),
            telemetry: judged.telemetry.clone(),
            buckets,
            facts,
            exhibits,
        };
        let (name, bytes) = evidence.document()?;
        Ok(Some(Document { subject: judged.key, name, bytes }))
    }

    /// The documents of a batch. A word without a document is not said.
    fn documents(&self, batch: &mut Batch) -> Vec<Document> {
        let mut documents = Vec::with_capacity(batch.due.len());
        batch.due.retain(|due| match self.document(&due.judged) {
            Ok(Some(document)) => {
                documents.push(document);
                true
            }
            Ok(None) => {
                error!(code = %due.judged.code, "judged without its evidence, so no word");
                false
            }
            Err(error) => {
                error!(code = %due.judged.code, %error, "no evidence, so no word");
                false
            }
        });
        documents
    }
}

impl<C: Chain> Judge<C> {
    pub(super) async fn attest(&mut self, scene: &Scene, place: usize, round: &[Arc<Judged>]) {
        let Scene { snapshot, network, rules, now_ms, .. } = scene;
        let now_ms = *now_ms;
        let terms =
            Terms { epoch: network.oracle_epoch, max_age: network.attestation_max_age_slots, now: snapshot.slot };
        self.epoch = network.oracle_epoch;
        self.want_tables(round);
        let tables = Arc::new(self.chain.tables());
        let mut words = self.words(snapshot, place, round, &terms, &tables).await;
        self.extend(&words.too_small).await;
        self.afford(&mut words.due, self.capacity(&tables), now_ms);
        if let Err(error) = self.show(scene, &mut words.due).await {
            error!(%error, cause = ?std::error::Error::source(&error), "no evidence can be made, so no words");
            self.note_kept(Err(error.to_string()));
            return;
        }
        let scribe = Arc::new(Scribe {
            program: self.settings.program_id,
            oracle: to_key(&self.settings.oracle),
            rules: rules.clone(),
            snapshot: snapshot.clone(),
            ledger_slot: snapshot.slot,
            at_ms: now_ms,
        });
        let mut waiting = self.batches(words.due, &tables).into_iter().peekable();
        while waiting.peek().is_some() {
            let (mut group, mut size) = (Vec::new(), 0);
            while let Some(batch) = waiting.next_if(|batch| group.is_empty() || size + batch.due.len() <= GROUP) {
                size += batch.due.len();
                group.push(batch);
            }
            self.attest_group(group, &scribe, &terms).await;
        }
        self.note().await;
        self.settle(now_ms);
        self.sent.retain(|key, _| snapshot.attestations.contains_key(key));
    }

    /// Judges what is due once more, at the same time and by the same rules, and keeps what was seen: for documents, which
    /// are made of a few subjects a round. What arrived in between counts, for the word as for its document.
    async fn show(&self, scene: &Scene, due: &mut Vec<Due>) -> Result<(), RoundError> {
        if due.is_empty() {
            return Ok(());
        }
        let only = due.iter().map(|due| due.judged.key).collect();
        let shown = self.judge(scene, Some(only)).await?;
        let mut shown: HashMap<Key, Arc<Judged>> = shown.into_iter().map(|j| (j.key, Arc::new(j))).collect();
        due.retain_mut(|due| match shown.remove(&due.judged.key) {
            Some(judged) => {
                due.judged = judged;
                true
            }
            None => false,
        });
        Ok(())
    }

    async fn attest_group(&mut self, group: Vec<Batch>, scribe: &Arc<Scribe>, terms: &Terms) {
        let this = &*self;
        let landed: Vec<Landed> = stream::iter(this.keep(group, scribe).await)
            .map(|kept| this.attest_batch(kept, scribe))
            .buffer_unordered(TRANSACTIONS_AT_ONCE)
            .collect()
            .await;
        for Landed { due, mut notes } in landed {
            self.notes.append(&mut notes);
            for due in due {
                self.metrics.attested(due.reason.name());
                let verdict = &due.judged.verdict;
                let (verdict, failed) = (verdict.level.byte(), verdict.failed_bits());
                self.sent.insert(due.judged.key, Held { verdict, failed, epoch: terms.epoch, slot: terms.now });
            }
        }
        self.note().await;
    }

    /// Makes the evidence of batches and keeps it, with one wait for the disk. Returns those that may be sent: all or none.
    async fn keep(&self, mut group: Vec<Batch>, scribe: &Arc<Scribe>) -> Vec<Kept> {
        let (evidence, scribe) = (self.evidence.clone(), scribe.clone());
        let keeping = tokio::task::spawn_blocking(move || {
            let documents: Vec<Vec<Document>> = group.iter_mut().map(|batch| scribe.documents(batch)).collect();
            let kept = evidence.put(&documents, scribe.at_ms)?;
            let kept = group.into_iter().zip(kept).map(|(batch, (id, root))| Kept { batch, id, root });
            Ok::<_, evidence::store::EvidenceError>(kept.filter(|kept| !kept.batch.due.is_empty()).collect())
        });
        let failed = |error: &dyn std::error::Error| {
            self.note_kept(Err(error.to_string()));
            error!(%error, cause = ?error.source(), "evidence not kept, so nothing is signed");
            self.metrics.transaction_failed("evidence");
            Vec::new()
        };
        match keeping.await {
            Ok(Ok(kept)) => {
                self.note_kept(Ok(()));
                kept
            }
            Ok(Err(error)) => failed(&error),
            Err(error) => failed(&error),
        }
    }

    /// Notes what landed. What the store does not take is tried again later.
    async fn note(&mut self) {
        if self.notes.is_empty() {
            return;
        }
        let (evidence, notes) = (self.evidence.clone(), self.notes.clone());
        match tokio::task::spawn_blocking(move || evidence.signed(&notes)).await {
            Ok(Ok(())) => self.notes.clear(),
            outcome => {
                let cause = match outcome {
                    Ok(Err(error)) => error.to_string(),
                    Err(error) => error.to_string(),
                    Ok(Ok(())) => String::new(),
                };
                error!(batches = self.notes.len(), cause, "what landed could not be noted yet beside its evidence");
                let over = self.notes.len().saturating_sub(MAX_NOTES);
                self.notes.drain(..over);
            }
        }
    }

    async fn extend(&self, subjects: &[Key]) {
        let oracle = self.settings.oracle;
        let extend = |key: &Key| self.instructions.extend_attestations(&oracle, key, 0);
        self.send_packed("extend", subjects.iter().map(|key| (*key, extend(key))).collect()).await;
    }

    /// Asks for lookup tables where not all subjects fit a plain transaction.
    fn want_tables(&self, round: &[Arc<Judged>]) {
        if round.len() <= self.plain_capacity.min(self.settings.batch) {
            return;
        }
        let mut wanted: BTreeSet<Pubkey> = self.addresses.values().copied().collect();
        wanted.insert(self.instructions.addresses().network());
        self.chain.want_in_tables(wanted);
    }

    /// In as few transactions as fit, by lookup tables where one without does not hold everything.
    fn batches(&self, due: Vec<Due>, tables: &Tables) -> Vec<Batch> {
        let count = (due.len(), self.settings.batch);
        let plain = due.len() <= self.plain_capacity;
        let tables = if plain { Tables::default() } else { tables.clone() };
        let attest =
            |range: std::ops::Range<usize>| self.attest_instruction(due.get(range).unwrap_or_default(), Digest::ZERO);
        let ranges = pack::ranges(&self.settings.oracle, &tables, &Limits::default(), count, attest);
        let ranges = ranges.unwrap_or_else(|error| {
            // One word fits any transaction.
            error!(%error, "words are sent one by one");
            (0..due.len()).map(|n| n..n + 1).collect()
        });
        let mut due = due.into_iter();
        let words = |range: std::ops::Range<usize>| due.by_ref().take(range.len()).collect();
        ranges.into_iter().map(words).map(|due| Batch { due, tables: tables.clone() }).collect()
    }

    /// Attests a batch; where the program refuses it, its halves, and where its lookup tables are gone, as many
    /// transactions as it takes without. Returns what landed.
    async fn attest_batch(&self, kept: Kept, scribe: &Arc<Scribe>) -> Landed {
        let mut landed = Landed::default();
        let mut waiting = vec![kept];
        while let Some(Kept { batch: Batch { mut due, tables }, id, root }) = waiting.pop() {
            match self.send("attest", vec![self.attest_instruction(&due, root)], &tables).await {
                Ok(signature) => {
                    landed.due.append(&mut due);
                    landed.notes.push((id, signature));
                }
                Err(SendError::Program { code }) if due.len() > 1 => {
                    warn!(subjects = due.len(), %code, "attestation refused; trying its halves");
                    let rest = due.split_off(due.len() / 2);
                    let halves = [rest, due].map(|due| Batch { due, tables: tables.clone() });
                    waiting.extend(self.keep(halves.into(), scribe).await);
                }
                Err(SendError::Tables { message }) if !tables.is_empty() => {
                    warn!(subjects = due.len(), message, "lookup tables are gone; attesting without them");
                    let plain = self.batches(due, &Tables::default());
                    waiting.extend(self.keep(plain, scribe).await);
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
        let words: Vec<(Pubkey, Word)> = batch
            .iter()
            .map(|d| {
                let verdict = &d.judged.verdict;
                (d.address, Word { verdict: verdict.level.byte(), failed: verdict.failed_bits() })
            })
            .collect();
        self.instructions.attest_at(&self.settings.oracle, window, &words)
    }
}
