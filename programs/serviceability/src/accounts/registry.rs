//! A contributor, location or exchange, where an instruction takes any of the three.

use core::mem::size_of;

use causeway_interface::{
    AccountType, ErrorCode, Key,
    accounts::{LAYOUT_VERSION, RawContributor, RawExchange, RawHeader, RawLocation},
};
use pinocchio::{AccountView, Address, account::RefMut};

use super::view::check_owner;
use crate::{Outcome, syscalls::key};

/// The checked view.
pub struct Registry<'a> {
    bytes: RefMut<'a, [u8]>,
    key: Key,
    account_type: AccountType,
}

impl<'a> Registry<'a> {
    /// Checks the writable flag, owner, type, version and length.
    ///
    /// # Errors
    /// As [`super::Write::new`].
    pub fn new(program: &Address, account: &'a mut AccountView) -> Outcome<Self> {
        check_owner(program, account)?;
        if !account.is_writable() {
            return Err(ErrorCode::NotWritable);
        }
        let key = *key(account.address());
        let bytes = account.try_borrow_mut().map_err(|_| ErrorCode::DuplicateAccount)?;
        let &[account_type, version, ..] = &*bytes else { return Err(ErrorCode::WrongLength) };
        let account_type = AccountType::from_byte(account_type).ok_or(ErrorCode::WrongType)?;
        let len = match account_type {
            AccountType::Contributor => size_of::<RawContributor>(),
            AccountType::Location => size_of::<RawLocation>(),
            AccountType::Exchange => size_of::<RawExchange>(),
            AccountType::Network
            | AccountType::Device
            | AccountType::Link
            | AccountType::Attestations
            | AccountType::Pool
            | AccountType::PrefixTable => return Err(ErrorCode::WrongType),
        };
        if version != LAYOUT_VERSION {
            return Err(ErrorCode::WrongVersion);
        }
        if bytes.len() != len {
            return Err(ErrorCode::WrongLength);
        }
        Ok(Self { bytes, key, account_type })
    }

    /// Which of the three.
    pub fn account_type(&self) -> AccountType {
        self.account_type
    }

    /// Its key.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The header.
    pub fn header(&self) -> &RawHeader {
        bytemuck::from_bytes(&self.bytes[..RawHeader::LEN])
    }

    /// The header, to change.
    pub fn header_mut(&mut self) -> &mut RawHeader {
        bytemuck::from_bytes_mut(&mut self.bytes[..RawHeader::LEN])
    }

    /// Whether devices or links depend on it.
    pub fn is_in_use(&self) -> bool {
        match self.account_type {
            AccountType::Contributor => {
                let record: &RawContributor = bytemuck::from_bytes(&self.bytes);
                record.device_count.get() > 0 || record.link_count.get() > 0
            }
            AccountType::Location => bytemuck::from_bytes::<RawLocation>(&self.bytes).device_count.get() > 0,
            AccountType::Exchange => bytemuck::from_bytes::<RawExchange>(&self.bytes).device_count.get() > 0,
            AccountType::Network
            | AccountType::Device
            | AccountType::Link
            | AccountType::Attestations
            | AccountType::Pool
            | AccountType::PrefixTable => true,
        }
    }
}
