//! Assigns tunnel id and net, and begins provisioning.

use super::prelude::*;
use causeway_interface::Prefix;

/// Checks and applies.
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [
        owner, network, contributor_a, contributor_z, device_a, device_z, location_a, exchange_a, location_z,
        exchange_z, link, link_net_pool, link_id_pool,
    ]);
    let data: &RawExpect = checks::data(bytes)?;
    let signer = Signer::new(owner)?;
    let network: Read<RawNetwork> = Read::new(program, network)?;
    let mut link: Write<RawLink> = Write::new(program, link)?;
    let mut nets = pools::bind(program, link_net_pool, PoolKind::LinkNet)?;
    let mut ids = pools::bind(program, link_id_pool, PoolKind::LinkId)?;
    let device_a: Read<RawDevice> = Read::new(program, device_a)?;
    let device_z: Read<RawDevice> = Read::new(program, device_z)?;
    checks::sequence(&link.header, data.expected_sequence)?;
    let registry_active = super::ends::registry_active(
        program,
        &link,
        [&device_a, &device_z],
        [device_a.key(), device_z.key()],
        [contributor_a, contributor_z],
        [location_a, location_z],
        [exchange_a, exchange_z],
    )?;
    let mut facts = checks::link_facts(&link, checks::is_running(&network)?)?;
    facts.registry_active = registry_active;
    facts.devices = [stored!(device_a.header.status, DeviceStatus), stored!(device_z.header.status, DeviceStatus)];
    let contributor_a: Read<RawContributor> = Read::new(program, contributor_a)?;
    let contributor_z: Read<RawContributor> = Read::new(program, contributor_z)?;
    let roles = super::ends::roles(
        checks::is_owner(&contributor_a, signer.key()),
        checks::is_owner(&contributor_z, signer.key()),
    );
    let status = checks::move_link(&checks::link_state(&link)?, link::Event::Provision, &facts, roles)?;

    let act = Act { tag: Tag::ProvisionLink, actor: signer.key(), slot: slot()? };
    let (from, key) = (triple(&link.header), link.key());
    link.tunnel_net = Prefix::new(pools::allocate(&mut nets)?, 31);
    link.tunnel_id.set(pools::allocate(&mut ids)?);
    checks::set_link_status(&mut link, status, act.slot);
    act.changed(AccountType::Link, key, from, &mut link.header)
}
