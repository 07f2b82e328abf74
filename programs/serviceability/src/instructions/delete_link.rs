//! Marks a link for deletion.

use super::prelude::*;

/// Checks and applies.
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [owner_or_authority, network, contributor, link]);
    let data: &RawExpect = checks::data(bytes)?;
    let signer = Signer::new(owner_or_authority)?;
    let network: Read<RawNetwork> = Read::new(program, network)?;
    let contributor: Read<RawContributor> = Read::new(program, contributor)?;
    let mut link: Write<RawLink> = Write::new(program, link)?;
    let side = link.contributor_a == *contributor.key() || link.contributor_z == *contributor.key();
    ensure(side, ErrorCode::AccountMismatch)?;
    checks::sequence(&link.header, data.expected_sequence)?;
    let roles = Roles::ANYONE
        .with(Role::Contributor, checks::is_owner(&contributor, signer.key()))
        .with(Role::Authority, network.authority == *signer.key());
    let facts = checks::link_facts(&link, checks::is_running(&network)?)?;
    let status = checks::move_link(&checks::link_state(&link)?, link::Event::Delete, &facts, roles)?;

    let act = Act { tag: Tag::DeleteLink, actor: signer.key(), slot: slot()? };
    let (from, key) = (triple(&link.header), link.key());
    checks::set_link_status(&mut link, status, act.slot);
    act.changed(AccountType::Link, key, from, &mut link.header)
}
