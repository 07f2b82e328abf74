//! Compute units of every instruction and the runtime's share of them, sizes of accounts and of the binary, measured
//! by `causeway-cu` on the program's binary, and the gate against the committed table.

pub mod view;

use std::{collections::BTreeMap, path::Path, process::ExitCode};

use anyhow::{Context, Result};

use crate::{
    binary, process, program, progress,
    setup::{self, Need},
    workspace::Workspace,
};

/// The committed table.
pub const TABLE: &str = "docs/cu.json";
/// How much more than the table an instruction may cost and the binary weigh, in percent.
const TOLERANCE_PERCENT: u64 = 5;

/// The program that does one thing of the runtime at a time.
const FLOOR_PACKAGE: &str = "tests/program/floor";
const FLOOR_FILE: &str = "causeway_floor.so";
/// The variable by which `causeway-cu` is told where it is.
const FLOOR_VARIABLE: &str = "CAUSEWAY_FLOOR_SO";

const FIRST_BUILD: &str = "the virtual machine and what belongs to it; 5 to 10 minutes on two cores";

/// Figures by name: `cu`, `bytes`, ... All are costs: less is better.
pub type Figures = BTreeMap<String, u64>;
/// Figures by what they are of: an instruction; `account-` and a type of account; `floor-` and a single thing that the
/// runtime does; `program`.
pub type Costs = BTreeMap<String, Figures>;

/// Measures, prints, and compares if asked to.
///
/// # Errors
/// The program or the measuring binary does not build or run, or there is no table to compare with.
pub fn run(workspace: &Workspace, json: bool, check: bool) -> Result<ExitCode> {
    setup::ensure(&[Need::Native, Need::Program])?;
    let costs = measure(workspace)?;
    if json {
        progress::result(&serde_json::to_string_pretty(&costs)?)?;
    } else {
        progress::result(&tables(&costs))?;
    }
    if !check {
        return Ok(ExitCode::SUCCESS);
    }
    let findings = findings(&committed(workspace)?, &costs);
    for finding in &findings {
        progress::failure(finding);
    }
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Measures every instruction.
///
/// # Errors
/// The program or the measuring binary does not build or run.
pub fn measure(workspace: &Workspace) -> Result<Costs> {
    let built = program::build(workspace)?;
    let floor = program::build_other(workspace, FLOOR_PACKAGE, FLOOR_FILE)?;
    let mut command = process::plain(binary::build(workspace, "causeway-cu", FIRST_BUILD)?);
    command.env(program::VARIABLE, &built.path).env(FLOOR_VARIABLE, floor).current_dir(&workspace.root);
    let printed = process::output(command)?;
    serde_json::from_str(&printed).context("causeway-cu printed something that is not a table of costs")
}

/// The committed table.
///
/// # Errors
/// It is missing or malformed.
pub fn committed(workspace: &Workspace) -> Result<Costs> {
    committed_in(&workspace.root)
}

/// The committed table of the repository at `root`.
///
/// # Errors
/// It is missing or malformed.
pub fn committed_in(root: &Path) -> Result<Costs> {
    let text = std::fs::read(root.join(TABLE)).with_context(|| format!("can't read {TABLE}"))?;
    serde_json::from_slice(&text).with_context(|| format!("{TABLE} is not a table of costs"))
}

/// What is wrong with the measured costs: too expensive, or not the same instructions and figures.
pub fn findings(committed: &Costs, measured: &Costs) -> Vec<String> {
    let (then, now) = (figures(committed), figures(measured));
    let mut findings = Vec::new();
    for (name, now) in &now {
        match then.get(name) {
            None => findings.push(format!("{name}: {now}, and {TABLE} does not list it")),
            Some(then) => {
                let percent = tolerance(name);
                if exceeds(*now, *then, percent) {
                    findings.push(format!("{name}: {now}, more than {percent} % above the {then} of {TABLE}"));
                }
            }
        }
    }
    let gone = then.keys().filter(|name| !now.contains_key(*name));
    findings.extend(gone.map(|name| format!("{name}: in {TABLE}, and not measured")));
    findings
}

/// Every figure under one name: `attest cu`.
fn figures(costs: &Costs) -> BTreeMap<String, u64> {
    let of_one = |(subject, figures): (&String, &BTreeMap<String, u64>)| {
        figures.iter().map(|(name, value)| (format!("{subject} {name}"), *value)).collect::<Vec<_>>()
    };
    costs.iter().flat_map(of_one).collect()
}

/// How much a figure may exceed the table, in percent. An account's size is a decision about its layout and nothing
/// that a compiler varies: it may not grow at all.
fn tolerance(figure: &str) -> u64 {
    if figure.starts_with("account-") { 0 } else { TOLERANCE_PERCENT }
}

fn exceeds(now: u64, then: u64, percent: u64) -> bool {
    u128::from(now) * 100 > u128::from(then) * u128::from(100 + percent)
}

fn tables(costs: &Costs) -> String {
    let binary = view::figure(costs, "program", "binary_bytes").unwrap_or_default();
    format!(
        "{}\n\n{}\n\n{}\n\nthe binary: {binary} bytes",
        view::instruction_table(costs).text(),
        view::account_table(costs).text(),
        view::single_table(costs).text(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(entries: &[(&str, u64)]) -> Costs {
        entries.iter().map(|(name, cu)| ((*name).to_owned(), BTreeMap::from([("cu".to_owned(), *cu)]))).collect()
    }

    #[test]
    fn five_percent_more_is_accepted_and_one_unit_above_is_not() {
        assert!(findings(&costs(&[("attest", 1_000)]), &costs(&[("attest", 1_050)])).is_empty());
        assert_eq!(findings(&costs(&[("attest", 1_000)]), &costs(&[("attest", 1_051)])).len(), 1);
    }

    #[test]
    fn an_account_may_not_grow_by_a_byte_and_the_binary_may_by_five_percent() {
        let read = |text: &str| serde_json::from_str::<Costs>(text).unwrap();
        let then = read(r#"{"account-link":{"bytes":287},"program":{"binary_bytes":100000}}"#);
        let grown = read(r#"{"account-link":{"bytes":288},"program":{"binary_bytes":105000}}"#);
        assert_eq!(findings(&then, &grown).len(), 1);
        let heavy = read(r#"{"account-link":{"bytes":286},"program":{"binary_bytes":105001}}"#);
        assert_eq!(findings(&then, &heavy).len(), 1);
        assert!(findings(&then, &then).is_empty());
    }

    #[test]
    fn an_instruction_on_one_side_only_is_a_finding() {
        assert_eq!(findings(&costs(&[("attest", 1)]), &costs(&[("advance", 1)])).len(), 2);
    }

    #[test]
    fn every_figure_is_compared() {
        let read = |text: &str| serde_json::from_str::<Costs>(text).unwrap();
        let then = read(r#"{"attest":{"cu":900,"per_further_subject":250}}"#);
        let now = read(r#"{"attest":{"cu":900,"per_further_subject":300}}"#);
        assert_eq!(findings(&then, &now).len(), 1);
        assert!(findings(&then, &then).is_empty());
    }
}
