//! Stops a device.

use super::prelude::*;

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [authority, network, device]);
    let data: &RawExpect = checks::data(bytes)?;
    let signer = Signer::new(authority)?;
    let network: Read<RawNetwork> = Read::new(program, network)?;
    let mut device: Write<RawDevice> = Write::new(program, device)?;
    checks::sequence(&device.header, data.expected_sequence)?;
    let roles = Roles::ANYONE.with(Role::Authority, network.authority == *signer.key());
    let mut act = Act::of(Tag::SuspendDevice, signer.key());
    checks::move_device(&mut act, &network, &mut device, device::Event::Suspend, Asked::by(roles))?;
    device.suspended_from = act.status_before();
    act.changed(&mut device)
}
