//! A real server of one's own, for tests and the bench: Debian's PostgreSQL as a child process in a folder that goes
//! with it. Needs no system service and no fixed port. PostgreSQL refuses to run as root; then it runs as `postgres`.

use std::{
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Debian's package that has the programs.
pub const PACKAGE: &str = "postgresql";
/// Where the package puts the programs of each version.
const PROGRAMS: &str = "/usr/lib/postgresql";
/// Longest start: a second, or many on a machine that builds meanwhile.
const START: Duration = Duration::from_secs(60);
/// Between two looks whether it has started.
const LOOK: Duration = Duration::from_millis(50);
/// Starts on other ports when somebody else took one in between.
const TRIES: u32 = 5;
/// The user that the package makes.
const USER: &str = "postgres";

/// A server that ends with its owner.
#[derive(Debug)]
pub struct Server {
    /// Removed with it.
    folder: PathBuf,
    port: u16,
    child: Option<Child>,
    programs: PathBuf,
}

impl Server {
    /// Makes and starts one below this folder, which others may look into.
    ///
    /// # Errors
    /// The program is not installed, or does not come up; a sentence says so.
    pub fn start(folder: &Path) -> Result<Self, String> {
        let programs = programs()?;
        let place = folder.join("postgres");
        std::fs::create_dir_all(&place).map_err(|error| format!("{}: {error}", place.display()))?;
        if is_root() {
            let (user, group) = owner()?;
            // The folder is made for its owner alone; the server's user has to come through.
            open_to_others(folder)?;
            chown(&place, Some(user), Some(group)).map_err(|error| format!("{}: {error}", place.display()))?;
        }
        let data = place.join("data");
        let mut make = command(&programs.join("initdb"), &place);
        make.args(["--auth=trust", "--encoding=UTF8", "--locale=C", "--username", USER, "--no-instructions", "-D"]);
        let made = make.arg(&data).output().map_err(|error| format!("initdb can't be started: {error}"))?;
        if !made.status.success() {
            return Err(format!("initdb failed: {}", String::from_utf8_lossy(&made.stderr)));
        }
        let mut problem = String::new();
        for _ in 0..TRIES {
            let mut server =
                Self { folder: place.clone(), port: free_port()?, child: None, programs: programs.clone() };
            match server.resume() {
                Ok(()) => return Ok(server),
                Err(told) => problem = told,
            }
        }
        Err(problem)
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/postgres", self.port)
    }

    /// Ends it as a power cut would: all its processes, without a word.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // The first line of its own file is its number; its children end when it does.
        let pid = std::fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap_or_default();
        if let Some(pid) = pid.lines().next().filter(|pid| pid.parse::<u32>().is_ok()) {
            let _ = Command::new("kill").args(["-QUIT", pid]).stderr(Stdio::null()).status();
        } else {
            let _ = child.kill();
        }
        let _ = child.wait();
    }

    /// Starts it again on what it left, at the same address.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn resume(&mut self) -> Result<(), String> {
        self.kill();
        let log = self.folder.join("output.log");
        let output = std::fs::File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let again = output.try_clone().map_err(|error| error.to_string())?;
        let mut start = command(&self.programs.join("postgres"), &self.folder);
        start.arg("-D").arg(self.folder.join("data"));
        start.args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        start.args(["-c", "unix_socket_directories=", "-c", "max_connections=60"]);
        let child = start.stdin(Stdio::null()).stdout(output).stderr(again).spawn();
        self.child = Some(child.map_err(|error| format!("postgres can't be started: {error}"))?);
        let until = Instant::now() + START;
        while Instant::now() < until {
            if let Some(Ok(Some(status))) = self.child.as_mut().map(Child::try_wait) {
                return Err(format!("postgres ended with {status}: {}", self.told(&log)));
            }
            let mut ask = Command::new(self.programs.join("pg_isready"));
            ask.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
            if ask.status().is_ok_and(|status| status.success()) {
                return Ok(());
            }
            std::thread::sleep(LOOK);
        }
        self.kill();
        Err(format!("postgres does not answer after {START:?}: {}", self.told(&log)))
    }

    fn told(&self, log: &Path) -> String {
        std::fs::read_to_string(log).unwrap_or_default().lines().take(5).collect::<Vec<_>>().join(" / ")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        // What is left is in a temporary folder.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The programs of the newest version that is installed.
fn programs() -> Result<PathBuf, String> {
    let missing =
        || format!("PostgreSQL is not installed; as root, run: apt-get install {PACKAGE} (this test is never skipped)");
    let versions = std::fs::read_dir(PROGRAMS).map_err(|_| missing())?;
    let folders = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    let number = |path: &Path| -> u32 {
        path.parent().and_then(Path::file_name).and_then(|n| n.to_str()).and_then(|n| n.parse().ok()).unwrap_or(0)
    };
    folders.filter(|bin| bin.join("postgres").exists()).max_by_key(|bin| number(bin)).ok_or_else(missing)
}

/// The program, as a user that it agrees to run as, where it may look around.
fn command(program: &Path, place: &Path) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", USER, "--regid", USER, "--clear-groups", "--pdeathsig", "QUIT", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir(place).env("LC_ALL", "C");
    command
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}

fn owner() -> Result<(u32, u32), String> {
    let users = std::fs::read_to_string("/etc/passwd").map_err(|error| format!("/etc/passwd: {error}"))?;
    let line = users.lines().find(|line| line.split(':').next() == Some(USER));
    let mut fields = line.into_iter().flat_map(|line| line.split(':').skip(2));
    let mut number = || fields.next().and_then(|field| field.parse().ok());
    number().zip(number()).ok_or_else(|| format!("there is no user {USER}; the package {PACKAGE} makes it"))
}

fn open_to_others(folder: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    let wrong = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mode = std::fs::metadata(folder).map_err(wrong)?.permissions().mode();
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode | 0o011)).map_err(wrong)
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| format!("no free port: {error}"))?;
    listener.local_addr().map(|address| address.port()).map_err(|error| error.to_string())
}
