//! What was measured, by instruction.

use std::collections::BTreeMap;

use causeway_interface::instruction::Tag;

use super::needs::{Creation, Needs};
use crate::world::{Done, Failure};

/// Compute units of an instruction.
#[derive(Clone, Debug, Default)]
pub struct Cost {
    /// Alone in its transaction: of its dearest case, of those whose address searches take the fewest steps. How many
    /// they take is luck of the code and not the program's doing; what a step costs is in the table.
    pub cu: u64,
    /// Of its dearest case, address searches and all.
    pub dearest_cu: u64,
    /// Steps of the address searches in that case.
    pub dearest_steps: u64,
    /// What the case of [`Self::cu`] needs of the runtime.
    pub needs: Needs,
    /// Of `attest`: what each subject after the first adds, averaged over a full batch.
    pub per_further_subject: Option<u64>,
}

/// The costs of all instructions by name.
pub type Costs = BTreeMap<&'static str, Cost>;

/// The costs as they are found.
#[derive(Default)]
pub struct Table(Costs);

impl Table {
    /// Enters a case.
    #[track_caller]
    pub fn put(&mut self, tag: Tag, result: Result<Done, Failure>) {
        self.enter(tag, 0, Vec::new(), result);
    }

    /// Enters a case with more accounts than those that every case of its instruction has.
    #[track_caller]
    pub fn put_longer(&mut self, tag: Tag, more_accounts: usize, result: Result<Done, Failure>) {
        self.enter(tag, more_accounts, Vec::new(), result);
    }

    /// Enters a case that created accounts.
    #[track_caller]
    pub fn put_creation(&mut self, tag: Tag, creations: Vec<Creation>, result: Result<Done, Failure>) {
        self.enter(tag, 0, creations, result);
    }

    #[track_caller]
    fn enter(&mut self, tag: Tag, more_accounts: usize, creations: Vec<Creation>, result: Result<Done, Failure>) {
        let done = result.unwrap_or_else(|failure| panic!("{tag}: {:?}\n{}", failure.error, failure.logs.join("\n")));
        let needs = Needs::new(tag, more_accounts, creations, &done.logs);
        let cost = self.0.entry(tag.name()).or_default();
        let steps = needs.steps();
        if done.cu > cost.dearest_cu {
            cost.dearest_cu = done.cu;
            cost.dearest_steps = steps;
        }
        // Where an instruction is met twice the dearer case counts.
        let dearer = steps == cost.needs.steps() && done.cu > cost.cu;
        if cost.cu == 0 || steps < cost.needs.steps() || dearer {
            cost.cu = done.cu;
            cost.needs = needs;
        }
    }

    /// The entry of an instruction, to complete.
    pub fn of(&mut self, tag: Tag) -> &mut Cost {
        self.0.entry(tag.name()).or_default()
    }

    /// The costs, complete.
    ///
    /// # Panics
    /// An instruction has no case.
    pub fn finish(self) -> Costs {
        for tag in Tag::ALL {
            assert!(self.0.contains_key(tag.name()), "{tag} has no case");
        }
        self.0
    }
}
