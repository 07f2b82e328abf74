//! `causeway health`: what the oracles say, why, and whether it holds.

mod explain;
mod get;
mod verify;

use causeway_health_oracle::Kind;
use causeway_sdk::Snapshot;

use super::session::{Session, warn_undecodable};
use crate::{
    args,
    failure::{self, Exit, Failure},
    oracles::{Subject, client::Client},
    output::Report,
};

/// Does one verb.
pub async fn run(session: &Session, verb: args::Health) -> Result<Report, Failure> {
    match verb {
        args::Health::Get { code } => get::run(session, code).await,
        args::Health::Explain(ask) => explain::run(session, &ask).await,
        args::Health::Verify(ask) => verify::run(session, &ask).await,
    }
}

/// The devices and links that are meant.
fn subjects(snapshot: &Snapshot, ask: &args::Ask) -> Result<Vec<Subject>, Failure> {
    let devices = snapshot.devices.iter().map(|(key, device)| (Kind::Device, device.code, *key));
    let links = snapshot.links.iter().map(|(key, link)| (Kind::Link, link.code, *key));
    let meant = devices.chain(links).filter(|(kind, code, _)| *code == ask.code && ask.means(*kind));
    let subjects: Vec<_> = meant.map(|(kind, code, key)| Subject { kind, code, key }).collect();
    if subjects.is_empty() {
        let what = ask.kind.map_or("device or link", |kind| Kind::from(kind).name());
        return Err(Failure::not_found(format_args!("{what} {}", ask.code)));
    }
    Ok(subjects)
}

/// Everything on the ledger, with a word about what can't be read.
async fn snapshot(session: &Session) -> Result<Snapshot, Failure> {
    let snapshot = session.ledger.snapshot().await?;
    warn_undecodable(&snapshot.undecodable);
    Ok(snapshot)
}

/// Clients for the addresses that were given.
fn clients(ask: &args::Ask) -> Result<Vec<(String, Client)>, Failure> {
    let urls = ask.oracles.iter().map(|url| url.trim()).filter(|url| !url.is_empty());
    let client = |url: &str| {
        let client = Client::new(url)
            .map_err(|error| Failure::new(failure::NO_SUCH_VALUE, Exit::Usage, format!("--oracle {url}: {error}.")))?;
        Ok((url.to_owned(), client))
    };
    urls.map(client).collect()
}
