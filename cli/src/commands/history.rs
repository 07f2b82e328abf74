//! `causeway history`: every transition of a subject, from the ledger's own transactions.

use causeway_interface::{
    AccountType, Code, DesiredStatus, DeviceHealth, DeviceStatus, Key, LinkHealth, LinkStatus, RegistryStatus,
    RejectReason,
    accounts::Contributor,
    event::{Event, Triple},
    instruction::Tag,
};
use causeway_sdk::{
    Filter, LedgerError,
    address::to_key,
    history::{History, HistoryEntry},
};
use serde::Serialize;

use super::{actors::Actors, session::Session};
use crate::{
    args,
    failure::Failure,
    output::{Report, table, utc},
};

/// Instructions before which there was no such object.
const CREATIONS: [Tag; 5] =
    [Tag::CreateContributor, Tag::CreateLocation, Tag::CreateExchange, Tag::CreateDevice, Tag::CreateLink];
/// Instructions after which the object is gone.
const CLOSINGS: [Tag; 3] = [Tag::CloseRegistry, Tag::CloseDevice, Tag::CloseLink];
/// What stands where the ledger says nothing.
const NOTHING: &str = "-";

/// A subject's state by names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct State {
    status: String,
    health: String,
    desired: String,
}

/// One transition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Transition {
    slot: u64,
    /// When that was by the ledger's word, UTC.
    time: Option<String>,
    subject: AccountType,
    address: Key,
    /// The instruction.
    did: String,
    /// None for a creation.
    from: Option<State>,
    /// None for a closing.
    to: Option<State>,
    /// Why it was rejected.
    reason: Option<&'static str>,
    sequence: u64,
    actor: Key,
    /// Whose key that is, as far as the ledger says today.
    actor_name: Option<String>,
    transaction: String,
}

/// What a command answers.
#[derive(Debug, Default, Serialize)]
struct Answer {
    transitions: Vec<Transition>,
    /// There are or may be older ones.
    truncated: bool,
    /// Transactions of which the node has not the whole log, so that they may have done more.
    incomplete: Vec<String>,
}

/// Shows what happened.
pub async fn run(session: &Session, args: &args::History) -> Result<Report, Failure> {
    let mut found = Vec::new();
    for subject in args.kinds() {
        let address = address(session, subject, &args.code);
        let history = session.ledger.history(&address, args.limit as usize).await?;
        if !history.entries.is_empty() {
            found.push((subject, history));
        }
    }
    if found.is_empty() {
        let what = args.of.as_deref().unwrap_or("object");
        let failure = Failure::not_found(format_args!("{what} {} in the node's memory", args.code));
        return Err(failure.with_remedy("Check the code's spelling; nodes forget old transactions."));
    }
    let answer = answer(found, &actors(session).await?, args);
    if answer.truncated {
        eprintln!("older transactions of {} are not shown; --limit shows more", args.code);
    }
    for transaction in &answer.incomplete {
        eprintln!("the node has not the whole log of {transaction}: it may have done more");
    }
    let headings = ["slot", "time", "what", "did", "status", "health", "desired", "sequence", "by", "transaction"];
    Report::new(table(&headings, answer.transitions.iter().map(row)), &answer)
}

/// Names for the keys. A program without a network has a history all the same.
async fn actors(session: &Session) -> Result<Actors, Failure> {
    let network = match session.ledger.network().await {
        Ok(network) => Some(network),
        Err(LedgerError::NetworkMissing { .. } | LedgerError::Undecodable { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let contributors = session.ledger.list::<Contributor>(Filter::default()).await?;
    Ok(Actors::of(network.as_ref(), contributors.items.values()))
}

/// Objects of other kinds have no history of their own.
fn address(session: &Session, kind: AccountType, code: &Code) -> Key {
    let addresses = session.build.addresses();
    to_key(&match kind {
        AccountType::Device => addresses.device(code),
        AccountType::Link => addresses.link(code),
        AccountType::Contributor => addresses.contributor(code),
        AccountType::Location => addresses.location(code),
        AccountType::Exchange => addresses.exchange(code),
        AccountType::Network => addresses.network(),
        AccountType::PrefixTable => addresses.prefix_table(),
        AccountType::Attestations | AccountType::Pool => addresses.program_id,
    })
}

/// All transitions of all objects of the code in one order: newest first, or oldest first.
fn answer(found: Vec<(AccountType, History)>, actors: &Actors, args: &args::History) -> Answer {
    let mut answer = Answer::default();
    for (subject, history) in found {
        answer.truncated |= history.truncated;
        for entry in &history.entries {
            // Two objects of one code may be in one transaction.
            if !entry.complete && !answer.incomplete.contains(&entry.signature) {
                answer.incomplete.push(entry.signature.clone());
            }
            let events = entry.events.iter().rev();
            answer.transitions.extend(events.map(|event| transition(subject, entry, event, actors)));
        }
    }
    // Stable, so that what is in one slot keeps the ledger's order.
    answer.transitions.sort_by_key(|transition| std::cmp::Reverse(transition.slot));
    // The limit is of each object; together they are no more.
    if answer.transitions.len() > args.limit as usize {
        answer.transitions.truncate(args.limit as usize);
        answer.truncated = true;
    }
    if args.reverse {
        answer.transitions.reverse();
    }
    answer
}

fn transition(subject: AccountType, entry: &HistoryEntry, event: &Event, actors: &Actors) -> Transition {
    let tag = Tag::from_byte(event.kind);
    // What was not there yet and what is gone have no state: their bytes are zero, which are names of something else.
    let created = tag.is_some_and(|tag| CREATIONS.contains(&tag));
    let closed = tag.is_some_and(|tag| CLOSINGS.contains(&tag));
    let rejected = matches!(tag, Some(Tag::RejectDevice | Tag::RejectLink));
    let reason = u8::try_from(event.detail).ok().and_then(RejectReason::from_byte).map(RejectReason::name);
    Transition {
        slot: entry.slot,
        time: entry.time.map(|time| utc(time).replacen(' ', "T", 1)),
        subject,
        address: event.subject,
        did: tag.map_or_else(|| event.kind.to_string(), |tag| tag.name().to_owned()),
        from: (!created).then(|| state(event.subject_type, &event.from)),
        to: (!closed).then(|| state(event.subject_type, &event.to)),
        reason: reason.filter(|_| rejected),
        sequence: event.sequence,
        actor: event.actor,
        actor_name: actors.name(&event.actor),
        transaction: entry.signature.clone(),
    }
}

/// A transition as a line of the table.
fn row(transition: &Transition) -> Vec<String> {
    let arrow = |part: fn(&State) -> &String, none: &str| match (&transition.from, &transition.to) {
        (Some(from), Some(to)) if part(from) != part(to) => format!("{} -> {}", part(from), part(to)),
        (Some(from), None) if !none.is_empty() => format!("{} -> {none}", part(from)),
        (_, Some(state)) | (Some(state), None) => part(state).clone(),
        (None, None) => NOTHING.to_owned(),
    };
    let did = match transition.reason {
        Some(reason) => format!("{} ({reason})", transition.did),
        None => transition.did.clone(),
    };
    let by = match &transition.actor_name {
        Some(name) => format!("{name} {}", transition.actor),
        None => transition.actor.to_string(),
    };
    vec![
        transition.slot.to_string(),
        transition.time.clone().unwrap_or_else(|| NOTHING.to_owned()),
        transition.subject.to_string(),
        did,
        arrow(|state| &state.status, "closed"),
        arrow(|state| &state.health, ""),
        arrow(|state| &state.desired, ""),
        transition.sequence.to_string(),
        by,
        transition.transaction.clone(),
    ]
}

/// Status, health and desired status as people see them.
fn state(subject: AccountType, triple: &Triple) -> State {
    let or_byte = |name: Option<&'static str>, byte: u8| name.map_or_else(|| byte.to_string(), str::to_owned);
    let desired = or_byte(DesiredStatus::from_byte(triple.desired).map(DesiredStatus::name), triple.desired);
    let none = || NOTHING.to_owned();
    let [status, health, desired] = match subject {
        AccountType::Device => [
            or_byte(DeviceStatus::from_byte(triple.status).map(DeviceStatus::name), triple.status),
            or_byte(DeviceHealth::from_byte(triple.health).map(DeviceHealth::name), triple.health),
            desired,
        ],
        AccountType::Link => [
            or_byte(LinkStatus::from_byte(triple.status).map(LinkStatus::name), triple.status),
            or_byte(LinkHealth::from_byte(triple.health).map(LinkHealth::name), triple.health),
            desired,
        ],
        AccountType::Contributor | AccountType::Location | AccountType::Exchange => {
            let status = RegistryStatus::from_byte(triple.status).map(RegistryStatus::name);
            [or_byte(status.or((triple.status == 0).then_some(NOTHING)), triple.status), none(), none()]
        }
        AccountType::Network | AccountType::Attestations | AccountType::Pool | AccountType::PrefixTable => {
            [triple.status.to_string(), none(), none()]
        }
    };
    State { status, health, desired }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
