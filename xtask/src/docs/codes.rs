//! Short names of what can go wrong, and whether each has the page of its full code.
//!
//! - An agent's report has names like `ADJACENCY_LOST`; the page is that of `CW-AGENT-ADJACENCY-LOST`.
//! - Records that can't be used, texts that can't be made and calls that are refused have names like `loopback-taken`
//!   within the controller; the page is that of `CW-CONTROLLER-LOOPBACK-TAKEN`.

use std::collections::BTreeMap;

use super::sources::Source;

/// Files of the agent in which every literal of the form is a name.
const OF_REPORTS: [&str; 3] = ["agent/src/apply.rs", "agent/src/bundle.rs", "agent/src/core/"];
/// What makes a failure anywhere else in the agent.
const FAILURE: &str = "Failure::new(";
/// What tells a short name of the controller.
const CODE: &str = "fn code(";
/// File of the controller in which every literal of the form is a name, and the one that is none: the metadata's.
const REFUSALS: (&str, &str) = ("controller/src/grpc.rs", "causeway-code");

/// What lacks a page: name, place and the code that it would have. `known` says of a code whether it has one.
pub fn unexplained(sources: &[Source], known: impl Fn(&str) -> bool) -> Vec<String> {
    let lacking = names(sources).into_iter().filter(|((_, code), _)| !known(code));
    lacking.map(|((name, code), path)| format!("{path} says {name}, and {code} is declared nowhere")).collect()
}

/// Every short name with its full code, and a file that says it.
fn names(sources: &[Source]) -> BTreeMap<(String, String), String> {
    let mut names = BTreeMap::new();
    for source in sources {
        let path = source.path.as_str();
        let (agent, controller) = (path.starts_with("agent/src/"), path.starts_with("controller/src/"));
        let mut found = Vec::new();
        if OF_REPORTS.iter().any(|of| path.starts_with(of)) {
            found.extend(literals(&source.text));
        } else if agent {
            found.extend(source.text.split(FAILURE).skip(1).filter_map(|after| literals(first_argument(after)).next()));
        }
        found.retain(|name| is_name(name, '_', |c| c.is_ascii_uppercase()));
        if controller {
            let bodies =
                source.text.split(CODE).skip(1).map(|after| after.split("\n    }\n").next().unwrap_or_default());
            found.extend(bodies.flat_map(literals));
        }
        if path == REFUSALS.0 {
            found.extend(literals(&source.text).filter(|name| *name != REFUSALS.1));
        }
        found.retain(|name| agent || is_name(name, '-', |c| c.is_ascii_lowercase()));
        let prefix = if agent { "CW-AGENT-" } else { "CW-CONTROLLER-" };
        for name in found {
            let code = format!("{prefix}{}", name.to_uppercase().replace('_', "-"));
            names.entry((name.to_owned(), code)).or_insert_with(|| path.to_owned());
        }
    }
    names
}

/// Words of such letters, at least two of them.
fn is_name(text: &str, between: char, letter: impl Fn(char) -> bool) -> bool {
    let words: Vec<&str> = text.split(between).collect();
    words.len() > 1 && words.iter().all(|word| !word.is_empty() && word.chars().all(&letter))
}

/// What is between quotes. Good enough for names: a text with quotes in it is none.
fn literals(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('"').skip(1).step_by(2))
}

fn first_argument(after: &str) -> &str {
    after.trim_start().split(',').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.into(), text: text.into() }
    }

    #[test]
    fn short_names_are_found_where_they_are_said() {
        let sources = [
            source("agent/src/apply.rs", "Failure::new(\"A_B\", x)\n (\"C_D\", \"route\") \"not one\" \"ALONE\""),
            source("agent/src/frr/run.rs", "\"LOWER_UP\" Failure::new(\n    \"E_F\", x)"),
            source(
                "controller/src/plan.rs",
                "\"g-h\" pub fn code(&self) { match self {\n A => \"i-j\",\n    }\n \"k-l\"",
            ),
            source("controller/src/grpc.rs", "coded(x, \"m-n\") \"causeway-code\" \"Bearer \""),
        ];
        let found: Vec<String> = names(&sources).into_keys().map(|(_, code)| code).collect();
        let expected = ["A-B", "C-D", "E-F"].map(|name| format!("CW-AGENT-{name}"));
        let more = ["I-J", "M-N"].map(|name| format!("CW-CONTROLLER-{name}"));
        assert_eq!(found, [&expected[..], &more[..]].concat());
        assert_eq!(unexplained(&sources, |code| code != "CW-AGENT-C-D").len(), 1);
    }
}
