//! What this machine needs, and getting it there.
//!
//! Quick when everything is there: one question to dpkg. On Debian what is missing is installed with apt-get, as root
//! or through sudo; elsewhere, or without either, one sentence names it. Nothing is ever removed or started.

mod apt;
pub mod onchain;

use anyhow::Result;

use crate::{process, progress};
use apt::Apt;

/// What a command needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// What the validator's C and C++ parts are built with.
    Native,
    /// What the onchain program is built with.
    Program,
    /// Real routers, for the tests that ask them whether they accept a configuration.
    Routers,
    /// What the agent's packets are captured and read with, and the links that they take.
    Packets,
    /// What the files for running an oracle are checked with, and other makers of keys.
    Operation,
    /// Real ClickHouse and PostgreSQL servers, for the tests of the stores of telemetry and of jobs; they start their own.
    Databases,
}

const NATIVE: &[&str] = &[
    "build-essential",
    "clang",
    "cmake",
    "libclang-dev",
    "libssl-dev",
    "libudev-dev",
    "pkg-config",
    "protobuf-compiler",
    "zstd",
];
const ROUTERS: &[&str] = &["frr", "frr-pythontools"];
const PACKETS: &[&str] = &["iproute2", "tcpdump", "tshark"];
/// openssl makes keys in PKCS#8; promtool is in prometheus, systemd-analyze in systemd.
const OPERATION: &[&str] = &["openssl", "prometheus", "systemd"];
const DATABASES: &[&str] = &["clickhouse-server", "postgresql"];

/// Sees to it that what is needed is there.
///
/// # Errors
/// Something is missing and can't be installed; the message names it.
pub fn ensure(needs: &[Need]) -> Result<()> {
    let debian_route = needs.contains(&Need::Program) && !onchain::has_build_sbf();
    let mut packages = Vec::new();
    for need in needs {
        packages.extend_from_slice(match need {
            Need::Native => NATIVE,
            Need::Program if debian_route => onchain::COMPILER,
            Need::Program => &[],
            Need::Routers => ROUTERS,
            Need::Packets => PACKETS,
            Need::Operation => OPERATION,
            Need::Databases => DATABASES,
        });
    }
    let mut apt = Apt::default();
    apt.ensure(&packages)?;
    if debian_route {
        let compiler = onchain::Compiler::find()?;
        apt.ensure(&[&compiler.llvm_package()])?;
        if onchain::linker(&compiler)?.is_none() {
            progress::step(&format!(
                "building sbpf-linker {} for LLVM {}, once for this machine (about 2 minutes)",
                onchain::LINKER_VERSION,
                compiler.llvm
            ));
            onchain::install_linker(&compiler)?;
        }
    }
    Ok(())
}

/// Whether a component of the running toolchain is there; gets it through rustup where that is possible.
pub fn has_component(name: &str, subcommand: &str) -> bool {
    let there = || {
        let mut ask = process::cargo();
        ask.args([subcommand, "--version"]);
        process::succeeds(ask)
    };
    if there() {
        return true;
    }
    if process::in_path("rustup") {
        progress::step(&format!("adding {name} to the Rust toolchain"));
        let mut add = process::plain("rustup");
        add.args(["component", "add", name]);
        if process::succeeds(add) && there() {
            return true;
        }
    }
    progress::note(&format!("{name} is not installed here and rustup can't get it: what it checks is not checked"));
    false
}
