//! One sample of every account and every instruction, with every field set to something of its own.
#![allow(dead_code, reason = "each test uses a part")]

use causeway_interface::{accounts::*, instruction::*, *};

fn key(byte: u8) -> Key {
    Key([byte; 32])
}

fn code(text: &str) -> Code {
    text.parse().unwrap()
}

fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

fn header<S, H, D, K>(account_type: AccountType, status: S, health: H, desired: D, kind: K) -> Header<S, H, D, K> {
    Header {
        account_type,
        version: LAYOUT_VERSION,
        bump: 254,
        status,
        health,
        desired,
        kind,
        flags: 1,
        sequence: 0x0102_0304_0506_0708,
        status_since_slot: 0x1112_1314_1516_1718,
    }
}

const NONE: Unused = Unused::Zero;

fn oracles() -> [Key; MAX_ORACLES] {
    let mut all = [Key::ZERO; MAX_ORACLES];
    for (n, place) in all.iter_mut().take(3).enumerate() {
        *place = key(0xa0 + n as u8);
    }
    all
}

pub fn network() -> Network {
    Network {
        reserved: Default::default(),
        header: header(AccountType::Network, NetworkStatus::Paused, NONE, NONE, NONE),
        authority: key(1),
        pending_authority: key(2),
        oracle_epoch: 7,
        quorum: 2,
        oracle_count: 3,
        core_asn: 65_000,
        burn_in_new_slots: 200_000,
        burn_in_maintenance_slots: 5_000,
        attestation_max_age_slots: 1_500,
        link_block: prefix("172.16.0.0/16"),
        loopback_block: prefix("172.17.0.0/16"),
        user_block: prefix("172.18.0.0/16"),
        contributor_count: 1,
        location_count: 2,
        exchange_count: 3,
        device_count: 4,
        link_count: 5,
        oracles: oracles(),
    }
}

pub fn contributor() -> Contributor {
    Contributor {
        reserved: Default::default(),
        header: header(AccountType::Contributor, RegistryStatus::Activated, NONE, NONE, NONE),
        code: code("acme"),
        owner: key(3),
        operations_key: key(4),
        device_count: 6,
        link_count: 7,
    }
}

pub fn location() -> Location {
    Location {
        reserved: Default::default(),
        header: header(AccountType::Location, RegistryStatus::Suspended, NONE, NONE, NONE),
        code: code("ams-1"),
        name: "Amsterdam".parse().unwrap(),
        country: "NL".parse().unwrap(),
        lat_e6: 52_370_216,
        lng_e6: -4_895_168,
        device_count: 8,
    }
}

pub fn exchange() -> Exchange {
    Exchange {
        reserved: Default::default(),
        header: header(AccountType::Exchange, RegistryStatus::Activated, NONE, NONE, NONE),
        code: code("xams"),
        name: "Amsterdam metro".parse().unwrap(),
        country: "NL".parse().unwrap(),
        lat_e6: -52_370_216,
        lng_e6: 4_895_168,
        bgp_community: 10_001,
        device_count: 9,
    }
}

fn dz_prefixes() -> [Prefix; MAX_DZ_PREFIXES] {
    [prefix("198.19.0.0/29"), prefix("198.19.1.0/24"), Prefix::NONE, Prefix::NONE]
}

pub fn interface() -> Interface {
    Interface {
        name: "Loopback255".parse().unwrap(),
        kind: InterfaceKind::Loopback,
        role: InterfaceRole::Fabric,
        loopback: LoopbackType::Vpnv4,
        vlan_id: 0x0201,
        mtu: 9_000,
        bandwidth_bps: 100_000_000_000,
        address: prefix("172.17.0.1/32"),
        node_segment: 0x0403,
        link: key(5),
    }
}

pub fn device() -> Device {
    let status = DeviceStatus::LinkProvisioning;
    Device {
        reserved: Default::default(),
        header: header(
            AccountType::Device,
            status,
            DeviceHealth::ReadyForLinks,
            DesiredStatus::Activated,
            DeviceType::Edge,
        ),
        code: code("ams-d1"),
        contributor: key(6),
        location: key(7),
        exchange: key(8),
        platform: Platform::Frr,
        suspended_from: DeviceStatus::Drained,
        reject_reason: RejectReason::Other,
        public_ip: "198.18.0.9".parse().unwrap(),
        dz_prefix_count: 2,
        dz_prefixes: dz_prefixes(),
        agent_key: key(9),
        telemetry_key: key(10),
        management_vrf: "mgmt".parse().unwrap(),
        health_since_slot: 0x2122_2324,
        link_count: 10,
        activated_wan_links: 11,
        activated_dzx_links: 12,
        user_count: 13,
        interfaces: vec![interface(), Interface { name: "eth1".parse().unwrap(), ..interface() }],
    }
}

pub fn link() -> Link {
    Link {
        reserved: Default::default(),
        header: header(
            AccountType::Link,
            LinkStatus::Provisioning,
            LinkHealth::ReadyForService,
            DesiredStatus::SoftDrained,
            LinkType::Dzx,
        ),
        code: code("ams-fra"),
        device_a: key(11),
        device_z: key(12),
        interface_a: "Ethernet1/1".parse().unwrap(),
        interface_z: "eth3.100".parse().unwrap(),
        contributor_a: key(13),
        contributor_z: key(14),
        suspended_from: LinkStatus::HardDrained,
        reject_reason: RejectReason::NotAgreed,
        desired_a: DesiredStatus::SoftDrained,
        desired_z: DesiredStatus::Activated,
        bandwidth_bps: 400_000_000_000,
        mtu: 9_216,
        delay_ns: 10_000,
        jitter_ns: 1_000_000_000,
        delay_override_ns: 50_000,
        tunnel_id: 501,
        tunnel_net: prefix("172.16.0.2/31"),
        health_since_slot: 0x3132_3334,
    }
}

pub fn attestation() -> Attestation {
    Attestation {
        verdict: DeviceHealth::ReadyForUsers.byte(),
        epoch: 7,
        slot: 300_000_000,
        since: [299_000_000, 299_500_000],
        failed: 0b1011,
        window_start_slot: 299_999_000,
        window_end_slot: 299_999_900,
        evidence_root: Digest([0xee; 32]),
    }
}

pub fn attestations() -> Attestations {
    Attestations {
        header: header(AccountType::Attestations, NONE, NONE, NONE, AccountType::Device),
        subject: key(15),
        entries: vec![attestation(), Attestation { slot: 0, ..attestation() }],
    }
}

pub fn pool() -> Pool {
    Pool {
        header: header(AccountType::Pool, NONE, NONE, NONE, PoolKind::NodeSegment),
        base: 1,
        stride: 2,
        capacity: 100,
        allocated: 3,
        full_words: core::array::from_fn(|n| n as u64 * 0x0101),
        words: vec![0b111, u64::MAX << 36],
    }
}

pub fn prefix_table() -> PrefixTable {
    PrefixTable {
        header: header(AccountType::PrefixTable, NONE, NONE, NONE, NONE),
        used: 1,
        ranges: vec![PrefixRange { first: 0xc613_0000, last: 0xc613_0007 }, PrefixRange { first: 0, last: 0 }],
    }
}

const SEQUENCE: u64 = 0x4142_4344_4546_4748;

fn expect() -> Expect {
    Expect { expected_sequence: SEQUENCE }
}

fn reject() -> Reject {
    Reject { expected_sequence: SEQUENCE, reason: RejectReason::Policy }
}

fn desired() -> SetDesired {
    SetDesired { expected_sequence: SEQUENCE, desired: DesiredStatus::HardDrained }
}

fn set_interface() -> SetInterface {
    SetInterface {
        expected_sequence: SEQUENCE,
        name: "eth3.100".parse().unwrap(),
        kind: InterfaceKind::SubInterface,
        role: InterfaceRole::Cyoa,
        loopback: LoopbackType::None,
        vlan_id: 100,
        mtu: 1_500,
        bandwidth_bps: 10_000_000_000,
        address: prefix("198.18.1.1/30"),
    }
}

/// One instruction of every tag.
pub fn instruction(tag: Tag) -> Instruction {
    let (country, name): (Country, Label) = ("NL".parse().unwrap(), "Amsterdam".parse().unwrap());
    let (lat_e6, lng_e6, bgp_community) = (52_370_216, -4_895_168, 10_001);
    let expected_sequence = SEQUENCE;
    match tag {
        Tag::InitNetwork => Instruction::InitNetwork(InitNetwork {
            authority: key(1),
            core_asn: 65_000,
            burn_in_new_slots: 200_000,
            burn_in_maintenance_slots: 5_000,
            attestation_max_age_slots: 1_500,
            link_block: prefix("172.16.0.0/16"),
            loopback_block: prefix("172.17.0.0/16"),
            user_block: prefix("172.18.0.0/16"),
        }),
        Tag::UpdateNetwork => Instruction::UpdateNetwork(UpdateNetwork {
            expected_sequence,
            core_asn: 65_001,
            burn_in_new_slots: 3,
            burn_in_maintenance_slots: 2,
            attestation_max_age_slots: 1,
        }),
        Tag::SetPaused => Instruction::SetPaused(SetPaused { expected_sequence, paused: true }),
        Tag::SetOracleSet => Instruction::SetOracleSet(SetOracleSet {
            expected_sequence,
            quorum: 2,
            oracles: vec![key(1), key(2), key(3)],
        }),
        Tag::ProposeAuthority => {
            Instruction::ProposeAuthority(ProposeAuthority { expected_sequence, authority: key(9) })
        }
        Tag::AcceptAuthority => Instruction::AcceptAuthority(expect()),
        Tag::ExtendPrefixTable => Instruction::ExtendPrefixTable(Extend { entries: 100 }),
        Tag::CreateContributor => Instruction::CreateContributor(CreateContributor {
            code: code("acme"),
            owner: key(2),
            operations_key: key(3),
        }),
        Tag::UpdateContributor => Instruction::UpdateContributor(UpdateContributor {
            expected_sequence,
            owner: key(2),
            operations_key: Key::ZERO,
        }),
        Tag::SetRegistryStatus => {
            Instruction::SetRegistryStatus(SetRegistryStatus { expected_sequence, status: RegistryStatus::Suspended })
        }
        Tag::CloseRegistry => Instruction::CloseRegistry(expect()),
        Tag::CreateLocation => {
            Instruction::CreateLocation(CreateLocation { code: code("ams-1"), name, country, lat_e6, lng_e6 })
        }
        Tag::UpdateLocation => {
            Instruction::UpdateLocation(UpdateLocation { expected_sequence, name, country, lat_e6, lng_e6 })
        }
        Tag::CreateExchange => Instruction::CreateExchange(CreateExchange {
            code: code("xams"),
            name,
            country,
            lat_e6,
            lng_e6,
            bgp_community,
        }),
        Tag::UpdateExchange => Instruction::UpdateExchange(UpdateExchange {
            expected_sequence,
            name,
            country,
            lat_e6,
            lng_e6,
            bgp_community,
        }),
        Tag::CreateDevice => Instruction::CreateDevice(CreateDevice {
            code: code("ams-d1"),
            device_type: DeviceType::Edge,
            platform: Platform::Frr,
            public_ip: "198.18.0.9".parse().unwrap(),
            dz_prefix_count: 2,
            dz_prefixes: dz_prefixes(),
            agent_key: key(4),
            telemetry_key: key(5),
            management_vrf: "mgmt".parse().unwrap(),
            desired: DesiredStatus::Activated,
            skip_recipe: true,
        }),
        Tag::UpdateDevice => Instruction::UpdateDevice(UpdateDevice {
            expected_sequence,
            public_ip: "198.18.0.9".parse().unwrap(),
            dz_prefix_count: 2,
            dz_prefixes: dz_prefixes(),
            agent_key: key(4),
            telemetry_key: key(5),
            management_vrf: "mgmt".parse().unwrap(),
        }),
        Tag::ProvisionDevice => Instruction::ProvisionDevice(expect()),
        Tag::SetDeviceDesired => Instruction::SetDeviceDesired(desired()),
        Tag::SuspendDevice => Instruction::SuspendDevice(expect()),
        Tag::ResumeDevice => Instruction::ResumeDevice(expect()),
        Tag::RejectDevice => Instruction::RejectDevice(reject()),
        Tag::DeleteDevice => Instruction::DeleteDevice(expect()),
        Tag::CloseDevice => Instruction::CloseDevice(expect()),
        Tag::AddInterface => Instruction::AddInterface(set_interface()),
        Tag::UpdateInterface => Instruction::UpdateInterface(set_interface()),
        Tag::RemoveInterface => {
            Instruction::RemoveInterface(RemoveInterface { expected_sequence, name: "eth3.100".parse().unwrap() })
        }
        Tag::CreateLink => Instruction::CreateLink(CreateLink {
            code: code("ams-fra"),
            link_type: LinkType::Dzx,
            interface_a: "Ethernet1/1".parse().unwrap(),
            interface_z: InterfaceName::ZERO,
            bandwidth_bps: 100_000_000_000,
            mtu: 9_000,
            delay_ns: 5_000_000,
            jitter_ns: 50_000,
            desired: DesiredStatus::Activated,
        }),
        Tag::AcceptLink => {
            Instruction::AcceptLink(AcceptLink { expected_sequence, interface_z: "eth3".parse().unwrap() })
        }
        Tag::RejectLink => Instruction::RejectLink(reject()),
        Tag::ProvisionLink => Instruction::ProvisionLink(expect()),
        Tag::UpdateLink => Instruction::UpdateLink(UpdateLink {
            expected_sequence,
            bandwidth_bps: 100_000_000_000,
            mtu: 9_000,
            delay_ns: 5_000_000,
            jitter_ns: 50_000,
            delay_override_ns: 20_000,
        }),
        Tag::SetLinkDesired => Instruction::SetLinkDesired(desired()),
        Tag::SuspendLink => Instruction::SuspendLink(expect()),
        Tag::ResumeLink => Instruction::ResumeLink(expect()),
        Tag::DeleteLink => Instruction::DeleteLink(expect()),
        Tag::CloseLink => Instruction::CloseLink(expect()),
        Tag::Attest => Instruction::Attest(Attest {
            epoch: 7,
            window_start_slot: 299_999_000,
            window_end_slot: 299_999_900,
            evidence_root: Digest([0xee; 32]),
            verdicts: vec![Verdict { verdict: 3, failed: 0 }, Verdict { verdict: 1, failed: 0b1011 }],
        }),
        Tag::Advance => Instruction::Advance(Advance { expected_sequence }),
        Tag::ExtendAttestations => Instruction::ExtendAttestations(Extend { entries: 0 }),
    }
}
