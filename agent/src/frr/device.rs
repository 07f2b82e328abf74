//! What can be done to one FRR device, step by step and blocking. The agent's driver and the watchdog share it.
//!
//! Whoever changes what runs holds the lock `acting`, and so does the `vtysh` that it starts: if one of them is killed,
//! nobody else begins before that `vtysh` has ended.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use super::{
    arrival::{self, Waits},
    diff,
    engine::{self, Goal, Manner, converge},
    links::{self, Kernel, LinkChange},
    memory::{BootTime, MemoryFile, Pending},
    passage, scope, startup,
    tree::Tree,
    vtysh::{CONFIGURE_LIMIT, Vtysh},
};
use crate::driver::DriverError;

/// For whoever acts to end: one invocation that configures and what is around it.
const ACTING_WITHIN: Duration = Duration::from_secs(2 * CONFIGURE_LIMIT.as_secs());
/// How much longer the way back may take on the device than in the rehearsal: there are interfaces, neighbours that notice,
/// and others who use the machine. With this and the next, devices were back 0.3 s and 0.4 s before limits of 8 s and 20 s.
const WAY_BACK_FACTOR: u32 = 2;
/// For the watchdog to notice that time is over, to read what runs, and to write down what it did: going back from one line took
/// 0.11 s in all.
const WATCHDOG_LATE: Duration = Duration::from_millis(300);
/// For setting one link back: a run of `ip`.
const LINK_BACK: Duration = Duration::from_millis(10);
/// The way back never gets more than one part in this many of the limit, so that a change has time to be verified.
const WAY_BACK_SHARE: u32 = 2;

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
    /// How long the way back took when it was rehearsed.
    pub way_back: Duration,
    /// What had to change of the kernel's links when it was checked.
    pub links: Vec<LinkChange>,
}

impl Candidate {
    /// How long before its limit a commit has to be on its way back, to be back within the limit.
    fn lead(&self, links: usize, revert_after: Duration) -> Duration {
        let links = LINK_BACK * u32::try_from(links).unwrap_or(u32::MAX);
        let lead = WATCHDOG_LATE + links + self.way_back * WAY_BACK_FACTOR;
        lead.min(revert_after / WAY_BACK_SHARE)
    }
}

/// What came of going back.
#[derive(Debug)]
#[must_use]
pub enum WentBack {
    /// Nothing, or not yet: no such commit is open, or it was given more time.
    NotDue,
    /// The device runs what it ran before, and the file says so.
    Done,
    /// The device runs what it ran before, and the file can't be written: it still says that the commit is open.
    Unwritten(DriverError),
}

impl Device {
    /// At a `vtysh`, on a kernel, with a file.
    pub fn new(vtysh: Vtysh, kernel: Kernel, memory: &Path) -> Self {
        Self { vtysh, kernel, memory: MemoryFile::at(memory) }
    }

    /// Arms the revert by `arm`, which is given what to guard, and then makes the candidate run. Unconfirmed, the device is
    /// back within `revert_after`: the way back begins as much earlier as it is expected to take. What it waits for on its way
    /// to the text takes no more than its share of `verb` and of that time; once somebody takes it back, or its time is over,
    /// it takes no further step.
    ///
    /// # Errors
    /// [`DriverError::State`] before the revert is armed: nothing was changed. Otherwise the commit is pending, and something may run of it.
    pub fn commit(
        &self,
        candidate: &Candidate,
        revert_after: Duration,
        verb: Duration,
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
        let links = links::plan(&candidate.text, &self.kernel.read()?)?;
        let now_runs = back.clone();
        let lead = candidate.lead(links.len(), revert_after);
        let lead_ms = milliseconds(lead);
        let pending = Pending {
            id,
            reverting: false,
            deadline_ms: turns_at(now.now_ms, revert_after, lead_ms),
            lead_ms,
            boot: now.boot,
            back,
            owned_after: scope::owned_with(&candidate.target, &running, &memory.owned),
            named: candidate.text.interfaces().into_iter().map(str::to_owned).collect(),
            links,
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
        let (mut known, mut now) = (Some(&running), now_runs);
        let overloaded = passage::still_overloaded(&now, &candidate.target);
        let target = overloaded.as_ref().unwrap_or(&candidate.target);
        let goes_on = || self.goes_on(id);
        let reach = |known: Option<&Tree>, target: &Tree| {
            goes_on()?;
            converge(&self.vtysh, known, &Goal { target, owned: &memory.owned }, Manner::Strict, Some(&held))
        };
        let waits = Waits::within(verb, revert_after.saturating_sub(lead));
        let until = Instant::now() + waits.all;
        let within = |wait: Duration| until.min(Instant::now() + wait);
        if let Some(change) = passage::link_that_comes(&now, target) {
            let first = passage::at_stop(target, &change, change.from);
            reach(known.take(), &first)?;
            let came = arrival::await_link(&self.vtysh, &change, within(waits.link), goes_on)?;
            tracing::info!(link = change.header, came, "a link comes as a drained one");
            now = first;
        }
        if self.stop_on_the_way(&now, target, &held, until, goes_on)? {
            known = None;
        }
        if let Some(overloaded) = &overloaded {
            reach(known.take(), overloaded)?;
            let deadline = within(waits.routes);
            if !arrival::await_routes(&self.vtysh, &self.kernel, &candidate.target, deadline, goes_on)? {
                tracing::warn!("not all routes are there; the overload bit goes all the same");
            }
        }
        reach(known, &candidate.target)
    }

    /// Whether a commit still goes forward.
    fn goes_on(&self, commit: u64) -> Result<(), DriverError> {
        let now = BootTime::now()?;
        let pending = self.memory.read()?.pending.filter(|pending| pending.id == commit);
        if pending.is_some_and(|pending| !pending.reverting && !pending.is_overdue(&now)) {
            return Ok(());
        }
        Err(DriverError::State("the commit is being taken back, or its time is over".to_owned()))
    }

    /// Where one link's metric changes, goes through the stops of that change. Says whether there were any. Not knowing them is no
    /// reason not to change: then it is done in one step. Nor is a device that is slow: from the deadline on it doesn't stop for long.
    fn stop_on_the_way(
        &self,
        now: &Tree,
        target: &Tree,
        held: &fs::File,
        until: Instant,
        goes_on: impl Fn() -> Result<(), DriverError>,
    ) -> Result<bool, DriverError> {
        let Some(change) = passage::metric_change(now, target) else { return Ok(false) };
        let found = self.vtysh.database().map_err(|error| error.to_string());
        let stops = match found.and_then(|known| passage::stops_of(&change, &known).map_err(|error| error.to_string()))
        {
            Ok(stops) => stops,
            Err(error) => {
                tracing::warn!(%error, "the metric changes in one step");
                return Ok(false);
            }
        };
        let pause = passage::pause(stops.len(), until.saturating_duration_since(Instant::now()));
        let mut runs = now.clone();
        for metric in &stops {
            goes_on()?;
            let leaves = until.min(Instant::now() + pause);
            let next = passage::at_stop(&runs, &change, *metric);
            self.vtysh.configure(&diff::batch(&runs, &next), Some(held))?;
            tracing::info!(metric, ?pause, "a stop on the way to the new metric");
            runs = next;
            std::thread::sleep(leaves.saturating_duration_since(Instant::now()));
        }
        Ok(!stops.is_empty())
    }

    /// Keeps what the last commit brought.
    ///
    /// # Errors
    /// [`DriverError::State`]: nothing awaits confirmation, or its time is over.
    pub fn confirm(&self) -> Result<(), DriverError> {
        let gone = || DriverError::State("no commit awaits confirmation, or its time is over".to_owned());
        let named = self.memory.change(|memory| {
            // Under the lock: whoever goes back decides by the same clock after it or before it.
            let now = BootTime::now()?;
            let pending = memory.pending.take().filter(|p| !p.reverting && !p.is_overdue(&now)).ok_or_else(gone)?;
            memory.owned = pending.owned_after;
            memory.made.extend(pending.links.iter().filter_map(LinkChange::made).map(str::to_owned));
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

    /// Arms the revert of the pending commit anew, counted from now. Its watchdog sees the file change, and there is none
    /// in between who could not go back.
    ///
    /// # Errors
    /// [`DriverError::State`]: nothing awaits confirmation, or its time is over.
    pub fn extend(&self, revert_after: Duration) -> Result<(), DriverError> {
        let gone = || DriverError::State("no commit awaits confirmation, or its time is over".to_owned());
        self.memory.change(|memory| {
            let now = BootTime::now()?;
            let open = memory.pending.as_mut().filter(|pending| !pending.reverting && !pending.is_overdue(&now));
            let pending = open.ok_or_else(gone)?;
            pending.deadline_ms = pending.deadline_ms.max(turns_at(now.now_ms, revert_after, pending.lead_ms));
            Ok(())
        })
    }

    /// The same as [`Device::go_back`], where the time of this commit is over by now or somebody has begun: it may have been
    /// given more time since the watchdog last looked.
    ///
    /// # Errors
    /// As of [`Device::go_back`].
    pub fn go_back_if_due(&self, commit: u64) -> Result<WentBack, DriverError> {
        self.go_back_where(|pending, now| pending.id == commit && (pending.reverting || pending.is_overdue(now)))
    }

    /// Returns to what ran before a pending commit. After this is begun it can't be confirmed.
    ///
    /// # Errors
    /// FRR does not answer or refuses the way back; the commit stays pending, to be tried again. Or it can't be written
    /// down that it can't be confirmed any more, and its time is not over yet.
    pub fn go_back(&self) -> Result<WentBack, DriverError> {
        self.go_back_where(|_, _| true)
    }

    fn go_back_where(&self, due: impl Fn(&Pending, &BootTime) -> bool) -> Result<WentBack, DriverError> {
        let mut overdue = None;
        let marked = self.memory.change(|memory| {
            let now = BootTime::now()?;
            Ok(memory.pending.as_mut().filter(|pending| due(pending, &now)).map(|pending| {
                overdue = pending.is_overdue(&now).then_some(pending.id);
                pending.reverting = true;
                pending.id
            }))
        });
        let commit = match (marked, overdue) {
            (Ok(marked), _) => marked,
            // A commit whose time is over can be neither confirmed nor given more time, whatever the file says: a full disk
            // keeps nobody from going back.
            (Err(error), Some(commit)) => {
                tracing::warn!(%error, commit, "a commit is taken back without a word in the file");
                Some(commit)
            }
            (Err(error), None) => return Err(error),
        };
        commit.map_or(Ok(WentBack::NotDue), |commit| self.finish_going_back(commit))
    }

    /// The way back itself. Agent and watchdog may both be on it: whoever is second leaves as soon as the first has done it, and
    /// never touches the commit that may have come after.
    fn finish_going_back(&self, commit: u64) -> Result<WentBack, DriverError> {
        let Some(held) = self.memory.lock_while_pending("acting", ACTING_WITHIN, commit)? else {
            return Ok(WentBack::Done);
        };
        let memory = self.memory.read()?;
        let owned = memory.ours();
        let Some(pending) = memory.pending.filter(|pending| pending.id == commit) else { return Ok(WentBack::Done) };
        converge(&self.vtysh, None, &Goal { target: &pending.back, owned: &owned }, Manner::Insistent, Some(&held))?;
        self.kernel.undo(&pending.links)?;
        Ok(self.forget(commit).map_or_else(WentBack::Unwritten, |()| WentBack::Done))
    }

    /// Takes a commit that the device has gone back from out of the file.
    ///
    /// # Errors
    /// The file.
    pub fn forget(&self, commit: u64) -> Result<(), DriverError> {
        self.memory.change(|memory| {
            memory.pending = memory.pending.take().filter(|now| now.id != commit);
            Ok(())
        })
    }

    /// Makes what runs what FRR starts with, but overloaded: a router that has lost its power is reached as soon as it has neighbours, and
    /// crossed only once its agent has seen that it has routes.
    ///
    /// # Errors
    /// FRR's words. Its exit code says nothing: it is 0 also when no file could be written.
    pub fn save_startup(&self) -> Result<(), DriverError> {
        let words = self.vtysh.show(&["write memory"])?;
        let bad = words.lines().find(|line| ["Can't", "Error", "Failed"].iter().any(|sign| line.contains(sign)));
        if let Some(line) = bad {
            return Err(DriverError::State(format!("FRR can not save what runs: {line}")));
        }
        let saved: Vec<&Path> = words
            .lines()
            .filter_map(|line| line.split_once(" saved to "))
            .map(|(_, path)| Path::new(path.trim()))
            .collect();
        if saved.is_empty() {
            let words = super::run::quoted(&words);
            return Err(DriverError::State(format!("FRR does not say that it saved: {words}")));
        }
        for path in saved {
            startup::put_in_order(path).map_err(|error| {
                let path = path.display();
                DriverError::State(format!("{path}, where FRR saved what runs, can not be changed: {error}"))
            })?;
        }
        Ok(())
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// When the way back begins, so that it ends within the limit.
fn turns_at(now_ms: u64, revert_after: Duration, lead_ms: u64) -> u64 {
    now_ms.saturating_add(milliseconds(revert_after).saturating_sub(lead_ms))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{super::vtysh::Instance, *};

    #[test]
    fn the_way_back_begins_early_enough_and_never_takes_more_than_its_share() {
        let candidate = |way_back_ms| Candidate {
            text: Tree::default(),
            target: Tree::default(),
            running: Tree::default(),
            way_back: Duration::from_millis(way_back_ms),
            links: Vec::new(),
        };
        let limit = Duration::from_secs(180);
        assert_eq!(candidate(0).lead(0, limit), Duration::from_millis(300));
        assert_eq!(candidate(700).lead(50, limit), Duration::from_millis(300 + 500 + 1_400));
        assert_eq!(candidate(700_000).lead(0, limit), limit / 2);
        assert_eq!(candidate(1).lead(usize::MAX, limit), limit / 2);
    }

    #[test]
    fn who_is_second_on_the_way_back_leaves_and_lets_the_next_commit_be() {
        let folder = tempfile::tempdir().unwrap();
        let memory = folder.path().join("m.json");
        let no_frr = Vtysh::new(&folder.path().join("none"), Instance::Machine);
        let device = Device::new(no_frr, Kernel::new(None).unwrap(), &memory);
        let commit = |id, reverting| Pending {
            id,
            reverting,
            boot: BootTime::now().unwrap().boot,
            deadline_ms: u64::MAX,
            lead_ms: 0,
            back: Tree::default(),
            owned_after: BTreeSet::new(),
            named: BTreeSet::new(),
            links: Vec::new(),
        };
        let pending = |next: Option<Pending>| {
            device.memory.change(|memory| {
                memory.pending = next;
                Ok(())
            })
        };
        pending(Some(commit(1, true))).unwrap();
        // The first is on its way back, and what comes next begins before the second has looked again.
        let acting = device.memory.lock("acting", Duration::ZERO).unwrap();
        let second = std::thread::spawn({
            let device = device.clone();
            move || device.go_back_if_due(1)
        });
        std::thread::sleep(Duration::from_millis(200));
        assert!(!second.is_finished(), "it waits while the first is on its way");
        pending(Some(commit(2, false))).unwrap();
        let began = Instant::now();
        assert!(matches!(second.join().unwrap().unwrap(), WentBack::Done));
        assert!(began.elapsed() < Duration::from_secs(5), "the next commit waits for it: {:?}", began.elapsed());
        drop(acting);
        assert!(matches!(device.go_back_if_due(1).unwrap(), WentBack::NotDue));
        assert_eq!(device.memory.read().unwrap().pending, Some(commit(2, false)));
    }
}
