//! Registers a location.

use super::prelude::*;

/// Checks and applies.
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [payer, authority, network, location, system_program]);
    let data: &RawCreateLocation = checks::data(bytes)?;
    let payer = Payer::new(payer)?;
    let signer = Signer::new(authority)?;
    let vacant = Vacant::new(location)?;
    SystemProgram::check(system_program)?;
    let mut network: Write<RawNetwork> = Write::new(program, network)?;
    ensure(data.code.is_valid(), ErrorCode::CodeInvalid)?;
    checks::place(&data.name, &data.country, data.lat_e6, data.lng_e6)?;
    checks::authority(&network, signer.key())?;

    let creator = Creator::new(program, &payer)?;
    let mut created: Write<RawLocation> = creator.create(vacant, [seeds::LOCATION, data.code.as_bytes()], 0)?;
    created.header.status = RegistryStatus::Activated.byte();
    created.code = data.code;
    created.name = data.name;
    created.country = data.country;
    created.lat_e6 = data.lat_e6;
    created.lng_e6 = data.lng_e6;
    count!(in network.location_count)?;
    let act = Act::creating(Tag::CreateLocation, signer.key(), creator.slot());
    act.created(&mut created);
    Ok(())
}
