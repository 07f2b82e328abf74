//! Why something is not in service, by the oracles' own words.

use std::collections::BTreeSet;

use causeway_health_oracle::{Kind as OracleKind, criteria::Outcome};
use causeway_interface::Code;

use crate::{backbone::Backbone, board::Kind};

/// What keeps the first few subjects that are not in service, by the first oracle that says something.
#[must_use]
pub fn waiting_for(backbone: &Backbone) -> String {
    let board = backbone.board();
    let waiting: Vec<_> = board.rows.iter().filter(|(_, row)| !row.activated).take(5).collect();
    let mut lines = Vec::new();
    for ((kind, code), row) in waiting {
        let failing = why(backbone, *kind, *code);
        lines.push(format!("{} {code} is {} ({}): {failing}", kind.name(), row.status, row.health));
    }
    lines.join("; ")
}

/// One reason why a subject is not ready: something bad before something missing.
#[must_use]
pub fn why(backbone: &Backbone, kind: Kind, code: Code) -> String {
    let mut reasons =
        [Outcome::Failed, Outcome::NotObserved].into_iter().flat_map(|o| failing(backbone, kind, code, o));
    reasons.next().unwrap_or_else(|| "no verdict yet".into())
}

/// The criteria with this outcome at any oracle, in words, each once.
#[must_use]
pub fn failing(backbone: &Backbone, kind: Kind, code: Code, outcome: Outcome) -> BTreeSet<String> {
    let kind = match kind {
        Kind::Device => OracleKind::Device,
        Kind::Link => OracleKind::Link,
    };
    let verdicts = backbone.oracles.iter().filter_map(|o| {
        let published = o.published();
        published.subjects.get(&(kind, code)).map(|judged| judged.verdict.clone())
    });
    let words = |verdict: causeway_health_oracle::Verdict| -> Vec<String> {
        let failed = verdict.not_passed().filter(|c| c.passed == outcome);
        failed.map(|c| format!("{:?}: observed {}, required {}", c.id, c.observed, c.required)).collect()
    };
    verdicts.flat_map(words).collect()
}
