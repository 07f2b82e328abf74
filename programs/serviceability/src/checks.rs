//! Checks that several instructions make.

use bytemuck::Pod;
use causeway_interface::{
    Country, DesiredStatus, DeviceHealth, DeviceStatus, DeviceType, ErrorCode, Key, Label, Le64, LeI32, LinkHealth,
    LinkStatus, LinkType, NetworkStatus, RegistryStatus,
    accounts::{RawContributor, RawDevice, RawHeader, RawLink, RawNetwork},
    instruction::ANY_SEQUENCE,
    lifecycle::{Outcome as Next, Role, Roles, device, link},
    values,
};

use crate::Outcome;

/// The error unless something holds.
#[inline(always)]
pub fn ensure(holds: bool, error: ErrorCode) -> Outcome {
    if holds { Ok(()) } else { Err(error) }
}

/// Instruction data of exactly one record.
///
/// # Errors
/// [`ErrorCode::InstructionData`].
#[inline(always)]
pub fn data<T: Pod>(bytes: &[u8]) -> Outcome<&T> {
    bytemuck::try_from_bytes(bytes).map_err(|_| ErrorCode::InstructionData)
}

/// Instruction data of one record and a list.
///
/// # Errors
/// [`ErrorCode::InstructionData`] unless the count is that of the entries that follow.
#[inline(always)]
pub fn data_with_list<T: Pod, E: Pod>(bytes: &[u8]) -> Outcome<(&T, &[E])> {
    let parse = || {
        let (record, tail) = bytes.split_at_checked(size_of::<T>())?;
        let (count, entries) = tail.split_first_chunk::<4>()?;
        let entries: &[E] = bytemuck::try_cast_slice(entries).ok()?;
        let count = u32::from_le_bytes(*count) as usize;
        (entries.len() == count).then_some((bytemuck::try_from_bytes(record).ok()?, entries))
    };
    parse().ok_or(ErrorCode::InstructionData)
}

/// A boolean of instruction data.
///
/// # Errors
/// [`ErrorCode::InstructionData`] for anything but 0 and 1.
#[inline(always)]
pub fn flag(byte: u8) -> Outcome<bool> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(ErrorCode::InstructionData),
    }
}

/// The sender's idea of the sequence.
///
/// # Errors
/// [`ErrorCode::StaleSequence`].
#[inline(always)]
pub fn sequence(header: &RawHeader, expected: Le64) -> Outcome {
    let expected = expected.get();
    ensure(expected == ANY_SEQUENCE || expected == header.sequence.get(), ErrorCode::StaleSequence)
}

/// The signer is the network's authority.
///
/// # Errors
/// [`ErrorCode::NotAuthority`].
#[inline(always)]
pub fn authority(network: &RawNetwork, signer: &Key) -> Outcome {
    ensure(network.authority == *signer, ErrorCode::NotAuthority)
}

/// Whether the breaker is not tripped.
///
/// # Errors
/// [`ErrorCode::CorruptAccount`].
#[inline(always)]
pub fn is_running(network: &RawNetwork) -> Outcome<bool> {
    match NetworkStatus::from_byte(network.header.status) {
        Some(NetworkStatus::Running) => Ok(true),
        Some(NetworkStatus::Paused) => Ok(false),
        None => Err(ErrorCode::CorruptAccount),
    }
}

/// Whether a contributor, location or exchange is in good standing.
///
/// # Errors
/// [`ErrorCode::CorruptAccount`].
#[inline(always)]
pub fn is_active(header: &RawHeader) -> Outcome<bool> {
    match RegistryStatus::from_byte(header.status) {
        Some(RegistryStatus::Activated) => Ok(true),
        Some(RegistryStatus::Suspended) => Ok(false),
        None => Err(ErrorCode::CorruptAccount),
    }
}

/// The two accounts are those that belong together.
///
/// # Errors
/// [`ErrorCode::AccountMismatch`].
#[inline(always)]
pub fn belongs(named: &Key, passed: &Key) -> Outcome {
    ensure(named == passed, ErrorCode::AccountMismatch)
}

/// Who a signer is to a contributor.
#[inline(always)]
pub fn is_owner(contributor: &RawContributor, signer: &Key) -> bool {
    contributor.owner == *signer
}

/// Whether the signer is the contributor's owner or its operations key.
#[inline(always)]
pub fn is_owner_or_operations(contributor: &RawContributor, signer: &Key) -> bool {
    // No key signs as zero, so an operations key that is not set lets nobody in.
    contributor.owner == *signer || contributor.operations_key == *signer
}

/// The roles of a signer on a device.
#[inline(always)]
pub fn device_roles(network: &RawNetwork, contributor: &RawContributor, signer: &Key) -> Roles {
    Roles::ANYONE
        .with(Role::Authority, network.authority == *signer)
        .with(Role::Contributor, contributor.owner == *signer)
}

/// A byte that the ledger holds, as its enum.
macro_rules! stored {
    ($byte:expr, $kind:ident) => {
        match $kind::from_byte($byte) {
            Some(value) => value,
            None => return Err(ErrorCode::CorruptAccount),
        }
    };
}

/// A byte of instruction data, as its enum.
macro_rules! given {
    ($byte:expr, $kind:ident) => {
        match $kind::from_byte($byte) {
            Some(value) => value,
            None => return Err(ErrorCode::InstructionData),
        }
    };
}

pub(crate) use {given, stored};

/// What a device is, for the state machine.
///
/// # Errors
/// [`ErrorCode::CorruptAccount`].
#[inline(always)]
pub fn device_state(device: &RawDevice) -> Outcome<device::State> {
    Ok(device::State {
        status: stored!(device.header.status, DeviceStatus),
        health: stored!(device.header.health, DeviceHealth),
        desired: stored!(device.header.desired, DesiredStatus),
        suspended_from: stored!(device.suspended_from, DeviceStatus),
    })
}

/// What is so around a device, as far as the device itself says it; the rest is to be filled in.
///
/// # Errors
/// [`ErrorCode::CorruptAccount`].
#[inline(always)]
pub fn device_facts(device: &RawDevice, network_running: bool, registry_active: bool) -> Outcome<device::Facts> {
    Ok(device::Facts {
        network_running,
        registry_active,
        fields_complete: false,
        burned_in_for_links: false,
        burned_in_for_users: false,
        maintenance_burned_in: false,
        links: device.link_count.get(),
        device_type: stored!(device.header.kind, DeviceType),
        has_cyoa: false,
        activated_wan_links: device.activated_wan_links.get(),
        activated_dzx_links: device.activated_dzx_links.get(),
    })
}

/// What an event other than `Advance` does to a device: where it goes.
///
/// # Errors
/// The refusal's own.
#[inline(never)]
pub fn move_device(
    state: &device::State,
    event: device::Event,
    facts: &device::Facts,
    roles: Roles,
) -> Outcome<DeviceStatus> {
    match device::decide(state, event, facts, roles).map_err(|refusal| refusal.error())? {
        Next::To(status) => Ok(status),
        // Only `Close` closes: its instruction looks at what follows here.
        Next::Closed => Ok(state.status),
    }
}

/// Changes a device's status.
#[inline(always)]
pub fn set_device_status(device: &mut RawDevice, status: DeviceStatus, slot: u64) {
    device.header.status = status.byte();
    device.header.status_since_slot.set(slot);
}

/// A device that has not left the game.
///
/// # Errors
/// [`ErrorCode::DeviceTransitionRefused`] while it is being deleted or after it was rejected.
#[inline(always)]
pub fn device_is_live(device: &RawDevice) -> Outcome<DeviceStatus> {
    match stored!(device.header.status, DeviceStatus) {
        DeviceStatus::Deleting | DeviceStatus::Rejected => Err(ErrorCode::DeviceTransitionRefused),
        status @ (DeviceStatus::Pending
        | DeviceStatus::Activated
        | DeviceStatus::Suspended
        | DeviceStatus::Drained
        | DeviceStatus::DeviceProvisioning
        | DeviceStatus::LinkProvisioning) => Ok(status),
    }
}

/// A device that a link may be attached to.
///
/// # Errors
/// [`ErrorCode::LinkDevicesNotReady`] where it is suspended, rejected or being deleted.
#[inline(always)]
pub fn device_takes_links(device: &RawDevice) -> Outcome {
    match stored!(device.header.status, DeviceStatus) {
        DeviceStatus::Suspended | DeviceStatus::Deleting | DeviceStatus::Rejected => {
            Err(ErrorCode::LinkDevicesNotReady)
        }
        DeviceStatus::Pending
        | DeviceStatus::Activated
        | DeviceStatus::Drained
        | DeviceStatus::DeviceProvisioning
        | DeviceStatus::LinkProvisioning => Ok(()),
    }
}

/// What a link is, for the state machine.
///
/// # Errors
/// [`ErrorCode::CorruptAccount`].
#[inline(always)]
pub fn link_state(link: &RawLink) -> Outcome<link::State> {
    Ok(link::State {
        status: stored!(link.header.status, LinkStatus),
        health: stored!(link.header.health, LinkHealth),
        desired: stored!(link.header.desired, DesiredStatus),
        suspended_from: stored!(link.suspended_from, LinkStatus),
    })
}

/// What is so around a link where nothing around it matters.
///
/// # Errors
/// [`ErrorCode::CorruptAccount`].
#[inline(always)]
pub fn link_facts(link: &RawLink, network_running: bool) -> Outcome<link::Facts> {
    Ok(link::Facts {
        link_type: stored!(link.header.kind, LinkType),
        network_running,
        registry_active: false,
        interfaces_fit: false,
        devices: [DeviceStatus::Pending; 2],
        burned_in: false,
        maintenance_burned_in: false,
    })
}

/// What an event other than `Advance` does to a link: where it goes.
///
/// # Errors
/// The refusal's own.
#[inline(never)]
pub fn move_link(state: &link::State, event: link::Event, facts: &link::Facts, roles: Roles) -> Outcome<LinkStatus> {
    match link::decide(state, event, facts, roles).map_err(|refusal| refusal.error())? {
        Next::To(status) => Ok(status),
        // Only `Close` closes: its instruction looks at what follows here.
        Next::Closed => Ok(state.status),
    }
}

/// Changes a link's status.
#[inline(always)]
pub fn set_link_status(link: &mut RawLink, status: LinkStatus, slot: u64) {
    link.header.status = status.byte();
    link.header.status_since_slot.set(slot);
}

/// A link that has not left the game.
///
/// # Errors
/// [`ErrorCode::LinkTransitionRefused`] while it is being deleted or after it was rejected.
#[inline(always)]
pub fn link_is_live(link: &RawLink) -> Outcome {
    match stored!(link.header.status, LinkStatus) {
        LinkStatus::Deleting | LinkStatus::Rejected => Err(ErrorCode::LinkTransitionRefused),
        LinkStatus::Pending
        | LinkStatus::Activated
        | LinkStatus::Suspended
        | LinkStatus::Requested
        | LinkStatus::HardDrained
        | LinkStatus::SoftDrained
        | LinkStatus::Provisioning => Ok(()),
    }
}

/// What a location or an exchange says of itself.
///
/// # Errors
/// [`ErrorCode::LabelInvalid`], [`ErrorCode::CountryInvalid`], [`ErrorCode::CoordinatesOutOfRange`].
pub fn place(name: &Label, country: &Country, lat_e6: LeI32, lng_e6: LeI32) -> Outcome {
    ensure(name.is_valid(), ErrorCode::LabelInvalid)?;
    ensure(country.is_valid(), ErrorCode::CountryInvalid)?;
    values::coordinates(lat_e6.get(), lng_e6.get())
}

/// One more.
///
/// # Errors
/// [`ErrorCode::Overflow`].
#[inline(always)]
pub fn increment(counter: &mut causeway_interface::Le32) -> Outcome {
    counter.set(counter.get().checked_add(1).ok_or(ErrorCode::Overflow)?);
    Ok(())
}

/// One less.
///
/// # Errors
/// [`ErrorCode::Overflow`].
#[inline(always)]
pub fn decrement(counter: &mut causeway_interface::Le32) -> Outcome {
    counter.set(counter.get().checked_sub(1).ok_or(ErrorCode::Overflow)?);
    Ok(())
}
