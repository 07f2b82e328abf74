//! Trips or resets the breaker.

use super::prelude::*;
use causeway_interface::NetworkStatus;

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [authority, network]);
    let data: &RawSetPaused = checks::data(bytes)?;
    let signer = Signer::new(authority)?;
    let mut network: Write<RawNetwork> = Write::new(program, network)?;
    checks::sequence(&network.header, data.expected_sequence)?;
    checks::authority(&network, signer.key())?;
    let status = if checks::flag(data.paused)? { NetworkStatus::Paused } else { NetworkStatus::Running };
    ensure(network.header.status != status.byte(), ErrorCode::NoChange)?;

    let mut act = Act::of(Tag::SetPaused, signer.key());
    act.begin(&network.header)?;
    network.header.status = status.byte();
    network.header.status_since_slot.set(act.slot);
    act.changed(&mut network)
}
