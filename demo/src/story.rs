//! What happens once everything runs: into service, a drain and back, a fault and back. Each chapter waits for what the
//! ledger says, within a bound, and says what it is still waiting for when the bound passes.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Context;
use causeway_agent::sim::Fault;
use causeway_controller::store::ApplyState;
use causeway_demo::{
    board::{Board, Kind},
    reasons::{failing, waiting_for, why},
    screen::Screen,
};
use causeway_health_oracle::criteria::Outcome;
use causeway_interface::{Code, DesiredStatus};

use crate::{summary::Summary, system::System};

/// Longest wait for everything to be in service: three burn-ins of seconds, and room for a slow machine.
const INTO_SERVICE: Duration = Duration::from_secs(900);
/// Longest wait for any other change.
const CHANGE: Duration = Duration::from_secs(180);
/// Time between two looks at the ledger's watch and the agents.
const LOOK: Duration = Duration::from_millis(250);
/// Packets of a thousand that the fault loses: unmistakable within a sample.
const LOSS_PER_MILLE: u16 = 200;
/// Lines of a diff that are shown.
const DIFF_LINES: usize = 12;

/// Tells the story and returns what came out.
pub async fn tell(system: &mut System, screen: &mut Screen) -> anyhow::Result<Summary> {
    let mut summary = Summary::default();
    into_service(system, screen).await?;
    summary.seconds_to_service = tenths(system.began.elapsed());
    summary.drained_metric = drain_and_back(system, screen).await?;
    (summary.impaired_seen, summary.healed) = fault_and_back(system, screen).await?;
    let board = system.board();
    (summary.devices_activated, summary.devices) = board.activated(Kind::Device);
    (summary.links_activated, summary.links) = board.activated(Kind::Link);
    summary.transactions = system.transactions();
    summary.errors = errors(system, screen);
    summary.seconds = tenths(system.began.elapsed());
    Ok(summary)
}

fn tenths(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}

/// Looks until `done`, showing what changes.
///
/// Whether it came to be within the limit.
async fn until(
    system: &System,
    screen: &mut Screen,
    limit: Duration,
    mut done: impl FnMut(&System, &Board) -> bool,
) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        let board = system.board();
        screen.show(&board, system.transactions());
        if done(system, &board) {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn into_service(system: &System, screen: &mut Screen) -> anyhow::Result<()> {
    screen.chapter("Into service: configured, measured, attested through the burn-in");
    let devices = system.site.devices.len();
    let links = system.site.links.len();
    let all = |_: &System, board: &Board| {
        board.activated(Kind::Device) == (devices, devices) && board.activated(Kind::Link) == (links, links)
    };
    if until(system, screen, INTO_SERVICE, all).await {
        screen.say(&format!("All {devices} devices and {links} links are in service."));
        return Ok(());
    }
    anyhow::bail!("not everything is in service after {} s. {}", INTO_SERVICE.as_secs(), waiting_for(system))
}

/// A link is soft-drained and put back. Returns the metric that both ends ran meanwhile.
async fn drain_and_back(system: &mut System, screen: &mut Screen) -> anyhow::Result<u32> {
    let link = system.site.links.first().cloned().context("the topology has links")?;
    screen.chapter(&format!("Maintenance: soft drain of {}, and back", link.code));
    let ends = [(link.a.device, link.a.interface), (link.z.device, link.z.interface)];
    let before: Vec<_> = ends.iter().map(|(device, _)| generation(system, *device)).collect();

    set_desired(system, screen, link.code, DesiredStatus::SoftDrained).await?;
    let drained = |system: &System, board: &Board| {
        let moved = ends.iter().zip(&before).all(|((d, _), was)| generation(system, *d) > *was && applied(system, *d));
        moved && board.row(Kind::Link, link.code).is_some_and(|r| r.status == "soft-drained")
    };
    if !until(system, screen, CHANGE, drained).await {
        anyhow::bail!("{} was not drained on both routers within {} s", link.code, CHANGE.as_secs());
    }
    for (device, _) in ends {
        let diff = system.controller().and_then(|c| c.bundle(&device)).map(|b| b.diff()).unwrap_or_default();
        screen.say(&format!("{device} applied and verified this change:"));
        let headers = ["+++", "---", "@@"];
        for line in diff.lines().filter(|l| !headers.iter().any(|h| l.starts_with(h))).take(DIFF_LINES) {
            screen.diff_line(line);
        }
    }
    let metrics: Vec<_> = ends.iter().map(|(device, interface)| metric(system, *device, interface.as_str())).collect();
    let metric = match metrics.as_slice() {
        [Some(a), Some(z)] if a == z => *a,
        _ => 0,
    };
    screen.say(&format!(
        "Both routers run metric {metric} on {}; traffic goes another way where there is one.",
        link.code
    ));

    set_desired(system, screen, link.code, DesiredStatus::Activated).await?;
    let back = |system: &System, board: &Board| {
        let link_back = board.row(Kind::Link, link.code).is_some_and(|r| r.activated);
        link_back
            && ends.iter().all(|(d, i)| applied(system, *d) && self::metric(system, *d, i.as_str()) != Some(metric))
    };
    if !until(system, screen, CHANGE, back).await {
        anyhow::bail!("{} is not back in service after {} s. {}", link.code, CHANGE.as_secs(), waiting_for(system));
    }
    screen.say(&format!("{} is back in service, after the maintenance burn-in.", link.code));
    Ok(metric)
}

async fn set_desired(
    system: &mut System,
    screen: &mut Screen,
    code: Code,
    desired: DesiredStatus,
) -> anyhow::Result<()> {
    let mut site = system.site.clone();
    for link in site.links.iter_mut().filter(|l| l.code == code) {
        link.desired = desired;
    }
    system.apply(&site, screen).await.map(drop)
}

fn generation(system: &System, device: Code) -> u64 {
    system.controller().and_then(|c| c.bundle(&device)).map_or(0, |b| b.generation)
}

fn applied(system: &System, device: Code) -> bool {
    system.controller().and_then(|c| c.apply_state(&device)) == Some(ApplyState::Current)
}

/// IS-IS metric that the router itself runs on an interface.
fn metric(system: &System, device: Code, interface: &str) -> Option<u32> {
    let running = system.fabric.running_config(device.as_str())?;
    running.interfaces.get(interface).map(|i| i.isis.metric)
}

/// A device loses packets and is repaired. Returns whether it was seen impaired, and whether everything healed.
async fn fault_and_back(system: &System, screen: &mut Screen) -> anyhow::Result<(bool, bool)> {
    let mut degree: BTreeMap<Code, usize> = system.site.devices.iter().map(|d| (d.code, 0)).collect();
    for link in &system.site.links {
        for end in [link.a.device, link.z.device] {
            *degree.entry(end).or_default() += 1;
        }
    }
    let (device, _) = degree.into_iter().min_by_key(|(code, n)| (*n, *code)).context("the topology has devices")?;
    screen.chapter(&format!("A fault: {device} begins to lose packets, and is repaired"));
    system.fabric.inject(Fault::DeviceLoss { device: device.to_string(), per_mille: LOSS_PER_MILLE });
    screen.say(&format!("{device} now loses {} % of the packets on every port.", f64::from(LOSS_PER_MILLE) / 10.0));

    let impaired = |system: &System, board: &Board| {
        let on_ledger = board.row(Kind::Device, device).is_some_and(|r| r.health == "impaired");
        on_ledger && !failing(system, Kind::Device, device, Outcome::Failed).is_empty()
    };
    let impaired_seen = until(system, screen, CHANGE, impaired).await;
    if impaired_seen {
        screen.say(&format!("{device} is impaired on the ledger, by the word of a quorum. It stays in service: health alone never drains."));
        for words in failing(system, Kind::Device, device, Outcome::Failed) {
            screen.say(&format!("  failing {words}"));
        }
    } else {
        screen.say(&format!("{device} was not seen impaired within {} s.", CHANGE.as_secs()));
    }
    system.fabric.heal_device(device.as_str());
    screen.say(&format!("{device} is repaired; its health returns through the maintenance burn-in."));
    let healthy = |_: &System, board: &Board| {
        board.rows.iter().all(|((kind, _), row)| {
            let ready = match kind {
                Kind::Device => "ready-for-users",
                Kind::Link => "ready-for-service",
            };
            row.health == ready
        })
    };
    // Nothing heals that was not seen ill.
    let healed = until(system, screen, CHANGE, healthy).await && impaired_seen;
    if healed {
        screen.say("Everything is ready again.");
    } else {
        let board = system.board();
        let ill: Vec<_> = board.rows.iter().filter(|(_, r)| !r.health.starts_with("ready")).take(5).collect();
        for ((kind, code), row) in ill {
            let why = why(system, *kind, *code);
            screen.say(&format!("{} {code} is still {}: {why}", kind.name(), row.health));
        }
    }
    Ok((impaired_seen, healed))
}

/// What went wrong on the way, said and counted.
fn errors(system: &System, screen: &mut Screen) -> u64 {
    let mut errors = 0;
    for (code, agent) in &system.agents {
        let status = agent.status();
        if status.failed_applies > 0 {
            errors += status.failed_applies;
            let why = status.last_error.map(|e| format!("{e:?}")).unwrap_or_default();
            screen.say(&format!("{code} did not take {} configurations. {why}", status.failed_applies));
        }
    }
    for (index, oracle) in system.oracles.iter().enumerate() {
        let counters = oracle.counters();
        errors += counters.failed_rounds + counters.transaction_errors;
        if counters.failed_rounds + counters.transaction_errors > 0 {
            screen.say(&format!(
                "oracle-{}: {} rounds could not be finished, {} transactions failed",
                index + 1,
                counters.failed_rounds,
                counters.transaction_errors
            ));
        }
    }
    errors
}
