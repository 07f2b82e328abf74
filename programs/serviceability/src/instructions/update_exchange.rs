//! Changes an exchange's particulars.

use super::prelude::*;

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [authority, network, exchange]);
    let data: &RawUpdateExchange = checks::data(bytes)?;
    let signer = Signer::new(authority)?;
    let network: Read<RawNetwork> = Read::new(program, network)?;
    let mut exchange: Write<RawExchange> = Write::new(program, exchange)?;
    checks::sequence(&exchange.header, data.expected_sequence)?;
    checks::place(&data.name, &data.country, data.lat_e6, data.lng_e6)?;
    checks::authority(&network, signer.key())?;

    let mut act = Act::of(Tag::UpdateExchange, signer.key());
    act.begin(&exchange.header)?;
    exchange.name = data.name;
    exchange.country = data.country;
    exchange.lat_e6 = data.lat_e6;
    exchange.lng_e6 = data.lng_e6;
    exchange.bgp_community = data.bgp_community;
    act.changed(&mut exchange)
}
