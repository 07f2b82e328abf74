//! Checks that several instructions make.

use bytemuck::Pod;
use causeway_interface::{
    Country, DesiredStatus, DeviceHealth, DeviceStatus, DeviceType, ErrorCode, Key, Label, Le32, Le64, LeI32,
    LinkHealth, LinkStatus, LinkType, NetworkStatus, RegistryStatus,
    accounts::{RawContributor, RawDevice, RawHeader, RawLink, RawNetwork},
    instruction::ANY_SEQUENCE,
    lifecycle::{Outcome as Next, Role, Roles, device, link},
    values,
};

use crate::{Outcome, events::Act};

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

/// What a device is, and what is so around it, for the state machine.
pub struct DeviceCase {
    /// What it is.
    pub state: device::State,
    /// What is so around it, as far as network and device say it; the rest is to be filled in.
    pub facts: device::Facts,
}

impl DeviceCase {
    /// Nothing yet.
    pub const EMPTY: Self = Self {
        state: device::State {
            status: DeviceStatus::Pending,
            health: DeviceHealth::Unknown,
            desired: DesiredStatus::Pending,
            suspended_from: DeviceStatus::Pending,
        },
        facts: device::Facts {
            network_running: false,
            registry_active: false,
            fields_complete: false,
            burned_in_for_links: false,
            burned_in_for_users: false,
            maintenance_burned_in: false,
            links: 0,
            device_type: DeviceType::Hybrid,
            has_cyoa: false,
            activated_wan_links: 0,
            activated_dzx_links: 0,
        },
    };

    /// Reads both.
    ///
    /// # Errors
    /// [`ErrorCode::CorruptAccount`].
    #[inline(never)]
    pub fn read(&mut self, network: &RawNetwork, device: &RawDevice) -> Outcome {
        self.state.status = stored!(device.header.status, DeviceStatus);
        self.state.health = stored!(device.header.health, DeviceHealth);
        self.state.desired = stored!(device.header.desired, DesiredStatus);
        self.state.suspended_from = stored!(device.suspended_from, DeviceStatus);
        self.facts.network_running = is_running(network)?;
        self.facts.links = device.link_count.get();
        self.facts.device_type = stored!(device.header.kind, DeviceType);
        self.facts.activated_wan_links = device.activated_wan_links.get();
        self.facts.activated_dzx_links = device.activated_dzx_links.get();
        Ok(())
    }
}

/// Who asks for a move, and what else the instruction found out: one word, because a call has few.
#[derive(Clone, Copy)]
pub struct Asked(u32);

impl Asked {
    const REGISTRY_ACTIVE: u32 = 1 << 8;
    const COMPLETE: u32 = 1 << 9;
    const DEVICE_A: u32 = 16;
    const DEVICE_Z: u32 = 24;

    /// Somebody with these roles.
    #[inline(always)]
    pub fn by(roles: Roles) -> Self {
        Self(u32::from(roles.bits()))
    }

    /// Contributors, locations and exchanges above the subject are in good standing.
    #[inline(always)]
    pub fn registry_active(self, holds: bool) -> Self {
        if holds { Self(self.0 | Self::REGISTRY_ACTIVE) } else { self }
    }

    /// Of a device: every field that provisioning needs is there. Of a link: both interfaces can hold it.
    #[inline(always)]
    pub fn complete(self, holds: bool) -> Self {
        if holds { Self(self.0 | Self::COMPLETE) } else { self }
    }

    /// Of a link: the statuses of its devices.
    #[inline(always)]
    pub fn devices(self, [a, z]: [DeviceStatus; 2]) -> Self {
        Self(self.0 | u32::from(a.byte()) << Self::DEVICE_A | u32::from(z.byte()) << Self::DEVICE_Z)
    }

    fn roles(self) -> Roles {
        Roles::from_bits(self.0 as u8)
    }

    fn has(self, bit: u32) -> bool {
        self.0 & bit != 0
    }

    fn device(self, at: u32) -> Outcome<DeviceStatus> {
        Ok(stored!((self.0 >> at) as u8, DeviceStatus))
    }
}

/// Moves a device by an event other than `Advance`, and begins the act.
///
/// # Errors
/// The refusal's own, and [`ErrorCode::CorruptAccount`].
#[inline(never)]
pub fn move_device(
    act: &mut Act,
    network: &RawNetwork,
    device: &mut RawDevice,
    event: device::Event,
    asked: Asked,
) -> Outcome {
    let mut case = DeviceCase::EMPTY;
    case.read(network, device)?;
    let DeviceCase { state, mut facts } = case;
    facts.registry_active = asked.has(Asked::REGISTRY_ACTIVE);
    facts.fields_complete = asked.has(Asked::COMPLETE);
    let next = device::decide(&state, event, &facts, asked.roles()).map_err(|refusal| refusal.error())?;
    act.begin(&device.header)?;
    match next {
        Next::To(status) => set_device_status(device, status, act.slot),
        // Only `Close` closes: its instruction does what follows.
        Next::Closed => {}
    }
    Ok(())
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

/// The device is the contributor's, as its sender saw it, and in the game, and one of the contributor's two keys signs.
///
/// # Errors
/// [`ErrorCode::AccountMismatch`], [`ErrorCode::StaleSequence`], [`ErrorCode::DeviceTransitionRefused`],
/// [`ErrorCode::NotDeviceOwner`].
#[inline(never)]
pub fn operates(contributor: &RawContributor, key: &Key, signer: &Key, device: &RawDevice, expected: &Le64) -> Outcome {
    belongs(&device.contributor, key)?;
    sequence(&device.header, *expected)?;
    device_is_live(device)?;
    ensure(is_owner_or_operations(contributor, signer), ErrorCode::NotDeviceOwner)
}

/// Whether a device has not been provisioned yet.
#[inline(always)]
pub fn is_pending(device: &RawDevice) -> bool {
    device.header.status == DeviceStatus::Pending.byte()
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

/// What is so around a link, as far as network, link and the instruction say it; whether it burned in is to be filled
/// in.
///
/// # Errors
/// [`ErrorCode::CorruptAccount`].
#[inline(always)]
pub fn link_facts(network: &RawNetwork, link: &RawLink, asked: Asked) -> Outcome<link::Facts> {
    Ok(link::Facts {
        link_type: stored!(link.header.kind, LinkType),
        network_running: is_running(network)?,
        registry_active: asked.has(Asked::REGISTRY_ACTIVE),
        interfaces_fit: asked.has(Asked::COMPLETE),
        devices: [asked.device(Asked::DEVICE_A)?, asked.device(Asked::DEVICE_Z)?],
        burned_in: false,
        maintenance_burned_in: false,
    })
}

/// Moves a link by an event other than `Advance`, and begins the act.
///
/// # Errors
/// The refusal's own, and [`ErrorCode::CorruptAccount`].
#[inline(never)]
pub fn move_link(act: &mut Act, network: &RawNetwork, link: &mut RawLink, event: link::Event, asked: Asked) -> Outcome {
    let state = link_state(link)?;
    let facts = link_facts(network, link, asked)?;
    let next = link::decide(&state, event, &facts, asked.roles()).map_err(|refusal| refusal.error())?;
    act.begin(&link.header)?;
    match next {
        Next::To(status) => set_link_status(link, status, act.slot),
        // Only `Close` closes: its instruction does what follows.
        Next::Closed => {}
    }
    Ok(())
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

/// More of something that an account counts: one mutation of that account. Use [`count!`].
///
/// # Errors
/// [`ErrorCode::Overflow`].
#[inline(never)]
pub fn count_in(counter: &mut Le32, sequence: &mut Le64, by: u32) -> Outcome {
    counter.set(counter.get().checked_add(by).ok_or(ErrorCode::Overflow)?);
    increment(sequence)
}

/// Less of it.
///
/// # Errors
/// [`ErrorCode::Overflow`].
#[inline(never)]
pub fn count_out(counter: &mut Le32, sequence: &mut Le64, by: u32) -> Outcome {
    counter.set(counter.get().checked_sub(by).ok_or(ErrorCode::Overflow)?);
    increment(sequence)
}

/// The next sequence.
///
/// # Errors
/// [`ErrorCode::Overflow`] after 2^64 mutations.
#[inline(always)]
pub fn increment(sequence: &mut Le64) -> Outcome {
    sequence.set(sequence.get().checked_add(1).ok_or(ErrorCode::Overflow)?);
    Ok(())
}

/// `count!(in device.link_count)`: one more, and one mutation more; `out` for one less; `, 2` for two.
macro_rules! count {
    ($how:ident $record:ident . $counter:ident) => {
        count!($how $record.$counter, 1)
    };
    (in $record:ident . $counter:ident, $by:expr) => {{
        let record = &mut *$record;
        $crate::checks::count_in(&mut record.$counter, &mut record.header.sequence, $by)
    }};
    (out $record:ident . $counter:ident, $by:expr) => {{
        let record = &mut *$record;
        $crate::checks::count_out(&mut record.$counter, &mut record.header.sequence, $by)
    }};
}

pub(crate) use count;
