//! What agents are served for provisioning jobs: per device the order that is open, the controller's last word, what the last
//! job left, and what the agent said of all that. In memory: what a job left is found again in the store of jobs, and an
//! order that is forgotten goes back by itself on its device.
//!
//! A device is provisioned *continuously* (what the ledger asks for is served at once) or *by jobs* (what the last job
//! confirmed is served, and only a job changes it). An open order comes before either. No clock is read here.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use causeway_agent::order::MAX_EXTENSIONS;
use causeway_interface::Code;
use causeway_wire::{
    controller::OrderAnswer,
    signing::{SignedOrder, bundle_message, extension_message, order_message, sign, word_message},
};

use crate::{
    render::Family,
    store::{Report, ReportResult, Signer},
};

/// Longest correlation id that is kept of what an agent says, in bytes; agents take no longer ones either.
pub const MAX_CORRELATION: usize = 128;

/// Which devices are provisioned by jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByJobs {
    /// All of them.
    pub all: bool,
    /// These.
    pub devices: BTreeSet<Code>,
    /// Those of these contributors.
    pub contributors: BTreeSet<Code>,
    /// Those that this controller pushes to: their agents are offered nothing, ever.
    pub pushed: BTreeSet<Code>,
}

impl ByJobs {
    /// Whether a device of a contributor is among them.
    #[must_use]
    pub fn has(&self, device: &Code, contributor: Option<&Code>) -> bool {
        let named = self.devices.contains(device) || self.pushed.contains(device);
        self.all || named || contributor.is_some_and(|code| self.contributors.contains(code))
    }
}

/// How an agent is to apply a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Under which the step is found everywhere.
    pub correlation: String,
    /// Keep it unconfirmed until the controller's word.
    pub waits: bool,
    /// The device goes back by itself after this, in ms.
    pub confirm_within_ms: u64,
}

/// A configuration of a job, signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Its generation.
    pub generation: u64,
    /// Its family.
    pub family: Family,
    /// SHA-256 of the text.
    pub sha256: [u8; 32],
    /// The whole managed configuration.
    pub text: Arc<str>,
    /// The controller's, over the order where there is one.
    pub signature: [u8; 64],
    /// How it is to be applied.
    pub order: Option<Order>,
}

/// What is to be served for a job, before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its generation.
    pub generation: u64,
    /// Its family.
    pub family: Family,
    /// The whole managed configuration.
    pub text: Arc<str>,
}

impl Served {
    /// Signs.
    #[must_use]
    pub fn sign(device: &Code, wanted: Wanted, order: Option<Order>, signer: &Signer) -> Self {
        let sha256 = causeway_wire::signing::sha256(wanted.text.as_bytes());
        let (program, device, family) = (&signer.program_id.0, device.as_str(), wanted.family.name());
        let message = match &order {
            None => bundle_message(program, device, wanted.generation, family, &sha256),
            Some(order) => {
                let signed = SignedOrder {
                    correlation: &order.correlation,
                    waits: order.waits,
                    confirm_within_ms: order.confirm_within_ms,
                };
                order_message(program, device, wanted.generation, family, &sha256, signed)
            }
        };
        let signature = sign(&signer.key, &message);
        Self { generation: wanted.generation, family: wanted.family, sha256, text: wanted.text, signature, order }
    }

    /// The same without an order.
    fn plain(&self, device: &Code, signer: &Signer) -> Self {
        let wanted = Wanted { generation: self.generation, family: self.family, text: Arc::clone(&self.text) };
        Self::sign(device, wanted, None, signer)
    }
}

/// The controller's word about an order, signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Which order.
    pub correlation: String,
    /// SHA-256 of its text.
    pub sha256: [u8; 32],
    /// What it says.
    pub answer: OrderAnswer,
    /// Of one that lets the order's time begin anew: its number under the order; 0 of every other.
    pub extension: u32,
    /// The controller's.
    pub signature: [u8; 64],
}

/// What an agent says at each poll.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// When, unix milliseconds.
    pub at_unix_ms: u64,
    /// It knows orders.
    pub takes_orders: bool,
    /// The order that it took last.
    pub have_order: String,
    /// The text that runs under it and waits for a word.
    pub waiting: Option<[u8; 32]>,
    /// The text that the device starts with.
    pub startup: Option<[u8; 32]>,
    /// Its device can be given more time.
    pub takes_extensions: bool,
    /// Number of the last word by which the time of what waits began anew; 0 for none.
    pub extended: u32,
}

/// What an agent said of the open order, or of the one that was last confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The order.
    pub correlation: String,
    /// SHA-256 of its text.
    pub sha256: [u8; 32],
    /// What became of it.
    pub result: ReportResult,
    /// Why it failed, or what it warns of.
    pub words: String,
    /// It is what the device starts with.
    pub startup_saved: bool,
}

/// Everything about one device.
#[derive(Clone, Debug, Default)]
pub struct DeviceOrders {
    /// The order that is open.
    pub open: Option<Arc<Served>>,
    /// What was last said of an order.
    pub word: Option<Word>,
    /// What the last job left.
    pub kept: Option<Arc<Served>>,
    /// The store of jobs was asked for what the last one left.
    pub looked_up: bool,
    /// What the agent says.
    pub said: Option<Said>,
    /// What it said of an order.
    pub told: Option<Told>,
}

/// What a device is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// What the ledger asks for.
    Ledger,
    /// This.
    Job(Arc<Served>),
    /// Nothing: it is provisioned by jobs, and none has brought anything.
    Nothing,
}

/// The orders of every device.
#[derive(Debug, Default)]
pub struct Orders {
    by_jobs: ByJobs,
    inner: Mutex<BTreeMap<Code, DeviceOrders>>,
}

impl Orders {
    /// None yet.
    #[must_use]
    pub fn new(by_jobs: ByJobs) -> Self {
        Self { by_jobs, inner: Mutex::default() }
    }

    fn inner(&self) -> MutexGuard<'_, BTreeMap<Code, DeviceOrders>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which devices are provisioned by jobs.
    #[must_use]
    pub const fn by_jobs(&self) -> &ByJobs {
        &self.by_jobs
    }

    /// One device.
    #[must_use]
    pub fn of(&self, device: &Code) -> DeviceOrders {
        self.inner().get(device).cloned().unwrap_or_default()
    }

    /// Forgets devices that are gone.
    pub fn keep(&self, devices: impl Fn(&Code) -> bool) {
        self.inner().retain(|device, _| devices(device));
    }

    /// What a device is served.
    #[must_use]
    pub fn turn(&self, device: &Code, by_jobs: bool) -> Turn {
        if self.by_jobs.pushed.contains(device) {
            // An agent beside would take the controller's commits for strangers'.
            return Turn::Nothing;
        }
        let inner = self.inner();
        let known = inner.get(device);
        // An agent that does not know orders would apply and keep it.
        let open = known.filter(|known| known.said.as_ref().is_some_and(|said| said.takes_orders));
        match (open.and_then(|known| known.open.clone()), by_jobs) {
            (Some(open), _) => Turn::Job(open),
            (None, false) => Turn::Ledger,
            (None, true) => known.and_then(|known| known.kept.clone()).map_or(Turn::Nothing, Turn::Job),
        }
    }

    /// The word that is for an agent which took this order last, if there is one.
    #[must_use]
    pub fn word(&self, device: &Code, have_order: &str) -> Option<Word> {
        self.inner().get(device)?.word.clone().filter(|word| word.correlation == have_order)
    }

    /// What a notice tells: the order and whether there is a word about it.
    #[must_use]
    pub fn notice(&self, device: &Code) -> (String, OrderAnswer) {
        let inner = self.inner();
        let Some(known) = inner.get(device) else { return (String::new(), OrderAnswer::Unspecified) };
        let open = known.open.as_ref().and_then(|served| served.order.as_ref()).map(|order| order.correlation.clone());
        match (&known.word, open) {
            (Some(word), None) => (word.correlation.clone(), word.answer),
            (Some(word), Some(open)) if word.correlation == open => (open, word.answer),
            (Some(_) | None, open) => (open.unwrap_or_default(), OrderAnswer::Unspecified),
        }
    }

    /// Notes what an agent says at a poll.
    pub fn polled(&self, device: &Code, said: Said) {
        let mut inner = self.inner();
        let known = inner.entry(*device).or_default();
        if said.waiting.is_none() && known.open.is_none() {
            // Nothing waits for it any more.
            known.word = None;
        }
        known.said = Some(said);
    }

    /// Notes a report, and what follows from it: an order that is done is what the device is served from then on.
    pub fn reported(&self, device: &Code, report: &Report, signer: &Signer) {
        let Ok(sha256) = <[u8; 32]>::try_from(report.sha256.as_slice()) else { return };
        if report.order.is_empty() {
            return;
        }
        let mut inner = self.inner();
        let Some(known) = inner.get_mut(device) else { return };
        if let Some(said) = &mut known.said {
            if report.result == ReportResult::Waiting {
                (said.waiting, said.have_order) = (Some(sha256), report.order.clone());
                said.extended = report.extended;
            } else if said.have_order == report.order {
                said.waiting = None;
            }
        }
        let is_open = |served: &&Arc<Served>| {
            served.sha256 == sha256 && served.order.as_ref().is_some_and(|order| order.correlation == report.order)
        };
        let open = known.open.as_ref().filter(is_open).cloned();
        let again = known.told.as_ref().is_some_and(|told| told.correlation == report.order && told.result.runs());
        if open.is_none() && !again {
            return;
        }
        let words = match report.error_code.as_str() {
            "" => report.message.clone(),
            code => format!("{code}: {}", report.message),
        };
        known.told = Some(Told {
            correlation: report.order.clone(),
            sha256,
            result: report.result,
            words,
            startup_saved: report.startup_saved,
        });
        if let Some(open) = open.filter(|_| report.result.runs()) {
            known.kept = Some(Arc::new(open.plain(device, signer)));
            (known.open, known.word, known.looked_up) = (None, None, true);
        }
    }

    /// Opens an order in the place of another.
    pub fn open(&self, device: &Code, served: Served) {
        let mut inner = self.inner();
        let known = inner.entry(*device).or_default();
        (known.open, known.word, known.told) = (Some(Arc::new(served)), None, None);
    }

    /// Says that what waits with this text may stay. False where nothing of it does.
    pub fn confirm(&self, device: &Code, sha256: [u8; 32], signer: &Signer) -> bool {
        let mut inner = self.inner();
        let Some(known) = inner.get_mut(device) else { return false };
        let waits = known.said.as_ref().filter(|said| said.waiting == Some(sha256));
        let Some(correlation) = waits.map(|said| said.have_order.clone()) else { return false };
        known.word = Some(say(device, correlation, sha256, OrderAnswer::Confirm, signer));
        true
    }

    /// Says that the time of what waits with this text begins anew. Answers the word's number; none where nothing of it waits,
    /// or its agent can't be told that.
    pub fn extend(&self, device: &Code, sha256: [u8; 32], signer: &Signer) -> Option<u32> {
        let mut inner = self.inner();
        let known = inner.get_mut(device)?;
        let said = known.said.as_ref().filter(|said| said.waiting == Some(sha256) && said.takes_extensions)?;
        let correlation = said.have_order.clone();
        let extension = said.extended.checked_add(1).filter(|number| *number <= MAX_EXTENSIONS)?;
        let message = extension_message(&signer.program_id.0, device.as_str(), &correlation, &sha256, extension);
        let signature = sign(&signer.key, &message);
        known.word = Some(Word { correlation, sha256, answer: OrderAnswer::Extend, extension, signature });
        Some(extension)
    }

    /// Closes what is open, and says that what waits has to go.
    pub fn withdraw(&self, device: &Code, signer: &Signer) {
        let mut inner = self.inner();
        let Some(known) = inner.get_mut(device) else { return };
        let open = known.open.take();
        if known.told.as_ref().is_some_and(|told| !told.result.runs()) || open.is_some() {
            known.told = None;
        }
        let waits = known.said.as_ref().and_then(|said| Some((said.have_order.clone(), said.waiting?)));
        // One that was given and of which nothing is heard yet may be on its way.
        let given = || open.and_then(|served| Some((served.order.as_ref()?.correlation.clone(), served.sha256)));
        if let Some((correlation, sha256)) = waits.or_else(given) {
            known.word = Some(say(device, correlation, sha256, OrderAnswer::Withdraw, signer));
        }
    }

    /// Forgets what is open for a job that is worked on elsewhere from now on, or later. What waits under it goes on waiting: who
    /// works on the job next has the word about it.
    pub fn forget(&self, job: &str) -> bool {
        let mut any = false;
        for known in self.inner().values_mut() {
            let order = known.open.as_ref().and_then(|served| served.order.as_ref());
            if order.is_some_and(|order| order.correlation.starts_with(job)) {
                (known.open, known.told, any) = (None, None, true);
            }
        }
        any
    }

    /// Notes what the store of jobs has of the last one; what has come in since then counts.
    pub fn looked_up(&self, device: &Code, kept: Option<Served>) {
        let mut inner = self.inner();
        let known = inner.entry(*device).or_default();
        if !known.looked_up {
            known.kept = kept.map(Arc::new);
        }
        known.looked_up = true;
    }

    /// Whether the store of jobs was asked for what the last one left.
    #[must_use]
    pub fn is_looked_up(&self, device: &Code) -> bool {
        self.inner().get(device).is_some_and(|known| known.looked_up)
    }

    /// Takes what a job left that another controller had begun.
    pub fn left(&self, device: &Code, served: Served) {
        let mut inner = self.inner();
        let known = inner.entry(*device).or_default();
        if known.kept.as_ref().is_none_or(|kept| kept.generation <= served.generation) {
            known.kept = Some(Arc::new(served));
        }
        known.looked_up = true;
    }
}

fn say(device: &Code, correlation: String, sha256: [u8; 32], answer: OrderAnswer, signer: &Signer) -> Word {
    let message = word_message(&signer.program_id.0, device.as_str(), &correlation, &sha256, answer.into());
    Word { signature: sign(&signer.key, &message), correlation, sha256, answer, extension: 0 }
}

#[cfg(test)]
#[path = "orders_tests.rs"]
mod tests;
