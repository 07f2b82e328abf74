//! Stops a link.

use super::ends::{Counted, count_activated};
use super::prelude::*;
use crate::syscalls::key;

/// Checks and applies.
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
    let facts = checks::link_facts(&link, checks::is_running(&network)?)?;
    let state = checks::link_state(&link)?;
    let status = checks::move_link(&state, link::Event::Suspend, &facts, roles)?;

    let act = Act { tag: Tag::SuspendLink, actor: signer.key(), slot: slot()? };
    let (from, link_key) = (triple(&link.header), link.key());
    // Only a link in service counts at its devices; one that was never accepted may have outlived device Z.
    if let Some(counted) = Counted::of(state.status, status) {
        let mut device_a: Write<RawDevice> = Write::new(program, device_a)?;
        let mut device_z: Write<RawDevice> = Write::new(program, device_z)?;
        count_activated(&mut device_a, facts.link_type, counted)?;
        count_activated(&mut device_z, facts.link_type, counted)?;
    }
    link.suspended_from = state.status.byte();
    checks::set_link_status(&mut link, status, act.slot);
    act.changed(AccountType::Link, link_key, from, &mut link.header)
}
