//! `causeway oracle`: what oracles recorded.

use crate::{args::OracleVerb, failure::Failure, output::Report};

/// Does one verb.
pub fn run(verb: OracleVerb) -> Result<Report, Failure> {
    match verb {
        OracleVerb::Backtest(_) => Ok(Report::text("")),
    }
}
