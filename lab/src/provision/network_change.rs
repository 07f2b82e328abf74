//! A change of every router at once, four times: one router refuses to commit, one loses a neighbour before its change is
//! verified, one is silent when it is to confirm, and then all is well. Three times nothing may be left of it on any router.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use causeway_controller::jobs::automatic::AutomaticConfig;
use causeway_interface::{Code, InterfaceKind, recipe};
use causeway_jobs::{
    Job,
    job::{Phase, Step},
    spec::{JobId, Kind, StepSpec, Verb},
    status::State,
};

use super::{ACTOR, Crew, LOOK, Outcome, Running, Told, all_done, error, expect, has_begun, outcome, words};
use crate::{network, report::Event, router};

/// What the change adds to every link's delay: one unit of metric, which is another line on every router and another way for
/// nobody.
const CHANGE_NS: u64 = 1_000;
/// The daemon that is taken from the agent of the router that refuses. Traffic does not need it for as long.
const DAEMON: &str = "bgpd";
/// For routing to have noticed a cut: three intervals of BFD, of which the longest that a lab has is a third of a second, twice.
const NOTICED: Duration = Duration::from_secs(2);
/// Longest wait for the controller to have heard of the change.
const HEARD: Duration = Duration::from_secs(60);
/// Longest wait for an adjacency to be back.
const ADJACENT: Duration = Duration::from_secs(60);

impl Crew<'_> {
    pub(super) async fn network_change(&mut self) -> anyhow::Result<Told> {
        let routers = self.lab.places.len();
        self.screen.chapter(&format!("A change of {routers} routers at once: refused, unverified, silent, and well"));
        self.by_jobs(AutomaticConfig::default()).await?;
        let before = self.running().await?;
        let mut site = self.lab.site.clone();
        for link in &mut site.links {
            let now = if link.delay_override_ns == 0 { link.delay_ns } else { link.delay_override_ns };
            link.delay_override_ns = now + CHANGE_NS;
        }
        let asked_before = self.asked_for();
        self.lab.backbone.apply(&site, self.screen).await?;
        self.lab.backbone.site = site;
        // A job brings what the controller has made of the ledger by then, which hears of it a little later.
        let deadline = Instant::now() + HEARD;
        while self.asked_for().iter().zip(&asked_before).any(|(now, before)| now == before) {
            ensure!(Instant::now() < deadline, "the controller did not make every router another configuration");
            tokio::time::sleep(LOOK).await;
        }

        let mut told = Told::default();
        // The routers that are made to fail refuse it, and all of them take it back; everything until here was noted.
        self.lab.note_refusals(self.screen);
        self.lab.refusals.on_purpose = true;
        self.refused(&before, &mut told).await?;
        self.unverified(&before, &mut told).await?;
        self.silent(&before, &mut told).await?;
        self.well(&before, &mut told).await?;
        self.continuously().await?;
        // A router that was silent may have said it late; had one refused the last change, its job would have said so.
        self.lab.note_refusals(self.screen);
        self.lab.refusals.on_purpose = false;
        Ok(told)
    }

    /// Hashes of what the ledger asks of every router.
    fn asked_for(&self) -> Vec<Option<[u8; 32]>> {
        let of = |code| Some(self.lab.controller()?.bundle(code)?.sha256);
        self.lab.places.keys().map(of).collect()
    }

    /// The agent of one router can't reach a daemon that the change needs.
    async fn refused(&mut self, before: &Running, told: &mut Told) -> anyhow::Result<()> {
        let device = self.bystander()?;
        let place = self.lab.place(device)?.clone();
        self.screen.say(&format!("{device}: its {DAEMON} is not to be reached when it is to commit."));
        let (from, began) = (self.probes.moment().await?, Instant::now());
        router::hide(&place, DAEMON)?;
        let job = self.played(None).await;
        // Also where it failed: the router is to be left as it was.
        router::show(&place, DAEMON)?;
        let job = job?;
        let event = self.event("change-refused", device.to_string(), true, &from, began).await?;
        let after = self.running().await?;
        let outcome = outcome("change-refused", Some(device), &job, before, &after);
        expect(&outcome, &[State::FailedValidation, State::RolledBack], false, &job)?;
        failed(&job, &[device], Verb::Commit)?;
        self.tell(told, event, outcome, &job);
        Ok(())
    }

    /// The port of one router loses its light once all have committed, and before anything is verified.
    async fn unverified(&mut self, before: &Running, told: &mut Told) -> anyhow::Result<()> {
        let link = self.lab.site.links.iter().find(|link| link.code == self.link).context("a link of the site")?;
        let (device, port) = (link.a.device, link.a.interface.to_string());
        let ends = [device, link.z.device];
        let place = self.lab.place(device)?.clone();
        self.screen.say(&format!("{device}: {port} loses its light when all have committed."));
        let (from, began) = (self.probes.moment().await?, Instant::now());
        let id = self.start(Kind::NetworkChange).await?;
        self.held_at(id, Verb::Commit, Verb::Verify).await?;
        network::set_port(&place, &port, false).await?;
        tokio::time::sleep(NOTICED).await;
        let job = self.played(Some(id)).await;
        network::set_port(&place, &port, true).await?;
        let job = job?;
        let event = self.event("change-unverified", device.to_string(), false, &from, began).await?;
        let after = self.running().await?;
        let outcome = outcome("change-unverified", Some(device), &job, before, &after);
        expect(&outcome, &[State::RolledBack], false, &job)?;
        // Both ends of the link see it, and the job goes back with the first that says so.
        failed(&job, &ends, Verb::Verify)?;
        self.tell(told, event, outcome, &job);
        // The next change has to find it.
        let deadline = Instant::now() + ADJACENT;
        loop {
            let neighbours =
                crate::command::run("vtysh", &["-N", &place.namespace, "-c", "show isis neighbor"]).await?;
            let is_up = |line: &str| line.split_whitespace().any(|word| word == port) && line.contains("Up");
            if neighbours.lines().any(is_up) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{device} has no adjacency on {port} again: {neighbours}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The management port of one router is dead once all are verified, and before anything is confirmed.
    async fn silent(&mut self, before: &Running, told: &mut Told) -> anyhow::Result<()> {
        let device = self.bystander()?;
        let place = self.lab.place(device)?.clone();
        let port = self.management_port(device)?;
        self.screen.say(&format!("{device}: not to be heard of when it is to confirm."));
        let (from, began) = (self.probes.moment().await?, Instant::now());
        let id = self.start(Kind::NetworkChange).await?;
        self.held_at(id, Verb::Verify, Verb::Confirm).await?;
        network::set_port(&place, &port, false).await?;
        self.jobs()?.desk.release(id, ACTOR).await?;
        let gave_up = |job: &Job| matches!(job.phase, Phase::Back(_) | Phase::Ended(_));
        let back = self.until_job(id, "it goes back", gave_up).await;
        // It says nothing for as long as the job waits for it; then it is heard of again, and told.
        network::set_port(&place, &port, true).await?;
        let back = back?;
        let confirmed = of(&back, Verb::Confirm).filter(|(step, _)| step.forward.is_good()).count();
        let job = self.over(id).await?;
        let event = self.event("change-silent", device.to_string(), true, &from, began).await?;
        let after = self.running().await?;
        let outcome = outcome("change-silent", Some(device), &job, before, &after);
        expect(&outcome, &[State::RolledBack], false, &job)?;
        failed(&job, &[device], Verb::Confirm)?;
        self.screen.say(&format!("{confirmed} routers had confirmed, and went back all the same."));
        ensure!(confirmed > 0, "nobody had confirmed: {}", words(&job));
        self.tell(told, event, outcome, &job);
        Ok(())
    }

    async fn well(&mut self, before: &Running, told: &mut Told) -> anyhow::Result<()> {
        let (from, began) = (self.probes.moment().await?, Instant::now());
        let job = self.played(None).await?;
        let event = self.event("change-well", String::new(), true, &from, began).await?;
        let after = self.running().await?;
        let outcome = outcome("change-well", None, &job, before, &after);
        expect(&outcome, &[State::Done], true, &job)?;
        self.tell(told, event, outcome, &job);
        Ok(())
    }

    /// Runs a job to its end: a new one, or one that was held.
    async fn played(&self, held: Option<JobId>) -> anyhow::Result<Job> {
        let id = match held {
            Some(id) => {
                self.jobs()?.desk.release(id, ACTOR).await?;
                id
            }
            None => self.start(Kind::NetworkChange).await?,
        };
        self.over(id).await
    }

    /// Holds a job so that no step begins after those of a verb, and waits until these are done.
    async fn held_at(&self, id: JobId, verb: Verb, next: Verb) -> anyhow::Result<()> {
        self.until_job(id, "its turn", |job| has_begun(job, verb)).await?;
        self.jobs()?.desk.hold(id, ACTOR, "until something has failed").await?;
        let job = self.until_job(id, "all are done", |job| all_done(job, verb)).await?;
        ensure!(!has_begun(&job, next), "the job was not held in time: {}", words(&job));
        Ok(())
    }

    /// A router that no probe begins or ends at, or else the last one.
    fn bystander(&self) -> anyhow::Result<Code> {
        let probes = |code: &Code| self.probes.pairs.iter().any(|(a, z)| a == code || z == code);
        let all = || self.lab.places.keys().copied();
        all().find(|code| !probes(code)).or_else(|| all().last()).context("a lab has routers")
    }

    fn management_port(&self, device: Code) -> anyhow::Result<String> {
        let spec = self.lab.site.devices.iter().find(|d| d.code == device).context("a device of the site")?;
        let mut all =
            (0..recipe::len(spec.device_type)).map(|index| recipe::interface(spec.device_type, spec.platform, index));
        let port = all.find(|port| port.kind == InterfaceKind::Management).context("every device has one")?;
        Ok(port.name.to_string())
    }

    fn tell(&mut self, told: &mut Told, event: Event, outcome: Outcome, job: &Job) {
        self.screen.say(&format!(
            "{} after {} s; {} routers run what they ran, {} something else.",
            words(job),
            outcome.seconds,
            outcome.run_old,
            outcome.run_new
        ));
        told.events.push(event);
        told.jobs.push(outcome);
    }
}

fn of(job: &Job, verb: Verb) -> impl Iterator<Item = (&Step, &StepSpec)> {
    job.steps.iter().zip(&job.spec.steps).filter(move |(_, spec)| spec.verb == verb)
}

/// It has to have failed for one of these routers, at this step, and nowhere before.
fn failed(job: &Job, devices: &[Code], verb: Verb) -> anyhow::Result<()> {
    let found = of(job, verb).any(|(step, spec)| devices.contains(&spec.device) && step.has_failed_critically(spec));
    let first = error(job).map(|(_, words)| words).unwrap_or_default();
    let named = devices.iter().map(Code::to_string).collect::<Vec<_>>().join(" or ");
    ensure!(found, "it was to fail at {} of {named}, and failed at {first}", verb.name());
    Ok(())
}
