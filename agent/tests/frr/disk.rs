//! The disk with the agent's state fills up, or can't be written any more, while a commit is open.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use causeway_agent::{
    driver::{Driver, DriverError},
    frr::{FrrDriver, FrrOptions, NoProber},
};

use crate::{
    applied,
    lab::{Router, eventually, may, must, pair, text},
};

/// What a commit and a slow machine take.
const LIMIT: Duration = Duration::from_secs(8);
/// Several tries of a watchdog to write.
const TRIES: Duration = Duration::from_secs(4);
/// How many octets the disk takes; a state file has a few thousand.
const SIZE: &str = "size=256k";

/// A small disk.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new() -> Self {
        let disk = Self(tempfile::tempdir().unwrap());
        must("mount", &["-t", "tmpfs", "-o", SIZE, "tmpfs", disk.0.path().to_str().unwrap()]);
        disk
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }

    fn fill(&self) {
        let mut file = fs::File::create(self.filler()).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    }

    fn make_room(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn remount(&self, how: &str) {
        must("mount", &["-o", &format!("remount,{how}"), self.path().to_str().unwrap()]);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        may("umount", &["--lazy", self.path().to_str().unwrap()]);
    }
}

fn driver(router: &Router, disk: &Disk) -> FrrDriver {
    let options = FrrOptions { state_dir: disk.path().to_owned(), ..router.options() };
    FrrDriver::open(&options, NoProber).unwrap()
}

#[tokio::test]
async fn on_a_full_disk_the_device_is_back_in_time_and_the_file_says_so_once_there_is_room() {
    let (a, _b) = pair();
    let disk = Disk::new();
    let driver = driver(&a, &disk);
    applied(&driver, &text(1, 4000)).await;
    let before = a.running();
    driver.load_candidate(&text(1, 5000)).await.unwrap();
    let since = Instant::now();
    driver.commit(LIMIT).await.unwrap();
    disk.fill();
    assert!(matches!(driver.confirm().await, Err(DriverError::State(_))), "it can't be written down");
    // Its time isn't over: if it can't be kept from being confirmed, it isn't begun to be taken back.
    assert!(matches!(driver.revert().await, Err(DriverError::State(_))));
    assert_ne!(a.running(), before);
    eventually("the way back", || a.running() == before);
    let took = since.elapsed();
    assert!(took <= LIMIT, "{took:?}");
    assert!(driver.is_pending().await.unwrap(), "the file still has the commit");
    assert!(matches!(driver.confirm().await, Err(DriverError::State(_))), "its time is over");
    // Only the writing is tried again: nobody's work on the device is undone.
    a.vtysh(&["configure terminal\ninterface eth1\nisis metric 77\nend"]);
    tokio::time::sleep(TRIES).await;
    assert!(a.running().contains("isis metric 77"), "{}", a.running());
    disk.make_room();
    eventually("the watchdog ends", || a.watchdogs().is_empty());
    assert!(!driver.is_pending().await.unwrap() && a.running().contains("isis metric 77"));
    applied(&driver, &text(1, 5000)).await;
}

#[tokio::test]
async fn on_a_disk_that_can_only_be_read_the_device_is_back_also_with_the_watchdog_killed() {
    let (a, _b) = pair();
    let disk = Disk::new();
    let driver = driver(&a, &disk);
    applied(&driver, &text(1, 4000)).await;
    eventually("the first watchdog ends", || a.watchdogs().is_empty());
    let before = a.running();
    driver.load_candidate(&text(1, 5000)).await.unwrap();
    driver.commit(LIMIT).await.unwrap();
    disk.remount("ro");
    let killed = a.watchdogs();
    must("kill", &["-KILL", &killed[0]]);
    eventually("another", || a.watchdogs().first().is_some_and(|pid| *pid != killed[0]));
    eventually("the way back", || a.running() == before);
    assert!(driver.is_pending().await.unwrap());
    disk.remount("rw");
    eventually("the watchdog ends", || a.watchdogs().is_empty());
    assert!(!driver.is_pending().await.unwrap());
    applied(&driver, &text(1, 5000)).await;
}
