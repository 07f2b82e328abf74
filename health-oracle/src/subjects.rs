//! From a ledger snapshot to what has to be judged, and by which data. Pure.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::OnceLock,
};

use causeway_interface::{
    AccountType, Code, DeviceStatus, InterfaceRole, Key, LinkStatus, LinkType, LoopbackType,
    accounts::{Device, LINK_FLAG_Z_ATTACHED, Link, Network},
};
use causeway_sdk::{Snapshot, qa::Qa};

use crate::{
    book::RuleBook,
    criteria::{
        Verdict,
        coverage::{Rules, Window},
        device::{ActivatedLink, DeviceFacts, LoopbackFact, evaluate_device},
        link::{LinkFacts, evaluate_link},
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
    /// What its evidence shows; none where no evidence was asked for.
    pub basis: Option<Basis>,
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

    fn link_window(&self, key: &Key, link: &Link) -> Window {
        let rules = self.rules.for_link(link.header.kind);
        self.window(key, link.header.status.is_in_service(link.suspended_from), rules)
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
    #[must_use]
    pub fn judge(&self, fleet: &Fleet, only: Option<&HashSet<Key>>) -> Vec<Judged> {
        let asked = |key: &Key| only.is_none_or(|only| only.contains(key));
        let shown = only.is_some();
        let silent = DeviceTelemetry::default();
        let seats = seats(self.snapshot, fleet, &silent, asked);
        let standards = self.rules.map(|rules| Standard::from(rules));
        // Asked of new devices only, and a look at everything: made by the first that needs it.
        let made = OnceLock::new();
        let qa = || made.get_or_init(|| Qa::new(self.snapshot));
        let device = |(key, device): &(&Key, &Device)| {
            let seat = seats.get(*key)?;
            let facts = device_facts(key, device, &seat.ends, qa, self.clock);
            let standard = standards.for_device(device.header.kind);
            Some(self.judge_device(key, device, facts, seat.telemetry, standard, shown))
        };
        let link = |(key, link): &(&Key, &Link)| {
            let (a, z) = (seats.get(&link.device_a)?, seats.get(&link.device_z)?);
            let standard = standards.for_link(link.header.kind);
            Some(self.judge_link(key, link, [a.device, z.device], [a.telemetry, z.telemetry], standard, shown))
        };
        let devices: Vec<_> = self
            .snapshot
            .devices
            .iter()
            .filter(|(key, device)| asked(key) && is_judged_device(device.header.status))
            .collect();
        let links: Vec<_> =
            self.snapshot.links.iter().filter(|(key, link)| asked(key) && is_judged_link(link.header.status)).collect();
        let mut judged = shared(&devices, device);
        judged.extend(shared(&links, link));
        judged
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
            Basis { buckets: window, facts: Facts::Device(facts), exhibits }
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
        devices: [&Device; 2],
        telemetry: [&DeviceTelemetry; 2],
        standard: &Standard,
        shown: bool,
    ) -> Judged {
        let window = self.link_window(key, link);
        let [a, z] = devices;
        let facts = LinkFacts {
            code: link.code,
            status: link.header.status,
            status_since_ms: self.clock.time_of(link.header.status_since_slot),
            ends: [(a.code, link.interface_a), (z.code, link.interface_z)],
        };
        let verdict = evaluate_link(&window, &facts, telemetry, standard, self.now_ms);
        let basis = shown.then(|| {
            let shown = facts.ends.iter().zip(telemetry).map(|((device, interface), telemetry)| {
                let own = std::slice::from_ref(interface);
                let links = std::slice::from_ref(&link.code);
                let asked = Asked { interfaces: own, adjacencies: own, links, ..Asked::default() };
                Exhibit::of(*device, telemetry, &asked, window.start, window.end)
            });
            Basis { buckets: window, facts: Facts::Link(facts), exhibits: shown.collect() }
        });
        let digests = devices.iter().zip(telemetry).map(|(d, t)| TelemetryDigest::new(d.code, t.chain));
        Judged {
            key: *key,
            code: link.code,
            kind: Kind::Link,
            in_service: link.header.status.is_in_service(link.suspended_from),
            verdict,
            window: self.evidence_window(&window),
            telemetry: digests.collect(),
            basis,
        }
    }
}

/// Subjects that are worth a thread of their own.
const SUBJECTS_PER_THREAD: usize = 1_000;

/// What `judge` says of each item, in order; many items are shared among the machine's cores.
fn shared<T: Sync, R: Send>(items: &[T], judge: impl Fn(&T) -> Option<R> + Sync) -> Vec<R> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.min(items.len() / SUBJECTS_PER_THREAD).max(1);
    if threads == 1 {
        return items.iter().filter_map(judge).collect();
    }
    let judge = &judge;
    std::thread::scope(|scope| {
        let chunks = items.chunks(items.len().div_ceil(threads));
        let running: Vec<_> = chunks
            .map(|chunk| (chunk, scope.spawn(move || chunk.iter().filter_map(judge).collect::<Vec<R>>())))
            .collect();
        let joined = running.into_iter().map(|(chunk, thread)| {
            // A thread that died would leave its subjects out: they are judged here, and the same panic goes on.
            thread.join().unwrap_or_else(|_| chunk.iter().filter_map(judge).collect())
        });
        joined.flatten().collect()
    })
}

/// A link as one of its devices sees it.
#[derive(Clone, Copy)]
struct End<'a> {
    link: &'a Link,
    is_a: bool,
}

impl End<'_> {
    fn interface(&self) -> causeway_interface::InterfaceName {
        if self.is_a { self.link.interface_a } else { self.link.interface_z }
    }

    /// Whether the link is this device's matter: side Z's only once it has accepted, so that a stranger's requests are
    /// no changes of it.
    fn holds(&self) -> bool {
        self.is_a || self.link.header.flags & LINK_FLAG_Z_ATTACHED != 0
    }
}

/// A device with what is known of it, so that each is looked up once.
struct Seat<'a> {
    device: &'a Device,
    telemetry: &'a DeviceTelemetry,
    /// Whether the device itself is judged; only then its ends are gathered.
    is_asked: bool,
    ends: Vec<End<'a>>,
}

/// Every device's; `silent` is what is known of one that never said anything.
fn seats<'a>(
    snapshot: &'a Snapshot,
    fleet: &'a Fleet,
    silent: &'a DeviceTelemetry,
    is_asked: impl Fn(&Key) -> bool,
) -> HashMap<Key, Seat<'a>> {
    let seat = |(key, device): (&'a Key, &'a Device)| {
        let telemetry = fleet.device(&device.code).unwrap_or(silent);
        (*key, Seat { device, telemetry, is_asked: is_asked(key), ends: Vec::new() })
    };
    let mut seats: HashMap<_, _> = snapshot.devices.iter().map(seat).collect();
    for link in snapshot.links.values() {
        for (device, is_a) in [(&link.device_a, true), (&link.device_z, false)] {
            // Of a device that can't be read nothing is judged.
            if let Some(seat) = seats.get_mut(device).filter(|seat| seat.is_asked) {
                seat.ends.push(End { link, is_a });
            }
        }
    }
    seats
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
            end.link.header.kind == kind
                && matches!(
                    end.link.header.status,
                    LinkStatus::Activated | LinkStatus::SoftDrained | LinkStatus::HardDrained
                )
        };
        u32::try_from(ends.iter().filter(counts).count()).unwrap_or(u32::MAX)
    };
    let latest = |own: u64, shows: fn(&Link) -> bool| {
        let changes = ends.iter().filter(|end| end.holds() && shows(end.link));
        changes.map(|end| end.link.header.status_since_slot).fold(own, u64::max)
    };
    let own = device.header.status_since_slot;
    let changed_slot = latest(own, |_| true);
    let shown_slot = latest(if device_change_shows(device.header.status) { own } else { 0 }, link_change_shows);
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
            .filter(|end| end.link.header.status == LinkStatus::Activated)
            .map(|end| ActivatedLink {
                code: end.link.code,
                interface: end.interface(),
                since_ms: clock.time_of(end.link.header.status_since_slot),
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
