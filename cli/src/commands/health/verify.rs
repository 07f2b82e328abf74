//! `causeway health verify`: whether what oracles signed of a subject holds.

use std::{str::FromStr, time::Duration};

use causeway_health_oracle::Kind;
use causeway_interface::{Code, Key, quorum::oracle_index};
use causeway_sdk::{Executed, LedgerError, Snapshot, address::to_key};
use serde::Serialize;
use solana_sdk::signature::Signature;

use super::{clients, snapshot, subjects};
use crate::{
    args,
    commands::session::Session,
    failure::{self, Exit, Failure},
    oracles::{
        Subject,
        client::{Answer, AskError, Client, Status},
        short,
        verify::{self, Check, Fetched, Finding, OnLedger},
    },
    output::{Report, plain, wrapped},
};

/// Looks at one subject while a younger word lands: each lasts as long as a word takes from the ledger into the
/// oracle's own books.
const LOOKS: usize = 4;
/// Time between two of them.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What was found of one oracle's word on one subject.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Verified {
    subject: Kind,
    code: Code,
    address: Key,
    url: String,
    /// Its name and key, as far as it says.
    name: Option<String>,
    oracle: Option<Key>,
    /// The transaction that it says it signed with.
    transaction: Option<String>,
    /// Whether every check holds.
    holds: bool,
    checks: Vec<Check>,
}

/// What is read of the ledger while an oracle is looked at.
pub(super) trait Read {
    /// Everything that the program holds.
    async fn everything(&self) -> Result<Snapshot, LedgerError>;
    /// A transaction; none where the node does not have it.
    async fn executed(&self, signature: &Signature) -> Result<Option<Executed>, LedgerError>;
}

impl Read for causeway_sdk::Ledger {
    async fn everything(&self) -> Result<Snapshot, LedgerError> {
        self.snapshot().await
    }

    async fn executed(&self, signature: &Signature) -> Result<Option<Executed>, LedgerError> {
        self.transaction(signature).await
    }
}

/// Checks every oracle that was named.
pub async fn run(session: &Session, ask: &args::Ask) -> Result<Report, Failure> {
    let clients = clients(ask)?;
    if clients.is_empty() {
        return Err(Failure::new(failure::ORACLE_MISSING, Exit::Usage, "No oracle's address was given."));
    }
    let found = subjects(&snapshot(session).await?, ask)?;
    let mut verified = Vec::new();
    for subject in found {
        for (url, client) in &clients {
            verified.push(one(&session.ledger, url, client, subject, LOOK_EVERY).await?);
        }
    }
    let report = Report::new(verified.iter().map(text).collect::<Vec<_>>().join("\n\n"), &verified)?;
    match verdict(&verified) {
        None => Ok(report),
        Some(failure) => Err(failure.with_report(report)),
    }
}

/// How the command ends; none where everything holds.
fn verdict(verified: &[Verified]) -> Option<Failure> {
    let count = |wanted: fn(&Finding) -> bool| {
        verified.iter().flat_map(|v| &v.checks).filter(|check| wanted(&check.finding)).count()
    };
    let differs = count(|finding| matches!(finding, Finding::Differs(_)));
    let unchecked = count(|finding| matches!(finding, Finding::Unchecked(_)));
    match (differs, unchecked) {
        (0, 0) => None,
        (0, some) => {
            let cause = format!("{some} checks could not be made.");
            Some(Failure::new(failure::VERIFY_INCOMPLETE, Exit::Refused, cause))
        }
        (some, _) => {
            let cause = format!("{some} checks do not hold.");
            Some(Failure::new(failure::VERIFY_FAILED, Exit::Refused, cause))
        }
    }
}

/// One oracle's word on one subject. While the ledger holds another word than the oracle says it signed last, both are
/// read again: words are renewed all the time.
pub(super) async fn one(
    ledger: &impl Read,
    url: &str,
    client: &Client,
    subject: Subject,
    pause: Duration,
) -> Result<Verified, Failure> {
    let mut last = look(ledger, url, client, subject).await?;
    for _ in 1..LOOKS {
        if !last.1 {
            break;
        }
        tokio::time::sleep(pause).await;
        last = look(ledger, url, client, subject).await?;
    }
    Ok(last.0)
}

/// One look, and whether another may find something else.
async fn look(ledger: &impl Read, url: &str, client: &Client, subject: Subject) -> Result<(Verified, bool), Failure> {
    let mut verified = Verified {
        subject: subject.kind,
        code: subject.code,
        address: subject.key,
        url: url.to_owned(),
        name: None,
        oracle: None,
        transaction: None,
        holds: false,
        checks: Vec::new(),
    };
    let (status, answer) = match asked(client, subject).await {
        Ok(said) => said,
        Err(error) => {
            verified.checks.push(Check { what: "oracle", finding: Finding::Unchecked(error.to_string()) });
            return Ok((verified, false));
        }
    };
    verified.name = Some(status.name.clone());
    verified.oracle = Some(status.oracle);
    let Some(attested) = answer.and_then(|answer| answer.attested) else {
        let why = "it says that it has signed nothing of this subject".to_owned();
        verified.checks.push(Check { what: "oracle", finding: Finding::Unchecked(why) });
        return Ok((verified, false));
    };
    verified.transaction = Some(attested.transaction.clone());
    let document = match client.document(&attested.evidence_sha256).await {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err("the oracle does not keep the document".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    let transaction = transaction(ledger, &attested.transaction).await;
    // After the rest, so that what the ledger holds is no older than what the oracle says.
    let snapshot = ledger.everything().await?;
    let Some(network) = &snapshot.network else {
        return Err(Failure::not_found("network on the ledger"));
    };
    let place = oracle_index(&network.oracles, network.oracle_count, &status.oracle);
    let entries = snapshot.attestations.get(&subject.key).map(|said| said.entries.as_slice()).unwrap_or_default();
    let entry = place.and_then(|place| entries.get(place)).filter(|entry| entry.slot != 0);
    let program = snapshot.program_id;
    let addresses = causeway_sdk::address::Addresses::new(causeway_sdk::address::to_pubkey(&program));
    let on_ledger = OnLedger {
        program,
        network,
        subject,
        attestations: to_key(&addresses.attestations(&subject.key)),
        entry,
        slot: snapshot.slot,
    };
    let known = match place {
        Some(_) if status.program != program => {
            Finding::Differs(format!("it judges for the program {}", status.program))
        }
        Some(_) => Finding::Ok,
        None => Finding::Differs(format!("its key {} is not of the oracle set", status.oracle)),
    };
    verified.checks.push(Check { what: "oracle", finding: known });
    let fetched = Fetched {
        oracle: status.oracle,
        attested: &attested,
        document: document.as_deref().map_err(String::as_str),
        transaction: transaction.as_ref().map_err(String::as_str),
    };
    verified.checks.extend(verify::checks(&on_ledger, &fetched));
    verified.holds = verified.checks.iter().all(|check| check.finding == Finding::Ok);
    let renewed = entry.is_some_and(|entry| entry.evidence_root != attested.evidence_root);
    Ok((verified, renewed))
}

async fn asked(client: &Client, subject: Subject) -> Result<(Status, Option<Answer>), AskError> {
    let status = client.status().await?;
    Ok((status, client.verdict(subject.kind, &subject.code).await?))
}

/// The transaction, or in words why it is not there.
async fn transaction(ledger: &impl Read, signature: &str) -> Result<Executed, String> {
    let signature = Signature::from_str(signature).map_err(|_| "what the oracle names is no signature".to_owned())?;
    match ledger.executed(&signature).await {
        Ok(Some(executed)) => Ok(executed),
        Ok(None) => Err("the node does not have the transaction: nodes forget old ones".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn text(verified: &Verified) -> String {
    let name = verified.name.as_deref().map_or_else(|| "?".to_owned(), plain);
    let key = verified.oracle.as_ref().map(short).unwrap_or_default();
    let head = format!("{} {}, {name} {key} at {}", verified.subject.name(), verified.code, verified.url);
    let row = |check: &Check| {
        let (result, why) = match &check.finding {
            Finding::Ok => ("ok", ""),
            Finding::Differs(why) => ("differs", why.as_str()),
            Finding::Unchecked(why) => ("can't be checked", why.as_str()),
        };
        vec![check.what.to_owned(), result.to_owned(), why.to_owned()]
    };
    let checks = wrapped(&["check", "result", "why"], verified.checks.iter().map(row));
    format!("{head}\n{checks}")
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
