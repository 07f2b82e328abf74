//! From a ledger snapshot to what has to be judged, and by which data. Pure.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::OnceLock,
};

use causeway_interface::{
    AccountType, Code, DeviceStatus, InterfaceName, InterfaceRole, Key, LinkStatus, LinkType, LoopbackType,
    accounts::{Device, LINK_FLAG_Z_ATTACHED, Link, Network},
};
use causeway_sdk::{Snapshot, qa::Qa};

use crate::{
    book::RuleBook,
    criteria::{
        Verdict,
        coverage::{Rules, Window},
        device::{ActivatedLink, DeviceFacts, LoopbackFact, evaluate_device},
        link::{JudgedEnd, LinkFacts, Order, Terms},
        standard::Standard,
    },
    evidence::{
        EvidenceWindow, TelemetryDigest,
        exhibit::{Asked, Exhibit, Facts},
    },
    telemetry::{DeviceTelemetry, fleet::Fleet},
    time::SlotClock,
};

/// A device or a link. A device and a link may have the same code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A device.
    Device,
    /// A link.
    Link,
}

impl Kind {
    /// The name that people see.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Link => "link",
        }
    }

    /// The type of its account.
    #[must_use]
    pub const fn account_type(self) -> AccountType {
        match self {
            Self::Device => AccountType::Device,
            Self::Link => AccountType::Link,
        }
    }
}

/// What was found of one subject in one round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Its address.
    pub key: Key,
    /// Its code.
    pub code: Code,
    /// What it is.
    pub kind: Kind,
    /// It is activated, or out for maintenance.
    pub in_service: bool,
    /// What was found.
    pub verdict: Verdict,
    /// What was looked at.
    pub window: EvidenceWindow,
    /// What telemetry it rests on.
    pub telemetry: Vec<TelemetryDigest>,
    /// What its evidence shows; none where no evidence was asked for. Boxed, for a round over a fleet asks for little of it
    /// and holds everybody.
    pub basis: Option<Box<Basis>>,
}

/// What a verdict was computed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    /// The window in buckets.
    pub buckets: Window,
    /// What the ledger said.
    pub facts: Facts,
    /// What was seen.
    pub exhibits: Vec<Exhibit>,
}

/// When subjects could first be observed: where the first stage of their life began. It outlives the stage, because the
/// window still reaches back to it, and is lost with the process: then whatever lies within a hold is held.
#[derive(Clone, Debug, Default)]
pub struct Stages {
    began: BTreeMap<Key, (u64, u64)>,
}

impl Stages {
    fn note(&mut self, key: Key, first_stage: bool, since_slot: u64, clock: &SlotClock) {
        if first_stage && self.began.get(&key).is_none_or(|(slot, _)| *slot != since_slot) {
            self.began.insert(key, (since_slot, clock.time_of(since_slot)));
        }
    }

    /// Takes note of where every subject is.
    pub fn update(&mut self, snapshot: &Snapshot, clock: &SlotClock) {
        self.began.retain(|key, _| snapshot.devices.contains_key(key) || snapshot.links.contains_key(key));
        for (key, device) in &snapshot.devices {
            let first = device.header.status == DeviceStatus::DeviceProvisioning;
            self.note(*key, first, device.header.status_since_slot, clock);
        }
        for (key, link) in &snapshot.links {
            let first = link.header.status == LinkStatus::Provisioning;
            self.note(*key, first, link.header.status_since_slot, clock);
        }
    }

    fn observable_since(&self, key: &Key, rules: &Rules) -> Option<u64> {
        self.began.get(key).map(|(_, ms)| ms.saturating_add(rules.settle_ms))
    }
}

/// Whether a device is judged: from provisioning until it is rejected or deleted.
#[must_use]
pub const fn is_judged_device(status: DeviceStatus) -> bool {
    match status {
        DeviceStatus::DeviceProvisioning
        | DeviceStatus::LinkProvisioning
        | DeviceStatus::Activated
        | DeviceStatus::Drained
        | DeviceStatus::Suspended => true,
        DeviceStatus::Pending | DeviceStatus::Deleting | DeviceStatus::Rejected => false,
    }
}

/// Whether a link is judged.
#[must_use]
pub const fn is_judged_link(status: LinkStatus) -> bool {
    match status {
        LinkStatus::Provisioning
        | LinkStatus::Activated
        | LinkStatus::SoftDrained
        | LinkStatus::HardDrained
        | LinkStatus::Suspended => true,
        LinkStatus::Pending | LinkStatus::Requested | LinkStatus::Rejected | LinkStatus::Deleting => false,
    }
}

/// What one round judges by.
pub struct Court<'a> {
    /// The ledger.
    pub snapshot: &'a Snapshot,
    /// Its network.
    pub network: &'a Network,
    /// Slots and time.
    pub clock: &'a SlotClock,
    /// The numbers.
    pub rules: &'a RuleBook,
    /// When subjects could first be observed.
    pub stages: &'a Stages,
    /// Now, in ms since 1970.
    pub now_ms: u64,
}

impl Court<'_> {
    fn window(&self, key: &Key, in_service: bool, rules: &Rules) -> Window {
        let slots = if in_service { self.network.burn_in_maintenance_slots } else { self.network.burn_in_new_slots };
        let burn_in_ms = self.clock.duration_ms(slots);
        Window::new(self.now_ms, burn_in_ms, self.stages.observable_since(key, rules), rules)
    }

    fn evidence_window(&self, window: &Window) -> EvidenceWindow {
        let (start_ms, end_ms) = (window.start_ms(), window.end_ms());
        let end_slot = self.clock.slot_at(end_ms).min(self.snapshot.slot);
        let start_slot = self.clock.slot_at(start_ms).min(end_slot);
        EvidenceWindow { start_slot, end_slot, start_ms, end_ms }
    }

    fn device_window(&self, key: &Key, device: &Device) -> Window {
        let rules = self.rules.for_device(device.header.kind);
        self.window(key, device.header.status.is_in_service(device.suspended_from), rules)
    }

    /// How far back telemetry has to be known, in ms: the longest window, and as long as data may take to arrive.
    #[must_use]
    pub fn reach_ms(&self) -> u64 {
        let slots = self.network.burn_in_new_slots.max(self.network.burn_in_maintenance_slots);
        let late_ms = self.rules.all.lag_ms.saturating_add(self.rules.all.bucket_ms);
        self.clock.duration_ms(slots).max(self.rules.held_ms()).saturating_add(late_ms)
    }

    /// Judges every device and link that is to be judged; devices first, each sorted by address. The work is shared among
    /// the machine's cores. With `only`, nothing but these, and each with what its evidence needs.
    ///
    /// Waiting for memory is most of what a round costs, and what is known of one device lies together. So the ends of all
    /// links are judged device by device, and the links by what was said of their ends.
    #[must_use]
    pub fn judge(&self, fleet: &Fleet, only: Option<&HashSet<Key>>) -> Vec<Judged> {
        let asked = |key: &Key| only.is_none_or(|only| only.contains(key));
        let shown = only.is_some();
        let silent = DeviceTelemetry::default();
        let standards = self.rules.map(|rules| Standard::from(rules));
        let hall = Hall::new(self.snapshot, fleet, &silent);
        // Asked of new devices only, and a look at everything: made by the first that needs it.
        let made = OnceLock::new();
        let qa = || made.get_or_init(|| Qa::new(self.snapshot));
        let judged = shared(&hall.seats, |seats| {
            let (mut devices, mut ends) = (Vec::with_capacity(seats.len()), Vec::new());
            let mut judged_ends = Vec::with_capacity(seats.iter().map(|seat| seat.ends.len()).sum());
            for seat in seats {
                let Seat { key, device, telemetry, .. } = seat;
                ends.clear();
                ends.extend(hall.ends_of(seat));
                let mut order = Order::default();
                for end in &ends {
                    let is_asked = is_judged_link(end.status) && asked(end.key);
                    let standard = standards.for_link(end.kind);
                    let judge = || self.terms(end).judge(telemetry, &end.interface, standard, &mut order);
                    judged_ends.push(is_asked.then(judge));
                }
                if is_judged_device(device.header.status) && asked(key) {
                    let facts = device_facts(key, device, &ends, qa, self.clock);
                    let standard = standards.for_device(device.header.kind);
                    devices.push(self.judge_device(key, device, facts, telemetry, standard, shown));
                }
            }
            (devices, judged_ends)
        });
        let (devices, judged_ends): (Vec<_>, Vec<_>) = judged.into_iter().unzip();
        let judged_ends = Parts::new(judged_ends);
        let links = shared(&hall.links, |links| {
            let judged = links.iter().filter_map(|(key, link, places)| {
                let [a, z] = places.map(|place| judged_ends.get(place? as usize)?.as_ref());
                let [seat_a, seat_z] = [&link.device_a, &link.device_z].map(|key| hall.seat(key));
                let standard = standards.for_link(link.header.kind);
                Some(self.judge_link(key, link, [seat_a?, seat_z?], [a?, z?], standard, shown))
            });
            let mut all = Vec::with_capacity(links.len());
            all.extend(judged);
            all
        });
        let mut all = Vec::with_capacity(devices.iter().chain(&links).map(Vec::len).sum());
        devices.into_iter().chain(links).for_each(|mut part| all.append(&mut part));
        all
    }

    fn terms(&self, end: &End<'_>) -> Terms {
        let standard = self.rules.for_link(end.kind);
        let window = self.window(end.key, end.in_service, standard);
        let since_ms = self.clock.time_of(end.since_slot);
        Terms::new(&window, end.code, (end.status, since_ms), standard, self.now_ms)
    }

    fn judge_device(
        &self,
        key: &Key,
        device: &Device,
        facts: DeviceFacts,
        telemetry: &DeviceTelemetry,
        standard: &Standard,
        shown: bool,
    ) -> Judged {
        let window = self.device_window(key, device);
        let verdict = evaluate_device(&window, &facts, telemetry, standard, self.now_ms);
        let basis = shown.then(|| {
            let links = facts.activated.iter().map(|link| link.interface);
            let interfaces: Vec<_> = facts.dia.iter().copied().chain(links).collect();
            let (interfaces, devices) = (interfaces.as_slice(), facts.qa_targets.as_slice());
            let asked = Asked { reports: true, interfaces, devices, ..Asked::default() };
            let exhibits = vec![Exhibit::of(device.code, telemetry, &asked, window.start, window.end)];
            Box::new(Basis { buckets: window, facts: Facts::Device(facts), exhibits })
        });
        Judged {
            key: *key,
            code: device.code,
            kind: Kind::Device,
            in_service: device.header.status.is_in_service(device.suspended_from),
            verdict,
            window: self.evidence_window(&window),
            telemetry: vec![TelemetryDigest::new(device.code, telemetry.chain)],
            basis,
        }
    }

    fn judge_link(
        &self,
        key: &Key,
        link: &Link,
        seats: [&Seat<'_>; 2],
        judged: [&JudgedEnd; 2],
        standard: &Standard,
        shown: bool,
    ) -> Judged {
        let [a, z] = seats;
        let facts = LinkFacts {
            code: link.code,
            status: link.header.status,
            status_since_ms: self.clock.time_of(link.header.status_since_slot),
            ends: [(a.device.code, link.interface_a), (z.device.code, link.interface_z)],
        };
        let terms = self.terms(&End::of(key, link, true));
        let verdict = terms.conclude(&facts.ends, judged, standard);
        let basis = shown.then(|| {
            let shown = facts.ends.iter().zip(seats).map(|((device, interface), seat)| {
                let own = std::slice::from_ref(interface);
                let links = std::slice::from_ref(&link.code);
                let asked = Asked { interfaces: own, adjacencies: own, links, ..Asked::default() };
                Exhibit::of(*device, seat.telemetry, &asked, terms.window().start, terms.window().end)
            });
            Box::new(Basis { buckets: *terms.window(), facts: Facts::Link(facts), exhibits: shown.collect() })
        });
        Judged {
            key: *key,
            code: link.code,
            kind: Kind::Link,
            in_service: link.header.status.is_in_service(link.suspended_from),
            verdict,
            window: self.evidence_window(terms.window()),
            telemetry: seats.map(|seat| TelemetryDigest::new(seat.device.code, seat.telemetry.chain)).into(),
            basis,
        }
    }
}

/// Subjects that are worth a thread of their own.
const SUBJECTS_PER_THREAD: usize = 1_000;

/// What `judge` says of all items, in order, in as many parts as the machine has cores; of few, in one.
fn shared<T: Sync, R: Send>(items: &[T], judge: impl Fn(&[T]) -> R + Sync) -> Vec<R> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.min(items.len() / SUBJECTS_PER_THREAD).max(1);
    if threads == 1 {
        return vec![judge(items)];
    }
    let judge = &judge;
    std::thread::scope(|scope| {
        let chunks = items.chunks(items.len().div_ceil(threads));
        let running: Vec<_> = chunks.map(|chunk| (chunk, scope.spawn(move || judge(chunk)))).collect();
        let joined = running.into_iter().map(|(chunk, thread)| {
            // A thread that died would leave its subjects out: they are judged here, and the same panic goes on.
            thread.join().unwrap_or_else(|_| judge(chunk))
        });
        joined.collect()
    })
}

/// What was made in parts, each with its place in the whole.
struct Parts<T>(Vec<(usize, Vec<T>)>);

impl<T> Parts<T> {
    fn new(parts: Vec<Vec<T>>) -> Self {
        let mut begin = 0;
        let place = |part: Vec<T>| {
            let placed = (begin, part);
            begin += placed.1.len();
            placed
        };
        Self(parts.into_iter().map(place).collect())
    }

    fn get(&self, place: usize) -> Option<&T> {
        // As many parts as cores: fewer than a search would save.
        let (begin, part) = self.0.iter().rev().find(|(begin, _)| *begin <= place)?;
        part.get(place - begin)
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flat_map(|(_, part)| part)
    }
}

/// A link as one of its devices sees it: all that is asked of the link, beside what the device says of it, so that the
/// account is read once and in order.
#[derive(Clone, Copy)]
struct End<'a> {
    key: &'a Key,
    code: Code,
    interface: InterfaceName,
    status: LinkStatus,
    kind: LinkType,
    in_service: bool,
    /// Whether the link is this device's matter: side Z's only once it has accepted, so that a stranger's requests are
    /// no changes of it.
    holds: bool,
    /// Whether its latest change shows in the text of the device's configuration.
    shows: bool,
    since_slot: u64,
}

impl<'a> End<'a> {
    fn of(key: &'a Key, link: &Link, is_a: bool) -> Self {
        Self {
            key,
            code: link.code,
            interface: if is_a { link.interface_a } else { link.interface_z },
            status: link.header.status,
            kind: link.header.kind,
            in_service: link.header.status.is_in_service(link.suspended_from),
            holds: is_a || link.header.flags & LINK_FLAG_Z_ATTACHED != 0,
            shows: link_change_shows(link),
            since_slot: link.header.status_since_slot,
        }
    }
}

/// A device with what is known of it, so that each is looked up once.
struct Seat<'a> {
    key: &'a Key,
    device: &'a Device,
    telemetry: &'a DeviceTelemetry,
    /// Where its ends are.
    ends: std::ops::Range<usize>,
}

/// A link's ends A and Z, with the numbers of the seats that they belong to; of a device that can't be read there is none.
type Pair<'a> = ([Option<u32>; 2], [End<'a>; 2]);

/// Everyone: devices with their ends, and links with the places of theirs.
struct Hall<'a> {
    /// By address.
    seats: Vec<Seat<'a>>,
    numbers: HashMap<&'a Key, u32>,
    /// By the link's address.
    pairs: Parts<Pair<'a>>,
    /// Twice the number of a link and 1 for side Z: of one device after the other, those of one device by the link's address.
    ends: Vec<u32>,
    /// By address, each with the places of its ends in `ends`.
    links: Vec<(&'a Key, &'a Link, [Option<u32>; 2])>,
}

impl<'a> Hall<'a> {
    /// `silent` is what is known of a device that never said anything.
    fn new(snapshot: &'a Snapshot, fleet: &'a Fleet, silent: &'a DeviceTelemetry) -> Self {
        let seat = |(key, device): (&'a Key, &'a Device)| {
            let telemetry = fleet.device(&device.code).unwrap_or(silent);
            Seat { key, device, telemetry, ends: 0..0 }
        };
        let mut seats: Vec<_> = snapshot.devices.iter().map(seat).collect();
        let numbers: HashMap<_, _> = seats.iter().map(|seat| seat.key).zip(0u32..).collect();
        let accounts: Vec<_> = snapshot.links.iter().collect();
        let pairs = Parts::new(shared(&accounts, |links| {
            let number = |key: &Key| numbers.get(key).copied();
            let pair = |(key, link): &(&'a Key, &'a Link)| {
                let numbers = [number(&link.device_a), number(&link.device_z)];
                (numbers, [End::of(key, link, true), End::of(key, link, false)])
            };
            links.iter().map(pair).collect::<Vec<Pair<'a>>>()
        }));
        // Each seat's ends are counted, so that it is known where they begin, and then put there.
        let mut counts = vec![0usize; seats.len()];
        for number in pairs.iter().flat_map(|(numbers, _)| numbers).flatten() {
            counts.get_mut(*number as usize).into_iter().for_each(|count| *count += 1);
        }
        let mut begin = 0;
        for (seat, count) in seats.iter_mut().zip(counts) {
            // Empty yet; it grows with what is put there.
            seat.ends = begin..begin;
            begin += count;
        }
        let mut ends = vec![0; begin];
        let mut put = |seat: Option<u32>, end: u32| {
            let taken = &mut seats.get_mut(seat? as usize)?.ends;
            *ends.get_mut(taken.end)? = end;
            taken.end += 1;
            u32::try_from(taken.end - 1).ok()
        };
        let numbered = accounts.into_iter().zip(pairs.iter()).zip(0u32..);
        let links = numbered
            .map(|(((key, link), ([a, z], _)), number)| (key, link, [put(*a, 2 * number), put(*z, 2 * number + 1)]))
            .collect();
        Self { seats, numbers, pairs, ends, links }
    }

    fn seat(&self, key: &Key) -> Option<&Seat<'a>> {
        self.seats.get(*self.numbers.get(key)? as usize)
    }

    fn ends_of(&self, seat: &Seat<'_>) -> impl Iterator<Item = End<'a>> {
        let ends = self.ends.get(seat.ends.clone()).unwrap_or_default();
        ends.iter().filter_map(|end| {
            let (_, [a, z]) = self.pairs.get((end / 2) as usize)?;
            Some(if end % 2 == 0 { *a } else { *z })
        })
    }
}

fn device_facts<'a>(
    key: &Key,
    device: &Device,
    ends: &[End<'_>],
    qa: impl Fn() -> &'a Qa,
    clock: &SlotClock,
) -> DeviceFacts {
    // Whom the device is asked to reach; nobody once it is in service, when that is not asked any more.
    let (qa_targets, qa_joined_slot) = if device.header.status.is_in_service(device.suspended_from) {
        (Vec::new(), None)
    } else {
        let qa = qa();
        (qa.targets(key).into_iter().map(|target| target.code).collect(), qa.joined_slot(key))
    };
    let in_service = |kind: LinkType| {
        let counts = |end: &&End<'_>| {
            end.kind == kind
                && matches!(end.status, LinkStatus::Activated | LinkStatus::SoftDrained | LinkStatus::HardDrained)
        };
        u32::try_from(ends.iter().filter(counts).count()).unwrap_or(u32::MAX)
    };
    let latest = |own: u64, shows: fn(&End<'_>) -> bool| {
        let changes = ends.iter().filter(|end| end.holds && shows(end));
        changes.map(|end| end.since_slot).fold(own, u64::max)
    };
    let own = device.header.status_since_slot;
    let changed_slot = latest(own, |_| true);
    let shown_slot = latest(if device_change_shows(device.header.status) { own } else { 0 }, |end| end.shows);
    DeviceFacts {
        public_ip: device.public_ip,
        dz_prefixes: device.dz_prefixes.iter().take(usize::from(device.dz_prefix_count)).copied().collect(),
        loopbacks: device
            .interfaces
            .iter()
            .filter(|i| i.loopback != LoopbackType::None)
            .map(|i| LoopbackFact { name: i.name, kind: i.loopback, address: i.address })
            .collect(),
        dia: device.interfaces.iter().filter(|i| i.role == InterfaceRole::Dia).map(|i| i.name).collect(),
        activated: ends
            .iter()
            .filter(|end| end.status == LinkStatus::Activated)
            .map(|end| ActivatedLink {
                code: end.code,
                interface: end.interface,
                since_ms: clock.time_of(end.since_slot),
            })
            .collect(),
        device_type: device.header.kind,
        has_cyoa: device.interfaces.iter().any(|i| i.role == InterfaceRole::Cyoa),
        wan_in_service: in_service(LinkType::Wan),
        dzx_in_service: in_service(LinkType::Dzx),
        changed_slot,
        changed_ms: clock.time_of(changed_slot),
        shown_slot,
        in_service: device.header.status.is_in_service(device.suspended_from),
        qa_targets,
        qa_joined_ms: qa_joined_slot.map(|slot| clock.time_of(slot)),
    }
}

/// Whether entering this status changes the text of the device's configuration. A generation is that of the text, so
/// only of such a change can it be asked that what runs is younger, where the agent can't say as of which slot it is.
const fn device_change_shows(status: DeviceStatus) -> bool {
    match status {
        DeviceStatus::DeviceProvisioning | DeviceStatus::Drained | DeviceStatus::Suspended => true,
        // From device provisioning on nothing of the device's own text changes; leaving a drain does change it, but
        // whether a device was drained before is not known from its account.
        DeviceStatus::LinkProvisioning | DeviceStatus::Activated => false,
        DeviceStatus::Pending | DeviceStatus::Deleting | DeviceStatus::Rejected => false,
    }
}

/// The same of a link at both its ends, once it has its addresses.
fn link_change_shows(link: &Link) -> bool {
    match link.header.status {
        LinkStatus::Provisioning | LinkStatus::Activated | LinkStatus::SoftDrained | LinkStatus::HardDrained => true,
        LinkStatus::Suspended => !link.tunnel_net.is_none(),
        LinkStatus::Pending | LinkStatus::Requested | LinkStatus::Rejected | LinkStatus::Deleting => false,
    }
}

/// The rank of a verdict byte of this kind.
#[must_use]
pub fn rank_of(kind: Kind, verdict: u8) -> u8 {
    causeway_interface::quorum::verdict_rank(kind.account_type(), verdict).unwrap_or(0)
}
