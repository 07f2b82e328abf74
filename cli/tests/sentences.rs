//! What the real binary says when something is wrong: every word of it, and the exit code.
//!
//! `INSTA_UPDATE=always` rewrites the expected words.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use causeway_cli::{
    import::{ImportOptions, gml, site_from_gml},
    simulate::activated,
};
use causeway_interface::Key;
use insta::assert_snapshot;

/// Somebody's program: no ledger is asked for it here.
const PROGRAM: &str = "11111111111111111111111111111112";

/// Runs the binary in a folder of its own, with no settings from outside.
fn run(dir: &Path, args: &[impl AsRef<OsStr>]) -> String {
    run_binary(Path::new(env!("CARGO_BIN_EXE_causeway")), dir, args)
}

fn run_binary(binary: &Path, dir: &Path, args: &[impl AsRef<OsStr>]) -> String {
    let output = Command::new(binary).args(args).current_dir(dir).env_clear().stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&*dir.to_string_lossy(), "DIR");
    let code = output.status.code().unwrap();
    format!("exit {code}\n--- stdout\n{}--- stderr\n{}", text(&output.stdout), text(&output.stderr))
}

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_topology_file_that_is_not_there() {
    assert_snapshot!(run(dir().path(), &["import", "none.gml", "--from", "gml"]));
}

#[test]
fn a_topology_file_that_is_something_else() {
    let dir = dir();
    fs::write(dir.path().join("site.gml"), "{\"devices\": []}\n").unwrap();
    assert_snapshot!(run(dir.path(), &["import", "site.gml", "--from", "gml"]));
}

#[test]
fn a_topology_file_without_links() {
    let dir = dir();
    fs::write(dir.path().join("lonely.gml"), "graph [ node [ id 0 label \"A\" ] ]\n").unwrap();
    assert_snapshot!(run(dir.path(), &["import", "lonely.gml", "--from", "gml"]));
}

#[test]
fn a_key_file_that_is_not_there() {
    assert_snapshot!(run(dir().path(), &["key", "show", "none.json"]));
}

#[test]
fn a_signers_key_file_that_is_not_there() {
    let args = ["contributor", "create", "acme", "--url", "http://127.0.0.1:1", "--program-id", PROGRAM];
    let args: Vec<&str> = args.into_iter().chain(["--keypair", "none.json"]).collect();
    assert_snapshot!(run(dir().path(), &args));
}

#[test]
fn a_change_without_a_signer() {
    let args = ["contributor", "create", "acme", "--url", "http://127.0.0.1:1", "--program-id", PROGRAM];
    assert_snapshot!(run(dir().path(), &args));
}

#[test]
fn a_key_file_that_holds_something_else() {
    let dir = dir();
    let path = dir.path().join("bad.json");
    fs::write(&path, "[1, 2, 3]").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert_snapshot!(run(dir.path(), &["key", "show", "bad.json"]));
}

#[test]
fn a_key_file_that_others_can_read() {
    let dir = dir();
    let path = dir.path().join("open.json");
    fs::write(&path, "[]").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert_snapshot!(run(dir.path(), &["key", "show", "open.json"]));
}

#[test]
fn a_key_file_that_exists() {
    let dir = dir();
    fs::write(dir.path().join("key.json"), "precious").unwrap();
    assert_snapshot!(run(dir.path(), &["key", "new", "key.json"]));
    assert_eq!(fs::read_to_string(dir.path().join("key.json")).unwrap(), "precious");
}

#[test]
fn a_dead_rpc() {
    let args = ["device", "list", "--url", "http://127.0.0.1:1", "--program-id", PROGRAM];
    assert_snapshot!(run(dir().path(), &args));
}

#[test]
fn an_address_that_is_none() {
    let args = ["device", "list", "--url", "127.0.0.1:8899", "--program-id", PROGRAM];
    assert_snapshot!(run(dir().path(), &args));
}

#[test]
fn no_ledger_named() {
    assert_snapshot!(run(dir().path(), &["device", "list"]));
}

#[test]
fn a_local_ledger_that_does_not_run() {
    assert_snapshot!(run(dir().path(), &["device", "list", "--localnet", "net"]));
}

#[test]
fn a_wrong_command() {
    assert_snapshot!(run(dir().path(), &["devcie", "list"]));
}

#[test]
fn a_wrong_value() {
    assert_snapshot!(run(dir().path(), &["device", "list", "--status", "on"]));
}

#[test]
fn a_code_that_can_be_none() {
    assert_snapshot!(run(dir().path(), &["device", "get", "AMS-1"]));
}

#[test]
fn a_site_file_with_several_problems() {
    let dir = dir();
    let site = "\
contributors:
  - code: acme
  - code: acme
locations:
  - code: ams
    lat: 95
    lng: 4.9
devices:
  - code: ams-1
    contributor: nobody
    location: ams
    exchange: ams
    device_type: router
    public_ip: 10.0.0.1
links:
  - code: x
    link_type: wan
    bandwidth_bps: 1
";
    fs::write(dir.path().join("site.yaml"), site).unwrap();
    assert_snapshot!(run(dir.path(), &["apply", "-f", "site.yaml", "--keys", "keys"]));
}

#[test]
fn a_site_file_that_is_not_there() {
    assert_snapshot!(run(dir().path(), &["apply", "-f", "none.yaml", "--keys", "keys"]));
}

#[test]
fn a_snapshot_file_that_is_not_there() {
    assert_snapshot!(run(dir().path(), &["config", "render", "--snapshot", "none.json", "--device", "ams-1"]));
}

#[test]
fn a_snapshot_file_that_is_something_else() {
    let dir = dir();
    fs::write(dir.path().join("snapshot.json"), "{\"slot\": 1}").unwrap();
    assert_snapshot!(run(dir.path(), &["config", "render", "--snapshot", "snapshot.json", "--device", "ams-1"]));
}

/// A snapshot of a real topology, without a ledger.
fn snapshot(dir: &Path) {
    let path = format!("{}/../topologies/Abilene.gml", env!("CARGO_MANIFEST_DIR"));
    let (text, _) = gml::decode(&fs::read(path).unwrap());
    let site = site_from_gml(&text, &ImportOptions::default()).unwrap().site;
    let snapshot = activated(&site, Key([7; 32])).unwrap();
    fs::write(dir.join("snapshot.json"), snapshot.to_json().unwrap()).unwrap();
}

#[test]
fn a_device_that_the_snapshot_does_not_hold() {
    let dir = dir();
    snapshot(dir.path());
    assert_snapshot!(run(dir.path(), &["config", "render", "--snapshot", "snapshot.json", "--device", "nowhere"]));
}

#[test]
fn what_is_rendered_offline_is_the_text_alone() {
    let dir = dir();
    snapshot(dir.path());
    let args = ["config", "render", "--snapshot", "snapshot.json", "--device", "chicago"];
    let said = run(dir.path(), &args);
    let text = said.strip_prefix("exit 0\n--- stdout\nhostname chicago\n").expect(&said);
    assert!(text.ends_with("\n--- stderr\n"), "{said}");
    let json: Vec<&str> = args.into_iter().chain(["--output", "json"]).collect();
    assert_eq!(run(dir.path(), &json), said, "a configuration has one form");
}

#[test]
fn a_dead_controller() {
    assert_snapshot!(run(dir().path(), &["config", "get", "ams-1", "--controller", "http://127.0.0.1:1"]));
}

#[test]
fn no_localnet_binary() {
    let dir = dir();
    let alone = dir.path().join("causeway");
    // Elsewhere, so that what was built beside the binary is not found.
    fs::copy(env!("CARGO_BIN_EXE_causeway"), &alone).unwrap();
    assert_snapshot!(run_binary(&alone, dir.path(), &["localnet", "status"]));
}

#[test]
fn a_reader_that_went_away_is_a_normal_end() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_causeway"))
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

#[test]
fn help_says_the_exit_codes() {
    let said = run(dir().path(), &["--help"]);
    assert!(said.contains("Exit codes:") && said.contains("  4  no such object"), "{said}");
}
