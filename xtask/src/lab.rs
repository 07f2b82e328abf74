//! The lab: builds what it needs and becomes it.

use std::{ffi::OsString, os::unix::process::CommandExt};

use anyhow::{Context, Result, bail};

use crate::{
    binary, process, program, progress,
    setup::{self, Need},
    workspace::Workspace,
};

const FIRST_BUILD: &str = "about a thousand crates, among them Solana's validator and its C++ database, because the lab \
                           runs a real ledger; 15 to 30 minutes on two cores";
/// Where the lab finds the programs that run beside each router, in release mode: there are many of them, and what they
/// take is taken from routing.
const PROGRAMS: [(&str, &str); 2] =
    [("CAUSEWAY_AGENT_PROGRAM", "causeway-agent"), ("CAUSEWAY_STEADY_PROGRAM", "causeway-steady")];

/// Builds the lab and the agent, and runs the lab in place of this process; returns only if that fails.
///
/// # Errors
/// It is not run by root, something is missing, or does not build.
pub fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    let help = arguments.iter().any(|a| a == "--help" || a == "-h");
    if !help && !is_root() {
        bail!("a lab makes network namespaces and needs root: sudo -E cargo xtask lab");
    }
    setup::ensure(&[Need::Native, Need::Program, Need::Routers, Need::Packets])?;
    let built = program::build(workspace)?;
    let folder = binary::build_released(workspace, "causeway-agent")?;
    let lab = binary::build(workspace, "causeway-lab", FIRST_BUILD)?;
    progress::step("starting the lab");
    let mut command = process::plain(&lab);
    command.args(arguments).env(program::VARIABLE, &built.path);
    for (variable, program) in PROGRAMS {
        command.env(variable, folder.join(program));
    }
    let error = command.exec();
    Err(error).with_context(|| format!("can't run {}", lab.display()))
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}
