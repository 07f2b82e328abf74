//! The ledger's folder: temporary, gone with the ledger, and swept up by the next one after a crash.

use std::path::{Path, PathBuf};

use crate::error::LocalnetError;

/// Begins the name of every folder; the process id and a random part follow.
const PREFIX: &str = "causeway-localnet-";

/// A folder that is removed when it is dropped.
#[derive(Debug)]
pub struct Folder(tempfile::TempDir);

impl Folder {
    /// Makes a new one and removes those of processes that are gone.
    ///
    /// # Errors
    /// The system's folder for temporary files can't be written.
    pub fn new() -> Result<Self, LocalnetError> {
        let parent = std::env::temp_dir();
        sweep(&parent);
        let prefix = format!("{PREFIX}{}-", std::process::id());
        let dir = tempfile::Builder::new().prefix(&prefix).tempdir_in(&parent);
        dir.map(Self).map_err(|source| LocalnetError::File { path: parent, source })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// Removes folders of processes that no longer run. What can't be removed is another user's, and stays.
fn sweep(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if owner(&path).is_some_and(|pid| !is_alive(pid)) {
            tracing::debug!(path = %path.display(), "removes a dead ledger's folder");
            let _ = std::fs::remove_dir_all(&path);
        }
    }
}

fn owner(path: &Path) -> Option<u32> {
    let rest = path.file_name()?.to_str()?.strip_prefix(PREFIX)?;
    rest.split('-').next()?.parse().ok()
}

/// Whether a process of this id runs.
pub(crate) fn is_alive(pid: u32) -> bool {
    // Without /proc nothing is known, and nothing is removed.
    !Path::new("/proc/self").exists() || PathBuf::from(format!("/proc/{pid}")).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dead_processes_folders_are_swept() {
        let parent = tempfile::tempdir().unwrap();
        // Process ids end far below this number.
        let dead = parent.path().join(format!("{PREFIX}4000000000-a"));
        let alive = parent.path().join(format!("{PREFIX}{}-a", std::process::id()));
        let foreign = parent.path().join("something-else");
        let odd = parent.path().join(format!("{PREFIX}x"));
        for dir in [&dead, &alive, &foreign, &odd] {
            std::fs::create_dir(dir).unwrap();
        }
        sweep(parent.path());
        assert!(!dead.exists() && alive.exists() && foreign.exists() && odd.exists());
    }

    #[test]
    fn a_folder_goes_with_its_value() {
        let folder = Folder::new().unwrap();
        let path = folder.path().to_owned();
        std::fs::write(path.join("x"), "x").unwrap();
        drop(folder);
        assert!(!path.exists());
    }
}
