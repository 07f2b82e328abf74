//! Changes on whose way nothing is lost: a metric goes by stops, and a router comes back overloaded.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use causeway_agent::{
    driver::{Driver, DriverError},
    frr::{FrrDriver, FrrOptions, NoProber},
};

use crate::{
    LONG, applied,
    lab::{PATIENCE, Router, eventually, join_by},
};

const DAEMONS: [&str; 2] = ["zebra", "isisd"];
const RING: usize = 5;
const METRIC: u32 = 4_000;
const DRAINED: u32 = 1_000_000;
/// How much later one end of a link takes a text than the other one.
const LATER: Duration = Duration::from_secs(12);
/// A verb's time that is shorter than the longest wait for routes.
const VERB: Duration = Duration::from_secs(12);

/// The port of the link from one router of the ring to the next.
fn port(at: usize) -> String {
    format!("eth{}", at % RING)
}

/// The text of one router of the ring, with a metric for its link to the next one.
fn text(at: usize, metric: u32) -> String {
    let before = (at + RING - 1) % RING;
    let interface = |link: usize, side: usize, metric: u32| {
        format!(
            "interface {}\n description x-y\n ip address 10.0.{link}.{side}/31\n ip router isis 1\n isis circuit-type level-2-only\n \
             isis hello-interval 1\n isis metric {metric}\n isis network point-to-point\nexit\n",
            port(link)
        )
    };
    format!(
        "router isis 1\n net 49.0000.c612.000{}.0000.00\n is-type level-2-only\n metric-style wide\n lsp-gen-interval 1\n \
         spf-delay-ietf init-delay 50 short-delay 200 long-delay 200 holddown 2000 time-to-learn 500\nexit\n\
         interface lo\n description LOOPBACK\n ip address 198.18.0.{}/32\n ip router isis 1\n isis circuit-type level-2-only\n \
         isis passive\nexit\n{}{}",
        at + 1,
        at + 1,
        interface(at, 0, metric),
        interface(before, 1, METRIC),
    )
}

/// Five routers in a ring, all links alike, that know each other.
async fn ring() -> Vec<Router> {
    let routers: Vec<Router> = (0..RING).map(|at| Router::new(&format!("r{at}"), &DAEMONS)).collect();
    for at in 0..RING {
        join_by(&port(at), &routers[at], &routers[(at + 1) % RING]);
    }
    for (at, router) in routers.iter().enumerate() {
        applied(&router.driver(), &text(at, METRIC)).await;
    }
    for router in &routers {
        eventually("every route", || routes(router) == RING - 1);
    }
    routers
}

/// How many other routers' loopbacks a router sends to.
fn routes(router: &Router) -> usize {
    let shown = crate::lab::must("ip", &["-n", &router.name, "-4", "route", "show", "proto", "isis"]);
    shown.lines().filter(|line| line.starts_with("198.18.0.")).count()
}

/// What another router sees of a router's link to the next one: metrics, in the order in which they came.
fn watched<T>(by: &Router, at: usize, work: impl FnOnce() -> T) -> (Vec<u32>, T) {
    let next = (at + 1) % RING + 1;
    let question = format!("show isis database detail c612.000{}.0000.00-00", at + 1);
    let wanted = format!("Extended Reachability: c612.000{next}.0000.00 (Metric: ");
    let look = || {
        let shown = by.vtysh(&[&question]);
        let line = shown.lines().find_map(|line| line.trim().strip_prefix(&wanted)?.strip_suffix(')')?.parse().ok());
        line.unwrap_or(0)
    };
    let over = Arc::new(AtomicBool::new(false));
    thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut seen: Vec<u32> = Vec::new();
            loop {
                let last = over.load(Ordering::Relaxed);
                let metric = look();
                if seen.last() != Some(&metric) {
                    seen.push(metric);
                }
                if last {
                    return seen;
                }
                thread::sleep(Duration::from_millis(100));
            }
        });
        let done = work();
        // For the last metric to get there.
        thread::sleep(Duration::from_secs(2));
        over.store(true, Ordering::Relaxed);
        (looking.join().unwrap(), done)
    })
}

fn change(router: &Router, at: usize, metric: u32) {
    tokio::runtime::Runtime::new().unwrap().block_on(applied(&router.driver(), &text(at, metric)));
}

#[test]
fn a_drain_that_could_send_packets_round_goes_by_a_stop_and_so_does_the_way_back() {
    let routers = tokio::runtime::Runtime::new().unwrap().block_on(ring());
    // Router 0 and router 4 reach router 1 and 2 by the link: without it 0 goes round by 4, which turns 8 000 later.
    let (seen, ()) = watched(&routers[2], 0, || change(&routers[0], 0, DRAINED));
    let [first, stop, last] = seen[..] else { panic!("one stop was expected: {seen:?}") };
    assert_eq!((first, last), (METRIC, DRAINED));
    assert!((METRIC..METRIC + 4 * METRIC).contains(&stop), "{stop}");
    let (seen, ()) = watched(&routers[2], 0, || change(&routers[0], 0, METRIC));
    assert_eq!(seen, [DRAINED, stop, METRIC]);
    // The link goes, and comes back: as a drained one, and then by the same stop.
    let header = format!("interface {}\n description x-y\n ip address 10.0.0.0/31\n", port(0));
    let without = text(0, METRIC).replace(
        &format!(
            "{header} ip router isis 1\n isis circuit-type level-2-only\n isis hello-interval 1\n isis metric {METRIC}\n \
             isis network point-to-point\n"
        ),
        &header,
    );
    assert_ne!(without, text(0, METRIC));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(applied(&routers[0].driver(), &without));
    eventually("the link is gone", || routes(&routers[0]) == RING - 1 && routes(&routers[2]) == RING - 1);
    let (seen, ()) = watched(&routers[2], 0, || change(&routers[0], 0, METRIC));
    assert_eq!(seen.last_chunk(), Some(&[DRAINED, stop, METRIC]), "{seen:?}");
}

#[test]
fn a_link_has_its_own_metric_only_after_its_other_end_has_come() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let routers = runtime.block_on(ring());
    let drained_hard = |at: usize, side: u8| {
        let begin = format!(" ip address 10.0.0.{side}/31\n ip router isis 1\n");
        let passive = text(at, METRIC).replace(&begin, &format!("{begin} isis passive\n"));
        assert_ne!(passive, text(at, METRIC));
        passive
    };
    runtime.block_on(async {
        applied(&routers[0].driver(), &drained_hard(0, 0)).await;
        applied(&routers[1].driver(), &drained_hard(1, 1)).await;
    });
    let (seen, ()) = watched(&routers[2], 0, || {
        thread::scope(|scope| {
            scope.spawn(|| change(&routers[0], 0, METRIC));
            // The other end's agent has the same text, and takes longer to check it.
            thread::sleep(LATER);
            change(&routers[1], 1, METRIC);
        });
    });
    let [gone, first, stop, last] = seen[..] else { panic!("one stop was expected: {seen:?}") };
    assert_eq!((gone, first, last), (0, DRAINED, METRIC));
    assert!((METRIC..METRIC + 4 * METRIC).contains(&stop), "{stop}");
}

#[tokio::test]
async fn a_router_comes_back_overloaded_and_is_crossed_once_its_agent_sees_its_routes() {
    let mut routers = ring().await;
    let text = text(0, METRIC);
    let bit = "\n set-overload-bit\n";
    routers[0].driver().save_startup().await.unwrap();
    assert!(routers[0].startup().contains(bit), "{}", routers[0].startup());
    assert!(!routers[0].running().contains(bit));
    let overloaded = |by: &Router| {
        let shown = by.vtysh(&["show isis database c612.0001.0000.00-00"]);
        shown.lines().any(|line| line.trim_end().ends_with("0/0/1"))
    };
    assert!(!overloaded(&routers[2]));
    routers[0].lose_power();
    eventually("it is back, and says so", || overloaded(&routers[2]) && routes(&routers[2]) == RING - 1);
    // As an agent that sees that something else runs.
    let driver = routers[0].driver();
    let compared = driver.compare(&text).await.unwrap();
    assert!(compared.diff.contains("- set-overload-bit"), "{}", compared.diff);
    driver.load_candidate(&text).await.unwrap();
    driver.commit(LONG).await.unwrap();
    assert_eq!(routes(&routers[0]), RING - 1, "it has all routes when the bit goes");
    assert!(driver.compare(&text).await.unwrap().equal);
    driver.confirm().await.unwrap();
    eventually("it is crossed again", || !overloaded(&routers[2]));
}

#[tokio::test]
async fn a_link_that_stays_away_does_not_keep_a_router_out() {
    let a = Router::new("o", &DAEMONS);
    let overloaded = text(0, METRIC).replace(" metric-style wide\n", " metric-style wide\n set-overload-bit\n");
    applied(&a.driver(), &overloaded).await;
    let began = std::time::Instant::now();
    applied(&a.driver(), &text(0, METRIC)).await;
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    assert!(!a.running().contains("set-overload-bit"));
}

/// A router that is overloaded, and a link with a carrier whose other end never comes: its routes are waited for.
async fn overloaded_and_alone() -> (Router, Router, String) {
    let (a, b) = (Router::new("w", &DAEMONS), Router::new("v", &DAEMONS));
    join_by(&port(0), &a, &b);
    let overloaded = text(0, METRIC).replace(" metric-style wide\n", " metric-style wide\n set-overload-bit\n");
    applied(&a.driver(), &overloaded).await;
    let before = a.running();
    (a, b, before)
}

#[tokio::test]
async fn what_a_commit_waits_for_ends_within_the_time_of_its_verb() {
    let (a, _b, _) = overloaded_and_alone().await;
    let options = FrrOptions { verb: VERB, ..a.options() };
    let driver = FrrDriver::open(&options, NoProber).unwrap();
    driver.load_candidate(&text(0, METRIC)).await.unwrap();
    let began = Instant::now();
    driver.commit(LONG).await.unwrap();
    let took = began.elapsed();
    assert!(took < VERB, "{took:?}");
    driver.confirm().await.unwrap();
    assert!(!a.running().contains("set-overload-bit"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_waits_is_taken_back_at_once_and_in_time() {
    let (a, _b, before) = overloaded_and_alone().await;
    let driver = Arc::new(a.driver());
    let commits = |revert_after: Duration| {
        let driver = driver.clone();
        tokio::spawn(async move { driver.commit(revert_after).await })
    };
    let next = text(0, METRIC + 1);
    // By its agent.
    driver.load_candidate(&next).await.unwrap();
    let committing = commits(LONG);
    while !a.running().contains("isis metric 4001") {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let began = Instant::now();
    driver.revert().await.unwrap();
    let took = began.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert!(matches!(committing.await.unwrap(), Err(DriverError::State(_))), "it takes no further step");
    assert_eq!(a.running(), before);
    // By its watchdog, with an agent that has given up.
    let limit = Duration::from_secs(8);
    driver.load_candidate(&next).await.unwrap();
    let began = Instant::now();
    drop(commits(limit));
    eventually("the commit", || a.running().contains("isis metric 4001"));
    eventually("the way back", || a.running() == before);
    assert!(began.elapsed() < 2 * limit, "{:?}", began.elapsed());
    eventually("the watchdog ends", || a.watchdogs().is_empty());
    assert!(a.running() == before);
}
