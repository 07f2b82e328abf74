//! The device's state machine.

use super::{Conditions, Outcome, Reason, Refused, Role, Roles, Rule};
use crate::{enums::*, error::ErrorCode};

/// What can happen to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Registration.
    Create,
    /// Addresses and segment id are assigned.
    Provision,
    /// Health and desired status are looked at.
    Advance,
    /// The authority stops it.
    Suspend,
    /// The authority lets it go on.
    Resume,
    /// The authority refuses it.
    Reject,
    /// It is to go.
    Delete,
    /// It goes.
    Close,
}

impl Event {
    /// Every event.
    pub const ALL: [Event; 8] = [
        Event::Create,
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
        /// The network's breaker is not tripped.
        NetworkRunning,
        /// Contributor, location and exchange are in good standing.
        RegistryActive,
        /// Every field that provisioning needs is there.
        FieldsComplete,
        /// Desired status is activated.
        DesiredActivated,
        /// Desired status is a drain.
        DesiredDrain,
        /// At least one link is activated.
        HasActivatedLink,
        /// The device type's shape holds.
        ShapeHolds,
        /// Health is ready for links or better.
        HealthForLinks,
        /// Health is ready for users.
        HealthForUsers,
        /// A quorum attests ready for links or better, without a break for the burn-in.
        BurnInForLinks,
        /// A quorum attests ready for users, without a break for the burn-in.
        BurnInForUsers,
        /// A quorum has attested ready for users for the maintenance burn-in, counted from the drain.
        MaintenanceBurnIn,
        /// No link is activated.
        NoActivatedLink,
        /// No link holds an interface.
        NoLinks,
        /// It was activated or drained when it was suspended.
        LeftService,
        /// It was pending when it was suspended.
        LeftPending,
        /// It was in device provisioning when it was suspended.
        LeftDeviceProvisioning,
        /// It was in link provisioning when it was suspended.
        LeftLinkProvisioning,
    }
}

impl Condition {
    /// The words that people see.
    pub const fn words(self) -> &'static str {
        match self {
            Self::NetworkRunning => "network not paused",
            Self::RegistryActive => "contributor, location and exchange activated",
            Self::FieldsComplete => "required fields present",
            Self::DesiredActivated => "desired activated",
            Self::DesiredDrain => "desired hard-drained or soft-drained",
            Self::HealthForLinks => "health ready-for-links or ready-for-users",
            Self::HealthForUsers => "health ready-for-users",
            Self::BurnInForLinks => "attested ready-for-links or better through the burn-in",
            Self::BurnInForUsers => "attested ready-for-users through the burn-in",
            Self::MaintenanceBurnIn => "attested through the maintenance burn-in since the drain",
            Self::HasActivatedLink => "at least one activated link",
            Self::ShapeHolds => "the device type's shape holds",
            Self::NoActivatedLink => "no activated link",
            Self::NoLinks => "no links",
            Self::LeftService => "was activated or drained",
            Self::LeftPending => "was pending",
            Self::LeftDeviceProvisioning => "was device-provisioning",
            Self::LeftLinkProvisioning => "was link-provisioning",
        }
    }

    /// The program's error when it does not hold.
    pub const fn error(self) -> ErrorCode {
        match self {
            Self::NetworkRunning => ErrorCode::NetworkPaused,
            Self::RegistryActive => ErrorCode::RegistrySuspended,
            Self::FieldsComplete => ErrorCode::DeviceFieldsMissing,
            Self::DesiredActivated | Self::DesiredDrain => ErrorCode::DeviceNotDesired,
            Self::HealthForLinks | Self::HealthForUsers => ErrorCode::DeviceHealthLow,
            Self::BurnInForLinks | Self::BurnInForUsers | Self::MaintenanceBurnIn => ErrorCode::DeviceBurnIn,
            Self::HasActivatedLink => ErrorCode::DeviceLinksMissing,
            Self::ShapeHolds => ErrorCode::DeviceShapeBroken,
            Self::NoActivatedLink | Self::NoLinks => ErrorCode::DeviceHasLinks,
            Self::LeftService | Self::LeftPending | Self::LeftDeviceProvisioning | Self::LeftLinkProvisioning => {
                ErrorCode::DeviceTransitionRefused
            }
        }
    }
}

/// What the device is, as far as a decision needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Status.
    pub status: DeviceStatus,
    /// Health, recomputed from the attestations at this moment.
    pub health: DeviceHealth,
    /// Desired status.
    pub desired: DesiredStatus,
    /// Status it had when it was suspended.
    pub suspended_from: DeviceStatus,
}

/// What is so around the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The breaker is not tripped.
    pub network_running: bool,
    /// Contributor, location and exchange are in good standing.
    pub registry_active: bool,
    /// Every field that provisioning needs is there.
    pub fields_complete: bool,
    /// A quorum's streaks at ready for links or better are as long as the stage's burn-in.
    pub burned_in_for_links: bool,
    /// A quorum's streaks at ready for users are as long as the stage's burn-in.
    pub burned_in_for_users: bool,
    /// The maintenance burn-in since the last change of status is over, at ready for users.
    pub maintenance_burned_in: bool,
    /// Links that hold an interface.
    pub links: u32,
    /// Device type.
    pub device_type: DeviceType,
    /// It has an interface that users connect over.
    pub has_cyoa: bool,
    /// Activated WAN links.
    pub activated_wan_links: u32,
    /// Activated DZX links.
    pub activated_dzx_links: u32,
}

/// Whether the device type's shape holds with the links that are activated.
pub const fn shape_holds(device_type: DeviceType, has_cyoa: bool, wan: u32, dzx: u32) -> bool {
    match device_type {
        DeviceType::Edge => has_cyoa && wan == 0 && dzx >= 1,
        DeviceType::Transit => !has_cyoa && (wan >= 2 || wan >= 1 && dzx >= 1),
        DeviceType::Hybrid => has_cyoa && wan >= 1,
    }
}

/// Which conditions hold.
fn holding(state: &State, facts: &Facts) -> Conditions<Condition> {
    use Condition::*;
    let left = state.suspended_from;
    let shape = shape_holds(facts.device_type, facts.has_cyoa, facts.activated_wan_links, facts.activated_dzx_links);
    Conditions::<Condition>::NONE
        .with(NetworkRunning, facts.network_running)
        .with(RegistryActive, facts.registry_active)
        .with(FieldsComplete, facts.fields_complete)
        .with(DesiredActivated, matches!(state.desired, DesiredStatus::Activated))
        .with(DesiredDrain, state.desired.is_drain())
        .with(HasActivatedLink, facts.activated_wan_links > 0 || facts.activated_dzx_links > 0)
        .with(ShapeHolds, shape)
        .with(HealthForLinks, state.health.rank() >= DeviceHealth::ReadyForLinks.rank())
        .with(HealthForUsers, state.health.rank() >= DeviceHealth::ReadyForUsers.rank())
        .with(BurnInForLinks, facts.burned_in_for_links)
        .with(BurnInForUsers, facts.burned_in_for_users)
        .with(MaintenanceBurnIn, facts.maintenance_burned_in)
        .with(NoActivatedLink, facts.activated_wan_links == 0 && facts.activated_dzx_links == 0)
        .with(NoLinks, facts.links == 0)
        .with(LeftService, matches!(left, DeviceStatus::Activated | DeviceStatus::Drained))
        .with(LeftPending, matches!(left, DeviceStatus::Pending))
        .with(LeftDeviceProvisioning, matches!(left, DeviceStatus::DeviceProvisioning))
        .with(LeftLinkProvisioning, matches!(left, DeviceStatus::LinkProvisioning))
}

/// Which conditions hold: with [`rules`], what a reader is shown of the moves that there are and of what keeps each.
#[cfg(feature = "offchain")]
pub fn conditions_held(state: &State, facts: &Facts) -> Conditions<Condition> {
    holding(state, facts)
}

type R = Rule<DeviceStatus, Condition>;

const NONE: &[R] = &[];

const fn to(to: DeviceStatus, chosen_by: &[Condition], when: &[Condition], by: &[Role]) -> R {
    rule(Outcome::To(to), chosen_by, when, by)
}

const fn rule(then: Outcome<DeviceStatus>, chosen_by: &[Condition], when: &[Condition], by: &[Role]) -> R {
    Rule {
        chosen_by: Conditions::<Condition>::of(chosen_by),
        when: Conditions::<Condition>::of(when),
        then,
        by: Roles::of(by),
    }
}

const CREATE: &[R] =
    &[to(DeviceStatus::Pending, &[], &[Condition::NetworkRunning, Condition::RegistryActive], &[Role::Contributor])];
const PROVISION: &[R] = &[to(
    DeviceStatus::DeviceProvisioning,
    &[],
    &[Condition::NetworkRunning, Condition::RegistryActive, Condition::FieldsComplete],
    &[Role::Contributor],
)];
const TO_LINK_PROVISIONING: &[R] = &[to(
    DeviceStatus::LinkProvisioning,
    &[Condition::DesiredActivated],
    &[Condition::NetworkRunning, Condition::RegistryActive, Condition::HealthForLinks, Condition::BurnInForLinks],
    &[Role::Anyone],
)];
const TO_ACTIVATED: &[R] = &[to(
    DeviceStatus::Activated,
    &[Condition::DesiredActivated],
    &[
        Condition::NetworkRunning,
        Condition::RegistryActive,
        Condition::HasActivatedLink,
        Condition::ShapeHolds,
        Condition::HealthForUsers,
        Condition::BurnInForUsers,
    ],
    &[Role::Anyone],
)];
const DRAIN: &[R] = &[to(DeviceStatus::Drained, &[Condition::DesiredDrain], &[], &[Role::Anyone])];
const UNDRAIN: &[R] = &[to(
    DeviceStatus::Activated,
    &[Condition::DesiredActivated],
    &[Condition::NetworkRunning, Condition::RegistryActive, Condition::HealthForUsers, Condition::MaintenanceBurnIn],
    &[Role::Anyone],
)];
const SUSPEND: &[R] = &[to(DeviceStatus::Suspended, &[], &[], &[Role::Authority])];
const RESUME: &[R] = &[
    to(DeviceStatus::Drained, &[Condition::LeftService], &[Condition::NetworkRunning], &[Role::Authority]),
    to(DeviceStatus::Pending, &[Condition::LeftPending], &[Condition::NetworkRunning], &[Role::Authority]),
    to(
        DeviceStatus::DeviceProvisioning,
        &[Condition::LeftDeviceProvisioning],
        &[Condition::NetworkRunning],
        &[Role::Authority],
    ),
    to(
        DeviceStatus::LinkProvisioning,
        &[Condition::LeftLinkProvisioning],
        &[Condition::NetworkRunning],
        &[Role::Authority],
    ),
];
const REJECT: &[R] = &[to(DeviceStatus::Rejected, &[], &[Condition::NoActivatedLink], &[Role::Authority])];
const DELETE: &[R] = &[to(DeviceStatus::Deleting, &[], &[Condition::NoLinks], &[Role::Contributor, Role::Authority])];
const CLOSE: &[R] = &[rule(Outcome::Closed, &[], &[Condition::NoLinks], &[Role::Contributor, Role::Authority])];

/// The rules for an event in a status; `None` is before creation.
pub const fn rules(status: Option<DeviceStatus>, event: Event) -> &'static [R] {
    use DeviceStatus::*;
    let Some(status) = status else {
        return match event {
            Event::Create => CREATE,
            Event::Provision
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
            Pending | Activated | Suspended | Deleting | Rejected | Drained | DeviceProvisioning | LinkProvisioning,
        ) => NONE,
        (Event::Provision, Pending) => PROVISION,
        (
            Event::Provision,
            Activated | Suspended | Deleting | Rejected | Drained | DeviceProvisioning | LinkProvisioning,
        ) => NONE,
        (Event::Advance, DeviceProvisioning) => TO_LINK_PROVISIONING,
        (Event::Advance, LinkProvisioning) => TO_ACTIVATED,
        (Event::Advance, Activated) => DRAIN,
        (Event::Advance, Drained) => UNDRAIN,
        (Event::Advance, Pending | Suspended | Deleting | Rejected) => NONE,
        (Event::Suspend, Pending | DeviceProvisioning | LinkProvisioning | Activated | Drained) => SUSPEND,
        (Event::Suspend, Suspended | Deleting | Rejected) => NONE,
        (Event::Resume, Suspended) => RESUME,
        (
            Event::Resume,
            Pending | Activated | Deleting | Rejected | Drained | DeviceProvisioning | LinkProvisioning,
        ) => NONE,
        (Event::Reject, Pending | DeviceProvisioning | LinkProvisioning) => REJECT,
        (Event::Reject, Activated | Suspended | Deleting | Rejected | Drained) => NONE,
        (Event::Delete, Pending | Suspended | Rejected | Drained | DeviceProvisioning | LinkProvisioning) => DELETE,
        (Event::Delete, Activated | Deleting) => NONE,
        (Event::Close, Deleting) => CLOSE,
        (
            Event::Close,
            Pending | Activated | Suspended | Rejected | Drained | DeviceProvisioning | LinkProvisioning,
        ) => NONE,
    }
}

/// Why an event did not happen to a device.
pub type Refusal = Refused<DeviceStatus, Event, Condition>;

impl Refusal {
    /// The program's error for it.
    pub fn error(&self) -> ErrorCode {
        super::error(
            self.reason,
            ErrorCode::DeviceTransitionRefused,
            match self.event {
                Event::Suspend | Event::Resume | Event::Reject => ErrorCode::NotAuthority,
                Event::Create | Event::Provision | Event::Advance | Event::Delete | Event::Close => {
                    ErrorCode::NotDeviceOwner
                }
            },
            Condition::error,
        )
    }
}

/// What an event does to a device.
///
/// # Errors
/// The event is refused: no rule, not by these roles, or a condition is not met.
pub fn decide(state: &State, event: Event, facts: &Facts, roles: Roles) -> Result<Outcome<DeviceStatus>, Refusal> {
    super::apply(rules(Some(state.status), event), roles, holding(state, facts)).map_err(|reason| Refused {
        from: Some(state.status),
        event,
        reason,
    })
}

/// Whether a device may be registered.
///
/// # Errors
/// The network is paused, or something above the device is suspended.
pub fn decide_create(network_running: bool, registry_active: bool, roles: Roles) -> Result<(), Refusal> {
    let holding = Conditions::<Condition>::NONE
        .with(Condition::NetworkRunning, network_running)
        .with(Condition::RegistryActive, registry_active);
    super::apply(rules(None, Event::Create), roles, holding).map(|_| ()).map_err(|reason: Reason<Condition>| Refused {
        from: None,
        event: Event::Create,
        reason,
    })
}
