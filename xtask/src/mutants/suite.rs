//! The program's tests as binaries that are built once, and run on one faulty program after the other.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{process, process::Ended, program, progress, workspace::Workspace};

/// The packages whose tests run the program's binary.
pub const PACKAGES: [&str; 2] = ["causeway-program-tests", "causeway-fuzz"];
/// A test binary that has not ended by then runs in circles: many times what the slowest takes on a sound program.
const LIMIT: Duration = Duration::from_secs(900);

/// One test binary.
#[derive(Clone, Debug)]
struct Binary {
    name: String,
    path: PathBuf,
    folder: PathBuf,
}

/// The test binaries, fastest first.
pub struct Suite {
    binaries: Vec<Binary>,
    threads: usize,
}

/// What the tests say of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This test failed.
    Caught(String),
    /// None did.
    Passed,
}

/// The test of layout versions.
const LAYOUT: &str = "layout";

impl Suite {
    /// Builds the tests and runs each on the sound program.
    ///
    /// # Errors
    /// They don't build, or one fails: then it would be no wonder that it fails on a faulty program.
    pub fn build(workspace: &Workspace, sound: &Path, threads: usize) -> Result<Self> {
        progress::step("building the program's tests (the first build takes 15 to 40 minutes on two cores)");
        let mut suite =
            Self { binaries: kept(binaries(workspace)?, &workspace.target.join("mutants/tests"))?, threads };
        // It needs the program's successor as well, and what it tests is not among the faults.
        suite.binaries.retain(|binary| binary.name != LAYOUT);
        let mut times = Vec::new();
        for binary in &suite.binaries {
            let started = Instant::now();
            if let Verdict::Caught(test) = suite.run_one(binary, sound)? {
                bail!("{test} fails on the program as it is: no fault can be found by it");
            }
            times.push((started.elapsed(), binary.clone()));
        }
        times.sort_by_key(|(took, _)| *took);
        let told: Vec<String> =
            times.iter().map(|(took, binary)| format!("{} {:.1} s", binary.name, took.as_secs_f64())).collect();
        progress::note(&format!("they pass on the program as it is: {}", told.join(", ")));
        suite.binaries = times.into_iter().map(|(_, binary)| binary).collect();
        Ok(suite)
    }

    /// Runs the tests on a program until the first failure.
    ///
    /// # Errors
    /// A test can't be run.
    pub fn run(&self, program: &Path) -> Result<Verdict> {
        for binary in &self.binaries {
            if let caught @ Verdict::Caught(_) = self.run_one(binary, program)? {
                return Ok(caught);
            }
        }
        Ok(Verdict::Passed)
    }

    fn run_one(&self, binary: &Binary, program: &Path) -> Result<Verdict> {
        let mut command = process::plain(&binary.path);
        command.arg(format!("--test-threads={}", self.threads)).current_dir(&binary.folder);
        command.env(program::VARIABLE, program).env_remove(crate::counts::VARIABLE);
        let mut failed = None;
        let ended = process::lines_until(command, &binary.name, Some(LIMIT), |line| {
            failed = failed_test(line).map(str::to_owned);
            failed.is_none()
        })?;
        let name = &binary.name;
        Ok(match (failed, ended) {
            (Some(test), _) => Verdict::Caught(format!("{name}: {test}")),
            (None, Ended::Succeeded) => Verdict::Passed,
            (None, Ended::TimedOut) => Verdict::Caught(format!("{name}: it runs in circles")),
            (None, Ended::Failed | Ended::Stopped) => Verdict::Caught(format!("{name}: it died")),
        })
    }
}

/// `test name ... FAILED`
fn failed_test(line: &str) -> Option<&str> {
    line.strip_prefix("test ")?.strip_suffix(" ... FAILED")
}

fn binaries(workspace: &Workspace) -> Result<Vec<Binary>> {
    let build = || {
        let mut command = process::cargo();
        command.args(["test", "--no-run"]).current_dir(&workspace.root);
        for package in PACKAGES {
            command.args(["--package", package]);
        }
        command
    };
    process::build(build(), "the program's tests")?;
    // Once more, for the paths: nothing is left to be built.
    let mut command = build();
    command.arg("--message-format=json-render-diagnostics");
    let printed = process::output(command)?;
    let mut binaries = Vec::new();
    for line in printed.lines() {
        let Ok(message) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        let (Some(path), Some(name), Some(manifest)) =
            (text(&message["executable"]), text(&message["target"]["name"]), text(&message["manifest_path"]))
        else {
            continue;
        };
        if message["target"]["kind"][0] == "test" {
            let folder = Path::new(&manifest).parent().context("a manifest is in a folder")?.to_path_buf();
            binaries.push(Binary { name, path: path.into(), folder });
        }
    }
    if binaries.is_empty() {
        bail!("cargo built no tests of {}", PACKAGES.join(" and "));
    }
    Ok(binaries)
}

/// Copies of the binaries: those in the target folder are cargo's to replace while the faults are tried.
fn kept(mut binaries: Vec<Binary>, folder: &Path) -> Result<Vec<Binary>> {
    fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
    for binary in &mut binaries {
        let copy = folder.join(&binary.name);
        fs::copy(&binary.path, &copy).with_context(|| format!("can't copy {}", binary.path.display()))?;
        binary.path = copy;
    }
    Ok(binaries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_test_is_read_from_the_harness_s_line() {
        assert_eq!(failed_test("test refuses_it ... FAILED"), Some("refuses_it"));
        assert_eq!(failed_test("test refuses_it ... ok"), None);
        assert_eq!(failed_test("test result: FAILED. 1 passed; 1 failed"), None);
    }
}
