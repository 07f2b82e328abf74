//! What `Advance` would do to a device or link now, and why not more.
//!
//! Pure: the same functions that the program obeys, over a snapshot. A prediction is as good as its snapshot: the
//! program decides again with what is there when the transaction lands.

use causeway_interface::{
    DeviceHealth, DeviceStatus, InterfaceRole, Key, LinkHealth, LinkStatus, LoopbackType, NetworkStatus,
    RegistryStatus,
    accounts::{Device, Link, Network},
    lifecycle::{self, Outcome, Roles},
};

use crate::{
    health::{self, SubjectHealth},
    snapshot::Snapshot,
};

/// What a snapshot lacks for a prediction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PredictError {
    /// No network account.
    #[error("the snapshot holds no network")]
    NoNetwork,
    /// Neither a device nor a link.
    #[error("the snapshot holds no device or link {0}")]
    NoSubject(Key),
    /// Something that the subject refers to.
    #[error("the snapshot holds no {what} {key}")]
    Missing {
        /// What it is.
        what: &'static str,
        /// Its address.
        key: Key,
    },
}

/// What `Advance` would make of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prediction<S, H, R> {
    /// Health before.
    pub health_before: H,
    /// Health after.
    pub health: H,
    /// The transition, or why there is none.
    pub transition: Result<Outcome<S>, R>,
    /// What the oracles say, and how much of the burn-in is left.
    pub detail: SubjectHealth,
}

impl<S, H: PartialEq, R> Prediction<S, H, R> {
    /// Whether `Advance` would change anything.
    pub fn changes(&self) -> bool {
        self.health != self.health_before || self.transition.is_ok()
    }
}

/// A device's prediction.
pub type DevicePrediction = Prediction<DeviceStatus, DeviceHealth, lifecycle::device::Refusal>;
/// A link's prediction.
pub type LinkPrediction = Prediction<LinkStatus, LinkHealth, lifecycle::link::Refusal>;

fn network(snapshot: &Snapshot) -> Result<&Network, PredictError> {
    snapshot.network.as_ref().ok_or(PredictError::NoNetwork)
}

fn active(status: RegistryStatus) -> bool {
    match status {
        RegistryStatus::Activated => true,
        RegistryStatus::Suspended => false,
    }
}

fn registry_active(snapshot: &Snapshot, contributor: &Key, device: &Device) -> Result<bool, PredictError> {
    let missing = |what: &'static str, key: &Key| PredictError::Missing { what, key: *key };
    let c = snapshot.contributors.get(contributor).ok_or_else(|| missing("contributor", contributor))?;
    let l = snapshot.locations.get(&device.location).ok_or_else(|| missing("location", &device.location))?;
    let e = snapshot.exchanges.get(&device.exchange).ok_or_else(|| missing("exchange", &device.exchange))?;
    Ok(active(c.header.status) && active(l.header.status) && active(e.header.status))
}

/// Whether the fields that provisioning needs are there: a public address, the agent's key, the telemetry key and both
/// routing loopbacks.
#[must_use]
pub fn fields_complete(device: &Device) -> bool {
    let loopback = |kind: LoopbackType| device.interfaces.iter().any(|i| i.loopback == kind);
    !device.public_ip.is_zero()
        && !device.agent_key.is_zero()
        && !device.telemetry_key.is_zero()
        && loopback(LoopbackType::Vpnv4)
        && loopback(LoopbackType::Ipv4)
}

/// What the state machine decides a subject's moves by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case<S, F> {
    /// What the subject is, its health recomputed from what the oracles say.
    pub state: S,
    /// What is so around it.
    pub facts: F,
    /// What the oracles say, and how much of the burn-in is left.
    pub detail: SubjectHealth,
}

/// A device's case.
pub type DeviceCase = Case<lifecycle::device::State, lifecycle::device::Facts>;
/// A link's case.
pub type LinkCase = Case<lifecycle::link::State, lifecycle::link::Facts>;

/// What `Advance` would do to the device at `key` in slot `now`.
///
/// # Errors
/// The snapshot lacks the device or something that it refers to.
pub fn device(snapshot: &Snapshot, key: &Key, now: u64) -> Result<DevicePrediction, PredictError> {
    let DeviceCase { state, facts, detail } = device_case(snapshot, key, now)?;
    let transition = lifecycle::device::decide(&state, lifecycle::device::Event::Advance, &facts, Roles::ANYONE);
    let health_before = snapshot.devices.get(key).map_or(state.health, |device| device.header.health);
    Ok(Prediction { health_before, health: state.health, transition, detail })
}

/// What the moves of the device at `key` are decided by in slot `now`.
///
/// # Errors
/// The snapshot lacks the device or something that it refers to.
pub fn device_case(snapshot: &Snapshot, key: &Key, now: u64) -> Result<DeviceCase, PredictError> {
    let network = network(snapshot)?;
    let device = snapshot.devices.get(key).ok_or(PredictError::NoSubject(*key))?;
    let detail = health::of_device(network, device, snapshot.attestations.get(key), now);
    let health = device.header.health.next(device.header.status, device.suspended_from, &detail.tally, network.quorum);
    let state = lifecycle::device::State {
        status: device.header.status,
        health,
        desired: device.header.desired,
        suspended_from: device.suspended_from,
    };
    let facts = lifecycle::device::Facts {
        network_running: network.header.status == NetworkStatus::Running,
        registry_active: registry_active(snapshot, &device.contributor, device)?,
        fields_complete: fields_complete(device),
        burned_in_for_links: detail.tally.held_through_burn_in(DeviceHealth::ReadyForLinks.rank(), network.quorum),
        burned_in_for_users: detail.tally.held_through_burn_in(DeviceHealth::ReadyForUsers.rank(), network.quorum),
        maintenance_burned_in: detail.tally.held_since_status(DeviceHealth::ReadyForUsers.rank(), network.quorum),
        links: device.link_count,
        device_type: device.header.kind,
        has_cyoa: device.interfaces.iter().any(|i| i.role == InterfaceRole::Cyoa),
        activated_wan_links: device.activated_wan_links,
        activated_dzx_links: device.activated_dzx_links,
    };
    Ok(Case { state, facts, detail })
}

/// What `Advance` would do to the link at `key` in slot `now`.
///
/// # Errors
/// The snapshot lacks the link or something that it refers to.
pub fn link(snapshot: &Snapshot, key: &Key, now: u64) -> Result<LinkPrediction, PredictError> {
    let LinkCase { state, facts, detail } = link_case(snapshot, key, now)?;
    let transition = lifecycle::link::decide(&state, lifecycle::link::Event::Advance, &facts, Roles::ANYONE);
    let health_before = snapshot.links.get(key).map_or(state.health, |link| link.header.health);
    Ok(Prediction { health_before, health: state.health, transition, detail })
}

/// What the moves of the link at `key` are decided by in slot `now`. Whether a link's interfaces fit matters before it is
/// there only, and counts as true.
///
/// # Errors
/// The snapshot lacks the link or something that it refers to.
pub fn link_case(snapshot: &Snapshot, key: &Key, now: u64) -> Result<LinkCase, PredictError> {
    let network = network(snapshot)?;
    let link: &Link = snapshot.links.get(key).ok_or(PredictError::NoSubject(*key))?;
    let side = |key: &Key| snapshot.devices.get(key).ok_or(PredictError::Missing { what: "device", key: *key });
    let (a, z) = (side(&link.device_a)?, side(&link.device_z)?);
    let detail = health::of_link(network, link, snapshot.attestations.get(key), now);
    let health = link.header.health.next(link.header.status, link.suspended_from, &detail.tally, network.quorum);
    let state = lifecycle::link::State {
        status: link.header.status,
        health,
        desired: link.header.desired,
        suspended_from: link.suspended_from,
    };
    let facts = lifecycle::link::Facts {
        link_type: link.header.kind,
        network_running: network.header.status == NetworkStatus::Running,
        registry_active: registry_active(snapshot, &link.contributor_a, a)?
            && registry_active(snapshot, &link.contributor_z, z)?,
        interfaces_fit: true,
        devices: [a.header.status, z.header.status],
        burned_in: detail.tally.held_through_burn_in(LinkHealth::ReadyForService.rank(), network.quorum),
        maintenance_burned_in: detail.tally.held_since_status(LinkHealth::ReadyForService.rank(), network.quorum),
    };
    Ok(Case { state, facts, detail })
}

#[cfg(test)]
#[path = "predict_tests.rs"]
mod tests;
