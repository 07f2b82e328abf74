//! Closing accounts: nothing is left that could be revived.
#![allow(unsafe_code)]

use causeway_interface::{ErrorCode, Key};
use pinocchio::AccountView;

use super::view::{Record, Write};
use crate::{
    Outcome,
    syscalls::{key, zero},
};

/// Who gets the rent.
pub struct Recipient<'a>(&'a mut AccountView);

impl<'a> Recipient<'a> {
    /// Checks the writable flag.
    ///
    /// # Errors
    /// [`ErrorCode::NotWritable`].
    #[inline(always)]
    pub fn new(account: &'a mut AccountView) -> Outcome<Self> {
        if account.is_writable() { Ok(Self(account)) } else { Err(ErrorCode::NotWritable) }
    }

    /// Its key.
    #[inline(always)]
    pub fn key(&self) -> &Key {
        key(self.0.address())
    }

    /// Moves `lamports` of `from` here.
    ///
    /// # Errors
    /// [`ErrorCode::Overflow`] where there are not as many, [`ErrorCode::DuplicateAccount`] where both are one.
    #[inline(never)]
    pub fn credit(&mut self, from: &mut AccountView, lamports: u64) -> Outcome {
        if key(from.address()) == self.key() {
            return Err(ErrorCode::DuplicateAccount);
        }
        let left = from.lamports().checked_sub(lamports).ok_or(ErrorCode::Overflow)?;
        let sum = self.0.lamports().checked_add(lamports).ok_or(ErrorCode::Overflow)?;
        from.set_lamports(left);
        self.0.set_lamports(sum);
        Ok(())
    }
}

/// Zeroes an account, gives all its lamports to the recipient and the account back to the system program.
#[inline(never)]
pub(super) fn close(mut account: AccountView, recipient: &mut Recipient) -> Outcome {
    // SAFETY: the one view of the account was given up for this.
    zero(unsafe { account.borrow_unchecked_mut() });
    let all = account.lamports();
    recipient.credit(&mut account, all)?;
    account.close().map_err(|_| ErrorCode::DuplicateAccount)
}

impl<T: Record> Write<'_, T> {
    /// Zeroes the account, gives all its lamports to the recipient and the account back to the system program.
    ///
    /// # Errors
    /// [`ErrorCode::DuplicateAccount`] where it is the recipient.
    #[inline(always)]
    pub fn close(self, recipient: &mut Recipient) -> Outcome {
        close(self.release(), recipient)
    }
}
