//! How much tests have tried: they say it, here it is added up and held against what is promised.
//!
//! A test that quietly tries nothing passes. Here it does not: a count that is missing or too low is a failure.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// Names the file that the tests append to: a line each, what was counted, a tab, how many.
pub const VARIABLE: &str = "CAUSEWAY_COUNTS";

/// What tests have to try at least.
pub type Floors = &'static [(&'static str, u64)];

/// What the program's tests have to try at least.
pub const OF_PROGRAM: Floors = &[
    ("negative cases", 2_000),
    ("random instructions", 10_000),
    // Every subset of 1 to 7 oracles: 2 + 4 + ... + 128.
    ("oracle subsets", 254),
    ("fuzz inputs replayed", 100),
];

/// What the tests of jobs have to try at least.
pub const OF_JOBS: Floors = &[
    // Of five kinds, each with what can go wrong at every step, and stories that are hit at every event.
    ("cases of jobs", 4_000),
    // Four of a dry run, ten with the way back of three kinds, eleven of a change of the network.
    ("steps of jobs hit in every way", 45),
];

/// What the end-to-end tests have to try at least.
pub const OF_E2E: Floors = &[
    // A minute of them; CAUSEWAY_KILLS asks for more.
    ("kills of an oracle", 40),
    // Three devices twice, three links once.
    ("promotions counted again", 9),
    // Three of links; five of devices, seen in eight criteria.
    ("faults seen, named and healed", 11),
];

/// A file for the counts of one run, empty.
///
/// # Errors
/// It can't be written.
pub fn begin(workspace: &Workspace) -> Result<PathBuf> {
    std::fs::create_dir_all(&workspace.target)?;
    let path = workspace.target.join(format!("counts-{}.tsv", std::process::id()));
    std::fs::write(&path, "").with_context(|| format!("can't write {}", path.display()))?;
    Ok(path)
}

/// What was counted, in one line, and what of the promised is missing or too little. Removes the file.
///
/// # Errors
/// The file is gone or malformed.
pub fn end(path: &PathBuf, floors: &[Floors]) -> Result<(String, Vec<String>)> {
    let text = std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
    let counts = sum(&text)?;
    std::fs::remove_file(path).with_context(|| format!("can't remove {}", path.display()))?;
    Ok((line(&counts), findings(&counts, floors)))
}

fn sum(text: &str) -> Result<BTreeMap<String, u64>> {
    let mut counts = BTreeMap::new();
    for line in text.lines() {
        let count = line.rsplit_once('\t').and_then(|(what, count)| Some((what, count.parse::<u64>().ok()?)));
        let (what, count) = count.with_context(|| format!("{line:?} is no count"))?;
        *counts.entry(what.to_owned()).or_default() += count;
    }
    Ok(counts)
}

fn line(counts: &BTreeMap<String, u64>) -> String {
    let counts: Vec<String> = counts.iter().map(|(what, count)| format!("{what} {}", grouped(*count))).collect();
    counts.join(" · ")
}

fn findings(counts: &BTreeMap<String, u64>, floors: &[Floors]) -> Vec<String> {
    let finding = |(what, floor): &(&str, u64)| match counts.get(*what) {
        None => Some(format!("no test counted any {what}; at least {} are promised", grouped(*floor))),
        Some(count) if count < floor => {
            Some(format!("the tests tried {} {what}; {} are promised", grouped(*count), grouped(*floor)))
        }
        Some(_) => None,
    };
    floors.iter().copied().flatten().filter_map(finding).collect()
}

/// A number in groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[Floors] = &[OF_PROGRAM, OF_E2E];

    fn enough() -> BTreeMap<String, u64> {
        ALL.iter().copied().flatten().map(|(what, floor)| ((*what).to_owned(), *floor)).collect()
    }

    #[test]
    fn counts_of_the_same_name_are_added() {
        let counts = sum("negative cases\t1200\noracle subsets\t7\nnegative cases\t11145\n").unwrap();
        assert_eq!(line(&counts), "negative cases 12 345 · oracle subsets 7");
        assert!(sum("negative cases\tmany").is_err());
        assert!(sum("negative cases 3").is_err());
    }

    #[test]
    fn too_few_and_none_are_findings() {
        assert!(findings(&enough(), ALL).is_empty());
        for (what, floor) in ALL.iter().copied().flatten() {
            let mut counts = enough();
            counts.insert((*what).to_owned(), floor - 1);
            assert_eq!(findings(&counts, ALL).len(), 1);
            counts.remove(*what);
            assert_eq!(findings(&counts, ALL).len(), 1);
        }
    }

    #[test]
    fn digits_stand_in_threes() {
        assert_eq!(
            ["0", "999", "1 000", "12 345", "1 234 567"],
            [0, 999, 1_000, 12_345, 1_234_567].map(grouped).as_slice()
        );
    }
}
