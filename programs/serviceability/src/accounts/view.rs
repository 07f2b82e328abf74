//! Views of this program's own accounts.
//!
//! A view is one pointer: what it checked is not looked at again, and it has nothing to do when it goes out of scope.
//! The runtime's mark that an account is in use stays set until the instruction ends, so that an account has one
//! mutable view or several shared ones for all of an instruction; [`Write::release`] is the only way back.
#![allow(unsafe_code)]

use core::{
    marker::PhantomData,
    mem::{align_of, size_of},
    ops::{Deref, DerefMut},
    slice,
};

use bytemuck::Pod;
use causeway_interface::{
    ErrorCode, Key, Le32,
    accounts::{
        Account, LAYOUT_VERSION, OLDEST_LAYOUT_VERSION, RawAttestation, RawAttestations, RawContributor, RawDevice,
        RawExchange, RawHeader, RawInterface, RawLink, RawLocation, RawNetwork, RawPool, RawPrefixRange,
        RawPrefixTable, is_readable, upgrade,
    },
};
use pinocchio::{AccountView, Address, account::NOT_BORROWED};

use crate::{Outcome, syscalls::key};

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

/// The runtime's mark of an account that is being changed.
const WRITTEN: u8 = 0;
/// Its mark of one that is being read. How many read it does not matter: no view ever gives its place back.
const READ: u8 = NOT_BORROWED - 1;

/// What an account has to be, but for its list: layout version and type, length of the fixed part, and whether it has
/// to be writable; 31 bits, so that one instruction of the machine passes it.
#[derive(Clone, Copy)]
pub(super) struct Shape(u32);

impl Shape {
    /// The shape of `T`'s accounts.
    pub(super) const fn of<T: Record>() -> Self {
        assert!(size_of::<T>() < 1 << 14 && T::ENTRY_LEN < 1 << 16 && align_of::<T>() == 1, "fits, and lies anywhere");
        Self((size_of::<T>() as u32) << 16 | (LAYOUT_VERSION as u32) << 8 | T::TYPE.byte() as u32)
    }

    const WRITABLE: u32 = 1 << 30;

    /// The same, to be changed.
    pub(super) const fn writable(self) -> Self {
        Self(self.0 | Self::WRITABLE)
    }

    const fn is_writable(self) -> bool {
        self.0 & Self::WRITABLE != 0
    }

    /// Type and version, as the first two bytes of an account.
    const fn tag(self) -> [u8; 2] {
        (self.0 as u16).to_le_bytes()
    }

    const fn fixed_len(self) -> usize {
        ((self.0 >> 16) & 0x3fff) as usize
    }
}

/// Checks that an account is of this program and of this shape, and marks it as in use.
///
/// # Errors
/// In this order: [`ErrorCode::WrongOwner`], [`ErrorCode::NotWritable`], [`ErrorCode::DuplicateAccount`],
/// [`ErrorCode::WrongType`], [`ErrorCode::WrongVersion`], [`ErrorCode::WrongLength`].
#[inline(always)]
pub(super) fn admit_here(program: &Address, account: &mut AccountView, shape: Shape, entry_len: u32) -> Outcome {
    if !account.owned_by(program) {
        return Err(ErrorCode::WrongOwner);
    }
    // SAFETY: the runtime's record of the account; the framework reads and writes the mark in the same way.
    let raw = unsafe { &mut *account.account_mut_ptr() };
    if shape.is_writable() {
        if raw.is_writable == 0 {
            return Err(ErrorCode::NotWritable);
        }
        if raw.borrow_state != NOT_BORROWED {
            return Err(ErrorCode::DuplicateAccount);
        }
        raw.borrow_state = WRITTEN;
    } else {
        if raw.borrow_state == WRITTEN {
            return Err(ErrorCode::DuplicateAccount);
        }
        raw.borrow_state = READ;
    }
    // SAFETY: the account has just been found free, and is marked.
    let bytes = unsafe { account.borrow_unchecked() };
    let is_ours = bytes.first_chunk::<2>() == Some(&shape.tag());
    let fits = Some(bytes.len()) == expected_len(bytes, shape.fixed_len(), entry_len);
    if is_ours && fits {
        return Ok(());
    }
    if fits && is_older(bytes, shape) {
        if shape.is_writable() {
            // SAFETY: as long as its shape, which begins with the header; marked as being written.
            upgrade(unsafe { &mut *account.data_mut_ptr().cast() });
        }
        return Ok(());
    }
    Err(misfit(bytes, shape))
}

/// Length of an account with this fixed part and the list that its count says; nothing where there is no count.
#[inline(always)]
fn expected_len(bytes: &[u8], fixed: usize, entry_len: u32) -> Option<usize> {
    if entry_len == 0 {
        return Some(fixed);
    }
    let count = bytes.get(fixed..)?.first_chunk::<COUNT_LEN>()?;
    Some(fixed + COUNT_LEN + u32::from_le_bytes(*count) as usize * entry_len as usize)
}

/// Whether bytes are of a shape's type in an older layout version that is read all the same. There is none yet, and
/// so no code for it.
#[inline(always)]
fn is_older(bytes: &[u8], shape: Shape) -> bool {
    OLDEST_LAYOUT_VERSION < LAYOUT_VERSION
        && matches!(bytes, [found, version, ..] if *found == shape.tag()[0] && is_readable(*version))
}

/// Why bytes are not of a shape.
#[cold]
#[inline(never)]
fn misfit(bytes: &[u8], shape: Shape) -> ErrorCode {
    let [account_type, version] = shape.tag();
    match bytes {
        [found, ..] if *found != account_type => ErrorCode::WrongType,
        [_, found, ..] if *found != version => ErrorCode::WrongVersion,
        _ => ErrorCode::WrongLength,
    }
}

/// As [`admit_here`], for all but the one instruction whose price counts most: one copy for records of fixed length.
#[inline(never)]
fn admit_fixed(program: &Address, account: &mut AccountView, shape: Shape) -> Outcome {
    admit_here(program, account, shape, 0)
}

/// And one for those with a list.
#[inline(never)]
fn admit_list(program: &Address, account: &mut AccountView, shape: Shape, entry_len: u32) -> Outcome {
    admit_here(program, account, shape, entry_len)
}

#[inline(always)]
fn admit<T: Record>(program: &Address, account: &mut AccountView, shape: Shape) -> Outcome {
    if T::ENTRY_LEN == 0 {
        admit_fixed(program, account, shape)
    } else {
        admit_list(program, account, shape, T::ENTRY_LEN as u32)
    }
}

/// The account's key, for as long as the runtime's input lives.
#[inline(always)]
fn key_of<'a>(account: &AccountView) -> &'a Key {
    let address: *const Key = key(account.address());
    // SAFETY: the address lies in the runtime's input, apart from the account's data, and is written by nothing: the
    // framework has no way to, and closing an account begins behind it.
    unsafe { &*address }
}

/// An account that is read.
pub struct Read<'a, T> {
    account: AccountView,
    record: PhantomData<&'a T>,
}

impl<'a, T: Record> Read<'a, T> {
    /// Checks owner, type, version and length.
    ///
    /// # Errors
    /// [`ErrorCode::WrongOwner`], [`ErrorCode::DuplicateAccount`] where another view changes it,
    /// [`ErrorCode::WrongType`], [`ErrorCode::WrongVersion`], [`ErrorCode::WrongLength`].
    #[inline(always)]
    pub fn new(program: &Address, account: &'a AccountView) -> Outcome<Self> {
        let mut account = *account;
        admit::<T>(program, &mut account, const { Shape::of::<T>() })?;
        Ok(Self { account, record: PhantomData })
    }

    /// As [`Self::new`], in place: cheaper by a call, dearer by a copy of the check.
    ///
    /// # Errors
    /// As [`Self::new`].
    #[inline(always)]
    pub fn new_here(program: &Address, account: &'a AccountView) -> Outcome<Self> {
        let mut account = *account;
        admit_here(program, &mut account, const { Shape::of::<T>() }, T::ENTRY_LEN as u32)?;
        Ok(Self { account, record: PhantomData })
    }

    /// Its key.
    #[inline(always)]
    pub fn key(&self) -> &'a Key {
        key_of(&self.account)
    }
}

impl<T: List> Read<'_, T> {
    /// The list.
    #[inline(always)]
    pub fn entries(&self) -> &[T::Entry] {
        // SAFETY: admitted, so the list is as long as its count says, and nobody changes it.
        unsafe { entries::<T>(&self.account) }
    }
}

/// The list of an admitted account.
///
/// # Safety
/// The account was admitted as a `T`, and nothing changes it while the list is in use.
#[inline(always)]
unsafe fn entries<'a, T: List>(account: &AccountView) -> &'a [T::Entry] {
    const { assert!(align_of::<T::Entry>() == 1 && size_of::<T::Entry>() == T::ENTRY_LEN) };
    // SAFETY: by the caller.
    unsafe {
        let count = account.data_ptr().add(size_of::<T>());
        let len = u32::from_le_bytes(*count.cast()) as usize;
        slice::from_raw_parts(count.add(COUNT_LEN).cast(), len)
    }
}

impl<T: Record> Deref for Read<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: admitted, so it is at least as long as `T`, which is plain data of alignment 1; nobody changes it.
        unsafe { &*self.account.data_ptr().cast() }
    }
}

/// What a new account is: its shape, and the length of a list entry.
#[derive(Clone, Copy)]
pub(crate) struct Layout(u64);

impl Layout {
    /// Of `T`'s accounts.
    pub(crate) const fn of<T: Record>() -> Self {
        Self((T::ENTRY_LEN as u64) << 32 | Shape::of::<T>().0 as u64)
    }

    const fn shape(self) -> Shape {
        Shape(self.0 as u32)
    }

    const fn entry_len(self) -> usize {
        (self.0 >> 32) as usize
    }

    /// Length of an account with so many list entries, where that is a length at all.
    #[inline(always)]
    pub(crate) fn len_with(self, entries: u32) -> usize {
        let list = match self.entry_len() {
            0 => 0,
            // A count is 32 bits and an entry 16: the product fits.
            entry => COUNT_LEN + (entries as usize).wrapping_mul(entry & 0xffff),
        };
        self.shape().fixed_len() + list
    }
}

/// Says in an account that has just been made long enough for so many list entries how many they are, and marks it as
/// in use again.
#[inline(always)]
pub(super) fn write_count(account: &mut AccountView, layout: Layout, entries: u32) {
    let at = layout.shape().fixed_len();
    if account.data_len() == layout.len_with(entries) && layout.entry_len() > 0 {
        // SAFETY: the length has room for the fixed part and the count; the account was released, so no view of it
        // exists; the mark is in the runtime's record of it.
        unsafe {
            *account.data_mut_ptr().add(at).cast() = entries.to_le_bytes();
            (*account.account_mut_ptr()).borrow_state = WRITTEN;
        }
    }
}

/// Begins a record in an account that has just been created for so many list entries, all zero.
///
/// # Errors
/// [`ErrorCode::WrongLength`] where the account is not of that size.
#[inline(always)]
pub(crate) fn begin(account: &mut AccountView, layout: Layout, entries: u32, bump: u8, slot: u64) -> Outcome {
    let shape = layout.shape();
    if account.data_len() != layout.len_with(entries) {
        return Err(ErrorCode::WrongLength);
    }
    let [account_type, _] = shape.tag();
    // SAFETY: the length was checked to have room for the fixed part and the count; nobody else has a view of an
    // account that has just been created; the mark is in the runtime's record of it.
    unsafe {
        if layout.entry_len() > 0 {
            *account.data_mut_ptr().add(shape.fixed_len()).cast() = entries.to_le_bytes();
        }
        (*account.account_mut_ptr()).borrow_state = WRITTEN;
        let header: &mut RawHeader = &mut *account.data_mut_ptr().cast();
        header.account_type = account_type;
        upgrade(header);
        header.bump = bump;
        header.sequence.set(slot);
        header.status_since_slot.set(slot);
    }
    Ok(())
}

/// An account that is changed.
pub struct Write<'a, T> {
    account: AccountView,
    record: PhantomData<&'a mut T>,
}

impl<'a, T: Record> Write<'a, T> {
    /// Checks owner, the writable flag, type, version and length.
    ///
    /// # Errors
    /// [`ErrorCode::WrongOwner`], [`ErrorCode::NotWritable`], [`ErrorCode::DuplicateAccount`] where there is another
    /// view of it, [`ErrorCode::WrongType`], [`ErrorCode::WrongVersion`], [`ErrorCode::WrongLength`].
    #[inline(always)]
    pub fn new(program: &Address, account: &'a mut AccountView) -> Outcome<Self> {
        admit::<T>(program, account, const { Shape::of::<T>().writable() })?;
        Ok(Self { account: *account, record: PhantomData })
    }

    /// As [`Self::new`], in place: cheaper by a call, dearer by a copy of the check.
    ///
    /// # Errors
    /// As [`Self::new`].
    #[inline(always)]
    pub fn new_here(program: &Address, account: &'a mut AccountView) -> Outcome<Self> {
        admit_here(program, account, const { Shape::of::<T>().writable() }, T::ENTRY_LEN as u32)?;
        Ok(Self { account: *account, record: PhantomData })
    }

    /// The view of an account that [`begin`] has begun as a `T`.
    #[inline(always)]
    pub(crate) fn begun(account: &'a mut AccountView) -> Self {
        Self { account: *account, record: PhantomData }
    }

    /// Its key.
    #[inline(always)]
    pub fn key(&self) -> &'a Key {
        key_of(&self.account)
    }

    /// Gives the view up: the account can be resized, closed, or viewed again.
    #[inline(always)]
    pub(super) fn release(mut self) -> AccountView {
        // SAFETY: the runtime's record of the account; the only view of it ends here.
        unsafe { (*self.account.account_mut_ptr()).borrow_state = NOT_BORROWED };
        self.account
    }
}

impl<'a, T: List> Write<'a, T> {
    /// The view of an account that was released, and resized by [`write_count`]'s rules.
    #[inline(always)]
    pub(super) fn resized(account: AccountView) -> Self {
        Self { account, record: PhantomData }
    }

    /// The list.
    #[inline(always)]
    pub fn entries(&self) -> &[T::Entry] {
        // SAFETY: admitted, so the list is as long as its count says; whoever would change it needs `&mut self`.
        unsafe { entries::<T>(&self.account) }
    }

    /// Record and list, to change.
    #[inline(always)]
    pub fn split(&mut self) -> (&mut T, &mut [T::Entry]) {
        let len = self.entries().len();
        let data = self.account.data_mut_ptr();
        // SAFETY: admitted, so both lie in the account's data, one behind the other, plain data of alignment 1; the
        // one mutable view of it is borrowed.
        unsafe { (&mut *data.cast(), slice::from_raw_parts_mut(data.add(size_of::<T>() + COUNT_LEN).cast(), len)) }
    }
}

impl<T: Record> Deref for Write<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: admitted, so it is at least as long as `T`, which is plain data of alignment 1.
        unsafe { &*self.account.data_ptr().cast() }
    }
}

impl<T: Record> DerefMut for Write<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the one mutable view of it is borrowed.
        unsafe { &mut *self.account.data_mut_ptr().cast() }
    }
}
