//! Refuses a link.

use super::prelude::*;

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [owner_z_or_authority, network, contributor_z, link]);
    let data: &RawReject = checks::data(bytes)?;
    let signer = Signer::new(owner_z_or_authority)?;
    let network: Read<RawNetwork> = Read::new(program, network)?;
    let contributor_z: Read<RawContributor> = Read::new(program, contributor_z)?;
    let mut link: Write<RawLink> = Write::new(program, link)?;
    belongs(&link.contributor_z, contributor_z.key())?;
    checks::sequence(&link.header, data.expected_sequence)?;
    let reason = given!(data.reason, RejectReason);
    ensure(!matches!(reason, RejectReason::None), ErrorCode::InstructionData)?;
    let roles = super::ends::roles(false, checks::is_owner(&contributor_z, signer.key()))
        .with(Role::Authority, network.authority == *signer.key());
    let mut act = Act::of(Tag::RejectLink, signer.key());
    checks::move_link(&mut act, &network, &mut link, link::Event::Reject, Asked::by(roles))?;
    link.reject_reason = reason.byte();
    act.changed_with(&mut link, reason.byte().into())
}
