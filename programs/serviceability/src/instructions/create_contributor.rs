//! Registers a contributor.

use super::{
    founding::{Accounts, Founding},
    prelude::*,
};
use crate::syscalls::key;

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    let accounts: &mut Accounts = accounts.try_into().map_err(|_| ErrorCode::AccountCount)?;
    let data: &RawCreateContributor = checks::data(bytes)?;
    ensure(!data.owner.is_zero(), ErrorCode::KeyMissing)?;

    let mut founding = Founding::of::<RawContributor>(seeds::CONTRIBUTOR, &data.code);
    founding.done(program, accounts)?;
    let [_, authority, _, account, _] = accounts;
    let mut record: Write<RawContributor> = Write::begun(account);
    record.header.status = RegistryStatus::Activated.byte();
    record.code = data.code;
    record.owner = data.owner;
    record.operations_key = data.operations_key;
    Act::creating(Tag::CreateContributor, key(authority.address()), founding.slot).created(&mut record);
    Ok(())
}
