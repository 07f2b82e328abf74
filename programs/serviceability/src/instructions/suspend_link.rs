//! Stops a link.

use super::ends::{Counted, count_activated};
use super::prelude::*;
use crate::syscalls::key;

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [authority, network, link, device_a, device_z]);
    let data: &RawExpect = checks::data(bytes)?;
    let signer = Signer::new(authority)?;
    let network: Read<RawNetwork> = Read::new(program, network)?;
    let mut link: Write<RawLink> = Write::new(program, link)?;
    let own = link.device_a == *key(device_a.address()) && link.device_z == *key(device_z.address());
    ensure(own, ErrorCode::LinkForeignDevice)?;
    checks::sequence(&link.header, data.expected_sequence)?;
    let roles = Roles::ANYONE.with(Role::Authority, network.authority == *signer.key());

    let before = stored!(link.header.status, LinkStatus);
    let mut act = Act::of(Tag::SuspendLink, signer.key());
    checks::move_link(&mut act, &network, &mut link, link::Event::Suspend, Asked::by(roles))?;
    // Only a link in service counts at its devices; one that was never accepted may have outlived device Z.
    if let Some(counted) = Counted::of(before, LinkStatus::Suspended) {
        let link_type = stored!(link.header.kind, LinkType);
        let mut device_a: Write<RawDevice> = Write::new(program, device_a)?;
        let mut device_z: Write<RawDevice> = Write::new(program, device_z)?;
        count_activated(&mut device_a, link_type, counted)?;
        count_activated(&mut device_z, link_type, counted)?;
    }
    link.suspended_from = before.byte();
    act.changed(&mut link)
}
