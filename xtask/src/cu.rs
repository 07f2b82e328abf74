//! Compute units of every instruction, measured by `causeway-cu` on the program's binary, and the gate against the
//! committed table.

use std::{collections::BTreeMap, process::ExitCode};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::{
    binary, process, program, progress,
    setup::{self, Need},
    workspace::Workspace,
};

/// The committed table.
pub const TABLE: &str = "docs/cu.json";
/// How much more than the table an instruction may cost, in percent.
const TOLERANCE_PERCENT: u64 = 5;

/// What is known of one instruction; fields besides the compute units are passed on as they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    cu: u64,
    #[serde(flatten)]
    more: BTreeMap<String, serde_json::Value>,
}

/// Costs by instruction.
pub type Costs = BTreeMap<String, Cost>;

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
    let mut command = process::plain(binary::build(workspace, "causeway-cu")?);
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

/// What is wrong with the measured costs: too expensive, or not the same instructions.
pub fn findings(committed: &Costs, measured: &Costs) -> Vec<String> {
    let mut findings = Vec::new();
    for (instruction, now) in measured {
        match committed.get(instruction) {
            None => findings.push(format!("{instruction}: {} CU, and {TABLE} does not list it", now.cu)),
            Some(then) if exceeds(now.cu, then.cu) => findings.push(format!(
                "{instruction}: {} CU, more than {TOLERANCE_PERCENT} % above the {} of {TABLE}",
                now.cu, then.cu
            )),
            Some(_) => {}
        }
    }
    let gone = committed.keys().filter(|instruction| !measured.contains_key(*instruction));
    findings.extend(gone.map(|instruction| format!("{instruction}: in {TABLE}, and not measured")));
    findings
}

fn exceeds(now: u64, then: u64) -> bool {
    u128::from(now) * 100 > u128::from(then) * u128::from(100 + TOLERANCE_PERCENT)
}

fn table(costs: &Costs) -> String {
    let width = costs.keys().map(String::len).max().unwrap_or_default().max("instruction".len());
    let row = |name: &str, cu: &str| format!("{name:<width$}  {cu:>8}");
    let mut lines = vec![row("instruction", "CU")];
    lines.extend(costs.iter().map(|(name, cost)| row(name, &cost.cu.to_string())));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(entries: &[(&str, u64)]) -> Costs {
        entries.iter().map(|(name, cu)| ((*name).to_owned(), Cost { cu: *cu, more: BTreeMap::new() })).collect()
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
    fn fields_beside_the_units_survive() {
        let text = r#"{"attest":{"cu":900,"subjects":30}}"#;
        let read: Costs = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }
}
