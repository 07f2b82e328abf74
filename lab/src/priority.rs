//! What the ledger's threads may take of the machine, beside everything that is measured.

use std::{collections::BTreeMap, fs};

use anyhow::Context;

use crate::command::run;

/// The thread of the ledger that makes the ticks that slots are counted by, and sleeps in between. Operators of validators give
/// it a processor of its own; among sixty busy threads of one session it waited so long for its turn that a slot took 1.3 s instead
/// of 0.4.
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
