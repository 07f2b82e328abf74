use causeway_interface::{DesiredStatus, DeviceStatus, Key, LinkStatus, LinkType};

use super::*;
use crate::{
    import::{ImportOptions, site_from_gml},
    simulate,
};

const PROGRAM: Key = Key([9; 32]);

fn abilene() -> Site {
    let text = include_str!("../../../topologies/Abilene.gml");
    let (mut site, _) = site_from_gml(text, &ImportOptions::default()).unwrap();
    for (index, device) in site.devices.iter_mut().enumerate() {
        device.agent_key = Key([index as u8 + 1; 32]);
        device.telemetry_key = Key([index as u8 + 101; 32]);
    }
    site
}

fn ledger(site: &Site) -> Snapshot {
    simulate::activated(site, PROGRAM, &Default::default()).unwrap()
}

/// A ledger with a network and nothing else.
fn empty() -> Snapshot {
    Snapshot { network: ledger(&abilene()).network, ..Snapshot::empty(PROGRAM, 1) }
}

#[test]
fn on_an_empty_ledger_everything_is_created_in_dependency_order() {
    let site = abilene();
    let plan = plan(&site, &empty()).unwrap();
    assert!(plan.items.iter().all(|i| i.action == Action::Create && i.blocked.is_none()));
    let kinds: Vec<Kind> = plan.items.iter().map(|i| i.kind).collect();
    assert!(kinds.is_sorted());
    let provisions = plan.items.iter().filter(|i| i.steps.contains(&Step::ProvisionDevice)).count();
    assert_eq!(provisions, 11);
    let dzx = site.links.iter().filter(|l| l.link_type == LinkType::Dzx).count();
    assert_eq!(plan.items.iter().filter(|i| i.steps.contains(&Step::Accept)).count(), dzx);
}

#[test]
fn what_is_there_already_needs_nothing() {
    let site = abilene();
    let plan = plan(&site, &ledger(&site)).unwrap();
    assert!(plan.is_empty(), "{:?}", plan.items.iter().find(|i| !i.steps.is_empty()));
    assert!(plan.items.iter().all(|i| i.action == Action::Nothing));
}

#[test]
fn an_interrupted_run_is_resumed_where_each_object_stopped() {
    let site = abilene();
    let mut there = ledger(&site);
    let device = *there.devices.keys().next().unwrap();
    there.devices.get_mut(&device).unwrap().header.status = DeviceStatus::Pending;
    let mut links = there.links.values_mut();
    let (first, second) = (links.next().unwrap(), links.next().unwrap());
    first.header.status = LinkStatus::Pending;
    second.header.status = LinkStatus::Requested;
    let (first, second) = (first.code, second.code);
    let plan = plan(&site, &there).unwrap();
    let steps = |code: Code| plan.items.iter().find(|i| i.kind == Kind::Link && i.code == code).unwrap().steps.clone();
    assert_eq!(steps(first), [Step::ProvisionLink]);
    assert_eq!(steps(second), [Step::Accept, Step::ProvisionLink]);
    assert_eq!(plan.step_count(), 4);
}

#[test]
fn differences_are_named_and_what_is_fixed_is_blocked() {
    let mut site = abilene();
    let there = ledger(&site);
    site.links[0].delay_override_ns = 50_000;
    site.devices[0].public_ip = "198.18.99.1".parse().unwrap();
    site.devices[1].location = site.devices[0].location;
    let plan = plan(&site, &there).unwrap();
    let item = |kind, code| plan.items.iter().find(|i| i.kind == kind && i.code == code).unwrap();
    let link = item(Kind::Link, site.links[0].code);
    assert_eq!((link.action, link.steps.as_slice()), (Action::Change, [Step::Update].as_slice()));
    assert_eq!(link.changes, ["delay_override_ns: 0 -> 50000"]);
    let device = item(Kind::Device, site.devices[0].code);
    assert_eq!(device.changes, ["public_ip: 198.18.0.1 -> 198.18.99.1"]);
    let moved = item(Kind::Device, site.devices[1].code);
    assert_eq!(moved.action, Action::Blocked);
    assert!(moved.blocked.as_ref().unwrap().starts_with("location can't be changed"));
}

#[test]
fn devices_without_keys_are_registered_and_their_links_wait() {
    let mut site = abilene();
    site.devices[0].agent_key = Key::ZERO;
    let code = site.devices[0].code;
    let plan = plan(&site, &empty()).unwrap();
    let device = plan.items.iter().find(|i| i.kind == Kind::Device && i.code == code).unwrap();
    assert_eq!(device.steps, [Step::Create]);
    assert!(device.blocked.as_ref().unwrap().contains("agent_key"));
    for (link, spec) in plan.items.iter().filter(|i| i.kind == Kind::Link).zip(&site.links) {
        let waits = spec.a.device == code || spec.z.device == code;
        assert_eq!(link.steps.contains(&Step::ProvisionLink), !waits, "{}", spec.code);
        assert_eq!(link.blocked.is_some(), waits);
    }
}

#[test]
fn a_drain_on_the_ledger_is_left_alone_and_mentioned() {
    let site = abilene();
    let mut there = ledger(&site);
    for link in there.links.values_mut() {
        link.header.status = LinkStatus::SoftDrained;
        link.header.desired = DesiredStatus::SoftDrained;
    }
    let plan = plan(&site, &there).unwrap();
    assert!(plan.is_empty());
    assert_eq!(plan.items.iter().filter(|i| i.note.is_some()).count(), 14);
}

#[test]
fn half_a_truth_is_no_ground_for_a_plan() {
    let site = abilene();
    let mut there = ledger(&site);
    there.put(Key([3; 32]), &[7]);
    assert!(matches!(plan(&site, &there), Err(PlanError::Undecodable { count: 1, .. })));
    let bare = Snapshot::empty(PROGRAM, 1);
    assert_eq!(plan(&site, &bare), Err(PlanError::NoNetwork { program_id: PROGRAM }));
}
