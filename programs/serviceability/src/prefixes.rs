//! The table of dz prefixes: disjoint ranges, ascending, so that overlap is found by one binary search.

use causeway_interface::{
    ErrorCode, Prefix,
    accounts::{MAX_DZ_PREFIXES, RawPrefixRange, RawPrefixTable},
    values,
};

use crate::{
    Outcome,
    accounts::Write,
    checks::ensure,
    syscalls::{shift, zero},
};

/// The prefixes of an instruction: valid, set ones first, none overlapping another.
///
/// # Errors
/// [`ErrorCode::DzPrefixTooMany`], [`ErrorCode::DzPrefixInvalid`], [`ErrorCode::DzPrefixOverlap`], and
/// [`ErrorCode::InstructionData`] where one past the count is set.
pub fn checked(prefixes: &[Prefix; MAX_DZ_PREFIXES], count: u8) -> Outcome<&[Prefix]> {
    let (set, unset) = prefixes.split_at_checked(count as usize).ok_or(ErrorCode::DzPrefixTooMany)?;
    for (index, prefix) in set.iter().enumerate() {
        values::dz_prefix(prefix)?;
        ensure(!set.iter().take(index).any(|other| other.overlaps(prefix)), ErrorCode::DzPrefixOverlap)?;
    }
    ensure(unset.iter().all(|p| *p == Prefix::NONE), ErrorCode::InstructionData)?;
    Ok(set)
}

/// Index of the first range that ends at or after `address`.
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
    const ENTRY: usize = RawPrefixRange::LEN;
    let (table, ranges) = table.split();
    let count = table.used.get() as usize;
    let at = {
        let used = used(table, ranges)?;
        let at = position(used, prefix.first());
        ensure(used.get(at).is_none_or(|next| next.first.get() > prefix.last()), ErrorCode::DzPrefixOverlap)?;
        at
    };
    ensure(count < ranges.len(), ErrorCode::PrefixTableFull)?;
    shift(bytemuck::cast_slice_mut(ranges), at * ENTRY, (at + 1) * ENTRY, (count - at) * ENTRY);
    let place = ranges.get_mut(at).ok_or(ErrorCode::CorruptAccount)?;
    place.first.set(prefix.first());
    place.last.set(prefix.last());
    table.used.set(table.used.get() + 1);
    Ok(())
}

/// Gives a prefix back.
///
/// # Errors
/// [`ErrorCode::PrefixNotFound`].
pub fn remove(table: &mut Write<RawPrefixTable>, prefix: &Prefix) -> Outcome {
    const ENTRY: usize = RawPrefixRange::LEN;
    let (table, ranges) = table.split();
    let count = table.used.get() as usize;
    let used = used(table, ranges)?;
    let at = position(used, prefix.first());
    let found = used.get(at).is_some_and(|r| r.first.get() == prefix.first() && r.last.get() == prefix.last());
    ensure(found, ErrorCode::PrefixNotFound)?;
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(used);
    shift(bytes, (at + 1) * ENTRY, at * ENTRY, (count - at - 1) * ENTRY);
    zero(bytes.get_mut((count - 1) * ENTRY..).unwrap_or_default());
    table.used.set(table.used.get() - 1);
    Ok(())
}
