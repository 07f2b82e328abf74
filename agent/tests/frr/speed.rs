//! How long the verbs take on a router with fifty interfaces, printed; the limits are loose, for a machine that does other
//! things as well.

use std::{
    fs::{self, File},
    thread,
    time::{Duration, Instant},
};

use causeway_agent::{
    driver::Driver,
    frr::{FrrDriver, FrrOptions, NoProber},
};

use crate::{
    LONG, applied,
    lab::{ALL, Router, must},
};

const INTERFACES: usize = 50;
const PEERS: usize = 50;
/// Far below the limit of a verb.
const LIMIT: Duration = Duration::from_secs(20);

fn text(metric: u32) -> String {
    let mut text = crate::lab::text(1, 4000);
    for n in 0..INTERFACES {
        text += &format!(
            "interface x{n}\n description link-{n}\n ip address 10.1.{n}.0/31\n ip router isis 1\n isis circuit-type level-2-only\n \
             isis hello-interval 1\n isis metric {metric}\n isis network point-to-point\nexit\n"
        );
    }
    let peers: String = (0..PEERS)
        .map(|n| {
            format!(
                " neighbor 198.18.2.{n} remote-as 65000\n neighbor 198.18.2.{n} description peer-{n}\n \
                 neighbor 198.18.2.{n} update-source 198.18.0.1\n neighbor 198.18.2.{n} timers 3 9\n"
            )
        })
        .collect();
    text.replace(" timers bgp 1 3\n", &format!(" timers bgp 1 3\n{peers}"))
}

#[tokio::test]
async fn fifty_interfaces_and_fifty_peers() {
    let router = Router::new("s", &ALL);
    for n in 0..INTERFACES {
        must(
            "ip",
            &["-n", &router.name, "link", "add", &format!("x{n}"), "type", "veth", "peer", "name", &format!("y{n}")],
        );
        must("ip", &["-n", &router.name, "link", "set", &format!("x{n}"), "up"]);
        must("ip", &["-n", &router.name, "link", "set", &format!("y{n}"), "up"]);
    }
    let driver = router.driver();
    let mut times = Vec::new();
    let mut took = |what: &'static str, since: Instant| times.push((what, since.elapsed()));
    for (what, next) in [
        ("from nothing", text(4000)),
        ("all metrics", text(5000)),
        ("one line", text(5000).replacen("link-7\n", "link-x\n", 1)),
    ] {
        eprintln!("{what}: {} lines", next.lines().count());
        let since = Instant::now();
        driver.load_candidate(&next).await.unwrap();
        took("check and rehearsal", since);
        let since = Instant::now();
        driver.commit(LONG).await.unwrap();
        took("commit", since);
        let since = Instant::now();
        assert!(driver.compare(&next).await.unwrap().equal);
        took("compare", since);
        let since = Instant::now();
        driver.revert().await.unwrap();
        took("revert", since);
        driver.load_candidate(&next).await.unwrap();
        driver.commit(LONG).await.unwrap();
        let since = Instant::now();
        driver.confirm().await.unwrap();
        took("confirm", since);
    }
    for (what, time) in times {
        eprintln!("{what}: {} ms", time.as_millis());
        assert!(time < LIMIT, "{what}: {time:?}");
    }
}

#[tokio::test]
async fn metric_after_metric_needs_no_check_in_a_shadow() {
    let router = Router::new("m", &ALL);
    let runs = tempfile::Builder::new().prefix("cw").tempdir_in("/run").unwrap();
    fs::set_permissions(runs.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let options = FrrOptions { run_dir: runs.path().to_owned(), ..router.options() };
    let driver = FrrDriver::open(&options, NoProber).unwrap();
    applied(&driver, &crate::lab::text(1, 4000)).await;
    // From now on it is nobody's turn to start one.
    let turns: Vec<File> = (0..thread::available_parallelism().unwrap().get())
        .map(|number| File::create(runs.path().join(format!("causeway-frr-turn-{number}"))).unwrap())
        .collect();
    turns.iter().for_each(|turn| turn.try_lock().unwrap());
    // More than are remembered, and one of them again.
    for metric in [5000, 6000, 7000, 8000, 6000, 9000] {
        let text = crate::lab::text(1, metric);
        tokio::time::timeout(LIMIT, applied(&driver, &text))
            .await
            .unwrap_or_else(|_| panic!("{metric} waits for a turn"));
        assert!(router.running().contains(&format!(" isis metric {metric}\n")));
    }
}
