//! How many packets a reflector answers: a share for each source and one for all. Pure: the clock is passed in.
//!
//! Each share is a leaky bucket kept as one number, the time at which it would be empty again. Sources share a fixed
//! table by a hash that nobody outside can foresee, so that made-up sources cost no memory; two sources in one place
//! share their share. Who can make up sources can still use up the share of all: where that matters, answer known peers
//! only.

use std::{hash::BuildHasher, net::Ipv4Addr};

/// Places for sources: a device has tens of neighbours, and a thousand others probe its loopback.
const PLACES: usize = 16_384;
const NANOS: u64 = 1_000_000_000;

/// Packets a second, and how many may come at once after a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// In the long run; 0 for none at all.
    pub per_second: u32,
    /// At once.
    pub burst: u32,
}

/// What a reflector answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of one source.
    pub source: Share,
    /// Of all together.
    pub total: Share,
}

impl Default for Limits {
    /// A source that measures steadily sends 500 a second, perhaps in several sessions; a thousand devices that probe
    /// each other send one a second each, and may fall into step. All together a quarter of what one core answers.
    fn default() -> Self {
        Self { source: Share { per_second: 5_000, burst: 5_000 }, total: Share { per_second: 50_000, burst: 50_000 } }
    }
}

/// Whose share is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsedUp {
    /// The source's.
    Source,
    /// That of all.
    Total,
}

/// The buckets.
pub struct Gate<S> {
    limits: Limits,
    sources: Vec<u64>,
    total: u64,
    hasher: S,
}

impl<S: BuildHasher> Gate<S> {
    /// All full. The hasher's key has to be secret, as that of `RandomState` is.
    pub fn new(limits: Limits, hasher: S) -> Self {
        Self { limits, sources: vec![0; PLACES], total: 0, hasher }
    }

    /// Counts a packet, if there is room for it at this time (ns of a clock that does not go back).
    ///
    /// # Errors
    /// Whose share is used up. What a source sends beyond its share does not count on the share of all.
    pub fn admit(&mut self, source: Ipv4Addr, now_ns: u64) -> Result<(), UsedUp> {
        let places = u64::try_from(PLACES).unwrap_or(1);
        let place = usize::try_from(self.hasher.hash_one(source) % places).unwrap_or(0);
        let bucket = self.sources.get_mut(place).ok_or(UsedUp::Source)?;
        take(bucket, self.limits.source, now_ns).ok_or(UsedUp::Source)?;
        take(&mut self.total, self.limits.total, now_ns).ok_or(UsedUp::Total)
    }
}

fn take(empty_at_ns: &mut u64, share: Share, now_ns: u64) -> Option<()> {
    let one = NANOS.checked_div(u64::from(share.per_second))?;
    let room = one * u64::from(share.burst.saturating_sub(1));
    if empty_at_ns.saturating_sub(now_ns) > room {
        return None;
    }
    *empty_at_ns = (*empty_at_ns).max(now_ns).saturating_add(one);
    Some(())
}

#[cfg(test)]
mod tests {
    use std::hash::RandomState;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn gate(source: (u32, u32), total: (u32, u32)) -> Gate<RandomState> {
        let share = |(per_second, burst)| Share { per_second, burst };
        Gate::new(Limits { source: share(source), total: share(total) }, RandomState::new())
    }

    fn source(number: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(number)
    }

    #[test]
    fn a_burst_and_then_the_long_run() {
        let mut gate = gate((10, 5), (1_000, 1_000));
        let mut passed = |at| (0..100).filter(|_| gate.admit(source(1), at).is_ok()).count();
        assert_eq!(passed(SECOND), 5);
        assert_eq!(passed(SECOND), 0);
        assert_eq!(passed(SECOND + SECOND / 10), 1);
        assert_eq!(passed(60 * SECOND), 5, "a pause earns no more than a burst");
    }

    #[test]
    fn who_sends_too_much_takes_nothing_from_others() {
        let mut gate = gate((10, 10), (100, 50));
        for _ in 0..10_000 {
            let _ = gate.admit(source(1), SECOND);
        }
        assert_eq!(gate.admit(source(1), SECOND), Err(UsedUp::Source));
        let passed = (2..100).filter(|s| gate.admit(source(*s), SECOND).is_ok()).count();
        assert!((39..=40).contains(&passed), "two of them may share a place with the first: {passed}");
    }

    #[test]
    fn made_up_sources_share_what_there_is_for_all() {
        let mut gate = gate((10, 10), (100, 50));
        let passed = (0..100_000).filter(|s| gate.admit(source(*s), SECOND).is_ok()).count();
        assert_eq!(passed, 50);
        assert_eq!(gate.sources.len(), PLACES);
    }

    #[test]
    fn a_share_of_nothing_lets_nothing_pass() {
        assert_eq!(gate((0, 10), (1, 1)).admit(source(1), 1), Err(UsedUp::Source));
    }
}
