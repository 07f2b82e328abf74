//! Changes a location's particulars.

use super::prelude::*;

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [authority, network, location]);
    let data: &RawUpdateLocation = checks::data(bytes)?;
    let signer = Signer::new(authority)?;
    let network: Read<RawNetwork> = Read::new(program, network)?;
    let mut location: Write<RawLocation> = Write::new(program, location)?;
    checks::sequence(&location.header, data.expected_sequence)?;
    checks::place(&data.name, &data.country, data.lat_e6, data.lng_e6)?;
    checks::authority(&network, signer.key())?;

    let mut act = Act::of(Tag::UpdateLocation, signer.key());
    act.begin(&location.header)?;
    location.name = data.name;
    location.country = data.country;
    location.lat_e6 = data.lat_e6;
    location.lng_e6 = data.lng_e6;
    act.changed(&mut location)
}
