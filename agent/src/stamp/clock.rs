//! The two timestamp formats of STAMP and how time is told in them. Pure.
//!
//! NTP (RFC 5905, section 6): seconds since 1900 in 32 bits, then a fraction of 2^32 of a second. PTP (RFC 8762, section
//! 4.2.1, after IEEE 1588v2, truncated): seconds since 1970 in 32 bits, then nanoseconds. Seconds wrap in both; only
//! differences are used, so that a wrap between two timestamps does no harm.

/// Seconds from 1900 to 1970 (RFC 5905, figure 4).
const NTP_OFFSET_S: u64 = 2_208_988_800;
const NANOS: u64 = 1_000_000_000;

/// How 64 bits tell the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// NTP's: the default of RFC 8762.
    #[default]
    Ntp,
    /// PTPv2's, truncated.
    Ptp,
}

impl Format {
    /// Unix nanoseconds as they go on the wire.
    #[must_use]
    pub fn encode(self, unix_ns: u64) -> u64 {
        let (seconds, nanos) = (unix_ns / NANOS, unix_ns % NANOS);
        match self {
            // The fraction is below 2^32, because the nanoseconds are below a second.
            Self::Ntp => ((seconds + NTP_OFFSET_S) << 32) | ((nanos << 32) / NANOS),
            Self::Ptp => (seconds << 32) | nanos,
        }
    }

    /// Nanoseconds from one timestamp to another of this format; none where one is no time at all. Right as long as they
    /// are less than 68 years apart.
    #[must_use]
    pub fn between_ns(self, earlier: u64, later: u64) -> Option<i64> {
        match self {
            Self::Ntp => {
                let ticks = i128::from(later.wrapping_sub(earlier).cast_signed());
                // To the nearest nanosecond: a tick is a quarter of one.
                i64::try_from((ticks * i128::from(NANOS) + (1 << 31)) >> 32).ok()
            }
            Self::Ptp => {
                let split = |stamp: u64| {
                    let nanos = stamp & u64::from(u32::MAX);
                    (nanos < NANOS).then_some(((stamp >> 32) as u32, i64::try_from(nanos).ok()?))
                };
                let ((from_s, from_ns), (to_s, to_ns)) = (split(earlier)?, split(later)?);
                let seconds = i64::from(to_s.wrapping_sub(from_s).cast_signed());
                Some(seconds * 1_000_000_000 + to_ns - from_ns)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_moments_look_as_the_formats_say() {
        // 1970-01-01T00:00:00.5: 2 208 988 800 s after 1900, and half of 2^32.
        assert_eq!(Format::Ntp.encode(500_000_000), 0x83aa_7e80_8000_0000);
        assert_eq!(Format::Ptp.encode(1_500_000_007), 0x0000_0001_1dcd_6507);
        // NTP's seconds wrap in 2036: 2^32 - 2 208 988 800 s after 1970.
        assert_eq!(Format::Ntp.encode(2_085_978_496 * NANOS), 0);
    }

    #[test]
    fn nanoseconds_that_are_none_are_no_time() {
        assert_eq!(Format::Ptp.between_ns(0, 1_000_000_000), None);
        assert_eq!(Format::Ptp.between_ns(u64::from(u32::MAX), 0), None);
        assert_eq!(Format::Ptp.between_ns(0xffff_ffff_3b9a_c9ff, 0), Some(1), "over the wrap");
    }

    proptest! {
        /// Differences are exact to the nanosecond, over the wrap of the seconds too.
        #[test]
        fn differences_are_exact(from in 0..1_u64 << 62, by in 0..3_600 * NANOS) {
            for format in [Format::Ntp, Format::Ptp] {
                let (a, b) = (format.encode(from), format.encode(from + by));
                prop_assert_eq!(format.between_ns(a, b), Some(by.cast_signed()));
                prop_assert_eq!(format.between_ns(b, a), Some(-by.cast_signed()));
            }
        }

        #[test]
        fn any_bits_are_taken(a: u64, b: u64) {
            prop_assert!(Format::Ntp.between_ns(a, b).is_some());
            let _ = Format::Ptp.between_ns(a, b);
        }
    }
}
