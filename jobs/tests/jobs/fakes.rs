//! A ledger, a receiver of notices and a store that do what a test tells them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use causeway_interface::Code;
use causeway_jobs::{
    adapter::Candidate,
    engine::{Notice, Notifier, Source},
    error::{self, StepError, Trouble},
    rollout::{Health, Oracles},
    spec::{Family, JobId, Kind, Target, Wanted},
    store::{Answer, Append, Claim, Filter, JobRow, JobStore, NewJob, Position, Row, StoreError, Waiting},
    strategy::PreCheck,
};
use futures::future::BoxFuture;
use tokio::sync::Notify;

/// What goes wrong beside devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    CheckAway,
    CheckRefused,
    RenderAway,
    RenderFails,
    NotifyAway,
    NotifyFails,
}

impl Wrong {
    pub const ALL: [Self; 6] =
        [Self::CheckAway, Self::CheckRefused, Self::RenderAway, Self::RenderFails, Self::NotifyAway, Self::NotifyFails];
}

/// A ledger and a renderer that say what they are told, and a receiver of notices.
#[derive(Default)]
pub struct FakeOffice {
    pub wrong: Mutex<VecDeque<(Wrong, u32)>>,
    pub notices: Mutex<Vec<Notice>>,
}

impl FakeOffice {
    fn meets(&self, wrong: Wrong) -> bool {
        let mut all = self.wrong.lock().unwrap();
        let Some((_, times)) = all.iter_mut().find(|(of, times)| *of == wrong && *times > 0) else { return false };
        *times -= 1;
        true
    }
}

pub fn text(device: &Code, wanted: Wanted) -> String {
    match wanted {
        Wanted::Current => format!("hostname {device}\nmetric 20\n"),
        Wanted::Generation(generation) => format!("hostname {device}\nmetric {generation}\n"),
        Wanted::Bare => format!("hostname {device}\n"),
        Wanted::Before(job) => panic!("what job {job} found is not rendered"),
    }
}

impl Source for FakeOffice {
    fn check<'a>(&'a self, _: &'a Code, _: Kind) -> BoxFuture<'a, Result<PreCheck, StepError>> {
        Box::pin(async {
            if self.meets(Wrong::CheckAway) {
                return Err(error::LEDGER_AWAY.transient(Trouble::Network, "on demand"));
            }
            if self.meets(Wrong::CheckRefused) {
                return Ok(PreCheck::Refused { expected: "activated".into(), found: "suspended".into() });
            }
            Ok(PreCheck::Ready("the ledger has it".into()))
        })
    }

    fn render<'a>(&'a self, target: &'a Target, wanted: Wanted) -> BoxFuture<'a, Result<Candidate, StepError>> {
        Box::pin(async move {
            if self.meets(Wrong::RenderAway) {
                return Err(error::LEDGER_AWAY.transient(Trouble::Network, "on demand"));
            }
            if self.meets(Wrong::RenderFails) {
                return Err(error::RENDER_FAILED.critical(Trouble::Validation, "on demand"));
            }
            Ok(Candidate { generation: 7, family: Family::Simulator, text: text(&target.device, wanted) })
        })
    }
}

impl Notifier for FakeOffice {
    fn notify(&self, notice: Notice) -> BoxFuture<'_, Result<(), StepError>> {
        Box::pin(async move {
            if self.meets(Wrong::NotifyAway) {
                return Err(error::NOTIFY_FAILED.transient(Trouble::Network, "on demand"));
            }
            if self.meets(Wrong::NotifyFails) {
                return Err(error::NOTIFY_FAILED.critical(Trouble::Other, "on demand"));
            }
            self.notices.lock().unwrap().push(notice);
            Ok(())
        })
    }
}

/// Oracles that see every device well but for those that a test names.
#[derive(Default)]
pub struct FakeOracles(pub Mutex<BTreeMap<Code, Health>>);

impl Oracles for FakeOracles {
    fn health<'a>(&'a self, devices: &'a [Code]) -> BoxFuture<'a, Result<BTreeMap<Code, Health>, StepError>> {
        Box::pin(async move {
            let named = self.0.lock().unwrap();
            Ok(devices.iter().map(|device| (*device, named.get(device).cloned().unwrap_or(Health::Good))).collect())
        })
    }
}

/// What happens at an append of a controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// It never comes to the store; whoever appends waits for ever.
    Before,
    /// It is kept, and its answer never comes.
    After,
    /// It is held up until it is let go.
    Stopped,
}

/// A store that is cut off at one write of whoever uses it.
pub struct CutStore {
    pub inner: Arc<dyn JobStore>,
    pub cut: Option<(u64, Cut)>,
    /// Appends to this one count, and starts of what is part of it; appends to any where there is none.
    pub of: Option<JobId>,
    pub appends: AtomicU64,
    /// Rung when the append has come.
    pub reached: Notify,
    /// To be rung to let it go on.
    pub go_on: Notify,
    /// It says that several controllers use it.
    pub is_shared: bool,
}

impl CutStore {
    pub fn new(inner: Arc<dyn JobStore>, cut: Option<(u64, Cut)>) -> Arc<Self> {
        Self::of(inner, cut, None)
    }

    pub fn of(inner: Arc<dyn JobStore>, cut: Option<(u64, Cut)>, of: Option<JobId>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            cut,
            of,
            appends: AtomicU64::new(0),
            reached: Notify::new(),
            go_on: Notify::new(),
            is_shared: false,
        })
    }
}

impl CutStore {
    async fn cut<T>(&self, counts: bool, call: Answer<'_, T>) -> Result<T, StoreError> {
        if !counts {
            return call.await;
        }
        let number = self.appends.fetch_add(1, Ordering::SeqCst);
        match self.cut.filter(|(at, _)| *at == number) {
            None => call.await,
            Some((_, Cut::Before)) => {
                self.reached.notify_one();
                std::future::pending().await
            }
            Some((_, Cut::After)) => {
                let _ = call.await;
                self.reached.notify_one();
                std::future::pending().await
            }
            Some((_, Cut::Stopped)) => {
                self.reached.notify_one();
                self.go_on.notified().await;
                call.await
            }
        }
    }
}

impl CutStore {
    /// Never cut off, and shared by several controllers.
    pub fn shared(inner: Arc<dyn JobStore>) -> Arc<Self> {
        let (reached, go_on) = (Notify::new(), Notify::new());
        Arc::new(Self { inner, cut: None, of: None, appends: AtomicU64::new(0), reached, go_on, is_shared: true })
    }
}

impl JobStore for CutStore {
    fn name(&self) -> &'static str {
        "cut"
    }

    fn is_shared(&self) -> bool {
        self.is_shared
    }

    fn tail(&self) -> Answer<'_, Position> {
        self.inner.tail()
    }

    fn waiting(&self, after: JobId, limit: usize) -> Answer<'_, Vec<Waiting>> {
        self.inner.waiting(after, limit)
    }

    fn claim_these(&self, holder: String, lease_ms: u64, jobs: Vec<JobId>) -> Answer<'_, Vec<Claim>> {
        self.inner.claim_these(holder, lease_ms, jobs)
    }

    fn append(&self, append: Append) -> Answer<'_, ()> {
        let counts = self.of.is_none_or(|of| of == append.job);
        Box::pin(async move { self.cut(counts, self.inner.append(append)).await })
    }

    fn start(&self, new: NewJob) -> Answer<'_, JobId> {
        let counts = self.of.is_some() && self.of == new.parent;
        Box::pin(async move { self.cut(counts, self.inner.start(new)).await })
    }

    fn events(&self, job: JobId, from: u64, limit: usize) -> Answer<'_, Vec<Row>> {
        self.inner.events(job, from, limit)
    }

    fn feed(&self, after: Position, limit: usize) -> Answer<'_, Vec<Row>> {
        self.inner.feed(after, limit)
    }

    fn artifact(&self, job: JobId, name: String) -> Answer<'_, Option<Vec<u8>>> {
        self.inner.artifact(job, name)
    }

    fn claim(&self, holder: String, lease_ms: u64, limit: usize) -> Answer<'_, Vec<Claim>> {
        self.inner.claim(holder, lease_ms, limit)
    }

    fn renew(&self, claim: Claim, lease_ms: u64) -> Answer<'_, u64> {
        self.inner.renew(claim, lease_ms)
    }

    fn release(&self, claim: Claim) -> Answer<'_, ()> {
        self.inner.release(claim)
    }

    fn set_broken(&self, claim: Claim, why: String) -> Answer<'_, ()> {
        self.inner.set_broken(claim, why)
    }

    fn abandon(&self, job: JobId) -> Answer<'_, ()> {
        self.inner.abandon(job)
    }

    fn job(&self, job: JobId) -> Answer<'_, Option<JobRow>> {
        self.inner.job(job)
    }

    fn list(&self, filter: Filter, limit: usize) -> Answer<'_, Vec<JobRow>> {
        self.inner.list(filter, limit)
    }

    fn holder_of(&self, device: Code) -> Answer<'_, Option<JobId>> {
        self.inner.holder_of(device)
    }

    fn prune(&self, before_ms: u64, limit: usize) -> Answer<'_, usize> {
        self.inner.prune(before_ms, limit)
    }
}
