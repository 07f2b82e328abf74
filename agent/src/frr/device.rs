//! What can be done to one FRR device, step by step and blocking. The agent's driver and the watchdog share it.
//!
//! Whoever changes what runs holds the lock `acting`, and so does the `vtysh` that it starts: if one of them is killed,
//! nobody else begins before that `vtysh` has ended.

use std::{path::Path, time::Duration};

use super::{
    engine::{self, Goal, Manner, converge},
    links::{self, Kernel},
    memory::{BootTime, MemoryFile, Pending},
    scope,
    tree::Tree,
    vtysh::{CONFIGURE_LIMIT, Vtysh},
};
use crate::driver::DriverError;

/// For whoever acts to end: one invocation that configures and what is around it.
const ACTING_WITHIN: Duration = Duration::from_secs(2 * CONFIGURE_LIMIT.as_secs());

/// A device and what is remembered of it.
#[derive(Clone, Debug)]
pub struct Device {
    /// The way to its FRR.
    pub vtysh: Vtysh,
    /// The kernel that it runs on.
    pub kernel: Kernel,
    /// What outlives processes.
    pub memory: MemoryFile,
}

/// A text that was checked.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// As it was said.
    pub text: Tree,
    /// As FRR shows it.
    pub target: Tree,
    /// What ran when it was checked, of the part that it manages.
    pub running: Tree,
}

impl Device {
    /// At a `vtysh`, on a kernel, with a file.
    pub fn new(vtysh: Vtysh, kernel: Kernel, memory: &Path) -> Self {
        Self { vtysh, kernel, memory: MemoryFile::at(memory) }
    }

    /// Arms the revert by `arm`, which is given what to guard, and then makes the candidate run.
    ///
    /// # Errors
    /// [`DriverError::State`]: nothing was changed. Otherwise the commit is pending, and something may run of it.
    pub fn commit(
        &self,
        candidate: &Candidate,
        revert_after: Duration,
        arm: impl FnOnce(u64) -> Result<(), DriverError>,
    ) -> Result<(), DriverError> {
        let held = self.memory.lock("acting", ACTING_WITHIN)?;
        let memory = self.memory.read()?;
        if memory.pending.is_some() {
            return Err(DriverError::State("a commit awaits confirmation".to_owned()));
        }
        let goal = Goal { target: &candidate.target, owned: &memory.owned };
        let running = engine::running_with(&self.vtysh, &candidate.target)?.tree;
        let back = goal.managed(&running);
        if !back.says_the_same(&candidate.running) {
            return Err(DriverError::State("what runs has changed since the text was checked".to_owned()));
        }
        let now = BootTime::now()?;
        let id: u64 = rand::random();
        let pending = Pending {
            id,
            reverting: false,
            deadline_ms: now.now_ms.saturating_add(u64::try_from(revert_after.as_millis()).unwrap_or(u64::MAX)),
            boot: now.boot,
            back,
            owned_after: scope::owned_with(&candidate.target, &running, &memory.owned),
            named: candidate.text.interfaces().into_iter().map(str::to_owned).collect(),
            links: links::plan(&candidate.text, &self.kernel.read()?)?,
        };
        let changes = pending.links.clone();
        self.memory.change(|memory| {
            memory.pending = Some(pending);
            Ok(())
        })?;
        if let Err(error) = arm(id) {
            self.memory.change(|memory| {
                memory.pending = None;
                Ok(())
            })?;
            return Err(error);
        }
        self.kernel.apply(&changes)?;
        converge(&self.vtysh, &goal, Manner::Strict, Some(&held))
    }

    /// Keeps what the last commit brought.
    ///
    /// # Errors
    /// [`DriverError::State`]: nothing awaits confirmation, or its time is over.
    pub fn confirm(&self) -> Result<(), DriverError> {
        let gone = || DriverError::State("no commit awaits confirmation, or its time is over".to_owned());
        let now = BootTime::now()?;
        let named = self.memory.change(|memory| {
            let pending = memory.pending.take().filter(|p| !p.reverting && !p.is_overdue(&now)).ok_or_else(gone)?;
            memory.owned = pending.owned_after;
            memory.made.extend(pending.links.iter().filter_map(links::LinkChange::made).map(str::to_owned));
            Ok(pending.named)
        })?;
        // Links of earlier texts go only now: the way back might have needed them. Those that stay are tried again.
        let made = self.memory.read()?.made;
        if made.iter().any(|name| !named.contains(name)) {
            let left = self.kernel.remove_stale(made, &named);
            self.memory.change(|memory| {
                memory.made = left;
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Returns to what ran before a pending commit; says whether there was one. After this is begun it can't be confirmed.
    ///
    /// # Errors
    /// FRR does not answer or refuses the way back; the commit stays pending, to be tried again.
    pub fn go_back(&self) -> Result<bool, DriverError> {
        let marked = self
            .memory
            .change(|memory| Ok(memory.pending.as_mut().map(|pending| pending.reverting = true).is_some()))?;
        if !marked {
            return Ok(false);
        }
        let held = self.memory.lock("acting", ACTING_WITHIN)?;
        let memory = self.memory.read()?;
        let owned = memory.ours();
        // Someone else was first.
        let Some(pending) = memory.pending else { return Ok(true) };
        converge(&self.vtysh, &Goal { target: &pending.back, owned: &owned }, Manner::Insistent, Some(&held))?;
        self.kernel.undo(&pending.links)?;
        self.memory.change(|memory| {
            memory.pending = memory.pending.take().filter(|now| now.id != pending.id);
            Ok(true)
        })
    }

    /// Makes what runs what FRR starts with.
    ///
    /// # Errors
    /// FRR's words. Its exit code says nothing: it is 0 also when no file could be written.
    pub fn save_startup(&self) -> Result<(), DriverError> {
        let words = self.vtysh.show(&["write memory"])?;
        let bad = words.lines().find(|line| ["Can't", "Error", "Failed"].iter().any(|sign| line.contains(sign)));
        match bad {
            None if words.contains("saved to") => Ok(()),
            None => Err(DriverError::State(format!("FRR does not say that it saved: {}", super::run::quoted(&words)))),
            Some(line) => Err(DriverError::State(format!("FRR can not save what runs: {line}"))),
        }
    }
}
