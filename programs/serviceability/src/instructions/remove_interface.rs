//! Removes an interface that no link holds; the order of the others stays.

use super::prelude::*;
use crate::syscalls::shift;

/// Checks and applies.
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [owner_or_operations, contributor, device, contributor_owner]);
    let data: &RawRemoveInterface = checks::data(bytes)?;
    let signer = Signer::new(owner_or_operations)?;
    let mut recipient = Recipient::new(contributor_owner)?;
    let contributor: Read<RawContributor> = Read::new(program, contributor)?;
    belongs(&contributor.owner, recipient.key())?;
    let mut device: Write<RawDevice> = Write::new(program, device)?;
    belongs(&device.contributor, contributor.key())?;
    checks::sequence(&device.header, data.expected_sequence)?;
    let status = checks::device_is_live(&device)?;
    let present = device.entries();
    let index = interfaces::position(present, &data.name).ok_or(ErrorCode::InterfaceNotFound)?;
    let gone = present.get(index).ok_or(ErrorCode::InterfaceNotFound)?;
    let free = gone.link.is_zero() && !interfaces::has_children(present, &data.name);
    ensure(free, ErrorCode::InterfaceInUse)?;
    let pending = matches!(status, DeviceStatus::Pending);
    ensure(pending || !interfaces::is_routing(gone), ErrorCode::InterfaceManaged)?;
    ensure(checks::is_owner_or_operations(&contributor, signer.key()), ErrorCode::NotDeviceOwner)?;

    let mut act = Act::of(Tag::RemoveInterface, signer.key());
    act.begin(&device.header)?;
    let left = present.len() - 1;
    let (_, list) = device.split();
    let tail: &mut [u8] = bytemuck::cast_slice_mut(list.get_mut(index..).unwrap_or_default());
    let behind = tail.len().saturating_sub(RawInterface::LEN);
    shift(tail, RawInterface::LEN, 0, behind);
    let mut device = device.shrink(&mut recipient, left)?;
    act.changed(&mut device)
}
