//! Key files as Solana's keypairs: what [`causeway_wire::keyfile`] reads and writes, with what an operator is told.

use std::path::Path;

use causeway_wire::keyfile;
pub use causeway_wire::keyfile::{KeyError, Staged, read_private, sync_folder_of};
use solana_sdk::signature::Keypair;

use crate::explain::{self, Entry, Explain};

/// Reads a key file.
///
/// # Errors
/// It is missing, others can read it, or it does not hold a key whose two halves belong together.
pub fn read(path: &Path) -> Result<Keypair, KeyError> {
    keyfile::read(path).map(Keypair::new_from_array)
}

/// Writes a new key file, readable by its owner only. An existing file is never overwritten.
///
/// # Errors
/// The file exists, or can't be written.
pub fn write(path: &Path, key: &Keypair) -> Result<(), KeyError> {
    keyfile::write(path, key.secret_bytes())
}

/// Generates a key and writes it to a new file.
///
/// # Errors
/// As for [`write`].
pub fn generate(path: &Path) -> Result<Keypair, KeyError> {
    let key = Keypair::new();
    write(path, &key)?;
    Ok(key)
}

/// Generates a key and writes it beside its place, so that several can be placed once all of them are there.
///
/// # Errors
/// It can't be written.
pub fn stage(path: &Path) -> Result<(Keypair, Staged), KeyError> {
    let key = Keypair::new();
    let staged = keyfile::stage(path, key.secret_bytes())?;
    Ok((key, staged))
}

const fn entry(error: &KeyError) -> Entry {
    match error {
        KeyError::Missing { .. } => explain::KEY_MISSING,
        KeyError::Malformed { .. } => explain::KEY_MALFORMED,
        KeyError::Permissions { .. } => explain::KEY_PERMISSIONS,
        KeyError::Exists { .. } => explain::KEY_EXISTS,
        KeyError::Write { .. } => explain::KEY_WRITE,
    }
}

impl Explain for KeyError {
    fn code(&self) -> String {
        entry(self).code.into()
    }

    fn cause(&self) -> String {
        match self {
            Self::Missing { source, .. } | Self::Write { source, .. } => format!("{self}: {source}."),
            Self::Malformed { .. } | Self::Permissions { .. } | Self::Exists { .. } => format!("{self}."),
        }
    }

    fn remedy(&self) -> String {
        entry(self).remedy.into()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::OpenOptions,
        io::Write,
        os::unix::fs::{OpenOptionsExt, PermissionsExt},
    };

    use super::*;
    use solana_sdk::signer::Signer;

    #[test]
    fn a_written_key_is_read_back_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.json");
        let key = generate(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read(&path).unwrap().pubkey(), key.pubkey());
        assert_eq!(generate(&path).unwrap_err().code(), "CW-KEY-EXISTS");
        assert_eq!(read(&path).unwrap().pubkey(), key.pubkey());
    }

    #[test]
    fn bad_files_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(&dir.path().join("none")).unwrap_err().code(), "CW-KEY-MISSING");
        assert_eq!(generate(&dir.path().join("no/such/folder")).unwrap_err().code(), "CW-KEY-WRITE");
        let path = dir.path().join("bad.json");
        let half = serde_json::to_string(&[1u8; 64].to_vec()).unwrap();
        let long = "1".repeat(5_000);
        for text in ["", "{}", "[1,2]", "[300]", "\u{0}", half.as_str(), "-----BEGIN PRIVATE KEY-----", long.as_str()] {
            let _ = std::fs::remove_file(&path);
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            assert_eq!(read(&path).unwrap_err().code(), "CW-KEY-MALFORMED", "{text}");
        }
        let open = dir.path().join("open.json");
        generate(&open).unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(read(&open).unwrap_err().code(), "CW-KEY-PERMISSIONS");
    }
}
