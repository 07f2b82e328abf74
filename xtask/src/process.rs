//! Running other programs: the workspace's cargo, system tools, and long builds without a wall of text.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, IsTerminal, Read, Write},
    path::Path,
    process::{Command, ExitCode, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::progress;

/// How often a build that nobody watches says that it lives: often enough not to look hung in a log.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// Lines of a reader that may wait for printing; a reader that is ahead waits.
const PENDING_LINES: usize = 1_024;

/// A command without what `cargo run` put into the environment for this process: it would change what other tools
/// build and load.
pub fn plain(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        let of_run =
            ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"].iter().any(|p| text.starts_with(p));
        if of_run || matches!(text, "CARGO" | "CARGO_PRIMARY_PACKAGE" | "OUT_DIR") {
            command.env_remove(&name);
        }
    }
    // `cargo run` puts the toolchain's and the target's folders first, and another rustc must not find this one's LLVM.
    if let Some(path) = std::env::var_os("LD_LIBRARY_PATH") {
        let theirs = std::env::split_paths(&path).filter(|p| !is_of_toolchain(p));
        match std::env::join_paths(theirs) {
            Ok(rest) if !rest.is_empty() => command.env("LD_LIBRARY_PATH", rest),
            _ => command.env_remove("LD_LIBRARY_PATH"),
        };
    }
    command
}

fn is_of_toolchain(path: &Path) -> bool {
    path.as_os_str().is_empty()
        || path
            .components()
            .any(|c| matches!(c.as_os_str().to_str(), Some("toolchains" | "rustlib" | "debug" | "release")))
}

/// The cargo that runs this command.
pub fn cargo() -> Command {
    plain(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A command for a toolchain that is not the one running: nothing of the environment but what names the person, the
/// network and the registry.
pub fn isolated(program: &Path, path: &str) -> Command {
    const KEPT: [&str; 12] = [
        "HOME",
        "USER",
        "LANG",
        "LC_ALL",
        "TERM",
        "TMPDIR",
        "CARGO_HOME",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "NO_COLOR",
        "no_proxy",
        "NO_PROXY",
    ];
    const KEPT_BEGINNINGS: [&str; 5] = ["CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTR", "CARGO_SOURCE_", "CARGO_TERM_"];
    let mut command = Command::new(program);
    command.env_clear().env("PATH", path);
    for (name, value) in std::env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        let proxy = text.to_ascii_lowercase().ends_with("_proxy");
        if proxy || KEPT.contains(&text) || KEPT_BEGINNINGS.iter().any(|b| text.starts_with(b)) {
            command.env(&name, value);
        }
    }
    command
}

/// What a command prints, when it succeeds.
pub fn output(mut command: Command) -> Result<String> {
    let name = name(&command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("can't run {name}"))?;
    if !output.status.success() {
        bail!("{name} failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("{name} printed something that is not text"))
}

/// Whether a command can be run and succeeds; prints nothing.
pub fn succeeds(mut command: Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

/// Runs a command to its end with our stdout and stderr, and ends as it did.
pub fn exit_code_of(mut command: Command) -> Result<ExitCode> {
    let name = name(&command);
    let status = command.status().with_context(|| format!("can't run {name}"))?;
    Ok(match status.code() {
        Some(code) => u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from),
        None => ExitCode::FAILURE,
    })
}

/// Finds a program in the folders of `PATH`.
pub fn in_path(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// Runs a build. On a terminal cargo's own progress bar shows; in a log there is a line now and then instead of one
/// for each of a thousand crates. Nothing of the build goes to stdout.
///
/// # Errors
/// The command can't be run or fails; its own messages have been shown.
pub fn build(mut command: Command, what: &str) -> Result<()> {
    let name = name(&command);
    command.stdin(Stdio::null());
    let started = Instant::now();
    let success = if std::io::stderr().is_terminal() {
        command.stdout(Stdio::null());
        command.status().with_context(|| format!("can't run {name}"))?.success()
    } else {
        follow(command, what, |_| false)?
    };
    if !success {
        bail!("{what}: {name} failed");
    }
    let seconds = started.elapsed().as_secs();
    if seconds >= 5 {
        progress::note(&format!("{what}: done in {}", progress::duration(seconds)));
    }
    Ok(())
}

enum Line {
    Out(String),
    Err(String),
}

/// Runs a command and passes its lines on as they come; lines for which `on_stdout` is true go to stdout, every other
/// to stderr, but for cargo's line per crate, which is counted.
///
/// # Errors
/// The command can't be run.
pub fn follow(mut command: Command, what: &str, mut on_stdout: impl FnMut(&str) -> bool) -> Result<bool> {
    let name = name(&command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("can't run {name}"))?;
    let (sender, lines) = mpsc::sync_channel(PENDING_LINES);
    let readers = [
        child.stdout.take().map(|out| reader(out, sender.clone(), Line::Out)),
        child.stderr.take().map(|err| reader(err, sender, Line::Err)),
    ];
    let started = Instant::now();
    let (mut spoke, mut crates) = (started, 0_u32);
    loop {
        match lines.recv_timeout(HEARTBEAT.saturating_sub(spoke.elapsed())) {
            Ok(Line::Err(line)) if is_of_one_crate(&line) => crates += 1,
            Ok(Line::Out(line)) if on_stdout(&line) => {
                progress::result(&line)?;
                spoke = Instant::now();
            }
            Ok(Line::Out(line) | Line::Err(line)) => {
                let _ = writeln!(std::io::stderr(), "{line}");
                spoke = Instant::now();
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if spoke.elapsed() >= HEARTBEAT {
            spoke = Instant::now();
            progress::note(&format!("{what}: {crates} crates, {}", progress::duration(started.elapsed().as_secs())));
        }
    }
    for reader in readers.into_iter().flatten() {
        let _ = reader.join();
    }
    Ok(child.wait().with_context(|| format!("lost {name}"))?.success())
}

/// Runs a command to its end and hands each of its lines, of stdout and stderr alike, to `on_line`; nothing is printed.
///
/// # Errors
/// The command can't be run.
pub fn lines(command: Command, what: &str, mut on_line: impl FnMut(&str)) -> Result<bool> {
    let ended = lines_until(command, what, None, |line| {
        on_line(line);
        true
    })?;
    Ok(matches!(ended, Ended::Succeeded))
}

/// How a command that was read line by line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, and well.
    Succeeded,
    /// By itself, and not well.
    Failed,
    /// The reader had seen enough.
    Stopped,
    /// It took longer than it may.
    TimedOut,
}

/// Runs a command and hands each of its lines to `on_line` until that says no, the command ends, or `limit` has
/// passed; where it has not ended by itself it is killed.
///
/// # Errors
/// The command can't be run.
pub fn lines_until(
    mut command: Command,
    what: &str,
    limit: Option<Duration>,
    mut on_line: impl FnMut(&str) -> bool,
) -> Result<Ended> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("can't run {what}"))?;
    let (sender, lines) = mpsc::sync_channel(PENDING_LINES);
    let readers = [
        child.stdout.take().map(|out| reader(out, sender.clone(), Line::Out)),
        child.stderr.take().map(|err| reader(err, sender, Line::Err)),
    ];
    let started = Instant::now();
    let ended = loop {
        let left = limit.map_or(HEARTBEAT, |limit| limit.saturating_sub(started.elapsed()));
        match lines.recv_timeout(left) {
            Ok(Line::Out(line) | Line::Err(line)) if !on_line(&line) => break Some(Ended::Stopped),
            Ok(Line::Out(_) | Line::Err(_)) => {}
            Err(RecvTimeoutError::Disconnected) => break None,
            Err(RecvTimeoutError::Timeout) if limit.is_some_and(|limit| started.elapsed() >= limit) => {
                break Some(Ended::TimedOut);
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    };
    if ended.is_some() {
        // It may have ended in the meantime.
        let _ = child.kill();
    }
    drop(lines);
    for reader in readers.into_iter().flatten() {
        let _ = reader.join();
    }
    let success = child.wait().with_context(|| format!("lost {what}"))?.success();
    Ok(ended.unwrap_or(if success { Ended::Succeeded } else { Ended::Failed }))
}

fn reader(
    stream: impl Read + Send + 'static,
    sender: mpsc::SyncSender<Line>,
    wrap: fn(String) -> Line,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while stream.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned();
            if sender.send(wrap(text)).is_err() {
                return;
            }
            line.clear();
        }
    })
}

fn is_of_one_crate(line: &str) -> bool {
    let line = line.trim_start();
    ["Compiling ", "Checking ", "Downloaded ", "Downloading ", "Fresh ", "Locking ", "Blocking "]
        .iter()
        .any(|w| line.starts_with(w))
}

fn name(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let program = program.file_name().unwrap_or(command.get_program()).to_string_lossy().into_owned();
    match command.get_args().next() {
        Some(first) => format!("`{program} {}`", first.to_string_lossy()),
        None => format!("`{program}`"),
    }
}
