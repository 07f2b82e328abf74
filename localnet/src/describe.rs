//! What a running ledger tells other commands: a small JSON file in its folder, and how to find the process by it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{error::LocalnetError, folder::is_alive};

/// The file's name.
pub const FILE_NAME: &str = "localnet.json";
/// What the kernel calls the process: the binary's name, cut at 15 characters.
const COMM: &str = "causeway-localn";

/// A running ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// RPC.
    pub rpc_url: String,
    /// Pubsub.
    pub websocket_url: String,
    /// The program's address.
    pub program_id: String,
    /// The process that runs it.
    pub pid: u32,
    /// Key file of the network's authority.
    pub authority: PathBuf,
    /// Key file of the funded payer.
    pub payer: PathBuf,
    /// Key files of the oracles, in the set's order.
    pub oracles: Vec<PathBuf>,
    /// Oracles that have to agree.
    pub quorum: u8,
}

impl Description {
    /// Reads the description in a folder, whether or not its process still runs.
    ///
    /// # Errors
    /// It can't be read. A missing one is no error.
    pub fn read(dir: &Path) -> Result<Option<Self>, LocalnetError> {
        let path = dir.join(FILE_NAME);
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                serde_json::from_str(&text).map(Some).map_err(|source| LocalnetError::Description { path, source })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(LocalnetError::File { path, source }),
        }
    }

    /// Reads the description in a folder whose process runs.
    ///
    /// # Errors
    /// There is none, or its process is gone.
    pub fn running(dir: &Path) -> Result<Self, LocalnetError> {
        let not_running = || LocalnetError::NotRunning { dir: dir.into() };
        Self::read(dir)?.filter(Self::is_running).ok_or_else(not_running)
    }

    /// Whether its process runs and is a local ledger's.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let name = std::fs::read_to_string(format!("/proc/{}/comm", self.pid)).unwrap_or_default();
        is_alive(self.pid) && (name.is_empty() || name.trim() == COMM)
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// The folder can't be written.
    pub fn write(&self, dir: &Path) -> Result<(), LocalnetError> {
        let path = dir.join(FILE_NAME);
        let failed = |source| LocalnetError::File { path: path.clone(), source };
        let text = serde_json::to_string_pretty(self)
            .map_err(|source| LocalnetError::Description { path: path.clone(), source })?;
        let mut file = tempfile::NamedTempFile::new_in(dir).map_err(failed)?;
        std::io::Write::write_all(&mut file, format!("{text}\n").as_bytes()).map_err(failed)?;
        file.persist(&path).map_err(|e| failed(e.error)).map(drop)
    }

    /// Removes it.
    pub fn remove(dir: &Path) {
        // Gone already is as good.
        let _ = std::fs::remove_file(dir.join(FILE_NAME));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_written_and_its_process_is_looked_for() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Description::read(dir.path()).unwrap().is_none());
        let mut description = Description {
            rpc_url: "http://127.0.0.1:1".into(),
            websocket_url: "ws://127.0.0.1:2".into(),
            program_id: "x".into(),
            pid: 4_000_000_000,
            authority: "a".into(),
            payer: "p".into(),
            oracles: vec!["o".into()],
            quorum: 1,
        };
        description.write(dir.path()).unwrap();
        assert_eq!(Description::read(dir.path()).unwrap().as_ref(), Some(&description));
        assert!(matches!(Description::running(dir.path()), Err(LocalnetError::NotRunning { .. })));
        // This test's process is not a local ledger.
        description.pid = std::process::id();
        assert!(!description.is_running());
        Description::remove(dir.path());
        assert!(Description::read(dir.path()).unwrap().is_none());
    }
}
