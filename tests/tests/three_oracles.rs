//! Three oracles, quorum two, on a real ledger: one lies, one is silent, one is honest. Nothing is promoted wrongly; with
//! an honest one in the silent one's place everything is, after the burn-in and not a slot earlier. Then the three over
//! what is in service: a lone one neither raises nor lowers anything.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use causeway_agent::sim::Fault;
use causeway_health_oracle::{Kind, Oracle, OracleHandle};
use causeway_interface::{Code, Key};
use causeway_sdk::{Ledger, Snapshot, address::to_key};
use solana_sdk::{pubkey::Pubkey, signature::Keypair, signer::Signer};
use tokio::task::JoinHandle;

#[allow(dead_code)]
#[path = "parts/liar.rs"]
mod liar;
#[allow(dead_code)]
#[path = "parts/words.rs"]
mod words;
#[allow(dead_code)]
#[path = "parts/world.rs"]
mod world;

use liar::{FakeImpatient, FakeLiar, Lie};
use words::{LandedAttest, Word, attests, burned_in, first_due, landed, streak};
use world::{BURN_IN_MAINTENANCE_SLOTS, BURN_IN_NEW_SLOTS, MAX_AGE_SLOTS, State, World, all_well, states};

/// Places in the set.
const HONEST: usize = 0;
const SILENT: usize = 1;
const LIAR: usize = 2;
/// Oracles that have to agree.
const QUORUM: usize = 2;
/// Burn-ins for which the liar gets its way without any help.
const BURN_INS_ALONE: u64 = 2;
/// Longest wait for everything to be in service: three stages of a settling, a streak and a burn-in, on a slow machine.
const INTO_SERVICE: Duration = Duration::from_secs(600);
/// Longest wait for any other change.
const CHANGE: Duration = Duration::from_secs(300);
/// Packets of a thousand that the fault loses: seen in every bucket.
const LOSS_PER_MILLE: u16 = 300;
/// Of the slots before a promotion, the share in which an `Advance` has to have been executed for "not a slot earlier" to
/// mean anything, in percent: a busy machine does not get one into each.
const ADVANCED_SLOTS_PERCENT: u64 = 50;

/// Time between two looks of the trail: states last for seconds, and sequences tell what comes and goes in between.
const TRAIL_EVERY: Duration = Duration::from_millis(200);

type Subject = (Kind, Code);

/// Every state that was seen of every subject, in order.
struct Trail {
    seen: Arc<Mutex<BTreeMap<Subject, Vec<State>>>>,
    task: JoinHandle<()>,
}

impl Drop for Trail {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Trail {
    fn start(ledger: Ledger) -> Self {
        let seen = Arc::new(Mutex::new(BTreeMap::<_, Vec<State>>::new()));
        let noted = seen.clone();
        let task = tokio::spawn(async move {
            loop {
                if let Ok(snapshot) = ledger.snapshot().await {
                    let mut noted = noted.lock().unwrap();
                    for (subject, state) in states(&snapshot) {
                        let of = noted.entry(subject).or_default();
                        if of.last() != Some(&state) {
                            of.push(state);
                        }
                    }
                }
                tokio::time::sleep(TRAIL_EVERY).await;
            }
        });
        Self { seen, task }
    }

    fn of(&self, subject: &Subject) -> Vec<State> {
        self.seen.lock().unwrap().get(subject).cloned().unwrap_or_default()
    }
}

/// Sequences of all subjects: each mutation adds one.
fn sequences(snapshot: &Snapshot) -> BTreeMap<Subject, u64> {
    let devices = snapshot.devices.values().map(|d| ((Kind::Device, d.code), d.header.sequence));
    devices.chain(snapshot.links.values().map(|l| ((Kind::Link, l.code), l.header.sequence))).collect()
}

/// Height that a subject needs to enter a status.
fn needed(status: &str, kind: Kind) -> Option<u8> {
    match (kind, status) {
        (Kind::Device, "link-provisioning") | (Kind::Link, "activated") => Some(1),
        (Kind::Device, "activated") => Some(2),
        _ => None,
    }
}

struct Stage {
    world: World,
    liar: FakeLiar,
    impatient: FakeImpatient,
    trail: Trail,
    honest: OracleHandle,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_liar_a_silent_one_and_an_honest_one() {
    let mut stage = start().await;
    nothing_is_promoted_by_a_liar(&stage).await;

    let second = Oracle::start(stage.world.oracle(SILENT)).await.unwrap();
    let urls = [stage.honest.base_url(), second.base_url()];
    stage.world.start_agents(&urls);
    stage.world.until("all in service", INTO_SERVICE, all_well).await;
    promoted_after_the_burn_in_and_not_a_slot_earlier(&stage).await;

    a_lone_naysayer_demotes_nothing(&stage).await;
    second.shutdown().await;
    the_silence_of_one_and_the_lie_of_another_raise_nothing(&stage).await;

    let Stage { world, honest, liar, impatient, trail } = stage;
    drop((liar, impatient, trail));
    honest.shutdown().await;
    world.stop().await;
}

async fn start() -> Stage {
    let world = World::start(3, QUORUM as u8).await;
    let impatient_key = Arc::new(Keypair::new());
    world.localnet.fund(&[impatient_key.pubkey()], causeway_localnet::LAMPORTS).await.unwrap();
    let trail = Trail::start(world.ledger().clone());
    let honest = Oracle::start(world.oracle(HONEST)).await.unwrap();
    let liar = FakeLiar::start(world.sender.clone(), world.oracle_keys[LIAR].clone(), Lie::AlwaysGood);
    let impatient = FakeImpatient::start(world.ledger().clone(), impatient_key);
    Stage { world, liar, impatient, trail, honest }
}

/// No agent runs, so that nothing is known of any device: the honest one says so, the liar says that all is well.
async fn nothing_is_promoted_by_a_liar(stage: &Stage) {
    let Stage { world, trail, .. } = stage;
    let spoken = |snapshot: &Snapshot| {
        let devices = snapshot.devices.keys();
        devices.map(|key| &snapshot.attestations[key].entries).all(|e| e[HONEST].slot > 0 && e[LIAR].slot > 0)
    };
    let before = world.until("first words of both", CHANGE, spoken).await;
    world.wait_for_slot(before.slot + BURN_INS_ALONE * BURN_IN_NEW_SLOTS).await;
    let after = world.snapshot().await;
    for (key, device) in &after.devices {
        let entries = &after.attestations[key].entries;
        let alone = entries[LIAR].slot - entries[LIAR].since[1];
        assert!(entries[LIAR].since[1] > 0 && alone >= BURN_IN_NEW_SLOTS, "the liar had its burn-in: {alone} slots");
        assert_eq!(entries[HONEST].verdict, 1, "{}: the honest one says pending", device.code);
        assert_eq!(entries[SILENT].slot, 0, "the silent one is silent");
    }
    let (first, last) = (sequences(&before), sequences(&after));
    for subject in world.subjects() {
        let seen = trail.of(&subject);
        let statuses: BTreeSet<_> = seen.iter().map(|state| state.status).collect();
        assert_eq!(statuses.len(), 1, "{subject:?} moved: {seen:?}");
        let healths: Vec<_> = seen.iter().map(|state| state.health).collect();
        assert!(healths.iter().all(|health| ["unknown", "pending"].contains(health)), "{subject:?}: {seen:?}");
        // From unknown to pending, once a quorum speaks at all; nothing came and went unseen.
        assert!(last[&subject] - first[&subject] <= 1, "{subject:?}: {} changes", last[&subject] - first[&subject]);
    }
}

struct Spoken {
    oracles: Vec<Vec<LandedAttest>>,
}

impl Spoken {
    async fn read(world: &World) -> Self {
        let mut oracles = Vec::new();
        for key in &world.oracle_keys {
            oracles.push(attests(world.ledger(), &key.pubkey()).await);
        }
        Self { oracles }
    }

    fn of(&self, world: &World, (kind, code): &Subject) -> Vec<Vec<Word>> {
        let account = to_key(&world.ledger().addresses().attestations(&world.key(*kind, code)));
        self.oracles.iter().map(|attests| words::words(attests, *kind, &account)).collect()
    }
}

async fn promoted_after_the_burn_in_and_not_a_slot_earlier(stage: &Stage) {
    let Stage { world, trail, impatient, .. } = stage;
    let spoken = Spoken::read(world).await;
    let mut promotions = 0;
    for subject in world.subjects() {
        let (kind, code) = subject;
        let words = spoken.of(world, &subject);
        let advanced = executed(world.ledger(), &world.key(kind, &code), &impatient.sent(&subject)).await;
        let trail = trail.of(&subject);
        let mut statuses: Vec<(&str, u64)> = trail.iter().map(|s| (s.status, s.status_since)).collect();
        statuses.dedup();
        for (status, slot) in statuses {
            let Some(height) = needed(status, kind) else { continue };
            promotions += 1;
            let name = format!("{} {code} into {status} in slot {slot}", kind.name());
            let streaks: Vec<_> = words.iter().map(|w| streak(w, height, slot, MAX_AGE_SLOTS)).collect();
            let long = burned_in(&words, height, slot, BURN_IN_NEW_SLOTS, MAX_AGE_SLOTS);
            assert!(long >= QUORUM, "{name}: only {long} had their burn-in: {streaks:?}");
            // The liar's was long over: it is an honest one's that counts.
            let honest = burned_in(&words[..LIAR], height, slot, BURN_IN_NEW_SLOTS, MAX_AGE_SLOTS);
            assert!(honest >= 1, "{name}: by the liar alone: {streaks:?}");
            let mut since: Vec<u64> = streaks.iter().flatten().map(|(since, _)| *since).collect();
            since.sort_unstable();
            assert!(slot >= since[QUORUM - 1] + BURN_IN_NEW_SLOTS, "{name}: since {since:?}");

            let due = first_due(&words, height, BURN_IN_NEW_SLOTS, MAX_AGE_SLOTS, QUORUM).unwrap();
            let from = since[QUORUM - 1];
            let tried = advanced.range(from..slot).count() as u64;
            println!("{name}: streaks since {since:?}, due in {due}, advanced in {tried} of the {} slots", slot - from);
            assert!(
                tried * 100 >= (slot - from) * ADVANCED_SLOTS_PERCENT,
                "{name}: advanced in {tried} of {} slots only",
                slot - from
            );
        }
    }
    let expected = 2 * world.devices().len() + world.site.links.len();
    assert_eq!(promotions, expected, "each device twice, each link once");
    causeway_tests::count("promotions counted again", promotions as u64);
    let from_the_accounts = world.snapshot().await;
    for (key, device) in &from_the_accounts.devices {
        let entries = &from_the_accounts.attestations[key].entries;
        let mut since: Vec<u64> = entries.iter().map(|e| e.since[1]).filter(|since| *since > 0).collect();
        since.sort_unstable();
        let promoted = device.header.status_since_slot;
        assert!(promoted >= since[QUORUM - 1] + BURN_IN_NEW_SLOTS, "{}: {promoted}, {since:?}", device.code);
    }
}

/// Slots in which these transactions were executed without an error.
async fn executed(ledger: &Ledger, subject: &Key, sent: &[solana_sdk::signature::Signature]) -> BTreeSet<u64> {
    let sent: BTreeSet<_> = sent.iter().map(ToString::to_string).collect();
    let address = Pubkey::new_from_array(subject.0);
    let all = landed(ledger, &address).await;
    all.into_iter().filter(|(_, signature)| sent.contains(&signature.to_string())).map(|(slot, _)| slot).collect()
}

/// One that calls everything impaired, against two honest ones.
async fn a_lone_naysayer_demotes_nothing(stage: &Stage) {
    let Stage { world, liar, .. } = stage;
    let before = world.snapshot().await;
    liar.says(Lie::AlwaysBad);
    let said =
        |snapshot: &Snapshot| snapshot.devices.keys().all(|key| snapshot.attestations[key].entries[LIAR].verdict == 4);
    let heard = world.until("the naysayer's word", CHANGE, said).await;
    world.wait_for_slot(heard.slot + 2 * MAX_AGE_SLOTS).await;
    let after = world.snapshot().await;
    assert!(all_well(&after), "{:#?}", states(&after));
    assert_eq!(sequences(&after), sequences(&before), "nothing changed in between either");
    liar.says(Lie::AlwaysGood);
    world.wait_for_slot(after.slot + MAX_AGE_SLOTS).await;
}

/// A link loses packets. The honest one says impaired, the liar says that all is well, the third has gone.
async fn the_silence_of_one_and_the_lie_of_another_raise_nothing(stage: &Stage) {
    let Stage { world, .. } = stage;
    let devices = world.devices();
    let code = world.link(&devices[0], &devices[1]);
    let link = (Kind::Link, code);
    let before = states(&world.snapshot().await);
    world.fabric.inject(Fault::SendLoss { port: world.port(&devices[0], &code), per_mille: LOSS_PER_MILLE });
    let impaired = |snapshot: &Snapshot| states(snapshot)[&link].health == "impaired";
    let fell = world.until("the link's health falls", CHANGE, impaired).await;
    let entries = &fell.attestations[&world.key(Kind::Link, &code)].entries;
    let state = states(&fell)[&link].clone();
    assert_eq!((entries[HONEST].verdict, entries[LIAR].verdict), (3, 2), "impaired against ready");
    // The one that has gone still counted while its last word was fresh, and with the liar it was a quorum.
    assert!(
        entries[HONEST].since[0] == 0
            && (entries[SILENT].verdict != 2 || state.health_since > entries[SILENT].slot + MAX_AGE_SLOTS),
        "{entries:?}, {state:?}"
    );
    assert_eq!(state.status, "activated", "falling health takes nothing out of service");
    assert_eq!(state.status_since, before[&link].status_since);

    // The liar alone brings nothing back.
    world.wait_for_slot(fell.slot + 2 * BURN_IN_MAINTENANCE_SLOTS).await;
    let after = states(&world.snapshot().await);
    assert_eq!(after[&link], state, "it stays as it is");
    for (subject, was) in &before {
        if *subject != link {
            assert_eq!(after[subject], *was, "{subject:?}: not its fault");
        }
    }
}
