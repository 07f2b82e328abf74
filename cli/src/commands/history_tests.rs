//! What a history shows, from made-up transactions.

use causeway_interface::event::EVENT_VERSION;
use causeway_interface::{NetworkStatus, Unused, accounts::Header, accounts::LAYOUT_VERSION, accounts::Network};

use super::*;

const OWNER: Key = Key([2; 32]);
const ORACLE: Key = Key([3; 32]);
const AUTHORITY: Key = Key([4; 32]);
const STRANGER: Key = Key([5; 32]);

fn header<S>(account_type: AccountType, status: S) -> Header<S, Unused, Unused, Unused> {
    let (version, bump, flags, sequence, status_since_slot) = (LAYOUT_VERSION, 255, 0, 1, 1);
    let (health, desired, kind) = (Unused::Zero, Unused::Zero, Unused::Zero);
    Header { account_type, version, bump, status, health, desired, kind, flags, sequence, status_since_slot }
}

fn actors() -> Actors {
    let mut oracles = [Key::ZERO; causeway_interface::accounts::MAX_ORACLES];
    oracles[..3].copy_from_slice(&[STRANGER, ORACLE, AUTHORITY]);
    let network = Network {
        reserved: Default::default(),
        header: header(AccountType::Network, NetworkStatus::Running),
        authority: AUTHORITY,
        pending_authority: Key::ZERO,
        oracle_epoch: 1,
        quorum: 2,
        // The third is of an earlier set.
        oracle_count: 2,
        core_asn: 1,
        burn_in_new_slots: 1,
        burn_in_maintenance_slots: 1,
        attestation_max_age_slots: 1,
        link_block: Default::default(),
        loopback_block: Default::default(),
        user_block: Default::default(),
        contributor_count: 1,
        location_count: 0,
        exchange_count: 0,
        device_count: 0,
        link_count: 0,
        oracles,
    };
    let contributor = |code: &str, operations_key| Contributor {
        reserved: Default::default(),
        header: header(AccountType::Contributor, RegistryStatus::Activated),
        code: code.parse().unwrap(),
        owner: OWNER,
        operations_key,
        device_count: 0,
        link_count: 0,
    };
    Actors::of(Some(&network), [contributor("zeta", Key::ZERO), contributor("acme", ORACLE)].iter())
}

#[test]
fn keys_have_all_the_names_that_the_ledger_gives_them() {
    let actors = actors();
    let name = |key| actors.name(&key);
    assert_eq!(name(AUTHORITY).as_deref(), Some("authority"));
    assert_eq!(name(OWNER).as_deref(), Some("acme's owner, zeta's owner"));
    assert_eq!(name(ORACLE).as_deref(), Some("oracle 2, acme's operations"));
    assert_eq!(name(Key::ZERO), None, "no operations key is nobody");
    assert_eq!(name(Key([9; 32])), None);
}

const fn triple(status: u8, health: u8, desired: u8) -> Triple {
    Triple { status, health, desired }
}

fn event(kind: Tag, from: Triple, to: Triple, (actor, sequence, detail): (Key, u64, u32)) -> Event {
    let (version, subject_type, subject) = (EVENT_VERSION, AccountType::Device, Key([1; 32]));
    Event { version, kind: kind.byte(), subject_type, subject, from, to, actor, sequence, slot: 9, detail }
}

fn entry(slot: u64, signature: &str, complete: bool, events: Vec<Event>) -> HistoryEntry {
    HistoryEntry { signature: signature.into(), slot, time: Some(1_700_000_000 + slot as i64), events, complete }
}

/// A device that was created, made ready, rejected, closed, and created again under its code.
fn life() -> History {
    const NONE: Triple = triple(0, 0, 0);
    let ready = || triple(6, 2, 1);
    let entries = vec![
        entry(60, "again", true, vec![event(Tag::CreateDevice, NONE, triple(0, 1, 1), (OWNER, 60, 0))]),
        entry(
            50,
            "gone",
            true,
            vec![
                event(Tag::DeleteDevice, triple(4, 2, 1), triple(3, 2, 1), (OWNER, 14, 0)),
                event(Tag::CloseDevice, triple(3, 2, 1), NONE, (OWNER, 15, 0)),
            ],
        ),
        entry(40, "no", true, vec![event(Tag::RejectDevice, ready(), triple(4, 2, 1), (AUTHORITY, 13, 3))]),
        entry(30, "cut", false, vec![]),
        entry(20, "ready", true, vec![event(Tag::Advance, triple(6, 1, 1), ready(), (ORACLE, 12, 0))]),
        entry(10, "new", true, vec![event(Tag::CreateDevice, NONE, triple(0, 1, 1), (Key([9; 32]), 10, 0))]),
    ];
    History { entries, truncated: false }
}

fn shown(limit: u32, reverse: bool) -> Answer {
    let args = args::History { code: "x".parse().unwrap(), of: None, limit, reverse };
    answer(vec![(AccountType::Device, life())], &actors(), &args)
}

#[test]
fn every_transition_has_its_line() {
    let answer = shown(50, false);
    let lines: Vec<String> = answer
        .transitions
        .iter()
        .map(|transition| {
            let row = row(transition);
            let short = |n: usize| row[n].split_whitespace().next().unwrap_or_default().to_owned();
            [&row[..8], &[short(8), row[9].clone()]].concat().join("|")
        })
        .collect();
    assert_eq!(
        lines,
        [
            "60|2023-11-14T22:14:20Z|device|create-device|pending|pending|activated|60|acme's|again",
            "50|2023-11-14T22:14:10Z|device|close-device|deleting -> closed|ready-for-links|activated|15|acme's|gone",
            "50|2023-11-14T22:14:10Z|device|delete-device|rejected -> deleting|ready-for-links|activated|14|acme's|gone",
            "40|2023-11-14T22:14:00Z|device|reject-device (policy)|device-provisioning -> rejected|ready-for-links|activated|13|authority|no",
            "20|2023-11-14T22:13:40Z|device|advance|device-provisioning|pending -> ready-for-links|activated|12|oracle|ready",
            "10|2023-11-14T22:13:30Z|device|create-device|pending|pending|activated|10|STRANGER|new",
        ]
        .map(|line| line.replace("STRANGER", &Key([9; 32]).to_string()))
    );
    assert_eq!((answer.truncated, answer.incomplete.as_slice()), (false, &["cut".to_owned()][..]));
}

#[test]
fn the_newest_are_kept_whichever_come_first() {
    let slots = |answer: &Answer| answer.transitions.iter().map(|t| t.slot).collect::<Vec<_>>();
    let newest = shown(3, false);
    assert_eq!((slots(&newest), newest.truncated), (vec![60, 50, 50], true));
    let reversed = shown(3, true);
    assert_eq!(slots(&reversed), [50, 50, 60]);
    assert_eq!(reversed.transitions[0].did, "delete-device", "the order within a transaction, too");
    assert_eq!(slots(&shown(50, true)), [10, 20, 40, 50, 50, 60]);
}

#[test]
fn scripts_get_states_apart_and_nothing_where_there_is_none() {
    let json = serde_json::to_value(shown(50, true)).unwrap();
    let did = |n: usize| &json["transitions"][n];
    assert_eq!((&did(0)["from"], &did(0)["to"]["status"]), (&serde_json::Value::Null, &"pending".into()));
    assert_eq!((&did(4)["from"]["status"], &did(4)["to"]), (&"deleting".into(), &serde_json::Value::Null));
    assert_eq!(
        (&did(1)["actor_name"], &did(1)["time"]),
        (&"oracle 2, acme's operations".into(), &"2023-11-14T22:13:40Z".into())
    );
    assert_eq!((&did(2)["reason"], &did(1)["reason"]), (&"policy".into(), &serde_json::Value::Null));
    assert_eq!((&json["truncated"], &json["incomplete"][0]), (&false.into(), &"cut".into()));
    assert_eq!(did(0)["actor_name"], serde_json::Value::Null);
}
