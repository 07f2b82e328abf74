//! L1 to L3.
//!
//! A hard-drained link is passive by intent: its adjacency can't be up, so L3 is not asked of it. Were it, no
//! hard-drained link could ever be attested ready, and none could be undrained. Once it is in routing again, the
//! adjacency is judged from that change of status on, after the time to settle.

use causeway_interface::{Code, InterfaceName, LinkHealth, LinkStatus};

use super::{
    Below, Criterion, CriterionResult, Level, Outcome, Verdict, below,
    coverage::{Judgement, Rules, Window},
    device::coverage_words,
    series,
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
    rules: &Rules,
    now_ms: u64,
) -> Verdict {
    let both = |judge: &dyn Fn(&DeviceTelemetry, &InterfaceName) -> Judgement| -> Vec<(String, Judgement)> {
        let ends = facts.ends.iter().zip(telemetry);
        ends.map(|((device, interface), t)| (name(device, interface), judge(t, interface))).collect()
    };
    let l1 = both(&|t, interface| series::interface(t.interfaces.get(interface), window, rules));
    let l2 = both(&|t, _| series::probes(t.probes.get(&(ProbeKind::Link, facts.code)), window, rules));
    let loss = match rules.loss_limit_ppm {
        0 => "probed from both ends throughout, no loss".to_owned(),
        ppm => format!("probed from both ends throughout, at most {ppm} in a million lost"),
    };
    let criteria = vec![
        every(Criterion::L1, l1, "both interfaces up throughout, no errors, non-zero traffic", rules),
        every(Criterion::L2, l2, &loss, rules),
        l3(window, facts, telemetry, rules, now_ms),
    ];
    let health = match below(Outcome::all(criteria.iter().map(|c| c.passed))) {
        Below::Reached => LinkHealth::ReadyForService,
        Below::Impaired => LinkHealth::Impaired,
        Below::Pending => LinkHealth::Pending,
    };
    Verdict { level: Level::Link(health), criteria }
}

fn name(device: &Code, interface: &InterfaceName) -> String {
    [device.as_str(), " ", interface.as_str()].concat()
}

fn every(id: Criterion, ends: Vec<(String, Judgement)>, required: &str, rules: &Rules) -> CriterionResult {
    let passed = Outcome::all(ends.iter().map(|(_, judgement)| judgement.outcome));
    let mut observed = String::with_capacity(160);
    for (end, judgement) in ends {
        observed.push_str(if observed.is_empty() { "" } else { "; " });
        observed.push_str(&end);
        observed.push_str(": ");
        observed.push_str(&judgement.observed);
    }
    CriterionResult { id, passed, observed, required: required.to_owned(), detail: coverage_words(rules) }
}

fn l3(
    window: &Window,
    facts: &LinkFacts,
    telemetry: [&DeviceTelemetry; 2],
    rules: &Rules,
    now_ms: u64,
) -> CriterionResult {
    let required = "IS-IS adjacency up at both ends throughout";
    let waived = |detail: &str| CriterionResult {
        id: Criterion::L3,
        passed: Outcome::Passed,
        observed: "not judged".to_owned(),
        required: required.to_owned(),
        detail: detail.to_owned(),
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
    let ends = facts.ends.iter().zip(telemetry);
    let judge = |t: &DeviceTelemetry, name| series::adjacency(t.adjacencies.get(name), &window, rules);
    let judged = ends.map(|((device, at), t)| (name(device, at), judge(t, at))).collect();
    every(Criterion::L3, judged, required, rules)
}
