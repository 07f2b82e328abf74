use causeway_interface::{
    Code, DesiredStatus, DeviceStatus, DeviceType, InterfaceRole, Key, LinkType, Platform, Prefix, RegistryStatus,
    accounts::{Contributor as ContributorRecord, Device as DeviceRecord, Link as LinkRecord, Record as _},
};
use clap::{CommandFactory, Parser};

use super::*;

fn parse(line: &str) -> Result<Noun, clap::Error> {
    let line = format!("causeway {line}");
    Cli::try_parse_from(line.split_whitespace()).map(|cli| cli.noun)
}

fn key(n: u8) -> Key {
    Key([n; 32])
}

/// A record whose fixed part is all zeros but for what decoding asks for: type, version and status.
fn blank<T: causeway_interface::accounts::Record>(len: usize, status: u8, kind: u8) -> T {
    let mut bytes = vec![0; len];
    bytes[0] = T::TYPE.byte();
    bytes[1] = causeway_interface::accounts::LAYOUT_VERSION;
    bytes[3] = status;
    bytes[6] = kind;
    T::decode(&bytes).unwrap()
}

fn device(contributor: u8) -> DeviceRecord {
    use causeway_interface::accounts::{Account, RawDevice};
    let mut bytes = vec![0; RawDevice::len_with(0)];
    bytes[0] = DeviceRecord::TYPE.byte();
    bytes[1] = causeway_interface::accounts::LAYOUT_VERSION;
    bytes[std::mem::offset_of!(RawDevice, platform)] = Platform::Frr.byte();
    let mut device = DeviceRecord::decode(&bytes).unwrap();
    device.contributor = key(contributor);
    device.header.sequence = 7;
    device
}

fn contributor(owner: u8, operations: u8) -> ContributorRecord {
    use causeway_interface::accounts::{Account, RawContributor};
    let mut record: ContributorRecord = blank(RawContributor::len_with(0), RegistryStatus::Activated.byte(), 0);
    record.owner = key(owner);
    record.operations_key = key(operations);
    record
}

fn link() -> LinkRecord {
    use causeway_interface::accounts::{Account, RawLink};
    let mut record: LinkRecord = blank(RawLink::len_with(0), 0, LinkType::Wan.byte());
    record.contributor_a = key(1);
    record.contributor_z = key(2);
    record.header.sequence = 9;
    record
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn figures_are_taken_in_every_usual_spelling() {
    for (text, bps) in [
        ("100G", 100_000_000_000),
        ("100Gbps", 100_000_000_000),
        ("2.5G", 2_500_000_000),
        ("0.4T", 400_000_000_000),
        ("10_000_000_000", 10_000_000_000),
        ("622M", 622_000_000),
    ] {
        assert_eq!(parse_bandwidth(text), Ok(bps), "{text}");
    }
    for (text, ns) in [("5.2ms", 5_200_000), ("10us", 10_000), ("12345", 12_345), ("1s", 1_000_000_000), ("3ns", 3)] {
        assert_eq!(parse_delay(text), Ok(ns), "{text}");
    }
    for text in ["", "G", "-1", "1.5", "1.", ".5G", "1..2G", "99999999999999999999", "1x", "0.0000000001G", "1G1"] {
        assert!(parse_bandwidth(text).is_err(), "{text}");
    }
    assert!(parse_delay("1.5").is_err() && parse_delay("1G").is_err());
}

#[test]
fn sol_is_taken_exactly_or_not_at_all() {
    for (text, lamports) in [
        ("10", 10_000_000_000),
        ("0.5", 500_000_000),
        ("0.000000001", 1),
        ("1.0000000010", 1_000_000_001),
        ("1_000", 1_000_000_000_000),
        ("1000000000", 1_000_000_000_000_000_000),
    ] {
        assert_eq!(parse_sol(text), Ok(lamports), "{text}");
    }
    for text in [
        "",
        "0",
        "0.0",
        "-1",
        "+1",
        "1e3",
        ".5",
        "1.",
        "1.2.3",
        "0x1",
        "NaN",
        "inf",
        " 1",
        "1SOL",
        "0.0000000001",
        "1000000000.000000001",
        "18446744073.709551616",
        "99999999999999999999999999",
    ] {
        assert!(parse_sol(text).is_err(), "{text}");
    }
}

#[test]
fn a_key_is_funded_by_address_or_by_file() {
    let line = format!("key fund {} owner.json ./{} --sol 0.5", key(3), key(4));
    let Ok(Noun::Key(KeyVerb::Fund(args))) = parse(&line) else { panic!("{line}") };
    let file = |name: String| KeyName::File(name.into());
    assert_eq!(args.keys, [KeyName::Address(key(3)), file("owner.json".into()), file(format!("./{}", key(4)))]);
    assert_eq!(args.lamports, 500_000_000);
}

#[test]
fn a_device_is_created_as_the_flags_say() {
    let k = key(5);
    let line = format!(
        "device create ams-1 --contributor acme --location ams --exchange ams --type edge --platform eos \
         --public-ip 198.18.0.1 --dz-prefix 198.19.0.0/29 --dz-prefix 198.19.0.8/29 --agent-key {k} --telemetry-key {k}"
    );
    let Ok(Noun::Device(Device::Create(args))) = parse(&line) else { panic!("{line}") };
    let data = args.data().unwrap();
    assert_eq!((data.device_type, data.platform), (DeviceType::Edge, Platform::Eos));
    assert_eq!((data.dz_prefix_count, data.dz_prefixes[1].to_string()), (2, "198.19.0.8/29".to_owned()));
    assert_eq!(data.dz_prefixes[2], Prefix::NONE);
    assert_eq!((data.agent_key, data.desired, data.skip_recipe), (k, DesiredStatus::Activated, false));
    let five = line + &" --dz-prefix 198.19.1.0/29".repeat(3);
    let Ok(Noun::Device(Device::Create(args))) = parse(&five) else { panic!("{five}") };
    assert!(args.data().is_err());
}

#[test]
fn an_update_keeps_what_is_not_named() {
    let mut now = device(1);
    now.agent_key = key(8);
    now.dz_prefix_count = 1;
    now.dz_prefixes[0] = Prefix::new(0xc613_0000, 29);
    let update = |line: &str| match parse(line) {
        Ok(Noun::Device(Device::Update(args))) => args.data(&now).unwrap(),
        other => panic!("{other:?}"),
    };
    let data = update("device update x --public-ip 198.18.0.9");
    assert_eq!((data.agent_key, data.dz_prefix_count, data.expected_sequence), (key(8), 1, 7));
    let data = update("device update x --agent-key none --no-dz-prefixes --expected-sequence 3");
    assert_eq!((data.agent_key, data.dz_prefix_count, data.expected_sequence), (Key::ZERO, 0, 3));
    assert_eq!(data.dz_prefixes[0], Prefix::NONE);
    assert!(parse("device update x").is_err());
    assert!(parse("device update x --expected-sequence 3").is_err());
}

#[test]
fn a_link_gets_the_type_that_its_devices_owners_make_it() {
    let line =
        "link create x --device-a a --interface-a eth3 --device-z z --interface-z eth4 --bandwidth 10G --delay 1ms";
    let Ok(Noun::Link(Link::Create(args))) = parse(line) else { panic!() };
    assert_eq!(args.data(&device(1), &device(1)).link_type, LinkType::Wan);
    assert_eq!(args.data(&device(1), &device(2)).link_type, LinkType::Dzx);
    let Ok(Noun::Link(Link::Create(args))) = parse(&format!("{line} --type wan")) else { panic!() };
    assert_eq!(args.data(&device(1), &device(2)).link_type, LinkType::Wan);
    assert_eq!((args.data(&device(1), &device(1)).delay_ns, args.jitter, args.mtu), (1_000_000, 10_000, 9_000));
}

#[test]
fn a_signer_acts_for_the_side_that_its_key_is_of() {
    let (a, z, link) = (contributor(11, 12), contributor(21, 22), link());
    for (signer, side) in [(11, 1), (12, 1), (21, 2), (22, 2), (99, 1)] {
        assert_eq!(acts_for(key(signer), &link, &a, &z), key(side), "{signer}");
    }
}

#[test]
fn new_interfaces_have_the_mtu_of_their_role_and_changed_ones_keep_theirs() {
    let add = |line: &str| match parse(line) {
        Ok(Noun::Device(Device::Interface(Interface::Add(args)))) => args.add(&device(1)),
        other => panic!("{other:?}"),
    };
    assert_eq!(add("device interface add x --name eth20").mtu, 9_000);
    let cyoa = add("device interface add x --name eth20 --role cyoa --bandwidth 10G --address 198.18.1.1/30");
    assert_eq!((cyoa.mtu, cyoa.role, cyoa.bandwidth_bps), (1_500, InterfaceRole::Cyoa, 10_000_000_000));
}

#[test]
fn filters_are_the_headers_bytes() {
    let Ok(Noun::Device(Device::List(args))) = parse("device list --status drained --type transit") else { panic!() };
    let filter = args.filter();
    assert_eq!(filter.status, Some(DeviceStatus::Drained.byte()));
    assert_eq!(filter.kind, Some(DeviceType::Transit.byte()));
    assert_eq!((filter.health, filter.desired), (None, None));
    let Ok(Noun::Link(Link::List(args))) = parse("link list --type dzx --desired hard-drained") else { panic!() };
    assert_eq!((args.filter().kind, args.filter().desired), (Some(127), Some(DesiredStatus::HardDrained)));
}

#[test]
fn wrong_lines_are_refused() {
    for line in [
        "device get UPPER",
        "device list --status on",
        "device get",
        "device set-desired x",
        "network set-oracles --quorum 2",
        "location create x --lat 91x --lng 0",
        "link create x",
        "device provision x --expected-sequence 0",
        "device provision x --wait-timeout 5",
        "device provision x --wait --wait-timeout 0",
        "device provision x --wait --wait-timeout 604801",
        "device provision x --wait --wait-timeout 18446744073709551615",
        "key fund --sol 1",
        "key fund owner.json",
        "key fund owner.json --sol -1",
        "key fund 11111111111111111111111111111111 --sol 1",
        "history x --of pool",
        "history x --limit 0",
        "history x --limit 20001",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
    for line in [
        "location create x --lat -33.9 --lng 151.2",
        "history x --of link --limit 3",
        "history x --reverse --limit 20000",
        "device provision x --wait --wait-timeout 604800",
        "localnet start --rpc-port 8899 --json",
        "contributor update x --operations-key none",
        "--output json device list",
        "device list --output json",
    ] {
        assert!(parse(line).is_ok(), "{line}: {:?}", parse(line));
    }
}

#[test]
fn a_history_is_of_every_kind_unless_one_is_named() {
    let kinds = |of: Option<&str>| {
        History { code: "x".parse::<Code>().unwrap(), of: of.map(Into::into), limit: 1, reverse: false }.kinds()
    };
    assert_eq!(kinds(None).len(), 5);
    assert_eq!(kinds(Some("link")), [causeway_interface::AccountType::Link]);
}

#[test]
fn moments_are_utc_or_seconds_and_days_of_the_calendar() {
    for (text, ms) in [
        ("1970-01-01T00:00:00Z", None),
        ("2026-01-31T12:00:00Z", Some(1_769_860_800_000)),
        ("2026-01-31 12:00:00Z", Some(1_769_860_800_000)),
        ("2024-02-29T23:59:59Z", Some(1_709_251_199_000)),
        ("2025-02-29T00:00:00Z", None),
        ("2026-13-01T00:00:00Z", None),
        ("2026-00-10T00:00:00Z", None),
        ("2026-01-31T24:00:00Z", None),
        ("2026-01-31", None),
        ("1769860800", Some(1_769_860_800_000)),
        ("-1", None),
        ("", None),
    ] {
        assert_eq!(parse_moment(text).ok(), ms, "{text}");
    }
}

#[test]
fn oracles_are_named_by_flag_or_in_a_list() {
    let Noun::Health(Health::Verify(ask)) =
        parse("health verify a --oracle http://x,http://y --oracle http://z").unwrap()
    else {
        panic!()
    };
    assert_eq!(ask.oracles, ["http://x", "http://y", "http://z"]);
    assert!(ask.kind.is_none());
    assert!(parse("health verify").is_err());
    assert!(parse("health explain a --kind contributor").is_err());
    assert!(parse("oracle backtest --rule loss-limit-ppm=1").is_err(), "which recording?");
    assert!(parse("oracle backtest --from d --rule loss-limit-ppm").is_err());
    assert!(parse("oracle backtest --from d --rule loss-limit-ppm=1 --since 2026-01-31T12:00:00Z").is_ok());
}
