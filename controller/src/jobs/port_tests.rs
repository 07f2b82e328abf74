use causeway_interface::Key;
use ed25519_dalek::SigningKey;

use super::*;
use crate::{
    orders::{Said, Told},
    store::Signer,
};

fn signer() -> Signer {
    Signer { key: SigningKey::from_bytes(&[5; 32]), program_id: Key([7; 32]) }
}

fn served(text: &str) -> Arc<Served> {
    let wanted = Wanted { generation: 7, family: Platform::Frr, text: text.into() };
    Arc::new(Served::sign(&"ams".parse().unwrap(), wanted, None, &signer()))
}

fn said(waiting: Option<[u8; 32]>, startup: Option<[u8; 32]>) -> Option<Said> {
    Some(Said { at_unix_ms: 1_000, takes_orders: true, have_order: "a".into(), waiting, startup, ..Said::default() })
}

fn told(result: ReportResult, sha256: [u8; 32]) -> Option<Told> {
    Some(Told { correlation: "a".into(), sha256, result, words: "why".into(), startup_saved: false })
}

fn entry(text: &str, running: u8) -> Entry {
    let text_sha256 = served(text).sha256.to_vec();
    let word =
        Running { text_sha256, verified_sha256: vec![1; 32], running_sha256: vec![running; 32], at_unix_ms: 1_000 };
    let mut entry = Entry::default();
    entry.word = Some(word);
    entry
}

#[test]
fn an_agent_is_there_for_a_while_after_it_asked() {
    let orders = DeviceOrders { said: said(None, None), ..DeviceOrders::default() };
    assert!(view(&orders, None, 1_000 + HEARD_MS).is_heard);
    assert!(!view(&orders, None, 1_001 + HEARD_MS).is_heard);
    assert!(!view(&DeviceOrders::default(), None, 0).is_heard);
}

#[test]
fn what_runs_is_what_waits_or_what_was_verified_and_is_unchanged() {
    let (old, new) = (served("old"), served("new"));
    let orders = |waiting| DeviceOrders {
        open: Some(Arc::clone(&new)),
        kept: Some(Arc::clone(&old)),
        said: said(waiting, None),
        ..DeviceOrders::default()
    };
    let running = |waiting, entry: &Entry| view(&orders(waiting), Some(entry), 0).running;
    assert_eq!(running(None, &entry("old", 1)).as_deref(), Some("old"));
    assert_eq!(running(Some(new.sha256), &entry("old", 1)).as_deref(), Some("new"));
    assert_eq!(running(None, &entry("old", 2)), None, "it was changed beside the agent");
    assert_eq!(running(None, &entry("unknown", 1)), None);
    assert_eq!(running(Some([9; 32]), &entry("old", 1)), None);
}

#[test]
fn only_what_is_said_of_this_order_counts() {
    let new = served("new");
    let base = DeviceOrders { open: Some(Arc::clone(&new)), said: said(None, None), ..DeviceOrders::default() };
    let word = |orders: &DeviceOrders| view(orders, Some(&entry("new", 1)), 0).report.map(|report| report.word);
    assert_eq!(word(&base), None, "nothing was said of the open one yet, whatever ran before");
    let with = |told| DeviceOrders { told, ..base.clone() };
    assert_eq!(word(&with(told(ReportResult::Refused, new.sha256))), Some(Word::Refused("why".into())));
    assert_eq!(word(&with(told(ReportResult::Reverted, new.sha256))), Some(Word::TookBack("why".into())));
    assert_eq!(word(&with(told(ReportResult::Applied, new.sha256))), Some(Word::Applied));
    let waits = DeviceOrders { said: said(Some(new.sha256), None), ..with(told(ReportResult::Waiting, new.sha256)) };
    assert_eq!(word(&waits), Some(Word::Waiting));
    assert_eq!(word(&with(told(ReportResult::Waiting, new.sha256))), None, "it waits no more");
}

#[test]
fn after_a_start_polls_alone_say_what_runs_and_what_the_device_starts_with() {
    let new = served("new");
    let orders = |startup| DeviceOrders { said: said(None, startup), ..DeviceOrders::default() };
    let saved = |startup| view(&orders(startup), Some(&entry("new", 1)), 0).report.map(|report| report.startup_saved);
    assert_eq!(saved(Some(new.sha256)), Some(true));
    assert_eq!(saved(Some([9; 32])), Some(false));
    assert_eq!(view(&orders(None), Some(&entry("new", 2)), 0).report, None);
}

#[test]
fn what_is_wrong_is_the_agents_word_and_no_word_is_not_good() {
    let well = Answer::default();
    let lost = Answer { problems: vec!["ADJACENCY_LOST: eth3".into()], ..Answer::default() };
    let mute = Answer { error_code: "DEVICE_UNREACHABLE".into(), ..lost.clone() };
    assert_eq!(problems(&well), Ok(Vec::new()));
    assert_eq!(problems(&lost), Ok(vec!["ADJACENCY_LOST: eth3".to_owned()]));
    assert!(matches!(problems(&mute), Err(AdapterError::State(words)) if words.contains("DEVICE_UNREACHABLE")));
}
