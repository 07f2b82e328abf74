//! The demo: builds what it needs, says why that takes its time, and becomes it.

use std::{ffi::OsString, os::unix::process::CommandExt};

use anyhow::{Context, Result};

use crate::{
    binary, process, program, progress,
    setup::{self, Need},
    workspace::Workspace,
};

const FIRST_BUILD: &str = "about a thousand crates, among them Solana's validator and its C++ database, because the demo \
                           runs a real ledger; 15 to 30 minutes on two cores";

/// Builds the demo and runs it in place of this process; returns only if that fails.
///
/// # Errors
/// Something is missing, or does not build.
pub fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    setup::ensure(&[Need::Native, Need::Program])?;
    let built = program::build(workspace)?;
    let demo = binary::build(workspace, "causeway-demo", FIRST_BUILD)?;
    progress::step("starting the demo");
    let error = process::plain(&demo).args(arguments).env(program::VARIABLE, &built.path).exec();
    Err(error).with_context(|| format!("can't run {}", demo.display()))
}
