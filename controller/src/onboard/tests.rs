//! Every way in which a request is refused, and what follows from one that is not.

use causeway_interface::{LinkStatus, LinkType, RegistryStatus, instruction::Instruction as Data};
use serde_json::json;

use super::*;
use crate::testing::{SyntheticLedger, code};
use causeway_interface::Platform;

fn request(value: serde_json::Value) -> ProvisionRequest {
    serde_json::from_value(value).unwrap()
}

/// What describes a whole new device of the synthetic ledger.
fn whole() -> serde_json::Value {
    json!({
        "contributor": "co", "location": "lo", "exchange": "ex", "device_type": "hybrid", "platform": "frr",
        "public_ip": "198.19.9.1", "agent_key": Key([1; 32]).to_string(), "telemetry_key": Key([2; 32]).to_string(),
    })
}

fn with(mut value: serde_json::Value, field: &str, to: serde_json::Value) -> serde_json::Value {
    value[field] = to;
    value
}

fn tags(plan: &Plan) -> Vec<Vec<&'static str>> {
    let name = |instruction: &Instruction| Data::decode(&instruction.data).unwrap().tag().name();
    plan.transactions.iter().map(|instructions| instructions.iter().map(name).collect()).collect()
}

fn refusals(snapshot: &Snapshot, device: &str, value: serde_json::Value) -> Vec<(String, String)> {
    match plan(snapshot, &code(device), &request(value)) {
        Err(Refusal::Invalid(why)) => why.into_iter().map(|why| (why.code, why.cause)).collect(),
        other => panic!("{other:?}"),
    }
}

/// The ring with what provisioning needs on `ams`.
fn ring() -> SyntheticLedger {
    let mut ledger = SyntheticLedger::ring(Platform::Frr);
    for name in ["ams", "fra", "lon", "par"] {
        let device = ledger.device_mut(name);
        (device.agent_key, device.telemetry_key) = (Key([1; 32]), Key([2; 32]));
    }
    ledger
}

#[test]
fn a_new_device_is_registered_and_provisioned_in_one_transaction_by_its_owner() {
    let snapshot = ring().snapshot;
    let plan = plan(&snapshot, &code("new"), &request(whole())).unwrap();
    assert_eq!(tags(&plan), [["create-device", "provision-device"]]);
    assert_eq!(plan.signer, Pubkey::new_from_array([2; 32]));
    let create = Data::decode(&plan.transactions[0][0].data).unwrap();
    let Data::CreateDevice(create) = create else { panic!("{create:?}") };
    assert_eq!((create.code, create.public_ip.to_string()), (code("new"), "198.19.9.1".to_owned()));
    assert!(!create.skip_recipe && create.desired == DesiredStatus::Activated);
    let signers: BTreeSet<_> =
        plan.transactions[0].iter().flat_map(|i| i.accounts.iter().filter(|a| a.is_signer).map(|a| a.pubkey)).collect();
    assert_eq!(signers, BTreeSet::from([plan.signer]));
    assert!(plan.notes.iter().any(|note| note.contains("a CYOA interface and a WAN link")), "{:?}", plan.notes);
}

#[test]
fn overrides_follow_the_registration_and_long_ones_are_split() {
    let snapshot = ring().snapshot;
    let mut interfaces = vec![json!({"name": "eth3", "mtu": 9100}), json!({"name": "eth20", "bandwidth_bps": 1})];
    interfaces.push(json!({"name": "eth20.7", "kind": "sub-interface", "vlan": 7, "address": "10.0.0.1/30"}));
    let few = plan(&snapshot, &code("new"), &request(with(whole(), "interfaces", json!(interfaces)))).unwrap();
    let all = ["create-device", "update-interface", "add-interface", "add-interface", "provision-device"];
    assert_eq!(tags(&few).concat(), all);
    interfaces.extend((0..40).map(|n| json!({"name": format!("Ethernet{n}")})));
    let many = plan(&snapshot, &code("new"), &request(with(whole(), "interfaces", json!(interfaces)))).unwrap();
    assert!(many.transactions.len() > 2);
    let names = tags(&many).concat();
    assert_eq!((names.len(), names.first(), names.last()), (45, Some(&"create-device"), Some(&"provision-device")));
    for transaction in &many.transactions {
        assert!(pack::transaction_bytes(&many.signer, transaction) <= pack::MAX_TRANSACTION_BYTES);
    }
}

#[test]
fn what_provisioning_lacks_leaves_it_registered_and_says_so() {
    let snapshot = ring().snapshot;
    let mut little = whole();
    little.as_object_mut().unwrap().remove("agent_key");
    let made = plan(&snapshot, &code("new"), &request(little)).unwrap();
    assert_eq!(tags(&made), [["create-device"]]);
    assert!(made.notes.iter().any(|note| note.contains("no agent_key")), "{:?}", made.notes);
    let bare = plan(&snapshot, &code("new"), &request(with(whole(), "default_interfaces", json!(false)))).unwrap();
    assert_eq!(tags(&bare), [["create-device"]]);
    assert!(bare.notes.iter().any(|note| note.contains("no routing loopbacks")), "{:?}", bare.notes);
    let loopbacks = json!([
        {"name": "Loopback255", "kind": "loopback", "loopback": "vpnv4"},
        {"name": "Loopback256", "kind": "loopback", "loopback": "ipv4"},
    ]);
    let own = with(with(whole(), "default_interfaces", json!(false)), "interfaces", loopbacks);
    let own = plan(&snapshot, &code("new"), &request(own)).unwrap();
    assert_eq!(tags(&own).concat(), ["create-device", "add-interface", "add-interface", "provision-device"]);
}

#[test]
fn a_device_that_has_everything_needs_no_signature() {
    let mut ledger = ring();
    let ready = plan(&ledger.snapshot, &code("ams"), &ProvisionRequest::default()).unwrap();
    assert!(ready.transactions.is_empty());
    let same = json!({"contributor": "co", "device_type": "hybrid", "interfaces": [{"name": "eth1", "role": "cyoa"}]});
    assert!(plan(&ledger.snapshot, &code("ams"), &request(same)).unwrap().transactions.is_empty());
    ledger.device_mut("ams").header.status = DeviceStatus::Pending;
    let pending = plan(&ledger.snapshot, &code("ams"), &ProvisionRequest::default()).unwrap();
    assert_eq!(tags(&pending), [["provision-device"]]);
    let changed = json!({"public_ip": "198.19.9.9", "interfaces": [{"name": "eth9", "mtu": 1500}]});
    let changed = plan(&ledger.snapshot, &code("ams"), &request(changed)).unwrap();
    assert_eq!(tags(&changed).concat(), ["update-device", "update-interface", "provision-device"]);
    // The first holds for the record as it was read; what it makes of it is not known to the others.
    let sequence = |n: usize| match Data::decode(&changed.transactions[0][n].data).unwrap() {
        Data::UpdateDevice(data) => data.expected_sequence,
        Data::UpdateInterface(data) => data.expected_sequence,
        Data::ProvisionDevice(data) => data.expected_sequence,
        other => panic!("{other:?}"),
    };
    assert_eq!((sequence(0), sequence(1), sequence(2)), (1, ANY_SEQUENCE, ANY_SEQUENCE));
}

#[test]
fn an_unknown_device_that_is_not_described_is_unknown() {
    let snapshot = ring().snapshot;
    let asked = request(json!({"dry_run": true, "mode": "merge", "transport": "agent-pull"}));
    assert_eq!(plan(&snapshot, &code("nowhere"), &asked), Err(Refusal::Unknown(code("nowhere"))));
}

#[test]
fn everything_that_is_wrong_with_a_registration_is_told_with_its_code() {
    let mut ledger = ring();
    ledger.device_mut("fra").dz_prefixes[0] = "10.1.0.0/24".parse().unwrap();
    ledger.device_mut("fra").dz_prefix_count = 1;
    let snapshot = ledger.snapshot;
    let own = "CW-CONTROLLER-";
    let zero = Key::ZERO.to_string();
    for (field, value, expected) in [
        ("contributor", json!("nobody"), "UPSTREAM-MISSING"),
        ("location", json!("nowhere"), "UPSTREAM-MISSING"),
        ("exchange", json!("none"), "UPSTREAM-MISSING"),
        ("contributor", json!(null), "REQUEST-INVALID"),
        ("platform", json!(null), "REQUEST-INVALID"),
        ("contributor", json!("UPPER CASE"), "OVERRIDE-INVALID"),
        ("device_type", json!("spine"), "OVERRIDE-INVALID"),
        ("platform", json!("ios"), "OVERRIDE-INVALID"),
        ("public_ip", json!("198.19.9"), "OVERRIDE-INVALID"),
        ("public_ip", json!("10.0.0.1"), "CW-2007"),
        ("agent_key", json!("0OIl"), "OVERRIDE-INVALID"),
        ("agent_key", json!(zero), "OVERRIDE-INVALID"),
        ("telemetry_key", json!(Key([1; 32]).to_string()), "OVERRIDE-INVALID"),
        ("management_vrf", json!("a b"), "OVERRIDE-INVALID"),
        ("management_vrf", json!("x\nip route 0.0.0.0/0"), "OVERRIDE-INVALID"),
        ("desired", json!("deleting"), "OVERRIDE-INVALID"),
        ("dz_prefixes", json!(["10.0.0.0/30"]), "CW-2008"),
        ("dz_prefixes", json!(["10.0.0.1/24"]), "CW-2008"),
        ("dz_prefixes", json!(["10.0.0.0/24", "10.0.0.0/25"]), "CW-2009"),
        ("dz_prefixes", json!(["10.1.0.0/16"]), "CW-2009"),
        ("dz_prefixes", json!(["198.18.0.0/24"]), "CW-2009"),
        ("dz_prefixes", json!(["10.0.0.0/24", "10.2.0.0/24", "10.3.0.0/24", "10.4.0.0/24", "10.5.0.0/24"]), "CW-2010"),
        ("interfaces", json!([{"name": "eth3"}, {"name": "eth3"}]), "NAME-TWICE"),
        ("interfaces", json!([{"name": ""}]), "OVERRIDE-INVALID"),
        ("interfaces", json!([{"name": "eth3; reload"}]), "OVERRIDE-INVALID"),
        ("interfaces", json!([{"name": "eth3", "mtu": 100}]), "CW-2020"),
        ("interfaces", json!([{"name": "eth3", "mtu": 65_537}]), "OVERRIDE-INVALID"),
        ("interfaces", json!([{"name": "eth3", "vlan": 7}]), "CW-2019"),
        ("interfaces", json!([{"name": "eth3.7"}]), "CW-2018"),
        ("interfaces", json!([{"name": "eth99.7", "kind": "sub-interface", "vlan": 7}]), "CW-2018"),
        ("interfaces", json!([{"name": "eth3.7", "kind": "sub-interface"}]), "CW-2019"),
        ("interfaces", json!([{"name": "eth3", "address": "10.0.0.0/24"}]), "CW-2025"),
        ("interfaces", json!([{"name": "Loopback255", "address": "10.0.0.1/32"}]), "CW-2017"),
        ("interfaces", json!([{"name": "Loopback9", "kind": "loopback", "loopback": "ipv4"}]), "CW-2021"),
        ("interfaces", json!([{"name": "eth3", "loopback": "ipv4"}]), "CW-2018"),
        ("interfaces", json!([{"name": "eth3", "role": "users"}]), "OVERRIDE-INVALID"),
    ] {
        let found = refusals(&snapshot, "new", with(whole(), field, value.clone()));
        let full = if expected.starts_with("CW-") { expected.to_owned() } else { format!("{own}{expected}") };
        assert!(found.iter().any(|(code, _)| *code == full), "{field} {value}: {found:?}");
        assert!(found.iter().all(|(_, cause)| !cause.contains('\n')), "{found:?}");
    }
    let transit =
        with(with(whole(), "device_type", json!("transit")), "interfaces", json!([{"name": "eth3", "role": "cyoa"}]));
    assert_eq!(refusals(&snapshot, "new", transit)[0].0, "CW-2005");
    let many: Vec<_> = (0..113).map(|n| json!({"name": format!("Ethernet{n}")})).collect();
    assert_eq!(refusals(&snapshot, "new", with(whole(), "interfaces", json!(many)))[0].0, "CW-2015");
    // All of it at once.
    let all = with(with(whole(), "contributor", json!("nobody")), "public_ip", json!("127.0.0.1"));
    assert_eq!(refusals(&snapshot, "new", all).len(), 2);
}

#[test]
fn a_suspended_upstream_and_a_paused_network_stop_it() {
    for name in ["contributor", "location", "exchange"] {
        let mut snapshot = ring().snapshot;
        match name {
            "contributor" => {
                snapshot.contributors.values_mut().for_each(|c| c.header.status = RegistryStatus::Suspended)
            }
            "location" => snapshot.locations.values_mut().for_each(|l| l.header.status = RegistryStatus::Suspended),
            _ => snapshot.exchanges.values_mut().for_each(|e| e.header.status = RegistryStatus::Suspended),
        }
        for (device, value) in [("new", whole()), ("ams", json!({}))] {
            let found = refusals(&snapshot, device, value);
            assert_eq!(found[0].0, "CW-CONTROLLER-UPSTREAM-SUSPENDED", "{name} {found:?}");
            assert!(found[0].1.contains(name), "{found:?}");
        }
    }
    let mut gone = ring().snapshot;
    gone.locations.clear();
    assert_eq!(refusals(&gone, "ams", json!({}))[0].0, "CW-CONTROLLER-UPSTREAM-MISSING");
    let mut paused = ring().snapshot;
    paused.network.as_mut().unwrap().header.status = NetworkStatus::Paused;
    assert_eq!(refusals(&paused, "new", whole())[0].0, "CW-1001");
    assert!(plan(&paused, &code("ams"), &ProvisionRequest::default()).is_ok(), "a job needs no forward move");
}

#[test]
fn a_device_that_is_there_is_not_made_another_one() {
    let mut ledger = ring();
    ledger.device_mut("lon").link_count = 0;
    for (field, value) in [
        ("contributor", "other"),
        ("location", "other"),
        ("exchange", "other"),
        ("device_type", "edge"),
        ("platform", "eos"),
    ] {
        let found = refusals(&ledger.snapshot, "ams", json!({ field: value }));
        assert!(found[0].0.ends_with("DEVICE-EXISTS") && found[0].1.contains(field), "{field}: {found:?}");
    }
    let held = refusals(&ledger.snapshot, "ams", json!({"interfaces": [{"name": "eth3", "mtu": 1500}]}));
    assert_eq!(held[0].0, "CW-2014", "{held:?}");
    let routing = refusals(&ledger.snapshot, "ams", json!({"interfaces": [{"name": "Loopback255", "mtu": 1500}]}));
    assert_eq!(routing[0].0, "CW-2017");
    let users = refusals(&ledger.snapshot, "ams", json!({"interfaces": [{"name": "eth1", "role": "fabric"}]}));
    assert_eq!(users[0].0, "CW-2005", "the last port for users of a device in service");
    let drain = refusals(&ledger.snapshot, "ams", json!({"desired": "hard-drained"}));
    assert!(drain[0].0.ends_with("OVERRIDE-INVALID") && drain[0].1.contains("set-desired"), "{drain:?}");
    for status in [DeviceStatus::Suspended, DeviceStatus::Deleting, DeviceStatus::Rejected] {
        ledger.device_mut("ams").header.status = status;
        assert_eq!(refusals(&ledger.snapshot, "ams", json!({}))[0].0, "CW-2001", "{status}");
    }
    ledger.device_mut("ams").header.status = DeviceStatus::Pending;
    ledger.device_mut("ams").agent_key = Key::ZERO;
    let found = refusals(&ledger.snapshot, "ams", json!({}));
    assert!(found[0].0 == "CW-2002" && found[0].1.contains("no agent_key"), "{found:?}");
}

#[test]
fn links_that_the_type_needs_are_missed_once_the_device_is_past_device_provisioning() {
    for (device_type, status, links, expected) in [
        (DeviceType::Hybrid, DeviceStatus::LinkProvisioning, None, true),
        (DeviceType::Hybrid, DeviceStatus::Activated, None, true),
        (DeviceType::Hybrid, DeviceStatus::DeviceProvisioning, None, false),
        (DeviceType::Hybrid, DeviceStatus::LinkProvisioning, Some((LinkType::Wan, LinkStatus::Provisioning)), false),
        (DeviceType::Hybrid, DeviceStatus::LinkProvisioning, Some((LinkType::Wan, LinkStatus::Rejected)), true),
        (DeviceType::Hybrid, DeviceStatus::LinkProvisioning, Some((LinkType::Dzx, LinkStatus::Activated)), true),
        (DeviceType::Edge, DeviceStatus::LinkProvisioning, Some((LinkType::Dzx, LinkStatus::Pending)), false),
        (DeviceType::Edge, DeviceStatus::LinkProvisioning, Some((LinkType::Dzx, LinkStatus::Requested)), true),
        (DeviceType::Edge, DeviceStatus::LinkProvisioning, Some((LinkType::Wan, LinkStatus::Activated)), true),
        (DeviceType::Transit, DeviceStatus::Activated, Some((LinkType::Wan, LinkStatus::Activated)), true),
    ] {
        let mut ledger = SyntheticLedger::new(Platform::Frr);
        for name in ["one", "two"] {
            let device = ledger.device(name);
            (device.agent_key, device.telemetry_key) = (Key([1; 32]), Key([2; 32]));
        }
        if let Some((kind, status)) = links {
            let link = ledger.link("one-two", "one", "two");
            (link.header.kind, link.header.status) = (kind, status);
        }
        let device = ledger.device_mut("one");
        (device.header.kind, device.header.status) = (device_type, status);
        if device_type == DeviceType::Transit {
            device.interfaces.iter_mut().for_each(|i| i.role = causeway_interface::InterfaceRole::Fabric);
        }
        let found = plan(&ledger.snapshot, &code("one"), &ProvisionRequest::default());
        let case = format!("{device_type} {status} {links:?}: {found:?}");
        match found {
            Err(Refusal::Invalid(why)) => {
                assert!(expected && why[0].code == "CW-CONTROLLER-UPSTREAM-LINKS-MISSING", "{case}");
            }
            Ok(plan) => assert!(!expected && plan.transactions.is_empty(), "{case}"),
            Err(Refusal::Unknown(_)) => panic!("{case}"),
        }
    }
}
