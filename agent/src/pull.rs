//! The controller's side of an agent: sessions, polls, notices, applies and reports.
//!
//! With no controller to be reached everything that runs keeps running, and tries go on with growing waits. A configuration
//! that failed is not tried again before its own wait is over, however often it is offered; one that an earlier process of
//! this agent had begun, and that does not run, has failed. What is applied for a provisioning job is in [`orders`].

mod orders;

use std::{
    collections::VecDeque,
    future::Future,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use causeway_wire::controller::{
    ApplyReport, ApplyResult, ConfigBundle, ConfigNotice, GetConfigRequest, GetConfigResponse,
};
use tokio::sync::watch;

use self::orders::Orders;
use crate::{
    apply::{Applier, Applying},
    backoff::Backoff,
    bundle::{self, Bundle, Expected, Generation, TextHash},
    client::{ClientError, Identity, Session},
    config::AgentConfig,
    core::{Failure, Outcome},
    driver::Driver,
    order::Order,
    plan::{self, Plan},
    running::{self, Intended},
    shared::{Shared, chain, unix_ms},
    state::{Applied, StateStore},
};

/// Reports that wait for a controller; the oldest go first. An agent applies a few an hour.
const MAX_WAITING_REPORTS: usize = 64;
/// Longest diff in a report, in bytes: a message holds 4 MiB, people read less.
pub const MAX_DIFF_BYTES: usize = 256 * 1024;

/// A configuration that failed, and when it may be tried again.
struct Held {
    tried: Applied,
    until: Instant,
    backoff: Backoff,
}

/// What the device was last verified to run.
#[derive(Clone, Copy)]
struct Verified {
    /// Hash of the text.
    text: TextHash,
    /// Hash of what ran then, as the device tells it.
    running: TextHash,
}

/// The task's own state.
pub struct Puller<D> {
    config: Arc<AgentConfig>,
    applier: Applier<D>,
    store: Arc<StateStore>,
    shared: Arc<Shared>,
    plan_path: PathBuf,
    reports: VecDeque<ApplyReport>,
    held: Option<Held>,
    verified: Option<Verified>,
    /// Hash of what runs, as the device told it at the last look.
    seen: Option<TextHash>,
    /// The configuration that was taken last.
    intended: Option<Intended>,
    /// The last question for what runs that was answered in this session.
    answered: u64,
    /// What an earlier process had begun and not brought to an end, until it is known what became of it.
    unfinished: Option<Applied>,
    /// That was committed, and taken back when this process had started.
    taken_back: bool,
    settled: bool,
    finalized_slot: u64,
    orders: Orders,
}

enum Ended {
    Renew,
    Stop,
}

impl<D: Driver> Puller<D> {
    pub fn new(
        config: Arc<AgentConfig>,
        applier: Applier<D>,
        store: Arc<StateStore>,
        shared: Arc<Shared>,
        plan_path: PathBuf,
    ) -> Self {
        let unfinished = store.memory().in_flight;
        Self {
            config,
            applier,
            store,
            shared,
            plan_path,
            reports: VecDeque::new(),
            held: None,
            verified: None,
            seen: None,
            intended: None,
            answered: 0,
            unfinished,
            taken_back: false,
            settled: false,
            finalized_slot: 0,
            orders: Orders::default(),
        }
    }

    /// Runs until stopped. An apply that has begun is finished first.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let intervals = self.config.intervals;
        let mut backoff = Backoff::new(intervals.retry_base, intervals.retry_max);
        let mut next_controller = 0;
        while !*stop.borrow() {
            let count = self.config.controllers.len().max(1);
            let Some(url) = self.config.controllers.get(next_controller % count).cloned() else { return };
            let ended = self.session(&url, &mut backoff, &mut stop).await;
            self.shared.status().connected = false;
            match ended {
                Ok(Ended::Stop) => return,
                Ok(Ended::Renew) => {}
                Err(error) => {
                    let text = chain(&error);
                    let wait = backoff.next(rand::random());
                    tracing::warn!(device = %self.config.device, %url, error = %text, ?wait, "controller lost");
                    self.shared.status().last_error = Some(text);
                    next_controller = next_controller.wrapping_add(1);
                    if until_stopped(&mut stop, tokio::time::sleep(wait)).await.is_none() {
                        return;
                    }
                }
            }
        }
    }

    async fn session(
        &mut self,
        url: &str,
        backoff: &mut Backoff,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<Ended, ClientError> {
        let config = self.config.clone();
        let identity = Identity { device: &config.device, program_id: &config.program_id, key: &config.agent_key };
        let opened = until_stopped(stop, Session::open(url, config.controller_ca.as_deref(), &identity)).await;
        let Some(session) = opened else { return Ok(Ended::Stop) };
        let mut session = session?;
        let mut notices = session.watch().await?;
        self.shared.status().connected = true;
        self.answered = 0;
        let mut polls = tokio::time::interval(config.intervals.poll);
        polls.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let renew = tokio::time::sleep_until(session.renew_at().into());
            let overdue = self.orders.overdue();
            let wake = async {
                tokio::select! {
                    _ = polls.tick() => Ok(Wake::Pull),
                    notice = notices.message() => match notice {
                        Ok(Some(notice)) => Ok(Wake::Notice(notice)),
                        Ok(None) => Err(ClientError::Protocol("the watch ended")),
                        Err(status) => Err(ClientError::Refused { call: "WatchConfig", status: Box::new(status) }),
                    },
                    () = renew => Ok(Wake::Renew),
                    () = overdue => Ok(Wake::Pull),
                }
            };
            match until_stopped(stop, wake).await {
                None => return Ok(Ended::Stop),
                Some(woken) => match woken? {
                    Wake::Renew => return Ok(Ended::Renew),
                    Wake::Notice(notice) if self.knows(&notice) => {
                        self.still_offered(notice.evaluated_slot);
                        self.finalized(notice.finalized_slot).await;
                        self.tell_running(&mut session, notice.running_wanted).await?;
                    }
                    Wake::Notice(_) | Wake::Pull => {
                        self.pull(&mut session).await?;
                        backoff.reset();
                    }
                },
            }
            self.flush(&mut session).await?;
        }
    }

    /// Whether a notice says nothing new.
    fn knows(&self, notice: &ConfigNotice) -> bool {
        if self.orders.is_news(notice) {
            return false;
        }
        let applied = self.shared.status().applied;
        let current = applied
            .is_some_and(|a| a.generation.0 == notice.generation && a.sha256.0.as_slice() == notice.sha256.as_slice());
        let plan = self.shared.plan();
        current && (notice.probe_plan_sha256.is_empty() || plan.sha256 == notice.probe_plan_sha256)
    }

    /// What runs is what is offered, as of a later slot.
    fn still_offered(&self, evaluated_slot: u64) {
        let mut status = self.shared.status();
        (status.offered, status.evaluated_slot) = (status.applied, evaluated_slot);
    }

    async fn pull(&mut self, session: &mut Session) -> Result<(), ClientError> {
        if !self.settled {
            match self.applier.settle().await {
                Ok(taken_back) => (self.settled, self.taken_back) = (true, taken_back),
                Err(failure) => {
                    self.note_failure(&failure);
                    return Ok(());
                }
            }
        }
        self.end_overdue().await;
        self.notice_drift().await;
        let applied = self.shared.status().applied;
        let held = self.held.as_ref().filter(|held| Instant::now() < held.until).map(|held| held.tried);
        let have = self.orders.waiting().or_else(|| Some(held.or(applied)?.sha256));
        let have = have.map(|hash| hash.0.to_vec()).unwrap_or_default();
        let have_plan = self.shared.plan().sha256.clone();
        let reply = session.get_config(self.question(have.clone(), have_plan.clone())).await?;
        if let Some(word) = &reply.word {
            self.hear(word).await;
        }
        let Some(offered) = self.note(&reply)? else {
            return self.tell_running(session, reply.running_wanted).await;
        };
        if reply.bundle.is_none() && offered.sha256.0.as_slice() != have.as_slice() {
            return Err(ClientError::Protocol("another configuration, and no body"));
        }
        match reply.bundle {
            Some(bundle) => self.take(&bundle).await,
            // The same text, younger: the body is asked for once more, because only a signature moves a generation.
            None if self.orders.waiting().is_some() => {}
            None if applied.is_some_and(|a| a.sha256 == offered.sha256 && a.generation < offered.generation) => {
                let again = session.get_config(self.question(Vec::new(), have_plan)).await?;
                match again.bundle {
                    Some(bundle) => self.take(&bundle).await,
                    None => return Err(ClientError::Protocol("no body for an agent that has none")),
                }
            }
            None => {
                if held.is_none() && applied.is_some() {
                    self.shared.status().last_error = None;
                }
            }
        }
        self.finalized(reply.finalized_slot).await;
        self.tell_running(session, reply.running_wanted).await
    }

    /// A poll, with what is known of what runs.
    fn question(&self, have_sha256: Vec<u8>, have_probe_plan_sha256: Vec<u8>) -> GetConfigRequest {
        let bytes = |hash: Option<TextHash>| hash.map(|hash| hash.0.to_vec()).unwrap_or_default();
        GetConfigRequest {
            have_sha256,
            have_probe_plan_sha256,
            running_sha256: bytes(self.seen),
            verified_sha256: bytes(self.verified.map(|verified| verified.text)),
            verified_running_sha256: bytes(self.verified.map(|verified| verified.running)),
            have_order: self.orders.have(),
            waiting_sha256: bytes(self.orders.waiting()),
            startup_sha256: bytes(self.store.memory().startup),
            takes_orders: true,
        }
    }

    /// Answers a question for what runs, unless it is answered.
    async fn tell_running(&mut self, session: &mut Session, wanted: u64) -> Result<(), ClientError> {
        if wanted == 0 || wanted == self.answered {
            return Ok(());
        }
        tracing::info!(device = %self.config.device, wanted, "the controller asks what runs");
        let answer = running::answer(&self.applier, self.intended.as_ref(), &self.config.device, wanted).await;
        session.report_running(answer).await?;
        self.answered = wanted;
        Ok(())
    }

    /// Takes down what the controller says beside the configuration. None where there is nothing to be applied.
    fn note(&mut self, reply: &GetConfigResponse) -> Result<Option<Applied>, ClientError> {
        let offered = if reply.nothing && reply.bundle.is_none() {
            None
        } else {
            let sha256 = reply.sha256.as_slice().try_into().map_err(|_| ClientError::Protocol("no hash"))?;
            Some(Applied { generation: Generation(reply.generation), sha256: TextHash(sha256) })
        };
        if let Some(fresh) = &reply.probe_plan {
            let read = Plan::read(fresh);
            if read.left_out > 0 {
                tracing::warn!(device = %self.config.device, left_out = read.left_out, "the probe plan has senseless entries");
            }
            self.shared.set_plan(read);
            if let Err(error) = plan::keep(&self.plan_path, fresh) {
                tracing::warn!(device = %self.config.device, %error, "the probe plan could not be kept");
            }
        }
        let mut status = self.shared.status();
        (status.offered, status.evaluated_slot) = (offered, reply.evaluated_slot);
        status.polled_unix_ms = unix_ms();
        Ok(offered)
    }

    /// Looks at what runs. If something else changed it, it is compared and applied anew.
    async fn notice_drift(&mut self) {
        self.seen = None;
        // What waits is another one than was verified, and is looked at by who waits.
        let Some(verified) = self.verified.filter(|_| self.orders.waiting().is_none()) else { return };
        match self.applier.running_hash().await {
            Ok(now) => {
                self.seen = Some(now);
                if now != verified.running && self.shared.status().applied.take().is_some() {
                    tracing::warn!(device = %self.config.device, "what runs has changed beside the agent");
                }
            }
            Err(failure) => self.note_failure(&failure),
        }
    }

    async fn take(&mut self, offered: &ConfigBundle) {
        let config = self.config.clone();
        let expected = Expected {
            program_id: &config.program_id,
            device: &config.device,
            family: self.applier.driver().family(),
            pinned: &config.controller_keys,
            floor: self.store.memory().floor(),
        };
        let hash = offered.sha256.as_slice().try_into().map_or_else(|_| TextHash::of(&offered.text), TextHash);
        let tried = Applied { generation: Generation(offered.generation), sha256: hash };
        let checked = bundle::check(offered, &expected).and_then(|bundle| Ok((bundle, Order::of(offered)?)));
        if let Ok((bundle, order)) = &checked
            && !self.make_way(bundle.hash, order.as_ref()).await
        {
            return;
        }
        self.orders.take(offered, hash);
        let ended = match checked {
            Ok((bundle, order)) => match self.interrupted(&bundle).await {
                Some(outcome) => at_once(outcome),
                None => {
                    let applied = Applied { generation: bundle.generation, sha256: bundle.hash };
                    self.intended = Some(Intended { applied, text: bundle.text.clone() });
                    match self.apply(&bundle, order.as_ref()).await {
                        Some(ended) => ended,
                        None => return self.say_waiting().await,
                    }
                }
            },
            Err(error) => at_once(Outcome::Refused(Failure::new(error.code(), error.to_string()))),
        };
        self.after(tried, &ended).await;
    }

    /// What an apply that is over leaves behind.
    async fn after(&mut self, tried: Applied, ended: &Applying) {
        self.verified = match &ended.outcome {
            Outcome::Unchanged | Outcome::Applied => {
                self.seen = self.applier.running_hash().await.ok();
                self.seen.map(|running| Verified { text: tried.sha256, running })
            }
            Outcome::Refused(_) | Outcome::Reverted(_) => self.verified,
            Outcome::Lost(_) => None,
        };
        self.conclude(tried, ended);
        let report = self.report(tried, ended).await;
        self.queue(report);
    }

    /// What became of an apply that an earlier process did not end, once something is offered: if it is the same again and
    /// doesn't run, it has failed, for what ended that process may have been the configuration itself.
    async fn interrupted(&mut self, offered: &Bundle) -> Option<Outcome> {
        let unfinished = self.unfinished?;
        let failure =
            || Failure::new("APPLY_INTERRUPTED", "the agent ended while it applied this; the device went back");
        if unfinished.sha256 == offered.hash {
            match self.applier.runs(offered).await {
                // It was confirmed, and only that was not written down.
                Ok(true) => self.unfinished = None,
                Ok(false) => {
                    self.unfinished = None;
                    let intervals = self.config.intervals;
                    let before = self.store.memory().begun.saturating_sub(1);
                    let backoff = Backoff::new(intervals.reapply_base, intervals.reapply_max).after(before);
                    self.held = Some(Held { tried: unfinished, until: Instant::now(), backoff });
                    return Some(Outcome::Reverted(failure()));
                }
                Err(failure) => return Some(Outcome::Refused(failure)),
            }
        } else {
            self.unfinished = None;
            // Where it was not taken back just now, it may have been confirmed as well, and nobody asks for it any more.
            if !self.taken_back {
                return None;
            }
            let report = self.report(unfinished, &at_once(Outcome::Reverted(failure()))).await;
            self.queue(report);
        }
        None
    }

    fn conclude(&mut self, tried: Applied, ended: &Applying) {
        let (device, generation) = (self.config.device.as_str(), tried.generation.0);
        let correlation = self.orders.correlation(tried.sha256);
        match &ended.outcome {
            Outcome::Unchanged | Outcome::Applied => {
                tracing::info!(%device, generation, %correlation, outcome = ?ended.outcome, warnings = ?ended.warnings, "configuration runs");
                self.held = None;
                let mut status = self.shared.status();
                status.applied = Some(tried);
                status.last_error = None;
                status.applies += 1;
            }
            Outcome::Refused(failure) | Outcome::Reverted(failure) | Outcome::Lost(failure) => {
                tracing::warn!(%device, generation, %correlation, code = failure.code, error = %failure.message, "configuration does not run");
                let intervals = self.config.intervals;
                let mut backoff = match self.held.take() {
                    Some(held) if held.tried.sha256 == tried.sha256 => held.backoff,
                    Some(_) | None => Backoff::new(intervals.reapply_base, intervals.reapply_max),
                };
                let until = Instant::now() + backoff.next(rand::random());
                self.held = Some(Held { tried, until, backoff });
                let mut status = self.shared.status();
                status.failed_applies += 1;
                status.last_error = Some(format!("{}: {}", failure.code, failure.message));
                if matches!(ended.outcome, Outcome::Lost(_)) {
                    status.applied = None;
                }
            }
        }
    }

    async fn report(&self, tried: Applied, ended: &Applying) -> ApplyReport {
        let (result, failure) = match &ended.outcome {
            Outcome::Unchanged => (ApplyResult::Unchanged, None),
            Outcome::Applied => (ApplyResult::Applied, None),
            Outcome::Refused(failure) => (ApplyResult::Refused, Some(failure)),
            Outcome::Reverted(failure) | Outcome::Lost(failure) => (ApplyResult::Reverted, Some(failure)),
        };
        let code = failure.map(|f| f.code.to_owned()).unwrap_or_default();
        let words = failure.map_or_else(|| ended.warnings.join("; "), |f| f.message.clone());
        self.report_as(tried, result, code, words, &ended.diff, ended.took).await
    }

    async fn report_as(
        &self,
        tried: Applied,
        result: ApplyResult,
        error_code: String,
        message: String,
        diff: &str,
        took: Duration,
    ) -> ApplyReport {
        let running = self.applier.running_hash().await.map(|hash| hash.0.to_vec()).unwrap_or_default();
        ApplyReport {
            device: self.config.device.clone(),
            generation: tried.generation.0,
            sha256: tried.sha256.0.to_vec(),
            result: result.into(),
            diff: prefix(&running::hidden(diff).0, MAX_DIFF_BYTES).to_owned(),
            diff_cut: diff.len() > MAX_DIFF_BYTES,
            duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            error_code,
            message,
            running_sha256: running,
            startup_saved: self.store.memory().startup == Some(tried.sha256),
            at_unix_ms: unix_ms(),
            order: self.orders.correlation(tried.sha256),
        }
    }

    fn queue(&mut self, report: ApplyReport) {
        if self.reports.len() == MAX_WAITING_REPORTS {
            tracing::warn!(device = %self.config.device, "too many reports wait; the oldest is dropped");
            self.reports.pop_front();
        }
        self.reports.push_back(report);
    }

    /// Saves startup when what runs is final, and says so.
    async fn finalized(&mut self, slot: u64) {
        self.finalized_slot = self.finalized_slot.max(slot);
        let Some(applied) = self.shared.status().applied else { return };
        match self.applier.save_startup(self.finalized_slot).await {
            Ok(false) => {}
            Ok(true) => {
                self.shared.status().startup = Some(applied.sha256);
                let report = self.report(applied, &at_once(Outcome::Unchanged)).await;
                self.queue(report);
            }
            Err(failure) => self.note_failure(&failure),
        }
    }

    fn note_failure(&self, failure: &Failure) {
        tracing::warn!(device = %self.config.device, code = failure.code, error = %failure.message, "device failed");
        self.shared.status().last_error = Some(format!("{}: {}", failure.code, failure.message));
    }

    async fn flush(&mut self, session: &mut Session) -> Result<(), ClientError> {
        while let Some(report) = self.reports.front() {
            session.report(report.clone()).await?;
            self.reports.pop_front();
        }
        Ok(())
    }
}

/// An outcome that nothing was done for.
const fn at_once(outcome: Outcome) -> Applying {
    Applying { outcome, diff: String::new(), warnings: Vec::new(), took: Duration::ZERO }
}

enum Wake {
    Pull,
    Notice(ConfigNotice),
    Renew,
}

/// Waits for something unless told to stop.
pub async fn until_stopped<T>(stop: &mut watch::Receiver<bool>, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        _ = stop.wait_for(|stopped| *stopped) => None,
        done = work => Some(done),
    }
}

/// At most `max` bytes of a text, cut between characters.
pub fn prefix(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
