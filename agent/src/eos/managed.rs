//! Which sections of the switch's configuration are Causeway's: those that its texts have named. Kept in a small file
//! beside the agent's state, so that what an earlier text set and a later one no longer names is taken back, also over
//! a restart, and so that nothing else ever is.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::text;
use crate::state::write_atomically;

/// Longest file, in bytes: a thousand interfaces take a twentieth.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// Causeway's on every switch that it configures.
const ALWAYS: [&str; 2] = ["router isis 1", "router bgp"];

/// The file's content: top-level sections by their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Managed {
    /// Of the last text that was confirmed.
    confirmed: BTreeSet<String>,
    /// Of texts whose commits were tried since; their sections may be there.
    tried: BTreeSet<String>,
}

impl Managed {
    /// Whether a top-level section counts as Causeway's. Before anything is known every interface but the management one
    /// does, because the renderer's texts say them all.
    pub fn owns(&self, header: &str) -> bool {
        let known = self.confirmed.contains(header) || self.tried.contains(header);
        let unknown =
            self.confirmed.is_empty() && text::interface_of(header).is_some_and(|name| !name.starts_with("Management"));
        known || unknown || ALWAYS.contains(&header)
    }

    /// Interfaces that an earlier text named and this one doesn't.
    pub fn stale(&self, text: &str) -> BTreeSet<String> {
        let named = text::headers(text);
        let had = self.confirmed.union(&self.tried).filter(|header| !named.contains(*header));
        had.filter_map(|header| text::interface_of(header)).map(str::to_owned).collect()
    }

    /// A text's sections are about to be committed.
    pub fn trying(&mut self, text: &str) {
        self.tried.extend(text::headers(text));
    }

    /// Its commit was confirmed.
    pub fn confirm(&mut self, text: &str) {
        self.confirmed = text::headers(text);
        self.tried.clear();
    }

    /// The switch has taken its commit back.
    pub fn forget_tried(&mut self) {
        self.tried.clear();
    }
}

/// The file.
#[derive(Clone, Debug)]
pub struct ManagedFile(pub PathBuf);

impl ManagedFile {
    /// What was written last; nothing where there is no file.
    ///
    /// # Errors
    /// IO, or a file of something else: to forget silently would leave what earlier texts set.
    pub fn read(&self) -> io::Result<Managed> {
        match fs::metadata(&self.0) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Managed::default()),
            Err(e) => return Err(e),
            Ok(found) if found.len() > MAX_FILE_BYTES => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "too large"));
            }
            Ok(_) => {}
        }
        serde_json::from_slice(&fs::read(&self.0)?).map_err(io::Error::from)
    }

    /// Replaces it. Blocks for a disk write.
    ///
    /// # Errors
    /// IO.
    pub fn write(&self, managed: &Managed) -> io::Result<()> {
        if let Some(folder) = self.0.parent() {
            fs::create_dir_all(folder)?;
        }
        write_atomically(&self.0, &serde_json::to_vec_pretty(managed).map_err(io::Error::from)?)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str =
        "hostname a\ninterface Ethernet1\n   mtu 9000\ninterface et2.5\n   mtu 9000\ninterface Management1\n";
    const NEW: &str = "hostname b\ninterface Ethernet1\n   mtu 9000\n";

    #[test]
    fn what_a_later_text_does_not_name_is_stale_whether_confirmed_or_only_tried() {
        let mut managed = Managed::default();
        assert!(managed.stale(NEW).is_empty());
        managed.trying(OLD);
        let gone = BTreeSet::from(["Ethernet2.5".to_owned(), "Management1".to_owned()]);
        assert_eq!(managed.stale(NEW), gone);
        managed.confirm(OLD);
        assert_eq!(managed.stale(NEW), gone);
        managed.trying(NEW);
        assert_eq!(managed.stale(NEW), gone, "until the commit that takes it back is confirmed");
        managed.forget_tried();
        assert_eq!(managed.stale(NEW), gone);
        managed.trying(NEW);
        managed.confirm(NEW);
        assert!(managed.stale(NEW).is_empty());
    }

    #[test]
    fn an_interface_that_no_text_named_is_the_operators() {
        let mut managed = Managed::default();
        assert!(managed.owns("interface Ethernet9") && !managed.owns("interface Management1"));
        managed.trying(OLD);
        managed.confirm(OLD);
        assert!(managed.owns("interface Ethernet1") && managed.owns("hostname") && managed.owns("router bgp"));
        assert!(!managed.owns("interface Ethernet9") && !managed.owns("ntp server 1.1.1.1"));
    }

    #[test]
    fn the_file_outlives_the_process_and_a_damaged_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = ManagedFile(folder.path().join("deep/r1.eos.json"));
        assert_eq!(file.read().unwrap(), Managed::default());
        let mut managed = Managed::default();
        managed.trying(OLD);
        file.write(&managed).unwrap();
        assert_eq!(file.read().unwrap(), managed);
        fs::write(file.path(), "{\"confirmed\":1}").unwrap();
        assert!(file.read().is_err());
    }
}
