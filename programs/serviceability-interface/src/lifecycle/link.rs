//! The link's state machine.

use super::{Conditions, Outcome, Reason, Refused, Role, Roles, Rule};
use crate::{enums::*, error::ErrorCode};

/// What can happen to a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Registration.
    Create,
    /// Side Z agrees.
    Accept,
    /// Tunnel id and net are assigned.
    Provision,
    /// Health and desired status are looked at.
    Advance,
    /// The authority stops it.
    Suspend,
    /// The authority lets it go on.
    Resume,
    /// Side Z or the authority refuses it.
    Reject,
    /// It is to go.
    Delete,
    /// It goes.
    Close,
}

impl Event {
    /// Every event.
    pub const ALL: [Event; 9] = [
        Event::Create,
        Event::Accept,
        Event::Provision,
        Event::Advance,
        Event::Suspend,
        Event::Resume,
        Event::Reject,
        Event::Delete,
        Event::Close,
    ];

    /// The name that people see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Accept => "accept",
            Self::Provision => "provision",
            Self::Advance => "advance",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Reject => "reject",
            Self::Delete => "delete",
            Self::Close => "close",
        }
    }
}

conditions! {
    /// What a rule asks for.
    Condition {
        /// Both ends belong to one contributor.
        KindWan,
        /// The ends belong to two contributors.
        KindDzx,
        /// The network's breaker is not tripped.
        NetworkRunning,
        /// Contributors, locations and exchanges of both ends are in good standing.
        RegistryActive,
        /// Interfaces exist, are free and fit the device types.
        InterfacesFit,
        /// Both devices are past pending, and none is suspended, rejected or deleting.
        DevicesPastPending,
        /// Both devices are in link provisioning, activated or drained.
        DevicesReady,
        /// Desired status is activated.
        DesiredActivated,
        /// Desired status is soft-drained.
        DesiredSoftDrained,
        /// Desired status is hard-drained.
        DesiredHardDrained,
        /// Health is ready for service.
        HealthForService,
        /// A quorum attests ready for service, without a break for the burn-in.
        BurnIn,
        /// A quorum has attested ready for service for the maintenance burn-in, counted from the drain.
        MaintenanceBurnIn,
        /// It was activated or drained when it was suspended.
        LeftService,
        /// It was requested when it was suspended.
        LeftRequested,
        /// It was pending when it was suspended.
        LeftPending,
        /// It was in provisioning when it was suspended.
        LeftProvisioning,
    }
}

impl Condition {
    /// The words that people see.
    pub const fn words(self) -> &'static str {
        match self {
            Self::KindWan => "wan",
            Self::KindDzx => "dzx",
            Self::NetworkRunning => "network not paused",
            Self::RegistryActive => "contributors, locations and exchanges activated",
            Self::InterfacesFit => "interfaces exist, are free, fit the device types",
            Self::DevicesPastPending => "both devices past pending",
            Self::DevicesReady => "both devices link-provisioning, activated or drained",
            Self::DesiredActivated => "desired activated",
            Self::DesiredSoftDrained => "desired soft-drained",
            Self::DesiredHardDrained => "desired hard-drained",
            Self::HealthForService => "health ready-for-service",
            Self::BurnIn => "attested through the burn-in",
            Self::MaintenanceBurnIn => "attested through the maintenance burn-in since the drain",
            Self::LeftService => "was activated or drained",
            Self::LeftRequested => "was requested",
            Self::LeftPending => "was pending",
            Self::LeftProvisioning => "was provisioning",
        }
    }

    /// The program's error when it does not hold.
    pub const fn error(self) -> ErrorCode {
        match self {
            Self::KindWan | Self::KindDzx => ErrorCode::LinkTypeMismatch,
            Self::NetworkRunning => ErrorCode::NetworkPaused,
            Self::RegistryActive => ErrorCode::RegistrySuspended,
            Self::InterfacesFit => ErrorCode::InterfaceUnfit,
            Self::DevicesPastPending | Self::DevicesReady => ErrorCode::LinkDevicesNotReady,
            Self::DesiredActivated | Self::DesiredSoftDrained | Self::DesiredHardDrained => ErrorCode::LinkNotDesired,
            Self::HealthForService => ErrorCode::LinkHealthLow,
            Self::BurnIn | Self::MaintenanceBurnIn => ErrorCode::LinkBurnIn,
            Self::LeftService | Self::LeftRequested | Self::LeftPending | Self::LeftProvisioning => {
                ErrorCode::LinkTransitionRefused
            }
        }
    }
}

/// What the link is, as far as a decision needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Status.
    pub status: LinkStatus,
    /// Health, recomputed from the attestations at this moment.
    pub health: LinkHealth,
    /// Desired status: the stricter of both sides'.
    pub desired: DesiredStatus,
    /// Status it had when it was suspended.
    pub suspended_from: LinkStatus,
}

/// What is so around the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Who the ends belong to.
    pub link_type: LinkType,
    /// The breaker is not tripped.
    pub network_running: bool,
    /// Contributors, locations and exchanges of both ends are in good standing.
    pub registry_active: bool,
    /// Interfaces exist, are free and fit the device types.
    pub interfaces_fit: bool,
    /// Status of both devices.
    pub devices: [DeviceStatus; 2],
    /// A quorum's streaks are as long as the stage's burn-in.
    pub burned_in: bool,
    /// The maintenance burn-in since the last change of status is over.
    pub maintenance_burned_in: bool,
}

/// Whether a device is past pending and not out of the game.
pub const fn past_pending(status: DeviceStatus) -> bool {
    match status {
        DeviceStatus::DeviceProvisioning
        | DeviceStatus::LinkProvisioning
        | DeviceStatus::Activated
        | DeviceStatus::Drained => true,
        DeviceStatus::Pending | DeviceStatus::Suspended | DeviceStatus::Deleting | DeviceStatus::Rejected => false,
    }
}

/// Whether a device is ready to carry an activated link.
pub const fn ready_for_links(status: DeviceStatus) -> bool {
    match status {
        DeviceStatus::LinkProvisioning | DeviceStatus::Activated | DeviceStatus::Drained => true,
        DeviceStatus::Pending
        | DeviceStatus::DeviceProvisioning
        | DeviceStatus::Suspended
        | DeviceStatus::Deleting
        | DeviceStatus::Rejected => false,
    }
}

/// What a creation's conditions are judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreateFacts {
    /// Who the ends belong to.
    pub link_type: LinkType,
    /// The breaker is not tripped.
    pub network_running: bool,
    /// Contributors, locations and exchanges of both ends are in good standing.
    pub registry_active: bool,
    /// Interfaces exist, are free and fit the device types.
    pub interfaces_fit: bool,
}

/// Which conditions hold.
fn holding(state: &State, facts: &Facts) -> Conditions<Condition> {
    use Condition::*;
    let left = state.suspended_from;
    let [a, z] = facts.devices;
    let served = matches!(left, LinkStatus::Activated | LinkStatus::SoftDrained | LinkStatus::HardDrained);
    Conditions::<Condition>::NONE
        .with(KindWan, matches!(facts.link_type, LinkType::Wan))
        .with(KindDzx, matches!(facts.link_type, LinkType::Dzx))
        .with(NetworkRunning, facts.network_running)
        .with(RegistryActive, facts.registry_active)
        .with(InterfacesFit, facts.interfaces_fit)
        .with(DevicesPastPending, past_pending(a) && past_pending(z))
        .with(DevicesReady, ready_for_links(a) && ready_for_links(z))
        .with(DesiredActivated, matches!(state.desired, DesiredStatus::Activated))
        .with(DesiredSoftDrained, matches!(state.desired, DesiredStatus::SoftDrained))
        .with(DesiredHardDrained, matches!(state.desired, DesiredStatus::HardDrained))
        .with(HealthForService, state.health.rank() >= LinkHealth::ReadyForService.rank())
        .with(BurnIn, facts.burned_in)
        .with(MaintenanceBurnIn, facts.maintenance_burned_in)
        .with(LeftService, served)
        .with(LeftRequested, matches!(left, LinkStatus::Requested))
        .with(LeftPending, matches!(left, LinkStatus::Pending))
        .with(LeftProvisioning, matches!(left, LinkStatus::Provisioning))
}

/// Which conditions hold: with [`rules`], what a reader is shown of the moves that there are and of what keeps each.
#[cfg(feature = "offchain")]
pub fn conditions_held(state: &State, facts: &Facts) -> Conditions<Condition> {
    holding(state, facts)
}

type R = Rule<LinkStatus, Condition>;

const NONE: &[R] = &[];
const PARTIES: &[Role] = &[Role::Contributor, Role::Authority];

const fn to(to: LinkStatus, chosen_by: &[Condition], when: &[Condition], by: &[Role]) -> R {
    rule(Outcome::To(to), chosen_by, when, by)
}

const fn rule(then: Outcome<LinkStatus>, chosen_by: &[Condition], when: &[Condition], by: &[Role]) -> R {
    Rule {
        chosen_by: Conditions::<Condition>::of(chosen_by),
        when: Conditions::<Condition>::of(when),
        then,
        by: Roles::of(by),
    }
}

const CREATE_WHEN: &[Condition] = &[Condition::NetworkRunning, Condition::RegistryActive, Condition::InterfacesFit];
const CREATE: &[R] = &[
    to(LinkStatus::Pending, &[Condition::KindWan], CREATE_WHEN, &[Role::Contributor]),
    to(LinkStatus::Requested, &[Condition::KindDzx], CREATE_WHEN, &[Role::Contributor]),
];
const ACCEPT: &[R] = &[to(LinkStatus::Pending, &[], CREATE_WHEN, &[Role::SideZ])];
const PROVISION: &[R] = &[to(
    LinkStatus::Provisioning,
    &[],
    &[Condition::NetworkRunning, Condition::RegistryActive, Condition::DevicesPastPending],
    &[Role::Contributor],
)];
const TO_ACTIVATED: &[R] = &[to(
    LinkStatus::Activated,
    &[Condition::DesiredActivated],
    &[
        Condition::NetworkRunning,
        Condition::RegistryActive,
        Condition::DevicesReady,
        Condition::HealthForService,
        Condition::BurnIn,
    ],
    &[Role::Anyone],
)];
const SOFT: R = to(LinkStatus::SoftDrained, &[Condition::DesiredSoftDrained], &[], &[Role::Anyone]);
const HARD: R = to(LinkStatus::HardDrained, &[Condition::DesiredHardDrained], &[], &[Role::Anyone]);
/// From hard to soft drained traffic may come back, so it is a forward move: the breaker stops it.
const SOFTEN: R = to(
    LinkStatus::SoftDrained,
    &[Condition::DesiredSoftDrained],
    &[Condition::NetworkRunning, Condition::RegistryActive, Condition::DevicesReady],
    &[Role::Anyone],
);
const UNDRAIN: R = to(
    LinkStatus::Activated,
    &[Condition::DesiredActivated],
    &[
        Condition::NetworkRunning,
        Condition::RegistryActive,
        Condition::DevicesReady,
        Condition::HealthForService,
        Condition::MaintenanceBurnIn,
    ],
    &[Role::Anyone],
);
const DRAIN: &[R] = &[SOFT, HARD];
const FROM_SOFT: &[R] = &[UNDRAIN, HARD];
const FROM_HARD: &[R] = &[UNDRAIN, SOFTEN];
const SUSPEND: &[R] = &[to(LinkStatus::Suspended, &[], &[], &[Role::Authority])];
const RESUME_WHEN: &[Condition] = &[Condition::NetworkRunning];
const RESUME: &[R] = &[
    to(LinkStatus::HardDrained, &[Condition::LeftService], RESUME_WHEN, &[Role::Authority]),
    to(LinkStatus::Provisioning, &[Condition::LeftProvisioning], RESUME_WHEN, &[Role::Authority]),
    to(LinkStatus::Pending, &[Condition::LeftPending], RESUME_WHEN, &[Role::Authority]),
    to(LinkStatus::Requested, &[Condition::LeftRequested], RESUME_WHEN, &[Role::Authority]),
];
const REJECT: &[R] = &[to(LinkStatus::Rejected, &[], &[], &[Role::SideZ, Role::Authority])];
const DELETE: &[R] = &[to(LinkStatus::Deleting, &[], &[], PARTIES)];
const CLOSE: &[R] = &[rule(Outcome::Closed, &[], &[], PARTIES)];

/// The rules for an event in a status; `None` is before creation.
pub const fn rules(status: Option<LinkStatus>, event: Event) -> &'static [R] {
    use LinkStatus::*;
    let Some(status) = status else {
        return match event {
            Event::Create => CREATE,
            Event::Accept
            | Event::Provision
            | Event::Advance
            | Event::Suspend
            | Event::Resume
            | Event::Reject
            | Event::Delete
            | Event::Close => NONE,
        };
    };
    match (event, status) {
        (
            Event::Create,
            Pending | Activated | Suspended | Deleting | Rejected | Requested | HardDrained | SoftDrained
            | Provisioning,
        ) => NONE,
        (Event::Accept, Requested) => ACCEPT,
        (
            Event::Accept,
            Pending | Activated | Suspended | Deleting | Rejected | HardDrained | SoftDrained | Provisioning,
        ) => NONE,
        (Event::Provision, Pending) => PROVISION,
        (
            Event::Provision,
            Activated | Suspended | Deleting | Rejected | Requested | HardDrained | SoftDrained | Provisioning,
        ) => NONE,
        (Event::Advance, Provisioning) => TO_ACTIVATED,
        (Event::Advance, Activated) => DRAIN,
        (Event::Advance, SoftDrained) => FROM_SOFT,
        (Event::Advance, HardDrained) => FROM_HARD,
        (Event::Advance, Pending | Suspended | Deleting | Rejected | Requested) => NONE,
        (Event::Suspend, Requested | Pending | Provisioning | Activated | SoftDrained | HardDrained) => SUSPEND,
        (Event::Suspend, Suspended | Deleting | Rejected) => NONE,
        (Event::Resume, Suspended) => RESUME,
        (
            Event::Resume,
            Pending | Activated | Deleting | Rejected | Requested | HardDrained | SoftDrained | Provisioning,
        ) => NONE,
        (Event::Reject, Requested | Pending | Provisioning) => REJECT,
        (Event::Reject, Activated | Suspended | Deleting | Rejected | HardDrained | SoftDrained) => NONE,
        (Event::Delete, Requested | Pending | Provisioning | Suspended | Rejected | SoftDrained | HardDrained) => {
            DELETE
        }
        (Event::Delete, Activated | Deleting) => NONE,
        (Event::Close, Deleting) => CLOSE,
        (
            Event::Close,
            Pending | Activated | Suspended | Rejected | Requested | HardDrained | SoftDrained | Provisioning,
        ) => NONE,
    }
}

/// Why an event did not happen to a link.
pub type Refusal = Refused<LinkStatus, Event, Condition>;

impl Refusal {
    /// The program's error for it.
    pub fn error(&self) -> ErrorCode {
        super::error(
            self.reason,
            ErrorCode::LinkTransitionRefused,
            match self.event {
                Event::Suspend | Event::Resume => ErrorCode::NotAuthority,
                Event::Create
                | Event::Accept
                | Event::Provision
                | Event::Advance
                | Event::Reject
                | Event::Delete
                | Event::Close => ErrorCode::NotLinkParty,
            },
            Condition::error,
        )
    }
}

/// What an event does to a link.
///
/// # Errors
/// The event is refused: no rule, not by these roles, or a condition is not met.
pub fn decide(state: &State, event: Event, facts: &Facts, roles: Roles) -> Result<Outcome<LinkStatus>, Refusal> {
    super::apply(rules(Some(state.status), event), roles, holding(state, facts)).map_err(|reason| Refused {
        from: Some(state.status),
        event,
        reason,
    })
}

/// Which status a link that is registered begins with.
///
/// # Errors
/// The network is paused, something above the link is suspended, or its interfaces don't fit.
pub fn decide_create(facts: &CreateFacts, roles: Roles) -> Result<LinkStatus, Refusal> {
    let refused = |reason: Reason<Condition>| Refused { from: None, event: Event::Create, reason };
    let holding = Conditions::<Condition>::NONE
        .with(Condition::KindWan, matches!(facts.link_type, LinkType::Wan))
        .with(Condition::KindDzx, matches!(facts.link_type, LinkType::Dzx))
        .with(Condition::NetworkRunning, facts.network_running)
        .with(Condition::RegistryActive, facts.registry_active)
        .with(Condition::InterfacesFit, facts.interfaces_fit);
    super::apply(rules(None, Event::Create), roles, holding)
        .and_then(|outcome| match outcome {
            Outcome::To(status) => Ok(status),
            Outcome::Closed => Err(Reason::NoRule),
        })
        .map_err(refused)
}
