//! Configuration text as a tree: each line with the headers that it stands under, in the order in which it was said.
//!
//! It knows indentation and the words that close a section, and no more of the grammar. A section that says nothing
//! (an interface without a line) is the same as none.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::driver::DriverError;

/// A line and the headers above it, outermost first.
pub type Path = Vec<String>;

/// Longest text, in bytes: an iBGP mesh of 10 000 devices takes 4 MB.
const MAX_TEXT_BYTES: usize = 8 << 20;
/// Longest line, in bytes; FRR's own buffer for one.
const MAX_LINE_BYTES: usize = 1024;
/// Deepest section: `router bgp`, `address-family`, and room to spare.
const MAX_DEPTH: usize = 6;

/// Lines that close a section or stand around a text.
const CLOSING: &[&str] = &["exit", "exit-address-family", "exit-vrf", "exit-vni", "exit-ms", "end", "quit"];
/// First words of what is not configuration: they would act at once, or leave the configuration.
const ACTING: &[&str] =
    &["do", "write", "copy", "configure", "enable", "disable", "output", "terminal", "clear", "find", "list"];
/// Sections that exist without configuration; an empty one says nothing.
const BARE: &[&str] = &["interface ", "vrf ", "address-family "];
/// What `show running-config` says about itself.
const PREAMBLE: &[&str] = &["Building configuration", "Current configuration", "frr version ", "frr defaults "];

/// Lines by path, with the place at which each was first said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    lines: BTreeMap<Path, usize>,
}

impl Tree {
    /// From text that is about to be given to a device.
    ///
    /// # Errors
    /// [`DriverError::Refused`] for what could not be a configuration whatever FRR thinks of it: nothing at all, control
    /// characters, lines that act.
    pub fn of_text(text: &str) -> Result<Self, DriverError> {
        let refuse = |number: usize, why: &str| Err(DriverError::Refused(format!("line {number}: {why}")));
        if text.len() > MAX_TEXT_BYTES {
            return Err(DriverError::Refused(format!("it is longer than {MAX_TEXT_BYTES} bytes")));
        }
        for (index, line) in text.lines().enumerate() {
            if line.len() > MAX_LINE_BYTES {
                return refuse(index + 1, "longer than FRR reads");
            }
            if line.chars().any(char::is_control) {
                return refuse(index + 1, "a control character");
            }
            let first = line.split_whitespace().next().unwrap_or_default();
            if ACTING.contains(&first) || first.starts_with("XFRR") {
                return refuse(index + 1, &format!("{first:?} is no configuration"));
            }
        }
        let tree = Self::parse(text);
        if tree.lines.keys().any(|path| path.len() > MAX_DEPTH) {
            return Err(DriverError::Refused(format!("sections more than {MAX_DEPTH} deep")));
        }
        if tree.is_empty() {
            return Err(DriverError::Refused("the configuration is empty".to_owned()));
        }
        Ok(tree)
    }

    /// From `show running-config`, or any text. Never fails; text that is no configuration gives lines that FRR refuses.
    pub fn parse(text: &str) -> Self {
        Self::parse_all(std::iter::once(text))
    }

    /// From several texts, one after the other, each with a beginning and an end of its own. Where two say the same, it is said
    /// once, at its first place.
    pub fn parse_all<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut lines = BTreeMap::new();
        for text in texts {
            gather(text, &mut lines);
        }
        let mut tree = Self { lines };
        tree.prune();
        tree
    }

    /// A router's host name can't be read back from FRR, so it takes no part.
    fn prune(&mut self) {
        let inner: BTreeSet<Path> = self.lines.keys().filter_map(|path| parent(path)).collect();
        self.lines.retain(|path, _| {
            let line = path.last().map_or("", String::as_str);
            let bare = BARE.iter().any(|start| line.starts_with(start)) && !inner.contains(path);
            let is_hostname = path.len() == 1 && line.starts_with("hostname ");
            !(bare || is_hostname)
        });
    }

    /// Without a line.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Whether it says this line.
    pub fn contains(&self, path: &[String]) -> bool {
        self.lines.contains_key(path)
    }

    /// Its paths, sorted; headers before what they hold.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.lines.keys()
    }

    /// Its paths with their places in the text.
    pub fn placed(&self) -> impl Iterator<Item = (&Path, usize)> {
        self.lines.iter().map(|(path, place)| (path, *place))
    }

    /// The lines that `keep` keeps.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&Path) -> bool) -> Self {
        let mut tree = self.clone();
        tree.lines.retain(|path, _| keep(path));
        tree.prune();
        tree
    }

    /// Same lines, whatever their order.
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.lines.len() == other.lines.len() && self.lines.keys().eq(other.lines.keys())
    }

    /// Top-level interface names, as said.
    pub fn interfaces(&self) -> BTreeSet<&str> {
        self.lines.keys().filter_map(|path| path.first()?.strip_prefix("interface ")).collect()
    }

    /// The lines directly under a header.
    pub fn section<'a>(&'a self, header: &str) -> impl Iterator<Item = &'a str> {
        let from: Path = vec![header.to_owned()];
        let header = header.to_owned();
        self.lines
            .range(from..)
            .map(|(path, _)| path)
            .take_while(move |path| path.first() == Some(&header))
            .filter(|path| path.len() == 2)
            .filter_map(|path| path.last().map(String::as_str))
    }

    /// As text in one fixed order, for people, hashes and differences.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for path in self.lines.keys() {
            let Some(line) = path.last() else { continue };
            text.extend(std::iter::repeat_n(' ', path.len() - 1));
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

fn gather(text: &str, lines: &mut BTreeMap<Path, usize>) {
    let mut open: Vec<(usize, String)> = Vec::new();
    for line in text.lines() {
        let words = line.trim();
        let about = open.is_empty() && PREAMBLE.iter().any(|start| words.starts_with(start));
        if words.is_empty() || words.starts_with('!') || words.starts_with('#') || about {
            continue;
        }
        if CLOSING.contains(&words) {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        while open.last().is_some_and(|(outer, _)| *outer >= indent) {
            open.pop();
        }
        let mut path: Path = open.iter().map(|(_, header)| header.clone()).collect();
        let said = spelled(words);
        path.push(said.clone());
        open.push((indent, said));
        let place = lines.len();
        lines.entry(path).or_insert(place);
    }
}

impl FromIterator<Path> for Tree {
    fn from_iter<I: IntoIterator<Item = Path>>(paths: I) -> Self {
        let mut lines = BTreeMap::new();
        for path in paths {
            let place = lines.len();
            lines.entry(path).or_insert(place);
        }
        Self { lines }
    }
}

impl Serialize for Tree {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut placed: Vec<(usize, &Path)> = self.lines.iter().map(|(path, place)| (*place, path)).collect();
        placed.sort_unstable_by_key(|(place, _)| *place);
        serializer.collect_seq(placed.into_iter().map(|(_, path)| path))
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Path>::deserialize(deserializer)?.into_iter().collect())
    }
}

/// The header that a line stands under; none at the top.
pub fn parent(path: &[String]) -> Option<Path> {
    let (_, above) = path.split_last()?;
    (!above.is_empty()).then(|| above.to_vec())
}

/// One space between words. An interface's VRF is the kernel's, and is shown only where the kernel has that VRF.
fn spelled(words: &str) -> String {
    let words: Vec<&str> = words.split_whitespace().collect();
    match words.as_slice() {
        ["interface", name, "vrf", _] => format!("interface {name}"),
        _ => words.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(words: &[&str]) -> Path {
        words.iter().map(|w| (*w).to_owned()).collect()
    }

    #[test]
    fn order_comments_closing_words_and_empty_sections_do_not_count() {
        let a = "hostname x\n!\ninterface a\n mtu 9\n ip address 1.1.1.1/31\nexit\n!\ninterface b\nexit\nend\n";
        let b = "Building configuration...\n\nfrr version 8.4.4\nhostname y\ninterface a\n ip  address 1.1.1.1/31\n mtu 9\n";
        assert!(Tree::parse(a).says_the_same(&Tree::parse(b)));
        assert_eq!(Tree::parse(a).text(), "interface a\n ip address 1.1.1.1/31\n mtu 9\n");
    }

    #[test]
    fn a_line_belongs_to_the_headers_above_it() {
        let tree = Tree::parse(
            "router bgp 1\n neighbor a\n !\n address-family ipv4 unicast\n  neighbor a activate\n exit-address-family\n timers\nexit\nx\n",
        );
        assert!(tree.contains(&path(&["router bgp 1", "address-family ipv4 unicast", "neighbor a activate"])));
        assert!(tree.contains(&path(&["router bgp 1", "timers"])));
        assert!(tree.contains(&path(&["x"])));
        assert_eq!(tree.section("router bgp 1").count(), 3);
    }

    #[test]
    fn what_several_daemons_say_of_one_section_is_one_section() {
        let zebra = "frr version 8.4.4\n!\ninterface a\n description x\n ip address 1.1.1.1/31\nexit\n!\nend\n";
        let isisd = "\nCurrent configuration:\n!\nfrr version 8.4.4\nlog syslog\ninterface a\n description x\n isis metric 3\nexit\nrouter isis 1\n net x\n";
        let both = Tree::parse_all([zebra, isisd, isisd]);
        let expected =
            "interface a\n description x\n ip address 1.1.1.1/31\n isis metric 3\nlog syslog\nrouter isis 1\n net x\n";
        assert_eq!(both.text(), expected);
    }

    #[test]
    fn what_acts_or_is_no_text_is_refused() {
        for bad in [
            "",
            "\n!\nend\n",
            "hostname x\n",
            "interface a\n do write memory\n",
            "x\u{7}y\n",
            "a\tb\n",
            "write\n",
            " configure terminal",
        ] {
            assert!(matches!(Tree::of_text(bad), Err(DriverError::Refused(_))), "{bad:?}");
        }
        assert!(Tree::of_text(&format!("description {}\n", "x".repeat(2000))).is_err());
        assert!(Tree::of_text("interface a\n description x\n").is_ok());
    }

    #[test]
    fn a_tree_comes_back_from_json_in_its_order() {
        let tree = Tree::parse("z\ny\n b\n a\nx\n");
        let again: Tree = serde_json::from_str(&serde_json::to_string(&tree).unwrap()).unwrap();
        assert_eq!(again, tree);
    }
}
