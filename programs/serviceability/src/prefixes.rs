//! The table of dz prefixes: disjoint ranges, ascending, so that overlap is found by one binary search.

use causeway_interface::{
    ErrorCode, Prefix,
    accounts::{MAX_DZ_PREFIXES, RawNetwork, RawPrefixRange, RawPrefixTable},
    values,
};

use crate::{
    Outcome,
    accounts::Write,
    checks::ensure,
    syscalls::{shift, zero},
};

/// The prefixes of an instruction: valid, set ones first, none overlapping another or the network's own addresses.
///
/// # Errors
/// [`ErrorCode::DzPrefixTooMany`], [`ErrorCode::DzPrefixInvalid`], [`ErrorCode::DzPrefixOverlap`], and
/// [`ErrorCode::InstructionData`] where one past the count is set.
#[inline(never)]
pub fn checked<'p>(network: &RawNetwork, prefixes: &'p [Prefix; MAX_DZ_PREFIXES], count: u8) -> Outcome<&'p [Prefix]> {
    let (set, unset) = prefixes.split_at_checked(count as usize).ok_or(ErrorCode::DzPrefixTooMany)?;
    for (index, prefix) in set.iter().enumerate() {
        values::dz_prefix(prefix)?;
        let own = network.link_block.overlaps(prefix) || network.loopback_block.overlaps(prefix);
        ensure(!own, ErrorCode::DzPrefixOverlap)?;
        ensure(!set.iter().take(index).any(|other| other.overlaps(prefix)), ErrorCode::DzPrefixOverlap)?;
    }
    ensure(unset.iter().all(|p| *p == Prefix::NONE), ErrorCode::InstructionData)?;
    Ok(set)
}

/// Bytes of one range.
const ENTRY: usize = RawPrefixRange::LEN;

/// Bytes of so many ranges: of at most 32 bits of them, and what uses it looks at the bounds.
#[inline(always)]
const fn offset(ranges: usize) -> usize {
    ranges.wrapping_mul(ENTRY)
}

/// Index of the first range that ends at or after `address`.
#[inline(never)]
fn position(ranges: &[RawPrefixRange], address: u32) -> usize {
    ranges.partition_point(|range| range.last.get() < address)
}

/// The ranges in use.
fn used<'t>(table: &RawPrefixTable, ranges: &'t mut [RawPrefixRange]) -> Outcome<&'t mut [RawPrefixRange]> {
    ranges.get_mut(..table.used.get() as usize).ok_or(ErrorCode::CorruptAccount)
}

/// Reserves a prefix.
///
/// # Errors
/// [`ErrorCode::DzPrefixOverlap`], [`ErrorCode::PrefixTableFull`].
pub fn insert(table: &mut Write<RawPrefixTable>, prefix: &Prefix) -> Outcome {
    let (table, ranges) = table.split();
    let count = table.used.get() as usize;
    let at = {
        let used = used(table, ranges)?;
        let at = position(used, prefix.first());
        ensure(used.get(at).is_none_or(|next| next.first.get() > prefix.last()), ErrorCode::DzPrefixOverlap)?;
        at
    };
    ensure(count < ranges.len(), ErrorCode::PrefixTableFull)?;
    let bytes = bytemuck::cast_slice_mut(ranges);
    shift(bytes, offset(at), offset(at) + ENTRY, offset(count.saturating_sub(at)));
    let place = ranges.get_mut(at).ok_or(ErrorCode::CorruptAccount)?;
    place.first.set(prefix.first());
    place.last.set(prefix.last());
    table.used.set(table.used.get().saturating_add(1));
    Ok(())
}

/// Gives a prefix back.
///
/// # Errors
/// [`ErrorCode::PrefixNotFound`].
pub fn remove(table: &mut Write<RawPrefixTable>, prefix: &Prefix) -> Outcome {
    let (table, ranges) = table.split();
    let count = table.used.get() as usize;
    let used = used(table, ranges)?;
    let at = position(used, prefix.first());
    let found = used.get(at).is_some_and(|r| r.first.get() == prefix.first() && r.last.get() == prefix.last());
    ensure(found, ErrorCode::PrefixNotFound)?;
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(used);
    let left = count.saturating_sub(1);
    shift(bytes, offset(at) + ENTRY, offset(at), offset(left.saturating_sub(at)));
    zero(bytes.get_mut(offset(left)..).unwrap_or_default());
    table.used.set(table.used.get().saturating_sub(1));
    Ok(())
}
