//! Every `causeway ...` command that an error's remedy or the command line's own page names can be typed.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use causeway_cli::{apply::ApplyError, args::Cli, failure::CLI_CODES};
use causeway_interface::ErrorCode;
use causeway_sdk::{Explain, explain::SDK_CODES};
use clap::{Command, CommandFactory};

const PAGE: &str = include_str!("../../docs/cli.md");
/// Further pages that are typed from.
const PAGES: [&str; 2] = ["docs/controller.md", "docs/migration.md"];
const RUNBOOKS: &str = "docs/runbooks";

/// The commands between backticks, and those on indented lines.
fn commands(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    let indented = text.lines().filter_map(|line| line.strip_prefix("    "));
    quoted.chain(indented).filter(|c| c.starts_with("causeway ") && !c.starts_with("causeway <")).collect()
}

/// Why a command can't be typed: noun, verbs and the long names of its options are looked at, values are not.
fn problem(tree: &Command, command: &str) -> Option<String> {
    let line = command.split('|').next().unwrap_or_default();
    let mut words = line.split_whitespace().skip(1).peekable();
    let mut at = tree;
    while at.has_subcommands() {
        let Some(word) = words.next() else { return Some(format!("{} needs a verb", at.get_name())) };
        let Some(next) = at.find_subcommand(word) else { return Some(format!("{} has no {word}", at.get_name())) };
        at = next;
    }
    let known = |name: &str| {
        let of = |command: &Command| command.get_arguments().any(|a| a.get_long() == Some(name));
        of(at) || of(tree)
    };
    let unknown = words.filter_map(|word| word.strip_prefix("--")).find(|name| !known(name.trim_end_matches(']')));
    unknown.map(|name| format!("{} has no --{name}", at.get_name()))
}

#[test]
fn every_command_that_is_named_can_be_typed() {
    let mut texts: Vec<(String, String)> = vec![("docs/cli.md".into(), PAGE.into())];
    texts.extend(ErrorCode::ALL.iter().map(|e| (Explain::code(e), ErrorCode::remedy(*e).into())));
    let entries = SDK_CODES.iter().chain(CLI_CODES);
    texts.extend(entries.flat_map(|e| [e.cause, e.remedy].map(|text| (e.code.into(), text.into()))));
    let applying = [ApplyError::Conflicts(Vec::new()), ApplyError::KeysMissing(Vec::new())];
    texts.extend(applying.iter().map(|e| (e.code(), e.remedy())));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let runbooks = std::fs::read_dir(root.join(RUNBOOKS)).unwrap();
    let runbooks = runbooks.map(|page| format!("{RUNBOOKS}/{}", page.unwrap().file_name().to_string_lossy()));
    for page in PAGES.map(str::to_owned).into_iter().chain(runbooks) {
        texts.push((page.clone(), std::fs::read_to_string(root.join(&page)).unwrap()));
    }
    let tree = Cli::command();
    let (mut named, mut wrong) = (0, Vec::new());
    for (place, text) in &texts {
        for command in commands(text) {
            named += 1;
            wrong.extend(problem(&tree, command).map(|why| format!("{place}: `{command}`: {why}")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(named >= 20, "only {named} commands were found: the search is broken");
}

#[test]
fn what_can_not_be_typed_is_found() {
    let tree = Cli::command();
    for wrong in ["causeway health mend CODE", "causeway device", "causeway devcie list", "causeway apply --force"] {
        assert!(problem(&tree, wrong).is_some(), "{wrong}");
    }
    for right in ["causeway device interface add CODE --name eth1", "causeway history CODE --output json | jq"] {
        assert_eq!(problem(&tree, right), None, "{right}");
    }
    assert_eq!(
        commands("Use `causeway key new FILE`, or\n    causeway apply\n"),
        ["causeway key new FILE", "causeway apply"]
    );
}
