//! Frees what a link holds and closes it.

use super::prelude::*;
use causeway_interface::InterfaceName;

/// Checks and applies.
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

    let (from, key, sequence) = {
        let bound: Write<RawLink> = Write::new(program, link)?;
        let entries: Write<RawAttestations> = Write::new(program, attestations)?;
        ensure(entries.subject == *bound.key(), ErrorCode::AttestationsMismatch)?;
        belongs(&bound.contributor_a, contributor_a.key())?;
        ensure(bound.device_a == *device_a.key(), ErrorCode::LinkForeignDevice)?;
        checks::sequence(&bound.header, data.expected_sequence)?;
        let facts = checks::link_facts(&bound, checks::is_running(&network)?)?;
        let is_wan = matches!(facts.link_type, LinkType::Wan);
        // Side Z matters where it holds something: a party that never accepted may be gone, device and all.
        let attached = bound.header.flags & LINK_FLAG_Z_ATTACHED != 0;
        let mut device_z = if attached { Some(Write::<RawDevice>::new(program, device_z)?) } else { None };
        let mut contributor_z =
            if attached && !is_wan { Some(Write::<RawContributor>::new(program, contributor_z)?) } else { None };
        if let Some(device_z) = &device_z {
            ensure(bound.device_z == *device_z.key(), ErrorCode::LinkForeignDevice)?;
        }
        if let Some(contributor_z) = &contributor_z {
            belongs(&bound.contributor_z, contributor_z.key())?;
        }
        let is_owner_z = contributor_z.as_ref().is_some_and(|z| checks::is_owner(z, signer.key()));
        let roles = super::ends::roles(checks::is_owner(&contributor_a, signer.key()), is_owner_z)
            .with(Role::Authority, network.authority == *signer.key());
        let state = checks::link_state(&bound)?;
        checks::move_link(&state, link::Event::Close, &facts, roles)?;

        if !bound.tunnel_net.is_none() {
            pools::free(&mut nets, bound.tunnel_net.addr.to_u32())?;
        }
        if bound.tunnel_id.get() != 0 {
            pools::free(&mut ids, bound.tunnel_id.get())?;
        }
        detach(&mut device_a, &bound.interface_a, bound.key())?;
        decrement(&mut contributor_a.link_count)?;
        if let Some(device_z) = &mut device_z {
            detach(device_z, &bound.interface_z, bound.key())?;
            match &mut contributor_z {
                Some(contributor_z) => {
                    decrement(&mut contributor_z.link_count)?;
                    touch(&mut contributor_z.header)?;
                }
                None => decrement(&mut contributor_a.link_count)?,
            }
        }
        (triple(&bound.header), *bound.key(), bound.header.sequence.get())
    };
    touch(&mut contributor_a.header)?;
    decrement(&mut network.link_count)?;
    touch(&mut network.header)?;
    close(link, &mut recipient)?;
    close(attestations, &mut recipient)?;
    let act = Act { tag: Tag::CloseLink, actor: signer.key(), slot: slot()? };
    act.closed(AccountType::Link, &key, from, sequence.checked_add(1).ok_or(ErrorCode::Overflow)?);
    Ok(())
}

/// Gives an interface back and counts the link out at its device.
fn detach(device: &mut Write<RawDevice>, name: &InterfaceName, link: &Key) -> Outcome {
    let (record, list) = device.split();
    interfaces::release(list, name, link)?;
    decrement(&mut record.link_count)?;
    touch(&mut record.header)
}
