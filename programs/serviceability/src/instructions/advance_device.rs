//! Recomputes a device's health and applies the one transition that is allowed.

use causeway_interface::quorum::Tally;

use super::{advance::terms, prelude::*};

/// Checks and applies.
pub fn process(program: &Address, accounts: &mut [AccountView], data: &RawAdvance) -> Outcome {
    bind!(accounts => [sender, network, subject, attestations, contributor, location, exchange]);
    let signer = Signer::new(sender)?;
    let network: Read<RawNetwork> = Read::new(program, network)?;
    let mut device: Write<RawDevice> = Write::new(program, subject)?;
    let attestations: Read<RawAttestations> = Read::new(program, attestations)?;
    let contributor: Read<RawContributor> = Read::new(program, contributor)?;
    let location: Read<RawLocation> = Read::new(program, location)?;
    let exchange: Read<RawExchange> = Read::new(program, exchange)?;
    ensure(attestations.subject == *device.key(), ErrorCode::AttestationsMismatch)?;
    belongs(&device.contributor, contributor.key())?;
    belongs(&device.location, location.key())?;
    belongs(&device.exchange, exchange.key())?;
    checks::sequence(&device.header, data.expected_sequence)?;

    let now = slot()?;
    let mut case = checks::DeviceCase::EMPTY;
    case.read(&network, &device)?;
    let checks::DeviceCase { mut state, mut facts } = case;
    let in_service = state.status.is_in_service(state.suspended_from);
    let terms = terms(&network, now, in_service, device.header.status_since_slot.get());
    let mut tally = Tally::default();
    super::advance::tally(&network, AccountType::Device, &attestations, &terms, &mut tally)?;
    state.health = state.health.next(state.status, state.suspended_from, &tally, terms.quorum);

    let registry_active = checks::is_active(&contributor.header)?
        && checks::is_active(&location.header)?
        && checks::is_active(&exchange.header)?;
    facts.registry_active = registry_active;
    facts.burned_in_for_links = tally.held_through_burn_in(DeviceHealth::ReadyForLinks.rank(), terms.quorum);
    facts.burned_in_for_users = tally.held_through_burn_in(DeviceHealth::ReadyForUsers.rank(), terms.quorum);
    facts.maintenance_burned_in = tally.held_since_status(DeviceHealth::ReadyForUsers.rank(), terms.quorum);
    // Nothing but the move into service asks for the shape, and the list is long.
    facts.has_cyoa = matches!(state.status, DeviceStatus::LinkProvisioning) && interfaces::has_cyoa(device.entries());
    let status = match device::decide(&state, device::Event::Advance, &facts, Roles::ANYONE) {
        Ok(Next::To(status)) => status,
        Ok(Next::Closed) => return Err(ErrorCode::DeviceTransitionRefused),
        // Not yet: health may have changed all the same.
        Err(_) => state.status,
    };

    let healthier = state.health.byte() != device.header.health;
    let moved = status.byte() != device.header.status;
    if !healthier && !moved {
        return Ok(());
    }
    let act = Act::at(Tag::Advance, signer.key(), now, &device.header);
    if healthier {
        device.header.health = state.health.byte();
        device.health_since_slot.set(now);
    }
    if moved {
        checks::set_device_status(&mut device, status, now);
    }
    act.changed(&mut device)
}
