//! One page per error code.
//!
//! The program's codes come from the interface crate. Off-chain codes are words (`CW-RPC-UNREACHABLE`); they are read
//! from the sources, because this command can't depend on the crates that raise them:
//! - A code that is declared as three literals in a row (code, cause, remedy) gets its page from them.
//! - What a report of an agent, or a fault, a problem or a refusal of the controller is called by a short name has to be
//!   declared under the full one (`codes.rs`).
//! - Any other code has a page written by hand, `docs/errors/cw-....md`, with the code as its title, a cause and a
//!   remedy in the same form; it is checked and listed, and stale once no source names the code.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Result, bail};
use causeway_interface::{
    DeviceStatus, ErrorCode, LinkStatus,
    lifecycle::{AnyCondition, Outcome, Rule, device, link},
};

use super::{
    Pages, codes,
    markdown::{NOTICE, table},
    sources::{self, Declared, Source},
};

/// Where the pages are.
pub const FOLDER: &str = "docs/errors";

/// Every page and the index, and what stands in the way of more.
pub fn pages(root: &Path) -> Result<(Pages, Vec<String>)> {
    let sources = sources::read(root)?;
    let (mut pages, mut index, mut problems) = (Pages::new(), Vec::new(), Vec::new());
    for error in ErrorCode::ALL {
        let file = format!("{}-{}.md", error.code(), kebab(error.name()));
        let code = format!("CW-{}", error.code());
        index.push(vec![format!("[{code}]({file})"), error.name().to_owned(), error.cause().to_owned()]);
        pages.insert(format!("{FOLDER}/{file}"), of_program(*error, &raised(*error, &sources)));
    }
    for (code, declared) in offchain(&sources)? {
        let file = format!("{}.md", code.to_lowercase());
        let path = format!("{FOLDER}/{file}");
        let (cause, page) = match declared {
            Some(entry) => (entry.cause.clone(), of_offchain(&code, &entry, &used(&code, &entry, &sources))),
            None => {
                let page = fs::read_to_string(root.join(&path)).unwrap_or_default();
                let Some(cause) = cause_by_hand(&code, &page) else {
                    problems.push(format!("{path}, or a declaration of {code} with cause and remedy as literals"));
                    continue;
                };
                (cause, page)
            }
        };
        index.push(vec![format!("[{code}]({file})"), String::new(), cause]);
        pages.insert(path, page);
    }
    let known = |code: &str| pages.contains_key(&format!("{FOLDER}/{}.md", code.to_lowercase()));
    problems.extend(codes::unexplained(&sources, known));
    pages.insert(format!("{FOLDER}/README.md"), overview(index));
    Ok((pages, problems))
}

/// The cause on a page written by hand, if it is the page of this code and complete.
fn cause_by_hand(code: &str, page: &str) -> Option<String> {
    let paragraph = |begins: &str| {
        let text = page.split("\n\n").find_map(|p| p.trim().strip_prefix(begins))?.trim();
        (!text.is_empty()).then(|| text.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let title = page.lines().next()? == format!("# {code}");
    paragraph("**Remedy.**").filter(|_| title)?;
    paragraph("**Cause.**")
}

fn overview(index: Vec<Vec<String>>) -> String {
    format!(
        "{NOTICE}\n\n# Errors\n\n\
         Every error that a person sees has a code, a cause and a remedy. Numbers are the onchain program's, in bands: \
         1000 network and registry, 2000 device, 3000 link, 4000 health, 5000 pools, 6000 accounts and arithmetic. \
         Words are everybody else's. A code is never given another meaning.\n\n{}",
        table(&["Code", "Name", "Cause"], index)
    )
}

fn of_program(error: ErrorCode, raised: &[String]) -> String {
    let code = error.code();
    let mut page = format!(
        "{NOTICE}\n\n# CW-{code} {}\n\n**Cause.** {}\n\n**Remedy.** {}\n\n## Where it comes from\n\n\
         The onchain program, band {}.\n",
        error.name(),
        error.cause(),
        error.remedy(),
        band(code)
    );
    let transitions = refused_transitions(error);
    if !transitions.is_empty() {
        page.push_str(
            "\nIt refuses these transitions while their condition does not hold ([states](../states.md)):\n\n",
        );
        page.push_str(&table(&["Subject", "Event", "From", "Condition"], transitions));
    }
    if !raised.is_empty() {
        page.push_str(&format!("\nRaised in:\n\n{}\n", list(raised)));
    }
    page.push_str(&format!(
        "\n## Example\n\nIn the result of a failed transaction, here of its first instruction:\n\n```json\n\
         {{\"InstructionError\":[0,{{\"Custom\":{code}}}]}}\n```\n\nIn its log:\n\n```\n\
         Program failed: custom program error: 0x{code:x}\n```\n"
    ));
    page
}

fn of_offchain(code: &str, entry: &Declared, used: &[String]) -> String {
    format!(
        "{NOTICE}\n\n# {code}\n\n**Cause.** {}\n\n**Remedy.** {}\n\n## Where it comes from\n\n\
         Declared in [`{path}`](../../{path}).{}\n",
        entry.cause,
        entry.remedy,
        if used.is_empty() { String::new() } else { format!(" Raised in:\n\n{}\n", list(used)) },
        path = entry.path
    )
}

fn list(paths: &[String]) -> String {
    paths.iter().map(|path| format!("- [`{path}`](../../{path})")).collect::<Vec<_>>().join("\n")
}

const fn band(code: u32) -> &'static str {
    match code / 1_000 {
        1 => "network and registry",
        2 => "device",
        3 => "link",
        4 => "health",
        5 => "pools",
        _ => "accounts and arithmetic",
    }
}

/// Transitions that have a condition which is this error when it does not hold.
fn refused_transitions(error: ErrorCode) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for from in std::iter::once(None).chain(DeviceStatus::ALL.iter().copied().map(Some)) {
        for event in device::Event::ALL {
            for rule in device::rules(from, event) {
                let words = unmet(rule, error, device::Condition::error, device::Condition::words);
                let to = outcome(rule.then, DeviceStatus::name);
                rows.extend(words.map(|w| cells("device", event.name(), from.map(DeviceStatus::name), to, w)));
            }
        }
    }
    for from in std::iter::once(None).chain(LinkStatus::ALL.iter().copied().map(Some)) {
        for event in link::Event::ALL {
            for rule in link::rules(from, event) {
                let words = unmet(rule, error, link::Condition::error, link::Condition::words);
                let to = outcome(rule.then, LinkStatus::name);
                rows.extend(words.map(|w| cells("link", event.name(), from.map(LinkStatus::name), to, w)));
            }
        }
    }
    rows
}

fn unmet<S, C: AnyCondition>(
    rule: &'static Rule<S, C>,
    error: ErrorCode,
    error_of: fn(C) -> ErrorCode,
    words: fn(C) -> &'static str,
) -> impl Iterator<Item = &'static str> {
    let conditions = rule.chosen_by.iter().chain(rule.when.iter());
    conditions.filter(move |condition| error_of(*condition) == error).map(words)
}

fn outcome<S>(outcome: Outcome<S>, name: fn(S) -> &'static str) -> &'static str {
    match outcome {
        Outcome::To(status) => name(status),
        Outcome::Closed => "closed",
    }
}

fn cells(subject: &str, event: &str, from: Option<&str>, to: &str, words: &str) -> Vec<String> {
    vec![subject.into(), event.into(), format!("{} → {to}", from.unwrap_or("(none)")), words.into()]
}

/// Sources of the program and its vocabulary that name an error, other than where it is defined.
fn raised(error: ErrorCode, sources: &[Source]) -> Vec<String> {
    let word = format!("ErrorCode::{}", error.name());
    let of_program = |s: &&Source| s.path.starts_with("programs/") && !s.path.ends_with("/src/error.rs");
    sources.iter().filter(of_program).filter(|s| sources::names(&s.text, &word)).map(|s| s.path.clone()).collect()
}

/// Sources that name a code, or the constant that holds it, other than where it is declared.
fn used(code: &str, entry: &Declared, sources: &[Source]) -> Vec<String> {
    let mut words = vec![format!("\"{code}\"")];
    words.extend(entry.constant.iter().map(|name| format!("explain::{name}")));
    let uses = |s: &&Source| s.path != entry.path && words.iter().any(|word| sources::names(&s.text, word));
    sources.iter().filter(uses).map(|s| s.path.clone()).collect()
}

/// Every off-chain code that a source names, with its declaration where it has one.
fn offchain(sources: &[Source]) -> Result<BTreeMap<String, Option<Declared>>> {
    let mut codes: BTreeMap<String, Option<Declared>> = BTreeMap::new();
    for source in sources {
        for found in sources::codes(source) {
            let known = codes.entry(found.code.clone()).or_default();
            match (known.as_ref(), found.declared) {
                (_, None) => {}
                (None, declared) => *known = declared,
                (Some(other), Some(_)) => {
                    bail!("{} is declared twice, in {} and {}", found.code, other.path, source.path)
                }
            }
        }
    }
    Ok(codes)
}

fn kebab(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_kebab_case() {
        assert_eq!(kebab("DzPrefixInvalid"), "dz-prefix-invalid");
    }

    #[test]
    fn a_condition_of_a_transition_is_on_the_page_of_its_error() {
        let rows = refused_transitions(ErrorCode::DeviceShapeBroken);
        assert_eq!(rows, [["device", "advance", "link-provisioning → activated", "the device type's shape holds"]]);
    }

    #[test]
    fn a_code_declared_twice_is_refused() {
        let source = |text: &str| Source { path: "x.rs".into(), text: text.into() };
        let entry = r#"A = "CW-A-B", "Cause.", "Remedy.";"#;
        assert!(offchain(&[source(entry), source(r#"f("CW-A-B")"#)]).unwrap()["CW-A-B"].is_some());
        assert!(offchain(&[source(r#"code("CW-A-B")"#)]).unwrap()["CW-A-B"].is_none());
        assert!(offchain(&[source(entry), source(entry)]).is_err());
    }

    #[test]
    fn a_page_by_hand_needs_its_title_a_cause_and_a_remedy() {
        let page = "# CW-A-B\n\n**Cause.** It\nbroke.\n\n**Remedy.** Mend it.\n";
        assert_eq!(cause_by_hand("CW-A-B", page).as_deref(), Some("It broke."));
        assert_eq!(cause_by_hand("CW-A-C", page), None);
        assert_eq!(cause_by_hand("CW-A-B", "# CW-A-B\n\n**Cause.** It broke.\n"), None);
        assert_eq!(cause_by_hand("CW-A-B", ""), None);
    }
}
