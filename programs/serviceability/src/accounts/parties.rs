//! Accounts that hold nothing of ours: who signs, who pays, where something is to be created.

use causeway_interface::{ErrorCode, Key};
use pinocchio::AccountView;

use crate::{Outcome, syscalls::key};

/// An account that has signed.
pub struct Signer<'a>(&'a AccountView);

impl<'a> Signer<'a> {
    /// Checks the signature.
    ///
    /// # Errors
    /// [`ErrorCode::MissingSignature`].
    #[inline(always)]
    pub fn new(account: &'a AccountView) -> Outcome<Self> {
        if account.is_signer() { Ok(Self(account)) } else { Err(ErrorCode::MissingSignature) }
    }

    /// Its key.
    #[inline(always)]
    pub fn key(&self) -> &Key {
        key(self.0.address())
    }
}

/// An account that has signed and may be debited.
pub struct Payer<'a>(&'a AccountView);

impl<'a> Payer<'a> {
    /// Checks signature and writable flag.
    ///
    /// # Errors
    /// [`ErrorCode::MissingSignature`], [`ErrorCode::NotWritable`].
    #[inline(always)]
    pub fn new(account: &'a AccountView) -> Outcome<Self> {
        match (account.is_signer(), account.is_writable()) {
            (true, true) => Ok(Self(account)),
            (false, _) => Err(ErrorCode::MissingSignature),
            (true, false) => Err(ErrorCode::NotWritable),
        }
    }

    /// Its key.
    #[inline(always)]
    pub fn key(&self) -> &Key {
        key(self.0.address())
    }

    /// For calls to the system program.
    #[inline(always)]
    pub fn view(&self) -> &AccountView {
        self.0
    }
}

/// The system program, which creates accounts.
pub struct SystemProgram;

impl SystemProgram {
    /// Checks the address.
    ///
    /// # Errors
    /// [`ErrorCode::WrongProgram`].
    #[inline(always)]
    pub fn check(account: &AccountView) -> Outcome {
        // Its address is all zero.
        if key(account.address()).is_zero() { Ok(()) } else { Err(ErrorCode::WrongProgram) }
    }
}

/// A writable account in which something is about to be created; [`crate::pda::create`] checks the rest.
pub struct Vacant<'a>(&'a mut AccountView);

impl<'a> Vacant<'a> {
    /// Checks the writable flag.
    ///
    /// # Errors
    /// [`ErrorCode::NotWritable`].
    #[inline(always)]
    pub fn new(account: &'a mut AccountView) -> Outcome<Self> {
        if account.is_writable() { Ok(Self(account)) } else { Err(ErrorCode::NotWritable) }
    }

    /// For the first view of what was created in it.
    #[inline(always)]
    pub fn into_account(self) -> &'a mut AccountView {
        self.0
    }
}
