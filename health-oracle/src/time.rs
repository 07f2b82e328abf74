//! Slots and milliseconds: the ledger counts in the first, telemetry in the second.
//!
//! A [`SlotClock`] is an anchor (a slot and when it was) and a pace. The pace is measured between two anchors once they
//! are far enough apart, because a slot's nominal 400 ms are an aim and not a promise. Pure; who observes is the
//! caller.

/// Pace before anything was measured, in microseconds per slot: Solana's nominal 400 ms.
pub const NOMINAL_SLOT_US: u64 = 400_000;
/// Anchors closer than this say little about the pace: what is observed is late by as much as an answer takes.
const MIN_SPAN_MS: u64 = 3_000;
/// Bounds of a believable pace, in microseconds per slot. Outside of them the clock or the endpoint is wrong.
const PACE_LIMITS_US: std::ops::RangeInclusive<u64> = 50_000..=4_000_000;

/// The wall clock in ms since 1970; 0 before that. The one clock of this crate, for its outermost shell only.
pub(crate) fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A mapping between slots and milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotClock {
    first: (u64, u64),
    last: (u64, u64),
    slot_us: u64,
}

impl SlotClock {
    /// A clock with one anchor: `slot` was current at `at_ms`.
    #[must_use]
    pub fn new(slot: u64, at_ms: u64) -> Self {
        Self { first: (slot, at_ms), last: (slot, at_ms), slot_us: NOMINAL_SLOT_US }
    }

    /// The same clock after one more observation. One that goes back in slot or time (another node, a corrected clock)
    /// starts anew and keeps the pace.
    #[must_use]
    pub fn observe(self, slot: u64, at_ms: u64) -> Self {
        if slot < self.last.0 || at_ms < self.last.1 {
            return Self { first: (slot, at_ms), last: (slot, at_ms), slot_us: self.slot_us };
        }
        let next = Self { last: (slot, at_ms), ..self };
        let (slots, span) = (slot - self.first.0, at_ms - self.first.1);
        if span < MIN_SPAN_MS {
            return next;
        }
        match span.saturating_mul(1_000).checked_div(slots).filter(|pace| PACE_LIMITS_US.contains(pace)) {
            Some(slot_us) => Self { slot_us, ..next },
            // An anchor that leads to the unbelievable is given up, or nothing could be measured ever after.
            None => Self { first: next.last, ..next },
        }
    }

    /// Milliseconds that this many slots take, rounded up.
    #[must_use]
    pub fn duration_ms(&self, slots: u64) -> u64 {
        slots.saturating_mul(self.slot_us).div_ceil(1_000)
    }

    /// Slots in this many milliseconds, rounded down.
    #[must_use]
    pub fn slots_in(&self, ms: u64) -> u64 {
        ms.saturating_mul(1_000) / self.slot_us.max(1)
    }

    /// When this slot is or was.
    #[must_use]
    pub fn time_of(&self, slot: u64) -> u64 {
        let (anchor, at) = self.last;
        if slot >= anchor {
            at.saturating_add(self.duration_ms(slot - anchor))
        } else {
            at.saturating_sub(self.duration_ms(anchor - slot))
        }
    }

    /// The slot that is or was current then.
    #[must_use]
    pub fn slot_at(&self, at_ms: u64) -> u64 {
        let (anchor, at) = self.last;
        if at_ms >= at {
            anchor.saturating_add(self.slots_in(at_ms - at))
        } else {
            // Rounded away from the anchor: a window never claims to begin later than what was looked at.
            let back = (at - at_ms).saturating_mul(1_000).div_ceil(self.slot_us.max(1));
            anchor.saturating_sub(back)
        }
    }

    /// The last slot observed.
    #[must_use]
    pub fn slot(&self) -> u64 {
        self.last.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nominal_pace_holds_until_one_is_measured() {
        let clock = SlotClock::new(1_000, 1_000_000);
        assert_eq!(clock.duration_ms(5_000), 2_000_000);
        assert_eq!(clock.observe(1_020, 1_002_000).duration_ms(10), 4_000);
        let slow = clock.observe(1_100, 1_060_000);
        assert_eq!(slow.duration_ms(10), 6_000);
        assert_eq!(slow.time_of(1_100), 1_060_000);
        assert_eq!(slow.time_of(1_000), 1_000_000);
        assert_eq!(slow.slot_at(1_000_000), 1_000);
        assert_eq!(slow.slot_at(1_066_000), 1_110);
    }

    #[test]
    fn an_unbelievable_pace_is_not_taken() {
        let clock = SlotClock::new(1_000, 1_000_000);
        assert_eq!(clock.observe(1_001, 2_000_000).duration_ms(1), 400);
        assert_eq!(clock.observe(9_000_000, 1_030_000).duration_ms(1), 400);
        assert_eq!(clock.observe(1_000, 1_030_000).duration_ms(1), 400);
    }

    #[test]
    fn a_wrong_anchor_is_given_up() {
        let clock = SlotClock::new(1_000, 0).observe(1_010, 1_000_000_000).observe(1_110, 1_000_010_000);
        assert_eq!(clock.duration_ms(10), 1_000);
        assert_eq!(clock.time_of(1_100), 1_000_009_000);
    }

    #[test]
    fn going_back_starts_anew() {
        let clock = SlotClock::new(1_000, 1_000_000).observe(1_100, 1_060_000).observe(900, 1_070_000);
        assert_eq!(clock.slot(), 900);
        assert_eq!(clock.time_of(900), 1_070_000);
        assert_eq!(clock.duration_ms(10), 6_000);
    }
}
