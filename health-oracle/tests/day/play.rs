//! Plays a day: agents send, the fleet takes, rounds judge. Like the oracle, but with the day's own clock.

use std::collections::VecDeque;

use causeway_health_oracle::{
    RuleBook, Rules,
    store::{Append, Commit, TelemetryStore, VerifiedBatch, sqlite::SqliteStore},
    subjects::{Court, Judged, Stages},
    telemetry::{fleet::Fleet, loader::FleetLoader},
};
use causeway_sdk::Snapshot;
use causeway_wire::telemetry::Batch;
use prost::Message;

use crate::{
    ledger::{clock, slot_of},
    script::{Agent, DEVICES, Fault, MINUTES, at_ms},
};

/// Milliseconds into a minute at which a round judges: the lag of the rules, so that the minute before it is the last
/// that is looked at.
pub const ROUND_MS: u64 = 20_000;
/// Minutes of telemetry in one commit to the store.
const COMMIT_MINUTES: u64 = 60;

/// What happens.
#[derive(Clone, Debug, Default)]
pub struct Day {
    pub faults: Vec<Fault>,
    /// A device's batches of these minutes arrive all together at the last of them.
    pub delays: Vec<(usize, std::ops::Range<u64>)>,
    /// Minutes at which the oracle is restarted: what it holds is thrown away and loaded from its store. It has one only
    /// if there are any.
    pub restarts: Vec<u64>,
}

/// A round.
pub struct Round<'a> {
    pub minute: u64,
    fleet: &'a Fleet,
    rules: &'a RuleBook,
    stages: &'a mut Stages,
}

impl Round<'_> {
    pub fn now_ms(&self) -> u64 {
        at_ms(self.minute) + ROUND_MS
    }

    /// What the oracle finds by this ledger.
    pub fn judge(&mut self, snapshot: &Snapshot) -> Vec<Judged> {
        let clock = clock();
        self.stages.update(snapshot, &clock);
        let court = Court {
            snapshot,
            network: snapshot.network.as_ref().unwrap(),
            clock: &clock,
            rules: self.rules,
            stages: self.stages,
            now_ms: self.now_ms(),
        };
        court.judge(self.fleet, None)
    }
}

/// The ledger of a minute, from the one that holds all day.
pub fn at(snapshot: &Snapshot, minute: u64) -> Snapshot {
    Snapshot { slot: slot_of(minute), ..snapshot.clone() }
}

/// How far back telemetry is held.
fn reach_ms(snapshot: &Snapshot, rules: &RuleBook) -> u64 {
    let network = snapshot.network.as_ref().unwrap();
    Court { snapshot, network, clock: &clock(), rules, stages: &Stages::default(), now_ms: at_ms(0) }.reach_ms()
}

/// Plays the day and calls `round` once a minute, after `took` was called for every batch that arrived until then.
/// Returns how many samples were taken.
pub fn play(
    day: &Day,
    snapshot: &Snapshot,
    mut took: impl FnMut(usize, &Batch),
    mut round: impl FnMut(&mut Round<'_>),
) -> usize {
    let rules = RuleBook::from(Rules::default());
    let reach_ms = reach_ms(snapshot, &rules);
    let mut fleet = Fleet::new(rules.all.bucket_ms, reach_ms);
    let mut stages = Stages::default();
    let mut agents = Agent::all();
    let mut waiting: Vec<VecDeque<Batch>> = vec![VecDeque::new(); DEVICES.len()];
    let folder = (!day.restarts.is_empty()).then(|| tempfile::tempdir().unwrap());
    let path = folder.as_ref().map(|folder| folder.path().join("telemetry.sqlite"));
    let mut store = path.as_ref().map(|path| SqliteStore::open(path, rules.all.bucket_ms).unwrap());
    let mut commit = Commit::default();
    let mut samples = 0;
    for minute in 0..=MINUTES {
        // What was measured in the minute that has just ended.
        if let Some(measured) = minute.checked_sub(1) {
            for (device, agent) in agents.iter_mut().enumerate() {
                waiting[device].extend(agent.minute(measured, &day.faults));
                if day.delays.iter().any(|(late, minutes)| *late == device && minutes.contains(&minute)) {
                    continue;
                }
                for batch in waiting[device].drain(..) {
                    samples += batch.interfaces.len() + batch.adjacencies.len() + batch.probes.len();
                    let taken = fleet.take(verified(&batch, minute), &mut commit);
                    assert_eq!(taken, Append::Stored { ignored_samples: 0 }, "{} at {minute}", batch.device);
                    took(device, &batch);
                    if day.restarts.contains(&minute) {
                        let again = fleet.take(verified(&batch, minute), &mut commit);
                        assert_eq!(again, Append::Replay { last_sequence: batch.sequence });
                    }
                }
            }
            fleet.seal(&mut commit);
        }
        let restarts = day.restarts.contains(&minute);
        match &store {
            None => commit = Commit::default(),
            Some(store) if restarts || minute % COMMIT_MINUTES == 0 => {
                store.append(&std::mem::take(&mut commit)).unwrap();
            }
            Some(_) => {}
        }
        if let (true, Some(path)) = (restarts, &path) {
            drop(store.take());
            let opened = SqliteStore::open(path, rules.all.bucket_ms).unwrap();
            let mut loader = FleetLoader::new(rules.all.bucket_ms, reach_ms);
            opened.load((at_ms(minute) + ROUND_MS).saturating_sub(reach_ms), &mut loader).unwrap();
            fleet = loader.finish();
            // Since when subjects are in their stage the ledger says again.
            stages = Stages::default();
            store = Some(opened);
        }
        round(&mut Round { minute, fleet: &fleet, rules: &rules, stages: &mut stages });
    }
    samples
}

fn verified(batch: &Batch, minute: u64) -> VerifiedBatch {
    VerifiedBatch {
        device: batch.device.parse().unwrap(),
        batch: batch.clone(),
        bytes: batch.encode_to_vec(),
        // Signatures are verified before.
        signature: [0; 64],
        received_ms: at_ms(minute),
    }
}
