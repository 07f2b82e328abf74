//! What devices say of their BGP sessions and of their processors: the latest word of each, for people and for graphs.
//!
//! No criterion reads it, and no store gives it back: after a start, or a failure of the store, nothing is known until a
//! device says it again, which an agent does once a minute. Bounded by device, and in time.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use causeway_wire::telemetry::{Batch, SessionSample, SystemSample};
use serde::Serialize;

use super::fleet::in_order;
use crate::store::commit::{Commit, SessionRow, SystemRow, TIMES_MS};

/// Sessions of one device that are held: as many as an agent tells of. More is a device that invents neighbours.
pub const MAX_SESSIONS: usize = 1_024;
/// What was not said again for so long is not known any more, in ms: ten times what an agent waits.
pub const FORGET_MS: u64 = 600_000;
/// Where there is no room, least time between two looks for what is not known any more, in ms: a device that sends as many
/// samples as it may does not have all of its sessions gone through for each of them.
const LOOK_EVERY_MS: u64 = 60_000;
/// Thousandths in a whole.
const WHOLE: u32 = 1_000;
/// Shares of busy time that devices are counted by, in thousandths: each up to, not including, the next.
const BANDS: [(&str, u32); 3] = [("0-50", 0), ("50-80", 500), ("80-100", 800)];

/// The latest word about a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SessionState {
    /// When it was said, in ms since 1970.
    pub at_ms: u64,
    /// There is one.
    pub established: bool,
    /// Prefixes received over it; none where the device didn't say.
    pub prefixes_received: Option<u32>,
}

/// The latest word about the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SystemState {
    /// When it was said, in ms since 1970.
    pub at_ms: u64,
    /// Share of the processors' time that was not idle, in thousandths.
    pub cpu_busy_permille: u32,
}

/// What one device says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vitals {
    sessions: BTreeMap<IpAddr, SessionState>,
    system: Option<SystemState>,
    /// The latest time of a session.
    newest_ms: u64,
    /// The same when it was last looked for sessions that are not known any more.
    looked_ms: u64,
}

/// What all devices say, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Sessions that are there, each as often as an end tells of it.
    pub established: u64,
    /// Those that are not.
    pub down: u64,
    /// Devices by the share of their processors' time that was not idle, in percent.
    pub by_busy: BTreeMap<&'static str, u64>,
}

impl Totals {
    /// The names of the shares.
    pub fn bands() -> impl Iterator<Item = &'static str> {
        BANDS.into_iter().map(|(name, _)| name)
    }
}

impl Vitals {
    /// Takes what a batch says, and adds what is kept of it. Returns how many samples were left out: of an impossible
    /// neighbour, share or time, not younger than what is known, or too many.
    pub(super) fn take(&mut self, batch: &Batch, device: u32, commit: &mut Commit) -> u64 {
        let mut ignored = 0;
        in_order(
            &batch.sessions,
            |sample| sample.at_unix_ms,
            |sample| match self.session(sample) {
                Some((peer, SessionState { at_ms, established, prefixes_received })) => {
                    commit.sessions.push(SessionRow { device, peer, at_ms, established, prefixes_received });
                }
                None => ignored += 1,
            },
        );
        in_order(
            &batch.systems,
            |sample| sample.at_unix_ms,
            |sample| match self.system(sample) {
                Some(SystemState { at_ms, cpu_busy_permille }) => {
                    commit.systems.push(SystemRow { device, at_ms, cpu_busy_permille });
                }
                None => ignored += 1,
            },
        );
        ignored
    }

    fn session(&mut self, sample: &SessionSample) -> Option<(IpAddr, SessionState)> {
        let at_ms = Some(sample.at_unix_ms).filter(|at_ms| TIMES_MS.contains(at_ms))?;
        let peer = address(&sample.peer)?;
        self.newest_ms = self.newest_ms.max(at_ms);
        if self.sessions.len() >= MAX_SESSIONS && self.newest_ms - self.looked_ms >= LOOK_EVERY_MS {
            self.looked_ms = self.newest_ms;
            self.sessions.retain(|_, state| !is_old(state.at_ms, self.looked_ms));
        }
        match self.sessions.get(&peer) {
            Some(known) if known.at_ms >= at_ms => return None,
            Some(_) => {}
            None if self.sessions.len() >= MAX_SESSIONS || is_old(at_ms, self.newest_ms) => return None,
            None => {}
        }
        let SessionSample { established, prefixes_received, .. } = *sample;
        let state = SessionState { at_ms, established, prefixes_received };
        self.sessions.insert(peer, state);
        Some((peer, state))
    }

    fn system(&mut self, sample: &SystemSample) -> Option<SystemState> {
        let at_ms = Some(sample.at_unix_ms).filter(|at_ms| TIMES_MS.contains(at_ms))?;
        let cpu_busy_permille = sample.cpu_busy_permille.filter(|share| *share <= WHOLE)?;
        let is_younger = self.system.is_none_or(|known| known.at_ms < at_ms);
        self.system = Some(SystemState { at_ms, cpu_busy_permille }).filter(|_| is_younger).or(self.system);
        self.system.filter(|_| is_younger)
    }

    /// Its sessions as of a moment, in the order of addresses.
    pub fn sessions(&self, now_ms: u64) -> impl Iterator<Item = (&IpAddr, &SessionState)> {
        self.sessions.iter().filter(move |(_, state)| !is_old(state.at_ms, now_ms))
    }

    /// Its machine as of a moment.
    #[must_use]
    pub fn machine(&self, now_ms: u64) -> Option<SystemState> {
        self.system.filter(|state| !is_old(state.at_ms, now_ms))
    }

    /// Adds its part to the numbers of all.
    pub(super) fn add_to(&self, totals: &mut Totals, now_ms: u64) {
        for (_, state) in self.sessions(now_ms) {
            *if state.established { &mut totals.established } else { &mut totals.down } += 1;
        }
        let band = |state: SystemState| BANDS.into_iter().rev().find(|(_, from)| *from <= state.cpu_busy_permille);
        if let Some((name, _)) = self.machine(now_ms).and_then(band) {
            *totals.by_busy.entry(name).or_default() += 1;
        }
    }
}

const fn is_old(at_ms: u64, now_ms: u64) -> bool {
    now_ms.saturating_sub(at_ms) >= FORGET_MS
}

/// The address that these octets are; none that nobody has.
fn address(octets: &[u8]) -> Option<IpAddr> {
    let address = match octets.len() {
        4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?)),
        16 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?)),
        _ => return None,
    };
    (!address.is_unspecified()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = TIMES_MS.start + 1_000_000_000;

    fn session(at_unix_ms: u64, last: u8, established: bool) -> SessionSample {
        SessionSample { at_unix_ms, peer: vec![198, 18, 0, last], established, prefixes_received: Some(3) }
    }

    fn system(at_unix_ms: u64, cpu_busy_permille: Option<u32>) -> SystemSample {
        SystemSample { at_unix_ms, cpu_busy_permille }
    }

    fn take(vitals: &mut Vitals, sessions: Vec<SessionSample>, systems: Vec<SystemSample>) -> (u64, usize, usize) {
        let mut commit = Commit::default();
        let ignored = vitals.take(&Batch { sessions, systems, ..Batch::default() }, 7, &mut commit);
        assert!(commit.sessions.iter().all(|row| row.device == 7) && commit.systems.iter().all(|row| row.device == 7));
        (ignored, commit.sessions.len(), commit.systems.len())
    }

    #[test]
    fn the_latest_word_of_each_holds_and_what_is_not_younger_is_left_out() {
        let mut vitals = Vitals::default();
        let said = vec![session(NOW + 2, 1, false), session(NOW + 1, 1, true), session(NOW, 2, true)];
        assert_eq!(take(&mut vitals, said.clone(), vec![system(NOW, Some(125))]), (0, 3, 1));
        assert_eq!(take(&mut vitals, said, vec![system(NOW, Some(125))]), (4, 0, 0), "the same again");
        let held: Vec<_> = vitals.sessions(NOW).map(|(peer, state)| (peer.to_string(), state.established)).collect();
        assert_eq!(held, [("198.18.0.1".to_owned(), false), ("198.18.0.2".to_owned(), true)]);
        assert_eq!(vitals.machine(NOW), Some(SystemState { at_ms: NOW, cpu_busy_permille: 125 }));
        let mut totals = Totals::default();
        vitals.add_to(&mut totals, NOW);
        assert_eq!((totals.established, totals.down), (1, 1));
        assert_eq!(totals.by_busy, BTreeMap::from([("0-50", 1)]));
    }

    #[test]
    fn hostile_samples_are_left_out_and_a_share_that_is_not_said_is_not_zero() {
        let mut vitals = Vitals::default();
        let of = |peer: Vec<u8>| SessionSample { peer, ..session(NOW, 1, true) };
        let sessions = vec![
            of(vec![]),
            of(vec![1; 5]),
            of(vec![0; 4]),
            of(vec![0; 16]),
            session(5, 1, true),
            session(u64::MAX, 1, true),
        ];
        let systems = vec![system(NOW, None), system(NOW, Some(1_001)), system(5, Some(1)), system(u64::MAX, Some(1))];
        assert_eq!(take(&mut vitals, sessions, systems), (10, 0, 0));
        assert_eq!((vitals.sessions(NOW).count(), vitals.machine(NOW)), (0, None));
        let many = (0..3_000_u32).map(|n| of((n + 1).to_be_bytes().to_vec()));
        assert_eq!(take(&mut vitals, many.collect(), vec![]), (3_000 - MAX_SESSIONS as u64, MAX_SESSIONS, 0));
        // Once they are forgotten there is room again.
        let later = SessionSample { at_unix_ms: NOW + FORGET_MS, ..of(vec![9; 16]) };
        assert_eq!(take(&mut vitals, vec![later, session(NOW, 77, true)], vec![]), (1, 1, 0));
        assert_eq!(vitals.sessions.len(), 1);
    }

    #[test]
    fn what_was_not_said_again_is_not_known_any_more() {
        let mut vitals = Vitals::default();
        take(&mut vitals, vec![session(NOW, 1, true)], vec![system(NOW, Some(900))]);
        let known = |now_ms| (vitals.sessions(now_ms).count(), vitals.machine(now_ms).is_some());
        assert_eq!((known(NOW + FORGET_MS - 1), known(NOW + FORGET_MS)), ((1, true), (0, false)));
        let mut totals = Totals::default();
        vitals.add_to(&mut totals, NOW + FORGET_MS);
        assert_eq!(totals, Totals::default());
    }

    #[test]
    fn devices_are_counted_by_what_they_say() {
        let mut totals = Totals::default();
        for share in [0, 499, 500, 799, 800, 1_000] {
            let mut vitals = Vitals::default();
            take(&mut vitals, vec![], vec![system(NOW, Some(share))]);
            vitals.add_to(&mut totals, NOW);
        }
        assert_eq!(totals.by_busy, Totals::bands().map(|name| (name, 2)).collect());
    }
}
