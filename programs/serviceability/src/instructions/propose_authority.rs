//! Names the next authority, or takes the proposal back.

use super::prelude::*;

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [authority, network]);
    let data: &RawProposeAuthority = checks::data(bytes)?;
    let signer = Signer::new(authority)?;
    let mut network: Write<RawNetwork> = Write::new(program, network)?;
    checks::sequence(&network.header, data.expected_sequence)?;
    checks::authority(&network, signer.key())?;

    let mut act = Act::of(Tag::ProposeAuthority, signer.key());
    act.begin(&network.header)?;
    network.pending_authority = data.authority;
    act.changed(&mut network)
}
