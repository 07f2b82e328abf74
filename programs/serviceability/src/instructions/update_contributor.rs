//! Changes a contributor's keys: the owner for itself, the authority for recovery.

use super::prelude::*;

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [owner_or_authority, network, contributor]);
    let data: &RawUpdateContributor = checks::data(bytes)?;
    let signer = Signer::new(owner_or_authority)?;
    let network: Read<RawNetwork> = Read::new(program, network)?;
    let mut contributor: Write<RawContributor> = Write::new(program, contributor)?;
    checks::sequence(&contributor.header, data.expected_sequence)?;
    ensure(!data.owner.is_zero(), ErrorCode::KeyMissing)?;
    if !checks::is_owner(&contributor, signer.key()) {
        checks::authority(&network, signer.key())?;
    }

    let mut act = Act::of(Tag::UpdateContributor, signer.key());
    act.begin(&contributor.header)?;
    contributor.owner = data.owner;
    contributor.operations_key = data.operations_key;
    act.changed(&mut contributor)
}
