//! Assigns tunnel id and net, and begins provisioning.

use super::prelude::*;
use causeway_interface::Prefix;

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    let [owner, network, around @ .., link, link_net_pool, link_id_pool] = accounts else {
        return Err(ErrorCode::AccountCount);
    };
    let around: &mut [AccountView; 8] = around.try_into().map_err(|_| ErrorCode::AccountCount)?;
    let [contributor_a, contributor_z, device_a, device_z] = [&around[0], &around[1], &around[2], &around[3]];
    let data: &RawExpect = checks::data(bytes)?;
    let signer = Signer::new(owner)?;
    let network: Read<RawNetwork> = Read::new(program, network)?;
    let mut link: Write<RawLink> = Write::new(program, link)?;
    let mut nets = pools::bind(program, link_net_pool, PoolKind::LinkNet)?;
    let mut ids = pools::bind(program, link_id_pool, PoolKind::LinkId)?;
    let device_a: Read<RawDevice> = Read::new(program, device_a)?;
    let device_z: Read<RawDevice> = Read::new(program, device_z)?;
    checks::sequence(&link.header, data.expected_sequence)?;
    let registry_active = super::ends::registry_active(program, &link, &[&device_a, &device_z], around)?;
    let devices = [stored!(device_a.header.status, DeviceStatus), stored!(device_z.header.status, DeviceStatus)];
    // Admitted above already, as the ends' own.
    let contributor_a: Read<RawContributor> = Read::new(program, contributor_a)?;
    let contributor_z: Read<RawContributor> = Read::new(program, contributor_z)?;
    let roles = super::ends::roles(
        checks::is_owner(&contributor_a, signer.key()),
        checks::is_owner(&contributor_z, signer.key()),
    );
    let mut act = Act::of(Tag::ProvisionLink, signer.key());
    let asked = Asked::by(roles).registry_active(registry_active).devices(devices);
    checks::move_link(&mut act, &network, &mut link, link::Event::Provision, asked)?;

    link.tunnel_net = Prefix::new(pools::allocate(&mut nets)?, 31);
    link.tunnel_id.set(pools::allocate(&mut ids)?);
    act.changed(&mut link)
}
