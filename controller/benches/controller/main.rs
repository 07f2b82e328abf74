//! A controller at a fleet's size: rendering, a change, polls, watchers, each beside its limit measured in the same run.
//!
//! `cargo xtask bench controller [--json] [--devices N,N] [--slowest N]`
//!
//! With `--json` a line for each size: the figures, under `limits` the same names with what each may be at most (`poll_ratio`:
//! at least), and under `missed` the names of those that are not kept. From the second size on the limits say linear growth.
//!
//! 1. *All*: a controller that has just started takes the whole ledger in: every device planned, rendered, signed.
//! 2. *One*: planning and rendering one device, the mean over the whole fleet.
//! 3. *Change*: one link's account is announced, in the bytes of the ledger; ready when both ends' signed configurations are
//!    served. Links take turns, with soft drains, hard drains, undrains and other delays.
//! 4. *Polls*: authenticated, by agents that have what is served, then by agents that have nothing; beside a bare
//!    tonic echo of the same messages with the same client in the same process.
//! 5. *Watchers*: agents of another process, each with a connection of its own as far as the system has files. The
//!    memory is the controller's, everything above and the bench's own ledger included.

// A bench may panic like a test: what it measures is made up here.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod load;
mod world;

use std::{
    collections::BTreeMap,
    io::{BufRead, Write},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Instant,
};

use anyhow::Context;
use causeway_controller::{
    backbone::Backbone,
    change::Announced,
    daemon::{Config, Controller, ControllerHandle},
    plan::Planner,
    render::Renderer,
    shared::Shared,
    testing::{PROGRAM_ID, code},
    topology::Topology,
};
use causeway_interface::{LinkStatus, accounts::Record, values};
use clap::Parser;
use ed25519_dalek::SigningKey;
use load::Caller;
use tokio::sync::watch;
use world::World;

/// One-link changes that are timed, at most: enough for a 99th percentile.
const CHANGES: usize = 2_000;
/// Calls of each kind and device, at most: a session may make 50 at once and 10 a second.
const CALLS_PER_DEVICE: usize = 20;
/// Calls of each kind, at most.
const CALLS: usize = 60_000;
/// Watchers, at most.
const WATCHERS: usize = 10_000;
/// Files that a process needs for other than connections.
const OTHER_FILES: usize = 200;
/// How much more than ten times as much counts as more than linear: two runs on a busy machine differ by this much.
const LINEAR_SLACK: f64 = 1.3;
/// Memory with all watchers, in MB.
const RSS_LIMIT_MB: u64 = 2_048;
/// Single renders in which a change is ready.
const RENDERS_PER_CHANGE: f64 = 10.0;
/// Share of the echo's calls that polls reach.
const POLL_SHARE: f64 = 0.5;

#[derive(Debug, Parser)]
struct Args {
    /// One line of JSON per size.
    #[arg(long)]
    json: bool,
    /// Sizes.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 10_000])]
    devices: Vec<usize>,
    /// Say of this many changes, the slowest of each size, how long they took and how long the two texts are.
    #[arg(long, default_value_t = 0)]
    slowest: usize,
    /// Be the other process: watch the controller at this address.
    #[arg(long, hide = true)]
    watch: Option<SocketAddr>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(serde::Serialize)]
struct Report {
    devices: usize,
    links: usize,
    render_all_s: f64,
    render_one_ms: f64,
    change_ms_p50: f64,
    change_ms_p99: f64,
    polls_per_s: u64,
    /// Microseconds of one poll, by that.
    poll_us: f64,
    echo_per_s: u64,
    poll_ratio: f64,
    changed_polls_per_s: u64,
    watchers: usize,
    watcher_connections: usize,
    /// Memory of this process with all watchers, in MB.
    rss_mb: u64,
    /// By the name of the figure: `poll_ratio` at least, the others at most.
    limits: BTreeMap<&'static str, f64>,
    /// Names of the figures that are not within their limits.
    missed: Vec<&'static str>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let files = files();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let Some(address) = args.watch {
        return runtime.block_on(load::watch(address, files.saturating_sub(OTHER_FILES)));
    }
    let mut reports: Vec<Report> = Vec::new();
    for devices in &args.devices {
        let mut report = runtime.block_on(run(&args, *devices))?;
        report.limits = limits(&report, reports.first());
        report.missed = missed(&report);
        print(&args, &report);
        reports.push(report);
    }
    for report in &reports {
        for name in &report.missed {
            eprintln!("missed with {} devices: {name}", report.devices);
        }
    }
    Ok(())
}

fn print(args: &Args, r: &Report) {
    if args.json {
        println!("{}", serde_json::to_string(r).unwrap_or_default());
        return;
    }
    println!(
        "{} devices, {} links\n\
         \x20 render all     {:>9.2} s    one {:>7.3} ms\n\
         \x20 change         {:>9.3} ms   p99 {:>7.3} ms (at most {:.3}: ten renders)\n\
         \x20 polls          {:>9}/s   echo {:>7}/s   ratio {:.2} (at least {POLL_SHARE})\n\
         \x20 changed polls  {:>9}/s\n\
         \x20 watchers       {:>9} on {} connections, {} MB (at most {RSS_LIMIT_MB})",
        r.devices,
        r.links,
        r.render_all_s,
        r.render_one_ms,
        r.change_ms_p50,
        r.change_ms_p99,
        r.render_one_ms * RENDERS_PER_CHANGE,
        r.polls_per_s,
        r.echo_per_s,
        r.poll_ratio,
        r.changed_polls_per_s,
        r.watchers,
        r.watcher_connections,
        r.rss_mb
    );
}

/// The figures that have limits.
fn figures(r: &Report) -> [(&'static str, f64); 7] {
    [
        ("render_all_s", r.render_all_s),
        ("render_one_ms", r.render_one_ms),
        ("change_ms_p50", r.change_ms_p50),
        ("change_ms_p99", r.change_ms_p99),
        ("poll_us", r.poll_us),
        ("poll_ratio", r.poll_ratio),
        ("rss_mb", r.rss_mb as f64),
    ]
}

/// What each figure may be: promised as such, or as no more than linear growth from a smaller size.
fn limits(r: &Report, smaller: Option<&Report>) -> BTreeMap<&'static str, f64> {
    let mut limits = BTreeMap::from([
        ("change_ms_p99", r.render_one_ms * RENDERS_PER_CHANGE),
        ("poll_ratio", POLL_SHARE),
        ("rss_mb", RSS_LIMIT_MB as f64),
    ]);
    if let Some(smaller) = smaller {
        let times = r.devices as f64 / smaller.devices as f64 * LINEAR_SLACK;
        for (name, figure) in figures(smaller).into_iter().filter(|(name, _)| *name != "poll_ratio") {
            let limit = limits.entry(name).or_insert(f64::INFINITY);
            *limit = limit.min(figure * times);
        }
    }
    limits
}

fn missed(r: &Report) -> Vec<&'static str> {
    let kept = |name: &str, figure: f64| {
        r.limits.get(name).is_none_or(|limit| if name == "poll_ratio" { figure >= *limit } else { figure <= *limit })
    };
    figures(r).into_iter().filter(|(name, figure)| !kept(name, *figure)).map(|(name, _)| name).collect()
}

fn say(args: &Args, text: &str) {
    if !args.json {
        eprintln!("{text}");
    }
}

async fn run(args: &Args, devices: usize) -> anyhow::Result<Report> {
    let mut world = World::new(devices);
    let links = world.links.len();
    say(args, &format!("{devices} devices, {links} links made; {} MB", rss_mb()));

    let key = SigningKey::from_bytes(&[5; 32]);
    let config = Config::local(String::new(), String::new(), PROGRAM_ID, key);
    let (_snapshots, receiver) = watch::channel(None);
    let controller = Controller::start_from(config, receiver).await?;
    let shared = Arc::clone(controller.shared());
    let snapshot = Arc::new(world.ledger.snapshot.clone());
    let render_all_s = {
        let shared = Arc::clone(&shared);
        tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            shared.ingest(snapshot);
            began.elapsed().as_secs_f64()
        })
        .await?
    };
    let served = shared.store().entries().values().filter(|e| e.is_clear()).count();
    anyhow::ensure!(served == devices, "{served} of {devices} devices are served");
    say(args, &format!("all rendered in {render_all_s:.2} s; {} MB", rss_mb()));

    let render_one_ms = render_one(&world);
    let mut changes = changes(&shared, &mut world);
    changes.sort_by(|a, b| f64::total_cmp(&a.ms, &b.ms));
    for change in changes.iter().rev().take(args.slowest) {
        eprintln!(
            "{:.3} ms: the {}th change, texts of {} and {} bytes",
            change.ms, change.number, change.bytes[0], change.bytes[1]
        );
    }
    let at = |share: f64| changes[((changes.len() - 1) as f64 * share) as usize].ms;
    let (change_ms_p50, change_ms_p99) = (at(0.5), at(0.99));
    say(args, &format!("one {render_one_ms:.3} ms, change {change_ms_p50:.3} and {change_ms_p99:.3} ms"));

    let callers = Arc::new(load::open_all(controller.grpc_addr, &world.devices).await?);
    let echo = load::echo().await?;
    let calls = (devices * CALLS_PER_DEVICE).min(CALLS);
    // The first of each warms up.
    load::calls_per_s(echo, &callers, calls / 4, false).await?;
    let echo_per_s = load::calls_per_s(echo, &callers, calls, false).await?;
    load::calls_per_s(controller.grpc_addr, &callers, calls / 4, false).await?;
    let polls_per_s = load::calls_per_s(controller.grpc_addr, &callers, calls, false).await?;
    let changed_polls_per_s = load::calls_per_s(controller.grpc_addr, &callers, calls, true).await?;
    say(args, &format!("echo {echo_per_s:.0}/s, polls {polls_per_s:.0}/s; {} MB", rss_mb()));

    let (watchers, watcher_connections, rss_mb) = watched(&controller, &callers)?;
    drop(callers);
    controller.shutdown().await;
    Ok(Report {
        devices,
        links,
        render_all_s,
        render_one_ms,
        change_ms_p50,
        change_ms_p99,
        polls_per_s: polls_per_s as u64,
        poll_us: 1e6 / polls_per_s,
        echo_per_s: echo_per_s as u64,
        poll_ratio: polls_per_s / echo_per_s,
        changed_polls_per_s: changed_polls_per_s as u64,
        watchers,
        watcher_connections,
        rss_mb,
        limits: BTreeMap::new(),
        missed: Vec::new(),
    })
}

/// Mean over the fleet of planning and rendering one device, in ms.
fn render_one(world: &World) -> f64 {
    let snapshot = &world.ledger.snapshot;
    let topology = Topology::new(snapshot);
    let backbone = Backbone::new(&topology);
    let planner = Planner::new(&topology, &backbone);
    let renderer = Renderer::default();
    let began = Instant::now();
    for device in &world.devices {
        let device = code(device);
        let plan = planner.plan(&device).unwrap();
        std::hint::black_box(renderer.render(&plan, None).unwrap());
    }
    began.elapsed().as_secs_f64() * 1e3 / world.devices.len() as f64
}

/// One change of a link.
struct Timed {
    /// From its announcement to being served, in ms.
    ms: f64,
    /// Which of them it was.
    number: usize,
    /// Of the two texts that it made.
    bytes: [usize; 2],
}

/// How long each of many changes took.
fn changes(shared: &Shared, world: &mut World) -> Vec<Timed> {
    let mut times = Vec::new();
    let links = world.links.clone();
    // A stride that meets every link once before it meets one again.
    let stride = (1..).map(|n| links.len() / 3 + n).find(|n| gcd(*n, links.len()) == 1).unwrap();
    let mut slot = world.ledger.snapshot.slot;
    for n in 0..CHANGES {
        let name = &links[n * stride % links.len()];
        let key = world.ledger.link_key(name);
        let link = world.ledger.link_mut(name);
        // Each makes another text at both ends.
        match link.header.status {
            LinkStatus::Activated if n % 2 == 0 => link.delay_override_ns = values::MIN_DELAY_NS + n as u64 * 1_000,
            LinkStatus::Activated => link.header.status = LinkStatus::SoftDrained,
            LinkStatus::SoftDrained => link.header.status = LinkStatus::HardDrained,
            _ => link.header.status = LinkStatus::Activated,
        }
        slot += 2;
        let (bytes, ends) = (encode(link), [link.device_a, link.device_z]);
        let ends = ends.map(|end| world.ledger.snapshot.devices[&end].code);
        let announced = Announced { slot, accounts: vec![(key, bytes)] };
        let began = Instant::now();
        let stale = shared.ingest_change(&announced).expect("a small change");
        let ms = began.elapsed().as_secs_f64() * 1e3;
        let store = shared.store();
        let bytes = ends.map(|end| {
            let bundle = store.entry(&end).unwrap().current.as_ref().unwrap();
            assert_eq!(bundle.generation, slot, "{end}");
            bundle.text.len()
        });
        times.push(Timed { ms, number: n, bytes });
        drop(store);
        // Once is enough to have it in the run: it is not what a configuration waits for.
        if stale && n < 8 {
            shared.reprobe();
        }
    }
    times
}

fn encode(record: &impl Record) -> Vec<u8> {
    let mut bytes = Vec::new();
    record.serialize(&mut bytes).unwrap();
    bytes
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Watchers of another process, their connections, and this process's memory in MB with them.
fn watched(controller: &ControllerHandle, callers: &[Caller]) -> anyhow::Result<(usize, usize, u64)> {
    let mut child = Watching(spawn(controller.grpc_addr)?);
    let mut stdin = child.0.stdin.take().context("no stdin")?;
    for caller in callers.iter().take(WATCHERS) {
        writeln!(stdin, "{}", caller.authorization)?;
    }
    writeln!(stdin)?;
    let mut line = String::new();
    let stdout = child.0.stdout.take().context("no stdout")?;
    tokio::task::block_in_place(|| std::io::BufReader::new(stdout).read_line(&mut line))?;
    let (watchers, connections) = line.trim().split_once(' ').context("the watchers failed")?;
    let rss = rss_mb();
    drop(stdin);
    Ok((watchers.parse()?, connections.parse()?, rss))
}

/// A child that ends with this.
struct Watching(Child);

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spawn(address: SocketAddr) -> anyhow::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--watch", &address.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
    Ok(command.spawn()?)
}

/// Files that this process may have open.
fn files() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(1_024)
}

/// Memory of this process, in MB.
fn rss_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()).map_or(0, |kb| kb / 1_024)
}
