//! How far an oracle has come, and the batch that it was sent and has not answered: one small file for each, replaced
//! atomically, so that the next process sends the same bytes again.
//!
//! It is not synced: after a loss of power an older one may be there, and what follows from it is harmless. The batch in
//! it is one that the oracle knows the sequence of; it says so, and what is signed anew is left out where it is not
//! younger than what it has.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use causeway_wire::signing::sha256;
use serde::{Deserialize, Serialize};

use super::journal::Position;

/// Longest file that is read: a batch and what is about it.
const MAX_BYTES: u64 = 8 << 20;

/// A batch that was signed, as it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unanswered {
    /// Its sequence.
    pub sequence: u64,
    /// It is not compressed.
    pub plain: bool,
    /// Public key that it was signed with, in hex.
    pub key: String,
    /// Program that it was signed for, in hex.
    pub program: String,
    /// Its bytes.
    #[serde(skip)]
    pub body: Vec<u8>,
}

/// How far an oracle has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The oracle.
    pub oracle: String,
    /// What is next after the batch below.
    pub position: Position,
    /// Samples that are lost and that it has not been told of, nor is by the batch below.
    pub untold: u64,
    /// What it was sent last, until it is answered.
    pub unanswered: Option<Unanswered>,
}

/// The file of an oracle in the folder of the buffer.
#[must_use]
pub fn path(folder: &Path, oracle: &str) -> PathBuf {
    let name = hex::encode(sha256(oracle.as_bytes()).first_chunk::<8>().copied().unwrap_or_default());
    folder.join(format!("{name}.oracle"))
}

impl Progress {
    /// What an earlier process wrote; none where there is nothing that is whole and of this oracle.
    #[must_use]
    pub fn load(path: &Path, oracle: &str) -> Option<Self> {
        let length = fs::metadata(path).ok()?.len();
        let bytes = if length <= MAX_BYTES { fs::read(path).ok()? } else { return None };
        let (checksum, rest) = bytes.split_at_checked(64)?;
        if hex::encode(sha256(rest)).as_bytes() != checksum {
            return None;
        }
        let mut parts = rest.strip_prefix(b"\n")?.splitn(2, |byte| *byte == b'\n');
        let mut progress: Self = serde_json::from_slice(parts.next()?).ok()?;
        let body = parts.next()?.to_vec();
        if let Some(unanswered) = &mut progress.unanswered {
            unanswered.body = body;
        }
        (progress.oracle == oracle).then_some(progress)
    }

    /// Replaces the file. Blocks for the disk.
    ///
    /// # Errors
    /// IO; then the file is as it was.
    pub fn store(&self, path: &Path) -> io::Result<()> {
        let mut rest = vec![b'\n'];
        serde_json::to_writer(&mut rest, self)?;
        rest.push(b'\n');
        rest.extend_from_slice(self.unanswered.as_ref().map_or(&[][..], |unanswered| &unanswered.body));
        let bytes = [hex::encode(sha256(&rest)).into_bytes(), rest].concat();
        let beside = path.with_extension("new");
        fs::write(&beside, bytes)?;
        fs::rename(&beside, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_loaded_and_what_is_damaged_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = path(folder.path(), "http://a");
        assert_ne!(file, path(folder.path(), "http://b"));
        assert_eq!(Progress::load(&file, "http://a"), None);
        let mut progress = Progress {
            oracle: "http://a".into(),
            position: Position { number: 3, before: 9 },
            untold: 4,
            unanswered: None,
        };
        progress.store(&file).unwrap();
        assert_eq!(Progress::load(&file, "http://a").as_ref(), Some(&progress));
        let body = b"\n\0{\n".to_vec();
        progress.unanswered =
            Some(Unanswered { sequence: 7, plain: false, key: "aa".into(), program: "bb".into(), body });
        progress.store(&file).unwrap();
        assert_eq!(Progress::load(&file, "http://a").as_ref(), Some(&progress));
        assert_eq!(Progress::load(&file, "http://b"), None);
        let whole = fs::read(&file).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&file, &bytes).unwrap();
            assert_eq!(Progress::load(&file, "http://a"), None, "octet {at}");
            fs::write(&file, &whole[..at]).unwrap();
            assert_eq!(Progress::load(&file, "http://a"), None, "cut at {at}");
        }
    }
}
