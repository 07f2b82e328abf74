use std::collections::{BTreeMap, BTreeSet};

use causeway_interface::{DeviceType, LinkType, values};
use proptest::prelude::*;

use super::*;

/// File, devices, links, parallel links, nodes without coordinates: counted by hand in the files.
const FILES: [(&str, usize, usize, usize, usize); 6] = [
    ("Abilene", 11, 14, 0, 0),
    ("AttMpls", 25, 57, 1, 0),
    ("Geant2012", 40, 61, 0, 3),
    ("UsCarrier", 158, 189, 0, 6),
    ("Cogentco", 197, 245, 2, 11),
    ("Kdl", 754, 899, 4, 28),
];

fn text(file: &str) -> String {
    let path = format!("{}/../topologies/{file}.gml", env!("CARGO_MANIFEST_DIR"));
    gml::decode(&std::fs::read(path).unwrap()).0
}

fn import(text: &str) -> Imported {
    site_from_gml(text, &ImportOptions::default()).unwrap()
}

fn graph(body: &str) -> Imported {
    import(&format!("graph [ {body} ]"))
}

fn subjects(imported: &Imported, kind: AssumptionKind) -> Vec<String> {
    imported.assumptions.iter().filter(|a| a.kind == kind).flat_map(|a| a.subjects.clone()).collect()
}

fn said(imported: &Imported, kind: AssumptionKind) -> usize {
    subjects(imported, kind).len()
}

/// The rules of the design for what a type of device needs, and what an import promises beside.
fn check_promises(site: &Site) {
    let types: BTreeMap<Code, DeviceType> = site.devices.iter().map(|d| (d.code, d.device_type)).collect();
    let mut of: BTreeMap<Code, (usize, usize)> = BTreeMap::new();
    for link in &site.links {
        for end in [&link.a, &link.z] {
            let counts = of.entry(end.device).or_default();
            match link.link_type {
                LinkType::Wan => counts.0 += 1,
                LinkType::Dzx => counts.1 += 1,
            }
        }
        assert!(values::delay(link.delay_ns).is_ok() && values::bandwidth(link.bandwidth_bps).is_ok());
    }
    for (code, device_type) in types {
        let (wan, dzx) = of.get(&code).copied().unwrap_or_default();
        let fits = match device_type {
            DeviceType::Edge => wan == 0 && dzx >= 1,
            DeviceType::Transit => wan + dzx >= 3 && (wan >= 2 || wan >= 1 && dzx >= 1),
            DeviceType::Hybrid => wan >= 1,
        };
        assert!(fits, "{code}: {device_type} with {wan} WAN and {dzx} DZX links");
    }
    let addresses: BTreeSet<_> = site.devices.iter().map(|d| d.public_ip).collect();
    assert_eq!(addresses.len(), site.devices.len());
    let communities: BTreeSet<_> = site.exchanges.iter().map(|e| e.bgp_community).collect();
    assert_eq!(communities.len(), site.exchanges.len());
    site.check().unwrap();
}

#[test]
fn every_node_and_edge_of_the_six_files_becomes_a_device_and_a_link() {
    for (file, devices, links, parallel, unplaced) in FILES {
        let imported = import(&text(file));
        let site = &imported.site;
        assert_eq!((site.devices.len(), site.links.len()), (devices, links), "{file}");
        assert_eq!(said(&imported, AssumptionKind::Parallel), parallel, "{file}");
        let placed = [AssumptionKind::PlacedByNeighbours, AssumptionKind::PlacedAtCentre];
        assert_eq!(placed.map(|kind| said(&imported, kind)).iter().sum::<usize>(), unplaced, "{file}");
        assert_eq!(site.contributors.len(), 4, "{file}");
        let dzx = site.links.iter().filter(|l| matches!(l.link_type, LinkType::Dzx)).count();
        assert!(dzx > 0 && dzx < links, "{file}: {dzx} DZX links of {links}");
        for contributor in &site.contributors {
            let held = site.devices.iter().filter(|d| d.contributor == contributor.code).count();
            assert!(held.abs_diff(devices / 4) <= 1, "{file}: {} holds {held}", contributor.code);
        }
        check_promises(site);
    }
}

#[test]
fn the_same_file_gives_the_same_bytes_and_they_are_a_site_file() {
    for (file, ..) in FILES {
        let [one, two] = [import(&text(file)), import(&text(file))].map(|imported| imported.site.to_yaml().unwrap());
        assert_eq!(one, two, "{file}");
        if file != "Kdl" {
            assert_eq!(Site::from_yaml(&one).unwrap(), import(&text(file)).site, "{file}");
        }
    }
}

#[test]
fn any_number_of_contributors_and_both_platforms_fit() {
    for (file, devices, ..) in FILES.into_iter().take(3) {
        for contributors in [1, 2, 3, 7, 1_000] {
            for platform in [Platform::Frr, Platform::Eos] {
                let options = ImportOptions { contributors, platform, ..ImportOptions::default() };
                let imported = site_from_gml(&text(file), &options).unwrap();
                assert_eq!(imported.site.contributors.len(), contributors.min(devices));
                assert_eq!(said(&imported, AssumptionKind::FewerContributors), usize::from(contributors > devices));
                check_promises(&imported.site);
            }
        }
    }
}

#[test]
fn names_keys_and_owners_come_from_the_options() {
    let owner = Key([9; 32]);
    let options = ImportOptions {
        name: Some("mine".parse().unwrap()),
        keys: Some(Box::new(|code| {
            let mut agent = Key(code.0);
            agent.0[31] = 1;
            DeviceKeys { agent, telemetry: Key(code.0) }
        })),
        owners: [("contributor-2".parse().unwrap(), owner)].into(),
        ..ImportOptions::default()
    };
    let site = site_from_gml(&text("Abilene"), &options).unwrap().site;
    assert_eq!(site.name.as_str(), "mine");
    assert!(site.devices.iter().all(|d| d.telemetry_key == Key(d.code.0) && d.agent_key.0[31] == 1));
    let owners: Vec<_> = site.contributors.iter().map(|c| c.owner).collect();
    assert_eq!(owners, [Key::ZERO, owner, Key::ZERO, Key::ZERO]);
    assert_eq!(import(&text("Abilene")).site.name.as_str(), "Abilene");
}

#[test]
fn what_can_be_no_device_or_link_is_left_out_and_said() {
    use AssumptionKind as K;
    let imported = graph(
        "node [ id 1 label \"A\" Latitude 1 Longitude 1 ] node [ id 2 label \"A\" Latitude 2 Longitude 2 ] \
         node [ id 3 label \"None\" ] node [ id 4 label \"Lonely\" ] node [ id 5 label \"Peer\" Internal 0 ] \
         node [ id 1 label \"Again\" ] node [ label \"No id\" ] node [ id 6 Latitude 91 Longitude 0 hyperedge 1 ] \
         edge [ source 1 target 2 ] edge [ source 2 target 1 LinkSpeedRaw 1e6 ] edge [ source 1 target 1 ] \
         edge [ source 2 target 3 LinkLabel \"10 Gbps\" ] edge [ source 3 target 5 ] edge [ source 3 target 99 ] \
         edge [ source 3 target 6 LinkSpeedRaw 1e15 ] edge [ source 1 target 2 ] edge [ target 2 ]",
    );
    let codes: Vec<_> = imported.site.devices.iter().map(|d| d.code.to_string()).collect();
    assert_eq!(codes, ["a", "a-2", "node-3", "node-6"]);
    let links: Vec<_> = imported.site.links.iter().map(|l| (l.code.to_string(), l.bandwidth_bps)).collect();
    let expected = [
        ("a-a-2", values::MIN_BANDWIDTH_BPS),
        ("a-2-a", values::MIN_BANDWIDTH_BPS),
        ("a-2-node-3", 10_000_000_000),
        ("node-3-node-6", values::MAX_BANDWIDTH_BPS),
        ("a-a-2-2", values::MIN_BANDWIDTH_BPS),
    ];
    assert_eq!(links, expected.map(|(code, bps)| (code.to_owned(), bps)));
    let cases: [(K, &[&str]); 14] = [
        (K::NodeWithoutId, &["No id"]),
        (K::RepeatedId, &["Again"]),
        (K::UnknownEnd, &["3 - 99", " - 2"]),
        (K::SelfLoop, &["A"]),
        (K::ExternalLeftOut, &["Peer"]),
        (K::Isolated, &["Lonely"]),
        (K::Hyperedge, &["node 6"]),
        (K::NoLabel, &["node-3", "node-6"]),
        (K::RepeatedLabel, &["a-2"]),
        (K::BadCoordinates, &["node 6"]),
        (K::PlacedByNeighbours, &["node 3", "node 6"]),
        (K::Parallel, &["a-2-a", "a-a-2-2"]),
        (K::SpeedRaised, &["a-2-a"]),
        (K::SpeedLowered, &["node-3-node-6"]),
    ];
    for (kind, expected) in cases {
        assert_eq!(subjects(&imported, kind), expected, "{kind:?}");
    }
}

#[test]
fn places_spread_from_neighbours_and_are_made_up_only_without_any() {
    let placed = "node [ id 1 Latitude 10 Longitude 10 ] node [ id 2 Latitude 10 Longitude 20 ]";
    let edges = "node [ id 3 ] node [ id 4 ] edge [ source 1 target 3 ] edge [ source 3 target 2 ] \
                 edge [ source 3 target 4 ] node [ id 5 ] node [ id 6 ] edge [ source 5 target 6 ]";
    let imported = graph(&format!("{placed} {edges}"));
    let lng: Vec<_> = imported.site.locations.iter().map(|l| l.lng.get().round()).collect();
    assert_eq!(lng, [10.0, 20.0, 15.0, 15.0, 15.0, 15.0]);
    assert_eq!(said(&imported, AssumptionKind::PlacedByNeighbours), 2);
    assert_eq!(said(&imported, AssumptionKind::PlacedAtCentre), 2);
    let imported = graph("node [ id 1 ] node [ id 2 ] edge [ source 1 target 2 ]");
    assert!(imported.assumptions.iter().any(|a| a.kind == AssumptionKind::PlacedOnCircle));
    check_promises(&imported.site);
}

#[test]
fn external_nodes_stay_where_nothing_is_linked_without_them() {
    let imported = graph("node [ id 1 Internal 1 ] node [ id 2 Internal 0 ] edge [ source 1 target 2 ]");
    assert_eq!(imported.site.devices.len(), 2);
    assert_eq!(said(&imported, AssumptionKind::ExternalKept), 1);
}

#[test]
fn a_star_gets_further_ports_up_to_what_a_device_holds() {
    let mut body = "node [ id 0 label \"Hub\" ]".to_owned();
    for id in 1..=150 {
        body += &format!(" node [ id {id} ] edge [ source 0 target {id} ]");
    }
    for platform in [Platform::Frr, Platform::Eos] {
        let options = ImportOptions { platform, ..ImportOptions::default() };
        let imported = site_from_gml(&format!("graph [ {body} ]"), &options).unwrap();
        assert_eq!(imported.site.links.len(), MAX_LINKS_OF_DEVICE);
        assert_eq!(said(&imported, AssumptionKind::TooManyAtDevice), 150 - MAX_LINKS_OF_DEVICE);
        assert!(subjects(&imported, AssumptionKind::MorePorts).contains(&"hub".to_owned()));
        check_promises(&imported.site);
    }
}

#[test]
fn a_file_that_gives_no_site_says_why() {
    let failure = |text: &str| site_from_gml(text, &ImportOptions::default()).unwrap_err();
    assert_eq!(failure(""), ImportError::NoGraph);
    assert_eq!(failure("graph [ node [ id 1 ] ]"), ImportError::NoLinks);
    assert_eq!(failure("graph [ node [ id 1 ] edge [ source 1 target 1 ] ]"), ImportError::NoLinks);
    assert!(matches!(failure("<graphml/>"), ImportError::Gml(_)));
    let none = ImportOptions { contributors: 0, ..ImportOptions::default() };
    assert_eq!(site_from_gml(&text("Abilene"), &none), Err(ImportError::NoContributors));
    let pairs = |count: usize| -> String {
        let pair = |i| format!("node [ id {i} ] node [ id b{i} ] edge [ source {i} target b{i} ]");
        format!("graph [ {} ]", (0..count).map(pair).collect::<String>())
    };
    assert_eq!(failure(&pairs(MAX_DEVICES / 2 + 1)), ImportError::TooManyDevices { devices: MAX_DEVICES + 2 });
}

#[test]
fn assumptions_read_as_sentences_that_hostile_names_do_not_break() {
    let imported = graph(
        "node [ id 1 label \"x&#27;[2J\" ] node [ id 1 label \"\n\n\n\na&#7;\" ] node [ id 2 ] \
                          edge [ source 1 target 2 ]",
    );
    for assumption in &imported.assumptions {
        assert!(!assumption.to_string().contains(char::is_control), "{assumption:?}");
    }
    let links = import(&text("Kdl")).assumptions.into_iter().find(|a| a.kind == AssumptionKind::NoSpeed).unwrap();
    assert!(links.to_string().starts_with("no speed given: 10 Gbit/s (899): "), "{links}");
    assert!(links.to_string().ends_with(" and 894 more"), "{links}");
}

proptest! {
    #[test]
    fn any_text_gives_a_site_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        drop(site_from_gml(&gml::decode(&bytes).0, &ImportOptions::default()));
    }

    #[test]
    fn a_damaged_file_never_panics(at in 0usize..3_600, cut in 0usize..200, put in "[ -~\n]{0,8}") {
        let good = text("Abilene");
        let start = at.min(good.len());
        let end = (start + cut).min(good.len());
        let damaged = format!("{}{put}{}", &good[..start], &good[end..]);
        if let Ok(imported) = site_from_gml(&damaged, &ImportOptions::default()) {
            check_promises(&imported.site);
        }
    }

    #[test]
    fn any_graph_keeps_the_promises(
        nodes in proptest::collection::vec((proptest::option::of((-91i32..91, -181i32..181)), "[A-Ca-c é]{0,3}"), 1..12),
        edges in proptest::collection::vec((0usize..12, 0usize..12), 0..30),
        contributors in 1usize..6,
    ) {
        let mut body = String::from("graph [");
        for (id, (place, label)) in nodes.iter().enumerate() {
            let place = place.map(|(lat, lng)| format!("Latitude {lat} Longitude {lng}")).unwrap_or_default();
            body += &format!(" node [ id {id} label \"{label}\" {place} ]");
        }
        for (a, z) in edges {
            body += &format!(" edge [ source {a} target {z} ]");
        }
        body += " ]";
        let options = ImportOptions { contributors, ..ImportOptions::default() };
        match site_from_gml(&body, &options) {
            Ok(imported) => check_promises(&imported.site),
            Err(error) => prop_assert_eq!(error, ImportError::NoLinks),
        }
    }
}
