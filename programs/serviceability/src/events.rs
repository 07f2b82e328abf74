//! One event per mutation: what history is built from.

use causeway_interface::{
    AccountType, ErrorCode, Key,
    accounts::RawHeader,
    event::{EVENT_VERSION, RawEvent, RawTriple},
    instruction::Tag,
};

use crate::{Outcome, syscalls::log_data};

/// Status, health and desired status of a header.
#[inline(always)]
pub fn triple(header: &RawHeader) -> RawTriple {
    RawTriple { status: header.status, health: header.health, desired: header.desired }
}

/// Before creation, after closing.
pub const NOTHING: RawTriple = RawTriple { status: 0, health: 0, desired: 0 };

/// Counts a mutation of an account.
///
/// # Errors
/// [`ErrorCode::Overflow`] after 2^64 of them.
#[inline(always)]
pub fn touch(header: &mut RawHeader) -> Outcome {
    header.sequence.set(header.sequence.get().checked_add(1).ok_or(ErrorCode::Overflow)?);
    Ok(())
}

/// Who did what in which slot.
#[derive(Clone, Copy)]
pub struct Act<'a> {
    /// The instruction.
    pub tag: Tag,
    /// Who signed.
    pub actor: &'a Key,
    /// When.
    pub slot: u64,
}

/// The subject of an event.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// What it is.
    pub account_type: AccountType,
    /// Where it is.
    pub key: &'a Key,
}

impl Act<'_> {
    /// Logs the mutation of `subject`.
    #[inline(always)]
    pub fn log(&self, subject: Subject, from: RawTriple, to: RawTriple, sequence: u64, detail: u32) {
        let event = RawEvent {
            version: EVENT_VERSION,
            kind: self.tag.byte(),
            subject_type: subject.account_type.byte(),
            subject: *subject.key,
            from,
            to,
            actor: *self.actor,
            sequence: sequence.into(),
            slot: self.slot.into(),
            detail: detail.into(),
        };
        log_data(bytemuck::bytes_of(&event));
    }

    /// Counts and logs a mutation of an account that stays.
    ///
    /// # Errors
    /// [`ErrorCode::Overflow`] after 2^64 mutations.
    #[inline(always)]
    pub fn changed(&self, account_type: AccountType, key: &Key, from: RawTriple, header: &mut RawHeader) -> Outcome {
        self.changed_with(account_type, key, from, header, 0)
    }

    /// As [`Self::changed`], with a detail.
    ///
    /// # Errors
    /// [`ErrorCode::Overflow`] after 2^64 mutations.
    #[inline(always)]
    pub fn changed_with(
        &self,
        account_type: AccountType,
        key: &Key,
        from: RawTriple,
        header: &mut RawHeader,
        detail: u32,
    ) -> Outcome {
        touch(header)?;
        self.log(Subject { account_type, key }, from, triple(header), header.sequence.get(), detail);
        Ok(())
    }

    /// Logs a creation.
    #[inline(always)]
    pub fn created(&self, account_type: AccountType, key: &Key, header: &RawHeader) {
        self.log(Subject { account_type, key }, NOTHING, triple(header), header.sequence.get(), 0);
    }

    /// Logs a closing.
    #[inline(always)]
    pub fn closed(&self, account_type: AccountType, key: &Key, from: RawTriple, sequence: u64) {
        self.log(Subject { account_type, key }, from, NOTHING, sequence, 0);
    }
}
