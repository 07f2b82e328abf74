//! Which answer belongs to which probe. Pure: clocks are passed in.
//!
//! A *round* probes many targets, each in a session of its own: its address, the socket, a session identifier that no
//! earlier round of late had, and sequence numbers from 0. An answer counts once, in time, from the address that was
//! probed, and with the timestamp that was sent.

use std::{collections::HashMap, net::Ipv4Addr};

use super::{
    clock::Format,
    packet::{ErrorEstimate, Probe, Reflection},
};
use crate::driver::ProbeOutcome;

/// What an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The first, in time.
    Counted,
    /// Of a packet that has been answered.
    Duplicate,
    /// After its time, or after its round.
    Late,
    /// To nothing that was sent.
    Foreign,
}

/// Where a session's packets go and come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    /// Number of the socket.
    pub lane: u32,
    /// Address that is probed.
    pub address: Ipv4Addr,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    stamp: u64,
    unix_ns: u64,
    at_ns: u64,
    /// It went out, as far as is known.
    counts: bool,
    answered: bool,
}

#[derive(Clone, Debug, Default)]
struct Session {
    ssid: u16,
    packets: Vec<Sent>,
    received: u32,
    rtt_min_ns: u64,
    rtt_max_ns: u64,
    rtt_sum_ns: u64,
}

/// The round under way and what is needed to know the answers to the one before.
#[derive(Debug)]
pub struct Book {
    next_ssid: u16,
    /// First identifier of the round before and how many it had.
    before: (u16, u16),
    sessions: Vec<Session>,
    index: HashMap<(Path, u16), usize>,
    /// First identifier of this round and how many it has.
    now: (u16, u16),
    patience_ns: u64,
    /// Packets that went out and are not answered.
    open: usize,
}

impl Book {
    /// No round yet; `ssid` is where identifiers begin, so that those of an earlier process are not met again.
    #[must_use]
    pub fn new(ssid: u16) -> Self {
        Self {
            next_ssid: ssid,
            before: (0, 0),
            sessions: Vec::new(),
            index: HashMap::new(),
            now: (0, 0),
            patience_ns: 0,
            open: 0,
        }
    }

    /// Begins a round, and with it ends the one before. Answers that are on their way for longer than `patience_ns` are late.
    pub fn begin(&mut self, paths: &[Path], count: usize, patience_ns: u64) {
        let mut times: HashMap<Path, u16> = HashMap::new();
        // Targets of one path are told apart by the identifier: it grows with each that is like one before.
        let nths: Vec<u16> = paths
            .iter()
            .map(|path| {
                let nth = times.entry(*path).or_default();
                *nth = nth.wrapping_add(1);
                nth.wrapping_sub(1)
            })
            .collect();
        let span = nths.iter().max().map_or(0, |most| most.saturating_add(1));
        // No session has the identifier 0 (RFC 8972, section 3).
        let first = if self.next_ssid == 0 || self.next_ssid.checked_add(span).is_none() { 1 } else { self.next_ssid };
        self.next_ssid = first.wrapping_add(span);
        self.before = self.now;
        self.now = (first, span);
        self.patience_ns = patience_ns;
        self.open = 0;
        let ssids = nths.iter().map(|nth| first.wrapping_add(*nth));
        self.sessions = ssids
            .clone()
            .map(|ssid| Session { ssid, packets: vec![Sent::default(); count], ..Session::default() })
            .collect();
        self.index =
            paths.iter().copied().zip(ssids).enumerate().map(|(at, (path, ssid))| ((path, ssid), at)).collect();
    }

    /// Writes down that a packet goes out now, and gives its bytes. None where there is no such packet.
    pub fn send(&mut self, target: usize, sequence: u32, unix_ns: u64, at_ns: u64) -> Option<Probe> {
        let session = self.sessions.get_mut(target)?;
        let sent = session.packets.get_mut(usize::try_from(sequence).ok()?)?;
        let stamp = Format::Ntp.encode(unix_ns);
        *sent = Sent { stamp, unix_ns, at_ns, counts: true, answered: false };
        self.open += 1;
        Some(Probe { sequence, timestamp: stamp, estimate: ErrorEstimate::UNKNOWN, ssid: session.ssid })
    }

    /// It did not go out after all, for a reason that says nothing of the path.
    pub fn unsend(&mut self, target: usize, sequence: u32) {
        let session = self.sessions.get_mut(target);
        let sent = session.and_then(|session| session.packets.get_mut(usize::try_from(sequence).ok()?));
        if let Some(sent) = sent.filter(|sent| sent.counts && !sent.answered) {
            sent.counts = false;
            self.open -= 1;
        }
    }

    /// Takes an answer.
    pub fn arrived(&mut self, path: Path, packet: &Reflection, received_unix_ns: u64, now_ns: u64) -> Arrival {
        let Some(session) = self.index.get(&(path, packet.ssid)).and_then(|at| self.sessions.get_mut(*at)) else {
            let (first, span) = self.before;
            let late = packet.ssid.checked_sub(first).is_some_and(|nth| nth < span);
            return if late { Arrival::Late } else { Arrival::Foreign };
        };
        let at = usize::try_from(packet.sender_sequence).unwrap_or(usize::MAX);
        let Some(sent) = session.packets.get_mut(at) else { return Arrival::Foreign };
        if !sent.counts || sent.stamp != packet.sender_timestamp {
            return Arrival::Foreign;
        }
        if sent.answered {
            return Arrival::Duplicate;
        }
        let elapsed_ns = now_ns.saturating_sub(sent.at_ns);
        let rtt_ns = round_trip_ns(sent.unix_ns, received_unix_ns, elapsed_ns, packet.residence_ns());
        // What counts is how long it was on the way: a busy machine reads late what came in time.
        if rtt_ns > self.patience_ns {
            return Arrival::Late;
        }
        sent.answered = true;
        self.open -= 1;
        session.rtt_min_ns = if session.received == 0 { rtt_ns } else { session.rtt_min_ns.min(rtt_ns) };
        session.rtt_max_ns = session.rtt_max_ns.max(rtt_ns);
        session.rtt_sum_ns = session.rtt_sum_ns.saturating_add(rtt_ns);
        session.received += 1;
        Arrival::Counted
    }

    /// Packets that went out and are not answered.
    #[must_use]
    pub const fn open(&self) -> usize {
        self.open
    }

    /// What came of the round, in the order of its targets.
    #[must_use]
    pub fn outcomes(&self) -> Vec<ProbeOutcome> {
        let outcome = |session: &Session| ProbeOutcome {
            sent: u32::try_from(session.packets.iter().filter(|sent| sent.counts).count()).unwrap_or(u32::MAX),
            received: session.received,
            rtt_min_ns: session.rtt_min_ns,
            rtt_avg_ns: session.rtt_sum_ns.checked_div(u64::from(session.received)).unwrap_or(0),
            rtt_max_ns: session.rtt_max_ns,
        };
        self.sessions.iter().map(outcome).collect()
    }
}

/// The time on the way, there and back: (T4 - T1) - (T3 - T2) (RFC 8762, section 4).
///
/// `elapsed_ns` is from before it was sent until after it was read, by a clock that is never set: no way took longer. The
/// wall clock, by which the kernel says when it came, is believed as far as that allows. What the reflector held can't be
/// more than the whole. At least 1, because 0 stands for no answer.
#[must_use]
pub fn round_trip_ns(sent_unix_ns: u64, received_unix_ns: u64, elapsed_ns: u64, held_ns: Option<u64>) -> u64 {
    let by_kernel = received_unix_ns.checked_sub(sent_unix_ns).filter(|ns| *ns > 0 && *ns <= elapsed_ns);
    let whole = by_kernel.unwrap_or(elapsed_ns);
    whole.saturating_sub(held_ns.filter(|held| *held < whole).unwrap_or(0)).max(1)
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
