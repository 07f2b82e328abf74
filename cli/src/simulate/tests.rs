use std::collections::BTreeSet;

use super::*;
use crate::import::{ImportOptions, gml, site_from_gml};

const PROGRAM: Key = Key([7; 32]);

fn site(file: &str) -> Site {
    let path = format!("{}/../topologies/{file}.gml", env!("CARGO_MANIFEST_DIR"));
    let (text, _) = gml::decode(&std::fs::read(path).unwrap());
    site_from_gml(&text, &ImportOptions::default()).unwrap().site
}

#[test]
fn a_simulated_ledger_holds_the_whole_site_with_nothing_handed_out_twice() {
    let site = site("AttMpls");
    let snapshot = activated(&site, PROGRAM).unwrap();
    assert_eq!((snapshot.devices.len(), snapshot.links.len()), (25, 57));
    let network = snapshot.network.as_ref().unwrap();
    assert_eq!((network.device_count, network.link_count), (25, 57));
    let loopbacks: BTreeSet<_> = snapshot
        .devices
        .values()
        .flat_map(|d| &d.interfaces)
        .filter(|i| i.loopback != LoopbackType::None)
        .map(|i| i.address)
        .collect();
    assert_eq!(loopbacks.len(), 50);
    assert!(loopbacks.iter().all(|l| l.len == 32 && network.loopback_block.overlaps(l)));
    let nets: BTreeSet<_> = snapshot.links.values().map(|l| l.tunnel_net).collect();
    let ids: BTreeSet<_> = snapshot.links.values().map(|l| l.tunnel_id).collect();
    assert_eq!((nets.len(), ids.len()), (57, 57));
    assert!(nets.iter().all(|net| net.len == 31 && net.is_network() && network.link_block.overlaps(net)));
}

#[test]
fn both_ends_of_every_link_are_held_by_it_and_counted() {
    let snapshot = activated(&site("Geant2012"), PROGRAM).unwrap();
    for (key, link) in &snapshot.links {
        let ends = [
            (link.device_a, link.interface_a, link.contributor_a),
            (link.device_z, link.interface_z, link.contributor_z),
        ];
        for (device, interface, contributor) in ends {
            let device = &snapshot.devices[&device];
            let port = device.interfaces.iter().find(|i| i.name == interface).unwrap();
            assert_eq!((port.link, device.contributor), (*key, contributor), "{}", link.code);
        }
        assert_eq!(link.contributor_a == link.contributor_z, link.header.kind == LinkType::Wan, "{}", link.code);
    }
    let held = |count: u32, device: &Device| count == device.activated_wan_links + device.activated_dzx_links;
    assert!(snapshot.devices.values().all(|device| held(device.link_count, device)));
    assert_eq!(snapshot.contributors.values().map(|c| c.link_count).sum::<u32>(), 2 * 61);
    assert_eq!(snapshot.contributors.values().map(|c| c.device_count).sum::<u32>(), 40);
}

#[test]
fn a_simulated_ledger_survives_its_export_and_is_the_same_each_time() {
    let snapshot = activated(&site("Abilene"), PROGRAM).unwrap();
    assert_eq!(Snapshot::from_json(&snapshot.to_json().unwrap()).unwrap(), snapshot);
    assert_eq!(activated(&site("Abilene"), PROGRAM).unwrap(), snapshot);
}

#[test]
fn a_block_that_is_too_small_is_named_with_who_gets_none() {
    let site = site("Abilene");
    let cases = [
        (SimulatedNetwork { loopback_block: Prefix::new(0xac1f_0000, 28), ..Default::default() }, "loopback addresses"),
        (SimulatedNetwork { link_block: Prefix::new(0xac10_0000, 28), ..Default::default() }, "link nets"),
    ];
    for (network, expected) in cases {
        match activated_in(&site, PROGRAM, &network) {
            Err(SimulateError::Exhausted { what, .. }) => assert_eq!(what, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
}
