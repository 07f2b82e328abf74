//! `causeway device enroll`: a device's own keys, made where they stay.

use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use causeway_interface::{Code, Key};
use causeway_sdk::keys::{self, KeyError};
use serde::Serialize;

use super::session::public;
use crate::{
    args::DeviceEnroll,
    failure::{ENROLL_UNFINISHED, Exit, Failure},
    output::{Report, pairs},
};

/// Permissions of a folder that is made for keys.
const FOLDER_MODE: u32 = 0o700;

#[derive(Debug, Serialize)]
struct Enrolled {
    device: Code,
    agent_key_file: PathBuf,
    agent_key: Key,
    telemetry_key_file: PathBuf,
    telemetry_key: Key,
    /// What the contributor's owner runs for a device that is registered.
    update: String,
    /// The end of what registers a new one.
    create: String,
}

/// Makes both keys or none, and prints what registers them once both are on the disk. The secret halves are never printed.
pub fn run(args: &DeviceEnroll) -> Result<Report, Failure> {
    let (agent, telemetry) = (args.dir.join("agent-key"), args.dir.join("telemetry-key"));
    match (is_there(&agent), is_there(&telemetry)) {
        (false, false) => {}
        (true, true) => return Err(KeyError::Exists { path: agent }.into()),
        (true, false) => return Err(unfinished(&agent, &telemetry)),
        (false, true) => return Err(unfinished(&telemetry, &agent)),
    }
    let is_new = !is_there(&args.dir);
    let made = DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(&args.dir);
    // A folder that was just made has to outlive a loss of power as well.
    let made = made.and_then(|()| if is_new { keys::sync_folder_of(&args.dir) } else { Ok(()) });
    made.map_err(|source| KeyError::Write { path: args.dir.clone(), source })?;
    let (agent_key, agent_file) = keys::stage(&agent)?;
    let (telemetry_key, telemetry_file) = keys::stage(&telemetry)?;
    let (agent_key, telemetry_key) = (public(&agent_key), public(&telemetry_key));
    agent_file.place()?;
    telemetry_file.place().inspect_err(|_| {
        // One key alone would stand in the way of the next try, and nobody has seen it.
        let _ = std::fs::remove_file(&agent);
    })?;
    let flags = format!("--agent-key {agent_key} --telemetry-key {telemetry_key}");
    let enrolled = Enrolled {
        device: args.code,
        agent_key_file: agent,
        agent_key,
        telemetry_key_file: telemetry,
        telemetry_key,
        update: format!("causeway device update {} {flags} --keypair OWNER", args.code),
        create: format!("causeway device create {} {flags} --keypair OWNER", args.code),
    };
    let rows = [
        ("agent key", agent_key.to_string()),
        ("in", enrolled.agent_key_file.display().to_string()),
        ("telemetry key", telemetry_key.to_string()),
        ("in", enrolled.telemetry_key_file.display().to_string()),
    ];
    let text = format!(
        "{}\n\nThe contributor's owner registers them. For a new device, with what else it needs:\n\n    {}\n\nFor one \
         that is registered:\n\n    {}",
        pairs(&rows),
        enrolled.create,
        enrolled.update
    );
    Report::new(text, &enrolled)
}

/// A link that leads nowhere is there too.
fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn unfinished(there: &Path, missing: &Path) -> Failure {
    let cause = format!("{} is there and {} is not.", there.display(), missing.display());
    Failure::new(ENROLL_UNFINISHED, Exit::File, cause)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_are_made_once_for_their_owner_only_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let args = DeviceEnroll { code: "nyc-1".parse().unwrap(), dir: folder.path().join("keys") };
        let report = run(&args).unwrap();
        let files = ["agent-key", "telemetry-key"].map(|name| args.dir.join(name));
        let found = files.each_ref().map(|path| {
            assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
            public(&keys::read(path).unwrap()).to_string()
        });
        assert_ne!(found[0], found[1]);
        let [agent, telemetry] = &found;
        let expected =
            format!("causeway device update nyc-1 --agent-key {agent} --telemetry-key {telemetry} --keypair OWNER");
        assert!(report.text.contains(&expected), "{}", report.text);
        let held = || files.each_ref().map(|path| std::fs::read(path).ok());
        let before = held();
        assert_eq!(run(&args).unwrap_err().code, "CW-KEY-EXISTS");
        assert_eq!(held(), before);
        for missing in [0, 1] {
            let kept = std::fs::read(&files[missing]).unwrap();
            std::fs::remove_file(&files[missing]).unwrap();
            let before = held();
            let failure = run(&args).unwrap_err();
            assert_eq!(failure.code, "CW-ENROLL-UNFINISHED");
            let expected =
                format!("{} is there and {} is not.", files[1 - missing].display(), files[missing].display());
            assert_eq!(failure.cause, expected);
            assert_eq!(held(), before);
            std::fs::write(&files[missing], kept).unwrap();
        }
        // Nothing is left of the first run: both are made anew.
        files.iter().for_each(|path| std::fs::remove_file(path).unwrap());
        run(&args).unwrap();
    }

    /// Killed before the first name is given, it leaves neither key, and the next run makes both.
    #[test]
    fn one_that_is_cut_off_while_it_writes_stands_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let args = DeviceEnroll { code: "nyc-1".parse().unwrap(), dir: folder.path().to_owned() };
        for name in ["agent-key", "telemetry-key"] {
            std::mem::forget(keys::stage(&args.dir.join(name)).unwrap());
        }
        let files = ["agent-key", "telemetry-key"].map(|name| args.dir.join(name));
        assert!(files.iter().all(|path| !path.exists()));
        run(&args).unwrap();
        assert!(files.iter().all(|path| keys::read(path).is_ok()));
    }
}
