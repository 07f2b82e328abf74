//! Pools of the interface crate, reached through checked views.

use causeway_interface::{ErrorCode, PoolKind, accounts::RawPool, pool};
use pinocchio::{AccountView, Address};

use crate::{Outcome, accounts::Write, checks::ensure, events::touch};

/// Binds the pool of this kind.
///
/// # Errors
/// As [`Write::new`], and [`ErrorCode::PoolKindMismatch`].
#[inline(always)]
pub fn bind<'a>(program: &Address, account: &'a mut AccountView, kind: PoolKind) -> Outcome<Write<'a, RawPool>> {
    let pool: Write<RawPool> = Write::new(program, account)?;
    ensure(pool.header.kind == kind.byte(), ErrorCode::PoolKindMismatch)?;
    Ok(pool)
}

/// Hands out the lowest free value.
///
/// # Errors
/// [`ErrorCode::PoolExhausted`].
#[inline(never)]
pub fn allocate(pool: &mut Write<RawPool>) -> Outcome<u32> {
    let (record, words) = pool.split();
    let value = pool::allocate(record, words)?;
    touch(&mut record.header)?;
    Ok(value)
}

/// Takes a value back.
///
/// # Errors
/// [`ErrorCode::PoolDoubleFree`], [`ErrorCode::PoolForeignValue`].
#[inline(never)]
pub fn free(pool: &mut Write<RawPool>, value: u32) -> Outcome {
    let (record, words) = pool.split();
    pool::free(record, words, value)?;
    touch(&mut record.header)
}
