//! Frees what a device holds and closes it.

use super::prelude::*;

/// Checks and applies.
#[inline(never)]
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

    let mut device: Write<RawDevice> = Write::new(program, device)?;
    let attestations: Write<RawAttestations> = Write::new(program, attestations)?;
    ensure(attestations.subject == *device.key(), ErrorCode::AttestationsMismatch)?;
    belongs(&device.contributor, contributor.key())?;
    belongs(&device.location, location.key())?;
    belongs(&device.exchange, exchange.key())?;
    checks::sequence(&device.header, data.expected_sequence)?;
    let roles = checks::device_roles(&network, &contributor, signer.key());
    let mut act = Act::of(Tag::CloseDevice, signer.key());
    checks::move_device(&mut act, &network, &mut device, device::Event::Close, Asked::by(roles))?;

    for interface in device.entries().iter().filter(|i| interfaces::is_routing(i)) {
        if !interface.address.is_none() {
            pools::free(&mut loopbacks, interface.address.addr.to_u32())?;
        }
        if interface.node_segment.get() != 0 {
            pools::free(&mut segments, interface.node_segment.get().into())?;
        }
    }
    let held = device.dz_prefixes.get(..usize::from(device.dz_prefix_count)).ok_or(ErrorCode::CorruptAccount)?;
    for prefix in held {
        prefixes::remove(&mut prefix_table, prefix)?;
    }
    touch(&mut prefix_table.header)?;
    count!(out network.device_count)?;
    count!(out contributor.device_count)?;
    count!(out location.device_count)?;
    count!(out exchange.device_count)?;
    act.closing(device.key(), &mut device.header)?;
    device.close(&mut recipient)?;
    attestations.close(&mut recipient)
}
