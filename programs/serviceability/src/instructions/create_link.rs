//! Registers a link.

use super::prelude::*;
use crate::syscalls::key;
use causeway_interface::InterfaceName;

use super::{
    create_device::{create_attestations, oracle_entries},
    ends::{place_active, roles},
};

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [
        owner_a, network, contributor_a, contributor_z, device_a, device_z, location_a, exchange_a, location_z,
        exchange_z, link, attestations, system_program,
    ]);
    let data: &RawCreateLink = checks::data(bytes)?;
    let owner = Payer::new(owner_a)?;
    let vacant = Vacant::new(link)?;
    let vacant_attestations = Vacant::new(attestations)?;
    SystemProgram::check(system_program)?;
    let link_type = given!(data.link_type, LinkType);
    ensure(key(device_a.address()) != key(device_z.address()), ErrorCode::LinkSameDevice)?;
    let mut network: Write<RawNetwork> = Write::new(program, network)?;
    let mut device_a: Write<RawDevice> = Write::new(program, device_a)?;
    let mut device_z: Write<RawDevice> = Write::new(program, device_z)?;
    let same_contributor = key(contributor_a.address()) == key(contributor_z.address());
    let mut contributor_a: Write<RawContributor> = Write::new(program, contributor_a)?;
    // A WAN link's one contributor was passed twice and is bound once.
    let contributor_z: Option<Read<RawContributor>> =
        if same_contributor { None } else { Some(Read::new(program, contributor_z)?) };
    let contributor_z_key = contributor_z.as_ref().map_or(*contributor_a.key(), |z| *z.key());

    let desired = given!(data.desired, DesiredStatus);
    ensure(data.code.is_valid(), ErrorCode::CodeInvalid)?;
    values::bandwidth(data.bandwidth_bps.get())?;
    values::mtu(data.mtu.get())?;
    values::delay(data.delay_ns.get())?;
    values::delay(data.jitter_ns.get())?;
    match link_type {
        LinkType::Wan => ensure(contributor_z.is_none(), ErrorCode::LinkTypeMismatch)?,
        LinkType::Dzx => ensure(contributor_z.is_some(), ErrorCode::LinkTypeMismatch)?,
    }
    ensure(device_a.contributor == *contributor_a.key(), ErrorCode::LinkForeignDevice)?;
    ensure(device_z.contributor == contributor_z_key, ErrorCode::LinkForeignDevice)?;
    let mut registry_active = checks::is_active(&contributor_a.header)?;
    if let Some(contributor_z) = &contributor_z {
        registry_active &= checks::is_active(&contributor_z.header)?;
    }
    registry_active &= place_active(program, &device_a, location_a, exchange_a)?;
    registry_active &= place_active(program, &device_z, location_z, exchange_z)?;
    checks::device_takes_links(&device_a)?;
    checks::device_takes_links(&device_z)?;
    let facts = link::CreateFacts {
        link_type,
        network_running: checks::is_running(&network)?,
        registry_active,
        interfaces_fit: fits(link_type, &data.interface_z, &device_a, &device_z)?,
    };
    let roles = roles(checks::is_owner(&contributor_a, owner.key()), false);
    let status = link::decide_create(&facts, roles).map_err(|refusal| refusal.error())?;

    let creator = Creator::new(program, &owner)?;
    let mut created: Write<RawLink> = creator.create(vacant, [seeds::LINK, data.code.as_bytes()], 0)?;
    let oracles = oracle_entries(&network)?;
    create_attestations(&creator, vacant_attestations, AccountType::Link, created.key(), oracles)?;
    let link = created.key();
    attach(&mut device_a, &data.interface_a, link)?;
    let mut sides = 1;
    if matches!(link_type, LinkType::Wan) {
        attach(&mut device_z, &data.interface_z, link)?;
        sides = 2;
        created.header.flags = LINK_FLAG_Z_ATTACHED;
    }
    count!(in contributor_a.link_count, sides)?;
    count!(in network.link_count)?;

    created.header.status = status.byte();
    created.header.health = LinkHealth::Pending.byte();
    created.header.desired = desired.byte();
    created.header.kind = link_type.byte();
    created.code = data.code;
    created.device_a = *device_a.key();
    created.device_z = *device_z.key();
    created.interface_a = data.interface_a;
    created.interface_z = data.interface_z;
    created.contributor_a = *contributor_a.key();
    created.contributor_z = contributor_z_key;
    created.suspended_from = LinkStatus::Pending.byte();
    created.reject_reason = RejectReason::None.byte();
    created.desired_a = desired.byte();
    created.desired_z = desired.byte();
    created.bandwidth_bps = data.bandwidth_bps;
    created.mtu = data.mtu;
    created.delay_ns = data.delay_ns;
    created.jitter_ns = data.jitter_ns;
    created.health_since_slot.set(creator.slot());
    let act = Act::creating(Tag::CreateLink, owner.key(), creator.slot());
    act.created(&mut created);
    Ok(())
}

/// Whether the device types allow the link. The interfaces themselves are refused by name as they are attached.
fn fits(link_type: LinkType, proposed: &InterfaceName, a: &RawDevice, z: &RawDevice) -> Outcome<bool> {
    let edge = DeviceType::Edge.byte();
    match link_type {
        LinkType::Wan => ensure(a.header.kind != edge && z.header.kind != edge, ErrorCode::LinkShapeBroken)?,
        LinkType::Dzx => ensure(proposed.is_zero() || proposed.is_valid(), ErrorCode::InterfaceNameInvalid)?,
    }
    Ok(true)
}

/// Reserves an interface for a link and counts the link at its device.
#[inline(never)]
pub fn attach(device: &mut Write<RawDevice>, name: &InterfaceName, link: &Key) -> Outcome {
    let (record, list) = device.split();
    interfaces::free_for_link(list, name)?.link = *link;
    count!(in record.link_count)
}
