//! Compute units of every instruction, and the size of the binary, measured by `causeway-cu` on the program's binary, and the gate against the
//! committed table.

use std::{collections::BTreeMap, process::ExitCode};

use anyhow::{Context, Result};

use crate::{
    binary, process, program, progress,
    setup::{self, Need},
    workspace::Workspace,
};

/// The committed table.
pub const TABLE: &str = "docs/cu.json";
/// How much more than the table an instruction may cost, in percent.
const TOLERANCE_PERCENT: u64 = 5;

const FIRST_BUILD: &str = "the virtual machine and what belongs to it; 5 to 10 minutes on two cores";

/// Figures by name (`cu`, ...) by instruction. All are costs: less is better.
pub type Costs = BTreeMap<String, BTreeMap<String, u64>>;

/// Measures, prints, and compares if asked to.
///
/// # Errors
/// The program or the measuring binary does not build or run, or there is no table to compare with.
pub fn run(workspace: &Workspace, json: bool, check: bool) -> Result<ExitCode> {
    setup::ensure(&[Need::Native, Need::Program])?;
    let costs = measure(workspace)?;
    if json {
        progress::result(&serde_json::to_string(&costs)?)?;
    } else {
        progress::result(&table(&costs))?;
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
    let mut command = process::plain(binary::build(workspace, "causeway-cu", FIRST_BUILD)?);
    command.env(program::VARIABLE, &built.path).current_dir(&workspace.root);
    let printed = process::output(command)?;
    serde_json::from_str(&printed).context("causeway-cu printed something that is not a table of costs")
}

/// The committed table.
///
/// # Errors
/// It is missing or malformed.
pub fn committed(workspace: &Workspace) -> Result<Costs> {
    let path = workspace.root.join(TABLE);
    let text = std::fs::read(&path).with_context(|| format!("can't read {TABLE}"))?;
    serde_json::from_slice(&text).with_context(|| format!("{TABLE} is not a table of costs"))
}

/// What is wrong with the measured costs: too expensive, or not the same instructions and figures.
pub fn findings(committed: &Costs, measured: &Costs) -> Vec<String> {
    let (then, now) = (figures(committed), figures(measured));
    let mut findings = Vec::new();
    for (name, now) in &now {
        match then.get(name) {
            None => findings.push(format!("{name}: {now}, and {TABLE} does not list it")),
            Some(then) if exceeds(*now, *then) => {
                findings.push(format!("{name}: {now}, more than {TOLERANCE_PERCENT} % above the {then} of {TABLE}"));
            }
            Some(_) => {}
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

fn exceeds(now: u64, then: u64) -> bool {
    u128::from(now) * 100 > u128::from(then) * u128::from(100 + TOLERANCE_PERCENT)
}

fn table(costs: &Costs) -> String {
    let figures = figures(costs);
    let width = figures.keys().map(String::len).max().unwrap_or_default();
    let lines: Vec<String> = figures.iter().map(|(name, value)| format!("{name:<width$}  {value:>9}")).collect();
    lines.join("\n")
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
