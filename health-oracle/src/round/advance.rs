//! What the program could do next with any of the subjects, and whose turn it is to make it.

use causeway_interface::{Key, accounts::Network};
use causeway_sdk::{DeviceRefs, LinkRefs, Snapshot, predict};
use solana_sdk::instruction::Instruction;
use tracing::debug;

use super::Judge;
use crate::{chain::Chain, submission, time::SlotClock};

impl<C: Chain> Judge<C> {
    pub(super) async fn advance(&mut self, snapshot: &Snapshot, network: &Network, place: usize, clock: &SlotClock) {
        let due = self.advances(snapshot);
        self.due_since.retain(|key, _| due.iter().any(|(k, _)| k == key));
        let stagger = clock.slots_in(self.settings.round_ms.saturating_mul(2)).max(1);
        let oracles = usize::from(network.oracle_count);
        let mut mine = Vec::new();
        for (key, instruction) in due {
            let since = *self.due_since.entry(key).or_insert(snapshot.slot);
            if submission::may_advance(&key, place, oracles, since, snapshot.slot, stagger) {
                mine.push((key, instruction));
            }
        }
        let landed = self.send_packed("advance", mine).await;
        self.metrics.advanced(landed);
    }

    /// What would change if somebody advanced it now.
    fn advances(&self, snapshot: &Snapshot) -> Vec<(Key, Instruction)> {
        let oracle = &self.settings.oracle;
        let addresses = self.instructions.addresses();
        let now = snapshot.slot;
        let mut due = Vec::new();
        for (key, device) in &snapshot.devices {
            match predict::device(snapshot, key, now) {
                Ok(next) if next.changes() => {
                    let refs = DeviceRefs::of(addresses, device);
                    due.push((*key, self.instructions.advance_device(oracle, &refs, device.header.sequence)));
                }
                Ok(_) => {}
                Err(error) => debug!(code = %device.code, %error, "no prediction"),
            }
        }
        for (key, link) in &snapshot.links {
            match (predict::link(snapshot, key, now), snapshot.link_context(link)) {
                (Ok(next), Some(context)) if next.changes() => {
                    let refs = LinkRefs::of(addresses, &context);
                    due.push((*key, self.instructions.advance_link(oracle, &refs, link.header.sequence)));
                }
                (Ok(_), _) => {}
                (Err(error), _) => debug!(code = %link.code, %error, "no prediction"),
            }
        }
        due
    }
}
