//! Waiting between tries: doubling, bounded, with jitter so that a fleet does not come back in step. Pure.

use std::time::Duration;

/// Doublings after which the bound is surely reached; keeps the arithmetic small.
const MAX_DOUBLINGS: u32 = 16;

/// Grows with every failure.
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// The first wait is at most `base`, none is more than `max`.
    pub const fn new(base: Duration, max: Duration) -> Self {
        Self { base, max, failures: 0 }
    }

    /// As it stands after failures that an earlier process had.
    #[must_use]
    pub const fn after(self, failures: u32) -> Self {
        Self { failures, ..self }
    }

    /// The wait after one more failure: between half of the doubled time and all of it, as `jitter` in 0..=1 says.
    pub fn next(&mut self, jitter: f64) -> Duration {
        let full = self.base.saturating_mul(1 << self.failures.min(MAX_DOUBLINGS)).min(self.max);
        self.failures = self.failures.saturating_add(1);
        full.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
    }

    /// It worked.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_the_bound_and_start_again() {
        let (base, max) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut backoff = Backoff::new(base, max);
        let waits: Vec<u128> = (0..6).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!(backoff.next(0.0), max / 2);
        (0..100).for_each(|_| assert!(backoff.next(7.0) <= max));
        backoff.reset();
        assert_eq!(backoff.next(1.0), base);
        assert_eq!(Backoff::new(base, max).after(2).next(1.0), 4 * base);
        assert_eq!(Backoff::new(base, max).after(u32::MAX).next(1.0), max);
    }
}
