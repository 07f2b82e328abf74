//! D1 to D7 and U1 to U3; U4 is in a file of its own.

use std::fmt::{self, Write};

use causeway_interface::{
    Code, DeviceHealth, DeviceType, InterfaceName, Ip4, LoopbackType, Prefix,
    lifecycle::device::shape_holds,
    values::{MAX_DZ_PREFIX_LEN, is_globally_routable},
};

use super::{
    Below, Criterion, CriterionResult, Level, Outcome, Verdict, below,
    coverage::{Judgement, Rules, Window},
    qa, series,
    standard::Standard,
    text::Text,
};
use crate::telemetry::DeviceTelemetry;

/// A routing loopback as registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LoopbackFact {
    /// Its name.
    pub name: InterfaceName,
    /// What it is for.
    pub kind: LoopbackType,
    /// Its address, or none.
    pub address: Prefix,
}

/// An activated link of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ActivatedLink {
    /// Its code.
    pub code: Code,
    /// This device's interface.
    pub interface: InterfaceName,
    /// Since when it has been activated, in ms since 1970.
    pub since_ms: u64,
}

/// What the ledger says of a device, as far as the criteria need it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DeviceFacts {
    /// Public address; zero for none.
    pub public_ip: Ip4,
    /// Prefixes for users.
    pub dz_prefixes: Vec<Prefix>,
    /// Routing loopbacks.
    pub loopbacks: Vec<LoopbackFact>,
    /// Interfaces for direct internet access.
    pub dia: Vec<InterfaceName>,
    /// Activated links.
    pub activated: Vec<ActivatedLink>,
    /// Device type.
    pub device_type: DeviceType,
    /// It has an interface that users connect over.
    pub has_cyoa: bool,
    /// WAN links in service: activated, or drained for maintenance. A drained link is still part of the shape.
    pub wan_in_service: u32,
    /// DZX links in service.
    pub dzx_in_service: u32,
    /// Slot of the latest change of status, of the device or of a link that holds an interface of it.
    pub changed_slot: u64,
    /// When that was, in ms since 1970.
    pub changed_ms: u64,
    /// Slot of the latest of these changes that is sure to show in the text of the configuration.
    pub shown_slot: u64,
    /// It is activated, or out for maintenance.
    pub in_service: bool,
    /// Other activated devices that it is to probe end to end.
    pub qa_targets: Vec<Code>,
    /// When the first of them came into reach, in ms since 1970, if it had had a link in service and nobody to probe.
    pub qa_joined_ms: Option<u64>,
}

/// Judges a device at `now_ms`.
#[must_use]
pub fn evaluate_device(
    window: &Window,
    facts: &DeviceFacts,
    telemetry: &DeviceTelemetry,
    standard: &Standard,
    now_ms: u64,
) -> Verdict {
    let rules = &standard.rules;
    let reported = |id, track, required: &'static str| {
        let judgement = series::reported(track, window, rules);
        let (observed, detail) = (judgement.observed.to_string(), standard.coverage.clone());
        CriterionResult { id, passed: judgement.outcome, observed, required: required.into(), detail }
    };
    let criteria = vec![
        d1(facts),
        d2(facts),
        d3(facts),
        d4(window, facts, telemetry, standard),
        reported(Criterion::D5, &telemetry.interface_reports, "interface counters reported throughout"),
        d6(facts, telemetry, rules, now_ms),
        reported(Criterion::D7, &telemetry.probe_reports, "probes reported throughout"),
        u1(facts),
        u2(window, facts, telemetry, standard),
        u3(facts),
        qa::u4(window, facts, telemetry, standard, now_ms),
    ];
    let stage = |users: bool| Outcome::all(criteria.iter().filter(|c| c.id.is_for_users() == users).map(|c| c.passed));
    let health = match (below(stage(false)), stage(true)) {
        (Below::Impaired, _) => DeviceHealth::Impaired,
        (Below::Pending, _) => DeviceHealth::Pending,
        (Below::Reached, Outcome::Passed) => DeviceHealth::ReadyForUsers,
        (Below::Reached, Outcome::Failed | Outcome::NotObserved) => DeviceHealth::ReadyForLinks,
    };
    Verdict { level: Level::Device(health), criteria }
}

fn fact(id: Criterion, holds: bool, observed: String, required: &'static str) -> CriterionResult {
    let passed = if holds { Outcome::Passed } else { Outcome::Failed };
    CriterionResult { id, passed, observed, required: required.into(), detail: Text::default() }
}

fn d1(facts: &DeviceFacts) -> CriterionResult {
    let set = !facts.public_ip.is_zero();
    let observed = if set { facts.public_ip.to_string() } else { "none".to_owned() };
    let holds = set && is_globally_routable(facts.public_ip);
    fact(Criterion::D1, holds, observed, "public IP, globally routable")
}

fn d2(facts: &DeviceFacts) -> CriterionResult {
    let holds = facts.dz_prefixes.iter().any(|p| !p.is_none() && p.len <= MAX_DZ_PREFIX_LEN);
    let observed = list(&facts.dz_prefixes, |prefix, words| write!(words, "{prefix}"));
    fact(Criterion::D2, holds, observed, "a dz prefix of /29 or larger")
}

fn d3(facts: &DeviceFacts) -> CriterionResult {
    let has = |kind, number: &str| {
        let fits = |l: &LoopbackFact| l.kind == kind && l.name.as_str().ends_with(number) && !l.address.is_none();
        facts.loopbacks.iter().any(fits)
    };
    let holds = has(LoopbackType::Vpnv4, "255") && has(LoopbackType::Ipv4, "256");
    let observed = list(&facts.loopbacks, |l, words| write!(words, "{} ({}) {}", l.name, l.kind, l.address));
    fact(Criterion::D3, holds, observed, "loopbacks 255 (vpnv4) and 256 (ipv4) with addresses")
}

/// At least one of several interfaces, each with its name. The first that passes decides, and those after it are not
/// looked at.
fn any_interface<N: fmt::Display>(
    id: Criterion,
    candidates: impl Iterator<Item = (N, Judgement)>,
    none: &str,
    required: &'static str,
    standard: &Standard,
) -> CriterionResult {
    let mut looked_at = Vec::new();
    for (name, judgement) in candidates {
        let passes = judgement.outcome == Outcome::Passed;
        if passes {
            looked_at.clear();
        }
        looked_at.push((name, judgement));
        if passes {
            break;
        }
    }
    let passed = Outcome::any(looked_at.iter().map(|(_, judgement)| judgement.outcome));
    let observed = if looked_at.is_empty() {
        none.to_owned()
    } else {
        list(&looked_at, |(name, judgement), words| {
            write!(words, "{name}: ")?;
            judgement.observed.say(words);
            Ok(())
        })
    };
    CriterionResult { id, passed, observed, required: required.into(), detail: standard.coverage.clone() }
}

fn d4(window: &Window, facts: &DeviceFacts, telemetry: &DeviceTelemetry, standard: &Standard) -> CriterionResult {
    let judge = |name: &InterfaceName| series::interface(telemetry.interfaces.get(name), window, &standard.rules);
    let candidates = facts.dia.iter().map(|name| (name, judge(name)));
    let required = "a DIA interface up throughout, no errors, non-zero traffic";
    any_interface(Criterion::D4, candidates, "no DIA interface registered", required, standard)
}

/// Judged by the agent's latest word, not over the window: what matters is what runs now. Three questions: is the word
/// recent, did the agent reach the controller, and does it run what the ledger asks for by now?
///
/// The last is answered by the slot up to which the controller has evaluated what it offers: a change that leaves the
/// text as it is has no generation. Where none is told, the generation answers it, of changes that show in the text.
fn d6(facts: &DeviceFacts, telemetry: &DeviceTelemetry, rules: &Rules, now_ms: u64) -> CriterionResult {
    let limit = rules.max_poll_age_ms / 1_000;
    let told = telemetry.config.map_or(0, |config| config.evaluated_slot);
    let current = match told {
        0 => format!("generation at least {}", facts.shown_slot),
        _ => format!("of slot {} or later", facts.changed_slot),
    };
    let required = Text::from(format!("polled within {limit} s, applied is what is offered, {current}"));
    let result = |passed, observed: String, detail: &'static str| CriterionResult {
        id: Criterion::D6,
        passed,
        observed,
        required: required.clone(),
        detail: detail.into(),
    };
    let Some(config) = telemetry.config else {
        return result(Outcome::NotObserved, "no word about the configuration".to_owned(), "");
    };
    let age = |then: u64| now_ms.saturating_sub(then);
    if age(config.at_ms) > rules.max_poll_age_ms {
        let observed = format!("last word about the configuration {} s ago", age(config.at_ms) / 1_000);
        return result(Outcome::NotObserved, observed, "");
    }
    if config.polled_ms == 0 {
        return result(Outcome::Failed, "the agent never reached the controller".to_owned(), "");
    }
    let evaluated = if told == 0 { String::new() } else { format!(", offered as of slot {told}") };
    let observed = format!(
        "polled {} s ago, generation {} of {} applied{evaluated}",
        age(config.polled_ms) / 1_000,
        config.applied_generation,
        config.offered_generation
    );
    if age(config.polled_ms) > rules.max_poll_age_ms {
        return result(Outcome::Failed, observed, "the agent does not reach the controller");
    }
    // The same text offered again under a younger generation is applied already.
    let same = config.applied_sha256 == config.offered_sha256 && !config.applied_sha256.is_zero();
    let runs = if same { config.applied_generation.max(config.offered_generation) } else { config.applied_generation };
    let outdated = if told == 0 { runs < facts.shown_slot } else { told < facts.changed_slot };
    let settling = age(facts.changed_ms) <= rules.config_grace_ms;
    // A text also changes with what others do, such as a new peer: while it is applied, what ran a moment ago counts.
    let applying = config.in_sync_ms > 0 && age(config.in_sync_ms) <= rules.config_grace_ms;
    if !same && !settling && !applying {
        return result(Outcome::Failed, observed, "what runs is not what is offered");
    }
    if outdated && !settling {
        return result(Outcome::Failed, observed, "what runs is older than the latest change of status");
    }
    if !same && config.applied_generation == 0 {
        return result(Outcome::NotObserved, observed, "nothing applied yet");
    }
    let detail = match (same, settling) {
        (true, _) => "",
        (false, true) => "within the grace after a change of status",
        (false, false) => "within the grace after a change of the text",
    };
    result(Outcome::Passed, observed, detail)
}

fn u1(facts: &DeviceFacts) -> CriterionResult {
    let observed = list(&facts.activated, |link, words| words.write_str(link.code.as_str()));
    fact(Criterion::U1, !facts.activated.is_empty(), observed, "at least one activated link")
}

/// An activated link counts from its activation: what its interface was before is another matter. Which link it is that
/// passes may change from round to round.
fn u2(window: &Window, facts: &DeviceFacts, telemetry: &DeviceTelemetry, standard: &Standard) -> CriterionResult {
    let judge = |link: &ActivatedLink| {
        let window = window.since(Some(link.since_ms));
        series::interface(telemetry.interfaces.get(&link.interface), &window, &standard.rules)
    };
    let candidates = facts.activated.iter().map(|link| (On(link), judge(link)));
    let required = "an activated link up throughout, no errors, non-zero traffic";
    any_interface(Criterion::U2, candidates, "no activated link", required, standard)
}

/// A link and its interface, in words.
struct On<'a>(&'a ActivatedLink);

impl fmt::Display for On<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.0.code, self.0.interface)
    }
}

fn u3(facts: &DeviceFacts) -> CriterionResult {
    let DeviceFacts { device_type, has_cyoa, wan_in_service, dzx_in_service, .. } = facts;
    let cyoa = if *has_cyoa { "a CYOA interface" } else { "no CYOA interface" };
    let observed = format!("{cyoa}, {wan_in_service} WAN and {dzx_in_service} DZX links in service");
    let required = match device_type {
        DeviceType::Edge => "edge: a CYOA interface, no WAN link, at least one DZX link",
        DeviceType::Transit => "transit: no CYOA interface, two WAN links, or one WAN and one DZX",
        DeviceType::Hybrid => "hybrid: a CYOA interface and at least one WAN link",
    };
    fact(Criterion::U3, shape_holds(*device_type, *has_cyoa, *wan_in_service, *dzx_in_service), observed, required)
}

fn list<T>(items: &[T], say: impl Fn(&T, &mut String) -> fmt::Result) -> String {
    let mut words = String::new();
    for item in items {
        words.push_str(if words.is_empty() { "" } else { "; " });
        // Writing to a string can't fail.
        let _ = say(item, &mut words);
    }
    if words.is_empty() { "none".to_owned() } else { words }
}
