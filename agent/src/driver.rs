//! What the agent needs of a device, as verbs. A driver does what it is told and decides nothing.
//!
//! A driver keeps at most one candidate and at most one commit that awaits its confirmation. It guarantees: nothing of
//! a candidate runs before [`Driver::commit`]; a commit is armed to revert before it changes anything, and the revert
//! does not depend on the agent's process; after a refused or failed verb the device runs either what it ran or the whole
//! candidate. A verb may take long or never end: the caller bounds it.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

/// Why a device did not do as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
    /// The text is not one that the device would take; nothing was changed.
    #[error("the device refuses the configuration: {0}")]
    Refused(String),
    /// A verb out of order: no candidate, or none to confirm.
    #[error("the device is not in a state for this: {0}")]
    State(String),
    /// The device's management does not answer.
    #[error("the device can not be reached: {0}")]
    Unreachable(String),
}

/// Difference between what runs and a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The managed part of what runs is exactly this text's configuration.
    pub equal: bool,
    /// Unified diff from running to the text; empty when equal.
    pub diff: String,
}

/// Counters of an interface since the device came up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterfaceCounters {
    /// Interface name.
    pub interface: String,
    /// Up, in operation.
    pub oper_up: bool,
    /// Octets received.
    pub in_octets: u64,
    /// Octets sent.
    pub out_octets: u64,
    /// Packets received with errors.
    pub in_errors: u64,
    /// Packets that could not be sent for errors.
    pub out_errors: u64,
    /// Packets received and dropped.
    pub in_discards: u64,
    /// Packets dropped instead of sent.
    pub out_discards: u64,
    /// How often the carrier came or went.
    pub carrier_transitions: u64,
}

/// State of a level-2 IS-IS circuit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjacency {
    /// Interface name.
    pub interface: String,
    /// Whether there is a neighbour in state up.
    pub up: bool,
    /// System id or host name of the neighbour; empty when down.
    pub neighbor: String,
}

/// Which neighbours of BGP work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Neighbours with an established session.
    pub sessions: BTreeSet<Ipv4Addr>,
    /// Neighbours with a route to their address.
    pub routes: BTreeSet<Ipv4Addr>,
}

/// A BGP neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its address.
    pub peer: IpAddr,
    /// There is a session with it, in any address family.
    pub established: bool,
    /// Prefixes received over it, all address families together; none where the device doesn't say.
    pub prefixes_received: Option<u32>,
}

/// Time of a machine's processors since its start, in any unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuTime {
    /// Of it, what was not idle.
    pub busy: u64,
    /// All of it.
    pub all: u64,
}

/// How a device says how busy its processors are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cpu {
    /// By counters: between two looks.
    Time(CpuTime),
    /// By itself: the share that is not idle, in thousandths.
    BusyPermille(u32),
}

/// What a probe is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProbeKind {
    /// Over one link to its far end.
    Link,
    /// To the loopback of another device.
    Qa,
    /// Over direct internet access.
    Reachability,
}

/// Something to probe.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Purpose.
    pub kind: ProbeKind,
    /// Link code, or code of the device at the far end.
    pub code: String,
    /// Interface to send from, where one is asked for.
    pub interface: Option<String>,
    /// Address to probe.
    pub address: Ipv4Addr,
}

/// What came of probing one target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProbeOutcome {
    /// Packets sent.
    pub sent: u32,
    /// Answers in time.
    pub received: u32,
    /// Least round trip in nanoseconds; 0 where nothing was received, like the next two.
    pub rtt_min_ns: u64,
    /// Mean round trip in nanoseconds.
    pub rtt_avg_ns: u64,
    /// Greatest round trip in nanoseconds.
    pub rtt_max_ns: u64,
}

/// A device, or a way to one.
pub trait Driver: Send + Sync + 'static {
    /// Family of configuration that it takes, as bundles name it.
    fn family(&self) -> &'static str;

    /// Checks a text as the device would, and holds it as the candidate in place of another. Nothing runs of it.
    ///
    /// # Errors
    /// [`DriverError::Refused`] names the lines; then there is no candidate.
    fn load_candidate(&self, text: &str) -> impl Future<Output = Result<(), DriverError>> + Send;

    /// Drops the candidate, if there is one.
    fn discard_candidate(&self) -> impl Future<Output = Result<(), DriverError>> + Send;

    /// Compares what runs with a text.
    fn compare(&self, text: &str) -> impl Future<Output = Result<Comparison, DriverError>> + Send;

    /// By interface: how long the device may go on showing an adjacency that the candidate breaks. Of those only whose
    /// adjacency it can break. Of a device that can't tell nothing.
    fn stale_for(&self) -> impl Future<Output = Result<BTreeMap<String, Duration>, DriverError>> + Send {
        async { Ok(BTreeMap::new()) }
    }

    /// Arms the revert and then makes the candidate run, whole. Unless confirmed within `revert_after`, the device
    /// returns by itself to what ran before.
    fn commit(&self, revert_after: Duration) -> impl Future<Output = Result<(), DriverError>> + Send;

    /// Keeps what the last commit brought and disarms its revert.
    ///
    /// # Errors
    /// [`DriverError::State`] when nothing awaits confirmation: it was reverted in time.
    fn confirm(&self) -> impl Future<Output = Result<(), DriverError>> + Send;

    /// Returns to what ran before a commit that awaits confirmation; nothing where none does.
    fn revert(&self) -> impl Future<Output = Result<(), DriverError>> + Send;

    /// Whether [`Driver::extend`] is something that this device can do at all.
    fn can_extend(&self) -> bool {
        false
    }

    /// Arms the revert of the commit that awaits its confirmation anew: it counts `revert_after` from now, and never ends
    /// earlier than it would have. The device is armed all the while.
    ///
    /// # Errors
    /// [`DriverError::State`] when nothing awaits confirmation, its time is over, or the device can't.
    fn extend(&self, _revert_after: Duration) -> impl Future<Output = Result<(), DriverError>> + Send {
        async { Err(DriverError::State("the timer of a commit can not be armed anew on this device".to_owned())) }
    }

    /// Whether a commit awaits confirmation.
    fn is_pending(&self) -> impl Future<Output = Result<bool, DriverError>> + Send;

    /// Makes what runs what the device starts with.
    fn save_startup(&self) -> impl Future<Output = Result<(), DriverError>> + Send;

    /// The managed part of what runs.
    fn running_text(&self) -> impl Future<Output = Result<String, DriverError>> + Send;

    /// Interfaces on which a text wants a level-2 adjacency: enabled, addressed, up and not passive.
    fn wanted_adjacencies(&self, text: &str) -> impl Future<Output = Result<BTreeSet<String>, DriverError>> + Send;

    /// Counters of every interface, by name.
    fn counters(&self) -> impl Future<Output = Result<Vec<InterfaceCounters>, DriverError>> + Send;

    /// Circuits with IS-IS enabled, by interface name.
    fn adjacencies(&self) -> impl Future<Output = Result<Vec<Adjacency>, DriverError>> + Send;

    /// BGP neighbours, each once. None of a device that can't tell.
    fn sessions(&self) -> impl Future<Output = Result<Vec<Session>, DriverError>> + Send {
        async { Ok(Vec::new()) }
    }

    /// How busy its processors are; nothing of a device that can't tell.
    fn cpu(&self) -> impl Future<Output = Result<Option<Cpu>, DriverError>> + Send {
        async { Ok(None) }
    }

    /// Of the neighbours that a text wants sessions with, those that have one and those that are routed to. A device that
    /// can't tell says of none.
    fn reach(&self, _text: &str) -> impl Future<Output = Result<Reach, DriverError>> + Send {
        async { Ok(Reach::default()) }
    }

    /// What a person should know of the device, although it does what a text says. Nothing of a device that can't tell.
    fn concerns(&self, _text: &str) -> impl Future<Output = Result<Vec<String>, DriverError>> + Send {
        async { Ok(Vec::new()) }
    }

    /// Sends `count` probes to every target; one outcome each, in order. No answer is an outcome, not an error.
    fn probe(
        &self,
        targets: &[Target],
        count: u32,
    ) -> impl Future<Output = Result<Vec<ProbeOutcome>, DriverError>> + Send;
}
