//! Fuzzing: builds the targets, runs each for a while from the committed corpus, and prints the figures.
//!
//! The pure targets are run by libFuzzer, which comes as a crate and is built with its instrumentation here: flags
//! that the stable compiler takes, no further tool. The program's binary runs in a virtual machine that libFuzzer can't
//! see into; its search is the project's own (`tests/fuzz/src/program`).
//!
//! What a run finds stays in the target folder: `fuzz/corpus` with what it learned, `fuzz/crashes` with what broke a
//! promise. The committed corpus is not touched.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::{
    binary, process, program, progress,
    setup::{self, Need},
    workspace::Workspace,
};

/// What the instrumented binaries are built with: counters per edge and the operands of comparisons.
const INSTRUMENTATION: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "-Cdebug-assertions",
    "-Ccodegen-units=1",
    "--cfg=fuzzing",
];
/// Longest input: every account but the largest tables, whose entries are all alike.
const MAX_LEN: usize = 4_096;
const FIRST_BUILD: &str = "the virtual machine and what belongs to it; 5 to 10 minutes on two cores";

/// What can be fuzzed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// Instruction data: decoding, and writing back
    Instruction,
    /// Account data: the typed and the raw view
    Account,
    /// Events: the typed and the raw view
    Event,
    /// The program's binary, with arbitrary instructions and accounts
    Program,
}

impl Target {
    const ALL: [Self; 4] = [Self::Instruction, Self::Account, Self::Event, Self::Program];

    const fn name(self) -> &'static str {
        match self {
            Self::Instruction => "instruction",
            Self::Account => "account",
            Self::Event => "event",
            Self::Program => "program",
        }
    }
}

/// Runs the targets that are named, or all.
///
/// # Errors
/// One does not build or can't be run. A finding is no error but an exit code.
pub fn run(workspace: &Workspace, targets: &[Target], seconds: u64, seed: u64) -> Result<ExitCode> {
    let targets = if targets.is_empty() { Target::ALL.to_vec() } else { targets.to_vec() };
    let mut clean = true;
    for target in targets {
        let folders = Folders::make(workspace, target)?;
        let (held, figures) = match target {
            Target::Instruction | Target::Account | Target::Event => pure(workspace, target, seconds, &folders)?,
            Target::Program => whole(workspace, seconds, seed, &folders)?,
        };
        progress::result(&format!("{}: {figures}", target.name()))?;
        clean &= held;
    }
    if !clean {
        progress::failure("a promise was broken; `tests/fuzz` says by which input, which belongs into its corpus");
    }
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where a target's inputs come from and go to.
struct Folders {
    corpus: PathBuf,
    crashes: PathBuf,
}

impl Folders {
    /// Makes them, and puts the committed corpus into the one that grows.
    fn make(workspace: &Workspace, target: Target) -> Result<Self> {
        let of = |kind: &str| workspace.target.join("fuzz").join(kind).join(target.name());
        let folders = Self { corpus: of("corpus"), crashes: of("crashes") };
        for folder in [&folders.corpus, &folders.crashes] {
            fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
        }
        for file in crate::workspace::files(&workspace.root.join("tests/fuzz/corpus").join(target.name()))? {
            let name = file.file_name().context("an input has a name")?;
            fs::copy(&file, folders.corpus.join(name)).with_context(|| format!("can't copy {}", file.display()))?;
        }
        Ok(folders)
    }
}

fn pure(workspace: &Workspace, target: Target, seconds: u64, folders: &Folders) -> Result<(bool, String)> {
    let path = instrumented(workspace, target)?;
    progress::step(&format!("fuzzing {} for {}", target.name(), progress::duration(seconds)));
    let mut command = process::plain(path);
    command
        .arg(&folders.corpus)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={MAX_LEN}"))
        .arg(format!("-artifact_prefix={}/", folders.crashes.display()))
        .arg("-print_final_stats=1")
        .current_dir(&workspace.target);
    let (mut figures, mut coverage) = (Vec::new(), String::new());
    let mut tell = Vec::new();
    let held = process::lines(command, "libFuzzer", |line| {
        if let Some(found) = line.strip_prefix("stat::") {
            figures.push(found.split_whitespace().collect::<Vec<_>>().join(" "));
        } else if line.contains(" cov: ") {
            coverage = line.split_once("cov: ").map(|(_, rest)| before_limits(rest)).unwrap_or_default();
        } else if is_of_a_crash(line) {
            tell.push(line.to_owned());
        }
    })?;
    for line in &tell {
        progress::note(line);
    }
    Ok((held, format!("{} · coverage {coverage}", figures.join(" · "))))
}

/// Of `2520 ft: 4559 corp: 944/87Kb lim: ...`, what stands before the limits.
fn before_limits(rest: &str) -> String {
    rest.split(" lim: ").next().unwrap_or(rest).replace(" ft: ", ", features ").replace(" corp: ", ", corpus ")
}

fn is_of_a_crash(line: &str) -> bool {
    ["panicked at", "ERROR:", "Test unit written to", "SUMMARY:"].iter().any(|word| line.contains(word))
}

/// Builds the instrumented binaries and returns the target's.
fn instrumented(workspace: &Workspace, target: Target) -> Result<PathBuf> {
    setup::ensure(&[Need::Native])?;
    let host = host()?;
    let folder = workspace.target.join("fuzz/target");
    let mut command = process::cargo();
    command
        .args(["build", "--release", "--locked", "--bins", "--target", &host, "--manifest-path"])
        .arg(workspace.root.join("tests/fuzz/libfuzzer/Cargo.toml"))
        .arg("--target-dir")
        .arg(&folder)
        .env("CARGO_ENCODED_RUSTFLAGS", INSTRUMENTATION.join("\u{1f}"))
        .current_dir(&workspace.root);
    progress::step("building the instrumented targets (the first time half a minute)");
    process::build(command, "fuzz targets")?;
    Ok(folder.join(host).join("release").join(target.name()))
}

/// The machine's own target: named, so that build scripts are not instrumented.
fn host() -> Result<String> {
    let mut rustc = process::plain(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.arg("-vV");
    let version = process::output(rustc)?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` names no host")?.to_owned())
}

fn whole(workspace: &Workspace, seconds: u64, seed: u64, folders: &Folders) -> Result<(bool, String)> {
    setup::ensure(&[Need::Native, Need::Program])?;
    let so = match std::env::var_os(program::VARIABLE) {
        Some(path) => PathBuf::from(path),
        None => program::build(workspace)?.path,
    };
    let path = binary::build(workspace, "causeway-fuzz-program", FIRST_BUILD)?;
    progress::step(&format!("fuzzing the program's binary for {}", progress::duration(seconds)));
    run_search(&path, &so, seconds, seed, folders)
}

fn run_search(path: &Path, so: &Path, seconds: u64, seed: u64, folders: &Folders) -> Result<(bool, String)> {
    let mut command = process::plain(path);
    command.arg(seconds.to_string()).args([&folders.corpus, &folders.crashes]).arg(seed.to_string());
    command.env(program::VARIABLE, so);
    let mut figures = String::new();
    let held = process::lines(command, "causeway-fuzz-program", |line| {
        if line.starts_with("executions ") {
            line.clone_into(&mut figures);
        } else {
            progress::note(line);
        }
    })?;
    if figures.is_empty() {
        bail!("causeway-fuzz-program printed no figures");
    }
    Ok((held, figures))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coverage_is_read_from_libfuzzers_line() {
        let rest = "2520 ft: 4559 corp: 944/87Kb lim: 4096 exec/s: 315680 rss: 33Mb";
        assert_eq!(before_limits(rest), "2520, features 4559, corpus 944/87Kb");
    }

    #[test]
    fn every_target_has_a_committed_corpus() {
        let root = crate::workspace::root().unwrap();
        for target in Target::ALL {
            let inputs = crate::workspace::files(&root.join("tests/fuzz/corpus").join(target.name())).unwrap();
            assert!(!inputs.is_empty(), "{}", target.name());
        }
    }
}
