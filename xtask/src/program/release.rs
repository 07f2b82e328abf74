//! Whether a binary is what the sources say: two builds in different folders, the hash that a release records, and a
//! program that was downloaded from a cluster.
//!
//! A release records the hash together with the sources and the tools that it came from. The same sources and tools
//! have to give the same hash. With other tools nothing can be said about it, and with other sources it is another
//! program; neither is a success.

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::{Built, Route, copy_sources, sources};
use crate::{
    progress,
    workspace::{self, Workspace},
};

/// The record's file name.
pub const FILE_NAME: &str = "release.json";
/// The record, from the repository's root.
pub const PATH: &str = "programs/serviceability/release.json";
/// Exit code where sources or tools are not those of the release, so that its hash says nothing about this build.
const NOT_COMPARABLE: u8 = 3;

/// What a release records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Release {
    /// Version of the program.
    version: String,
    /// SHA-256 of the binary, in hex.
    sha256: String,
    /// Its length.
    bytes: u64,
    /// SHA-256 over the digests of the sources, in hex.
    sources: String,
    /// What built it, a line each: what the compiler says of itself, the linker, the target, the flags.
    toolchain: Vec<String>,
}

/// What a record says about a build.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    /// The same sources and tools, and the same bytes.
    Same,
    /// The same sources and tools, and other bytes.
    Different,
    /// Other sources.
    OtherSources,
    /// The same sources, built by other tools.
    OtherTools,
}

fn compare(release: &Release, here: &Release) -> Finding {
    if release.sources != here.sources {
        Finding::OtherSources
    } else if release.toolchain != here.toolchain {
        Finding::OtherTools
    } else if release.sha256 == here.sha256 && release.bytes == here.bytes {
        Finding::Same
    } else {
        Finding::Different
    }
}

/// Builds the program once more from a copy in a folder of another name and depth, and compares; then compares with
/// the release's record.
///
/// # Errors
/// The two builds differ, or the record can't be read.
pub fn verify(workspace: &Workspace, built: &Built) -> Result<ExitCode> {
    twice(workspace, built)?;
    let release = recorded(workspace)?;
    let here = of(workspace, built)?;
    let of_release = format!("{PATH} records SHA-256 {} for version {}", release.sha256, release.version);
    Ok(match compare(&release, &here) {
        Finding::Same => {
            progress::note(&format!("and those of the release: {of_release}"));
            ExitCode::SUCCESS
        }
        Finding::Different => {
            progress::failure(&format!(
                "{of_release}; the same sources and tools gave {} here: one of the two is not what it says",
                here.sha256
            ));
            ExitCode::FAILURE
        }
        Finding::OtherSources => {
            progress::failure(&format!(
                "not comparable: {of_release}, and these are other sources; check out the release, or record this one \
                 with --record"
            ));
            ExitCode::from(NOT_COMPARABLE)
        }
        Finding::OtherTools => {
            progress::failure(&format!(
                "not comparable: {of_release}, built from these sources by another toolchain ({}); install that one",
                differing(&release.toolchain, &here.toolchain).join(", ")
            ));
            ExitCode::from(NOT_COMPARABLE)
        }
    })
}

/// Lines of the first that are not in the second.
fn differing(theirs: &[String], ours: &[String]) -> Vec<String> {
    theirs.iter().filter(|line| !ours.contains(line)).cloned().collect()
}

/// Records a build as the release's.
///
/// # Errors
/// It can't be built twice to the same bytes, or the record can't be written.
pub fn record(workspace: &Workspace, built: &Built) -> Result<()> {
    twice(workspace, built)?;
    let mut text = serde_json::to_string_pretty(&of(workspace, built)?)?;
    text.push('\n');
    fs::write(workspace.root.join(PATH), text).with_context(|| format!("can't write {PATH}"))?;
    progress::note(&format!("recorded in {PATH}"));
    Ok(())
}

/// Compares a build with a file: a binary, or what `solana program dump` wrote, which has zeros behind it.
///
/// # Errors
/// The file can't be read, or is another program.
pub fn against(built: &Built, file: &Path) -> Result<()> {
    let theirs = fs::read(file).with_context(|| format!("can't read {}", file.display()))?;
    let ours = fs::read(&built.path).with_context(|| format!("can't read {}", built.path.display()))?;
    if !is_padded(&theirs, &ours) {
        bail!(
            "{} is another program: SHA-256 {}, and these sources give {}, both without the zeros at the end",
            file.display(),
            workspace::digest(unpadded(&theirs)),
            workspace::digest(unpadded(&ours))
        );
    }
    progress::note(&format!("{} is this program, SHA-256 {}", file.display(), built.sha256));
    Ok(())
}

/// Whether `dump` is `binary` and nothing but zeros behind it.
fn is_padded(dump: &[u8], binary: &[u8]) -> bool {
    dump.strip_prefix(binary).is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
}

fn unpadded(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes.get(..end).unwrap_or(bytes)
}

fn twice(workspace: &Workspace, built: &Built) -> Result<()> {
    let scratch = workspace.target.join("verify");
    progress::step("building it again from a copy in another folder");
    if scratch.exists() {
        fs::remove_dir_all(&scratch)?;
    }
    let copy = scratch.join("a/different/folder/programs");
    copy_sources(&workspace.root.join("programs"), &copy)?;
    let again = Route::find()?.run(&copy, &scratch.join("target"))?;
    let sha256 = workspace::digest(&fs::read(&again)?);
    if sha256 != built.sha256 {
        bail!("two builds of the same sources differ: {} and {}", built.path.display(), again.display());
    }
    fs::remove_dir_all(&scratch)?;
    progress::note(&format!("the same bytes, SHA-256 {sha256}"));
    Ok(())
}

/// The record that this build would be.
fn of(workspace: &Workspace, built: &Built) -> Result<Release> {
    let programs = workspace.root.join("programs");
    let bytes = fs::metadata(&built.path).with_context(|| format!("can't read {}", built.path.display()))?.len();
    Ok(Release {
        version: version(&programs)?,
        sha256: built.sha256.clone(),
        bytes,
        sources: sources(&programs)?,
        toolchain: Route::find()?.identity().lines().map(str::to_owned).collect(),
    })
}

fn version(programs: &Path) -> Result<String> {
    let path = programs.join("serviceability/Cargo.toml");
    let manifest = fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
    let version = manifest.lines().find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
    Ok(version.with_context(|| format!("{} names no version", path.display()))?.to_owned())
}

fn recorded(workspace: &Workspace) -> Result<Release> {
    let text = fs::read(workspace.root.join(PATH))
        .with_context(|| format!("no release is recorded: can't read {PATH}; --record writes it"))?;
    serde_json::from_slice(&text).with_context(|| format!("{PATH} is not the record of a release"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release() -> Release {
        Release {
            version: "1.0.0".into(),
            sha256: "aa".into(),
            bytes: 3,
            sources: "bb".into(),
            toolchain: vec!["rustc 1.96.0".into(), "LLVM version: 22.1.8".into()],
        }
    }

    #[test]
    fn only_the_same_bytes_of_the_same_sources_and_tools_are_the_release() {
        let recorded = release();
        assert_eq!(compare(&recorded, &release()), Finding::Same);
        assert_eq!(compare(&recorded, &Release { sha256: "ab".into(), ..release() }), Finding::Different);
        assert_eq!(compare(&recorded, &Release { sources: "cc".into(), ..release() }), Finding::OtherSources);
        let tools = Release { toolchain: vec!["rustc 1.97.0".into()], ..release() };
        assert_eq!(compare(&recorded, &tools), Finding::OtherTools);
        // Equal bytes prove nothing about the record where the sources differ.
        assert_eq!(differing(&recorded.toolchain, &tools.toolchain), recorded.toolchain);
    }

    #[test]
    fn zeros_behind_a_dumped_program_are_its_padding_and_nothing_else_is() {
        assert!(is_padded(&[1, 2, 0, 0], &[1, 2]));
        assert!(is_padded(&[1, 2], &[1, 2]));
        assert!(!is_padded(&[1, 2, 0, 3], &[1, 2]));
        assert!(!is_padded(&[1], &[1, 2]));
        assert_eq!(unpadded(&[1, 2, 0, 0]), &[1, 2]);
        assert_eq!(unpadded(&[0, 0]), &[0_u8; 0]);
    }
}
