//! Changes on the ledger that start jobs by themselves: a dry run of a device that nobody opted in, and a job that commits
//! of one that somebody did.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use causeway_cli::site::{InterfaceSpec, Site};
use causeway_controller::jobs::automatic::{AutomaticConfig, Field};
use causeway_interface::{Code, InterfaceKind, InterfaceRole, Prefix, recipe};
use causeway_jobs::{
    Job,
    engine::{DIFF, artifact},
    job::Phase,
    spec::{Kind, Trigger},
    status::State,
    store::Filter,
};

use super::{Crew, JOB, LOOK, Told, error, expect, outcome, words};
use crate::command::run;

/// The ledger's quiet time before a job: the lab's own changes are one transaction each.
const DEBOUNCE: Duration = Duration::from_secs(1);
/// First address that an interface gets, of a range that is for examples (RFC 5737); each further one gets the next pair.
const FIRST_ADDRESS: u32 = u32::from_be_bytes([203, 0, 113, 0]);
/// Length of its prefix: a pair.
const ADDRESS_LEN: u8 = 31;
/// Addresses of a pair.
const PAIR: u32 = 2;

/// A device and a port of it that is for users, which nothing depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Spot {
    device: Code,
    port: InterfaceSpec,
}

impl Crew<'_> {
    pub(super) async fn automatic(&mut self) -> anyhow::Result<Told> {
        self.screen.chapter("Jobs that the ledger starts: dry runs, and commits where somebody opted in");
        let [looked_at, opted_in] = spots(&self.lab.site).context("two devices with a port for users")?;
        let automatic = AutomaticConfig {
            enabled: true,
            fields: BTreeSet::from([Field::Interfaces]),
            commit_devices: BTreeSet::from([opted_in.device]),
            debounce: DEBOUNCE,
            ..AutomaticConfig::default()
        };
        self.by_jobs(automatic).await?;
        let before = self.running().await?;
        let (from, began) = (self.probes.moment().await?, Instant::now());
        let mut site = self.lab.site.clone();
        change(&mut site, &looked_at);
        change(&mut site, &opted_in);
        self.lab.backbone.apply(&site, self.screen).await?;
        self.lab.backbone.site = site;

        let looked = self.started_for(looked_at.device).await?;
        let committed = self.started_for(opted_in.device).await?;
        let event = self.event("automatic", opted_in.device.to_string(), true, &from, began).await?;
        let after = self.running().await?;
        let mut jobs = Vec::new();
        for (job, kind) in [(&looked, Kind::DryRun), (&committed, Kind::Provision)] {
            ensure!(job.spec.kind == kind, "{} was expected: {}", kind.name(), words(job));
            let outcome = outcome("automatic", None, job, &before, &after);
            expect(&outcome, &[State::Done], kind == Kind::Provision, job)?;
            jobs.push(outcome);
        }
        let line = line(&looked_at);
        let diff = self.diff(&looked).await?;
        ensure!(diff.lines().any(|is| is == format!("+{line}")), "the dry run does not show {line:?}: {diff}");
        self.screen.say(&format!("{}: a dry run, nothing changed. Its difference:", looked_at.device));
        diff.lines().for_each(|line| self.screen.diff_line(line));
        self.on_router(&opted_in, after.get(&opted_in.device).map(String::as_str).unwrap_or_default()).await?;
        self.screen.say(&format!("{}: committed, verified, and on the router.", opted_in.device));
        self.continuously().await?;
        Ok(Told { events: vec![event], jobs })
    }

    /// The job that the ledger started for a device, once it is over.
    async fn started_for(&self, device: Code) -> anyhow::Result<Job> {
        let jobs = self.jobs()?;
        let deadline = Instant::now() + JOB;
        loop {
            let rows = jobs.store.list(Filter { device: Some(device), ..Filter::default() }, 1).await?;
            if let Some(row) = rows.first() {
                let job = jobs.desk.job(row.id).await?;
                if job.spec.trigger == Trigger::Automatic && matches!(job.phase, Phase::Ended(_)) {
                    ensure!(error(&job).is_none(), "{}", words(&job));
                    return Ok(job);
                }
            }
            ensure!(
                Instant::now() < deadline,
                "a change on the ledger started no job for {device} that came to its end"
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn diff(&self, job: &Job) -> anyhow::Result<String> {
        let device = job.spec.targets.first().context("a job has a device")?.device;
        let bytes = self.jobs()?.store.artifact(job.id, artifact(&device, DIFF)).await?;
        Ok(String::from_utf8_lossy(&bytes.context("a dry run keeps its difference")?).into_owned())
    }

    /// The router has what the ledger asks for: in its FRR, and in its kernel.
    async fn on_router(&self, spot: &Spot, running: &str) -> anyhow::Result<()> {
        let line = line(spot);
        ensure!(running.lines().any(|is| is == line), "{} does not run {line:?}: {running}", spot.device);
        let place = self.lab.place(spot.device)?;
        let name = spot.port.name.to_string();
        let shown = run("ip", &["-n", &place.namespace, "-4", "-o", "addr", "show", "dev", &name]).await?;
        let address = spot.port.address.to_string();
        ensure!(shown.contains(&address), "the kernel of {} has no {address} on {name}: {shown}", spot.device);
        Ok(())
    }
}

/// As FRR writes it.
fn line(spot: &Spot) -> String {
    format!(" ip address {}", spot.port.address)
}

/// Two devices with a port for users each, and the addresses that these get.
fn spots(site: &Site) -> Option<[Spot; 2]> {
    let port = |device: &causeway_cli::site::DeviceSpec| {
        let mut all = (0..recipe::len(device.device_type))
            .map(|index| recipe::interface(device.device_type, device.platform, index));
        let port = all.find(|port| port.kind == InterfaceKind::Physical && port.role == InterfaceRole::Cyoa)?;
        Some((device.code, port))
    };
    let mut spots = (0_u32..).zip(site.devices.iter().filter_map(port)).map(|(number, (device, port))| Spot {
        device,
        port: InterfaceSpec {
            name: port.name,
            kind: port.kind,
            role: port.role,
            vlan_id: 0,
            mtu: port.mtu,
            bandwidth_bps: port.bandwidth_bps,
            address: Prefix::new(FIRST_ADDRESS + number * PAIR, ADDRESS_LEN),
        },
    });
    Some([spots.next()?, spots.next()?])
}

fn change(site: &mut Site, spot: &Spot) {
    for device in site.devices.iter_mut().filter(|device| device.code == spot.device) {
        device.interfaces.retain(|interface| interface.name != spot.port.name);
        device.interfaces.push(spot.port.clone());
    }
}

#[cfg(test)]
mod tests {
    use causeway_cli::import::{ImportOptions, site_from_gml};
    use causeway_interface::Platform;

    use super::*;

    #[test]
    fn two_devices_get_an_address_each_on_a_port_that_no_link_has() {
        let text = include_str!("../../../topologies/AttMpls.gml");
        let options = ImportOptions { platform: Platform::Frr, ..ImportOptions::default() };
        let mut site = site_from_gml(text, &options).unwrap().site;
        let [a, b] = spots(&site).unwrap();
        assert_ne!(a.device, b.device);
        assert_eq!(
            (line(&a).as_str(), line(&b).as_str()),
            (" ip address 203.0.113.0/31", " ip address 203.0.113.2/31")
        );
        let held = |spot: &Spot| {
            let mut ends = site.links.iter().flat_map(|link| [&link.a, &link.z]);
            ends.any(|end| end.device == spot.device && end.interface == spot.port.name)
        };
        assert!(!held(&a) && !held(&b));
        change(&mut site, &a);
        change(&mut site, &a);
        let device = site.devices.iter().find(|device| device.code == a.device).unwrap();
        let ports: Vec<_> = device.interfaces.iter().filter(|port| port.name == a.port.name).collect();
        assert_eq!(ports, [&a.port]);
    }
}
