//! Lets a suspended device go on.

use super::prelude::*;

/// Checks and applies.
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [authority, network, device]);
    let data: &RawExpect = checks::data(bytes)?;
    let signer = Signer::new(authority)?;
    let network: Read<RawNetwork> = Read::new(program, network)?;
    let mut device: Write<RawDevice> = Write::new(program, device)?;
    checks::sequence(&device.header, data.expected_sequence)?;
    let roles = Roles::ANYONE.with(Role::Authority, network.authority == *signer.key());
    let facts = checks::device_facts(&device, checks::is_running(&network)?, false)?;
    let state = checks::device_state(&device)?;
    let status = checks::move_device(&state, device::Event::Resume, &facts, roles)?;

    let act = Act { tag: Tag::ResumeDevice, actor: signer.key(), slot: slot()? };
    let (from, key) = (triple(&device.header), device.key());
    device.suspended_from = DeviceStatus::Pending.byte();
    checks::set_device_status(&mut device, status, act.slot);
    act.changed(AccountType::Device, key, from, &mut device.header)
}
