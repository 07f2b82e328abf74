//! Registers a location.

use super::{
    founding::{Accounts, Founding},
    prelude::*,
};
use crate::syscalls::key;

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    let accounts: &mut Accounts = accounts.try_into().map_err(|_| ErrorCode::AccountCount)?;
    let data: &RawCreateLocation = checks::data(bytes)?;
    checks::place(&data.name, &data.country, data.lat_e6, data.lng_e6)?;

    let mut founding = Founding::of::<RawLocation>(seeds::LOCATION, &data.code);
    founding.done(program, accounts)?;
    let [_, authority, _, account, _] = accounts;
    let mut record: Write<RawLocation> = Write::begun(account);
    record.header.status = RegistryStatus::Activated.byte();
    record.code = data.code;
    record.name = data.name;
    record.country = data.country;
    record.lat_e6 = data.lat_e6;
    record.lng_e6 = data.lng_e6;
    Act::creating(Tag::CreateLocation, key(authority.address()), founding.slot).created(&mut record);
    Ok(())
}
