//! Refuses a device.

use super::prelude::*;

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [authority, network, device]);
    let data: &RawReject = checks::data(bytes)?;
    let signer = Signer::new(authority)?;
    let network: Read<RawNetwork> = Read::new(program, network)?;
    let mut device: Write<RawDevice> = Write::new(program, device)?;
    checks::sequence(&device.header, data.expected_sequence)?;
    let reason = given!(data.reason, RejectReason);
    ensure(!matches!(reason, RejectReason::None), ErrorCode::InstructionData)?;
    let roles = Roles::ANYONE.with(Role::Authority, network.authority == *signer.key());
    let mut act = Act::of(Tag::RejectDevice, signer.key());
    checks::move_device(&mut act, &network, &mut device, device::Event::Reject, Asked::by(roles))?;
    device.reject_reason = reason.byte();
    act.changed_with(&mut device, reason.byte().into())
}
