//! What a round found, to everyone who wants to know.

use std::sync::Arc;

use tracing::info;

use super::{Judge, Published};
use crate::{chain::Chain, since::Since, subjects::Judged};

impl<C: Chain> Judge<C> {
    /// Returns what was found, shared: a fleet's is some 100 MB.
    pub(super) fn publish(&mut self, round: Vec<Judged>, slot: u64, at_ms: u64, in_set: bool) -> Vec<Arc<Judged>> {
        let before = self.published.borrow().clone();
        for judged in &round {
            let level = judged.verdict.level;
            let was = before.subjects.get(&(judged.kind, judged.code)).map(|j| j.verdict.level);
            if was != Some(level) {
                let criteria: Vec<_> = judged.verdict.not_passed().map(|c| c.id.name()).collect();
                let (kind, was) = (judged.kind.name(), was.map(|l| l.name()));
                info!(kind, code = %judged.code, level = level.name(), was, ?criteria, "level");
            }
        }
        self.desk.round(&round, at_ms);
        self.metrics.judged(&round, in_set);
        let round: Vec<Arc<Judged>> = round.into_iter().map(Arc::new).collect();
        let subjects = round.iter().map(|j| ((j.kind, j.code), j.clone())).collect();
        let since = Since::of_round(&subjects, &before.subjects, &before.since, at_ms);
        self.published.send_replace(Arc::new(Published { slot, at_ms, in_set, subjects, since }));
        round
    }
}
