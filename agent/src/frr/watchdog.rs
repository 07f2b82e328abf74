//! The process that takes an unconfirmed commit back when its time is over, whether the agent lives or not.
//!
//! It has a session of its own. What it is to do is in the memory file; it ends as soon as that holds no commit, or another
//! one. One guards a device at a time. Killed, the agent starts another; with the agent dead too, the next agent does.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use clap::Parser;

use super::{
    device::{Device, WentBack},
    links::Kernel,
    memory::{BootTime, MemoryFile},
    run,
    vtysh::{Instance, Vtysh},
};
use crate::driver::DriverError;

/// The word that comes first among the arguments of a process that is a watchdog.
pub const COMMAND: &str = "watchdog";
/// How often the file is looked at; the time by which a revert may be late.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Between tries to go back, while FRR is away.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// Tries: an hour and more. After that the next start of the agent takes it up.
const MAX_TRIES: u32 = 3600;
/// For a new process to say that it watches; its predecessor has ended by then. Nothing has been changed yet: patience costs
/// nothing, and a busy machine needs it.
const ARMED_WITHIN: Duration = Duration::from_secs(30);
/// For the predecessor to end; it looks every [`LOOK_EVERY`].
const PREDECESSOR_WITHIN: Duration = Duration::from_secs(20);
/// What it says when it watches.
const ARMED: &str = "armed";
/// How often an agent starts a watchdog again for one commit.
const MAX_STARTS: u32 = 20;

/// What a watchdog is told.
#[derive(Debug, Parser)]
#[command(name = "causeway-agent watchdog")]
pub struct WatchdogOptions {
    /// File that it shares with the agent
    #[arg(long)]
    memory: PathBuf,
    /// Path of vtysh
    #[arg(long)]
    vtysh: PathBuf,
    /// Pathspace of FRR; the machine's own without it
    #[arg(long)]
    pathspace: Option<String>,
    /// Network namespace; this process's own without it
    #[arg(long)]
    netns: Option<String>,
    /// The commit to guard
    #[arg(long)]
    commit: u64,
}

/// How the agent starts watchdogs.
#[derive(Clone, Debug)]
pub struct Kennel {
    /// A program that runs [`watch`] when its first argument is [`COMMAND`].
    pub program: PathBuf,
    /// Of FRR; the machine's own without it.
    pub pathspace: Option<String>,
}

impl Kennel {
    /// Starts a watchdog for a commit and returns once it watches; sees to it that there is one as long as this process
    /// lives and the commit is pending.
    ///
    /// # Errors
    /// [`DriverError::State`]: none watches.
    pub fn start(&self, device: &Device, commit: u64) -> Result<(), DriverError> {
        let child = self.spawn(device, commit)?;
        let (kennel, device) = (self.clone(), device.clone());
        thread::spawn(move || kennel.keep(&device, commit, child));
        Ok(())
    }

    fn keep(&self, device: &Device, commit: u64, mut child: Child) {
        for start in 1..MAX_STARTS {
            let _ = child.wait();
            let pending = device.memory.read().ok().and_then(|memory| memory.pending);
            if pending.is_none_or(|pending| pending.id != commit) {
                return;
            }
            tracing::error!(commit, start, "the watchdog has died; starting another");
            thread::sleep(RETRY_EVERY);
            match self.spawn(device, commit) {
                Ok(next) => child = next,
                Err(error) => tracing::error!(%error, "no watchdog"),
            }
        }
    }

    fn spawn(&self, device: &Device, commit: u64) -> Result<Child, DriverError> {
        let failed = |why: &dyn std::fmt::Display| DriverError::State(format!("the revert can not be armed: {why}"));
        // A session of its own: what ends the agent's terminal or group does not end it.
        let mut command = Command::new("setsid");
        command.arg(&self.program).arg(COMMAND);
        command.arg("--memory").arg(device.memory.path()).arg("--vtysh").arg(device.vtysh.program());
        command.arg("--commit").arg(commit.to_string());
        if let Some(pathspace) = &self.pathspace {
            command.arg("--pathspace").arg(pathspace);
        }
        if let Some(netns) = device.kernel.netns() {
            command.arg("--netns").arg(netns);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).current_dir("/");
        let mut child = command.spawn().map_err(|e| failed(&e))?;
        let (sender, said) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || {
                let mut line = String::new();
                let _ = BufReader::new(stdout).read_line(&mut line);
                let _ = sender.send(line);
            });
        }
        let why = match said.recv_timeout(ARMED_WITHIN) {
            Ok(line) if line.trim() == ARMED => return Ok(child),
            Ok(_) => "the watchdog has ended; the log has its words",
            Err(_) => "the watchdog does not say in time that it watches",
        };
        run::kill(&mut child);
        Err(failed(&why))
    }
}

/// The process. Its arguments follow [`COMMAND`].
///
/// # Errors
/// It can't watch, or has given up going back.
pub fn watch(options: &WatchdogOptions) -> Result<(), DriverError> {
    let instance = match &options.pathspace {
        None => Instance::Machine,
        Some(name) => Instance::pathspace(name).map_err(DriverError::State)?,
    };
    let device =
        Device::new(Vtysh::new(&options.vtysh, instance), Kernel::new(options.netns.as_deref())?, &options.memory);
    let _alone = device.memory.lock("watchdog", PREDECESSOR_WITHIN)?;
    if is_over(&device.memory, options.commit)? {
        return Ok(());
    }
    // The agent may be gone already; that changes nothing.
    let _ = writeln!(std::io::stdout(), "{ARMED}");
    for _ in 0..MAX_TRIES {
        wait(&device.memory, options.commit)?;
        if is_over(&device.memory, options.commit)? {
            return Ok(());
        }
        tracing::warn!(commit = options.commit, "a commit is taken back");
        match device.go_back_if_due(options.commit) {
            Ok(WentBack::Done) => tracing::warn!(commit = options.commit, "the device runs what it ran before"),
            Ok(WentBack::NotDue) => tracing::warn!(commit = options.commit, "not yet: it was given more time"),
            Ok(WentBack::Unwritten(error)) => {
                tracing::error!(%error, "the device runs what it ran before, and that can not be written down");
                return write_down(&device, options.commit);
            }
            Err(error) => {
                tracing::error!(%error, "the way back failed; trying again");
                thread::sleep(RETRY_EVERY);
            }
        }
    }
    Err(DriverError::State("the way back failed too often; the agent's next start takes it up".to_owned()))
}

/// Until the file has no such commit any more. Nothing else is done: whoever makes room on the disk may be at work on the device
/// too.
fn write_down(device: &Device, commit: u64) -> Result<(), DriverError> {
    let mut written = device.forget(commit);
    for _ in 1..MAX_TRIES {
        if written.is_ok() {
            break;
        }
        thread::sleep(RETRY_EVERY);
        written = device.forget(commit);
    }
    written
}

/// Until the commit is over or overdue.
fn wait(memory: &MemoryFile, commit: u64) -> Result<(), DriverError> {
    loop {
        let version = memory.version();
        let Some(pending) = memory.read()?.pending.filter(|pending| pending.id == commit) else { return Ok(()) };
        // Who goes back leaves the commit pending until that is done; if it fails, it is done here.
        if pending.reverting || pending.is_overdue(&BootTime::now()?) {
            return Ok(());
        }
        while memory.version() == version && !pending.is_overdue(&BootTime::now()?) {
            thread::sleep(LOOK_EVERY);
        }
    }
}

fn is_over(memory: &MemoryFile, commit: u64) -> Result<bool, DriverError> {
    Ok(memory.read()?.pending.is_none_or(|pending| pending.id != commit))
}

/// What a program asks first: the options, where its arguments are those of a watchdog.
pub fn asked() -> Option<WatchdogOptions> {
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_default();
    if arguments.next()? != COMMAND {
        return None;
    }
    Some(WatchdogOptions::parse_from(std::iter::once(program).chain(arguments)))
}

/// The program that is running, as a kennel's, also after its file was replaced by an upgrade.
pub fn this_program() -> PathBuf {
    Path::new("/proc").join(std::process::id().to_string()).join("exe")
}
