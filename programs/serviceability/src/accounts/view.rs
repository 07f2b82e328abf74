//! Views of this program's own accounts.

use core::{
    marker::PhantomData,
    mem::size_of,
    ops::{Deref, DerefMut},
};

use bytemuck::Pod;
use causeway_interface::{
    ErrorCode, Key, Le32,
    accounts::{
        Account, LAYOUT_VERSION, RawAttestation, RawAttestations, RawContributor, RawDevice, RawExchange, RawHeader,
        RawInterface, RawLink, RawLocation, RawNetwork, RawPool, RawPrefixRange, RawPrefixTable,
    },
};
use pinocchio::{
    AccountView, Address,
    account::{Ref, RefMut},
};

use crate::{
    Outcome,
    syscalls::{key, split_key},
};

/// An account's fixed part, which begins with the header.
pub trait Record: Account {
    /// The header, to change.
    fn header_mut(&mut self) -> &mut RawHeader;
}

/// A record with a list behind it.
pub trait List: Record {
    /// One entry.
    type Entry: Pod;
}

macro_rules! records {
    ($($raw:ident),+) => {$(
        impl Record for $raw {
            #[inline(always)]
            fn header_mut(&mut self) -> &mut RawHeader {
                &mut self.header
            }
        }
    )+};
}

records!(
    RawNetwork,
    RawContributor,
    RawLocation,
    RawExchange,
    RawDevice,
    RawLink,
    RawAttestations,
    RawPool,
    RawPrefixTable
);

impl List for RawDevice {
    type Entry = RawInterface;
}
impl List for RawAttestations {
    type Entry = RawAttestation;
}
impl List for RawPool {
    type Entry = causeway_interface::Le64;
}
impl List for RawPrefixTable {
    type Entry = RawPrefixRange;
}

/// Bytes of the count before a list.
const COUNT_LEN: usize = size_of::<Le32>();

/// Whether the bytes are an account of type `T` in this program's layout.
///
/// # Errors
/// [`ErrorCode::WrongLength`], [`ErrorCode::WrongType`], [`ErrorCode::WrongVersion`].
#[inline(always)]
fn check_layout<T: Record>(bytes: &[u8]) -> Outcome {
    let &[account_type, version, ..] = bytes else { return Err(ErrorCode::WrongLength) };
    if account_type != T::TYPE.byte() {
        return Err(ErrorCode::WrongType);
    }
    if version != LAYOUT_VERSION {
        return Err(ErrorCode::WrongVersion);
    }
    let expected = if T::ENTRY_LEN == 0 {
        size_of::<T>()
    } else {
        match bytes.get(size_of::<T>()..).and_then(|tail| tail.first_chunk()) {
            Some(count) => size_of::<T>() + COUNT_LEN + u32::from_le_bytes(*count) as usize * T::ENTRY_LEN,
            None => return Err(ErrorCode::WrongLength),
        }
    };
    if bytes.len() == expected { Ok(()) } else { Err(ErrorCode::WrongLength) }
}

/// Whether the account belongs to this program.
#[inline(always)]
pub(super) fn check_owner(program: &Address, account: &AccountView) -> Outcome {
    if account.owned_by(program) { Ok(()) } else { Err(ErrorCode::WrongOwner) }
}

/// An account that is read.
pub struct Read<'a, T> {
    bytes: Ref<'a, [u8]>,
    key: &'a Key,
    record: PhantomData<T>,
}

impl<'a, T: Record> Read<'a, T> {
    /// Checks owner, type, version and length.
    ///
    /// # Errors
    /// [`ErrorCode::WrongOwner`], [`ErrorCode::WrongType`], [`ErrorCode::WrongVersion`], [`ErrorCode::WrongLength`],
    /// and [`ErrorCode::DuplicateAccount`] where another view changes it.
    #[inline(always)]
    pub fn new(program: &Address, account: &'a AccountView) -> Outcome<Self> {
        check_owner(program, account)?;
        let bytes = account.try_borrow().map_err(|_| ErrorCode::DuplicateAccount)?;
        check_layout::<T>(&bytes)?;
        Ok(Self { bytes, key: key(account.address()), record: PhantomData })
    }

    /// Its key.
    #[inline(always)]
    pub fn key(&self) -> &'a Key {
        self.key
    }
}

impl<T: List> Read<'_, T> {
    /// The list.
    #[inline(always)]
    pub fn entries(&self) -> &[T::Entry] {
        bytemuck::cast_slice(self.bytes.get(size_of::<T>() + COUNT_LEN..).unwrap_or_default())
    }
}

impl<T: Record> Deref for Read<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        bytemuck::from_bytes(&self.bytes[..size_of::<T>()])
    }
}

/// An account that is changed.
pub struct Write<'a, T> {
    bytes: RefMut<'a, [u8]>,
    key: &'a Key,
    record: PhantomData<T>,
}

impl<'a, T: Record> Write<'a, T> {
    /// Checks the writable flag, owner, type, version and length.
    ///
    /// # Errors
    /// [`ErrorCode::NotWritable`], [`ErrorCode::WrongOwner`], [`ErrorCode::WrongType`],
    /// [`ErrorCode::WrongVersion`], [`ErrorCode::WrongLength`], and [`ErrorCode::DuplicateAccount`] where there is
    /// another view of it.
    #[inline(always)]
    pub fn new(program: &Address, account: &'a mut AccountView) -> Outcome<Self> {
        check_owner(program, account)?;
        if !account.is_writable() {
            return Err(ErrorCode::NotWritable);
        }
        let (key, account) = split_key(account);
        let bytes = account.try_borrow_mut().map_err(|_| ErrorCode::DuplicateAccount)?;
        check_layout::<T>(&bytes)?;
        Ok(Self { bytes, key, record: PhantomData })
    }

    /// Begins a record in an account that was just created with room for `entries` list entries, all zero.
    ///
    /// # Errors
    /// [`ErrorCode::WrongLength`] where the account is not of that size.
    #[inline(always)]
    pub fn begin(account: &'a mut AccountView, entries: usize, bump: u8, slot: u64) -> Outcome<Self> {
        let (key, account) = split_key(account);
        let mut bytes = account.try_borrow_mut().map_err(|_| ErrorCode::DuplicateAccount)?;
        if bytes.len() != T::len_with(entries) {
            return Err(ErrorCode::WrongLength);
        }
        if T::ENTRY_LEN > 0 {
            let count = u32::try_from(entries).map_err(|_| ErrorCode::Overflow)?;
            set_count::<T>(&mut bytes, count);
        }
        let mut record = Self { bytes, key, record: PhantomData };
        let header = record.header_mut();
        header.account_type = T::TYPE.byte();
        header.version = LAYOUT_VERSION;
        header.bump = bump;
        header.sequence.set(slot);
        header.status_since_slot.set(slot);
        Ok(record)
    }

    /// Its key.
    #[inline(always)]
    pub fn key(&self) -> &'a Key {
        self.key
    }
}

impl<T: List> Write<'_, T> {
    /// The list.
    #[inline(always)]
    pub fn entries(&self) -> &[T::Entry] {
        bytemuck::cast_slice(self.bytes.get(size_of::<T>() + COUNT_LEN..).unwrap_or_default())
    }

    /// Record and list, to change.
    #[inline(always)]
    pub fn split(&mut self) -> (&mut T, &mut [T::Entry]) {
        let (record, tail) = self.bytes.split_at_mut(size_of::<T>());
        (bytemuck::from_bytes_mut(record), bytemuck::cast_slice_mut(tail.get_mut(COUNT_LEN..).unwrap_or_default()))
    }

    /// Writes the count of a list whose account has just been resized to hold that many.
    ///
    /// # Errors
    /// [`ErrorCode::WrongLength`] where it has not.
    pub fn set_count(account: &mut AccountView, entries: usize) -> Outcome {
        let mut bytes = account.try_borrow_mut().map_err(|_| ErrorCode::DuplicateAccount)?;
        if bytes.len() != T::len_with(entries) {
            return Err(ErrorCode::WrongLength);
        }
        let count = u32::try_from(entries).map_err(|_| ErrorCode::Overflow)?;
        set_count::<T>(&mut bytes, count);
        Ok(())
    }
}

#[inline(always)]
fn set_count<T: Record>(bytes: &mut [u8], count: u32) {
    if let Some(place) = bytes.get_mut(size_of::<T>()..).and_then(|tail| tail.first_chunk_mut()) {
        *place = count.to_le_bytes();
    }
}

impl<T: Record> Deref for Write<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        bytemuck::from_bytes(&self.bytes[..size_of::<T>()])
    }
}

impl<T: Record> DerefMut for Write<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        bytemuck::from_bytes_mut(&mut self.bytes[..size_of::<T>()])
    }
}
