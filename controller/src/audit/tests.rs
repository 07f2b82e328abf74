use rusqlite::Connection;
use serde_json::{Value, json};

use super::*;

fn action(name: &str, subject: &str, before: Value) -> Action {
    Action { actor: Actor { name: name.into() }, action: "config.approve", subject: subject.into(), before }
}

async fn did(audit: &Audit, name: &str, subject: &str) {
    let begun = audit.begin(action(name, subject, json!({"b": 1, "a": [subject]}))).await.unwrap();
    audit.end(begun, Outcome::Done, json!({"generation": 2})).await;
}

fn all() -> Filter {
    Filter { limit: MAX_PAGE, ..Filter::default() }
}

fn chain(entries: &[Entry]) -> Result<(), Broken> {
    let mut chain = Chain::default();
    entries.iter().try_for_each(|entry| chain.take(entry))
}

#[tokio::test]
async fn an_action_is_two_entries_that_follow_and_survive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.db");
    let audit = Audit::open(&path).unwrap();
    did(&audit, "anna", "ams").await;
    drop(audit);
    let audit = Audit::open(&path).unwrap();
    did(&audit, "bob", "fra").await;
    let begun = audit.begin(action("bob", "fra", Value::Null)).await.unwrap();
    audit.end(begun, Outcome::Refused, json!({"code": "CW-CONTROLLER-NOTHING-HELD"})).await;
    let entries = audit.read(all()).await.unwrap();
    assert_eq!(entries.iter().map(|e| e.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(entries.iter().map(|e| e.of).collect::<Vec<_>>(), [None, Some(1), None, Some(3), None, Some(5)]);
    assert_eq!(
        (entries[0].outcome, entries[1].outcome, entries[5].outcome),
        (Outcome::Asked, Outcome::Done, Outcome::Refused)
    );
    assert_eq!((&entries[0].before, &entries[1].after), (&json!({"a": ["ams"], "b": 1}), &json!({"generation": 2})));
    chain(&entries).unwrap();
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn entries_are_found_by_who_what_and_when_in_pages() {
    let audit = Audit::in_memory().unwrap();
    for _ in 0..3 {
        did(&audit, "anna", "ams").await;
        did(&audit, "bob", "fra").await;
    }
    let count = async |filter: Filter| audit.read(filter).await.unwrap().len();
    assert_eq!(count(all()).await, 12);
    assert_eq!(count(Filter { actor: Some("anna".into()), ..all() }).await, 6);
    assert_eq!(count(Filter { actor: Some("anna".into()), subject: Some("fra".into()), ..all() }).await, 0);
    assert_eq!(count(Filter { action: Some("config.approve".into()), ..all() }).await, 12);
    assert_eq!(count(Filter { since_ms: Some(now_ms() + 60_000), ..all() }).await, 0);
    assert_eq!(count(Filter { until_ms: Some(0), ..all() }).await, 0);
    assert_eq!(count(Filter { actor: Some("anna' OR 1=1 --".into()), ..all() }).await, 0);
    let page = audit.read(Filter { after: 4, limit: 3, ..all() }).await.unwrap();
    assert_eq!(page.iter().map(|e| e.seq).collect::<Vec<_>>(), [5, 6, 7]);
    assert_eq!(count(Filter { limit: usize::MAX, ..all() }).await, 12);
}

#[tokio::test]
async fn what_was_changed_taken_out_or_put_in_shows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.db");
    let audit = Audit::open(&path).unwrap();
    did(&audit, "anna", "ams").await;
    did(&audit, "bob", "fra").await;
    let raw = Connection::open(&path).unwrap();
    for statement in ["UPDATE entry SET actor = 'bob' WHERE seq = 1", "DELETE FROM entry WHERE seq = 4"] {
        let refused = raw.execute(statement, []).unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{statement}: {refused}");
    }
    let good = audit.read(all()).await.unwrap();
    // Whoever has the file can do it all the same, and it shows.
    raw.execute_batch("DROP TRIGGER entry_stays; DROP TRIGGER entry_is_kept;").unwrap();
    raw.execute("UPDATE entry SET actor = 'bob' WHERE seq = 1", []).unwrap();
    assert_eq!(chain(&audit.read(all()).await.unwrap()), Err(Broken::Changed(1)));
    raw.execute("UPDATE entry SET actor = 'anna' WHERE seq = 1", []).unwrap();
    chain(&audit.read(all()).await.unwrap()).unwrap();
    raw.execute("DELETE FROM entry WHERE seq = 2", []).unwrap();
    assert_eq!(chain(&audit.read(all()).await.unwrap()), Err(Broken::Gap { after: 1, found: 3 }));
    for field in ["at_unix_ms", "actor", "action", "subject", "outcome", "of", "before", "after"] {
        let mut changed = good.clone();
        let mut value = serde_json::to_value(&changed[1]).unwrap();
        value[field] = match field {
            "at_unix_ms" | "of" => json!(7),
            "outcome" => json!("refused"),
            _ => json!("other"),
        };
        changed[1] = serde_json::from_value(value).unwrap();
        assert_eq!(chain(&changed), Err(Broken::Changed(2)), "{field}");
    }
    raw.execute("UPDATE entry SET outcome = 'x' WHERE seq = 1", []).unwrap();
    assert!(matches!(audit.read(all()).await, Err(AuditError::Undecodable(1))));
}

#[tokio::test]
async fn what_is_too_long_is_told_by_its_length() {
    let audit = Audit::in_memory().unwrap();
    let begun = audit.begin(action(&"a".repeat(500), &"é".repeat(100), json!("x".repeat(20_000)))).await.unwrap();
    audit.end(begun, Outcome::Done, json!({})).await;
    let entries = audit.read(all()).await.unwrap();
    assert_eq!(entries[0].before, json!({"left_out_bytes": 20_002}));
    assert_eq!((entries[0].actor.len(), entries[0].subject.len()), (MAX_NAME, MAX_NAME));
    chain(&entries).unwrap();
}

#[tokio::test]
async fn in_memory_the_oldest_go() {
    let audit = Audit::in_memory().unwrap();
    for _ in 0..=KEPT_IN_MEMORY / 2 {
        did(&audit, "anna", "ams").await;
    }
    let first = audit.read(Filter { limit: 1, ..all() }).await.unwrap();
    assert_eq!(first[0].seq, 3);
}

#[tokio::test]
async fn a_file_that_is_none_and_one_of_another_version_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.db");
    std::fs::write(
        &path,
        "this is no database, and longer than the header of one would have to be, so that it is read",
    )
    .unwrap();
    assert!(matches!(Audit::open(&path), Err(AuditError::Store(_))));
    assert!(matches!(Audit::open(&folder.path().join("none/audit.db")), Err(AuditError::File(_))));
    let path = folder.path().join("newer.db");
    drop(Audit::open(&path).unwrap());
    Connection::open(&path).unwrap().execute("UPDATE meta SET schema = 2", []).unwrap();
    assert!(matches!(Audit::open(&path), Err(AuditError::Schema { found: 2, known: 1 })));
}
