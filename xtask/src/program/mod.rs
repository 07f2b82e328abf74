//! Building the onchain program, by Solana's own command where it is there and otherwise by Debian's compiler and
//! `sbpf-linker` (rfcs/0001).
//!
//! The binary always ends in `deploy` of the target folder. It is a function of the sources and the tools: no path of
//! this machine gets into it ([`release`] proves that), and nothing is built again while neither has changed.

pub mod release;
mod stage;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::{
    process, progress,
    setup::{self, Need, onchain},
    workspace::{self, Workspace},
};

/// The binary's file name.
pub const FILE_NAME: &str = "causeway_serviceability.so";
/// The variable by which everything that loads the program is told where it is.
pub const VARIABLE: &str = "CAUSEWAY_PROGRAM_SO";
/// And the variable by which the tests of the program are told where its successor is.
pub const NEXT_VARIABLE: &str = "CAUSEWAY_NEXT_PROGRAM_SO";

const TARGET: &str = "bpfel-unknown-none";

/// Code generation: sBPF v0, what every cluster runs; no floating-point or wide-integer builtins, which the virtual
/// machine does not have; its stack frame.
const CODEGEN: &[&str] = &[
    "-Cpanic=abort",
    "-Crelocation-model=static",
    // Records have alignment 1 and the machine reads them anywhere: a key is compared in 4 loads instead of 32.
    "-Ctarget-feature=+allows-misaligned-mem-access",
    "-Clink-arg=--arch=v0",
    "-Clink-arg=--disable-math-builtins",
    // The program is compiled for size, and its last pass is the one that turns results in memory into what the
    // target can return.
    "-Clink-arg=-O3",
    "-Clink-arg=--llvm-args=--bpf-stack-size=4096",
];

/// A built program.
pub struct Built {
    /// The binary.
    pub path: PathBuf,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
}

/// What the binary beside it was built from.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct Stamp {
    inputs: String,
    sha256: String,
}

/// One of the two ways to build.
pub enum Route {
    BuildSbf { version: String },
    Debian { compiler: onchain::Compiler, linker: PathBuf },
}

impl Route {
    /// The way that this machine offers.
    ///
    /// # Errors
    /// Tools are missing and can't be installed.
    pub fn find() -> Result<Self> {
        setup::ensure(&[Need::Program])?;
        if onchain::has_build_sbf() {
            let mut version = process::plain("cargo-build-sbf");
            version.arg("--version");
            return Ok(Self::BuildSbf { version: process::output(version)? });
        }
        let compiler = onchain::Compiler::find()?;
        let linker = onchain::linker(&compiler)?.context("sbpf-linker is missing after its installation")?;
        Ok(Self::Debian { compiler, linker })
    }

    /// Everything but the sources that decides the bytes.
    pub fn identity(&self) -> String {
        match self {
            Self::BuildSbf { version } => version.clone(),
            Self::Debian { compiler, .. } => {
                format!(
                    "{}\nsbpf-linker {}\n{TARGET}\n{}",
                    compiler.version.trim_end(),
                    onchain::LINKER_VERSION,
                    CODEGEN.join(" ")
                )
            }
        }
    }

    /// Builds the sources in `programs` and returns the binary, wherever it ended up below `target`.
    ///
    /// # Errors
    /// They don't build.
    pub fn run(&self, programs: &Path, target: &Path) -> Result<PathBuf> {
        let (command, binary) = self.command(programs, target)?;
        process::build(command, "onchain program").with_context(|| {
            format!("the compiler's paths are of a copy; the sources are in {}", programs.display())
        })?;
        Ok(binary)
    }

    /// Arranges the sources in `programs` below `target`; the command that builds them, and where the binary will be.
    ///
    /// # Errors
    /// The sources can't be arranged.
    pub fn command(&self, programs: &Path, target: &Path) -> Result<(Command, PathBuf)> {
        let root = &target.join("sources");
        stage::arrange(programs, root)?;
        self.package(root, &root.join(stage::PROGRAM), FILE_NAME, target)
    }

    /// The command that builds the package in `folder`, which is below `root`, and where its binary will be.
    fn package(&self, root: &Path, folder: &Path, file_name: &str, target: &Path) -> Result<(Command, PathBuf)> {
        let manifest = folder.join("Cargo.toml");
        match self {
            Self::BuildSbf { .. } => {
                let out = target.join("build-sbf");
                let mut command = process::plain("cargo-build-sbf");
                command.arg("--manifest-path").arg(&manifest).arg("--sbf-out-dir").arg(&out);
                command.args(["--", "--locked"]).env("CARGO_TARGET_DIR", target.join("build-sbf-target"));
                command.env("RUSTFLAGS", remaps(root)?.join(" ")).current_dir(folder);
                Ok((command, out.join(file_name)))
            }
            Self::Debian { compiler, linker } => {
                let mut command = compiler.cargo();
                self.flags(&mut command, linker, root)?;
                command
                    .args(["build", "--release", "--locked", "--lib", "--target", TARGET, "-Zbuild-std=core,alloc"])
                    .arg("--manifest-path")
                    .arg(&manifest)
                    .arg("--target-dir")
                    .arg(target)
                    .current_dir(folder);
                Ok((command, target.join(TARGET).join("release").join(format!("lib{file_name}"))))
            }
        }
    }

    fn flags(&self, command: &mut Command, linker: &Path, root: &Path) -> Result<()> {
        let mut flags = vec![format!("-Clinker={}", linker.display())];
        flags.extend(CODEGEN.iter().map(|f| (*f).to_owned()));
        flags.extend(remaps(root)?);
        // build-std is not stable; the bytes are checked by running them, and the compiler is Debian's release.
        command.env("RUSTC_BOOTSTRAP", "1").env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
        Ok(())
    }
}

/// No path of this machine in the binary.
fn remaps(root: &Path) -> Result<Vec<String>> {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".cargo")))
        .context("neither CARGO_HOME nor HOME is set")?;
    Ok(vec![
        format!("--remap-path-prefix={}=/causeway", root.display()),
        format!("--remap-path-prefix={}=/cargo", home.display()),
    ])
}

/// Builds the program unless it is there and current.
///
/// # Errors
/// Tools are missing and can't be installed, or the program does not build.
pub fn build(workspace: &Workspace) -> Result<Built> {
    let route = Route::find()?;
    let programs = workspace.root.join("programs");
    let inputs = inputs(&programs, &route)?;
    let path = workspace.deploy().join(FILE_NAME);
    let stamp_path = path.with_extension("stamp.json");
    if let Some(sha256) = current(&path, &stamp_path, &inputs) {
        progress::step("the onchain program is current");
        return Ok(Built { path, sha256 });
    }
    progress::step("building the onchain program (about half a minute)");
    let binary = route.run(&programs, &workspace.target.join("program"))?;
    let bytes = fs::read(&binary).with_context(|| format!("the build left no {}", binary.display()))?;
    let sha256 = workspace::digest(&bytes);
    fs::create_dir_all(workspace.deploy())?;
    // The stamp is gone while the binary changes: an interrupted copy is never taken for a current one.
    match fs::remove_file(&stamp_path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    let partial = path.with_extension("partial");
    fs::write(&partial, &bytes)?;
    fs::rename(&partial, &path)?;
    fs::write(&stamp_path, serde_json::to_vec(&Stamp { inputs, sha256: sha256.clone() })?)?;
    progress::note(&format!("{} bytes, SHA-256 {sha256}", bytes.len()));
    Ok(Built { path, sha256 })
}

/// Builds the program's successor: the same sources with a layout version that does not exist yet, for the test of how
/// versions follow each other.
///
/// # Errors
/// Tools are missing and can't be installed, or it does not build.
pub fn build_next(workspace: &Workspace) -> Result<PathBuf> {
    let target = workspace.target.join("program-next");
    let (mut command, binary) = Route::find()?.command(&workspace.root.join("programs"), &target)?;
    command.args(["--features", "next-layout"]);
    process::build(command, "onchain program's successor")?;
    Ok(binary)
}

/// Builds another program by the same tools and flags, in a target folder of its own.
///
/// # Errors
/// Tools are missing and can't be installed, or it does not build.
pub fn build_other(workspace: &Workspace, package: &str, file_name: &str) -> Result<PathBuf> {
    let target = workspace.target.join(file_name.replace('.', "-"));
    let folder = workspace.root.join(package);
    let (command, binary) = Route::find()?.package(&workspace.root, &folder, file_name, &target)?;
    process::build(command, file_name)?;
    Ok(binary)
}

fn current(path: &Path, stamp: &Path, inputs: &str) -> Option<String> {
    let stamp: Stamp = serde_json::from_slice(&fs::read(stamp).ok()?).ok()?;
    let sha256 = workspace::digest(&fs::read(path).ok()?);
    (stamp.inputs == inputs && stamp.sha256 == sha256).then_some(sha256)
}

/// A digest of everything that decides the bytes: each file with its path, and the tools.
fn inputs(programs: &Path, route: &Route) -> Result<String> {
    let text = format!("{}\n{}\n{}", route.identity(), stage::ARRANGEMENT, sources(programs)?);
    Ok(workspace::digest(text.as_bytes()))
}

/// A digest of every file that the program is built from, with its path.
fn sources(programs: &Path) -> Result<String> {
    let mut lines = Vec::new();
    for file in source_files(programs)? {
        let bytes = fs::read(&file).with_context(|| format!("can't read {}", file.display()))?;
        let path = file.strip_prefix(programs).unwrap_or(&file);
        lines.push(format!("{} {}", workspace::digest(&bytes), path.display()));
    }
    Ok(workspace::digest(lines.join("\n").as_bytes()))
}

/// The files that the program is built from: tests and the record of a release are none of them.
fn source_files(programs: &Path) -> Result<Vec<PathBuf>> {
    let mut files = workspace::files(programs)?;
    files.retain(|file| {
        let path = file.strip_prefix(programs).unwrap_or(file);
        path.file_name().is_none_or(|name| name != release::FILE_NAME)
            && path.iter().nth(1).is_none_or(|f| f != "tests")
    });
    Ok(files)
}

/// Copies what the program is built from to another folder.
///
/// # Errors
/// A file can't be read or written.
pub fn copy_sources(programs: &Path, copy: &Path) -> Result<()> {
    for file in source_files(programs)? {
        let bytes = fs::read(&file).with_context(|| format!("can't read {}", file.display()))?;
        stage::write(&copy.join(file.strip_prefix(programs)?), &bytes)?;
    }
    Ok(())
}
