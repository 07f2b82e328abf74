use super::*;
use crate::evidence::tests::evidence;

/// The documents of `round` on as many subjects.
fn documents(count: u8, round: u64) -> Vec<Document> {
    let document = |n: u8| {
        let mut evidence = evidence(&format!("l-{n}"));
        evidence.at_ms = round;
        let (name, bytes) = evidence.document().unwrap();
        Document { subject: Key([n; 32]), name, bytes }
    };
    (0..count).map(document).collect()
}

fn put_one(store: &EvidenceStore, documents: Vec<Document>, made_ms: u64) -> (BatchId, Digest) {
    store.put(&[documents], made_ms).unwrap().remove(0)
}

#[test]
fn what_is_served_proves_what_was_signed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evidence.sqlite");
    let batches = [documents(5, 1), documents(9, 2).split_off(5)];
    let kept = EvidenceStore::open(&path).unwrap().put(&batches, 1_000).unwrap();
    let store = EvidenceStore::open(&path).unwrap();
    assert_eq!(store.latest(&Key([3; 32])).unwrap(), None, "not signed yet");
    let noted: Vec<_> = kept.iter().zip(["one", "two"]).map(|((id, _), name)| (*id, name.to_owned())).collect();
    store.signed(&noted).unwrap();
    for ((batch, (_, root)), transaction) in batches.iter().zip(&kept).zip(["one", "two"]) {
        for Document { subject, name, bytes } in batch {
            let signed = store.latest(subject).unwrap().unwrap();
            assert_eq!((signed.sha256, signed.root, signed.transaction.as_deref()), (*name, *root, Some(transaction)));
            assert_eq!(signed.proof.root(name), Some(*root));
            assert_eq!(store.with_root(root, subject).unwrap(), Some(signed));
            assert_eq!(store.document(name).unwrap().as_ref(), Some(bytes));
        }
    }
    assert_eq!(store.document(&Digest::ZERO).unwrap(), None);
    assert_eq!(store.with_root(&kept[0].1, &Key([8; 32])).unwrap(), None, "of the other batch");
    put_one(&store, documents(5, 1), 5_000);
    assert_eq!(store.prune(2_000).unwrap(), 2);
    assert_eq!(store.latest(&Key([3; 32])).unwrap(), None);
    assert!(store.document(&batches[0][0].name).unwrap().is_some(), "a younger batch holds it too");
    assert!(store.document(&batches[1][0].name).unwrap().is_none());
}

#[test]
fn everything_is_read_back_in_order_and_in_portions() {
    let folder = tempfile::tempdir().unwrap();
    let store = EvidenceStore::open(&folder.path().join("evidence.sqlite")).unwrap();
    let batches = [documents(3, 1), documents(1, 2), documents(2, 3)];
    let put = store.put(&batches, 1).unwrap();
    store.signed(&[(put[0].0, "one".into())]).unwrap();
    store.recognise(&[put[1].1]).unwrap();
    let first = store.after(None, 2).unwrap();
    let rest = store.after(first.last().map(|kept| kept.id), 2).unwrap();
    assert_eq!((first.len(), rest.len()), (2, 1));
    assert_eq!(store.after(rest.last().map(|kept| kept.id), 2).unwrap(), []);
    let landed = [(true, Some("one")), (true, None), (false, None)];
    for (((kept, documents), (id, root)), (landed, transaction)) in
        first.iter().chain(&rest).zip(&batches).zip(&put).zip(landed)
    {
        assert_eq!((&kept.documents, &kept.id, &kept.root), (documents, id, root));
        assert_eq!((kept.landed, kept.transaction.as_deref()), (landed, transaction));
    }
}

#[test]
fn what_landed_unnoted_is_found_by_the_ledgers_root() {
    let folder = tempfile::tempdir().unwrap();
    let store = EvidenceStore::open(&folder.path().join("evidence.sqlite")).unwrap();
    let (first, first_root) = put_one(&store, documents(3, 1), 1);
    let (_, second_root) = put_one(&store, documents(3, 2), 2);
    let (_, third_root) = put_one(&store, documents(3, 3), 3);
    let subject = Key([1; 32]);
    store.signed(&[(first, "first".into())]).unwrap();
    let foreign = Digest([9; 32]);
    assert_eq!(store.recognise(&[second_root, foreign]).unwrap(), [second_root].into());
    let latest = store.latest(&subject).unwrap().unwrap();
    assert_eq!((latest.root, latest.transaction), (second_root, None));
    // The older one again changes nothing; the third never landed.
    assert_eq!(store.recognise(&[first_root]).unwrap(), [first_root].into());
    assert_eq!(store.latest(&subject).unwrap().unwrap().root, second_root);
    assert_ne!(store.latest(&subject).unwrap().unwrap().root, third_root);
    assert_eq!(store.recognise(&[]).unwrap(), BTreeSet::new());
}

/// A file as the first form was.
fn first_form(path: &Path, batches: &[(Vec<Document>, Option<&str>)]) {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE batch (id INTEGER PRIMARY KEY, root BLOB NOT NULL, made_ms INTEGER NOT NULL, signature TEXT);
             CREATE TABLE document (sha256 BLOB NOT NULL, batch INTEGER NOT NULL, place INTEGER NOT NULL,
                 subject BLOB NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (sha256, batch)) WITHOUT ROWID;
             CREATE INDEX document_batch ON document (batch, place);
             CREATE INDEX document_subject ON document (subject, batch);
             CREATE INDEX batch_made ON batch (made_ms);",
        )
        .unwrap();
    for (documents, signature) in batches {
        let names: Vec<Digest> = documents.iter().map(|d| d.name).collect();
        let insert = "INSERT INTO batch (root, made_ms, signature) VALUES (?1, 7, ?2)";
        connection.execute(insert, params![merkle::root(&names).0, signature]).unwrap();
        let batch = connection.last_insert_rowid();
        for (place, d) in documents.iter().enumerate() {
            let insert = "INSERT INTO document VALUES (?1, ?2, ?3, ?4, ?5)";
            connection.execute(insert, params![d.name.0, batch, place as i64, d.subject.0, d.bytes]).unwrap();
        }
    }
}

#[test]
fn a_file_of_the_first_form_is_brought_up_to_date_with_all_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evidence.sqlite");
    let (old, young, unsigned) = (documents(4, 1), documents(4, 2), documents(4, 3));
    first_form(&path, &[(old.clone(), Some("old")), (young.clone(), Some("young")), (unsigned.clone(), None)]);
    for _ in 0..2 {
        let store = EvidenceStore::open(&path).unwrap();
        for d in old.iter().chain(&young).chain(&unsigned) {
            assert_eq!(store.document(&d.name).unwrap().as_ref(), Some(&d.bytes));
        }
        for d in &young {
            let signed = store.latest(&d.subject).unwrap().unwrap();
            assert_eq!((signed.sha256, signed.transaction.as_deref()), (d.name, Some("young")));
            assert_eq!(signed.proof.root(&d.name), Some(signed.root));
        }
    }
    assert_eq!(EvidenceStore::open(&path).unwrap().prune(8).unwrap(), 3);
}

#[test]
fn what_is_not_known_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evidence.sqlite");
    put_one(&EvidenceStore::open(&path).unwrap(), documents(2, 1), 1);
    let change = |sql: &str| Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    change("UPDATE meta SET value = 3");
    let error = EvidenceStore::open(&path).unwrap_err();
    assert!(matches!(error, EvidenceError::Version { found: 3 }), "{error}");
    change("DELETE FROM meta");
    assert!(matches!(EvidenceStore::open(&path).unwrap_err(), EvidenceError::Corrupt));
    change("INSERT INTO meta VALUES ('version', 2)");
    let store = EvidenceStore::open(&path).unwrap();
    assert!(store.document(&documents(2, 1)[0].name).unwrap().is_some());

    let other = folder.path().join("other.sqlite");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE other (x)").unwrap();
    assert!(matches!(EvidenceStore::open(&other).unwrap_err(), EvidenceError::Corrupt));
    // A first form that holds what can't be: nothing of it is lost.
    let broken = folder.path().join("broken.sqlite");
    first_form(&broken, &[(documents(2, 1), None)]);
    let change = |sql: &str| Connection::open(&broken).unwrap().execute_batch(sql).unwrap();
    change("UPDATE document SET subject = x'00'");
    assert!(matches!(EvidenceStore::open(&broken).unwrap_err(), EvidenceError::Corrupt));
    change("UPDATE document SET bytes = bytes");
}

#[test]
fn a_damaged_batch_is_an_error_and_never_other_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evidence.sqlite");
    let store = EvidenceStore::open(&path).unwrap();
    let documents = documents(3, 1);
    put_one(&store, documents.clone(), 1);
    Connection::open(&path).unwrap().execute("UPDATE batch SET bytes = substr(bytes, 2)", []).unwrap();
    assert!(matches!(store.document(&documents[1].name), Err(EvidenceError::Corrupt)));
}

/// Measures, on demand: `--ignored --nocapture evidence_at_fleet_scale`.
#[test]
#[ignore = "a measurement"]
fn evidence_at_fleet_scale() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evidence.sqlite");
    let store = EvidenceStore::open(&path).unwrap();
    let judged = crate::evidence::tests::long_evidence;
    let (batch, batches) = (24, 400);
    let all: Vec<Vec<Document>> = (0..batches)
        .map(|b| {
            let document = |n: usize| {
                let (subject, evidence) = judged(b * batch + n);
                let (name, bytes) = evidence.document().unwrap();
                Document { subject, name, bytes }
            };
            (0..batch).map(document).collect()
        })
        .collect();
    let raw: usize = all.iter().flatten().map(|d| d.bytes.len()).sum();
    let count = batch * batches;
    let size = |path: &Path| std::fs::metadata(path).unwrap().len();
    let timed = |what: &str, work: &mut dyn FnMut()| {
        let began = std::time::Instant::now();
        work();
        let s = began.elapsed().as_secs_f64();
        println!("{what}: {s:.2} s, {:.0} documents/s", count as f64 / s);
    };
    timed("one commit for each batch", &mut || {
        for batch in &all {
            store.put(std::slice::from_ref(batch), 1).unwrap();
        }
    });
    timed("one commit for all", &mut || drop(store.put(&all, 2).unwrap()));
    let ids: Vec<_> = (1..=2 * batches as i64).map(|id| (BatchId(id), "x".repeat(88))).collect();
    timed("noting", &mut || store.signed(&ids).unwrap());
    timed("pruning half", &mut || assert_eq!(store.prune(2).unwrap(), batches as u64));
    store
        .connection()
        .unwrap()
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE); VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    let first = folder.path().join("first.sqlite");
    let old: Vec<_> = all.iter().map(|b| (b.clone(), Some("x"))).collect();
    let connection = Connection::open(&first).unwrap();
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF").unwrap();
    drop(connection);
    first_form(&first, &old);
    Connection::open(&first).unwrap().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let per = |bytes: u64| bytes as f64 / count as f64;
    println!(
        "a document: {:.0} bytes as JSON, {:.0} in the first form, {:.0} now",
        raw as f64 / count as f64,
        per(size(&first)),
        per(size(&path))
    );
}
