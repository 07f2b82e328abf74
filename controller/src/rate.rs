//! Token buckets per caller, bounded in number. Pure: time is a parameter.

use std::collections::BTreeMap;

/// Buckets kept; beyond it, full ones are dropped, which changes nothing for their owners.
const MAX_BUCKETS: usize = 50_000;

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at_ms: u64,
}

/// Limits of one kind of call.
#[derive(Debug)]
pub struct RateLimit<K> {
    burst: f64,
    per_second: f64,
    buckets: BTreeMap<K, Bucket>,
}

impl<K: Ord + Clone> RateLimit<K> {
    /// At most `burst` calls at once and `per_second` on average, per key.
    #[must_use]
    pub const fn new(burst: f64, per_second: f64) -> Self {
        Self { burst, per_second, buckets: BTreeMap::new() }
    }

    /// Takes one call; whether it may go on.
    pub fn allow(&mut self, key: &K, now_ms: u64) -> bool {
        if self.buckets.len() >= MAX_BUCKETS && !self.buckets.contains_key(key) {
            let (burst, per_second) = (self.burst, self.per_second);
            self.buckets.retain(|_, b| refilled(b, burst, per_second, now_ms) < burst);
            if self.buckets.len() >= MAX_BUCKETS {
                return false;
            }
        }
        let bucket = self.buckets.entry(key.clone()).or_insert(Bucket { tokens: self.burst, at_ms: now_ms });
        bucket.tokens = refilled(bucket, self.burst, self.per_second, now_ms);
        bucket.at_ms = now_ms;
        let allowed = bucket.tokens >= 1.0;
        if allowed {
            bucket.tokens -= 1.0;
        }
        allowed
    }
}

fn refilled(bucket: &Bucket, burst: f64, per_second: f64, now_ms: u64) -> f64 {
    let seconds = now_ms.saturating_sub(bucket.at_ms) as f64 / 1_000.0;
    (bucket.tokens + seconds * per_second).min(burst)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_and_others_are_not_concerned() {
        let mut limit = RateLimit::new(3.0, 1.0);
        assert_eq!((0..5).map(|_| limit.allow(&"a", 0)).collect::<Vec<_>>(), [true, true, true, false, false]);
        assert!(limit.allow(&"b", 0));
        assert!(limit.allow(&"a", 1_000));
        assert!(!limit.allow(&"a", 1_000));
    }
}
