//! Who may have how much of the machine: what is measured first, then the ledger, agents and what they check last.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Context;

use crate::command::run;

/// Whether Linux shares processors out by session first, and by niceness only within one (sched(7)). Most machines' desktops
/// want that; on one of routers, every daemon of which is a session, a validator of sixty threads would get as much as one
/// bgpd, and its thread that turns without end as much as all that is useful in it.
const BY_SESSION: &str = "/proc/sys/kernel/sched_autogroup_enabled";
/// Sessions don't count.
const FLAT: &str = "0";

/// The thread of the ledger that makes the ticks that slots are counted by, and sleeps in between. Operators of validators give
/// it a processor of its own.
const CLOCK: &str = "solPohTickProd";
/// What is done to it in a network that leaves the machine time.
const HURRIED: (&str, &[&str]) = ("chrt", &["--rr", "--pid", "1"]);
/// What is done to it in another. A clock that is on time whatever the rest of the validator has done by then ended it once
/// by an assertion, with 158 routers on two cores: it was to lead a slot whose predecessor was not finished.
const PREFERRED: (&str, &[&str]) = ("renice", &["-n", "-5", "-p"]);
/// The thread that looks for transactions without a pause while the ledger's only validator leads, which is always.
const RESTLESS: &str = "solBnkTxSched";
/// What is done to it.
const LAST: (&str, &[&str]) = ("renice", &["-n", "19", "-p"]);

/// Has Linux share processors out by niceness alone, until it is dropped.
pub struct Flat {
    before: Option<String>,
}

impl Flat {
    /// From now on, for every thread that starts from now on.
    ///
    /// # Errors
    /// It can't be set.
    pub fn set() -> anyhow::Result<Self> {
        if !Path::new(BY_SESSION).exists() {
            return Ok(Self { before: None });
        }
        let before = fs::read_to_string(BY_SESSION).with_context(|| format!("{BY_SESSION} can't be read"))?;
        fs::write(BY_SESSION, FLAT).with_context(|| format!("{BY_SESSION} can't be set; a lab needs root"))?;
        Ok(Self { before: Some(before) })
    }
}

impl Drop for Flat {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // Nobody is left who could be told.
            let _ = fs::write(BY_SESSION, before.trim());
        }
    }
}

/// Gives the ledger's clock precedence, and has its scheduler give way. The ledger is in this process.
///
/// # Errors
/// There is no such thread, which another release of the validator could name otherwise, or it can't be done.
pub async fn of_ledger(hurried: bool) -> anyhow::Result<()> {
    let threads = threads().context("this process' threads can't be listed")?;
    let clock = if hurried { HURRIED } else { PREFERRED };
    for (name, (program, arguments)) in [(CLOCK, clock), (RESTLESS, LAST)] {
        let of = threads.get(name).with_context(|| format!("the ledger has no thread of the name {name}"))?;
        for thread in of {
            let thread = thread.to_string();
            run(program, &[arguments, &[thread.as_str()]].concat()).await?;
        }
    }
    Ok(())
}

/// Ids of this process' threads, by name.
fn threads() -> std::io::Result<BTreeMap<String, Vec<u32>>> {
    let mut named: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?;
        // A thread may end while it is looked at.
        let Ok(name) = fs::read_to_string(task.path().join("comm")) else { continue };
        let id: Option<u32> = task.file_name().to_str().and_then(|id| id.parse().ok());
        named.entry(name.trim().to_owned()).or_default().extend(id);
    }
    Ok(named)
}
