//! Side Z agrees and names its interface.

use super::prelude::*;
use super::{
    create_link::attach,
    ends::{place_active, roles},
};

/// Checks and applies.
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
    let mut facts = checks::link_facts(&link, checks::is_running(&network)?)?;
    facts.registry_active = registry_active;
    facts.interfaces_fit = true;
    let roles = roles(checks::is_owner(&contributor_a, signer.key()), checks::is_owner(&contributor_z, signer.key()));
    let status = checks::move_link(&checks::link_state(&link)?, link::Event::Accept, &facts, roles)?;
    checks::device_takes_links(&device_a)?;
    checks::device_takes_links(&device_z)?;
    let interface_z = if data.interface_z.is_zero() { link.interface_z } else { data.interface_z };

    let act = Act { tag: Tag::AcceptLink, actor: signer.key(), slot: slot()? };
    let (from, key) = (triple(&link.header), link.key());
    attach(&mut device_z, &interface_z, key)?;
    increment(&mut contributor_z.link_count)?;
    touch(&mut contributor_z.header)?;
    link.interface_z = interface_z;
    link.header.flags |= LINK_FLAG_Z_ATTACHED;
    checks::set_link_status(&mut link, status, act.slot);
    act.changed(AccountType::Link, key, from, &mut link.header)
}
