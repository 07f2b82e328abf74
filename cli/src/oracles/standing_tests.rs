use causeway_interface::{Digest, accounts::Attestation};

use super::*;
use crate::commands::fake;

const NOW: u64 = 10_000;
const BURN_IN: u64 = 1_000;
const MAX_AGE: u64 = 90;

fn terms() -> Terms {
    Terms {
        now: NOW,
        epoch: fake::EPOCH,
        quorum: 2,
        max_age: MAX_AGE,
        burn_in: BURN_IN,
        maintenance_burn_in: 100,
        status_since: 9_500,
    }
}

fn entry(health: DeviceHealth, slot: u64, since: [u64; 2], failed: u32) -> Attestation {
    Attestation {
        verdict: health.byte(),
        epoch: fake::EPOCH,
        slot,
        since,
        failed,
        window_start_slot: 0,
        window_end_slot: 0,
        evidence_root: Digest::ZERO,
    }
}

const NEVER: [u64; 2] = [0, 0];

struct World {
    network: Network,
    said: Attestations,
    terms: Terms,
}

impl World {
    fn new(entries: Vec<Attestation>) -> Self {
        let snapshot = fake::ledger();
        let mut said = snapshot.attestations.values().next().unwrap().clone();
        said.entries = entries;
        Self { network: snapshot.network.unwrap(), said, terms: terms() }
    }

    fn count(&self, rank: u8, in_service: bool) -> Count<'_> {
        let Self { network, said, terms } = self;
        Count { kind: Kind::Device, rank, in_service, network, terms, said: Some(said) }
    }
}

fn silent() -> Attestation {
    entry(DeviceHealth::Pending, 0, NEVER, 0)
}

#[test]
fn a_level_is_reached_when_the_quorums_last_oracle_has_attested_it_for_the_burn_in() {
    let ready = |slot, since| entry(DeviceHealth::ReadyForLinks, slot, [since, 0], 0);
    let world = World::new(vec![ready(9_950, 9_000), ready(9_990, 9_400), ready(9_995, 9_800)]);
    let [links, users] = &standings(&world.count(0, false))[..] else { panic!() };
    assert_eq!((links.attested_by, links.burned_in, links.held), (3, 0, false));
    // The first has its burn-in at 10 000, the second, which makes the quorum, at 10 400.
    assert_eq!((links.left_slots, links.earliest_slot), (Some(400), Some(10_400)));
    assert!(links.blocked_by.is_empty());
    assert_eq!((users.attested_by, users.left_slots, users.earliest_slot), (0, None, None));
    assert_eq!(users.blocked_by.len(), 3);
    assert!(users.blocked_by[0].contains("says ready-for-links"), "{users:?}");
    // What is over counts as over only once a word says so.
    let world = World::new(vec![ready(9_999, 8_000), ready(9_980, 8_990), silent()]);
    let links = &standings(&world.count(0, false))[0];
    assert_eq!((links.left_slots, links.earliest_slot, links.burned_in), (Some(0), Some(NOW), 1));
}

#[test]
fn in_service_a_streak_counts_from_the_last_change_of_status() {
    let users = |since| entry(DeviceHealth::ReadyForUsers, 9_990, [since, since], 0);
    let mut world = World::new(vec![users(5_000), users(9_600), silent()]);
    world.terms.burn_in = 450;
    assert_eq!(standings(&world.count(2, true))[1].earliest_slot, Some(10_050));
    assert_eq!(standings(&world.count(2, false))[1].earliest_slot, Some(10_050));
    let world =
        World { said: Attestations { entries: vec![users(5_000), users(5_000), silent()], ..world.said }, ..world };
    let held = &standings(&world.count(2, true))[1];
    // A burn-in of 450 from slot 9 500 on, whatever was attested before.
    assert_eq!((held.held, held.earliest_slot, held.burned_in), (true, Some(NOW), 2));
}

#[test]
fn what_does_not_count_says_why() {
    let ready = |slot| entry(DeviceHealth::ReadyForUsers, slot, [1, 1], 0);
    let old = Attestation { epoch: fake::EPOCH - 1, ..ready(9_990) };
    let mut failing = entry(DeviceHealth::Impaired, 9_990, NEVER, 0b1001);
    let world = World::new(vec![ready(NOW - MAX_AGE - 5), old, failing.clone()]);
    let said = said(&world.count(0, false));
    let counts: Vec<_> = said.iter().map(|s| s.counts).collect();
    assert_eq!(
        counts,
        [Counts::Expired { slots: 5 }, Counts::Epoch { epoch: fake::EPOCH - 1 }, Counts::Fresh { slots: 80 }]
    );
    assert_eq!(said[2].not_passed, ["D1", "D4"]);
    let blocked = standings(&world.count(0, false))[0].blocked_by.join("\n");
    for words in ["expired 5 slots ago", "is of epoch 3, the set's is 4", "says impaired: D1 D4"] {
        assert!(blocked.contains(words), "{blocked}");
    }
    failing.slot = 0;
    let world = World::new(vec![failing]);
    let blocked = standings(&world.count(0, false))[0].blocked_by.join("\n");
    assert_eq!(blocked.matches("never spoke").count(), 3, "{blocked}");
    let mut world = world;
    world.terms.quorum = 0;
    assert_eq!(standings(&world.count(0, false))[0].blocked_by, ["no oracle set is in force"]);
}

#[test]
fn criteria_have_the_names_of_the_stage_tables() {
    assert_eq!(criteria(Kind::Device, 0b1111_0111_1111).len(), 11);
    assert_eq!(criteria(Kind::Device, 1 | 1 << 6 | 1 << 8 | 1 << 11), ["D1", "D7", "U1", "U4"]);
    assert_eq!(criteria(Kind::Link, 0b101), ["L1", "L3"]);
    assert_eq!(criteria(Kind::Link, 1 << 31), ["bit 31"]);
    assert!(criteria(Kind::Device, 0).is_empty());
    use causeway_health_oracle::criteria::Criterion::{D4, L3, U1, U4};
    for criterion in [D4, U1, U4] {
        assert_eq!(criteria(Kind::Device, criterion.bit()), [criterion.name()]);
    }
    assert_eq!(criteria(Kind::Link, L3.bit()), [L3.name()]);
}
