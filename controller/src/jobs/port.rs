//! The controller's side of its agents, for jobs: what an agent has said, and what it is given.

use std::{
    collections::BTreeSet,
    sync::{Arc, Weak},
    time::Duration,
};

use causeway_agent::bundle::TextHash;
use causeway_interface::Code;
use causeway_jobs::{
    adapter::{
        AdapterError, Doing,
        agent_pull::{AgentPort, AgentReport, AgentView, Offer, Word},
    },
    runner::near::Reach,
    spec::{Family, Transport},
};

use crate::{
    orders::{DeviceOrders, Order, Served, Wanted},
    presence::Presence,
    render::Family as Platform,
    running::{Answer, OPEN_MS},
    shared::{Shared, now_ms},
    store::{Entry, ReportResult, Word as Running},
};

/// An agent that has not asked for so long is not there, in milliseconds: it polls every ten seconds, and five polls may be
/// lost to an apply of its own.
const HEARD_MS: u64 = 60_000;
/// After its start, a controller waits for so long for agents to come to it before it says that one is not there: they try
/// again every 30 s at the latest.
const GRACE_MS: u64 = 45_000;
/// Between two looks for one that is to come.
const LOOK: Duration = Duration::from_millis(100);
/// Age up to which what an agent told of what runs counts, in milliseconds: the steps of a job ask one after the other.
const FRESH_MS: u64 = 10_000;
/// Longest wait for what runs: an agent that watches tells it within a second. The step that asks is tried again.
const ASK: Duration = Duration::from_secs(5);

/// The agents of this controller.
pub struct Agents {
    shared: Weak<Shared>,
}

impl Agents {
    /// Of a controller.
    #[must_use]
    pub const fn new(shared: Weak<Shared>) -> Self {
        Self { shared }
    }

    fn shared(&self) -> Result<Arc<Shared>, AdapterError> {
        self.shared.upgrade().ok_or_else(|| AdapterError::Unreachable("the controller stops".to_owned()))
    }
}

/// What this controller reaches: devices whose agents are here, and those that it pushes to.
pub struct Here {
    presence: Arc<Presence>,
    pushed: BTreeSet<Code>,
}

impl Here {
    /// By who is here, and whom this controller pushes to.
    #[must_use]
    pub const fn new(presence: Arc<Presence>, pushed: BTreeSet<Code>) -> Self {
        Self { presence, pushed }
    }
}

impl Reach for Here {
    fn is_here(&self, device: &Code) -> bool {
        self.pushed.contains(device) || self.presence.is_here(device)
    }
}

/// How a device is reached where nothing is said.
#[must_use]
pub fn usual(shared: &Shared, device: &Code) -> Transport {
    if shared.orders.by_jobs().pushed.contains(device) { Transport::EapiPush } else { Transport::AgentPull }
}

/// What jobs call a family.
#[must_use]
pub const fn family(platform: Platform) -> Family {
    match platform {
        Platform::Eos => Family::Eos,
        Platform::Frr => Family::Frr,
    }
}

/// What the controller calls one; none for one that has no texts of its own.
#[must_use]
pub const fn platform(family: Family) -> Option<Platform> {
    match family {
        Family::Eos => Some(Platform::Eos),
        Family::Frr => Some(Platform::Frr),
        Family::Simulator => None,
    }
}

/// What is known of a device's agent, but for a text that nobody here has made.
#[must_use]
pub fn view(orders: &DeviceOrders, entry: Option<&Entry>, now_ms: u64) -> AgentView {
    let said = orders.said.as_ref();
    let is_heard = said.is_some_and(|said| now_ms.saturating_sub(said.at_unix_ms) <= HEARD_MS);
    let waiting = said.and_then(|said| said.waiting);
    let word = entry.and_then(|entry| entry.word.as_ref());
    let runs = waiting.or_else(|| word.filter(|word| is_as_verified(word)).and_then(|word| hash(&word.text_sha256)));
    AgentView {
        is_heard,
        family: None,
        running: runs.and_then(|sha256| text_of(orders, entry, sha256)),
        report: report(orders, waiting, word),
        extended: said.filter(|said| said.waiting.is_some()).map_or(0, |said| said.extended),
    }
}

fn is_as_verified(word: &Running) -> bool {
    !word.running_sha256.is_empty() && !word.changed_beside()
}

fn hash(bytes: &[u8]) -> Option<[u8; 32]> {
    bytes.try_into().ok()
}

/// The text of a hash, of those that are known here.
fn text_of(orders: &DeviceOrders, entry: Option<&Entry>, sha256: [u8; 32]) -> Option<String> {
    let served = [&orders.open, &orders.kept].into_iter().flatten().find(|served| served.sha256 == sha256);
    if let Some(served) = served {
        return Some(served.text.to_string());
    }
    let entry = entry?;
    let made = entry.current.iter().chain(entry.history.iter().rev()).find(|bundle| bundle.sha256 == sha256);
    made.map(|bundle| bundle.text.to_string())
}

/// What the agent last said that counts: of what waits; else of the open order; else of what it is known to run.
fn report(orders: &DeviceOrders, waiting: Option<[u8; 32]>, word: Option<&Running>) -> Option<AgentReport> {
    let saved = |sha256: [u8; 32]| orders.said.as_ref().is_some_and(|said| said.startup == Some(sha256));
    let of = |sha256: [u8; 32], word, words: String, startup_saved| {
        let warnings = if words.is_empty() { Vec::new() } else { vec![words] };
        Some(AgentReport { hash: TextHash(sha256), word, startup_saved, warnings })
    };
    if let Some(sha256) = waiting {
        return of(sha256, Word::Waiting, String::new(), false);
    }
    match &orders.told {
        Some(told) => {
            let words = told.words.clone();
            let word = match told.result {
                ReportResult::Applied | ReportResult::Unchanged => Word::Applied,
                ReportResult::Refused => Word::Refused(words.clone()),
                ReportResult::Reverted => Word::TookBack(words.clone()),
                // It does not wait any more, and what became of it is on its way.
                ReportResult::Waiting => return None,
            };
            of(told.sha256, word, words, told.startup_saved || saved(told.sha256))
        }
        // What it says of an open order is still to come.
        None if orders.open.is_some() => None,
        None => {
            let sha256 = hash(&word.filter(|word| is_as_verified(word))?.text_sha256)?;
            of(sha256, Word::Applied, String::new(), saved(sha256))
        }
    }
}

/// What runs, in the device's own words.
async fn asked(shared: &Shared, device: &Code) -> Option<String> {
    let text = |answer: &Answer| {
        let usable = answer.error_code.is_empty() && !answer.text_cut;
        usable.then(|| answer.text.clone())
    };
    let fresh = |ms: u64| now_ms().saturating_sub(ms) <= FRESH_MS;
    if let Some(known) = shared.desk.answer(device).filter(|known| fresh(known.received_unix_ms)) {
        return text(&known);
    }
    text(anew(shared, device, ASK).await?.as_ref())
}

/// The answer to a question that is open or put now; none where it does not come in time.
async fn anew(shared: &Shared, device: &Code, within: Duration) -> Option<Arc<Answer>> {
    let mut answers = shared.desk.subscribe();
    let number = shared.ask_running(device)?;
    let answered = async {
        loop {
            answers.borrow_and_update();
            if let Some(answer) = shared.desk.answer(device).filter(|answer| answer.number >= number) {
                return Some(answer);
            }
            answers.changed().await.ok()?;
        }
    };
    tokio::time::timeout(within, answered).await.ok().flatten()
}

/// What an agent's answer says of what waits.
fn problems(answer: &Answer) -> Result<Vec<String>, AdapterError> {
    if !answer.error_code.is_empty() {
        // The device did not answer its agent: nothing is known, which is not good.
        return Err(AdapterError::State(format!("{}: {}", answer.error_code, answer.message)));
    }
    Ok(answer.problems.clone())
}

impl AgentPort for Agents {
    fn can_wait(&self) -> bool {
        true
    }

    fn objection(&self, device: &Code) -> Option<&'static str> {
        let pushed = self.shared().is_ok_and(|shared| shared.orders.by_jobs().pushed.contains(device));
        pushed.then_some("this controller pushes to it, and its agent is given nothing")
    }

    fn view<'a>(&'a self, device: &'a Code) -> Doing<'a, AgentView> {
        Box::pin(async move {
            let mut seen = loop {
                let shared = self.shared()?;
                let seen = view(&shared.orders.of(device), shared.store().entry(device), now_ms());
                let never = shared.orders.of(device).said.is_none();
                let young = now_ms().saturating_sub(shared.metrics.started_unix_ms()) < GRACE_MS;
                if !(never && young) {
                    break seen;
                }
                // Not held while it waits: the controller may stop.
                drop(shared);
                tokio::time::sleep(LOOK).await;
            };
            let shared = self.shared()?;
            // Only where nothing of a job is under way: an agent in the middle of an apply answers nobody.
            if seen.is_heard && seen.running.is_none() && shared.orders.of(device).open.is_none() {
                seen.running = asked(&shared, device).await;
            }
            Ok(seen)
        })
    }

    fn offer<'a>(&'a self, device: &'a Code, offer: Offer) -> Doing<'a, ()> {
        Box::pin(async move {
            let shared = self.shared()?;
            let takes_orders = shared.orders.of(device).said.is_some_and(|said| said.takes_orders);
            if !takes_orders {
                return Err(AdapterError::Unsupported("give orders to this agent: it is of a version before them"));
            }
            let Some(family) = platform(offer.candidate.family) else {
                return Err(AdapterError::Unsupported("bring a configuration of this family"));
            };
            let order = Order {
                correlation: offer.correlation,
                waits: offer.waits,
                confirm_within_ms: offer.confirm_within_ms,
            };
            let wanted = Wanted { generation: offer.candidate.generation, family, text: offer.candidate.text.into() };
            tracing::info!(%device, correlation = %order.correlation, generation = wanted.generation, "offered to the agent");
            shared.orders.open(device, Served::sign(device, wanted, Some(order), &shared.signer));
            shared.nudge();
            Ok(())
        })
    }

    fn problems<'a>(&'a self, device: &'a Code) -> Doing<'a, Vec<String>> {
        Box::pin(async move {
            let shared = self.shared()?;
            let answer = anew(&shared, device, Duration::from_millis(OPEN_MS)).await;
            let silent = || AdapterError::Unreachable(format!("the agent of {device} does not say how it is"));
            problems(answer.ok_or_else(silent)?.as_ref())
        })
    }

    fn confirm<'a>(&'a self, device: &'a Code, hash: TextHash) -> Doing<'a, ()> {
        Box::pin(async move {
            let shared = self.shared()?;
            if !shared.orders.confirm(device, hash.0, &shared.signer) {
                return Err(AdapterError::State("nothing with this text waits for its confirmation".to_owned()));
            }
            shared.nudge();
            Ok(())
        })
    }

    fn extend<'a>(&'a self, device: &'a Code, hash: TextHash) -> Doing<'a, Option<u32>> {
        Box::pin(async move {
            let shared = self.shared()?;
            let number = shared.orders.extend(device, hash.0, &shared.signer);
            if number.is_some() {
                shared.nudge();
            }
            Ok(number)
        })
    }

    fn withdraw<'a>(&'a self, device: &'a Code) -> Doing<'a, ()> {
        Box::pin(async move {
            let shared = self.shared()?;
            shared.orders.withdraw(device, &shared.signer);
            shared.nudge();
            Ok(())
        })
    }
}

#[cfg(test)]
#[path = "port_tests.rs"]
mod tests;
