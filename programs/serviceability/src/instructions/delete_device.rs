//! Marks a device for deletion.

use super::prelude::*;

/// Checks and applies.
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [owner_or_authority, network, contributor, device]);
    let data: &RawExpect = checks::data(bytes)?;
    let signer = Signer::new(owner_or_authority)?;
    let network: Read<RawNetwork> = Read::new(program, network)?;
    let contributor: Read<RawContributor> = Read::new(program, contributor)?;
    let mut device: Write<RawDevice> = Write::new(program, device)?;
    belongs(&device.contributor, contributor.key())?;
    checks::sequence(&device.header, data.expected_sequence)?;
    let roles = checks::device_roles(&network, &contributor, signer.key());
    let facts = checks::device_facts(&device, checks::is_running(&network)?, false)?;
    let state = checks::device_state(&device)?;
    let status = checks::move_device(&state, device::Event::Delete, &facts, roles)?;

    let act = Act { tag: Tag::DeleteDevice, actor: signer.key(), slot: slot()? };
    let (from, key) = (triple(&device.header), device.key());
    checks::set_device_status(&mut device, status, act.slot);
    act.changed(AccountType::Device, key, from, &mut device.header)
}
