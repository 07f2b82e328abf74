//! The device's state machine, from the design's section 2.3 as rfcs/0005 has it.
//!
//! What is asked for is refused in this order: no row for the event in this status; the signer may not; the first of
//! the row's needs that is not met.

use causeway_interface::{DesiredStatus, DeviceHealth, DeviceStatus as S, DeviceType, ErrorCode};

use super::{
    Answer, Suspended, Who,
    health::{
        BURNED_IN, BURNED_IN_FOR_LINKS, BURNED_IN_SINCE_STATUS, DEVICE_BEFORE_SERVICE, DEVICE_IN_SERVICE, Said, row,
    },
};

/// Whether the program refuses to reject a device that has activated links (`DeviceHasLinks`): the links would be left
/// in service on a device that is out.
pub const REJECT_ASKS_FOR_NO_ACTIVATED_LINKS: bool = true;

/// What is asked of a device that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// `CreateDevice` under its code.
    Create,
    /// `ProvisionDevice`.
    Provision,
    /// `SuspendDevice`.
    Suspend,
    /// `ResumeDevice`.
    Resume,
    /// `RejectDevice`.
    Reject,
    /// `DeleteDevice`.
    Delete,
    /// `CloseDevice`.
    Close,
    /// `SetDeviceDesired`.
    Want(DesiredStatus),
}

impl Event {
    /// Every event but `Advance`, which has tables of its own.
    pub const ALL: [Event; 11] = [
        Event::Create,
        Event::Provision,
        Event::Suspend,
        Event::Resume,
        Event::Reject,
        Event::Delete,
        Event::Close,
        Event::Want(DesiredStatus::Pending),
        Event::Want(DesiredStatus::Activated),
        Event::Want(DesiredStatus::HardDrained),
        Event::Want(DesiredStatus::SoftDrained),
    ];
}

/// What has to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The network is not paused.
    Running,
    /// Contributor, location and exchange are in good standing.
    Registry,
    /// Public IP, agent key, telemetry key and both routing loopbacks are there.
    Fields,
    /// No link holds an interface of it.
    NoLinks,
    /// None of its links is in service.
    NoActivatedLinks,
    /// The code is free.
    CodeFree,
    /// It is not so already.
    Change,
    /// A link is in service.
    ActivatedLink,
    /// The type's shape holds.
    Shape,
    /// Health is ready for links or better.
    HealthForLinks,
    /// Health is ready for users.
    HealthForUsers,
    /// A quorum's streaks at ready for links are as long as the burn-in before service.
    BurnedInForLinks,
    /// A quorum's streaks at ready for users are.
    BurnedInForUsers,
    /// A quorum's streaks at ready for users since the drain are as long as the burn-in of maintenance.
    BurnedInSinceDrain,
}

/// Where it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leads {
    /// To this status.
    To(S),
    /// Where [`RESUMES`] says.
    Back,
    /// Out of the ledger.
    Gone,
    /// To another wish.
    Wanted,
    /// Nowhere: some need is never met.
    Never,
}

/// Somebody asks for something.
pub struct Order {
    /// What.
    pub on: fn(Event) -> bool,
    /// In which statuses.
    pub from: &'static [S],
    /// Who may.
    pub who: &'static [Who],
    /// The error for everybody else.
    pub else_: ErrorCode,
    /// What has to hold.
    pub needs: &'static [Need],
    /// Where it leads.
    pub leads: Leads,
}

const ANY: &[S] = &[
    S::Pending,
    S::Activated,
    S::Suspended,
    S::Deleting,
    S::Rejected,
    S::Drained,
    S::DeviceProvisioning,
    S::LinkProvisioning,
];
const LIVE: &[S] = &[S::Pending, S::DeviceProvisioning, S::LinkProvisioning, S::Activated, S::Drained];
const NOT_YET_IN_SERVICE: &[S] = &[S::Pending, S::DeviceProvisioning, S::LinkProvisioning];
const NOT_IN_SERVICE: &[S] =
    &[S::Pending, S::DeviceProvisioning, S::LinkProvisioning, S::Drained, S::Suspended, S::Rejected];
const NOT_ON_ITS_WAY_OUT: &[S] =
    &[S::Pending, S::DeviceProvisioning, S::LinkProvisioning, S::Activated, S::Drained, S::Suspended];

const REJECT_NEEDS: &[Need] = if REJECT_ASKS_FOR_NO_ACTIVATED_LINKS { &[Need::NoActivatedLinks] } else { &[] };

const fn order(on: fn(Event) -> bool, from: &'static [S], who: &'static [Who], else_: ErrorCode) -> Order {
    Order { on, from, who, else_, needs: &[], leads: Leads::Never }
}

const OWNER: &[Who] = &[Who::Owner];
const AUTHORITY: &[Who] = &[Who::Authority];
const EITHER: &[Who] = &[Who::Owner, Who::Authority];
const NOT_OWNER: ErrorCode = ErrorCode::NotDeviceOwner;
const NOT_AUTHORITY: ErrorCode = ErrorCode::NotAuthority;

/// The rows.
#[rustfmt::skip]
pub const ORDERS: [Order; 8] = [
    Order { needs: &[Need::Running, Need::Registry, Need::CodeFree], leads: Leads::Never,
        ..order(|e| e == Event::Create, ANY, OWNER, NOT_OWNER) },
    Order { needs: &[Need::Running, Need::Registry, Need::Fields], leads: Leads::To(S::DeviceProvisioning),
        ..order(|e| e == Event::Provision, &[S::Pending], OWNER, NOT_OWNER) },
    Order { needs: &[], leads: Leads::To(S::Suspended),
        ..order(|e| e == Event::Suspend, LIVE, AUTHORITY, NOT_AUTHORITY) },
    Order { needs: &[Need::Running], leads: Leads::Back,
        ..order(|e| e == Event::Resume, &[S::Suspended], AUTHORITY, NOT_AUTHORITY) },
    Order { needs: REJECT_NEEDS, leads: Leads::To(S::Rejected),
        ..order(|e| e == Event::Reject, NOT_YET_IN_SERVICE, AUTHORITY, NOT_AUTHORITY) },
    Order { needs: &[Need::NoLinks], leads: Leads::To(S::Deleting),
        ..order(|e| e == Event::Delete, NOT_IN_SERVICE, EITHER, NOT_OWNER) },
    Order { needs: &[Need::NoLinks], leads: Leads::Gone,
        ..order(|e| e == Event::Close, &[S::Deleting], EITHER, NOT_OWNER) },
    Order { needs: &[Need::Change], leads: Leads::Wanted,
        ..order(|e| matches!(e, Event::Want(_)), NOT_ON_ITS_WAY_OUT, &[Who::Owner, Who::Operations], NOT_OWNER) },
];

/// What a suspended device returns to, by the status that it left.
pub const RESUMES: &[(S, S)] = &[
    (S::Pending, S::Pending),
    (S::DeviceProvisioning, S::DeviceProvisioning),
    (S::LinkProvisioning, S::LinkProvisioning),
    (S::Activated, S::Drained),
    (S::Drained, S::Drained),
];

/// What an `Advance` does, by status and by what is wanted. Where a need is not met nothing moves.
#[rustfmt::skip]
pub const MOVES: &[(S, &[DesiredStatus], &[Need], S)] = &[
    (S::DeviceProvisioning, &[DesiredStatus::Activated],
        &[Need::Running, Need::Registry, Need::HealthForLinks, Need::BurnedInForLinks], S::LinkProvisioning),
    (S::LinkProvisioning, &[DesiredStatus::Activated],
        &[Need::Running, Need::Registry, Need::ActivatedLink, Need::Shape, Need::HealthForUsers, Need::BurnedInForUsers],
        S::Activated),
    (S::Activated, &[DesiredStatus::HardDrained, DesiredStatus::SoftDrained], &[], S::Drained),
    (S::Drained, &[DesiredStatus::Activated],
        &[Need::Running, Need::Registry, Need::HealthForUsers, Need::BurnedInSinceDrain], S::Activated),
];

/// Where each type's shape holds: type, an interface for users, activated WAN links, activated DZX links.
#[rustfmt::skip]
pub const SHAPES: &[(DeviceType, bool, &[u32], &[u32])] = &[
    (DeviceType::Edge,    true,  &[0],       &[1, 2]),
    (DeviceType::Transit, false, &[2],       &[0, 1, 2]),
    (DeviceType::Transit, false, &[1],       &[1, 2]),
    (DeviceType::Hybrid,  true,  &[1, 2],    &[0, 1, 2]),
];

/// What is around a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Around {
    /// The breaker is not tripped.
    pub running: bool,
    /// What of the registry above it is suspended.
    pub suspended: Suspended,
    /// It has an agent key.
    pub complete: bool,
    /// Links that hold an interface of it.
    pub links: u32,
    /// Activated WAN links.
    pub wan: u32,
    /// Activated DZX links.
    pub dzx: u32,
    /// Its type.
    pub device_type: DeviceType,
    /// It has an interface for users.
    pub cyoa: bool,
}

/// A hybrid device with a WAN link in service, in a network where all is well.
pub const FINE: Around = Around {
    running: true,
    suspended: Suspended::Nobody,
    complete: true,
    links: 1,
    wan: 1,
    dzx: 0,
    device_type: DeviceType::Hybrid,
    cyoa: true,
};

/// Other surroundings, each with one thing that is not well or not there.
pub const AROUND: [Around; 8] = [
    Around { running: false, ..FINE },
    Around { suspended: Suspended::Contributor, ..FINE },
    Around { suspended: Suspended::Location, ..FINE },
    Around { suspended: Suspended::Exchange, ..FINE },
    Around { complete: false, ..FINE },
    Around { links: 0, wan: 0, ..FINE },
    Around { wan: 0, ..FINE },
    Around { wan: 0, dzx: 1, ..FINE },
];

/// What the device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Status.
    pub status: S,
    /// The status that it left, while suspended.
    pub left: S,
    /// Health.
    pub health: DeviceHealth,
    /// What is wanted.
    pub desired: DesiredStatus,
}

impl Around {
    fn meets(&self, need: Need, state: &State, said: Said) -> bool {
        match need {
            Need::Running => self.running,
            Need::Registry => self.suspended == Suspended::Nobody,
            Need::Fields => self.complete,
            Need::NoLinks => self.links == 0,
            Need::NoActivatedLinks => self.wan + self.dzx == 0,
            Need::CodeFree => false,
            // Looked at where the wish is known.
            Need::Change => true,
            Need::ActivatedLink => self.wan + self.dzx > 0,
            Need::Shape => SHAPES.iter().any(|(device_type, cyoa, wan, dzx)| {
                let typed = *device_type == self.device_type && *cyoa == self.cyoa;
                typed && wan.contains(&self.wan) && dzx.contains(&self.dzx)
            }),
            Need::HealthForLinks => [DeviceHealth::ReadyForLinks, DeviceHealth::ReadyForUsers].contains(&state.health),
            Need::HealthForUsers => state.health == DeviceHealth::ReadyForUsers,
            Need::BurnedInForLinks => BURNED_IN_FOR_LINKS.contains(&said),
            Need::BurnedInForUsers => BURNED_IN.contains(&said),
            Need::BurnedInSinceDrain => BURNED_IN_SINCE_STATUS.contains(&said),
        }
    }
}

/// The error of a need that an order does not find met.
const fn unmet(need: Need) -> ErrorCode {
    match need {
        Need::Running => ErrorCode::NetworkPaused,
        Need::Registry => ErrorCode::RegistrySuspended,
        Need::Fields => ErrorCode::DeviceFieldsMissing,
        Need::NoLinks | Need::NoActivatedLinks => ErrorCode::DeviceHasLinks,
        Need::CodeFree => ErrorCode::AlreadyInitialized,
        Need::Change => ErrorCode::NoChange,
        Need::ActivatedLink => ErrorCode::DeviceLinksMissing,
        Need::Shape => ErrorCode::DeviceShapeBroken,
        Need::HealthForLinks | Need::HealthForUsers => ErrorCode::DeviceHealthLow,
        Need::BurnedInForLinks | Need::BurnedInForUsers | Need::BurnedInSinceDrain => ErrorCode::DeviceBurnIn,
    }
}

/// What becomes of an order.
pub fn order_of(state: &State, event: Event, who: Who, around: &Around) -> Answer<S> {
    let refused = Answer::Refused;
    let Some(order) = ORDERS.iter().find(|o| (o.on)(event) && o.from.contains(&state.status)) else {
        return refused(ErrorCode::DeviceTransitionRefused);
    };
    let back = RESUMES.iter().find(|(left, _)| *left == state.left).map(|(_, to)| *to);
    if order.leads == Leads::Back && back.is_none() {
        return refused(ErrorCode::DeviceTransitionRefused);
    }
    if !order.who.contains(&who) {
        return refused(order.else_);
    }
    if let Some(need) = order.needs.iter().find(|need| !around.meets(**need, state, Said::Nobody)) {
        return refused(unmet(*need));
    }
    if event == Event::Want(state.desired) {
        return refused(unmet(Need::Change));
    }
    match (order.leads, back) {
        (Leads::To(status), _) | (Leads::Back, Some(status)) => Answer::To(status),
        (Leads::Gone, _) => Answer::Gone,
        (Leads::Wanted, _) => Answer::Wanted,
        (Leads::Back | Leads::Never, _) => refused(ErrorCode::DeviceTransitionRefused),
    }
}

/// Health and status after an `Advance`.
pub fn advance(state: &State, said: Said, around: &Around) -> (DeviceHealth, Answer<S>) {
    let in_service = [S::Activated, S::Drained];
    let served = in_service.contains(&state.status) || state.status == S::Suspended && in_service.contains(&state.left);
    let table = if served { &DEVICE_IN_SERVICE } else { &DEVICE_BEFORE_SERVICE };
    let health = row(table, said)[usize::from(state.health.byte())];
    let now = State { health, ..*state };
    let to = MOVES.iter().find(|(from, wanted, needs, _)| {
        *from == now.status && wanted.contains(&now.desired) && needs.iter().all(|n| around.meets(*n, &now, said))
    });
    (health, to.map_or(Answer::Stays, |(_, _, _, to)| Answer::To(*to)))
}
