//! Changes a link's figures.

use super::prelude::*;

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [owner_or_operations, contributor, link]);
    let data: &RawUpdateLink = checks::data(bytes)?;
    let signer = Signer::new(owner_or_operations)?;
    let contributor: Read<RawContributor> = Read::new(program, contributor)?;
    let mut link: Write<RawLink> = Write::new(program, link)?;
    let [is_a, is_z] = super::ends::sides_of(&link, contributor.key())?;
    checks::sequence(&link.header, data.expected_sequence)?;
    checks::link_is_live(&link)?;
    values::bandwidth(data.bandwidth_bps.get())?;
    values::mtu(data.mtu.get())?;
    values::delay(data.delay_ns.get())?;
    values::delay(data.jitter_ns.get())?;
    values::delay_override(data.delay_override_ns.get())?;
    // The override is operational; the rest is what was registered.
    let operational = link.bandwidth_bps == data.bandwidth_bps
        && link.mtu == data.mtu
        && link.delay_ns == data.delay_ns
        && link.jitter_ns == data.jitter_ns;
    let allowed = if operational { checks::is_owner_or_operations } else { checks::is_owner };
    ensure((is_a || is_z) && allowed(&contributor, signer.key()), ErrorCode::NotLinkParty)?;

    let mut act = Act::of(Tag::UpdateLink, signer.key());
    act.begin(&link.header)?;
    link.bandwidth_bps = data.bandwidth_bps;
    link.mtu = data.mtu;
    link.delay_ns = data.delay_ns;
    link.jitter_ns = data.jitter_ns;
    link.delay_override_ns = data.delay_override_ns;
    act.changed(&mut link)
}
