//! Removes an interface that no link holds; the order of the others stays.

use super::prelude::*;
use crate::syscalls::shift;

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [owner_or_operations, contributor, device, contributor_owner]);
    let data: &RawRemoveInterface = checks::data(bytes)?;
    let signer = Signer::new(owner_or_operations)?;
    let mut recipient = Recipient::new(contributor_owner)?;
    let contributor: Read<RawContributor> = Read::new(program, contributor)?;
    belongs(&contributor.owner, recipient.key())?;
    let mut device: Write<RawDevice> = Write::new(program, device)?;
    checks::operates(&contributor, contributor.key(), signer.key(), &device, &data.expected_sequence)?;
    let present = device.entries();
    let index = interfaces::position(present, &data.name).ok_or(ErrorCode::InterfaceNotFound)?;
    let gone = present.get(index).ok_or(ErrorCode::InterfaceNotFound)?;
    let free = !interfaces::is_held(present, index) && !interfaces::has_children(present, &data.name);
    ensure(free, ErrorCode::InterfaceInUse)?;
    ensure(checks::is_pending(&device) || !interfaces::is_routing(gone), ErrorCode::InterfaceManaged)?;
    interfaces::keeps_shape(&device, interfaces::has_cyoa_beside(present, index), None)?;

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
