//! Registers a contributor.

use super::prelude::*;

/// Checks and applies.
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [payer, authority, network, contributor, system_program]);
    let data: &RawCreateContributor = checks::data(bytes)?;
    let payer = Payer::new(payer)?;
    let signer = Signer::new(authority)?;
    let vacant = Vacant::new(contributor)?;
    SystemProgram::check(system_program)?;
    let mut network: Write<RawNetwork> = Write::new(program, network)?;
    ensure(data.code.is_valid(), ErrorCode::CodeInvalid)?;
    ensure(!data.owner.is_zero(), ErrorCode::KeyMissing)?;
    checks::authority(&network, signer.key())?;

    let creator = Creator::new(program, &payer)?;
    let mut created: Write<RawContributor> = creator.create(vacant, [seeds::CONTRIBUTOR, data.code.as_bytes()], 0)?;
    created.header.status = RegistryStatus::Activated.byte();
    created.code = data.code;
    created.owner = data.owner;
    created.operations_key = data.operations_key;
    count!(in network.contributor_count)?;
    let act = Act::creating(Tag::CreateContributor, signer.key(), creator.slot());
    act.created(&mut created);
    Ok(())
}
