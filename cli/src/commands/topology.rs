//! `causeway topology`.

use super::session::{Session, warn_undecodable};
use crate::{args::Topology, failure::Failure, output::Report};

/// Does one verb.
pub async fn run(session: &Session, verb: Topology) -> Result<Report, Failure> {
    match verb {
        Topology::Export => {
            let snapshot = session.ledger.snapshot().await?;
            warn_undecodable(&snapshot.undecodable);
            Ok(Report::text(snapshot.to_json()?))
        }
    }
}
