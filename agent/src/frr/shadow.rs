//! A second FRR beside the device's own, for the length of one check: the same daemons, with no interfaces and in
//! network namespaces of their own. What it refuses, the device would refuse; what it shows after a text is how the
//! device will show that text, defaults left out and long forms said.
//!
//! The rehearsal goes text, back to what runs, and forward again, with the very commands that the device will get: so
//! the way there and the way back are known to work before anything is armed. What it can't foretell: lines that depend on
//! interfaces of the kernel.
//!
//! It ends with its agent, however that ends. The kernel sees to it: each daemon is in a process namespace whose first process
//! dies with the thread that started it, and takes the rest along. Nothing outside of it has to live for that, so that also
//! whoever kills a whole network namespace (each daemon has one of its own) leaves nothing.
//!
//! Checks take turns: no more of them at a time on a machine than it has processors, whatever the number of agents. The
//! others wait, in no order, for a bounded time.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::{self, File, TryLockError},
    io::{self, ErrorKind},
    iter,
    os::unix::fs::{FileExt, MetadataExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::{
    diff,
    engine::{Goal, Manner, converge},
    run, scope,
    tree::Tree,
    vty::Talk,
    vtysh::{CONFIGURE_LIMIT, Instance, Outcome, Vtysh},
};
use crate::driver::DriverError;

/// The daemons that there is configuration for.
const DAEMONS: [&str; 5] = ["zebra", "staticd", "isisd", "bgpd", "bfdd"];
/// The one of them that has the interfaces' addresses.
const ADDRESSING: &str = "zebra";
/// The one of them that only static routes need, which only a site's own lines have.
const STATIC: &str = "staticd";
/// For all of them to open their sockets: 0.1 s on an idle machine, and two hundred agents may check at once.
const UP_WITHIN: Duration = Duration::from_secs(20);
/// How often it is looked whether they have.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Longest wait of a check for its turn: two hundred agents of one machine with two processors, each for five seconds, as the checks of 158
/// routers' first texts took beside all of their daemons.
pub const TURN_WITHIN: Duration = Duration::from_secs(540);
/// How often it is looked whether it is one's turn.
const TURN_EVERY: Duration = Duration::from_millis(50);
/// Begins the names of the files that are locked for a turn; never that of a check's folder, which goes on with a number.
const TURN_FILE: &str = "causeway-frr-turn-";
/// Turns at a time where the number of processors is not known.
const FEWEST_TURNS: usize = 1;
/// They end by themselves after this many seconds: an agent that was killed before it could ask for their death leaves them no
/// longer.
const LIFETIME_SECONDS: &str = "60";
/// How often a folder is removed: a daemon that is being killed may still put a file into it.
const REMOVALS: u32 = 20;
/// For the daemons that an earlier agent left to be killed.
const KILLED_WITHIN: Duration = Duration::from_secs(3);
/// Where agents make their checks' folders unless they are told another place.
pub const RUN_DIR: &str = "/run";
/// What names a daemon its folder for sockets.
const SOCKETS: &str = "--vty_socket";
/// Begins the names of checks' folders; a process id and a number follow.
const FOLDER: &str = "causeway-frr-";
/// Where FRR keeps a folder per process, by its name and number, and leaves it.
const CRASH_LOGS: &str = "/var/tmp/frr";
/// Most of a daemon's words that are read, in bytes; more than an error takes.
const MAX_LOG_BYTES: usize = 4096;
/// Number of a daemon in a process namespace of its own, after the one that times it.
const ITS_NUMBER: u32 = 2;
/// Owned by the user that FRR's daemons run as.
const FRR_FOLDER: &str = "/var/run/frr";

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// How to start one.
#[derive(Clone, Debug)]
pub struct ShadowOptions {
    /// Where FRR's daemons are.
    pub daemons: PathBuf,
    /// `vtysh`.
    pub vtysh: PathBuf,
    /// For sockets; short, for a socket's path has at most 107 bytes.
    pub run_dir: PathBuf,
}

/// A running shadow. Dropped, it ends and leaves nothing. It is for the thread that started it, and ends with that.
pub struct Shadow {
    folder: PathBuf,
    daemons: Vec<Daemon>,
    vtysh: Vtysh,
    baseline: Tree,
    /// Held for as long as it lives.
    _turn: File,
}

struct Daemon {
    name: &'static str,
    child: Child,
    /// What it says of itself. Never opened again by its name, which leads where FRR's user likes.
    log: File,
}

impl Shadow {
    /// Starts one, when it is its turn, with the daemons that a check of these texts needs.
    ///
    /// # Errors
    /// [`DriverError::Unreachable`]: FRR's daemons can't be started in namespaces of their own, which takes root; or it was
    /// not its turn in time.
    pub fn start(options: &ShadowOptions, texts: &[&Tree], turn_within: Duration) -> Result<Self, DriverError> {
        let turn = turn(&options.run_dir, turn_within)?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = options.run_dir.join(format!("{FOLDER}{}-{number}", std::process::id()));
        let failed = |what: &str, error: &dyn std::fmt::Display| {
            DriverError::Unreachable(format!("no FRR can be started to check the configuration: {what}: {error}"))
        };
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).map_err(|e| failed(&folder.display().to_string(), &e))?;
        let vtysh = Vtysh::new(&options.vtysh, Instance::Folder(folder.clone()));
        let mut shadow = Self { folder, daemons: Vec::new(), vtysh, baseline: Tree::default(), _turn: turn };
        let routes = texts.iter().any(|text| scope::needed_daemons(text).contains(STATIC));
        let wanted = DAEMONS.into_iter().filter(|daemon| routes || *daemon != STATIC);
        let there = wanted.filter(|daemon| options.daemons.join(daemon).exists());
        // From the next step on the folder is FRR's, and a name in it may be a link to anywhere.
        let logs: Vec<(&'static str, File)> = there
            .map(|daemon| Ok((daemon, shadow.log(daemon).map_err(|e| failed(daemon, &e))?)))
            .collect::<Result<_, DriverError>>()?;
        let frr = fs::metadata(FRR_FOLDER).map_err(|e| failed(FRR_FOLDER, &e))?;
        chown(&shadow.folder, Some(frr.uid()), Some(frr.gid())).map_err(|e| failed("its folder", &e))?;
        for (name, log) in logs {
            let child = shadow.daemon(&options.daemons, name, &log).map_err(|e| failed(name, &e))?;
            shadow.daemons.push(Daemon { name, child, log });
        }
        shadow.wait(&failed)?;
        shadow.baseline = shadow.first_words()?;
        Ok(shadow)
    }

    /// What all of them say before they are told anything. A daemon's socket is there a moment before it listens, and one that is left out here
    /// would seem to say later, because of a text, what it says of itself: `no ip forwarding`, which a device must never be given.
    fn first_words(&self) -> Result<Tree, DriverError> {
        let deadline = Instant::now() + UP_WITHIN;
        loop {
            match self.all_say() {
                Ok(tree) => return Ok(tree),
                Err(_) if Instant::now() < deadline => thread::sleep(LOOK_EVERY),
                Err(error) => return Err(error),
            }
        }
    }

    /// What all of them run. One that is missing is an error: what it runs would seem not to be wanted.
    fn all_say(&self) -> Result<Tree, DriverError> {
        let running = self.vtysh.running()?;
        Vtysh::require(&running, &self.daemons.iter().map(|daemon| daemon.name).collect())?;
        Ok(running.tree)
    }

    fn log(&self, name: &str) -> io::Result<File> {
        let path = self.folder.join(format!("{name}.log"));
        File::options().read(true).write(true).create_new(true).open(path)
    }

    fn daemon(&self, daemons: &Path, name: &str, log: &File) -> io::Result<Child> {
        let mut command = Command::new("setpriv");
        // A daemon gives up root, and by that the wish to die with its parent; who times it keeps both.
        command.args(["--pdeathsig", "KILL", "--", "unshare", "--net", "--pid", "--fork", "--kill-child", "--"]);
        command.args(["timeout", "--kill-after=1", LIFETIME_SECONDS]).arg(daemons.join(name));
        command.arg(SOCKETS).arg(&self.folder).arg("-z").arg(self.folder.join("zserv.api"));
        command.arg("-i").arg(self.pid_file(name)).args(["-f", "/dev/null", "-P", "0"]);
        if name == "bfdd" {
            command.arg("--bfdctl").arg(self.folder.join("bfdd.sock"));
        }
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log.try_clone()?).spawn()
    }

    fn pid_file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.pid"))
    }

    fn wait(&mut self, failed: &dyn Fn(&str, &dyn std::fmt::Display) -> DriverError) -> Result<(), DriverError> {
        let deadline = Instant::now() + UP_WITHIN;
        loop {
            let ended = self.daemons.iter_mut().any(|daemon| !matches!(daemon.child.try_wait(), Ok(None)));
            let folder = &self.folder;
            let missing = self.daemons.iter().find(|daemon| !folder.join(format!("{}.vty", daemon.name)).exists());
            let Some(daemon) = missing else { return Ok(()) };
            if ended || Instant::now() > deadline {
                return Err(failed(daemon.name, &run::quoted(&daemon.words())));
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    fn now(&self) -> Result<Tree, DriverError> {
        Ok(self.all_say()?.filtered(|path| !self.baseline.contains(path)))
    }

    /// From one form to another, each as FRR shows it.
    fn reach(&self, from: &Tree, target: &Tree) -> Result<(), DriverError> {
        // Everything that it runs is there for this check.
        let owned: BTreeSet<_> = from.paths().cloned().collect();
        let known = (!self.unaddress(from, target)?).then_some(from);
        converge(&self.vtysh, known, &Goal { target, owned: &owned }, Manner::Strict, None)
    }

    /// Takes addresses from interfaces ahead of everything else that changes; says whether there were any. There are no such
    /// interfaces here, for which zebra does it and says that it failed, without a word. `vtysh` stops at that, and everything
    /// would have to be given group by group, each with a process: twenty of them for a device of twenty links.
    fn unaddress(&self, from: &Tree, target: &Tree) -> Result<bool, DriverError> {
        let commands = diff::unaddressing(&diff::batch(from, target)).concat();
        if commands.is_empty() {
            return Ok(false);
        }
        let commands: Vec<&str> = iter::once("enable").chain(commands.iter().map(String::as_str)).collect();
        let socket = self.folder.join(format!("{ADDRESSING}.vty"));
        let talk = Talk::begin(&socket, &commands, CONFIGURE_LIMIT)
            .map_err(|error| DriverError::Unreachable(format!("{}: {error}", socket.display())))?;
        talk.answered()?;
        Ok(true)
    }

    /// The text as FRR shows it.
    ///
    /// # Errors
    /// [`DriverError::Refused`] with the daemon's words.
    pub fn canonical(&self, text: &Tree) -> Result<Tree, DriverError> {
        if self.vtysh.configure(&diff::batch(&Tree::default(), text), None)? == Outcome::Wordless {
            return Err(DriverError::Refused("FRR refuses a line of it, and does not say which".to_owned()));
        }
        let shown = self.now()?;
        if shown.is_empty() {
            return Err(DriverError::Refused("FRR takes the text and shows nothing of it".to_owned()));
        }
        if let Some(line) = unsaid(&shown, text) {
            let words = format!("the FRR that checks the configuration shows {line:?}, of which the text says nothing");
            return Err(DriverError::State(words));
        }
        Ok(shown)
    }

    /// From `target`, which it runs, back to `running` and forward again. Says how long the way back took.
    ///
    /// # Errors
    /// [`DriverError::Refused`]: one of the ways does not lead there.
    pub fn there_and_back(&self, target: &Tree, running: &Tree) -> Result<Duration, DriverError> {
        let named = |way: &str, error: DriverError| match error {
            DriverError::Refused(words) => DriverError::Refused(format!("{way}: {words}")),
            other => other,
        };
        let began = Instant::now();
        self.reach(target, running).map_err(|e| named("the way back from it to what runs can not be gone", e))?;
        let took = began.elapsed();
        self.reach(running, target).map_err(|e| named("the way from what runs to it can not be gone", e))?;
        Ok(took)
    }
}

impl Daemon {
    fn words(&self) -> String {
        let mut room = vec![0; MAX_LOG_BYTES];
        let read = self.log.read_at(&mut room, 0).unwrap_or(0);
        room.truncate(read);
        String::from_utf8_lossy(&room).into_owned()
    }
}

impl Drop for Shadow {
    fn drop(&mut self) {
        for Daemon { name, child, .. } in &mut self.daemons {
            run::kill(child);
            let _ = fs::remove_dir_all(Path::new(CRASH_LOGS).join(format!("{name}.{ITS_NUMBER}")));
        }
        remove(&self.folder);
    }
}

/// A line at the top of what is shown whose kind of command no line at the top of the text is: it comes from somewhere else.
fn unsaid<'a>(shown: &'a Tree, text: &Tree) -> Option<&'a str> {
    let kind = |path: &super::tree::Path| path.first().and_then(|line| line.split(' ').next()).map(str::to_owned);
    let said: BTreeSet<Option<String>> = text.paths().map(kind).collect();
    shown.paths().find(|path| !said.contains(&kind(path)))?.first().map(String::as_str)
}

/// Removes a check's folder.
fn remove(folder: &Path) {
    for _ in 0..REMOVALS {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => thread::sleep(LOOK_EVERY),
            Ok(()) | Err(_) => return,
        }
    }
}

/// Waits for one of the machine's turns. It is given back when the answer is dropped, or its process ends.
fn turn(run_dir: &Path, within: Duration) -> Result<File, DriverError> {
    let turns = thread::available_parallelism().map_or(FEWEST_TURNS, usize::from);
    let failed = |path: &Path, error: &dyn std::fmt::Display| {
        DriverError::Unreachable(format!("no turn for a check can be had: {}: {error}", path.display()))
    };
    let deadline = Instant::now() + within;
    let paths: Vec<PathBuf> = (0..turns).map(|number| run_dir.join(format!("{TURN_FILE}{number}"))).collect();
    loop {
        for path in &paths {
            let file =
                File::options().create(true).truncate(false).write(true).open(path).map_err(|e| failed(path, &e))?;
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(failed(path, &error)),
            }
        }
        if Instant::now() >= deadline {
            return Err(DriverError::Unreachable(format!(
                "{turns} other agents of this machine check their configurations, and have not ended within {} s",
                within.as_secs()
            )));
        }
        thread::sleep(TURN_EVERY);
    }
}

/// Takes away what agents that were killed left of their checks: folders, and daemons of an agent that could not see to their
/// end.
pub fn sweep(run_dir: &Path) {
    let Ok(entries) = fs::read_dir(run_dir) else { return };
    let left: Vec<PathBuf> =
        entries.flatten().filter(|entry| is_left(&entry.file_name())).map(|entry| entry.path()).collect();
    let pids: Vec<String> = left.iter().flat_map(|folder| users(folder)).collect();
    if !pids.is_empty() {
        tracing::warn!(?left, ?pids, "an agent that was killed has left daemons of a check; killing them");
        let mut command = Command::new("kill");
        command.arg("-KILL").args(pids);
        let _ = run::run(command, None, KILLED_WITHIN);
    }
    left.iter().for_each(|folder| remove(folder));
}

/// Whether a name is that of a check whose agent is gone.
fn is_left(name: &OsStr) -> bool {
    let pid = name.to_str().and_then(|name| name.strip_prefix(FOLDER)).and_then(|rest| rest.split('-').next());
    let pid = pid.filter(|pid| !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit()));
    // Of a process that has ended and that nobody has asked for yet, the program is gone.
    pid.is_some_and(|pid| {
        fs::read_link(Path::new("/proc").join(pid).join("exe")).is_err_and(|error| error.kind() == ErrorKind::NotFound)
    })
}

/// Processes that were told to listen in a check's folder.
fn users(folder: &Path) -> Vec<String> {
    let Some(told) = folder.to_str().map(|folder| format!("\0{SOCKETS}\0{folder}\0")) else { return Vec::new() };
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    processes
        .flatten()
        .filter_map(|process| process.file_name().into_string().ok().filter(|n| n.bytes().all(|b| b.is_ascii_digit())))
        .filter(|pid| {
            let line = fs::read(Path::new("/proc").join(pid).join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&told)
        })
        .collect()
}

/// What a rehearsal finds out.
#[derive(Clone, Debug)]
pub struct Rehearsed {
    /// The text as FRR shows it.
    pub target: Tree,
    /// What ran, of the part that the text manages.
    pub running: Tree,
    /// How long the way back took here.
    pub way_back: Duration,
}

/// Checks a text in a shadow against what runs.
///
/// # Errors
/// [`DriverError::Refused`]: the text, or a way. [`DriverError::Unreachable`]: no shadow can be started.
pub fn rehearse(
    options: &ShadowOptions,
    text: &Tree,
    running: &Tree,
    owned: &BTreeSet<super::tree::Path>,
) -> Result<Rehearsed, DriverError> {
    let shadow = Shadow::start(options, &[text, running], TURN_WITHIN)?;
    let target = shadow.canonical(text)?;
    let running = scope::managed(running, &target, owned);
    let way_back = shadow.there_and_back(&target, &running)?;
    Ok(Rehearsed { target, running, way_back })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_text_says_nothing_of_is_seen() {
        let text = Tree::parse("interface a\n mtu 9\nrouter isis 1\n net x\nip route 1.0.0.0/8 blackhole\n");
        let shown = |more: &str| Tree::parse(&format!("interface a\n mtu 9\nrouter isis 1\n is-type x\n{more}"));
        assert_eq!(unsaid(&shown(""), &text), None);
        assert_eq!(unsaid(&shown("ip route 1.0.0.0/8 blackhole 255\n"), &text), None);
        assert_eq!(unsaid(&shown("no ip forwarding\n"), &text), Some("no ip forwarding"));
    }
}
