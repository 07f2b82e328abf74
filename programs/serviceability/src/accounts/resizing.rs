//! Accounts that grow and shrink by list entries.

use causeway_interface::ErrorCode;
use pinocchio::{AccountView, Resize};

use super::{
    closing::Recipient,
    parties::Payer,
    view::{List, Write},
};
use crate::{Outcome, pda::top_up, syscalls::Rent};

impl<'a, T: List> Write<'a, T> {
    /// Makes the list `entries` long, the new ones zero; the payer brings the account back to rent exemption.
    ///
    /// # Errors
    /// [`ErrorCode::NotRentExempt`], [`ErrorCode::Overflow`] beyond what the runtime lets an account grow by.
    pub fn grow(self, payer: &Payer, entries: usize) -> Outcome<Self> {
        let len = T::len_with(entries);
        let mut account = self.release();
        top_up(payer, &account, len)?;
        resize(&mut account, len)?;
        Self::resized(account, entries)
    }

    /// Makes the list `entries` long by cutting it, and gives what the account holds beyond its rent to the recipient.
    ///
    /// # Errors
    /// [`ErrorCode::DuplicateAccount`] where the account is the recipient.
    pub fn shrink(self, recipient: &mut Recipient, entries: usize) -> Outcome<Self> {
        let len = T::len_with(entries);
        let mut account = self.release();
        resize(&mut account, len)?;
        let spare = account.lamports().saturating_sub(Rent::get()?.minimum(len)?);
        recipient.credit(&mut account, spare)?;
        Self::resized(account, entries)
    }
}

#[inline(never)]
fn resize(account: &mut AccountView, len: usize) -> Outcome {
    account.resize(len).map_err(|_| ErrorCode::Overflow)
}
