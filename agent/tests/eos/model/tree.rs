//! A configuration as a switch holds it: statements and sections, shown in the switch's order whatever order they came
//! in, with defaults left out.

use std::collections::BTreeMap;

/// A section: statements by what makes them the same statement, and sections inside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    pub lines: BTreeMap<String, String>,
    pub sections: BTreeMap<String, Tree>,
}

impl Tree {
    /// As `show running-config` prints it.
    pub fn text(&self) -> String {
        let mut text = String::from("! Command: show running-config\n! device: model (ModelEapi)\n!\n");
        for line in self.lines.values() {
            text.push_str(&format!("{line}\n!\n"));
        }
        for (header, section) in &self.sections {
            section.print(header, 0, &mut text);
            text.push_str("!\n");
        }
        text.push_str("end\n");
        text
    }

    fn print(&self, header: &str, depth: usize, text: &mut String) {
        let indent = "   ".repeat(depth);
        text.push_str(&format!("{indent}{header}\n"));
        for line in self.lines.values() {
            text.push_str(&format!("{indent}   {line}\n"));
        }
        for (inner, section) in &self.sections {
            text.push_str(&format!("{indent}   !\n"));
            section.print(inner, depth + 1, text);
        }
    }

    pub fn at(&mut self, path: &[String]) -> &mut Tree {
        path.iter().fold(self, |tree, header| tree.sections.entry(header.clone()).or_default())
    }

    pub fn get(&self, path: &[&str]) -> Option<&Tree> {
        path.iter().try_fold(self, |tree, header| tree.sections.get(*header))
    }

    /// Whether a section has a statement that begins so.
    pub fn has(&self, start: &str) -> bool {
        self.lines.values().any(|line| line.starts_with(start))
    }
}
