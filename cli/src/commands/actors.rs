//! Whose a key is, as far as the ledger says today: keys that have been replaced since have no name. Pure.

use std::collections::BTreeMap;

use causeway_interface::{
    Key,
    accounts::{Contributor, Network},
};

/// Names of keys. One key may be several parties.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actors {
    names: BTreeMap<Key, Vec<String>>,
}

impl Actors {
    /// Of the network's and its contributors' present keys.
    pub fn of<'a>(network: Option<&Network>, contributors: impl Iterator<Item = &'a Contributor>) -> Self {
        let mut actors = Self::default();
        if let Some(network) = network {
            actors.add(&network.authority, "authority".to_owned());
            let oracles = network.oracles.iter().take(usize::from(network.oracle_count));
            // Counted as people do, and as a local ledger names their key files.
            for (n, oracle) in (1..).zip(oracles) {
                actors.add(oracle, format!("oracle {n}"));
            }
        }
        let mut contributors: Vec<_> = contributors.collect();
        contributors.sort_by_key(|contributor| contributor.code);
        for contributor in contributors {
            actors.add(&contributor.owner, format!("{}'s owner", contributor.code));
            actors.add(&contributor.operations_key, format!("{}'s operations", contributor.code));
        }
        actors
    }

    fn add(&mut self, key: &Key, name: String) {
        if *key != Key::ZERO {
            self.names.entry(*key).or_default().push(name);
        }
    }

    /// The key's names; none for a stranger's.
    pub fn name(&self, key: &Key) -> Option<String> {
        self.names.get(key).map(|names| names.join(", "))
    }
}
