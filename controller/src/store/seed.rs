//! What was served before a restart, as what the first ledger that is read after it is measured by. Without it, a text that
//! waits for approval would be served by the next start, and who can't be read any more would be in nobody's text.
//!
//! Texts are made anew from what was last good, so that a newer renderer is no removal; only devices that were served
//! something else have their plan kept besides. Pure; nothing of it is served by itself.

use std::{collections::BTreeMap, sync::Arc};

use causeway_interface::Code;
use causeway_sdk::snapshot::Snapshot;

use super::{Signer, Store};
use crate::{
    guards::{self, Unreadable},
    plan::DevicePlan,
    prepare::{Basis, Outcome, Settings, prepare},
};

/// What of what is served outlives a restart.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The ledger, with what was last good in place of what is at fault.
    pub effective: Arc<Snapshot>,
    /// What is served to devices whose text waits for approval or can't be made.
    pub plans: BTreeMap<Code, Arc<DevicePlan>>,
}

impl Store {
    /// What is to outlive a restart; none before the first snapshot.
    #[must_use]
    pub fn kept(&self) -> Option<Kept> {
        let unclear = self.entries.iter().filter(|(_, entry)| !entry.is_clear());
        let plans = unclear.filter_map(|(code, entry)| Some((*code, entry.served.clone()?)));
        Some(Kept { effective: self.effective.clone()?, plans: plans.collect() })
    }

    /// What was served, as of the slot of the first ledger that is read: the same texts under its generation, which no agent
    /// has had a later one than. That ledger is then prepared and committed like any other.
    ///
    /// # Errors
    /// The ledger is not one to act on after what was served.
    pub fn begun_from(kept: &Kept, live: &Snapshot, settings: &Settings, signer: &Signer) -> Result<Self, Unreadable> {
        let before = &kept.effective;
        guards::readable(live, Some((before.program_id, before.slot)), &settings.limits)?;
        let before = Snapshot { slot: live.slot, ..Snapshot::clone(before) };
        let mut prepared = prepare(&Basis::default(), &before, settings)?;
        for (code, plan) in kept.plans.iter().filter(|(code, _)| prepared.devices.contains(code)) {
            let outcome = match settings.renderer.render(plan, None) {
                Ok(rendered) => Outcome::Rendered(Arc::clone(plan), Box::new(rendered)),
                Err(error) => Outcome::Failed(error),
            };
            prepared.outcomes.insert(*code, outcome);
        }
        let mut store = Self::default();
        // All of it was told when it happened.
        drop(store.commit(prepared, signer, &settings.limits));
        for code in kept.plans.keys() {
            if let Some(entry) = store.entries.get_mut(code) {
                entry.reach = entry.current.as_ref().map_or(0, |current| current.extent.reach);
            }
        }
        store.unsettled = kept.plans.keys().copied().collect();
        Ok(store)
    }

    /// Takes what was begun from in place of nothing.
    pub fn begin(&mut self, begun: Self) {
        let unreadable = self.unreadable.take();
        *self = Self { unreadable, ..begun };
    }
}
