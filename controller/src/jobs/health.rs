//! How devices are, for waves that are watched: what the oracles attest on the ledger, as this controller has read it.
//!
//! A device is good while a quorum has a fresh word that it is at the level which its status asks for; bad while a quorum
//! speaks and not enough of it says so; else nobody knows. For how long it has to be good is the rollout's to say. What is
//! not known is never good: a ledger that was not heard of, a device that is gone, an oracle set that is not in force.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

use causeway_interface::{Code, DeviceStatus, Key, accounts::Device};
use causeway_jobs::{
    error::{self, StepError, Trouble},
    rollout::{Health, Oracles},
};
use causeway_sdk::{
    health::{self, SubjectHealth},
    snapshot::Snapshot,
};
use futures::future::BoxFuture;

use crate::{
    http::STALE_MS,
    shared::{Shared, now_ms},
};

/// Length of a slot, in ms, as the cluster means it. Words grow old with it while nothing new is read.
pub const SLOT_MS: u64 = 400;
/// Criteria of a stage, at most: the bits of a word.
const CRITERIA: u32 = 32;

/// The oracles' words on the ledger.
pub struct Attested {
    shared: Weak<Shared>,
}

impl Attested {
    /// As a controller has read them.
    #[must_use]
    pub const fn new(shared: Weak<Shared>) -> Self {
        Self { shared }
    }
}

/// The level that a device in a status has to be at: 1 is ready for links, 2 ready for users.
const fn needed(status: DeviceStatus) -> u8 {
    match status {
        DeviceStatus::Pending | DeviceStatus::DeviceProvisioning | DeviceStatus::LinkProvisioning => 1,
        DeviceStatus::Activated
        | DeviceStatus::Drained
        | DeviceStatus::Suspended
        | DeviceStatus::Rejected
        | DeviceStatus::Deleting => 2,
    }
}

/// The numbers of criteria that anybody with a fresh word found failed.
fn failed(said: &SubjectHealth) -> Vec<String> {
    let failed = said.oracles.iter().filter(|word| word.fresh).fold(0, |all, word| all | word.failed);
    (0..CRITERIA).filter(|bit| failed >> bit & 1 == 1).map(|bit| bit.to_string()).collect()
}

/// How a device is by what was said of it at a slot.
#[must_use]
pub fn judge(status: DeviceStatus, said: &SubjectHealth) -> Health {
    let (rank, quorum) = (needed(status), said.terms.quorum);
    let at = said.tally.at.get(usize::from(rank) - 1).copied().unwrap_or_default();
    if quorum == 0 {
        return Health::Unknown("no oracle set is in force".to_owned());
    }
    if at >= quorum {
        return Health::Good;
    }
    let fresh = said.tally.fresh;
    if !said.tally.is_quorate(quorum) {
        return Health::Unknown(format!("{fresh} oracles have a fresh word, and {quorum} are a quorum"));
    }
    let level = if rank == 1 { "links" } else { "users" };
    let mut words = format!("{at} of {fresh} oracles say that it is ready for {level}, and {quorum} are a quorum");
    let failed = failed(said);
    if !failed.is_empty() {
        words.push_str(&format!("; criteria {} failed", failed.join(", ")));
    }
    Health::Bad(words)
}

/// How devices are at a slot, by a ledger that was read.
#[must_use]
pub fn all(snapshot: &Snapshot, devices: &[Code], slot: u64) -> BTreeMap<Code, Health> {
    let Some(network) = &snapshot.network else { return BTreeMap::new() };
    let records: BTreeMap<Code, (&Key, &Device)> =
        snapshot.devices.iter().map(|(key, record)| (record.code, (key, record))).collect();
    let of = |device: &Code| {
        let Some((key, record)) = records.get(device) else {
            return Health::Unknown("the ledger has no such device".to_owned());
        };
        let said = health::of_device(network, record, snapshot.attestations.get(*key), slot);
        judge(record.header.status, &said)
    };
    devices.iter().map(|device| (*device, of(device))).collect()
}

impl Oracles for Attested {
    fn health<'a>(&'a self, devices: &'a [Code]) -> BoxFuture<'a, Result<BTreeMap<Code, Health>, StepError>> {
        Box::pin(async move {
            let away = |words: String| error::LEDGER_AWAY.transient(Trouble::Network, words);
            let shared: Arc<Shared> = self.shared.upgrade().ok_or_else(|| away("the controller stops".to_owned()))?;
            let (snapshot, slot) = {
                let store = shared.store();
                let snapshot = store.effective().cloned();
                (snapshot.ok_or_else(|| away("the ledger has not been read yet".to_owned()))?, store.slot())
            };
            let age_ms = now_ms().saturating_sub(shared.taken_unix_ms());
            if age_ms > STALE_MS {
                return Err(away(format!("the ledger was last taken in {} s ago", age_ms / 1_000)));
            }
            // A word is as old as it is, also while nothing new is heard.
            Ok(all(&snapshot, devices, slot.saturating_add(age_ms / SLOT_MS)))
        })
    }
}

#[cfg(test)]
mod tests {
    use causeway_interface::Platform;

    use super::*;
    use crate::testing::{SyntheticLedger, code};

    /// A ring with `quorum` of three oracles, and what each of them says of `ams`: verdict and slot.
    fn ledger(quorum: u8, words: [Option<(u8, u64)>; 3]) -> Snapshot {
        let mut ledger = SyntheticLedger::ring(Platform::Frr);
        let network = ledger.snapshot.network.as_mut().unwrap();
        (network.quorum, network.oracle_count, network.attestation_max_age_slots) = (quorum, 3, 25);
        ledger.attest("ams", &words.map(Option::unwrap_or_default));
        ledger.snapshot
    }

    fn of_ams(snapshot: &Snapshot, slot: u64) -> Health {
        all(snapshot, &[code("ams")], slot).remove(&code("ams")).unwrap()
    }

    use causeway_interface::DeviceHealth::{Impaired, ReadyForLinks, ReadyForUsers};

    #[test]
    fn a_device_is_good_by_fresh_words_of_a_quorum_and_unknown_without() {
        let (users, links, bad) = (ReadyForUsers as u8, ReadyForLinks as u8, Impaired as u8);
        for (words, slot, expected) in [
            ([Some((users, 990)), Some((users, 995)), None], 1_000, "good"),
            ([Some((users, 990)), Some((users, 995)), Some((bad, 999))], 1_000, "good"),
            ([Some((users, 990)), Some((bad, 995)), None], 1_000, "bad"),
            ([Some((links, 990)), Some((users, 995)), None], 1_000, "bad"),
            ([Some((users, 990)), None, None], 1_000, "unknown"),
            // The same words later: too old.
            ([Some((users, 990)), Some((users, 995)), None], 1_016, "unknown"),
            ([None, None, None], 1_000, "unknown"),
        ] {
            let found = match of_ams(&ledger(2, words), slot) {
                Health::Good => "good",
                Health::Bad(_) => "bad",
                Health::Unknown(_) => "unknown",
            };
            assert_eq!(found, expected, "{words:?} at {slot}");
        }
    }

    #[test]
    fn without_an_oracle_set_or_a_record_nobody_knows() {
        let users = ReadyForUsers as u8;
        let words = [Some((users, 999)), Some((users, 999)), Some((users, 999))];
        assert!(matches!(of_ams(&ledger(0, words), 1_000), Health::Unknown(_)));
        let snapshot = ledger(2, words);
        assert!(matches!(all(&snapshot, &[code("nowhere")], 1_000)[&code("nowhere")], Health::Unknown(_)));
        assert!(matches!(all(&snapshot, &[code("fra")], 1_000)[&code("fra")], Health::Unknown(_)));
        let bad = [Some((Impaired as u8, 999)); 3];
        let Health::Bad(words) = of_ams(&ledger(2, bad), 1_000) else { panic!("three say that it is not well") };
        assert!(words.starts_with("0 of 3 oracles say that it is ready for users"), "{words}");
    }

    #[test]
    fn a_device_before_service_has_to_be_ready_for_links() {
        let links = [Some((ReadyForLinks as u8, 999)); 3];
        let mut snapshot = ledger(2, links);
        assert!(matches!(of_ams(&snapshot, 1_000), Health::Bad(_)));
        for record in snapshot.devices.values_mut() {
            record.header.status = DeviceStatus::LinkProvisioning;
        }
        assert_eq!(of_ams(&snapshot, 1_000), Health::Good);
    }
}
