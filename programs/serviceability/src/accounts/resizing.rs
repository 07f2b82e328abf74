//! Accounts that grow and shrink by list entries.

use causeway_interface::ErrorCode;
use pinocchio::{AccountView, Resize};

use super::{
    closing::Recipient,
    parties::Payer,
    view::{Layout, List, Write, write_count},
};
use crate::{Outcome, pda::top_up, syscalls::Rent};

impl<'a, T: List> Write<'a, T> {
    /// Makes the list `entries` long, the new ones zero; the payer brings the account back to rent exemption.
    ///
    /// # Errors
    /// [`ErrorCode::NotRentExempt`], [`ErrorCode::Overflow`] beyond what the runtime lets an account grow by.
    #[inline(always)]
    pub fn grow(self, payer: &Payer, entries: usize) -> Outcome<Self> {
        let entries = u32::try_from(entries).map_err(|_| ErrorCode::Overflow)?;
        let mut account = self.release();
        top_up(payer, &account, const { Layout::of::<T>() }.len_with(entries))?;
        resize(&mut account, const { Layout::of::<T>() }, entries)?;
        Ok(Self::resized(account))
    }

    /// Makes the list `entries` long by cutting it, and gives what the account holds beyond its rent to the recipient.
    ///
    /// # Errors
    /// [`ErrorCode::DuplicateAccount`] where the account is the recipient.
    #[inline(always)]
    pub fn shrink(self, recipient: &mut Recipient, entries: usize) -> Outcome<Self> {
        let entries = u32::try_from(entries).map_err(|_| ErrorCode::Overflow)?;
        let mut account = self.release();
        resize(&mut account, const { Layout::of::<T>() }, entries)?;
        let spare = account.lamports().saturating_sub(Rent::get()?.minimum(account.data_len())?);
        recipient.credit(&mut account, spare)?;
        Ok(Self::resized(account))
    }
}

#[inline(never)]
fn resize(account: &mut AccountView, layout: Layout, entries: u32) -> Outcome {
    account.resize(layout.len_with(entries)).map_err(|_| ErrorCode::Overflow)?;
    write_count(account, layout, entries);
    Ok(())
}
