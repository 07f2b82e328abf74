//! docs/cost.md: the committed figures and what they mean. The text is a template; it states no figure of its own.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::markdown::{self, NOTICE};
use crate::cu::{
    self, Costs,
    view::{self, Table},
};

const TEMPLATE: &str = include_str!("cost.template.md");

/// What design.md asks for: the figure, and the most that it may be.
const TARGETS: [(&str, &str, u64); 8] = [
    ("program", "binary_bytes", 102_400),
    ("attest", "cu", 900),
    ("attest", "per_further_subject", 250),
    ("advance", "cu", 2_500),
    ("set-device-desired", "cu", 1_500),
    ("set-link-desired", "cu", 1_500),
    ("create-device", "cu", 6_000),
    ("create-link", "cu", 6_000),
];

/// docs/cost.md.
///
/// # Errors
/// There is no committed table, or the template asks for a figure that is not in it.
pub fn page(root: &Path) -> Result<String> {
    Ok(format!("{NOTICE}\n\n{}", fill(TEMPLATE, &cu::committed_in(root)?)?))
}

/// The template with everything in braces replaced.
fn fill(template: &str, costs: &Costs) -> Result<String> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').context("a brace is not closed")?;
        text.push_str(before);
        text.push_str(&value(name, costs).with_context(|| format!("{{{name}}} of the page of costs"))?);
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

fn value(name: &str, costs: &Costs) -> Result<String> {
    if let Some((subject, figure)) = name.split_once(' ') {
        let total = || view::figure(costs, subject, "cu").with_context(|| format!("no {subject}"));
        return Ok(match figure {
            "floor" => total().map(|_| view::floor(costs, subject))?.to_string(),
            "ours" => total()?.saturating_sub(view::floor(costs, subject)).to_string(),
            "parts" => parts(costs, subject),
            figure => view::figure(costs, subject, figure).with_context(|| format!("no {figure}"))?.to_string(),
        });
    }
    Ok(match name {
        "targets" => targets(costs)?,
        "instructions" => table(view::instruction_table(costs)),
        "accounts" => table(view::account_table(costs)),
        "singles" => table(view::single_table(costs)),
        _ => bail!("there is no such thing"),
    })
}

/// The floor's parts, dearest first: `log 301, sysvars 125`.
fn parts(costs: &Costs, subject: &str) -> String {
    let mut parts: Vec<_> = view::parts(costs, subject).collect();
    parts.sort_by_key(|(_, cu)| core::cmp::Reverse(*cu));
    parts.iter().map(|(name, cu)| format!("{name} {cu}")).collect::<Vec<_>>().join(", ")
}

fn targets(costs: &Costs) -> Result<String> {
    let mut rows = Vec::new();
    for (subject, name, most) in TARGETS {
        let of = match name {
            "per_further_subject" => format!("{subject}, per further subject"),
            _ => subject.to_owned(),
        };
        let now = view::figure(costs, subject, name).with_context(|| format!("no {name} of {subject}"))?;
        let verdict = match (now <= most, view::figure(costs, subject, "dearest_cu")) {
            (true, Some(dearest)) if dearest > most => {
                format!(
                    "met where the first addresses fit; not by every code (the dearest tried: {dearest}), see below"
                )
            }
            (true, _) => "met".to_owned(),
            (false, _) => "not met".to_owned(),
        };
        rows.push(vec![of, most.to_string(), now.to_string(), verdict]);
    }
    Ok(markdown::table(&["instruction", "target, at most", "measured", ""], rows).trim_end().to_owned())
}

/// A table of figures; numbers are aligned on the right.
fn table(table: Table) -> String {
    let text = markdown::table(&table.head, table.rows);
    let mut lines: Vec<&str> = text.lines().collect();
    let rule = format!("| --- |{}", " ---: |".repeat(table.head.len().saturating_sub(1)));
    if let Some(line) = lines.get_mut(1) {
        *line = &rule;
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_that_is_not_measured_is_an_error() {
        let costs: Costs = serde_json::from_str(r#"{"attest":{"cu":900,"floor_log":300}}"#).unwrap();
        assert_eq!(fill("{attest cu} {attest ours} {attest parts}", &costs).unwrap(), "900 600 log 300");
        for gone in ["{attest lamports}", "{advance cu}", "{advance floor}", "{more}", "{attest cu"] {
            assert!(fill(gone, &costs).is_err(), "{gone}");
        }
    }
}
