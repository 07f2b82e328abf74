//! What the ledger says of every device and link at a moment: pure, from one snapshot.

use std::collections::BTreeMap;

use causeway_interface::{AccountType, Code, DeviceHealth, DeviceStatus, LinkHealth, LinkStatus, quorum::verdict_rank};
use causeway_sdk::{
    Snapshot,
    health::{self, SubjectHealth},
};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A device.
    Device,
    /// A link.
    Link,
}

impl Kind {
    /// The word that people see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Link => "link",
        }
    }
}

/// One device or link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Status.
    pub status: &'static str,
    /// Health.
    pub health: &'static str,
    /// Whether it is activated.
    pub activated: bool,
    /// Slots of its burn-in that are over, and in all; none where nothing burns in.
    pub burn_in: Option<(u64, u64)>,
    /// What each oracle says: ready for the next step, not ready, or nothing that counts.
    pub words: Vec<Say>,
}

/// What an oracle says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Say {
    /// Ready for the next step.
    Ready,
    /// Not ready.
    NotReady,
    /// Nothing that counts.
    Nothing,
}

/// Everything at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Board {
    /// The snapshot's slot.
    pub slot: u64,
    /// By kind and code.
    pub rows: BTreeMap<(Kind, Code), Row>,
}

impl Board {
    /// Reads a snapshot; empty before the network exists.
    pub fn of(snapshot: &Snapshot) -> Self {
        let Some(network) = &snapshot.network else { return Self::default() };
        let now = snapshot.slot;
        let devices = snapshot.devices.iter().map(|(key, device)| {
            let health = health::of_device(network, device, snapshot.attestations.get(key), now);
            let header = &device.header;
            let activated = header.status == DeviceStatus::Activated;
            let settled = activated && header.health == DeviceHealth::ReadyForUsers;
            let row = row(AccountType::Device, header.status.name(), header.health.name(), activated, settled, &health);
            ((Kind::Device, device.code), row)
        });
        let links = snapshot.links.iter().map(|(key, link)| {
            let health = health::of_link(network, link, snapshot.attestations.get(key), now);
            let header = &link.header;
            let activated = header.status == LinkStatus::Activated;
            let settled = activated && header.health == LinkHealth::ReadyForService;
            let row = row(AccountType::Link, header.status.name(), header.health.name(), activated, settled, &health);
            ((Kind::Link, link.code), row)
        });
        Self { slot: now, rows: devices.chain(links).collect() }
    }

    /// How many of a kind there are, and how many of them are activated.
    pub fn activated(&self, kind: Kind) -> (usize, usize) {
        let of_kind = || self.rows.iter().filter(|((k, _), _)| *k == kind);
        (of_kind().filter(|(_, row)| row.activated).count(), of_kind().count())
    }

    /// A device or link.
    pub fn row(&self, kind: Kind, code: Code) -> Option<&Row> {
        self.rows.get(&(kind, code))
    }

    /// How many of a kind have which status.
    pub fn statuses(&self, kind: Kind) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for (_, row) in self.rows.iter().filter(|((k, _), _)| *k == kind) {
            *counts.entry(row.status).or_insert(0) += 1;
        }
        counts
    }

    /// How many subjects each oracle holds to be ready for their next step.
    pub fn ready_by_oracle(&self) -> Vec<usize> {
        let oracles = self.rows.values().map(|r| r.words.len()).max().unwrap_or(0);
        (0..oracles).map(|n| self.rows.values().filter(|r| r.words.get(n) == Some(&Say::Ready)).count()).collect()
    }
}

fn row(
    subject: AccountType,
    status: &'static str,
    health_name: &'static str,
    activated: bool,
    settled: bool,
    health: &SubjectHealth,
) -> Row {
    let needed = health.terms.burn_in;
    let burn_in = match health.burn_in_left_slots {
        Some(left) if !settled && left > 0 => Some((needed.saturating_sub(left), needed)),
        Some(_) | None => None,
    };
    let words = health
        .oracles
        .iter()
        .map(|word| match word.verdict {
            Some(verdict) if word.fresh => match verdict_rank(subject, verdict) {
                Some(rank) if rank >= health.target_rank => Say::Ready,
                Some(_) | None => Say::NotReady,
            },
            Some(_) | None => Say::Nothing,
        })
        .collect();
    Row { status, health: health_name, activated, burn_in, words }
}
