//! Closes a contributor, a location or an exchange that nothing depends on.

use super::prelude::*;

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [authority, network, target, recipient]);
    let data: &RawExpect = checks::data(bytes)?;
    let signer = Signer::new(authority)?;
    let mut network: Write<RawNetwork> = Write::new(program, network)?;
    let mut recipient = Recipient::new(recipient)?;
    let mut target = Registry::new(program, target)?;
    checks::sequence(target.header(), data.expected_sequence)?;
    checks::authority(&network, signer.key())?;
    ensure(!target.is_in_use(), ErrorCode::RegistryInUse)?;

    let mut act = Act::of(Tag::CloseRegistry, signer.key());
    act.begin(target.header())?;
    match target {
        Registry::Contributor(_) => count!(out network.contributor_count)?,
        Registry::Location(_) => count!(out network.location_count)?,
        Registry::Exchange(_) => count!(out network.exchange_count)?,
    }
    act.closing(target.key(), target.header_mut())?;
    target.close(&mut recipient)
}
