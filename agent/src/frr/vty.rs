//! One daemon of an FRR, asked over its own socket: what `vtysh` does for a single question, without a process and without
//! a connection to every other daemon. For questions that are asked every few seconds; what changes anything goes through
//! [`super::vtysh`].
//!
//! The protocol is that of FRR's `lib/vty.c`: a command with a zero octet at its end; the answer ends with three zero
//! octets and the command's status, 0 for done.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::{Duration, Instant},
};

use crate::driver::DriverError;

/// Most octets of an answer: 50 000 routes in JSON take 40 MB.
const MAX_ANSWER_BYTES: usize = 128 << 20;
/// Octets that are read at once.
const AT_ONCE: usize = 64 << 10;
/// Status of a command that was done.
const DONE: u8 = 0;
/// Of one that had nothing to show, as for sessions of a router that has no BGP.
const WITH_WARNING: u8 = 1;
/// The octets before the status.
const END: [u8; 3] = [0; 3];

/// The answer to a command, in words; nothing where there is no such socket.
///
/// # Errors
/// [`DriverError::Unreachable`]: the daemon does not answer, not in time, or not in the protocol. [`DriverError::Refused`]: it
/// does not know the command.
pub fn ask(socket: &Path, command: &str, limit: Duration) -> Result<Option<String>, DriverError> {
    let unreachable = |why: String| DriverError::Unreachable(format!("{}: {why}", socket.display()));
    match exchange(socket, command, limit) {
        Ok(Some((answer, DONE | WITH_WARNING))) => {
            String::from_utf8(answer).map(Some).map_err(|_| unreachable("the answer is not UTF-8".to_owned()))
        }
        Ok(Some((answer, status))) => {
            let words = String::from_utf8_lossy(&answer).trim().to_owned();
            Err(DriverError::Refused(format!("{command:?} ended with {status}: {words}")))
        }
        Ok(None) => Ok(None),
        Err(error) => Err(unreachable(error.to_string())),
    }
}

fn exchange(socket: &Path, command: &str, limit: Duration) -> io::Result<Option<(Vec<u8>, u8)>> {
    let deadline = Instant::now() + limit;
    let mut stream = match UnixStream::connect(socket) {
        Ok(stream) => stream,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    stream.set_write_timeout(Some(limit))?;
    stream.write_all(command.as_bytes())?;
    stream.write_all(&[0])?;
    let mut answer = Vec::new();
    let mut room = vec![0; AT_ONCE];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let count = match stream.read(&mut room) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(io::ErrorKind::TimedOut.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        answer.extend_from_slice(room.get(..count).unwrap_or_default());
        if let Some((words, status)) = ended(&answer) {
            let length = words.len();
            answer.truncate(length);
            return Ok(Some((answer, status)));
        }
        if answer.len() > MAX_ANSWER_BYTES {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the answer is too long"));
        }
    }
}

/// Words and status of an answer that has ended.
fn ended(answer: &[u8]) -> Option<(&[u8], u8)> {
    let (status, rest) = answer.split_last()?;
    Some((rest.strip_suffix(&END)?, *status))
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
    fn an_answer_is_whole_in_whatever_pieces_it_comes() {
        assert_eq!(answer(&[b"{}\n\0\0\0\0"]).unwrap().as_deref(), Some("{}\n"));
        assert_eq!(answer(&[b"{", b"}\0", b"\0\0", b"\0"]).unwrap().as_deref(), Some("{}"));
        assert_eq!(answer(&[b"\0\0\0\0"]).unwrap().as_deref(), Some(""));
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
