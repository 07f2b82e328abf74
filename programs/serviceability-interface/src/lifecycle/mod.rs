//! The state machines: which event moves what from where to where, on which conditions, by whose hand.
//!
//! [`device::rules`] and [`link::rules`] are the tables: one match over (event, status) without a wildcard arm.
//! [`device::decide`] and [`link::decide`] are the pure functions over them that the program obeys and every off-chain
//! reader predicts with. `cargo xtask states` prints the same tables.

use core::marker::PhantomData;

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
    pub const fn any_of(self, roles: Roles) -> bool {
        self.0 & roles.0 != 0
    }
}

impl Roles {
    /// Nobody in particular, not even [`Role::Anyone`]: what a rule's parties are gathered from.
    const NOBODY: Roles = Roles(0);

    /// These roles.
    pub(crate) const fn of(roles: &[Role]) -> Roles {
        let mut all = Self::NOBODY;
        let mut index = 0;
        while index < roles.len() {
            all = all.with(roles[index], true);
            index += 1;
        }
        all
    }

    /// One bit each, as [`Role`] numbers them.
    #[inline(always)]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The roles of these bits.
    #[inline(always)]
    pub const fn from_bits(bits: u8) -> Roles {
        Roles(bits)
    }

    /// Each of these roles.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.0 & *role as u8 != 0)
    }
}

/// A condition of one of the state machines.
pub trait AnyCondition: Copy + 'static {
    /// Every condition, by its number. Where several of a rule don't hold, the one with the lowest number is named.
    const ALL: &'static [Self];

    /// Its number, from 0.
    fn number(self) -> u32;
}

/// A set of conditions: which a rule asks for, or which hold.
///
/// One word instead of a list of them: a rule is judged by two operations, and its table needs no address.
pub struct Conditions<C> {
    bits: u32,
    of: PhantomData<fn() -> C>,
}

impl<C> Clone for Conditions<C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Conditions<C> {}

impl<C: AnyCondition> Conditions<C> {
    /// These and one more, if it holds.
    #[must_use]
    #[inline(always)]
    fn with(self, condition: C, holds: bool) -> Self {
        Self { bits: self.bits | u32::from(holds) << condition.number(), of: PhantomData }
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = C> {
        C::ALL.iter().copied().filter(move |c| self.bits & 1 << c.number() != 0)
    }

    /// Whether this is one of them.
    #[cfg(feature = "offchain")]
    pub fn contains(self, condition: C) -> bool {
        self.bits & 1 << condition.number() != 0
    }

    /// The first that is not among `others`.
    #[inline(always)]
    fn first_beyond(self, others: Self) -> Option<C> {
        let bits = self.bits & !others.bits;
        if bits == 0 { None } else { C::ALL.get(bits.trailing_zeros() as usize).copied() }
    }
}

impl<C: AnyCondition + core::fmt::Debug> core::fmt::Debug for Conditions<C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Defines a state machine's conditions with their numbers.
macro_rules! conditions {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$vmeta])* $variant,)+
        }

        impl $crate::lifecycle::AnyCondition for $name {
            const ALL: &'static [Self] = &[$($name::$variant),+];

            #[inline(always)]
            fn number(self) -> u32 {
                self as u32
            }
        }

        impl $crate::lifecycle::Conditions<$name> {
            /// No condition.
            const NONE: Self = Self::of(&[]);

            /// These conditions.
            const fn of(conditions: &[$name]) -> Self {
                let mut bits = 0;
                let mut index = 0;
                while index < conditions.len() {
                    bits |= 1 << conditions[index] as u32;
                    index += 1;
                }
                Self { bits, of: core::marker::PhantomData }
            }
        }
    };
}

pub mod device;
pub mod link;

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<S> {
    /// The subject has this status from now on.
    To(S),
    /// The account is closed, its resources freed and its rent returned.
    Closed,
}

/// One row of a state machine.
#[derive(Clone, Copy)]
pub struct Rule<S: 'static, C: 'static> {
    /// Conditions that choose this row among those of the same event and status.
    pub chosen_by: Conditions<C>,
    /// Conditions that have to hold once it is chosen.
    pub when: Conditions<C>,
    /// What it does.
    pub then: Outcome<S>,
    /// Who may ask for it.
    pub by: Roles,
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
fn apply<S: Copy, C: AnyCondition>(
    rules: &'static [Rule<S, C>],
    roles: Roles,
    holding: Conditions<C>,
) -> Result<Outcome<S>, Reason<C>> {
    let mut reason = Reason::NoRule;
    for rule in rules {
        if let Some(unmet) = rule.chosen_by.first_beyond(holding) {
            if matches!(reason, Reason::NoRule) {
                reason = Reason::Unmet(unmet);
            }
            continue;
        }
        if !roles.any_of(rule.by) {
            return Err(Reason::NotAllowed);
        }
        return match rule.when.first_beyond(holding) {
            Some(unmet) => Err(Reason::Unmet(unmet)),
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
