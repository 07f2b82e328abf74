//! When a device is asked for its BGP sessions, which of them are told, and how busy its processors were between two looks.
//! Pure.

use std::{collections::BTreeMap, net::IpAddr};

use causeway_wire::telemetry::{SessionSample, SystemSample};

use crate::driver::{Cpu, CpuTime, Session};

/// Least time between two looks at the sessions, in ms: the list of a mesh of hundreds is a hundred kilobytes, and agents
/// sample every second.
const LOOK_EVERY_MS: u64 = 10_000;
/// A session is told when it comes, goes or appears, and else once in this time, in ms: a minute, the width of an oracle's
/// bucket. So a mesh of hundreds adds little to a batch.
const TELL_EVERY_MS: u64 = 60_000;
/// Sessions that are told at most, in the order of their addresses; as many as an oracle holds of a device.
const MAX_SESSIONS: usize = 1_024;
/// Thousandths in a whole.
const WHOLE: u64 = 1_000;

/// What is known of a device's sessions and processors since the agent's start.
#[derive(Debug, Default)]
pub struct Vitals {
    /// When it was last asked for its sessions.
    looked_unix_ms: Option<u64>,
    /// When each session was last told, and as what.
    told: BTreeMap<IpAddr, (u64, bool)>,
    /// Of the last look.
    time: Option<CpuTime>,
}

/// Whether so much time is over. A clock that was set back is no reason to wait.
const fn over(since_unix_ms: u64, now_unix_ms: u64, every_ms: u64) -> bool {
    now_unix_ms < since_unix_ms || now_unix_ms - since_unix_ms >= every_ms
}

impl Vitals {
    /// Whether the device is to be asked for its sessions now. Yes counts as asked.
    pub fn looks_at_sessions(&mut self, now_unix_ms: u64) -> bool {
        let looks = self.looked_unix_ms.is_none_or(|at| over(at, now_unix_ms, LOOK_EVERY_MS));
        if looks {
            self.looked_unix_ms = Some(now_unix_ms);
        }
        looks
    }

    /// Of the sessions that a device lists, those that are told now.
    pub fn sessions(&mut self, at_unix_ms: u64, mut listed: Vec<Session>) -> Vec<SessionSample> {
        listed.sort_by_key(|session| session.peer);
        listed.truncate(MAX_SESSIONS);
        let mut told = BTreeMap::new();
        let mut samples = Vec::new();
        for Session { peer, established, prefixes_received } in listed {
            let known = self.told.get(&peer).copied();
            let is_due = known.is_none_or(|(at, was)| was != established || over(at, at_unix_ms, TELL_EVERY_MS));
            if is_due {
                let peer = match peer {
                    IpAddr::V4(address) => address.octets().to_vec(),
                    IpAddr::V6(address) => address.octets().to_vec(),
                };
                samples.push(SessionSample { at_unix_ms, peer, established, prefixes_received });
            }
            let at = if is_due { at_unix_ms } else { known.map_or(at_unix_ms, |(at, _)| at) };
            told.insert(peer, (at, established));
        }
        // One that is no longer listed is new when it comes back.
        self.told = told;
        samples
    }

    /// How busy the processors were since the last look; none after the first.
    pub fn system(&mut self, at_unix_ms: u64, cpu: Cpu) -> Option<SystemSample> {
        let busy_permille = match cpu {
            Cpu::BusyPermille(share) => Some(share),
            Cpu::Time(now) => self.time.replace(now).and_then(|before| busy_permille(before, now)),
        };
        let cpu_busy_permille = Some(busy_permille?);
        Some(SystemSample { at_unix_ms, cpu_busy_permille })
    }
}

/// Share of the time between two looks that was not idle. None where it can't be said: no time went by, or a counter went
/// back, as after a restart of the machine.
fn busy_permille(before: CpuTime, after: CpuTime) -> Option<u32> {
    let all = after.all.checked_sub(before.all).filter(|all| *all > 0)?;
    let busy = after.busy.checked_sub(before.busy).filter(|busy| *busy <= all)?;
    u32::try_from(busy.checked_mul(WHOLE)? / all).ok()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn session(last: u8, established: bool, prefixes: u32) -> Session {
        let peer = IpAddr::V4(Ipv4Addr::new(198, 18, 0, last));
        Session { peer, established, prefixes_received: Some(prefixes) }
    }

    #[test]
    fn a_share_is_of_the_time_between_two_looks_and_none_where_a_counter_went_back() {
        let time = |busy, all| CpuTime { busy, all };
        for (before, after, share) in [
            (time(0, 0), time(1, 4), Some(250)),
            (time(100, 1_000), time(100, 1_400), Some(0)),
            (time(100, 1_000), time(500, 1_400), Some(1_000)),
            (time(100, 1_000), time(101, 1_003), Some(333)),
            (time(100, 1_000), time(100, 1_000), None),
            (time(100, 1_000), time(5, 1_400), None),
            (time(100, 1_000), time(200, 900), None),
            // What waits for the disk may go back, and then more was busy than there was.
            (time(100, 1_000), time(500, 1_399), None),
            (time(0, 0), time(u64::MAX, u64::MAX), None),
        ] {
            assert_eq!(busy_permille(before, after), share, "{before:?} {after:?}");
        }
    }

    #[test]
    fn the_first_look_and_one_after_a_restart_say_nothing_and_the_next_one_does() {
        let mut vitals = Vitals::default();
        let mut look = |at, busy, all| {
            vitals
                .system(at, Cpu::Time(CpuTime { busy, all }))
                .map(|sample| (sample.at_unix_ms, sample.cpu_busy_permille))
        };
        assert_eq!(look(1, 500, 1_000), None);
        assert_eq!(look(2, 550, 1_100), Some((2, Some(500))));
        assert_eq!(look(3, 5, 10), None);
        assert_eq!(look(4, 5, 20), Some((4, Some(0))));
        let told = Vitals::default().system(5, Cpu::BusyPermille(125));
        assert_eq!(told.and_then(|sample| sample.cpu_busy_permille), Some(125));
    }

    #[test]
    fn a_session_is_told_at_once_when_it_changes_and_else_once_a_minute() {
        let mut vitals = Vitals::default();
        let mut told = |at, sessions: &[Session]| {
            let samples = vitals.sessions(at, sessions.to_vec());
            samples.iter().map(|sample| (sample.peer[3], sample.established)).collect::<Vec<_>>()
        };
        assert_eq!(told(1_000, &[session(2, false, 0), session(1, true, 3)]), [(1, true), (2, false)]);
        assert_eq!(told(11_000, &[session(1, true, 9), session(2, false, 0)]), []);
        assert_eq!(told(21_000, &[session(1, true, 9), session(2, true, 4)]), [(2, true)]);
        assert_eq!(told(61_000, &[session(1, true, 9), session(2, true, 4)]), [(1, true)]);
        assert_eq!(told(71_000, &[session(1, true, 9)]), []);
        assert_eq!(told(81_000, &[session(1, true, 9), session(2, true, 4)]), [(2, true)], "it was gone");
        assert_eq!(told(500, &[session(1, true, 9)]), [(1, true)], "the clock was set back");
    }

    #[test]
    fn a_device_is_asked_for_its_sessions_no_more_often_than_it_has_to_be() {
        let mut vitals = Vitals::default();
        let looks: Vec<u64> = (0..25_u64).map(|s| s * 1_000).filter(|now| vitals.looks_at_sessions(*now)).collect();
        assert_eq!(looks, [0, 10_000, 20_000]);
        let many = (0..3_000_u32).map(|n| Session {
            peer: IpAddr::V4(Ipv4Addr::from_bits(n)),
            established: true,
            prefixes_received: None,
        });
        assert_eq!(vitals.sessions(1, many.collect()).len(), MAX_SESSIONS);
        assert_eq!(vitals.told.len(), MAX_SESSIONS);
    }
}
