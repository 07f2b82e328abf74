//! The controller's side of an agent: sessions, polls, notices, applies and reports.
//!
//! With no controller to be reached everything that runs keeps running, and tries go on with growing waits. A configuration
//! that failed is not tried again before its own wait is over, however often it is offered; one that an earlier process of
//! this agent had begun, and that does not run, has failed. What is applied for a provisioning job is in [`orders`].

mod orders;
mod reports;
mod take;

use std::{collections::VecDeque, future::Future, path::PathBuf, sync::Arc, time::Instant};

use causeway_wire::controller::{ApplyReport, ConfigNotice, GetConfigRequest, GetConfigResponse};
use tokio::sync::watch;

use self::orders::Orders;
pub use self::reports::{MAX_DIFF_BYTES, prefix};
use crate::{
    apply::Applier,
    backoff::Backoff,
    bundle::{Generation, TextHash},
    client::{ClientError, Identity, Session},
    config::AgentConfig,
    core::Failure,
    driver::Driver,
    plan::{self, Plan},
    running::{self, Intended},
    shared::{Shared, chain, unix_ms},
    state::{Applied, StateStore},
};

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
        // What became of it is said before anything else is done: a network waits for that word, and for none of the rest.
        self.flush(session).await?;
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
            takes_extensions: self.applier.driver().can_extend(),
            extended: self.orders.extended(),
        }
    }

    /// Answers a question for what runs, unless it is answered.
    async fn tell_running(&mut self, session: &mut Session, wanted: u64) -> Result<(), ClientError> {
        if wanted == 0 || wanted == self.answered {
            return Ok(());
        }
        tracing::info!(device = %self.config.device, wanted, "the controller asks what runs");
        let (intended, waiting) = (self.intended.as_ref(), self.orders.paused());
        let answer = running::answer(&self.applier, intended, waiting, &self.config.device, wanted).await;
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

    fn note_failure(&self, failure: &Failure) {
        tracing::warn!(device = %self.config.device, code = failure.code, error = %failure.message, "device failed");
        self.shared.status().last_error = Some(format!("{}: {}", failure.code, failure.message));
    }
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
