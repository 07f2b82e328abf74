//! One daemon of an FRR, asked over its own socket: what `vtysh` does for a single question, without a process and without
//! a connection to every other daemon. For questions that are asked every few seconds; what changes anything goes through
//! [`super::vtysh`].
//!
//! The protocol is that of FRR's `lib/vty.c`: a command with a zero octet at its end; the answer ends with three zero
//! octets and the command's status, 0 for done. Commands that are given together are answered in turn.

use std::{
    io::{self, Read, Write},
    os::{fd::AsRawFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::socket::{self, AddressFamily, SockFlag, SockType, UnixAddr},
};

use crate::driver::DriverError;

/// Most octets of an answer: 50 000 routes in JSON take 40 MB.
const MAX_ANSWER_BYTES: usize = 128 << 20;
/// Octets that are read at once.
const AT_ONCE: usize = 64 << 10;
/// How often a daemon is tried that has no room for another connection.
const CONNECT_EVERY: Duration = Duration::from_millis(10);
/// Status of a command that had nothing to show, as for sessions of a router that has no BGP. One that was done has 0, one that
/// is refused or not known a higher one.
const WITH_WARNING: u8 = 1;
/// The octets before the status.
const END: [u8; 3] = [0; 3];

/// The answer to a command, in words; nothing where there is no such socket.
///
/// # Errors
/// [`DriverError::Unreachable`]: the daemon does not answer, not in time, or not in the protocol. [`DriverError::Refused`]: it
/// does not know the command.
pub fn ask(socket: &Path, command: &str, limit: Duration) -> Result<Option<String>, DriverError> {
    match Talk::begin(socket, &[command], limit) {
        Ok(talk) => talk.last_words().map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreachable(socket, &error)),
    }
}

/// Commands that a daemon was given, and has not answered yet: several daemons can be at work at the same time.
pub struct Talk {
    socket: PathBuf,
    commands: Vec<String>,
    stream: UnixStream,
    deadline: Instant,
}

impl Talk {
    /// Gives commands, all at once.
    ///
    /// # Errors
    /// Of the socket: `NotFound` where there is none, `ConnectionRefused` where nobody listens any more, `TimedOut` where the
    /// daemon hangs.
    pub fn begin(socket: &Path, commands: &[&str], limit: Duration) -> io::Result<Self> {
        let deadline = Instant::now() + limit;
        let mut stream = connect(socket, deadline)?;
        let mut words = Vec::new();
        for command in commands {
            words.extend_from_slice(command.as_bytes());
            words.push(0);
        }
        give(&mut stream, &words, deadline)?;
        let commands = commands.iter().map(|command| (*command).to_owned()).collect();
        Ok(Self { socket: socket.to_owned(), commands, stream, deadline })
    }

    /// The answer to the last command, once all are answered.
    ///
    /// # Errors
    /// As of [`ask`], for any of them.
    pub fn last_words(self) -> Result<String, DriverError> {
        Ok(self.words()?.pop().unwrap_or_default())
    }

    /// The answers, in order, once all are there.
    ///
    /// # Errors
    /// As of [`ask`], for any of them.
    pub fn words(mut self) -> Result<Vec<String>, DriverError> {
        let mut read = Vec::new();
        let mut all = Vec::new();
        for command in &self.commands {
            let (answer, status) =
                next_answer(&mut self.stream, &mut read, self.deadline).map_err(|e| unreachable(&self.socket, &e))?;
            if status > WITH_WARNING {
                let words = String::from_utf8_lossy(&answer).trim().to_owned();
                return Err(DriverError::Refused(format!("{command:?} ended with {status}: {words}")));
            }
            all.push(String::from_utf8(answer).map_err(|_| unreachable(&self.socket, &"the answer is not UTF-8"))?);
        }
        Ok(all)
    }

    /// Until all commands are answered, whatever the daemon says to each: for those of which only what runs tells whether they
    /// were done.
    ///
    /// # Errors
    /// [`DriverError::Unreachable`], as of [`ask`].
    pub fn answered(mut self) -> Result<(), DriverError> {
        let mut read = Vec::new();
        for _ in &self.commands {
            next_answer(&mut self.stream, &mut read, self.deadline).map_err(|e| unreachable(&self.socket, &e))?;
        }
        Ok(())
    }
}

fn unreachable(socket: &Path, why: &dyn std::fmt::Display) -> DriverError {
    DriverError::Unreachable(format!("{}: {why}", socket.display()))
}

/// A connection. A daemon that hangs takes none; once as many wait for it as its socket has room for, the kernel would let the
/// next one wait for ever.
fn connect(path: &Path, deadline: Instant) -> io::Result<UnixStream> {
    let address = UnixAddr::new(path)?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let stream = UnixStream::from(socket::socket(AddressFamily::Unix, SockType::Stream, flags, None)?);
    loop {
        match socket::connect(stream.as_raw_fd(), &address) {
            Ok(()) => break,
            Err(Errno::EAGAIN) => {
                let left = time_left(deadline)?;
                thread::sleep(left.min(CONNECT_EVERY));
            }
            Err(error) => return Err(error.into()),
        }
    }
    stream.set_nonblocking(false)?;
    Ok(stream)
}

fn give(stream: &mut UnixStream, mut words: &[u8], deadline: Instant) -> io::Result<()> {
    while !words.is_empty() {
        stream.set_write_timeout(Some(time_left(deadline)?))?;
        match stream.write(words) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => words = words.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(io::ErrorKind::TimedOut.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Until the deadline; an error once it has passed.
fn time_left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// The next answer and its status. What was read beyond it stays in `read`.
fn next_answer(stream: &mut UnixStream, read: &mut Vec<u8>, deadline: Instant) -> io::Result<(Vec<u8>, u8)> {
    let mut room = vec![0; AT_ONCE];
    let mut searched = 0;
    loop {
        if let Some((length, status)) = ended(read, searched)? {
            let rest = read.split_off(length + END.len() + 1);
            let mut answer = std::mem::replace(read, rest);
            answer.truncate(length);
            return Ok((answer, status));
        }
        searched = read.len().saturating_sub(END.len());
        if read.len() > MAX_ANSWER_BYTES {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the answer is too long"));
        }
        stream.set_read_timeout(Some(time_left(deadline)?))?;
        match stream.read(&mut room) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => read.extend_from_slice(room.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(io::ErrorKind::TimedOut.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Length of the first answer's words, and its status, once it has ended; no zero octet was found before `from`.
fn ended(read: &[u8], from: usize) -> io::Result<Option<(usize, u8)>> {
    let Some(zero) = read.iter().skip(from).position(|octet| *octet == 0) else { return Ok(None) };
    let length = from + zero;
    let tail = read.get(length..).unwrap_or_default();
    match tail.get(..=END.len()) {
        None => Ok(None),
        Some([end @ .., status]) if end == END.as_slice() => Ok(Some((length, *status))),
        Some(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "a zero octet in the middle of an answer")),
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixListener, thread};

    use super::*;

    /// Answers one command with these pieces.
    fn fake_daemon(pieces: &'static [&'static [u8]]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("d.vty")).unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut command = [0; 64];
            let read = stream.read(&mut command).unwrap();
            assert!(command[..read].starts_with(b"show x"));
            for piece in pieces {
                stream.write_all(piece).unwrap();
                thread::sleep(Duration::from_millis(20));
            }
            thread::sleep(Duration::from_millis(400));
        });
        folder
    }

    fn answer(pieces: &'static [&'static [u8]]) -> Result<Option<String>, DriverError> {
        let folder = fake_daemon(pieces);
        ask(&folder.path().join("d.vty"), "show x", Duration::from_millis(300))
    }

    #[test]
    fn a_daemon_that_hangs_holds_nobody_up_beyond_the_limit_however_many_ask() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d.vty");
        let listener = UnixListener::bind(&path).unwrap();
        // Room for as many as a daemon of FRR has.
        socket::listen(&listener, socket::Backlog::new(5).unwrap()).unwrap();
        let limit = Duration::from_millis(200);
        for _ in 0..12 {
            let began = Instant::now();
            assert!(matches!(ask(&path, "show x", limit), Err(DriverError::Unreachable(_))));
            assert!(began.elapsed() < 10 * limit, "{:?}", began.elapsed());
        }
        drop(listener);
        assert!(matches!(ask(&path, "show x", limit), Err(DriverError::Unreachable(_))), "nobody listens");
    }

    #[test]
    fn an_answer_is_whole_in_whatever_pieces_it_comes() {
        assert_eq!(answer(&[b"{}\n\0\0\0\0"]).unwrap().as_deref(), Some("{}\n"));
        assert_eq!(answer(&[b"{", b"}\0", b"\0\0", b"\0"]).unwrap().as_deref(), Some("{}"));
        assert_eq!(answer(&[b"\0\0\0\0"]).unwrap().as_deref(), Some(""));
    }

    #[test]
    fn commands_that_are_given_together_are_answered_in_turn() {
        let last = |pieces| {
            let folder = fake_daemon(pieces);
            Talk::begin(&folder.path().join("d.vty"), &["show x", "show y"], Duration::from_millis(300))
                .unwrap()
                .last_words()
        };
        assert_eq!(last(&[b"\0\0\0\0words\n\0\0\0\0"]).unwrap(), "words\n");
        assert_eq!(last(&[b"a\0", b"\0\0\x01w", b"ords\0\0\0", b"\0"]).unwrap(), "words");
        assert!(matches!(last(&[b"% Unknown\0\0\0\x02words\0\0\0\0"]), Err(DriverError::Refused(_))));
        assert!(matches!(last(&[b"\0\0\0\0"]), Err(DriverError::Unreachable(_))), "the second is missing");
        assert!(matches!(last(&[b"a\0b\0\0\0\0"]), Err(DriverError::Unreachable(_))));
        let folder = fake_daemon(&[b"a\n\0\0\0\0words\n\0\0\0\x01"]);
        let all = Talk::begin(&folder.path().join("d.vty"), &["show x", "show y"], Duration::from_millis(300));
        assert_eq!(all.unwrap().words().unwrap(), ["a\n", "words\n"]);
    }

    #[test]
    fn what_is_refused_is_answered_too() {
        let all = |pieces| {
            let folder = fake_daemon(pieces);
            Talk::begin(&folder.path().join("d.vty"), &["show x", "show y"], Duration::from_millis(300))
                .unwrap()
                .answered()
        };
        all(&[b"% Unknown\0\0\0\x02\0\0\0\x0d"]).unwrap();
        assert!(matches!(all(&[b"\0\0\0\x0d"]), Err(DriverError::Unreachable(_))), "the second is missing");
    }

    #[test]
    fn what_is_no_answer_is_an_error_within_the_limit() {
        assert_eq!(answer(&[b"{}\0\0\0\x01"]).unwrap().as_deref(), Some("{}"));
        assert!(matches!(answer(&[b"% Unknown\0\0\0\x02"]), Err(DriverError::Refused(_))));
        assert!(matches!(answer(&[b"half"]), Err(DriverError::Unreachable(_))));
        assert!(matches!(answer(&[b"\xff\0\0\0\0"]), Err(DriverError::Unreachable(_))));
        let nothing = ask(Path::new("/nonexistent/d.vty"), "show x", Duration::from_millis(100));
        assert_eq!(nothing.unwrap(), None);
    }
}
