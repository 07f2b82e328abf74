//! Recomputes a link's health and applies the one transition that is allowed.

use causeway_interface::quorum::Tally;

use super::{
    advance::terms,
    ends::{Counted, count_activated},
    prelude::*,
};

/// Checks and applies.
pub fn process(program: &Address, accounts: &mut [AccountView], data: &RawAdvance) -> Outcome {
    let [sender, network, subject, attestations, around @ ..] = accounts else { return Err(ErrorCode::AccountCount) };
    let around: &mut [AccountView; 8] = around.try_into().map_err(|_| ErrorCode::AccountCount)?;
    let [mut device_a, mut device_z] = [around[2], around[3]];
    let signer = Signer::new(sender)?;
    let network: Read<RawNetwork> = Read::new(program, network)?;
    let mut link: Write<RawLink> = Write::new(program, subject)?;
    let attestations: Read<RawAttestations> = Read::new(program, attestations)?;
    let mut device_a: Write<RawDevice> = Write::new(program, &mut device_a)?;
    let mut device_z: Write<RawDevice> = Write::new(program, &mut device_z)?;
    ensure(attestations.subject == *link.key(), ErrorCode::AttestationsMismatch)?;
    checks::sequence(&link.header, data.expected_sequence)?;
    let registry_active = super::ends::registry_active(program, &link, &[&device_a, &device_z], around)?;

    let now = slot()?;
    let mut state = checks::link_state(&link)?;
    let in_service = state.status.is_in_service(state.suspended_from);
    let terms = terms(&network, now, in_service, link.header.status_since_slot.get());
    let mut tally = Tally::default();
    super::advance::tally(&network, AccountType::Link, &attestations, &terms, &mut tally)?;
    state.health = state.health.next(state.status, state.suspended_from, &tally, terms.quorum);

    let devices = [stored!(device_a.header.status, DeviceStatus), stored!(device_z.header.status, DeviceStatus)];
    let asked = Asked::by(Roles::ANYONE).registry_active(registry_active).devices(devices);
    let mut facts = checks::link_facts(&network, &link, asked)?;
    facts.burned_in = tally.held_through_burn_in(LinkHealth::ReadyForService.rank(), terms.quorum);
    facts.maintenance_burned_in = tally.held_since_status(LinkHealth::ReadyForService.rank(), terms.quorum);
    let status = match link::decide(&state, link::Event::Advance, &facts, Roles::ANYONE) {
        Ok(Next::To(status)) => status,
        Ok(Next::Closed) => return Err(ErrorCode::LinkTransitionRefused),
        // Not yet: health may have changed all the same.
        Err(_) => state.status,
    };

    let healthier = state.health.byte() != link.header.health;
    let moved = status.byte() != link.header.status;
    if !healthier && !moved {
        return Ok(());
    }
    let act = Act::at(Tag::Advance, signer.key(), now, &link.header);
    if healthier {
        link.header.health = state.health.byte();
        link.health_since_slot.set(now);
    }
    if moved {
        if let Some(counted) = Counted::of(state.status, status) {
            count_activated(&mut device_a, facts.link_type, counted)?;
            count_activated(&mut device_z, facts.link_type, counted)?;
        }
        checks::set_link_status(&mut link, status, now);
    }
    act.changed(&mut link)
}
