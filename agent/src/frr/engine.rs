//! Brings an instance of FRR to a configuration: reads what runs, gives the difference, and reads again.

use std::{collections::BTreeSet, fs::File};

use super::{
    diff::{self, Batch},
    scope,
    tree::{Path, Tree},
    vtysh::{Outcome, Running, Vtysh},
};
use crate::driver::DriverError;

/// Readings after which a configuration that is still not reached won't be. One usually suffices; a second restores what
/// FRR takes along with something else.
const MAX_PASSES: usize = 4;
/// Most lines that an error names.
const MAX_NAMED_LINES: usize = 5;

/// How to go about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Stops at the first command that is refused: what is left is someone else's to take back.
    Strict,
    /// Goes on after a refused command, and takes sections down that don't come right otherwise: the way back has to
    /// succeed whatever it takes.
    Insistent,
}

/// Where to.
#[derive(Clone, Copy)]
pub struct Goal<'a> {
    /// What shall run, of the managed part.
    pub target: &'a Tree,
    /// Lines beside the managed sections that are Causeway's.
    pub owned: &'a BTreeSet<Path>,
}

impl Goal<'_> {
    /// What runs of the part that is to become the target.
    pub fn managed(&self, running: &Tree) -> Tree {
        scope::managed(running, self.target, self.owned)
    }
}

/// Brings it there. What it runs is read first, unless it is `known`.
///
/// # Errors
/// [`DriverError::Refused`]: FRR refuses a command, or never shows what it was given. [`DriverError::Unreachable`]: a daemon
/// that is needed is away. In both cases it may be anywhere between the two.
pub fn converge(
    vtysh: &Vtysh,
    known: Option<&Tree>,
    goal: &Goal<'_>,
    manner: Manner,
    held: Option<&File>,
) -> Result<(), DriverError> {
    let needed = scope::needed_daemons(goal.target);
    let mut refusal = None;
    for pass in 0..=MAX_PASSES {
        let now = match known.filter(|_| pass == 0) {
            Some(known) => goal.managed(known),
            None => {
                let running = vtysh.running()?;
                Vtysh::require(&running, &needed)?;
                goal.managed(&running.tree)
            }
        };
        if now.says_the_same(goal.target) {
            return Ok(());
        }
        if pass == MAX_PASSES {
            return Err(refusal.unwrap_or_else(|| not_reached(&now, goal.target)));
        }
        let batch = match manner {
            Manner::Insistent if pass >= MAX_PASSES / 2 => diff::rebuild(&now, goal.target),
            Manner::Strict | Manner::Insistent => diff::batch(&now, goal.target),
        };
        match (vtysh.configure(&batch, held), manner) {
            (Ok(Outcome::Done), _) => {}
            (Ok(Outcome::Wordless), _) => each(vtysh, &batch, held)?,
            (Err(DriverError::Refused(words)), Manner::Insistent) => {
                refusal = Some(DriverError::Refused(words));
                each(vtysh, &batch, held)?;
            }
            (Err(error), _) => return Err(error),
        }
    }
    Ok(())
}

/// What runs, once every daemon that a target needs says so.
///
/// # Errors
/// [`DriverError::Unreachable`].
pub fn running_with(vtysh: &Vtysh, target: &Tree) -> Result<Running, DriverError> {
    let running = vtysh.running()?;
    Vtysh::require(&running, &scope::needed_daemons(target))?;
    Ok(running)
}

/// Every group by itself, whatever the others come to. Those that had run already are refused now, which says nothing: the
/// next reading decides.
fn each(vtysh: &Vtysh, batch: &Batch, held: Option<&File>) -> Result<(), DriverError> {
    for group in batch {
        match vtysh.configure(&vec![group.clone()], held) {
            Ok(Outcome::Done | Outcome::Wordless) => {}
            Err(DriverError::Refused(words)) => tracing::debug!(%words, "a command by itself is refused"),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn not_reached(now: &Tree, target: &Tree) -> DriverError {
    let lines = |sign: &str, of: &Tree, other: &Tree| -> Vec<String> {
        of.paths()
            .filter(|path| !other.contains(path))
            .take(MAX_NAMED_LINES)
            .map(|path| format!("{sign} {}", path.join(" / ")))
            .collect()
    };
    let named = [lines("missing:", target, now), lines("still there:", now, target)].concat();
    DriverError::Refused(format!("FRR takes the commands and does not show what they say; {}", named.join(", ")))
}
