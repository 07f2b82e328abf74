//! Suspends or activates a contributor, a location or an exchange.

use super::prelude::*;

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [authority, network, target]);
    let data: &RawSetRegistryStatus = checks::data(bytes)?;
    let signer = Signer::new(authority)?;
    let network: Read<RawNetwork> = Read::new(program, network)?;
    let mut target = Registry::new(program, target)?;
    checks::sequence(target.header(), data.expected_sequence)?;
    let status = given!(data.status, RegistryStatus);
    checks::authority(&network, signer.key())?;
    ensure(target.header().status != status.byte(), ErrorCode::NoChange)?;

    let mut act = Act::of(Tag::SetRegistryStatus, signer.key());
    act.begin(target.header())?;
    let header = target.header_mut();
    header.status = status.byte();
    header.status_since_slot.set(act.slot);
    act.changed_registry(&mut target)
}
