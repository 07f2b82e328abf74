//! `causeway health explain`: why a subject is at its level, and when it can be at the next.

use std::time::{SystemTime, UNIX_EPOCH};

use causeway_health_oracle::{
    Kind,
    criteria::{Criterion, Outcome as Result_},
    time::{NOMINAL_SLOT_US, SlotClock},
};
use causeway_interface::{
    Code, DesiredStatus, Key,
    lifecycle::Outcome,
    quorum::{Terms, oracle_index},
};
use causeway_sdk::{Ledger, LedgerError, Snapshot, predict};
use serde::Serialize;

use super::{
    clients,
    get::{incomplete, unmet},
    snapshot, subjects,
};
use crate::{
    args,
    commands::session::Session,
    failure::Failure,
    oracles::{
        Subject,
        client::{Answer, AskError, Client, Status},
        short,
        standing::{self, Count, Counts, LevelStanding, Said},
    },
    output::{Report, pairs, plain, span, utc, wrapped},
};

/// Slots back to which the pace is measured: the ledger's times are in whole seconds, and this is minutes.
const PACE_SLOTS: u64 = 1_000;
/// Neighbouring slots whose time is asked for: a ledger skips some.
const PACE_LOOKS: u64 = 5;

/// How long a slot takes.
#[derive(Clone, Copy, Debug, Serialize)]
struct Pace {
    slot_us: u64,
    /// By the ledger's own times; the nominal pace if not.
    measured: bool,
}

impl Pace {
    fn seconds(self, slots: u64) -> u64 {
        slots.saturating_mul(self.slot_us) / 1_000_000
    }
}

/// A level with its figures in time.
#[derive(Debug, Serialize)]
struct Level {
    #[serde(flatten)]
    standing: LevelStanding,
    /// `left_slots` by the pace.
    left_seconds: Option<u64>,
    /// When `earliest_slot` will be, UTC.
    earliest: Option<String>,
}

/// An oracle's word on the ledger with its figures in time.
#[derive(Debug, Serialize)]
struct Word {
    #[serde(flatten)]
    said: Said,
    /// When it was given, UTC.
    at: Option<String>,
    /// When the attestation of its level began, UTC.
    since: Option<String>,
}

/// One criterion as one oracle sees it now.
#[derive(Debug, Serialize)]
struct Seen {
    id: Criterion,
    result: Result_,
    observed: String,
    required: String,
    detail: String,
    /// Since when it has had this result, UTC.
    since: Option<String>,
    /// It is known for that long only because the oracle has not judged for longer.
    since_or_longer: bool,
}

/// What an oracle answered.
#[derive(Debug, Serialize)]
struct Judged {
    level: &'static str,
    /// Since when it has found this level, UTC.
    since: Option<String>,
    judged_at: String,
    age_seconds: u64,
    criteria: Vec<Seen>,
}

/// One oracle of the set, or one that was asked though it is of none.
#[derive(Debug, Serialize)]
struct Oracle {
    oracle: Option<Key>,
    name: Option<String>,
    url: Option<String>,
    in_set: bool,
    /// Why there is no answer.
    problem: Option<String>,
    word: Option<Word>,
    judged: Option<Judged>,
}

/// Everything about one subject.
#[derive(Debug, Serialize)]
struct Explanation {
    subject: Kind,
    code: Code,
    address: Key,
    status: &'static str,
    health: &'static str,
    desired: DesiredStatus,
    /// What `Advance` would make of it now.
    next: Option<&'static str>,
    /// What is missing for the next step; none where there is no condition to name.
    missing: Option<&'static str>,
    slot: u64,
    pace: Pace,
    quorum: u8,
    epoch: u32,
    levels: Vec<Level>,
    oracles: Vec<Oracle>,
}

/// What was asked of one address.
struct Asked {
    url: String,
    said: std::result::Result<(Status, Option<Answer>), AskError>,
}

/// Explains every device and link of the code.
pub async fn run(session: &Session, ask: &args::Ask) -> std::result::Result<Report, Failure> {
    let clients = clients(ask)?;
    let snapshot = snapshot(session).await?;
    let pace = pace(&session.ledger, snapshot.slot).await?;
    let mut explained = Vec::new();
    for subject in subjects(&snapshot, ask)? {
        let mut answers = Vec::new();
        for (url, client) in &clients {
            answers.push(Asked { url: url.clone(), said: asked(client, subject).await });
        }
        explained.push(explain(&snapshot, subject, answers, pace, now_seconds())?);
    }
    Report::new(explained.iter().map(text).collect::<Vec<_>>().join("\n\n"), &explained)
}

async fn asked(client: &Client, subject: Subject) -> std::result::Result<(Status, Option<Answer>), AskError> {
    let status = client.status().await?;
    let answer = client.verdict(subject.kind, &subject.code).await?;
    Ok((status, answer))
}

fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The pace by the ledger's own times; nominal on a ledger that is too young or does not say.
async fn pace(ledger: &Ledger, slot: u64) -> std::result::Result<Pace, LedgerError> {
    let then = near(ledger, slot.saturating_sub(PACE_SLOTS).max(1)).await?;
    let now = near(ledger, slot.saturating_sub(PACE_LOOKS)).await?;
    Ok(pace_of(then, now))
}

/// A slot from this one on that the ledger has a time for, with that time in ms since 1970.
async fn near(ledger: &Ledger, slot: u64) -> std::result::Result<Option<(u64, u64)>, LedgerError> {
    for slot in slot..slot.saturating_add(PACE_LOOKS) {
        if let Some(seconds) = ledger.slot_time(slot).await? {
            return Ok(u64::try_from(seconds).ok().map(|seconds| (slot, seconds.saturating_mul(1_000))));
        }
    }
    Ok(None)
}

fn pace_of(then: Option<(u64, u64)>, now: Option<(u64, u64)>) -> Pace {
    let (Some(then), Some(now)) = (then, now) else { return Pace { slot_us: NOMINAL_SLOT_US, measured: false } };
    let unmeasured = SlotClock::new(then.0, then.1);
    let clock = unmeasured.observe(now.0, now.1);
    // A million slots, so that the microseconds of one are exact.
    let slot_us = clock.duration_ms(1_000_000) / 1_000;
    Pace { slot_us, measured: slot_us != NOMINAL_SLOT_US || now.0 > then.0.saturating_add(PACE_SLOTS / 2) }
}

/// What the program would do next, with everything that it counts.
struct Next {
    status: &'static str,
    health: &'static str,
    desired: DesiredStatus,
    rank: u8,
    in_service: bool,
    next: Option<&'static str>,
    missing: Option<&'static str>,
    terms: Terms,
}

fn next(snapshot: &Snapshot, subject: Subject) -> std::result::Result<Next, Failure> {
    let Subject { kind, key, .. } = subject;
    match kind {
        Kind::Device => {
            let device = snapshot.devices.get(&key).ok_or_else(|| Failure::not_found(key))?;
            let prediction = predict::device(snapshot, &key, snapshot.slot).map_err(incomplete)?;
            let (next, missing) = match prediction.transition {
                Ok(Outcome::To(status)) => (Some(status.name()), None),
                Ok(Outcome::Closed) => (Some("closed"), None),
                Err(refused) => (None, unmet(refused.reason, |c| c.words())),
            };
            Ok(Next {
                status: device.header.status.name(),
                health: device.header.health.name(),
                desired: device.header.desired,
                rank: device.header.health.rank(),
                in_service: device.header.status.is_in_service(device.suspended_from),
                next,
                missing,
                terms: prediction.detail.terms,
            })
        }
        Kind::Link => {
            let link = snapshot.links.get(&key).ok_or_else(|| Failure::not_found(key))?;
            let prediction = predict::link(snapshot, &key, snapshot.slot).map_err(incomplete)?;
            let (next, missing) = match prediction.transition {
                Ok(Outcome::To(status)) => (Some(status.name()), None),
                Ok(Outcome::Closed) => (Some("closed"), None),
                Err(refused) => (None, unmet(refused.reason, |c| c.words())),
            };
            Ok(Next {
                status: link.header.status.name(),
                health: link.header.health.name(),
                desired: link.header.desired,
                rank: link.header.health.rank(),
                in_service: link.header.status.is_in_service(link.suspended_from),
                next,
                missing,
                terms: prediction.detail.terms,
            })
        }
    }
}

fn explain(
    snapshot: &Snapshot,
    subject: Subject,
    answers: Vec<Asked>,
    pace: Pace,
    now: u64,
) -> std::result::Result<Explanation, Failure> {
    let network = snapshot.network.as_ref().ok_or_else(|| Failure::not_found("network on the ledger"))?;
    let found = next(snapshot, subject)?;
    let count = Count {
        kind: subject.kind,
        rank: found.rank,
        in_service: found.in_service,
        network,
        terms: &found.terms,
        said: snapshot.attestations.get(&subject.key),
    };
    let when = |slot: u64| match slot.checked_sub(snapshot.slot) {
        Some(ahead) => time(now.saturating_add(pace.seconds(ahead))),
        None => time(now.saturating_sub(pace.seconds(snapshot.slot.saturating_sub(slot)))),
    };
    let level = |standing: LevelStanding| Level {
        left_seconds: standing.left_slots.map(|slots| pace.seconds(slots)),
        earliest: standing.earliest_slot.map(when),
        standing,
    };
    let levels = standing::standings(&count).into_iter().map(level).collect();
    let word =
        |said: Said| Word { at: (said.slot != 0).then(|| when(said.slot)), since: said.since_slot.map(when), said };
    let mut oracles: Vec<Oracle> = standing::said(&count)
        .into_iter()
        .map(|said| Oracle {
            oracle: Some(said.oracle),
            name: None,
            url: None,
            in_set: true,
            problem: Some("its address was not given".to_owned()),
            word: Some(word(said)),
            judged: None,
        })
        .collect();
    for asked in answers {
        place(&mut oracles, network, asked, snapshot, now);
    }
    let Next { status, health, desired, next, missing, terms, .. } = found;
    Ok(Explanation {
        subject: subject.kind,
        code: subject.code,
        address: subject.key,
        status,
        health,
        desired,
        next,
        missing,
        slot: snapshot.slot,
        pace,
        quorum: terms.quorum,
        epoch: terms.epoch,
        levels,
        oracles,
    })
}

/// Puts an answer beside its oracle's word; what is of no oracle of the set gets a row of its own.
fn place(
    oracles: &mut Vec<Oracle>,
    network: &causeway_interface::accounts::Network,
    asked: Asked,
    snapshot: &Snapshot,
    now: u64,
) {
    let stranger = |key: Option<Key>, name: Option<String>, problem: String| Oracle {
        oracle: key,
        name,
        url: Some(asked.url.clone()),
        in_set: false,
        problem: Some(problem),
        word: None,
        judged: None,
    };
    let (status, answer) = match asked.said {
        Ok(said) => said,
        Err(error) => return oracles.push(stranger(None, None, error.to_string())),
    };
    let index = oracle_index(&network.oracles, network.oracle_count, &status.oracle);
    let Some(oracle) = index.and_then(|index| oracles.get_mut(index)) else {
        let problem = format!("its key {} is not of the oracle set", status.oracle);
        return oracles.push(stranger(Some(status.oracle), Some(status.name), problem));
    };
    oracle.name = Some(status.name);
    oracle.url = Some(asked.url);
    oracle.problem = match &answer {
        _ if status.program != snapshot.program_id => Some(format!("it judges for the program {}", status.program)),
        None => Some("it does not judge this subject".to_owned()),
        Some(_) if !status.ready => Some("its last rounds were not complete: what it found is old".to_owned()),
        Some(_) => None,
    };
    oracle.judged = answer.map(|answer| judged(answer, now));
}

fn judged(answer: Answer, now: u64) -> Judged {
    let at = answer.judged_at_ms / 1_000;
    let since = answer.since;
    let of = |id: Criterion| since.as_ref()?.criteria.iter().find(|(found, _)| *found == id).map(|(_, ms)| *ms);
    let from_start = |ms: u64| since.as_ref().is_some_and(|s| ms <= s.first_ms);
    Judged {
        level: answer.verdict.level.name(),
        since: since.as_ref().map(|s| time(s.level_ms / 1_000)),
        judged_at: time(at),
        age_seconds: now.saturating_sub(at),
        criteria: answer
            .verdict
            .criteria
            .iter()
            .map(|c| Seen {
                id: c.id,
                result: c.passed,
                observed: c.observed.clone(),
                required: c.required.to_string(),
                detail: c.detail.to_string(),
                since: of(c.id).map(|ms| time(ms / 1_000)),
                since_or_longer: of(c.id).is_some_and(from_start),
            })
            .collect(),
    }
}

fn time(seconds: u64) -> String {
    utc(i64::try_from(seconds).unwrap_or(i64::MAX)).replacen(' ', "T", 1)
}

/// The time of day, where the day is today's or nearly.
fn clock(time: &str) -> String {
    time.get(11..).unwrap_or(time).to_owned()
}

fn text(explained: &Explanation) -> String {
    let pace = explained.pace;
    let measured = if pace.measured { "measured" } else { "nominal" };
    let waits = match (explained.next, explained.missing) {
        (Some(next), _) => format!("{next}, as soon as anyone sends Advance"),
        (None, Some(missing)) => format!("waits for: {missing}"),
        (None, None) => "nothing by itself".to_owned(),
    };
    let mut parts = vec![pairs(&[
        (explained.subject.name(), explained.code.to_string()),
        ("status", explained.status.to_owned()),
        ("health", explained.health.to_owned()),
        ("desired", explained.desired.to_string()),
        ("next", waits),
        ("quorum", format!("{} of {}, epoch {}", explained.quorum, in_set(explained), explained.epoch)),
        (
            "slot",
            format!("{}, {}.{:03} ms each ({measured})", explained.slot, pace.slot_us / 1_000, pace.slot_us % 1_000),
        ),
    ])];
    let headings = ["level", "holds", "attested", "burned in", "left", "earliest"];
    parts.push(wrapped(&headings, explained.levels.iter().map(|level| level_row(level, explained.quorum))));
    parts.extend(blocked(&explained.levels));
    let headings = ["oracle", "attests", "counts", "since", "not passed"];
    parts.push(wrapped(&headings, explained.oracles.iter().filter_map(|o| Some(word_row(o, o.word.as_ref()?, pace)))));
    parts.extend(explained.oracles.iter().map(oracle_text));
    parts.join("\n\n")
}

fn in_set(explained: &Explanation) -> usize {
    explained.oracles.iter().filter(|oracle| oracle.in_set).count()
}

fn level_row(level: &Level, quorum: u8) -> Vec<String> {
    let Level { standing, left_seconds, earliest } = level;
    let left = match (standing.left_slots, left_seconds) {
        (Some(0), _) if standing.burned_in >= quorum => "over".to_owned(),
        (Some(0), _) => "with the next words".to_owned(),
        (Some(slots), seconds) => {
            format!("{slots} of {} slots, {}", standing.burn_in_slots, span(seconds.unwrap_or(0)))
        }
        (None, _) => format!("{} slots, not begun", standing.burn_in_slots),
    };
    let earliest = match (standing.earliest_slot, earliest) {
        (Some(slot), Some(time)) => format!("slot {slot}, {}", clock(time)),
        _ => "-".to_owned(),
    };
    vec![
        standing.level.to_owned(),
        if standing.held { "yes" } else { "no" }.to_owned(),
        format!("{} of {quorum}", standing.attested_by),
        format!("{} of {quorum}", standing.burned_in),
        left,
        earliest,
    ]
}

/// What is in the way of each level, one reason on a line; levels with the same reasons together.
fn blocked(levels: &[Level]) -> Vec<String> {
    let mut groups: Vec<(Vec<&str>, &[String])> = Vec::new();
    for LevelStanding { level, blocked_by, .. } in levels.iter().map(|level| &level.standing) {
        match groups.last_mut() {
            _ if blocked_by.is_empty() => {}
            Some((names, reasons)) if *reasons == blocked_by.as_slice() => names.push(level),
            Some(_) | None => groups.push((vec![level], blocked_by)),
        }
    }
    let text = |(names, reasons): (Vec<&str>, &[String])| {
        let reasons: String = reasons.iter().map(|reason| format!("\n  {reason}")).collect();
        format!("in the way of {}:{reasons}", names.join(" and "))
    };
    groups.into_iter().map(text).collect()
}

fn name(oracle: &Oracle) -> String {
    let key = oracle.oracle.as_ref().map(short);
    match (&oracle.name, key) {
        (Some(name), Some(key)) => format!("{} {key}", plain(name)),
        (None, Some(key)) => key,
        (_, None) => oracle.url.clone().unwrap_or_else(|| "?".to_owned()),
    }
}

fn word_row(oracle: &Oracle, word: &Word, pace: Pace) -> Vec<String> {
    let counts = match word.said.counts {
        Counts::Fresh { slots } => format!("for {slots} slots more, {}", span(pace.seconds(slots))),
        Counts::Expired { slots } => format!("expired {slots} slots ago, {}", span(pace.seconds(slots))),
        Counts::Epoch { epoch } => format!("no: epoch {epoch}"),
        Counts::Never => "never spoke".to_owned(),
    };
    let since = match (&word.since, word.said.since_slot) {
        (Some(time), Some(slot)) => format!("slot {slot}, {}", clock(time)),
        _ => "-".to_owned(),
    };
    let not_passed = word.said.not_passed.join(" ");
    vec![
        name(oracle),
        word.said.level.unwrap_or("-").to_owned(),
        counts,
        since,
        if not_passed.is_empty() { "-".to_owned() } else { not_passed },
    ]
}

fn oracle_text(oracle: &Oracle) -> String {
    let at = oracle.url.as_ref().map(|url| format!(" at {url}")).unwrap_or_default();
    let at = if oracle.oracle.is_some() { at } else { String::new() };
    let problem = oracle.problem.as_ref().map(|problem| format!(": {}", plain(problem))).unwrap_or_default();
    let Some(judged) = &oracle.judged else { return format!("{}{at}{problem}", name(oracle)) };
    let since = judged.since.as_ref().map(|since| format!(" since {}", clock(since))).unwrap_or_default();
    let head =
        format!("{}{at} finds {}{since}, judged {} ago{problem}", name(oracle), judged.level, span(judged.age_seconds));
    let row = |seen: &Seen| {
        let result = match seen.result {
            Result_::Passed => "passed",
            Result_::Failed => "FAILED",
            Result_::NotObserved => "not observed",
        };
        let since = match (&seen.since, seen.since_or_longer) {
            (Some(time), true) => format!("{} or longer", clock(time)),
            (Some(time), false) => clock(time),
            (None, _) => "-".to_owned(),
        };
        let required = match seen.detail.as_str() {
            "" => seen.required.clone(),
            detail => format!("{}; {detail}", seen.required),
        };
        vec![seen.id.name().to_owned(), result.to_owned(), since, seen.observed.clone(), required]
    };
    let rows = wrapped(&["", "result", "since", "observed", "required"], judged.criteria.iter().map(row));
    format!("{head}\n{rows}")
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
