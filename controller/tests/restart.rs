//! A controller that is started anew is measured by what was served before: what waited waits, and who can't be read any more is
//! still in everybody's text.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "common/network.rs"]
mod network;

use std::{fs, path::Path, sync::Arc, time::Duration};

use causeway_controller::{
    daemon::{Config, Controller, ControllerHandle, StartError},
    guards::Unreadable,
    prepare::prepare,
    render::Family,
    store::Store,
    testing::{PROGRAM_ID, SyntheticLedger, code},
};
use causeway_interface::{DeviceStatus, Key};
use causeway_sdk::snapshot::Snapshot;
use ed25519_dalek::SigningKey;
use network::{Serving, accounts, changed, encode, ring};
use tokio::sync::watch;

/// A new process with what this one kept, that reads this ledger first; and what it tells.
fn restarted(serving: &Serving, live: &Snapshot) -> Result<(Serving, Vec<String>), Unreadable> {
    let mut next = Serving::new();
    let kept = serving.store.kept().unwrap();
    next.store.begin(Store::begun_from(&kept, live, &next.settings, &next.signer)?);
    let prepared = prepare(&next.store.basis(), live, &next.settings)?;
    let changes = next.store.commit(prepared, &next.signer, &next.settings.limits);
    Ok((next, changed(&changes).into_iter().collect()))
}

/// Most of the network leaves at once, which is held at all others.
fn fall_apart(ledger: &mut SyntheticLedger, devices: usize) {
    for n in 0..devices - 3 {
        ledger.device_mut(&format!("d{n:03}")).header.status = DeviceStatus::Suspended;
    }
    ledger.snapshot.slot += 100;
}

#[test]
fn what_waits_for_approval_goes_on_waiting_also_when_it_came_while_nobody_served() {
    for (devices, family) in [(12, Family::Eos), (60, Family::Frr)] {
        let mut ledger = ring(devices, family);
        let mut serving = Serving::new();
        serving.take(&ledger.snapshot);
        let before = serving.texts();
        let mut waiting = ledger.clone();
        fall_apart(&mut waiting, devices);
        let held = |serving: &Serving| {
            (devices - 3..devices).all(|n| {
                let device = code(&format!("d{n:03}"));
                let entry = serving.store.entry(&device).unwrap();
                entry.held.is_some() && serving.texts()[&device] == before[&device]
            })
        };
        // It came in between.
        let (next, _) = restarted(&serving, &waiting.snapshot).unwrap();
        assert!(held(&next));
        // It waited before, twice over, and is served under a generation that no agent has had a later one than.
        serving.take(&waiting.snapshot);
        assert!(held(&serving));
        waiting.snapshot.slot += 100;
        let (next, _) = restarted(&serving, &waiting.snapshot).unwrap();
        waiting.snapshot.slot += 100;
        let (mut next, told) = restarted(&next, &waiting.snapshot).unwrap();
        assert!(held(&next));
        assert_eq!(told, Vec::<String>::new());
        for entry in next.store.entries().values() {
            assert_eq!(entry.current.as_ref().unwrap().generation, waiting.snapshot.slot);
        }
        // Approved, it is served, and the next start knows.
        let last = code(&format!("d{:03}", devices - 1));
        let sha256 = next.store.entry(&last).unwrap().held.as_ref().unwrap().rendered.sha256;
        next.store.approve(&last, &sha256, &next.signer).unwrap();
        let approved = next.texts()[&last].clone();
        assert_ne!(approved, before[&last]);
        let (again, _) = restarted(&next, &waiting.snapshot).unwrap();
        assert_eq!(again.texts()[&last], approved);
        assert!(again.store.entry(&last).unwrap().is_clear());
        // What is taken back waits no longer.
        ledger.snapshot.slot = waiting.snapshot.slot + 100;
        let (back, _) = restarted(&serving, &ledger.snapshot).unwrap();
        assert_eq!(back.texts(), before);
        assert!(back.store.entries().values().all(|entry| entry.is_clear()));
    }
}

#[test]
fn who_can_not_be_read_after_a_restart_is_still_in_everybodys_text() {
    let ledger = ring(12, Family::Frr);
    let mut serving = Serving::new();
    serving.take(&ledger.snapshot);
    let before = serving.texts();
    let mut broken = accounts(&ledger.snapshot);
    broken.insert(ledger.device_key("d005"), vec![0xee; 700]);
    let mut twice = ledger.snapshot.devices[&ledger.device_key("d007")].clone();
    twice.interfaces.push(twice.interfaces[3].clone());
    broken.insert(ledger.device_key("d007"), encode(&twice));
    let broken = broken.iter().map(|(k, b)| (*k, b.as_slice()));
    let live = Snapshot::from_accounts(ledger.snapshot.program_id, 2_000, broken);
    let (next, told) = restarted(&serving, &live).unwrap();
    assert_eq!((next.texts(), told), (before, Vec::new()));
    for (device, problem) in [("d005", "account-undecodable"), ("d007", "interface-twice")] {
        let entry = next.store.entry(&code(device)).unwrap();
        assert_eq!(entry.problem.as_ref().map(|p| p.code), Some(problem), "{device}");
    }
    assert_eq!(next.store.entries().values().filter(|entry| !entry.is_clear()).count(), 2);
}

#[test]
fn a_ledger_from_before_what_was_served_or_of_another_program_is_not_acted_on() {
    let mut ledger = ring(5, Family::Frr);
    let mut serving = Serving::new();
    serving.take(&ledger.snapshot);
    ledger.snapshot.slot -= 1;
    assert!(matches!(restarted(&serving, &ledger.snapshot), Err(Unreadable::Older { .. })));
    ledger.snapshot.slot += 2;
    ledger.snapshot.program_id = Key([9; 32]);
    assert!(matches!(restarted(&serving, &ledger.snapshot), Err(Unreadable::OtherProgram { .. })));
}

async fn serve(file: &Path, ledger: &SyntheticLedger) -> Result<ControllerHandle, StartError> {
    let key = SigningKey::from_bytes(&[5; 32]);
    let config = Config::local(String::new(), String::new(), PROGRAM_ID, key);
    let (snapshots, receiver) = watch::channel(Some(Arc::new(ledger.snapshot.clone())));
    let handle = Controller::start_from(Config { served_file: Some(file.into()), ..config }, receiver).await?;
    let shared = Arc::clone(handle.shared());
    let mut changed = shared.subscribe();
    let served = async {
        while shared.store().slot() < ledger.snapshot.slot {
            changed.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(60), served).await.expect("the snapshot is served in time");
    drop(snapshots);
    Ok(handle)
}

#[tokio::test]
async fn a_controller_keeps_what_it_serves_in_its_file_and_does_not_start_over_a_damaged_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("served");
    let mut ledger = ring(12, Family::Frr);
    let first = serve(&file, &ledger).await.unwrap();
    let before = first.bundle(&code("d011")).unwrap().text.to_string();
    first.shutdown().await;
    fall_apart(&mut ledger, 12);
    for _ in 0..2 {
        let next = serve(&file, &ledger).await.unwrap();
        assert!(next.shared().store().entry(&code("d011")).unwrap().held.is_some());
        assert_eq!(next.bundle(&code("d011")).unwrap().text.to_string(), before);
        next.shutdown().await;
        ledger.snapshot.slot += 100;
    }
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let refused = serve(&file, &ledger).await.err().unwrap();
    assert!(refused.to_string().contains("damaged"), "{refused}");
}
