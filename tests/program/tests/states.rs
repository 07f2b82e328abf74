//! The state machines of the built program: every status, health, wish, event and signer, in every surrounding that a
//! row of the tables asks for, against tables that were written from the design ([`causeway_program_tests::reference`]).
//!
//! A state is planted in an account that the program has made, the real instruction is sent, and every byte of the
//! subject is compared. What is refused must have the reference's own error; what lands must have changed the accounts
//! that it should, and no other.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use causeway_interface::{
    DesiredStatus, DeviceHealth, DeviceStatus, DeviceType, ErrorCode, LinkHealth, LinkStatus, LinkType,
};
use causeway_program_tests::{
    counts,
    reference::{
        Answer, Who, device,
        health::{SITUATIONS, Said, Situation},
        link,
    },
    stages::{DESIRED, DeviceBase, DeviceStage, LinkBase, LinkStage},
};

fn report(what: &str, cases: usize, at_least: usize) {
    assert!(cases >= at_least, "{what}: {cases}");
    counts::report("state machine cases", cases);
}

/// Every status of a device, what it left while suspended, and how far the program has taken the account.
fn device_states() -> Vec<(DeviceBase, DeviceStatus, DeviceStatus)> {
    use DeviceStatus as S;
    let base_of = |status| if status == S::Pending { DeviceBase::Registered } else { DeviceBase::Provisioned };
    let mut states: Vec<_> = DeviceStatus::ALL
        .iter()
        .filter(|status| **status != S::Suspended)
        .map(|status| (base_of(*status), *status, S::Pending))
        .collect();
    // Also what it can't have left: nothing resumes there.
    states.extend(DeviceStatus::ALL.iter().map(|left| (base_of(*left), S::Suspended, *left)));
    states.extend([S::Deleting, S::Rejected].map(|status| (DeviceBase::Registered, status, S::Pending)));
    states
}

/// The states of a device that differ in health and wish.
fn every_device(mut visit: impl FnMut(DeviceBase, &device::State)) {
    for (base, status, left) in device_states() {
        for &health in DeviceHealth::ALL {
            for desired in DESIRED {
                visit(base, &device::State { status, left, health, desired });
            }
        }
    }
}

#[test]
fn a_device_obeys_every_order_as_the_table_says() {
    let mut stage = DeviceStage::new();
    every_device(|base, state| {
        for event in device::Event::ALL {
            for who in Who::ALL {
                stage.try_order(base, state, &device::FINE, event, who);
            }
        }
    });
    report("devices, orders", stage.cases(), 20_000);
}

#[test]
fn a_device_obeys_every_order_as_the_table_says_where_something_is_not_well() {
    let mut stage = DeviceStage::new();
    every_device(|base, state| {
        // Health has no part in an order: each wish meets another one.
        if usize::from(state.health.byte()) != usize::from(state.desired.byte()) % DeviceHealth::ALL.len() {
            return;
        }
        for around in &device::AROUND {
            for event in device::Event::ALL {
                for who in Who::ALL {
                    stage.try_order(base, state, around, event, who);
                }
            }
        }
    });
    report("devices, orders where something is not well", stage.cases(), 30_000);
}

#[test]
fn a_device_advances_as_the_table_says() {
    let mut stage = DeviceStage::new();
    every_device(|base, state| {
        for situation in &SITUATIONS {
            // Whoever sends it makes no difference.
            for who in [Who::Authority, Who::Owner, Who::Stranger] {
                stage.try_advance(base, state, situation, &device::FINE, who);
            }
        }
    });
    report("devices, advances", stage.cases(), 15_000);
}

#[test]
fn a_device_advances_as_the_table_says_where_something_is_not_well() {
    let mut stage = DeviceStage::new();
    every_device(|base, state| {
        for (n, situation) in SITUATIONS.iter().enumerate() {
            for around in &device::AROUND {
                // Each situation has another sender.
                stage.try_advance(base, state, situation, around, Who::ALL[n % Who::ALL.len()]);
            }
        }
    });
    report("devices, advances where something is not well", stage.cases(), 30_000);
}

/// Every type with every number of links in service up to two of each kind, with and without an interface for users.
#[test]
fn a_device_is_activated_only_in_the_shape_of_its_type() {
    let mut stage = DeviceStage::new();
    let said = *SITUATIONS.iter().find(|s| s.said == Said::Full).unwrap();
    let mut activated = 0;
    for &device_type in DeviceType::ALL {
        for cyoa in [false, true] {
            for (wan, dzx) in (0..3).flat_map(|wan| (0..3).map(move |dzx| (wan, dzx))) {
                let around = device::Around { device_type, cyoa, wan, dzx, links: wan + dzx, ..device::FINE };
                for status in [DeviceStatus::DeviceProvisioning, DeviceStatus::LinkProvisioning, DeviceStatus::Drained]
                {
                    let state = device::State {
                        status,
                        left: DeviceStatus::Pending,
                        health: DeviceHealth::ReadyForUsers,
                        desired: DesiredStatus::Activated,
                    };
                    stage.try_advance(DeviceBase::Provisioned, &state, &said, &around, Who::Stranger);
                    let to = device::advance(&state, said.said, &around).1;
                    let from_new = status == DeviceStatus::LinkProvisioning;
                    activated += usize::from(from_new && to == Answer::To(DeviceStatus::Activated));
                }
            }
        }
    }
    // Edge 2; transit 3 and 2; hybrid 6.
    assert_eq!(activated, 13);
    report("devices, shapes", stage.cases(), 150);
}

#[test]
fn a_device_is_registered_by_its_owner_where_nothing_above_it_is_stopped() {
    let mut stage = DeviceStage::new();
    for who in Who::ALL {
        for around in std::iter::once(&device::FINE).chain(&device::AROUND) {
            for desired in DESIRED {
                stage.try_create(who, around, desired);
            }
        }
    }
    report("devices, registrations", stage.cases(), 200);
}

/// Every status of a link, what it left while suspended, and how far the program has taken the account.
fn link_states(kind: LinkType) -> Vec<(LinkBase, LinkStatus, LinkStatus)> {
    use LinkStatus as S;
    let base_of = |status| match status {
        S::Requested => LinkBase::Requested,
        S::Pending => LinkBase::Accepted,
        _ => LinkBase::Provisioned,
    };
    let mut states: Vec<_> = LinkStatus::ALL
        .iter()
        .filter(|status| **status != S::Suspended)
        .map(|status| (base_of(*status), *status, S::Pending))
        .collect();
    states.extend(LinkStatus::ALL.iter().map(|left| (base_of(*left), S::Suspended, *left)));
    for base in [LinkBase::Requested, LinkBase::Accepted] {
        states.extend([S::Deleting, S::Rejected].map(|status| (base, status, S::Pending)));
    }
    // A WAN link is never requested.
    states.retain(|(base, ..)| kind == LinkType::Dzx || *base != LinkBase::Requested);
    states
}

/// The states of a link that differ in health and wishes.
fn every_link(kind: LinkType, wishes: &[[DesiredStatus; 2]], mut visit: impl FnMut(LinkBase, &link::State)) {
    for (base, status, left) in link_states(kind) {
        let accepted = base != LinkBase::Requested;
        for &health in LinkHealth::ALL {
            for &desired in wishes {
                visit(base, &link::State { kind, status, left, health, desired, accepted });
            }
        }
    }
}

const AGREED: [[DesiredStatus; 2]; 4] = [[DESIRED[0]; 2], [DESIRED[1]; 2], [DESIRED[2]; 2], [DESIRED[3]; 2]];

fn every_pair() -> Vec<[DesiredStatus; 2]> {
    DESIRED.iter().flat_map(|a| DESIRED.iter().map(move |z| [*a, *z])).collect()
}

/// The situations that there are for a link, which has one level.
fn link_situations() -> impl Iterator<Item = &'static Situation> {
    SITUATIONS.iter().filter(|s| ![Said::LinksFull, Said::LinksAlmost].contains(&s.said))
}

#[test]
fn a_dzx_link_obeys_every_order_as_the_table_says() {
    let mut stage = LinkStage::new(LinkType::Dzx);
    every_link(LinkType::Dzx, &AGREED, |base, state| {
        for event in link::Event::ALL {
            for who in Who::ALL {
                stage.try_order(base, state, &link::FINE, event, who);
            }
        }
    });
    report("DZX links, orders", stage.cases(), 20_000);
}

#[test]
fn a_wan_link_obeys_every_order_as_the_table_says() {
    let mut stage = LinkStage::new(LinkType::Wan);
    every_link(LinkType::Wan, &AGREED, |base, state| {
        // Health has no part in an order: each wish meets another one.
        if usize::from(state.health.byte()) != usize::from(state.desired[0].byte()) % LinkHealth::ALL.len() {
            return;
        }
        for event in link::Event::ALL {
            for who in Who::ALL {
                stage.try_order(base, state, &link::FINE, event, who);
            }
        }
    });
    report("WAN links, orders", stage.cases(), 4_000);
}

/// Each side has its own wish; every pair of wishes meets every new one of every signer.
#[test]
fn each_side_of_a_dzx_link_wishes_for_itself() {
    let mut stage = LinkStage::new(LinkType::Dzx);
    every_link(LinkType::Dzx, &every_pair(), |base, state| {
        if state.health != LinkHealth::ReadyForService {
            return;
        }
        for wish in DESIRED {
            for who in Who::ALL {
                stage.try_order(base, state, &link::FINE, link::Event::Want(wish), who);
            }
        }
    });
    report("DZX links, wishes", stage.cases(), 5_000);
}

#[test]
fn a_link_obeys_every_order_as_the_table_says_where_something_is_not_well() {
    let mut stage = LinkStage::new(LinkType::Dzx);
    every_link(LinkType::Dzx, &AGREED, |base, state| {
        // Health has no part in an order: each wish meets another one.
        if usize::from(state.health.byte()) != usize::from(state.desired[0].byte()) % LinkHealth::ALL.len() {
            return;
        }
        for around in &link::AROUND {
            for event in link::Event::ALL {
                for who in Who::ALL {
                    stage.try_order(base, state, around, event, who);
                }
            }
        }
    });
    report("links, orders where something is not well", stage.cases(), 30_000);
}

#[test]
fn a_link_advances_as_the_table_says() {
    for kind in [LinkType::Dzx, LinkType::Wan] {
        let mut stage = LinkStage::new(kind);
        every_link(kind, &AGREED, |base, state| {
            for situation in link_situations() {
                for who in [Who::Authority, Who::Stranger] {
                    stage.try_advance(base, state, situation, &link::FINE, who);
                }
            }
        });
        report("links, advances", stage.cases(), 7_000);
    }
}

/// The stricter of both sides' wishes decides.
#[test]
fn a_dzx_link_advances_as_the_stricter_side_wishes() {
    let mut stage = LinkStage::new(LinkType::Dzx);
    every_link(LinkType::Dzx, &every_pair(), |base, state| {
        for situation in link_situations().filter(|s| [Said::Full, Said::Nobody].contains(&s.said)) {
            stage.try_advance(base, state, situation, &link::FINE, Who::OtherOperations);
        }
    });
    report("DZX links, advances by wishes", stage.cases(), 2_500);
}

#[test]
fn a_link_advances_as_the_table_says_where_something_is_not_well() {
    let mut stage = LinkStage::new(LinkType::Dzx);
    every_link(LinkType::Dzx, &AGREED, |base, state| {
        for (n, situation) in link_situations().enumerate() {
            for around in &link::AROUND {
                stage.try_advance(base, state, situation, around, Who::ALL[n % Who::ALL.len()]);
            }
        }
    });
    report("links, advances where something is not well", stage.cases(), 25_000);
}

/// Every pair of the devices' statuses.
#[test]
fn a_link_moves_forward_only_between_devices_that_are_far_enough() {
    let mut stage = LinkStage::new(LinkType::Dzx);
    let pairs: Vec<_> =
        DeviceStatus::ALL.iter().flat_map(|a| DeviceStatus::ALL.iter().map(move |z| [*a, *z])).collect();
    every_link(LinkType::Dzx, &AGREED, |base, state| {
        if state.health != LinkHealth::ReadyForService {
            return;
        }
        for &devices in &pairs {
            let around = link::Around { devices, ..link::FINE };
            for situation in link_situations().filter(|s| s.said == Said::Full) {
                stage.try_advance(base, state, situation, &around, Who::Stranger);
            }
            stage.try_order(base, state, &around, link::Event::Provision, Who::OtherOwner);
        }
    });
    report("links, devices", stage.cases(), 10_000);
}

#[test]
fn a_link_is_registered_by_the_owner_of_side_a_where_nothing_above_it_is_stopped() {
    for (kind, to) in [(LinkType::Dzx, LinkStatus::Requested), (LinkType::Wan, LinkStatus::Pending)] {
        let mut stage = LinkStage::new(kind);
        for who in Who::ALL {
            for around in std::iter::once(&link::FINE).chain(&link::AROUND) {
                let expected = match (who, around.running, *around == link::FINE) {
                    (Who::Owner, _, true) => Answer::To(to),
                    (Who::Owner, false, _) => Answer::Refused(ErrorCode::NetworkPaused),
                    (Who::Owner, true, _) => Answer::Refused(ErrorCode::RegistrySuspended),
                    _ => Answer::Refused(ErrorCode::NotLinkParty),
                };
                for desired in DESIRED {
                    stage.try_create(who, around, desired, expected);
                }
            }
        }
        report("links, registrations", stage.cases(), 190);
    }
}
