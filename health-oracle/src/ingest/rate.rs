//! What one device may send: token buckets of batches and of bytes, one pair for each device of the ledger. Pure: the
//! clock is passed in.
//!
//! A device is charged only after its signature was verified, so that no stranger spends its budget and the number of
//! accounts is bounded by the ledger's devices. Nor does whoever saw a batch on the wire: a batch that was accepted
//! before is a replay and costs nothing, and one that was charged before is not charged again.

use std::collections::BTreeMap;

use causeway_interface::Code;

use super::{Directory, Refusal};

/// What a device may send, in the long run and at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Batches a second.
    pub batches_per_s: u64,
    /// Batches at once, after a pause.
    pub burst_batches: u64,
    /// Bytes a second, uncompressed.
    pub bytes_per_s: u64,
    /// Bytes at once, after a pause.
    pub burst_bytes: u64,
}

impl Default for Rate {
    /// Room for the largest device at the shortest interval: 112 interfaces, each with an adjacency, a link probe and a
    /// QA probe, every second, are 30 KB/s; twice that may come. At once: three full buffers of an agent (60 000
    /// samples of 70 bytes) after an outage. An agent sends one batch at a time and an interval, so that 32 a second
    /// are a fault.
    fn default() -> Self {
        Self { batches_per_s: 32, burst_batches: 1_024, bytes_per_s: 64 * 1024, burst_bytes: 16 * 1024 * 1024 }
    }
}

/// A level that rises with time, in thousandths of what it counts.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    level: u64,
}

impl Bucket {
    const fn full(burst: u64) -> Self {
        Self { level: burst.saturating_mul(1_000) }
    }

    /// One that rises by 1 a second rises by a thousandth in a millisecond.
    fn rise(&mut self, elapsed_ms: u64, per_s: u64, burst: u64) {
        self.level = self.level.saturating_add(elapsed_ms.saturating_mul(per_s)).min(Self::full(burst).level);
    }

    /// Milliseconds until there is room; 0 for now. What is more than a full bucket needs a full one.
    fn wait_ms(self, cost: u64, per_s: u64, burst: u64) -> u64 {
        let cost = Self::full(cost.min(burst)).level;
        cost.saturating_sub(self.level).div_ceil(per_s.max(1))
    }

    fn take(&mut self, cost: u64) {
        self.level = self.level.saturating_sub(Self::full(cost).level);
    }
}

#[derive(Clone, Copy, Debug)]
struct Account {
    batches: Bucket,
    bytes: Bucket,
    at_ms: u64,
    /// The last sequence that was charged; an agent repeats it until it is answered for good.
    charged: u64,
    /// The last sequence that the store is known to have.
    accepted: u64,
}

/// The accounts of all devices.
#[derive(Clone, Debug)]
pub struct Limiter {
    rate: Rate,
    accounts: BTreeMap<Code, Account>,
}

impl Limiter {
    /// Nothing was sent yet.
    #[must_use]
    pub const fn new(rate: Rate) -> Self {
        Self { rate, accounts: BTreeMap::new() }
    }

    /// Charges a batch to the device that signed it. `now_ms` is of any clock that does not go back.
    ///
    /// # Errors
    /// [`Refusal::Rate`] with the time until it fits; [`Refusal::Replay`] for one that the store has.
    pub fn charge(
        &mut self,
        device: &Code,
        sequence: u64,
        bytes: usize,
        directory: &Directory,
        now_ms: u64,
    ) -> Result<(), Refusal> {
        let Rate { batches_per_s, burst_batches, bytes_per_s, burst_bytes } = self.rate;
        // More accounts than devices: some have left the ledger.
        if self.accounts.len() > directory.len() {
            self.accounts.retain(|device, _| directory.holds(device));
        }
        let account = self.accounts.entry(*device).or_insert(Account {
            batches: Bucket::full(burst_batches),
            bytes: Bucket::full(burst_bytes),
            at_ms: now_ms,
            charged: 0,
            accepted: 0,
        });
        if sequence <= account.accepted {
            return Err(Refusal::Replay { last_sequence: account.accepted });
        }
        if sequence == account.charged {
            return Ok(());
        }
        let elapsed_ms = now_ms.saturating_sub(account.at_ms);
        account.at_ms = account.at_ms.max(now_ms);
        account.batches.rise(elapsed_ms, batches_per_s, burst_batches);
        account.bytes.rise(elapsed_ms, bytes_per_s, burst_bytes);
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let batches_ms = account.batches.wait_ms(1, batches_per_s, burst_batches);
        let retry_ms = account.bytes.wait_ms(bytes, bytes_per_s, burst_bytes).max(batches_ms);
        if retry_ms > 0 {
            return Err(Refusal::Rate { retry_ms });
        }
        account.batches.take(1);
        account.bytes.take(bytes);
        account.charged = sequence;
        Ok(())
    }

    /// The store has this sequence of the device.
    pub fn accepted(&mut self, device: &Code, sequence: u64) {
        if let Some(account) = self.accounts.get_mut(device) {
            account.accepted = account.accepted.max(sequence);
        }
    }
}

#[cfg(test)]
mod tests {
    use causeway_interface::Key;
    use causeway_wire::telemetry::{AdjacencySample, Batch, ConfigSample, InterfaceSample, ProbeSample};
    use proptest::prelude::*;
    use prost::Message;

    use super::*;
    use crate::time::SlotClock;

    const SMALL: Rate = Rate { batches_per_s: 2, burst_batches: 4, bytes_per_s: 1_000, burst_bytes: 10_000 };

    fn directory(devices: &[&str]) -> Directory {
        let keys = devices.iter().map(|device| (device.parse().unwrap(), Key::ZERO));
        Directory::from_keys(keys, SlotClock::new(1, 1))
    }

    struct Rig {
        limiter: Limiter,
        directory: Directory,
        sequence: u64,
    }

    impl Rig {
        fn new(rate: Rate) -> Self {
            Self { limiter: Limiter::new(rate), directory: directory(&["a", "b"]), sequence: 0 }
        }

        fn send(&mut self, device: &str, bytes: usize, now_ms: u64) -> Result<(), Refusal> {
            self.sequence += 1;
            self.again(device, self.sequence, bytes, now_ms)
        }

        fn again(&mut self, device: &str, sequence: u64, bytes: usize, now_ms: u64) -> Result<(), Refusal> {
            self.limiter.charge(&device.parse().unwrap(), sequence, bytes, &self.directory, now_ms)
        }
    }

    #[test]
    fn batches_and_bytes_have_a_share_each_to_the_millisecond() {
        let mut rig = Rig::new(SMALL);
        for _ in 0..4 {
            assert_eq!(rig.send("a", 1, 1_000), Ok(()));
        }
        assert_eq!(rig.send("a", 1, 1_000), Err(Refusal::Rate { retry_ms: 500 }));
        assert_eq!(rig.send("a", 1, 1_499), Err(Refusal::Rate { retry_ms: 1 }));
        assert_eq!(rig.send("a", 1, 1_500), Ok(()));
        assert_eq!(rig.send("b", 10_000, 1_500), Ok(()), "another device has its own");
        assert_eq!(rig.send("b", 2_000, 1_500), Err(Refusal::Rate { retry_ms: 2_000 }));
        assert_eq!(rig.send("b", 2_000, 3_499), Err(Refusal::Rate { retry_ms: 1 }));
        assert_eq!(rig.send("b", 2_000, 3_500), Ok(()));
        assert_eq!(rig.send("b", 50_000, 13_499), Err(Refusal::Rate { retry_ms: 1 }), "a full bucket for a large one");
        assert_eq!(rig.send("b", 50_000, 13_500), Ok(()));
    }

    #[test]
    fn a_batch_is_charged_once_and_a_replay_never() {
        let mut rig = Rig::new(SMALL);
        for _ in 0..100 {
            assert_eq!(rig.again("a", 7, 9_000, 0), Ok(()), "the same again until it is answered");
        }
        rig.limiter.accepted(&"a".parse().unwrap(), 7);
        for sequence in (1..=7).cycle().take(100) {
            assert_eq!(rig.again("a", sequence, 9_000, 0), Err(Refusal::Replay { last_sequence: 7 }));
        }
        assert_eq!(rig.again("a", 8, 1_000, 0), Ok(()), "the rest of the budget is there");
        assert!(matches!(rig.again("a", 9, 1, 0), Err(Refusal::Rate { .. })));
    }

    #[test]
    fn a_clock_that_goes_back_gives_and_takes_nothing() {
        let mut rig = Rig::new(SMALL);
        assert_eq!(rig.send("a", 10_000, 50_000), Ok(()));
        assert_eq!(rig.send("a", 1, 0), Err(Refusal::Rate { retry_ms: 1 }));
        assert_eq!(rig.send("a", 1_000, 51_000), Ok(()));
        assert_eq!(rig.send("a", 10_000, u64::MAX), Ok(()));
    }

    #[test]
    fn accounts_are_of_devices_of_the_ledger() {
        let mut rig = Rig::new(SMALL);
        assert_eq!((rig.send("a", 1, 0), rig.send("b", 1, 0)), (Ok(()), Ok(())));
        rig.directory = directory(&["b"]);
        assert_eq!(rig.send("b", 1, 0), Ok(()));
        assert_eq!(rig.limiter.accounts.len(), 1);
    }

    #[test]
    fn the_largest_honest_device_fits_twice() {
        let (at, counter) = (1_700_000_000_000, u64::MAX / 1_000);
        let name = |n| format!("Ethernet{n}/1.4094");
        let code = |n| format!("link-code-of-usual-length-{n:03}");
        let mut batch = Batch { device: code(1), sequence: at, from_unix_ms: at, to_unix_ms: at, ..Default::default() };
        for n in 1..=112 {
            batch.interfaces.push(InterfaceSample {
                at_unix_ms: at,
                interface: name(n),
                oper_up: true,
                in_octets: counter,
                out_octets: counter,
                ..Default::default()
            });
            let neighbor = code(n);
            batch.adjacencies.push(AdjacencySample { at_unix_ms: at, interface: name(n), up: true, neighbor });
            for kind in 1..=2 {
                let (sent, received, rtt) = (10, 10, 80_000_000);
                let (rtt_min_ns, rtt_avg_ns, rtt_max_ns) = (rtt, rtt, rtt);
                let target = code(n);
                let probe =
                    ProbeSample { at_unix_ms: at, kind, target, sent, received, rtt_min_ns, rtt_avg_ns, rtt_max_ns };
                batch.probes.push(probe);
            }
        }
        let sha256 = vec![1; 32];
        batch.configs = vec![ConfigSample {
            polled_unix_ms: at,
            at_unix_ms: at,
            offered_generation: at,
            offered_sha256: sha256.clone(),
            applied_generation: at,
            applied_sha256: sha256,
            offered_evaluated_slot: at,
        }];
        let (bytes, samples) = (batch.encoded_len() as u64, 4 * 112 + 1);
        let rate = Rate::default();
        assert!(2 * bytes <= rate.bytes_per_s && rate.batches_per_s >= 2, "{bytes} bytes a second");
        assert!(3 * 60_000 * bytes / samples <= rate.burst_bytes, "{} bytes a sample", bytes / samples);
    }

    proptest! {
        /// Over any time no more passes than the burst and what has risen since.
        #[test]
        fn no_pattern_gets_more_than_its_share(steps in prop::collection::vec((0_u64..2_000, 0_usize..5_000), 1..200)) {
            let mut rig = Rig::new(SMALL);
            let (mut now, mut batches, mut bytes) = (0, 0_u64, 0_u64);
            for (pause, size) in steps {
                now += pause;
                match rig.send("a", size, now) {
                    Ok(()) => { batches += 1; bytes += size as u64; }
                    Err(Refusal::Rate { retry_ms }) => {
                        prop_assert!(retry_ms > 0);
                        now += retry_ms;
                        prop_assert_eq!(rig.send("a", size, now), Ok(()), "what it said holds");
                        batches += 1;
                        bytes += size as u64;
                    }
                    Err(other) => prop_assert!(false, "{other}"),
                }
                prop_assert!(batches <= 4 + 2 * now / 1_000);
                prop_assert!(bytes <= 10_000 + now);
            }
        }
    }
}
