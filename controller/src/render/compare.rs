//! Configuration text as a tree of sections, and the difference of two: intended and running as sets of lines per
//! section, so that order, comments and closing words don't count.
//!
//! It knows indentation and the words that end a section, and no more of any grammar. Commands that undo (`no ...`,
//! `default ...`) are not state: they are left out. It never fails; text that is no configuration gives a tree
//! that equals nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// Lines per section. The section of the top level has the empty path; a path is its headers, joined by ` / `.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigTree {
    sections: BTreeMap<String, BTreeSet<String>>,
}

/// What two configurations don't share. Lines are `section / line`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Intended, and not running.
    pub missing: BTreeSet<String>,
    /// In a managed section of what runs, and not intended.
    pub extra: BTreeSet<String>,
}

impl Difference {
    /// Whether what runs is what is intended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty()
    }
}

const ENDS: [&str; 5] = ["exit", "exit-address-family", "exit-vrf", "end", "exit-vrf-policy"];

impl ConfigTree {
    /// From text in which a deeper indent is a section of the line before it.
    #[must_use]
    pub fn from_indented(text: &str) -> Self {
        Self::from_indented_with(text, |line| Some(line))
    }

    /// The same, with each line first brought into one form: `same` says which, or that it says nothing.
    #[must_use]
    pub fn from_indented_with(text: &str, same: fn(&str) -> Option<&str>) -> Self {
        let mut tree = Self::default();
        // Open headers with their indents.
        let mut open: Vec<(usize, String)> = Vec::new();
        for line in text.lines() {
            let words = line.trim();
            if words.is_empty() || words.starts_with('!') || ENDS.contains(&words) {
                continue;
            }
            let indent = line.len() - line.trim_start().len();
            while open.last().is_some_and(|(outer, _)| *outer >= indent) {
                open.pop();
            }
            let Some(words) = same(words) else { continue };
            if words.starts_with("no ") || words.starts_with("default ") {
                continue;
            }
            let path = open.iter().map(|(_, header)| header.as_str()).collect::<Vec<_>>().join(" / ");
            tree.sections.entry(path).or_default().insert(words.to_string());
            open.push((indent, words.to_string()));
        }
        tree
    }

    /// The lines of a section.
    #[must_use]
    pub fn section(&self, path: &str) -> Option<&BTreeSet<String>> {
        self.sections.get(path)
    }

    /// Against what runs. Beyond the intended, only lines count of which `is_managed` says so, given the headers that each
    /// stands under, itself the last, joined by ` / `.
    #[must_use]
    pub fn difference(&self, running: &ConfigTree, is_managed: fn(&str) -> bool) -> Difference {
        let is_managed = |path: &str, line: &str| {
            if path.is_empty() { is_managed(line) } else { is_managed(&format!("{path} / {line}")) }
        };
        Difference { missing: self.beyond(running).collect(), extra: running.beyond_where(self, is_managed).collect() }
    }

    fn beyond<'a>(&'a self, other: &'a ConfigTree) -> impl Iterator<Item = String> + 'a {
        self.beyond_where(other, |_, _| true)
    }

    fn beyond_where<'a>(
        &'a self,
        other: &'a ConfigTree,
        counts: impl Fn(&str, &str) -> bool + 'a,
    ) -> impl Iterator<Item = String> + 'a {
        self.sections
            .iter()
            .flat_map(|(path, lines)| lines.iter().map(move |line| (path, line)))
            .filter(move |(path, line)| counts(path, line))
            .filter(|(path, line)| !other.section(path).is_some_and(|lines| lines.contains(*line)))
            .map(|(path, line)| if path.is_empty() { line.clone() } else { format!("{path} / {line}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_managed(path: &str) -> bool {
        path.starts_with("interface ") || path.starts_with("router bgp ")
    }

    fn difference(intended: &str, running: &str) -> Difference {
        ConfigTree::from_indented(intended).difference(&ConfigTree::from_indented(running), is_managed)
    }

    #[test]
    fn order_comments_and_closing_words_do_not_count() {
        let a = "hostname x\n!\ninterface a\n mtu 9\n ip address 1.1.1.1/31\nexit\n!\nend\n";
        let b = "interface a\n ip address 1.1.1.1/31\n mtu 9\n!\nhostname x\n";
        assert!(difference(a, b).is_empty());
    }

    #[test]
    fn a_line_in_another_section_is_missing_and_extra() {
        let intended = "router bgp 1\n address-family ipv4 unicast\n  neighbor 1.1.1.1 activate\n";
        let running = "router bgp 1\n neighbor 1.1.1.1 activate\n address-family ipv4 unicast\n";
        let found = difference(intended, running);
        assert_eq!(
            Vec::from_iter(found.missing),
            ["router bgp 1 / address-family ipv4 unicast / neighbor 1.1.1.1 activate"]
        );
        assert_eq!(Vec::from_iter(found.extra), ["router bgp 1 / neighbor 1.1.1.1 activate"]);
    }

    #[test]
    fn what_the_operator_owns_is_not_extra_and_an_empty_router_lacks_everything() {
        let found = difference("interface a\n mtu 9\n", "ntp server 1.1.1.1\n");
        assert_eq!(Vec::from_iter(found.missing), ["interface a", "interface a / mtu 9"]);
        assert!(found.extra.is_empty());
    }

    #[test]
    fn a_stale_interface_is_extra() {
        let found = difference("interface a\n", "interface a\ninterface b\n mtu 9\n");
        assert_eq!(Vec::from_iter(found.extra), ["interface b", "interface b / mtu 9"]);
    }
}
