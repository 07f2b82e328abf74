//! What an instance of FRR runs, asked of its daemons themselves: what `vtysh` does for `show running-config`, without a
//! process that reads FRR's whole grammar first. What runs is read eight times for one change, and on a machine that has other
//! work those processes were most of what a change took.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{tree::Tree, vty::Talk, vtysh::Running};
use crate::driver::DriverError;

/// How the name of a daemon's socket ends.
const SOCKET: &str = "vty";
/// What a daemon is asked. It takes the second only in the state to which the first brings it.
const QUESTIONS: [&str; 2] = ["enable", "write terminal"];
/// The order in which answers are put together: what others build on comes first, as in what `vtysh` shows. Daemons that are not
/// among these come after them, by name.
const FIRST: [&str; 5] = ["mgmtd", "zebra", "bgpd", "isisd", "staticd"];

/// What runs; nothing where `vtysh` has to be asked, because no daemon's socket is found, or one doesn't take the question.
///
/// # Errors
/// [`DriverError::Unreachable`]: a daemon that listens does not answer, or not in time.
pub fn running(folder: &Path, limit: Duration) -> Result<Option<Running>, DriverError> {
    let mut talks = Vec::new();
    for (daemon, socket) in sockets(folder) {
        match Talk::begin(&socket, &QUESTIONS, limit) {
            Ok(talk) => talks.push((daemon, talk)),
            // It was killed, and left its socket; or ends just now.
            Err(error) if gone(&error) => {}
            // `vtysh` would hang with it.
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                return Err(DriverError::Unreachable(format!("{}: {error}", socket.display())));
            }
            Err(_) => return Ok(None),
        }
    }
    let mut daemons = BTreeSet::new();
    let mut texts = Vec::new();
    for (daemon, talk) in talks {
        match talk.last_words() {
            Ok(text) => texts.push(text),
            Err(DriverError::Refused(_)) => return Ok(None),
            Err(error) => return Err(error),
        }
        daemons.insert(daemon);
    }
    if daemons.is_empty() {
        return Ok(None);
    }
    Ok(Some(Running { daemons, tree: Tree::parse_all(texts.iter().map(String::as_str)) }))
}

fn gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

/// Names and sockets of the daemons, in order.
fn sockets(folder: &Path) -> Vec<(String, PathBuf)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut all: Vec<(String, PathBuf)> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == SOCKET))
        .filter_map(|path| Some((path.file_stem()?.to_str()?.to_owned(), path)))
        .collect();
    let place = |name: &str| FIRST.iter().position(|first| *first == name).unwrap_or(FIRST.len());
    all.sort_by(|(a, _), (b, _)| place(a).cmp(&place(b)).then_with(|| a.cmp(b)));
    all
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        os::unix::net::UnixListener,
        thread,
    };

    use super::*;

    const LIMIT: Duration = Duration::from_millis(500);

    /// Answers the first caller, whatever it asks.
    fn fake_daemon(folder: &Path, name: &str, answer: &'static [u8]) {
        let listener = UnixListener::bind(folder.join(format!("{name}.vty"))).unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut room = [0; 64];
            let read = stream.read(&mut room).unwrap();
            assert_eq!(&room[..read], b"enable\0write terminal\0");
            stream.write_all(answer).unwrap();
            thread::sleep(2 * LIMIT);
        });
    }

    #[test]
    fn what_the_daemons_say_is_put_together_in_one_order() {
        let folder = tempfile::tempdir().unwrap();
        fake_daemon(folder.path(), "isisd", b"\0\0\0\0interface a\n isis metric 3\nrouter isis 1\n net x\n\0\0\0\0");
        fake_daemon(folder.path(), "zebra", b"\0\0\0\0interface a\n ip address 1.1.1.1/31\nexit\n\0\0\0\0");
        // One that was killed.
        drop(UnixListener::bind(folder.path().join("bgpd.vty")).unwrap());
        let running = running(folder.path(), LIMIT).unwrap().unwrap();
        assert_eq!(running.daemons, ["isisd", "zebra"].map(str::to_owned).into());
        let said: Vec<String> = {
            let mut placed: Vec<_> = running.tree.placed().collect();
            placed.sort_by_key(|(_, place)| *place);
            placed.into_iter().map(|(path, _)| path.join("/")).collect()
        };
        let expected =
            ["interface a", "interface a/ip address 1.1.1.1/31", "interface a/isis metric 3", "router isis 1"];
        assert_eq!(said[..4], expected.map(str::to_owned));
    }

    #[test]
    fn where_they_can_not_be_asked_somebody_else_is_and_a_daemon_that_hangs_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(running(folder.path(), LIMIT).unwrap().is_none());
        assert!(running(&folder.path().join("none"), LIMIT).unwrap().is_none());
        fake_daemon(folder.path(), "zebra", b"\0\0\0\0\0\0\0\0");
        fake_daemon(folder.path(), "watchfrr", b"\0\0\0\0% Unknown command.\n\0\0\0\x02");
        assert!(running(folder.path(), LIMIT).unwrap().is_none());
        let folder = tempfile::tempdir().unwrap();
        fake_daemon(folder.path(), "zebra", b"\0\0\0\0interf");
        assert!(matches!(running(folder.path(), LIMIT), Err(DriverError::Unreachable(_))));
    }
}
