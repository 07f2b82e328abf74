//! The validator's threads that turn without end, made to give way to everything else of the machine.
//!
//! A leader's scheduler looks for transactions all the time, and a test validator is always the leader: half a core, or
//! all of one, for nothing. It keeps its work and goes last: transactions land as soon as they did, and routers, agents and
//! oracles on the same machine have the time that it only burnt.

use std::{fs, process::Command};

/// Threads that turn without end.
const RESTLESS: [&str; 2] = ["solBnkTxSched", "solRepairSvc"];
/// A tenth of what an ordinary thread gets of a core that others want too, and all of one that nobody wants.
const NICENESS: &str = "10";

/// Calms this process's validator. Best effort: without `renice`, or on another system than Linux, nothing is lost but time.
pub(crate) fn down() {
    for thread in restless() {
        let asked = Command::new("renice").args(["-n", NICENESS, "-p", &thread]).output();
        if !asked.is_ok_and(|output| output.status.success()) {
            tracing::debug!(thread, "a thread of the validator keeps its priority");
        }
    }
}

/// Ids of the threads.
fn restless() -> Vec<String> {
    let mut found = Vec::new();
    for task in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        if RESTLESS.contains(&name.trim()) {
            found.extend(task.file_name().into_string().ok());
        }
    }
    found
}
