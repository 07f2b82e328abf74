use std::collections::BTreeMap;

use causeway_interface::lifecycle::device::shape_holds;
use proptest::prelude::*;

use super::*;

const FILES: [(&str, &str, usize, usize); 6] = [
    ("Abilene", include_str!("../../../topologies/Abilene.gml"), 11, 14),
    ("AttMpls", include_str!("../../../topologies/AttMpls.gml"), 25, 57),
    ("Geant2012", include_str!("../../../topologies/Geant2012.gml"), 40, 61),
    ("UsCarrier", include_str!("../../../topologies/UsCarrier.gml"), 158, 189),
    ("Cogentco", include_str!("../../../topologies/Cogentco.gml"), 197, 245),
    ("Kdl", include_str!("../../../topologies/Kdl.gml"), 754, 899),
];

/// Every device's shape holds once all its links are in service.
fn assert_shapes(site: &Site) {
    let mut counts: BTreeMap<Code, (u32, u32)> = BTreeMap::new();
    for link in &site.links {
        for end in [&link.a, &link.z] {
            let count = counts.entry(end.device).or_default();
            match link.link_type {
                LinkType::Wan => count.0 += 1,
                LinkType::Dzx => count.1 += 1,
            }
        }
    }
    for device in &site.devices {
        let (wan, dzx) = counts[&device.code];
        let has_cyoa = !matches!(device.device_type, DeviceType::Transit);
        assert!(shape_holds(device.device_type, has_cyoa, wan, dzx), "{}: {wan} wan, {dzx} dzx", device.code);
    }
}

#[test]
fn all_six_files_become_whole_valid_sites_the_same_every_time() {
    for (name, text, devices, links) in FILES {
        for contributors in [1, 2, 4, 7] {
            let options = ImportOptions { contributors, ..ImportOptions::default() };
            let (site, assumptions) = site_from_gml(text, &options).unwrap();
            assert_eq!((site.devices.len(), site.links.len()), (devices, links), "{name}");
            assert_eq!(site.contributors.len(), contributors, "{name}");
            site.check().unwrap();
            assert_shapes(&site);
            assert_eq!(site_from_gml(text, &options).unwrap(), (site.clone(), assumptions), "{name}");
            let yaml = site.to_yaml().unwrap();
            assert_eq!(Site::from_yaml(&yaml).unwrap(), site, "{name}");
        }
    }
}

#[test]
fn four_regions_of_abilene_have_links_between_them_and_equal_shares() {
    let (site, assumptions) = site_from_gml(FILES[0].1, &ImportOptions::default()).unwrap();
    let dzx = site.links.iter().filter(|l| matches!(l.link_type, LinkType::Dzx)).count();
    assert!((3..14).contains(&dzx), "{dzx}");
    let mut shares: BTreeMap<Code, usize> = BTreeMap::new();
    for device in &site.devices {
        *shares.entry(device.contributor).or_default() += 1;
    }
    assert!(shares.values().all(|n| (2..=3).contains(n)), "{shares:?}");
    let topics: Vec<Topic> = assumptions.iter().map(|a| a.topic).collect();
    // OC-192 is 9.95 Gbit/s.
    assert_eq!(topics.iter().filter(|t| **t == Topic::SpeedClamped).count(), 14);
    assert!(!topics.contains(&Topic::Coordinates));
}

#[test]
fn missing_coordinates_and_labels_are_said_once_per_node() {
    let count = |text: &str, topic: Topic| {
        let (_, assumptions) = site_from_gml(text, &ImportOptions::default()).unwrap();
        assumptions.iter().filter(|a| a.topic == topic).count()
    };
    assert_eq!(count(FILES[5].1, Topic::Coordinates), 28);
    assert_eq!(count(FILES[5].1, Topic::Label), 28);
    assert_eq!(count(FILES[2].1, Topic::Coordinates), 3);
    assert_eq!(count(FILES[4].1, Topic::Hyperedge), 11);
    assert_eq!(count(FILES[2].1, Topic::Speed), 22);
}

#[test]
fn what_can_not_be_built_is_left_out_and_said() {
    let text = r#"graph [
        node [ id 0 label "A" Internal 1 Latitude 50 Longitude 8 ]
        node [ id 1 label "A" Internal 1 ]
        node [ id 2 label "None" Internal 1 ]
        node [ id 3 label "Lonely" Internal 1 Latitude 1 Longitude 1 ]
        node [ id 4 label "Peer" Internal 0 Latitude 1 Longitude 1 ]
        node [ label "no id" ]
        node [ id 0 label "again" ]
        edge [ source 0 target 1 LinkLabel "< 2.5 Gbit/s" ]
        edge [ source 1 target 0 LinkSpeedRaw 1e15 ]
        edge [ source 1 target 2 ]
        edge [ source 2 target 2 ]
        edge [ source 2 target 4 ]
        edge [ source 2 target 99 ]
    ]"#;
    let (site, assumptions) = site_from_gml(text, &ImportOptions::default()).unwrap();
    let codes: Vec<String> = site.devices.iter().map(|d| d.code.to_string()).collect();
    assert_eq!(codes, ["a", "a-2", "node-2"]);
    let links: Vec<(String, u64)> = site.links.iter().map(|l| (l.code.to_string(), l.bandwidth_bps)).collect();
    let expected = [("a-a-2", 10_000_000_000), ("a-2-a", 400_000_000_000), ("a-2-node-2", 10_000_000_000)];
    assert_eq!(links, expected.map(|(c, b)| (c.to_owned(), b)));
    let mut topics: Vec<Topic> = assumptions.iter().map(|a| a.topic).collect();
    topics.sort_unstable();
    topics.dedup();
    use Topic::*;
    let expected = [
        NodeId, External, Isolated, Label, LabelRepeated, Coordinates, Country, Dangling, SelfLoop, Parallel, Speed,
        SpeedClamped, Invented,
    ];
    assert_eq!(topics, expected);
    let kept = ImportOptions { keep_external: true, ..ImportOptions::default() };
    assert_eq!(site_from_gml(text, &kept).unwrap().0.devices.len(), 4);
}

#[test]
fn a_file_without_any_coordinates_or_a_hub_of_too_many_links_survives() {
    let mut text = String::from("graph [ node [ id 0 ]");
    for n in 1..=200 {
        text += &format!(" node [ id {n} label \"东京\" ] edge [ source 0 target {n} ]");
    }
    text += "]";
    for platform in [Platform::Frr, Platform::Eos] {
        let options = ImportOptions { platform, contributors: 3, ..ImportOptions::default() };
        let (site, assumptions) = site_from_gml(&text, &options).unwrap();
        assert_eq!(site.links.len(), MAX_DEGREE);
        assert_eq!(site.devices.len(), MAX_DEGREE + 1);
        assert_eq!(assumptions.iter().filter(|a| a.topic == Topic::TooManyLinks).count(), 200 - MAX_DEGREE);
        assert_shapes(&site);
    }
}

#[test]
fn files_that_hold_nothing_are_refused_with_a_reason() {
    let import = |text: &str| site_from_gml(text, &ImportOptions::default()).unwrap_err();
    assert_eq!(import(""), ImportError::NoGraph);
    assert_eq!(import("graph [ ]"), ImportError::NoNodes);
    assert_eq!(import("graph [ node [ id 1 ] ]"), ImportError::NothingLeft);
    assert!(matches!(import("{\"graph\": 1}"), ImportError::Gml(_)));
}

proptest! {
    #[test]
    fn any_bytes_give_a_site_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let (text, _) = gml::decode(&bytes);
        drop(site_from_gml(&text, &ImportOptions::default()));
    }

    #[test]
    fn a_file_with_a_hole_or_an_insertion_gives_a_valid_site_or_an_error(
        at in 0usize..3_400, cut in 0usize..200, put in "[ -~\n]{0,8}",
    ) {
        let text = FILES[0].1;
        let (start, end) = (at.min(text.len()), (at + cut).min(text.len()));
        let broken = format!("{}{put}{}", &text[..start], &text[end..]);
        match site_from_gml(&broken, &ImportOptions::default()) {
            Ok((site, _)) => prop_assert!(site.check().is_ok()),
            Err(error) => prop_assert!(!matches!(error, ImportError::Invalid(_)), "{error}"),
        }
    }

    #[test]
    fn any_graph_gives_devices_whose_shape_can_hold(
        edges in proptest::collection::vec((0u8..30, 0u8..30), 1..120), contributors in 1usize..7,
    ) {
        let mut text = String::from("graph [\n");
        for n in 0..30u8 {
            let lng = i32::from(n) * 37 % 90;
            text += &format!("node [ id {n} label \"L{}\" Latitude {} Longitude {lng} ]\n", n % 7, n % 11);
        }
        for (a, z) in edges {
            text += &format!("edge [ source {a} target {z} ]\n");
        }
        text += "]";
        let options = ImportOptions { contributors, ..ImportOptions::default() };
        if let Ok((site, _)) = site_from_gml(&text, &options) {
            assert_shapes(&site);
        }
    }
}
