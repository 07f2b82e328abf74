//! What the ledger's threads may take of the machine, beside everything that is measured.

use std::{collections::BTreeMap, fs};

use anyhow::Context;

use crate::command::run;

/// A thread of the ledger, and what is done to it.
const THREADS: [(&str, &str, &[&str]); 2] = [
    // Makes the ticks that slots are counted by, and sleeps in between. Operators of validators give it a processor of its
    // own; among sixty busy threads of one session it waited so long for its turn that a slot took 1.3 s instead of 0.4.
    ("solPohTickProd", "chrt", &["--rr", "--pid", "1"]),
    // Looks for transactions without a pause while the ledger's only validator leads, which is always.
    ("solBnkTxSched", "renice", &["-n", "19", "-p"]),
];

/// Gives the ledger's clock precedence, and has its scheduler give way. The ledger is in this process.
///
/// # Errors
/// There is no such thread, which another release of the validator could name otherwise, or it can't be done.
pub async fn of_ledger() -> anyhow::Result<()> {
    let threads = threads().context("this process' threads can't be listed")?;
    for (name, program, arguments) in THREADS {
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
