//! Marks a device for deletion.

use super::prelude::*;

/// Checks and applies.
#[inline(never)]
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
    let mut act = Act::of(Tag::DeleteDevice, signer.key());
    checks::move_device(&mut act, &network, &mut device, device::Event::Delete, Asked::by(roles))?;
    act.changed(&mut device)
}
