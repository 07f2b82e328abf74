//! What must hold of every snapshot.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};

use causeway_controller::{
    plan::{self, PlanError},
    probes::ProbePlanner,
    render::{Family, RenderError, Rendered, render_device},
    testing::{SyntheticLedger, code},
    topology::Topology,
};
use causeway_interface::{
    Code, DesiredStatus, DeviceStatus, InterfaceKind, InterfaceName, Ip4, Key, LinkStatus, LoopbackType, Prefix,
    VrfName, accounts::Record,
};
use causeway_sdk::{
    qa::{self, MAX_TARGETS, Part, Qa},
    snapshot::Snapshot,
};
use causeway_wire::telemetry::ProbeKind;
use proptest::prelude::*;

fn texts(snapshot: &Snapshot, family: Family) -> BTreeMap<Code, Rendered> {
    let render = |code: Code| (code, render_device(snapshot, &code, Some(family)).unwrap());
    snapshot.devices.values().map(|d| render(d.code)).collect()
}

/// Names of which some are others, several, or none.
const NAMES: &[&str] = &[
    "Ethernet3",
    "et3",
    "ETHERNET3",
    "Ethernet03",
    "Ethernet1-10",
    "Ethernet30",
    "Ethernet30.7",
    "et30.7",
    "eth3",
    "eth30",
    "eth30.7",
    "lo",
    "lo.7",
    "lo7",
    "Loopback255",
    "Loopback7",
    "Management1",
    "ma1",
    "Port-Channel1",
    "po1",
    "po1.7",
    "Vlan7",
    "swp1",
    "a/b",
    "enp129s0f0np1234",
];

/// What a router takes a stanza's name for, written down apart from what is tested.
fn as_router(family: Family, name: &str) -> String {
    if family == Family::Frr {
        assert!(name.len() <= 15 && !name.contains('/'), "{name}");
        return name.to_string();
    }
    assert!(!name.replace("Port-Channel", "").contains(['-', ',']), "{name} is several");
    let digits = name.find(|c: char| c.is_ascii_digit()).unwrap();
    let (stem, numbers) = name.split_at(digits);
    let stems = ["Ethernet", "Loopback", "Management", "Port-Channel"];
    let full: Vec<_> = stems.iter().filter(|full| full.to_lowercase().starts_with(&stem.to_lowercase())).collect();
    assert_eq!(full.len(), 1, "{name}");
    let numbers: Vec<String> = numbers.split('.').map(|n| n.parse::<u32>().unwrap().to_string()).collect();
    format!("{}{}", full[0], numbers.join("."))
}

fn link_status() -> impl Strategy<Value = LinkStatus> {
    prop::sample::select(LinkStatus::ALL)
}

fn device_status() -> impl Strategy<Value = DeviceStatus> {
    prop::sample::select(DeviceStatus::ALL)
}

prop_compose! {
    /// Up to eight devices and twelve links between them, in any status.
    fn ledgers()(
        devices in prop::collection::vec((device_status(), prop::sample::select(DesiredStatus::ALL)), 2..8),
        links in prop::collection::vec((0usize..8, 1usize..8, link_status(), 10_000u64..=1_000_000_000), 0..12),
    ) -> SyntheticLedger {
        let mut ledger = SyntheticLedger::new(Family::Frr);
        let names: Vec<String> = (0..devices.len()).map(|i| format!("d{i}")).collect();
        for name in &names {
            ledger.device(name);
        }
        let mut used = BTreeMap::<usize, usize>::new();
        for (i, (a, step, status, delay_ns)) in links.into_iter().enumerate() {
            let a = a % names.len();
            let z = (a + 1 + step % (names.len() - 1)) % names.len();
            // Eight fabric ports each.
            if a == z || used.get(&a) == Some(&8) || used.get(&z) == Some(&8) {
                continue;
            }
            *used.entry(a).or_default() += 1;
            *used.entry(z).or_default() += 1;
            let link = ledger.link(&format!("l{i}"), &names[a], &names[z]);
            link.header.status = status;
            link.delay_ns = delay_ns;
        }
        for (name, (status, desired)) in names.iter().zip(devices) {
            let device = ledger.device_mut(name);
            device.header.status = status;
            device.header.desired = desired;
        }
        ledger
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_order_in_which_accounts_were_read_changes_no_byte(ledger in ledgers(), seed in any::<u64>()) {
        let snapshot = &ledger.snapshot;
        let mut accounts: Vec<(Key, Vec<u8>)> = Vec::new();
        let bytes = |record: &dyn Fn() -> Vec<u8>| record();
        let network = snapshot.network.as_ref().unwrap();
        accounts.push((Key([42; 32]), bytes(&|| encode(network))));
        accounts.extend(snapshot.devices.iter().map(|(k, d)| (*k, encode(d))));
        accounts.extend(snapshot.links.iter().map(|(k, l)| (*k, encode(l))));
        let read = |accounts: &[(Key, Vec<u8>)]| {
            Snapshot::from_accounts(snapshot.program_id, 1, accounts.iter().map(|(k, b)| (*k, b.as_slice())))
        };
        let straight = read(&accounts);
        accounts.sort_by_key(|(k, _)| causeway_wire::signing::sha256(&[&seed.to_le_bytes()[..], &k.0].concat()));
        let shuffled = read(&accounts);
        for family in [Family::Frr, Family::Eos] {
            prop_assert_eq!(texts(&straight, family), texts(&shuffled, family));
            prop_assert_eq!(texts(&straight, family), texts(snapshot, family));
        }
    }

    #[test]
    fn changing_one_link_changes_only_its_ends(ledger in ledgers(), to in link_status(), delay_ns in 10_000u64..=1_000_000_000) {
        let Some((key, link)) = ledger.snapshot.links.iter().next() else { return Ok(()) };
        let ends: BTreeSet<Code> =
            [link.device_a, link.device_z].iter().map(|d| ledger.snapshot.devices[d].code).collect();
        let mut after = ledger.snapshot.clone();
        let changed = after.links.get_mut(key).unwrap();
        changed.header.status = to;
        changed.delay_ns = delay_ns;
        for family in [Family::Frr, Family::Eos] {
            let (before, after) = (texts(&ledger.snapshot, family), texts(&after, family));
            for (code, text) in &before {
                prop_assert!(ends.contains(code) || after[code].text == text.text, "{code} changed too");
            }
        }
    }

    #[test]
    fn no_bytes_of_the_ledger_can_add_a_line(name in any::<[u8; 24]>(), vrf in any::<[u8; 16]>(), raw in any::<[u8; 32]>(), which in 0..4u8) {
        let lines = |text: &str| text.lines().count();
        for family in [Family::Frr, Family::Eos] {
            let mut ledger = SyntheticLedger::ring(family);
            let plain = render_device(&ledger.snapshot, &code("ams"), None).unwrap();
            let mut device = code("ams");
            match which {
                0 => ledger.device_mut("ams").management_vrf = VrfName(vrf),
                1 => ledger.device_mut("ams").interfaces[9].name = InterfaceName(name),
                2 => {
                    device = Code(raw);
                    ledger.device_mut("ams").code = device;
                }
                _ => ledger.link_mut("ams-fra").code = Code(raw),
            }
            match render_device(&ledger.snapshot, &device, None) {
                // A VRF is two or three lines of its own.
                Ok(rendered) => {
                    let text = rendered.text.to_string();
                    let more = lines(&text) - lines(&plain.text.to_string());
                    prop_assert!(more <= if which == 0 { 3 } else { 0 }, "{text}");
                    prop_assert!(text.chars().all(|c| c == '\n' || (' '..='~').contains(&c)));
                }
                Err(error) => prop_assert!(matches!(error, RenderError::Plan(_) | RenderError::Token(_))),
            }
        }
    }

    /// Two stanzas of one interface would be two MTUs for it, and a stanza of several takes others' ports back.
    #[test]
    fn every_interface_has_one_stanza_and_every_sub_interface_a_parent(
        subs in prop::collection::vec((1usize..4, 2u16..6), 0..6),
        more in prop::collection::vec((prop::sample::select(NAMES), prop::sample::select(InterfaceKind::ALL)), 0..4),
    ) {
        for family in [Family::Frr, Family::Eos] {
            let mut ledger = SyntheticLedger::ring(family);
            let device = ledger.device_mut("ams");
            let template = device.interfaces[9].clone();
            let mut add = |name: &str, kind, vlan| {
                let mut interface = template.clone();
                interface.name = name.parse().unwrap();
                (interface.kind, interface.vlan_id) = (kind, vlan);
                device.interfaces.push(interface);
            };
            for (port, vlan) in subs.iter().copied().collect::<BTreeSet<_>>() {
                add(&format!("Port-Channel{port}.{vlan}"), InterfaceKind::SubInterface, vlan);
            }
            for (name, kind) in &more {
                add(name, *kind, if *kind == InterfaceKind::SubInterface { 7 } else { 0 });
            }
            let text = match render_device(&ledger.snapshot, &code("ams"), None) {
                Ok(rendered) => rendered.text.to_string(),
                Err(error) => {
                    let of_the_record = matches!(error, RenderError::Plan(PlanError::Device { .. }));
                    prop_assert!(!more.is_empty() && of_the_record, "{error}");
                    prop_assert!(render_device(&ledger.snapshot, &code("fra"), None).is_ok(), "{more:?}");
                    continue;
                }
            };
            let named: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("interface ")).collect();
            let once: BTreeSet<String> = named.iter().map(|name| as_router(family, name)).collect();
            prop_assert_eq!(named.len(), once.len(), "{}", text);
            prop_assert_eq!(family == Family::Frr, once.contains("lo"), "{}", text);
            for (port, vlan) in &subs {
                let (parent, sub) = (format!("Port-Channel{port}"), format!("Port-Channel{port}.{vlan}"));
                prop_assert!(once.contains(&parent) && once.contains(&sub), "{}", text);
            }
        }
    }

    /// IS-IS carries an address to everybody, who can't tell whose it is.
    #[test]
    fn nobody_announces_what_is_not_its_own(
        address in 0x0a00_0000u32..0x0a00_0040, len in 24u8..=32, own in 0x0a00_0000u32..0x0a00_0040, own_len in 26u8..=29,
    ) {
        let own = Prefix::new(Prefix::new(own, own_len).first(), own_len);
        for family in [Family::Frr, Family::Eos] {
            let mut ledger = SyntheticLedger::ring(family);
            let device = ledger.device_mut("ams");
            (device.dz_prefix_count, device.dz_prefixes[0]) = (1, own);
            let mut loopback = device.interfaces[1].clone();
            (loopback.name, loopback.loopback) = ("Loopback7".parse().unwrap(), LoopbackType::None);
            (loopback.address, loopback.node_segment) = (Prefix::new(address, len), 0);
            device.interfaces.push(loopback);
            let text = render_device(&ledger.snapshot, &code("ams"), None).unwrap().text.to_string();
            let stanza = |name: &str| {
                let (_, rest) = text.split_once(&format!("\ninterface {name}\n")).unwrap();
                rest.split("\n!").next().unwrap().to_string()
            };
            let said = format!("ip address {}", Prefix::new(address, len));
            let announced = match family {
                Family::Frr => stanza("lo").lines().any(|line| line.trim() == said),
                Family::Eos => stanza("Loopback7").contains("isis enable 1"),
            };
            let net = ipnet::Ipv4Net::new(std::net::Ipv4Addr::from(address), len).unwrap();
            let (first, last) = (u32::from(net.network()), u32::from(net.broadcast()));
            prop_assert_eq!(announced, own.first() <= first && last <= own.last(), "{} of {}: {}", said, own, text);
        }
    }

    #[test]
    fn probes_are_bounded_sorted_and_never_to_oneself(ledger in ledgers()) {
        let topology = Topology::new(&ledger.snapshot);
        let planner = ProbePlanner::new(&topology);
        for code in topology.devices.keys() {
            let plan = planner.plan(code);
            let keys: Vec<_> = plan.targets.iter().map(|t| (t.kind, t.code.clone())).collect();
            prop_assert!(keys.is_sorted());
            prop_assert!(plan.targets.iter().filter(|t| t.kind == 2).count() <= MAX_TARGETS);
            prop_assert!(plan.targets.iter().all(|t| t.kind == 1 || t.code != code.as_str()));
            prop_assert_eq!(ProbePlanner::new(&topology).plan(code), plan);
        }
    }
}

#[test]
fn plans_carry_the_targets_that_the_oracles_ask_for() {
    let mut ledger = SyntheticLedger::ring(Family::Frr);
    ledger.device("new").header.status = DeviceStatus::LinkProvisioning;
    ledger.link("fra-new", "fra", "new").header.status = LinkStatus::Provisioning;
    let asked = |ledger: &SyntheticLedger, of: &str| {
        let topology = Topology::new(&ledger.snapshot);
        let plan = ProbePlanner::new(&topology).plan(&code(of));
        let planned: Vec<_> = plan.targets.into_iter().filter(|t| t.kind == ProbeKind::Qa as u32).collect();
        let targets = Qa::new(&ledger.snapshot).targets(&ledger.device_key(of));
        let mut same: Vec<_> = targets.iter().map(|t| (t.code.to_string(), t.address.to_string())).collect();
        same.sort();
        assert_eq!(planned.iter().map(|t| (t.code.clone(), t.address.clone())).collect::<Vec<_>>(), same, "{of}");
        assert!(planned.iter().all(|t| t.interface.is_empty()));
        same.into_iter().map(|(code, _)| code).collect::<Vec<_>>()
    };
    assert_eq!(asked(&ledger, "new"), [""; 0], "no link of it is in service");
    ledger.link_mut("fra-new").header.status = LinkStatus::Activated;
    assert_eq!(asked(&ledger, "new"), ["ams", "fra", "lon", "par"]);
    assert_eq!(asked(&ledger, "fra"), ["ams", "lon", "par"], "the new one is no target yet");
    // The address is the one that the routers announce and answer at.
    let topology = Topology::new(&ledger.snapshot);
    let plan = ProbePlanner::new(&topology).plan(&code("new"));
    let address =
        plan.targets.iter().find(|t| t.kind == ProbeKind::Qa as u32 && t.code == "ams").unwrap().address.clone();
    let text = render_device(&ledger.snapshot, &code("ams"), Some(Family::Frr)).unwrap().text.to_string();
    assert!(text.contains(&format!("ip address {address}/32")), "{address} in {text}");
}

/// What the probes' choice takes for granted of a status is what the routers are told.
#[test]
fn a_way_of_probes_is_a_way_of_packets() {
    for status in DeviceStatus::ALL.iter().copied() {
        let told = plan::stance(status, DesiredStatus::Activated).map(|(overload, _)| overload);
        let expected = match qa::part(status) {
            Part::Crossed => Some(false),
            Part::End => Some(true),
            Part::None => None,
        };
        assert_eq!(told, expected, "{status}");
    }
    for status in LinkStatus::ALL.iter().copied() {
        let mut ledger = SyntheticLedger::ring(Family::Frr);
        ledger.link_mut("ams-fra").header.status = status;
        let told = plan::link_plan(&ledger.snapshot.links[&ledger.link_key("ams-fra")]);
        let adjacent = told.is_some_and(|told| !told.passive);
        // A link that is being provisioned has an adjacency and is not in service yet.
        assert_eq!(qa::carries(status), adjacent && status != LinkStatus::Provisioning, "{status}");
    }
}

fn encode(record: &impl Record) -> Vec<u8> {
    let mut bytes = Vec::new();
    record.serialize(&mut bytes).unwrap();
    bytes
}

#[test]
fn metrics_are_microseconds_rounded_up_or_the_overrides() {
    for (delay_ns, override_ns, expected) in [
        (400_000_000, 0, 400_000),
        (1_000, 0, 1),
        (400_000_000, 50_000, 50),
        (10_001, 0, 11),
        (10_000, 0, 10),
        (1_000_000_000, 0, 1_000_000),
    ] {
        assert_eq!(plan::metric(delay_ns, override_ns), expected, "{delay_ns} {override_ns}");
    }
}

#[test]
fn entity_titles_are_made_of_the_loopback() {
    for (loopback, expected) in
        [(Ip4([14, 14, 14, 14]), "49.0000.0e0e.0e0e.0000.00"), (Ip4([172, 16, 0, 6]), "49.0000.ac10.0006.0000.00")]
    {
        assert_eq!(plan::net(loopback), expected);
    }
}

#[test]
fn a_family_can_be_asked_for_and_else_is_the_platforms() {
    let ledger = SyntheticLedger::ring(Family::Eos);
    assert_eq!(render_device(&ledger.snapshot, &code("ams"), None).unwrap().family, Family::Eos);
    assert_eq!(render_device(&ledger.snapshot, &code("ams"), Some(Family::Frr)).unwrap().family, Family::Frr);
}

#[test]
fn a_snapshot_that_went_through_json_renders_the_same_bytes() {
    let ledger = SyntheticLedger::ring(Family::Frr);
    let json = serde_json::to_string(&ledger.snapshot).unwrap();
    let again = Snapshot::from_json(&json).unwrap();
    assert_eq!(texts(&again, Family::Frr), texts(&ledger.snapshot, Family::Frr));
}

#[test]
fn the_two_ends_of_a_link_have_the_two_addresses_of_its_net() {
    let ledger = SyntheticLedger::ring(Family::Frr);
    let texts = texts(&ledger.snapshot, Family::Frr);
    assert!(texts[&code("ams")].text.to_string().contains(" ip address 198.18.128.0/31\n"));
    assert!(texts[&code("fra")].text.to_string().contains(" ip address 198.18.128.1/31\n"));
}
