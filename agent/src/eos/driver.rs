//! The verbs, as calls to a switch.
//!
//! What is known of a session is written down before the call that changes it, so that a verb that is cut off at any
//! await is found again by the next one.

use std::{collections::BTreeSet, time::Duration};

use serde_json::Value;
use similar::TextDiff;
use tokio::sync::{Mutex, MutexGuard};

use super::{
    config::{EosConfig, EosConfigError, Timeouts},
    managed::{Managed, ManagedFile},
    prober::{NoProber, Prober},
    rpc::{self, CallError, CommandFailure, Format},
    session::{self, Listing},
    show,
    text::{self, Line},
    transport::Eapi,
};
use crate::driver::{Adjacency, Comparison, Driver, DriverError, InterfaceCounters, ProbeOutcome, Target};

/// What runs, whole.
const RUNNING: &str = "show running-config";
/// Makes what runs what the switch starts with.
const SAVE: &str = "copy running-config startup-config";
/// Lines around a change in a difference that is made here.
const CONTEXT_LINES: usize = 3;
/// Commands before the first line of a text in the call that enters it.
const BEFORE_LINES: usize = 2;

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
}

struct Inner {
    candidate: Option<Candidate>,
    managed: Managed,
    /// Sessions that an earlier process left were looked for.
    swept: bool,
}

/// A switch's management.
pub struct EosDriver<P = NoProber> {
    eapi: Eapi,
    timeouts: Timeouts,
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
            eapi: Eapi::new(config)?,
            timeouts: config.timeouts,
            file,
            prober,
            inner: Mutex::new(Inner { candidate: None, managed, swept: false }),
        })
    }

    async fn one(&self, command: String, format: Format, within: Duration) -> Result<Value, DriverError> {
        let mut answers =
            self.eapi.run(std::slice::from_ref(&command), format, within).await.map_err(|e| told(e, &command))?;
        answers.pop().ok_or_else(|| DriverError::Unreachable("no answer to the only command".to_owned()))
    }

    async fn list(&self) -> Result<Listing, DriverError> {
        let answer = self.one(session::LIST.to_owned(), Format::Json, self.timeouts.show).await?;
        Listing::read(&answer).map_err(|error| told(error, session::LIST))
    }

    async fn running(&self) -> Result<String, DriverError> {
        let answer = self.one(RUNNING.to_owned(), Format::Text, self.timeouts.show).await?;
        Ok(rpc::output(&answer).map_err(|error| told(error, RUNNING))?.to_owned())
    }

    /// Aborts a session, or finds that it is over already: its timer went off, or the switch restarted.
    async fn abort(&self, name: &str) -> Result<(), DriverError> {
        match self.one(session::abort(name), Format::Text, self.timeouts.revert).await {
            Err(refused @ DriverError::State(_)) => {
                let listing = self.list().await?;
                let there = listing.is_open(name) || listing.timed.as_deref() == Some(name);
                if there { Err(refused) } else { Ok(()) }
            }
            done => done.map(drop),
        }
    }

    /// Drops our open sessions; those of others are nobody's business here.
    async fn sweep(&self, listing: &Listing) -> Result<(), DriverError> {
        for name in listing.our_open() {
            tracing::info!(session = %name, "an open session of an agent is dropped");
            self.abort(name).await?;
        }
        Ok(())
    }

    /// Opens a session and enters a text, after taking back what earlier texts set and this one does not name. Answers
    /// what ran before.
    async fn enter(&self, name: &str, lines: &[Line]) -> Result<String, DriverError> {
        let first = [RUNNING.to_owned(), session::enter(name)];
        let commands: Vec<String> = first.into_iter().chain(lines.iter().map(|line| line.command.clone())).collect();
        match self.eapi.run(&commands, Format::Text, self.timeouts.load).await {
            Ok(answers) => {
                let base = answers.first().map(rpc::output);
                match base {
                    Some(Ok(base)) => Ok(whole(base)),
                    Some(Err(error)) => Err(told(error, RUNNING)),
                    None => Err(DriverError::Unreachable("no answer to any command".to_owned())),
                }
            }
            Err(error) => Err(refused(error, lines)),
        }
    }

    /// The managed part of what a session makes run, and the difference to what runs.
    async fn read_session(&self, name: &str, owns: impl Fn(&str) -> bool) -> Result<(String, String), DriverError> {
        let commands = [session::show(name), session::diffs(name)];
        let called = self.eapi.run(&commands, Format::Text, self.timeouts.compare).await;
        let answers = called.map_err(|error| told(error, &session::show(name)))?;
        match answers.as_slice() {
            [shown, diff] => {
                let read = |answer| rpc::output(answer).map_err(|error| told(error, &session::diffs(name)));
                Ok((text::part(read(shown)?, owns), read(diff)?.to_owned()))
            }
            _ => Err(DriverError::Unreachable("not as many answers as commands".to_owned())),
        }
    }

    /// Compares a text that is not the candidate's, in a session of its own that is dropped again.
    async fn compare_apart(&self, inner: &Inner, text: &str) -> Result<Comparison, DriverError> {
        let lines = with_removals(&inner.managed, text)?;
        let name = session::fresh_name();
        let compared = match self.enter(&name, &lines).await {
            Ok(_) => self.read_session(&name, |_| false).await.map(|(_, diff)| comparison(&diff)),
            Err(error) => Err(error),
        };
        // Best effort: one that stays is swept before the next one is opened.
        let _ = self.abort(&name).await;
        compared
    }

    async fn write(&self, managed: &Managed) -> Result<(), DriverError> {
        let (file, managed) = (self.file.clone(), managed.clone());
        let written = tokio::task::spawn_blocking(move || file.write(&managed)).await;
        let failed =
            |why: String| DriverError::State(format!("{} can not be written: {why}", self.file.path().display()));
        written.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
    }

    /// Lets go of the last candidate. One whose confirmation was never answered, and that runs, was confirmed.
    async fn settle_last(&self, inner: &mut Inner) -> Result<(), DriverError> {
        let Some(last) = inner.candidate.as_ref().filter(|last| last.sent) else {
            inner.candidate = None;
            return Ok(());
        };
        let running = text::part(&self.running().await?, owned(&inner.managed, &last.text));
        if last.wanted.as_ref() == Some(&running) {
            inner.managed.confirm(&last.text);
            self.note(&inner.managed).await;
        }
        inner.candidate = None;
        Ok(())
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
        let listing = self.list().await?;
        if let Some(name) = listing.our_timed() {
            let known = inner.candidate.as_ref().is_some_and(|candidate| candidate.sent && candidate.name == name);
            if known {
                return Err(DriverError::State(format!("the commit of session {name} still awaits its confirmation")));
            }
            // A commit that was given up, and that the switch came to after all. A name that it had forgotten by then
            // made it commit an empty session; either way nobody waits for it.
            tracing::warn!(session = %name, "a commit that was given up came to run; it is taken back");
            self.abort(name).await?;
        }
        self.sweep(&listing).await?;
        self.settle_last(&mut inner).await?;
        inner.swept = true;
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
        inner.candidate =
            Some(Candidate { name: name.clone(), text: text.to_owned(), base: None, wanted: None, sent: false });
        match self.enter(&name, &lines).await {
            Ok(base) => {
                if let Some(candidate) = &mut inner.candidate {
                    candidate.base = Some(base);
                }
                Ok(())
            }
            Err(error @ DriverError::Refused(_)) => {
                // Best effort: one that stays is swept before the next one is opened.
                let _ = self.abort(&name).await;
                inner.candidate = None;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    async fn discard_candidate(&self) -> Result<(), DriverError> {
        let mut inner = self.inner().await;
        let Some(candidate) = inner.candidate.as_ref().filter(|candidate| !candidate.sent) else { return Ok(()) };
        self.abort(&candidate.name).await?;
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
                let running = text::part(&self.running().await?, ours);
                Ok(difference(&running, wanted))
            }
            Some(_) | None => {
                let (wanted, diff) = self.read_session(&candidate.name, ours).await?;
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
        let listing = self.list().await?;
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
            candidate.wanted = Some(self.read_session(&candidate.name, ours).await?.0);
        }
        if whole(&self.running().await?) != *base {
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
        self.one(command, Format::Text, self.timeouts.commit).await?;
        let armed = self.list().await?;
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
        if self.list().await?.our_timed() != Some(candidate.name.as_str()) {
            return Err(nothing());
        }
        self.one(session::commit(&candidate.name), Format::Text, self.timeouts.confirm).await?;
        // Between the look and the confirmation the timer may have gone off: looked at again.
        if self.list().await?.our_timed().is_some() {
            return Err(DriverError::State("the switch still lists the timer after the confirmation".to_owned()));
        }
        let running = text::part(&self.running().await?, owned(&inner.managed, &candidate.text));
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
        let listing = self.list().await?;
        let timed = listing.our_timed();
        if let Some(name) = timed {
            self.abort(name).await?;
        }
        self.sweep(&listing).await?;
        let after = self.list().await?;
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
        let listing = self.list().await?;
        if listing.our_timed().is_some() {
            return Ok(true);
        }
        if let Some(candidate) = inner.candidate.as_ref().filter(|candidate| candidate.sent) {
            // Sent and still open: the switch may be about to carry it out.
            return Ok(listing.is_open(&candidate.name));
        }
        if !inner.swept && inner.candidate.is_none() {
            // One that an earlier process left may be in the middle of its commit; then it can't be dropped.
            if let Err(error) = self.sweep(&listing).await {
                tracing::warn!(%error, "a session of an earlier agent can not be dropped yet");
                return Ok(true);
            }
            inner.swept = true;
        }
        Ok(false)
    }

    async fn save_startup(&self) -> Result<(), DriverError> {
        let _inner = self.inner().await;
        if let Some(name) = self.list().await?.timed {
            return Err(DriverError::State(format!(
                "the commit of session {name} awaits its confirmation; what may go away again is not saved"
            )));
        }
        self.one(SAVE.to_owned(), Format::Text, self.timeouts.save).await.map(drop)
    }

    async fn running_text(&self) -> Result<String, DriverError> {
        let managed = self.inner().await.managed.clone();
        Ok(text::part(&self.running().await?, |header| managed.owns(header)))
    }

    async fn wanted_adjacencies(&self, text: &str) -> Result<BTreeSet<String>, DriverError> {
        Ok(text::wanted_adjacencies(text))
    }

    async fn counters(&self) -> Result<Vec<InterfaceCounters>, DriverError> {
        let answer = self.one(show::INTERFACES.to_owned(), Format::Json, self.timeouts.show).await?;
        let (read, without) = show::counters(&answer).map_err(|error| told(error, show::INTERFACES))?;
        if !without.is_empty() {
            tracing::debug!(interfaces = ?without, "no counters");
        }
        Ok(read)
    }

    async fn adjacencies(&self) -> Result<Vec<Adjacency>, DriverError> {
        let commands = [show::CIRCUITS.to_owned(), show::NEIGHBORS.to_owned()];
        let called = self.eapi.run(&commands, Format::Json, self.timeouts.show).await;
        match called.map_err(|error| told(error, show::NEIGHBORS))?.as_slice() {
            [circuits, neighbors] => {
                show::adjacencies(circuits, neighbors).map_err(|error| told(error, show::NEIGHBORS))
            }
            _ => Err(DriverError::Unreachable("not as many answers as commands".to_owned())),
        }
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

/// A configuration without its comments.
fn whole(configuration: &str) -> String {
    text::part(configuration, |_| true)
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

/// What a failed call means, where no line of a text was at fault.
fn told(error: CallError, command: &str) -> DriverError {
    match error {
        CallError::Transport(why) => DriverError::Unreachable(why),
        CallError::Answer(why) => DriverError::Unreachable(format!("{why} (asked: {command})")),
        CallError::Command(CommandFailure { code, words, .. }) => {
            DriverError::State(format!("{words} (eAPI {code}, asked: {command})"))
        }
    }
}

/// What a failed call means that entered a text.
fn refused(error: CallError, lines: &[Line]) -> DriverError {
    let CallError::Command(failure) = &error else { return told(error, "a text") };
    let at = failure.index.and_then(|index| index.checked_sub(BEFORE_LINES)).and_then(|index| lines.get(index));
    match at {
        Some(Line { command, place: Some(place) }) => {
            DriverError::Refused(text::refusal(*place, command, &failure.words))
        }
        Some(Line { command, place: None }) => {
            DriverError::Refused(format!("taking back what an earlier text set: {}: {command:?}", failure.words))
        }
        None => told(error, "configure session"),
    }
}
