//! Formatting, clippy with every warning an error, and cargo-deny where it is installed.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::{
    process, progress,
    setup::{self, Need},
    workspace::Workspace,
};

/// How many checks held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those that held.
    pub passed: u64,
    /// Those that did not.
    pub failed: u64,
}

impl Tally {
    /// Counts one check.
    pub fn count(&mut self, held: bool) {
        if held { self.passed += 1 } else { self.failed += 1 }
    }

    /// Adds another tally.
    pub fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// Failure when a check failed, or none ran.
    pub fn exit_code(self) -> ExitCode {
        if self.failed == 0 && self.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Everything that needs no running.
///
/// # Errors
/// A tool is missing and can't be installed.
pub fn run(workspace: &Workspace) -> Result<Tally> {
    setup::ensure(&[Need::Native])?;
    let mut tally = formatting(workspace)?;
    tally.add(clippy(workspace)?);
    tally.add(licences(workspace)?);
    Ok(tally)
}

/// `cargo fmt --check` of all workspaces.
///
/// # Errors
/// cargo can't be run.
pub fn formatting(workspace: &Workspace) -> Result<Tally> {
    let mut tally = Tally::default();
    if !setup::has_component("rustfmt", "fmt") {
        return Ok(tally);
    }
    progress::step("checking the formatting");
    for manifest in MANIFESTS {
        let mut fmt = in_root(workspace);
        fmt.args(["fmt", "--all", "--check", "--manifest-path", manifest]);
        tally.count(check(fmt, "cargo fmt")?);
    }
    Ok(tally)
}

const MANIFESTS: [&str; 3] = ["Cargo.toml", "programs/serviceability/Cargo.toml", "tests/fuzz/libfuzzer/Cargo.toml"];

/// Clippy on every target of both workspaces.
///
/// # Errors
/// cargo can't be run.
pub fn clippy(workspace: &Workspace) -> Result<Tally> {
    let mut tally = Tally::default();
    if !setup::has_component("clippy", "clippy") {
        return Ok(tally);
    }
    progress::step("clippy (the first time it reads every dependency: some minutes)");
    let mut all = in_root(workspace);
    all.args(["clippy", "--workspace", "--all-targets", "--keep-going", "--", "-Dwarnings"]);
    tally.count(check(all, "clippy")?);
    // As a test: without std, a library for this machine has no panic handler.
    let mut program = in_root(workspace);
    program.args(["clippy", "--locked", "--tests", "--manifest-path", MANIFESTS[1], "--target-dir"]);
    program.arg(workspace.target.join("program-host")).args(["--", "-Dwarnings"]);
    tally.count(check(program, "clippy of the program")?);
    Ok(tally)
}

/// cargo-deny, where it is installed.
///
/// # Errors
/// cargo can't be run.
pub fn licences(workspace: &Workspace) -> Result<Tally> {
    let mut tally = Tally::default();
    if process::in_path("cargo-deny") {
        progress::step("cargo deny: licences, bans, sources");
        let mut deny = in_root(workspace);
        deny.args(["deny", "check", "licenses", "bans", "sources"]);
        tally.count(check(deny, "cargo deny")?);
    } else {
        progress::note("cargo-deny is not installed here: licences, bans and sources are not checked");
    }
    Ok(tally)
}

fn in_root(workspace: &Workspace) -> Command {
    let mut cargo = process::cargo();
    cargo.current_dir(&workspace.root);
    cargo
}

fn check(command: Command, what: &str) -> Result<bool> {
    let held = process::follow(command, what, |_| false)?;
    if !held {
        progress::failure(&format!("{what}: not clean"));
    }
    Ok(held)
}
