//! What every store of jobs has to do; SQLite and a real PostgreSQL run all of it.

use std::{sync::Arc, time::Duration};

use causeway_interface::Code;
use causeway_jobs::{
    clock,
    spec::JobId,
    store::{
        Append, Claim, Filter, JobStore, MAX_ARTIFACT_BYTES, MAX_PAGE, NewJob, Position, StoreError, Summary,
        postgres::{PostgresStore, server::Server},
        sqlite::SqliteStore,
    },
};

/// Longer than a busy machine takes between two calls, and short enough to be waited for.
const LEASE_MS: u64 = 400;
/// Of whoever has time.
const LONG_MS: u64 = 60_000;

fn code(name: &str) -> Code {
    name.parse().unwrap()
}

fn open() -> Summary {
    Summary { status: "PROVISIONING".into(), state: "RUNNING".into(), percent: 12, holds: true, runnable: true }
}

fn over() -> Summary {
    Summary { status: "PROVISIONED".into(), state: "DONE".into(), percent: 100, holds: false, runnable: false }
}

fn new(devices: &[&str]) -> NewJob {
    let devices = devices.iter().map(|device| code(device)).collect();
    NewJob { kind: "provision".into(), devices, parent: None, event: "first".into(), summary: open(), under: None }
}

fn add(job: JobId, seq: u64, token: Option<i64>, summary: Summary) -> Append {
    Append { job, seq, token, events: vec![format!("event {seq}")], artifacts: Vec::new(), summary }
}

type Store = Arc<dyn JobStore>;

async fn claim_one(store: &Store, who: &str, job: JobId, lease_ms: u64) -> Option<Claim> {
    let claims = store.claim(who.into(), lease_ms, 1_000).await.unwrap();
    claims.into_iter().find(|claim| claim.job == job)
}

async fn lease_over() {
    tokio::time::sleep(Duration::from_millis(LEASE_MS * 2)).await;
}

async fn end(store: &Store, job: JobId) {
    let row = store.job(job).await.unwrap().unwrap();
    store.append(add(job, row.next_seq, None, over())).await.unwrap();
}

async fn events_read_back_in_order_and_without_gaps(store: &Store) {
    let job = store.start(new(&["events"])).await.unwrap();
    let mut two = add(job, 1, None, open());
    two.events.push("event 2, with 'quotes', \u{1f980} and \"more\"".into());
    two.artifacts.push(("events/diff".into(), vec![0, 255, 7]));
    store.append(two).await.unwrap();
    let rows = store.events(job, 0, MAX_PAGE).await.unwrap();
    let texts: Vec<(u64, &str)> = rows.iter().map(|row| (row.seq, row.text.as_str())).collect();
    assert_eq!(texts, [(0, "first"), (1, "event 1"), (2, "event 2, with 'quotes', \u{1f980} and \"more\"")]);
    assert_eq!(store.events(job, 2, MAX_PAGE).await.unwrap(), rows[2..]);
    assert_eq!(store.events(job, 1, 1).await.unwrap(), rows[1..2]);
    assert_eq!(store.artifact(job, "events/diff".into()).await.unwrap(), Some(vec![0, 255, 7]));
    assert_eq!(store.artifact(job, "events/backup".into()).await.unwrap(), None);
    assert!(store.events(JobId(i64::MAX), 0, MAX_PAGE).await.unwrap().is_empty());
    end(store, job).await;
}

async fn an_append_that_does_not_know_the_latest_event_is_refused_whole(store: &Store) {
    let job = store.start(new(&["conflict"])).await.unwrap();
    let mut late = add(job, 0, None, over());
    late.artifacts.push(("x".into(), vec![1]));
    for seq in [0, 2, u64::from(u32::MAX)] {
        let refused = store.append(Append { seq, ..late.clone() }).await;
        assert!(matches!(refused, Err(StoreError::Conflict { next: 1 } | StoreError::Full(_))), "{refused:?}");
    }
    assert_eq!(store.events(job, 0, MAX_PAGE).await.unwrap().len(), 1);
    assert_eq!(store.artifact(job, "x".into()).await.unwrap(), None);
    assert_eq!(store.job(job).await.unwrap().unwrap().summary, open());
    let unknown = store.append(add(JobId(i64::MAX), 1, None, open())).await;
    assert!(matches!(unknown, Err(StoreError::Unknown(_))), "{unknown:?}");
    let mut long = add(job, 1, None, open());
    long.artifacts.push(("long".into(), vec![0; MAX_ARTIFACT_BYTES + 1]));
    assert!(matches!(store.append(long).await, Err(StoreError::Full(_))));
    assert!(store.append(Append { events: Vec::new(), ..add(job, 1, None, open()) }).await.is_err());
    end(store, job).await;
}

async fn of_many_that_append_at_once_one_is_let_in(store: &Store) {
    let job = store.start(new(&["race"])).await.unwrap();
    for seq in 1..6 {
        let all = (0..8).map(|_| store.append(add(job, seq, None, open())));
        let kept = futures::future::join_all(all).await.into_iter().filter(Result::is_ok).count();
        assert_eq!(kept, 1, "event {seq}");
    }
    assert_eq!(store.events(job, 0, MAX_PAGE).await.unwrap().len(), 6);
    end(store, job).await;
}

async fn a_device_is_held_by_one_job_at_a_time(store: &Store) {
    let job = store.start(new(&["held-a", "held-b"])).await.unwrap();
    for devices in [&["held-a"][..], &["held-b", "held-c"]] {
        let refused = store.start(new(devices)).await;
        assert!(matches!(refused, Err(StoreError::Busy { job: by, .. }) if by == job), "{refused:?}");
    }
    assert_eq!(store.holder_of(code("held-c")).await.unwrap(), None, "a refused start left something");
    assert_eq!(store.holder_of(code("held-b")).await.unwrap(), Some(job));
    end(store, job).await;
    let all = (0..8).map(|_| store.start(new(&["held-a", "held-b"])));
    let started: Vec<JobId> = futures::future::join_all(all).await.into_iter().filter_map(Result::ok).collect();
    let [second] = started.as_slice() else { panic!("{started:?} all hold one device") };
    // The first one is to go on, and can't have its devices back.
    let refused = store.append(add(job, 2, None, open())).await;
    assert!(matches!(refused, Err(StoreError::Busy { job: by, .. }) if by == *second), "{refused:?}");
    end(store, *second).await;
    store.append(add(job, 2, None, open())).await.unwrap();
    assert_eq!(store.holder_of(code("held-a")).await.unwrap(), Some(job));
    end(store, job).await;
}

async fn a_job_is_leased_to_one_and_to_the_next_when_that_one_is_gone(store: &Store) {
    let job = store.start(new(&["leased"])).await.unwrap();
    let first = claim_one(store, "a", job, LEASE_MS).await.expect("nobody has it");
    assert_eq!(claim_one(store, "b", job, LEASE_MS).await, None);
    assert_eq!(store.renew(first, LEASE_MS).await.unwrap(), 1);
    store.append(add(job, 1, Some(first.token), open())).await.unwrap();
    assert_eq!(store.renew(first, LEASE_MS).await.unwrap(), 2);
    lease_over().await;
    // Over, and nobody else's yet: also then it does nothing any more.
    let fenced = store.append(add(job, 2, Some(first.token), open())).await;
    assert!(matches!(fenced, Err(StoreError::Fenced)), "{fenced:?}");
    assert!(matches!(store.renew(first, LEASE_MS).await, Err(StoreError::Fenced)));
    let second = claim_one(store, "b", job, LONG_MS).await.expect("its holder is gone");
    assert!(second.token > first.token);
    for (what, refused) in [
        ("an append", store.append(add(job, 2, Some(first.token), open())).await),
        ("a renewal", store.renew(first, LEASE_MS).await.map(drop)),
        ("putting aside", store.set_broken(first, "x".into()).await),
    ] {
        assert!(matches!(refused, Err(StoreError::Fenced)), "{what}: {refused:?}");
    }
    store.release(first).await.unwrap();
    assert_eq!(claim_one(store, "c", job, LEASE_MS).await, None, "the old holder gave the new one's lease away");
    store.append(add(job, 2, Some(second.token), open())).await.unwrap();
    // Somebody who only asks something needs no lease.
    store.append(add(job, 3, None, open())).await.unwrap();
    assert_eq!(store.renew(second, LONG_MS).await.unwrap(), 4);
    store.release(second).await.unwrap();
    let third = claim_one(store, "c", job, LONG_MS).await.expect("it was given back");
    assert!(third.token > second.token);
    store.append(add(job, 4, Some(third.token), over())).await.unwrap();
    store.release(third).await.unwrap();
    assert_eq!(claim_one(store, "d", job, LEASE_MS).await, None, "it is over");
}

async fn of_many_that_claim_at_once_each_job_goes_to_one(store: &Store) {
    let mut jobs = Vec::new();
    for n in 0..20 {
        jobs.push(store.start(new(&[&format!("claim-{n}")])).await.unwrap());
    }
    let all = (0..8).map(|n| store.claim(format!("c{n}"), LONG_MS, 5));
    let mut claimed: Vec<JobId> =
        futures::future::join_all(all).await.into_iter().flat_map(Result::unwrap).map(|claim| claim.job).collect();
    while let Some(claim) = store.claim("last".into(), LONG_MS, 5).await.unwrap().pop() {
        claimed.push(claim.job);
    }
    claimed.retain(|job| jobs.contains(job));
    claimed.sort();
    let mut once = claimed.clone();
    once.dedup();
    assert_eq!(claimed, once, "a job was given to two");
    for job in jobs {
        end(store, job).await;
    }
}

async fn what_waits_is_told_with_its_devices_and_given_to_who_chooses_it(store: &Store) {
    let mut jobs = vec![store.start(new(&["wait-b", "wait-a"])).await.unwrap()];
    jobs.push(store.start(new(&["wait-c"])).await.unwrap());
    jobs.push(store.start(new(&["wait-d"])).await.unwrap());
    let before = JobId(jobs[0].0 - 1);
    let waiting = async |after| store.waiting(after, 1_000).await.unwrap();
    let all = waiting(before).await;
    assert_eq!(all.iter().map(|waiting| waiting.job).collect::<Vec<_>>(), jobs);
    assert_eq!(all[0].devices, [code("wait-a"), code("wait-b")]);
    assert!(all.iter().all(|waiting| waiting.idle_ms < LONG_MS));
    assert_eq!(waiting(jobs[1]).await.len(), 1);
    assert_eq!(store.waiting(before, 2).await.unwrap().len(), 2);

    let these = vec![jobs[1], jobs[2], JobId(i64::MAX)];
    let claims = store.claim_these("a".into(), LONG_MS, these.clone()).await.unwrap();
    assert_eq!(claims.iter().map(|claim| claim.job).collect::<Vec<_>>(), jobs[1..]);
    assert!(store.claim_these("b".into(), LONG_MS, these).await.unwrap().is_empty(), "somebody has them");
    assert_eq!(waiting(before).await.len(), 1);
    store.append(add(jobs[1], 1, Some(claims[0].token), open())).await.unwrap();
    // Given back, it waits from then on, whenever its last event was.
    lease_over().await;
    store.release(claims[0]).await.unwrap();
    let given = waiting(jobs[0]).await;
    assert_eq!(given.len(), 1);
    assert!(given[0].job == jobs[1] && given[0].idle_ms < LEASE_MS, "{given:?}");
    let again = store.claim_these("b".into(), LEASE_MS, vec![jobs[1]]).await.unwrap();
    assert!(again[0].token > claims[0].token);
    // And from the end of its lease, where its holder died.
    assert!(waiting(jobs[0]).await.is_empty());
    lease_over().await;
    let died = waiting(jobs[0]).await;
    assert!(died[0].idle_ms >= LEASE_MS / 2 && died[0].idle_ms < LEASE_MS * 20, "{died:?}");
    for job in &jobs {
        end(store, *job).await;
    }
    assert!(waiting(before).await.is_empty());
    assert!(store.claim_these("c".into(), LONG_MS, jobs).await.unwrap().is_empty(), "they are over");
}

async fn the_tail_is_where_the_feed_goes_on(store: &Store) {
    let tail = store.tail().await.unwrap();
    assert!(store.feed(tail, 100).await.unwrap().is_empty());
    let job = store.start(new(&["tail"])).await.unwrap();
    let seen = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            let rows = store.feed(tail, 100).await.unwrap();
            if !rows.is_empty() {
                break rows;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let seen = seen.await.unwrap();
    assert_eq!(seen.iter().map(|row| (row.job, row.seq)).collect::<Vec<_>>(), [(job, 0)]);
    assert_eq!(store.tail().await.unwrap(), seen[0].position);
    end(store, job).await;
}

async fn a_job_that_can_not_be_read_stops_no_other(store: &Store) {
    let job = store.start(new(&["broken"])).await.unwrap();
    assert!(matches!(store.abandon(job).await, Err(StoreError::Unknown(_))), "it is not broken");
    let claim = claim_one(store, "a", job, LONG_MS).await.unwrap();
    store.set_broken(claim, "event 0 can not be read".into()).await.unwrap();
    assert_eq!(claim_one(store, "b", job, LONG_MS).await, None);
    let row = store.job(job).await.unwrap().unwrap();
    assert_eq!(row.broken.as_deref(), Some("event 0 can not be read"));
    assert_eq!(store.holder_of(code("broken")).await.unwrap(), Some(job), "nobody knows what was done of it");
    store.abandon(job).await.unwrap();
    assert_eq!(store.holder_of(code("broken")).await.unwrap(), None);
}

async fn the_feed_misses_nothing_whoever_writes_meanwhile(store: &Store) {
    let mut after = Position::default();
    loop {
        let rows = store.feed(after, 100).await.unwrap();
        let Some(last) = rows.last() else { break };
        assert!(rows.windows(2).all(|pair| pair[0].position < pair[1].position) && rows[0].position > after);
        after = last.position;
    }
    assert_eq!(after.to_string().parse::<Position>().unwrap(), after);
    let (writers, each) = (6, 15);
    let write = (0..writers).map(|n| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            let job = store.start(new(&[&format!("feed-{n}")])).await.unwrap();
            for seq in 1..each {
                store.append(add(job, seq, None, open())).await.unwrap();
            }
            store.append(add(job, each, None, over())).await.unwrap();
        })
    });
    let writing = futures::future::join_all(write.collect::<Vec<_>>());
    let reading = async {
        let mut seen = Vec::new();
        while seen.len() < writers * (each as usize + 1) {
            let rows = store.feed(after, 7).await.unwrap();
            after = rows.last().map_or(after, |row| row.position);
            seen.extend(rows.into_iter().map(|row| (row.job, row.seq)));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        seen
    };
    let (_, seen) = tokio::join!(writing, tokio::time::timeout(Duration::from_secs(60), reading));
    let mut seen = seen.expect("an event was missed");
    let in_order = seen.clone();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), in_order.len(), "an event came twice");
    for (job, _) in &seen {
        let seqs: Vec<u64> = in_order.iter().filter(|(of, _)| of == job).map(|(_, seq)| *seq).collect();
        assert!(seqs.is_sorted(), "events of a job out of order: {seqs:?}");
    }
}

async fn jobs_are_found_and_old_ones_forgotten(store: &Store) {
    let parent = store.start(new(&["list-p"])).await.unwrap();
    let mut ids = Vec::new();
    for n in 0..5 {
        let child = NewJob { parent: Some(parent), ..new(&[&format!("list-{n}"), "list-x"][..=usize::from(n == 4)]) };
        ids.push(store.start(child).await.unwrap());
    }
    let list = |filter: Filter, limit| async move {
        store.list(filter, limit).await.unwrap().into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    let of_parent = Filter { parent: Some(parent), ..Filter::default() };
    let youngest: Vec<JobId> = ids.iter().rev().copied().collect();
    assert_eq!(list(of_parent.clone(), 100).await, youngest);
    assert_eq!(list(of_parent.clone(), 2).await, youngest[..2]);
    assert_eq!(list(Filter { before: Some(youngest[1]), ..of_parent.clone() }, 2).await, youngest[2..4]);
    assert_eq!(list(Filter { device: Some(code("list-x")), ..Filter::default() }, 9).await, [ids[4]]);
    assert_eq!(list(Filter { kind: Some("provision".into()), ..of_parent.clone() }, 9).await, youngest);
    assert_eq!(list(Filter { kind: Some("rollout".into()), ..of_parent.clone() }, 9).await, []);
    end(store, ids[0]).await;
    assert_eq!(list(Filter { status: Some("PROVISIONED".into()), ..of_parent.clone() }, 9).await, [ids[0]]);
    let row = store.job(ids[0]).await.unwrap().unwrap();
    assert_eq!((row.kind.as_str(), row.next_seq, row.summary.percent), ("provision", 2, 100));
    assert!(row.created_ms > 0 && row.changed_ms >= row.created_ms);
    assert_eq!(store.prune(row.changed_ms, 1_000).await.map(|_| ()).unwrap(), ());
    assert!(store.job(ids[0]).await.unwrap().is_some(), "it was changed at that time, not before");
    while store.prune(row.changed_ms + 1, 3).await.unwrap() > 0 {}
    assert!(store.job(ids[0]).await.unwrap().is_some(), "what it is part of is not over");
    let at = |state: &str| Filter { state: Some(state.into()), parent: Some(parent), ..Filter::default() };
    assert_eq!(list(at("DONE"), 9).await, [ids[0]]);
    assert_eq!(list(at("RUNNING"), 9).await, youngest[..4]);
    end(store, parent).await;
    while store.prune(u64::MAX >> 1, 3).await.unwrap() > 0 {}
    assert!(store.job(ids[0]).await.unwrap().is_none() && store.events(ids[0], 0, MAX_PAGE).await.unwrap().is_empty());
    assert!(store.job(ids[1]).await.unwrap().is_some(), "it is not over");
    for job in ids.into_iter().skip(1) {
        end(store, job).await;
    }
}

async fn nothing_is_started_in_the_name_of_somebody_who_lost_what_it_is_part_of(store: &Store) {
    let parent = store.start(new(&["under-p"])).await.unwrap();
    let child = |under, device| NewJob { parent: Some(parent), under, ..new(&[device]) };
    let none = store.start(child(Some(1), "under-1")).await;
    assert!(matches!(none, Err(StoreError::Fenced)), "nobody has it: {none:?}");
    let first = claim_one(store, "first", parent, LEASE_MS).await.unwrap();
    let mut ids = vec![store.start(child(Some(first.token), "under-1")).await.unwrap()];
    lease_over().await;
    let late = store.start(child(Some(first.token), "under-2")).await;
    assert!(matches!(late, Err(StoreError::Fenced)), "its lease is over: {late:?}");
    let second = claim_one(store, "second", parent, LONG_MS).await.unwrap();
    let late = store.start(child(Some(first.token), "under-2")).await;
    assert!(matches!(late, Err(StoreError::Fenced)), "it is somebody else's: {late:?}");
    assert_eq!(store.holder_of(code("under-2")).await.unwrap(), None);
    ids.push(store.start(child(Some(second.token), "under-2")).await.unwrap());
    ids.push(store.start(child(None, "under-3")).await.unwrap());
    for job in ids.into_iter().chain([parent]) {
        end(store, job).await;
    }
}

async fn contract(store: Store) {
    events_read_back_in_order_and_without_gaps(&store).await;
    an_append_that_does_not_know_the_latest_event_is_refused_whole(&store).await;
    of_many_that_append_at_once_one_is_let_in(&store).await;
    a_device_is_held_by_one_job_at_a_time(&store).await;
    a_job_is_leased_to_one_and_to_the_next_when_that_one_is_gone(&store).await;
    of_many_that_claim_at_once_each_job_goes_to_one(&store).await;
    what_waits_is_told_with_its_devices_and_given_to_who_chooses_it(&store).await;
    the_tail_is_where_the_feed_goes_on(&store).await;
    a_job_that_can_not_be_read_stops_no_other(&store).await;
    the_feed_misses_nothing_whoever_writes_meanwhile(&store).await;
    jobs_are_found_and_old_ones_forgotten(&store).await;
    nothing_is_started_in_the_name_of_somebody_who_lost_what_it_is_part_of(&store).await;
}

#[tokio::test]
async fn sqlite_in_memory_does_what_a_store_has_to() {
    contract(Arc::new(SqliteStore::in_memory(clock::system()).unwrap())).await;
}

#[tokio::test]
async fn sqlite_in_a_file_does_what_a_store_has_to_and_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.sqlite");
    let store: Store = Arc::new(SqliteStore::open(&path).unwrap());
    contract(Arc::clone(&store)).await;
    let job = store.start(new(&["kept"])).await.unwrap();
    drop(store);
    let again: Store = Arc::new(SqliteStore::open(&path).unwrap());
    assert_eq!(again.holder_of(code("kept")).await.unwrap(), Some(job));
    assert_eq!(again.events(job, 0, MAX_PAGE).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_does_what_a_store_has_to_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path()).unwrap_or_else(|why| panic!("{why}"));
    let url = server.url();
    // Two controllers that begin at once make the tables once.
    let (one, two) = tokio::join!(PostgresStore::open(&url, false), PostgresStore::open(&url, false));
    let (one, two): (Store, Store) = (Arc::new(one.unwrap()), Arc::new(two.unwrap()));
    contract(one).await;
    let job = two.start(new(&["kept"])).await.unwrap();
    server.kill();
    let away = two.job(job).await;
    assert!(matches!(&away, Err(error) if error.is_away()), "{away:?}");
    server.resume().unwrap();
    assert_eq!(two.events(job, 0, MAX_PAGE).await.unwrap().len(), 1, "an event that was kept is gone");
    assert_eq!(two.holder_of(code("kept")).await.unwrap(), Some(job));
}
