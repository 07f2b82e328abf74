//! What a family of devices needs: how it is recognised, what has to be so before it is touched, and how a configuration
//! is brought, verified, kept and taken back.
//!
//! Most of it is alike; what is alike is in the provided methods, over [`Adapter`]'s verbs. A family is one file that
//! says what is different, and one line in [`crate::registry::Registry::standard`]:
//!
//! ```
//! use std::sync::Arc;
//!
//! use causeway_jobs::{
//!     Registry,
//!     spec::{Family, Target, Transport},
//!     strategy::Strategy,
//! };
//!
//! /// Another kind of simulated router, which only its agent reaches.
//! struct Another;
//!
//! impl Strategy for Another {
//!     fn family(&self) -> Family {
//!         Family::Simulator
//!     }
//!
//!     fn transports(&self) -> &'static [Transport] {
//!         &[Transport::AgentPull]
//!     }
//! }
//!
//! let registry = Registry::standard().with(Arc::new(Another));
//! let device = "r1".parse().unwrap();
//! let target = Target { device, family: Family::Simulator, transport: Transport::InMemory };
//! let refused = registry.pair(&target).map(|_| ()).unwrap_err();
//! assert!(refused.message.contains("are reached over agent-pull, not over in-memory"));
//! ```

mod eos;
mod frr;
mod simulator;

use futures::future::BoxFuture;

pub use self::{eos::Eos, frr::Frr, simulator::Simulator};
use crate::{
    adapter::{Abilities, Adapter, AdapterError, Candidate, Context, Pending, Standing},
    error::{self, Class, StepError, Trouble},
    spec::{Family, Transport},
};

/// What a strategy's method answers.
pub type Outcome<'a, T> = BoxFuture<'a, Result<T, StepError>>;

/// Whether something may be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PreCheck {
    /// It may.
    Ready(String),
    /// It is so already: a success.
    AlreadyDone(String),
    /// It may not.
    Refused {
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Did {
    /// It, in words.
    Now(String),
    /// Nothing: it was so.
    Already(String),
}

/// A family of devices.
pub trait Strategy: Send + Sync + 'static {
    /// Which.
    fn family(&self) -> Family;

    /// By which ways it is reached.
    fn transports(&self) -> &'static [Transport];

    /// A text that must not be sent to such a device; none where it may.
    fn objection(&self, _candidate: &Candidate) -> Option<String> {
        None
    }

    /// A text that makes a device run again what it told of itself; the same where it takes what it tells.
    fn again(&self, told: &str) -> String {
        told.to_owned()
    }

    /// Finds out what the device is.
    fn detect<'a>(&'a self, adapter: &'a dyn Adapter, context: &'a Context) -> Outcome<'a, PreCheck> {
        Box::pin(async move {
            let identity = adapter.identify(context).await?;
            Ok(match identity.family {
                Some(family) if family != self.family() => PreCheck::Refused {
                    expected: format!("a device of family {}", self.family().name()),
                    found: format!("{} ({})", family.name(), identity.words),
                },
                Some(_) | None => PreCheck::Ready(identity.words),
            })
        })
    }

    /// Whether the device may be touched, before anything of it is known but what it is.
    fn pre_check<'a>(&'a self, adapter: &'a dyn Adapter, context: &'a Context) -> Outcome<'a, PreCheck> {
        Box::pin(async move {
            // Nothing runs an empty text; what is asked is what waits for a confirmation.
            let nothing = Candidate { generation: 0, family: self.family(), text: String::new() };
            Ok(match adapter.standing(context, &nothing).await?.pending {
                Pending::Nothing => PreCheck::Ready("no commit waits for its confirmation".to_owned()),
                Pending::Ours => PreCheck::Ready("an earlier commit of ours waits; it is taken back first".to_owned()),
                Pending::Foreign(words) => {
                    PreCheck::Refused { expected: "no commit that waits for its confirmation".to_owned(), found: words }
                }
            })
        })
    }

    /// Makes the configuration run, to be confirmed.
    fn provision<'a>(
        &'a self,
        adapter: &'a dyn Adapter,
        context: &'a Context,
        candidate: &'a Candidate,
    ) -> Outcome<'a, Did> {
        Box::pin(provision(adapter, context, candidate))
    }

    /// Whether it does there what was meant.
    fn verify<'a>(
        &'a self,
        adapter: &'a dyn Adapter,
        context: &'a Context,
        candidate: &'a Candidate,
    ) -> Outcome<'a, Did> {
        Box::pin(verify(adapter, context, candidate))
    }

    /// Keeps it, and makes it what the device starts with.
    fn confirm<'a>(
        &'a self,
        adapter: &'a dyn Adapter,
        context: &'a Context,
        candidate: &'a Candidate,
    ) -> Outcome<'a, Did> {
        Box::pin(confirm(adapter, context, candidate))
    }

    /// Makes the device run what it ran before, whatever was done of the above.
    fn rollback<'a>(
        &'a self,
        adapter: &'a dyn Adapter,
        context: &'a Context,
        candidate: &'a Candidate,
        before: Option<&'a str>,
    ) -> Outcome<'a, Did> {
        Box::pin(rollback(adapter, context, candidate, before, |told| self.again(told)))
    }
}

async fn provision(adapter: &dyn Adapter, context: &Context, candidate: &Candidate) -> Result<Did, StepError> {
    match adapter.standing(context, candidate).await? {
        Standing { runs: true, pending: Pending::Ours } => {
            return Ok(Did::Already("it was committed before and waits for its confirmation".to_owned()));
        }
        Standing { runs: true, pending: Pending::Nothing } => {
            return Ok(Did::Already("the device runs it".to_owned()));
        }
        Standing { runs: false, pending: Pending::Ours } => adapter.abort(context).await?,
        Standing { pending: Pending::Foreign(words), .. } => {
            return Err(AdapterError::State(format!("another commit waits for its confirmation: {words}")).into());
        }
        Standing { runs: false, pending: Pending::Nothing } => {}
    }
    adapter.commit(context, candidate).await?;
    Ok(Did::Now(format!("generation {} runs and goes back unless it is confirmed", candidate.generation)))
}

async fn verify(adapter: &dyn Adapter, context: &Context, candidate: &Candidate) -> Result<Did, StepError> {
    let standing = adapter.standing(context, candidate).await?;
    if !standing.runs {
        let wanted = format!("what was committed, {}", hex::encode(candidate.hash().0));
        let kind = if standing.pending == Pending::Nothing { error::REVERTED_BY_ITSELF } else { error::VERIFY_FAILED };
        return Err(StepError { trouble: Trouble::Other, ..kind.mismatch(wanted, "another configuration") });
    }
    let problems = adapter.problems(context, candidate).await?;
    if problems.is_empty() {
        return Ok(Did::Now("it runs, and every neighbour that was there is there".to_owned()));
    }
    // Neighbours may be on their way back: looked at again as often as the step is tried.
    let mut error = error::VERIFY_FAILED.transient(Trouble::Other, problems.join("; "));
    error.expected = Some("every neighbour that was there before".to_owned());
    error.found = Some(error.message.clone());
    Err(error)
}

async fn confirm(adapter: &dyn Adapter, context: &Context, candidate: &Candidate) -> Result<Did, StepError> {
    let standing = adapter.standing(context, candidate).await?;
    let already = match standing {
        Standing { runs: true, pending: Pending::Nothing } => true,
        Standing { runs: true, pending: Pending::Ours } => {
            adapter.confirm(context, candidate).await?;
            false
        }
        Standing { runs: true, pending: Pending::Foreign(words) } => {
            return Err(AdapterError::State(format!("another commit waits for its confirmation: {words}")).into());
        }
        Standing { runs: false, .. } => {
            return Err(AdapterError::TookBack("it does not run any more".to_owned()).into());
        }
    };
    if let Err(error) = adapter.save(context).await {
        // It is confirmed: it stays, and only the next start of the device is in question.
        return Err(error::STARTUP_NOT_SAVED.error(Class::NonCritical, Trouble::Device, error.to_string()));
    }
    Ok(if already {
        Did::Already("it was confirmed".to_owned())
    } else {
        Did::Now("confirmed, and saved as what the device starts with".to_owned())
    })
}

async fn rollback(
    adapter: &dyn Adapter,
    context: &Context,
    candidate: &Candidate,
    before: Option<&str>,
    again: impl Fn(&str) -> String + Send,
) -> Result<Did, StepError> {
    let Abilities { reads_back, .. } = adapter.abilities();
    let mut standing = adapter.standing(context, candidate).await?;
    let aborted = standing.pending == Pending::Ours;
    if aborted {
        adapter.abort(context).await?;
        standing = adapter.standing(context, candidate).await?;
    }
    if standing.pending == Pending::Ours {
        return Err(
            AdapterError::State("the commit was taken back and still waits for its confirmation".to_owned()).into()
        );
    }
    let was_so = before == Some(candidate.text.as_str());
    let mut restored = false;
    if standing.runs && !was_so {
        let Some(before) = before else {
            return Err(error::NO_BACKUP.critical(Trouble::Other, "it was confirmed, and no backup was taken"));
        };
        adapter.restore(context, candidate, &again(before)).await?;
        restored = true;
    }
    if let Some(before) = before.filter(|_| reads_back) {
        let running = adapter.running(context).await?;
        if running != before {
            let hash = |text: &str| hex::encode(causeway_agent::bundle::TextHash::of(text).0);
            let error = error::DEVICE_STATE.mismatch(hash(before), hash(&running));
            return Err(StepError { class: Class::Transient, trouble: Trouble::Device, ..error });
        }
    }
    Ok(match (aborted, restored) {
        (_, true) => Did::Now("what ran before was brought back after the confirmation".to_owned()),
        (true, false) => Did::Now("the commit was taken back".to_owned()),
        (false, false) => Did::Already("the device runs what it ran".to_owned()),
    })
}
