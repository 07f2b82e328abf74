//! The contract and what is special here, on a real server.

use std::sync::{Arc, Mutex, OnceLock};

use super::{server::Server, *};
use crate::{
    store::{
        Append,
        contract::{self, BUCKET_MS, batch, interface},
        recorder::Recorder,
    },
    telemetry::{loader::FleetLoader, track::BLOCK},
};

/// Points these tests at a server that runs already, instead of starting their own; its databases are left behind.
const URL: &str = "CAUSEWAY_TEST_CLICKHOUSE_URL";

/// A database of one test's own, on a server that all share.
fn settings(database: &str) -> Settings {
    static SHARED: OnceLock<(tempfile::TempDir, Mutex<Server>)> = OnceLock::new();
    let settings = match std::env::var(URL) {
        Ok(url) => Settings { pace: std::time::Duration::ZERO, ..Settings::new(url) },
        Err(_) => {
            let (_, server) = SHARED.get_or_init(|| {
                let folder = tempfile::tempdir().unwrap();
                let server = Server::start(folder.path()).unwrap();
                stop_with_this_process(server.process().unwrap(), folder.path());
                (folder, Mutex::new(server))
            });
            server.lock().unwrap().settings()
        }
    };
    Settings { database: database.to_owned(), ..settings }
}

/// What is shared is never dropped; a child that waits for the end of this process ends the server.
// It outlives this process, which therefore can't wait for it.
#[allow(clippy::zombie_processes)]
fn stop_with_this_process(server: u32, folder: &std::path::Path) {
    let script = format!(
        "while kill -0 {} 2>/dev/null; do sleep 1; done; kill -9 {server}; sleep 1; rm -rf '{}'",
        std::process::id(),
        folder.display()
    );
    let null = std::process::Stdio::null;
    std::process::Command::new("setsid")
        .args(["sh", "-c", &script])
        .stdin(null())
        .stdout(null())
        .stderr(null())
        .spawn()
        .unwrap();
}

fn open(database: &str) -> ClickHouseStore {
    ClickHouseStore::open(settings(database), BUCKET_MS).unwrap()
}

fn last_sequence(store: &ClickHouseStore, device: &str) -> Option<u64> {
    let mut loader = FleetLoader::new(BUCKET_MS, 1_000_000);
    store.load(contract::at(0), &mut loader).unwrap();
    loader.finish().known(&device.parse().unwrap()).and_then(|(_, sequence)| sequence)
}

const STORED: Append = Append::Stored { ignored_samples: 0 };

#[test]
fn clickhouse_keeps_the_contract() {
    contract::run(&|| Arc::new(open("contract")));
}

#[test]
fn clickhouse_refuses_a_later_schema() {
    let store = open("later");
    let insert = format!("INSERT INTO schema_version VALUES ({})", schema::CURRENT + 1);
    store.writing.one(Request::plain(insert)).unwrap();
    let error = ClickHouseStore::open(settings("later"), BUCKET_MS).unwrap_err();
    assert!(matches!(error, StoreError::Schema { found, known } if found == known + 1), "{error}");
}

#[test]
fn names_and_addresses_that_cannot_be_meant_are_refused() {
    for (url, database) in [("http://h", "a;b"), ("http://h", ""), ("ftp://h", "a"), ("http://h", "ä")] {
        let settings = Settings { database: database.to_owned(), ..Settings::new(url) };
        assert!(settings.check().is_err(), "{url} {database}");
    }
}

#[test]
fn a_server_that_is_away_is_an_error_and_tells_no_secret() {
    let settings = Settings {
        password: "hunter2".to_owned(),
        timeout: std::time::Duration::from_secs(2),
        ..Settings::new("http://user:hunter2@127.0.0.1:9")
    };
    assert!(!format!("{settings:?}").contains("hunter2"));
    let error = ClickHouseStore::open(settings, BUCKET_MS).unwrap_err();
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
}

/// Rows of a commit that was never finished are there, and count for nothing: neither read, nor twice once the agent has
/// sent the batch again.
#[test]
fn what_a_dead_writer_left_does_not_count() {
    let store = Arc::new(open("orphans"));
    let recorder = Recorder::new(store.clone(), BUCKET_MS);
    recorder.append(vec![batch("a", 1, vec![interface(1_000, "eth1", 10)])]).unwrap();
    // Everything of the next commit but the row that makes it count; its series has the number that the next gets.
    let mut fleet = FleetLoader::new(BUCKET_MS, 1_000_000);
    store.load(contract::at(0), &mut fleet).unwrap();
    let (mut fleet, mut commit) = (fleet.finish(), Commit::default());
    fleet.take(batch("b", 7, vec![interface(2_000, "eth9", 99)]), &mut commit);
    let number = store.writer().read.unwrap() + 1;
    for answer in store.writing.all(write::requests(&commit, number)).unwrap() {
        answer.unwrap();
    }
    drop((recorder, store));

    let store = Arc::new(open("orphans"));
    assert_eq!(last_sequence(&store, "b"), None);
    let recorder = Recorder::new(store.clone(), BUCKET_MS);
    let again = batch("b", 7, vec![interface(2_000, "eth9", 99)]);
    assert_eq!(recorder.append(vec![batch("c", 1, vec![interface(2_000, "eth3", 5)])]).unwrap(), [STORED]);
    assert_eq!(recorder.append(vec![again.clone()]).unwrap(), [STORED]);
    let store = open("orphans");
    assert_eq!(last_sequence(&store, "b"), Some(7));
    let mut loader = FleetLoader::new(BUCKET_MS, 1_000_000);
    store.load(contract::at(0), &mut loader).unwrap();
    let fleet = loader.finish();
    let names = |device: &str| -> Vec<String> {
        let device = fleet.device(&device.parse().unwrap()).unwrap();
        device.interfaces.iter().map(|(name, _)| name.as_str().to_owned()).collect()
    };
    assert_eq!((names("b"), names("c")), (vec!["eth9".to_owned()], vec!["eth3".to_owned()]));
    let device = fleet.known(&"b".parse().unwrap()).unwrap().0;
    assert_eq!(store.batches(device, 0, 10).unwrap().len(), 1);
}

/// Two processes on one database: the one that did not read what the other wrote is refused, and may go on once it has.
#[test]
fn two_writers_never_mix() {
    let (one, two) = (Arc::new(open("two")), Arc::new(open("two")));
    let first = Recorder::new(one.clone(), BUCKET_MS);
    let second = Recorder::new(two, BUCKET_MS);
    first.append(vec![batch("a", 1, vec![interface(1_000, "eth1", 1)])]).unwrap();
    second.append(vec![batch("b", 1, vec![interface(1_000, "eth1", 1)])]).unwrap();
    let refused = first.append(vec![batch("a", 2, vec![interface(2_000, "eth1", 2)])]).unwrap_err();
    assert!(matches!(refused, StoreError::ClickHouse(ClickHouseError::TakenOver { .. })), "{refused}");
    assert_eq!(first.append(vec![batch("a", 2, vec![interface(2_000, "eth1", 2)])]).unwrap(), [STORED]);
    assert_eq!(second.append(vec![batch("b", 2, vec![])]).ok(), None);
    let store = open("two");
    assert_eq!((last_sequence(&store, "a"), last_sequence(&store, "b")), (Some(2), Some(1)));
}

/// The server dies without a word in the middle of ingest, again and again. What was reported as stored is there, what was
/// not is there wholly or not at all, and the same batch sent again is stored or known.
#[test]
fn what_was_accepted_survives_a_killed_server() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path()).unwrap();
    let settings = Settings { timeout: std::time::Duration::from_secs(5), ..server.settings() };
    let store = Arc::new(ClickHouseStore::open(settings.clone(), BUCKET_MS).unwrap());
    let mut accepted = 0u64;
    for round in 0..5u64 {
        let process = server.process().unwrap();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(20 + round * 37));
            assert!(std::process::Command::new("kill").args(["-9", &process.to_string()]).status().unwrap().success());
        });
        let recorder = Recorder::new(store.clone(), BUCKET_MS);
        let (began, before) = (std::time::Instant::now(), accepted);
        let enough = || began.elapsed() > std::time::Duration::from_millis(600);
        // Attempts outlast the server; it comes back while the last one waits.
        let resume = std::thread::spawn(move || {
            killer.join().unwrap();
            std::thread::sleep(std::time::Duration::from_millis(200));
            server.resume().unwrap();
            server
        });
        while !enough() || accepted == before {
            assert!(began.elapsed() < std::time::Duration::from_secs(60), "the server does not come back");
            let sequence = accepted + 1;
            let sample = interface(sequence * BUCKET_MS, "eth1", sequence * 10);
            match recorder.append(vec![batch("killed", sequence, vec![sample])]).as_deref() {
                Ok([Append::Stored { ignored_samples: 0 }]) => accepted = sequence,
                Ok([Append::Replay { last_sequence }]) => {
                    assert_eq!(*last_sequence, sequence, "kept although it failed, and known as such");
                    accepted = sequence;
                }
                Ok(other) => panic!("{other:?}"),
                Err(_) => {}
            }
        }
        server = resume.join().unwrap();
        let again = ClickHouseStore::open(settings.clone(), BUCKET_MS).unwrap();
        let mut loader = FleetLoader::new(BUCKET_MS, 1_000_000);
        again.load(contract::at(0), &mut loader).unwrap();
        let fleet = loader.finish();
        let code = "killed".parse().unwrap();
        assert_eq!(fleet.known(&code).unwrap().1, Some(accepted));
        let track = fleet
            .device(&code)
            .unwrap()
            .interfaces
            .get(&"eth1".parse::<causeway_interface::InterfaceName>().unwrap())
            .unwrap();
        let held = track.held();
        assert_eq!(track.count(held.start * BLOCK, held.end * BLOCK, |masks| masks.present), accepted);
        let count = again.reading.one(Request::plain(format!(
            "SELECT count() FROM interface_sample WHERE 1{}",
            journal::counting(&again.reading).unwrap().0
        )));
        assert_eq!(String::from_utf8(count.unwrap()).unwrap().trim(), accepted.to_string(), "each once");
    }
}

/// What is shown to people is in tables of its own, each sample once, and a database of before gets them.
#[test]
fn sessions_and_machines_are_kept_for_people() {
    let store = Arc::new(open("shown"));
    for table in schema::SHOWN {
        store.writing.one(Request::plain(format!("DROP TABLE {table}"))).unwrap();
    }
    store.writing.one(Request::plain("ALTER TABLE schema_version DELETE WHERE version = 2")).unwrap();
    let version =
        || store.writing.one(Request::plain("SELECT toUInt32(max(version)) FROM schema_version FORMAT RowBinary"));
    let began = std::time::Instant::now();
    // The server deletes in its own time.
    while Rows::new(&version().unwrap()).u32().unwrap() != 1 {
        assert!(began.elapsed() < std::time::Duration::from_secs(60), "the version is not gone");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let recorder = Recorder::new(Arc::new(open("shown")), BUCKET_MS);
    assert_eq!(recorder.append(vec![contract::vital(1)]).unwrap(), [STORED]);
    assert_eq!(recorder.append(vec![contract::vital(2)]).unwrap(), [Append::Stored { ignored_samples: 3 }]);
    let rows = |sql: &str| String::from_utf8(store.reading.one(Request::plain(sql)).unwrap()).unwrap();
    let sessions =
        rows("SELECT peer, established, prefixes_known, prefixes_received FROM session_sample ORDER BY peer");
    assert_eq!(sessions, "198.18.0.1\t1\t1\t4\n2001:db8::1\t0\t0\t0\n");
    assert_eq!(rows("SELECT cpu_busy_permille FROM system_sample"), "125\n");
}

/// A device that is silent for longer than anything is kept is still known.
#[test]
fn devices_outlive_what_is_forgotten() {
    let store = Arc::new(open("forget"));
    let recorder = Recorder::new(store.clone(), BUCKET_MS);
    recorder.append(vec![batch("silent", 5, vec![interface(1_000, "eth1", 1)])]).unwrap();
    // As if it had been written long ago.
    let run = |sql: String| store.writing.one(Request::plain(sql)).unwrap();
    let written = load::partitions(&store.writing, "device").unwrap();
    run("INSERT INTO device (commit, id, code, written_ms, last_sequence, chain)
         SELECT commit, id, code, toUInt64(1704067200000), last_sequence, chain FROM device"
        .to_owned());
    for partition in &written {
        run(format!("ALTER TABLE device DROP PARTITION {partition}"));
    }
    store.prune(journal::now_ms()).unwrap();
    store.prune(journal::now_ms()).unwrap();
    for table in schema::SAMPLES.into_iter().chain(schema::SHOWN).chain(["batch"]) {
        assert!(load::partitions(&store.reading, table).unwrap().is_empty(), "{table}");
    }
    let left = load::partitions(&store.reading, "device").unwrap();
    assert!(left.len() == 1 && left.first() >= written.first(), "{left:?}");
    assert_eq!(last_sequence(&open("forget"), "silent"), Some(5));
    let known = Recorder::new(Arc::new(open("forget")), BUCKET_MS).append(vec![batch("silent", 5, vec![])]).unwrap();
    assert_eq!(known, [Append::Replay { last_sequence: 5 }]);
}

/// Commits that are known to have left nothing are no longer excluded one by one.
#[test]
fn void_commits_without_rows_are_found_to_be_empty() {
    let store = open("empty");
    Journal::open(&store.writing, std::time::Duration::ZERO, None).unwrap();
    assert_eq!(journal::voids(&store.writing, u64::MAX).unwrap(), [1]);
    store
        .writing
        .one(Request::plain("INSERT INTO commits (commit, state, at_ms) VALUES (2, 1, 5), (3, 1, 5)"))
        .unwrap();
    let row = "INSERT INTO adjacency_sample (commit, series, at_ms, up) VALUES (3, 1, 1800000000000, 1)";
    store.writing.one(Request::plain(row)).unwrap();
    store.prune(1_700_000_000_000).unwrap();
    // The first was declared void just now: something of it may still arrive. Of the third there is a row.
    assert_eq!(journal::voids(&store.writing, u64::MAX).unwrap(), [1, 3]);
}

/// A server that takes connections and answers nothing holds a commit up no longer than it may, and forgetting too; what
/// comes after it counts, once.
#[test]
fn a_server_that_hangs_holds_a_commit_up_no_longer_than_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).unwrap();
    let patience = std::time::Duration::from_millis(1_500);
    let store = Arc::new(ClickHouseStore::open(Settings { patience, ..server.settings() }, BUCKET_MS).unwrap());
    let recorder = Recorder::new(store.clone(), BUCKET_MS);
    recorder.append(vec![batch("hung", 1, vec![interface(1_000, "eth1", 1)])]).unwrap();
    let signal = |name: &str| {
        let process = server.process().unwrap().to_string();
        assert!(std::process::Command::new("kill").args([name, &process]).status().unwrap().success());
    };
    signal("-STOP");
    let second = || vec![batch("hung", 2, vec![interface(2_000, "eth1", 2)])];
    // The first finds the fleet in memory, the second has to load it.
    for _ in 0..2 {
        let began = std::time::Instant::now();
        let error = recorder.append(second()).unwrap_err();
        let took = began.elapsed();
        assert!(matches!(&error, StoreError::ClickHouse(error) if error.is_transient()), "{error:?}");
        // What is on top is this machine's.
        assert!(took < patience + std::time::Duration::from_secs(3), "{took:?}");
    }
    assert!(recorder.read(contract::at(0), 0, |_| ()).is_err());
    signal("-CONT");
    let answer = recorder.append(second()).unwrap();
    assert!(answer == [STORED] || answer == [Append::Replay { last_sequence: 2 }], "{answer:?}");
    let count = store.reading.one(Request::plain(format!(
        "SELECT count() FROM interface_sample WHERE 1{}",
        journal::counting(&store.reading).unwrap().0
    )));
    assert_eq!(String::from_utf8(count.unwrap()).unwrap().trim(), "2", "each once");
}
