//! Plans over small sites, without a ledger.

use causeway_interface::{DeviceStatus, LinkStatus};
use causeway_sdk::Snapshot;

use super::*;
use crate::import::{ImportOptions, site_from_gml};

const TRIANGLE: &str = r#"graph [
  label "Triangle"
  node [ id 0 label "A" Latitude 10.0 Longitude 10.0 ]
  node [ id 1 label "B" Latitude 10.0 Longitude 11.0 ]
  node [ id 2 label "C" Latitude 11.0 Longitude 40.0 ]
  edge [ source 0 target 1 ]
  edge [ source 1 target 2 ]
  edge [ source 2 target 0 ]
]"#;

fn site() -> Site {
    let options = ImportOptions { contributors: 2, ..ImportOptions::default() };
    let mut site = site_from_gml(TRIANGLE, &options).unwrap().site;
    for (index, device) in (1u8..).zip(&mut site.devices) {
        device.agent_key = Key([index; 32]);
        device.telemetry_key = Key([index + 100; 32]);
    }
    for (index, contributor) in (1u8..).zip(&mut site.contributors) {
        contributor.owner = Key([index + 200; 32]);
    }
    site
}

fn empty() -> Snapshot {
    Snapshot::empty(Key([9; 32]), 1)
}

fn verbs(plan: &Plan, kind: Kind) -> Vec<&'static str> {
    plan.steps.iter().filter(|s| s.kind == kind).map(|s| s.operation.verb()).collect()
}

#[test]
fn an_empty_ledger_is_given_everything_in_dependency_order() {
    let site = site();
    let plan = plan(&site, &empty(), &OwnerKeys::new());
    assert!(plan.conflicts.is_empty(), "{:?}", plan.conflicts);
    assert!(plan.notes.is_empty(), "{:?}", plan.notes);
    assert!(plan.steps.is_sorted_by_key(|s| s.stage));
    let devices = verbs(&plan, Kind::Device);
    assert_eq!(devices.iter().filter(|v| **v == "create").count(), 3);
    assert_eq!(devices.iter().filter(|v| **v == "provision").count(), 3);
    let links = verbs(&plan, Kind::Link);
    assert_eq!(links.iter().filter(|v| **v == "create").count(), 3);
    assert_eq!(links.iter().filter(|v| **v == "provision").count(), 3);
    let dzx = site.links.iter().filter(|l| l.link_type == causeway_interface::LinkType::Dzx).count();
    assert_eq!(links.iter().filter(|v| **v == "accept").count(), dzx);
    assert!(dzx > 0, "two contributors share a link");
}

#[test]
fn devices_without_keys_are_registered_and_wait_with_their_links() {
    let mut site = site();
    site.devices[0].agent_key = Key::ZERO;
    let waiting = site.devices[0].code;
    let touching = site.links.iter().filter(|l| l.a.device == waiting || l.z.device == waiting).count();
    let plan = plan(&site, &empty(), &OwnerKeys::new());
    assert_eq!(verbs(&plan, Kind::Device).iter().filter(|v| **v == "provision").count(), 2);
    assert_eq!(verbs(&plan, Kind::Link).iter().filter(|v| **v == "provision").count(), 3 - touching);
    assert_eq!(plan.notes.len(), 1 + touching);
    assert!(plan.notes[0].message.contains("no agent key"), "{:?}", plan.notes);
}

#[test]
fn a_contributor_without_an_owner_is_a_conflict_unless_its_key_is_known() {
    let mut site = site();
    site.contributors[0].owner = Key::ZERO;
    let code = site.contributors[0].code;
    let conflicts = plan(&site, &empty(), &OwnerKeys::new()).conflicts;
    assert_eq!((conflicts.len(), conflicts[0].code), (1, code));
    let owners = OwnerKeys::from([(code, Key([7; 32]))]);
    assert!(plan(&site, &empty(), &owners).conflicts.is_empty());
}

#[test]
fn what_has_been_applied_needs_nothing() {
    let site = site();
    let snapshot = crate::simulate::activated(&site, Key([9; 32])).unwrap();
    let plan = plan(&site, &snapshot, &OwnerKeys::new());
    assert_eq!(plan.steps, Vec::new());
    assert_eq!(plan.conflicts, Vec::new());
    let objects = site.contributors.len() + site.locations.len() + site.exchanges.len();
    assert_eq!(plan.unchanged, objects + site.devices.len() + site.links.len());
}

#[test]
fn what_differs_is_changed_and_what_can_not_change_is_a_conflict() {
    let site = site();
    let mut snapshot = crate::simulate::activated(&site, Key([9; 32])).unwrap();
    let mut wanted = site.clone();
    wanted.links[0].delay_override_ns = 50_000;
    wanted.links[1].desired = causeway_interface::DesiredStatus::SoftDrained;
    wanted.devices[0].public_ip = "198.19.255.1".parse().unwrap();
    let changed = plan(&wanted, &snapshot, &OwnerKeys::new());
    assert!(changed.conflicts.is_empty(), "{:?}", changed.conflicts);
    let fields: Vec<_> = changed.steps.iter().flat_map(|s| &s.changes).map(|c| c.field).collect();
    assert!(fields.contains(&"delay_override_ns") && fields.contains(&"public_ip") && fields.contains(&"desired"));
    let sides = if wanted.links[1].link_type == causeway_interface::LinkType::Dzx { 2 } else { 1 };
    assert_eq!(fields.iter().filter(|f| **f == "desired").count(), sides);

    wanted = site.clone();
    wanted.links[0].a.interface = "eth99".parse().unwrap();
    let device = snapshot.devices.values_mut().next().unwrap();
    device.header.status = DeviceStatus::Rejected;
    let conflicts = plan(&wanted, &snapshot, &OwnerKeys::new()).conflicts;
    assert_eq!(conflicts.len(), 2, "{conflicts:?}");
}

#[test]
fn a_half_applied_site_goes_on_where_it_stopped() {
    let site = site();
    let mut snapshot = crate::simulate::activated(&site, Key([9; 32])).unwrap();
    for device in snapshot.devices.values_mut() {
        device.header.status = DeviceStatus::Pending;
    }
    for link in snapshot.links.values_mut() {
        link.header.status = match link.header.kind {
            causeway_interface::LinkType::Dzx => LinkStatus::Requested,
            causeway_interface::LinkType::Wan => LinkStatus::Pending,
        };
    }
    let plan = plan(&site, &snapshot, &OwnerKeys::new());
    assert_eq!(verbs(&plan, Kind::Device), ["provision"; 3]);
    let links = verbs(&plan, Kind::Link);
    assert_eq!(links.iter().filter(|v| **v == "provision").count(), 3);
    assert!(links.iter().all(|v| ["provision", "accept"].contains(v)));
}
