//! The page of the state machines: a diagram and a table for each.

use std::collections::BTreeMap;

use super::markdown::{NOTICE, table};
use crate::states::{self, Row};

/// docs/states.md.
pub fn page() -> String {
    let mut page = format!(
        "{NOTICE}\n\n# States\n\n\
         Which event moves a device or a link from where to where, on which conditions, by whose hand. The program \
         obeys these tables and every reader predicts with them: both are the one function in \
         `programs/serviceability-interface/src/lifecycle`. `cargo xtask states --json` prints them for programs.\n\n\
         *Advance* may be sent by anyone: it recomputes health from the oracles' attestations and applies the one \
         transition that is allowed. Every other event is an instruction of its own.\n"
    );
    page.push_str(&machine("Device", &states::of_device()));
    page.push_str(&machine("Link", &states::of_link()));
    page
}

fn machine(title: &str, rows: &[Row]) -> String {
    let cells = rows.iter().map(|row| {
        vec![row.from.unwrap_or("(none)"), row.event, row.to, &row.when, &row.by]
            .into_iter()
            .map(str::to_owned)
            .collect()
    });
    format!(
        "\n## {title}\n\n```mermaid\n{}```\n\n{}",
        diagram(rows),
        table(&["From", "Event", "To", "When", "By"], cells)
    )
}

/// A Mermaid state diagram. Its identifiers hold no hyphens, so each status gets one beside its name.
fn diagram(rows: &[Row]) -> String {
    let mut text = String::from("stateDiagram-v2\n");
    let mut names: Vec<&str> = rows.iter().flat_map(|r| r.from.into_iter().chain([r.to])).collect();
    names.sort_unstable();
    names.dedup();
    for name in names.iter().filter(|n| n.contains('-')) {
        text.push_str(&format!("    state \"{name}\" as {}\n", id(name)));
    }
    // One arrow per pair, however many events take it.
    let mut arrows: BTreeMap<(usize, &str), (String, Vec<&str>)> = BTreeMap::new();
    for row in rows {
        let from = row.from.map_or_else(|| "[*]".to_owned(), id);
        let first = rows.iter().position(|r| r.from == row.from).unwrap_or_default();
        let (_, events) = arrows.entry((first, row.to)).or_insert_with(|| (from, Vec::new()));
        if !events.contains(&row.event) {
            events.push(row.event);
        }
    }
    for ((_, to), (from, events)) in arrows {
        let to = if to == "closed" { "[*]".to_owned() } else { id(to) };
        text.push_str(&format!("    {from} --> {to}: {}\n", events.join(" / ")));
    }
    text
}

fn id(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diagrams_show_every_transition_once() {
        for rows in [states::of_device(), states::of_link()] {
            let diagram = diagram(&rows);
            let mut pairs: Vec<_> = rows.iter().map(|r| (r.from, r.to)).collect();
            pairs.sort_unstable();
            pairs.dedup();
            assert_eq!(diagram.matches("-->").count(), pairs.len());
        }
    }
}
