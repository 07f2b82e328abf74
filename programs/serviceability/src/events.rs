//! One event per mutation: what history is built from.

use causeway_interface::{
    Key,
    accounts::RawHeader,
    event::{EVENT_VERSION, RawEvent, RawTriple},
    instruction::Tag,
};

use crate::{
    Outcome,
    accounts::{Record, Registry, Write},
    checks::increment,
    syscalls::{log_data, slot},
};

/// Status, health and desired status of a header.
#[inline(always)]
pub fn triple(header: &RawHeader) -> RawTriple {
    RawTriple { status: header.status, health: header.health, desired: header.desired }
}

/// Before creation, after closing.
const NOTHING: RawTriple = RawTriple { status: 0, health: 0, desired: 0 };

/// Counts a mutation of an account.
///
/// # Errors
/// [`ErrorCode::Overflow`] after 2^64 of them.
#[inline(always)]
pub fn touch(header: &mut RawHeader) -> Outcome {
    increment(&mut header.sequence)
}

/// Who does what to a subject, in which slot, and what the subject was before.
pub struct Act<'a> {
    tag: Tag,
    actor: &'a Key,
    from: RawTriple,
    /// When.
    pub slot: u64,
}

/// What became of a subject.
struct Change<'a> {
    subject: &'a Key,
    to: RawTriple,
    detail: u32,
}

impl<'a> Act<'a> {
    /// An act that [`Self::begin`] completes. In two steps, because a result that holds an act would be copied.
    #[inline(always)]
    pub fn of(tag: Tag, actor: &'a Key) -> Self {
        Self { tag, actor, from: NOTHING, slot: 0 }
    }

    /// It happens now, to the account with this header.
    ///
    /// # Errors
    /// None in practice: every runtime has a clock.
    #[inline(never)]
    pub fn begin(&mut self, header: &RawHeader) -> Outcome {
        self.from = triple(header);
        self.slot = slot()?;
        Ok(())
    }

    /// Status of the subject before.
    #[inline(always)]
    pub fn status_before(&self) -> u8 {
        self.from.status
    }

    /// An act on the account with this header, in this slot.
    #[inline(always)]
    pub fn at(tag: Tag, actor: &'a Key, slot: u64, header: &RawHeader) -> Self {
        Self { tag, actor, from: triple(header), slot }
    }

    /// A creation in this slot.
    #[inline(always)]
    pub fn creating(tag: Tag, actor: &'a Key, slot: u64) -> Self {
        Self { tag, actor, from: NOTHING, slot }
    }

    /// Logs what became of the subject with this header.
    #[inline(never)]
    fn log(&self, header: &RawHeader, change: &Change) {
        let event = RawEvent {
            version: EVENT_VERSION,
            kind: self.tag.byte(),
            subject_type: header.account_type,
            subject: *change.subject,
            from: self.from,
            to: change.to,
            actor: *self.actor,
            sequence: header.sequence,
            slot: self.slot.into(),
            detail: change.detail.into(),
        };
        log_data(bytemuck::bytes_of(&event));
    }

    /// Counts and logs a mutation of an account that stays.
    ///
    /// # Errors
    /// [`ErrorCode::Overflow`](causeway_interface::ErrorCode::Overflow) after 2^64 mutations.
    #[inline(always)]
    pub fn changed<T: Record>(&self, subject: &mut Write<T>) -> Outcome {
        let key = subject.key();
        self.count_and_log(subject.header_mut(), key)
    }

    /// As [`Self::changed`], for a contributor, location or exchange.
    ///
    /// # Errors
    /// As [`Self::changed`].
    #[inline(always)]
    pub fn changed_registry(&self, subject: &mut Registry) -> Outcome {
        let key = subject.key();
        self.count_and_log(subject.header_mut(), key)
    }

    #[inline(never)]
    fn count_and_log(&self, header: &mut RawHeader, subject: &Key) -> Outcome {
        self.count_and_log_with(header, subject, 0)
    }

    /// As [`Self::changed`], with a detail.
    ///
    /// # Errors
    /// As [`Self::changed`].
    #[inline(always)]
    pub fn changed_with<T: Record>(&self, subject: &mut Write<T>, detail: u32) -> Outcome {
        let key = subject.key();
        self.count_and_log_with(subject.header_mut(), key, detail)
    }

    #[inline(never)]
    fn count_and_log_with(&self, header: &mut RawHeader, subject: &Key, detail: u32) -> Outcome {
        touch(header)?;
        self.log(header, &Change { subject, to: triple(header), detail });
        Ok(())
    }

    /// Logs something that changes nothing on the subject itself.
    #[inline(always)]
    pub fn noted(&self, subject: &Key, header: &RawHeader, detail: u32) {
        self.log(header, &Change { subject, to: self.from, detail });
    }

    /// Logs a creation.
    #[inline(always)]
    pub fn created<T: Record>(&self, subject: &mut Write<T>) {
        let key = subject.key();
        let header = subject.header_mut();
        self.log(header, &Change { subject: key, to: triple(header), detail: 0 });
    }

    /// Counts and logs the end of a subject that is about to be closed.
    ///
    /// # Errors
    /// As [`Self::changed`].
    #[inline(never)]
    pub fn closing(&self, subject: &Key, header: &mut RawHeader) -> Outcome {
        touch(header)?;
        self.log(header, &Change { subject, to: NOTHING, detail: 0 });
        Ok(())
    }
}
