//! A fleet's telemetry: signed ingest, a cold round and a steady round, each beside its limit measured in the same run.
//!
//! `cargo xtask bench oracle [--json] [--devices N] [--links N] [--hours H] [--signed-minutes M] [--store NAME]`
//!
//! 1. *Raw insert*: the rows of half an hour, made by the oracle's own code and given to the engine by a bare prepared batch
//!    insert: samples, signed batches, states of devices. Nothing is verified, decoded or compared.
//! 2. *Past*: the history up to the last minutes is stored by the oracle's own code, unsigned and untimed.
//! 3. *Ingest*: the last minutes as signed batches: verified, decoded, taken, stored with their signatures and synced, into
//!    the full tables. Samples a second, the same unit as the raw insert's rows.
//! 4. *Scan*: one full aggregate over the same tables, every column.
//! 5. *Cold round*: an oracle that has just started: it loads what it needs and judges everything.
//! 6. *Steady round*: a minute later, after that minute's telemetry came in: judges everything again, as the cold round did.
//! 7. *Evidence*: judges once more what is renewed in a minute, one subject in four, and shows what it was judged by.

// A bench may panic like a test: what it measures is made up here.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod clickhouse;
mod sqlite;
mod world;

use std::{collections::HashSet, path::Path, sync::Arc, time::Instant};

use anyhow::Context;
use causeway_health_oracle::criteria::Level;
use causeway_health_oracle::{
    RuleBook, Rules,
    ingest::{Directory, Limits, Prover, verify::Claimed},
    store::{Append, Commit, TelemetryStore, recorder::Recorder, writer::Writer},
    subjects::{Court, Judged, Stages},
    telemetry::{fleet::Fleet, track::BLOCK},
    time::SlotClock,
};
use causeway_interface::{DeviceHealth, Key, LinkHealth};
use clap::Parser;
use world::{MINUTE_MS, PROGRAM, World};

/// The daemon's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Milliseconds of a slot, as the ledger aims at.
const SLOT_MS: u64 = 400;
/// Minutes whose rows are inserted raw.
const RAW_MINUTES: u64 = 30;
/// Minutes of signed batches that are made ahead of being taken, so that making them is not timed.
const CHUNK_MINUTES: u64 = 5;
/// Batches of the past in one commit.
const PAST_GROUP: usize = 2_048;
/// Senders at once.
const SENDERS: usize = 64;
/// Batches that each has under way.
const UNDER_WAY: usize = 128;
/// One in so many subjects is renewed in a minute: a word of 1 500 slots (10 min) at 5/12 of its age.
const RENEWED_ONE_IN: usize = 4;

#[derive(Debug, Parser)]
struct Args {
    /// One line of JSON per store.
    #[arg(long)]
    json: bool,
    /// Devices.
    #[arg(long, default_value_t = 10_000)]
    devices: usize,
    /// Links.
    #[arg(long, default_value_t = 50_000)]
    links: usize,
    /// Hours of one-minute samples.
    #[arg(long, default_value_t = 20.0)]
    hours: f64,
    /// Minutes of them that are signed, verified and timed.
    #[arg(long, default_value_t = 60)]
    signed_minutes: u64,
    /// Only this store: sqlite or clickhouse.
    #[arg(long)]
    store: Option<String>,
    /// Folder for the data; 15 GB at the full size.
    #[arg(long)]
    folder: Option<std::path::PathBuf>,
    /// Steady rounds, of which the middle one counts.
    #[arg(long, default_value_t = 3)]
    rounds: u64,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A database behind a store.
pub trait Engine {
    /// Its name.
    fn name(&self) -> &'static str;
    /// The store.
    fn open(&self) -> anyhow::Result<Arc<dyn TelemetryStore>>;
    /// Seconds that a bare batch insert of these rows takes, into tables like the store's that are removed afterwards.
    fn raw_insert(&self, commits: &[Commit]) -> anyhow::Result<f64>;
    /// One full aggregate over the store's tables.
    fn scan(&self) -> anyhow::Result<Scan>;
    /// The process of its server, if it has one.
    fn process(&self) -> Option<u32> {
        None
    }
}

/// What a full aggregate took and found.
pub struct Scan {
    /// How long, in s.
    pub seconds: f64,
    /// Samples in all tables.
    pub samples: u64,
}

#[derive(serde::Serialize)]
struct Report {
    store: &'static str,
    devices: usize,
    links: usize,
    hours: f64,
    samples: u64,
    signed_samples: u64,
    samples_per_s: u64,
    raw_insert_per_s: u64,
    ingest_ratio: f64,
    cold_round_s: f64,
    scan_s: f64,
    cold_ratio: f64,
    round_s: f64,
    round_ratio: f64,
    /// What the documents of the words that fall due in a minute need on top.
    evidence_s: f64,
    /// Most memory of this process, in MB.
    rss_mb: u64,
    /// Most memory of the store's server, in MB; 0 if it has none.
    server_rss_mb: u64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let folder = match &args.folder {
        Some(folder) => tempfile::Builder::new().prefix("causeway-bench").tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    let wanted = |name: &str| args.store.as_deref().is_none_or(|store| store == name);
    let bucket_ms = Rules::default().bucket_ms;
    let mut failed = Vec::new();
    if wanted("sqlite") {
        let at = folder.path().join("sqlite");
        std::fs::create_dir_all(&at)?;
        failed.extend(report(&args, &run(&args, &sqlite::Sqlite { folder: &at, bucket_ms })?));
        std::fs::remove_dir_all(&at)?;
    }
    if wanted("clickhouse") {
        let at = folder.path().join("clickhouse");
        std::fs::create_dir_all(&at)?;
        failed.extend(report(&args, &run(&args, &clickhouse::ClickHouse::start(&at, bucket_ms)?)?));
    }
    for promise in &failed {
        eprintln!("missed: {promise}");
    }
    Ok(())
}

/// Prints a report; returns the promises that it misses.
fn report(args: &Args, report: &Report) -> Vec<String> {
    if args.json {
        println!("{}", serde_json::to_string(report).unwrap_or_default());
    } else {
        println!(
            "{}: {} devices, {} links, {} samples of {} h\n\
             \x20 signed ingest  {:>9} samples/s   raw insert {:>9}/s   ratio {:.2} (at least 0.40)\n\
             \x20 cold round     {:>9.2} s           scan       {:>9.2} s   ratio {:.2} (at most 2)\n\
             \x20 steady round   {:>9.3} s           of the cold one      ratio {:.4} (at most 0.05)\n\
             \x20 its evidence   {:>9.3} s           of one subject in {RENEWED_ONE_IN}\n\
             \x20 memory         {:>9} MB at most; the server's {} MB",
            report.store,
            report.devices,
            report.links,
            report.samples,
            report.hours,
            report.samples_per_s,
            report.raw_insert_per_s,
            report.ingest_ratio,
            report.cold_round_s,
            report.scan_s,
            report.cold_ratio,
            report.round_s,
            report.round_ratio,
            report.evidence_s,
            report.rss_mb,
            report.server_rss_mb
        );
    }
    let promises = [
        ("signed ingest at 0.4 of the raw insert", report.ingest_ratio >= 0.4),
        ("a cold round in twice the scan", report.cold_ratio <= 2.0),
        ("a steady round in a twentieth of the cold one", report.round_ratio <= 0.05),
    ];
    promises.into_iter().filter(|(_, kept)| !kept).map(|(promise, _)| format!("{}: {promise}", report.store)).collect()
}

fn say(args: &Args, text: &str) {
    if !args.json {
        eprintln!("{text}");
    }
}

fn run(args: &Args, engine: &dyn Engine) -> anyhow::Result<Report> {
    let minutes = (args.hours * 60.0).round() as u64;
    let signed_minutes = args.signed_minutes.min(minutes.saturating_sub(1));
    let burn_in_slots = minutes * MINUTE_MS / SLOT_MS;
    let world = World::new(args.devices, args.links, burn_in_slots);
    let per_minute = world.samples_per_minute() as u64;
    // The history ends within the last hour, half a block after sums were last kept: a start reads the samples since then,
    // and so what it reads is the mean of all starts, whenever the bench runs.
    let now_ms = mid_block(unix_ms());
    let first_ms = now_ms - minutes * MINUTE_MS;
    let minute = |n: u64| first_ms + n * MINUTE_MS;

    say(args, &format!("{}: {} samples a minute, {} in all", engine.name(), per_minute, per_minute * minutes));
    let raw_minutes = RAW_MINUTES.min(minutes);
    let raw_per_s = raw(&world, engine, raw_minutes, &minute, per_minute)?;
    say(args, &format!("{}: raw insert {raw_per_s:.0}/s", engine.name()));

    let bucket_ms = Rules::default().bucket_ms;
    let began = Instant::now();
    {
        let recorder = Recorder::new(engine.open()?, bucket_ms);
        for n in 0..minutes - signed_minutes {
            past(&world, &recorder, minute(n))?;
        }
    }
    let past_s = began.elapsed().as_secs_f64();
    say(args, &format!("{}: the past took {past_s:.0} s, rss {} MB", engine.name(), rss_mb("VmRSS")));

    let cpu = cpu_s();
    let ingest_s = signed(&world, engine, minutes - signed_minutes..minutes, &minute, now_ms)?;
    let samples_per_s = (per_minute * signed_minutes) as f64 / ingest_s;
    say(args, &format!("{}: signed ingest {samples_per_s:.0}/s, {:.1} s of processors", engine.name(), cpu_s() - cpu));

    // Twice, of which the second counts: what the machine keeps of the files in memory is the same for both.
    engine.scan()?;
    let Scan { seconds: scan_s, samples } = engine.scan()?;
    anyhow::ensure!(
        samples == per_minute * minutes,
        "{samples} samples are stored instead of {}",
        per_minute * minutes
    );
    say(args, &format!("{}: scan {scan_s:.2} s", engine.name()));

    let recorder = Recorder::new(engine.open()?, bucket_ms);
    let began = Instant::now();
    let found = round(&world, &recorder, now_ms + 25_000)?;
    let cold_round_s = began.elapsed().as_secs_f64();
    let (well, all) = (found.iter().filter(|judged| is_well(judged)).count(), found.len());
    anyhow::ensure!(
        well == all && all == args.devices + args.links,
        "{well} of {all} subjects are well: what is measured is not a healthy fleet: {:?}",
        found.iter().find(|judged| !is_well(judged)).map(|judged| &judged.verdict)
    );
    drop(found);
    say(args, &format!("{}: cold round {cold_round_s:.2} s, rss {} MB", engine.name(), rss_mb("VmRSS")));

    let mut rounds = Vec::new();
    for n in 0..args.rounds.max(1) {
        past(&world, &recorder, now_ms + n * MINUTE_MS)?;
        let at_ms = now_ms + (n + 1) * MINUTE_MS + 25_000;
        let began = Instant::now();
        let found = round(&world, &recorder, at_ms)?;
        let round_s = began.elapsed().as_secs_f64();
        anyhow::ensure!(found.iter().all(is_well), "a subject fell ill in a steady round");
        let began = Instant::now();
        evidence(&world, &recorder, at_ms, &found)?;
        rounds.push((round_s, began.elapsed().as_secs_f64()));
    }
    rounds.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let (round_s, evidence_s) = rounds.get(rounds.len() / 2).copied().context("a round")?;
    Ok(Report {
        store: engine.name(),
        devices: args.devices,
        links: args.links,
        hours: args.hours,
        samples: per_minute * minutes,
        signed_samples: per_minute * signed_minutes,
        samples_per_s: samples_per_s as u64,
        raw_insert_per_s: raw_per_s as u64,
        ingest_ratio: samples_per_s / raw_per_s,
        cold_round_s,
        scan_s,
        cold_ratio: cold_round_s / scan_s,
        round_s,
        round_ratio: round_s / cold_round_s,
        evidence_s,
        rss_mb: rss_mb("VmHWM"),
        server_rss_mb: engine.process().map_or(0, |process| rss_mb_of(&process.to_string(), "VmHWM")),
    })
}

fn is_well(judged: &Judged) -> bool {
    matches!(
        judged.verdict.level,
        Level::Device(DeviceHealth::ReadyForUsers) | Level::Link(LinkHealth::ReadyForService)
    )
}

fn place(n: usize, of: usize) -> f64 {
    n as f64 / of as f64
}

/// Rows a second of a bare insert.
fn raw(
    world: &World,
    engine: &dyn Engine,
    minutes: u64,
    minute: &dyn Fn(u64) -> u64,
    per_minute: u64,
) -> anyhow::Result<f64> {
    let mut fleet = Fleet::new(MINUTE_MS, minutes * MINUTE_MS);
    let mut commits = Vec::new();
    for n in 0..minutes {
        for (first, group) in world.routers.chunks(PAST_GROUP).enumerate() {
            let mut commit = Commit::default();
            for (offset, router) in group.iter().enumerate() {
                let place = place(first * PAST_GROUP + offset, world.routers.len());
                fleet.take(router.verified(minute(n), place), &mut commit);
            }
            commits.push(commit);
        }
    }
    Ok((per_minute * minutes) as f64 / engine.raw_insert(&commits)?)
}

/// Stores a minute without signatures.
fn past(world: &World, recorder: &Recorder, minute_ms: u64) -> anyhow::Result<()> {
    for (first, group) in world.routers.chunks(PAST_GROUP).enumerate() {
        let verified = |(offset, router): (usize, &world::Router)| {
            router.verified(minute_ms, place(first * PAST_GROUP + offset, world.routers.len()))
        };
        let answers = recorder.append(group.iter().enumerate().map(verified).collect())?;
        let whole = |answer: &Append| matches!(answer, Append::Stored { ignored_samples: 0 });
        anyhow::ensure!(answers.iter().all(whole), "a batch was not taken whole: {answers:?}");
    }
    Ok(())
}

/// Seconds in which these minutes' signed batches are verified, taken and stored.
fn signed(
    world: &World,
    engine: &dyn Engine,
    minutes: std::ops::Range<u64>,
    minute: &dyn Fn(u64) -> u64,
    now_ms: u64,
) -> anyhow::Result<f64> {
    let recorder = Arc::new(Recorder::new(engine.open()?, MINUTE_MS));
    // What an oracle has loaded before it takes telemetry.
    recorder.read(minute(minutes.start), 0, |_| ())?;
    let (writer, thread) = Writer::start(recorder)?;
    let keys = world.routers.iter().map(|r| (r.code, Key(r.key.verifying_key().to_bytes())));
    let directory = Arc::new(Directory::from_keys(keys, SlotClock::new(10_000_000, now_ms)));
    let prover = Prover::start()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut seconds = 0.0;
    let mut next = minutes.start;
    while next < minutes.end {
        let until = (next + CHUNK_MINUTES).min(minutes.end);
        let mut bodies: Vec<Vec<prost::bytes::Bytes>> = vec![Vec::new(); SENDERS];
        for n in next..until {
            for (index, body) in sign(world, minute(n)).into_iter().enumerate() {
                bodies[index % SENDERS].push(body.into());
            }
        }
        let began = Instant::now();
        runtime.block_on(async {
            let senders = bodies.into_iter().map(|bodies| {
                let (prover, writer, directory) = (prover.clone(), writer.clone(), directory.clone());
                tokio::spawn(async move { send(bodies, &prover, &writer, &directory, now_ms).await })
            });
            for sender in futures::future::join_all(senders).await {
                sender??;
            }
            anyhow::Ok(())
        })?;
        seconds += began.elapsed().as_secs_f64();
        next = until;
    }
    drop(writer);
    thread.join().map_err(|_| anyhow::anyhow!("the writer died"))?;
    Ok(seconds)
}

/// The bodies of one minute in the order of their times, made on all cores.
fn sign(world: &World, minute_ms: u64) -> Vec<Vec<u8>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let size = world.routers.len().div_ceil(cores).max(1);
    std::thread::scope(|scope| {
        let threads: Vec<_> = world
            .routers
            .chunks(size)
            .enumerate()
            .map(|(chunk, routers)| {
                scope.spawn(move || {
                    let of = |(offset, router): (usize, &world::Router)| {
                        router.signed(minute_ms, place(chunk * size + offset, world.routers.len()))
                    };
                    routers.iter().enumerate().map(of).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).flatten().collect()
    })
}

/// Verifies as the endpoint does, and waits for the disk as an agent would.
async fn send(
    bodies: Vec<prost::bytes::Bytes>,
    prover: &Prover,
    writer: &Writer,
    directory: &Directory,
    now_ms: u64,
) -> anyhow::Result<()> {
    let limits = Limits { ahead_slots: 1_000, behind_slots: 10_000_000 };
    for group in bodies.chunks(UNDER_WAY) {
        let sent = group.iter().map(async |body| {
            let claimed = Claimed::read(body.clone(), directory, &PROGRAM)?;
            let batch = prover.prove(claimed).await?.decode(directory, now_ms, &limits)?;
            anyhow::Ok(writer.append(batch).await?)
        });
        for answer in futures::future::join_all(sent).await {
            let answer = answer?;
            anyhow::ensure!(answer == Append::Stored { ignored_samples: 0 }, "not taken whole: {answer:?}");
        }
    }
    Ok(())
}

/// Judges everything at this time.
fn round(world: &World, recorder: &Recorder, now_ms: u64) -> anyhow::Result<Vec<Judged>> {
    judge(world, recorder, now_ms, None)
}

/// Judges once more what falls due of it, and shows what it was judged by.
fn evidence(world: &World, recorder: &Recorder, now_ms: u64, found: &[Judged]) -> anyhow::Result<()> {
    let due: HashSet<Key> = found.iter().step_by(RENEWED_ONE_IN).map(|judged| judged.key).collect();
    let shown = judge(world, recorder, now_ms, Some(&due))?;
    anyhow::ensure!(shown.len() == due.len() && shown.iter().all(|judged| judged.basis.is_some()), "not all is shown");
    Ok(())
}

fn judge(world: &World, recorder: &Recorder, now_ms: u64, only: Option<&HashSet<Key>>) -> anyhow::Result<Vec<Judged>> {
    let network = world.snapshot.network.clone().context("a network")?;
    let clock = SlotClock::new(world.snapshot.slot, now_ms);
    let rules = RuleBook::from(Rules::default());
    let stages = Stages::default();
    let court =
        Court { snapshot: &world.snapshot, network: &network, clock: &clock, rules: &rules, stages: &stages, now_ms };
    Ok(recorder.read(now_ms, court.reach_ms(), |fleet| court.judge(fleet, only))?)
}

/// The latest middle of a block of minutes.
fn mid_block(at_ms: u64) -> u64 {
    let block_ms = BLOCK * MINUTE_MS;
    (at_ms - block_ms / 2) / block_ms * block_ms + block_ms / 2
}

fn unix_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as u64
}

/// Seconds of processors that this process has used, the making of batches included.
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |place: usize| fields.get(place).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// A memory figure of this process, in MB; 0 where the system does not say.
fn rss_mb(name: &str) -> u64 {
    rss_mb_of("self", name)
}

/// The same of another process.
fn rss_mb_of(process: &str, name: &str) -> u64 {
    let status = std::fs::read_to_string(Path::new("/proc").join(process).join("status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()).map_or(0, |kb| kb / 1_024)
}
