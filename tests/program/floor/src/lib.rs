//! One thing of the runtime per instruction, and nothing else, so that it can be measured alone.
//!
//! The first byte of the data says which; the rest is what it needs. What an instruction costs above
//! [`NOTHING`] with the same accounts is the runtime's price, and the one or two instructions that pick it out.
//! The onchain program makes the same calls in the same form; it is built by the same tools and flags.
#![no_std]

/// What an instruction does.
pub mod part {
    /// Nothing: the way in and out, and finding each account.
    pub const NOTHING: u8 = 0;
    /// Reads the slot.
    pub const SLOT: u8 = 1;
    /// Reads what rent is computed from.
    pub const RENT: u8 = 2;
    /// Hashes as for one address; data: length of the first seed, first seed, second seed.
    pub const HASH: u8 = 3;
    /// Asks whether the data's 32 bytes are on the curve.
    pub const CURVE: u8 = 4;
    /// Logs the data as one field.
    pub const LOG: u8 = 5;
    /// Creates the second account, paid by the first; data: lamports, length, bump, seeds as for `HASH`.
    pub const CREATE: u8 = 6;
    /// Moves lamports from the first account to the second; data: how many.
    pub const TRANSFER: u8 = 7;
    /// Zeroes a kilobyte.
    pub const ZERO: u8 = 8;
    /// Moves a kilobyte.
    pub const MOVE: u8 = 9;
}

use pinocchio::{
    AccountView, Address, ProgramResult,
    cpi::{Seed, Signer},
    error::ProgramError,
    sysvars::{clock::CLOCK_ID, get_sysvar, rent::RENT_ID},
};
use pinocchio_system::instructions::{CreateAccount, Transfer};

/// As many as an instruction of the onchain program can have.
const MAX_ACCOUNTS: usize = 60;
/// Bytes that are zeroed or moved.
const KILOBYTE: usize = 1024;

const INVALID: ProgramError = ProgramError::InvalidInstructionData;

pinocchio::program_entrypoint!(process, MAX_ACCOUNTS);
pinocchio::no_allocator!();
pinocchio::nostd_panic_handler!();

fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> ProgramResult {
    let (&what, data) = data.split_first().ok_or(INVALID)?;
    match what {
        part::NOTHING => Ok(()),
        part::SLOT => get_sysvar(&mut [0; 8], &CLOCK_ID, 0),
        part::RENT => get_sysvar(&mut [0; 16], &RENT_ID, 0),
        part::HASH => {
            let (first, second) = seeds(data)?;
            runtime::hash(&[first, second, &[0], program.as_array(), b"ProgramDerivedAddress"]);
            Ok(())
        }
        part::CURVE => {
            runtime::on_curve(data.first_chunk().ok_or(INVALID)?);
            Ok(())
        }
        part::LOG => {
            runtime::log(&[data]);
            Ok(())
        }
        part::CREATE => create(program, accounts, data),
        part::TRANSFER => {
            let [from, to, ..] = accounts else { return Err(ProgramError::NotEnoughAccountKeys) };
            let (lamports, _) = number(data)?;
            Transfer { from, to, lamports }.invoke()
        }
        part::ZERO => {
            runtime::zero(kilobyte(accounts)?);
            Ok(())
        }
        part::MOVE => {
            runtime::shift(kilobyte(accounts)?);
            Ok(())
        }
        _ => Err(INVALID),
    }
}

fn create(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> ProgramResult {
    let [from, to, ..] = accounts else { return Err(ProgramError::NotEnoughAccountKeys) };
    let (lamports, data) = number(data)?;
    let (space, data) = number(data)?;
    let (bump, data) = data.split_at_checked(1).ok_or(INVALID)?;
    let (first, second) = seeds(data)?;
    let seeds = [Seed::from(first), Seed::from(second), Seed::from(bump)];
    CreateAccount { from, to, lamports, space, owner: program }.invoke_signed(&[Signer::from(&seeds)])
}

fn number(data: &[u8]) -> Result<(u64, &[u8]), ProgramError> {
    let (number, data) = data.split_first_chunk().ok_or(INVALID)?;
    Ok((u64::from_le_bytes(*number), data))
}

fn seeds(data: &[u8]) -> Result<(&[u8], &[u8]), ProgramError> {
    let (&len, data) = data.split_first().ok_or(INVALID)?;
    data.split_at_checked(len.into()).ok_or(INVALID)
}

/// The first kilobyte of the first account.
fn kilobyte(accounts: &mut [AccountView]) -> Result<&mut [u8; KILOBYTE], ProgramError> {
    let [account, ..] = accounts else { return Err(ProgramError::NotEnoughAccountKeys) };
    if account.data_len() < KILOBYTE {
        return Err(ProgramError::AccountDataTooSmall);
    }
    // SAFETY: the account has that many bytes, and nothing else in this program reaches them.
    Ok(unsafe { &mut *account.data_mut_ptr().cast() })
}

#[cfg(any(target_os = "solana", target_arch = "bpf"))]
mod runtime {
    use pinocchio::syscalls as sys;

    #[inline(always)]
    pub fn hash(parts: &[&[u8]; 5]) {
        let mut digest = [0; 32];
        // SAFETY: (address, length) pairs are how slices of slices lie in memory; 32 bytes are written.
        unsafe { sys::sol_sha256(parts.as_ptr().cast(), parts.len() as u64, digest.as_mut_ptr()) };
    }

    #[inline(always)]
    pub fn on_curve(bytes: &[u8; 32]) {
        // SAFETY: 32 bytes are read; the answer is the return value.
        unsafe { sys::sol_curve_validate_point(0, bytes.as_ptr(), core::ptr::null_mut()) };
    }

    #[inline(always)]
    pub fn log(fields: &[&[u8]; 1]) {
        // SAFETY: one (address, length) pair is read.
        unsafe { sys::sol_log_data(fields.as_ptr().cast(), 1) };
    }

    #[inline(always)]
    pub fn zero(bytes: &mut [u8; 1024]) {
        // SAFETY: the range is exactly `bytes`.
        unsafe { sys::sol_memset_(bytes.as_mut_ptr(), 0, bytes.len() as u64) };
    }

    #[inline(always)]
    pub fn shift(bytes: &mut [u8; 1024]) {
        let base = bytes.as_mut_ptr();
        // SAFETY: both ranges lie in `bytes`, and the runtime's move allows them to overlap.
        unsafe { sys::sol_memmove_(base.add(1), base, bytes.len() as u64 - 1) };
    }
}

/// Off the ledger there is no runtime to measure.
#[cfg(not(any(target_os = "solana", target_arch = "bpf")))]
mod runtime {
    pub fn hash(_: &[&[u8]; 5]) {}
    pub fn on_curve(_: &[u8; 32]) {}
    pub fn log(_: &[&[u8]; 1]) {}
    pub fn zero(_: &mut [u8; 1024]) {}
    pub fn shift(_: &mut [u8; 1024]) {}
}
