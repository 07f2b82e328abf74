//! U4: a new device reaches others end to end.
//!
//! Counted and not measured throughout: enough answers over the window, from whichever targets. A target that doesn't
//! answer may itself be away, and what must hold throughout is asked of interfaces, links and adjacencies.
//!
//! It is asked of new devices only. In service a device is judged by the rest: else the targets of one that fails would
//! fall with it.
//!
//! The targets are [`causeway_sdk::qa`]'s, for the controller's probe plans and for this alike.

use causeway_interface::Code;

use super::{
    Criterion, CriterionResult, Outcome, coverage::Window, device::DeviceFacts, standard::Standard, text::Text,
};
use crate::telemetry::{DeviceTelemetry, ProbeKind, track::Masks};

/// Buckets of the window in which this device sent QA probes to a target, and those in which one was answered.
///
/// The only place that knows how telemetry is held.
fn answered_buckets(telemetry: &DeviceTelemetry, target: &Code, window: &Window) -> (u64, u64) {
    let Some(track) = telemetry.probes.get(&(ProbeKind::Qa, *target)) else { return (0, 0) };
    let count = |select: fn(&Masks) -> u64| track.count(window.start, window.end, select);
    (count(|masks| masks.present), count(|masks| masks.present & masks.busy))
}

/// Judges U4 at `now_ms`. A target's bucket counts once, however many probes it holds.
pub(super) fn u4(
    window: &Window,
    facts: &DeviceFacts,
    telemetry: &DeviceTelemetry,
    standard: &Standard,
    now_ms: u64,
) -> CriterionResult {
    let result = |passed, observed, detail: Text| CriterionResult {
        id: Criterion::U4,
        passed,
        observed,
        required: standard.qa.clone(),
        detail,
    };
    if facts.in_service {
        return result(Outcome::Passed, "in service".to_owned(), "asked of new devices only".into());
    }
    if facts.qa_targets.is_empty() {
        let detail = "no other activated device is reachable by links in service".into();
        return result(Outcome::Passed, "no targets".to_owned(), detail);
    }
    let rules = &standard.rules;
    let needed = u64::from(rules.qa_successes_min);
    let (mut sent, mut answered, mut answering) = (0u64, 0u64, 0u64);
    for target in &facts.qa_targets {
        let (target_sent, target_answered) = answered_buckets(telemetry, target, window);
        sent = sent.saturating_add(target_sent);
        answered = answered.saturating_add(target_answered);
        answering += u64::from(target_answered > 0);
    }
    let targets = facts.qa_targets.len();
    let observed = format!("answered in {answered} of {sent} buckets, by {answering} of {targets} targets");
    let joined = facts.qa_joined_ms.filter(|joined| now_ms.saturating_sub(*joined) <= rules.qa_grace_ms());
    if answered >= needed {
        return result(Outcome::Passed, observed, Text::default());
    }
    // Until a moment ago there was nobody to probe, and that was no fault. The probe plan takes its time to arrive.
    if let Some(joined) = joined {
        let (age, limit) = (now_ms.saturating_sub(joined) / 1_000, rules.qa_grace_ms() / 1_000);
        let detail = format!("the first target came into reach {age} s ago, asked from {limit} s on");
        return result(Outcome::Passed, observed, detail.into());
    }
    let passed = if sent >= needed { Outcome::Failed } else { Outcome::NotObserved };
    result(passed, observed, Text::default())
}
