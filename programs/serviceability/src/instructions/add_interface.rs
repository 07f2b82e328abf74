//! Adds an interface at the end of the list.

use super::prelude::*;
use pinocchio::Resize;

/// Checks and applies.
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [owner_or_operations, contributor, device, system_program]);
    let data: &RawSetInterface = checks::data(bytes)?;
    let payer = Payer::new(owner_or_operations)?;
    SystemProgram::check(system_program)?;
    let contributor: Read<RawContributor> = Read::new(program, contributor)?;
    let (added, index) = {
        let bound: Write<RawDevice> = Write::new(program, device)?;
        belongs(&bound.contributor, contributor.key())?;
        checks::sequence(&bound.header, data.expected_sequence)?;
        let status = checks::device_is_live(&bound)?;
        let present = bound.entries();
        let added = interfaces::checked(data, present)?;
        let pending = matches!(status, DeviceStatus::Pending);
        ensure(pending || !interfaces::is_routing(&added), ErrorCode::InterfaceManaged)?;
        ensure(interfaces::position(present, &data.name).is_none(), ErrorCode::InterfaceExists)?;
        ensure(present.len() < MAX_INTERFACES, ErrorCode::InterfaceLimit)?;
        ensure(checks::is_owner_or_operations(&contributor, payer.key()), ErrorCode::NotDeviceOwner)?;
        (added, present.len())
    };

    let len = RawDevice::len_with(index + 1);
    pda::top_up(&payer, device, len)?;
    device.resize(len).map_err(|_| ErrorCode::Overflow)?;
    Write::<RawDevice>::set_count(device, index + 1)?;
    let mut device: Write<RawDevice> = Write::new(program, device)?;
    let act = Act { tag: Tag::AddInterface, actor: payer.key(), slot: slot()? };
    let (from, key) = (triple(&device.header), device.key());
    let (record, list) = device.split();
    *list.get_mut(index).ok_or(ErrorCode::WrongLength)? = added;
    act.changed(AccountType::Device, key, from, &mut record.header)
}
