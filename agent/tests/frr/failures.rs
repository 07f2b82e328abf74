//! What has gone wrong with reloads of FRR elsewhere: daemons that are away, restarted or hanging, and reloads that stop
//! half way.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

use causeway_agent::{
    driver::{Driver, DriverError},
    frr::{FrrDriver, NoProber},
};

use crate::{
    LONG, applied,
    lab::{Router, eventually, join, pair, text},
};

/// The limit of a question, and as much again for a machine that is busy with other tests.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);

fn unreachable(result: Result<(), DriverError>) -> String {
    match result {
        Err(DriverError::Unreachable(words)) => words,
        other => panic!("unreachable was expected, and it is {other:?}"),
    }
}

#[tokio::test]
async fn a_daemon_that_is_not_running_is_named_and_nothing_changes() {
    let mut a = Router::new("a", &["zebra", "isisd"]);
    let b = Router::new("b", &["zebra", "isisd"]);
    join(&a, &b);
    let driver = a.driver();
    let before = a.running();
    let words = unreachable(driver.load_candidate(&text(1, 4000)).await);
    assert!(words.contains("bgpd is not running"), "{words}");
    assert!(driver.compare(&text(1, 4000)).await.is_err(), "what a daemon that is away runs is not known");
    assert_eq!(a.running(), before);
    a.start("bgpd");
    applied(&driver, &text(1, 4000)).await;
}

#[tokio::test]
async fn a_daemon_that_dies_between_the_check_and_the_commit_is_named_and_nothing_changes() {
    let (mut a, _b) = pair();
    let driver = a.driver();
    applied(&driver, &text(1, 4000)).await;
    driver.load_candidate(&text(1, 5000)).await.unwrap();
    a.crash("bgpd");
    let before = a.running();
    assert!(unreachable(driver.commit(LONG).await).contains("bgpd"));
    assert!(!driver.is_pending().await.unwrap());
    assert_eq!(a.running(), before);
}

#[tokio::test]
async fn a_daemon_that_is_restarted_in_the_middle_comes_back_to_the_old_configuration() {
    let (mut a, _b) = pair();
    let driver = a.driver();
    applied(&driver, &text(1, 4000)).await;
    let before = driver.running_text().await.unwrap();
    let next = text(1, 5000).replace("timers 3 9", "timers 5 15");
    driver.load_candidate(&next).await.unwrap();
    driver.commit(LONG).await.unwrap();
    a.crash("bgpd");
    // Without it nobody can say what runs, and the way back can't be gone yet.
    assert!(driver.compare(&next).await.is_err());
    assert!(driver.revert().await.is_err());
    assert!(driver.is_pending().await.unwrap());
    // It comes back as it always does, empty; the watchdog has been trying since.
    a.start("bgpd");
    eventually("the way back", || a.watchdogs().is_empty());
    assert!(!driver.is_pending().await.unwrap());
    assert_eq!(driver.running_text().await.unwrap(), before);
}

#[tokio::test]
async fn a_daemon_that_is_killed_while_it_is_configured_leaves_old_or_new() {
    let (mut a, _b) = pair();
    let old = text(1, 4000);
    let peers: String = (10..250)
        .map(|n| format!(" neighbor 198.18.1.{n} remote-as 65000\n neighbor 198.18.1.{n} timers 3 9\n"))
        .collect();
    let new = old.replace(" timers bgp 1 3\n", &format!(" timers bgp 1 3\n{peers}"));
    let mut armed = 0;
    for wait_ms in [20, 60, 100, 150] {
        let driver = std::sync::Arc::new(a.driver());
        applied(&*driver, &old).await;
        driver.load_candidate(&new).await.unwrap();
        let committing = {
            let driver = driver.clone();
            tokio::spawn(async move { driver.commit(LONG).await })
        };
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        a.crash("bgpd");
        let committed = committing.await.unwrap();
        a.start("bgpd");
        if committed.is_ok() && driver.compare(&new).await.unwrap().equal {
            driver.confirm().await.unwrap();
            continue;
        }
        if !driver.is_pending().await.unwrap() {
            // It died before anything was armed: nothing of the new one runs.
            assert!(committed.is_err() && !a.running().contains("198.18.1."), "{}", a.running());
            continue;
        }
        armed += 1;
        driver.revert().await.unwrap();
        let compared = driver.compare(&old).await.unwrap();
        assert!(compared.equal, "{}", compared.diff);
    }
    assert!(armed > 0, "no commit was hit in the middle");
}

#[tokio::test]
async fn a_daemon_that_hangs_holds_nobody_up_for_long_and_nothing_changes() {
    let (a, _b) = pair();
    let driver = a.driver();
    applied(&driver, &text(1, 4000)).await;
    let before = a.running();
    a.signal("isisd", "STOP");
    let began = Instant::now();
    unreachable(driver.load_candidate(&text(1, 5000)).await);
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    a.signal("isisd", "CONT");
    assert_eq!(a.running(), before);
    applied(&driver, &text(1, 5000)).await;
}

#[tokio::test]
async fn however_many_questions_a_daemon_that_hangs_is_asked_each_ends_and_nobody_holds_the_lock_for_ever() {
    let (a, _b) = pair();
    let driver = std::sync::Arc::new(a.driver());
    applied(&*driver, &text(1, 4000)).await;
    let before = a.running();
    driver.load_candidate(&text(1, 5000)).await.unwrap();
    driver.commit(Duration::from_secs(3)).await.unwrap();
    a.signal("isisd", "STOP");
    // More than its socket has room for.
    let questions: Vec<_> = (0..12)
        .map(|_| {
            let driver = driver.clone();
            tokio::spawn(async move { driver.adjacencies().await.map(drop) })
        })
        .collect();
    for question in questions {
        let answer = tokio::time::timeout(ANSWERED_WITHIN, question).await.expect("the question has no end");
        unreachable(answer.unwrap());
    }
    // The time of the commit is over, and its watchdog tries; in between it lets others act.
    let acting = fs::File::open(a.state.path().join("r.frr.json.acting")).unwrap();
    eventually("the lock is free", || acting.try_lock().is_ok());
    acting.unlock().unwrap();
    a.signal("isisd", "CONT");
    eventually("the way back", || a.watchdogs().is_empty());
    assert_eq!(a.running(), before);
    driver.adjacencies().await.unwrap();
}

/// A zebra that ends at once, and leaves a link to somebody else's file in place of what it said.
fn zebra_that_links_to(secret: &std::path::Path) -> String {
    format!(
        "#!/bin/sh\nbefore=\nfor word in \"$@\"; do\n  [ \"$before\" = --vty_socket ] && ln -sf {} \"$word/zebra.log\"\n  \
         before=$word\ndone\necho 'its own words' >&2\nexit 1\n",
        secret.display()
    )
}

#[tokio::test]
async fn a_link_that_a_checks_daemon_leaves_in_place_of_its_log_is_not_read() {
    let a = Router::new("s", &crate::lab::ALL);
    let folder = tempfile::Builder::new().prefix("cw").tempdir_in("/run").unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (secret, zebra) = (folder.path().join("secret"), folder.path().join("zebra"));
    fs::write(&secret, "nobody's business").unwrap();
    fs::write(&zebra, zebra_that_links_to(&secret)).unwrap();
    fs::set_permissions(&zebra, fs::Permissions::from_mode(0o755)).unwrap();
    let options = causeway_agent::frr::FrrOptions { daemons: folder.path().to_owned(), ..a.options() };
    let words = unreachable(FrrDriver::open(&options, NoProber).unwrap().load_candidate(&text(1, 4000)).await);
    assert!(words.contains("its own words") && !words.contains("nobody's business"), "{words}");
}

/// A `vtysh` that is real FRR's, but for the device's own instance it fails at a line: the lines before it run.
fn fake_vtysh_that_stops_half_way(router: &Router, at: &str) -> std::path::PathBuf {
    let path = router.state.path().join("fake-vtysh");
    let marker = router.state.path().join("half");
    let script = format!(
        "#!/usr/bin/python3\nimport os, sys\na = sys.argv[1:]\nif '-N' in a and os.path.exists({marker:?}):\n    \
         a = [x.replace({at:?}, 'no such line') for x in a]\nos.execv('/usr/bin/vtysh', ['vtysh'] + a)\n",
        marker = marker.display().to_string(),
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[tokio::test]
async fn an_apply_that_stops_half_way_is_taken_back_whole() {
    let (a, _b) = pair();
    let fake = fake_vtysh_that_stops_half_way(&a, "isis metric 5000");
    let options = causeway_agent::frr::FrrOptions { vtysh: fake, ..a.options() };
    let driver = FrrDriver::open(&options, NoProber).unwrap();
    applied(&driver, &text(1, 4000)).await;
    let (before, mtu) = (a.running(), a.mtu("eth1"));
    let next = text(1, 5000)
        .replace("65000", "65001")
        .replace(" is-type level-2-only\n", " is-type level-2-only\n set-overload-bit\n")
        .replace("description one-two", "description DIA");
    driver.load_candidate(&next).await.unwrap();
    fs::write(a.state.path().join("half"), "").unwrap();
    let failed = driver.commit(LONG).await;
    assert!(matches!(failed, Err(DriverError::Refused(_))), "{failed:?}");
    assert_ne!(a.running(), before, "it did stop half way");
    assert!(driver.is_pending().await.unwrap());
    fs::remove_file(a.state.path().join("half")).unwrap();
    driver.revert().await.unwrap();
    assert_eq!((a.running(), a.mtu("eth1")), (before, mtu));
}

#[tokio::test]
async fn what_changes_beside_the_check_is_not_overwritten_blindly() {
    let (a, _b) = pair();
    let driver = a.driver();
    applied(&driver, &text(1, 4000)).await;
    driver.load_candidate(&text(1, 5000)).await.unwrap();
    a.vtysh(&["configure terminal\ninterface eth1\nisis metric 77\nend"]);
    assert!(matches!(driver.commit(LONG).await, Err(DriverError::State(_))));
    assert!(a.running().contains("isis metric 77"));
    let drift = driver.compare(&text(1, 4000)).await.unwrap();
    assert!(drift.diff.contains("- isis metric 77") && drift.diff.contains("+ isis metric 4000"), "{}", drift.diff);
    applied(&driver, &text(1, 5000)).await;
}

/// A zebra whose socket is there long before anybody listens, as on a machine that is busy with two hundred routers.
const LATE_ZEBRA: &str = "#!/bin/sh\nbefore=\nfor word in \"$@\"; do\n  [ \"$before\" = --vty_socket ] && : > \"$word/zebra.vty\"\n  \
                          before=$word\ndone\nsleep 1\nexec /usr/lib/frr/zebra \"$@\"\n";

#[tokio::test]
async fn what_a_check_says_of_itself_is_not_given_to_the_router() {
    let a = Router::new("f", &crate::lab::ALL);
    a.forward();
    let folder = tempfile::Builder::new().prefix("cw").tempdir_in("/run").unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for daemon in ["isisd", "bgpd", "bfdd", "staticd"] {
        std::os::unix::fs::symlink(format!("/usr/lib/frr/{daemon}"), folder.path().join(daemon)).unwrap();
    }
    let zebra = folder.path().join("zebra");
    fs::write(&zebra, LATE_ZEBRA).unwrap();
    fs::set_permissions(&zebra, fs::Permissions::from_mode(0o755)).unwrap();
    let options = causeway_agent::frr::FrrOptions { daemons: folder.path().to_owned(), ..a.options() };
    let driver = FrrDriver::open(&options, NoProber).unwrap();
    applied(&driver, &text(1, 4000)).await;
    assert!(a.forwards() && !a.running().contains("no ip forwarding"), "{}", a.running());
}

#[tokio::test]
async fn a_router_that_others_cross_and_that_forwards_nothing_is_told_of() {
    let a = Router::new("n", &crate::lab::ALL);
    let one = text(1, 4000);
    let two = one.replace(
        "router bgp",
        "interface eth2\n description one-three\n ip address 10.0.8.0/31\n \
         ip router isis 1\n isis circuit-type level-2-only\n isis network point-to-point\nexit\n!\nrouter bgp",
    );
    for port in ["eth1", "eth2"] {
        crate::lab::must(
            "ip",
            &["-n", &a.name, "link", "add", port, "type", "veth", "peer", "name", &format!("{port}x")],
        );
    }
    let driver = a.driver();
    assert_eq!(driver.concerns(&one).await.unwrap(), Vec::<String>::new(), "nobody crosses it");
    let told = driver.concerns(&two).await.unwrap();
    assert!(told.len() == 1 && told[0].contains("eth1, eth2") && told[0].contains("ip_forward"), "{told:?}");
    a.forward();
    assert_eq!(driver.concerns(&two).await.unwrap(), Vec::<String>::new());
}
