//! Marks a link for deletion.

use super::prelude::*;

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [owner_or_authority, network, contributor, link]);
    let data: &RawExpect = checks::data(bytes)?;
    let signer = Signer::new(owner_or_authority)?;
    let network: Read<RawNetwork> = Read::new(program, network)?;
    let contributor: Read<RawContributor> = Read::new(program, contributor)?;
    let mut link: Write<RawLink> = Write::new(program, link)?;
    // Who has not accepted rejects.
    let [is_a, is_z] = super::ends::sides_of(&link, contributor.key())?;
    checks::sequence(&link.header, data.expected_sequence)?;
    let roles = Roles::ANYONE
        .with(Role::Contributor, (is_a || is_z) && checks::is_owner(&contributor, signer.key()))
        .with(Role::Authority, network.authority == *signer.key());
    let mut act = Act::of(Tag::DeleteLink, signer.key());
    checks::move_link(&mut act, &network, &mut link, link::Event::Delete, Asked::by(roles))?;
    act.changed(&mut link)
}
