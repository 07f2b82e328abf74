//! What a key is on the ledger, with regard to the devices of a change.
//!
//! Nothing is guessed: a device that the ledger does not have, a contributor that is suspended, or a ledger that was not heard of
//! for minutes gives nobody a role.

use std::{collections::BTreeSet, sync::Weak};

use causeway_interface::{Code, Key, RegistryStatus, accounts::Contributor};
use causeway_jobs::{
    approval::{Role, Roles},
    error::{self, StepError, Trouble},
};
use causeway_sdk::snapshot::Snapshot;
use futures::future::BoxFuture;

use crate::{
    http::STALE_MS,
    shared::{Shared, now_ms},
};

/// The roles on the ledger, as a controller has read it.
pub struct LedgerRoles {
    shared: Weak<Shared>,
}

impl LedgerRoles {
    /// Of a controller.
    #[must_use]
    pub const fn new(shared: Weak<Shared>) -> Self {
        Self { shared }
    }
}

/// What a key is with regard to all of these devices.
#[must_use]
pub fn of(snapshot: &Snapshot, key: &Key, devices: &[Code]) -> BTreeSet<Role> {
    let mut roles = BTreeSet::new();
    if key.is_zero() || devices.is_empty() {
        return roles;
    }
    if snapshot.network.as_ref().is_some_and(|network| network.authority == *key) {
        roles.insert(Role::Authority);
    }
    let wanted: BTreeSet<Code> = devices.iter().copied().collect();
    let records: Vec<_> = snapshot.devices.values().filter(|record| wanted.contains(&record.code)).collect();
    if records.len() != wanted.len() {
        return roles;
    }
    let contributors: BTreeSet<Key> = records.iter().map(|record| record.contributor).collect();
    let every = |is: fn(&Contributor) -> Key| {
        contributors.iter().all(|contributor| {
            let active = |c: &&Contributor| c.header.status == RegistryStatus::Activated;
            snapshot.contributors.get(contributor).filter(active).is_some_and(|c| is(c) == *key)
        })
    };
    if every(|contributor| contributor.owner) {
        roles.insert(Role::Owner);
    }
    if every(|contributor| contributor.operations_key) {
        roles.insert(Role::Operations);
    }
    roles
}

impl Roles for LedgerRoles {
    fn roles<'a>(&'a self, key: &'a Key, devices: &'a [Code]) -> BoxFuture<'a, Result<BTreeSet<Role>, StepError>> {
        Box::pin(async move {
            let away = |words: String| error::LEDGER_AWAY.transient(Trouble::Network, words);
            let shared = self.shared.upgrade().ok_or_else(|| away("the controller stops".to_owned()))?;
            let snapshot = shared.store().effective().cloned();
            let snapshot = snapshot.ok_or_else(|| away("the ledger has not been read yet".to_owned()))?;
            let age_ms = now_ms().saturating_sub(shared.taken_unix_ms());
            if age_ms > STALE_MS {
                return Err(away(format!("the ledger was last taken in {} s ago", age_ms / 1_000)));
            }
            Ok(of(&snapshot, key, devices))
        })
    }
}

#[cfg(test)]
mod tests {
    use causeway_interface::Platform;

    use super::*;
    use crate::testing::{SyntheticLedger, code};

    const AUTHORITY: Key = Key([1; 32]);
    const OWNER: Key = Key([2; 32]);
    const OPERATIONS: Key = Key([3; 32]);

    #[test]
    fn a_role_counts_for_every_one_of_the_devices_or_not_at_all() {
        let mut ledger = SyntheticLedger::ring(Platform::Frr);
        let (first, co) = ledger.snapshot.contributors.iter().next().map(|(k, c)| (*k, c.clone())).unwrap();
        ledger.snapshot.contributors.get_mut(&first).unwrap().operations_key = OPERATIONS;
        // `fra` is another contributor's.
        let other = Key([77; 32]);
        let another = Contributor { code: code("c2"), owner: Key([9; 32]), operations_key: OPERATIONS, ..co };
        ledger.snapshot.contributors.insert(other, another);
        ledger.device_mut("fra").contributor = other;
        let roles = |key: Key, devices: &[&str]| {
            let devices: Vec<Code> = devices.iter().map(|name| code(name)).collect();
            of(&ledger.snapshot, &key, &devices).into_iter().collect::<Vec<_>>()
        };
        assert_eq!(roles(AUTHORITY, &["ams", "fra"]), [Role::Authority]);
        assert_eq!(roles(OWNER, &["ams"]), [Role::Owner]);
        assert_eq!(roles(OWNER, &["ams", "fra"]), []);
        assert_eq!(roles(OPERATIONS, &["ams", "fra"]), [Role::Operations]);
        for (key, devices) in [
            (OWNER, &["ams", "gone"][..]),
            (OWNER, &[]),
            (AUTHORITY, &[]),
            (Key::ZERO, &["ams"]),
            (Key([8; 32]), &["ams"]),
        ] {
            assert_eq!(roles(key, devices), [], "{key:?} {devices:?}");
        }
        let mut suspended = ledger.snapshot.clone();
        suspended.contributors.get_mut(&first).unwrap().header.status = RegistryStatus::Suspended;
        assert_eq!(of(&suspended, &OWNER, &[code("ams")]), BTreeSet::new());
        // A contributor without an operations key gives nobody that role.
        assert_eq!(roles(Key::ZERO, &["ams"]), []);
    }
}
