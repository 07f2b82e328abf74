//! `causeway apply`: reads a site file, prints what it would change, asks, and carries it out.

use std::path::Path;

use causeway_sdk::Explain;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::{
    ask,
    session::{Session, warn_undecodable},
};
use crate::{
    apply::{self, ApplyError},
    args,
    failure::{self, Exit, Failure, of_send},
    keyring::KeyRing,
    output::{Report, table},
    plan::{Change, Conflict, Kind, Plan, Signer, Step, plan},
    site::Site,
};

/// A plan, for scripts.
#[derive(Debug, Serialize)]
struct Planned<'a> {
    steps: Vec<PlannedStep<'a>>,
    unchanged: usize,
    conflicts: &'a [Conflict],
    notes: &'a [Conflict],
}

#[derive(Debug, Serialize)]
struct PlannedStep<'a> {
    kind: Kind,
    code: String,
    verb: &'a str,
    signer: String,
    changes: &'a [Change],
}

/// What was carried out, for scripts.
#[derive(Debug, Serialize)]
struct Applied {
    steps: usize,
    unchanged: usize,
    transactions: u64,
}

/// Reads the site file alone: what is wrong with it is said before any ledger or key is asked for.
pub fn read(file: &Path) -> Result<Site, Failure> {
    let text = std::fs::read_to_string(file).map_err(|e| Failure::read(file, &e))?;
    Site::from_yaml(&text).map_err(|error| {
        let cause = format!("{}: {error}:", file.display());
        Failure::new(failure::SITE_INVALID, Exit::File, cause).with_details(error.0.iter().map(ToString::to_string))
    })
}

/// Applies a site that was read.
pub async fn run(session: &Session, args: &args::Apply, site: &Site) -> Result<Report, Failure> {
    let mut keys = KeyRing::read(&args.keys, site.contributors.iter().map(|c| c.code))?;
    if let Some(file) = session.local_authority() {
        keys = keys.or_authority(file)?;
    }
    let snapshot = session.ledger.snapshot().await?;
    warn_undecodable(&snapshot.undecodable);
    let plan = plan(site, &snapshot, &keys.owners());
    for note in &plan.notes {
        eprintln!("note: {} {} {}", note.kind.name(), note.code, note.message);
    }
    if !plan.conflicts.is_empty() {
        let details: Vec<String> =
            plan.conflicts.iter().map(|c| format!("{} {} {}", c.kind.name(), c.code, c.message)).collect();
        let mut failure = Failure::explained(&ApplyError::Conflicts(Vec::new()), Exit::Refused);
        failure.cause = "What the site file asks for can't be reached from what the ledger holds:".into();
        return Err(failure.with_details(details));
    }
    if args.dry_run {
        return planned(&plan);
    }
    if plan.is_empty() {
        let text = format!("nothing to do: {} objects are as the site file says", plan.unchanged);
        return Report::new(text, &Applied { steps: 0, unchanged: plan.unchanged, transactions: 0 });
    }
    eprintln!("{}", summary(&plan));
    // Before anybody is asked: an answer that changes nothing is a nuisance.
    let missing = plan.signers().iter().filter(|s| keys.get(s).is_none()).map(|s| keys.place(s)).collect::<Vec<_>>();
    if !missing.is_empty() {
        return Err(failed(&ApplyError::KeysMissing(missing)));
    }
    if !args.yes {
        let question = format!("Send {} transactions?", plan.steps.len());
        ask::yes(&question, "The plan was not confirmed, and nothing was sent.")?;
    }
    let bar = progress_bar(plan.steps.len());
    let outcome = apply::run(&session.sender, &plan, &keys, |progress| {
        bar.set_message(format!("{} {}", progress.step.kind.name(), progress.step.code));
        bar.set_position(progress.done as u64);
    })
    .await;
    bar.finish_and_clear();
    match outcome {
        Ok(steps) => {
            let text = format!("applied: {steps} steps, {} objects were already as the site file says", plan.unchanged);
            let transactions = session.sender.transactions();
            Report::new(text, &Applied { steps, unchanged: plan.unchanged, transactions })
        }
        Err(error) => Err(failed(&error)),
    }
}

fn failed(error: &ApplyError) -> Failure {
    let exit = match error {
        ApplyError::Step { source, .. } => of_send(source),
        ApplyError::KeysMissing(_) => Exit::File,
        ApplyError::Conflicts(_) => Exit::Refused,
    };
    let mut failure = Failure::explained(error, exit);
    if let ApplyError::KeysMissing(places) = error {
        failure.cause = "Keys that have to sign a part of the plan are not there:".into();
        failure = failure.with_details(places.iter().cloned());
    }
    debug_assert_eq!(failure.code, error.code());
    failure
}

fn signer(step: &Step) -> String {
    match step.signer {
        Signer::Authority => "authority".into(),
        Signer::Owner(code) => format!("owner of {code}"),
    }
}

/// Everything that would be done.
fn planned(plan: &Plan) -> Result<Report, Failure> {
    let change = |c: &Change| format!("{}: {} -> {}", c.field, c.from, c.to);
    let row = |s: &Step| {
        let changes: Vec<String> = s.changes.iter().map(change).collect();
        vec![s.operation.verb().into(), s.kind.name().into(), s.code.to_string(), signer(s), changes.join(", ")]
    };
    let steps = table(&["do", "what", "code", "signed by", "changes"], plan.steps.iter().map(row));
    let text = if plan.is_empty() { summary(plan) } else { format!("{steps}\n\n{}", summary(plan)) };
    fn step(s: &Step) -> PlannedStep<'_> {
        PlannedStep {
            kind: s.kind,
            code: s.code.to_string(),
            verb: s.operation.verb(),
            signer: signer(s),
            changes: &s.changes,
        }
    }
    let steps = plan.steps.iter().map(step).collect();
    let planned = Planned { steps, unchanged: plan.unchanged, conflicts: &plan.conflicts, notes: &plan.notes };
    Report::new(text, &planned)
}

/// One line: how many of what, and how many objects stay.
fn summary(plan: &Plan) -> String {
    let counts = plan.counts();
    let parts: Vec<String> =
        counts.iter().map(|((kind, verb), count)| format!("{verb} {count} {}", plural(kind.name(), *count))).collect();
    let what = if parts.is_empty() { "nothing to do".into() } else { parts.join(", ") };
    format!("plan: {what}; {} unchanged", plan.unchanged)
}

fn plural(word: &str, count: usize) -> String {
    if count == 1 { word.into() } else { format!("{word}s") }
}

/// On stderr, and only where that is a terminal.
fn progress_bar(steps: usize) -> ProgressBar {
    let bar = ProgressBar::new(steps as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    bar
}
