//! `causeway rollout`: one change of many devices in waves, as a controller runs it.

mod view;

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::view::{Line, RolloutView};
use super::{
    config::Controller,
    job::{Act, What, actor, decide, name, read, watch},
    signed::Signing,
};
use crate::{
    args::{
        AskJobs, Globals, JobOne, JobWords, Rollout, RolloutAgain, RolloutList, RolloutResume, RolloutStart,
        RolloutStatus,
    },
    failure::Failure,
    output::{Report, or_dash, plain, table, utc},
};

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60_000;

/// Does one verb.
pub async fn run(verb: Rollout, globals: &Globals) -> Result<Report, Failure> {
    match verb {
        Rollout::Start(args) => start(&args, globals).await,
        Rollout::Status(args) => status(&args).await,
        Rollout::List(args) => list(&args).await,
        Rollout::Watch(args) => watched(&controller(&args.ask)?, args.id).await,
        Rollout::Pause(args) => said(&args, "pause").await,
        Rollout::Resume(args) => resume(&args).await,
        Rollout::Cancel(args) => said(&args, "cancel").await,
        Rollout::Again(args) => again(&args, globals).await,
        Rollout::Approve(args) => decide(&args, globals, What::Rollout, Act::Approve).await,
        Rollout::BreakGlass(args) => decide(&args, globals, What::Rollout, Act::BreakGlass).await,
        Rollout::Logs(args) => logs(&args).await,
    }
}

fn controller(ask: &AskJobs) -> Result<Controller, Failure> {
    Controller::new(&ask.controller)
}

async fn watched(controller: &Controller, id: i64) -> Result<Report, Failure> {
    let (path, label) = (format!("/rollouts/{id}"), format!("rollout {id}"));
    watch::follow::<RolloutView, Line>(controller, &path, &label).await?.ended()
}

#[derive(Debug, Default, Serialize)]
struct Soak {
    #[serde(skip_serializing_if = "Option::is_none")]
    for_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    settle_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by_health: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Started {
    id: i64,
    waves: Vec<u16>,
    devices: usize,
    waits: bool,
}

/// What is asked for, as the controller reads it. What is left out is as the controller has it.
fn request(args: &RolloutStart) -> Value {
    let code = |code: &Option<causeway_interface::Code>| code.map(|code| code.to_string());
    let codes = |codes: &[causeway_interface::Code]| codes.iter().map(ToString::to_string).collect::<Vec<_>>();
    let ms = |seconds: Option<u64>| seconds.map(|seconds| seconds.saturating_mul(SECOND_MS));
    let soak = Soak {
        for_ms: ms(args.soak),
        settle_ms: ms(args.settle),
        limit_ms: ms(args.soak_limit),
        by_health: args.no_health.then_some(false),
    };
    let budget = args.budget.zip(args.budget_minutes);
    let windows = args.windows.iter().map(|(opens, minutes)| json!({ "opens": opens, "minutes": minutes }));
    json!({
        "devices": codes(&args.devices),
        "location": code(&args.location),
        "exchange": code(&args.exchange),
        "contributor": code(&args.contributor),
        "kind": name(&args.kind),
        "generation": args.generation,
        "dry_run": args.dry_run,
        "mode": name(&args.mode),
        "transport": args.transport.as_ref().map(name),
        "canaries": codes(&args.canaries),
        "first": args.first,
        "growth": args.growth,
        "most": args.most,
        "soak": soak,
        "at_once": args.at_once,
        "budget": budget.map(|(devices, minutes)| json!({ "devices": devices, "per_ms": minutes.saturating_mul(MINUTE_MS) })),
        "windows": windows.collect::<Vec<_>>(),
        "message": args.message,
        "actor": actor(args.actor.as_ref()),
        "trigger": "cli",
    })
}

/// What was started, followed where that is asked for.
async fn begun(controller: &Controller, value: Value, watch: bool) -> Result<Report, Failure> {
    let started: Started = read(&value)?;
    let waves: Vec<String> = started.waves.iter().map(ToString::to_string).collect();
    if started.waits {
        eprintln!("rollout {} waits for approvals: `causeway job waiting` shows them", started.id);
    }
    if watch {
        return watched(controller, started.id).await;
    }
    let row = vec![started.id.to_string(), started.devices.to_string(), waves.join(" ")];
    Report::new(table(&["rollout", "devices", "waves"], [row]), &value)
}

async fn start(args: &RolloutStart, globals: &Globals) -> Result<Report, Failure> {
    let controller = controller(&args.ask)?;
    let asked = Signing::of(globals, &controller).await?.post(&controller, "/rollouts", &request(args))?;
    let value = controller.json(asked).await?;
    begun(&controller, value, args.watch).await
}

async fn again(args: &RolloutAgain, globals: &Globals) -> Result<Report, Failure> {
    let controller = controller(&args.ask)?;
    let body = json!({ "actor": actor(args.actor.as_ref()) });
    let path = format!("/rollouts/{}/again", args.id);
    let asked = Signing::of(globals, &controller).await?.post(&controller, &path, &body)?;
    let value = controller.json(asked).await?;
    begun(&controller, value, args.watch).await
}

async fn one(controller: &Controller, id: i64) -> Result<RolloutView, Failure> {
    RolloutView::read(controller.json(controller.api(Method::GET, &format!("/rollouts/{id}"))).await?)
}

async fn status(args: &RolloutStatus) -> Result<Report, Failure> {
    let rollout = one(&controller(&args.ask)?, args.id).await?.with_devices(args.devices);
    if rollout.is_over() { rollout.ended() } else { rollout.report() }
}

async fn said(args: &JobWords, verb: &str) -> Result<Report, Failure> {
    let controller = controller(&args.ask)?;
    let body = json!({ "reason": args.reason, "actor": actor(args.actor.as_ref()) });
    let asked = controller.api(Method::POST, &format!("/rollouts/{}/{verb}", args.id)).json(&body);
    RolloutView::read(controller.json(asked).await?)?.report()
}

async fn resume(args: &RolloutResume) -> Result<Report, Failure> {
    let controller = controller(&args.ask)?;
    let body = json!({ "actor": actor(args.actor.as_ref()) });
    let asked = controller.api(Method::POST, &format!("/rollouts/{}/resume", args.id)).json(&body);
    RolloutView::read(controller.json(asked).await?)?.report()
}

async fn logs(args: &JobOne) -> Result<Report, Failure> {
    let (controller, path) = (controller(&args.ask)?, format!("/rollouts/{}/logs", args.id));
    let text = controller.text(controller.api(Method::GET, &path)).await?;
    let lines: Value = controller.json(controller.api(Method::GET, &path)).await?;
    Report::new(text, &lines)
}

#[derive(Debug, Deserialize)]
struct Summary {
    id: i64,
    kind: Option<String>,
    status: String,
    state: String,
    percent: u8,
    devices: Option<usize>,
    waves: Option<usize>,
    actor: Option<String>,
    message: Option<String>,
    created_unix_ms: u64,
}

async fn list(args: &RolloutList) -> Result<Report, Failure> {
    let controller = controller(&args.ask)?;
    let mut query = vec![("limit", args.limit.to_string())];
    query.extend(args.status.clone().map(|status| ("status", status)));
    query.extend(args.state.clone().map(|state| ("state", state)));
    let value: Value = controller.json(controller.api(Method::GET, "/rollouts").query(&query)).await?;
    let number = |number: Option<usize>| or_dash(number.map(|number| number.to_string()).unwrap_or_default());
    let words = |words: Option<String>| or_dash(plain(&words.unwrap_or_default()));
    let rows = read::<Vec<Summary>>(&value)?.into_iter().map(|rollout| {
        vec![
            rollout.id.to_string(),
            words(rollout.kind),
            plain(&rollout.status),
            plain(&rollout.state),
            format!("{} %", rollout.percent),
            number(rollout.devices),
            number(rollout.waves),
            words(rollout.actor),
            i64::try_from(rollout.created_unix_ms / SECOND_MS).map(utc).unwrap_or_default(),
            words(rollout.message),
        ]
    });
    let headings = ["rollout", "kind", "status", "state", "done", "devices", "waves", "actor", "since", "message"];
    Report::new(table(&headings, rows), &value)
}
