//! The file in which what is served outlives a restart ([`Kept`]). Nothing in it is secret: it follows from the public ledger.
//!
//! It is written beside itself, synced, and put in its place at once, so that it is always a whole one; never while
//! anybody waits, and at most every [`PERIOD`]. A process that dies in between has an older one, by which the next start is
//! measured just as well. A file that is damaged, of another program or of a later version is an error of the start: without what was
//! served nothing would be held back, and nobody is to find that out from the routers.
//!
//! Its form: [`MAGIC`], the version and the slot, SHA-256 of slot and body, and the body: the program, plans as JSON with their
//! length, and then accounts as they lie on the ledger, each with its address and length. Numbers are little-endian.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use causeway_interface::{Key, accounts::Record};
use causeway_sdk::snapshot::Snapshot;
use causeway_wire::signing::sha256;

use crate::{codes, plan::DevicePlan, render::network_key, shared::Shared, store::Kept};

/// What a file begins with.
const MAGIC: &[u8; 16] = b"CAUSEWAY-SERVED\n";
/// Of the form of the file. Accounts have versions of their own.
const VERSION: u32 = 1;
/// Largest file: ten times what 10 000 devices with 50 000 links take.
const MAX_FILE_BYTES: usize = 512 * 1024 * 1024;
/// Pause between two writes. What is lost with a process is at most this old, and a file of a large network is written in
/// far less.
const PERIOD: Duration = Duration::from_secs(10);

/// Why a file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// It can't be read or written.
    #[error("{path} can't be read or written")]
    Io {
        /// Which.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It is not what was written.
    #[error("{path} is not what a controller of this version has written for this program: {why}")]
    Unfit {
        /// Which.
        path: String,
        /// What is wrong.
        why: String,
    },
}

/// Reads what was kept of a program's network; none where no file is.
///
/// # Errors
/// See [`KeptError`].
pub fn read(path: &Path, program_id: &Key) -> Result<Option<Kept>, KeptError> {
    let io = |source| KeptError::Io { path: path.display().to_string(), source };
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(io)?;
    decode(&bytes, program_id).map(Some).map_err(|why| KeptError::Unfit { path: path.display().to_string(), why })
}

/// Keeps what is served until everything is to end, and once more then.
pub async fn keep(shared: Arc<Shared>, path: PathBuf) {
    let mut stopping = shared.stopping.clone();
    let mut written = None;
    let mut failing = false;
    loop {
        let ends = tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => true,
            () = tokio::time::sleep(PERIOD) => false,
        };
        let kept = shared.store().kept();
        if let Some(kept) = kept {
            let (path, before) = (path.clone(), written);
            let done = tokio::task::spawn_blocking(move || write_changed(&path, &kept, before)).await;
            match done.map_err(|error| error.to_string()).and_then(|done| done.map_err(|error| with_source(&error))) {
                Ok(body) => (written, failing) = (Some(body), false),
                Err(error) if !failing => {
                    failing = true;
                    tracing::error!(code = codes::SERVED_FILE.code, %error, "what is served can't be kept for the next start");
                }
                Err(_) => {}
            }
        }
        if ends {
            return;
        }
    }
}

fn with_source(error: &KeptError) -> String {
    match error {
        KeptError::Io { source, .. } => format!("{error}: {source}"),
        KeptError::Unfit { .. } => error.to_string(),
    }
}

/// Writes what is not as it was written `before`; the hash of what is there now.
fn write_changed(path: &Path, kept: &Kept, before: Option<[u8; 32]>) -> Result<[u8; 32], KeptError> {
    let body = body(kept).map_err(|why| KeptError::Unfit { path: path.display().to_string(), why })?;
    let hash = sha256(&body);
    if before != Some(hash) {
        let source = |source| KeptError::Io { path: path.display().to_string(), source };
        put(path, &file(kept.effective.slot, &body)).map_err(source)?;
    }
    Ok(hash)
}

/// Puts a file in its place as a whole.
fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut file = fs::File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

fn file(slot: u64, body: &[u8]) -> Vec<u8> {
    let slot = slot.to_le_bytes();
    let hash = sha256(&[&slot, body].concat());
    [MAGIC.as_slice(), &VERSION.to_le_bytes(), &slot, &hash, body].concat()
}

fn body(kept: &Kept) -> Result<Vec<u8>, String> {
    let snapshot = &kept.effective;
    let mut body = snapshot.program_id.0.to_vec();
    let plans: Vec<&DevicePlan> = kept.plans.values().map(|plan| &**plan).collect();
    let plans = serde_json::to_vec(&plans).map_err(|error| error.to_string())?;
    put_sized(&mut body, &plans)?;
    if let Some(network) = &snapshot.network {
        put_account(&mut body, &network_key(&snapshot.program_id), network)?;
    }
    snapshot.locations.iter().try_for_each(|(key, location)| put_account(&mut body, key, location))?;
    snapshot.devices.iter().try_for_each(|(key, device)| put_account(&mut body, key, device))?;
    snapshot.links.iter().try_for_each(|(key, link)| put_account(&mut body, key, link))?;
    if body.len() > MAX_FILE_BYTES / 2 { Err(format!("{} bytes are too many", body.len())) } else { Ok(body) }
}

fn put_account(into: &mut Vec<u8>, key: &Key, record: &impl Record) -> Result<(), String> {
    let mut bytes = Vec::new();
    record.serialize(&mut bytes).map_err(|error| error.to_string())?;
    into.extend_from_slice(&key.0);
    put_sized(into, &bytes)
}

fn put_sized(into: &mut Vec<u8>, bytes: &[u8]) -> Result<(), String> {
    let len = u32::try_from(bytes.len()).map_err(|_| "a part is too long".to_owned())?;
    into.extend_from_slice(&len.to_le_bytes());
    into.extend_from_slice(bytes);
    Ok(())
}

fn decode(bytes: &[u8], program_id: &Key) -> Result<Kept, String> {
    if bytes.len() > MAX_FILE_BYTES {
        return Err("it is too long".to_owned());
    }
    let mut rest = bytes;
    if take::<16>(&mut rest)? != *MAGIC {
        return Err("it is another kind of file".to_owned());
    }
    let version = u32::from_le_bytes(take(&mut rest)?);
    if version != VERSION {
        return Err(format!("it is of version {version}"));
    }
    let slot: [u8; 8] = take(&mut rest)?;
    if take::<32>(&mut rest)? != sha256(&[&slot, rest].concat()) {
        return Err("it is damaged".to_owned());
    }
    let found = Key(take(&mut rest)?);
    if found != *program_id {
        return Err(format!("it is of program {found}"));
    }
    let plans: Vec<DevicePlan> = serde_json::from_slice(sized(&mut rest)?).map_err(|error| error.to_string())?;
    let mut effective = Snapshot::empty(found, u64::from_le_bytes(slot));
    while !rest.is_empty() {
        let key = Key(take(&mut rest)?);
        effective.put(key, sized(&mut rest)?);
    }
    if let Some(account) = effective.undecodable.first() {
        return Err(format!("account {}: {}", account.address, account.error));
    }
    if effective.network.is_none() || effective.devices.is_empty() {
        return Err("there is no network in it".to_owned());
    }
    let plans: BTreeMap<_, _> = plans.into_iter().map(|plan| (plan.code, Arc::new(plan))).collect();
    Ok(Kept { effective: Arc::new(effective), plans })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], String> {
    let (taken, left) = rest.split_first_chunk::<N>().ok_or_else(|| "it ends too early".to_owned())?;
    *rest = left;
    Ok(*taken)
}

fn sized<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], String> {
    let len = u32::from_le_bytes(take(rest)?) as usize;
    let (taken, left) = rest.split_at_checked(len).ok_or_else(|| "it ends too early".to_owned())?;
    *rest = left;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        backbone::Backbone,
        plan::Planner,
        render::Family,
        testing::{PROGRAM_ID, SyntheticLedger, code},
        topology::Topology,
    };

    fn kept() -> Kept {
        let ledger = SyntheticLedger::ring(Family::Frr);
        let topology = Topology::new(&ledger.snapshot);
        let backbone = Backbone::new(&topology);
        let plan = Planner::new(&topology, &backbone).plan(&code("ams")).unwrap();
        let plans = [(plan.code, Arc::new(plan))].into();
        Kept { effective: Arc::new(ledger.snapshot.clone()), plans }
    }

    #[test]
    fn what_is_read_is_what_was_written_and_what_did_not_change_is_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("served");
        assert!(read(&path, &PROGRAM_ID).unwrap().is_none());
        let kept = kept();
        let hash = write_changed(&path, &kept, None).unwrap();
        let found = read(&path, &PROGRAM_ID).unwrap().unwrap();
        let of = |kept: &Kept| {
            let s = &kept.effective;
            (s.slot, s.network.clone(), s.locations.clone(), s.devices.clone(), s.links.clone(), kept.plans.clone())
        };
        assert_eq!(of(&found), of(&kept));
        let reach = |kept: &Kept| kept.plans[&code("ams")].routing.as_ref().unwrap().sessions.reach.0;
        assert_eq!((reach(&found), reach(&kept)), (4, 4), "plans that differ by it are equal");
        fs::remove_file(&path).unwrap();
        assert_eq!(write_changed(&path, &kept, Some(hash)).unwrap(), hash);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_was_damaged_anywhere_is_refused() {
        let whole = file(7, &body(&kept()).unwrap());
        assert!(decode(&whole, &PROGRAM_ID).is_ok());
        assert!(decode(&whole, &Key([9; 32])).unwrap_err().contains("of program"));
        for at in (0..whole.len()).step_by(11) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            assert!(decode(&damaged, &PROGRAM_ID).is_err(), "octet {at}");
            assert!(decode(&whole[..at], &PROGRAM_ID).is_err(), "cut at {at}");
        }
    }
}
