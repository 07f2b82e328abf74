//! `causeway device enroll`: a device's own keys, made where they stay.

use std::{fs::DirBuilder, os::unix::fs::DirBuilderExt, path::PathBuf};

use causeway_interface::{Code, Key};
use causeway_sdk::keys::{self, KeyError};
use serde::Serialize;

use super::session::public;
use crate::{
    args::DeviceEnroll,
    failure::Failure,
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

/// Makes both keys or none, and prints what registers them. The secret halves are never printed.
pub fn run(args: &DeviceEnroll) -> Result<Report, Failure> {
    let (agent, telemetry) = (args.dir.join("agent-key"), args.dir.join("telemetry-key"));
    for path in [&agent, &telemetry] {
        // A link that leads nowhere is there too.
        if path.symlink_metadata().is_ok() {
            return Err(KeyError::Exists { path: path.clone() }.into());
        }
    }
    let made = DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(&args.dir);
    made.map_err(|source| KeyError::Write { path: args.dir.clone(), source })?;
    let agent_key = public(&keys::generate(&agent)?);
    let telemetry_key = match keys::generate(&telemetry) {
        Ok(key) => public(&key),
        Err(error) => {
            // One key alone would stand in the way of the next try, and nobody has seen it.
            let _ = std::fs::remove_file(&agent);
            return Err(error.into());
        }
    };
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
        for missing in [None, Some(1), Some(0)] {
            if let Some(missing) = missing {
                std::fs::remove_file(&files[missing]).unwrap();
            }
            let before: Vec<_> = files.iter().map(|path| std::fs::read(path).ok()).collect();
            if missing == Some(0) {
                // Nothing is left of the first run: both are made anew.
                run(&args).unwrap();
                continue;
            }
            assert_eq!(run(&args).unwrap_err().code, "CW-KEY-EXISTS");
            assert_eq!(files.iter().map(|path| std::fs::read(path).ok()).collect::<Vec<_>>(), before);
        }
    }
}
