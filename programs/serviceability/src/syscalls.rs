//! What the framework has no safe form of. The only module with `unsafe` beside the entry.
//!
//! Off the ledger (lints, documentation) there is no runtime: nothing is hashed, and no address is ever derived.
#![allow(unsafe_code)]

use causeway_interface::{ErrorCode, Key};
use pinocchio::{
    Address,
    sysvars::{clock::CLOCK_ID, get_sysvar, rent::RENT_ID},
};

use crate::Outcome;

/// Bytes that an account costs beside its data, for rent.
const STORAGE_OVERHEAD: u64 = 128;

/// The current slot: the first eight bytes of the clock.
#[inline(always)]
pub fn slot() -> Outcome<u64> {
    let mut slot = [0; 8];
    read_clock(&mut slot)?;
    Ok(u64::from_le_bytes(slot))
}

#[inline(never)]
fn read_clock(slot: &mut [u8; 8]) -> Outcome {
    get_sysvar(slot, &CLOCK_ID, 0).map_err(|_| ErrorCode::Overflow)
}

/// As [`slot`], for the one instruction whose price counts most.
#[inline(always)]
pub fn slot_here() -> Outcome<u64> {
    let mut slot = [0; 8];
    get_sysvar(&mut slot, &CLOCK_ID, 0).map_err(|_| ErrorCode::Overflow)?;
    Ok(u64::from_le_bytes(slot))
}

/// Longest account that the runtime allows.
const MAX_LEN: usize = 10 * 1024 * 1024;

/// What a byte of an account costs to be rent exempt, in lamports.
#[derive(Default)]
pub struct Rent(u32);

/// The rent sysvar's exemption threshold as the bits of a float: 1.0 since SIMD-0194, 2.0 (years) before.
const THRESHOLD_ONE: u64 = 0x3ff0_0000_0000_0000;
/// 2.0.
const THRESHOLD_TWO: u64 = 0x4000_0000_0000_0000;

impl Rent {
    /// Reads it.
    #[inline(always)]
    pub fn get() -> Outcome<Self> {
        let mut bytes = [[0; 8]; 2];
        get_sysvar(bytes.as_flattened_mut(), &RENT_ID, 0).map_err(|_| ErrorCode::Overflow)?;
        // Beyond 32 bits a lamport rate would make every account cost thousands of SOL; it also keeps the product
        // below in 64 bits.
        let rate = u32::try_from(u64::from_le_bytes(bytes[0])).map_err(|_| ErrorCode::Overflow)?;
        match u64::from_le_bytes(bytes[1]) {
            THRESHOLD_ONE => Ok(Self(rate)),
            THRESHOLD_TWO => rate.checked_mul(2).map(Self).ok_or(ErrorCode::Overflow),
            _ => Err(ErrorCode::Overflow),
        }
    }

    /// Lamports that an account of `len` bytes must hold.
    #[inline(always)]
    pub fn minimum(&self, len: usize) -> Outcome<u64> {
        if len > MAX_LEN {
            return Err(ErrorCode::Overflow);
        }
        // 24 bits times 32; the checked form of a 64-bit product needs a 128-bit one, which this target has not.
        Ok((len as u64 + STORAGE_OVERHEAD).wrapping_mul(u64::from(self.0)))
    }
}

#[cfg(any(target_os = "solana", target_arch = "bpf"))]
mod runtime {
    use pinocchio::syscalls as sys;

    /// Ed25519's curve, as the runtime numbers curves.
    const EDWARDS: u64 = 0;

    /// SHA-256 over the concatenation.
    #[inline(always)]
    pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
        let mut digest = [0; 32];
        // SAFETY: the runtime reads `parts` as (address, length) pairs, which is how slices of slices lie in memory
        // on this target, and writes 32 bytes.
        unsafe { sys::sol_sha256(parts.as_ptr().cast(), parts.len() as u64, digest.as_mut_ptr()) };
        digest
    }

    /// Whether the bytes are a point of ed25519's curve.
    #[inline(always)]
    pub fn is_on_curve(bytes: &[u8; 32]) -> bool {
        // SAFETY: the runtime reads 32 bytes, and answers by its return value only: the place for a result is not
        // touched.
        unsafe { sys::sol_curve_validate_point(EDWARDS, bytes.as_ptr(), core::ptr::null_mut()) == 0 }
    }

    /// Logs one field of data.
    #[inline(always)]
    pub fn log_data(field: &[u8]) {
        let fields = [field];
        // SAFETY: the runtime reads one (address, length) pair.
        unsafe { sys::sol_log_data(fields.as_ptr().cast(), 1) };
    }

    /// Moves `bytes[from..from + len]` to `to`, at a flat cost instead of one instruction per byte.
    pub fn shift(bytes: &mut [u8], from: usize, to: usize, len: usize) {
        let fits = |at: usize| at.checked_add(len).is_some_and(|end| end <= bytes.len());
        if len > 0 && fits(from) && fits(to) {
            let base = bytes.as_mut_ptr();
            // SAFETY: both ranges lie in `bytes`, and the runtime's move allows them to overlap.
            unsafe { sys::sol_memmove_(base.add(to), base.add(from), len as u64) };
        }
    }

    /// What the compiler calls where it doesn't copy, compare or clear by itself: the runtime's, at a flat cost and a
    /// tenth of the size of the compiler's own.
    mod builtins {
        use super::sys;

        // SAFETY: as the compiler's own, which these are in place of: the caller's ranges are valid and as long as it
        // says; the runtime checks them once more.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
            unsafe { sys::sol_memcpy_(to, from, len as u64) };
            to
        }

        #[unsafe(no_mangle)]
        unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
            unsafe { sys::sol_memmove_(to, from, len as u64) };
            to
        }

        #[unsafe(no_mangle)]
        unsafe extern "C" fn memset(to: *mut u8, byte: i32, len: usize) -> *mut u8 {
            unsafe { sys::sol_memset_(to, byte as u8, len as u64) };
            to
        }
    }

    /// Copies `from` to the beginning of `to`, at a flat cost, where it fits.
    pub fn copy(from: &[u8], to: &mut [u8]) {
        if from.len() <= to.len() {
            // SAFETY: both ranges are `from.len()` long, and one of them is borrowed mutably, so they are two.
            unsafe { sys::sol_memcpy_(to.as_mut_ptr(), from.as_ptr(), from.len() as u64) };
        }
    }

    /// Zeroes the bytes at a flat cost.
    pub fn zero(bytes: &mut [u8]) {
        // SAFETY: the range is exactly `bytes`.
        unsafe { sys::sol_memset_(bytes.as_mut_ptr(), 0, bytes.len() as u64) };
    }
}

#[cfg(not(any(target_os = "solana", target_arch = "bpf")))]
mod runtime {
    pub fn sha256(_: &[&[u8]]) -> [u8; 32] {
        [0; 32]
    }

    pub fn is_on_curve(_: &[u8; 32]) -> bool {
        true
    }

    pub fn log_data(_: &[u8]) {}

    pub fn shift(bytes: &mut [u8], from: usize, to: usize, len: usize) {
        bytes.copy_within(from..from + len, to);
    }

    pub fn copy(from: &[u8], to: &mut [u8]) {
        if let Some(place) = to.get_mut(..from.len()) {
            place.copy_from_slice(from);
        }
    }

    pub fn zero(bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

pub use runtime::*;

/// The address as the interface crate has it.
#[inline(always)]
pub fn key(address: &Address) -> &Key {
    bytemuck::cast_ref(address.as_array())
}
