//! The named key becomes the authority.

use super::prelude::*;

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [authority, network]);
    let data: &RawExpect = checks::data(bytes)?;
    let signer = Signer::new(authority)?;
    let mut network: Write<RawNetwork> = Write::new(program, network)?;
    checks::sequence(&network.header, data.expected_sequence)?;
    let pending = !network.pending_authority.is_zero() && network.pending_authority == *signer.key();
    ensure(pending, ErrorCode::NoPendingAuthority)?;

    let mut act = Act::of(Tag::AcceptAuthority, signer.key());
    act.begin(&network.header)?;
    network.authority = *signer.key();
    network.pending_authority = Key::ZERO;
    act.changed(&mut network)
}
