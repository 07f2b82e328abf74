//! What an agent must not forget over a restart, in one small file that is replaced atomically.
//!
//! Guarantees: the floor of generations and the telemetry sequence never go back, also when the process is killed at
//! any point. A file that can't be read stops the agent from starting: to forget silently would break both.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::bundle::{Generation, TextHash};

/// Sequence numbers that are reserved at a time: unix milliseconds, so that the file is written about every ten seconds.
const RESERVE: u64 = 10_000;
/// Longest state file, in bytes; what it holds takes a fraction.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// A configuration that ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Its generation.
    pub generation: Generation,
    /// Hash of its text.
    pub sha256: TextHash,
}

/// The file's content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Last one applied and confirmed.
    pub applied: Option<Applied>,
    /// One that was being applied: it runs, or `applied` does.
    pub in_flight: Option<Applied>,
    /// How often in a row the text of `in_flight` was begun without coming to an end.
    #[serde(default)]
    pub begun: u32,
    /// Hash of the text that the device starts with.
    pub startup: Option<TextHash>,
    /// Every sequence number below this one may have been used.
    pub sequence_reserved: u64,
}

impl Memory {
    /// Notes that one is about to be applied.
    pub fn begin(&mut self, applying: Applied) {
        let again = self.in_flight.is_some_and(|known| known.sha256 == applying.sha256);
        self.begun = if again { self.begun.saturating_add(1) } else { 1 };
        self.in_flight = Some(applying);
    }

    /// No older generation is taken than this.
    pub fn floor(&self) -> Generation {
        let of = |applied: &Option<Applied>| applied.as_ref().map_or(Generation(0), |a| a.generation);
        of(&self.applied).max(of(&self.in_flight))
    }
}

/// The file can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// IO.
    #[error("the state file {path} can not be {doing}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Not a state file.
    #[error("{path} is not a state file of this agent; move it away only if the device may take any generation again")]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
}

struct Inner {
    memory: Memory,
    last_sequence: u64,
}

/// The file and its content.
pub struct StateStore {
    path: PathBuf,
    inner: Mutex<Inner>,
}

impl StateStore {
    /// Opens the file of a device in a directory, which is made if missing.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn open(directory: &Path, device: &str) -> Result<Self, StateError> {
        let path = directory.join(format!("{device}.json"));
        let failed = |doing| {
            let path = path.clone();
            move |source| StateError::Io { path, doing, source }
        };
        fs::create_dir_all(directory).map_err(failed("made"))?;
        let memory: Memory = match fs::metadata(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Memory::default(),
            Err(e) => return Err(failed("read")(e)),
            Ok(metadata) if metadata.len() > MAX_FILE_BYTES => {
                return Err(failed("read")(io::Error::new(io::ErrorKind::InvalidData, "too large")));
            }
            Ok(_) => {
                let bytes = fs::read(&path).map_err(failed("read"))?;
                serde_json::from_slice(&bytes).map_err(|source| StateError::Content { path: path.clone(), source })?
            }
        };
        let last_sequence = memory.sequence_reserved;
        Ok(Self { path, inner: Mutex::new(Inner { memory, last_sequence }) })
    }

    /// What it holds.
    pub fn memory(&self) -> Memory {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).memory.clone()
    }

    /// Changes it; the change holds when this returns without error, and not otherwise. Blocks for a disk write.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn update(&self, change: impl FnOnce(&mut Memory)) -> Result<(), StateError> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut memory = inner.memory.clone();
        change(&mut memory);
        if memory != inner.memory {
            self.write(&memory)?;
            inner.memory = memory;
        }
        Ok(())
    }

    /// A sequence number greater than every one before, over restarts: unix milliseconds, or one more than the last.
    /// Blocks for a disk write now and then.
    ///
    /// # Errors
    /// See [`StateError`]; then no number is used up.
    pub fn next_sequence(&self, now_unix_ms: u64) -> Result<u64, StateError> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let sequence = now_unix_ms.max(inner.last_sequence.saturating_add(1));
        if sequence >= inner.memory.sequence_reserved {
            let memory = Memory { sequence_reserved: sequence.saturating_add(RESERVE), ..inner.memory.clone() };
            self.write(&memory)?;
            inner.memory = memory;
        }
        inner.last_sequence = sequence;
        Ok(sequence)
    }

    fn write(&self, memory: &Memory) -> Result<(), StateError> {
        let bytes = serde_json::to_vec_pretty(memory)
            .map_err(|source| StateError::Content { path: self.path.clone(), source })?;
        write_atomically(&self.path, &bytes).map_err(|source| StateError::Io {
            path: self.path.clone(),
            doing: "written",
            source,
        })
    }
}

/// The old content or the new, whatever happens in between. One writer at a time for each path.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // The whole name stays in it: files that differ only in their extension are written side by side.
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut file = fs::File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    match path.parent() {
        Some(directory) => fs::File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_grow_over_restarts_and_backward_clocks() {
        let directory = tempfile::tempdir().unwrap();
        let mut last = 0;
        for now in [1_000_000, 1_000_000, 500, 1_000_500, 9_000_000, 3] {
            let store = StateStore::open(directory.path(), "a").unwrap();
            for _ in 0..3 {
                let next = store.next_sequence(now).unwrap();
                assert!(next > last, "{next} after {last}");
                last = next;
            }
        }
    }

    #[test]
    fn a_damaged_file_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.json");
        for content in ["", "{", "[]", "{\"applied\":1}", "{\"unknown\":0}"] {
            fs::write(&path, content).unwrap();
            assert!(matches!(StateStore::open(directory.path(), "a"), Err(StateError::Content { .. })), "{content}");
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
    }

    #[test]
    fn the_floor_counts_what_was_being_applied() {
        let directory = tempfile::tempdir().unwrap();
        let store = StateStore::open(directory.path(), "a").unwrap();
        let at = |slot| Applied { generation: Generation(slot), sha256: TextHash([7; 32]) };
        store
            .update(|memory| {
                memory.applied = Some(at(5));
                memory.in_flight = Some(at(9));
            })
            .unwrap();
        let again = StateStore::open(directory.path(), "a").unwrap();
        assert_eq!(again.memory(), store.memory());
        assert_eq!(again.memory().floor(), Generation(9));
    }

    #[test]
    fn what_is_begun_again_and_again_is_counted() {
        let at = |slot, text| Applied { generation: Generation(slot), sha256: TextHash([text; 32]) };
        let mut memory = Memory::default();
        let mut begun = |applying| {
            memory.begin(applying);
            memory.begun
        };
        // The same text under a younger generation is as bad as it was; another text is not.
        assert_eq!([begun(at(5, 7)), begun(at(5, 7)), begun(at(6, 7)), begun(at(7, 8))], [1, 2, 3, 1]);
    }
}
