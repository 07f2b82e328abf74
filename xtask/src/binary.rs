//! Building one binary of the workspace.

use std::path::PathBuf;

use anyhow::Result;

use crate::{process, progress, workspace::Workspace};

/// Builds a binary and returns where it is.
///
/// The whole workspace is selected and one binary of it built, so that every command agrees on the features of the
/// dependencies: built for one package alone, hundreds of them would be built once more for the tests.
///
/// `first` is what a person is told who waits for the first build.
///
/// # Errors
/// It does not build.
pub fn build(workspace: &Workspace, name: &str, first: &str) -> Result<PathBuf> {
    let path = workspace.target.join("debug").join(name);
    progress::step(&format!("building {name}"));
    if !path.exists() {
        progress::note(&format!("the first time: {first}. After that, seconds."));
    }
    let mut command = process::cargo();
    command.args(["build", "--workspace", "--bin", name]).current_dir(&workspace.root);
    process::build(command, name)?;
    Ok(path)
}

/// Builds the binaries of a package in release mode and returns the folder that they are in. For a package that needs no
/// Solana crate, so that its own selection of features costs minutes and not hours.
///
/// # Errors
/// They do not build.
pub fn build_released(workspace: &Workspace, package: &str) -> Result<PathBuf> {
    let folder = workspace.target.join("release");
    progress::step(&format!("building {package} in release mode"));
    if !folder.join(package).exists() {
        progress::note("the first time: some minutes. After that, seconds.");
    }
    let mut command = process::cargo();
    command.args(["build", "--release", "--package", package, "--bins"]).current_dir(&workspace.root);
    process::build(command, package)?;
    Ok(folder)
}
