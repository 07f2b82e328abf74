//! The bitmap allocator against a set that forgets nothing.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use bytemuck::Zeroable;
use causeway_interface::{ErrorCode, Le64, Prefix, accounts::RawPool, pool};
use proptest::prelude::*;

struct Bitmap {
    record: RawPool,
    words: Vec<Le64>,
}

impl Bitmap {
    fn new(base: u32, stride: u32, capacity: u32) -> Self {
        let mut record = RawPool::zeroed();
        let mut words = vec![Le64::from(0); pool::words_for(capacity)];
        pool::init(&mut record, &mut words, base, stride, capacity);
        Self { record, words }
    }

    fn allocate(&mut self) -> Result<u32, ErrorCode> {
        pool::allocate(&mut self.record, &mut self.words)
    }

    fn free(&mut self, value: u32) -> Result<(), ErrorCode> {
        pool::free(&mut self.record, &mut self.words, value)
    }
}

#[test]
fn every_value_is_handed_out_once_and_in_order() {
    for capacity in [1, 2, 63, 64, 65, 127, 128, 4_095, 4_096, 4_097, 65_535, pool::MAX_CAPACITY] {
        let mut bitmap = Bitmap::new(1, 2, capacity);
        for n in 0..capacity {
            assert_eq!(bitmap.allocate(), Ok(1 + 2 * n), "value {n} of {capacity}");
        }
        assert_eq!(bitmap.allocate(), Err(ErrorCode::PoolExhausted));
        assert_eq!(bitmap.record.allocated.get(), capacity);
        let last = 1 + 2 * (capacity - 1);
        assert_eq!(bitmap.free(last), Ok(()));
        assert_eq!(bitmap.free(last), Err(ErrorCode::PoolDoubleFree));
        assert_eq!(bitmap.allocate(), Ok(last));
    }
}

#[test]
fn values_that_are_not_the_pools_are_refused() {
    let mut bitmap = Bitmap::new(100, 2, 10);
    bitmap.allocate().unwrap();
    for foreign in [0, 99, 101, 120, u32::MAX] {
        assert_eq!(bitmap.free(foreign), Err(ErrorCode::PoolForeignValue), "{foreign}");
    }
    assert_eq!(bitmap.free(102), Err(ErrorCode::PoolDoubleFree));
}

#[test]
fn blocks_are_cut_into_what_fits() {
    let block = |text: &str| text.parse::<Prefix>().unwrap();
    assert_eq!(pool::link_nets(&block("172.16.0.0/16")), (0xac10_0000, 2, 32_768));
    assert_eq!(pool::link_nets(&block("172.16.0.0/30")), (0xac10_0000, 2, 2));
    assert_eq!(pool::link_nets(&block("10.0.0.0/8")), (0x0a00_0000, 2, pool::MAX_CAPACITY));
    assert_eq!(pool::loopbacks(&block("172.17.0.0/16")), (0xac11_0001, 1, 65_534));
    assert_eq!(pool::loopbacks(&block("172.17.0.0/30")), (0xac11_0001, 1, 2));
}

proptest! {
    #[test]
    fn it_does_what_a_set_does(
        capacity in 1_u32..300,
        steps in prop::collection::vec((any::<bool>(), any::<u16>()), 0..600),
    ) {
        let (base, stride) = (1_000, 2);
        let mut bitmap = Bitmap::new(base, stride, capacity);
        let mut taken = BTreeSet::new();
        for (allocate, pick) in steps {
            if allocate {
                let lowest = (0..capacity).map(|n| base + n * stride).find(|v| !taken.contains(v));
                prop_assert_eq!(bitmap.allocate().ok(), lowest);
                taken.extend(lowest);
            } else {
                let value = base + u32::from(pick) % (capacity + 2) * stride;
                let expected = if taken.remove(&value) {
                    Ok(())
                } else if value >= base + capacity * stride {
                    Err(ErrorCode::PoolForeignValue)
                } else {
                    Err(ErrorCode::PoolDoubleFree)
                };
                prop_assert_eq!(bitmap.free(value), expected);
            }
            prop_assert_eq!(bitmap.record.allocated.get() as usize, taken.len());
        }
    }
}
