//! The keys that sign a plan, from a folder: `authority.json`, and `contributors/CODE.json` for each owner.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use causeway_interface::{Code, Key};
use causeway_sdk::{
    address::to_key,
    keys::{self, KeyError},
};
use solana_sdk::{signature::Keypair, signer::Signer as _};

use crate::plan::{OwnerKeys, Signer};

/// Folder of the owners' keys within that of all.
const OWNERS: &str = "contributors";

/// Keys by whose they are.
#[derive(Clone, Debug, Default)]
pub struct KeyRing {
    authority: Option<Arc<Keypair>>,
    owners: BTreeMap<Code, Arc<Keypair>>,
    folder: Option<PathBuf>,
}

impl KeyRing {
    /// A ring of these keys.
    #[must_use]
    pub fn new(authority: Option<Arc<Keypair>>, owners: BTreeMap<Code, Arc<Keypair>>) -> Self {
        Self { authority, owners, folder: None }
    }

    /// Reads the folder's keys for the authority and these contributors. A file that is not there is no error: a plan
    /// may not need it.
    ///
    /// # Errors
    /// A file that is there can't be used.
    pub fn read(folder: &Path, contributors: impl IntoIterator<Item = Code>) -> Result<Self, KeyError> {
        let mut ring = Self { folder: Some(folder.to_owned()), ..Self::default() };
        ring.authority = read(&authority_file(folder))?;
        for code in contributors {
            if let Some(key) = read(&Self::owner_file(folder, &code))? {
                ring.owners.insert(code, key);
            }
        }
        Ok(ring)
    }

    /// The same with the authority's key from this file, unless there is one already.
    ///
    /// # Errors
    /// The file is asked for and can't be used.
    pub fn or_authority(mut self, file: &Path) -> Result<Self, KeyError> {
        if self.authority.is_none() {
            self.authority = Some(Arc::new(keys::read(file)?));
        }
        Ok(self)
    }

    /// Where the key of a contributor's owner is in a folder.
    #[must_use]
    pub fn owner_file(folder: &Path, code: &Code) -> PathBuf {
        folder.join(OWNERS).join(format!("{code}.json"))
    }

    /// The key of a signer.
    #[must_use]
    pub fn get(&self, signer: &Signer) -> Option<&Arc<Keypair>> {
        match signer {
            Signer::Authority => self.authority.as_ref(),
            Signer::Owner(code) => self.owners.get(code),
        }
    }

    /// The owners' public keys.
    #[must_use]
    pub fn owners(&self) -> OwnerKeys {
        self.owners.iter().map(|(code, key)| (*code, key_of(key))).collect()
    }

    /// Where a signer's key is looked for, in words.
    #[must_use]
    pub fn place(&self, signer: &Signer) -> String {
        match (&self.folder, signer) {
            (Some(folder), Signer::Authority) => authority_file(folder).display().to_string(),
            (Some(folder), Signer::Owner(code)) => Self::owner_file(folder, code).display().to_string(),
            (None, Signer::Authority) => "the authority's key".into(),
            (None, Signer::Owner(code)) => format!("the key of contributor {code}'s owner"),
        }
    }
}

fn key_of(key: &Keypair) -> Key {
    to_key(&key.pubkey())
}

fn authority_file(folder: &Path) -> PathBuf {
    folder.join("authority.json")
}

fn read(path: &Path) -> Result<Option<Arc<Keypair>>, KeyError> {
    if path.exists() { keys::read(path).map(|key| Some(Arc::new(key))) } else { Ok(None) }
}
