//! What the program logs for each mutation (`sol_log_data`, one field, borsh), and history is built from.

use crate::{enums::*, types::*};

/// First byte of an event's bytes; changes with the layout.
pub const EVENT_VERSION: u8 = 1;

record! {
    /// Status, health and desired status of the subject: bytes, because their enums depend on the subject's type.
    Triple / RawTriple {
        /// Status byte.
        status: u8,
        /// Health byte.
        health: u8,
        /// Desired status byte.
        desired: u8,
    }
}

record! {
    /// One mutation.
    Event / RawEvent {
        /// [`EVENT_VERSION`].
        version: u8,
        /// The instruction that did it: an instruction tag.
        kind: u8,
        /// What was changed.
        subject_type: AccountType,
        /// Its address.
        subject: Key,
        /// Before; all zero for a creation.
        from: Triple,
        /// After; all zero for a closing.
        to: Triple,
        /// Who signed.
        actor: Key,
        /// Sequence of the subject after the mutation.
        sequence: u64,
        /// Slot of the mutation.
        slot: u64,
        /// What else matters: the reject reason, the number of subjects attested, the new quorum; else 0.
        detail: u32,
    }
}
