//! `causeway health get`: what the oracles say, and what is missing.

use causeway_health_oracle::Kind;
use causeway_interface::{
    AccountType, Code, DesiredStatus, DeviceHealth, Key, LinkHealth,
    lifecycle::{Outcome, Reason},
};
use causeway_sdk::{
    Snapshot,
    health::{OracleWord, SubjectHealth},
    predict::{self, PredictError},
};
use serde::Serialize;

use super::super::session::{Session, warn_undecodable};
use crate::{
    failure::{Exit, Failure},
    oracles::standing,
    output::{Report, pairs, table},
};

/// What is known of one subject.
#[derive(Debug, Serialize)]
struct Standing {
    subject: AccountType,
    code: Code,
    address: Key,
    status: &'static str,
    health: &'static str,
    desired: DesiredStatus,
    /// What `Advance` would make of it now; none where it would stay.
    next: Option<&'static str>,
    /// What is missing for the next step; none where there is no condition to name.
    missing: Option<&'static str>,
    quorum: u8,
    burn_in_slots: u64,
    burn_in_left_slots: Option<u64>,
    oracles: Vec<Word>,
}

/// One oracle's word, with names for people.
#[derive(Debug, Serialize)]
struct Word {
    verdict_name: Option<&'static str>,
    failed_criteria: Vec<String>,
    #[serde(flatten)]
    word: OracleWord,
}

/// Shows one or all.
pub async fn run(session: &Session, code: Option<Code>) -> Result<Report, Failure> {
    let snapshot = session.ledger.snapshot().await?;
    warn_undecodable(&snapshot.undecodable);
    let now = snapshot.slot;
    let wanted = |found: &Code| code.is_none_or(|code| code == *found);
    let mut all = Vec::new();
    for (key, found) in snapshot.devices.iter().filter(|(_, d)| wanted(&d.code)) {
        all.push(device(&snapshot, key, &found.code, now)?);
    }
    for (key, found) in snapshot.links.iter().filter(|(_, l)| wanted(&l.code)) {
        all.push(link(&snapshot, key, &found.code, now)?);
    }
    all.sort_by_key(|s| (s.subject, s.code));
    match code {
        Some(code) if all.is_empty() => Err(Failure::not_found(format_args!("device or link {code}"))),
        Some(_) => Report::new(all.iter().map(one).collect::<Vec<_>>().join("\n\n"), &all),
        None => Report::new(overview(&all), &all),
    }
}

pub(super) fn incomplete(error: PredictError) -> Failure {
    let cause = format!("The ledger was read incompletely: {error}.");
    Failure::new(causeway_sdk::explain::ACCOUNT_UNDECODABLE, Exit::Refused, cause)
}

fn device(snapshot: &Snapshot, key: &Key, code: &Code, now: u64) -> Result<Standing, Failure> {
    let prediction = predict::device(snapshot, key, now).map_err(incomplete)?;
    let header = snapshot.devices.get(key).map(|d| &d.header).ok_or_else(|| Failure::not_found(key))?;
    let (next, missing) = match prediction.transition {
        Ok(Outcome::To(status)) => (Some(status.name()), None),
        Ok(Outcome::Closed) => (Some("closed"), None),
        Err(refused) => (None, unmet(refused.reason, |c| c.words())),
    };
    let verdict = |byte: u8| DeviceHealth::from_byte(byte).map(DeviceHealth::name);
    Ok(Standing {
        subject: AccountType::Device,
        code: *code,
        address: *key,
        status: header.status.name(),
        health: header.health.name(),
        desired: header.desired,
        next,
        missing,
        quorum: prediction.detail.terms.quorum,
        burn_in_slots: prediction.detail.terms.burn_in,
        burn_in_left_slots: prediction.detail.burn_in_left_slots,
        oracles: words(prediction.detail, Kind::Device, verdict),
    })
}

fn link(snapshot: &Snapshot, key: &Key, code: &Code, now: u64) -> Result<Standing, Failure> {
    let prediction = predict::link(snapshot, key, now).map_err(incomplete)?;
    let header = snapshot.links.get(key).map(|l| &l.header).ok_or_else(|| Failure::not_found(key))?;
    let (next, missing) = match prediction.transition {
        Ok(Outcome::To(status)) => (Some(status.name()), None),
        Ok(Outcome::Closed) => (Some("closed"), None),
        Err(refused) => (None, unmet(refused.reason, |c| c.words())),
    };
    let verdict = |byte: u8| LinkHealth::from_byte(byte).map(LinkHealth::name);
    Ok(Standing {
        subject: AccountType::Link,
        code: *code,
        address: *key,
        status: header.status.name(),
        health: header.health.name(),
        desired: header.desired,
        next,
        missing,
        quorum: prediction.detail.terms.quorum,
        burn_in_slots: prediction.detail.terms.burn_in,
        burn_in_left_slots: prediction.detail.burn_in_left_slots,
        oracles: words(prediction.detail, Kind::Link, verdict),
    })
}

pub(super) fn unmet<C>(reason: Reason<C>, words: impl Fn(C) -> &'static str) -> Option<&'static str> {
    match reason {
        Reason::Unmet(condition) => Some(words(condition)),
        Reason::NoRule | Reason::NotAllowed => None,
    }
}

fn words(health: SubjectHealth, subject: Kind, name: impl Fn(u8) -> Option<&'static str>) -> Vec<Word> {
    let word = |word: OracleWord| Word {
        verdict_name: word.verdict.and_then(&name),
        failed_criteria: standing::criteria(subject, word.failed),
        word,
    };
    health.oracles.into_iter().map(word).collect()
}

fn burn_in(standing: &Standing) -> String {
    match standing.burn_in_left_slots {
        Some(0) => format!("over ({} slots)", standing.burn_in_slots),
        Some(left) => format!("{left} of {} slots left", standing.burn_in_slots),
        None if standing.quorum == 0 => "no oracle set is in force".into(),
        None => format!("not running: fewer than {} oracles attest what the next step needs", standing.quorum),
    }
}

fn next(standing: &Standing) -> String {
    match (standing.next, standing.missing) {
        (Some(next), _) => format!("{next}, as soon as anyone sends Advance"),
        (None, Some(missing)) => format!("waits for: {missing}"),
        (None, None) => "nothing by itself".into(),
    }
}

fn one(standing: &Standing) -> String {
    let head = pairs(&[
        (standing.subject.name(), standing.code.to_string()),
        ("status", standing.status.into()),
        ("health", standing.health.into()),
        ("desired", standing.desired.to_string()),
        ("next", next(standing)),
        ("burn-in", burn_in(standing)),
    ]);
    if standing.oracles.is_empty() {
        return head;
    }
    let slots = |slots: Option<u64>| slots.map_or_else(|| "-".into(), |s| format!("{s} slots"));
    let row = |w: &Word| {
        let verdict = w.verdict_name.unwrap_or("-");
        let streak = w.word.streak_slots.iter().rev().find_map(|s| *s);
        let failed = if w.failed_criteria.is_empty() { "-".into() } else { w.failed_criteria.join(" ") };
        vec![
            w.word.oracle.to_string(),
            if w.word.fresh || w.word.verdict.is_none() { verdict.into() } else { format!("{verdict} (stale)") },
            slots(w.word.age_slots),
            slots(streak),
            failed,
        ]
    };
    let oracles = table(&["oracle", "verdict", "age", "streak", "failed"], standing.oracles.iter().map(row));
    format!("{head}\n\n{oracles}")
}

fn overview(all: &[Standing]) -> String {
    let row = |s: &Standing| {
        let left = match s.burn_in_left_slots {
            Some(0) => "over".into(),
            Some(left) => format!("{left} left"),
            None => "-".into(),
        };
        let fresh = s.oracles.iter().filter(|w| w.word.fresh).count();
        vec![
            s.subject.to_string(),
            s.code.to_string(),
            s.status.into(),
            s.health.into(),
            s.desired.to_string(),
            format!("{fresh} of {}", s.oracles.len()),
            left,
            next(s),
        ]
    };
    table(&["what", "code", "status", "health", "desired", "oracles", "burn-in", "next"], all.iter().map(row))
}
