//! Assigns loopback addresses and segment id, and begins provisioning.

use super::prelude::*;
use causeway_interface::{LoopbackType, Prefix};

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [owner, network, contributor, location, exchange, device, loopback_pool, node_segment_pool]);
    let data: &RawExpect = checks::data(bytes)?;
    let signer = Signer::new(owner)?;
    let network: Read<RawNetwork> = Read::new(program, network)?;
    let contributor: Read<RawContributor> = Read::new(program, contributor)?;
    let location: Read<RawLocation> = Read::new(program, location)?;
    let exchange: Read<RawExchange> = Read::new(program, exchange)?;
    let mut device: Write<RawDevice> = Write::new(program, device)?;
    let mut loopbacks = pools::bind(program, loopback_pool, PoolKind::Loopback)?;
    let mut segments = pools::bind(program, node_segment_pool, PoolKind::NodeSegment)?;
    belongs(&device.contributor, contributor.key())?;
    belongs(&device.location, location.key())?;
    belongs(&device.exchange, exchange.key())?;
    checks::sequence(&device.header, data.expected_sequence)?;
    let registry_active = checks::is_active(&contributor.header)?
        && checks::is_active(&location.header)?
        && checks::is_active(&exchange.header)?;
    let asked = Asked::by(checks::device_roles(&network, &contributor, signer.key()))
        .registry_active(registry_active)
        .complete(is_complete(&device));
    let mut act = Act::of(Tag::ProvisionDevice, signer.key());
    checks::move_device(&mut act, &network, &mut device, device::Event::Provision, asked)?;

    let (_, list) = device.split();
    for loopback in [LoopbackType::Vpnv4, LoopbackType::Ipv4] {
        let interface = interfaces::routing_mut(list, loopback).ok_or(ErrorCode::DeviceFieldsMissing)?;
        interface.address = Prefix::new(pools::allocate(&mut loopbacks)?, 32);
        if matches!(loopback, LoopbackType::Vpnv4) {
            let segment = u16::try_from(pools::allocate(&mut segments)?).map_err(|_| ErrorCode::Overflow)?;
            interface.node_segment.set(segment);
        }
    }
    act.changed(&mut device)
}

/// Whether every field that provisioning needs is there.
fn is_complete(device: &Write<RawDevice>) -> bool {
    !device.public_ip.is_zero()
        && !device.agent_key.is_zero()
        && !device.telemetry_key.is_zero()
        && interfaces::has_routing(device.entries(), LoopbackType::Vpnv4)
        && interfaces::has_routing(device.entries(), LoopbackType::Ipv4)
}
