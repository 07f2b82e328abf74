//! Puts a plan on the ledger.
//!
//! Level by level of dependency, everything of a level at once through the SDK's sender, whose number of transactions
//! on their way is bounded. One object that fails takes only what depends on it with it; the rest goes on. Nothing is
//! remembered here: the next run reads the ledger and plans what is still missing, so that a run can be repeated and
//! resumed.
//!
//! The demo and the tests register their networks through [`run`], as the command does.

mod build;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use causeway_interface::{Code, ErrorCode, Key};
use causeway_sdk::{
    Instructions, LedgerError, SendError, Sender, Snapshot, Submission,
    address::to_key,
    pack::{self, Costed, Limits},
};
use solana_sdk::{signature::Keypair, signer::Signer};
use std::sync::Arc;

use crate::{
    keyring::Keyring,
    plan::{Item, Kind, LEVELS, Plan, Step},
    site::Site,
};

/// Compute units that one instruction is reckoned with when they are packed: the design's limit for the dearest.
const UNITS_PER_INSTRUCTION: u32 = 6_000;

/// How to apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApplyOptions {
    /// Lamports up to which every signing contributor's owner is filled first, by the payer; 0 for not at all.
    pub fund_lamports: u64,
}

/// A key that is not the one that is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyProblem {
    /// There is no such file.
    Missing {
        /// Where it was looked for.
        file: PathBuf,
        /// What it is needed for.
        needed_for: String,
    },
    /// It is another key.
    Other {
        /// The file.
        file: PathBuf,
        /// Its public half.
        found: Key,
        /// The key that is needed.
        needed: Key,
        /// For what.
        needed_for: String,
    },
}

impl std::fmt::Display for KeyProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing { file, needed_for } => {
                write!(f, "key file {} is missing; it is needed {needed_for}", file.display())
            }
            Self::Other { file, found, needed, needed_for } => {
                write!(f, "key file {} holds {found}; {needed} is needed {needed_for}", file.display())
            }
        }
    }
}

/// Why nothing, or nothing more, was done.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Keys are missing or others than needed. Nothing was sent.
    #[error("{} of the keys that the plan needs are missing or wrong", .0.len())]
    Keys(Vec<KeyProblem>),
    /// The ledger could not be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Funding a contributor's owner failed. Nothing else was sent.
    #[error("the owner of contributor {code} could not be funded")]
    Funding {
        /// The contributor.
        code: Code,
        /// Why.
        #[source]
        source: Box<SendError>,
    },
}

/// What just happened to a step.
#[derive(Debug)]
pub struct Progress<'a> {
    /// Steps that are done with, whatever became of them.
    pub done: usize,
    /// Steps of the plan.
    pub total: usize,
    /// The object.
    pub item: &'a Item,
    /// The steps that were in the transaction.
    pub steps: &'a [Step],
    /// Why it failed; none if it did not.
    pub error: Option<&'a SendError>,
}

/// A step that failed.
#[derive(Debug)]
pub struct Failure {
    /// Kind of the object.
    pub kind: Kind,
    /// Its code.
    pub code: Code,
    /// The first step of the transaction that failed.
    pub step: Step,
    /// Why.
    pub error: SendError,
}

/// A step that was not tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Kind of the object.
    pub kind: Kind,
    /// Its code.
    pub code: Code,
    /// What it was waiting for.
    pub because: String,
}

/// What became of a plan.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Steps that took effect.
    pub steps_done: usize,
    /// Transactions that landed.
    pub transactions: u64,
    /// What failed.
    pub failed: Vec<Failure>,
    /// What was not tried because of that.
    pub skipped: Vec<Skipped>,
}

impl Outcome {
    /// Whether everything that was planned took effect.
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.skipped.is_empty()
    }
}

/// Executes a plan that [`crate::plan::plan`] made of this site and snapshot.
///
/// # Errors
/// Keys are missing or wrong, or owners can't be funded; then nothing of the plan was sent. What fails later is in the
/// [`Outcome`].
pub async fn run(
    sender: &Sender,
    site: &Site,
    snapshot: &Snapshot,
    plan: &Plan,
    keyring: &Keyring,
    options: &ApplyOptions,
    mut on_progress: impl FnMut(&Progress<'_>),
) -> Result<Outcome, ApplyError> {
    let signers = check_keys(site, snapshot, plan, keyring)?;
    if options.fund_lamports > 0 {
        fund(sender, &signers, keyring, options.fund_lamports).await?;
    }
    let context =
        build::Context::new(Instructions::new(sender.ledger().addresses().program_id), site, snapshot, keyring);
    let total = plan.step_count();
    let mut outcome = Outcome::default();
    let mut dead: BTreeMap<(Kind, Code), String> = BTreeMap::new();
    let mut done = 0;
    for level in 0..LEVELS {
        let mut queue: Vec<Vec<Job<'_>>> = Vec::new();
        for item in &plan.items {
            let steps: Vec<Step> = item.steps.iter().copied().filter(|s| s.level(item.kind) == level).collect();
            if steps.is_empty() {
                continue;
            }
            if let Some(because) = held_up(site, item, &dead) {
                done += steps.len();
                dead.entry((item.kind, item.code)).or_insert_with(|| because.clone());
                if !outcome.skipped.iter().any(|s| (s.kind, s.code) == (item.kind, item.code)) {
                    outcome.skipped.push(Skipped { kind: item.kind, code: item.code, because });
                }
                continue;
            }
            for (wave, job) in jobs(&context, item, &steps).into_iter().enumerate() {
                if queue.len() <= wave {
                    queue.push(Vec::new());
                }
                if let Some(jobs) = queue.get_mut(wave) {
                    jobs.push(job);
                }
            }
        }
        // A level's first transactions of all objects, then their second ones, and so on.
        for wave in queue {
            let (alive, late): (Vec<_>, Vec<_>) =
                wave.into_iter().partition(|job| !dead.contains_key(&(job.item.kind, job.item.code)));
            done += late.iter().map(|job| job.steps.len()).sum::<usize>();
            let submissions = alive.iter().map(|job| job.submission.clone()).collect();
            let results = sender
                .send_all_with(submissions, |index, result| {
                    let Some(job) = alive.get(index) else { return };
                    done += job.steps.len();
                    let error = result.as_ref().err();
                    on_progress(&Progress { done, total, item: job.item, steps: &job.steps, error });
                })
                .await;
            for (job, result) in alive.into_iter().zip(results) {
                match result {
                    Ok(_) => {
                        outcome.steps_done += job.steps.len();
                        outcome.transactions += 1;
                    }
                    Err(error) => {
                        let (kind, code) = (job.item.kind, job.item.code);
                        dead.insert((kind, code), format!("{kind} {code} failed"));
                        let step = job.steps.first().copied().unwrap_or(Step::Create);
                        outcome.failed.push(Failure { kind, code, step, error });
                    }
                }
            }
        }
    }
    Ok(outcome)
}

/// One transaction of one object.
struct Job<'p> {
    item: &'p Item,
    steps: Vec<Step>,
    submission: Submission,
}

/// The transactions of an object's steps of one level, in order.
fn jobs<'p>(context: &build::Context<'_>, item: &'p Item, steps: &[Step]) -> Vec<Job<'p>> {
    let mut jobs: Vec<Job<'p>> = Vec::new();
    let mut run: Vec<(Step, Costed)> = Vec::new();
    let mut run_signers: Vec<Arc<Keypair>> = Vec::new();
    let flush = |run: &mut Vec<(Step, Costed)>, signers: &[Arc<Keypair>], jobs: &mut Vec<Job<'p>>| {
        let Some(payer) = signers.first().map(|key| key.pubkey()) else { return run.clear() };
        let costed: Vec<Costed> = run.iter().map(|(_, c)| c.clone()).collect();
        let all: Vec<Step> = run.drain(..).map(|(step, _)| step).collect();
        let whole = |range: std::ops::Range<usize>| all.get(range).unwrap_or_default().to_vec();
        // One that does not fit alone is sent as it is: the sender says so with its size.
        let packed = pack::pack(&payer, &costed, &Limits::default()).unwrap_or_else(|_| {
            let single =
                |(i, c): (usize, &Costed)| pack::Packed { instructions: vec![c.instruction.clone()], range: i..i + 1 };
            costed.iter().enumerate().map(single).collect()
        });
        for part in packed {
            let submission = Submission {
                instructions: part.instructions,
                signers: signers.to_vec(),
                compute_units: None,
                lookup_tables: Vec::new(),
            };
            jobs.push(Job { item, steps: whole(part.range), submission });
        }
    };
    for step in steps {
        let Some((instruction, signers)) = context.instruction(item, *step) else { continue };
        let same = run_signers.len() == signers.len()
            && run_signers.iter().zip(&signers).all(|(a, b)| a.pubkey() == b.pubkey());
        if !same {
            flush(&mut run, &run_signers, &mut jobs);
            run_signers = signers;
        }
        run.push((*step, Costed { instruction, compute_units: UNITS_PER_INSTRUCTION }));
    }
    flush(&mut run, &run_signers, &mut jobs);
    jobs
}

/// Why an item can't go on: it or something that it stands on failed.
fn held_up(site: &Site, item: &Item, dead: &BTreeMap<(Kind, Code), String>) -> Option<String> {
    if dead.is_empty() {
        return None;
    }
    let on_device = |device: &Code| {
        let spec = site.devices.iter().find(|d| d.code == *device);
        let above = spec.into_iter().flat_map(|d| {
            [(Kind::Contributor, d.contributor), (Kind::Location, d.location), (Kind::Exchange, d.exchange)]
        });
        std::iter::once((Kind::Device, *device)).chain(above).collect::<Vec<_>>()
    };
    let stands_on = match item.kind {
        Kind::Contributor | Kind::Location | Kind::Exchange => Vec::new(),
        Kind::Device => on_device(&item.code),
        Kind::Link => {
            let spec = site.links.get(item.index);
            spec.into_iter().flat_map(|l| [on_device(&l.a.device), on_device(&l.z.device)].concat()).collect()
        }
    };
    let own = std::iter::once((item.kind, item.code));
    own.chain(stands_on).find_map(|key| dead.get(&key).cloned())
}

/// The contributors that sign, with their keys; checked before anything is sent.
fn check_keys(
    site: &Site,
    snapshot: &Snapshot,
    plan: &Plan,
    keyring: &Keyring,
) -> Result<BTreeMap<Code, Arc<Keypair>>, ApplyError> {
    let mut problems = Vec::new();
    let mut authority_for: Option<String> = None;
    let mut contributors_for: BTreeMap<Code, String> = BTreeMap::new();
    let owner_of = |device: &Code| site.devices.iter().find(|d| d.code == *device).map(|d| d.contributor);
    for item in &plan.items {
        for step in &item.steps {
            let needed_for = || format!("to {} {} {}", step.words(), item.kind, item.code);
            let contributor = match item.kind {
                Kind::Contributor | Kind::Location | Kind::Exchange => {
                    authority_for.get_or_insert_with(needed_for);
                    // A new contributor without an owner in the file is owned by the key that signs for it.
                    let spec = site.contributors.get(item.index).filter(|_| item.kind == Kind::Contributor);
                    spec.filter(|c| c.owner.is_zero() && *step == Step::Create).map(|c| c.code)
                }
                Kind::Device => site.devices.get(item.index).map(|d| d.contributor),
                Kind::Link => site.links.get(item.index).and_then(|l| match step {
                    Step::Accept => owner_of(&l.z.device),
                    Step::Create
                    | Step::Update
                    | Step::SetFigures
                    | Step::ProvisionLink
                    | Step::ProvisionDevice
                    | Step::AddInterface(_)
                    | Step::UpdateInterface(_) => owner_of(&l.a.device),
                }),
            };
            if let Some(code) = contributor {
                contributors_for.entry(code).or_insert_with(needed_for);
            }
        }
    }
    if let Some(needed_for) = authority_for {
        let needed = snapshot.network.as_ref().map(|n| n.authority).unwrap_or_default();
        let file = keyring.authority_place();
        check_key(keyring.authority(), needed, file, needed_for, &mut problems);
    }
    let mut signers = BTreeMap::new();
    for (code, needed_for) in contributors_for {
        let on_ledger = snapshot.contributor(&code).map(|(_, c)| c.owner);
        let in_file = site.contributors.iter().find(|c| c.code == code).map(|c| c.owner);
        // The file's owner is put in force first where the two differ.
        let needed = in_file.filter(|k| !k.is_zero()).or(on_ledger).unwrap_or_default();
        check_key(keyring.contributor(&code), needed, keyring.contributor_place(&code), needed_for, &mut problems);
        if let Some(key) = keyring.contributor(&code) {
            signers.insert(code, Arc::clone(key));
        }
    }
    if problems.is_empty() { Ok(signers) } else { Err(ApplyError::Keys(problems)) }
}

fn check_key(
    key: Option<&Arc<Keypair>>,
    needed: Key,
    file: PathBuf,
    needed_for: String,
    problems: &mut Vec<KeyProblem>,
) {
    match key.map(|key| to_key(&key.pubkey())) {
        None => problems.push(KeyProblem::Missing { file, needed_for }),
        Some(found) if !needed.is_zero() && found != needed => {
            problems.push(KeyProblem::Other { file, found, needed, needed_for });
        }
        Some(_) => {}
    }
}

/// Fills owners that hold less than `lamports` up to it.
async fn fund(
    sender: &Sender,
    signers: &BTreeMap<Code, Arc<Keypair>>,
    keyring: &Keyring,
    lamports: u64,
) -> Result<(), ApplyError> {
    let Some(payer) = keyring.payer() else {
        let file = keyring.authority_place();
        return Err(ApplyError::Keys(vec![KeyProblem::Missing { file, needed_for: "to fund contributors".into() }]));
    };
    let mut funded = BTreeSet::new();
    let (mut codes, mut submissions) = (Vec::new(), Vec::new());
    for (code, owner) in signers {
        let to = owner.pubkey();
        let missing = lamports.saturating_sub(sender.ledger().balance(&to_key(&to)).await?);
        if missing > 0 && to != payer.pubkey() && funded.insert(to) {
            codes.push(*code);
            submissions.push(Submission::new(vec![build::transfer(&payer.pubkey(), &to, missing)], payer));
        }
    }
    for (code, result) in codes.into_iter().zip(sender.send_all(submissions).await) {
        result.map_err(|source| ApplyError::Funding { code, source: Box::new(source) })?;
    }
    Ok(())
}

/// The program's error of a failure, if it was the program that refused.
pub fn program_code(failure: &Failure) -> Option<ErrorCode> {
    failure.error.program_code()
}
