//! Does one try of one step: finds who knows the device, asks what has to be asked, and says what came of it. Time limits
//! are kept here and nowhere else.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use causeway_interface::Code;
use futures::future::BoxFuture;

use crate::{
    adapter::{Candidate, Context, Extended},
    clock::{Clock, within},
    error::{self, Class, StepError, Trouble, cut},
    event::{Facts, StepResult},
    job::Job,
    next::Attempt,
    registry::Registry,
    spec::{JobId, Kind, StepSpec, Target, Verb, Wanted},
    status::correlation,
    store::{JobStore, MAX_ARTIFACT_BYTES, StoreError},
    strategy::{Did, PreCheck},
};

/// Longest message of a step that is done, in bytes.
const MAX_DONE_BYTES: usize = 512;

/// What the ledger says, and what is rendered of it.
pub trait Source: Send + Sync + 'static {
    /// Whether the ledger has the device in a state in which such a job makes sense.
    fn check<'a>(&'a self, device: &'a Code, kind: Kind) -> BoxFuture<'a, Result<PreCheck, StepError>>;

    /// The configuration that is meant.
    fn render<'a>(&'a self, target: &'a Target, wanted: Wanted) -> BoxFuture<'a, Result<Candidate, StepError>>;
}

/// What is told at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Of which job.
    pub job: JobId,
    /// For what.
    pub kind: Kind,
    /// Of which device.
    pub device: Code,
    /// Under which it is found everywhere.
    pub correlation: String,
}

/// Whoever is to be told.
pub trait Notifier: Send + Sync + 'static {
    /// Tells them.
    fn notify(&self, notice: Notice) -> BoxFuture<'_, Result<(), StepError>>;
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoNotifier;

impl Notifier for NoNotifier {
    fn notify(&self, _: Notice) -> BoxFuture<'_, Result<(), StepError>> {
        Box::pin(async { Ok(()) })
    }
}

/// What came of a try.
#[derive(Clone, Debug)]
pub struct Performed {
    /// In words and facts.
    pub result: StepResult,
    /// What it left, by name.
    pub artifacts: Vec<(String, Vec<u8>)>,
}

/// What a step needs to know.
struct Order {
    job: JobId,
    kind: Kind,
    wanted: Wanted,
    target: Target,
    verb: Verb,
    context: Context,
}

/// Does steps.
pub struct Engine {
    /// The ledger and the renderer.
    pub source: Arc<dyn Source>,
    /// Whoever is to be told.
    pub notifier: Arc<dyn Notifier>,
    /// Who knows devices, and the ways to them.
    pub registry: Registry,
    /// The time of events.
    pub clock: Clock,
}

/// Name of what a step left of a device.
#[must_use]
pub fn artifact(device: &Code, what: &str) -> String {
    format!("{device}/{what}")
}

/// The configuration that was made.
pub const CANDIDATE: &str = "candidate";
/// What ran before.
pub const BACKUP: &str = "backup";
/// From what ran to what was made.
pub const DIFF: &str = "diff";

/// Bytes of what steps left that are kept in memory, of one job; what is beyond is read again.
const MAX_KEPT_BYTES: usize = 4 * 1_024 * 1_024;

/// What steps of the job in hand left, which nobody else changes: candidates are read by every later step.
pub struct Kept {
    store: Arc<dyn JobStore>,
    candidates: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl Kept {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(store: Arc<dyn JobStore>) -> Self {
        Self { store, candidates: Mutex::default() }
    }

    /// Steps left this, and it is kept.
    pub fn left(&self, artifacts: &[(String, Vec<u8>)]) {
        let mut known = self.candidates.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, bytes) in artifacts.iter().filter(|(name, _)| name.ends_with(CANDIDATE)) {
            known.remove(name);
            let held: usize = known.values().map(Vec::len).sum();
            if held.saturating_add(bytes.len()) <= MAX_KEPT_BYTES {
                known.insert(name.clone(), bytes.clone());
            }
        }
    }

    async fn artifact(&self, job: JobId, name: String) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.artifact(job, name).await
    }

    async fn own_candidate(&self, job: JobId, name: String) -> Result<Option<Vec<u8>>, StoreError> {
        let known = self.candidates.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
        match known {
            Some(bytes) => Ok(Some(bytes)),
            None => self.store.artifact(job, name).await,
        }
    }
}

type Left = Vec<(String, Vec<u8>)>;

impl Engine {
    /// Does one try. Dropped at any await it leaves the device as the adapter guarantees.
    pub fn perform(self: &Arc<Self>, kept: Arc<Kept>, job: &Job, attempt: Attempt) -> BoxFuture<'static, Performed> {
        let Some((step, target)) = find(job, attempt) else {
            let error = error::INVALID.critical(Trouble::Other, "the job has no such step");
            return Box::pin(async { Performed { result: StepResult::Failed(error), artifacts: Vec::new() } });
        };
        let (verb, limit_ms) = match (&step.undo, attempt.undo) {
            (Some(undo), true) => (undo.verb, undo.limit_ms),
            (Some(_) | None, _) => (step.verb, step.limit_ms),
        };
        let correlation = correlation(job.id, job.round, attempt.step, attempt.undo, attempt.attempt);
        let order = Order {
            job: job.id,
            kind: job.spec.kind,
            wanted: job.spec.wanted,
            target,
            verb,
            context: Context {
                job: job.id,
                device: target.device,
                correlation,
                mode: job.spec.mode,
                confirm_within_ms: job.spec.confirm_within_ms,
                waits: self.registry.pair(&target).is_ok_and(|(_, adapter)| adapter.abilities().waits),
            },
        };
        let engine = Arc::clone(self);
        Box::pin(async move {
            let correlation = order.context.correlation.clone();
            let device = order.target.device;
            tracing::info!(%correlation, %device, step = verb.name(), "step begins");
            let done = within(engine.clock.as_ref(), limit_ms, engine.step(kept.as_ref(), &order)).await;
            let done = done.unwrap_or_else(|| {
                let words = format!("{} was not done within {limit_ms} ms", verb.name());
                Err(error::TIMEOUT.transient(Trouble::Device, words))
            });
            match done {
                Ok((did, facts, artifacts)) => {
                    let (already, mut message) = match did {
                        Did::Now(words) => (false, words),
                        Did::Already(words) => (true, words),
                    };
                    cut(&mut message, MAX_DONE_BYTES);
                    tracing::info!(%correlation, %device, step = verb.name(), already, message, "step done");
                    Performed { result: StepResult::Done { already, message, facts }, artifacts }
                }
                Err(error) => {
                    tracing::warn!(%correlation, %device, step = verb.name(), code = error.code, %error, "step failed");
                    Performed { result: StepResult::Failed(error), artifacts: Vec::new() }
                }
            }
        })
    }

    async fn step(&self, store: &Kept, order: &Order) -> Result<(Did, Facts, Left), StepError> {
        let (strategy, adapter) = self.registry.pair(&order.target)?;
        let context = &order.context;
        let plain = |did| (did, Facts::default(), Left::new());
        let name = |what| artifact(&order.target.device, what);
        match order.verb {
            // Going back must not depend on what the ledger says by now, or on whether it answers.
            Verb::CheckLedger if matches!(order.wanted, Wanted::Before(_)) => {
                Ok(plain(Did::Already("what ran before needs no ledger".to_owned())))
            }
            Verb::CheckLedger => {
                let checked = self.source.check(&order.target.device, order.kind).await?;
                Ok(plain(passed(checked, error::LEDGER_REFUSED)?))
            }
            Verb::PreCheck => {
                let (Did::Now(words) | Did::Already(words)) =
                    passed(strategy.detect(adapter, context).await?, error::PRECHECK_REFUSED)?;
                let (Did::Now(ready) | Did::Already(ready)) =
                    passed(strategy.pre_check(adapter, context).await?, error::PRECHECK_REFUSED)?;
                Ok(plain(Did::Now(format!("{words}; {ready}"))))
            }
            Verb::Render => {
                let candidate = match order.wanted {
                    Wanted::Before(job) => {
                        let found = before(store, job, &order.target).await?;
                        Candidate { text: strategy.again(&found.text), ..found }
                    }
                    wanted @ (Wanted::Current | Wanted::Generation(_) | Wanted::Bare) => {
                        self.source.render(&order.target, wanted).await?
                    }
                };
                if let Some(objection) = strategy.objection(&candidate) {
                    return Err(error::LINE_REFUSED.critical(Trouble::Validation, objection));
                }
                let bytes = serde_json::to_vec(&candidate).map_err(unusable)?;
                if bytes.len() > MAX_ARTIFACT_BYTES {
                    let words = format!("its configuration takes {} bytes", bytes.len());
                    return Err(error::RENDER_FAILED.critical(Trouble::Validation, words));
                }
                let sha256 = hex::encode(candidate.hash().0);
                let did =
                    Did::Now(format!("generation {}, {} lines", candidate.generation, candidate.text.lines().count()));
                let facts = Facts { generation: Some(candidate.generation), sha256: Some(sha256), differs: None };
                Ok((did, facts, vec![(name(CANDIDATE), bytes)]))
            }
            Verb::Compare => {
                let candidate = candidate(store, order).await?;
                let mut compared = adapter.compare(context, &candidate).await?;
                let did = if compared.equal {
                    Did::Already("the device runs it".to_owned())
                } else {
                    let (more, less) = counted(&compared.diff);
                    Did::Now(format!("{more} lines more and {less} less"))
                };
                cut(&mut compared.diff, MAX_ARTIFACT_BYTES);
                let facts = Facts { differs: Some(!compared.equal), ..Facts::default() };
                Ok((did, facts, vec![(name(DIFF), compared.diff.into_bytes())]))
            }
            Verb::BackUp => {
                let running = adapter.running(context).await?;
                if running.len() > MAX_ARTIFACT_BYTES {
                    let words = format!("what runs takes {} bytes", running.len());
                    return Err(error::NO_BACKUP.critical(Trouble::Validation, words));
                }
                let did = Did::Now(format!("{} lines", running.lines().count()));
                Ok((did, Facts::default(), vec![(name(BACKUP), running.into_bytes())]))
            }
            Verb::Commit => Ok(plain(strategy.provision(adapter, context, &candidate(store, order).await?).await?)),
            Verb::Extend => {
                let extended = adapter.extend(context, &candidate(store, order).await?).await?;
                Ok(plain(match extended {
                    Extended::Anew => Did::Now("the time to confirm counts from now".to_owned()),
                    Extended::Kept(why) => {
                        Did::Already(format!("the time to confirm is the one that it was armed with: {why}"))
                    }
                }))
            }
            Verb::Verify => Ok(plain(strategy.verify(adapter, context, &candidate(store, order).await?).await?)),
            Verb::Confirm => Ok(plain(strategy.confirm(adapter, context, &candidate(store, order).await?).await?)),
            Verb::Notify => {
                let correlation = context.correlation.clone();
                let notice = Notice { job: order.job, kind: order.kind, device: order.target.device, correlation };
                self.notifier.notify(notice).await?;
                Ok(plain(Did::Now("told".to_owned())))
            }
            Verb::RollBack => {
                let candidate = candidate(store, order).await?;
                let before = store.artifact(order.job, name(BACKUP)).await.map_err(away)?;
                let before = before.map(String::from_utf8).transpose().map_err(unusable)?;
                Ok(plain(strategy.rollback(adapter, context, &candidate, before.as_deref()).await?))
            }
        }
    }
}

fn find(job: &Job, attempt: Attempt) -> Option<(&StepSpec, Target)> {
    let step = job.spec.steps.get(usize::from(attempt.step))?;
    Some((step, *job.spec.target(&step.device)?))
}

fn passed(check: PreCheck, refusal: error::ErrorKind) -> Result<Did, StepError> {
    match check {
        PreCheck::Ready(words) => Ok(Did::Now(words)),
        PreCheck::AlreadyDone(words) => Ok(Did::Already(words)),
        PreCheck::Refused { expected, found } => Err(refusal.mismatch(expected, found)),
    }
}

async fn candidate(store: &Kept, order: &Order) -> Result<Candidate, StepError> {
    let name = artifact(&order.target.device, CANDIDATE);
    read(store.own_candidate(order.job, name).await)
}

/// What an earlier job found running, under the generation of what it put in its place: a device takes no older one.
async fn before(store: &Kept, job: JobId, target: &Target) -> Result<Candidate, StepError> {
    let brought = read(store.artifact(job, artifact(&target.device, CANDIDATE)).await)?;
    let text = store.artifact(job, artifact(&target.device, BACKUP)).await.map_err(away)?;
    let text = text.ok_or_else(|| error::NO_BACKUP.critical(Trouble::Other, format!("job {job} kept no backup")))?;
    let text = String::from_utf8(text).map_err(unusable)?;
    Ok(Candidate { generation: brought.generation, family: target.family, text })
}

fn read(bytes: Result<Option<Vec<u8>>, StoreError>) -> Result<Candidate, StepError> {
    let bytes = bytes.map_err(away)?;
    let bytes =
        bytes.ok_or_else(|| error::UNDECODABLE.critical(Trouble::Other, "the configuration that was made is gone"))?;
    serde_json::from_slice(&bytes).map_err(unusable)
}

fn away(error: StoreError) -> StepError {
    let class = if error.is_away() { Class::Transient } else { Class::Critical };
    error::STORE.error(class, Trouble::Network, error.to_string())
}

fn unusable(error: impl std::fmt::Display) -> StepError {
    error::UNDECODABLE.critical(Trouble::Other, error.to_string())
}

/// Lines that a diff adds and takes away.
fn counted(diff: &str) -> (usize, usize) {
    let lines = |sign: &str, not: &str| diff.lines().filter(|l| l.starts_with(sign) && !l.starts_with(not)).count();
    (lines("+", "+++ "), lines("-", "--- "))
}
