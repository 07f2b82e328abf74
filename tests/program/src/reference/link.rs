//! The link's state machine, from the design's section 2.3 as rfcs/0005 has it.
//!
//! What is asked for is refused in this order: no row for the event in this status; the signer may not; the first of
//! the row's needs that is not met.

use causeway_interface::{DesiredStatus as W, DeviceStatus, ErrorCode, LinkHealth, LinkStatus as S, LinkType};

use super::{
    Answer, Suspended, Who,
    health::{BURNED_IN, BURNED_IN_SINCE_STATUS, LINK_BEFORE_SERVICE, LINK_IN_SERVICE, Said, row},
};

/// Whether side Z's contributor is refused (`NotLinkParty`) where it sets the desired status of a link that it has not
/// accepted.
pub const WISH_OF_SIDE_Z_ASKS_FOR_ACCEPTANCE: bool = true;

/// What is asked of a link that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// `CreateLink` under its code.
    Create,
    /// `AcceptLink`.
    Accept,
    /// `ProvisionLink`.
    Provision,
    /// `SuspendLink`.
    Suspend,
    /// `ResumeLink`.
    Resume,
    /// `RejectLink`.
    Reject,
    /// `DeleteLink`.
    Delete,
    /// `CloseLink`.
    Close,
    /// `SetLinkDesired`.
    Want(W),
}

impl Event {
    /// Every event but `Advance`, which has tables of its own.
    pub const ALL: [Event; 12] = [
        Event::Create,
        Event::Accept,
        Event::Provision,
        Event::Suspend,
        Event::Resume,
        Event::Reject,
        Event::Delete,
        Event::Close,
        Event::Want(W::Pending),
        Event::Want(W::Activated),
        Event::Want(W::HardDrained),
        Event::Want(W::SoftDrained),
    ];
}

/// What has to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The network is not paused.
    Running,
    /// Contributors, locations and exchanges of both ends are in good standing.
    Registry,
    /// The code is free.
    CodeFree,
    /// Both devices are past pending and in the game.
    DevicesPastPending,
    /// Both devices are in link provisioning, activated or drained.
    DevicesReady,
    /// Health is ready for service.
    Health,
    /// A quorum's streaks are as long as the burn-in before service.
    BurnedIn,
    /// A quorum's streaks since the last change of status are as long as the burn-in of maintenance.
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
    /// To another wish of the signer's side.
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
    /// Who may. Of a WAN link one contributor is both sides, so that whoever may as side Z may as side A.
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
    S::Requested,
    S::HardDrained,
    S::SoftDrained,
    S::Provisioning,
];
const LIVE: &[S] = &[S::Requested, S::Pending, S::Provisioning, S::Activated, S::SoftDrained, S::HardDrained];
const NOT_YET_IN_SERVICE: &[S] = &[S::Requested, S::Pending, S::Provisioning];
const NOT_IN_SERVICE: &[S] =
    &[S::Requested, S::Pending, S::Provisioning, S::SoftDrained, S::HardDrained, S::Suspended, S::Rejected];
const NOT_ON_ITS_WAY_OUT: &[S] =
    &[S::Requested, S::Pending, S::Provisioning, S::Activated, S::SoftDrained, S::HardDrained, S::Suspended];

const OWNER_A: &[Who] = &[Who::Owner];
const OWNER_Z: &[Who] = &[Who::OtherOwner];
const OWNERS: &[Who] = &[Who::Owner, Who::OtherOwner];
const AUTHORITY: &[Who] = &[Who::Authority];
const OWNER_Z_OR_AUTHORITY: &[Who] = &[Who::OtherOwner, Who::Authority];
const OWNERS_OR_AUTHORITY: &[Who] = &[Who::Owner, Who::OtherOwner, Who::Authority];
const KEYS_OF_BOTH: &[Who] = &[Who::Owner, Who::Operations, Who::OtherOwner, Who::OtherOperations];
const NOT_PARTY: ErrorCode = ErrorCode::NotLinkParty;
const NOT_AUTHORITY: ErrorCode = ErrorCode::NotAuthority;

const fn order(on: fn(Event) -> bool, from: &'static [S], who: &'static [Who], else_: ErrorCode) -> Order {
    Order { on, from, who, else_, needs: &[], leads: Leads::Never }
}

/// The rows.
#[rustfmt::skip]
pub const ORDERS: [Order; 9] = [
    Order { needs: &[Need::Running, Need::Registry, Need::CodeFree], leads: Leads::Never,
        ..order(|e| e == Event::Create, ANY, OWNER_A, NOT_PARTY) },
    Order { needs: &[Need::Running, Need::Registry], leads: Leads::To(S::Pending),
        ..order(|e| e == Event::Accept, &[S::Requested], OWNER_Z, NOT_PARTY) },
    Order { needs: &[Need::Running, Need::Registry, Need::DevicesPastPending], leads: Leads::To(S::Provisioning),
        ..order(|e| e == Event::Provision, &[S::Pending], OWNERS, NOT_PARTY) },
    Order { needs: &[], leads: Leads::To(S::Suspended),
        ..order(|e| e == Event::Suspend, LIVE, AUTHORITY, NOT_AUTHORITY) },
    Order { needs: &[Need::Running], leads: Leads::Back,
        ..order(|e| e == Event::Resume, &[S::Suspended], AUTHORITY, NOT_AUTHORITY) },
    Order { needs: &[], leads: Leads::To(S::Rejected),
        ..order(|e| e == Event::Reject, NOT_YET_IN_SERVICE, OWNER_Z_OR_AUTHORITY, NOT_PARTY) },
    Order { needs: &[], leads: Leads::To(S::Deleting),
        ..order(|e| e == Event::Delete, NOT_IN_SERVICE, OWNERS_OR_AUTHORITY, NOT_PARTY) },
    Order { needs: &[], leads: Leads::Gone,
        ..order(|e| e == Event::Close, &[S::Deleting], OWNERS_OR_AUTHORITY, NOT_PARTY) },
    Order { needs: &[], leads: Leads::Wanted,
        ..order(|e| matches!(e, Event::Want(_)), NOT_ON_ITS_WAY_OUT, KEYS_OF_BOTH, NOT_PARTY) },
];

/// What a suspended link returns to, by the status that it left.
pub const RESUMES: &[(S, S)] = &[
    (S::Requested, S::Requested),
    (S::Pending, S::Pending),
    (S::Provisioning, S::Provisioning),
    (S::Activated, S::HardDrained),
    (S::SoftDrained, S::HardDrained),
    (S::HardDrained, S::HardDrained),
];

const UP: &[Need] = &[Need::Running, Need::Registry, Need::DevicesReady, Need::Health, Need::BurnedIn];
const UP_AGAIN: &[Need] = &[Need::Running, Need::Registry, Need::DevicesReady, Need::Health, Need::BurnedInSinceDrain];

/// What an `Advance` does, by status and by what is wanted. Where a need is not met nothing moves.
#[rustfmt::skip]
pub const MOVES: &[(S, W, &[Need], S)] = &[
    (S::Provisioning, W::Activated,   UP,       S::Activated),
    (S::Activated,    W::SoftDrained, &[],      S::SoftDrained),
    (S::Activated,    W::HardDrained, &[],      S::HardDrained),
    (S::SoftDrained,  W::HardDrained, &[],      S::HardDrained),
    (S::HardDrained,  W::SoftDrained, &[Need::Running, Need::Registry, Need::DevicesReady], S::SoftDrained),
    (S::SoftDrained,  W::Activated,   UP_AGAIN, S::Activated),
    (S::HardDrained,  W::Activated,   UP_AGAIN, S::Activated),
];

/// Wishes from the least to the most strict: the stricter of both sides' counts.
pub const STRICTNESS: [W; 4] = [W::Activated, W::Pending, W::SoftDrained, W::HardDrained];

/// The wish that counts.
///
/// # Panics
/// One of them is not in the list.
pub fn stricter(a: W, z: W) -> W {
    let place = |wish| STRICTNESS.iter().position(|w| *w == wish).unwrap_or_else(|| panic!("{wish}"));
    STRICTNESS[place(a).max(place(z))]
}

/// Devices that are past pending and in the game.
const PAST_PENDING: &[DeviceStatus] =
    &[DeviceStatus::DeviceProvisioning, DeviceStatus::LinkProvisioning, DeviceStatus::Activated, DeviceStatus::Drained];
/// Devices that may carry an activated link.
const READY: &[DeviceStatus] = &[DeviceStatus::LinkProvisioning, DeviceStatus::Activated, DeviceStatus::Drained];

/// What is around a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Around {
    /// The breaker is not tripped.
    pub running: bool,
    /// What of the registry above it is suspended.
    pub suspended: Suspended,
    /// The status of both devices.
    pub devices: [DeviceStatus; 2],
}

/// Both devices in service, in a network where all is well.
pub const FINE: Around = Around {
    running: true,
    suspended: Suspended::Nobody,
    devices: [DeviceStatus::Activated, DeviceStatus::LinkProvisioning],
};

/// Other surroundings, each with one thing that is not well.
pub const AROUND: [Around; 7] = [
    Around { running: false, ..FINE },
    Around { suspended: Suspended::Contributor, ..FINE },
    Around { suspended: Suspended::Location, ..FINE },
    Around { suspended: Suspended::Exchange, ..FINE },
    Around { suspended: Suspended::OtherContributor, ..FINE },
    Around { suspended: Suspended::OtherLocation, ..FINE },
    Around { suspended: Suspended::OtherExchange, ..FINE },
];

/// What the link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// WAN or DZX.
    pub kind: LinkType,
    /// Status.
    pub status: S,
    /// The status that it left, while suspended.
    pub left: S,
    /// Health.
    pub health: LinkHealth,
    /// What side A and side Z want.
    pub desired: [W; 2],
    /// Side Z has accepted, or is side A.
    pub accepted: bool,
}

impl Around {
    fn meets(&self, need: Need, health: LinkHealth, said: Said) -> bool {
        match need {
            Need::Running => self.running,
            Need::Registry => self.suspended == Suspended::Nobody,
            Need::CodeFree => false,
            Need::DevicesPastPending => self.devices.iter().all(|d| PAST_PENDING.contains(d)),
            Need::DevicesReady => self.devices.iter().all(|d| READY.contains(d)),
            Need::Health => health == LinkHealth::ReadyForService,
            Need::BurnedIn => BURNED_IN.contains(&said),
            Need::BurnedInSinceDrain => BURNED_IN_SINCE_STATUS.contains(&said),
        }
    }
}

/// The error of a need that an order does not find met.
const fn unmet(need: Need) -> ErrorCode {
    match need {
        Need::Running => ErrorCode::NetworkPaused,
        Need::Registry => ErrorCode::RegistrySuspended,
        Need::CodeFree => ErrorCode::AlreadyInitialized,
        Need::DevicesPastPending | Need::DevicesReady => ErrorCode::LinkDevicesNotReady,
        Need::Health => ErrorCode::LinkHealthLow,
        Need::BurnedIn | Need::BurnedInSinceDrain => ErrorCode::LinkBurnIn,
    }
}

/// Whether the signer is in the list. Of a WAN link side A is side Z, and the other contributor is a stranger.
fn is_among(list: &[Who], who: Who, kind: LinkType) -> bool {
    match (kind, who) {
        (LinkType::Dzx, _) | (LinkType::Wan, Who::Authority | Who::Stranger) => list.contains(&who),
        (LinkType::Wan, Who::Owner) => list.contains(&Who::Owner) || list.contains(&Who::OtherOwner),
        (LinkType::Wan, Who::Operations) => list.contains(&Who::Operations) || list.contains(&Who::OtherOperations),
        (LinkType::Wan, Who::OtherOwner | Who::OtherOperations) => false,
    }
}

/// What both sides want after the signer has said what it wants.
pub fn wishes(state: &State, who: Who, wish: W) -> [W; 2] {
    let [a, z] = state.desired;
    match (state.kind, who) {
        (LinkType::Wan, _) => [wish, wish],
        (LinkType::Dzx, Who::Owner | Who::Operations) => [wish, z],
        (LinkType::Dzx, Who::OtherOwner | Who::OtherOperations) => [a, wish],
        (LinkType::Dzx, Who::Authority | Who::Stranger) => [a, z],
    }
}

/// What becomes of an order.
pub fn order_of(state: &State, event: Event, who: Who, around: &Around) -> Answer<S> {
    let refused = Answer::Refused;
    if event == Event::Accept && state.kind == LinkType::Wan {
        // Nobody is there to accept it: its two contributors are one account.
        return refused(ErrorCode::DuplicateAccount);
    }
    let Some(order) = ORDERS.iter().find(|o| (o.on)(event) && o.from.contains(&state.status)) else {
        return refused(ErrorCode::LinkTransitionRefused);
    };
    let back = RESUMES.iter().find(|(left, _)| *left == state.left).map(|(_, to)| *to);
    if order.leads == Leads::Back && back.is_none() {
        return refused(ErrorCode::LinkTransitionRefused);
    }
    if !is_among(order.who, who, state.kind) {
        return refused(order.else_);
    }
    if let Some(need) = order.needs.iter().find(|need| !around.meets(**need, state.health, Said::Nobody)) {
        return refused(unmet(*need));
    }
    // A side Z that has not accepted holds nothing of the link: it may turn it away and no more.
    let holds_nothing = [Who::OtherOwner, Who::OtherOperations].contains(&who) && !state.accepted;
    let wishes_too_early = WISH_OF_SIDE_Z_ASKS_FOR_ACCEPTANCE && matches!(event, Event::Want(_));
    if holds_nothing && (matches!(event, Event::Close | Event::Delete) || wishes_too_early) {
        return refused(ErrorCode::NotLinkParty);
    }
    if let Event::Want(wish) = event
        && wishes(state, who, wish) == state.desired
    {
        return refused(ErrorCode::NoChange);
    }
    match (order.leads, back) {
        (Leads::To(status), _) | (Leads::Back, Some(status)) => Answer::To(status),
        (Leads::Gone, _) => Answer::Gone,
        (Leads::Wanted, _) => Answer::Wanted,
        (Leads::Back | Leads::Never, _) => refused(ErrorCode::LinkTransitionRefused),
    }
}

/// Health and status after an `Advance`.
pub fn advance(state: &State, said: Said, around: &Around) -> (LinkHealth, Answer<S>) {
    let in_service = [S::Activated, S::SoftDrained, S::HardDrained];
    let served = in_service.contains(&state.status) || state.status == S::Suspended && in_service.contains(&state.left);
    let table = if served { &LINK_IN_SERVICE } else { &LINK_BEFORE_SERVICE };
    let health = row(table, said)[usize::from(state.health.byte())];
    let wish = stricter(state.desired[0], state.desired[1]);
    let to = MOVES.iter().find(|(from, wanted, needs, _)| {
        *from == state.status && *wanted == wish && needs.iter().all(|n| around.meets(*n, health, said))
    });
    (health, to.map_or(Answer::Stays, |(_, _, _, to)| Answer::To(*to)))
}
