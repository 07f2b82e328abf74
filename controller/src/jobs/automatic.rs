//! Jobs that a change on the ledger starts.
//!
//! Off unless it is switched on, and then dry runs, unless a device or its contributor is opted in to commits. Only devices
//! that are provisioned by jobs have them: everybody else is served what the ledger asks for at once. [`decide`] and
//! [`Pending`] are pure; [`follow`] carries out what they say. The switch can be thrown at any moment; what waits then is
//! forgotten.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use causeway_interface::{
    Code, DesiredStatus, DeviceStatus, Key, LinkStatus,
    accounts::{Device, Interface},
};
use causeway_jobs::{
    desk::AskError,
    kinds::Request,
    spec::{Kind, Mode, Target, Trigger},
    store::StoreError,
};
use causeway_sdk::snapshot::Snapshot;
use tokio::sync::broadcast::error::RecvError;

use super::{Jobs, port};
use crate::{
    events::Change,
    shared::{Shared, now_ms},
    store::Store,
};

/// A device that changes all the time is brought to where it is after so many quiet times at the latest.
const PATIENCE: u64 = 10;
/// Devices that wait at most: all of the largest network known, many times over.
const MAX_PENDING: usize = 100_000;
/// Between two looks at what waits.
const LOOK: Duration = Duration::from_millis(250);
/// Who asks.
const ACTOR: &str = "automatic";

/// What of a device can change on the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// Its status.
    Status,
    /// Its desired status.
    Desired,
    /// Its interfaces.
    Interfaces,
    /// Its links: which, their status and what their metric comes from.
    Links,
    /// Its addresses, place, platform and keys.
    Record,
    /// Of another device: a new peer.
    Others,
}

impl Field {
    /// Every field.
    pub const ALL: [Self; 6] = [Self::Status, Self::Desired, Self::Interfaces, Self::Links, Self::Record, Self::Others];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Desired => "desired",
            Self::Interfaces => "interfaces",
            Self::Links => "links",
            Self::Record => "record",
            Self::Others => "others",
        }
    }
}

impl std::str::FromStr for Field {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        Self::ALL.into_iter().find(|field| field.name() == text).ok_or_else(|| format!("it is none of {}", names()))
    }
}

/// What starts jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutomaticConfig {
    /// At all.
    pub enabled: bool,
    /// A change of one of these counts.
    pub fields: BTreeSet<Field>,
    /// Of devices in one of these.
    pub statuses: BTreeSet<DeviceStatus>,
    /// Devices whose jobs change something; everybody else's are dry runs.
    pub commit_devices: BTreeSet<Code>,
    /// The same of contributors.
    pub commit_contributors: BTreeSet<Code>,
    /// A job begins after the ledger has been quiet about the device for so long.
    pub debounce: Duration,
}

impl Default for AutomaticConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            fields: BTreeSet::from(Field::ALL),
            // Of a device that is not addressed yet, or gone, nothing is made.
            statuses: BTreeSet::from([
                DeviceStatus::Activated,
                DeviceStatus::Drained,
                DeviceStatus::DeviceProvisioning,
                DeviceStatus::LinkProvisioning,
                DeviceStatus::Suspended,
            ]),
            commit_devices: BTreeSet::new(),
            commit_contributors: BTreeSet::new(),
            debounce: Duration::from_secs(5),
        }
    }
}

/// A device whose configuration would be another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Its code.
    pub device: Code,
    /// Its contributor's.
    pub contributor: Option<Code>,
    /// Its status now.
    pub status: DeviceStatus,
    /// What of it has changed.
    pub fields: BTreeSet<Field>,
}

/// The job that a change starts, if it does.
#[must_use]
pub fn decide(config: &AutomaticConfig, enabled: bool, by_jobs: bool, changed: &Changed) -> Option<Kind> {
    let counts = config.statuses.contains(&changed.status) && !config.fields.is_disjoint(&changed.fields);
    if !enabled || !by_jobs || !counts {
        return None;
    }
    let commits = config.commit_devices.contains(&changed.device)
        || changed.contributor.is_some_and(|contributor| config.commit_contributors.contains(&contributor));
    Some(if commits { Kind::Provision } else { Kind::DryRun })
}

#[derive(Clone, Debug)]
struct Waits {
    first_ms: u64,
    last_ms: u64,
    fields: BTreeSet<Field>,
}

/// Devices that changed and wait until the ledger is quiet about them. Time comes in.
#[derive(Debug, Default)]
pub struct Pending(BTreeMap<Code, Waits>);

impl Pending {
    /// Notes a change.
    pub fn note(&mut self, device: Code, fields: BTreeSet<Field>, now_ms: u64) {
        if self.0.len() >= MAX_PENDING && !self.0.contains_key(&device) {
            return;
        }
        let new = || Waits { first_ms: now_ms, last_ms: now_ms, fields: BTreeSet::new() };
        let waits = self.0.entry(device).or_insert_with(new);
        waits.last_ms = now_ms;
        waits.fields.extend(fields);
    }

    /// Devices that have waited for long enough, with what has changed of each.
    pub fn due(&mut self, debounce_ms: u64, now_ms: u64) -> Vec<(Code, BTreeSet<Field>)> {
        let is_due = |waits: &Waits| {
            now_ms.saturating_sub(waits.last_ms) >= debounce_ms
                || now_ms.saturating_sub(waits.first_ms) >= debounce_ms.saturating_mul(PATIENCE)
        };
        let due: Vec<Code> = self.0.iter().filter(|(_, waits)| is_due(waits)).map(|(code, _)| *code).collect();
        due.into_iter().filter_map(|code| Some((code, self.0.remove(&code)?.fields))).collect()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// Of a link, what a configuration has of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SeenLink {
    key: Key,
    status: LinkStatus,
    delay_ns: u64,
    delay_override_ns: u64,
    mtu: u16,
}

/// Of a device, what a change is told by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    status: DeviceStatus,
    desired: DesiredStatus,
    interfaces: Vec<Interface>,
    links: Vec<SeenLink>,
    record: (Key, Key, Key, String),
}

impl Seen {
    fn of(snapshot: &Snapshot, device: &Device) -> Self {
        let links = device.interfaces.iter().filter_map(|interface| {
            let link = snapshot.links.get(&interface.link)?;
            Some(SeenLink {
                key: interface.link,
                status: link.header.status,
                delay_ns: link.delay_ns,
                delay_override_ns: link.delay_override_ns,
                mtu: link.mtu,
            })
        });
        let words = format!(
            "{:?} {:?} {:?} {:?} {}",
            device.platform, device.public_ip, device.dz_prefixes, device.management_vrf, device.dz_prefix_count
        );
        Self {
            status: device.header.status,
            desired: device.header.desired,
            interfaces: device.interfaces.clone(),
            links: links.collect(),
            record: (device.location, device.exchange, device.agent_key, words),
        }
    }

    /// What differs; where nothing of the device itself does, it is others'.
    #[must_use]
    pub fn differs(&self, after: &Self) -> BTreeSet<Field> {
        let mut fields = BTreeSet::new();
        for (field, differs) in [
            (Field::Status, self.status != after.status),
            (Field::Desired, self.desired != after.desired),
            (Field::Interfaces, self.interfaces != after.interfaces),
            (Field::Links, self.links != after.links),
            (Field::Record, self.record != after.record),
        ] {
            if differs {
                fields.insert(field);
            }
        }
        if fields.is_empty() {
            fields.insert(Field::Others);
        }
        fields
    }
}

/// Whether changes start jobs, for a person to throw at any moment.
#[derive(Debug)]
pub struct Switch(AtomicBool);

impl Switch {
    /// As it is set.
    #[must_use]
    pub const fn new(on: bool) -> Self {
        Self(AtomicBool::new(on))
    }

    /// Whether it is on.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Throws it; how it was.
    pub fn set(&self, on: bool) -> bool {
        self.0.swap(on, Ordering::AcqRel)
    }
}

fn seen(store: &Store, device: &Code) -> Option<Seen> {
    Some(Seen::of(store.effective()?, store.device(device)?))
}

/// What of a device that jobs provision has changed since it was last looked at.
fn look(shared: &Shared, known: &mut BTreeMap<Code, Seen>, device: &Code) -> Option<BTreeSet<Field>> {
    let store = shared.store();
    if !shared.is_by_jobs(&store, device) {
        return None;
    }
    let now = seen(&store, device)?;
    let before = known.insert(*device, now.clone());
    before.map(|before| before.differs(&now))
}

/// The devices that jobs provision, as they are.
fn baseline(shared: &Shared) -> BTreeMap<Code, Seen> {
    let store = shared.store();
    let by_jobs = store.entries().keys().filter(|device| shared.is_by_jobs(&store, device));
    by_jobs.filter_map(|device| Some((*device, seen(&store, device)?))).collect()
}

/// The job for a device that has changed, if there is to be one.
fn request(
    shared: &Shared,
    config: &AutomaticConfig,
    on: bool,
    device: Code,
    fields: BTreeSet<Field>,
) -> Option<Request> {
    let store = shared.store();
    let record = store.device(&device)?;
    let current = store.entry(&device)?.current.as_ref()?;
    // What was changed and changed back needs nothing.
    if shared.orders.of(&device).kept.is_some_and(|kept| kept.sha256 == current.sha256) {
        return None;
    }
    let contributor = store.effective()?.contributors.get(&record.contributor).map(|contributor| contributor.code);
    let changed = Changed { device, contributor, status: record.header.status, fields };
    let kind = decide(config, on, shared.is_by_jobs(&store, &device), &changed)?;
    let target = Target { device, family: port::family(current.family), transport: port::usual(shared, &device) };
    Some(Request {
        kind,
        targets: vec![target],
        generation: None,
        mode: Mode::Replace,
        trigger: Trigger::Automatic,
        actor: ACTOR.to_owned(),
        parent: None,
    })
}

/// Starts jobs for what changes on the ledger, until the controller stops.
pub async fn follow(shared: Arc<Shared>, jobs: Arc<Jobs>, config: AutomaticConfig) {
    let mut stopping = shared.stopping.clone();
    let mut live = shared.events.resume(None).live;
    let mut known = baseline(&shared);
    let mut pending = Pending::default();
    let debounce_ms = u64::try_from(config.debounce.as_millis()).unwrap_or(u64::MAX);
    loop {
        let news = tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            news = live.recv() => Some(news),
            () = tokio::time::sleep(LOOK) => None,
        };
        match news.map(|news| news.map(|event| event.change.clone())) {
            Some(Ok(Change::ConfigChanged { device, .. })) => {
                if let Some(fields) = look(&shared, &mut known, &device).filter(|_| jobs.automatic.is_on()) {
                    pending.note(device, fields, now_ms());
                }
            }
            // Too much happened at once to be told one by one: everybody is looked at.
            Some(Err(RecvError::Lagged(_))) => {
                for (device, now) in baseline(&shared) {
                    let before = known.insert(device, now.clone());
                    if before.is_some_and(|before| before != now) && jobs.automatic.is_on() {
                        pending.note(device, BTreeSet::from(Field::ALL), now_ms());
                    }
                }
            }
            Some(Err(RecvError::Closed)) => return,
            Some(Ok(_)) | None => {}
        }
        if !jobs.automatic.is_on() {
            pending.clear();
        }
        for (device, fields) in pending.due(debounce_ms, now_ms()) {
            let Some(request) = request(&shared, &config, jobs.automatic.is_on(), device, fields.clone()) else {
                continue;
            };
            let named: Vec<&str> = fields.iter().map(|field| field.name()).collect();
            match jobs.desk.start(&request, None).await {
                Ok(job) => {
                    tracing::info!(%job, %device, kind = request.kind.name(), changed = ?named, "the ledger started a job");
                }
                // After the job that has the device now, or when the store is back.
                Err(error @ AskError::Store(StoreError::Busy { .. })) => {
                    tracing::debug!(%device, %error, "the ledger's job waits");
                    pending.note(device, fields, now_ms());
                }
                Err(AskError::Store(error)) if error.is_away() => {
                    tracing::warn!(%device, %error, "the ledger's job can't be started yet");
                    pending.note(device, fields, now_ms());
                }
                Err(error) => tracing::warn!(%device, %error, "the ledger's job can't be started"),
            }
        }
    }
}

#[cfg(test)]
#[path = "automatic_tests.rs"]
mod tests;
