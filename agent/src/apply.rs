//! Carries out what the apply state machine decides, on a device. Every verb is bounded in time.
//!
//! Cancelled or killed at any await, the device runs the old configuration or the new one: from the commit to the
//! confirmation the device's own timer is armed.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    bundle::{Bundle, Generation, TextHash},
    core::{Action, Event, Failure, Outcome, State},
    driver::{Driver, DriverError, Reach},
    state::{Applied, StateError, StateStore},
};

/// Time limits of an apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApplyLimits {
    /// One verb of the device. EOS takes 2.5 s for a large commit, and 40 s for the largest differences known.
    pub verb: Duration,
    /// Loading a candidate, which may have to wait for its turn beside other devices of this machine; nothing has begun then.
    pub load: Duration,
    /// From the commit on, for neighbours to come back.
    pub verify: Duration,
    /// After the commit, for what a change breaks to show: a look before that may see neighbours and routes that are about to go.
    /// Where the device would still show an adjacency that is broken, as long as that takes. At most half of `verify` in both
    /// cases. A change of metrics breaks nothing, and waits for nothing.
    pub settle: Duration,
    /// Between two looks while verifying.
    pub look: Duration,
    /// The device reverts by itself after this; more than a verb and the verification together.
    pub revert_after: Duration,
}

impl Default for ApplyLimits {
    fn default() -> Self {
        Self {
            verb: Duration::from_secs(60),
            load: Duration::from_secs(600),
            verify: Duration::from_secs(30),
            // The first two reckonings of routes after a change, 0.2 s apart at most, and their way to the kernel; fivefold.
            settle: Duration::from_secs(1),
            look: Duration::from_millis(250),
            revert_after: Duration::from_secs(180),
        }
    }
}

impl ApplyLimits {
    /// How long after the commit of a change with this difference a look at the neighbours that are kept says what came of it.
    fn settled_after(&self, diff: &str, kept: &BTreeSet<String>, stale_for: &BTreeMap<String, Duration>) -> Duration {
        if metrics_only(diff) {
            return Duration::ZERO;
        }
        let stale = stale_for.iter().filter(|(name, _)| kept.contains(*name)).map(|(_, time)| *time);
        stale.fold(self.settle, Duration::max).min(self.verify / SETTLE_SHARE)
    }
}

/// What waits for a change to show leaves the rest of the verification's time to neighbours that come back.
const SETTLE_SHARE: u32 = 2;

/// Everything about an apply that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applying {
    /// How it ended.
    pub outcome: Outcome,
    /// From what ran to what was asked.
    pub diff: String,
    /// What a person may want to know although it worked.
    pub warnings: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

/// A configuration that runs, verified, and waits for a word: the device's own timer goes on.
pub struct Paused {
    bundle: Bundle,
    gathered: Gathered,
    began: Instant,
}

impl Paused {
    /// What runs.
    pub const fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// When the device goes back by itself.
    pub fn until(&self) -> Instant {
        self.gathered.committed.unwrap_or(self.began) + self.gathered.revert_after
    }

    /// From what ran to what runs.
    pub fn diff(&self) -> &str {
        &self.gathered.diff
    }

    /// What a person may want to know although it worked so far.
    pub fn warnings(&self) -> &[String] {
        &self.gathered.warnings
    }

    /// How long it took until now.
    pub fn took(&self) -> Duration {
        self.began.elapsed()
    }
}

/// How far an apply has come that may have to wait.
pub enum Reached {
    /// It is over.
    Over(Applying),
    /// It waits.
    Waiting(Box<Paused>),
}

/// The word that was waited for, or what took its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It stays.
    Confirm,
    /// It goes, because of this.
    GoBack(Failure),
}

/// Applies bundles to one device.
pub struct Applier<D> {
    driver: Arc<D>,
    store: Arc<StateStore>,
    limits: ApplyLimits,
}

/// What is gathered on the way.
struct Gathered {
    /// The device goes back by itself so long after the commit.
    revert_after: Duration,
    /// When the commit began; before the device's timer did.
    committed: Option<Instant>,
    diff: String,
    warnings: Vec<String>,
    up_before: BTreeSet<String>,
    reach_before: Reach,
    /// How long adjacencies may be shown that are broken.
    stale_for: BTreeMap<String, Duration>,
}

impl Gathered {
    fn new(revert_after: Duration) -> Self {
        Self {
            revert_after,
            committed: None,
            diff: String::new(),
            warnings: Vec::new(),
            up_before: BTreeSet::new(),
            reach_before: Reach::default(),
            stale_for: BTreeMap::new(),
        }
    }
}

impl<D: Driver> Applier<D> {
    /// For a device, with what is known of it.
    pub fn new(driver: Arc<D>, store: Arc<StateStore>, limits: ApplyLimits) -> Self {
        Self { driver, store, limits }
    }

    /// The device.
    pub fn driver(&self) -> &D {
        &self.driver
    }

    /// After a start: a commit that an earlier process left unconfirmed is taken back, not waited for. Says whether there was one.
    ///
    /// # Errors
    /// The device did not answer; to be tried again before anything is applied.
    pub async fn settle(&self) -> Result<bool, Failure> {
        let pending = self.bounded(self.driver.is_pending()).await?;
        if pending {
            tracing::warn!("an earlier agent left a commit unconfirmed; reverting it");
            self.bounded(self.driver.revert()).await?;
        }
        Ok(pending)
    }

    /// Whether what is asked is what runs.
    ///
    /// # Errors
    /// The device did not answer.
    pub async fn runs(&self, bundle: &Bundle) -> Result<bool, Failure> {
        Ok(self.bounded(self.driver.compare(&bundle.text)).await?.equal)
    }

    /// Applies a checked bundle, whole or not at all.
    pub async fn apply(&self, bundle: &Bundle) -> Applying {
        let (began, mut gathered) = (Instant::now(), Gathered::new(self.limits.revert_after));
        let outcome = self.go_on(bundle, State::Loading, &mut gathered).await;
        self.over(bundle, outcome, gathered, began).await
    }

    /// The same, up to where it is verified: it is not confirmed before the word. `confirm_within` is the device's own limit,
    /// at least that of any apply.
    pub async fn apply_waiting(&self, bundle: &Bundle, confirm_within: Duration) -> Reached {
        let began = Instant::now();
        let mut gathered = Gathered::new(confirm_within.max(self.limits.revert_after));
        let mut state = State::Loading;
        loop {
            match state {
                State::Confirming => {
                    return Reached::Waiting(Box::new(Paused { bundle: bundle.clone(), gathered, began }));
                }
                State::Done(outcome) => return Reached::Over(self.over(bundle, outcome, gathered, began).await),
                on => state = self.one(on, bundle, &mut gathered).await,
            }
        }
    }

    /// Lets the time of what waits begin anew on the device.
    ///
    /// # Errors
    /// The device could not be asked, or nothing waits there any more. What it was armed with counts then.
    pub async fn extend(&self, paused: &mut Paused) -> Result<(), Failure> {
        // The device counts from a later moment, so that it never goes back before this process expects it to.
        let asked = Instant::now();
        self.bounded(self.driver.extend(paused.gathered.revert_after)).await?;
        paused.gathered.committed = Some(asked);
        Ok(())
    }

    /// Does what the word says.
    pub async fn told(&self, paused: Paused, told: Told) -> Applying {
        let Paused { bundle, mut gathered, began } = paused;
        let state = match told {
            Told::Confirm => State::Confirming,
            // As where the verification had failed.
            Told::GoBack(failure) => State::Verifying.next(Event::Failed(failure)),
        };
        let outcome = self.go_on(&bundle, state, &mut gathered).await;
        self.over(&bundle, outcome, gathered, began).await
    }

    async fn go_on(&self, bundle: &Bundle, mut state: State, gathered: &mut Gathered) -> Outcome {
        loop {
            match state {
                State::Done(outcome) => return outcome,
                on => state = self.one(on, bundle, gathered).await,
            }
        }
    }

    async fn one(&self, state: State, bundle: &Bundle, gathered: &mut Gathered) -> State {
        let action = state.action();
        let event = match self.step(action, bundle, gathered).await {
            Ok(event) => event,
            Err(failure) => Event::Failed(failure),
        };
        tracing::debug!(?action, ?event, generation = bundle.generation.0, "apply step");
        state.next(event)
    }

    async fn over(&self, bundle: &Bundle, outcome: Outcome, gathered: Gathered, began: Instant) -> Applying {
        let outcome = self.remember(bundle, outcome).await;
        Applying { outcome, diff: gathered.diff, warnings: gathered.warnings, took: began.elapsed() }
    }

    async fn step(&self, action: Action, bundle: &Bundle, gathered: &mut Gathered) -> Result<Event, Failure> {
        match action {
            Action::Load => within(self.limits.load, self.driver.load_candidate(&bundle.text)).await?,
            Action::Compare => {
                let comparison = self.bounded(self.driver.compare(&bundle.text)).await?;
                gathered.diff = comparison.diff;
                if comparison.equal {
                    // Best effort: a candidate that stays is replaced by the next one.
                    let _ = self.bounded(self.driver.discard_candidate()).await;
                    return Ok(Event::AlreadySo);
                }
                gathered.up_before = self.adjacencies_up().await?;
                gathered.reach_before = self.bounded(self.driver.reach(&bundle.text)).await?;
                gathered.stale_for = self.bounded(self.driver.stale_for()).await?;
            }
            Action::Record => {
                let applied = Applied { generation: bundle.generation, sha256: bundle.hash };
                self.write(move |memory| memory.begin(applied)).await?;
            }
            Action::Commit => {
                gathered.committed = Some(Instant::now());
                self.bounded(self.driver.commit(gathered.revert_after)).await?;
            }
            Action::Verify => self.verify(bundle, gathered).await?,
            Action::Confirm => self.bounded(self.driver.confirm()).await?,
            Action::LookUp => {
                let pending = self.bounded(self.driver.is_pending()).await?;
                let equal = self.bounded(self.driver.compare(&bundle.text)).await?.equal;
                return Ok(if !pending && equal { Event::AlreadySo } else { Event::Ok });
            }
            Action::Discard => self.bounded(self.driver.discard_candidate()).await?,
            Action::Revert => self.bounded(self.driver.revert()).await?,
            Action::AwaitTimer => self.await_timer(gathered.revert_after).await?,
            Action::Nothing => {}
        }
        Ok(Event::Ok)
    }

    /// What is asked runs, and every neighbour that was there and is still wanted is back. A wanted neighbour that was
    /// not there before may be waiting for its own configuration: a warning.
    async fn verify(&self, bundle: &Bundle, gathered: &mut Gathered) -> Result<(), Failure> {
        let wanted = self.bounded(self.driver.wanted_adjacencies(&bundle.text)).await?;
        let kept: BTreeSet<String> = gathered.up_before.intersection(&wanted).cloned().collect();
        let deadline = Instant::now() + self.limits.verify;
        tokio::time::sleep(self.limits.settled_after(&gathered.diff, &kept, &gathered.stale_for)).await;
        loop {
            let failure = match self.look(bundle, &kept, &gathered.reach_before).await {
                Ok((up, mut warnings)) => {
                    warnings.extend(wanted.difference(&up).map(|name| format!("no adjacency on {name} yet")));
                    match self.bounded(self.driver.concerns(&bundle.text)).await {
                        Ok(concerns) => warnings.extend(concerns),
                        Err(failure) => warnings.push(format!("{}: {}", failure.code, failure.message)),
                    }
                    gathered.warnings = warnings;
                    return Ok(());
                }
                Err(failure) => failure,
            };
            if Instant::now() + self.limits.look >= deadline {
                return Err(failure);
            }
            tokio::time::sleep(self.limits.look).await;
        }
    }

    async fn look(
        &self,
        bundle: &Bundle,
        kept: &BTreeSet<String>,
        before: &Reach,
    ) -> Result<(BTreeSet<String>, Vec<String>), Failure> {
        let comparison = self.bounded(self.driver.compare(&bundle.text)).await?;
        if !comparison.equal {
            return Err(Failure::new("RUNNING_DIFFERS", "what runs after the commit is not what was asked"));
        }
        let up = self.adjacencies_up().await?;
        let lost: Vec<&str> = kept.difference(&up).map(String::as_str).collect();
        if !lost.is_empty() {
            return Err(Failure::new("ADJACENCY_LOST", format!("no adjacency any more on {}", lost.join(", "))));
        }
        let after = self.bounded(self.driver.reach(&bundle.text)).await?;
        Ok((up, still_reached(before, &after)?))
    }

    /// What is not any more as it was before what waits, in words; empty where all is well. One look: whether to wait for
    /// neighbours that may be on their way back is for who asks.
    pub async fn problems(&self, paused: &Paused) -> Vec<String> {
        let Paused { bundle, gathered, .. } = paused;
        let looked = async {
            let wanted = self.bounded(self.driver.wanted_adjacencies(&bundle.text)).await?;
            let kept = gathered.up_before.intersection(&wanted).cloned().collect();
            self.look(bundle, &kept, &gathered.reach_before).await
        };
        let failed = looked.await.err();
        failed.map(|failure| format!("{}: {}", failure.code, failure.message)).into_iter().collect()
    }

    async fn adjacencies_up(&self) -> Result<BTreeSet<String>, Failure> {
        let all = self.bounded(self.driver.adjacencies()).await?;
        Ok(all.into_iter().filter(|adjacency| adjacency.up).map(|adjacency| adjacency.interface).collect())
    }

    /// The device could not be told to revert: its timer does it. Answers that fail in the meantime mean nothing.
    async fn await_timer(&self, revert_after: Duration) -> Result<(), Failure> {
        let deadline = Instant::now() + revert_after + self.limits.verb;
        loop {
            match self.bounded(self.driver.is_pending()).await {
                Ok(false) => return Ok(()),
                Ok(true) | Err(_) if Instant::now() < deadline => tokio::time::sleep(self.limits.look).await,
                Ok(true) => return Err(Failure::new("REVERT_OVERDUE", "the device has not reverted in time")),
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Writes down how it ended. A confirmed apply that can't be written down stays recorded as tried, so that nothing
    /// older is taken; the outcome is the device's all the same.
    async fn remember(&self, bundle: &Bundle, outcome: Outcome) -> Outcome {
        let applied = Applied { generation: bundle.generation, sha256: bundle.hash };
        let written = match &outcome {
            Outcome::Applied | Outcome::Unchanged => {
                self.write(move |memory| {
                    memory.applied = Some(applied);
                    memory.in_flight = None;
                })
                .await
            }
            Outcome::Reverted(_) => self.write(|memory| memory.in_flight = None).await,
            Outcome::Refused(_) | Outcome::Lost(_) => Ok(()),
        };
        if let Err(failure) = written {
            tracing::error!(error = %failure.message, "the state could not be written");
        }
        outcome
    }

    /// Saves what runs as startup, once its generation can't be taken back by a fork. True when it was saved now.
    ///
    /// # Errors
    /// The device or the state file.
    pub async fn save_startup(&self, finalized_slot: u64) -> Result<bool, Failure> {
        let memory = self.store.memory();
        let Some(applied) = memory.applied else { return Ok(false) };
        let due = memory.in_flight.is_none()
            && memory.startup != Some(applied.sha256)
            && applied.generation <= Generation(finalized_slot);
        if due {
            self.bounded(self.driver.save_startup()).await?;
            self.write(move |memory| memory.startup = Some(applied.sha256)).await?;
        }
        Ok(due)
    }

    /// Hash of the managed part of what runs.
    ///
    /// # Errors
    /// The device.
    pub async fn running_hash(&self) -> Result<TextHash, Failure> {
        Ok(TextHash::of(&self.bounded(self.driver.running_text()).await?))
    }

    async fn write(&self, change: impl FnOnce(&mut crate::state::Memory) + Send + 'static) -> Result<(), Failure> {
        let store = self.store.clone();
        match tokio::task::spawn_blocking(move || store.update(change)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(state_failure(&error)),
            Err(error) => Err(Failure::new("STATE_FILE", error.to_string())),
        }
    }

    /// One verb, within its time.
    pub(crate) async fn bounded<T>(&self, verb: impl Future<Output = Result<T, DriverError>>) -> Result<T, Failure> {
        within(self.limits.verb, verb).await
    }
}

async fn within<T>(limit: Duration, verb: impl Future<Output = Result<T, DriverError>>) -> Result<T, Failure> {
    match tokio::time::timeout(limit, verb).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(driver_failure(&error)),
        Err(_) => Err(Failure::new("DEVICE_TIMEOUT", format!("no answer within {} s", limit.as_secs_f32()))),
    }
}

/// Whether a difference is of numbers that decide which way traffic takes, and of nothing else.
fn metrics_only(diff: &str) -> bool {
    let changed = |line: &&str| line.starts_with(['+', '-']) && !line.starts_with("+++") && !line.starts_with("---");
    let mut lines = diff.lines().filter(changed).peekable();
    lines.peek().is_some()
        && lines.all(|line| line.split_at(1).1.trim_start().strip_prefix("isis metric ").is_some_and(is_number))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Warnings for neighbours that are no longer reached. One far device may be down for reasons of its own, and must not
/// hold up everyone else: only to have lost all of them is this device's failure.
fn still_reached(before: &Reach, after: &Reach) -> Result<Vec<String>, Failure> {
    let mut warnings = Vec::new();
    for (code, what, before, after) in [
        ("ROUTES_LOST", "route", &before.routes, &after.routes),
        ("SESSIONS_LOST", "BGP session", &before.sessions, &after.sessions),
    ] {
        let lost: Vec<String> = before.difference(after).map(ToString::to_string).collect();
        if !lost.is_empty() && lost.len() == before.len() {
            return Err(Failure::new(code, format!("no {what} any more to any of {}", lost.join(", "))));
        }
        warnings.extend(lost.into_iter().map(|address| format!("no {what} any more to {address}")));
    }
    Ok(warnings)
}

fn driver_failure(error: &DriverError) -> Failure {
    let code = match error {
        DriverError::Refused(_) => "LINE_REFUSED",
        DriverError::State(_) => "DEVICE_STATE",
        DriverError::Unreachable(_) => "DEVICE_UNREACHABLE",
    };
    Failure::new(code, error.to_string())
}

fn state_failure(error: &StateError) -> Failure {
    let source = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    Failure::new("STATE_FILE", format!("{error}{source}"))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn reach(sessions: &[u8], routes: &[u8]) -> Reach {
        let of = |last: &[u8]| last.iter().map(|n| Ipv4Addr::new(198, 18, 0, *n)).collect();
        Reach { sessions: of(sessions), routes: of(routes) }
    }

    #[test]
    fn only_a_change_of_metrics_is_one() {
        let diff =
            |lines: &str| format!("--- running\n+++ intended\n@@ -1,3 +1,3 @@\n interface a\n{lines} isis bfd\n");
        assert!(metrics_only(&diff("- isis metric 4000\n+ isis metric 4001\n")));
        assert!(metrics_only(&diff("-   isis metric 4000\n+   isis metric 4001\n")));
        for other in [
            "",
            "- isis metric 4000\n",
            "- isis metric 4000\n+ isis metric 4001\n+ isis passive\n",
            "- isis metric 4000\n+ isis metric 4001 level-1\n",
            "-link a mtu 1500\n+link a mtu 9000\n",
            "+ isis passive\n",
        ] {
            // A metric that only goes is a change to the default.
            assert_eq!(metrics_only(&diff(other)), other == "- isis metric 4000\n", "{other:?}");
        }
    }

    #[test]
    fn what_may_be_shown_though_it_is_broken_is_waited_for_where_it_is_kept() {
        let limits = ApplyLimits::default();
        let stale = |time_s: u64| BTreeMap::from([("a".to_owned(), Duration::from_secs(time_s))]);
        let kept = |name: &str| BTreeSet::from([name.to_owned()]);
        let (mtu, metric) = ("-link a mtu 9216\n+link a mtu 9000\n", "- isis metric 1\n+ isis metric 2\n");
        let settled =
            |diff: &str, kept: &BTreeSet<String>, time_s| limits.settled_after(diff, kept, &stale(time_s)).as_secs();
        assert_eq!(settled(mtu, &kept("a"), 12), 12);
        assert_eq!(settled(mtu, &kept("b"), 12), 1, "it was not up, or goes");
        assert_eq!(settled(mtu, &kept("a"), 0), 1);
        assert_eq!(settled(mtu, &kept("a"), 300), 15, "half of the verification's time is for neighbours to come back");
        assert_eq!(settled(metric, &kept("a"), 12), 0);
    }

    #[test]
    fn one_neighbour_lost_is_a_warning_and_all_lost_is_a_failure() {
        let code = |before: &Reach, after: &Reach| still_reached(before, after).map_err(|failure| failure.code);
        assert_eq!(code(&reach(&[1, 2], &[1, 2]), &reach(&[1, 2, 3], &[1, 2])), Ok(Vec::new()));
        assert_eq!(
            code(&reach(&[1, 2], &[1, 2]), &reach(&[1], &[1, 2])),
            Ok(vec!["no BGP session any more to 198.18.0.2".to_owned()])
        );
        assert_eq!(code(&reach(&[1, 2], &[1, 2]), &reach(&[], &[1, 2])), Err("SESSIONS_LOST"));
        assert_eq!(code(&reach(&[1], &[1]), &reach(&[1], &[])), Err("ROUTES_LOST"));
        assert_eq!(code(&reach(&[], &[]), &reach(&[], &[])), Ok(Vec::new()));
    }
}
