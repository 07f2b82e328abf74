//! The edges of promise 1 one by one: epochs, gaps, sets that change, no set at all, and where slots begin and end.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use causeway_interface::{
    Code, DesiredStatus, DeviceHealth, DeviceStatus, Digest, ErrorCode, Key,
    accounts::{RawAttestation, RawAttestations, RawDevice, RawNetwork},
    instruction::Verdict,
};
use causeway_program_tests::{
    Done, Failure, World, counts,
    plant::hybrid,
    reference::limits::Numbers,
    scene::Scene,
    world::{BURN_IN_NEW, MAX_AGE, refused},
};
use causeway_sdk::Window;
use solana_sdk::signature::{Keypair, Signer};

const LINKS: u8 = DeviceHealth::ReadyForLinks as u8;

/// A device that proves itself before `oracles` oracles, and the verdict that it is ready for links.
fn proving(oracles: usize, quorum: u8) -> (World, Code, [(Key, u8); 1]) {
    let mut world = World::with_oracles(oracles, quorum);
    let party = world.party("acme");
    let device = world.add_device(&party, hybrid("a"));
    world.provision_device(&party, &device).unwrap();
    let verdict = [(world.device_key(&device), LINKS)];
    (world, device, verdict)
}

/// Where an `Advance` leaves the device.
fn advanced(world: &mut World, device: &Code) -> (DeviceStatus, DeviceHealth) {
    let sender = world.somebody();
    let ix = world.ix.advance_device(&sender.pubkey(), &world.device_refs(device), 0);
    world.by(&sender, ix).expect("the advance lands");
    let header = world.device(device).header;
    (header.status, header.health)
}

/// An oracle's word on a window of its own choice.
fn say(world: &mut World, oracle: &Keypair, window: (u64, u64), verdict: &[(Key, u8); 1]) -> Result<Done, Failure> {
    let [(key, byte)] = *verdict;
    let epoch = world.network().oracle_epoch;
    let window = Window { epoch, start_slot: window.0, end_slot: window.1, evidence_root: Digest([0xe; 32]) };
    let ix = world.ix.attest(&oracle.pubkey(), window, &[(key, Verdict { verdict: byte, failed: 0 })]);
    world.by(oracle, ix)
}

const PROVING: (DeviceStatus, DeviceHealth) = (DeviceStatus::DeviceProvisioning, DeviceHealth::Pending);
const UNSEEN: (DeviceStatus, DeviceHealth) = (DeviceStatus::DeviceProvisioning, DeviceHealth::Unknown);
const PROVEN: (DeviceStatus, DeviceHealth) = (DeviceStatus::LinkProvisioning, DeviceHealth::ReadyForLinks);

#[test]
fn a_new_epoch_in_the_middle_of_a_burn_in_voids_all_of_it() {
    let (mut world, device, verdict) = proving(3, 2);
    world.attest_for(&verdict, BURN_IN_NEW - 1);
    // The same keys and the same quorum: the epoch is another all the same.
    let keys = world.oracles.iter().map(Keypair::insecure_clone).collect();
    world.set_oracles(keys, 2).unwrap();
    assert_eq!(advanced(&mut world, &device), UNSEEN, "nobody has a word in this epoch");
    world.warp(1);
    world.attest_all(&verdict);
    assert_eq!(advanced(&mut world, &device), PROVING, "the burn-in would be over in the old epoch");
    world.attest_for(&verdict, BURN_IN_NEW - 1);
    assert_eq!(advanced(&mut world, &device), PROVING, "a slot short in the new one");
    world.warp(1);
    world.attest_all(&verdict);
    assert_eq!(advanced(&mut world, &device), PROVEN);
}

#[test]
fn a_gap_of_the_maximum_age_keeps_a_streak_and_one_more_slot_breaks_it() {
    for (gap, whole) in [(MAX_AGE, true), (MAX_AGE + 1, false)] {
        let (mut world, device, verdict) = proving(3, 2);
        world.attest_all(&verdict);
        world.warp(gap);
        assert_eq!(advanced(&mut world, &device), if whole { PROVING } else { UNSEEN }, "as old as {gap}");
        world.attest_for(&verdict, BURN_IN_NEW - gap);
        assert_eq!(advanced(&mut world, &device), if whole { PROVEN } else { PROVING }, "with a gap of {gap}");
        if !whole {
            world.attest_for(&verdict, gap - 1);
            assert_eq!(advanced(&mut world, &device), PROVING, "a slot short of a burn-in after the gap");
            world.warp(1);
            world.attest_all(&verdict);
            assert_eq!(advanced(&mut world, &device), PROVEN, "a burn-in after the gap");
        }
    }
}

/// One oracle of the quorum is interrupted; that the others are not does not help.
#[test]
fn a_quorum_is_as_continuous_as_its_members() {
    let (mut world, device, verdict) = proving(3, 3);
    let end = world.slot + BURN_IN_NEW;
    world.attest_all(&verdict);
    while world.slot < end {
        world.warp(MAX_AGE / 2);
        let bad = world.slot == end - MAX_AGE;
        for oracle in 0..3 {
            let byte = if bad && oracle == 1 { DeviceHealth::Impaired.byte() } else { LINKS };
            world.attest(oracle, &[(verdict[0].0, byte)]).unwrap();
        }
    }
    assert_eq!(advanced(&mut world, &device), PROVING);
}

#[test]
fn an_oracle_that_was_removed_says_nothing_and_leaves_no_streak_to_its_successor() {
    let (mut world, device, verdict) = proving(3, 2);
    world.attest_for(&verdict, BURN_IN_NEW - 1);
    let removed = world.oracles[1].insecure_clone();
    let stays = [0, 2].map(|n| world.oracles[n].insecure_clone());
    let successor = Keypair::new();
    // The successor stands where the removed one stood: in its entries.
    let set = vec![stays[0].insecure_clone(), successor.insecure_clone(), stays[1].insecure_clone()];
    world.set_oracles(set, 2).unwrap();
    world.warp(1);
    let slot = world.slot;
    assert_eq!(refused(say(&mut world, &removed, (slot - 1, slot), &verdict)), ErrorCode::NotOracle);
    world.attest(1, &verdict).unwrap();
    let entry = world.attestations(&verdict[0].0).entries[1].clone();
    assert_eq!((entry.slot, entry.since), (slot, [slot, 0]), "its streak begins with itself");
    assert_eq!(advanced(&mut world, &device), UNSEEN, "one of two");
    // One oracle's burn-in is no quorum's, with the removed one's entries full behind it.
    world.attest(1, &verdict).unwrap();
    for _ in 0..=BURN_IN_NEW / MAX_AGE {
        world.warp(MAX_AGE);
        world.attest(1, &verdict).unwrap();
    }
    assert_eq!(advanced(&mut world, &device), UNSEEN);
}

/// Entries beyond the set are nobody's, whatever they hold.
#[test]
fn entries_beyond_a_set_that_shrank_count_for_nothing() {
    let (mut world, device, verdict) = proving(3, 2);
    let keys = world.oracles.iter().take(2).map(Keypair::insecure_clone).collect();
    world.set_oracles(keys, 2).unwrap();
    world.attest(0, &verdict).unwrap();
    let (slot, epoch) = (world.slot, world.network().oracle_epoch);
    let attestations = world.ix.addresses().attestations(&verdict[0].0);
    plant_entries(&mut world, &attestations, |n, entry| {
        if n != 1 {
            *entry = full(slot, epoch);
        }
    });
    assert_eq!(advanced(&mut world, &device), UNSEEN, "entries 0 and 2, and a set of two");
    plant_entries(&mut world, &attestations, |_, entry| *entry = full(slot, epoch));
    assert_eq!(advanced(&mut world, &device), PROVEN, "entries 0 and 1");
}

fn full(slot: u64, epoch: u32) -> RawAttestation {
    let mut entry: RawAttestation = bytemuck::Zeroable::zeroed();
    entry.verdict = LINKS;
    entry.epoch.set(epoch);
    entry.slot.set(slot);
    entry.since[0].set(slot - BURN_IN_NEW);
    entry
}

fn plant_entries(
    world: &mut World,
    attestations: &solana_sdk::pubkey::Pubkey,
    mut change: impl FnMut(usize, &mut RawAttestation),
) {
    world.tamper(attestations, |account| {
        let entries: &mut [RawAttestation] = bytemuck::cast_slice_mut(&mut account.data[RawAttestations::LEN + 4..]);
        for (n, entry) in entries.iter_mut().enumerate() {
            change(n, entry);
        }
    });
}

#[test]
fn without_oracles_nobody_may_speak_and_nothing_ever_moves() {
    let (mut world, device, verdict) = proving(3, 2);
    world.attest_for(&verdict, BURN_IN_NEW);
    let former = world.oracles[0].insecure_clone();
    world.set_oracles(Vec::new(), 0).unwrap();
    assert_eq!(advanced(&mut world, &device), UNSEEN, "with three oracles it would have moved");
    let slot = world.slot;
    assert_eq!(refused(say(&mut world, &former, (slot - 1, slot), &verdict)), ErrorCode::NotOracle);
    // Full entries of the epoch in force, and a set of nobody.
    let (attestations, epoch) = (world.ix.addresses().attestations(&verdict[0].0), world.network().oracle_epoch);
    plant_entries(&mut world, &attestations, |_, entry| *entry = full(slot, epoch));
    assert_eq!(advanced(&mut world, &device), UNSEEN);
}

/// The program allows no quorum of nobody for a set of somebody. Were it ever stored, it would not be met either.
#[test]
fn a_quorum_of_zero_is_never_met() {
    let (mut world, device, verdict) = proving(3, 2);
    let keys = world.oracles.iter().map(Keypair::insecure_clone).collect();
    assert_eq!(refused(world.set_oracles(keys, 0)), ErrorCode::QuorumNotAllowed);
    world.attest_for(&verdict, BURN_IN_NEW);
    let network = world.ix.addresses().network();
    world.tamper(&network, |account| {
        let record: &mut RawNetwork = bytemuck::from_bytes_mut(&mut account.data[..RawNetwork::LEN]);
        record.quorum = 0;
    });
    assert_eq!(advanced(&mut world, &device), UNSEEN);
}

/// Slot 0 stands for never: a word that is given in it begins no streak.
#[test]
fn a_word_in_slot_zero_is_never_and_one_in_slot_one_begins_a_streak() {
    for (first, counted_from) in [(0, MAX_AGE), (1, 1)] {
        let (mut world, device, verdict) = proving(1, 1);
        let oracle = world.oracles[0].insecure_clone();
        let mut words = (0..).map(|n| first + n * MAX_AGE);
        let mut slot = 0;
        while slot < counted_from + BURN_IN_NEW {
            slot = words.next().unwrap();
            world.slot = slot;
            world.svm.warp_to_slot(slot);
            say(&mut world, &oracle, (0, slot), &verdict).unwrap();
            let since = world.attestations(&verdict[0].0).entries[0].since[0];
            assert_eq!(since, if slot < counted_from { 0 } else { counted_from }, "at slot {slot}");
            let expected = match slot {
                0 => UNSEEN,
                _ if slot < counted_from + BURN_IN_NEW => PROVING,
                _ => PROVEN,
            };
            assert_eq!(advanced(&mut world, &device), expected, "from slot {first}, at {slot}");
        }
    }
}

/// The last slots that there are: a burn-in that ends in the very last one is a burn-in like any other.
#[test]
fn a_burn_in_works_up_to_the_last_slot_and_not_a_slot_short() {
    for (begin, expected) in [(u64::MAX - BURN_IN_NEW, PROVEN), (u64::MAX - BURN_IN_NEW + 1, PROVING)] {
        let (mut world, device, verdict) = proving(3, 2);
        world.warp(begin - world.slot);
        world.attest_for(&verdict, u64::MAX - begin);
        assert_eq!(world.slot, u64::MAX);
        assert_eq!(advanced(&mut world, &device), expected, "from {begin}");
    }
}

/// A sequence at its end is an error, not a beginning.
#[test]
fn a_sequence_that_is_used_up_refuses_every_change() {
    let (mut world, device, verdict) = proving(1, 1);
    let attestations = world.ix.addresses().attestations(&verdict[0].0);
    let subject = world.ix.addresses().device(&device);
    for address in [attestations, subject] {
        world.tamper(&address, |account| account.data[8..16].copy_from_slice(&u64::MAX.to_le_bytes()));
    }
    let before = [attestations, subject].map(|address| world.account(&address));
    assert_eq!(refused(world.attest(0, &verdict)), ErrorCode::Overflow);
    assert_eq!(refused(world.advance_device(&device)), ErrorCode::Overflow);
    assert_eq!([attestations, subject].map(|address| world.account(&address)), before);
}

/// Every combination of the numbers that the rule looks at, at both ends of their range, in a set of one oracle.
#[test]
fn no_number_makes_a_streak_longer_than_it_is() {
    let (world, device, verdict) = proving(1, 1);
    let (network, epoch) = (world.ix.addresses().network(), world.network().oracle_epoch);
    let attestations = world.ix.addresses().attestations(&verdict[0].0);
    let refs = world.device_refs(&device);
    let advance = world.ix.advance_device(&world.authority.pubkey(), &refs, 0);
    let mut scene = Scene::new(world);
    let (mut cases, mut moved) = (0, 0);
    for now in [1, 2, 1_000, u64::MAX - 1, u64::MAX] {
        scene.world.svm.warp_to_slot(now);
        let back = |slots: u64| now.saturating_sub(slots);
        for spoke in [0, 1, back(21), back(20), now, now.saturating_add(1), u64::MAX] {
            for since in [0, 1, back(100), back(1), now, u64::MAX] {
                for status_since in [0, 1, back(40), now, u64::MAX] {
                    for (burn_in, max_age) in [1, 20, 100, u64::MAX - 1, u64::MAX]
                        .into_iter()
                        .flat_map(|burn_in| [1, 20, u64::MAX].map(|max_age| (burn_in, max_age)))
                    {
                        let numbers = Numbers { now, spoke, since, status_since, burn_in, max_age };
                        for status in [DeviceStatus::LinkProvisioning, DeviceStatus::Drained] {
                            scene.restore(0);
                            scene.plant(&network, |network: &mut RawNetwork| {
                                network.burn_in_new_slots.set(burn_in);
                                network.burn_in_maintenance_slots.set(burn_in);
                                network.attestation_max_age_slots.set(max_age);
                            });
                            scene.plant(&refs.device, |device: &mut RawDevice| {
                                device.header.status = status.byte();
                                device.header.desired = DesiredStatus::Activated.byte();
                                device.header.status_since_slot.set(status_since);
                                device.activated_wan_links.set(1);
                            });
                            scene.plant_bytes(&attestations, |bytes| {
                                let entry = &mut bytes[RawAttestations::LEN + 4..][..RawAttestation::LEN];
                                let entry: &mut RawAttestation = bytemuck::from_bytes_mut(entry);
                                entry.verdict = DeviceHealth::ReadyForUsers.byte();
                                entry.epoch.set(epoch);
                                entry.slot.set(spoke);
                                entry.since = [since.into(), since.into()];
                            });
                            scene.send(&advance).unwrap_or_else(|error| panic!("{error}: {numbers:?}"));
                            let up = match status {
                                DeviceStatus::Drained => numbers.undrains(),
                                _ => numbers.activates(),
                            };
                            let expected = if up { DeviceStatus::Activated } else { status };
                            let found: RawDevice = scene.record(&refs.device).unwrap();
                            assert_eq!(found.header.status, expected.byte(), "{status} {numbers:?}");
                            cases += 1;
                            moved += usize::from(up);
                        }
                    }
                }
            }
        }
    }
    assert!(moved > 100, "{moved} of {cases} moved");
    counts::report("numbers at their limits", cases);
}
