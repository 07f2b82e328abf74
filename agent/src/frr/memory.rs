//! What must outlive the agent: whether a commit awaits its confirmation, what ran before it, and what is Causeway's
//! beside the managed sections. One file, replaced atomically, changed under a lock by the agent and its watchdog.

use std::{
    collections::BTreeSet,
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{
    links::LinkChange,
    tree::{self, Tree},
};
use crate::{driver::DriverError, state::write_atomically};

/// Longest file, in bytes: two configurations of an iBGP mesh of 10 000 devices, line by line with their headers.
const MAX_FILE_BYTES: u64 = 64 << 20;
/// For the other one to write a small file.
const LOCK_WITHIN: Duration = Duration::from_secs(10);
/// How often a lock is tried.
const TRY_EVERY: Duration = Duration::from_millis(10);

/// A commit that awaits its confirmation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pending {
    /// Tells one commit from the next.
    pub id: u64,
    /// It is being taken back; it can't be confirmed any more.
    pub reverting: bool,
    /// Kernel run in which the deadline counts.
    pub boot: String,
    /// When it reverts, in milliseconds since the machine booted.
    pub deadline_ms: u64,
    /// How long before its limit the way back has to begin, in milliseconds.
    #[serde(default)]
    pub lead_ms: u64,
    /// What ran before, of the managed part.
    pub back: Tree,
    /// Causeway's lines beside the managed sections, once confirmed.
    pub owned_after: BTreeSet<tree::Path>,
    /// Interfaces that the committed text names.
    pub named: BTreeSet<String>,
    /// What was done to the kernel's links.
    pub links: Vec<LinkChange>,
}

/// The file's content.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Lines beside the managed sections that Causeway brought.
    pub owned: BTreeSet<tree::Path>,
    /// Links that Causeway made.
    pub made: BTreeSet<String>,
    /// A commit that awaits its confirmation.
    pub pending: Option<Pending>,
}

impl Memory {
    /// Lines beside the managed sections that are Causeway's now, with those that await their confirmation.
    pub fn ours(&self) -> BTreeSet<tree::Path> {
        let coming = self.pending.iter().flat_map(|pending| &pending.owned_after);
        self.owned.iter().chain(coming).cloned().collect()
    }
}

/// The machine's clock since it booted; it goes on while the machine sleeps, and nobody sets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootTime {
    /// This run of the kernel.
    pub boot: String,
    /// Milliseconds since it began.
    pub now_ms: u64,
}

impl BootTime {
    /// Now.
    ///
    /// # Errors
    /// No `/proc`.
    pub fn now() -> Result<Self, DriverError> {
        let read = |path: &str| {
            fs::read_to_string(path)
                .map_err(|error| DriverError::Unreachable(format!("{path} can not be read: {error}")))
        };
        let boot = read("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
        let uptime = read("/proc/uptime")?;
        let now_ms =
            milliseconds(&uptime).ok_or_else(|| DriverError::Unreachable(format!("/proc/uptime says {uptime:?}")))?;
        Ok(Self { boot, now_ms })
    }
}

/// Of `seconds.hundredths` at the beginning of a text.
fn milliseconds(uptime: &str) -> Option<u64> {
    let (seconds, rest) = uptime.split_whitespace().next()?.split_once('.')?;
    let hundredths: u64 = rest.parse().ok().filter(|_| rest.len() == 2)?;
    seconds.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(hundredths * 10)
}

impl Pending {
    /// Whether its time is over: the deadline has passed, or the machine has booted since.
    pub fn is_overdue(&self, now: &BootTime) -> bool {
        self.boot != now.boot || now.now_ms >= self.deadline_ms
    }
}

/// The file.
#[derive(Clone, Debug)]
pub struct MemoryFile {
    path: PathBuf,
}

impl MemoryFile {
    /// At a path; its folder is there.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it holds; nothing where there is none.
    ///
    /// # Errors
    /// [`DriverError::State`]: it can't be read, or is not such a file. It is left alone.
    pub fn read(&self) -> Result<Memory, DriverError> {
        let failed = |error: &dyn std::fmt::Display| {
            DriverError::State(format!(
                "{} can not be read: {error}; move it away only if no commit is open",
                self.path.display()
            ))
        };
        match fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Memory::default()),
            Err(error) => return Err(failed(&error)),
            Ok(metadata) if metadata.len() > MAX_FILE_BYTES => return Err(failed(&"too large")),
            Ok(_) => {}
        }
        let bytes = fs::read(&self.path).map_err(|e| failed(&e))?;
        serde_json::from_slice(&bytes).map_err(|e| failed(&e))
    }

    /// Tells one version of the file from the next without reading it.
    pub fn version(&self) -> Option<(u64, i64, i64)> {
        let metadata = fs::metadata(&self.path).ok()?;
        Some((metadata.ino(), metadata.mtime(), metadata.mtime_nsec()))
    }

    /// Reads, decides and writes with nobody in between. What `change` refuses is not written.
    ///
    /// # Errors
    /// Of `change`; or the file.
    pub fn change<T>(&self, change: impl FnOnce(&mut Memory) -> Result<T, DriverError>) -> Result<T, DriverError> {
        let _held = self.lock("lock", LOCK_WITHIN)?;
        let before = self.read()?;
        let mut memory = before.clone();
        let answer = change(&mut memory)?;
        if memory != before {
            let failed = |error: &dyn std::fmt::Display| {
                DriverError::State(format!("{} can not be written: {error}", self.path.display()))
            };
            let bytes = serde_json::to_vec(&memory).map_err(|e| failed(&e))?;
            write_atomically(&self.path, &bytes).map_err(|e| failed(&e))?;
        }
        Ok(answer)
    }

    /// A lock beside the file, held until the answer is dropped, or its last copy in another process is closed.
    ///
    /// # Errors
    /// Someone else holds it, for longer than `within`.
    pub fn lock(&self, name: &str, within: Duration) -> Result<File, DriverError> {
        let lock = self.beside(name, within)?;
        while !lock.is_taken()? {
            thread::sleep(TRY_EVERY);
        }
        Ok(lock.file)
    }

    /// The same where a commit is still pending by then; nothing as soon as it is not, whoever holds the lock.
    ///
    /// # Errors
    /// As of [`MemoryFile::lock`] and [`MemoryFile::read`].
    pub fn lock_while_pending(&self, name: &str, within: Duration, commit: u64) -> Result<Option<File>, DriverError> {
        let lock = self.beside(name, within)?;
        let mut seen = None;
        while !lock.is_taken()? {
            let version = self.version();
            if version != seen && self.read()?.pending.is_none_or(|pending| pending.id != commit) {
                return Ok(None);
            }
            seen = version;
            thread::sleep(TRY_EVERY);
        }
        Ok(Some(lock.file))
    }

    fn beside(&self, name: &str, within: Duration) -> Result<Lock, DriverError> {
        let mut path = self.path.as_os_str().to_owned();
        path.push(".");
        path.push(name);
        let path = PathBuf::from(path);
        // Read only, where it is there: a disk that can't be written any more must not keep anybody from going back.
        let opened = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                File::options().create(true).truncate(false).write(true).read(true).open(&path)
            }
            opened => opened,
        };
        match opened {
            Ok(file) => Ok(Lock { path, file, deadline: Instant::now() + within }),
            Err(error) => Err(not_locked(&path, &error)),
        }
    }
}

/// A lock that is waited for.
struct Lock {
    path: PathBuf,
    file: File,
    deadline: Instant,
}

impl Lock {
    /// Tries; fails once the deadline has passed.
    fn is_taken(&self) -> Result<bool, DriverError> {
        match self.file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) if Instant::now() < self.deadline => Ok(false),
            Err(error) => Err(not_locked(&self.path, &error)),
        }
    }
}

fn not_locked(path: &Path, error: &dyn std::fmt::Display) -> DriverError {
    DriverError::State(format!("{} can not be locked: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptime_is_read_to_the_hundredth_and_never_guessed() {
        assert_eq!(milliseconds("35062.07 70000.00\n"), Some(35_062_070));
        for bad in ["", "12", "a.07", "1.7", "1.077", "-1.00", "99999999999999999999.00"] {
            assert_eq!(milliseconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_commit_is_overdue_after_its_deadline_or_a_boot() {
        let pending = Pending {
            id: 1,
            reverting: false,
            boot: "a".into(),
            deadline_ms: 1000,
            lead_ms: 0,
            back: Tree::default(),
            owned_after: BTreeSet::new(),
            named: BTreeSet::new(),
            links: Vec::new(),
        };
        let at = |boot: &str, now_ms| BootTime { boot: boot.into(), now_ms };
        assert!(!pending.is_overdue(&at("a", 999)));
        assert!(pending.is_overdue(&at("a", 1000)));
        assert!(pending.is_overdue(&at("b", 5)));
    }

    #[test]
    fn what_is_refused_is_not_written_and_a_damaged_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = MemoryFile::at(&folder.path().join("m.json"));
        let refused = file.change(|memory| {
            memory.made.insert("x".into());
            Err::<(), _>(DriverError::State("no".into()))
        });
        assert!(refused.is_err() && file.read().unwrap() == Memory::default());
        assert!(file.change(|memory| Ok(memory.made.insert("x".into()))).unwrap());
        assert!(file.read().unwrap().made.contains("x"));
        fs::write(file.path(), "{").unwrap();
        assert!(file.change(|_| Ok(())).is_err());
        assert_eq!(fs::read_to_string(file.path()).unwrap(), "{");
    }

    #[test]
    fn one_holds_a_lock_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let file = MemoryFile::at(&folder.path().join("m.json"));
        let held = file.lock("acting", Duration::ZERO).unwrap();
        assert!(file.lock("acting", Duration::from_millis(30)).is_err());
        drop(held);
        assert!(file.lock("acting", Duration::ZERO).is_ok());
    }
}
