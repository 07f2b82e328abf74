//! Where things are: the repository, its target folder, the per-user cache.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::process;

/// The repository that this command belongs to.
pub struct Workspace {
    /// Its root folder.
    pub root: PathBuf,
    /// Cargo's target folder, wherever the person or the machine has it.
    pub target: PathBuf,
}

impl Workspace {
    /// Finds the repository: the one whose xtask cargo runs, else the one around the current folder.
    pub fn find() -> Result<Self> {
        let root = root()?;
        let mut metadata = process::cargo();
        metadata.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(&root);
        let metadata: serde_json::Value = serde_json::from_str(&process::output(metadata)?)?;
        let target = metadata
            .get("target_directory")
            .and_then(|t| t.as_str())
            .context("cargo metadata names no target folder")?;
        Ok(Self { target: PathBuf::from(target), root })
    }

    /// Where the program's binary is put.
    pub fn deploy(&self) -> PathBuf {
        self.target.join("deploy")
    }
}

/// The repository's root.
pub fn root() -> Result<PathBuf> {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let here = env::current_dir().context("the current folder is gone")?;
    let is_root = |folder: &Path| folder.join("xtask/Cargo.toml").is_file();
    let candidates = manifest.iter().flat_map(|m| m.ancestors()).chain(here.ancestors());
    match candidates.into_iter().find(|folder| is_root(folder)) {
        Some(root) => Ok(root.to_path_buf()),
        None => bail!("{} is not inside the Causeway repository", here.display()),
    }
}

/// The folder for what outlives a clone: `CAUSEWAY_CACHE`, else `causeway` in the person's cache folder.
pub fn cache() -> Result<PathBuf> {
    let folder = |name: &str| env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    folder("CAUSEWAY_CACHE")
        .or_else(|| folder("XDG_CACHE_HOME").map(|c| c.join("causeway")))
        .or_else(|| folder("HOME").map(|h| h.join(".cache/causeway")))
        .context("no cache folder: set CAUSEWAY_CACHE or HOME")
}

/// Every file below a folder in order of its path, without build output and hidden version-control folders.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("can't read {}", folder.display()))? {
            let entry = entry?;
            let skipped = matches!(entry.file_name().to_str(), Some("target" | ".git" | "node_modules"));
            if entry.file_type()?.is_dir() {
                if !skipped {
                    open.push(entry.path());
                }
            } else {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// SHA-256 of bytes, in hex.
pub fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
