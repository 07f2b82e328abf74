//! What the ledger's threads may take of the machine, beside everything that is measured.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Context;

use crate::command::run;

/// The thread of the ledger that makes the ticks that slots are counted by, and sleeps in between. Operators of validators give
/// it a processor of its own; among sixty busy threads of one session it waited so long for its turn that a slot took 1.3 s instead
/// of 0.4.
const CLOCK: &str = "solPohTickProd";
/// What is done to it.
const ON_TIME: (&str, &[&str]) = ("chrt", &["--rr", "--pid", "1"]);
/// The thread that looks for transactions without a pause while the ledger's only validator leads, which is always.
const RESTLESS: &str = "solBnkTxSched";
/// What is done to it.
const LAST: (&str, &[&str]) = ("renice", &["-n", "19", "-p"]);

/// Gives the ledger's clock precedence, and has its scheduler give way. The ledger is in this process.
///
/// # Errors
/// There is no such thread, which another release of the validator could name otherwise, or it can't be done.
pub async fn of_ledger() -> anyhow::Result<()> {
    let threads = threads().context("this process' threads can't be listed")?;
    for (name, (program, arguments)) in [(CLOCK, ON_TIME), (RESTLESS, LAST)] {
        let of = threads.get(name).with_context(|| format!("the ledger has no thread of the name {name}"))?;
        for thread in of {
            let thread = thread.to_string();
            run(program, &[arguments, &[thread.as_str()]].concat()).await?;
        }
    }
    Ok(())
}

/// Where it is said how nice a session is, if this kernel shares processors out by session (sched(7)).
const SESSION: &str = "/proc/self/autogroup";
/// How nice this process' is among those of some hundred agents and a thousand daemons. At 0 they left the ledger, the controller
/// and the oracles 0.2 of a core, which take 0.8 where they get it (158 routers, two cores). At -3 they answered nobody for 10 to 30 s
/// when a link's metric had changed and each router's zebra and bgpd, which are two more sessions, computed what that meant to them.
const AMONG_MANY: &str = "-8";

/// The session goes before others until this is dropped: it is perhaps a shell's, and lives on.
pub struct Ahead {
    before: Option<String>,
}

impl Ahead {
    /// From now on; where sessions are nothing to the kernel, nothing changes.
    ///
    /// # Errors
    /// What the kernel says can't be read, or it refuses.
    pub fn of_others() -> anyhow::Result<Self> {
        if !Path::new(SESSION).exists() {
            return Ok(Self { before: None });
        }
        let told = fs::read_to_string(SESSION).context(SESSION)?;
        // "/autogroup-14 nice 0"
        let before = told.split_whitespace().last().context(SESSION)?.to_owned();
        fs::write(SESSION, AMONG_MANY).context(SESSION)?;
        Ok(Self { before: Some(before) })
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = fs::write(SESSION, before);
        }
    }
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
