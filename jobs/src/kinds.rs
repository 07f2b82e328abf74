//! The kinds of job, as lists of steps. Pure.
//!
//! `0 ledger check - 1 detect and pre-check - 2 render - 3 compare - 4 back up - 5 commit, to be confirmed - 6 verify -
//! 7 confirm and save - 8 notify`. A dry run ends after step 3. A change of the network has the same nine, each for every
//! device in one group: all of step 5 before any of step 6, all of step 6 before any of step 7; and between 5 and 6 the time
//! to confirm begins anew for all, so that the slowest device does not use up that of the others.

use causeway_interface::Code;

use crate::spec::{Criticality, JobSpec, Kind, MAX_RETRIES, Mode, StepSpec, Target, Trigger, Undo, Verb, Wanted};

/// How often a device that can't be told to go back is asked within the time after which it has gone back by itself: with the
/// usual ten minutes every two and a half.
const UNDO_LOOKS: usize = 4;

/// Times and tries of every job, in one place. An operator may set each of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Waits before the tries after the first one, in ms. Three more tries outlast a restart of what was asked.
    pub retry_ms: Vec<u64>,
    /// The same of a verification, which looks again until neighbours are back: half a minute.
    pub verify_retry_ms: Vec<u64>,
    /// Limit of asking the ledger and of rendering: both are in memory here, or a node away.
    pub look_ms: u64,
    /// Limit of asking a device: the largest differences known take 40 s.
    pub ask_ms: u64,
    /// Limit of a commit. An agent that pulls has this long to come, to apply and to report.
    pub commit_ms: u64,
    /// Limit of a verification: neighbours take half a minute to come back.
    pub verify_ms: u64,
    /// Limit of a confirmation, with saving the startup.
    pub confirm_ms: u64,
    /// Limit of telling somebody.
    pub notify_ms: u64,
    /// The device goes back by itself after this; more than a verification and a confirmation with their tries.
    pub confirm_within_ms: u64,
    /// What is added for every device of a change of the network, because the slowest holds up all.
    pub confirm_more_ms: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            retry_ms: vec![1_000, 2_000, 4_000],
            verify_retry_ms: vec![1_000, 2_000, 4_000, 8_000, 15_000],
            look_ms: 10_000,
            ask_ms: 60_000,
            commit_ms: 120_000,
            verify_ms: 45_000,
            confirm_ms: 60_000,
            notify_ms: 10_000,
            confirm_within_ms: 600_000,
            confirm_more_ms: 2_000,
        }
    }
}

/// What whoever starts a job chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What it is for.
    pub kind: Kind,
    /// Its devices, in any order.
    pub targets: Vec<Target>,
    /// Which earlier generation, where it is a revert; none for the current one.
    pub generation: Option<u64>,
    /// What becomes of other lines.
    pub mode: Mode,
    /// Which way it came in.
    pub trigger: Trigger,
    /// Who asks.
    pub actor: String,
    /// The job that it is part of.
    pub parent: Option<crate::spec::JobId>,
}

/// The job that is asked for. [`JobSpec::check`] says whether it can be meant.
#[must_use]
pub fn job(request: &Request, policy: &Policy) -> JobSpec {
    let mut targets = request.targets.clone();
    targets.sort_by_key(|target| target.device);
    let wanted = match (request.kind, request.generation) {
        (Kind::Decommission, _) => Wanted::Bare,
        (_, Some(generation)) => Wanted::Generation(generation),
        (_, None) => Wanted::Current,
    };
    let more = u64::try_from(targets.len().saturating_sub(1)).unwrap_or(0).saturating_mul(policy.confirm_more_ms);
    let confirm_within_ms = policy.confirm_within_ms.saturating_add(more);
    let verbs: &[Verb] = match request.kind {
        Kind::DryRun => &LOOK,
        Kind::Provision | Kind::Revert | Kind::Decommission => &WHOLE,
        Kind::NetworkChange => &TOGETHER,
    };
    let groups = (0_u16..).zip(verbs);
    let steps = groups
        .flat_map(|(group, verb)| targets.iter().map(move |t| step(*verb, t.device, group, confirm_within_ms, policy)))
        .collect();
    JobSpec {
        kind: request.kind,
        targets,
        wanted,
        mode: request.mode,
        confirm_within_ms,
        steps,
        trigger: request.trigger,
        actor: request.actor.clone(),
        parent: request.parent,
        approval: None,
    }
}

/// A device that can't be told goes back by itself, and is asked for the last time when it must have. One that is heard of
/// again before that is not left as it is until then.
fn undo_retry_ms(policy: &Policy, confirm_within_ms: u64) -> Vec<u64> {
    let soon = policy.retry_ms.iter().copied().take(MAX_RETRIES.saturating_sub(UNDO_LOOKS));
    let apart_ms = confirm_within_ms.div_ceil(u64::try_from(UNDO_LOOKS).unwrap_or(1));
    soon.chain(std::iter::repeat_n(apart_ms, UNDO_LOOKS)).collect()
}

const LOOK: [Verb; 4] = [Verb::CheckLedger, Verb::PreCheck, Verb::Render, Verb::Compare];
const WHOLE: [Verb; 9] = [
    Verb::CheckLedger,
    Verb::PreCheck,
    Verb::Render,
    Verb::Compare,
    Verb::BackUp,
    Verb::Commit,
    Verb::Verify,
    Verb::Confirm,
    Verb::Notify,
];

/// With the time to confirm counted anew for all when the slowest has committed.
const TOGETHER: [Verb; 10] = [
    Verb::CheckLedger,
    Verb::PreCheck,
    Verb::Render,
    Verb::Compare,
    Verb::BackUp,
    Verb::Commit,
    Verb::Extend,
    Verb::Verify,
    Verb::Confirm,
    Verb::Notify,
];

fn step(verb: Verb, device: Code, group: u16, confirm_within_ms: u64, policy: &Policy) -> StepSpec {
    let (criticality, limit_ms) = match verb {
        Verb::CheckLedger | Verb::Render => (Criticality::Critical, policy.look_ms),
        Verb::PreCheck | Verb::Compare => (Criticality::Critical, policy.ask_ms),
        Verb::BackUp => (Criticality::NonCritical, policy.ask_ms),
        // Without it the device may go back too early, which the next step sees.
        Verb::Extend => (Criticality::NonCritical, policy.look_ms),
        Verb::Commit | Verb::RollBack => (Criticality::Critical, policy.commit_ms),
        Verb::Verify => (Criticality::Critical, policy.verify_ms),
        Verb::Confirm => (Criticality::Critical, policy.confirm_ms),
        Verb::Notify => (Criticality::Optional, policy.notify_ms),
    };
    let undo = (verb == Verb::Commit).then(|| Undo {
        verb: Verb::RollBack,
        limit_ms: policy.commit_ms,
        retry_ms: undo_retry_ms(policy, confirm_within_ms),
    });
    StepSpec {
        verb,
        device,
        group,
        criticality,
        counts: !matches!(verb, Verb::Notify | Verb::Extend),
        limit_ms,
        retry_ms: match verb {
            Verb::Verify => policy.verify_retry_ms.clone(),
            // The others' timers run meanwhile.
            Verb::Extend => Vec::new(),
            Verb::CheckLedger
            | Verb::PreCheck
            | Verb::Render
            | Verb::Compare
            | Verb::BackUp
            | Verb::Commit
            | Verb::Confirm
            | Verb::Notify
            | Verb::RollBack => policy.retry_ms.clone(),
        },
        undo,
    }
}
