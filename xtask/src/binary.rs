//! Building one binary of the workspace.

use std::path::PathBuf;

use anyhow::Result;

use crate::{process, progress, workspace::Workspace};

/// Builds a binary and returns where it is.
///
/// The whole workspace is selected and one binary of it built, so that every command agrees on the features of the
/// dependencies: built for one package alone, hundreds of them would be built once more for the tests.
///
/// # Errors
/// It does not build.
pub fn build(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    let path = workspace.target.join("debug").join(name);
    if path.exists() {
        progress::step(&format!("building {name}"));
    } else {
        progress::step(&format!(
            "building {name}: the first time about a thousand crates, among them Solana's validator"
        ));
        progress::note("and its C++ database; 15 to 30 minutes on two cores. After that, seconds.");
    }
    let mut command = process::cargo();
    command.args(["build", "--workspace", "--bin", name]).current_dir(&workspace.root);
    process::build(command, name)?;
    Ok(path)
}
