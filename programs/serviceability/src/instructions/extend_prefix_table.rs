//! Makes room for more dz prefixes.

use super::prelude::*;
use pinocchio::{Resize, account::MAX_PERMITTED_DATA_INCREASE};

/// Entries that one instruction can add: what the runtime lets an account grow by, 10 240 bytes.
const MOST: usize = MAX_PERMITTED_DATA_INCREASE / RawPrefixRange::LEN;

/// Checks and applies.
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
    let present = Write::<RawPrefixTable>::new(program, prefix_table)?.entries().len();
    let entries = present + more;
    let len = RawPrefixTable::len_with(entries);
    pda::top_up(&payer, prefix_table, len)?;
    prefix_table.resize(len).map_err(|_| ErrorCode::Overflow)?;
    Write::<RawPrefixTable>::set_count(prefix_table, entries)?;
    let mut table: Write<RawPrefixTable> = Write::new(program, prefix_table)?;
    let act = Act { tag: Tag::ExtendPrefixTable, actor: payer.key(), slot: slot()? };
    let (from, key) = (triple(&table.header), table.key());
    act.changed_with(AccountType::PrefixTable, key, from, &mut table.header, more as u32)
}
