//! The description of the controller's HTTP API. The controller prints it: this command can't depend on it.

use std::{fs, process::Command};

use anyhow::{Context, Result, ensure};

use crate::{binary, workspace::Workspace};

/// Where it is committed.
pub const PATH: &str = "docs/api/controller.json";

/// The description that the sources make.
///
/// # Errors
/// The controller does not build, or says nothing.
pub fn description(workspace: &Workspace) -> Result<String> {
    let program = binary::build(workspace, "causeway-controller", "the Solana client takes minutes")?;
    let output = Command::new(&program).arg("--openapi").output().context("the controller can't be run")?;
    ensure!(output.status.success() && !output.stdout.is_empty(), "the controller does not describe its API");
    String::from_utf8(output.stdout).context("the description is not text")
}

/// Whether what is committed is that.
///
/// # Errors
/// See [`description`].
pub fn is_current(workspace: &Workspace) -> Result<bool> {
    let description = description(workspace)?;
    Ok(fs::read_to_string(workspace.root.join(PATH)).is_ok_and(|committed| committed == description))
}
