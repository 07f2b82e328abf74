//! The faults, as they are written down: `tests/program/mutants/*.yaml`.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::workspace;

/// Where they are written down, from the repository's root.
pub const FOLDER: &str = "tests/program/mutants";

/// One fault: a text of the program's sources, and what stands there instead.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    /// Its name.
    pub name: String,
    /// What the program no longer does.
    pub drops: String,
    /// The file, from `programs`.
    pub file: String,
    /// The text, which is there exactly once.
    pub find: String,
    /// What stands there instead.
    pub replace: String,
}

impl Mutant {
    /// The sources with the fault.
    ///
    /// # Errors
    /// The text is not there exactly once, or nothing would change.
    pub fn applied(&self, source: &str) -> Result<String> {
        let found = source.matches(&self.find).count();
        if found != 1 {
            bail!("its text is {found} times in {}, not once", self.file);
        }
        if self.find == self.replace {
            bail!("it changes nothing");
        }
        Ok(source.replacen(&self.find, &self.replace, 1))
    }
}

/// Every fault, in order of the files.
///
/// # Errors
/// One can't be read, or two have one name.
pub fn read(root: &Path) -> Result<Vec<Mutant>> {
    let mut all: Vec<Mutant> = Vec::new();
    for file in workspace::files(&root.join(FOLDER))? {
        let text = std::fs::read_to_string(&file).with_context(|| format!("can't read {}", file.display()))?;
        let mutants: Vec<Mutant> =
            serde_yaml_ng::from_str(&text).with_context(|| format!("{} is no list of faults", file.display()))?;
        for mutant in mutants {
            if all.iter().any(|other| other.name == mutant.name) {
                bail!("{}: two faults are called {}", file.display(), mutant.name);
            }
            all.push(mutant);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutant(find: &str, replace: &str) -> Mutant {
        let (find, replace) = (find.to_owned(), replace.to_owned());
        Mutant { name: "m".into(), drops: "a check".into(), file: "lib.rs".into(), find, replace }
    }

    #[test]
    fn a_fault_applies_where_its_text_is_once() {
        assert_eq!(mutant("a < b", "true").applied("if a < b {}").unwrap(), "if true {}");
        assert!(mutant("a < b", "true").applied("if a <= b {}").is_err());
        assert!(mutant("a", "b").applied("a a").is_err());
        assert!(mutant("a", "a").applied("a").is_err());
    }

    /// The sources change; a fault whose text is gone tests nothing.
    #[test]
    fn every_fault_applies_to_the_sources() {
        let root = workspace::root().unwrap();
        let mut broken = Vec::new();
        let all = read(&root).unwrap();
        assert!(all.len() >= 20, "{} faults", all.len());
        for mutant in all {
            let applied = std::fs::read_to_string(root.join("programs").join(&mutant.file))
                .map_err(anyhow::Error::from)
                .and_then(|source| mutant.applied(&source));
            if let Err(error) = applied {
                broken.push(format!("{}: {error}", mutant.name));
            }
        }
        assert!(broken.is_empty(), "adapt these in {FOLDER}:\n{}", broken.join("\n"));
    }
}
