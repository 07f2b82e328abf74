//! Pages that are written by hand: what they refer to exists.
//!
//! A link's target has to be there. Where the text of a link to a source file is a name in backticks, the file has to
//! declare a function of that name: a page that says "this test shows it" fails when the test is gone. A code of an error
//! that a page names has to have its page.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result};

/// Pages that are held to what they refer to.
const PAGES: [&str; 4] = ["docs/threat-model.md", "docs/keys.md", "docs/oracle.md", "docs/migration.md"];
/// A folder of such pages.
const RUNBOOKS: &str = "docs/runbooks";

/// What is wrong with the pages' references.
///
/// # Errors
/// A page can't be read.
pub fn problems(root: &Path) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    let codes = explained(root)?;
    let mut pages: Vec<String> = PAGES.map(str::to_owned).to_vec();
    for entry in fs::read_dir(root.join(RUNBOOKS)).with_context(|| format!("can't read {RUNBOOKS}"))? {
        pages.push(format!("{RUNBOOKS}/{}", entry?.file_name().to_string_lossy()));
    }
    pages.sort();
    for page in &pages {
        let text = fs::read_to_string(root.join(page)).with_context(|| format!("can't read {page}"))?;
        let folder = root.join(page).parent().map(Path::to_path_buf).unwrap_or_default();
        let wrong = links(&text).into_iter().filter_map(|(text, target)| problem(&folder, text, target));
        problems.extend(wrong.map(|why| format!("{page}: {why}")));
        let unknown = codes_in(&text).into_iter().filter(|code| !codes.contains(&code.to_lowercase()));
        problems.extend(unknown.map(|code| format!("{page}: {code} has no page")));
    }
    Ok(problems)
}

/// Codes that have a page, in small letters; of the program's the number alone.
fn explained(root: &Path) -> Result<BTreeSet<String>> {
    let folder = root.join(super::errors::FOLDER);
    let mut codes = BTreeSet::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("can't read {}", folder.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let Some(name) = name.strip_suffix(".md") else { continue };
        let number = name.split('-').next().filter(|number| number.parse::<u32>().is_ok());
        codes.insert(number.map_or_else(|| name.to_owned(), |number| format!("cw-{number}")));
    }
    Ok(codes)
}

/// Codes that a page names.
fn codes_in(page: &str) -> Vec<&str> {
    let code = |at: usize| {
        let rest = page.get(at..).unwrap_or_default();
        let end =
            rest.find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-')).unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    };
    // `CW-JOB-...` stands for all of them.
    page.match_indices("CW-").map(|(at, _)| code(at)).filter(|code| !code.ends_with('-')).collect()
}

/// Text and target of every link.
fn links(page: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = page;
    while let Some((before, after)) = rest.split_once("](") {
        let text = before.rsplit_once('[').map(|(_, text)| text);
        let target = after.split_once(')').map(|(target, _)| target);
        found.extend(text.zip(target));
        rest = after;
    }
    found
}

fn problem(folder: &Path, text: &str, target: &str) -> Option<String> {
    if target.contains("://") {
        return None;
    }
    let path = target.split('#').next().unwrap_or_default();
    let file = folder.join(path);
    if !file.exists() {
        return Some(format!("{target} does not exist"));
    }
    let name = text.strip_prefix('`')?.strip_suffix('`')?;
    if !path.ends_with(".rs") {
        return None;
    }
    let source = fs::read_to_string(&file).unwrap_or_default();
    (!source.contains(&format!("fn {name}("))).then(|| format!("{target} has no fn {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_with_their_text() {
        let page = "See [keys](keys.md), [`a_test`](../t.rs), [x] and (y).";
        assert_eq!(links(page), [("keys", "keys.md"), ("`a_test`", "../t.rs")]);
    }

    #[test]
    fn codes_are_found_whole() {
        let page = "See [CW-JOB-TIMEOUT](../x.md), `CW-2005`, CW-JOB-... and (CW-A-B).";
        assert_eq!(codes_in(page), ["CW-JOB-TIMEOUT", "CW-2005", "CW-A-B"]);
    }

    #[test]
    fn a_test_or_a_file_that_is_gone_is_a_problem() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/docs");
        assert_eq!(problem(&folder, "`links`", "claims.rs"), None);
        assert_eq!(problem(&folder, "more", "https://example.org/x"), None);
        assert!(problem(&folder, "`no_such_test`", "claims.rs").is_some());
        assert!(problem(&folder, "gone", "gone.md").is_some());
    }
}
