//! The state machines: which event moves what from where to where, on which conditions, by whose hand.
//!
//! [`device::rules`] and [`link::rules`] are the tables: one match over (event, status) without a wildcard arm.
//! [`device::decide`] and [`link::decide`] are the pure functions over them that the program obeys and every off-chain
//! reader predicts with. `cargo xtask states` prints the same tables.

pub mod device;
pub mod link;

use crate::error::ErrorCode;

/// Who asks. One signer can be several at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Role {
    /// The network's authority.
    Authority = 1,
    /// The owner's key of the object's contributor; of a link, of either side.
    Contributor = 2,
    /// The operations key of the object's contributor; of a link, of either side.
    Operations = 4,
    /// The owner's key of side Z's contributor.
    SideZ = 8,
    /// Whoever sends the transaction.
    Anyone = 16,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 5] = [Role::Authority, Role::Contributor, Role::Operations, Role::SideZ, Role::Anyone];

    /// The name that people see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Authority => "authority",
            Self::Contributor => "contributor",
            Self::Operations => "operations",
            Self::SideZ => "side-z",
            Self::Anyone => "anyone",
        }
    }
}

/// The roles that a signer has on an object. Everybody is [`Role::Anyone`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Roles(u8);

impl Roles {
    /// No particular role.
    pub const ANYONE: Roles = Roles(Role::Anyone as u8);

    /// These and one more, if `holds`.
    #[must_use]
    #[inline(always)]
    pub const fn with(self, role: Role, holds: bool) -> Roles {
        if holds { Roles(self.0 | role as u8) } else { self }
    }

    /// Whether one of `roles` is among these.
    #[inline(always)]
    pub const fn any_of(self, roles: &[Role]) -> bool {
        let mut index = 0;
        while index < roles.len() {
            if self.0 & roles[index] as u8 != 0 {
                return true;
            }
            index += 1;
        }
        false
    }
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<S> {
    /// The subject has this status from now on.
    To(S),
    /// The account is closed, its resources freed and its rent returned.
    Closed,
}

/// One row of a state machine.
#[derive(Clone, Copy, Debug)]
pub struct Rule<S: 'static, C: 'static> {
    /// Conditions that choose this row among those of the same event and status.
    pub chosen_by: &'static [C],
    /// Conditions that have to hold once it is chosen.
    pub when: &'static [C],
    /// What it does.
    pub then: Outcome<S>,
    /// Who may ask for it.
    pub by: &'static [Role],
}

/// Why an event did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused<S, E, C> {
    /// Status of the subject; `None` before creation.
    pub from: Option<S>,
    /// What was asked.
    pub event: E,
    /// Why not.
    pub reason: Reason<C>,
}

/// The reason of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason<C> {
    /// No rule for this event in this status.
    NoRule,
    /// Nobody with these roles may.
    NotAllowed,
    /// This condition does not hold.
    Unmet(C),
}

/// Applies the rules of one (event, status): the first chosen one whose conditions all hold, or why not.
fn apply<S: Copy, C: Copy>(
    rules: &'static [Rule<S, C>],
    roles: Roles,
    holds: impl Fn(C) -> bool,
) -> Result<Outcome<S>, Reason<C>> {
    let mut reason = Reason::NoRule;
    for rule in rules {
        if let Some(&unmet) = rule.chosen_by.iter().find(|c| !holds(**c)) {
            if matches!(reason, Reason::NoRule) {
                reason = Reason::Unmet(unmet);
            }
            continue;
        }
        if !roles.any_of(rule.by) {
            return Err(Reason::NotAllowed);
        }
        return match rule.when.iter().find(|c| !holds(**c)) {
            Some(&unmet) => Err(Reason::Unmet(unmet)),
            None => Ok(rule.then),
        };
    }
    Err(reason)
}

/// Turns a reason into the program's error.
fn error<C: Copy>(
    reason: Reason<C>,
    no_rule: ErrorCode,
    not_allowed: ErrorCode,
    unmet: impl Fn(C) -> ErrorCode,
) -> ErrorCode {
    match reason {
        Reason::NoRule => no_rule,
        Reason::NotAllowed => not_allowed,
        Reason::Unmet(condition) => unmet(condition),
    }
}
