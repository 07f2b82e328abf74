//! `causeway localnet`: hands over to `causeway-localnet`, which this binary does not contain: a validator is large.

use std::{
    ffi::{OsStr, OsString},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    args::{Globals, LocalnetVerb},
    failure::{self, Exit, Failure},
    output::{Format, Report},
};

/// The binary's name.
const BINARY: &str = "causeway-localnet";

/// Becomes `causeway-localnet`; returns only if that is not possible.
pub fn run(verb: &LocalnetVerb, globals: &Globals) -> Result<Report, Failure> {
    let own = std::env::current_exe().ok();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let Some(binary) = find(own.as_deref(), &path) else {
        let cause = format!("{BINARY} is neither beside causeway nor on PATH.");
        return Err(Failure::new(failure::LOCALNET_BINARY, Exit::File, cause));
    };
    let (name, rest) = verb.parts();
    let error = Command::new(&binary).arg(name).args(arguments(rest, globals)).exec();
    let cause = format!("{} can't be run: {error}.", binary.display());
    Err(Failure::new(failure::LOCALNET_BINARY, Exit::File, cause))
}

/// What is passed on: the arguments as they are, and what the global options mean there.
fn arguments(rest: &[OsString], globals: &Globals) -> Vec<OsString> {
    let mut all = rest.to_vec();
    let has = |name: &str| rest.iter().filter_map(|a| a.to_str()).any(|a| a.split('=').next() == Some(name));
    if let Some(dir) = globals.localnet.as_ref().filter(|_| !has("--dir")) {
        all.extend(["--dir".into(), dir.clone().into_os_string()]);
    }
    if globals.output == Format::Json && !has("--json") {
        all.push("--json".into());
    }
    all
}

fn find(own: Option<&Path>, path: &OsStr) -> Option<PathBuf> {
    let beside = own.and_then(Path::parent).map(Path::to_owned);
    let folders = beside.into_iter().chain(std::env::split_paths(path).filter(|p| !p.as_os_str().is_empty()));
    folders.map(|folder| folder.join(BINARY)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_beside_goes_before_those_on_the_path() {
        let (beside, on_path) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let own = beside.path().join("causeway");
        let path = std::env::join_paths([Path::new(""), on_path.path()]).unwrap();
        assert_eq!(find(Some(&own), &path), None);
        std::fs::write(on_path.path().join(BINARY), "").unwrap();
        assert_eq!(find(Some(&own), &path), Some(on_path.path().join(BINARY)));
        std::fs::write(beside.path().join(BINARY), "").unwrap();
        assert_eq!(find(Some(&own), &path), Some(beside.path().join(BINARY)));
    }

    #[test]
    fn global_options_are_passed_on_unless_they_are_there() {
        let globals = Globals { localnet: Some("x".into()), output: Format::Json, ..Globals::default() };
        assert_eq!(arguments(&["--log".into()], &globals), ["--log", "--dir", "x", "--json"]);
        assert_eq!(arguments(&["--dir=y".into(), "--json".into()], &globals), ["--dir=y", "--json"]);
    }
}
