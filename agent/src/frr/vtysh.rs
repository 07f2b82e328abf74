//! One FRR instance, through `vtysh`.
//!
//! Commands are given with `-c`, never as a file: with `-f` FRR 8.4 goes on after a line that it refuses, ends with 0 when
//! it threw a whole group of lines away, and says nothing of lines for a daemon that is away. With `-c` it stops at the
//! first command that any daemon refuses, and says which daemon is away.

use std::{
    collections::BTreeSet,
    fs::File,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{daemons, database::Database, diff::Batch, observe, run, tree::Tree, vty};
use crate::driver::{Adjacency, DriverError};

/// For a question: the largest running configuration takes a second.
pub const SHOW_LIMIT: Duration = Duration::from_secs(10);
/// For one invocation that configures. Shorter than a verb's limit, so that the device's word comes first.
pub const CONFIGURE_LIMIT: Duration = Duration::from_secs(30);
/// Longest argument, in bytes: Linux takes 128 KiB.
const MAX_ARGUMENT_BYTES: usize = 96 * 1024;
/// Longest arguments of one invocation, in bytes: Linux takes a quarter of the stack's limit, usually 2 MiB.
const MAX_INVOCATION_BYTES: usize = 1024 * 1024;
/// Where FRR's packages have the daemons' sockets.
const RUN_FOLDER: &str = "/var/run/frr";
/// Longest name of an instance.
const MAX_PATHSPACE_BYTES: usize = 64;

/// Which instance of FRR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instance {
    /// The machine's own.
    Machine,
    /// One of several, as `-N` names it.
    Pathspace(String),
    /// The one whose sockets are in a folder.
    Folder(PathBuf),
}

impl Instance {
    /// By the name of a pathspace.
    ///
    /// # Errors
    /// A name that could be an option or leave FRR's folder.
    pub fn pathspace(name: &str) -> Result<Self, String> {
        let sound = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        if !first || name.len() > MAX_PATHSPACE_BYTES || !name.bytes().all(sound) {
            return Err(format!(
                "{name:?} is not a pathspace: letters, digits, - and _, at most {MAX_PATHSPACE_BYTES}"
            ));
        }
        Ok(Self::Pathspace(name.to_owned()))
    }
}

/// The way to an instance.
#[derive(Clone, Debug)]
pub struct Vtysh {
    program: PathBuf,
    instance: Instance,
}

/// What came of commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All were taken.
    Done,
    /// It stopped at a command that failed without a word. FRR 8.4 says so of `no ip address` on an interface that the kernel
    /// doesn't have, and has done it all the same; only what runs then tells.
    Wordless,
}

/// What runs, and which daemons said so.
#[derive(Clone, Debug)]
pub struct Running {
    /// Daemons that answer.
    pub daemons: BTreeSet<String>,
    /// Everything that they run, the operator's part too.
    pub tree: Tree,
}

impl Vtysh {
    /// With the program's path.
    pub fn new(program: &Path, instance: Instance) -> Self {
        Self { program: program.to_owned(), instance }
    }

    /// The program's path.
    pub fn program(&self) -> &Path {
        &self.program
    }

    fn command(&self) -> Command {
        // A session of its own: vtysh sets the terminal up even for one command, and would be stopped in the background of one.
        let mut command = Command::new("setsid");
        command.arg(&self.program);
        match &self.instance {
            Instance::Machine => &mut command,
            Instance::Pathspace(name) => command.arg("-N").arg(name),
            Instance::Folder(folder) => command.arg("--vty_socket").arg(folder).arg("--config_dir").arg(folder),
        };
        command
    }

    /// Where the daemons listen.
    fn folder(&self) -> PathBuf {
        match &self.instance {
            Instance::Machine => PathBuf::from(RUN_FOLDER),
            Instance::Pathspace(name) => Path::new(RUN_FOLDER).join(name),
            Instance::Folder(folder) => folder.clone(),
        }
    }

    /// Answers of commands that only ask.
    ///
    /// # Errors
    /// No daemon answers, or not in time.
    pub fn show(&self, commands: &[&str]) -> Result<String, DriverError> {
        let mut command = self.command();
        for show in commands {
            command.arg("-c").arg(show);
        }
        let ended = run::run(command, None, SHOW_LIMIT)?;
        if ended.status.success() {
            Ok(ended.stdout)
        } else {
            Err(DriverError::Unreachable(format!("vtysh does not answer: {}", failure(&ended))))
        }
    }

    /// A JSON answer of one daemon, over its own socket where that is found.
    ///
    /// # Errors
    /// It does not answer, or not in time, or the answer isn't JSON.
    pub fn json(&self, daemon: &str, command: &str) -> Result<serde_json::Value, DriverError> {
        let text = match vty::ask(&self.folder().join(format!("{daemon}.vty")), command, SHOW_LIMIT)? {
            Some(text) => text,
            None => self.show(&[command])?,
        };
        serde_json::from_str(&text)
            .map_err(|error| DriverError::Unreachable(format!("the answer to {command:?} is not JSON: {error}")))
    }

    /// IS-IS neighbours, circuit by circuit.
    ///
    /// # Errors
    /// isisd does not answer, or not in time, or its answers make no sense.
    pub fn adjacencies(&self) -> Result<Vec<Adjacency>, DriverError> {
        let interfaces = self.json("isisd", "show isis interface detail json")?;
        let neighbors = self.json("isisd", "show isis neighbor json")?;
        observe::adjacencies(&interfaces, &neighbors)
    }

    /// What IS-IS knows of the network.
    ///
    /// # Errors
    /// isisd does not answer over its socket, or not in time, or its answers make no sense.
    pub fn database(&self) -> Result<Database, DriverError> {
        let socket = self.folder().join("isisd.vty");
        Database::read(|commands| {
            let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
            let talk = vty::Talk::begin(&socket, &commands, SHOW_LIMIT);
            talk.map_err(|error| DriverError::Unreachable(format!("{}: {error}", socket.display())))?.words()
        })
    }

    /// What runs, and in which daemons: of the daemons themselves where they can be asked.
    ///
    /// # Errors
    /// No daemon answers, or not in time.
    pub fn running(&self) -> Result<Running, DriverError> {
        match daemons::running(&self.folder(), SHOW_LIMIT)? {
            Some(running) => Ok(running),
            None => self.shown(),
        }
    }

    /// The same as `vtysh` shows it, whose own lines are among them.
    ///
    /// # Errors
    /// No daemon answers, or not in time.
    pub fn shown(&self) -> Result<Running, DriverError> {
        let text = self.show(&["show daemons", "show running-config"])?;
        let (daemons, text) = text.split_once('\n').unwrap_or((&text, ""));
        let daemons = daemons.split_whitespace().map(str::to_owned).collect();
        Ok(Running { daemons, tree: Tree::parse(text) })
    }

    /// Has the daemons of `needed` running, or an error that names the first that isn't.
    ///
    /// # Errors
    /// [`DriverError::Unreachable`].
    pub fn require(running: &Running, needed: &BTreeSet<&'static str>) -> Result<(), DriverError> {
        match needed.iter().find(|daemon| !running.daemons.contains(**daemon)) {
            None => Ok(()),
            Some(daemon) => Err(DriverError::Unreachable(format!(
                "{daemon} is not running, and the configuration needs it; enable it in FRR's daemons file"
            ))),
        }
    }

    /// Gives commands, and stops at the first that is refused. `held` is the lock of whoever acts on the device: the program
    /// holds it too, until it ends, also when its parent was killed.
    ///
    /// # Errors
    /// [`DriverError::Refused`] with FRR's words; what came before runs. [`DriverError::Unreachable`]: unknown how far it got.
    pub fn configure(&self, batch: &Batch, held: Option<&File>) -> Result<Outcome, DriverError> {
        for arguments in invocations(batch) {
            let mut command = self.command();
            for argument in arguments {
                command.arg("-c").arg(argument);
            }
            let ended = run::run(command, held, CONFIGURE_LIMIT)?;
            if !ended.status.success() {
                return match failure(&ended) {
                    DriverError::Refused(words) if words.is_empty() => Ok(Outcome::Wordless),
                    error => Err(error),
                };
            }
        }
        Ok(Outcome::Done)
    }
}

/// Commands as arguments, one to a line, split so that Linux takes them; a group is never split over two invocations
/// unless it is too long for one.
fn invocations(batch: &Batch) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = Vec::new();
    let mut size = 0;
    for group in batch {
        let bytes: usize = group.iter().map(|line| line.len() + 1).sum();
        if all.is_empty() || size + bytes > MAX_INVOCATION_BYTES {
            all.push(Vec::new());
            size = 0;
        }
        size += bytes;
        let Some(arguments) = all.last_mut() else { continue };
        for line in group {
            match arguments.last_mut() {
                Some(argument) if argument.len() + line.len() < MAX_ARGUMENT_BYTES => {
                    argument.push('\n');
                    argument.push_str(line);
                }
                _ => arguments.push(line.clone()),
            }
        }
    }
    all
}

/// A daemon that is away is not a refusal: the same text may be taken later.
fn failure(ended: &run::Ended) -> DriverError {
    let words = format!("{}\n{}", ended.stdout, ended.stderr);
    let said: Vec<&str> = words.lines().filter(|line| !line.trim().is_empty() && !about_itself(line)).collect();
    let quote = run::quoted(&said.join("\n"));
    let away = ["is not running", "failed to connect", "Failure to communicate", "Connection refused"];
    if away.iter().any(|sign| words.contains(sign)) {
        return DriverError::Unreachable(quote);
    }
    DriverError::Refused(quote)
}

fn about_itself(line: &str) -> bool {
    line.contains("vtysh.conf") || line.starts_with("Error type") || line.trim() == "% Configuration failed."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pathspaces_are_names_and_nothing_else() {
        for bad in ["", "-x", "a/b", "..", "a b", "a\n", "x;y", &"x".repeat(65)] {
            assert!(Instance::pathspace(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Instance::pathspace("r1-a_B"), Ok(Instance::Pathspace("r1-a_B".to_owned())));
    }

    #[test]
    fn arguments_stay_within_what_linux_takes_and_lose_no_line() {
        let group: Vec<String> =
            (0..3000).map(|n| format!("neighbor 10.0.0.{n} remote-as 65000 {}", "x".repeat(60))).collect();
        let batch: Batch = std::iter::repeat_n(group, 20).collect();
        let made = invocations(&batch);
        assert!(made.len() > 1);
        for arguments in &made {
            assert!(arguments.iter().all(|a| a.len() <= MAX_ARGUMENT_BYTES));
            assert!(arguments.iter().map(String::len).sum::<usize>() <= MAX_INVOCATION_BYTES);
        }
        let lines: Vec<&str> = made.iter().flatten().flat_map(|a| a.lines()).collect();
        assert_eq!(lines, batch.iter().flatten().map(String::as_str).collect::<Vec<_>>());
    }
}
