//! FRR's daemons of one router.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use crate::{command::run, network::Place};

/// In the order in which they are started, with the real-time priority of those that a link is lost by when they wait for
/// a core. A nicer number would not do: Linux weighs by it only within a session, and each daemon is one of its own
/// (`sched_autogroup`).
const DAEMONS: [(&str, Option<&str>); 5] =
    [("zebra", Some("5")), ("staticd", None), ("isisd", Some("5")), ("bgpd", None), ("bfdd", Some("10"))];
/// Has none in a large network: what it has to do grows with that, and 158 of them took both cores for good. In a small one
/// it has: while one router has a new route and its neighbour has not, packets may go round between them.
const GROWING: &str = "zebra";
/// Where Debian has them.
const FOLDER: &str = "/usr/lib/frr";
/// Longest wait for a killed daemon to be gone.
const GONE: Duration = Duration::from_secs(10);

fn run_folder(place: &Place) -> PathBuf {
    Path::new("/var/run/frr").join(&place.namespace)
}

fn etc_folder(place: &Place) -> PathBuf {
    Path::new("/etc/frr").join(&place.namespace)
}

/// Makes the router's folders, with an empty startup configuration.
///
/// # Errors
/// FRR is not installed, or the folders can't be made.
pub fn prepare(place: &Place) -> anyhow::Result<()> {
    let frr = fs::metadata("/var/run/frr").or_else(|_| {
        fs::create_dir_all("/var/run/frr")?;
        let of = fs::metadata("/etc/frr")?;
        chown("/var/run/frr", Some(of.uid()), Some(of.gid()))?;
        fs::metadata("/var/run/frr")
    });
    let frr = frr.context("FRR is not installed (Debian: apt-get install frr)")?;
    let make = || -> io::Result<()> {
        for folder in [run_folder(place), etc_folder(place)] {
            fs::create_dir_all(&folder)?;
            chown(&folder, Some(frr.uid()), Some(frr.gid()))?;
        }
        fs::write(etc_folder(place).join("vtysh.conf"), "service integrated-vtysh-config\n")?;
        fs::write(etc_folder(place).join("frr.conf"), "! nothing yet\n")
    };
    make().context("FRR's folders can't be made")
}

/// Starts the daemons, and gives them the startup configuration.
///
/// # Errors
/// One does not start.
pub async fn start(place: &Place) -> anyhow::Result<()> {
    let namespace = place.namespace.as_str();
    for (daemon, priority) in DAEMONS {
        let pid = pid_file(place, daemon);
        let _ = fs::remove_file(&pid);
        let (program, pid) = (format!("{FOLDER}/{daemon}"), pid.display().to_string());
        let urgent = match priority.filter(|_| daemon != GROWING || place.hurried) {
            Some(priority) => vec!["--rr", priority],
            None => vec!["--other", "0"],
        };
        let arguments = ["ip", "netns", "exec", namespace, &program, "-d", "-N", namespace];
        let arguments = [&urgent[..], &arguments, &["-f", "/dev/null", "-P", "0", "-i", &pid]].concat();
        run("chrt", &arguments).await.with_context(|| format!("{daemon} of {namespace} does not start"))?;
    }
    // Without a terminal, which it would want to set up.
    run("setsid", &["vtysh", "-N", namespace, "-b"]).await.map(drop)
}

/// Kills every daemon, as a loss of power would.
///
/// # Errors
/// One does not go.
pub async fn kill(place: &Place) -> anyhow::Result<()> {
    let pids = pids(place);
    for pid in &pids {
        let _ = run("kill", &["-KILL", &pid.to_string()]).await;
    }
    let deadline = Instant::now() + GONE;
    while pids.iter().any(|pid| Path::new(&format!("/proc/{pid}/exe")).exists()) {
        if Instant::now() > deadline {
            bail!("a daemon of {} does not go", place.namespace);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Lets nobody reach a daemon any more to ask or to configure it, while it goes on with its work.
///
/// # Errors
/// It listens nowhere.
pub fn hide(place: &Place, daemon: &str) -> anyhow::Result<()> {
    let [shown, hidden] = sockets(place, daemon);
    fs::rename(&shown, &hidden).with_context(|| format!("{daemon} of {} can't be hidden", place.namespace))
}

/// Lets it be reached again.
///
/// # Errors
/// It was not hidden.
pub fn show(place: &Place, daemon: &str) -> anyhow::Result<()> {
    let [shown, hidden] = sockets(place, daemon);
    fs::rename(&hidden, &shown).with_context(|| format!("{daemon} of {} can't be shown again", place.namespace))
}

/// Where a daemon listens, and where its socket is while it is hidden.
fn sockets(place: &Place, daemon: &str) -> [PathBuf; 2] {
    ["vty", "hidden"].map(|kind| run_folder(place).join(format!("{daemon}.{kind}")))
}

/// Process ids of the daemons.
#[must_use]
pub fn pids(place: &Place) -> Vec<u32> {
    let read = |daemon: &&str| fs::read_to_string(pid_file(place, daemon)).ok()?.trim().parse().ok();
    DAEMONS.iter().filter_map(|(daemon, _)| read(daemon)).collect()
}

fn pid_file(place: &Place, daemon: &str) -> PathBuf {
    run_folder(place).join(format!("{daemon}.pid"))
}
