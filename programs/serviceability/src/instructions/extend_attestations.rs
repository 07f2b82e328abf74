//! Makes an entry for every oracle of the current set.

use super::prelude::*;
use pinocchio::Resize;

/// Checks and applies.
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [payer, network, attestations, system_program]);
    let data: &RawExtend = checks::data(bytes)?;
    let payer = Payer::new(payer)?;
    SystemProgram::check(system_program)?;
    let network: Read<RawNetwork> = Read::new(program, network)?;
    let present = Write::<RawAttestations>::new(program, attestations)?.entries().len();
    let more = match data.entries.get() as usize {
        0 => (network.oracle_count as usize).saturating_sub(present),
        more if more <= MAX_ORACLES.saturating_sub(present) => more,
        _ => return Err(ErrorCode::InstructionData),
    };
    ensure(more > 0, ErrorCode::NoChange)?;
    let entries = present + more;
    let len = RawAttestations::len_with(entries);
    pda::top_up(&payer, attestations, len)?;
    attestations.resize(len).map_err(|_| ErrorCode::Overflow)?;
    Write::<RawAttestations>::set_count(attestations, entries)?;
    let mut record: Write<RawAttestations> = Write::new(program, attestations)?;
    let act = Act { tag: Tag::ExtendAttestations, actor: payer.key(), slot: slot()? };
    let (from, key) = (triple(&record.header), record.key());
    act.changed_with(AccountType::Attestations, key, from, &mut record.header, more as u32)
}
