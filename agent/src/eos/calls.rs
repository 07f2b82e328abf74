//! Calls to a switch, and what their failures mean to a driver.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    time::Duration,
};

use serde_json::Value;

use super::{
    config::{EosConfig, EosConfigError, Timeouts},
    routing,
    rpc::{self, CallError, CommandFailure, Format},
    session::{self, Listing},
    show,
    text::{self, Line},
    transport::Eapi,
};
use crate::driver::{Adjacency, DriverError, InterfaceCounters, Session};

/// What runs, whole.
const RUNNING: &str = "show running-config";
/// Commands before the first line of a text in the call that enters it.
const BEFORE_LINES: usize = 2;

/// A switch, as calls.
pub struct Calls {
    eapi: Eapi,
    /// Time limit of each.
    pub timeouts: Timeouts,
}

impl Calls {
    /// Makes ready; connects nothing yet.
    pub fn new(config: &EosConfig) -> Result<Self, EosConfigError> {
        Ok(Self { eapi: Eapi::new(config)?, timeouts: config.timeouts })
    }

    /// One command and its answer.
    pub async fn one(&self, command: String, format: Format, within: Duration) -> Result<Value, DriverError> {
        let mut answers =
            self.eapi.run(std::slice::from_ref(&command), format, within).await.map_err(|e| told(e, &command))?;
        answers.pop().ok_or_else(|| DriverError::Unreachable("no answer to the only command".to_owned()))
    }

    /// The sessions, and the commit timer.
    pub async fn list(&self) -> Result<Listing, DriverError> {
        let answer = self.one(session::LIST.to_owned(), Format::Json, self.timeouts.show).await?;
        Listing::read(&answer).map_err(|error| told(error, session::LIST))
    }

    /// What runs, whole.
    pub async fn running(&self) -> Result<String, DriverError> {
        let answer = self.one(RUNNING.to_owned(), Format::Text, self.timeouts.show).await?;
        Ok(rpc::output(&answer).map_err(|error| told(error, RUNNING))?.to_owned())
    }

    /// Aborts a session, or finds that it is over already: its timer went off, or the switch restarted.
    pub async fn abort(&self, name: &str) -> Result<(), DriverError> {
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
    pub async fn sweep(&self, listing: &Listing) -> Result<(), DriverError> {
        for name in listing.our_open() {
            tracing::info!(session = %name, "an open session of an agent is dropped");
            self.abort(name).await?;
        }
        Ok(())
    }

    /// Opens a session and enters a text, after taking back what earlier texts set and this one does not name. Answers
    /// what ran before.
    pub async fn enter(&self, name: &str, lines: &[Line]) -> Result<String, DriverError> {
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
    pub async fn read_session(&self, name: &str, owns: impl Fn(&str) -> bool) -> Result<(String, String), DriverError> {
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

    /// Counters of every interface that has them.
    pub async fn counters(&self) -> Result<Vec<InterfaceCounters>, DriverError> {
        let answer = self.one(show::INTERFACES.to_owned(), Format::Json, self.timeouts.show).await?;
        let (read, without) = show::counters(&answer).map_err(|error| told(error, show::INTERFACES))?;
        if !without.is_empty() {
            tracing::debug!(interfaces = ?without, "no counters");
        }
        Ok(read)
    }

    /// Circuits of level 2 that are not passive.
    pub async fn adjacencies(&self) -> Result<Vec<Adjacency>, DriverError> {
        let commands = [show::CIRCUITS.to_owned(), show::NEIGHBORS.to_owned()];
        let called = self.eapi.run(&commands, Format::Json, self.timeouts.show).await;
        match called.map_err(|error| told(error, show::NEIGHBORS))?.as_slice() {
            [circuits, neighbors] => {
                show::adjacencies(circuits, neighbors).map_err(|error| told(error, show::NEIGHBORS))
            }
            _ => Err(DriverError::Unreachable("not as many answers as commands".to_owned())),
        }
    }

    /// BGP neighbours of the default VRF, in the order of their addresses; those of the family of VPNs where it is asked for.
    pub async fn sessions(&self, vpn: bool) -> Result<Vec<Session>, DriverError> {
        let mut found = BTreeMap::new();
        for summary in [routing::IPV4_SUMMARY].into_iter().chain(vpn.then_some(routing::VPN_SUMMARY)) {
            if let Some(answer) = self.show_if_it_runs(summary).await? {
                routing::add_sessions(&mut found, &answer).map_err(|error| told(error, summary))?;
            }
        }
        Ok(found.into_values().collect())
    }

    /// Hosts that IS-IS has brought a route to.
    pub async fn host_routes(&self) -> Result<BTreeSet<Ipv4Addr>, DriverError> {
        match self.show_if_it_runs(routing::ROUTES).await? {
            Some(answer) => routing::host_routes(&answer).map_err(|error| told(error, routing::ROUTES)),
            None => Ok(BTreeSet::new()),
        }
    }

    /// The share of the processors' time that is not idle, in thousandths.
    pub async fn busy_permille(&self) -> Result<u32, DriverError> {
        let answer = self.one(show::PROCESSORS.to_owned(), Format::Json, self.timeouts.show).await?;
        show::busy_permille(&answer).map_err(|error| told(error, show::PROCESSORS))
    }

    /// What a command shows; none where the switch says that there is nothing to show it of, as without BGP. A command that
    /// it does not know, or that its user may not give, is an error.
    async fn show_if_it_runs(&self, command: &str) -> Result<Option<Value>, DriverError> {
        let called = self.eapi.run(&[command.to_owned()], Format::Json, self.timeouts.show).await;
        match called {
            Ok(mut answers) => match answers.pop() {
                Some(answer) => Ok(Some(answer)),
                None => Err(DriverError::Unreachable("no answer to the only command".to_owned())),
            },
            Err(CallError::Command(CommandFailure { code: rpc::FAILED, index: Some(0), .. })) => Ok(None),
            Err(error) => Err(told(error, command)),
        }
    }
}

/// A configuration without its comments.
pub fn whole(configuration: &str) -> String {
    text::part(configuration, |_| true)
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
