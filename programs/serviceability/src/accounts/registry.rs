//! A contributor, location or exchange, where an instruction takes any of the three.
#![allow(unsafe_code)]

use causeway_interface::{
    AccountType, Key,
    accounts::{RawContributor, RawExchange, RawHeader, RawLocation},
};
use pinocchio::{AccountView, Address};

use super::{
    closing::Recipient,
    view::{Record, Write},
};
use crate::Outcome;

/// The checked view of one of the three.
pub enum Registry<'a> {
    /// A contributor.
    Contributor(Write<'a, RawContributor>),
    /// A location.
    Location(Write<'a, RawLocation>),
    /// An exchange.
    Exchange(Write<'a, RawExchange>),
}

macro_rules! each {
    ($registry:expr, $record:ident => $value:expr) => {
        match $registry {
            Registry::Contributor($record) => $value,
            Registry::Location($record) => $value,
            Registry::Exchange($record) => $value,
        }
    };
}

impl<'a> Registry<'a> {
    /// Checks owner, writable flag, type, version and length.
    ///
    /// # Errors
    /// As [`Write::new`].
    #[inline(never)]
    pub fn new(program: &Address, account: &'a mut AccountView) -> Outcome<Self> {
        // SAFETY: one byte is looked at, and nothing follows from it but which check the account has to pass.
        let first = unsafe { account.borrow_unchecked().first().copied() };
        match first.and_then(AccountType::from_byte) {
            Some(AccountType::Location) => Write::new(program, account).map(Self::Location),
            Some(AccountType::Exchange) => Write::new(program, account).map(Self::Exchange),
            Some(
                AccountType::Contributor
                | AccountType::Network
                | AccountType::Device
                | AccountType::Link
                | AccountType::Attestations
                | AccountType::Pool
                | AccountType::PrefixTable,
            )
            | None => Write::new(program, account).map(Self::Contributor),
        }
    }

    /// The header.
    pub fn header(&self) -> &RawHeader {
        each!(self, record => &record.header)
    }

    /// The header, to change.
    pub fn header_mut(&mut self) -> &mut RawHeader {
        each!(self, record => record.header_mut())
    }

    /// Its key.
    pub fn key(&self) -> &'a Key {
        each!(self, record => record.key())
    }

    /// Whether devices or links depend on it.
    pub fn is_in_use(&self) -> bool {
        match self {
            Self::Contributor(record) => record.device_count.get() > 0 || record.link_count.get() > 0,
            Self::Location(record) => record.device_count.get() > 0,
            Self::Exchange(record) => record.device_count.get() > 0,
        }
    }

    /// Closes it.
    ///
    /// # Errors
    /// As [`Write::close`].
    pub fn close(self, recipient: &mut Recipient) -> Outcome {
        each!(self, record => record.close(recipient))
    }
}
