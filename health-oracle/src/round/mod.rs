//! One round: read the ledger, judge everything, say what has to be said, advance what can advance.
//!
//! - this file: an oracle between rounds, and the order of one;
//! - `publish`: what was found, to logs, alerts, metrics and the API;
//! - `doubt`: what is not judged because the ledger could not be read as a whole;
//! - `words`: which words are due, and which of them are said now;
//! - `attest`: their evidence, and their batches on the way to the ledger;
//! - `advance`: what the program could do next;
//! - `transmit`: instructions packed, sent and counted.
//!
//! A round attests nothing when the ledger or the telemetry store can't be read: what was attested before then expires,
//! which is what silence means onchain. One subject whose word is refused holds up no other: a refused batch is halved
//! until the one is alone. Every wait is bounded by the chain's own limits.
//!
//! Evidence is kept before it is signed. Nothing is attested on data older than the maximum age: the longest gap that
//! coverage tolerates is cut to it.

mod advance;
mod attest;
mod doubt;
mod publish;
mod transmit;
mod words;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex},
};

use causeway_interface::{Code, Digest, Key, accounts::Network, quorum};
use causeway_sdk::{
    Instructions, Snapshot,
    address::{to_key, to_pubkey},
    pack,
    send::Paid,
};
use solana_sdk::pubkey::Pubkey;
use tokio::sync::watch;
use tracing::{debug, warn};

use crate::{
    alerts::{Concern, Desk},
    book::RuleBook,
    chain::Chain,
    criteria::{Verdict, coverage::Rules},
    evidence::store::{BatchId, EvidenceStore},
    ingest::Directory,
    metrics::Metrics,
    since::Since,
    store::recorder::Recorder,
    subjects::{Court, Judged, Kind, Stages},
    submission::{Held, budget::Spending},
    time::{self, SlotClock},
};

/// Slots back whose time is asked for at the first round, to measure the pace before this oracle has seen any.
const PACE_SLOTS: u64 = 1_000;

/// The fixed part of an oracle.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The program.
    pub program_id: Key,
    /// The oracle's key.
    pub oracle: Pubkey,
    /// The numbers that criteria are judged by.
    pub rules: RuleBook,
    /// Most subjects of one `Attest`; fewer where no more fit a transaction.
    pub batch: usize,
    /// Time between rounds, in ms.
    pub round_ms: u64,
    /// Price of a compute unit in millionths of a lamport.
    pub priority_fee_micro_lamports: u64,
    /// Lamports that may go to fees in an hour; 0 for no limit.
    pub fee_budget_lamports_per_hour: u64,
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
    pub subjects: BTreeMap<(Kind, Code), Arc<Judged>>,
    /// Since when it has been so, by kind and code.
    pub since: BTreeMap<(Kind, Code), Since>,
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
    /// Every [`Self::kind`].
    pub(crate) const KINDS: [&'static str; 4] = ["ledger", "network", "store", "judge"];

    const fn kind(&self) -> &'static str {
        match self {
            Self::Ledger(_) => "ledger",
            Self::NoNetwork => "network",
            Self::Store(_) => "store",
            Self::CutOff => "judge",
        }
    }
}

/// Rounds that fail, since the last complete one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// What could not be read: "ledger", "network", "store" or "judge".
    pub what: &'static str,
    /// Why not, in words.
    pub cause: String,
    /// When the first of them failed, in ms since 1970.
    pub since_ms: u64,
    /// How many.
    pub rounds: u64,
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
    failing: watch::Sender<Option<Failing>>,
    desk: Desk,
    /// What became of the evidence of this round: nothing yet, kept, or why not.
    kept: Mutex<Option<Result<(), String>>>,
    clock: Option<SlotClock>,
    stages: Stages,
    /// Words that were sent and that the snapshot may not show yet.
    sent: HashMap<Key, Held>,
    /// The network's oracle epoch as this round read it.
    epoch: u32,
    /// Since which slot a subject could be advanced.
    due_since: HashMap<Key, u64>,
    /// Subjects of one `Attest` that fit a transaction without lookup tables.
    plain_capacity: usize,
    /// Attestations accounts by subject: deriving one takes longer than judging it.
    addresses: HashMap<Key, Pubkey>,
    /// Roots that the ledger holds under this oracle's key, and whether this instance signed them.
    roots: HashMap<Digest, bool>,
    /// Words of another instance that were counted: subject, and slot in which it was said.
    foreign: HashMap<Key, u64>,
    /// Batches that landed and could not be noted yet.
    notes: Vec<(BatchId, String)>,
    spending: Spending,
    paid: Paid,
    /// Lamports that a transaction costs: by what the last ones did.
    fee: u64,
    warned_of_budget: bool,
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
    /// Where it is said why rounds fail.
    pub failing: watch::Sender<Option<Failing>>,
    /// Where alerts are decided and go.
    pub desk: Desk,
}

impl<C: Chain> Judge<C> {
    /// A judge that has not seen anything.
    #[must_use]
    pub fn new(parts: Parts<C>) -> Self {
        let Parts { settings, chain, recorder, evidence, metrics, directory, published, failing, desk } = parts;
        let instructions = Instructions::new(to_pubkey(&settings.program_id));
        let fee = pack::fee_lamports(1, pack::Limits::default().compute_units, settings.priority_fee_micro_lamports);
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
            failing,
            desk,
            kept: Mutex::default(),
            clock: None,
            stages: Stages::default(),
            sent: HashMap::new(),
            epoch: 0,
            due_since: HashMap::new(),
            plain_capacity,
            addresses: HashMap::new(),
            roots: HashMap::new(),
            foreign: HashMap::new(),
            notes: Vec::new(),
            spending: Spending::default(),
            paid: Paid::default(),
            fee,
            warned_of_budget: false,
            warned_of_hold: false,
        }
    }

    /// One round. Failures are logged and counted; there is nothing that a caller could do about them.
    pub async fn round(&mut self) {
        let began = std::time::Instant::now();
        match self.try_round().await {
            Ok(slot) => {
                let took = began.elapsed();
                self.metrics.round(took);
                debug!(slot, ?took, "round done");
                self.failing.send_replace(None);
                self.desk.observe(Concern::Rounds, None, time::now_ms());
            }
            Err(error) => self.failed(&error),
        }
        self.desk.save().await;
    }

    fn failed(&mut self, error: &RoundError) {
        let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
        let words = causes.fold(error.to_string(), |words, cause| format!("{words}: {cause}"));
        warn!(error = words, "nothing attested in this round");
        self.metrics.round_failed(error.kind());
        let now_ms = time::now_ms();
        self.failing.send_modify(|failing| {
            let (since_ms, before) = failing.as_ref().map_or((now_ms, 0), |f| (f.since_ms, f.rounds));
            let rounds = before.saturating_add(1);
            *failing = Some(Failing { what: error.kind(), cause: words.clone(), since_ms, rounds });
        });
        self.desk.observe(Concern::Rounds, Some(&words), now_ms);
    }

    async fn try_round(&mut self) -> Result<u64, RoundError> {
        let snapshot = self.chain.snapshot().await.map_err(RoundError::Ledger)?;
        let network = snapshot.network.clone().ok_or(RoundError::NoNetwork)?;
        for account in &snapshot.undecodable {
            warn!(address = %account.address, error = account.error, "account not readable; what depends on it is not judged");
        }
        let now_ms = time::now_ms();
        let clock = self.tell_time(snapshot.slot, now_ms).await;
        self.metrics.ledger_read(snapshot.slot, clock, now_ms);
        self.stages.update(&snapshot, &clock);
        let rules = Arc::new(self.rules(&network, &clock));
        let stages = Arc::new(self.stages.clone());
        let scene = Scene { snapshot: Arc::new(snapshot), network: Arc::new(network), clock, rules, stages, now_ms };
        let (snapshot, network) = (&scene.snapshot, &scene.network);
        let round = self.judge(&scene, None).await;
        // After what is known was loaded, which is then loaded for as long a window as it takes.
        let known = self.directory.borrow().clone();
        let directory = Directory::new(snapshot.devices.values(), clock, known.as_deref());
        self.directory.send_replace(Some(Arc::new(directory)));
        let mut round = round?;
        self.keep_addresses(&round);
        doubt::leave_out(snapshot, &self.addresses, &mut round);
        let place = quorum::oracle_index(&network.oracles, network.oracle_count, &to_key(&self.settings.oracle));
        let round = self.publish(round, snapshot.slot, now_ms, place.is_some());
        let Some(place) = place else {
            debug!("this oracle is not of the set: nothing attested");
            return Ok(snapshot.slot);
        };
        self.attest(&scene, place, &round).await;
        self.observe_evidence(now_ms);
        self.advance(snapshot, network, place, &clock).await;
        if let Some(lamports) = self.chain.balance().await {
            self.metrics.balance(lamports);
            self.desk.balance(lamports, now_ms);
        }
        Ok(snapshot.slot)
    }

    fn keep_addresses(&mut self, round: &[Judged]) {
        let before = std::mem::take(&mut self.addresses);
        let addresses = self.instructions.addresses();
        let address = |key: &Key| before.get(key).copied().unwrap_or_else(|| addresses.attestations(key));
        self.addresses = round.iter().map(|judged| (judged.key, address(&judged.key))).collect();
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

    /// Judges everything, or only these with what their evidence needs.
    async fn judge(&self, scene: &Scene, only: Option<HashSet<Key>>) -> Result<Vec<Judged>, RoundError> {
        let (scene, recorder, metrics) = (scene.clone(), self.recorder.clone(), self.metrics.clone());
        let judging = tokio::task::spawn_blocking(move || {
            let court = scene.court();
            recorder.read(scene.now_ms, court.reach_ms(), |fleet| {
                if only.is_none() {
                    metrics.vitals(&fleet.totals(scene.now_ms));
                }
                court.judge(fleet, only.as_ref())
            })
        });
        judging.await.map_err(|_| RoundError::CutOff)?.map_err(RoundError::Store)
    }

    /// The rules with the longest gap cut to the maximum age, so that nothing older is attested on.
    fn rules(&mut self, network: &Network, clock: &SlotClock) -> RuleBook {
        let max_age_ms = clock.duration_ms(network.attestation_max_age_slots);
        let book = self
            .settings
            .rules
            .map(|rules| Rules { max_gap_ms: rules.max_gap_ms.min(max_age_ms).max(rules.bucket_ms), ..rules.clone() });
        let short = book.members().find_map(|(class, rules)| {
            let safe_ms = rules.safe_hold_ms(max_age_ms, self.settings.round_ms);
            (rules.hold_ms < safe_ms).then_some((class.name(), rules.hold_ms, safe_ms))
        });
        if let (Some((class, hold_ms, safe_ms)), false) = (short, self.warned_of_hold) {
            warn!(class, hold_ms, safe_ms, "short hold: a streak may outlive a break that was never attested");
            self.warned_of_hold = true;
        }
        book
    }

    /// One batch's evidence that is not kept decides over others that are.
    fn note_kept(&self, kept: Result<(), String>) {
        let mut noted = self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !matches!(*noted, Some(Err(_))) {
            *noted = Some(kept);
        }
    }

    /// Says it when evidence can't be kept; a round with nothing to keep says nothing about that.
    fn observe_evidence(&mut self, now_ms: u64) {
        let noted = self.kept.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(kept) = noted {
            self.desk.observe(Concern::Evidence, kept.err().as_deref(), now_ms);
        }
    }
}

/// What one round goes by; the same for its first look and for its evidence.
#[derive(Clone)]
struct Scene {
    snapshot: Arc<Snapshot>,
    network: Arc<Network>,
    clock: SlotClock,
    rules: Arc<RuleBook>,
    stages: Arc<Stages>,
    now_ms: u64,
}

impl Scene {
    fn court(&self) -> Court<'_> {
        Court {
            snapshot: &self.snapshot,
            network: &self.network,
            clock: &self.clock,
            rules: &self.rules,
            stages: &self.stages,
            now_ms: self.now_ms,
        }
    }
}
