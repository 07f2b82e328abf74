use proptest::prelude::*;

use super::*;

const GOOD: &str = "
name: two routers
contributors:
  - code: north
  - code: south
locations:
  - {code: ams, name: Amsterdam, country: NL, lat: 52.37, lng: 4.89}
exchanges:
  - {code: xams, lat: 52.37, lng: 4.89, bgp_community: 10001}
devices:
  - code: ams-1
    contributor: north
    location: ams
    exchange: xams
    device_type: edge
    public_ip: 198.18.0.1
    dz_prefixes: [198.19.0.0/29]
  - code: ams-2
    contributor: south
    location: ams
    exchange: xams
    device_type: edge
links:
  - code: ams-1-ams-2
    link_type: dzx
    a: {device: ams-1, interface: eth3}
    z: {device: ams-2, interface: eth3}
    bandwidth_bps: 10000000000
    delay_ns: 10000
";

#[test]
fn a_good_file_is_read_and_written_the_same() {
    let site = Site::from_yaml(GOOD).unwrap();
    let text = site.to_yaml().unwrap();
    assert_eq!(Site::from_yaml(&text).unwrap(), site);
    assert!(!text.contains("agent_key"), "{text}");
}

#[test]
fn every_problem_of_a_file_is_listed_at_once_with_its_place() {
    let bad = GOOD
        .replace("contributor: south", "contributor: west\n    colour: red")
        .replace("public_ip: 198.18.0.1", "public_ip: 10.0.0.1")
        .replace("delay_ns: 10000", "delay_ns: soon")
        .replace("lat: 52.37, lng: 4.89}", "lat: 99, lng: 4.89}")
        .replace("[198.19.0.0/29]", "[198.19.0.1/29, 7]");
    let SiteError(problems) = Site::from_yaml(&bad).unwrap_err();
    let found: Vec<_> = problems.iter().map(|p| (p.line, p.path.as_str())).collect();
    let expected = [
        (Some(7), "locations[0].lat"),
        (Some(16), "devices[0].public_ip"),
        (Some(17), "devices[0].dz_prefixes[0]"),
        (Some(17), "devices[0].dz_prefixes[1]"),
        (Some(19), "devices[1].contributor"),
        (Some(20), "devices[1].colour"),
        (Some(30), "links[0].delay_ns"),
    ];
    assert_eq!(found, expected, "{problems:#?}");
}

#[test]
fn references_types_and_interfaces_have_to_fit() {
    let cases = [
        ("link_type: dzx", "link_type: wan", "links[0].link_type"),
        ("ams-2, interface: eth3", "ams-2, interface: eth99", "links[0].z.interface"),
        ("ams-2, interface: eth3", "ams-2, interface: eth1", "links[0].z.interface"),
        ("ams-2, interface: eth3", "ams-9, interface: eth3", "links[0].z.device"),
        ("code: ams-2", "code: ams-1", "devices[1].code"),
        ("z: {device: ams-2", "z: {device: ams-1", "links[0]"),
        ("bandwidth_bps: 10000000000", "bandwidth_bps: 1", "links[0].bandwidth_bps"),
    ];
    for (from, to, path) in cases {
        let bad = GOOD.replace(from, to);
        assert_ne!(bad, GOOD, "{from}");
        let SiteError(problems) = Site::from_yaml(&bad).unwrap_err();
        assert!(problems.iter().any(|p| p.path == path), "{to}: {problems:#?}");
    }
}

#[test]
fn broken_yaml_names_its_line_once() {
    let SiteError(problems) = Site::from_yaml("name: x\ndevices: [\n").unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].line.is_some(), "{problems:?}");
    for text in ["", "7", "[]", "devices: 7", "devices: [7]"] {
        let outcome = Site::from_yaml(text);
        assert!(outcome.is_err(), "{text:?}: {outcome:?}");
    }
}

proptest! {
    #[test]
    fn any_text_gives_a_site_or_problems(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let text = String::from_utf8_lossy(&bytes);
        if let Err(SiteError(problems)) = Site::from_yaml(&text) {
            prop_assert!(!problems.is_empty());
        }
    }

    #[test]
    fn a_good_file_with_a_hole_or_an_insertion_never_panics(at in 0usize..900, cut in 0usize..40, put in "[ -~\n]{0,6}") {
        let start = at.min(GOOD.len());
        let end = (start + cut).min(GOOD.len());
        let text = format!("{}{put}{}", &GOOD[..start], &GOOD[end..]);
        drop(Site::from_yaml(&text));
    }
}
