//! Makes an entry for every oracle of the current set.

use super::prelude::*;

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [payer, network, attestations, system_program]);
    let data: &RawExtend = checks::data(bytes)?;
    let payer = Payer::new(payer)?;
    SystemProgram::check(system_program)?;
    let network: Read<RawNetwork> = Read::new(program, network)?;
    let attestations: Write<RawAttestations> = Write::new(program, attestations)?;
    let present = attestations.entries().len();
    let more = match data.entries.get() as usize {
        0 => (network.oracle_count as usize).saturating_sub(present),
        more if more <= MAX_ORACLES.saturating_sub(present) => more,
        _ => return Err(ErrorCode::InstructionData),
    };
    ensure(more > 0, ErrorCode::NoChange)?;
    let mut attestations = attestations.grow(&payer, present + more)?;
    let mut act = Act::of(Tag::ExtendAttestations, payer.key());
    act.begin(&attestations.header)?;
    act.changed_with(&mut attestations, more as u32)
}
