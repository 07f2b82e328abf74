//! What the end-to-end tests share: finding the built binaries, and running them.
//!
//! The tests run what a person would run. `cargo xtask test` builds the binaries first.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use anyhow::{Context, bail};

/// A binary of the workspace, beside the running test.
///
/// # Errors
/// It has not been built.
pub fn binary(name: &str) -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe().context("the test's own path")?;
    // target/<profile>/deps/<test>
    let profile = test.ancestors().nth(2).context("the target folder")?;
    let path = profile.join(name);
    if !path.is_file() {
        bail!("{} is not built: run the tests with `cargo xtask test --only e2e`", path.display());
    }
    Ok(path)
}

/// A command of that binary.
///
/// # Errors
/// It has not been built.
pub fn command(name: &str) -> anyhow::Result<Command> {
    let mut command = Command::new(binary(name)?);
    // A person's settings have no say in a test.
    for (key, _) in std::env::vars_os() {
        if key.to_string_lossy().starts_with("CAUSEWAY_") && key != causeway_localnet::PROGRAM_VARIABLE {
            command.env_remove(key);
        }
    }
    Ok(command)
}

/// What a command said.
pub struct Said {
    /// Exit code.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs it to its end.
///
/// # Errors
/// It can't be run.
pub fn run(mut command: Command) -> anyhow::Result<Said> {
    let output = command.output().with_context(|| format!("{command:?} can't be run"))?;
    Ok(output.into())
}

/// Notes how much a test has tried, where `cargo xtask test` adds it up and holds it against what is promised.
///
/// Panics where the file that is named can't be written: a count that is lost would be a test that did not run.
pub fn count(what: &str, how_many: u64) {
    use std::io::Write;

    let Some(path) = std::env::var_os("CAUSEWAY_COUNTS") else { return };
    let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
    // One write: tests of several processes may append at once.
    let noted = file.and_then(|mut file| file.write_all(format!("{what}\t{how_many}\n").as_bytes()));
    assert!(noted.is_ok(), "{what} can't be counted: {noted:?}");
}
