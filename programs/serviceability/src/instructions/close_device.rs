//! Frees what a device holds and closes it.

use super::prelude::*;

/// Checks and applies.
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [
        owner_or_authority, network, contributor, location, exchange, device, attestations, loopback_pool,
        node_segment_pool, prefix_table, contributor_owner,
    ]);
    let data: &RawExpect = checks::data(bytes)?;
    let signer = Signer::new(owner_or_authority)?;
    let mut recipient = Recipient::new(contributor_owner)?;
    let mut network: Write<RawNetwork> = Write::new(program, network)?;
    let mut contributor: Write<RawContributor> = Write::new(program, contributor)?;
    let mut location: Write<RawLocation> = Write::new(program, location)?;
    let mut exchange: Write<RawExchange> = Write::new(program, exchange)?;
    let mut loopbacks = pools::bind(program, loopback_pool, PoolKind::Loopback)?;
    let mut segments = pools::bind(program, node_segment_pool, PoolKind::NodeSegment)?;
    let mut prefix_table: Write<RawPrefixTable> = Write::new(program, prefix_table)?;
    belongs(&contributor.owner, recipient.key())?;

    let (from, key, sequence) = {
        let bound: Write<RawDevice> = Write::new(program, device)?;
        let entries: Write<RawAttestations> = Write::new(program, attestations)?;
        ensure(entries.subject == *bound.key(), ErrorCode::AttestationsMismatch)?;
        belongs(&bound.contributor, contributor.key())?;
        belongs(&bound.location, location.key())?;
        belongs(&bound.exchange, exchange.key())?;
        checks::sequence(&bound.header, data.expected_sequence)?;
        let roles = checks::device_roles(&network, &contributor, signer.key());
        let facts = checks::device_facts(&bound, checks::is_running(&network)?, false)?;
        let state = checks::device_state(&bound)?;
        checks::move_device(&state, device::Event::Close, &facts, roles)?;

        for interface in bound.entries().iter().filter(|i| interfaces::is_routing(i)) {
            if !interface.address.is_none() {
                pools::free(&mut loopbacks, interface.address.addr.to_u32())?;
            }
            if interface.node_segment.get() != 0 {
                pools::free(&mut segments, interface.node_segment.get().into())?;
            }
        }
        let held = bound.dz_prefixes.get(..usize::from(bound.dz_prefix_count)).ok_or(ErrorCode::CorruptAccount)?;
        for prefix in held {
            prefixes::remove(&mut prefix_table, prefix)?;
        }
        (triple(&bound.header), *bound.key(), bound.header.sequence.get())
    };
    touch(&mut prefix_table.header)?;
    decrement(&mut network.device_count)?;
    decrement(&mut contributor.device_count)?;
    decrement(&mut location.device_count)?;
    decrement(&mut exchange.device_count)?;
    touch(&mut network.header)?;
    touch(&mut contributor.header)?;
    touch(&mut location.header)?;
    touch(&mut exchange.header)?;
    close(device, &mut recipient)?;
    close(attestations, &mut recipient)?;
    let act = Act { tag: Tag::CloseDevice, actor: signer.key(), slot: slot()? };
    act.closed(AccountType::Device, &key, from, sequence.checked_add(1).ok_or(ErrorCode::Overflow)?);
    Ok(())
}
