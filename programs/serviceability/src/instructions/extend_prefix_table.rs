//! Makes room for more dz prefixes.

use super::prelude::*;
use pinocchio::account::MAX_PERMITTED_DATA_INCREASE;

/// Entries that one instruction can add: what the runtime lets an account grow by, 10 240 bytes.
const MOST: usize = MAX_PERMITTED_DATA_INCREASE / RawPrefixRange::LEN;

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [payer, prefix_table, system_program]);
    let data: &RawExtend = checks::data(bytes)?;
    let payer = Payer::new(payer)?;
    SystemProgram::check(system_program)?;
    let more = match data.entries.get() as usize {
        0 => MOST,
        more if more <= MOST => more,
        _ => return Err(ErrorCode::InstructionData),
    };
    let table: Write<RawPrefixTable> = Write::new(program, prefix_table)?;
    let present = table.entries().len();
    let mut table = table.grow(&payer, present + more)?;
    let mut act = Act::of(Tag::ExtendPrefixTable, payer.key());
    act.begin(&table.header)?;
    act.changed_with(&mut table, more as u32)
}
