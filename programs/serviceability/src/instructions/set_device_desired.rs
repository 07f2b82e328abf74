//! Sets what a device is wanted to be.

use super::prelude::*;

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [owner_or_operations, contributor, device]);
    let data: &RawSetDesired = checks::data(bytes)?;
    let signer = Signer::new(owner_or_operations)?;
    let contributor: Read<RawContributor> = Read::new(program, contributor)?;
    let mut device: Write<RawDevice> = Write::new(program, device)?;
    checks::operates(&contributor, contributor.key(), signer.key(), &device, &data.expected_sequence)?;
    let desired = given!(data.desired, DesiredStatus);
    ensure(device.header.desired != desired.byte(), ErrorCode::NoChange)?;

    let mut act = Act::of(Tag::SetDeviceDesired, signer.key());
    act.begin(&device.header)?;
    device.header.desired = desired.byte();
    act.changed(&mut device)
}
