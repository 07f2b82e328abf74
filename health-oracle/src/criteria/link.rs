//! L1 to L3.
//!
//! A hard-drained link is passive by intent: its adjacency can't be up, so L3 is not asked of it. Were it, no
//! hard-drained link could ever be attested ready, and none could be undrained. Once it is in routing again, the
//! adjacency is judged from that change of status on, after the time to settle.

use causeway_interface::{Code, InterfaceName, LinkHealth, LinkStatus};

use super::{
    Below, Criterion, CriterionResult, Level, Outcome, Verdict, below,
    coverage::{Judgement, Rules, Window},
    series,
    standard::Standard,
    text::Text,
};
use crate::telemetry::{DeviceTelemetry, ProbeKind};

/// What the ledger says of a link, as far as the criteria need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LinkFacts {
    /// Its code.
    pub code: Code,
    /// Its status.
    pub status: LinkStatus,
    /// Since when it has had it, in ms since 1970.
    pub status_since_ms: u64,
    /// Device and interface of side A and of side Z.
    pub ends: [(Code, InterfaceName); 2],
}

/// Where a device's series are to be expected: an agent reports interfaces, adjacencies and probes of links in one order,
/// with others before and between.
#[derive(Clone, Copy, Debug, Default)]
pub struct Order {
    /// Place of the next interface.
    interface: usize,
    /// Places that an adjacency comes before its interface.
    adjacency: usize,
    /// The same of the link's probes.
    probes: usize,
}

/// What is asked of both ends of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Its code.
    code: Code,
    /// The window of L1 and L2.
    window: Window,
    /// That of L3, or why L3 is not asked.
    adjacency: Result<Window, &'static str>,
}

impl Terms {
    /// Of a link of this status, at `now_ms`.
    #[must_use]
    pub fn new(
        window: &Window,
        code: Code,
        (status, status_since_ms): (LinkStatus, u64),
        rules: &Rules,
        now_ms: u64,
    ) -> Self {
        Self { code, window: *window, adjacency: adjacency_window(window, status, status_since_ms, rules, now_ms) }
    }

    /// The window of L1 and L2.
    #[must_use]
    pub const fn window(&self) -> &Window {
        &self.window
    }

    /// Judges one end: what this device reports of this interface, of the link and of the adjacency. `order` is what was
    /// learnt of the order of this device's series; what it says wrongly costs time and nothing else.
    #[must_use]
    pub fn judge(
        &self,
        telemetry: &DeviceTelemetry,
        interface: &InterfaceName,
        standard: &Standard,
        order: &mut Order,
    ) -> JudgedEnd {
        let Self { code, window, adjacency } = self;
        let rules = &standard.rules;
        let found = telemetry.interfaces.find(interface, order.interface);
        let place = found.map_or(0, |(place, _)| place);
        order.interface = place + 1;
        let probes = telemetry.probes.find(&(ProbeKind::Link, *code), place.saturating_sub(order.probes));
        order.probes = probes.map_or(order.probes, |(at, _)| place.saturating_sub(at));
        JudgedEnd {
            interface: series::interface(found.map(|(_, track)| track), window, rules),
            probes: series::probes(probes.map(|(_, track)| track), window, rules),
            adjacency: match adjacency {
                Ok(window) => {
                    let found = telemetry.adjacencies.find(interface, place.saturating_sub(order.adjacency));
                    order.adjacency = found.map_or(order.adjacency, |(at, _)| place.saturating_sub(at));
                    series::adjacency(found.map(|(_, track)| track), window, rules)
                }
                Err(_) => series::absent(),
            },
        }
    }

    /// The verdict on the link whose ends, A and Z, were judged so.
    #[must_use]
    pub fn conclude(&self, ends: &[(Code, InterfaceName); 2], judged: [&JudgedEnd; 2], standard: &Standard) -> Verdict {
        let l1_required = Text::from("both interfaces up throughout, no errors, non-zero traffic");
        let l3_required = Text::from("IS-IS adjacency up at both ends throughout");
        let l1 = judged.map(|end| &end.interface);
        let l2 = judged.map(|end| &end.probes);
        let l3 = match self.adjacency {
            Ok(_) => every(Criterion::L3, ends, judged.map(|end| &end.adjacency), l3_required, standard),
            Err(why) => CriterionResult {
                id: Criterion::L3,
                passed: Outcome::Passed,
                observed: "not judged".to_owned(),
                required: l3_required,
                detail: why.into(),
            },
        };
        let criteria = vec![
            every(Criterion::L1, ends, l1, l1_required, standard),
            every(Criterion::L2, ends, l2, standard.loss.clone(), standard),
            l3,
        ];
        let health = match below(Outcome::all(criteria.iter().map(|c| c.passed))) {
            Below::Reached => LinkHealth::ReadyForService,
            Below::Impaired => LinkHealth::Impaired,
            Below::Pending => LinkHealth::Pending,
        };
        Verdict { level: Level::Link(health), criteria }
    }
}

/// What one end of a link says over its windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedEnd {
    interface: Judgement,
    probes: Judgement,
    /// Of no meaning where L3 is not asked.
    adjacency: Judgement,
}

/// Judges a link at `now_ms` by what the devices of side A and of side Z report.
#[must_use]
pub fn evaluate_link(
    window: &Window,
    facts: &LinkFacts,
    telemetry: [&DeviceTelemetry; 2],
    standard: &Standard,
    now_ms: u64,
) -> Verdict {
    let terms = Terms::new(window, facts.code, (facts.status, facts.status_since_ms), &standard.rules, now_ms);
    let [(_, interface_a), (_, interface_z)] = &facts.ends;
    let [a, z] = telemetry;
    let [a, z] = [(a, interface_a), (z, interface_z)]
        .map(|(end, interface)| terms.judge(end, interface, standard, &mut Order::default()));
    terms.conclude(&facts.ends, [&a, &z], standard)
}

/// Bytes of what is seen at both ends, in the usual case.
const USUAL_WORDS: usize = 128;

fn every(
    id: Criterion,
    ends: &[(Code, InterfaceName); 2],
    judged: [&Judgement; 2],
    required: Text,
    standard: &Standard,
) -> CriterionResult {
    let passed = Outcome::all(judged.iter().map(|judgement| judgement.outcome));
    let mut observed = String::with_capacity(USUAL_WORDS);
    for ((device, interface), judgement) in ends.iter().zip(judged) {
        let between = if observed.is_empty() { "" } else { "; " };
        for part in [between, device.as_str(), " ", interface.as_str(), ": "] {
            observed.push_str(part);
        }
        judgement.observed.say(&mut observed);
    }
    CriterionResult { id, passed, observed, required, detail: standard.coverage.clone() }
}

/// The window of L3 for a link that has had this status since then; or why it is not asked.
fn adjacency_window(
    window: &Window,
    status: LinkStatus,
    since_ms: u64,
    rules: &Rules,
    now_ms: u64,
) -> Result<Window, &'static str> {
    match status {
        LinkStatus::HardDrained => Err("hard-drained: the interfaces are passive by intent"),
        LinkStatus::Activated | LinkStatus::SoftDrained => {
            let from_ms = since_ms.saturating_add(rules.settle_ms);
            let judged_ms = from_ms
                .saturating_add(rules.min_buckets.saturating_add(1).saturating_mul(rules.bucket_ms))
                .saturating_add(rules.lag_ms);
            if now_ms < judged_ms {
                return Err("the status has just changed: the adjacency has time to settle");
            }
            Ok(window.since(Some(from_ms)))
        }
        LinkStatus::Pending
        | LinkStatus::Suspended
        | LinkStatus::Deleting
        | LinkStatus::Rejected
        | LinkStatus::Requested
        | LinkStatus::Provisioning => Ok(*window),
    }
}
