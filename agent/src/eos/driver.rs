//! The verbs, as calls to a switch.
//!
//! What is known of a session is written down before the call that changes it, so that a verb that is cut off at any
//! await is found again by the next one.

use std::{collections::BTreeSet, time::Duration};

use similar::TextDiff;
use tokio::sync::{Mutex, MutexGuard};

use super::{
    calls::{Calls, whole},
    config::{EosConfig, EosConfigError},
    managed::{Managed, ManagedFile},
    routing::Wanted,
    rpc::Format,
    session,
    text::{self, Line},
};
use crate::{
    driver::{
        Adjacency, Comparison, Cpu, Driver, DriverError, InterfaceCounters, ProbeOutcome, Reach, Session, Target,
    },
    probing::{NoProber, Prober},
};

/// Makes what runs what the switch starts with.
const SAVE: &str = "copy running-config startup-config";
/// Lines around a change in a difference that is made here.
const CONTEXT_LINES: usize = 3;

/// The session that holds the candidate.
struct Candidate {
    name: String,
    text: String,
    /// What ran when it was opened, whole: EOS commits on top of that and nothing else.
    base: Option<String>,
    /// The managed part of what it makes run, in the switch's words; none until it was shown.
    wanted: Option<String>,
    /// The commit was sent: it may run, or come to run.
    sent: bool,
    /// It awaits nothing any more: it was confirmed, or it is gone.
    over: bool,
}

struct Inner {
    candidate: Option<Candidate>,
    managed: Managed,
    /// Sessions that an earlier process left were looked for.
    swept: bool,
}

/// A switch's management.
pub struct EosDriver<P = NoProber> {
    calls: Calls,
    file: ManagedFile,
    prober: P,
    inner: Mutex<Inner>,
}

impl<P: Prober> EosDriver<P> {
    /// Makes ready; connects nothing yet.
    ///
    /// # Errors
    /// [`EosConfigError`]: what can't work.
    pub fn new(config: &EosConfig, prober: P) -> Result<Self, EosConfigError> {
        let file = ManagedFile(config.managed_file.clone());
        let managed = file.read().map_err(|source| EosConfigError::Managed { path: file.path().to_owned(), source })?;
        Ok(Self {
            calls: Calls::new(config)?,
            file,
            prober,
            inner: Mutex::new(Inner { candidate: None, managed, swept: false }),
        })
    }

    /// Compares a text that is not the candidate's, in a session of its own that is dropped again.
    async fn compare_apart(&self, inner: &Inner, text: &str) -> Result<Comparison, DriverError> {
        let lines = with_removals(&inner.managed, text)?;
        let name = session::fresh_name();
        let compared = match self.calls.enter(&name, &lines).await {
            Ok(_) => self.calls.read_session(&name, |_| false).await.map(|(_, diff)| comparison(&diff)),
            Err(error) => Err(error),
        };
        // Best effort: one that stays is swept before the next one is opened.
        let _ = self.calls.abort(&name).await;
        compared
    }

    async fn write(&self, managed: &Managed) -> Result<(), DriverError> {
        let (file, managed) = (self.file.clone(), managed.clone());
        let written = tokio::task::spawn_blocking(move || file.write(&managed)).await;
        let failed =
            |why: String| DriverError::State(format!("{} can not be written: {why}", self.file.path().display()));
        written.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
    }

    /// Writes down what runs already. What was tried before is in the file and counts as ours, so that a failure costs
    /// nothing; the next one writes it again.
    async fn note(&self, managed: &Managed) {
        if let Err(error) = self.write(managed).await {
            tracing::warn!(%error, "the record of what is Causeway's is behind");
        }
    }

    async fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().await
    }
}

impl<P: Prober> Driver for EosDriver<P> {
    fn family(&self) -> &'static str {
        "eos"
    }

    async fn load_candidate(&self, text: &str) -> Result<(), DriverError> {
        // A text that must not be entered is refused before anything is asked.
        text::lines(text)?;
        let mut inner = self.inner().await;
        let listing = self.calls.list().await?;
        if let Some(name) = listing.our_timed() {
            let known = inner.candidate.as_ref().is_some_and(|candidate| candidate.sent && candidate.name == name);
            if known {
                return Err(DriverError::State(format!("the commit of session {name} still awaits its confirmation")));
            }
            // A commit that was given up, and that the switch came to after all. A name that it had forgotten by then
            // made it commit an empty session; either way nobody waits for it.
            tracing::warn!(session = %name, "a commit that was given up came to run; it is taken back");
            self.calls.abort(name).await?;
        }
        self.calls.sweep(&listing).await?;
        (inner.candidate, inner.swept) = (None, true);
        let lines = with_removals(&inner.managed, text)?;
        let others: Vec<&str> = listing.open().filter(|name| !session::is_ours(name)).collect();
        if listing.limit.is_some_and(|limit| others.len() as u64 >= limit) {
            let names = others.join(", ");
            return Err(DriverError::State(format!(
                "the switch holds as many open sessions as it can, none of them ours: {names}; one of them has to be \
                 committed or aborted"
            )));
        }
        let name = session::fresh_name();
        inner.candidate = Some(Candidate {
            name: name.clone(),
            text: text.to_owned(),
            base: None,
            wanted: None,
            sent: false,
            over: false,
        });
        match self.calls.enter(&name, &lines).await {
            Ok(base) => {
                if let Some(candidate) = &mut inner.candidate {
                    candidate.base = Some(base);
                }
                Ok(())
            }
            Err(error @ DriverError::Refused(_)) => {
                // Best effort: one that stays is swept before the next one is opened.
                let _ = self.calls.abort(&name).await;
                inner.candidate = None;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    async fn discard_candidate(&self) -> Result<(), DriverError> {
        let mut inner = self.inner().await;
        let Some(candidate) = inner.candidate.as_ref().filter(|candidate| !candidate.sent) else { return Ok(()) };
        self.calls.abort(&candidate.name).await?;
        inner.candidate = None;
        Ok(())
    }

    async fn compare(&self, text: &str) -> Result<Comparison, DriverError> {
        let mut guard = self.inner().await;
        let inner = &mut *guard;
        let same = inner.candidate.as_mut().filter(|candidate| candidate.text == text);
        let Some(candidate) = same else { return self.compare_apart(inner, text).await };
        let ours = owned(&inner.managed, text);
        match &candidate.wanted {
            Some(wanted) if candidate.sent => {
                let comparison = difference(&text::part(&self.calls.running().await?, ours), wanted);
                if candidate.over && comparison.equal {
                    // Its confirmation was not answered, and was carried out.
                    inner.managed.confirm(text);
                    self.note(&inner.managed).await;
                }
                Ok(comparison)
            }
            Some(_) | None => {
                let (wanted, diff) = self.calls.read_session(&candidate.name, ours).await?;
                candidate.wanted = Some(wanted);
                let comparison = comparison(&diff);
                if comparison.equal {
                    // It runs, without a commit: its sections are ours from here on, and what others said is gone.
                    inner.managed.confirm(text);
                    self.note(&inner.managed).await;
                }
                Ok(comparison)
            }
        }
    }

    async fn commit(&self, revert_after: Duration) -> Result<(), DriverError> {
        let mut guard = self.inner().await;
        let inner = &mut *guard;
        let open = inner.candidate.as_mut().filter(|candidate| !candidate.sent);
        let Some(candidate) = open else { return Err(DriverError::State("no candidate is loaded".to_owned())) };
        let Some(base) = &candidate.base else {
            return Err(DriverError::State("the candidate was not loaded to its end".to_owned()));
        };
        let command = session::commit_timer(&candidate.name, revert_after).map_err(|wrong| {
            DriverError::State(format!("{} s is no time that a commit timer can have", wrong.as_secs_f32()))
        })?;
        let listing = self.calls.list().await?;
        if let Some(other) = &listing.timed {
            return Err(DriverError::State(format!(
                "the commit of session {other} awaits its confirmation, and a switch has one commit timer; confirm or \
                 abort that one first"
            )));
        }
        if !listing.is_open(&candidate.name) {
            return Err(DriverError::State(format!("session {} is gone from the switch", candidate.name)));
        }
        if candidate.wanted.is_none() {
            let ours = owned(&inner.managed, &candidate.text);
            candidate.wanted = Some(self.calls.read_session(&candidate.name, ours).await?.0);
        }
        if whole(&self.calls.running().await?) != *base {
            return Err(DriverError::State(
                "somebody changed what runs since the candidate was loaded, and its commit would take that back; it is \
                 loaded anew at the next try"
                    .to_owned(),
            ));
        }
        let mut managed = inner.managed.clone();
        managed.trying(&candidate.text);
        self.write(&managed).await?;
        inner.managed = managed;
        candidate.sent = true;
        self.calls.one(command, Format::Text, self.calls.timeouts.commit).await?;
        let armed = self.calls.list().await?;
        if armed.our_timed() != Some(candidate.name.as_str()) {
            return Err(DriverError::State("the switch does not list the timer of the commit".to_owned()));
        }
        Ok(())
    }

    async fn confirm(&self) -> Result<(), DriverError> {
        let mut guard = self.inner().await;
        let inner = &mut *guard;
        let nothing = || DriverError::State("nothing awaits confirmation: it was reverted in time".to_owned());
        let Some(candidate) = inner.candidate.as_ref().filter(|candidate| candidate.sent) else {
            return Err(nothing());
        };
        // Confirming a session that is gone would open and commit an empty one of its name: looked at first.
        if self.calls.list().await?.our_timed() != Some(candidate.name.as_str()) {
            return Err(nothing());
        }
        self.calls.one(session::commit(&candidate.name), Format::Text, self.calls.timeouts.confirm).await?;
        // Between the look and the confirmation the timer may have gone off: looked at again.
        if self.calls.list().await?.our_timed().is_some() {
            return Err(DriverError::State("the switch still lists the timer after the confirmation".to_owned()));
        }
        let running = text::part(&self.calls.running().await?, owned(&inner.managed, &candidate.text));
        if candidate.wanted.as_ref() != Some(&running) {
            return Err(nothing());
        }
        inner.managed.confirm(&candidate.text);
        inner.candidate = None;
        self.note(&inner.managed).await;
        Ok(())
    }

    async fn revert(&self) -> Result<(), DriverError> {
        let mut inner = self.inner().await;
        let listing = self.calls.list().await?;
        let timed = listing.our_timed();
        if let Some(name) = timed {
            self.calls.abort(name).await?;
        }
        self.calls.sweep(&listing).await?;
        let after = self.calls.list().await?;
        if let Some(name) = after.our_timed().or_else(|| after.our_open().next()) {
            return Err(DriverError::State(format!("session {name} was aborted and is still there")));
        }
        inner.candidate = None;
        if timed.is_some() {
            inner.managed.forget_tried();
            self.note(&inner.managed).await;
        }
        Ok(())
    }

    async fn is_pending(&self) -> Result<bool, DriverError> {
        let mut inner = self.inner().await;
        let listing = self.calls.list().await?;
        if listing.our_timed().is_some() {
            return Ok(true);
        }
        if let Some(candidate) = inner.candidate.as_mut().filter(|candidate| candidate.sent) {
            // Sent and still open: the switch may be about to carry it out.
            candidate.over = !listing.is_open(&candidate.name);
            return Ok(!candidate.over);
        }
        if !inner.swept && inner.candidate.is_none() {
            // One that an earlier process left may be in the middle of its commit; then it can't be dropped.
            if let Err(error) = self.calls.sweep(&listing).await {
                tracing::warn!(%error, "a session of an earlier agent can not be dropped yet");
                return Ok(true);
            }
            inner.swept = true;
        }
        Ok(false)
    }

    async fn save_startup(&self) -> Result<(), DriverError> {
        let _inner = self.inner().await;
        if let Some(name) = self.calls.list().await?.timed {
            return Err(DriverError::State(format!(
                "the commit of session {name} awaits its confirmation; what may go away again is not saved"
            )));
        }
        self.calls.one(SAVE.to_owned(), Format::Text, self.calls.timeouts.save).await.map(drop)
    }

    async fn running_text(&self) -> Result<String, DriverError> {
        let managed = self.inner().await.managed.clone();
        Ok(text::part(&self.calls.running().await?, |header| managed.owns(header)))
    }

    async fn wanted_adjacencies(&self, text: &str) -> Result<BTreeSet<String>, DriverError> {
        Ok(text::wanted_adjacencies(text))
    }

    async fn counters(&self) -> Result<Vec<InterfaceCounters>, DriverError> {
        self.calls.counters().await
    }

    async fn adjacencies(&self) -> Result<Vec<Adjacency>, DriverError> {
        self.calls.adjacencies().await
    }

    async fn sessions(&self) -> Result<Vec<Session>, DriverError> {
        self.calls.sessions(true).await
    }

    async fn cpu(&self) -> Result<Option<Cpu>, DriverError> {
        Ok(Some(Cpu::BusyPermille(self.calls.busy_permille().await?)))
    }

    async fn reach(&self, text: &str) -> Result<Reach, DriverError> {
        let wanted = Wanted::read(text);
        if wanted.peers.is_empty() {
            return Ok(Reach::default());
        }
        let sessions = self.calls.sessions(wanted.vpn).await?;
        Ok(wanted.reach(&sessions, &self.calls.host_routes().await?))
    }

    async fn probe(&self, targets: &[Target], count: u32) -> Result<Vec<ProbeOutcome>, DriverError> {
        self.prober.probe(targets, count).await
    }
}

/// A text's lines, behind those that take back what earlier texts set and this one does not name.
fn with_removals(managed: &Managed, text: &str) -> Result<Vec<Line>, DriverError> {
    let lines = text::lines(text)?;
    let stale = managed.stale(text);
    let removals = stale.iter().filter_map(|interface| text::removal(interface));
    Ok(removals.map(|command| Line { command, place: None }).chain(lines).collect())
}

/// Sections that are Causeway's before or after a text.
fn owned(managed: &Managed, text: &str) -> impl Fn(&str) -> bool {
    let (managed, named) = (managed.clone(), text::headers(text));
    move |header| managed.owns(header) || named.contains(header)
}

fn comparison(diff: &str) -> Comparison {
    if text::is_empty_diff(diff) {
        return Comparison { equal: true, diff: String::new() };
    }
    Comparison { equal: false, diff: text::without_secrets(diff) }
}

fn difference(running: &str, wanted: &str) -> Comparison {
    if running == wanted {
        return Comparison { equal: true, diff: String::new() };
    }
    let diff = TextDiff::from_lines(running, wanted).unified_diff().context_radius(CONTEXT_LINES).to_string();
    Comparison { equal: false, diff: text::without_secrets(&diff) }
}
