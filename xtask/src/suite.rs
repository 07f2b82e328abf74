//! Every test and every check, counted.
//!
//! A check that is not a test of Rust's harness (formatting, clippy, the cost table, ...) counts as one. Cargo's output
//! is passed on as it comes; nothing is printed after the last line, `N passed, N failed`.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::{
    counts, cu, docs, lint,
    lint::Tally,
    process, program, progress,
    setup::{self, Need},
    workspace::Workspace,
};

/// A part of the system that can be tested by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The onchain program, in the virtual machine
    Program,
    /// The shared vocabulary
    Interface,
    /// The Rust client
    Sdk,
    /// What agents, controllers and oracles say to each other
    Wire,
    /// The controller
    Controller,
    /// The agent
    Agent,
    /// Provisioning jobs
    Jobs,
    /// The health oracle
    Oracle,
    /// The command line
    Cli,
    /// The embedded ledger
    Localnet,
    /// The demo
    Demo,
    /// The lab
    Lab,
    /// The whole system
    E2e,
    /// This command
    Xtask,
}

impl Part {
    const fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Program => &["causeway-program-tests", "causeway-fuzz"],
            Self::Interface => &["causeway-interface"],
            Self::Sdk => &["causeway-sdk"],
            Self::Wire => &["causeway-wire", "causeway-connections"],
            Self::Controller => &["causeway-controller"],
            Self::Agent => &["causeway-agent", "causeway-settings"],
            Self::Jobs => &["causeway-jobs"],
            Self::Oracle => &["causeway-health-oracle"],
            Self::Cli => &["causeway-cli"],
            Self::Localnet => &["causeway-localnet"],
            Self::Demo => &["causeway-demo"],
            Self::Lab => &["causeway-lab"],
            Self::E2e => &["causeway-tests"],
            Self::Xtask => &["xtask"],
        }
    }

    /// Whether its tests have nothing to do with a ledger.
    const fn needs_rust_only(self) -> bool {
        match self {
            Self::Interface | Self::Wire | Self::Xtask => true,
            Self::Program
            | Self::Sdk
            | Self::Controller
            | Self::Agent
            | Self::Jobs
            | Self::Oracle
            | Self::Cli
            | Self::Localnet
            | Self::Demo
            | Self::Lab
            | Self::E2e => false,
        }
    }
}

/// Runs it all, or the parts that are named.
///
/// # Errors
/// Something is missing and can't be installed, or a tool can't be run. A failing test is no error but an exit code.
pub fn run(workspace: &Workspace, only: &[Part], with_lint: bool) -> Result<ExitCode> {
    let mut tally = Tally::default();
    let everything = only.is_empty();
    let mut program = None;
    if everything || !only.iter().all(|part| part.needs_rust_only()) {
        setup::ensure(&[Need::Native, Need::Program, Need::Routers, Need::Packets, Need::Operation, Need::Databases])?;
        let built = program::build(workspace);
        tally.count(built.is_ok());
        match built {
            Ok(built) => program = Some(built.path),
            Err(error) => progress::failure(&format!("{error:#}")),
        }
    }
    if everything {
        tally.add(lint::formatting(workspace)?);
    }
    if everything || only.contains(&Part::E2e) {
        // The end-to-end tests run the binaries, which testing alone would not build.
        let mut bins = process::cargo();
        bins.args(["build", "--workspace", "--bins"]).current_dir(&workspace.root);
        progress::step("building the binaries (the first build takes 15 to 40 minutes on two cores)");
        tally.count(told(process::build(bins, "the binaries")));
    }
    let mut next = None;
    if program.is_some() && (everything || only.contains(&Part::Program)) {
        progress::step("building the program's successor, for the test of layout versions");
        match program::build_next(workspace) {
            Ok(binary) => next = Some(binary),
            Err(error) => progress::failure(&format!("{error:#}")),
        }
    }
    let counts = counts::begin(workspace)?;
    for mut command in commands(workspace, only) {
        command.env(counts::VARIABLE, &counts);
        if let Some(next) = &next {
            command.env(program::NEXT_VARIABLE, next);
        }
        tally.add(tests(command, program.as_deref())?);
    }
    let asked = |part| everything || only.contains(&part);
    let promised = [(Part::Program, counts::OF_PROGRAM), (Part::Jobs, counts::OF_JOBS), (Part::E2e, counts::OF_E2E)];
    let floors: Vec<_> = promised.into_iter().filter(|(part, _)| asked(*part)).map(|(_, floors)| floors).collect();
    let (counted, findings) = counts::end(&counts, &floors)?;
    if !floors.is_empty() {
        progress::step(&format!("the tests tried: {counted}"));
        findings.iter().for_each(|finding| progress::failure(finding));
        tally.count(findings.is_empty());
    }
    if everything {
        tally.count(told(docs::check(workspace)));
        tally.count(told(costs(workspace)));
        if with_lint {
            tally.add(lint::clippy(workspace)?);
            tally.add(lint::licences(workspace)?);
        }
    }
    progress::result(&format!("{} passed, {} failed", tally.passed, tally.failed))?;
    Ok(tally.exit_code())
}

fn commands(workspace: &Workspace, only: &[Part]) -> Vec<Command> {
    let mut tests = process::cargo();
    tests.args(["test", "--no-fail-fast"]).current_dir(&workspace.root);
    if only.is_empty() {
        tests.arg("--workspace");
    }
    for part in only {
        for package in part.packages() {
            tests.args(["--package", package]);
        }
    }
    let mut commands = vec![tests];
    if only.is_empty() || only.contains(&Part::Program) {
        // The program's own workspace, for this machine instead of the virtual one.
        let mut program = process::cargo();
        program.args(["test", "--no-fail-fast", "--locked", "--lib", "--manifest-path"]);
        program.arg(workspace.root.join("programs/serviceability/Cargo.toml"));
        program.arg("--target-dir").arg(workspace.target.join("program-host")).current_dir(&workspace.root);
        commands.push(program);
    }
    commands
}

fn tests(mut command: Command, program: Option<&std::path::Path>) -> Result<Tally> {
    progress::step("building and running the tests (the first build takes 15 to 40 minutes on two cores)");
    if let Some(program) = program {
        command.env(program::VARIABLE, program);
    }
    let mut sum = Sum::default();
    let success = process::follow(command, "tests", |line| {
        sum.read(line);
        true
    })?;
    if sum.ignored > 0 {
        progress::note(&format!("{} tests are marked as ignored and did not run", sum.ignored));
    }
    // A binary that did not build, or died, prints no summary.
    if !success && sum.tally.failed == 0 {
        progress::failure("cargo test failed without a failing test: something did not build, or died");
        sum.tally.count(false);
    }
    Ok(sum.tally)
}

/// The harness's summary lines, added up.
#[derive(Default)]
struct Sum {
    tally: Tally,
    ignored: u64,
}

impl Sum {
    fn read(&mut self, line: &str) {
        if let Some((passed, failed, ignored)) = summary(line) {
            self.tally.add(Tally { passed, failed });
            self.ignored += ignored;
        }
    }
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; ...`
fn summary(line: &str) -> Option<(u64, u64, u64)> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut counts = counts.split("; ");
    let mut next = |word: &str| counts.next()?.strip_suffix(word)?.trim_end().parse().ok();
    Some((next("passed")?, next("failed")?, next("ignored")?))
}

fn costs(workspace: &Workspace) -> Result<()> {
    progress::step("comparing compute units with docs/cu.json");
    let measured = cu::measure(workspace)?;
    let findings = cu::findings(&cu::committed(workspace)?, &measured);
    anyhow::ensure!(findings.is_empty(), "{}", findings.join("\n"));
    Ok(())
}

fn told(outcome: Result<()>) -> bool {
    match outcome.context("check failed") {
        Ok(()) => true,
        Err(error) => {
            progress::failure(&format!("{error:#}"));
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_lines_are_read_and_others_are_not() {
        let ok = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s";
        let bad = "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s";
        assert_eq!(summary(ok), Some((12, 0, 1)));
        assert_eq!(summary(bad), Some((3, 2, 0)));
        assert_eq!(summary("test lifecycle::tests::refuses ... ok"), None);
        assert_eq!(summary("test result: ok. many passed; 0 failed; 0 ignored"), None);
    }

    #[test]
    fn nothing_run_is_a_failure() {
        assert_eq!(format!("{:?}", Tally::default().exit_code()), format!("{:?}", ExitCode::FAILURE));
    }
}
