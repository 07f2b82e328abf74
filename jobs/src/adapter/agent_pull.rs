//! Devices whose agents pull: the controller offers a configuration, the agent comes for it, applies, verifies, confirms
//! or goes back, and reports.
//!
//! What the controller has for this is [`AgentPort`]. The agent judges for itself and has its own timer; this adapter
//! waits for its word and never takes silence for one. Waits are ended by the engine's time limits.

use std::time::Duration;

use causeway_agent::bundle::TextHash;
use causeway_interface::Code;

use super::{
    Abilities, Adapter, AdapterError, Candidate, Comparison, Context, Doing, Extended, Identity, Pending, Standing,
    diff,
};
use crate::{
    clock::{Clock, sleep},
    spec::{Family, Transport},
};

/// Between two looks at what the agent has reported: it is in the controller's memory.
const LOOK: Duration = Duration::from_millis(250);

/// What an agent said of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// It runs it, verified and confirmed.
    Applied,
    /// It runs it, verified, and waits to be told to confirm.
    Waiting,
    /// It refused it; nothing was changed.
    Refused(String),
    /// It took it back.
    TookBack(String),
}

/// What an agent reported last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentReport {
    /// Of which text.
    pub hash: TextHash,
    /// What came of it.
    pub word: Word,
    /// It is what the device starts with.
    pub startup_saved: bool,
    /// Neighbours that it misses, in words.
    pub warnings: Vec<String>,
}

/// What the controller knows of a device's agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentView {
    /// It was heard of within the time that an agent polls in.
    pub is_heard: bool,
    /// What it takes.
    pub family: Option<Family>,
    /// The text that it is known to run; none where no agent has reported one.
    pub running: Option<String>,
    /// What it reported last.
    pub report: Option<AgentReport>,
    /// Number of the last word by which the time of what waits began anew; 0 for none.
    pub extended: u32,
}

/// What the controller offers for a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The configuration.
    pub candidate: Candidate,
    /// Goes into the agent's logs and reports.
    pub correlation: String,
    /// Keep it unconfirmed until told.
    pub waits: bool,
    /// Go back by itself after this, in ms.
    pub confirm_within_ms: u64,
}

/// The controller's side of its agents.
pub trait AgentPort: Send + Sync + 'static {
    /// Whether agents can be told to wait with their confirmation.
    fn can_wait(&self) -> bool;

    /// Why the agent of this device is not given anything, whether or not it is there; none where it is.
    fn objection(&self, _device: &Code) -> Option<&'static str> {
        None
    }

    /// What is known of a device's agent.
    fn view<'a>(&'a self, device: &'a Code) -> Doing<'a, AgentView>;

    /// Serves this from now on: also an older text under the generation of the one that took its place.
    fn offer<'a>(&'a self, device: &'a Code, offer: Offer) -> Doing<'a, ()>;

    /// What is not any more as it was before what waits, in words: the agent looks anew for it. Empty where all is well, and
    /// where agents can't be asked that.
    fn problems<'a>(&'a self, _device: &'a Code) -> Doing<'a, Vec<String>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Tells the agent that it may confirm what waits.
    fn confirm<'a>(&'a self, device: &'a Code, hash: TextHash) -> Doing<'a, ()>;

    /// Tells the agent that the time of what waits, that of its order, begins anew. Answers the number of the word, which the
    /// agent says when it has done so ([`AgentView::extended`]); none where this agent can't be told that.
    fn extend<'a>(&'a self, _device: &'a Code, _hash: TextHash) -> Doing<'a, Option<u32>> {
        Box::pin(async { Ok(None) })
    }

    /// Serves again what was served before the offer, and tells the agent to take back what waits.
    fn withdraw<'a>(&'a self, device: &'a Code) -> Doing<'a, ()>;
}

/// Devices by way of their agents.
pub struct AgentPull<P> {
    port: P,
    clock: Clock,
}

impl<P: AgentPort> AgentPull<P> {
    /// By this port.
    #[must_use]
    pub const fn new(port: P, clock: Clock) -> Self {
        Self { port, clock }
    }

    async fn heard(&self, context: &Context) -> Result<AgentView, AdapterError> {
        let view = self.port.view(&context.device).await?;
        if view.is_heard {
            return Ok(view);
        }
        Err(AdapterError::Unreachable(format!("the agent of {} has not been heard of", context.device)))
    }

    /// Waits until the agent has said what this asks for.
    async fn until<T>(
        &self,
        context: &Context,
        mut said: impl FnMut(&AgentView) -> Option<Result<T, AdapterError>> + Send,
    ) -> Result<T, AdapterError> {
        loop {
            if let Some(answer) = said(&self.port.view(&context.device).await?) {
                return answer;
            }
            sleep(self.clock.as_ref(), LOOK).await;
        }
    }
}

/// What an agent's word about this text comes to; none while it has not spoken of it.
fn spoken(view: &AgentView, hash: TextHash, waiting: bool) -> Option<Result<(), AdapterError>> {
    let report = view.report.as_ref().filter(|report| report.hash == hash)?;
    match &report.word {
        Word::Applied => Some(Ok(())),
        Word::Waiting => waiting.then_some(Ok(())),
        Word::Refused(words) => Some(Err(AdapterError::Refused(words.clone()))),
        Word::TookBack(words) => Some(Err(AdapterError::TookBack(words.clone()))),
    }
}

impl<P: AgentPort> Adapter for AgentPull<P> {
    fn transport(&self) -> Transport {
        Transport::AgentPull
    }

    fn abilities(&self) -> Abilities {
        Abilities { merges: false, waits: self.port.can_wait(), reads_back: false }
    }

    fn objection(&self, device: &Code) -> Option<&'static str> {
        self.port.objection(device)
    }

    fn identify<'a>(&'a self, context: &'a Context) -> Doing<'a, Identity> {
        Box::pin(async move {
            let view = self.heard(context).await?;
            Ok(Identity { family: view.family, words: "its agent is heard of".to_owned() })
        })
    }

    fn running<'a>(&'a self, context: &'a Context) -> Doing<'a, String> {
        Box::pin(async move {
            let none = || AdapterError::State("no agent has reported what the device runs".to_owned());
            self.heard(context).await?.running.ok_or_else(none)
        })
    }

    fn compare<'a>(&'a self, context: &'a Context, candidate: &'a Candidate) -> Doing<'a, Comparison> {
        Box::pin(async move {
            let running = self.heard(context).await?.running.unwrap_or_default();
            let diff = diff(&running, &candidate.text);
            Ok(Comparison { equal: diff.is_empty(), diff })
        })
    }

    fn standing<'a>(&'a self, context: &'a Context, candidate: &'a Candidate) -> Doing<'a, Standing> {
        Box::pin(async move {
            let view = self.heard(context).await?;
            let runs = view.running.as_deref() == Some(candidate.text.as_str());
            let waits = matches!(&view.report, Some(AgentReport { word: Word::Waiting, .. }));
            Ok(Standing { runs, pending: if waits { Pending::Ours } else { Pending::Nothing } })
        })
    }

    fn commit<'a>(&'a self, context: &'a Context, candidate: &'a Candidate) -> Doing<'a, ()> {
        Box::pin(async move {
            let offer = Offer {
                candidate: candidate.clone(),
                correlation: context.correlation.clone(),
                waits: context.waits,
                confirm_within_ms: context.confirm_within_ms,
            };
            self.port.offer(&context.device, offer).await?;
            self.until(context, |view| spoken(view, candidate.hash(), true)).await
        })
    }

    fn problems<'a>(&'a self, context: &'a Context, candidate: &'a Candidate) -> Doing<'a, Vec<String>> {
        Box::pin(async move {
            // The agent went back by itself if it lost what it must not lose. That was when it committed: what others
            // committed since then may have taken its neighbours away, and only a new look tells.
            let hash = candidate.hash();
            let view = self.heard(context).await?;
            spoken(&view, hash, true).unwrap_or(Ok(()))?;
            let waits = |report: &AgentReport| report.hash == hash && report.word == Word::Waiting;
            if view.report.as_ref().is_some_and(waits) {
                return self.port.problems(&context.device).await;
            }
            // It had nothing to do, and lost nothing by it.
            Ok(Vec::new())
        })
    }

    fn confirm<'a>(&'a self, context: &'a Context, candidate: &'a Candidate) -> Doing<'a, ()> {
        Box::pin(async move {
            self.port.confirm(&context.device, candidate.hash()).await?;
            self.until(context, |view| spoken(view, candidate.hash(), false)).await
        })
    }

    /// The agent saves by itself, once the generation's slot is final.
    fn save<'a>(&'a self, context: &'a Context) -> Doing<'a, ()> {
        Box::pin(async move {
            let saved = |view: &AgentView| view.report.as_ref().is_some_and(|report| report.startup_saved);
            self.until(context, |view| saved(view).then_some(Ok(()))).await
        })
    }

    fn abort<'a>(&'a self, context: &'a Context) -> Doing<'a, ()> {
        Box::pin(async move {
            self.port.withdraw(&context.device).await?;
            let gone = |view: &AgentView| !matches!(&view.report, Some(AgentReport { word: Word::Waiting, .. }));
            self.until(context, |view| gone(view).then_some(Ok(()))).await
        })
    }

    fn extend<'a>(&'a self, context: &'a Context, candidate: &'a Candidate) -> Doing<'a, Extended> {
        Box::pin(async move {
            let hash = candidate.hash();
            let Some(number) = self.port.extend(&context.device, hash).await? else {
                return Ok(Extended::Kept("the agent is of a version before that, or its device has no means to"));
            };
            self.until(context, |view| {
                if view.extended >= number {
                    return Some(Ok(Extended::Anew));
                }
                match spoken(view, hash, false)? {
                    Ok(()) => Some(Ok(Extended::Kept("it is confirmed"))),
                    Err(error) => Some(Err(error)),
                }
            })
            .await
        })
    }

    /// An agent takes no older generation than it had: what ran before is offered under that of what took its place.
    fn restore<'a>(&'a self, context: &'a Context, candidate: &'a Candidate, text: &'a str) -> Doing<'a, ()> {
        Box::pin(async move {
            let before = Candidate { text: text.to_owned(), ..candidate.clone() };
            let hash = before.hash();
            let offer = Offer {
                candidate: before,
                correlation: context.correlation.clone(),
                waits: false,
                confirm_within_ms: context.confirm_within_ms,
            };
            self.port.offer(&context.device, offer).await?;
            self.until(context, |view| spoken(view, hash, false)).await
        })
    }
}
