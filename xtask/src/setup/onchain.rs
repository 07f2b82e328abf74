//! What the onchain program is built with, where Solana's own tools are not: Debian's Rust, which carries the sources
//! of its standard library, and a linker that turns upstream BPF into sBPF.
//!
//! The LLVM inside that rustc decides everything else: the linker reads what it wrote, so it is built against the LLVM
//! of the same major version.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::{process, workspace};

/// Debian's Rust with the standard library's sources.
pub const COMPILER: &[&str] = &["rustc-web", "cargo-web", "rust-web-src"];
/// The linker's version.
pub const LINKER_VERSION: &str = "0.2.6";

const RUSTC: &str = "/usr/bin/rustc";
const CARGO: &str = "/usr/bin/cargo";
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const LINKER_NAME: &str = "sbpf-linker";

/// Whether Solana's own build command is there; it is preferred.
pub fn has_build_sbf() -> bool {
    process::in_path("cargo-build-sbf")
}

/// Debian's compiler.
pub struct Compiler {
    /// What it says of itself, `rustc -vV`.
    pub version: String,
    /// Major version of its LLVM.
    pub llvm: u32,
}

impl Compiler {
    /// Asks the installed one.
    ///
    /// # Errors
    /// There is none, or it is not Debian's own.
    pub fn find() -> Result<Self> {
        for program in [RUSTC, CARGO] {
            let real = std::fs::canonicalize(program).with_context(|| {
                format!("{program} is missing: install cargo-build-sbf, or on Debian {}", COMPILER.join(" "))
            })?;
            if real.file_name().is_some_and(|name| name == "rustup") {
                bail!("{program} is rustup's, and Debian's is needed: install {}", COMPILER.join(" "));
            }
        }
        let mut rustc = process::isolated(Path::new(RUSTC), SYSTEM_PATH);
        rustc.arg("-vV");
        let version = process::output(rustc)?;
        let llvm = llvm_major(&version).with_context(|| format!("`{RUSTC} -vV` names no LLVM version"))?;
        Ok(Self { version, llvm })
    }

    /// The package with the LLVM that the linker is built against.
    pub fn llvm_package(&self) -> String {
        format!("llvm-{}-dev", self.llvm)
    }

    /// Debian's cargo, with Debian's rustc and nothing of the toolchain that runs this command.
    pub fn cargo(&self) -> std::process::Command {
        let mut command = process::isolated(Path::new(CARGO), SYSTEM_PATH);
        command.env("RUSTC", RUSTC);
        command
    }
}

fn llvm_major(version: &str) -> Option<u32> {
    version.lines().find_map(|line| line.strip_prefix("LLVM version: "))?.split('.').next()?.parse().ok()
}

/// The linker for this compiler, when it is there.
///
/// # Errors
/// There is no cache folder.
pub fn linker(compiler: &Compiler) -> Result<Option<PathBuf>> {
    let path = linker_root(compiler)?.join("bin").join(LINKER_NAME);
    Ok(path.is_file().then_some(path))
}

fn linker_root(compiler: &Compiler) -> Result<PathBuf> {
    Ok(workspace::cache()?.join("sbpf").join(format!("{LINKER_VERSION}-llvm-{}", compiler.llvm)))
}

/// Builds the linker into the person's cache.
///
/// # Errors
/// It does not build, or what was built does not run.
pub fn install_linker(compiler: &Compiler) -> Result<()> {
    let root = linker_root(compiler)?;
    let build = root.join("build");
    let prefix = PathBuf::from(format!("/usr/lib/llvm-{}", compiler.llvm));
    if !prefix.is_dir() {
        bail!("{} is missing: install {}", prefix.display(), compiler.llvm_package());
    }
    let mut install = process::cargo();
    install
        .args(["install", "--locked", "--no-default-features", "--version", LINKER_VERSION, LINKER_NAME])
        .args(["--features", &format!("bpf-linker/llvm-{}", compiler.llvm)])
        .args([Path::new("--root"), &root, Path::new("--target-dir"), &build])
        .env("LLVM_PREFIX", &prefix)
        // Else cargo warns that what it installed is not in PATH; it is called by its own path.
        .env("PATH", with(&root.join("bin"))?)
        // A folder outside the repository: none of its settings.
        .current_dir(std::env::temp_dir());
    process::build(install, LINKER_NAME)?;
    std::fs::remove_dir_all(&build).with_context(|| format!("can't remove {}", build.display()))?;
    let path =
        linker(compiler)?.with_context(|| format!("{LINKER_NAME} was built and is not in {}", root.display()))?;
    let mut check = process::plain(&path);
    check.arg("--version");
    process::output(check).with_context(|| format!("{} does not run", path.display()))?;
    Ok(())
}

fn with(folder: &Path) -> Result<std::ffi::OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([folder.to_path_buf()]);
    std::env::join_paths(folders).context("a folder of PATH has a colon in its name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llvm_version_is_read_from_the_compilers_own_words() {
        assert_eq!(llvm_major("rustc 1.96.0\nhost: x\nLLVM version: 22.1.8\n"), Some(22));
        assert_eq!(llvm_major("rustc 1.96.0\n"), None);
    }
}
