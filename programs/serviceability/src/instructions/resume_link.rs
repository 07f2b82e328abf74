//! Lets a suspended link go on.

use super::prelude::*;

/// Checks and applies.
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [authority, network, link]);
    let data: &RawExpect = checks::data(bytes)?;
    let signer = Signer::new(authority)?;
    let network: Read<RawNetwork> = Read::new(program, network)?;
    let mut link: Write<RawLink> = Write::new(program, link)?;
    checks::sequence(&link.header, data.expected_sequence)?;
    let roles = Roles::ANYONE.with(Role::Authority, network.authority == *signer.key());
    let facts = checks::link_facts(&link, checks::is_running(&network)?)?;
    let state = checks::link_state(&link)?;
    let status = checks::move_link(&state, link::Event::Resume, &facts, roles)?;

    let act = Act { tag: Tag::ResumeLink, actor: signer.key(), slot: slot()? };
    let (from, key) = (triple(&link.header), link.key());
    link.suspended_from = LinkStatus::Pending.byte();
    checks::set_link_status(&mut link, status, act.slot);
    act.changed(AccountType::Link, key, from, &mut link.header)
}
