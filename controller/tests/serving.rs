//! Guards, isolation of broken records, generations, and how much work a change makes.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

use causeway_controller::{
    events::Change,
    guards::{Limits, Unreadable},
    prepare::{Settings, prepare},
    render::Family,
    store::{ApplyState, ApproveError, Report, ReportResult, Signer, Store},
    testing::{PROGRAM_ID, SyntheticLedger, code},
};
use causeway_interface::{DeviceHealth, DeviceStatus, InterfaceName, Key, LinkStatus};
use causeway_sdk::snapshot::{Snapshot, Undecodable};
use causeway_wire::signing;
use ed25519_dalek::SigningKey;

struct Serving {
    store: Store,
    settings: Settings,
    signer: Signer,
}

impl Serving {
    fn new() -> Self {
        let signer = Signer { key: SigningKey::from_bytes(&[5; 32]), program_id: PROGRAM_ID };
        Self { store: Store::default(), settings: Settings::default(), signer }
    }

    fn take(&mut self, snapshot: &Snapshot) -> Result<Vec<Change>, Unreadable> {
        let prepared = prepare(&self.store.basis(), snapshot, &self.settings)?;
        Ok(self.store.commit(prepared, &self.signer, &self.settings.limits))
    }

    fn text(&self, device: &str) -> String {
        self.store.entry(&code(device)).unwrap().current.as_ref().unwrap().text.to_string()
    }

    fn generation(&self, device: &str) -> u64 {
        self.store.entry(&code(device)).unwrap().current.as_ref().unwrap().generation
    }
}

fn changed(changes: &[Change]) -> BTreeSet<String> {
    let device = |c: &Change| match c {
        Change::ConfigChanged { device, .. } => Some(device.to_string()),
        _ => None,
    };
    changes.iter().filter_map(device).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|n| (*n).to_string()).collect()
}

fn lose(snapshot: &mut Snapshot, key: Key) {
    snapshot.devices.remove(&key);
    snapshot.links.remove(&key);
    snapshot.undecodable.push(Undecodable { address: key, data_len: 7, error: "malformed".into() });
}

#[test]
fn only_the_ends_of_a_changed_link_are_rendered_and_get_a_new_generation() {
    let mut ledger = SyntheticLedger::ring(Family::Frr);
    let mut serving = Serving::new();
    assert_eq!(changed(&serving.take(&ledger.snapshot).unwrap()), set(&["ams", "fra", "lon", "par"]));
    assert_eq!(serving.store.renders(), 4);
    ledger.snapshot.slot = 2_000;
    ledger.link_mut("ams-fra").header.status = LinkStatus::SoftDrained;
    assert_eq!(changed(&serving.take(&ledger.snapshot).unwrap()), set(&["ams", "fra"]));
    assert_eq!(serving.store.renders(), 6);
    assert_eq!((serving.generation("ams"), serving.generation("lon")), (2_000, 1_000));
    let bundle = serving.store.entry(&code("ams")).unwrap().current.clone().unwrap();
    assert!(bundle.diff().contains("- isis metric 4000\n+ isis metric 1000000\n"), "{}", bundle.diff());
    let message = signing::bundle_message(&PROGRAM_ID.0, "ams", 2_000, "frr", &bundle.sha256);
    let key = serving.signer.key.verifying_key().to_bytes();
    assert_eq!(signing::verify(&key, &message, &bundle.signature), Ok(()));
}

#[test]
fn health_and_passing_slots_change_no_configuration_and_cost_no_rendering() {
    let mut ledger = SyntheticLedger::ring(Family::Frr);
    let mut serving = Serving::new();
    serving.take(&ledger.snapshot).unwrap();
    ledger.snapshot.slot = 2_000;
    ledger.device_mut("ams").header.health = DeviceHealth::Impaired;
    let changes = serving.take(&ledger.snapshot).unwrap();
    assert!(changed(&changes).is_empty());
    assert!(matches!(changes[..], [Change::DeviceHealth { to: DeviceHealth::Impaired, .. }]));
    assert_eq!(serving.store.renders(), 4);
}

/// As of which slot a device's text is what the ledger asks for: later with every snapshot, but not while its text can't be
/// made, waits for a person, or the ledger can't be read.
#[test]
fn a_text_holds_as_of_the_latest_slot_unless_something_stands_in_its_way() {
    let mut ledger = SyntheticLedger::ring(Family::Frr);
    let mut serving = Serving::new();
    let as_of = |serving: &Serving| {
        ["ams", "fra", "lon"].map(|device| serving.store.evaluated_slot(serving.store.entry(&code(device)).unwrap()))
    };
    serving.take(&ledger.snapshot).unwrap();
    assert_eq!(as_of(&serving), [1_000; 3]);
    ledger.snapshot.slot = 2_000;
    serving.take(&ledger.snapshot).unwrap();
    assert_eq!(as_of(&serving), [2_000; 3]);
    assert_eq!(serving.generation("ams"), 1_000);

    // A broken link: both its ends keep what they have.
    let delay_ns = std::mem::replace(&mut ledger.link_mut("ams-fra").delay_ns, 1);
    ledger.snapshot.slot = 3_000;
    serving.take(&ledger.snapshot).unwrap();
    assert_eq!(as_of(&serving), [2_000, 2_000, 3_000]);
    ledger.link_mut("ams-fra").delay_ns = delay_ns;
    ledger.snapshot.slot = 4_000;
    serving.take(&ledger.snapshot).unwrap();
    assert_eq!(as_of(&serving), [4_000; 3]);

    let mut empty = ledger.snapshot.clone();
    (empty.slot, empty.devices) = (5_000, Default::default());
    serving.take(&empty).unwrap_err();
    assert_eq!(as_of(&serving), [4_000; 3]);

    // Three of three links of ams: too much to go without a person's word.
    for link in ["ams-fra", "ams-lon", "ams-par"] {
        ledger.link_mut(link).header.status = LinkStatus::Suspended;
    }
    for slot in [6_000, 7_000] {
        ledger.snapshot.slot = slot;
        serving.take(&ledger.snapshot).unwrap();
        assert_eq!(as_of(&serving)[0], 4_000, "held");
    }
    let held = serving.store.entry(&code("ams")).unwrap().held.as_ref().unwrap().rendered.sha256;
    serving.store.approve(&code("ams"), &held, &serving.signer).unwrap();
    assert_eq!(as_of(&serving)[0], 7_000);
}

#[test]
fn what_can_not_be_the_whole_ledger_makes_no_configuration_and_takes_none_away() {
    let ledger = SyntheticLedger::ring(Family::Frr);
    let mut serving = Serving::new();
    let mut empty = ledger.snapshot.clone();
    empty.devices.clear();
    let mut no_network = ledger.snapshot.clone();
    no_network.network = None;
    let mut partly = ledger.snapshot.clone();
    for name in ["ams", "fra", "lon"] {
        lose(&mut partly, ledger.device_key(name));
    }
    let mut other = ledger.snapshot.clone();
    other.program_id = Key([9; 32]);
    let mut older = ledger.snapshot.clone();
    older.slot = 1;
    for before in [true, false] {
        assert_eq!(serving.take(&empty).unwrap_err(), Unreadable::Empty);
        assert_eq!(serving.take(&no_network).unwrap_err(), Unreadable::NoNetwork);
        assert!(matches!(serving.take(&partly).unwrap_err(), Unreadable::Partly { unreadable: 3, .. }));
        if before {
            assert!(serving.store.entries().is_empty());
            serving.take(&ledger.snapshot).unwrap();
        }
    }
    assert!(matches!(serving.take(&other).unwrap_err(), Unreadable::OtherProgram { .. }));
    assert!(matches!(serving.take(&older).unwrap_err(), Unreadable::Older { .. }));
    assert_eq!(serving.store.entries().len(), 4);
    assert_eq!(serving.generation("ams"), 1_000);
}

#[test]
fn a_broken_device_keeps_its_configuration_is_reported_and_changes_nothing_for_the_others() {
    for undecodable in [true, false] {
        let mut ledger = SyntheticLedger::ring(Family::Frr);
        let mut serving = Serving::new();
        serving.take(&ledger.snapshot).unwrap();
        let before = serving.text("ams");
        let whole = ledger.snapshot.clone();
        ledger.snapshot.slot = 2_000;
        if undecodable {
            let key = ledger.device_key("ams");
            lose(&mut ledger.snapshot, key);
        } else {
            let twice = ledger.device_mut("ams").interfaces[4].clone();
            ledger.device_mut("ams").interfaces.push(twice);
        }
        let changes = serving.take(&ledger.snapshot).unwrap();
        let expected = if undecodable { "account-undecodable" } else { "interface-twice" };
        assert!(changes.iter().all(|c| !matches!(c, Change::ConfigChanged { .. })), "{changes:?}");
        let problem = serving.store.entry(&code("ams")).unwrap().problem.clone().unwrap();
        assert_eq!(problem.code, expected);
        assert_eq!(serving.text("ams"), before);
        // Others still change while it is broken.
        ledger.snapshot.slot = 3_000;
        ledger.link_mut("fra-par").header.status = LinkStatus::SoftDrained;
        assert_eq!(changed(&serving.take(&ledger.snapshot).unwrap()), set(&["fra", "par"]));
        // And said once only, and taken back when it is whole again.
        let mut whole = whole;
        whole.slot = 4_000;
        let changes = serving.take(&whole).unwrap();
        assert!(changes.contains(&Change::ConfigRecovered { device: code("ams") }));
        assert_eq!(changed(&changes), set(&["fra", "par"]));
        assert_eq!(serving.generation("ams"), 1_000);
    }
}

#[test]
fn a_broken_link_leaves_both_ends_as_they_were() {
    let mut ledger = SyntheticLedger::ring(Family::Frr);
    let mut serving = Serving::new();
    serving.take(&ledger.snapshot).unwrap();
    let before = serving.text("ams");
    ledger.snapshot.slot = 2_000;
    let key = ledger.link_key("ams-fra");
    lose(&mut ledger.snapshot, key);
    let changes = serving.take(&ledger.snapshot).unwrap();
    assert!(changed(&changes).is_empty());
    for end in ["ams", "fra"] {
        assert_eq!(serving.store.entry(&code(end)).unwrap().problem.as_ref().unwrap().code, "account-undecodable");
    }
    assert!(serving.store.entry(&code("lon")).unwrap().problem.is_none());
    assert_eq!(serving.text("ams"), before);
}

#[test]
fn a_device_broken_from_the_start_stops_nobody_else() {
    let mut ledger = SyntheticLedger::ring(Family::Frr);
    ledger.device_mut("lon").interfaces[3].name = InterfaceName(*b"eth1\nhostname evil\0\0\0\0\0\0");
    let mut serving = Serving::new();
    serving.take(&ledger.snapshot).unwrap();
    let lon = serving.store.entry(&code("lon")).unwrap();
    assert!(lon.current.is_none());
    assert_eq!(lon.problem.as_ref().unwrap().code, "interface-name-invalid");
    assert!(serving.store.entry(&code("fra")).unwrap().current.is_some());
}

#[test]
fn a_text_that_removes_too_much_waits_for_a_word_about_exactly_this_text() {
    let mut ledger = SyntheticLedger::ring(Family::Frr);
    let mut serving = Serving::new();
    serving.take(&ledger.snapshot).unwrap();
    let before = serving.text("ams");
    ledger.snapshot.slot = 2_000;
    for name in ["fra", "lon", "par"] {
        ledger.device_mut(name).header.status = DeviceStatus::Suspended;
    }
    let changes = serving.take(&ledger.snapshot).unwrap();
    assert!(changes.iter().any(|c| matches!(c, Change::ConfigHeld { device, .. } if *device == code("ams"))));
    // Those that were suspended themselves are not held.
    assert_eq!(changed(&changes), set(&["fra", "lon", "par"]));
    assert_eq!(serving.text("ams"), before);
    let held = serving.store.entry(&code("ams")).unwrap().held.clone().unwrap();
    assert_eq!((held.removal.peers, held.removal.of_peers), (3, 3));
    let wrong = serving.store.approve(&code("ams"), &[0; 32], &serving.signer.clone());
    assert!(matches!(wrong, Err(ApproveError::Changed { .. })));
    let sha256 = held.rendered.sha256;
    let signer = serving.signer.clone();
    assert_eq!(changed(&serving.store.approve(&code("ams"), &sha256, &signer).unwrap()), set(&["ams"]));
    assert_eq!(serving.generation("ams"), 2_000);
    let again = serving.store.approve(&code("ams"), &sha256, &signer);
    assert_eq!(again.unwrap_err(), ApproveError::NothingHeld(code("ams")));
}

#[test]
fn what_is_held_goes_away_when_the_ledger_goes_back() {
    let mut ledger = SyntheticLedger::ring(Family::Frr);
    let mut serving = Serving::new();
    serving.settings.limits = Limits { removed_at_least: 1, removed_share: 0.0, ..Limits::default() };
    serving.take(&ledger.snapshot).unwrap();
    ledger.snapshot.slot = 2_000;
    ledger.link_mut("ams-fra").header.status = LinkStatus::Suspended;
    serving.take(&ledger.snapshot).unwrap();
    assert!(serving.store.entry(&code("ams")).unwrap().held.is_some());
    ledger.snapshot.slot = 3_000;
    ledger.link_mut("ams-fra").header.status = LinkStatus::Activated;
    serving.take(&ledger.snapshot).unwrap();
    assert!(serving.store.entry(&code("ams")).unwrap().held.is_none());
    assert_eq!(serving.generation("ams"), 1_000);
}

#[test]
fn a_removed_device_is_forgotten_and_the_others_lose_the_peer() {
    let mut ledger = SyntheticLedger::ring(Family::Frr);
    ledger.device("waw");
    let mut serving = Serving::new();
    serving.take(&ledger.snapshot).unwrap();
    ledger.snapshot.slot = 2_000;
    let key = ledger.device_key("waw");
    ledger.snapshot.devices.remove(&key);
    let changes = serving.take(&ledger.snapshot).unwrap();
    assert_eq!(changed(&changes), set(&["ams", "fra", "lon", "par"]));
    assert!(serving.store.entry(&code("waw")).is_none());
}

fn report(result: ReportResult, sha256: [u8; 32], running: u8) -> Report {
    Report {
        received_unix_ms: 1,
        generation: 1,
        sha256: sha256.to_vec(),
        result,
        diff: String::new(),
        diff_cut: false,
        duration_ms: 1,
        error_code: String::new(),
        message: String::new(),
        running_sha256: vec![running; 32],
        startup_saved: false,
        at_unix_ms: 1,
        order: String::new(),
        extended: 0,
    }
}

#[test]
fn polled_is_not_applied_and_drift_shows() {
    let mut ledger = SyntheticLedger::ring(Family::Frr);
    let mut serving = Serving::new();
    serving.take(&ledger.snapshot).unwrap();
    let ams = code("ams");
    let state = |serving: &Serving| serving.store.entry(&ams).unwrap().apply_state();
    serving.store.polled(&ams, None, 5);
    assert_eq!(state(&serving), ApplyState::Never);
    let sha256 = serving.store.entry(&ams).unwrap().current.as_ref().unwrap().sha256;
    for (result, running, expected) in [
        (ReportResult::Refused, 0, ApplyState::Refused),
        (ReportResult::Reverted, 0, ApplyState::Reverted),
        (ReportResult::Applied, 1, ApplyState::Current),
        (ReportResult::Unchanged, 1, ApplyState::Current),
        (ReportResult::Unchanged, 2, ApplyState::Drifted),
        (ReportResult::Applied, 1, ApplyState::Current),
    ] {
        serving.store.report(&ams, report(result, sha256, running));
        assert_eq!(state(&serving), expected);
    }
    ledger.snapshot.slot = 2_000;
    ledger.link_mut("ams-fra").header.status = LinkStatus::HardDrained;
    serving.take(&ledger.snapshot).unwrap();
    assert_eq!(state(&serving), ApplyState::Behind);
}

#[test]
fn reports_and_generations_are_bounded() {
    let mut ledger = SyntheticLedger::ring(Family::Frr);
    let mut serving = Serving::new();
    for slot in 0..50u64 {
        ledger.snapshot.slot = 1_000 + slot;
        ledger.link_mut("ams-fra").delay_ns = 10_000 + slot * 1_000;
        serving.take(&ledger.snapshot).unwrap();
        for _ in 0..3 {
            let mut long = report(ReportResult::Refused, [0; 32], 0);
            long.diff = "ä".repeat(300_000);
            serving.store.report(&code("ams"), long);
        }
    }
    let entry = serving.store.entry(&code("ams")).unwrap();
    assert_eq!((entry.history.len(), entry.reports.len()), (20, 50));
    assert!(entry.reports.iter().all(|r| r.diff_cut && r.diff.len() <= 256 * 1024));
    assert!(entry.history.iter().map(|b| b.generation).is_sorted());
}
