//! Where the program's binary is.

use std::path::PathBuf;

/// Names the binary to test instead of the workspace's own.
pub const ENV: &str = "CAUSEWAY_PROGRAM_SO";

/// Name of the binary without its extension, as program loaders want it.
pub const NAME: &str = "causeway_serviceability";

/// The binary to test.
///
/// # Panics
/// There is none yet.
pub fn path() -> PathBuf {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../target/deploy/{NAME}.so"));
    let path = std::env::var_os(ENV).map_or_else(default, PathBuf::from);
    assert!(path.is_file(), "no program at {}: run `cargo xtask build-program`", path.display());
    path
}

/// Names the binary of the program's successor: the same sources with a layout version that does not exist yet.
pub const NEXT_ENV: &str = "CAUSEWAY_NEXT_PROGRAM_SO";

/// The successor's bytes.
///
/// # Panics
/// There is none, or it can't be read.
pub fn next_bytes() -> Vec<u8> {
    let path = std::env::var_os(NEXT_ENV).unwrap_or_else(|| {
        panic!("{NEXT_ENV} names no program: `cargo xtask test --only program` builds it");
    });
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", PathBuf::from(path).display()))
}

/// Its bytes.
///
/// # Panics
/// There is none yet, or it can't be read.
pub fn bytes() -> Vec<u8> {
    let path = path();
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
