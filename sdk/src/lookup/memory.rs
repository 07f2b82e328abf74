//! Which lookup tables are one's own, kept in a file over a restart.
//!
//! A table's address follows from its authority and the slot in which it was asked for, so that it can be written down
//! before the table is made: whatever happens then, it is not forgotten. What the file says is never believed: every
//! table is read and checked before it is used.

use std::{
    collections::BTreeSet,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use solana_sdk::pubkey::Pubkey;

/// The file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The system said no.
    #[error("the list of lookup tables {} can't be read or written", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It holds something else.
    #[error("{} is not a list of lookup tables: a JSON array of addresses", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

/// The tables that are remembered.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    path: Option<PathBuf>,
    tables: BTreeSet<Pubkey>,
}

impl Memory {
    /// Remembers until the process ends.
    #[must_use]
    pub fn volatile() -> Self {
        Self::default()
    }

    /// Remembers in a file, a JSON array of addresses; it need not exist yet.
    ///
    /// # Errors
    /// It exists and can't be read, or holds something else.
    pub fn open(path: &Path) -> Result<Self, MemoryError> {
        let failed = |source| MemoryError::File { path: path.to_owned(), source };
        let malformed = || MemoryError::Malformed { path: path.to_owned() };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => "[]".to_owned(),
            Err(error) if error.kind() == ErrorKind::InvalidData => return Err(malformed()),
            Err(error) => return Err(failed(error)),
        };
        let words: Vec<String> = serde_json::from_str(&text).map_err(|_| malformed())?;
        let tables: Result<_, _> = words.iter().map(|word| word.parse()).collect();
        Ok(Self { path: Some(path.to_owned()), tables: tables.map_err(|_| malformed())? })
    }

    /// What is remembered.
    #[must_use]
    pub fn tables(&self) -> &BTreeSet<Pubkey> {
        &self.tables
    }

    /// Remembers a table.
    ///
    /// # Errors
    /// The file can't be written; then it is remembered until the process ends.
    pub fn add(&mut self, table: Pubkey) -> Result<(), MemoryError> {
        if self.tables.insert(table) { self.write() } else { Ok(()) }
    }

    /// Forgets a table.
    ///
    /// # Errors
    /// The file can't be written; then it is remembered again by the next process.
    pub fn remove(&mut self, table: &Pubkey) -> Result<(), MemoryError> {
        if self.tables.remove(table) { self.write() } else { Ok(()) }
    }

    /// Writes beside the file and renames, so that it is whole at any moment.
    fn write(&self) -> Result<(), MemoryError> {
        let Some(path) = &self.path else { return Ok(()) };
        let words: Vec<String> = self.tables.iter().map(ToString::to_string).collect();
        let beside = path.with_extension("new");
        let write = || {
            let mut file = std::fs::File::create(&beside)?;
            file.write_all(serde_json::to_string(&words)?.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&beside, path)
        };
        write().map_err(|source| MemoryError::File { path: path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> Pubkey {
        Pubkey::new_from_array([n; 32])
    }

    #[test]
    fn what_is_remembered_survives_and_what_is_forgotten_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tables.json");
        let mut memory = Memory::open(&path).unwrap();
        assert!(memory.tables().is_empty() && !path.exists());
        for n in [3, 1, 2, 1] {
            memory.add(key(n)).unwrap();
        }
        memory.remove(&key(2)).unwrap();
        assert_eq!(*Memory::open(&path).unwrap().tables(), [key(1), key(3)].into());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn another_file_is_an_error_and_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["", "{}", "[1]", "[\"not an address\"]", "\u{0}"] {
            let path = folder.path().join("tables.json");
            std::fs::write(&path, text).unwrap();
            assert!(matches!(Memory::open(&path), Err(MemoryError::Malformed { .. })), "{text:?}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        assert!(matches!(Memory::open(folder.path()), Err(MemoryError::File { .. })), "a folder");
        let missing = folder.path().join("nowhere").join("tables.json");
        let mut memory = Memory::open(&missing).unwrap();
        assert!(matches!(memory.add(key(1)), Err(MemoryError::File { .. })));
        assert!(memory.tables().contains(&key(1)), "remembered all the same");
    }
}
