//! L1 to L3.
//!
//! A hard-drained link is passive by intent: its adjacency can't be up, so L3 is not asked of it. Were it, no
//! hard-drained link could ever be attested ready, and none could be undrained. Once it is in routing again, the
//! adjacency is judged from that change of status on, after the time to settle.

use causeway_interface::{Code, InterfaceName, LinkHealth, LinkStatus};

use super::{
    Below, Criterion, CriterionResult, Level, Outcome, Verdict, below,
    coverage::{Judgement, Window},
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

/// Judges a link at `now_ms` by what the devices of side A and of side Z report.
#[must_use]
pub fn evaluate_link(
    window: &Window,
    facts: &LinkFacts,
    telemetry: [&DeviceTelemetry; 2],
    standard: &Standard,
    now_ms: u64,
) -> Verdict {
    let rules = &standard.rules;
    let [(_, interface_a), (_, interface_z)] = &facts.ends;
    let [a, z] = telemetry;
    let l1 = [(a, interface_a), (z, interface_z)]
        .map(|(end, interface)| series::interface(end.interfaces.get(interface), window, rules));
    let l2 = [a, z].map(|end| series::probes(end.probes.get(&(ProbeKind::Link, facts.code)), window, rules));
    let l1_required = Text::from("both interfaces up throughout, no errors, non-zero traffic");
    let criteria = vec![
        every(Criterion::L1, facts, &l1, l1_required, standard),
        every(Criterion::L2, facts, &l2, standard.loss.clone(), standard),
        l3(window, facts, telemetry, standard, now_ms),
    ];
    let health = match below(Outcome::all(criteria.iter().map(|c| c.passed))) {
        Below::Reached => LinkHealth::ReadyForService,
        Below::Impaired => LinkHealth::Impaired,
        Below::Pending => LinkHealth::Pending,
    };
    Verdict { level: Level::Link(health), criteria }
}

/// Bytes of what is seen at both ends, in the usual case.
const USUAL_WORDS: usize = 128;

fn every(
    id: Criterion,
    facts: &LinkFacts,
    judged: &[Judgement; 2],
    required: Text,
    standard: &Standard,
) -> CriterionResult {
    let passed = Outcome::all(judged.iter().map(|judgement| judgement.outcome));
    let mut observed = String::with_capacity(USUAL_WORDS);
    for ((device, interface), judgement) in facts.ends.iter().zip(judged) {
        let between = if observed.is_empty() { "" } else { "; " };
        for part in [between, device.as_str(), " ", interface.as_str(), ": "] {
            observed.push_str(part);
        }
        judgement.observed.say(&mut observed);
    }
    CriterionResult { id, passed, observed, required, detail: standard.coverage.clone() }
}

fn l3(
    window: &Window,
    facts: &LinkFacts,
    telemetry: [&DeviceTelemetry; 2],
    standard: &Standard,
    now_ms: u64,
) -> CriterionResult {
    let rules = &standard.rules;
    let required = Text::from("IS-IS adjacency up at both ends throughout");
    let waived = |detail: &'static str| CriterionResult {
        id: Criterion::L3,
        passed: Outcome::Passed,
        observed: "not judged".to_owned(),
        required: required.clone(),
        detail: detail.into(),
    };
    let window = match facts.status {
        LinkStatus::HardDrained => return waived("hard-drained: the interfaces are passive by intent"),
        LinkStatus::Activated | LinkStatus::SoftDrained => {
            let from_ms = facts.status_since_ms.saturating_add(rules.settle_ms);
            let judged_ms = from_ms
                .saturating_add(rules.min_buckets.saturating_add(1).saturating_mul(rules.bucket_ms))
                .saturating_add(rules.lag_ms);
            if now_ms < judged_ms {
                return waived("the status has just changed: the adjacency has time to settle");
            }
            window.since(Some(from_ms))
        }
        LinkStatus::Pending
        | LinkStatus::Suspended
        | LinkStatus::Deleting
        | LinkStatus::Rejected
        | LinkStatus::Requested
        | LinkStatus::Provisioning => *window,
    };
    let [(_, interface_a), (_, interface_z)] = &facts.ends;
    let [a, z] = telemetry;
    let judged = [(a, interface_a), (z, interface_z)]
        .map(|(end, interface)| series::adjacency(end.adjacencies.get(interface), &window, rules));
    every(Criterion::L3, facts, &judged, required, standard)
}
