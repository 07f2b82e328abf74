//! Which values a device, an interface and a link can have.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use causeway_interface::{
    Code, DesiredStatus, ErrorCode, InterfaceKind, InterfaceName, InterfaceRole, Ip4, LinkType, LoopbackType, Prefix,
    VrfName,
    accounts::{MAX_INTERFACES, PREFIX_TABLE_CAPACITY},
    instruction::{CreateDevice, CreateLink, SetInterface},
};
use causeway_program_tests::{
    World,
    plant::{edge, hybrid, interface, transit},
    world::{code, prefix, refused},
};
use solana_sdk::signature::Signer;

#[test]
fn a_device_has_sound_values_only() {
    let mut world = World::new();
    let party = world.party("acme");
    let good = world.device_data(hybrid("a"));
    let prefixes = |list: &[&str]| {
        let mut all = [Prefix::NONE; 4];
        for (place, text) in all.iter_mut().zip(list) {
            *place = prefix(text);
        }
        (u8::try_from(list.len()).unwrap(), all)
    };
    let with = |list: &[&str]| {
        let (dz_prefix_count, dz_prefixes) = prefixes(list);
        CreateDevice { dz_prefix_count, dz_prefixes, ..good.clone() }
    };
    let ip = |text: &str| CreateDevice { public_ip: text.parse::<Ip4>().unwrap(), ..good.clone() };
    let cases: Vec<(CreateDevice, ErrorCode)> = vec![
        (CreateDevice { code: Code([b'A'; 32]), ..good.clone() }, ErrorCode::CodeInvalid),
        (CreateDevice { management_vrf: VrfName([b' '; 16]), ..good.clone() }, ErrorCode::VrfInvalid),
        (ip("10.1.2.3"), ErrorCode::PublicIpNotRoutable),
        (ip("192.168.0.1"), ErrorCode::PublicIpNotRoutable),
        (ip("127.0.0.1"), ErrorCode::PublicIpNotRoutable),
        (ip("224.0.0.5"), ErrorCode::PublicIpNotRoutable),
        (ip("255.255.255.255"), ErrorCode::PublicIpNotRoutable),
        (with(&["198.19.0.0/30"]), ErrorCode::DzPrefixInvalid),
        (with(&["198.0.0.0/7"]), ErrorCode::DzPrefixInvalid),
        (with(&["198.19.0.1/29"]), ErrorCode::DzPrefixInvalid),
        (with(&["198.19.0.0/24", "198.19.0.128/29"]), ErrorCode::DzPrefixOverlap),
        (CreateDevice { dz_prefix_count: 5, ..good.clone() }, ErrorCode::DzPrefixTooMany),
        (CreateDevice { dz_prefix_count: 0, ..good.clone() }, ErrorCode::InstructionData),
    ];
    for (data, expected) in cases {
        let text = format!("{data:?}");
        assert_eq!(refused(world.create_device(&party, data)), expected, "{text}");
    }
    // The benchmarking range counts as public.
    world.create_device(&party, ip("198.18.0.1")).unwrap();
    // Garbage where the data holds an enum or a flag.
    let refs = world.device_refs(&code("a"));
    let mut ix = world.ix.set_device_desired(&party.owner.pubkey(), &refs, DesiredStatus::Pending, 0);
    *ix.data.last_mut().unwrap() = 5;
    assert_eq!(refused(world.by(&party.owner, ix)), ErrorCode::InstructionData);
    let mut ix = world.ix.set_paused(&world.authority.pubkey(), true, 0);
    *ix.data.last_mut().unwrap() = 2;
    assert_eq!(refused(world.as_authority(ix)), ErrorCode::InstructionData);
    let mut ix = world.ix.set_paused(&world.authority.pubkey(), true, 0);
    ix.data[0] = 200;
    assert_eq!(refused(world.as_authority(ix)), ErrorCode::UnknownInstruction);
}

#[test]
fn dz_prefixes_of_two_devices_never_overlap_whatever_came_and_went() {
    let mut world = World::new();
    let party = world.party("acme");
    let owner = party.owner.pubkey();
    // Three that are inserted out of order, so that the table has to sort them.
    let blocks = ["198.51.0.0/24", "198.50.0.0/16", "203.0.0.0/22"];
    for (n, text) in blocks.iter().enumerate() {
        let mut data = world.device_data(hybrid(&format!("d{n}")));
        data.dz_prefixes[0] = prefix(text);
        world.create_device(&party, data).unwrap();
    }
    let overlapping = ["198.51.0.0/29", "198.48.0.0/12", "203.0.3.248/29", "198.50.255.0/24", "200.0.0.0/6"];
    for text in overlapping {
        let mut data = world.device_data(hybrid("x"));
        data.dz_prefixes[0] = prefix(text);
        let expected = if text.ends_with("/6") { ErrorCode::DzPrefixInvalid } else { ErrorCode::DzPrefixOverlap };
        assert_eq!(refused(world.create_device(&party, data)), expected, "{text}");
    }
    let table = world.prefix_table();
    assert_eq!(table.used, 3);
    assert!(table.ranges[..3].windows(2).all(|w| w[0].last < w[1].first));
    // The one in the middle goes, and its addresses are free again.
    let refs = world.device_refs(&code("d0"));
    let delete = world.ix.delete_device(&owner, &refs, 0);
    let close = world.ix.close_device(&owner, &refs, &owner, 0);
    world.send(&[delete, close], &[&party.owner]).unwrap();
    assert_eq!(world.prefix_table().used, 2);
    let mut data = world.device_data(hybrid("x"));
    data.dz_prefixes[0] = prefix("198.51.0.0/25");
    world.create_device(&party, data).unwrap();
}

#[test]
fn the_prefix_table_grows_when_it_is_full() {
    let mut world = World::new();
    let party = world.party("acme");
    world.add_device(&party, hybrid("a"));
    let address = world.ix.addresses().prefix_table();
    let full = u32::try_from(PREFIX_TABLE_CAPACITY).unwrap();
    // A full table, made behind the program's back: 1 270 devices would be slow.
    world.tamper(&address, |account| {
        account.data[24..28].copy_from_slice(&full.to_le_bytes());
        for (n, entry) in account.data[32..].chunks_exact_mut(8).enumerate() {
            let first = 0x0100_0000 + u32::try_from(n).unwrap() * 16;
            entry[..4].copy_from_slice(&first.to_le_bytes());
            entry[4..].copy_from_slice(&(first + 7).to_le_bytes());
        }
    });
    let data = world.device_data(hybrid("b"));
    assert_eq!(refused(world.create_device(&party, data.clone())), ErrorCode::PrefixTableFull);
    let payer = world.somebody();
    let ix = world.ix.extend_prefix_table(&payer.pubkey(), 100);
    world.by(&payer, ix).unwrap();
    assert_eq!(world.prefix_table().ranges.len(), PREFIX_TABLE_CAPACITY + 100);
    world.create_device(&party, data).unwrap();
}

fn port(name: &str) -> SetInterface {
    SetInterface {
        expected_sequence: 0,
        name: interface(name),
        kind: InterfaceKind::Physical,
        role: InterfaceRole::Fabric,
        loopback: LoopbackType::None,
        vlan_id: 0,
        mtu: 9_000,
        bandwidth_bps: 0,
        address: Prefix::NONE,
    }
}

#[test]
fn an_interface_has_a_shape() {
    let mut world = World::new();
    let party = world.party("acme");
    let device = world.add_device(&party, hybrid("a"));
    let refs = world.device_refs(&device);
    let sub = SetInterface { kind: InterfaceKind::SubInterface, vlan_id: 7, ..port("eth3.7") };
    let loopback = SetInterface { kind: InterfaceKind::Loopback, ..port("lo9") };
    let at = |text: &str| SetInterface { address: prefix(text), ..port("x1") };
    let cases = [
        (SetInterface { name: InterfaceName([b'!'; 24]), ..port("x") }, ErrorCode::InterfaceNameInvalid),
        (port("eth3"), ErrorCode::InterfaceExists),
        (SetInterface { name: interface("eth99.7"), ..sub.clone() }, ErrorCode::InterfaceShape),
        (SetInterface { name: interface("Loopback255.7"), ..sub.clone() }, ErrorCode::InterfaceShape),
        (SetInterface { name: interface("eth3.x"), ..sub.clone() }, ErrorCode::InterfaceShape),
        (SetInterface { vlan_id: 0, ..sub.clone() }, ErrorCode::VlanOutOfRange),
        (SetInterface { vlan_id: 4_095, ..sub.clone() }, ErrorCode::VlanOutOfRange),
        (SetInterface { vlan_id: 1, ..port("x1") }, ErrorCode::VlanOutOfRange),
        (SetInterface { mtu: 1_499, ..port("x1") }, ErrorCode::MtuOutOfRange),
        (SetInterface { mtu: 9_217, ..port("x1") }, ErrorCode::MtuOutOfRange),
        (SetInterface { loopback: LoopbackType::Vpnv4, ..port("x1") }, ErrorCode::InterfaceShape),
        (SetInterface { role: InterfaceRole::Dia, ..loopback.clone() }, ErrorCode::InterfaceShape),
        (SetInterface { loopback: LoopbackType::Vpnv4, ..loopback.clone() }, ErrorCode::LoopbackDuplicate),
        (
            SetInterface { loopback: LoopbackType::Ipv4, address: prefix("1.1.1.1/32"), ..loopback.clone() },
            ErrorCode::InterfaceManaged,
        ),
        (at("198.18.0.0/24"), ErrorCode::InterfaceAddressInvalid),
        (at("198.18.0.255/24"), ErrorCode::InterfaceAddressInvalid),
        (at("127.0.0.1/8"), ErrorCode::InterfaceAddressInvalid),
        (at("239.0.0.1/24"), ErrorCode::InterfaceAddressInvalid),
    ];
    for (data, expected) in cases {
        let ix = world.ix.add_interface(&party.owner.pubkey(), &refs, data.clone());
        assert_eq!(refused(world.by(&party.owner, ix)), expected, "{data:?}");
    }
    let before = world.device(&device).interfaces;
    let ix = world.ix.add_interface(&party.operations.pubkey(), &refs, sub);
    world.by(&party.operations, ix).unwrap();
    let after = world.device(&device).interfaces;
    assert_eq!(after[..before.len()], before[..], "the order stays");
    assert_eq!(after.last().unwrap().name, interface("eth3.7"));
    // The parent of a sub-interface stays, and routing loopbacks are the program's once provisioned.
    let owner = party.owner.pubkey();
    let ix = world.ix.remove_interface(&owner, &refs, &owner, interface("eth3"), 0);
    assert_eq!(refused(world.by(&party.owner, ix)), ErrorCode::InterfaceInUse);
    world.provision_device(&party, &device).unwrap();
    let ix = world.ix.remove_interface(&owner, &refs, &owner, interface("Loopback255"), 0);
    assert_eq!(refused(world.by(&party.owner, ix)), ErrorCode::InterfaceManaged);
    let ix = world.ix.remove_interface(&owner, &refs, &owner, interface("eth99"), 0);
    assert_eq!(refused(world.by(&party.owner, ix)), ErrorCode::InterfaceNotFound);
    let ix = world.ix.remove_interface(&owner, &refs, &owner, interface("eth3.7"), 0);
    world.by(&party.owner, ix).unwrap();
    assert_eq!(world.device(&device).interfaces.len(), before.len());
}

#[test]
fn a_device_has_a_limit_of_interfaces_and_gives_their_rent_back() {
    let mut world = World::new();
    let party = world.party("acme");
    let device = world.add_device(&party, hybrid("a"));
    let refs = world.device_refs(&device);
    let owner = party.owner.pubkey();
    let rent = world.account(&refs.device).unwrap().lamports;
    let present = world.device(&device).interfaces.len();
    for n in present..MAX_INTERFACES {
        let ix = world.ix.add_interface(&owner, &refs, port(&format!("x{n}")));
        world.by(&party.owner, ix).unwrap();
    }
    let ix = world.ix.add_interface(&owner, &refs, port("one-more"));
    assert_eq!(refused(world.by(&party.owner, ix)), ErrorCode::InterfaceLimit);
    for n in present..MAX_INTERFACES {
        let ix = world.ix.remove_interface(&owner, &refs, &owner, interface(&format!("x{n}")), 0);
        world.by(&party.owner, ix).unwrap();
    }
    assert_eq!(world.account(&refs.device).unwrap().lamports, rent);
}

#[test]
fn a_link_has_sound_values_and_fitting_ends_only() {
    let mut world = World::new();
    let (a, z) = (world.party("acme"), world.party("zeta"));
    let hub = world.add_device(&a, hybrid("hub"));
    let spoke = world.add_device(&a, transit("spoke"));
    let leaf = world.add_device(&a, edge("leaf"));
    let far = world.add_device(&z, hybrid("far"));
    let good = world.link_data("l", LinkType::Wan, "eth3", "eth3");
    let ends = |a: &str, z: &str| CreateLink { interface_a: interface(a), interface_z: interface(z), ..good.clone() };
    let dzx = CreateLink { link_type: LinkType::Dzx, ..good.clone() };
    let cases = [
        (&spoke, CreateLink { code: Code([b'!'; 32]), ..good.clone() }, ErrorCode::CodeInvalid),
        (&spoke, CreateLink { bandwidth_bps: 9_999_999_999, ..good.clone() }, ErrorCode::BandwidthOutOfRange),
        (&spoke, CreateLink { bandwidth_bps: 400_000_000_001, ..good.clone() }, ErrorCode::BandwidthOutOfRange),
        (&spoke, CreateLink { mtu: 1_499, ..good.clone() }, ErrorCode::MtuOutOfRange),
        (&spoke, CreateLink { delay_ns: 9_999, ..good.clone() }, ErrorCode::DelayOutOfRange),
        (&spoke, CreateLink { delay_ns: 1_000_000_001, ..good.clone() }, ErrorCode::DelayOutOfRange),
        (&spoke, CreateLink { jitter_ns: 9_999, ..good.clone() }, ErrorCode::DelayOutOfRange),
        (&hub, good.clone(), ErrorCode::LinkSameDevice),
        (&leaf, good.clone(), ErrorCode::LinkShapeBroken),
        (&far, good.clone(), ErrorCode::LinkTypeMismatch),
        (&spoke, dzx.clone(), ErrorCode::LinkTypeMismatch),
        (&spoke, ends("eth99", "eth3"), ErrorCode::InterfaceNotFound),
        (&spoke, ends("eth1", "eth3"), ErrorCode::InterfaceUnfit),
        (&spoke, ends("eth3", "eth1"), ErrorCode::InterfaceUnfit),
        (&spoke, ends("Loopback255", "eth3"), ErrorCode::InterfaceUnfit),
        (&spoke, ends("eth0", "eth3"), ErrorCode::InterfaceUnfit),
        (&spoke, CreateLink { interface_a: InterfaceName::ZERO, ..good.clone() }, ErrorCode::InterfaceNameInvalid),
    ];
    for (end, data, expected) in cases {
        assert_eq!(refused(world.create_link(&a, &hub, end, data.clone())), expected, "{data:?}");
    }
    assert_eq!(
        refused(world.create_link(&z, &hub, &far, dzx)),
        ErrorCode::NotLinkParty,
        "side A has to be the signer's"
    );
    world.create_link(&a, &hub, &spoke, good.clone()).unwrap();
    let again = CreateLink { code: code("again"), ..good };
    assert_eq!(refused(world.create_link(&a, &hub, &spoke, again)), ErrorCode::InterfaceInUse);
    let refs = world.device_refs(&hub);
    let owner = a.owner.pubkey();
    let ix = world.ix.update_interface(&owner, &refs, port("eth3"));
    assert_eq!(refused(world.by(&a.owner, ix)), ErrorCode::InterfaceInUse);
    let ix = world.ix.remove_interface(&owner, &refs, &owner, interface("eth3"), 0);
    assert_eq!(refused(world.by(&a.owner, ix)), ErrorCode::InterfaceInUse);
    let ix = world.ix.delete_device(&owner, &refs, 0);
    assert_eq!(refused(world.by(&a.owner, ix)), ErrorCode::DeviceHasLinks);
}
