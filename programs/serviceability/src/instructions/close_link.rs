//! Frees what a link holds and closes it.

use super::prelude::*;
use causeway_interface::InterfaceName;

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [
        owner_or_authority, network, contributor_a, contributor_z, device_a, device_z, link, attestations,
        link_net_pool, link_id_pool, contributor_a_owner,
    ]);
    let data: &RawExpect = checks::data(bytes)?;
    let signer = Signer::new(owner_or_authority)?;
    let mut recipient = Recipient::new(contributor_a_owner)?;
    let mut network: Write<RawNetwork> = Write::new(program, network)?;
    let mut contributor_a: Write<RawContributor> = Write::new(program, contributor_a)?;
    let mut device_a: Write<RawDevice> = Write::new(program, device_a)?;
    let mut nets = pools::bind(program, link_net_pool, PoolKind::LinkNet)?;
    let mut ids = pools::bind(program, link_id_pool, PoolKind::LinkId)?;
    belongs(&contributor_a.owner, recipient.key())?;

    let mut link: Write<RawLink> = Write::new(program, link)?;
    let attestations: Write<RawAttestations> = Write::new(program, attestations)?;
    ensure(attestations.subject == *link.key(), ErrorCode::AttestationsMismatch)?;
    belongs(&link.contributor_a, contributor_a.key())?;
    ensure(link.device_a == *device_a.key(), ErrorCode::LinkForeignDevice)?;
    checks::sequence(&link.header, data.expected_sequence)?;
    let is_wan = matches!(stored!(link.header.kind, LinkType), LinkType::Wan);
    let one_party = !is_wan || link.contributor_a == *crate::syscalls::key(contributor_z.address());
    ensure(one_party, ErrorCode::AccountMismatch)?;
    // Side Z matters where it holds something: a party that never accepted may be gone, device and all.
    let attached = link.header.flags & LINK_FLAG_Z_ATTACHED != 0;
    let mut device_z = if attached { Some(Write::<RawDevice>::new(program, device_z)?) } else { None };
    let mut contributor_z =
        if attached && !is_wan { Some(Write::<RawContributor>::new(program, contributor_z)?) } else { None };
    if let Some(device_z) = &device_z {
        ensure(link.device_z == *device_z.key(), ErrorCode::LinkForeignDevice)?;
    }
    if let Some(contributor_z) = &contributor_z {
        belongs(&link.contributor_z, contributor_z.key())?;
    }
    let is_owner_z = contributor_z.as_ref().is_some_and(|z| checks::is_owner(z, signer.key()));
    let roles = super::ends::roles(checks::is_owner(&contributor_a, signer.key()), is_owner_z)
        .with(Role::Authority, network.authority == *signer.key());
    let mut act = Act::of(Tag::CloseLink, signer.key());
    checks::move_link(&mut act, &network, &mut link, link::Event::Close, Asked::by(roles))?;

    if !link.tunnel_net.is_none() {
        pools::free(&mut nets, link.tunnel_net.addr.to_u32())?;
    }
    if link.tunnel_id.get() != 0 {
        pools::free(&mut ids, link.tunnel_id.get())?;
    }
    detach(&mut device_a, &link.interface_a, link.key())?;
    let mut sides = 1;
    if let Some(device_z) = &mut device_z {
        detach(device_z, &link.interface_z, link.key())?;
        match &mut contributor_z {
            Some(contributor_z) => {
                let contributor_z = &mut **contributor_z;
                count!(out contributor_z.link_count)?;
            }
            None => sides = 2,
        }
    }
    count!(out contributor_a.link_count, sides)?;
    count!(out network.link_count)?;
    act.closing(link.key(), &mut link.header)?;
    link.close(&mut recipient)?;
    attestations.close(&mut recipient)
}

/// Gives an interface back and counts the link out at its device.
#[inline(never)]
fn detach(device: &mut Write<RawDevice>, name: &InterfaceName, link: &Key) -> Outcome {
    let (record, list) = device.split();
    interfaces::release(list, name, link)?;
    count!(out record.link_count)
}
