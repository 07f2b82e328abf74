//! Simulated devices in memory: what runs, what starts, a commit that goes back by itself, and faults on demand.
//!
//! For tests, the bench and trying things out. A device takes a text whole, as real ones are made to; what it does not
//! model is what a text means.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use causeway_agent::bundle::TextHash;
use causeway_interface::Code;

use super::{
    Abilities, Adapter, AdapterError, Candidate, Comparison, Context, Doing, Extended, Identity, Pending, Standing,
    diff,
};
use crate::{
    clock::Clock,
    spec::{Family, Transport},
};

/// A verb, for faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// [`Adapter::identify`].
    Identify,
    /// [`Adapter::running`].
    Running,
    /// [`Adapter::compare`].
    Compare,
    /// [`Adapter::standing`].
    Standing,
    /// [`Adapter::commit`].
    Commit,
    /// [`Adapter::problems`].
    Problems,
    /// [`Adapter::confirm`].
    Confirm,
    /// [`Adapter::save`].
    Save,
    /// [`Adapter::abort`].
    Abort,
    /// [`Adapter::restore`].
    Restore,
    /// [`Adapter::extend`].
    Extend,
}

impl Op {
    /// Every verb.
    pub const ALL: [Self; 11] = [
        Self::Identify,
        Self::Running,
        Self::Compare,
        Self::Standing,
        Self::Commit,
        Self::Problems,
        Self::Confirm,
        Self::Save,
        Self::Abort,
        Self::Restore,
        Self::Extend,
    ];
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is refused, and nothing done.
    Refuse,
    /// Nobody answers, and nothing was done.
    Away,
    /// It is done, and the answer lost.
    LoseAnswer,
    /// It never ends, and nothing was done.
    Hang,
    /// It is done, and never ends.
    DoAndHang,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 5] = [Self::Refuse, Self::Away, Self::LoseAnswer, Self::Hang, Self::DoAndHang];
}

/// What a commit that is not confirmed goes back to.
#[derive(Clone, Debug)]
struct Armed {
    before: String,
    hash: Option<TextHash>,
    until_ms: u64,
}

/// A simulated device.
#[derive(Clone, Debug)]
pub struct SimulatedDevice {
    /// What it is.
    pub family: Option<Family>,
    /// What runs.
    pub running: String,
    /// What it starts with.
    pub startup: String,
    /// What neighbours that it lost are told as, once the candidate runs.
    pub problems: Vec<String>,
    armed: Option<Armed>,
    faults: VecDeque<(Op, Fault, u32)>,
    /// Faults that begin once a verb was done.
    later: Vec<(Op, (Op, Fault, u32))>,
    /// Every verb that did something, in order.
    pub done: Vec<Op>,
}

impl SimulatedDevice {
    /// One that runs a text and starts with it.
    #[must_use]
    pub fn new(family: Family, running: &str) -> Self {
        Self {
            family: Some(family),
            running: running.to_owned(),
            startup: running.to_owned(),
            problems: Vec::new(),
            armed: None,
            faults: VecDeque::new(),
            later: Vec::new(),
            done: Vec::new(),
        }
    }

    /// The next so many calls of a verb meet a fault.
    pub fn fault(&mut self, op: Op, fault: Fault, times: u32) {
        self.faults.push_back((op, fault, times));
    }

    /// The same, from when another verb has been done.
    pub fn fault_after(&mut self, done: Op, op: Op, fault: Fault, times: u32) {
        self.later.push((done, (op, fault, times)));
    }

    /// No faults any more.
    pub fn mend(&mut self) {
        self.faults.clear();
        self.later.clear();
        self.problems.clear();
    }

    /// Somebody else's commit waits for its confirmation.
    pub fn foreign_commit(&mut self, until_ms: u64) {
        self.armed = Some(Armed { before: self.running.clone(), hash: None, until_ms });
    }

    /// Whether a commit waits for its confirmation, now.
    pub fn is_armed(&mut self, now_ms: u64) -> bool {
        self.settle(now_ms);
        self.armed.is_some()
    }

    /// The timer goes off.
    fn settle(&mut self, now_ms: u64) {
        if let Some(armed) = self.armed.take_if(|armed| armed.until_ms <= now_ms) {
            self.running = armed.before;
        }
    }

    fn meets(&mut self, op: Op) -> Option<Fault> {
        let at = self.faults.iter().position(|(of, _, times)| *of == op && *times > 0)?;
        let (_, fault, times) = self.faults.get_mut(at)?;
        *times -= 1;
        Some(*fault)
    }

    fn commit(&mut self, candidate: &Candidate, until_ms: u64) -> Result<(), AdapterError> {
        let hash = candidate.hash();
        match &self.armed {
            Some(Armed { hash: Some(ours), .. }) if *ours == hash => return Ok(()),
            Some(_) => return Err(AdapterError::State("another commit waits for its confirmation".to_owned())),
            None => {}
        }
        let before = std::mem::replace(&mut self.running, candidate.text.clone());
        self.armed = Some(Armed { before, hash: Some(hash), until_ms });
        Ok(())
    }

    fn confirm(&mut self, candidate: &Candidate) -> Result<(), AdapterError> {
        match self.armed.take() {
            Some(armed) if armed.hash == Some(candidate.hash()) => Ok(()),
            Some(other) => {
                self.armed = Some(other);
                Err(AdapterError::State("another commit waits for its confirmation".to_owned()))
            }
            // An earlier confirmation whose answer was lost.
            None if self.running == candidate.text => Ok(()),
            None => Err(AdapterError::TookBack("nothing waits for a confirmation".to_owned())),
        }
    }

    fn extend(&mut self, candidate: &Candidate, until_ms: u64) -> bool {
        let ours = self.armed.as_mut().filter(|armed| armed.hash == Some(candidate.hash()));
        ours.is_some_and(|armed| {
            armed.until_ms = until_ms;
            true
        })
    }

    fn abort(&mut self) -> Result<(), AdapterError> {
        match self.armed.take() {
            Some(armed) if armed.hash.is_some() => {
                self.running = armed.before;
                Ok(())
            }
            Some(foreign) => {
                self.armed = Some(foreign);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// Simulated devices by their codes.
#[derive(Clone)]
pub struct SimulatedFleet {
    devices: Arc<Mutex<BTreeMap<Code, SimulatedDevice>>>,
    clock: Clock,
}

impl SimulatedFleet {
    /// None yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { devices: Arc::default(), clock }
    }

    /// Its devices. A test that panicked while it held them has failed already.
    pub fn devices(&self) -> MutexGuard<'_, BTreeMap<Code, SimulatedDevice>> {
        self.devices.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Looks at one device, or changes it, after its timer.
    pub fn with<T>(&self, device: &Code, what: impl FnOnce(&mut SimulatedDevice) -> T) -> Option<T> {
        let mut devices = self.devices();
        let device = devices.get_mut(device)?;
        device.settle(self.clock.now_ms());
        Some(what(device))
    }

    async fn verb<T>(
        &self,
        context: &Context,
        op: Op,
        what: impl FnOnce(&mut SimulatedDevice) -> Result<T, AdapterError>,
    ) -> Result<T, AdapterError> {
        // Every verb is a point at which its caller can be dropped.
        tokio::task::yield_now().await;
        let gone = || AdapterError::Unreachable(format!("there is no simulated device {}", context.device));
        let fault = self.with(&context.device, |device| device.meets(op)).ok_or_else(gone)?;
        match fault {
            Some(Fault::Refuse) => return Err(AdapterError::Refused(format!("{op:?} is refused on demand"))),
            Some(Fault::Away) => return Err(AdapterError::Unreachable(format!("{op:?}, on demand"))),
            Some(Fault::Hang) => return std::future::pending().await,
            Some(Fault::LoseAnswer | Fault::DoAndHang) | None => {}
        }
        let done = self.with(&context.device, |device| {
            device.done.push(op);
            let begins = device.later.extract_if(.., |(done, _)| *done == op).map(|(_, fault)| fault);
            device.faults.extend(begins);
            what(device)
        });
        match fault {
            Some(Fault::LoseAnswer) => Err(AdapterError::Unreachable(format!("answer to {op:?} lost on demand"))),
            Some(Fault::DoAndHang) => std::future::pending().await,
            Some(Fault::Refuse | Fault::Away | Fault::Hang) | None => done.ok_or_else(gone)?,
        }
    }
}

impl Adapter for SimulatedFleet {
    fn transport(&self) -> Transport {
        Transport::InMemory
    }

    fn abilities(&self) -> Abilities {
        Abilities { merges: false, waits: true, reads_back: true }
    }

    fn identify<'a>(&'a self, context: &'a Context) -> Doing<'a, Identity> {
        Box::pin(self.verb(context, Op::Identify, |device| {
            Ok(Identity { family: device.family, words: "a simulated device".to_owned() })
        }))
    }

    fn running<'a>(&'a self, context: &'a Context) -> Doing<'a, String> {
        Box::pin(self.verb(context, Op::Running, |device| Ok(device.running.clone())))
    }

    fn compare<'a>(&'a self, context: &'a Context, candidate: &'a Candidate) -> Doing<'a, Comparison> {
        Box::pin(self.verb(context, Op::Compare, |device| {
            let diff = diff(&device.running, &candidate.text);
            Ok(Comparison { equal: diff.is_empty(), diff })
        }))
    }

    fn standing<'a>(&'a self, context: &'a Context, candidate: &'a Candidate) -> Doing<'a, Standing> {
        Box::pin(self.verb(context, Op::Standing, |device| {
            let pending = match &device.armed {
                None => Pending::Nothing,
                Some(Armed { hash: Some(_), .. }) => Pending::Ours,
                Some(Armed { hash: None, .. }) => Pending::Foreign("an operator's commit".to_owned()),
            };
            Ok(Standing { runs: device.running == candidate.text, pending })
        }))
    }

    fn commit<'a>(&'a self, context: &'a Context, candidate: &'a Candidate) -> Doing<'a, ()> {
        let until_ms = self.clock.now_ms().saturating_add(context.confirm_within_ms);
        Box::pin(self.verb(context, Op::Commit, move |device| device.commit(candidate, until_ms)))
    }

    fn problems<'a>(&'a self, context: &'a Context, _: &'a Candidate) -> Doing<'a, Vec<String>> {
        Box::pin(self.verb(context, Op::Problems, |device| Ok(device.problems.clone())))
    }

    fn confirm<'a>(&'a self, context: &'a Context, candidate: &'a Candidate) -> Doing<'a, ()> {
        Box::pin(self.verb(context, Op::Confirm, |device| device.confirm(candidate)))
    }

    fn save<'a>(&'a self, context: &'a Context) -> Doing<'a, ()> {
        Box::pin(self.verb(context, Op::Save, |device| {
            if device.armed.is_some() {
                return Err(AdapterError::State("what may go away again is not saved".to_owned()));
            }
            device.startup.clone_from(&device.running);
            Ok(())
        }))
    }

    fn abort<'a>(&'a self, context: &'a Context) -> Doing<'a, ()> {
        Box::pin(self.verb(context, Op::Abort, SimulatedDevice::abort))
    }

    fn extend<'a>(&'a self, context: &'a Context, candidate: &'a Candidate) -> Doing<'a, Extended> {
        let until_ms = self.clock.now_ms().saturating_add(context.confirm_within_ms);
        Box::pin(self.verb(context, Op::Extend, move |device| {
            let extended = device.extend(candidate, until_ms);
            Ok(if extended { Extended::Anew } else { Extended::Kept("nothing of this waits for its confirmation") })
        }))
    }

    fn restore<'a>(&'a self, context: &'a Context, _: &'a Candidate, text: &'a str) -> Doing<'a, ()> {
        Box::pin(self.verb(context, Op::Restore, |device| {
            device.running = text.to_owned();
            device.startup = text.to_owned();
            device.armed = None;
            Ok(())
        }))
    }
}
