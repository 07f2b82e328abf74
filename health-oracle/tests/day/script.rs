//! What agents measure and send, minute by minute, and what goes wrong with it.

use causeway_wire::telemetry::{AdjacencySample, Batch, ConfigSample, InterfaceSample, ProbeKind, ProbeSample};

use crate::ledger::slot_of;

/// Midnight UTC of 2 January 2026. No border of a block of 64 buckets, so that days begin in the middle of one.
pub const DAY_MS: u64 = 1_767_312_000_000;
pub const MINUTE_MS: u64 = 60_000;
/// Minutes of the day.
pub const MINUTES: u64 = 24 * 60;
/// Seconds of a minute at which a series is sampled where nothing is wrong, and where something is: of these the second
/// shows it.
const CALM: &[u64] = &[30];
const TROUBLED: &[u64] = &[15, 45];
/// Probes in a sample.
const PROBES: u32 = 10;

/// When this minute begins, in ms since 1970.
pub fn at_ms(minute: u64) -> u64 {
    DAY_MS + minute * MINUTE_MS
}

/// The devices, and what each has: interfaces, adjacencies, links that it probes, devices that it probes end to end.
pub const DEVICES: [Model; 3] = [
    Model { code: "old-a", links: &["l-old", "l-prov"], targets: &[] },
    Model { code: "old-z", links: &["l-old", "l-new"], targets: &[] },
    Model { code: "new", links: &["l-new", "l-prov"], targets: &["old-a", "old-z"] },
];
/// The devices that a story is told of.
const SUBJECTS: [usize; 2] = [0, 2];

#[derive(Clone, Copy, Debug)]
pub struct Model {
    pub code: &'static str,
    pub links: &'static [&'static str],
    pub targets: &'static [&'static str],
}

/// What a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// The interface for direct internet access.
    Dia,
    /// The interfaces of links.
    Fabric,
    /// The adjacencies of links.
    Adjacencies,
    /// Probes over links.
    LinkProbes,
    /// Every interface.
    Interfaces,
    /// Every probe.
    Probes,
    /// End-to-end probes to this target.
    Qa(&'static str),
    /// The word about the configuration.
    Config,
    /// All that the agent does.
    Agent,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Nothing is reported. What is measured goes on.
    Missing,
    /// It is down in one of two samples.
    Down,
    /// Three errors.
    Errors,
    /// The carrier was lost and came back.
    Flap,
    /// No octet passes.
    Idle,
    /// The counters begin anew.
    Restart,
    /// One of twenty probes is lost.
    Lossy,
    /// No probe is answered.
    Unanswered,
    /// The word is said at this second of the minute.
    Second(u64),
    /// The agent does not reach the controller.
    Unpolled,
    /// It never has.
    NeverPolled,
    /// What runs is not what is offered.
    Drifted,
    /// What is offered is as of this minute's ledger.
    Outdated(u64),
}

/// Something that goes wrong from one minute up to another, of one device or of both that stories are told of.
#[derive(Clone, Debug)]
pub struct Fault {
    pub place: Where,
    pub what: What,
    pub minutes: std::ops::Range<u64>,
    pub device: Option<usize>,
}

impl Fault {
    pub fn new(place: Where, what: What, minutes: std::ops::Range<u64>) -> Self {
        Self { place, what, minutes, device: None }
    }

    fn hits(&self, device: usize, minute: u64, series: Where) -> bool {
        let of_device = self.device.map_or(SUBJECTS.contains(&device), |only| only == device);
        of_device && self.minutes.contains(&minute) && self.place.holds(series)
    }
}

impl Where {
    /// Whether this series is part of it.
    fn holds(self, series: Where) -> bool {
        match self {
            Self::Agent => true,
            Self::Interfaces => matches!(series, Self::Dia | Self::Fabric),
            Self::Probes => matches!(series, Self::Probes | Self::LinkProbes | Self::Qa(_)),
            _ => self == series,
        }
    }
}

/// One device's agent.
pub struct Agent {
    device: usize,
    sequence: u64,
    counters: [(&'static str, InterfaceSample); 3],
    polled_ms: u64,
}

impl Agent {
    pub fn new(device: usize) -> Self {
        let port = |name: &'static str| {
            let interface = name.to_owned();
            // Errors and transitions from before anybody looked are nobody's fault.
            let sample = InterfaceSample { interface, in_errors: 7, carrier_transitions: 3, ..Default::default() };
            (name, sample)
        };
        Self { device, sequence: 0, counters: ["eth2", "eth3", "eth4"].map(port), polled_ms: 0 }
    }

    pub fn all() -> Vec<Self> {
        (0..DEVICES.len()).map(Self::new).collect()
    }

    /// The batch of this minute; none where there is nothing to send.
    pub fn minute(&mut self, minute: u64, faults: &[Fault]) -> Option<Batch> {
        let device = self.device;
        let found = |series: Where| -> Vec<What> {
            faults.iter().filter(|fault| fault.hits(device, minute, series)).map(|fault| fault.what).collect()
        };
        let Model { code, links, targets } = DEVICES[device];
        let mut batch = Batch { device: code.to_owned(), ..Batch::default() };
        for (name, counters) in &mut self.counters {
            let place = if *name == "eth2" { Where::Dia } else { Where::Fabric };
            interface(&mut batch, counters, minute, &found(place));
        }
        let adjacent = found(Where::Adjacencies);
        for name in ["eth3", "eth4"] {
            sampled(minute, &adjacent, |at_unix_ms, shows| {
                let up = !(shows && adjacent.contains(&What::Down));
                let neighbor = "other".to_owned();
                batch.adjacencies.push(AdjacencySample { at_unix_ms, interface: name.to_owned(), up, neighbor });
            });
        }
        probe(&mut batch, ProbeKind::Reachability, "internet", minute, &found(Where::Probes));
        for link in links {
            probe(&mut batch, ProbeKind::Link, link, minute, &found(Where::LinkProbes));
        }
        for target in targets {
            probe(&mut batch, ProbeKind::Qa, target, minute, &found(Where::Qa(target)));
        }
        self.config(&mut batch, minute, &found(Where::Config));
        let empty = batch.interfaces.is_empty()
            && batch.adjacencies.is_empty()
            && batch.probes.is_empty()
            && batch.configs.is_empty();
        if empty {
            return None;
        }
        self.sequence += 1;
        let (from_unix_ms, to_unix_ms) = (at_ms(minute), at_ms(minute + 1) - 1);
        Some(Batch { sequence: self.sequence, from_unix_ms, to_unix_ms, ..batch })
    }

    fn config(&mut self, batch: &mut Batch, minute: u64, faults: &[What]) {
        if faults.contains(&What::Missing) {
            return;
        }
        let second = faults.iter().find_map(|what| if let What::Second(s) = what { Some(*s) } else { None });
        let at_unix_ms = at_ms(minute) + second.unwrap_or(CALM[0]) * 1_000;
        if faults.contains(&What::NeverPolled) {
            self.polled_ms = 0;
        } else if !faults.contains(&What::Unpolled) {
            self.polled_ms = at_unix_ms;
        }
        let as_of = faults.iter().find_map(|what| if let What::Outdated(m) = what { Some(*m) } else { None });
        let applied = if faults.contains(&What::Drifted) { 2 } else { 1 };
        batch.configs.push(ConfigSample {
            at_unix_ms,
            polled_unix_ms: self.polled_ms,
            offered_generation: 5,
            offered_sha256: vec![1; 32],
            applied_generation: 5,
            applied_sha256: vec![applied; 32],
            offered_evaluated_slot: slot_of(as_of.unwrap_or(minute)) + 1,
        });
    }
}

/// Calls with the time of each sample of the minute, and whether what is wrong shows in it.
fn sampled(minute: u64, faults: &[What], mut take: impl FnMut(u64, bool)) {
    if faults.contains(&What::Missing) {
        return;
    }
    let seconds = if faults.is_empty() { CALM } else { TROUBLED };
    for (index, second) in seconds.iter().enumerate() {
        take(at_ms(minute) + second * 1_000, index > 0);
    }
}

fn interface(batch: &mut Batch, counters: &mut InterfaceSample, minute: u64, faults: &[What]) {
    let flow = if faults.contains(&What::Idle) { 0 } else { 1_500 };
    counters.in_octets += flow;
    sampled(minute, faults, |at_unix_ms, shows| {
        counters.out_octets += flow;
        if !shows && faults.contains(&What::Restart) {
            let interface = counters.interface.clone();
            *counters = InterfaceSample { interface, in_octets: 1, carrier_transitions: 1, ..Default::default() };
        }
        if shows && faults.contains(&What::Errors) {
            counters.in_errors += 3;
        }
        if shows && faults.contains(&What::Flap) {
            counters.carrier_transitions += 2;
        }
        let oper_up = !(shows && faults.contains(&What::Down));
        batch.interfaces.push(InterfaceSample { at_unix_ms, oper_up, ..counters.clone() });
    });
}

fn probe(batch: &mut Batch, kind: ProbeKind, target: &str, minute: u64, faults: &[What]) {
    sampled(minute, faults, |at_unix_ms, shows| {
        let lost = match () {
            () if faults.contains(&What::Unanswered) => PROBES,
            () if shows && faults.contains(&What::Lossy) => 1,
            () => 0,
        };
        batch.probes.push(ProbeSample {
            at_unix_ms,
            kind: kind.into(),
            target: target.to_owned(),
            sent: PROBES,
            received: PROBES - lost,
            ..ProbeSample::default()
        });
    });
}
