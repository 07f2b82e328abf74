//! The bitmap allocator: first fit in constant time.
//!
//! Two levels of words: a summary of 16 words says which of up to 1 024 bitmap words are full, so that a free index is
//! found in at most 16 steps and two bit scans however full the pool is.

use crate::{
    accounts::RawPool,
    error::ErrorCode,
    types::{Le64, Prefix},
};

/// Most values of one pool: 16 summary words times 64 bitmap words times 64 bits.
pub const MAX_CAPACITY: u32 = 65_536;

/// Bitmap words that a capacity needs.
pub const fn words_for(capacity: u32) -> usize {
    (capacity as usize).div_ceil(64)
}

/// Makes an empty pool of `capacity` values in a record and bitmap that are all zero: everything past the capacity is
/// marked as handed out.
pub fn init(pool: &mut RawPool, words: &mut [Le64], base: u32, stride: u32, capacity: u32) {
    pool.base.set(base);
    pool.stride.set(stride);
    pool.capacity.set(capacity);
    let used = words_for(capacity);
    if let (false, Some(last)) = (capacity.is_multiple_of(64), words.get_mut(used.wrapping_sub(1))) {
        last.set(u64::MAX << (capacity % 64));
    }
    for word in words.iter_mut().skip(used) {
        word.set(u64::MAX);
    }
    for (index, summary) in pool.full_words.iter_mut().enumerate() {
        let first = index * 64;
        summary.set(if first >= used {
            u64::MAX
        } else if used - first >= 64 {
            0
        } else {
            u64::MAX << (used - first)
        });
    }
}

/// Hands out the lowest free index and returns its value.
///
/// # Errors
/// [`ErrorCode::PoolExhausted`]; nothing is changed then.
pub fn allocate(pool: &mut RawPool, words: &mut [Le64]) -> Result<u32, ErrorCode> {
    for (group, summary) in pool.full_words.iter_mut().enumerate() {
        let full = summary.get();
        if full == u64::MAX {
            continue;
        }
        let in_group = (!full).trailing_zeros();
        let word_index = group * 64 + in_group as usize;
        let word = words.get_mut(word_index).ok_or(ErrorCode::PoolCorrupt)?;
        let bits = word.get();
        let bit = (!bits).trailing_zeros();
        if bit >= 64 {
            return Err(ErrorCode::PoolCorrupt);
        }
        let index = word_index as u32 * 64 + bit;
        if index >= pool.capacity.get() {
            return Err(ErrorCode::PoolCorrupt);
        }
        let value = pool
            .stride
            .get()
            .checked_mul(index)
            .and_then(|offset| offset.checked_add(pool.base.get()))
            .ok_or(ErrorCode::Overflow)?;
        let allocated = pool.allocated.get().checked_add(1).ok_or(ErrorCode::Overflow)?;
        word.set(bits | 1 << bit);
        if word.get() == u64::MAX {
            summary.set(full | 1 << in_group);
        }
        pool.allocated.set(allocated);
        return Ok(value);
    }
    Err(ErrorCode::PoolExhausted)
}

/// Takes a value back.
///
/// # Errors
/// [`ErrorCode::PoolForeignValue`] for a value that the pool can't have handed out, [`ErrorCode::PoolDoubleFree`] for
/// one that is free; nothing is changed then.
pub fn free(pool: &mut RawPool, words: &mut [Le64], value: u32) -> Result<(), ErrorCode> {
    let offset = value.checked_sub(pool.base.get()).ok_or(ErrorCode::PoolForeignValue)?;
    let stride = pool.stride.get();
    let exact = stride != 0 && offset.is_multiple_of(stride);
    let index = if exact { offset / stride } else { return Err(ErrorCode::PoolForeignValue) };
    if index >= pool.capacity.get() {
        return Err(ErrorCode::PoolForeignValue);
    }
    let word_index = (index / 64) as usize;
    let word = words.get_mut(word_index).ok_or(ErrorCode::PoolCorrupt)?;
    let summary = pool.full_words.get_mut(word_index / 64).ok_or(ErrorCode::PoolCorrupt)?;
    let bit = 1 << (index % 64);
    if word.get() & bit == 0 {
        return Err(ErrorCode::PoolDoubleFree);
    }
    let allocated = pool.allocated.get().checked_sub(1).ok_or(ErrorCode::PoolCorrupt)?;
    word.set(word.get() & !bit);
    summary.set(summary.get() & !(1 << (word_index % 64)));
    pool.allocated.set(allocated);
    Ok(())
}

/// Base, stride and capacity of the link-net pool of a block: its /31s.
pub const fn link_nets(block: &Prefix) -> (u32, u32, u32) {
    let addresses = (block.last() - block.first()) as u64 + 1;
    (block.first(), 2, capped(addresses / 2))
}

/// Base, stride and capacity of the loopback pool of a block: its addresses but the first and the last.
pub const fn loopbacks(block: &Prefix) -> (u32, u32, u32) {
    let addresses = (block.last() - block.first()) as u64 + 1;
    (block.first().saturating_add(1), 1, capped(addresses.saturating_sub(2)))
}

/// Base, stride and capacity of the link-id pool: 1 to 65 535.
pub const LINK_IDS: (u32, u32, u32) = (1, 1, 65_535);

/// Base, stride and capacity of the node-segment pool: 1 to 16 383, which fits the usual SR global block.
pub const NODE_SEGMENTS: (u32, u32, u32) = (1, 1, 16_383);

const fn capped(count: u64) -> u32 {
    if count > MAX_CAPACITY as u64 { MAX_CAPACITY } else { count as u32 }
}
