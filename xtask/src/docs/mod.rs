//! The generated pages: what they are, writing them, and checking that what is committed is current.
//!
//! Everything comes from the interface crate, from the sources themselves or from the measured costs, so a page can't
//! say what the code does not do. The description of the controller's API is asked of the controller. Pages of error codes that are written by hand are checked and kept. A page of a code that is gone is
//! stale.

mod accounts;
mod api;
mod claims;
mod codes;
mod cost;
mod errors;
mod instructions;
mod markdown;
mod sources;
mod states;

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, bail};

use crate::{progress, workspace::Workspace};

/// Text by path below the root.
pub type Pages = BTreeMap<String, String>;

const STATES: &str = "docs/states.md";

/// Every page, and what stands in the way of more.
fn pages(root: &Path) -> Result<(Pages, Vec<String>)> {
    let (mut pages, problems) = errors::pages(root)?;
    pages.insert(STATES.into(), states::page());
    pages.insert("docs/cost.md".into(), cost::page(root)?);
    pages.insert("docs/reference/accounts.md".into(), accounts::page()?);
    pages.insert("docs/reference/instructions.md".into(), instructions::page());
    Ok((pages, problems))
}

/// Writes every page and removes stale ones.
///
/// # Errors
/// A source is inconsistent, a page that is written by hand is missing, or a file can't be written.
pub fn write(workspace: &Workspace) -> Result<()> {
    let (pages, problems) = pages(&workspace.root)?;
    for path in stale(&workspace.root, &pages)? {
        fs::remove_file(workspace.root.join(&path))?;
        progress::note(&format!("removed {path}"));
    }
    let mut written = 0_usize;
    for (path, text) in &pages {
        written += usize::from(write_one(&workspace.root, path, text)?);
    }
    written += usize::from(write_one(&workspace.root, api::PATH, &api::description(workspace)?)?);
    progress::step(&format!("{} generated pages, {written} of them changed", pages.len() + 1));
    if problems.is_empty() {
        return Ok(());
    }
    bail!("pages are missing:\n  {}", problems.join("\n  "))
}

/// Writes the page of the state machines.
///
/// # Errors
/// The file can't be written.
pub fn write_states(workspace: &Workspace) -> Result<()> {
    let changed = write_one(&workspace.root, STATES, &states::page())?;
    progress::step(&format!("{STATES} {}", if changed { "written" } else { "is current" }));
    Ok(())
}

/// Compares every page with what is committed.
///
/// # Errors
/// A page is missing, different or stale; the message names each.
pub fn check(workspace: &Workspace) -> Result<()> {
    progress::step("checking the generated pages");
    let mut differences = differences(&workspace.root)?;
    if !api::is_current(workspace)? {
        differences.push(format!("different: {}", api::PATH));
    }
    if differences.is_empty() {
        return Ok(());
    }
    bail!("not current, run `cargo xtask docs`:\n  {}", differences.join("\n  "))
}

fn differences(root: &Path) -> Result<Vec<String>> {
    let (pages, mut differences) = pages(root)?;
    differences.extend(claims::problems(root)?);
    differences.extend(stale(root, &pages)?.into_iter().map(|path| format!("stale: {path}")));
    for (path, text) in &pages {
        match fs::read_to_string(root.join(path)) {
            Ok(there) if there == *text => {}
            Ok(_) => differences.push(format!("different: {path}")),
            Err(_) => differences.push(format!("missing: {path}")),
        }
    }
    Ok(differences)
}

/// Pages in the folder of errors that no code stands for.
fn stale(root: &Path, pages: &Pages) -> Result<Vec<String>> {
    let folder = root.join(errors::FOLDER);
    let mut stale = Vec::new();
    if folder.is_dir() {
        for entry in fs::read_dir(&folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let path = format!("{}/{name}", errors::FOLDER);
            if name.ends_with(".md") && !pages.contains_key(&path) {
                stale.push(path);
            }
        }
    }
    stale.sort();
    Ok(stale)
}

fn write_one(root: &Path, path: &str, text: &str) -> Result<bool> {
    let path = root.join(path);
    if fs::read_to_string(&path).is_ok_and(|there| there == text) {
        return Ok(false);
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&path, text).with_context(|| format!("can't write {}", path.display()))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_pages_are_current() {
        let root = crate::workspace::root().unwrap();
        let differences = super::differences(&root).unwrap();
        assert!(differences.is_empty(), "run `cargo xtask docs`: {differences:#?}");
    }
}
