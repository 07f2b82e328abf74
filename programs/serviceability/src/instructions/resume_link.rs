//! Lets a suspended link go on.

use super::prelude::*;

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [authority, network, link]);
    let data: &RawExpect = checks::data(bytes)?;
    let signer = Signer::new(authority)?;
    let network: Read<RawNetwork> = Read::new(program, network)?;
    let mut link: Write<RawLink> = Write::new(program, link)?;
    checks::sequence(&link.header, data.expected_sequence)?;
    let roles = Roles::ANYONE.with(Role::Authority, network.authority == *signer.key());
    let mut act = Act::of(Tag::ResumeLink, signer.key());
    checks::move_link(&mut act, &network, &mut link, link::Event::Resume, Asked::by(roles))?;
    link.suspended_from = LinkStatus::Pending.byte();
    act.changed(&mut link)
}
