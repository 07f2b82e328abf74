//! The keys by which a site is put on a ledger, as files of one folder.
//!
//! ```text
//! DIR/authority.json                  the network's authority
//! DIR/payer.json                      pays for what the authority creates; the authority itself if missing
//! DIR/contributors/CODE.json          a contributor's owner
//! DIR/devices/CODE/agent.json         a device's agent key
//! DIR/devices/CODE/telemetry.json     a device's telemetry key
//! ```
//!
//! Files are made on request only and never overwritten. Secrets stay in this process.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use causeway_interface::Code;
use causeway_sdk::{
    address::to_key,
    keys::{self, KeyError},
};
use solana_sdk::{signature::Keypair, signer::Signer};

use crate::site::Site;

/// Where the network's authority is.
pub fn authority_file(dir: &Path) -> PathBuf {
    dir.join("authority.json")
}

/// Where the payer is.
pub fn payer_file(dir: &Path) -> PathBuf {
    dir.join("payer.json")
}

/// Where a contributor's owner is.
pub fn contributor_file(dir: &Path, code: &Code) -> PathBuf {
    dir.join("contributors").join(format!("{code}.json"))
}

/// Where a device's agent key is.
pub fn agent_file(dir: &Path, code: &Code) -> PathBuf {
    dir.join("devices").join(code.to_string()).join("agent.json")
}

/// Where a device's telemetry key is.
pub fn telemetry_file(dir: &Path, code: &Code) -> PathBuf {
    dir.join("devices").join(code.to_string()).join("telemetry.json")
}

/// Reads a key file, or makes it with its folders.
///
/// # Errors
/// It can't be read or written.
pub fn read_or_generate(path: &Path) -> Result<Keypair, KeyError> {
    if path.exists() {
        return keys::read(path);
    }
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|source| KeyError::Write { path: path.into(), source })?;
    }
    keys::generate(path)
}

/// Makes the keys that a site lacks and writes their public halves into it: owners of contributors, agent and
/// telemetry keys of devices. Keys that the site names already are left as they are.
///
/// # Errors
/// A key file can't be read or written.
pub fn fill(site: &mut Site, dir: &Path) -> Result<(), KeyError> {
    for contributor in site.contributors.iter_mut().filter(|c| c.owner.is_zero()) {
        contributor.owner = to_key(&read_or_generate(&contributor_file(dir, &contributor.code))?.pubkey());
    }
    for device in &mut site.devices {
        if device.agent_key.is_zero() {
            device.agent_key = to_key(&read_or_generate(&agent_file(dir, &device.code))?.pubkey());
        }
        if device.telemetry_key.is_zero() {
            device.telemetry_key = to_key(&read_or_generate(&telemetry_file(dir, &device.code))?.pubkey());
        }
    }
    Ok(())
}

/// The keys that can sign.
#[derive(Debug, Default)]
pub struct Keyring {
    /// The folder, for words about missing files.
    dir: Option<PathBuf>,
    authority: Option<Arc<Keypair>>,
    payer: Option<Arc<Keypair>>,
    contributors: BTreeMap<Code, Arc<Keypair>>,
}

impl Keyring {
    /// Keys that are in memory already.
    pub fn new(authority: Arc<Keypair>, contributors: BTreeMap<Code, Arc<Keypair>>) -> Self {
        Self { dir: None, authority: Some(authority), payer: None, contributors }
    }

    /// With another key than the authority's to pay for what the authority creates.
    #[must_use]
    pub fn with_payer(mut self, payer: Arc<Keypair>) -> Self {
        self.payer = Some(payer);
        self
    }

    /// The keys of a folder that a site can need. Files that are not there are no error: whoever needs one says so.
    ///
    /// # Errors
    /// A file is there and can't be read as a key.
    pub fn open(dir: &Path, site: &Site) -> Result<Self, KeyError> {
        let read = |path: PathBuf| match path.exists() {
            true => keys::read(&path).map(|key| Some(Arc::new(key))),
            false => Ok(None),
        };
        let mut contributors = BTreeMap::new();
        for contributor in &site.contributors {
            if let Some(key) = read(contributor_file(dir, &contributor.code))? {
                contributors.insert(contributor.code, key);
            }
        }
        let (authority, payer) = (read(authority_file(dir))?, read(payer_file(dir))?);
        Ok(Self { dir: Some(dir.into()), authority, payer, contributors })
    }

    /// The authority.
    pub fn authority(&self) -> Option<&Arc<Keypair>> {
        self.authority.as_ref()
    }

    /// Who pays for what the authority creates.
    pub fn payer(&self) -> Option<&Arc<Keypair>> {
        self.payer.as_ref().or(self.authority.as_ref())
    }

    /// A contributor's owner.
    pub fn contributor(&self, code: &Code) -> Option<&Arc<Keypair>> {
        self.contributors.get(code)
    }

    /// The file in which the authority is looked for.
    pub fn authority_place(&self) -> PathBuf {
        authority_file(self.dir.as_deref().unwrap_or(Path::new("")))
    }

    /// The file in which a contributor's owner is looked for.
    pub fn contributor_place(&self, code: &Code) -> PathBuf {
        contributor_file(self.dir.as_deref().unwrap_or(Path::new("")), code)
    }
}
