//! Maintenance windows: the times of the week, in UTC, at which a device may be changed. Pure.

use serde::{Deserialize, Serialize};

/// Minutes of a week.
pub const WEEK_MINUTES: u16 = 7 * 24 * 60;
/// Windows of one device at most: three a day.
pub const MAX_WINDOWS: usize = 21;
const MINUTE_MS: u64 = 60_000;
const WEEK_MS: u64 = WEEK_MINUTES as u64 * MINUTE_MS;
/// Unix time began on a Thursday, three days into a week.
const EPOCH_INTO_WEEK_MS: u64 = 3 * 24 * 60 * MINUTE_MS;

/// A time of every week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// When it opens, in minutes since Monday 00:00 UTC; below [`WEEK_MINUTES`].
    pub opens: u16,
    /// How long it is open, in minutes, 1 to [`WEEK_MINUTES`]; it may reach into the next week.
    pub minutes: u16,
}

impl Window {
    /// Whether there is such a time.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.opens < WEEK_MINUTES && self.minutes > 0 && self.minutes <= WEEK_MINUTES
    }

    /// Whether something that takes so long fits into it at all.
    #[must_use]
    pub fn has_room(&self, room_ms: u64) -> bool {
        self.is_always() || u64::from(self.minutes) * MINUTE_MS >= room_ms
    }

    const fn is_always(&self) -> bool {
        self.minutes >= WEEK_MINUTES
    }

    /// How long from now until something that takes so long may begin in it; 0 for now, none for never.
    fn wait_ms(&self, now_ms: u64, room_ms: u64) -> Option<u64> {
        if !self.has_room(room_ms) {
            return None;
        }
        if self.is_always() {
            return Some(0);
        }
        let now = (now_ms % WEEK_MS + EPOCH_INTO_WEEK_MS) % WEEK_MS;
        let opens = u64::from(self.opens % WEEK_MINUTES) * MINUTE_MS;
        let since = (now + WEEK_MS - opens) % WEEK_MS;
        let last_begin = u64::from(self.minutes) * MINUTE_MS - room_ms;
        Some(if since <= last_begin { 0 } else { WEEK_MS - since })
    }
}

/// When something that takes so long may begin, from now on: now, a later time in unix ms, or none where it fits into no
/// window. Without windows any time will do. Windows that touch are not one: what is longer than each waits for ever.
#[must_use]
pub fn begins(windows: &[Window], now_ms: u64, room_ms: u64) -> Option<u64> {
    if windows.is_empty() {
        return Some(now_ms);
    }
    let waits = windows.iter().filter_map(|window| window.wait_ms(now_ms, room_ms));
    waits.min().map(|wait| now_ms.saturating_add(wait))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Monday 2026-09-21, 00:00 UTC.
    const MONDAY_MS: u64 = 1_789_948_800_000;
    const HOUR: u64 = 60 * MINUTE_MS;

    fn at(hours: u64) -> u64 {
        MONDAY_MS + hours * HOUR
    }

    #[test]
    fn the_week_begins_on_monday() {
        let window = Window { opens: 0, minutes: 60 };
        assert_eq!(begins(&[window], MONDAY_MS, 0), Some(MONDAY_MS));
        assert_eq!(begins(&[window], MONDAY_MS - 1, 0), Some(MONDAY_MS));
        // 1970-01-01 was a Thursday: the next Monday is four days later.
        assert_eq!(begins(&[window], 0, 0), Some(4 * 24 * HOUR));
    }

    #[test]
    fn what_begins_in_a_window_has_the_room_that_it_needs() {
        // Tuesday 02:00 to 04:00.
        let windows = [Window { opens: 26 * 60, minutes: 120 }];
        for (hours, expected) in [(0, at(26)), (26, at(26)), (27, at(27)), (28, at(26 + 168)), (29, at(26 + 168))] {
            assert_eq!(begins(&windows, at(hours), HOUR), Some(expected), "at hour {hours}");
        }
        assert_eq!(begins(&windows, at(27) + 1, HOUR), Some(at(26 + 168)), "it would end after the window");
        assert_eq!(begins(&windows, at(26), 3 * HOUR), None, "it is longer than the window");
    }

    #[test]
    fn a_window_may_reach_into_the_next_week_and_the_first_of_several_counts() {
        let windows = [Window { opens: WEEK_MINUTES - 60, minutes: 120 }, Window { opens: 100 * 60, minutes: 60 }];
        assert_eq!(begins(&windows, at(0), HOUR), Some(at(0)));
        assert_eq!(begins(&windows, at(0) + 1, HOUR), Some(at(100)));
        assert_eq!(begins(&windows, at(101), HOUR), Some(at(167)));
        let always = [Window { opens: 5, minutes: WEEK_MINUTES }];
        assert_eq!(begins(&always, at(3), u64::MAX), Some(at(3)));
        assert_eq!(begins(&[], at(3), HOUR), Some(at(3)));
        // Far from everything that is a time: no overflow.
        assert!(begins(&windows, u64::MAX, HOUR).is_some());
    }

    #[test]
    fn what_is_answered_is_within_a_window_whenever_it_is_asked() {
        let windows = [Window { opens: 1_000, minutes: 90 }, Window { opens: 9_999, minutes: 200 }];
        for minute in 0..u64::from(WEEK_MINUTES) * 2 {
            let asked = MONDAY_MS + minute * MINUTE_MS;
            let begin = begins(&windows, asked, HOUR).expect("it fits");
            assert!(begin >= asked && begin - asked < WEEK_MS);
            let inside = |t: u64| {
                let m = (t - MONDAY_MS) / MINUTE_MS % u64::from(WEEK_MINUTES);
                windows.iter().any(|w| {
                    let since = (m + u64::from(WEEK_MINUTES) - u64::from(w.opens)) % u64::from(WEEK_MINUTES);
                    since < u64::from(w.minutes)
                })
            };
            assert!(inside(begin) && inside(begin + HOUR - 1), "asked at minute {minute}");
        }
    }
}
