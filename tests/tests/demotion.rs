//! Everything that can go wrong with what is in service, on a real ledger with three real oracles over the simulated fabric:
//! each fault demotes at the right level within two rounds and names the criterion, and health comes back only through the
//! maintenance burn-in. Then the oracles themselves fail: nothing is promoted, nothing is demoted by fiat, and what was
//! attested expires.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use causeway_agent::sim::Fault;
use causeway_health_oracle::{
    Kind, Oracle, OracleHandle, Published,
    criteria::{Criterion, Outcome},
};
use causeway_interface::Code;
use causeway_sdk::{Snapshot, address::to_key};
use solana_sdk::{signature::Keypair, signer::Signer};

#[allow(dead_code)]
#[path = "parts/liar.rs"]
mod liar;
#[allow(dead_code)]
#[path = "parts/outside.rs"]
mod outside;
#[path = "parts/probed.rs"]
mod probed;
#[path = "parts/rounds.rs"]
mod rounds;
#[allow(dead_code)]
#[path = "parts/words.rs"]
mod words;
#[allow(dead_code)]
#[path = "parts/world.rs"]
mod world;

use liar::FakeImpatient;
use outside::{FakeWebhook, Wire};
use rounds::Rounds;
use words::{Word, attests, burned_in, streak};
use world::{
    BURN_IN_MAINTENANCE_SLOTS, BURN_IN_NEW_SLOTS, MAX_AGE_SLOTS, POLL, ROUND, SAMPLE, SLOT_MS, World, all_well, rules,
    states,
};

/// Oracles, and how many have to agree.
const ORACLES: usize = 3;
const QUORUM: usize = 2;
/// The oracle whose store breaks, and the one whose way to the RPC is cut.
const WITHOUT_STORE: usize = 0;
const WITHOUT_RPC: usize = 1;
/// Rounds within which a fault has to show in a verdict, from the moment from which it could.
const ROUNDS_TO_SHOW: usize = 2;
/// Rounds more until the ledger shows it: one in which the words are read back, two of every oracle before it in line to
/// advance, one for each transaction to land.
const ROUNDS_TO_FALL: usize = ROUNDS_TO_SHOW + 1 + 2 * (ORACLES - 1) + 2;
/// Longest wait for everything to be in service, on a slow machine.
const INTO_SERVICE: Duration = Duration::from_secs(600);
/// Longest wait for any other change.
const CHANGE: Duration = Duration::from_secs(300);
/// Packets of a thousand that the fault loses.
const LOSS_PER_MILLE: u16 = 300;
/// Errors a second that the fault counts.
const ERRORS_PER_SECOND: u32 = 50;

type Subject = (Kind, Code);

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap()
}

fn now_ms() -> u64 {
    ms(SystemTime::now().duration_since(UNIX_EPOCH).unwrap())
}

/// Latest moment after a fault at which the data that shows it can be judged, by the rules and intervals alone.
mod lag {
    use super::*;

    /// The next sample holds it; its bucket has to end, and what is in it to arrive.
    pub fn of_a_bad_sample() -> u64 {
        ms(SAMPLE) + rules().bucket_ms + rules().lag_ms
    }

    /// The sample that is under way still counts traffic; from the next bucket on none does, for longer than the gap.
    pub fn of_no_traffic() -> u64 {
        ms(SAMPLE) + rules().bucket_ms + of_a_gap()
    }

    /// The bucket of the last sample ends; then buckets are missing for longer than the gap.
    pub fn of_silence() -> u64 {
        rules().bucket_ms + of_a_gap()
    }

    fn of_a_gap() -> u64 {
        rules().max_gap_ms + rules().bucket_ms + rules().lag_ms
    }

    /// The agent polls, has its grace, and says so in the next sample.
    pub fn of_a_refused_configuration() -> u64 {
        ms(POLL) + rules().config_grace_ms + ms(SAMPLE) + rules().lag_ms
    }
}

/// What a fault has to lead to.
struct Case {
    fault: &'static str,
    subject: Subject,
    level: &'static str,
    criterion: Criterion,
    outcome: Outcome,
    lag_ms: u64,
}

struct Stage {
    world: World,
    oracles: Vec<OracleHandle>,
    rounds: Vec<Rounds>,
    webhook: FakeWebhook,
    wire: Wire,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_is_seen_named_and_healed_through_the_burn_in() {
    let mut stage = start().await;
    stage.world.until("all in service", INTO_SERVICE, all_well).await;
    everyone_reaches_everyone(&stage).await;
    faults_of_links(&stage).await;
    faults_of_devices(&mut stage).await;
    the_oracles_fail(&stage).await;
    let Stage { world, oracles, .. } = stage;
    for oracle in oracles {
        oracle.shutdown().await;
    }
    world.stop().await;
}

async fn start() -> Stage {
    let mut world = World::start(ORACLES, QUORUM as u8).await;
    let webhook = FakeWebhook::start().await;
    let wire = Wire::start(world.localnet.rpc_url()).await;
    let mut oracles = Vec::new();
    for place in 0..ORACLES {
        let mut config = world.oracle(place);
        config.webhook = Some(webhook.url.clone());
        if place == WITHOUT_RPC {
            config.rpc_url = wire.url.clone();
        }
        oracles.push(Oracle::start(config).await.unwrap());
    }
    let urls: Vec<String> = oracles.iter().map(OracleHandle::base_url).collect();
    world.start_agents(&urls);
    let rounds = oracles.iter().map(Rounds::of).collect();
    Stage { world, oracles, rounds, webhook, wire }
}

/// In a ring each device is a QA target of both others; the probe plans bring that about, and the answers are kept.
async fn everyone_reaches_everyone(Stage { world, .. }: &Stage) {
    let devices = world.devices();
    let pairs = devices.iter().flat_map(|from| devices.iter().map(|to| (*from, *to)));
    let all: BTreeSet<_> = pairs.filter(|(from, to)| from != to).collect();
    for place in 0..ORACLES {
        let data = world.oracle(place).data_dir;
        let told = tokio::time::timeout(CHANGE, async {
            while probed::answered(&data, rules().bucket_ms) != all {
                tokio::time::sleep(ROUND).await;
            }
        });
        assert!(told.await.is_ok(), "oracle {place}: {:?}", probed::answered(&data, rules().bucket_ms));
    }
}

/// One fault on each link of the ring. The devices don't suffer: each has another link, or what fails is not theirs.
async fn faults_of_links(stage: &Stage) {
    let Stage { world, .. } = stage;
    let [a, b, c] = world.devices()[..] else { panic!("three devices") };
    let (ab, bc, ca) = (world.link(&a, &b), world.link(&b, &c), world.link(&c, &a));
    let began_ms = now_ms();
    let faults = [
        Fault::SendLoss { port: world.port(&a, &ab), per_mille: LOSS_PER_MILLE },
        Fault::InterfaceErrors { port: world.port(&b, &bc), per_second: ERRORS_PER_SECOND },
        Fault::AdjacencyDrop { port: world.port(&c, &ca) },
    ]
    .map(|fault| world.fabric.inject(fault));
    let impaired = |fault, link, criterion| Case {
        fault,
        subject: (Kind::Link, link),
        level: "impaired",
        criterion,
        outcome: Outcome::Failed,
        lag_ms: lag::of_a_bad_sample(),
    };
    let cases = [
        impaired("packet loss", ab, Criterion::L2),
        impaired("interface errors", bc, Criterion::L1),
        impaired("adjacency down", ca, Criterion::L3),
    ];
    let fell = demoted(stage, &cases, began_ms).await;
    for (subject, state) in states(&fell) {
        assert_eq!(state.status, "activated", "{subject:?}: falling health takes nothing out of service");
        assert!(subject.0 == Kind::Link || state.health == "ready-for-users", "{subject:?}: {state:?}");
    }
    assert!(faults.into_iter().all(|fault| world.fabric.heal(fault)));
    healed(stage, &cases, &fell).await;
}

/// No traffic on one device's uplink and on a link of it; a second one refuses its configuration; the third one's agent is
/// killed, so that nothing is known of it, nor of that end of its links.
async fn faults_of_devices(stage: &mut Stage) {
    let [a, b, c] = stage.world.devices()[..] else { panic!("three devices") };
    let world = &mut stage.world;
    let (ab, bc, ca) = (world.link(&a, &b), world.link(&b, &c), world.link(&c, &a));
    let refusing = Fault::RejectLine { device: b.to_string(), containing: "metric".to_owned() };
    let mut faults = vec![world.fabric.inject(refusing)];
    // Another delay is another metric at both ends: what is offered changes, and one end does not take it.
    let mut site = world.site.clone();
    let slower = |link: &mut causeway_cli::site::LinkSpec| link.delay_override_ns = 2 * link.delay_ns;
    site.links.iter_mut().filter(|link| link.code == ab).for_each(slower);
    world.apply(&site).await;
    world.site = site;
    let mute = [world.dia_port(&a), world.port(&a, &ab)];
    faults.extend(mute.map(|port| world.fabric.inject(Fault::NoTraffic { port })));
    world.agents.remove(&c).unwrap().kill();
    let began_ms = now_ms();

    let case =
        |fault, subject, level, criterion, outcome, lag_ms| Case { fault, subject, level, criterion, outcome, lag_ms };
    let (device, link) = (|code| (Kind::Device, code), |code| (Kind::Link, code));
    let (failed, missing) = (Outcome::Failed, Outcome::NotObserved);
    let (idle, silent, refused) = (lag::of_no_traffic(), lag::of_silence(), lag::of_a_refused_configuration());
    let cases = [
        case("no traffic on the uplink", device(a), "impaired", Criterion::D4, failed, idle),
        case("no traffic on the link", link(ab), "impaired", Criterion::L1, failed, idle),
        case("configuration not applied", device(b), "impaired", Criterion::D6, failed, refused),
        case("agent silent: counters", device(c), "pending", Criterion::D5, missing, silent),
        case("agent silent: probes", device(c), "pending", Criterion::D7, missing, silent),
        case("agent silent: its links' counters", link(bc), "pending", Criterion::L1, missing, silent),
        case("agent silent: its links' probes", link(bc), "pending", Criterion::L2, missing, silent),
        case("agent silent: its links' adjacencies", link(ca), "pending", Criterion::L3, missing, silent),
    ];
    let fell = demoted(stage, &cases, began_ms).await;
    for (subject, state) in states(&fell) {
        assert_eq!(state.status, "activated", "{subject:?}: falling health takes nothing out of service");
    }
    assert!(faults.into_iter().all(|fault| stage.world.fabric.heal(fault)));
    let urls: Vec<String> = stage.oracles.iter().map(OracleHandle::base_url).collect();
    stage.world.start_agent(c, &urls);
    healed(stage, &cases, &fell).await;
}

/// Every oracle finds it within two rounds, at the right level and by the right criterion; the ledger follows; people are
/// told. Returns the ledger when everything has fallen.
async fn demoted(stage: &Stage, cases: &[Case], began_ms: u64) -> Snapshot {
    let Stage { world, rounds, webhook, .. } = stage;
    let all = |snapshot: &Snapshot| {
        let states = states(snapshot);
        cases.iter().all(|case| states[&case.subject].health == "impaired")
    };
    let fell = world.until("the ledger shows every fault", CHANGE, all).await;
    for case in cases {
        let from_ms = began_ms + case.lag_ms;
        let fault = case.fault;
        for (place, rounds) in rounds.iter().enumerate() {
            let rounds = rounds.since(began_ms);
            let shows = |round: &&Arc<Published>| {
                let verdict = &round.subjects[&case.subject].verdict;
                let criterion = verdict.criteria.iter().find(|c| c.id == case.criterion).unwrap();
                verdict.level.name() == case.level && criterion.passed == case.outcome
            };
            // The round that shows it is at the latest the second one that could.
            let needless: Vec<_> = rounds.iter().take_while(|round| !shows(round)).collect();
            let late = needless.iter().filter(|round| round.at_ms >= from_ms).count();
            let shown = needless.len() < rounds.len();
            assert!(
                shown && late < ROUNDS_TO_SHOW,
                "{fault}: oracle {place} shows it {late} rounds after the {} ms that it may take: {:?}",
                case.lag_ms,
                rounds.last().map(|r| &r.subjects[&case.subject].verdict)
            );
            println!("{fault}: oracle {place} after {} ms", rounds[needless.len()].at_ms - began_ms);
        }
        let health = states(&fell)[&case.subject].clone();
        let slot_of = |round: &Arc<Published>| round.slot;
        let counted = rounds[0].since(from_ms).iter().map(slot_of).filter(|slot| *slot < health.health_since).count();
        assert!(counted <= ROUNDS_TO_FALL, "{fault}: the ledger shows it after {counted} rounds");
        let word = if case.outcome == Outcome::Failed { case.level } else { "is not observed" };
        let words = [case.subject.1.to_string(), word.to_owned(), case.criterion.name().to_owned()];
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        // Delivery is not awaited by the round that alerts.
        let told = tokio::time::timeout(CHANGE, async {
            while !webhook.heard(&words) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        assert!(told.await.is_ok(), "{fault}: no alert with {words:?} in {:#?}", webhook.texts());
    }
    fell
}

async fn spoken(world: &World, subjects: BTreeSet<Subject>) -> BTreeMap<Subject, Vec<Vec<Word>>> {
    let mut all: BTreeMap<Subject, Vec<Vec<Word>>> = BTreeMap::new();
    for key in &world.oracle_keys {
        let attests = attests(world.ledger(), &key.pubkey()).await;
        for subject in &subjects {
            let account = to_key(&world.ledger().addresses().attestations(&world.key(subject.0, &subject.1)));
            all.entry(*subject).or_default().push(words::words(&attests, subject.0, &account));
        }
    }
    all
}

/// Health comes back through the maintenance burn-in, counted in the ledger's slots from the oracles' own words, although
/// somebody advances in every slot; and it is the maintenance burn-in, not the longer one.
async fn healed(stage: &Stage, cases: &[Case], fell: &Snapshot) {
    let Stage { world, .. } = stage;
    let impatient_key = Arc::new(Keypair::new());
    world.localnet.fund(&[impatient_key.pubkey()], causeway_localnet::LAMPORTS).await.unwrap();
    let impatient = FakeImpatient::start(world.ledger().clone(), impatient_key);
    let well = world.until("everything is well again", CHANGE, all_well).await;
    drop(impatient);
    let subjects: BTreeSet<Subject> = cases.iter().map(|case| case.subject).collect();
    let spoken = spoken(world, subjects).await;
    let (fell, well) = (states(fell), states(&well));
    for case in cases {
        let (kind, code) = case.subject;
        let height = match kind {
            Kind::Device => 2,
            Kind::Link => 1,
        };
        let (down, up) = (fell[&case.subject].health_since, well[&case.subject].health_since);
        let words = &spoken[&case.subject];
        let long = burned_in(words, height, up, BURN_IN_MAINTENANCE_SLOTS, MAX_AGE_SLOTS);
        let mut since: Vec<u64> =
            words.iter().filter_map(|w| streak(w, height, up, MAX_AGE_SLOTS)).map(|(since, _)| since).collect();
        since.sort_unstable();
        let name = format!(
            "{}: {} {code} fell in slot {down}, is well in {up}, streaks since {since:?}",
            case.fault,
            kind.name()
        );
        println!("{name}");
        assert!(up > down && long >= QUORUM, "{name}: {long} burn-ins");
        assert!(since[QUORUM - 1] > down, "{name}: a streak outlived the fault");
        assert!(up >= since[QUORUM - 1] + BURN_IN_MAINTENANCE_SLOTS, "{name}");
        assert!(up < since[QUORUM - 1] + BURN_IN_NEW_SLOTS, "{name}: that is the burn-in of the new");
    }
    causeway_tests::count("faults seen, named and healed", cases.len() as u64);
}

/// Garbage in place of what a database file holds.
fn spoil(path: &std::path::Path) {
    let length = std::fs::metadata(path).unwrap().len();
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &vec![0xa5; usize::try_from(length).unwrap()], 0).unwrap();
    file.sync_all().unwrap();
}

/// One oracle's store can't be read, another's ledger can't be reached: both are silent, not wrong. The third alone is no
/// quorum, so that health expires; nothing leaves service and nothing is called impaired. With the way to the ledger
/// mended, health is back after a burn-in.
async fn the_oracles_fail(stage: &Stage) {
    let Stage { world, oracles, webhook, wire, .. } = stage;
    let before = states(&world.snapshot().await);
    let failed_before: Vec<u64> = oracles.iter().map(|o| o.counters().failed_rounds).collect();
    let data = world.oracle(WITHOUT_STORE).data_dir;
    for name in ["telemetry.sqlite", "telemetry.sqlite-wal"] {
        spoil(&data.join(name));
    }
    wire.cut();
    let broken_at = world.slot().await;

    let unknown = |snapshot: &Snapshot| states(snapshot).values().all(|state| state.health == "unknown");
    let expired = world.until("health expires", CHANGE, unknown).await;
    let subjects: BTreeSet<Subject> = world.subjects().into_iter().collect();
    let said = spoken(world, subjects.clone()).await;
    // Words that were under way land; a round and what it sent are soon over.
    let under_way = 2 * ms(ROUND) / SLOT_MS;
    for (subject, state) in states(&expired) {
        assert_eq!(state.status_since, before[&subject].status_since, "{subject:?} moved");
        let mut newest = 0;
        for (place, words) in
            said[&subject].iter().enumerate().filter(|(n, _)| [WITHOUT_STORE, WITHOUT_RPC].contains(n))
        {
            let last = words.iter().rfind(|w| w.slot <= state.health_since).unwrap();
            assert!(last.slot <= broken_at + under_way, "{subject:?}: oracle {place} speaks in {}", last.slot);
            let full = if subject.0 == Kind::Device { 2 } else { 1 };
            assert_eq!(last.rank, full, "{subject:?}: what can't be read is no word against anything");
            newest = newest.max(last.slot);
        }
        assert!(
            state.health_since > newest + MAX_AGE_SLOTS,
            "{subject:?}: unknown in {state:?}, last words in {newest}"
        );
    }
    let causes =
        [(WITHOUT_STORE, "the telemetry store could not be read"), (WITHOUT_RPC, "the ledger could not be read")];
    for (place, cause) in causes {
        let failed = oracles[place].counters().failed_rounds - failed_before[place];
        assert!(failed > 0, "oracle {place}: {failed} rounds failed");
        let words = [format!("oracle-{place}: rounds fail"), cause.to_owned()];
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        assert!(webhook.heard(&words), "{words:?} in {:#?}", webhook.texts());
    }

    wire.mend();
    let mended_at = world.slot().await;
    let well = states(&world.until("everything is well again", CHANGE, all_well).await);
    let said = spoken(world, subjects.clone()).await;
    for subject in &subjects {
        let height = if subject.0 == Kind::Device { 2 } else { 1 };
        let up = well[subject].health_since;
        let long = burned_in(&said[subject], height, up, BURN_IN_MAINTENANCE_SLOTS, MAX_AGE_SLOTS);
        assert!(long >= QUORUM, "{subject:?}: {long} burn-ins");
        assert!(up >= mended_at + BURN_IN_MAINTENANCE_SLOTS, "{subject:?}: well in {up}, mended in {mended_at}");
        assert_eq!(well[subject].status_since, before[subject].status_since, "{subject:?} moved");
    }
}
