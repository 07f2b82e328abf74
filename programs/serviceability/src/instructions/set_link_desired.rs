//! Sets what the signer's side wants a link to be.

use super::prelude::*;

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [owner_or_operations, contributor, link]);
    let data: &RawSetDesired = checks::data(bytes)?;
    let signer = Signer::new(owner_or_operations)?;
    let contributor: Read<RawContributor> = Read::new(program, contributor)?;
    let mut link: Write<RawLink> = Write::new(program, link)?;
    let [is_a, is_z] = super::ends::sides_of(&link, contributor.key())?;
    checks::sequence(&link.header, data.expected_sequence)?;
    checks::link_is_live(&link)?;
    let desired = given!(data.desired, DesiredStatus);
    let party = (is_a || is_z) && checks::is_owner_or_operations(&contributor, signer.key());
    ensure(party, ErrorCode::NotLinkParty)?;
    let before_a = stored!(link.desired_a, DesiredStatus);
    let before_z = stored!(link.desired_z, DesiredStatus);
    let after_a = if is_a { desired } else { before_a };
    let after_z = if is_z { desired } else { before_z };
    ensure(after_a != before_a || after_z != before_z, ErrorCode::NoChange)?;

    let mut act = Act::of(Tag::SetLinkDesired, signer.key());
    act.begin(&link.header)?;
    link.desired_a = after_a.byte();
    link.desired_z = after_z.byte();
    link.header.desired = after_a.stricter(after_z).byte();
    act.changed(&mut link)
}
