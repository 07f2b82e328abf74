//! Key files, readable by their owner only: Solana's JSON array of 64 numbers, or ed25519 in PKCS#8 as openssl and most
//! vaults write it, in PEM or DER. What a file holds is told from its content, not its name. Only JSON is written.
//!
//! A key is its seed here, 32 bytes: every crate has a type of its own for it.

mod pkcs8;

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use ed25519_dalek::SigningKey;

/// Longest key file that is read: 64 numbers of three digits with commas and generous white space.
const MAX_FILE_BYTES: u64 = 4_096;
/// Permissions of a key file.
const MODE: u32 = 0o600;
/// Permission bits that a key file must not have.
const OTHERS: u32 = 0o077;
/// The one of them that a file of root's may have while its group is root's too; see [`others_may_use`].
const GROUP_READ: u32 = 0o040;

/// Why a key file was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It is not there, or can't be opened.
    #[error("key file {} can't be read", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It holds something else.
    #[error("key file {} does not hold a key: {why}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Others may read it.
    #[error("key file {} has permissions {mode:03o}", path.display())]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is there and is not overwritten.
    #[error("key file {} exists", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// It can't be written.
    #[error("key file {} can't be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// Reads a key file.
///
/// # Errors
/// It is missing, others can read it, or it does not hold a key whose two halves belong together.
pub fn read(path: &Path) -> Result<[u8; 32], KeyError> {
    let content = read_private(path)?;
    parse(&content).map_err(|why| KeyError::Malformed { path: path.into(), why })
}

/// Reads a small file that holds a secret: a key, or the address of a webhook.
///
/// # Errors
/// It is missing, too long, no file, or others can read it.
pub fn read_private(path: &Path) -> Result<Vec<u8>, KeyError> {
    let missing = |source| KeyError::Missing { path: path.into(), source };
    let malformed = |why: String| KeyError::Malformed { path: path.into(), why };
    // The file that is looked at is the one that is read, whatever becomes of its name meanwhile.
    let file = File::open(path).map_err(missing)?;
    let metadata = file.metadata().map_err(missing)?;
    if !metadata.is_file() {
        return Err(malformed("it is not a file".into()));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if others_may_use(mode, metadata.uid(), metadata.gid()) {
        return Err(KeyError::Permissions { path: path.into(), mode });
    }
    let mut content = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut content).map_err(missing)?;
    if content.len() as u64 > MAX_FILE_BYTES {
        return Err(malformed(format!("it is longer than {MAX_FILE_BYTES} bytes")));
    }
    Ok(content)
}

/// Whether these permissions let anybody but the owner use a file. A file of root's whose group is root's may be
/// readable by that group: that gives it to nobody, and it is how a credential looks that systemd hands a service by an
/// access list.
const fn others_may_use(mode: u32, uid: u32, gid: u32) -> bool {
    let of_root = uid == 0 && gid == 0;
    let refused = if of_root { OTHERS & !GROUP_READ } else { OTHERS };
    mode & refused != 0
}

fn parse(content: &[u8]) -> Result<[u8; 32], String> {
    if let Some(seed) = pkcs8::seed(content)? {
        return Ok(seed);
    }
    let bytes: Vec<u8> =
        serde_json::from_slice(content).map_err(|_| "neither a JSON array of bytes nor PKCS#8".to_owned())?;
    let pair =
        <[u8; 64]>::try_from(bytes.as_slice()).map_err(|_| format!("{} numbers where 64 belong", bytes.len()))?;
    let key = SigningKey::from_keypair_bytes(&pair);
    key.map(|key| key.to_bytes()).map_err(|_| "its public half is not that of its secret half".to_owned())
}

/// Writes a new key file, readable by its owner only. It is there whole or not at all, whenever the process or the machine
/// stops. An existing file is never overwritten.
///
/// # Errors
/// The file exists, or can't be written.
pub fn write(path: &Path, seed: &[u8; 32]) -> Result<(), KeyError> {
    stage(path, seed)?.place()
}

/// A new key file that lies whole beside its place, under a name of its own. Dropped, it is gone.
#[derive(Debug)]
#[must_use = "a key file that is not placed is gone"]
pub struct Staged {
    path: PathBuf,
    beside: PathBuf,
}

/// Writes a new key file beside its place, so that several can be placed once all of them are there.
///
/// # Errors
/// It can't be written.
pub fn stage(path: &Path, seed: &[u8; 32]) -> Result<Staged, KeyError> {
    let failed = |source: std::io::Error| KeyError::Write { path: path.into(), source };
    let name = path.file_name().ok_or_else(|| failed(ErrorKind::InvalidInput.into()))?;
    // Nobody else has this process's number; what one of before left under it was never placed.
    let beside = path.with_file_name(format!(".{}.{}.new", name.to_string_lossy(), std::process::id()));
    let _ = std::fs::remove_file(&beside);
    let pair = SigningKey::from_bytes(seed).to_keypair_bytes();
    let numbers: Vec<String> = pair.iter().map(u8::to_string).collect();
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&beside).map_err(failed)?;
    let staged = Staged { path: path.into(), beside };
    file.write_all(format!("[{}]\n", numbers.join(",")).as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    Ok(staged)
}

impl Staged {
    /// Gives it its name, which nothing may have, and waits until the folder has it on the disk.
    ///
    /// # Errors
    /// The file exists, or can't be written.
    pub fn place(self) -> Result<(), KeyError> {
        let failed = |source: std::io::Error| match source.kind() {
            ErrorKind::AlreadyExists => KeyError::Exists { path: self.path.clone() },
            _ => KeyError::Write { path: self.path.clone(), source },
        };
        // Unlike a new name, a further one is refused where there is a file of it.
        std::fs::hard_link(&self.beside, &self.path).map_err(failed)?;
        std::fs::remove_file(&self.beside).map_err(failed)?;
        sync_folder_of(&self.path).map_err(failed)
    }
}

/// Waits until the folder that a file or folder is in has its name on the disk.
///
/// # Errors
/// What the system says.
pub fn sync_folder_of(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Gone already where it was placed.
        let _ = std::fs::remove_file(&self.beside);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever stops it before the last step leaves nothing under the name, and stands in nobody's way.
    #[test]
    fn a_new_key_file_is_there_whole_or_not_at_all_and_never_in_anothers_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let names = || std::fs::read_dir(folder.path()).unwrap().count();
        let staged = stage(&path, &[1; 32]).unwrap();
        assert!(!path.exists() && names() == 1);
        // As a killed process leaves it: nothing tidies up.
        std::mem::forget(staged);
        write(&path, &[2; 32]).unwrap();
        assert_eq!((read(&path).unwrap(), names()), ([2; 32], 1));
        let second = stage(&path, &[3; 32]).unwrap();
        assert!(matches!(second.place(), Err(KeyError::Exists { .. })));
        assert_eq!((read(&path).unwrap(), names()), ([2; 32], 1));
    }

    #[test]
    fn only_the_owner_may_read_and_a_credential_of_systemd_counts_as_that() {
        let cases = [
            (0o600, 1_000, 1_000, false),
            (0o400, 1_000, 1_000, false),
            (0o640, 1_000, 1_000, true),
            (0o604, 1_000, 1_000, true),
            (0o620, 1_000, 1_000, true),
            (0o440, 0, 0, false),
            (0o440, 0, 1_000, true),
            (0o440, 1_000, 0, true),
            (0o460, 0, 0, true),
            (0o444, 0, 0, true),
        ];
        for (mode, uid, gid, refused) in cases {
            assert_eq!(others_may_use(mode, uid, gid), refused, "{mode:o} {uid} {gid}");
        }
    }
}
