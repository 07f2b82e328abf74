//! Agent and watchdog killed with SIGKILL, at every kind of moment: the device ends on its old configuration or the new one.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use causeway_agent::{
    driver::{Driver, DriverError},
    frr::{FrrDriver, FrrOptions, NoProber},
};

use crate::{
    LONG, applied,
    lab::{Router, broken, eventually, may, pair, text},
};

/// What the process that is to be killed is told, in its environment.
const ROLE: &str = "CAUSEWAY_TEST_AGENT";
/// What a commit, its verification and a slow machine take.
const LIMIT: Duration = Duration::from_secs(8);

/// An agent's process that loads a text, commits it, and then hangs for good.
pub struct Agent(Child);

impl Agent {
    pub fn start(router: &Router, text: &str, revert_after: Duration) -> Self {
        let file = router.state.path().join("text");
        fs::write(&file, text).unwrap();
        for said in [commits(router), committed(router)] {
            let _ = fs::remove_file(said);
        }
        let role = format!("{}\n{}\n{}", router.name, router.state.path().display(), revert_after.as_millis());
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::is_the_agent_that_is_killed", "--nocapture"])
            .env(ROLE, role)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// There from just before the commit on.
fn commits(router: &Router) -> PathBuf {
    router.state.path().join("commits")
}

fn committed(router: &Router) -> PathBuf {
    router.state.path().join("committed")
}

/// No test of its own: what [`Agent`] runs. Without the role it has nothing to do.
#[tokio::test]
async fn is_the_agent_that_is_killed() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let [name, state, revert_ms] = role.lines().collect::<Vec<_>>().try_into().unwrap();
    let state = Path::new(state);
    let options = FrrOptions {
        pathspace: Some(name.to_owned()),
        netns: Some(name.to_owned()),
        watchdog: Some(PathBuf::from(env!("CARGO_BIN_EXE_causeway-agent"))),
        ..FrrOptions::new("r", state)
    };
    let driver = FrrDriver::open(&options, NoProber).unwrap();
    driver.load_candidate(&fs::read_to_string(state.join("text")).unwrap()).await.unwrap();
    fs::write(state.join("commits"), "").unwrap();
    driver.commit(Duration::from_millis(revert_ms.parse().unwrap())).await.unwrap();
    fs::write(state.join("committed"), "").unwrap();
    // Nobody lives for ever, not even a test's agent.
    tokio::time::sleep(Duration::from_secs(120)).await;
}

async fn with_adjacency() -> (Router, Router) {
    let (a, b) = pair();
    applied(&a.driver(), &text(1, 4000)).await;
    applied(&b.driver(), &text(2, 4000)).await;
    eventually("an adjacency", || a.has_adjacency() && b.has_adjacency());
    (a, b)
}

#[tokio::test]
async fn killed_right_after_a_commit_that_breaks_a_link_the_device_is_back_within_the_limit() {
    let (a, _b) = with_adjacency().await;
    a.driver().save_startup().await.unwrap();
    let (before, startup) = (a.running(), a.startup());
    let agent = Agent::start(&a, &broken(1), LIMIT);
    eventually("the beginning of the commit", || commits(&a).exists());
    let since = Instant::now();
    eventually("the commit", || committed(&a).exists());
    agent.kill();
    assert!(a.running().contains("point-to-point\n isis passive"), "what breaks the link runs: {}", a.running());
    eventually("no adjacency", || !a.has_adjacency());
    assert_eq!(a.watchdogs().len(), 1, "the watchdog has outlived its agent");
    eventually("the old configuration", || a.running() == before);
    let took = since.elapsed();
    eprintln!("back on the old configuration {took:?} after the commit began; the limit is {LIMIT:?}");
    assert!(took <= LIMIT, "{took:?}");
    eventually("the adjacency", || a.has_adjacency());
    eventually("the watchdog ends", || a.watchdogs().is_empty());
    assert!(!a.driver().is_pending().await.unwrap());
    assert_eq!(a.startup(), startup, "what was not confirmed was not saved");
}

#[tokio::test]
async fn confirmed_in_time_it_stays_and_too_late_it_is_refused() {
    let (a, _b) = pair();
    let driver = a.driver();
    applied(&driver, &text(1, 4000)).await;
    let old = driver.running_text().await.unwrap();
    driver.load_candidate(&text(1, 5000)).await.unwrap();
    driver.commit(Duration::from_secs(6)).await.unwrap();
    driver.confirm().await.unwrap();
    eventually("the watchdog ends", || a.watchdogs().is_empty());
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(driver.compare(&text(1, 5000)).await.unwrap().equal);
    assert!(matches!(driver.confirm().await, Err(DriverError::State(_))), "nothing awaits confirmation");
    // The other way round.
    driver.load_candidate(&text(1, 4000)).await.unwrap();
    driver.commit(Duration::from_secs(2)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert!(matches!(driver.confirm().await, Err(DriverError::State(_))), "its time is over");
    eventually("the way back", || a.watchdogs().is_empty());
    assert!(driver.compare(&text(1, 5000)).await.unwrap().equal);
    assert_ne!(driver.running_text().await.unwrap(), old);
}

#[tokio::test]
async fn a_commit_that_is_given_more_time_is_armed_all_the_while_also_with_the_agent_dead() {
    let (a, _b) = pair();
    let driver = a.driver();
    applied(&driver, &text(1, 4000)).await;
    let before = a.running();
    assert!(matches!(driver.extend(LIMIT).await, Err(DriverError::State(_))), "nothing awaits confirmation");
    let agent = Agent::start(&a, &text(1, 5000), LIMIT);
    eventually("the commit", || committed(&a).exists());
    let began = Instant::now();
    let after = a.running();
    assert_ne!(after, before);
    // Less time than is left changes nothing.
    driver.extend(Duration::from_millis(1)).await.unwrap();
    let watchdogs = a.watchdogs();
    assert_eq!(watchdogs.len(), 1);
    tokio::time::sleep((LIMIT / 2).saturating_sub(began.elapsed())).await;
    driver.extend(LIMIT).await.unwrap();
    let anew = Instant::now();
    agent.kill();
    while began.elapsed() < LIMIT + Duration::from_secs(1) {
        assert_eq!((a.running() == after, a.watchdogs().len()), (true, 1), "after {:?}", began.elapsed());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    eventually("the old configuration", || a.running() == before);
    let took = anew.elapsed();
    eprintln!("back on the old configuration {took:?} after the time began anew; the limit is {LIMIT:?}");
    assert!(took <= LIMIT, "{took:?}");
    assert!(matches!(driver.extend(LIMIT).await, Err(DriverError::State(_))), "its time is over");
    eventually("the watchdog ends", || a.watchdogs().is_empty());
}

#[tokio::test]
async fn a_killed_watchdog_is_followed_by_another() {
    let (a, _b) = pair();
    let driver = a.driver();
    applied(&driver, &text(1, 4000)).await;
    let before = a.running();
    driver.load_candidate(&text(1, 5000)).await.unwrap();
    driver.commit(LIMIT).await.unwrap();
    for _ in 0..2 {
        let watchdogs = a.watchdogs();
        assert_eq!(watchdogs.len(), 1);
        may("kill", &["-KILL", &watchdogs[0]]);
        eventually("another", || a.watchdogs().first().is_some_and(|pid| *pid != watchdogs[0]));
    }
    eventually("the way back", || a.running() == before);
}

#[tokio::test]
async fn with_agent_and_watchdog_killed_the_next_agent_goes_back() {
    let (a, _b) = pair();
    applied(&a.driver(), &text(1, 4000)).await;
    let before = a.running();
    // Time is not over: the next agent does not wait for it. Time is over, and then some.
    for (revert_after, wait) in [(LONG, Duration::ZERO), (LIMIT, LIMIT)] {
        let agent = Agent::start(&a, &broken(1), revert_after);
        eventually("the commit", || committed(&a).exists());
        agent.kill();
        for pid in a.watchdogs() {
            may("kill", &["-KILL", &pid]);
        }
        eventually("nobody watches", || a.watchdogs().is_empty());
        thread::sleep(wait);
        assert_ne!(a.running(), before);
        let driver = a.driver();
        if wait.is_zero() {
            assert!(driver.is_pending().await.unwrap());
            assert_eq!(a.watchdogs().len(), 1, "what is open is guarded again before anything is asked");
            driver.revert().await.unwrap();
        }
        // Opening alone suffices where time is over, with no controller to be reached.
        eventually("the way back", || a.running() == before);
        eventually("nobody watches", || a.watchdogs().is_empty());
    }
}

#[tokio::test]
async fn after_a_boot_an_open_commit_is_taken_back_at_once() {
    let (a, _b) = pair();
    applied(&a.driver(), &text(1, 4000)).await;
    let before = a.running();
    let agent = Agent::start(&a, &broken(1), LONG);
    eventually("the commit", || committed(&a).exists());
    agent.kill();
    for pid in a.watchdogs() {
        may("kill", &["-KILL", &pid]);
    }
    let file = a.state.path().join("r.frr.json");
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let content = fs::read_to_string(&file).unwrap();
    assert!(content.contains(boot.trim()));
    fs::write(&file, content.replace(boot.trim(), "00000000-0000-0000-0000-000000000000")).unwrap();
    let driver = a.driver();
    assert!(matches!(driver.confirm().await, Err(DriverError::State(_))), "nobody knows what happened meanwhile");
    eventually("the way back", || a.running() == before);
}

#[tokio::test]
async fn killed_at_any_moment_the_device_ends_on_old_or_new() {
    let (a, _b) = pair();
    let peers: String = (10..200)
        .map(|n| format!(" neighbor 198.18.1.{n} remote-as 65000\n neighbor 198.18.1.{n} timers 3 9\n"))
        .collect();
    let old = text(1, 4000);
    let new =
        text(1, 5000).replace(" timers bgp 1 3\n", &format!(" timers bgp 1 3\n{peers}")).replace("one-two", "DIA");
    applied(&a.driver(), &old).await;
    let before = (a.running(), a.mtu("eth1"));
    let mut seen_in_the_middle = 0;
    for step in 0..8u64 {
        let agent = Agent::start(&a, &new, LONG);
        let file = a.state.path().join("r.frr.json");
        // The first ones in the check, the others from the moment on at which the revert is armed.
        if step < 2 {
            thread::sleep(Duration::from_millis(50 + step * 150));
        } else {
            eventually("armed", || fs::read_to_string(&file).is_ok_and(|content| content.contains("\"reverting\"")));
            thread::sleep(Duration::from_millis((step - 2) * 15));
        }
        let finished = committed(&a).exists();
        agent.kill();
        if step % 2 == 1 {
            for pid in a.watchdogs() {
                may("kill", &["-KILL", &pid]);
            }
        }
        seen_in_the_middle += u32::from(!finished && step >= 2);
        let driver = a.driver();
        driver.revert().await.unwrap();
        let compared = driver.compare(&old).await.unwrap();
        assert!(compared.equal, "step {step}: {}", compared.diff);
        assert_eq!((a.running(), a.mtu("eth1")), before, "step {step}");
    }
    assert!(seen_in_the_middle > 0, "no commit was hit half way");
}
