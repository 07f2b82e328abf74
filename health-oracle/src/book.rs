//! The rules of every kind of subject: numbers that hold for all, and what is different for a type of device or link and
//! for one network.
//!
//! Most specific wins, number by number: what is said for all, then for a type, then for the network, then for a type in
//! that network. Buckets and lag are common to all, because one store holds the telemetry of all: a [`Patch`] can't
//! hold them.

use std::collections::BTreeMap;

use causeway_interface::{DeviceType, Key, LinkType};
use causeway_sdk::Snapshot;
use serde::{Deserialize, Serialize};

use crate::{criteria::coverage::Rules, subjects::Kind};

/// A type of device or link that can have rules of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Devices with users and no transit.
    Edge,
    /// Devices that only carry.
    Transit,
    /// Devices that do both.
    Hybrid,
    /// Links between sites.
    Wan,
    /// Links at an exchange.
    Dzx,
}

impl Class {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Edge, Self::Transit, Self::Hybrid, Self::Wan, Self::Dzx];

    /// The name that the configuration file has for it: the ledger's own.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Transit => "transit",
            Self::Hybrid => "hybrid",
            Self::Wan => "wan",
            Self::Dzx => "dzx",
        }
    }

    const fn of_device(kind: DeviceType) -> Self {
        match kind {
            DeviceType::Edge => Self::Edge,
            DeviceType::Transit => Self::Transit,
            DeviceType::Hybrid => Self::Hybrid,
        }
    }

    const fn of_link(kind: LinkType) -> Self {
        match kind {
            LinkType::Wan => Self::Wan,
            LinkType::Dzx => Self::Dzx,
        }
    }
}

/// What is different from the less specific rules; see [`Rules`] for the numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// Share of buckets that must hold a sample, in millionths.
    pub min_share_ppm: Option<u32>,
    /// Buckets that may be missing whatever the share says.
    pub spare_buckets: Option<u64>,
    /// Longest stretch without a sample, in ms.
    pub max_gap_ms: Option<u64>,
    /// Buckets that must hold a sample before anything is called good.
    pub min_buckets: Option<u64>,
    /// How long a break is held after it ended, in ms.
    pub hold_ms: Option<u64>,
    /// Time after a change of status in which things settle, in ms.
    pub settle_ms: Option<u64>,
    /// Loss that a bucket may have, in millionths.
    pub loss_limit_ppm: Option<u32>,
    /// Age in ms after which an agent's last poll is too old.
    pub max_poll_age_ms: Option<u64>,
    /// Time after a change of status in which the configuration of before may still run, in ms.
    pub config_grace_ms: Option<u64>,
    /// Buckets with an answered QA probe that a new device needs.
    pub qa_successes_min: Option<u32>,
}

impl Patch {
    /// The rules with what is different.
    #[must_use]
    pub fn on(&self, rules: &Rules) -> Rules {
        // Every field is named, so that a new rule has to say whether it can be overridden.
        Rules {
            bucket_ms: rules.bucket_ms,
            min_share_ppm: self.min_share_ppm.unwrap_or(rules.min_share_ppm),
            spare_buckets: self.spare_buckets.unwrap_or(rules.spare_buckets),
            max_gap_ms: self.max_gap_ms.unwrap_or(rules.max_gap_ms),
            min_buckets: self.min_buckets.unwrap_or(rules.min_buckets),
            hold_ms: self.hold_ms.unwrap_or(rules.hold_ms),
            lag_ms: rules.lag_ms,
            settle_ms: self.settle_ms.unwrap_or(rules.settle_ms),
            loss_limit_ppm: self.loss_limit_ppm.unwrap_or(rules.loss_limit_ppm),
            max_poll_age_ms: self.max_poll_age_ms.unwrap_or(rules.max_poll_age_ms),
            config_grace_ms: self.config_grace_ms.unwrap_or(rules.config_grace_ms),
            qa_successes_min: self.qa_successes_min.unwrap_or(rules.qa_successes_min),
        }
    }
}

/// What is different for the whole of something, and for types in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// For all subjects.
    pub all: Patch,
    /// For those of a type.
    pub types: BTreeMap<Class, Patch>,
}

/// Everything that is different from the rules for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// By type, in every network.
    pub types: BTreeMap<Class, Patch>,
    /// By network, named by the program's key.
    pub networks: BTreeMap<Key, Scope>,
}

/// Rules that can't be judged by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rules {place}: {why}")]
pub struct RulesError {
    /// For whom: "for all", "for edge", "for edge in network ...".
    pub place: String,
    /// What they have to be.
    pub why: &'static str,
}

/// The rules of every kind of subject in one network, in this form or in another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleBook<T = Rules> {
    /// What is said for all: no subject is judged by it, but buckets and lag are its.
    pub all: T,
    /// Of devices of this type, and so on.
    pub edge: T,
    /// See `edge`.
    pub transit: T,
    /// See `edge`.
    pub hybrid: T,
    /// Of links of this type.
    pub wan: T,
    /// See `wan`.
    pub dzx: T,
}

impl From<Rules> for RuleBook {
    /// The same for all.
    fn from(rules: Rules) -> Self {
        let of = || rules.clone();
        Self { edge: of(), transit: of(), hybrid: of(), wan: of(), dzx: of(), all: rules }
    }
}

impl RuleBook {
    /// The book of one network. Those of all other networks that have overrides are checked too: a mistake shows before
    /// it matters.
    ///
    /// # Errors
    /// Every combination that can't be judged by.
    pub fn new(rules: &Rules, overrides: &Overrides, program: &Key) -> Result<Self, Vec<RulesError>> {
        let nothing = Scope::default();
        let book = Self::of_scope(rules, overrides, overrides.networks.get(program).unwrap_or(&nothing));
        let mut errors = Self::of_scope(rules, overrides, &nothing).problems("");
        for (network, scope) in &overrides.networks {
            let found = Self::of_scope(rules, overrides, scope).problems(&format!(" in network {network}"));
            // What is wrong everywhere is said once.
            let known: Vec<_> = errors.iter().map(|e| e.why).collect();
            errors.extend(found.into_iter().filter(|e| !known.contains(&e.why)));
        }
        if errors.is_empty() { Ok(book) } else { Err(errors) }
    }

    fn of_scope(rules: &Rules, overrides: &Overrides, scope: &Scope) -> Self {
        let nothing = Patch::default();
        let of = |class: Class| {
            let typed = overrides.types.get(&class).unwrap_or(&nothing).on(rules);
            scope.types.get(&class).unwrap_or(&nothing).on(&scope.all.on(&typed))
        };
        Self {
            all: scope.all.on(rules),
            edge: of(Class::Edge),
            transit: of(Class::Transit),
            hybrid: of(Class::Hybrid),
            wan: of(Class::Wan),
            dzx: of(Class::Dzx),
        }
    }

    fn problems(&self, network: &str) -> Vec<RulesError> {
        let mut problems: Vec<RulesError> = Vec::new();
        let members = self.members().map(|(class, rules)| (class.name(), rules));
        for (name, rules) in std::iter::once(("all", &self.all)).chain(members) {
            if let Err(why) = rules.check()
                && problems.iter().all(|p| p.why != why)
            {
                problems.push(RulesError { place: format!("for {name}{network}"), why });
            }
        }
        problems
    }

    /// What a subject of this snapshot is judged by; the rules for all where it is not in it.
    #[must_use]
    pub fn for_subject(&self, snapshot: &Snapshot, kind: Kind, key: &Key) -> &Rules {
        let found = match kind {
            Kind::Device => snapshot.devices.get(key).map(|device| self.for_device(device.header.kind)),
            Kind::Link => snapshot.links.get(key).map(|link| self.for_link(link.header.kind)),
        };
        found.unwrap_or(&self.all)
    }

    /// How far back held breaks of any type are seen, in ms; see [`Rules::held_ms`].
    #[must_use]
    pub fn held_ms(&self) -> u64 {
        self.members().map(|(_, rules)| rules.held_ms()).fold(self.all.held_ms(), u64::max)
    }
}

impl<T> RuleBook<T> {
    /// The rules of a type.
    #[must_use]
    pub const fn of(&self, class: Class) -> &T {
        match class {
            Class::Edge => &self.edge,
            Class::Transit => &self.transit,
            Class::Hybrid => &self.hybrid,
            Class::Wan => &self.wan,
            Class::Dzx => &self.dzx,
        }
    }

    /// What a device of this type is judged by.
    #[must_use]
    pub const fn for_device(&self, kind: DeviceType) -> &T {
        self.of(Class::of_device(kind))
    }

    /// What a link of this type is judged by.
    #[must_use]
    pub const fn for_link(&self, kind: LinkType) -> &T {
        self.of(Class::of_link(kind))
    }

    /// Every type with its rules.
    pub fn members(&self) -> impl Iterator<Item = (Class, &T)> {
        Class::ALL.into_iter().map(|class| (class, self.of(class)))
    }

    /// The book with every member changed in the same way.
    #[must_use]
    pub fn map<U>(&self, change: impl Fn(&T) -> U) -> RuleBook<U> {
        RuleBook {
            all: change(&self.all),
            edge: change(&self.edge),
            transit: change(&self.transit),
            hybrid: change(&self.hybrid),
            wan: change(&self.wan),
            dzx: change(&self.dzx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Key = Key([1; 32]);
    const THERE: Key = Key([2; 32]);

    fn gap(max_gap_ms: u64) -> Patch {
        Patch { max_gap_ms: Some(max_gap_ms), ..Patch::default() }
    }

    fn loss(ppm: u32) -> Patch {
        Patch { loss_limit_ppm: Some(ppm), ..Patch::default() }
    }

    #[test]
    fn most_specific_wins_number_by_number() {
        let rules = Rules::default();
        let scope = |all, types| Scope { all, types };
        let overrides = Overrides {
            types: [(Class::Edge, gap(100_000)), (Class::Wan, loss(5))].into(),
            networks: [
                (HERE, scope(gap(200_000), [(Class::Hybrid, gap(400_000)), (Class::Wan, loss(9))].into())),
                (THERE, scope(loss(7), BTreeMap::new())),
            ]
            .into(),
        };
        let book = |program: &Key| RuleBook::new(&rules, &overrides, program).unwrap();
        let seen = |book: &RuleBook, class| (book.of(class).max_gap_ms, book.of(class).loss_limit_ppm);
        let cases = [
            (Key([9; 32]), [(100_000, 0), (300_000, 0), (300_000, 0), (300_000, 5), (300_000, 0)]),
            (HERE, [(200_000, 0), (200_000, 0), (400_000, 0), (200_000, 9), (200_000, 0)]),
            (THERE, [(100_000, 7), (300_000, 7), (300_000, 7), (300_000, 7), (300_000, 7)]),
        ];
        for (program, expected) in cases {
            let book = book(&program);
            assert_eq!(Class::ALL.map(|class| seen(&book, class)), expected, "{program}");
            assert!(book.members().all(|(_, r)| (r.bucket_ms, r.lag_ms) == (rules.bucket_ms, rules.lag_ms)));
        }
        let book = book(&HERE);
        assert_eq!(book.for_device(DeviceType::Hybrid).max_gap_ms, 400_000);
        assert_eq!(book.for_link(LinkType::Wan).loss_limit_ppm, 9);
    }

    #[test]
    fn every_combination_is_checked_and_all_that_is_wrong_is_said() {
        let overrides = Overrides {
            types: [(Class::Dzx, gap(1))].into(),
            networks: [(THERE, Scope { types: [(Class::Edge, loss(1_000_000))].into(), ..Scope::default() })].into(),
        };
        let errors = RuleBook::new(&Rules::default(), &overrides, &HERE).unwrap_err();
        let said: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 2, "{said:?}");
        assert_eq!(said[0], "rules for dzx: the longest gap has to be at least a bucket");
        assert!(said[1].starts_with("rules for edge in network 8qbHbw2BbbTHBW1sb"), "{}", said[1]);
        // The sum of two levels that are each fine can be wrong: buckets of an hour, a gap of five minutes.
        let wide = Rules { bucket_ms: 3_600_000, max_gap_ms: 3_600_000, ..Rules::default() };
        let errors =
            RuleBook::new(&wide, &Overrides { types: [(Class::Wan, gap(300_000))].into(), ..overrides }, &HERE);
        assert!(errors.unwrap_err().iter().any(|e| e.place == "for wan"));
    }
}
