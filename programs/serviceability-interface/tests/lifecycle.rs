//! The state machines against a reference that was written from the design's table, row by row, and shares no code
//! with them. Every status, event, condition and role is tried in every combination.
#![allow(clippy::unwrap_used, reason = "tests")]

use causeway_interface::{
    DesiredStatus, DeviceHealth, DeviceStatus, DeviceType, LinkHealth, LinkStatus, LinkType,
    lifecycle::{Outcome, Role, Roles, device, link},
};

/// What the reference says: another status, gone, or nothing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says<S> {
    To(S),
    Gone,
    Refused,
}

fn says<S, E>(result: Result<Outcome<S>, E>) -> Says<S> {
    match result {
        Ok(Outcome::To(status)) => Says::To(status),
        Ok(Outcome::Closed) => Says::Gone,
        Err(_) => Says::Refused,
    }
}

const DESIRED: [DesiredStatus; 4] =
    [DesiredStatus::Pending, DesiredStatus::Activated, DesiredStatus::HardDrained, DesiredStatus::SoftDrained];

fn device_reference(
    state: &device::State,
    event: device::Event,
    facts: &device::Facts,
    role: Role,
) -> Says<DeviceStatus> {
    use DeviceStatus as S;
    let forward = facts.network_running && facts.registry_active;
    let wants_up = state.desired == DesiredStatus::Activated;
    let wants_down = state.desired == DesiredStatus::HardDrained || state.desired == DesiredStatus::SoftDrained;
    let for_users = state.health == DeviceHealth::ReadyForUsers;
    let for_links = for_users || state.health == DeviceHealth::ReadyForLinks;
    let (wan, dzx) = (facts.activated_wan_links, facts.activated_dzx_links);
    let shape = match facts.device_type {
        DeviceType::Edge => facts.has_cyoa && wan == 0 && dzx > 0,
        DeviceType::Transit => !facts.has_cyoa && (wan > 1 || (wan > 0 && dzx > 0)),
        DeviceType::Hybrid => facts.has_cyoa && wan > 0,
    };
    let owner = role == Role::Contributor;
    let authority = role == Role::Authority;
    let goes = |when: bool, to: S| if when { Says::To(to) } else { Says::Refused };
    match event {
        device::Event::Create => Says::Refused,
        device::Event::Provision => {
            goes(owner && state.status == S::Pending && forward && facts.fields_complete, S::DeviceProvisioning)
        }
        device::Event::Advance => match state.status {
            S::DeviceProvisioning => {
                goes(wants_up && forward && for_links && facts.burned_in_for_links, S::LinkProvisioning)
            }
            S::LinkProvisioning => {
                let burned_in = for_users && facts.burned_in_for_users;
                goes(wants_up && forward && burned_in && wan + dzx > 0 && shape, S::Activated)
            }
            S::Activated => goes(wants_down, S::Drained),
            S::Drained => goes(wants_up && forward && for_users && facts.maintenance_burned_in, S::Activated),
            _ => Says::Refused,
        },
        device::Event::Suspend => match state.status {
            S::Suspended | S::Deleting | S::Rejected => Says::Refused,
            _ => goes(authority, S::Suspended),
        },
        device::Event::Resume if state.status != S::Suspended => Says::Refused,
        device::Event::Resume => match state.suspended_from {
            S::Activated | S::Drained => goes(authority && facts.network_running, S::Drained),
            stage @ (S::Pending | S::DeviceProvisioning | S::LinkProvisioning) => {
                goes(authority && facts.network_running, stage)
            }
            _ => Says::Refused,
        },
        device::Event::Reject => match state.status {
            S::Pending | S::DeviceProvisioning | S::LinkProvisioning => {
                let none_in_service = facts.activated_wan_links + facts.activated_dzx_links == 0;
                goes(authority && none_in_service, S::Rejected)
            }
            _ => Says::Refused,
        },
        device::Event::Delete => match state.status {
            S::Activated | S::Deleting => Says::Refused,
            _ => goes((owner || authority) && facts.links == 0, S::Deleting),
        },
        device::Event::Close => {
            let when = state.status == S::Deleting && (owner || authority) && facts.links == 0;
            if when { Says::Gone } else { Says::Refused }
        }
    }
}

#[test]
fn a_device_moves_as_the_design_says() {
    let mut checked = 0_u32;
    for &status in DeviceStatus::ALL {
        for &suspended_from in DeviceStatus::ALL {
            for &health in DeviceHealth::ALL {
                for desired in DESIRED {
                    let state = device::State { status, health, desired, suspended_from };
                    for &device_type in DeviceType::ALL {
                        for bits in 0..128_u32 {
                            for (wan, dzx) in [(0, 0), (1, 0), (0, 1), (1, 1), (2, 0)] {
                                let facts = device::Facts {
                                    network_running: bits & 1 != 0,
                                    registry_active: bits & 2 != 0,
                                    fields_complete: bits & 4 != 0,
                                    maintenance_burned_in: bits & 8 != 0,
                                    burned_in_for_links: bits & 32 != 0,
                                    burned_in_for_users: bits & 64 != 0,
                                    has_cyoa: bits & 16 != 0,
                                    links: wan + dzx,
                                    device_type,
                                    activated_wan_links: wan,
                                    activated_dzx_links: dzx,
                                };
                                for event in device::Event::ALL {
                                    // Who asks matters where a role is needed; one that has it and one that has not.
                                    for role in [Role::Contributor, Role::Authority, Role::Operations] {
                                        let roles = Roles::ANYONE.with(role, true);
                                        let found = says(device::decide(&state, event, &facts, roles));
                                        let expected = device_reference(&state, event, &facts, role);
                                        assert_eq!(found, expected, "{state:?} {event:?} {facts:?} {role:?}");
                                        checked += 1;
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
    assert!(checked > 10_000_000, "{checked}");
}

fn link_reference(state: &link::State, event: link::Event, facts: &link::Facts, role: Role) -> Says<LinkStatus> {
    use DeviceStatus as D;
    use LinkStatus as S;
    let forward = facts.network_running && facts.registry_active;
    let ready = |d: &D| [D::LinkProvisioning, D::Activated, D::Drained].contains(d);
    let past_pending = |d: &D| ready(d) || *d == D::DeviceProvisioning;
    let up = state.desired == DesiredStatus::Activated
        && forward
        && facts.devices.iter().all(ready)
        && state.health == LinkHealth::ReadyForService;
    let party = role == Role::Contributor || role == Role::Authority;
    let goes = |when: bool, to: S| if when { Says::To(to) } else { Says::Refused };
    match event {
        link::Event::Create => Says::Refused,
        link::Event::Accept => {
            goes(state.status == S::Requested && role == Role::SideZ && forward && facts.interfaces_fit, S::Pending)
        }
        link::Event::Provision => goes(
            state.status == S::Pending
                && role == Role::Contributor
                && forward
                && facts.devices.iter().all(past_pending),
            S::Provisioning,
        ),
        link::Event::Advance => match (state.status, state.desired) {
            (S::Provisioning, _) => goes(up && facts.burned_in, S::Activated),
            (S::Activated, DesiredStatus::SoftDrained) => Says::To(S::SoftDrained),
            (S::Activated | S::SoftDrained, DesiredStatus::HardDrained) => Says::To(S::HardDrained),
            (S::HardDrained, DesiredStatus::SoftDrained) => {
                goes(forward && facts.devices.iter().all(ready), S::SoftDrained)
            }
            (S::SoftDrained | S::HardDrained, DesiredStatus::Activated) => {
                goes(up && facts.maintenance_burned_in, S::Activated)
            }
            _ => Says::Refused,
        },
        link::Event::Suspend => match state.status {
            S::Suspended | S::Deleting | S::Rejected => Says::Refused,
            _ => goes(role == Role::Authority, S::Suspended),
        },
        link::Event::Resume => {
            let may = state.status == S::Suspended && role == Role::Authority && facts.network_running;
            match state.suspended_from {
                S::Activated | S::SoftDrained | S::HardDrained => goes(may, S::HardDrained),
                stage @ (S::Requested | S::Pending | S::Provisioning) => goes(may, stage),
                S::Suspended | S::Deleting | S::Rejected => Says::Refused,
            }
        }
        link::Event::Reject => match state.status {
            S::Requested | S::Pending | S::Provisioning => {
                goes(role == Role::SideZ || role == Role::Authority, S::Rejected)
            }
            _ => Says::Refused,
        },
        link::Event::Delete => match state.status {
            S::Activated | S::Deleting => Says::Refused,
            _ => goes(party, S::Deleting),
        },
        link::Event::Close if state.status == S::Deleting && party => Says::Gone,
        link::Event::Close => Says::Refused,
    }
}

#[test]
fn a_link_moves_as_the_design_says() {
    let mut checked = 0_u32;
    for &status in LinkStatus::ALL {
        for &suspended_from in LinkStatus::ALL {
            for &health in LinkHealth::ALL {
                for desired in DESIRED {
                    let state = link::State { status, health, desired, suspended_from };
                    for &link_type in LinkType::ALL {
                        for bits in 0..32_u32 {
                            for &a in DeviceStatus::ALL {
                                for z in [DeviceStatus::Activated, DeviceStatus::DeviceProvisioning] {
                                    let facts = link::Facts {
                                        link_type,
                                        network_running: bits & 1 != 0,
                                        registry_active: bits & 2 != 0,
                                        interfaces_fit: bits & 4 != 0,
                                        maintenance_burned_in: bits & 8 != 0,
                                        burned_in: bits & 16 != 0,
                                        devices: [a, z],
                                    };
                                    for event in link::Event::ALL {
                                        for role in [Role::Contributor, Role::Authority, Role::SideZ, Role::Operations]
                                        {
                                            let roles = Roles::ANYONE.with(role, true);
                                            let found = says(link::decide(&state, event, &facts, roles));
                                            let expected = link_reference(&state, event, &facts, role);
                                            assert_eq!(found, expected, "{state:?} {event:?} {facts:?} {role:?}");
                                            checked += 1;
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
    assert!(checked > 10_000_000, "{checked}");
}

#[test]
fn creation_needs_a_running_network_and_an_active_registry() {
    for bits in 0..4_u32 {
        let (running, active) = (bits & 1 != 0, bits & 2 != 0);
        for role in Role::ALL {
            let roles = Roles::ANYONE.with(role, true);
            let expected = role == Role::Contributor && running && active;
            assert_eq!(device::decide_create(running, active, roles).is_ok(), expected);
            for &link_type in LinkType::ALL {
                let facts = link::CreateFacts {
                    link_type,
                    network_running: running,
                    registry_active: active,
                    interfaces_fit: true,
                };
                let status = match link_type {
                    LinkType::Wan => LinkStatus::Pending,
                    LinkType::Dzx => LinkStatus::Requested,
                };
                assert_eq!(link::decide_create(&facts, roles).ok(), expected.then_some(status));
            }
        }
    }
}
