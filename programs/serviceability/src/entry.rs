//! The way in from the runtime, the missing heap, and the panic handler: the only code that may export symbols.
//!
//! The framework's own reader of the runtime's input is unrolled for seventeen accounts; this one is a loop, as fast and
//! a fifth as long.
#![allow(unsafe_code, missing_docs)]

use core::{mem::MaybeUninit, ptr, slice};

use causeway_interface::{ErrorCode, instruction::MAX_ATTEST_BATCH};
use pinocchio::{
    AccountView, Address, SUCCESS,
    account::{MAX_PERMITTED_DATA_INCREASE, NOT_BORROWED, RuntimeAccount},
};

use crate::process;

/// Accounts that an instruction can have: a full `Attest` batch, and room to see that there are too many.
const MAX_ACCOUNTS: usize = MAX_ATTEST_BATCH + 4;

/// What the runtime writes of an account beside its data: the record before it, the room to grow and the rent epoch
/// behind it.
const FIXED: usize = size_of::<RuntimeAccount>() + MAX_PERMITTED_DATA_INCREASE + ALIGNMENT;
/// Accounts begin at multiples of this.
const ALIGNMENT: usize = 8;

pinocchio::no_allocator!();
pinocchio::nostd_panic_handler!();

/// Reads the input and runs the instruction: 0, or the error's code.
///
/// # Safety
/// `input` is what the runtime's loader wrote: a count, so many accounts, the data behind its length, and the program's
/// address.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn entrypoint(input: *mut u8) -> u64 {
    let mut accounts = [const { MaybeUninit::<AccountView>::uninit() }; MAX_ACCOUNTS];
    // SAFETY: every address below lies in the input, by the loader's own layout, whose lengths are the runtime's and
    // not the sender's. A repeated account names the place of an earlier one, so what is copied from is initialised.
    unsafe {
        let count = *input.cast::<u64>() as usize;
        if count > MAX_ACCOUNTS {
            return ErrorCode::AccountCount as u64;
        }
        let mut at = input.add(size_of::<u64>());
        let mut place = accounts.as_mut_ptr();
        let end = place.add(count);
        while !ptr::eq(place, end) {
            let raw = at.cast::<RuntimeAccount>();
            let marker = (*raw).borrow_state;
            if marker == NOT_BORROWED {
                let len = (*raw).data_len as usize;
                // Where the framework looks for the length that the account came with.
                (*raw).padding = (len as u32).to_le_bytes();
                place.write(MaybeUninit::new(AccountView::new_unchecked(raw)));
                at = at.add(FIXED.wrapping_add(len).wrapping_add(ALIGNMENT - 1) & !(ALIGNMENT - 1));
            } else {
                place.write(*accounts.as_ptr().add(marker as usize));
                at = at.add(ALIGNMENT);
            }
            place = place.add(1);
        }
        let data_len = *at.cast::<u64>() as usize;
        let data = at.add(size_of::<u64>());
        let program = &*data.add(data_len).cast::<Address>();
        let accounts = slice::from_raw_parts_mut(accounts.as_mut_ptr().cast(), count);
        match process(program, accounts, slice::from_raw_parts(data, data_len)) {
            Ok(()) => SUCCESS,
            Err(error) => error as u64,
        }
    }
}
