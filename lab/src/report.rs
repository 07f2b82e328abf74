//! What came out, as measured.

use causeway_controller::render::timers::{LSP_GENERATION_S, SPF_LONG_MS};
use serde::Serialize;

use crate::{probes::Window, provision::Outcome};

/// One thing that was done to the network, and what became of the traffic.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// What.
    pub event: &'static str,
    /// To what; empty where it is to all.
    pub on: String,
    /// Whether somebody wanted it: then nothing may be lost.
    pub planned: bool,
    /// Probes that were sent meanwhile, all pairs together.
    pub probes: u64,
    /// Of them, lost.
    pub lost: u64,
    /// Pairs that lost any.
    pub pairs_hit: usize,
    /// Which pairs lost what; empty where nothing was lost.
    pub hits: String,
    /// Most that one pair lost, in ms of its probes.
    pub outage_ms: f64,
    /// Planned: from the ledger's word to applied and verified on every router that it concerns. Unplanned: from the fault to
    /// the last probe that was lost.
    pub converged_ms: u64,
}

impl Event {
    /// Of a window; `per_second` is a pair's rate.
    pub fn new(
        event: &'static str,
        on: String,
        planned: bool,
        window: &Window,
        per_second: u32,
        converged_ms: u64,
    ) -> Self {
        let outage_ms = window.most_lost() as f64 * 1_000.0 / f64::from(per_second.max(1));
        Self {
            event,
            on,
            planned,
            probes: window.probes,
            lost: window.lost,
            pairs_hit: window.hit.len(),
            hits: window.hits(),
            outage_ms: (outage_ms * 10.0).round() / 10.0,
            converged_ms,
        }
    }
}

/// The result of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Topology.
    pub topology: String,
    /// Devices that were registered.
    pub devices: usize,
    /// Of them, in service at the end.
    pub devices_activated: usize,
    /// Links that were registered.
    pub links: usize,
    /// Of them, in service at the end.
    pub links_activated: usize,
    /// From nothing to everything in service.
    pub seconds_to_service: f64,
    /// In all.
    pub seconds: f64,
    /// Memory of all routers, agents, the ledger, controller and oracles once everything was in service: the sum of their
    /// proportional set sizes, in MB.
    pub rss_mb: u64,
    /// Of that, of the routers' daemons.
    pub routers_rss_mb: u64,
    /// Pairs that probed each other.
    pub pairs: usize,
    /// Probes a second of each.
    pub per_second: u32,
    /// Milliseconds between BFD packets on links.
    pub bfd_interval_ms: u16,
    /// What was done.
    pub events: Vec<Event>,
    /// What jobs came to.
    pub jobs: Vec<Outcome>,
    /// From the ledger's confirmation, at the latest, to applied and verified on a router, in ms: half were faster.
    pub applied_ms_p50: Option<u64>,
    /// 99 of a hundred were faster.
    pub applied_ms_p99: Option<u64>,
    /// Of so many.
    pub applied_samples: usize,
    /// Configurations that were refused or taken back and should not have been, as every controller of the run was told.
    pub refused: u64,
    /// Those of a step that makes routers fail.
    pub refused_on_purpose: u64,
}

/// BFD packets in a row whose absence is a fault.
const BFD_MULTIPLIER: u32 = 3;
/// What routing may take in ms once a router knows that a link is lost, on a machine that is busy with all of them.
const REROUTED_MS: u32 = 200;

/// Longest outage in ms that an event may cause to a pair.
fn outage_limit_ms(event: &str, bfd_interval_ms: u16) -> f64 {
    match event {
        "link-cut" => f64::from(REROUTED_MS),
        // Nobody knows before BFD does.
        "link-silent" => f64::from(u32::from(bfd_interval_ms) * BFD_MULTIPLIER + REROUTED_MS),
        "router-crash" => 1_000.0,
        // It cuts a link in the middle of a change of every metric, of which IS-IS tells no more than once a second.
        "change-unverified" => f64::from(REROUTED_MS + u32::from(LSP_GENERATION_S) * 1_000 + u32::from(SPF_LONG_MS)),
        _ => 0.0,
    }
}

impl Report {
    /// What did not come out as it should, in words.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.devices == 0 || self.devices_activated < self.devices || self.links_activated < self.links {
            problems.push(format!(
                "{} of {} devices and {} of {} links are in service",
                self.devices_activated, self.devices, self.links_activated, self.links
            ));
        }
        if self.refused > 0 {
            problems.push(format!("{} configurations were refused or taken back", self.refused));
        }
        for event in &self.events {
            let limit = outage_limit_ms(event.event, self.bfd_interval_ms);
            if event.outage_ms > limit {
                problems
                    .push(format!("{}: {} ms of a pair's probes lost, {limit} allowed", event.event, event.outage_ms));
            }
        }
        problems
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut lines = vec![
            "Summary".to_owned(),
            format!("  devices in service         {} of {}", self.devices_activated, self.devices),
            format!("  links in service           {} of {}", self.links_activated, self.links),
            format!("  all in service after       {:.1} s", self.seconds_to_service),
            format!("  memory                     {} MB, {} of it the routers'", self.rss_mb, self.routers_rss_mb),
        ];
        if let Some((p50, p99)) = self.applied_ms_p50.zip(self.applied_ms_p99) {
            lines.push(format!(
                "  ledger to router           {p50} ms (p50), {p99} ms (p99) of {}",
                self.applied_samples
            ));
        }
        lines.push(format!("  in all                     {:.1} s", self.seconds));
        if !self.events.is_empty() {
            lines.push(String::new());
            lines.push(format!(
                "  {:<20} {:<24} {:>8} {:>6} {:>6} {:>9} {:>12}",
                "event", "on", "probes", "lost", "pairs", "outage", "converged"
            ));
        }
        for e in &self.events {
            lines.push(format!(
                "  {:<20} {:<24} {:>8} {:>6} {:>6} {:>6.1} ms {:>9} ms",
                e.event, e.on, e.probes, e.lost, e.pairs_hit, e.outage_ms, e.converged_ms
            ));
        }
        lines.join("\n")
    }
}

/// The value below which a share of the sorted values lies, by the nearest rank.
#[must_use]
pub fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::Hit;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let values: Vec<u64> = (1..=40).collect();
        assert_eq!(
            (percentile(&values, 50), percentile(&values, 99), percentile(&values, 100)),
            (Some(20), Some(40), Some(40))
        );
        assert_eq!((percentile(&[7], 50), percentile(&[], 50)), (Some(7), None));
    }

    #[test]
    fn a_refusal_is_a_problem_unless_it_was_made_on_purpose() {
        let of = |refused, refused_on_purpose| {
            Report { devices: 1, devices_activated: 1, refused, refused_on_purpose, ..Report::default() }
                .problems()
                .len()
        };
        assert_eq!((of(0, 0), of(0, 3), of(1, 3)), (0, 0, 1));
    }

    #[test]
    fn a_planned_loss_and_an_outage_over_the_limit_are_problems() {
        let pair = ("a".parse().unwrap(), "z".parse().unwrap());
        let window = |lost| Window {
            probes: 10_000,
            lost,
            hit: vec![Hit { pair, probes: 1_000, lost, unsent: 0, late: 0 }],
            last_loss_ms: None,
        };
        let event = |name, lost| Event::new(name, String::new(), true, &window(lost), 500, 0);
        let of = |events| Report { devices: 1, devices_activated: 1, events, ..Report::default() }.problems().len();
        assert_eq!(of(vec![event("soft-drain", 0), event("link-cut", 100), event("router-crash", 500)]), 0);
        assert_eq!(of(vec![event("soft-drain", 1), event("link-cut", 101), event("router-crash", 501)]), 3);
    }
}
