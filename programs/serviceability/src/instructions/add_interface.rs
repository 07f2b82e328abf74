//! Adds an interface at the end of the list.

use super::prelude::*;

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [owner_or_operations, contributor, device, system_program]);
    let data: &RawSetInterface = checks::data(bytes)?;
    let payer = Payer::new(owner_or_operations)?;
    SystemProgram::check(system_program)?;
    let contributor: Read<RawContributor> = Read::new(program, contributor)?;
    let device: Write<RawDevice> = Write::new(program, device)?;
    checks::operates(&contributor, contributor.key(), payer.key(), &device, &data.expected_sequence)?;
    let present = device.entries();
    let index = present.len();
    let added = interfaces::checked(data, present)?;
    ensure(checks::is_pending(&device) || !interfaces::is_routing(&added), ErrorCode::InterfaceManaged)?;
    ensure(interfaces::position(present, &data.name).is_none(), ErrorCode::InterfaceExists)?;
    ensure(index < MAX_INTERFACES, ErrorCode::InterfaceLimit)?;
    interfaces::keeps_shape(&device, interfaces::has_cyoa(present), Some(&added))?;

    let mut device = device.grow(&payer, index + 1)?;
    let mut act = Act::of(Tag::AddInterface, payer.key());
    act.begin(&device.header)?;
    let (_, list) = device.split();
    *list.get_mut(index).ok_or(ErrorCode::WrongLength)? = added;
    act.changed(&mut device)
}
