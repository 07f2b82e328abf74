//! What is done to the network once it stands, and how each of it is measured.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use causeway_cli::site::Site;
use causeway_controller::store::ApplyState;
use causeway_demo::{
    board::{Board, Kind},
    reasons::waiting_for,
    screen::Screen,
};
use causeway_interface::{Code, DesiredStatus, DeviceStatus, LinkStatus};
use causeway_sdk::{send::SendConfig, watch::WatchConfig};

use crate::{
    args::{Args, Step},
    graph::Cast,
    network,
    probes::{Moment, Probes},
    provision::{self, Crew},
    report::{Event, Report, percentile},
    router,
    system::Lab,
};

/// Longest wait for everything to be in service: two configurations of each router, rehearsed one after the other, and
/// two burn-ins.
const INTO_SERVICE: Duration = Duration::from_secs(600);
const INTO_SERVICE_PER_DEVICE: Duration = Duration::from_secs(20);
/// A ledger without a new slot for so long has ended; the busiest machine made one every few seconds.
const STANDSTILL: Duration = Duration::from_secs(120);
/// Longest wait for any other change.
const CHANGE: Duration = Duration::from_secs(300);
/// Longest wait for a heal: a break is held by the oracles and then burnt in.
const HEAL: Duration = Duration::from_secs(900);
/// Time between two looks at the ledger's watch.
const LOOK: Duration = Duration::from_millis(250);
/// Time between two looks while something is timed.
const TIMED_LOOK: Duration = Duration::from_millis(5);
/// Probes that a planned event is measured by at least, all pairs together.
const PROBES_PER_EVENT: u64 = 10_000;
/// A planned event is watched for so long after the routers have taken it.
const AFTERWARDS: Duration = Duration::from_secs(3);
/// A fault is watched for so long, far more than routing takes.
const FAULT: Duration = Duration::from_secs(8);
/// Looks at the traffic, of which one has to find nothing lost before anything is done.
const QUIETS: u32 = 5;
/// Time that a killed controller stays away.
const AWAY: Duration = Duration::from_secs(3);
/// Time within which the sender of transactions looks often.
const YOUNG: Duration = Duration::from_secs(2);
/// Changes of a link's delay that are timed, with two routers each.
const CHANGES: usize = 20;
/// What a change adds to the delay: one unit of metric.
const CHANGE_NS: u64 = 1_000;

/// Brings everything into service and goes through the steps.
///
/// # Errors
/// Something did not come to be within its time; the message says what is still missing and why.
pub async fn tell(lab: &mut Lab, args: &Args, topology: &str, screen: &mut Screen) -> anyhow::Result<Report> {
    let per_second = args.per_second(lab.site.devices.len());
    let mut report = Report { topology: topology.to_owned(), per_second, ..Report::default() };
    // Known before anything takes its time.
    let none = "no link or device can be taken out without cutting somebody off: this topology has no second way";
    let steps = args.steps(lab.site.devices.len());
    let cast = if steps.is_empty() { None } else { Some(lab.graph.cast(usize::from(args.pairs)).context(none)?) };
    screen.chapter("Into service: configured, measured, attested through the burn-in");
    let devices = u32::try_from(lab.site.devices.len()).unwrap_or(u32::MAX);
    let limit = INTO_SERVICE + INTO_SERVICE_PER_DEVICE.saturating_mul(devices);
    until(lab, screen, limit, "everything is in service", |lab| all_in_service(&lab.board())).await?;
    report.seconds_to_service = tenths(lab.began.elapsed());
    report.bfd_interval_ms = lab.bfd_interval_ms;
    (report.rss_mb, report.routers_rss_mb) = lab.memory_mb();
    let (links, devices) = (lab.site.links.len(), lab.site.devices.len());
    screen.say(&format!("All {devices} devices and {links} links are in service; {} MB of memory.", report.rss_mb));
    if let Some(cast) = cast {
        Script::start(lab, cast, args, screen).await?.run(&steps, &mut report).await?;
    }
    let board = lab.board();
    (report.devices_activated, report.devices) = board.activated(Kind::Device);
    (report.links_activated, report.links) = board.activated(Kind::Link);
    lab.note_refusals(screen);
    (report.refused, report.refused_on_purpose) = (lab.refusals.unwanted, lab.refusals.wanted);
    report.seconds = tenths(lab.began.elapsed());
    Ok(report)
}

struct Script<'a> {
    lab: &'a mut Lab,
    screen: &'a mut Screen,
    probes: Probes,
    link: Code,
    device: Code,
    events: Vec<Event>,
}

impl<'a> Script<'a> {
    async fn start(lab: &'a mut Lab, cast: Cast, args: &Args, screen: &'a mut Screen) -> anyhow::Result<Self> {
        let Cast { pairs, link, device } = cast;
        let per_second = args.per_second(lab.site.devices.len());
        screen.chapter(&format!(
            "Traffic: {} pairs of far ends probe each other {per_second} times a second",
            pairs.len()
        ));
        for (a, z) in &pairs {
            let ways = lab.graph.ways(*a);
            let way = ways.get(z).map(|way| (way.links.len(), way.length)).unwrap_or_default();
            screen.say(&format!("{a} to {z}: {} links, metric {}", way.0, way.1));
        }
        let place = |code| lab.places.get(&code).cloned();
        let probes = Probes::start(&args.steady, pairs, per_second, place, |code| lab.loopback(code)).await?;
        let mut script = Self { lab, screen, probes, link, device, events: Vec::new() };
        // In service is the ledger's word, and the routers' last configurations follow it.
        let what = "every router runs what it is to run, and everything is healthy";
        until(script.lab, script.screen, HEAL, what, |lab| all_current(lab) && all_well(&lab.board())).await?;
        script.quiet().await?;
        Ok(script)
    }

    /// Nothing may be lost before anything is done, once routing has taken in what was applied last.
    async fn quiet(&mut self) -> anyhow::Result<()> {
        let mut last = String::new();
        for _ in 0..QUIETS {
            let from = self.probes.moment().await?;
            tokio::time::sleep(AFTERWARDS).await;
            let window = self.probes.since(&from).await?;
            if window.lost == 0 {
                self.screen.say(&format!("{} probes, none lost.", window.probes));
                return Ok(());
            }
            last = format!("{} of {} probes", window.lost, window.probes);
            self.screen.say(&format!("{last} lost, it has not settled yet: {}.", window.hits()));
        }
        bail!("{last} were lost before anything was done, and some in each of the {QUIETS} looks before")
    }

    async fn run(mut self, steps: &[Step], report: &mut Report) -> anyhow::Result<()> {
        report.pairs = self.probes.pairs.len();
        for step in steps {
            match step {
                Step::None => {}
                Step::LinkMaintenance => self.link_maintenance().await?,
                Step::DeviceMaintenance => self.device_maintenance().await?,
                Step::Changes => {
                    let mut times = self.changes().await?;
                    times.sort_unstable();
                    report.applied_samples = times.len();
                    (report.applied_ms_p50, report.applied_ms_p99) = (percentile(&times, 50), percentile(&times, 99));
                }
                Step::LinkCut => self.link_fault("link-cut", "link-back").await?,
                Step::LinkSilent => self.link_fault("link-silent", "link-heard").await?,
                Step::RouterCrash => self.router_crash().await?,
                Step::ControllerRestart => self.controller_restart().await?,
                Step::AgentRestart => self.agent_restart().await?,
                Step::Automatic | Step::NetworkChange => {
                    let Self { lab, screen, probes, link, .. } = &mut self;
                    let told = provision::play(Crew { lab, screen, probes, link: *link }, *step).await?;
                    told.events.into_iter().for_each(|event| self.ended(event));
                    report.jobs.extend(told.jobs);
                }
            }
            let what = "everything is in service and healthy again";
            until(self.lab, self.screen, HEAL, what, |lab| all_well(&lab.board())).await?;
            // A controller keeps the last reports of a device alone.
            self.lab.note_refusals(self.screen);
        }
        report.events = self.events;
        Ok(())
    }

    fn ended(&mut self, event: Event) {
        let Event { event: name, on, probes, lost, outage_ms, converged_ms, hits, .. } = &event;
        let on = if on.is_empty() { String::new() } else { format!(" of {on}") };
        self.screen.say(&format!(
            "{name}{on}: {lost} of {probes} probes lost, {outage_ms} ms at most; converged in {converged_ms} ms."
        ));
        if *lost > 0 {
            self.screen.say(&format!("  {hits}"));
        }
        self.events.push(event);
    }

    /// Ends of a link.
    fn ends(&self, link: Code) -> anyhow::Result<[(Code, String); 2]> {
        let link = self.lab.site.links.iter().find(|l| l.code == link).context("a link of the site")?;
        Ok([&link.a, &link.z].map(|end| (end.device, end.interface.to_string())))
    }

    async fn link_maintenance(&mut self) -> anyhow::Result<()> {
        let link = self.link;
        self.screen.chapter(&format!("Maintenance: {link} is drained softly, then hard, and put back"));
        let devices = self.ends(link)?.map(|(device, _)| device);
        for (name, desired, status) in [
            ("soft-drain", DesiredStatus::SoftDrained, LinkStatus::SoftDrained),
            ("hard-drain", DesiredStatus::HardDrained, LinkStatus::HardDrained),
            ("undrain", DesiredStatus::Activated, LinkStatus::Activated),
        ] {
            let wish = |site: &mut Site| {
                site.links.iter_mut().filter(|l| l.code == link).for_each(|l| l.desired = desired);
            };
            self.planned(name, link, &devices, wish, |lab| link_status(lab, link) == Some(status)).await?;
        }
        Ok(())
    }

    async fn device_maintenance(&mut self) -> anyhow::Result<()> {
        let device = self.device;
        self.screen.chapter(&format!("Maintenance: {device} is drained, and put back"));
        for (name, desired, status) in [
            ("device-drain", DesiredStatus::SoftDrained, DeviceStatus::Drained),
            ("device-undrain", DesiredStatus::Activated, DeviceStatus::Activated),
        ] {
            let wish = |site: &mut Site| {
                site.devices.iter_mut().filter(|d| d.code == device).for_each(|d| d.desired = desired);
            };
            self.planned(name, device, &[device], wish, |lab| device_status(lab, device) == Some(status)).await?;
        }
        Ok(())
    }

    /// A wish is written to the ledger, and its routers take what follows from it.
    async fn planned(
        &mut self,
        name: &'static str,
        on: Code,
        devices: &[Code],
        wish: impl FnOnce(&mut Site),
        granted: impl Fn(&Lab) -> bool,
    ) -> anyhow::Result<()> {
        let texts = self.texts(devices);
        let from = self.probes.moment().await?;
        let mut site = self.lab.site.clone();
        wish(&mut site);
        let began = Instant::now();
        self.lab.backbone.apply(&site, self.screen).await?;
        let unseen = unseen(began.elapsed());
        let mut said = before_now(unseen);
        // A wish may have to wait for its burn-in; what is timed begins with the ledger's word.
        let deadline = Instant::now() + HEAL;
        while !granted(self.lab) {
            if Instant::now() > deadline {
                bail!(
                    "{name} of {on} was not granted within {} s. {}",
                    HEAL.as_secs(),
                    waiting_for(&self.lab.backbone)
                );
            }
            self.screen.show(&self.lab.board(), self.lab.transactions());
            tokio::time::sleep(TIMED_LOOK).await;
            said = before_now(unseen);
        }
        let took = self.taken(name, devices, &texts, said).await?;
        self.screen.show(&self.lab.board(), self.lab.transactions());
        let converged_ms = took.into_iter().max().unwrap_or(0);
        let rate = u64::from(self.probes.per_second) * self.probes.pairs.len() as u64;
        let wanted = Duration::from_millis((PROBES_PER_EVENT * 1_000).div_ceil(rate.max(1)));
        tokio::time::sleep(AFTERWARDS.max(wanted)).await;
        let window = self.probes.since(&from).await?;
        let event = Event::new(name, on.to_string(), true, &window, self.probes.per_second, converged_ms);
        self.ended(event);
        Ok(())
    }

    /// Hashes of what the devices are to run.
    fn texts(&self, devices: &[Code]) -> BTreeMap<Code, [u8; 32]> {
        let text = |device: &Code| Some((*device, self.lab.controller()?.bundle(device)?.sha256));
        devices.iter().filter_map(text).collect()
    }

    /// Waits until each device has taken another text than it had; ms from `said` to each.
    async fn taken(
        &mut self,
        name: &str,
        devices: &[Code],
        before: &BTreeMap<Code, [u8; 32]>,
        said: Instant,
    ) -> anyhow::Result<Vec<u64>> {
        let deadline = said + CHANGE;
        let mut open: Vec<Code> = devices.to_vec();
        let mut took = Vec::new();
        while !open.is_empty() {
            let now = self.texts(&open);
            let lab = &*self.lab;
            let taken = |device: &Code| now.get(device) != before.get(device) && is_current(lab, device);
            let (done, rest): (Vec<Code>, Vec<Code>) = open.iter().copied().partition(taken);
            took.extend(done.iter().map(|_| u64::try_from(said.elapsed().as_millis()).unwrap_or(u64::MAX)));
            open = rest;
            if Instant::now() > deadline {
                let state = open.first().map(|device| stands(self.lab, device)).unwrap_or_default();
                bail!("{name}: the routers did not take it within {} s. {state}", CHANGE.as_secs());
            }
            tokio::time::sleep(TIMED_LOOK).await;
        }
        Ok(took)
    }

    /// From the ledger to the routers, one link after the other.
    async fn changes(&mut self) -> anyhow::Result<Vec<u64>> {
        self.screen.chapter(&format!("Changes: the delay of a link, {CHANGES} times"));
        let from = self.probes.moment().await?;
        let links: Vec<Code> = self.lab.site.links.iter().map(|l| l.code).cycle().take(CHANGES).collect();
        let mut times = Vec::new();
        let mut site = self.lab.site.clone();
        for link in links {
            let devices = self.ends(link)?.map(|(device, _)| device);
            let before = self.texts(&devices);
            for spec in site.links.iter_mut().filter(|l| l.code == link) {
                let now = if spec.delay_override_ns == 0 { spec.delay_ns } else { spec.delay_override_ns };
                spec.delay_override_ns = now + CHANGE_NS;
            }
            let began = Instant::now();
            self.lab.backbone.apply(&site, self.screen).await?;
            let said = before_now(unseen(began.elapsed()));
            times.extend(self.taken("a change of delay", &devices, &before, said).await?);
        }
        self.lab.backbone.site = site;
        tokio::time::sleep(AFTERWARDS).await;
        let window = self.probes.since(&from).await?;
        let most = times.iter().copied().max().unwrap_or(0);
        let event = Event::new("metric-changes", String::new(), true, &window, self.probes.per_second, most);
        self.ended(event);
        Ok(times)
    }

    /// Watches a fault that was just made, and tells it.
    async fn fault(&mut self, name: &'static str, on: Code, from: &Moment) -> anyhow::Result<()> {
        tokio::time::sleep(FAULT).await;
        let window = self.probes.since(from).await?;
        let converged_ms = window.last_loss_ms.unwrap_or(0);
        let event = Event::new(name, on.to_string(), false, &window, self.probes.per_second, converged_ms);
        self.ended(event);
        Ok(())
    }

    /// Until everything is well again; what is lost meanwhile is told as an event of its own.
    async fn heal(&mut self, name: &'static str, on: String) -> anyhow::Result<()> {
        let (from, began) = (self.probes.moment().await?, Instant::now());
        let what = "everything is in service and healthy again";
        // The ledger hears of a fault later than the routers.
        tokio::time::sleep(AFTERWARDS).await;
        until(self.lab, self.screen, HEAL, what, |lab| all_well(&lab.board())).await?;
        let window = self.probes.since(&from).await?;
        let healed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.ended(Event::new(name, on, true, &window, self.probes.per_second, healed_ms));
        Ok(())
    }

    /// Makes or mends a fault of a link.
    async fn strike(&self, ends: &[(Code, String); 2], silent: bool, fault: bool) -> anyhow::Result<()> {
        let [(a, at_a), (z, at_z)] = ends;
        let (a, z) = (self.lab.place(*a)?, self.lab.place(*z)?);
        if silent {
            network::set_silent([(a, at_a), (z, at_z)], fault).await
        } else {
            // Light that one end does not send is light that the other does not get: one port is enough, and it is one moment.
            network::set_port(a, at_a, !fault).await
        }
    }

    async fn link_fault(&mut self, name: &'static str, back: &'static str) -> anyhow::Result<()> {
        let link = self.link;
        let ends = self.ends(link)?;
        let silent = name == "link-silent";
        let how = if silent { "loses every packet, and no end sees it" } else { "loses its light" };
        self.screen.chapter(&format!("A fault: {link} {how}"));
        let from = self.probes.moment().await?;
        self.strike(&ends, silent, true).await?;
        self.fault(name, link, &from).await?;
        self.strike(&ends, silent, false).await?;
        self.heal(back, link.to_string()).await
    }

    async fn router_crash(&mut self) -> anyhow::Result<()> {
        let device = self.device;
        self.screen.chapter(&format!("A fault: {device} loses its power"));
        let place = self.lab.place(device)?.clone();
        let from = self.probes.moment().await?;
        network::power_off(&place).await?;
        router::kill(&place).await?;
        self.lab.agents.kill(device).await;
        self.fault("router-crash", device, &from).await?;
        network::power_on(&place).await?;
        router::start(&place).await?;
        self.lab.agents.start(device, &place)?;
        self.heal("router-back", device.to_string()).await
    }

    async fn controller_restart(&mut self) -> anyhow::Result<()> {
        self.screen.chapter("The controller is killed, and started again");
        let (from, began) = (self.probes.moment().await?, Instant::now());
        self.lab.kill_controller(self.screen);
        tokio::time::sleep(AWAY).await;
        self.lab.backbone.start_controller().await?;
        let what = "every router is known to run what it is to run";
        until(self.lab, self.screen, CHANGE, what, all_current).await?;
        let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tokio::time::sleep(AFTERWARDS).await;
        let window = self.probes.since(&from).await?;
        self.ended(Event::new("controller-restart", String::new(), true, &window, self.probes.per_second, took));
        Ok(())
    }

    async fn agent_restart(&mut self) -> anyhow::Result<()> {
        self.screen.chapter("Every agent is killed, and started again");
        let (from, began) = (self.probes.moment().await?, Instant::now());
        let restarted_unix_ms = causeway_controller::shared::now_ms();
        for code in self.lab.agents.devices() {
            self.lab.agents.kill(code).await;
            let place = self.lab.place(code)?.clone();
            self.lab.agents.start(code, &place)?;
        }
        let polled = |lab: &Lab| {
            let Some(controller) = lab.controller() else { return false };
            let store = controller.shared().store();
            let since = |entry: &causeway_controller::store::Entry| {
                entry.polled.as_ref().is_some_and(|polled| polled.at_unix_ms > restarted_unix_ms)
            };
            store.entries().values().all(since)
        };
        until(self.lab, self.screen, CHANGE, "every agent has asked again", |lab| polled(lab) && all_current(lab))
            .await?;
        let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tokio::time::sleep(AFTERWARDS).await;
        let window = self.probes.since(&from).await?;
        self.ended(Event::new("agent-restart", String::new(), true, &window, self.probes.per_second, took));
        Ok(())
    }
}

/// How long before it was known the ledger's word may have been given: the sender looks that often at what it has sent, more
/// seldom after a while, and the ledger's watch gathers what it hears for no longer. What is timed begins so much earlier, so
/// that it is never told as less than it was.
fn unseen(sending: Duration) -> Duration {
    let SendConfig { poll_every, poll_slowly_every, .. } = SendConfig::default();
    let looks = if sending < YOUNG { poll_every } else { poll_slowly_every };
    looks.max(WatchConfig::default().gather)
}

/// A moment so long ago.
fn before_now(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_sub(time).unwrap_or(now)
}

fn tenths(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}

/// Looks until `done`, showing what changes.
async fn until(
    lab: &mut Lab,
    screen: &mut Screen,
    limit: Duration,
    what: &str,
    done: impl Fn(&Lab) -> bool,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + limit;
    let (mut slot, mut moved) = (0, Instant::now());
    loop {
        let board = lab.board();
        screen.show(&board, lab.transactions());
        if done(lab) {
            return Ok(());
        }
        if board.slot != slot {
            (slot, moved) = (board.slot, Instant::now());
        }
        if moved.elapsed() > STANDSTILL {
            bail!(
                "the ledger has stood still at slot {slot} for {} s; its validator may have ended, and says above why",
                STANDSTILL.as_secs()
            );
        }
        if let Some(code) = lab.agents.ended().first() {
            let log = std::fs::read_to_string(lab.agents.log(*code)).unwrap_or_default();
            bail!("the agent of {code} ended: {}", log.lines().last().unwrap_or("it said nothing"));
        }
        if Instant::now() >= deadline {
            let stuck = lab.site.devices.iter().find(|d| !is_current(lab, &d.code));
            let stuck = stuck.map(|d| stands(lab, &d.code)).unwrap_or_default();
            bail!("not within {} s: {what}. {} {stuck}", limit.as_secs(), waiting_for(&lab.backbone));
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn all_in_service(board: &Board) -> bool {
    !board.rows.is_empty() && board.rows.values().all(|row| row.activated)
}

/// In service, and ready in the eyes of a quorum.
fn all_well(board: &Board) -> bool {
    let ready = |kind: Kind| match kind {
        Kind::Device => "ready-for-users",
        Kind::Link => "ready-for-service",
    };
    all_in_service(board) && board.rows.iter().all(|((kind, _), row)| row.health == ready(*kind))
}

/// Whether every router is known to run what it is to run.
pub fn all_current(lab: &Lab) -> bool {
    lab.site.devices.iter().all(|device| is_current(lab, &device.code))
}

fn is_current(lab: &Lab, device: &Code) -> bool {
    lab.controller().and_then(|c| c.apply_state(device)) == Some(ApplyState::Current)
}

/// How a device stands to its configuration, in words.
fn stands(lab: &Lab, device: &Code) -> String {
    let Some(controller) = lab.controller() else { return String::new() };
    let store = controller.shared().store();
    let Some(entry) = store.entry(device) else { return format!("{device} has no configuration.") };
    let last = entry.reports.back().map(|report| format!(" {report:?}")).unwrap_or_default();
    format!("{device} is {}.{last}", entry.apply_state().name())
}

fn link_status(lab: &Lab, link: Code) -> Option<LinkStatus> {
    lab.snapshot()?.links.values().find(|l| l.code == link).map(|l| l.header.status)
}

fn device_status(lab: &Lab, device: Code) -> Option<DeviceStatus> {
    lab.snapshot()?.devices.values().find(|d| d.code == device).map(|d| d.header.status)
}
