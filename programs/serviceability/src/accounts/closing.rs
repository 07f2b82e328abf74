//! Closing accounts: nothing is left that could be revived.

use causeway_interface::{ErrorCode, Key};
use pinocchio::AccountView;

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
    pub fn new(account: &'a mut AccountView) -> Outcome<Self> {
        if account.is_writable() { Ok(Self(account)) } else { Err(ErrorCode::NotWritable) }
    }

    /// Its key.
    pub fn key(&self) -> &Key {
        key(self.0.address())
    }

    /// Moves `lamports` of `from` here.
    ///
    /// # Errors
    /// [`ErrorCode::Overflow`] where there are not as many, [`ErrorCode::DuplicateAccount`] where both are one.
    pub fn credit(&mut self, from: &mut AccountView, lamports: u64) -> Outcome {
        if from.address() == self.0.address() {
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
///
/// # Errors
/// [`ErrorCode::DuplicateAccount`] where a view of it is still in use, or it is the recipient.
pub fn close(account: &mut AccountView, recipient: &mut Recipient) -> Outcome {
    {
        let mut bytes = account.try_borrow_mut().map_err(|_| ErrorCode::DuplicateAccount)?;
        zero(&mut bytes);
    }
    let all = account.lamports();
    recipient.credit(account, all)?;
    account.close().map_err(|_| ErrorCode::DuplicateAccount)
}
