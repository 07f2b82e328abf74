//! The sources as they are built: the interface crate inside the program's folder.
//!
//! Cargo gives every crate a number that follows from where it is, and the compiler orders code by it. For a crate
//! inside its workspace that is the path from the workspace's root; for one outside, as the interface is, the whole
//! path, which differs from machine to machine, and so would the bytes.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use super::source_files;
use crate::workspace;

/// Says how the sources are arranged; another arrangement gives other bytes.
pub const ARRANGEMENT: &str = "interface inside";
/// The program's folder.
pub const PROGRAM: &str = "serviceability";
/// The interface crate's folder.
const INTERFACE: &str = "serviceability-interface";
/// What the program's manifest says, once each, and what it says when the interface is inside: where it is, and that
/// it is no member of the workspace, whose lockfile knows nothing of what the interface's own tests need.
const CHANGES: [(&str, &str); 2] = [
    ("path = \"../serviceability-interface\"", "path = \"serviceability-interface\""),
    ("\n[workspace]\n", "\n[workspace]\nexclude = [\"serviceability-interface\"]\n"),
];

/// Arranges the sources of `programs` in `stage`. What is there already is not written again, so that nothing is
/// built again either.
///
/// # Errors
/// A file can't be read or written, or the program's manifest does not name the interface crate as expected.
pub fn arrange(programs: &Path, stage: &Path) -> Result<()> {
    let mut arranged = BTreeSet::new();
    for file in source_files(programs)? {
        let path = file.strip_prefix(programs)?;
        let mut bytes = fs::read(&file).with_context(|| format!("can't read {}", file.display()))?;
        if path == Path::new(PROGRAM).join("Cargo.toml") {
            let text = String::from_utf8(bytes).with_context(|| format!("{} is not text", file.display()))?;
            bytes = changed(text).with_context(|| format!("{} is not as expected", file.display()))?.into_bytes();
        }
        let to = stage.join(place(path));
        write(&to, &bytes)?;
        arranged.insert(to);
    }
    for file in workspace::files(stage)? {
        if !arranged.contains(&file) {
            fs::remove_file(&file).with_context(|| format!("can't remove {}", file.display()))?;
        }
    }
    Ok(())
}

/// The program's manifest with the interface inside.
fn changed(mut manifest: String) -> Result<String> {
    for (from, to) in CHANGES {
        ensure!(manifest.matches(from).count() == 1, "it does not say {from:?} once");
        manifest = manifest.replacen(from, to, 1);
    }
    Ok(manifest)
}

/// Where a file of the programs folder is put.
fn place(path: &Path) -> PathBuf {
    if path.starts_with(INTERFACE) { Path::new(PROGRAM).join(path) } else { path.to_path_buf() }
}

/// Writes a file unless it is there with these bytes.
///
/// # Errors
/// It can't be written.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
    }
    fs::write(path, bytes).with_context(|| format!("can't write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interface_is_put_inside_the_program() {
        assert_eq!(place(Path::new("serviceability/src/lib.rs")), Path::new("serviceability/src/lib.rs"));
        let inside = Path::new("serviceability/serviceability-interface/src/lib.rs");
        assert_eq!(place(Path::new("serviceability-interface/src/lib.rs")), inside);
    }

    #[test]
    fn the_programs_manifest_is_as_expected() {
        let manifest = workspace::root().unwrap().join("programs").join(PROGRAM).join("Cargo.toml");
        let changed = changed(fs::read_to_string(manifest).unwrap()).unwrap();
        assert!(!changed.contains("../"), "{changed}");
    }
}
