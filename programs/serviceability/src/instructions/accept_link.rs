//! Side Z agrees and names its interface.

use super::prelude::*;
use super::{
    create_link::attach,
    ends::{place_active, roles},
};

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [
        owner_z, network, contributor_a, contributor_z, device_a, device_z, location_a, exchange_a, location_z,
        exchange_z, link,
    ]);
    let data: &RawAcceptLink = checks::data(bytes)?;
    let signer = Signer::new(owner_z)?;
    let network: Read<RawNetwork> = Read::new(program, network)?;
    let contributor_a: Read<RawContributor> = Read::new(program, contributor_a)?;
    let mut contributor_z: Write<RawContributor> = Write::new(program, contributor_z)?;
    let device_a: Read<RawDevice> = Read::new(program, device_a)?;
    let mut device_z: Write<RawDevice> = Write::new(program, device_z)?;
    let mut link: Write<RawLink> = Write::new(program, link)?;
    belongs(&link.contributor_a, contributor_a.key())?;
    belongs(&link.contributor_z, contributor_z.key())?;
    let own = link.device_a == *device_a.key() && link.device_z == *device_z.key();
    // Device Z may have been closed since, and another party's registered under its code.
    ensure(own && device_z.contributor == *contributor_z.key(), ErrorCode::LinkForeignDevice)?;
    checks::sequence(&link.header, data.expected_sequence)?;
    let registry_active = checks::is_active(&contributor_a.header)?
        && checks::is_active(&contributor_z.header)?
        && place_active(program, &device_a, location_a, exchange_a)?
        && place_active(program, &device_z, location_z, exchange_z)?;
    let roles = roles(checks::is_owner(&contributor_a, signer.key()), checks::is_owner(&contributor_z, signer.key()));
    let mut act = Act::of(Tag::AcceptLink, signer.key());
    let asked = Asked::by(roles).registry_active(registry_active).complete(true);
    checks::move_link(&mut act, &network, &mut link, link::Event::Accept, asked)?;
    checks::device_takes_links(&device_a)?;
    checks::device_takes_links(&device_z)?;
    let interface_z = if data.interface_z.is_zero() { link.interface_z } else { data.interface_z };

    attach(&mut device_z, &interface_z, link.key())?;
    count!(in contributor_z.link_count)?;
    link.interface_z = interface_z;
    link.header.flags |= LINK_FLAG_Z_ATTACHED;
    act.changed(&mut link)
}
