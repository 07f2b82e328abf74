//! One round: read the ledger, judge everything, say what has to be said, advance what can advance.
//!
//! A round attests nothing when the ledger or the telemetry store can't be read: what was attested before then expires,
//! which is what silence means onchain. One subject whose word is refused holds up no other: a refused batch is halved
//! until the one is alone. Every wait is bounded by the chain's own limits.
//!
//! Evidence is kept before it is signed. Nothing is attested on data older than the maximum age: the longest gap that
//! coverage tolerates is cut to it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use causeway_interface::{Code, Digest, Key, accounts::Network, instruction::Verdict as Word, quorum};
use causeway_sdk::{
    DeviceRefs, Instructions, LinkRefs, Snapshot, Window as AttestWindow,
    address::{to_key, to_pubkey},
    pack::{self, Costed, Limits},
    predict,
};
use futures::{StreamExt, stream};
use solana_sdk::{instruction::Instruction, message::AddressLookupTableAccount, pubkey::Pubkey};
use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use crate::{
    alerts::{Watch, Webhook},
    chain::{Chain, SendError},
    criteria::{Verdict, coverage::Rules},
    evidence::{self, Evidence, store::EvidenceStore},
    ingest::Directory,
    metrics::Metrics,
    store::recorder::Recorder,
    subjects::{Basis, Court, Judged, Kind, Stages, rank_of},
    submission::{self, Held, Terms},
    time::{self, SlotClock},
};

/// Transactions under way at once: enough to hide the confirmation of one behind the next, few enough for a public node.
const TRANSACTIONS_AT_ONCE: usize = 8;
/// Slots back whose time is asked for at the first round, to measure the pace before this oracle has seen any.
const PACE_SLOTS: u64 = 1_000;
/// Compute units expected of one `Advance`, of one `ExtendAttestations`; the program's targets with room to spare.
const ADVANCE_UNITS: u32 = 10_000;

/// The fixed part of an oracle.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name for people.
    pub name: String,
    /// The program.
    pub program_id: Key,
    /// The oracle's key.
    pub oracle: Pubkey,
    /// The numbers that criteria are judged by.
    pub rules: Rules,
    /// Most subjects of one `Attest`; fewer where no more fit a transaction.
    pub batch: usize,
    /// Time between rounds, in ms.
    pub round_ms: u64,
}

/// What the last complete round found.
#[derive(Clone, Debug, Default)]
pub struct Published {
    /// Slot of its snapshot.
    pub slot: u64,
    /// When it was, in ms since 1970.
    pub at_ms: u64,
    /// Whether this oracle is of the set.
    pub in_set: bool,
    /// What was found, by kind and code.
    pub subjects: BTreeMap<(Kind, Code), Judged>,
}

impl Published {
    /// The verdict of a device of this code, or else of a link.
    #[must_use]
    pub fn verdict(&self, code: &Code) -> Option<&Verdict> {
        let found = [Kind::Device, Kind::Link].into_iter().find_map(|kind| self.subjects.get(&(kind, *code)));
        found.map(|judged| &judged.verdict)
    }
}

/// Why a round attested nothing.
#[derive(Debug, thiserror::Error)]
pub enum RoundError {
    /// The ledger could not be read.
    #[error("the ledger could not be read: {0}")]
    Ledger(crate::chain::ReadError),
    /// The program holds no network.
    #[error("the program holds no network yet")]
    NoNetwork,
    /// The store could not be read.
    #[error("the telemetry store could not be read")]
    Store(#[source] crate::store::StoreError),
    /// The judging thread died.
    #[error("judging was cut off")]
    CutOff,
}

impl RoundError {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Ledger(_) => "ledger",
            Self::NoNetwork => "network",
            Self::Store(_) => "store",
            Self::CutOff => "judge",
        }
    }
}

/// An oracle between rounds.
pub struct Judge<C> {
    settings: Settings,
    chain: Arc<C>,
    recorder: Arc<Recorder>,
    evidence: Arc<EvidenceStore>,
    instructions: Instructions,
    metrics: Metrics,
    directory: watch::Sender<Option<Arc<Directory>>>,
    published: watch::Sender<Arc<Published>>,
    webhook: Option<Webhook>,
    clock: Option<SlotClock>,
    stages: Stages,
    watch: Watch,
    /// Words that were sent and that the snapshot may not show yet.
    sent: HashMap<Key, Held>,
    /// The network's oracle epoch as this round read it.
    epoch: u32,
    /// Since which slot a subject could be advanced.
    due_since: HashMap<Key, u64>,
    /// Subjects of one `Attest` that fit a transaction without lookup tables.
    plain_capacity: usize,
    warned_of_hold: bool,
}

/// The parts that a judge is made of.
pub struct Parts<C> {
    /// The fixed part.
    pub settings: Settings,
    /// The ledger.
    pub chain: Arc<C>,
    /// Telemetry.
    pub recorder: Arc<Recorder>,
    /// Evidence.
    pub evidence: Arc<EvidenceStore>,
    /// What is counted.
    pub metrics: Metrics,
    /// Where telemetry keys and the ledger's pace go.
    pub directory: watch::Sender<Option<Arc<Directory>>>,
    /// Where verdicts go.
    pub published: watch::Sender<Arc<Published>>,
    /// Where alerts go.
    pub webhook: Option<Webhook>,
}

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
    /// A judge that has not seen anything.
    #[must_use]
    pub fn new(parts: Parts<C>) -> Self {
        let Parts { settings, chain, recorder, evidence, metrics, directory, published, webhook } = parts;
        let instructions = Instructions::new(to_pubkey(&settings.program_id));
        let plain_capacity = pack::attest_capacity(&instructions, &settings.oracle);
        Self {
            settings,
            chain,
            recorder,
            evidence,
            instructions,
            metrics,
            directory,
            published,
            webhook,
            clock: None,
            stages: Stages::default(),
            watch: Watch::default(),
            sent: HashMap::new(),
            epoch: 0,
            due_since: HashMap::new(),
            plain_capacity,
            warned_of_hold: false,
        }
    }

    /// One round. Failures are logged and counted; there is nothing that a caller could do about them.
    pub async fn round(&mut self) {
        let began = std::time::Instant::now();
        match self.try_round().await {
            Ok(slot) => {
                let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                self.metrics.round(slot, took_ms);
                debug!(slot, took_ms, "round done");
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                warn!(%error, cause, "nothing attested in this round");
                self.metrics.round_failed(error.kind());
            }
        }
    }

    async fn try_round(&mut self) -> Result<u64, RoundError> {
        let snapshot = self.chain.snapshot().await.map_err(RoundError::Ledger)?;
        let network = snapshot.network.clone().ok_or(RoundError::NoNetwork)?;
        for account in &snapshot.undecodable {
            warn!(address = %account.address, error = account.error, "account not readable; what depends on it is not judged");
        }
        let now_ms = time::now_ms();
        let clock = self.tell_time(snapshot.slot, now_ms).await;
        self.stages.update(&snapshot, &clock);
        let snapshot = Arc::new(snapshot);
        let rules = self.rules(&network, &clock);
        let place = quorum::oracle_index(&network.oracles, network.oracle_count, &to_key(&self.settings.oracle));
        let round = self.judge(&snapshot, &network, place, clock, &rules, now_ms).await;
        // After what is known was loaded, which is then loaded for as long a window as it takes.
        let known = self.directory.borrow().clone();
        let directory = Directory::new(snapshot.devices.values(), clock, known.as_deref());
        self.directory.send_replace(Some(Arc::new(directory)));
        let round = round?;
        self.publish(&round, snapshot.slot, now_ms, place.is_some());
        let Some(place) = place else {
            debug!("this oracle is not of the set: nothing attested");
            return Ok(snapshot.slot);
        };
        self.attest(&snapshot, &network, place, round, &rules, now_ms).await;
        self.advance(&snapshot, &network, place, &clock).await;
        Ok(snapshot.slot)
    }

    async fn tell_time(&mut self, slot: u64, now_ms: u64) -> SlotClock {
        let clock = match self.clock {
            Some(clock) => clock.observe(slot, now_ms),
            None => match slot.checked_sub(PACE_SLOTS) {
                Some(then) => match self.chain.slot_time_ms(then).await {
                    Some(at_ms) => SlotClock::new(then, at_ms).observe(slot, now_ms),
                    None => SlotClock::new(slot, now_ms),
                },
                // A ledger this young is observed from now on.
                None => SlotClock::new(slot, now_ms),
            },
        };
        self.clock = Some(clock);
        clock
    }

    async fn judge(
        &self,
        snapshot: &Arc<Snapshot>,
        network: &Network,
        place: Option<usize>,
        clock: SlotClock,
        rules: &Rules,
        now_ms: u64,
    ) -> Result<Vec<Judged>, RoundError> {
        let (snapshot, network) = (snapshot.clone(), network.clone());
        let (stages, recorder, rules) = (self.stages.clone(), self.recorder.clone(), rules.clone());
        let judging = tokio::task::spawn_blocking(move || {
            let court =
                Court { snapshot: &snapshot, network: &network, clock: &clock, rules: &rules, stages: &stages, now_ms };
            // Evidence is made ready for every word that may be said in this round, from the same moment as its verdict.
            let terms =
                Terms { epoch: network.oracle_epoch, max_age: network.attestation_max_age_slots, now: snapshot.slot };
            let wanted = |key: &Key, verdict: u8, failed: u32| {
                place.is_some_and(|place| {
                    let entry = snapshot.attestations.get(key).and_then(|a| a.entries.get(place));
                    let held =
                        entry.map(|e| Held { verdict: e.verdict, failed: e.failed, epoch: e.epoch, slot: e.slot });
                    submission::may_be_due(held, verdict, failed, &terms)
                })
            };
            recorder.read(now_ms, court.reach_ms(), |fleet| court.judge(fleet, &wanted))
        });
        judging.await.map_err(|_| RoundError::CutOff)?.map_err(RoundError::Store)
    }

    fn publish(&mut self, round: &[Judged], slot: u64, at_ms: u64, in_set: bool) {
        let before = self.published.borrow().clone();
        for judged in round {
            let level = judged.verdict.level;
            let was = before.subjects.get(&(judged.kind, judged.code)).map(|j| j.verdict.level);
            if was != Some(level) {
                let criteria: Vec<_> = judged.verdict.not_passed().map(|c| c.id.name()).collect();
                let (kind, was) = (judged.kind.name(), was.map(|l| l.name()));
                info!(kind, code = %judged.code, level = level.name(), was, ?criteria, "level");
            }
        }
        for alert in self.watch.update(&self.settings.name, round) {
            warn!(kind = alert.kind, text = alert.text, "alert");
            if let Some(webhook) = &self.webhook {
                webhook.send(alert);
            }
        }
        self.metrics.subjects(round.iter().map(|j| (j.kind.name(), j.verdict.level.name())));
        let subjects = round.iter().map(|j| ((j.kind, j.code), j.clone())).collect();
        self.published.send_replace(Arc::new(Published { slot, at_ms, in_set, subjects }));
    }

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

    /// The rules with the longest gap cut to the maximum age, so that nothing older is attested on.
    fn rules(&mut self, network: &Network, clock: &SlotClock) -> Rules {
        let mut rules = self.settings.rules.clone();
        let max_age_ms = clock.duration_ms(network.attestation_max_age_slots);
        rules.max_gap_ms = rules.max_gap_ms.min(max_age_ms).max(rules.bucket_ms);
        let safe_ms = rules.safe_hold_ms(max_age_ms, self.settings.round_ms);
        if rules.hold_ms < safe_ms && !self.warned_of_hold {
            warn!(hold_ms = rules.hold_ms, safe_ms, "short hold: a streak may outlive a break that was never attested");
            self.warned_of_hold = true;
        }
        rules
    }

    async fn attest(
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
            let Some(basis) = judged.basis.clone() else {
                error!(code = %judged.code, "no evidence was asked for, so no word; the next round tries again");
                continue;
            };
            match self.document(&judged, basis, rules, snapshot.slot, now_ms).document() {
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

    fn document(&self, judged: &Judged, basis: Basis, rules: &Rules, ledger_slot: u64, at_ms: u64) -> Evidence {
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
            rules: rules.clone(),
            telemetry: judged.telemetry.clone(),
            buckets: basis.buckets,
            facts: basis.facts,
            exhibits: basis.exhibits,
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
        let window = AttestWindow {
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

    async fn advance(&mut self, snapshot: &Snapshot, network: &Network, place: usize, clock: &SlotClock) {
        let due = self.advances(snapshot);
        self.due_since.retain(|key, _| due.iter().any(|(k, _)| k == key));
        let stagger = clock.slots_in(self.settings.round_ms.saturating_mul(2)).max(1);
        let oracles = usize::from(network.oracle_count);
        let mut mine = Vec::new();
        for (key, instruction) in due {
            let since = *self.due_since.entry(key).or_insert(snapshot.slot);
            if submission::may_advance(&key, place, oracles, since, snapshot.slot, stagger) {
                mine.push((key, instruction));
            }
        }
        let landed = self.send_packed("advance", mine).await;
        self.metrics.advanced(landed);
    }

    /// What would change if somebody advanced it now.
    fn advances(&self, snapshot: &Snapshot) -> Vec<(Key, Instruction)> {
        let oracle = &self.settings.oracle;
        let addresses = self.instructions.addresses();
        let now = snapshot.slot;
        let mut due = Vec::new();
        for (key, device) in &snapshot.devices {
            match predict::device(snapshot, key, now) {
                Ok(next) if next.changes() => {
                    let refs = DeviceRefs::of(addresses, device);
                    due.push((*key, self.instructions.advance_device(oracle, &refs, device.header.sequence)));
                }
                Ok(_) => {}
                Err(error) => debug!(code = %device.code, %error, "no prediction"),
            }
        }
        for (key, link) in &snapshot.links {
            match (predict::link(snapshot, key, now), snapshot.link_context(link)) {
                (Ok(next), Some(context)) if next.changes() => {
                    let refs = LinkRefs::of(addresses, &context);
                    due.push((*key, self.instructions.advance_link(oracle, &refs, link.header.sequence)));
                }
                (Ok(_), _) => {}
                (Err(error), _) => debug!(code = %link.code, %error, "no prediction"),
            }
        }
        due
    }

    /// Sends instructions in as few transactions as fit; where the program refuses one with several, each alone. Returns
    /// how many instructions landed.
    async fn send_packed(&self, what: &'static str, items: Vec<(Key, Instruction)>) -> usize {
        let costed: Vec<Costed> = items
            .iter()
            .map(|(_, instruction)| Costed { instruction: instruction.clone(), compute_units: ADVANCE_UNITS })
            .collect();
        let packed = match pack::pack(&self.settings.oracle, &costed, &Limits::default()) {
            Ok(packed) => packed,
            Err(error) => {
                error!(what, %error, "nothing sent");
                return 0;
            }
        };
        let send = |instructions: Vec<Instruction>| async move {
            let count = instructions.len();
            match self.send(what, instructions.clone(), &[]).await {
                Ok(_) => count,
                Err(SendError::Program { code }) if count > 1 => {
                    debug!(what, %code, count, "refused; each alone");
                    let mut landed = 0;
                    for instruction in instructions {
                        match self.send(what, vec![instruction], &[]).await {
                            Ok(_) => landed += 1,
                            Err(error) => debug!(what, %error, "refused"),
                        }
                    }
                    landed
                }
                Err(error) => {
                    debug!(what, %error, "not sent; the next round tries again");
                    0
                }
            }
        };
        stream::iter(packed.into_iter().map(|p| send(p.instructions)))
            .buffer_unordered(TRANSACTIONS_AT_ONCE)
            .fold(0, |sum, landed| async move { sum + landed })
            .await
    }

    async fn send(
        &self,
        what: &'static str,
        instructions: Vec<Instruction>,
        tables: &[AddressLookupTableAccount],
    ) -> Result<String, SendError> {
        let outcome = self.chain.send(instructions, tables).await;
        match &outcome {
            Ok(signature) => {
                debug!(what, signature, "landed");
                self.metrics.transactions_landed(what, 1);
            }
            Err(error) if is_lost_race(what, error) => debug!(what, %error, "another was first"),
            Err(error) => {
                warn!(what, %error, "transaction failed");
                self.metrics.transaction_failed(what);
            }
        }
        outcome
    }
}

/// Anyone may advance and extend: that somebody else has done it is no failure.
fn is_lost_race(what: &str, error: &SendError) -> bool {
    use causeway_interface::ErrorCode;
    let race = |code: &ErrorCode| matches!(code, ErrorCode::StaleSequence | ErrorCode::NoChange);
    what != "attest" && matches!(error, SendError::Program { code } if race(code))
}
