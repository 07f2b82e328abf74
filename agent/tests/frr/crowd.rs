//! Many agents of one machine that check at the same time: they take turns, and all of them come to an end.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use causeway_agent::frr::{
    shadow::{ShadowOptions, rehearse},
    tree::Tree,
};

use crate::lab::text;

/// As in the lab's smaller topology.
const AGENTS: usize = 25;
/// Peers of each: a mesh of the same.
const PEERS: usize = 24;
/// Far more than they need on a machine that does nothing else, which is 15 s.
const LIMIT: Duration = Duration::from_secs(200);

/// Links of each, somewhat more than on average there.
const LINKS: usize = 5;

fn large() -> String {
    let links: String = (0..LINKS)
        .map(|n| {
            format!(
                "interface x{n}\n description link-{n}\n ip address 10.1.{n}.0/31\n ip router isis 1\n \
                 isis circuit-type level-2-only\n isis metric 4000\n isis network point-to-point\nexit\n"
            )
        })
        .collect();
    let peers: String = (0..PEERS)
        .map(|n| {
            format!(
                " neighbor 198.18.2.{n} remote-as 65000\n neighbor 198.18.2.{n} description peer-{n}\n \
                 neighbor 198.18.2.{n} update-source 198.18.0.1\n neighbor 198.18.2.{n} timers 3 9\n"
            )
        })
        .collect();
    text(1, 4000).replace(" timers bgp 1 3\n", &format!(" timers bgp 1 3\n{peers}")) + &links
}

/// Folders of checks in a folder, each of a running one.
fn under_way(folder: &std::path::Path) -> usize {
    fs::read_dir(folder).unwrap().flatten().filter(|entry| entry.path().is_dir()).count()
}

#[test]
fn twenty_five_agents_of_one_machine_take_turns() {
    // Short, for a socket's path has at most 107 bytes; and other tests take other turns.
    let folder = tempfile::Builder::new().prefix("cw").tempdir_in("/run").unwrap();
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let options = ShadowOptions {
        daemons: "/usr/lib/frr".into(),
        vtysh: "/usr/bin/vtysh".into(),
        run_dir: folder.path().to_owned(),
    };
    // Each runs nothing yet, as when a lab starts.
    let (new, nothing) = (Tree::of_text(&large()).unwrap(), Tree::default());
    let began = Instant::now();
    let most = std::thread::scope(|scope| {
        let agents: Vec<_> = (0..AGENTS)
            .map(|_| {
                scope.spawn(|| {
                    let began = Instant::now();
                    rehearse(&options, &new, &nothing, &std::collections::BTreeSet::new()).unwrap();
                    began.elapsed()
                })
            })
            .collect();
        let over = Arc::new(AtomicBool::new(false));
        let watcher = {
            let over = over.clone();
            let path = folder.path();
            scope.spawn(move || {
                let mut most = 0;
                while !over.load(Ordering::Relaxed) {
                    most = most.max(under_way(path));
                    std::thread::sleep(Duration::from_millis(20));
                }
                most
            })
        };
        let ended: Vec<_> = agents.into_iter().map(|agent| agent.join()).collect();
        // Also when one has failed.
        over.store(true, Ordering::Relaxed);
        let mut times: Vec<Duration> = ended.into_iter().map(Result::unwrap).collect();
        times.sort();
        eprintln!(
            "{AGENTS} checks of {} lines in {:?}; half of them within {:?}, the last within {:?}",
            large().lines().count(),
            began.elapsed(),
            times[AGENTS / 2],
            times[AGENTS - 1]
        );
        watcher.join().unwrap()
    });
    let processors = std::thread::available_parallelism().unwrap().get();
    assert!((1..=processors).contains(&most), "{most} at a time on {processors} processors");
    assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
    assert_eq!(under_way(folder.path()), 0, "nothing is left");
}
