use super::*;
use bytemuck::Zeroable;
use causeway_interface::{
    AccountType, InterfaceRole, LinkType, Platform, Prefix,
    accounts::{LAYOUT_VERSION, RawDevice, RawHeader, RawInterface, RawLink},
};

/// A ledger of devices and links only; addresses are made up.
struct Town {
    snapshot: Snapshot,
    links: u32,
}

fn device_key(number: u32) -> Key {
    let mut key = [1; 32];
    key[..4].copy_from_slice(&number.to_be_bytes());
    Key(key)
}

fn loopback_of(number: u32) -> Ip4 {
    Ip4::from_u32(u32::from_be_bytes([10, 0, 0, 0]) + number + 1)
}

fn header(account_type: AccountType, status: u8, since_slot: u64) -> RawHeader {
    let mut header =
        RawHeader { account_type: account_type.byte(), version: LAYOUT_VERSION, status, ..Zeroable::zeroed() };
    header.status_since_slot.set(since_slot);
    header
}

impl Town {
    fn new() -> Self {
        Self { snapshot: Snapshot::empty(Key([7; 32]), 1_000), links: 0 }
    }

    /// Device `number` of this status since a slot.
    fn device(&mut self, number: u32, status: DeviceStatus, since_slot: u64) {
        let mut device = RawDevice::zeroed();
        device.header = header(AccountType::Device, status.byte(), since_slot);
        device.code = format!("d-{number}").parse().unwrap();
        device.platform = Platform::Frr.byte();
        let mut bytes = bytemuck::bytes_of(&device).to_vec();
        bytes.extend(1u32.to_le_bytes());
        let mut interface = RawInterface::zeroed();
        interface.name = "Loopback256".parse().unwrap();
        interface.kind = InterfaceKind::Loopback.byte();
        interface.role = InterfaceRole::Fabric.byte();
        interface.loopback = LoopbackType::Ipv4.byte();
        interface.address = Prefix::new(loopback_of(number).to_u32(), 32);
        bytes.extend(bytemuck::bytes_of(&interface));
        self.snapshot.put(device_key(number), &bytes);
        assert_eq!(self.snapshot.undecodable, vec![]);
    }

    fn link(&mut self, a: u32, z: u32, status: LinkStatus, since_slot: u64) {
        let mut link = RawLink::zeroed();
        link.header = header(AccountType::Link, status.byte(), since_slot);
        link.header.kind = LinkType::Wan.byte();
        link.code = format!("l-{}", self.links).parse().unwrap();
        (link.device_a, link.device_z) = (device_key(a), device_key(z));
        let mut key = [2; 32];
        key[..4].copy_from_slice(&self.links.to_be_bytes());
        self.links += 1;
        self.snapshot.put(Key(key), bytemuck::bytes_of(&link));
        assert_eq!(self.snapshot.undecodable, vec![]);
    }

    fn targets(&self, of: u32) -> Vec<String> {
        let mut codes: Vec<String> =
            Qa::new(&self.snapshot).targets(&device_key(of)).iter().map(|t| t.code.to_string()).collect();
        codes.sort();
        codes
    }

    fn joined(&self, of: u32) -> Option<u64> {
        Qa::new(&self.snapshot).joined_slot(&device_key(of))
    }
}

const UP: LinkStatus = LinkStatus::Activated;

/// 1 - 2 - 3 in a row, all activated, and 4 alone.
fn row() -> Town {
    let mut town = Town::new();
    for number in 1..=4 {
        town.device(number, DeviceStatus::Activated, 1);
    }
    town.link(1, 2, UP, 1);
    town.link(2, 3, UP, 1);
    town
}

#[test]
fn targets_are_what_links_in_service_reach() {
    let town = row();
    assert_eq!(town.targets(1), ["d-2", "d-3"]);
    assert_eq!(town.targets(4), [""; 0], "an island of one");
    let found = Qa::new(&town.snapshot).targets(&device_key(3));
    let address = |code: &str| found.iter().find(|t| t.code.to_string() == code).unwrap().address;
    assert_eq!(address("d-1"), loopback_of(1));
    assert_eq!(Qa::new(&town.snapshot).targets(&Key([9; 32])), []);
}

#[test]
fn only_a_link_in_service_with_an_adjacency_is_a_way() {
    for status in LinkStatus::ALL.iter().copied() {
        let mut town = row();
        town.link(4, 3, status, 1);
        let expected: &[&str] = match status {
            LinkStatus::Activated | LinkStatus::SoftDrained => &["d-1", "d-2", "d-3"],
            _ => &[],
        };
        assert_eq!(town.targets(4), expected, "{status}");
    }
}

#[test]
fn a_device_is_a_target_crossed_reached_or_gone_by_its_status() {
    use DeviceStatus as S;
    for status in S::ALL.iter().copied() {
        let mut town = row();
        town.device(2, status, 1);
        let (ends, middle): (&[&str], &[&str]) = match status {
            S::Activated => (&["d-2", "d-3"], &["d-1", "d-3"]),
            // Not a target itself, but a way to others.
            S::DeviceProvisioning | S::LinkProvisioning => (&["d-3"], &["d-1", "d-3"]),
            S::Drained => (&[], &["d-1", "d-3"]),
            S::Pending | S::Suspended | S::Deleting | S::Rejected => (&[], &[]),
        };
        assert_eq!(town.targets(1), ends, "{status}");
        assert_eq!(town.targets(2), middle, "{status}");
    }
}

#[test]
fn a_device_without_a_host_address_is_no_target() {
    let mut town = row();
    town.snapshot.devices.get_mut(&device_key(3)).unwrap().interfaces[0].address = Prefix::NONE;
    assert_eq!(town.targets(1), ["d-2"]);
    town.snapshot.devices.get_mut(&device_key(2)).unwrap().interfaces.clear();
    assert_eq!(town.targets(1), [""; 0]);
}

/// Forty devices in a row: nearest first would be 1 to 8.
fn long_row() -> Town {
    let mut town = Town::new();
    for number in 0..40 {
        town.device(number, DeviceStatus::Activated, 1);
        if number > 0 {
            town.link(number - 1, number, UP, 1);
        }
    }
    town
}

#[test]
fn targets_are_few_spread_and_stable() {
    let mut town = long_row();
    let qa = Qa::new(&town.snapshot);
    let mut asked = BTreeMap::<Code, usize>::new();
    for number in 0..40 {
        let targets = qa.targets(&device_key(number));
        assert_eq!(targets.len(), MAX_TARGETS);
        let far = |t: &&Target| t.address.to_u32().abs_diff(loopback_of(number).to_u32()) > MAX_TARGETS as u32;
        assert!(targets.iter().filter(far).count() >= 2, "d-{number} probes beyond its neighbours");
        targets.iter().for_each(|t| *asked.entry(t.code).or_default() += 1);
    }
    assert!(asked.len() == 40 && asked.values().all(|n| *n == MAX_TARGETS), "the work is shared: {asked:?}");
    // One more device is one more target for those before it on the ring, and nothing for the others.
    let before: Vec<_> = (0..40).map(|number| town.targets(number)).collect();
    town.device(40, DeviceStatus::Activated, 1);
    town.link(39, 40, UP, 1);
    let changed: Vec<u32> = (0..40).filter(|n| town.targets(*n) != before[*n as usize]).collect();
    assert_eq!(changed.len(), MAX_TARGETS);
    for number in changed {
        let after = town.targets(number);
        assert_eq!(after.iter().filter(|t| before[number as usize].contains(t)).count(), MAX_TARGETS - 1);
    }
}

#[test]
fn who_had_a_link_before_there_was_anyone_to_probe_has_joined() {
    use DeviceStatus::{Activated, LinkProvisioning};
    // A network's first devices: 2 is the first that is activated.
    let mut town = Town::new();
    (1..=3).for_each(|number| town.device(number, LinkProvisioning, 10));
    town.link(1, 2, UP, 20);
    town.link(2, 3, UP, 30);
    assert_eq!(town.joined(1), None, "nobody to probe");
    town.device(2, Activated, 50);
    assert_eq!((town.joined(1), town.joined(3)), (Some(50), Some(50)));
    // One that comes later has its targets with its first link.
    town.device(4, LinkProvisioning, 60);
    town.link(3, 4, UP, 70);
    assert_eq!((town.joined(4), town.targets(4)), (None, vec!["d-2".to_owned()]));
    // An island that is joined to the network.
    (5..=6).for_each(|number| town.device(number, LinkProvisioning, 60));
    town.link(5, 6, UP, 80);
    assert_eq!(town.joined(6), None);
    town.link(4, 5, UP, 90);
    assert_eq!((town.joined(5), town.joined(6)), (Some(90), Some(90)));
    assert_eq!(town.joined(4), None, "others lose nothing by it");
}

/// A small generator of its own: the same towns in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

fn random_town(seed: u64) -> Town {
    let mut dice = Dice(seed);
    let mut town = Town::new();
    let devices = 2 + dice.below(14);
    for number in 0..devices {
        let status = DeviceStatus::ALL[dice.below(DeviceStatus::ALL.len() as u64) as usize];
        let status = if dice.below(2) == 0 { DeviceStatus::Activated } else { status };
        town.device(number as u32, status, 1 + dice.below(20));
    }
    for _ in 0..dice.below(20) {
        let status = LinkStatus::ALL[dice.below(LinkStatus::ALL.len() as u64) as usize];
        let status = if dice.below(3) > 0 { UP } else { status };
        let (a, z) = (dice.below(devices) as u32, dice.below(devices) as u32);
        if a != z {
            town.link(a, z, status, 1 + dice.below(20));
        }
    }
    town
}

/// Activated devices that `from` reaches over what there was by `slot`, searched for from the device itself.
fn reached(snapshot: &Snapshot, from: &Key, slot: u64) -> BTreeSet<Key> {
    let status = |key: &Key| snapshot.devices[key].header.status;
    let mut seen = BTreeSet::from([*from]);
    let mut open = vec![*from];
    while let Some(here) = open.pop() {
        if part(status(&here)) == Part::None || part(status(&here)) == Part::End && here != *from {
            continue;
        }
        for link in snapshot.links.values() {
            let used = carries(link.header.status) && link.header.status_since_slot <= slot;
            for (a, z) in [(link.device_a, link.device_z), (link.device_z, link.device_a)] {
                if used && a == here && part(status(&z)) != Part::None && seen.insert(z) {
                    open.push(z);
                }
            }
        }
    }
    let is_target = |key: &Key| {
        let header = &snapshot.devices[key].header;
        header.status == DeviceStatus::Activated && header.status_since_slot <= slot
    };
    seen.into_iter().filter(|key| key != from && is_target(key)).collect()
}

#[test]
fn it_agrees_with_a_search_from_every_device() {
    let mut compared = 0;
    for seed in 0..400 {
        let town = random_town(seed);
        let qa = Qa::new(&town.snapshot);
        for (key, device) in &town.snapshot.devices {
            let expected = reached(&town.snapshot, key, u64::MAX);
            let found: BTreeSet<Key> = qa.targets(key).iter().map(|t| t.key).collect();
            assert!(found.is_subset(&expected), "seed {seed} {}", device.code);
            assert_eq!(found.len(), expected.len().min(MAX_TARGETS), "seed {seed} {}", device.code);
            // U4, and so when its targets came, is asked of devices that are not activated yet.
            if part(device.header.status) != Part::Crossed || device.header.status == DeviceStatus::Activated {
                continue;
            }
            let own = town.snapshot.links_of(key).filter(|(_, link)| {
                let crossed = |end| part(town.snapshot.devices[end].header.status) == Part::Crossed;
                carries(link.header.status) && crossed(&link.device_a) && crossed(&link.device_z)
            });
            let first = own.map(|(_, link)| link.header.status_since_slot).min();
            let lit = (0..=30).find(|slot| !reached(&town.snapshot, key, *slot).is_empty());
            let joined = lit.filter(|lit| first.is_some_and(|first| first < *lit));
            assert_eq!(qa.joined_slot(key), joined, "seed {seed} {}", device.code);
            compared += usize::from(joined.is_some());
        }
    }
    assert!(compared > 20, "{compared} joined");
}

/// The size that the design asks for, in the time of a small part of a round; unoptimized.
#[test]
fn ten_thousand_devices_and_fifty_thousand_links_are_looked_at_once() {
    const DEVICES: u32 = 10_000;
    const LINKS: u32 = 50_000;
    let mut dice = Dice(1);
    let mut town = Town::new();
    for number in 0..DEVICES {
        let status = if number % 10 == 0 { DeviceStatus::LinkProvisioning } else { DeviceStatus::Activated };
        town.device(number, status, dice.below(1_000));
    }
    for number in 0..LINKS {
        let a = if number < DEVICES { number } else { dice.below(u64::from(DEVICES)) as u32 };
        let z = (a + 1 + dice.below(u64::from(DEVICES) - 1) as u32) % DEVICES;
        town.link(a, z, UP, dice.below(1_000));
    }
    let began = std::time::Instant::now();
    let qa = Qa::new(&town.snapshot);
    let prepared = began.elapsed();
    let all: usize = town.snapshot.devices.keys().map(|key| qa.targets(key).len()).sum();
    let took = began.elapsed();
    println!("prepared in {prepared:?}, all targets in {took:?}");
    assert_eq!(all, DEVICES as usize * MAX_TARGETS);
    assert!(took < std::time::Duration::from_secs(10), "{took:?}");
}
