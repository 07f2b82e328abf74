//! Changes an interface that no link holds.

use super::prelude::*;

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [owner_or_operations, contributor, device]);
    let data: &RawSetInterface = checks::data(bytes)?;
    let signer = Signer::new(owner_or_operations)?;
    let contributor: Read<RawContributor> = Read::new(program, contributor)?;
    let mut device: Write<RawDevice> = Write::new(program, device)?;
    checks::operates(&contributor, contributor.key(), signer.key(), &device, &data.expected_sequence)?;
    let (index, changed) = {
        let present = device.entries();
        let index = interfaces::position(present, &data.name).ok_or(ErrorCode::InterfaceNotFound)?;
        let before = present.get(index).ok_or(ErrorCode::InterfaceNotFound)?;
        ensure(!interfaces::is_held(present, index), ErrorCode::InterfaceInUse)?;
        let changed = interfaces::checked(data, present)?;
        let routing = interfaces::is_routing(before) || interfaces::is_routing(&changed);
        ensure(!routing || checks::is_pending(&device), ErrorCode::InterfaceManaged)?;
        let stays = before.kind == changed.kind || !interfaces::has_children(present, &data.name);
        ensure(stays, ErrorCode::InterfaceInUse)?;
        interfaces::keeps_shape(&device, interfaces::has_cyoa_beside(present, index), Some(&changed))?;
        (index, changed)
    };

    let mut act = Act::of(Tag::UpdateInterface, signer.key());
    act.begin(&device.header)?;
    let (_, list) = device.split();
    *list.get_mut(index).ok_or(ErrorCode::InterfaceNotFound)? = changed;
    act.changed(&mut device)
}
