//! The whole apply against the model, with the texts that the renderer makes: killed, cut off, refused, reverted.

use std::{
    net::Ipv4Addr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use causeway_agent::{
    apply::{Applier, ApplyLimits},
    core::Outcome,
    driver::Driver,
    eos::{EosDriver, Timeouts},
    state::StateStore,
};

use crate::{
    bundle, driver, eventually, golden, limits,
    model::{Dialect, Fault, ModelEapi, Speaker, Wire},
    switch, text,
};

const OLD: u64 = 5;
const NEW: u64 = 6;

/// As a new process would.
fn applier(model: &ModelEapi, folder: &Path) -> (Applier<EosDriver>, Arc<StateStore>) {
    applier_within(model, folder, limits())
}

fn applier_within(model: &ModelEapi, folder: &Path, limits: ApplyLimits) -> (Applier<EosDriver>, Arc<StateStore>) {
    let store = Arc::new(StateStore::open(folder, "r1").unwrap());
    (Applier::new(Arc::new(driver(model, folder)), store.clone(), limits), store)
}

fn goldens() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../controller/tests/golden");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "eos"))
        .collect();
    names.sort();
    assert!(names.len() >= 10, "{names:?}");
    names
}

/// A golden text that a switch can run: one of them has one /31 on two interfaces, for the renderer's sake.
fn possible(name: &str) -> String {
    golden(name).replace("198.18.255.201/31", "198.18.255.203/31")
}

#[tokio::test]
async fn every_golden_text_is_applied_over_every_one_before_it_and_is_then_unchanged() {
    for dialect in [Dialect::InTheSession, Dialect::BesideTheSessions] {
        let model = ModelEapi::start(switch().listing(dialect)).await;
        let folder = tempfile::tempdir().unwrap();
        let (applier, _) = applier(&model, folder.path());
        let operators: Vec<String> = crate::OPERATORS.lines().map(str::to_owned).collect();
        for (generation, name) in (1..).zip(goldens()) {
            let text = possible(&name);
            let first = applier.apply(&bundle(generation, &text)).await;
            assert!(matches!(first.outcome, Outcome::Applied | Outcome::Unchanged), "{name}: {:?}", first.outcome);
            let running = model.running();
            let again = applier.apply(&bundle(generation, &text)).await;
            assert_eq!(again.outcome, Outcome::Unchanged, "{name}: {}", again.diff);
            assert_eq!(model.running(), running, "{name}");
            for line in &operators {
                assert!(running.contains(line.trim()), "{name}: {line}");
            }
            // From nothing, the same text gives the same: nothing of earlier ones is left.
            let fresh = ModelEapi::start(switch()).await;
            let beside = tempfile::tempdir().unwrap();
            let outcome = self::applier(&fresh, beside.path()).0.apply(&bundle(generation, &text)).await.outcome;
            assert_eq!(outcome, Outcome::Applied, "{name}");
            let ours =
                |text: &str| text.lines().filter(|line| !line.contains("vrf instance")).collect::<Vec<_>>().join("\n");
            assert_eq!(ours(&left(&running, &fresh.running())), "", "{name}");
            assert!(model.live_sessions().is_empty());
        }
    }
}

/// Lines of one that the other has not, but those that no text takes back: a host name, `ip routing`, the management
/// interface and its VRF.
fn left(running: &str, fresh: &str) -> String {
    let kept = [
        "ip routing",
        "mpls ip",
        "interface Management1",
        "   description MANAGEMENT",
        "   vrf mgmt",
        "   ip address 192.168.1.5/24",
    ];
    let gone = |line: &&str| !fresh.lines().any(|other| other == *line) && !kept.contains(line) && **line != *"!";
    running.lines().filter(gone).collect::<Vec<_>>().join("\n")
}

/// A switch that runs `text(1, 9000)`, confirmed, with a neighbour that wants an MTU of 9000.
async fn bench(second: Duration) -> (ModelEapi, tempfile::TempDir, String) {
    let mut switch = switch().ticking(second);
    switch.wires.insert("Ethernet1".into(), Wire { host: "lon", system_id: "c612.0003.0000", mtu: 9_000 });
    let model = ModelEapi::start(switch).await;
    let folder = tempfile::tempdir().unwrap();
    let applied = applier(&model, folder.path()).0.apply(&bundle(OLD, &text(1, 9_000))).await;
    assert_eq!((applied.outcome, applied.warnings), (Outcome::Applied, Vec::new()));
    let running = model.running();
    model.lock().calls.clear();
    (model, folder, running)
}

const SECOND: Duration = Duration::from_secs(1);
const SHORT: Duration = Duration::from_millis(150);

#[tokio::test]
async fn an_agent_killed_right_after_the_commit_is_outlived_by_the_switchs_timer() {
    let (model, folder, before) = bench(SECOND).await;
    let (applier, _) = applier(&model, folder.path());
    // Asked before the load, before the commit, and after it: that is not answered, the agent hangs there and is killed.
    for fault in [Fault::Slow(Duration::ZERO), Fault::Slow(Duration::ZERO), Fault::Die] {
        model.inject("show configuration sessions", fault);
    }
    let offered = bundle(NEW, &text(2, 9_000));
    let task = tokio::spawn(async move { applier.apply(&offered).await });
    eventually("the commit is carried out", || model.running().contains("isis metric 2")).await;
    eventually("it asks again", || model.lock().dead).await;
    task.abort();
    let _ = task.await;
    model.lock().switch.timer_goes_off();
    assert_eq!(model.running(), before, "the switch goes back by itself");
    assert_eq!(model.lock().switch.reverted, 1);
    model.lock().dead = false;
    let (next, _) = self::applier(&model, folder.path());
    next.settle().await.unwrap();
    assert_eq!(next.apply(&bundle(NEW, &text(2, 9_000))).await.outcome, Outcome::Applied);
}

#[tokio::test]
async fn the_next_agent_does_not_wait_for_the_timer_of_a_killed_one() {
    let (model, folder, before) = bench(SECOND).await;
    {
        let dying = driver(&model, folder.path());
        dying.load_candidate(&text(2, 9_000)).await.unwrap();
        dying.commit(Duration::from_secs(600)).await.unwrap();
    }
    assert_ne!(model.running(), before);
    let (next, _) = applier(&model, folder.path());
    next.settle().await.unwrap();
    assert_eq!((model.running(), model.live_sessions().len()), (before, 0));
    assert_eq!(next.apply(&bundle(NEW, &text(2, 9_000))).await.outcome, Outcome::Applied);
}

#[tokio::test]
async fn killed_at_any_command_the_switch_runs_the_old_text_or_the_new_and_the_next_agent_brings_the_new() {
    let commands = [
        "show configuration sessions",
        "show running-config",
        "configure session",
        "isis metric",
        "show session-config",
        "show isis",
    ];
    for command in commands {
        for nth in 0..6 {
            let (model, folder, before) = bench(SHORT).await;
            let (applier, _) = applier(&model, folder.path());
            for _ in 0..nth {
                model.inject(command, Fault::Slow(Duration::ZERO));
            }
            model.inject(command, Fault::Die);
            let offered = bundle(NEW, &text(2, 9_000));
            let mut task = tokio::spawn(async move { applier.apply(&offered).await });
            let _ = tokio::time::timeout(Duration::from_millis(250), &mut task).await;
            task.abort();
            model.lock().dead = false;
            model.lock().faults.clear();
            let running = model.running();
            assert!(running == before || running.contains("isis metric 2"), "{command} {nth}: a mix: {running}");
            let (next, _) = self::applier(&model, folder.path());
            next.settle().await.unwrap();
            let outcome = next.apply(&bundle(NEW, &text(2, 9_000))).await.outcome;
            assert!(matches!(outcome, Outcome::Applied | Outcome::Unchanged), "{command} {nth}: {outcome:?}");
            assert!(model.running().contains("isis metric 2") && model.live_sessions().is_empty(), "{command} {nth}");
        }
    }
}

#[tokio::test]
async fn a_confirmation_whose_answer_is_lost_is_looked_up() {
    // Carried out: the apply is done. Never heard of: it is taken back.
    for (fault, metric) in [(Fault::DropAfter, 2), (Fault::DropBefore, 1)] {
        let (model, folder, _) = bench(SECOND).await;
        let (applier, store) = applier(&model, folder.path());
        // The session is entered, committed, and confirmed: the third is the confirmation.
        model.inject("configure session causeway-", Fault::Slow(Duration::ZERO));
        model.inject("configure session causeway-", Fault::Slow(Duration::ZERO));
        model.inject("configure session causeway-", fault.clone());
        let ended = applier.apply(&bundle(NEW, &text(2, 9_000))).await;
        assert!(model.running().contains(&format!("isis metric {metric}")), "{fault:?}");
        assert!(model.live_sessions().is_empty(), "{fault:?}");
        match metric {
            2 => assert_eq!(ended.outcome, Outcome::Applied),
            _ => assert!(matches!(ended.outcome, Outcome::Reverted(_)), "{:?}", ended.outcome),
        }
        assert_eq!(store.memory().applied.map(|a| a.generation.0), Some(if metric == 2 { NEW } else { OLD }));
    }
}

#[tokio::test]
async fn a_commit_whose_connection_breaks_ends_in_the_old_text() {
    for fault in [Fault::DropBefore, Fault::DropAfter, Fault::DropDuring(Duration::from_millis(150))] {
        let (model, folder, before) = bench(SHORT).await;
        let (applier, _) = applier(&model, folder.path());
        model.inject("configure session causeway-", Fault::Slow(Duration::ZERO));
        model.inject("configure session causeway-", fault.clone());
        let ended = applier.apply(&bundle(NEW, &text(2, 9_000))).await;
        assert!(matches!(ended.outcome, Outcome::Reverted(_)), "{fault:?}: {:?}", ended.outcome);
        assert_eq!((model.running(), model.live_sessions().len()), (before, 0), "{fault:?}");
    }
}

#[tokio::test]
async fn a_text_that_costs_a_neighbour_is_taken_back() {
    let (model, folder, before) = bench(SECOND).await;
    let (applier, store) = applier(&model, folder.path());
    let ended = applier.apply(&bundle(NEW, &text(1, 1_500))).await;
    let Outcome::Reverted(failure) = &ended.outcome else { panic!("{:?}", ended.outcome) };
    assert_eq!(failure.code, "ADJACENCY_LOST");
    assert!(ended.diff.contains("mtu 1500"));
    assert_eq!((model.running(), store.memory().applied.map(|a| a.generation.0)), (before, Some(OLD)));
}

/// [`text`], with sessions to two reflectors: to one in the family of IPv4, to the other in that of VPNs.
fn with_sessions(metric: u32, asn: u32) -> String {
    let neighbor = |address: &str, source: &str| {
        format!("   neighbor {address} remote-as {asn}\n   neighbor {address} update-source {source}\n")
    };
    let (ipv4, vpn) = (neighbor("198.18.0.2", "Loopback256"), neighbor("198.18.0.1", "Loopback255"));
    text(metric, 9_000)
        + &format!(
            "router bgp 65342\n   no bgp default ipv4-unicast\n{ipv4}{vpn}   !\n   address-family ipv4\n      \
             neighbor 198.18.0.2 activate\n      no neighbor 198.18.0.1 activate\n   !\n   address-family \
             vpn-ipv4\n      neighbor 198.18.0.1 activate\n!\ninterface Loopback255\n   ip address \
             198.18.0.13/32\n!\ninterface Loopback256\n   ip address 198.18.0.14/32\n!\n"
        )
}

/// A switch that runs [`with_sessions`], confirmed, and has both sessions.
async fn bench_with_sessions(dialect: Dialect) -> (ModelEapi, tempfile::TempDir, String) {
    let mut switch = switch().listing(dialect);
    switch.wires.insert("Ethernet1".into(), Wire { host: "lon", system_id: "c612.0003.0000", mtu: 9_000 });
    for reflector in [1, 2] {
        switch.speakers.insert(Ipv4Addr::new(198, 18, 0, reflector), Speaker { asn: 65_342, prefixes: 3 });
    }
    let model = ModelEapi::start(switch).await;
    let folder = tempfile::tempdir().unwrap();
    // BGP does not run before: that is no session, and no error.
    let applied = applier(&model, folder.path()).0.apply(&bundle(OLD, &with_sessions(1, 65_342))).await;
    assert_eq!((applied.outcome, applied.warnings), (Outcome::Applied, Vec::new()));
    let running = model.running();
    model.lock().calls.clear();
    (model, folder, running)
}

#[tokio::test]
async fn a_text_that_costs_every_session_or_every_route_is_taken_back() {
    for dialect in [Dialect::InTheSession, Dialect::BesideTheSessions] {
        let (model, folder, before) = bench_with_sessions(dialect).await;
        let listed = driver(&model, folder.path()).sessions().await.unwrap();
        let listed: Vec<_> =
            listed.iter().map(|one| (one.peer.to_string(), one.established, one.prefixes_received)).collect();
        let is = |peer: &str| (peer.to_owned(), true, Some(3));
        assert_eq!(listed, [is("198.18.0.1"), is("198.18.0.2")]);
        let reach = driver(&model, folder.path()).reach(&with_sessions(1, 65_342)).await.unwrap();
        assert_eq!((reach.sessions.len(), reach.routes.len()), (2, 2), "{reach:?}");
        let (applier, store) = applier(&model, folder.path());
        let family = "   !\n   address-family ipv4 unicast\n";
        let whole = with_sessions(2, 65_342);
        assert_eq!(whole.matches(family).count(), 1);
        let (routeless, bgpless) = (whole.replace(family, ""), text(2, 9_000) + "router bgp 65342\n!\n");
        for (generation, wrong, code) in [
            // Both far ends are of another AS, and refuse.
            (NEW, with_sessions(2, 65_343), "SESSIONS_LOST"),
            (NEW + 1, routeless, "ROUTES_LOST"),
        ] {
            let ended = applier.apply(&bundle(generation, &wrong)).await;
            let Outcome::Reverted(failure) = &ended.outcome else { panic!("{code}: {:?}", ended.outcome) };
            assert_eq!(failure.code, code);
            assert!(failure.message.contains("198.18.0.1, 198.18.0.2"), "{}", failure.message);
            assert_eq!((model.running(), store.memory().applied.map(|a| a.generation.0)), (before.clone(), Some(OLD)));
            assert!(model.live_sessions().is_empty());
        }
        // A text that wants none loses none; one of two is a warning.
        let fewer = with_sessions(2, 65_342).replacen("remote-as 65342", "remote-as 65343", 1);
        let ended = applier.apply(&bundle(NEW + 2, &fewer)).await;
        assert_eq!(ended.outcome, Outcome::Applied);
        assert_eq!(ended.warnings, ["no BGP session any more to 198.18.0.2"]);
        assert_eq!(applier.apply(&bundle(NEW + 3, &bgpless)).await.outcome, Outcome::Applied);
    }
}

#[tokio::test]
async fn sessions_and_routes_that_can_not_be_read_are_no_reason_to_confirm() {
    for command in ["show ip bgp summary", "show bgp vpn-ipv4 summary", "show ip route isis"] {
        let (model, folder, before) = bench_with_sessions(Dialect::BesideTheSessions).await;
        let (applier, _) = applier(&model, folder.path());
        // Before the commit it is shown; after it the user may not ask any more.
        model.inject(command, Fault::Slow(Duration::ZERO));
        for _ in 0..100 {
            model.inject(command, Fault::Fail(1_005, "not authorized".into()));
        }
        let Outcome::Reverted(failure) = applier.apply(&bundle(NEW, &with_sessions(2, 65_342))).await.outcome else {
            panic!("{command}")
        };
        assert_eq!(failure.code, "DEVICE_STATE", "{command}: {}", failure.message);
        assert_eq!(model.running(), before, "{command}");
    }
}

#[tokio::test]
async fn a_refused_text_changes_nothing_and_names_the_line() {
    let (model, folder, before) = bench(SECOND).await;
    let (applier, _) = applier(&model, folder.path());
    let wrong = text(2, 9_000).replace("isis metric 2", "isis metric two");
    let Outcome::Refused(failure) = applier.apply(&bundle(NEW, &wrong)).await.outcome else { panic!() };
    assert_eq!(failure.code, "LINE_REFUSED");
    let line = 1 + wrong.lines().position(|line| line.contains("isis metric two")).unwrap();
    assert!(failure.message.contains(&format!("line {line}: Invalid input")), "{}", failure.message);
    assert_eq!((model.running(), model.live_sessions().len(), model.sent("commit")), (before, 0, 0));
}

#[tokio::test]
async fn a_switch_that_restarts_between_commit_and_confirmation_comes_back_with_what_was_saved() {
    let (model, folder, before) = bench(SECOND).await;
    let (applier, _) = applier(&model, folder.path());
    assert!(applier.save_startup(OLD).await.unwrap());
    assert_eq!(model.startup(), before);
    let verify = Duration::from_secs(5);
    let (applier, _) = applier_within(&model, folder.path(), ApplyLimits { verify, ..limits() });
    // The neighbour would be lost, so the verification goes on until the restart.
    let offered = bundle(NEW, &text(2, 1_500));
    let task = tokio::spawn(async move { applier.apply(&offered).await });
    eventually("the commit is carried out", || model.running().contains("isis metric 2")).await;
    model.lock().switch.reboot();
    assert!(matches!(task.await.unwrap().outcome, Outcome::Reverted(_)));
    assert_eq!((model.running(), model.live_sessions().len()), (before, 0));
}

#[tokio::test]
async fn startup_is_saved_once_after_the_confirmation_and_never_while_a_timer_runs() {
    let (model, folder, _) = bench(SECOND).await;
    let (applier, _) = applier(&model, folder.path());
    assert!(!applier.save_startup(OLD - 1).await.unwrap(), "a fork can still take it back");
    assert!(applier.save_startup(OLD).await.unwrap());
    assert!(!applier.save_startup(OLD).await.unwrap());
    assert_eq!((model.startup(), model.sent("copy running-config")), (model.running(), 1));
}

#[tokio::test]
async fn a_slow_switch_is_waited_for_and_one_that_is_too_slow_is_not() {
    let (model, folder, _) = bench(SECOND).await;
    let (applier, _) = applier(&model, folder.path());
    for command in ["configure session", "show session-config", "configure session causeway-"] {
        model.inject(command, Fault::Slow(Duration::from_millis(400)));
    }
    assert_eq!(applier.apply(&bundle(NEW, &text(2, 9_000))).await.outcome, Outcome::Applied);

    let before = model.running();
    let mut config = model.config(folder.path().join("r1.eos.json"));
    config.timeouts = Timeouts { commit: Duration::from_millis(200), ..Timeouts::default() };
    let driver = EosDriver::new(&config, causeway_agent::eos::NoProber).unwrap();
    let store = Arc::new(StateStore::open(folder.path(), "r1").unwrap());
    let applier = Applier::new(Arc::new(driver), store, limits());
    model.inject("configure session causeway-", Fault::Slow(Duration::ZERO));
    model.inject("configure session causeway-", Fault::Slow(Duration::from_millis(600)));
    let ended = applier.apply(&bundle(NEW + 1, &text(3, 9_000))).await;
    let Outcome::Reverted(failure) = &ended.outcome else { panic!("{:?}", ended.outcome) };
    assert!(failure.message.contains("no answer within 0.2 s"), "{}", failure.message);
    assert_eq!((model.running(), model.live_sessions().len()), (before.clone(), 0));
    // The switch comes to it after all: it knows no session of that name any more, and commits an empty one.
    eventually("a late commit", || !model.live_sessions().is_empty()).await;
    assert_eq!(model.running(), before);
    assert_eq!(applier.apply(&bundle(NEW + 2, &text(4, 9_000))).await.outcome, Outcome::Applied);
    assert!(model.running().contains("isis metric 4") && model.live_sessions().is_empty());
}

/// Prints what an apply costs; the figures are in docs/agent-eos.md. The counts are exact, the times are not asserted.
#[tokio::test]
async fn an_apply_takes_as_many_round_trips_as_the_documentation_says() {
    let (model, folder, _) = bench(SECOND).await;
    let (applier, _) = applier(&model, folder.path());
    let began = Instant::now();
    assert_eq!(applier.apply(&bundle(NEW, &text(2, 9_000))).await.outcome, Outcome::Applied);
    let (took, applied) = (began.elapsed(), model.lock().calls.len());
    assert_eq!(applier.apply(&bundle(NEW, &text(2, 9_000))).await.outcome, Outcome::Unchanged);
    let unchanged = model.lock().calls.len() - applied;
    println!("small text: applied in {applied} calls and {took:?}, unchanged in {unchanged} calls");
    for (name, peers) in [("golden", 0), ("large", 4_000)] {
        let mut text = possible("every-kind-of-interface.eos");
        for peer in 0..peers {
            let address = format!("10.{}.{}.1", peer / 250, peer % 250);
            let lines: String = [
                "remote-as 65342",
                "next-hop-self",
                "update-source Loopback255",
                "description x",
                "timers 3 9",
                "send-community",
            ]
            .iter()
            .map(|rest| format!("   neighbor {address} {rest}\n"))
            .collect();
            text =
                text.replacen("   !\n   address-family ipv4\n", &format!("{lines}   !\n   address-family ipv4\n"), 1);
        }
        let began = Instant::now();
        let ended = applier.apply(&bundle(NEW + 1 + peers, &text)).await;
        assert_eq!(ended.outcome, Outcome::Applied, "{name}");
        println!("{name} text of {} lines, {} bytes: {:?}", text.lines().count(), text.len(), began.elapsed());
    }
    assert_eq!((applied, unchanged), (14, 4));

    let (model, folder, _) = bench_with_sessions(Dialect::BesideTheSessions).await;
    let (applier, _) = self::applier(&model, folder.path());
    assert_eq!(applier.apply(&bundle(NEW, &with_sessions(2, 65_342))).await.outcome, Outcome::Applied);
    assert_eq!(
        model.lock().calls.len(),
        20,
        "three more to know of sessions and routes, before the commit and after it"
    );
}
