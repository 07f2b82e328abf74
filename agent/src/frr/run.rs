//! Programs that are run on the device, without a shell: every one bounded in time and in what it may print.

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use crate::driver::DriverError;

/// Longest output that is read, in bytes: the running configuration of an iBGP mesh of 10 000 devices takes 4 MB, the
/// routes to them twice that.
const MAX_OUTPUT_BYTES: u64 = 32 << 20;
/// How often it is looked whether a program that has closed its output has ended.
const REAP_EVERY: Duration = Duration::from_millis(1);
/// Time for a program that was killed to be gone.
const KILLED_WITHIN: Duration = Duration::from_secs(1);
/// Most bytes of a program's words that go into an error.
const MAX_QUOTE_BYTES: usize = 600;

/// What a program came to.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

/// Runs a program to its end.
///
/// # Errors
/// [`DriverError::Unreachable`]: it can't be started, or doesn't end in time, or prints too much. Then it was killed.
pub fn run(mut command: Command, stdin: Option<&File>, limit: Duration) -> Result<Ended, DriverError> {
    let name = PathBuf::from(command.get_program()).display().to_string();
    let failed =
        |doing: &str, error: &io::Error| DriverError::Unreachable(format!("{name} can not be {doing}: {error}"));
    let stdin = match stdin {
        Some(file) => Stdio::from(file.try_clone().map_err(|e| failed("given its input", &e))?),
        None => Stdio::null(),
    };
    let deadline = Instant::now() + limit;
    let mut child = command
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| failed("started", &e))?;
    let outputs = (collect(child.stdout.take()), collect(child.stderr.take()));
    let gathered = gather(&outputs.0, deadline).and_then(|out| Ok((out, gather(&outputs.1, deadline)?)));
    let (stdout, stderr) = match gathered {
        Ok(both) => both,
        Err(why) => {
            kill(&mut child);
            return Err(DriverError::Unreachable(format!("{name} {why} ({} s)", limit.as_secs_f32())));
        }
    };
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(Ended { status, stdout, stderr }),
            Ok(None) if Instant::now() < deadline => thread::sleep(REAP_EVERY),
            Ok(None) => {
                kill(&mut child);
                return Err(DriverError::Unreachable(format!("{name} does not end")));
            }
            Err(error) => return Err(failed("waited for", &error)),
        }
    }
}

/// Shortens a program's words for an error.
pub fn quoted(words: &str) -> String {
    let words = words.trim();
    let mut end = words.len().min(MAX_QUOTE_BYTES);
    while !words.is_char_boundary(end) {
        end -= 1;
    }
    words.split_at(end).0.replace('\n', "; ")
}

/// Kills a child and waits until it is gone.
pub fn kill(child: &mut Child) {
    let _ = child.kill();
    let deadline = Instant::now() + KILLED_WITHIN;
    while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
        thread::sleep(REAP_EVERY);
    }
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    if let Some(pipe) = pipe {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            // A pipe that breaks is the end of what is printed.
            let _ = pipe.take(MAX_OUTPUT_BYTES + 1).read_to_end(&mut bytes);
            let _ = sender.send(bytes);
        });
    }
    receiver
}

fn gather(output: &mpsc::Receiver<Vec<u8>>, deadline: Instant) -> Result<String, &'static str> {
    match output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        Ok(bytes) if bytes.len() as u64 > MAX_OUTPUT_BYTES => Err("prints without end"),
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(RecvTimeoutError::Disconnected) => Ok(String::new()),
        Err(RecvTimeoutError::Timeout) => Err("does not answer in time"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(name);
        command.args(arguments);
        command
    }

    #[test]
    fn a_program_that_hangs_or_prints_without_end_is_killed() {
        for command in [program("sleep", &["60"]), program("yes", &[])] {
            let began = Instant::now();
            let limit = Duration::from_millis(300);
            assert!(matches!(run(command, None, limit), Err(DriverError::Unreachable(_))));
            assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        }
    }

    #[test]
    fn a_program_tells_its_status_and_words() {
        let ended = run(program("cat", &["/nonexistent"]), None, Duration::from_secs(10)).unwrap();
        assert!(!ended.status.success() && ended.stderr.contains("nonexistent"));
        let missing = run(program("/no/such/program", &[]), None, Duration::from_secs(1));
        assert!(matches!(missing, Err(DriverError::Unreachable(words)) if words.contains("/no/such/program")));
        assert_eq!(quoted(&"é".repeat(400)).len(), MAX_QUOTE_BYTES);
    }
}
