//! Who has to agree before something is changed. Pure: the policy, what was recorded, and the time decide.
//!
//! People are known by keys of the ledger; whoever calls has made sure that a key is that person's. What it does not do:
//! find out that two keys are one person's.

use std::collections::{BTreeMap, BTreeSet};

use causeway_interface::{Code, Key};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    error::{self, ErrorKind, StepError},
    spec::Kind,
};

/// Approvals of one change at most.
pub const MAX_APPROVALS: u8 = 8;
/// Longest wait for approvals: a week.
pub const MAX_EXPIRY_MS: u64 = 7 * 24 * 3_600_000;

/// What somebody may do on the ledger, with regard to the devices of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The network's authority.
    Authority,
    /// Owner of the contributor of every one of the devices.
    Owner,
    /// Operations key of the contributor of every one of the devices.
    Operations,
}

impl Role {
    /// The name that people see.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Authority => "authority",
            Self::Owner => "owner",
            Self::Operations => "operations",
        }
    }
}

/// The ledger's roles.
pub trait Roles: Send + Sync + 'static {
    /// What a key is with regard to all of these devices; empty for a key that is nothing.
    fn roles<'a>(&'a self, key: &'a Key, devices: &'a [Code]) -> BoxFuture<'a, Result<BTreeSet<Role>, StepError>>;
}

/// When approvals are needed, and whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Of changes of these kinds. Dry runs need none, whatever a rule says.
    pub kinds: BTreeSet<Kind>,
    /// From so many devices on.
    pub devices: usize,
    /// So many, of as many keys, none of them the proposer's; at most [`MAX_APPROVALS`].
    pub approvals: u8,
    /// Of somebody who is one of these.
    pub roles: BTreeSet<Role>,
    /// Who may do without in an emergency.
    pub glass: BTreeSet<Role>,
    /// What is not approved in such a time, in ms, is cancelled.
    pub expires_ms: u64,
}

/// When approvals are needed. Of the rules that fit, the one for the most devices counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApprovalPolicy {
    /// In any order.
    pub rules: Vec<Rule>,
}

/// What a change needs before it begins; kept with it, so that a later policy changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Need {
    /// Who wants it.
    pub proposer: Key,
    /// As of [`Rule::approvals`].
    pub approvals: u8,
    /// As of [`Rule::roles`].
    pub roles: BTreeSet<Role>,
    /// As of [`Rule::glass`].
    pub glass: BTreeSet<Role>,
    /// As of [`Rule::expires_ms`].
    pub expires_ms: u64,
}

/// Why an approval does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It needs an approval, and nobody knows by which key it was proposed.
    #[error("this needs an approval, and has to be proposed with a key so that another one can be told from it")]
    Anonymous,
    /// Whoever proposes something does not approve it.
    #[error("who proposes a change can not approve it")]
    Own,
    /// One key counts once.
    #[error("this key has approved it already")]
    Twice,
    /// Not this key.
    #[error("the key has none of the roles on the ledger that may do this for every one of the devices")]
    Role,
    /// It needs none, or no more.
    #[error("no approval is missing")]
    NotMissing,
    /// Too late.
    #[error("the time in which it could be approved is over")]
    Expired,
}

impl Refusal {
    /// Code, cause and remedy.
    #[must_use]
    pub const fn kind(self) -> ErrorKind {
        match self {
            Self::Anonymous => error::PROPOSER_UNKNOWN,
            Self::Own | Self::Twice | Self::Role | Self::NotMissing | Self::Expired => error::APPROVAL_REFUSED,
        }
    }
}

impl ApprovalPolicy {
    /// Nothing needs an approval.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// What such a change needs; none where it may begin at once.
    ///
    /// # Errors
    /// [`Refusal::Anonymous`].
    pub fn need(&self, kind: Kind, devices: usize, proposer: Option<Key>) -> Result<Option<Need>, Refusal> {
        if kind == Kind::DryRun {
            return Ok(None);
        }
        let fits = self.rules.iter().filter(|rule| rule.kinds.contains(&kind) && devices >= rule.devices);
        // Of two for as many devices the stricter one.
        let Some(rule) = fits.max_by_key(|rule| (rule.devices, rule.approvals)).filter(|rule| rule.approvals > 0)
        else {
            return Ok(None);
        };
        Ok(Some(Need {
            proposer: proposer.ok_or(Refusal::Anonymous)?,
            approvals: rule.approvals.min(MAX_APPROVALS),
            roles: rule.roles.clone(),
            glass: rule.glass.clone(),
            expires_ms: rule.expires_ms.min(MAX_EXPIRY_MS),
        }))
    }
}

/// Somebody who did without approvals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glass {
    /// Who.
    pub key: Key,
    /// As what.
    pub role: Role,
    /// Why.
    pub reason: String,
}

/// What a change needs, and what it has of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approvals {
    /// What it needs.
    pub need: Need,
    /// When it was asked for.
    pub asked_ms: u64,
    /// Who approved it, as what.
    pub given: BTreeMap<Key, Role>,
    /// Somebody did without.
    pub glass: Option<Glass>,
}

impl Approvals {
    /// Of a change that was just asked for.
    #[must_use]
    pub const fn new(need: Need, asked_ms: u64) -> Self {
        Self { need, asked_ms, given: BTreeMap::new(), glass: None }
    }

    /// Whether it may begin.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.glass.is_some() || self.given.len() >= usize::from(self.need.approvals)
    }

    /// From when on it can't be approved any more, in unix ms.
    #[must_use]
    pub const fn until_ms(&self) -> u64 {
        self.asked_ms.saturating_add(self.need.expires_ms)
    }

    /// Whether it was not approved in time.
    #[must_use]
    pub fn has_expired(&self, now_ms: u64) -> bool {
        !self.is_complete() && now_ms >= self.until_ms()
    }

    fn missing(&self, now_ms: u64) -> Result<(), Refusal> {
        if self.is_complete() {
            return Err(Refusal::NotMissing);
        }
        if self.has_expired(now_ms) { Err(Refusal::Expired) } else { Ok(()) }
    }

    /// As what a key may approve it.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn may_approve(&self, key: &Key, roles: &BTreeSet<Role>, now_ms: u64) -> Result<Role, Refusal> {
        self.missing(now_ms)?;
        if *key == self.need.proposer {
            return Err(Refusal::Own);
        }
        if self.given.contains_key(key) {
            return Err(Refusal::Twice);
        }
        roles.intersection(&self.need.roles).next().copied().ok_or(Refusal::Role)
    }

    /// As what a key, also the proposer's, may do without.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn may_break_glass(&self, roles: &BTreeSet<Role>, now_ms: u64) -> Result<Role, Refusal> {
        self.missing(now_ms)?;
        roles.intersection(&self.need.glass).next().copied().ok_or(Refusal::Role)
    }

    /// Takes an approval in, as it was recorded.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn approve(&mut self, key: Key, role: Role, at_ms: u64) -> Result<(), Refusal> {
        self.may_approve(&key, &BTreeSet::from([role]), at_ms)?;
        self.given.insert(key, role);
        Ok(())
    }

    /// Takes in that somebody did without.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn break_glass(&mut self, glass: Glass, at_ms: u64) -> Result<(), Refusal> {
        self.may_break_glass(&BTreeSet::from([glass.role]), at_ms)?;
        self.glass = Some(glass);
        Ok(())
    }
}

/// What is approved: the first event of a change in the form of the store, as a hash in hex.
pub(crate) fn change(first: &str) -> String {
    hex::encode(Sha256::digest(first.as_bytes()))
}

/// An approval, as a fold takes it.
pub(crate) fn approved(of: Option<&mut Approvals>, key: Key, role: Role, at_ms: u64) -> Result<(), &'static str> {
    let approvals = of.ok_or("it needs no approval")?;
    approvals.approve(key, role, at_ms).map_err(|_| "this approval does not count")
}

/// A broken glass, as a fold takes it.
pub(crate) fn glass_broken(of: Option<&mut Approvals>, glass: Glass, at_ms: u64) -> Result<(), &'static str> {
    let approvals = of.ok_or("it needs no approval")?;
    approvals.break_glass(glass, at_ms).map_err(|_| "the glass is not this one's to break")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 24 * 3_600_000;

    fn rule(kinds: &[Kind], devices: usize, approvals: u8) -> Rule {
        Rule {
            kinds: kinds.iter().copied().collect(),
            devices,
            approvals,
            roles: [Role::Authority, Role::Owner].into(),
            glass: [Role::Authority].into(),
            expires_ms: DAY_MS,
        }
    }

    fn policy() -> ApprovalPolicy {
        let rules = vec![
            rule(&[Kind::Decommission, Kind::DryRun], 1, 1),
            rule(&[Kind::Provision], 2, 1),
            rule(&[Kind::Provision], 100, 2),
            rule(&[Kind::Provision], 100, 1),
        ];
        ApprovalPolicy { rules }
    }

    const fn key(n: u8) -> Key {
        Key([n; 32])
    }

    #[test]
    fn how_many_approvals_follows_from_what_is_done_to_how_many() {
        for (kind, devices, approvals) in [
            (Kind::Provision, 1, 0),
            (Kind::Provision, 2, 1),
            (Kind::Provision, 99, 1),
            (Kind::Provision, 100, 2),
            (Kind::Decommission, 1, 1),
            (Kind::Revert, 500, 0),
            (Kind::DryRun, 500, 0),
        ] {
            let need = policy().need(kind, devices, Some(key(1))).unwrap();
            assert_eq!(need.map_or(0, |need| need.approvals), approvals, "{kind:?} of {devices}");
        }
        assert_eq!(policy().need(Kind::Decommission, 1, None), Err(Refusal::Anonymous));
        assert_eq!(policy().need(Kind::Provision, 1, None), Ok(None));
        assert_eq!(ApprovalPolicy::none().need(Kind::Decommission, 99, None), Ok(None));
    }

    #[test]
    fn two_others_have_to_agree_in_time() {
        let need = policy().need(Kind::Provision, 100, Some(key(1))).unwrap().unwrap();
        let mut approvals = Approvals::new(need, 1_000);
        let owner = BTreeSet::from([Role::Owner]);
        let nobody = BTreeSet::from([Role::Operations]);
        assert_eq!(approvals.may_approve(&key(1), &owner, 2_000), Err(Refusal::Own));
        assert_eq!(approvals.may_approve(&key(2), &nobody, 2_000), Err(Refusal::Role));
        assert_eq!(approvals.may_approve(&key(2), &BTreeSet::new(), 2_000), Err(Refusal::Role));
        assert_eq!(approvals.may_approve(&key(2), &owner, 1_000 + DAY_MS), Err(Refusal::Expired));
        approvals.approve(key(2), Role::Owner, 2_000).unwrap();
        assert!(!approvals.is_complete());
        assert_eq!(approvals.approve(key(2), Role::Owner, 2_000), Err(Refusal::Twice));
        assert!(approvals.has_expired(1_000 + DAY_MS) && !approvals.has_expired(999 + DAY_MS));
        approvals.approve(key(3), Role::Authority, 999 + DAY_MS).unwrap();
        assert!(approvals.is_complete() && !approvals.has_expired(u64::MAX));
        assert_eq!(approvals.approve(key(4), Role::Owner, 3_000), Err(Refusal::NotMissing));
    }

    #[test]
    fn the_glass_is_broken_by_whom_the_policy_names_also_by_the_proposer() {
        let need = policy().need(Kind::Decommission, 1, Some(key(1))).unwrap().unwrap();
        let mut approvals = Approvals::new(need, 0);
        assert_eq!(approvals.may_break_glass(&BTreeSet::from([Role::Owner]), 1), Err(Refusal::Role));
        let glass = Glass { key: key(1), role: Role::Authority, reason: "the site burns".to_owned() };
        assert_eq!(approvals.break_glass(glass.clone(), DAY_MS), Err(Refusal::Expired));
        approvals.break_glass(glass.clone(), 1).unwrap();
        assert!(approvals.is_complete());
        assert_eq!(approvals.break_glass(glass, 2), Err(Refusal::NotMissing));
    }
}
