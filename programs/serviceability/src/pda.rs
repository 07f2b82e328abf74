//! Program-derived addresses: recognising the canonical one, and creating an account at it.
//!
//! Creation is the only place where an address is derived. An account that exists and belongs to this program was
//! created here, so its address is canonical, and its fields say what it is.

use causeway_interface::{ErrorCode, Key};
use pinocchio::{
    AccountView, Address,
    cpi::{Seed, Signer},
};
use pinocchio_system::instructions::{Allocate, Assign, CreateAccount, Transfer};

use crate::{
    Outcome,
    accounts::{Layout, Payer, Record, Vacant, Write, begin},
    syscalls::{self, Rent, key, slot},
};

/// What the runtime appends before hashing.
const MARKER: &[u8] = b"ProgramDerivedAddress";

/// The address of these seeds under `program` with this bump, on the curve or off it.
#[inline(always)]
fn at(seeds: &[&[u8]; 2], bump: u8, program: &Address) -> [u8; 32] {
    let [kind, name] = *seeds;
    syscalls::sha256(&[kind, name, &[bump], program.as_array(), MARKER])
}

/// Checks that `address` is that of these seeds under `program`: the one with the highest bump that is off the curve.
///
/// # Errors
/// [`ErrorCode::WrongAddress`].
pub fn check(address: &Key, seeds: [&[u8]; 2], program: &Address) -> Outcome {
    let seeds = &seeds;
    let bump = bump_of(address, seeds, program)?;
    if syscalls::is_on_curve(&at(seeds, bump, program)) { Err(ErrorCode::WrongAddress) } else { Ok(()) }
}

/// The highest bump with which the seeds give `address`, where all higher ones are on the curve.
///
/// The same search as the runtime's own, by the two cheaper calls that it consists of: 350 CU a step, not 1 500.
/// Whether `address` itself is off the curve is not looked at: the runtime refuses to sign for it otherwise.
#[inline(always)]
fn bump_of(address: &Key, seeds: &[&[u8]; 2], program: &Address) -> Outcome<u8> {
    match search(address, seeds, program) {
        NO_BUMP => Err(ErrorCode::WrongAddress),
        bump => Ok(bump),
    }
}

/// Stands for "none of them": a bump of zero is as good as never found, and never used.
const NO_BUMP: u8 = 0;

#[inline(never)]
fn search(address: &Key, seeds: &[&[u8]; 2], program: &Address) -> u8 {
    let mut bump = u8::MAX;
    loop {
        let candidate = at(seeds, bump, program);
        if candidate == address.0 {
            return bump;
        }
        if bump == NO_BUMP || !syscalls::is_on_curve(&candidate) {
            return NO_BUMP;
        }
        bump -= 1;
    }
}

/// What the creations of one instruction have in common.
pub struct Creator<'a> {
    program: &'a Address,
    payer: &'a Payer<'a>,
    rent: Rent,
    slot: u64,
}

impl<'a> Creator<'a> {
    /// Reads rent and slot.
    #[inline(always)]
    pub fn new(program: &'a Address, payer: &'a Payer<'a>) -> Outcome<Self> {
        let mut creator = Self { program, payer, rent: Rent::default(), slot: 0 };
        creator.read()?;
        Ok(creator)
    }

    #[inline(never)]
    fn read(&mut self) -> Outcome {
        self.rent = Rent::get()?;
        self.slot = slot()?;
        Ok(())
    }

    /// The slot of the creation.
    #[inline(always)]
    pub fn slot(&self) -> u64 {
        self.slot
    }

    /// Creates an account of `T` with `entries` zeroed list entries at the address of its seeds, and begins it.
    ///
    /// # Errors
    /// [`ErrorCode::WrongAddress`], [`ErrorCode::AlreadyInitialized`], [`ErrorCode::NotRentExempt`].
    #[inline(always)]
    pub fn create<'v, T: Record>(
        &self,
        vacant: Vacant<'v>,
        seeds: [&[u8]; 2],
        entries: usize,
    ) -> Outcome<Write<'v, T>> {
        let entries = u32::try_from(entries).map_err(|_| ErrorCode::Overflow)?;
        let account = vacant.into_account();
        self.make(account, &seeds, const { Layout::of::<T>() }, entries)?;
        Ok(Write::begun(account))
    }

    /// Allocates an account with so many zeroed list entries at the address of the seeds, and begins it.
    ///
    /// # Errors
    /// [`ErrorCode::WrongAddress`], [`ErrorCode::AlreadyInitialized`], [`ErrorCode::NotRentExempt`].
    #[inline(never)]
    pub fn make(&self, account: &mut AccountView, seeds: &[&[u8]; 2], layout: Layout, entries: u32) -> Outcome {
        let bump = self.allocate(account, seeds, layout.len_with(entries))?;
        begin(account, layout, entries, bump, self.slot)
    }

    /// Allocates `space` zero bytes at the address of the seeds and gives them to this program; returns the bump.
    ///
    /// Lamports that somebody has sent to the address beforehand are used, and stop nothing.
    #[inline(always)]
    fn allocate(&self, to: &AccountView, seeds: &[&[u8]; 2], space: usize) -> Outcome<u8> {
        let bump = bump_of(key(to.address()), seeds, self.program)?;
        if !to.is_data_empty() || !to.owned_by(&pinocchio_system::ID) {
            return Err(ErrorCode::AlreadyInitialized);
        }
        let from: &AccountView = self.payer.view();
        let held = to.lamports();
        let lamports = self.rent.minimum(space)?.saturating_sub(held);
        if from.lamports() < lamports {
            return Err(ErrorCode::NotRentExempt);
        }
        let [kind, name] = *seeds;
        let bump_seed = [bump];
        let seeds = [Seed::from(kind), Seed::from(name), Seed::from(&bump_seed)];
        let signers = [Signer::from(&seeds)];
        let (owner, space) = (self.program, space as u64);
        // The runtime ends the transaction itself when a call fails; what is left is a borrow that is still held.
        let held_borrow = |_| ErrorCode::DuplicateAccount;
        if held == 0 {
            CreateAccount { from, to, lamports, space, owner }.invoke_signed(&signers).map_err(held_borrow)?;
        } else {
            // The system program's `CreateAccount` refuses an address that holds lamports.
            if lamports > 0 {
                transfer(from, to, lamports)?;
            }
            Allocate { account: to, space }.invoke_signed(&signers).map_err(held_borrow)?;
            Assign { account: to, owner }.invoke_signed(&signers).map_err(held_borrow)?;
        }
        Ok(bump)
    }
}

/// Brings an account that has grown to `len` bytes back to rent exemption.
///
/// # Errors
/// [`ErrorCode::NotRentExempt`].
pub fn top_up(payer: &Payer, account: &AccountView, len: usize) -> Outcome {
    let missing = Rent::get()?.minimum(len)?.saturating_sub(account.lamports());
    if missing == 0 {
        return Ok(());
    }
    let from: &AccountView = payer.view();
    if from.lamports() < missing {
        return Err(ErrorCode::NotRentExempt);
    }
    transfer(from, account, missing)
}

#[inline(never)]
fn transfer(from: &AccountView, to: &AccountView, lamports: u64) -> Outcome {
    Transfer { from, to, lamports }.invoke().map_err(|_| ErrorCode::DuplicateAccount)
}
