//! `causeway history`.

use causeway_interface::{
    AccountType, Code, DesiredStatus, DeviceHealth, DeviceStatus, Key, LinkHealth, LinkStatus, RegistryStatus,
    event::{Event, Triple},
    instruction::Tag,
};
use causeway_sdk::{address::to_key, events::HistoryEntry};
use serde::Serialize;

use super::session::Session;
use crate::{
    args,
    failure::Failure,
    output::{Report, table, utc},
};

/// Instructions after which the object is gone.
const CLOSINGS: [Tag; 3] = [Tag::CloseRegistry, Tag::CloseDevice, Tag::CloseLink];

/// Transactions of one object.
#[derive(Debug, Serialize)]
struct Past {
    subject: AccountType,
    address: Key,
    entries: Vec<HistoryEntry>,
    truncated: bool,
}

/// Shows what happened.
pub async fn run(session: &Session, args: &args::History) -> Result<Report, Failure> {
    let mut all = Vec::new();
    for subject in args.kinds() {
        let address = address(session, subject, &args.code);
        let history = session.ledger.history(&address, args.limit as usize).await?;
        if !history.entries.is_empty() {
            all.push(Past { subject, address, entries: history.entries, truncated: history.truncated });
        }
    }
    if all.is_empty() {
        let what = args.of.as_deref().unwrap_or("object");
        let failure = Failure::not_found(format_args!("{what} {} in the node's memory", args.code));
        return Err(failure.with_remedy("Check the code's spelling; nodes forget old transactions."));
    }
    for past in all.iter().filter(|past| past.truncated) {
        eprintln!("{} {}: older transactions are not shown; --limit shows more", past.subject, args.code);
    }
    let mut rows = Vec::new();
    for past in &all {
        rows.extend(past.entries.iter().flat_map(|entry| lines(past.subject, entry)));
    }
    rows.sort_by_key(|(slot, _)| std::cmp::Reverse(*slot));
    let headings = ["slot", "time", "what", "did", "status", "health", "desired", "sequence", "by"];
    Report::new(table(&headings, rows.into_iter().map(|(_, row)| row)), &all)
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

/// A transaction's rows, newest first: one per event, or one that says why it failed.
fn lines(subject: AccountType, entry: &HistoryEntry) -> Vec<(u64, Vec<String>)> {
    let time = entry.time.map_or_else(|| "-".into(), utc);
    let head = |did: String| vec![entry.slot.to_string(), time.clone(), subject.to_string(), did];
    if let Some(error) = &entry.error {
        let mut row = head(format!("failed: {error}"));
        row.resize(9, "-".into());
        return vec![(entry.slot, row)];
    }
    let line = |event: &Event| {
        let (from, to) = (names(event.subject_type, &event.from), names(event.subject_type, &event.to));
        let created = is_zero(&event.from) && event.kind != Tag::Advance.byte();
        let closed = CLOSINGS.iter().any(|tag| tag.byte() == event.kind);
        let arrow = |from: &String, to: &String| match () {
            // What is closed has no state: its bytes are zero, which are names of something else.
            () if closed => from.clone(),
            () if created || from == to => to.clone(),
            () => format!("{from} -> {to}"),
        };
        let did = Tag::from_byte(event.kind).map_or_else(|| event.kind.to_string(), |tag| tag.name().into());
        let mut row = head(did);
        row.extend(from.iter().zip(&to).map(|(from, to)| arrow(from, to)));
        row.extend([event.sequence.to_string(), event.actor.to_string()]);
        (entry.slot, row)
    };
    entry.events.iter().rev().map(line).collect()
}

fn is_zero(triple: &Triple) -> bool {
    (triple.status, triple.health, triple.desired) == (0, 0, 0)
}

/// Status, health and desired status as people see them.
fn names(subject: AccountType, triple: &Triple) -> [String; 3] {
    let or_byte = |name: Option<&'static str>, byte: u8| name.map_or_else(|| byte.to_string(), str::to_owned);
    let desired = or_byte(DesiredStatus::from_byte(triple.desired).map(DesiredStatus::name), triple.desired);
    let none = || "-".to_owned();
    match subject {
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
            [or_byte(status.or((triple.status == 0).then_some("-")), triple.status), none(), none()]
        }
        AccountType::Network | AccountType::Attestations | AccountType::Pool | AccountType::PrefixTable => {
            [triple.status.to_string(), none(), none()]
        }
    }
}
