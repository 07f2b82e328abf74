//! `causeway job`: provisioning jobs, as a controller runs them.

mod approve;
mod view;
pub(super) mod watch;

use clap::ValueEnum;
use reqwest::{Method, RequestBuilder};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{config::Controller, signed::Signing};
use crate::{
    args::{
        AskJobs, Globals, Job, JobAutomatic, JobCancel, JobList, JobLogs, JobOne, JobRelease, JobRetry, JobSkip,
        JobStart, JobWords, OnOff,
    },
    failure::{self, Exit, Failure},
    output::{Report, or_dash, plain, table, utc},
};
pub(super) use approve::{Act, Approval, What};
use view::JobView;
pub(super) use view::{Asked, Trouble, read};

/// Does one verb.
pub async fn run(verb: Job, globals: &Globals) -> Result<Report, Failure> {
    match verb {
        Job::Start(args) => start(&args, globals).await,
        Job::Status(args) => status(&args).await,
        Job::Retry(args) => retry(&args).await,
        Job::SkipStep(args) => skip(&args).await,
        Job::Cancel(args) => cancel(&args).await,
        Job::Hold(args) => hold(&args).await,
        Job::Release(args) => release(&args).await,
        Job::Waiting(ask) => approve::waiting(&ask).await,
        Job::Approve(args) => approve::run(&args, globals, What::Job, Act::Approve).await,
        Job::BreakGlass(args) => approve::run(&args, globals, What::Job, Act::BreakGlass).await,
        Job::Logs(args) => logs(&args).await,
        Job::Watch(args) => watch::until_over(&Controller::new(&args.ask.controller)?, args.id).await?.ended(),
        Job::List(args) => list(&args).await,
        Job::Automatic(args) => automatic(&args).await,
    }
}

/// A question about jobs.
struct Jobs(Controller);

impl Jobs {
    fn of(ask: &AskJobs) -> Result<Self, Failure> {
        Controller::new(&ask.controller).map(Self)
    }

    fn one(&self, method: Method, id: i64, rest: &str) -> RequestBuilder {
        self.0.api(method, &format!("/jobs/{id}{rest}"))
    }

    async fn job(&self, id: i64) -> Result<JobView, Failure> {
        JobView::read(self.0.json(self.one(Method::GET, id, "")).await?)
    }
}

#[derive(Debug, Serialize)]
struct StartRequest<'a> {
    devices: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exchange: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contributor: Option<String>,
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
    dry_run: bool,
    mode: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    transport: Option<String>,
    trigger: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<&'a str>,
}

#[derive(Debug, Deserialize)]
struct Started {
    jobs: Vec<JobRef>,
    refused: Vec<Refused>,
}

#[derive(Debug, Deserialize)]
struct JobRef {
    id: i64,
    devices: Vec<String>,
    #[serde(default)]
    waits: bool,
}

#[derive(Debug, Deserialize)]
struct Refused {
    device: String,
    error: Words,
}

#[derive(Debug, Deserialize)]
struct Words {
    code: String,
    cause: String,
}

/// As the command line and the API call it.
pub(super) fn name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// An actor that is sent; an empty one is none.
pub(super) fn actor(given: Option<&String>) -> Option<&str> {
    given.map(String::as_str).filter(|name| !name.is_empty())
}

async fn start(args: &JobStart, globals: &Globals) -> Result<Report, Failure> {
    let jobs = Jobs::of(&args.ask)?;
    let code = |code: &Option<causeway_interface::Code>| code.map(|code| code.to_string());
    let request = StartRequest {
        devices: args.devices.iter().map(ToString::to_string).collect(),
        location: code(&args.location),
        exchange: code(&args.exchange),
        contributor: code(&args.contributor),
        kind: name(&args.kind),
        generation: args.generation,
        dry_run: args.dry_run,
        mode: name(&args.mode),
        transport: args.transport.as_ref().map(name),
        trigger: "cli",
        actor: actor(args.actor.as_ref()),
    };
    let asked = Signing::of(globals, &jobs.0).await?.post(&jobs.0, "/jobs", &request)?;
    let value: Value = jobs.0.json(asked).await?;
    let started: Started = view::read(&value)?;
    for refused in &started.refused {
        let (code, cause) = (plain(&refused.error.code), plain(&refused.error.cause));
        eprintln!("{}: no job ({code}): {cause}", plain(&refused.device));
    }
    if let ([job], true) = (started.jobs.as_slice(), args.watch) {
        let over = watch::until_over(&jobs.0, job.id).await?;
        if args.dry_run && over.is_good() {
            return diff(&jobs, job.id).await;
        }
        return over.ended();
    }
    for job in started.jobs.iter().filter(|job| job.waits) {
        eprintln!("job {} waits for approvals: `causeway job waiting` shows them", job.id);
    }
    let rows = started.jobs.iter().map(|job| vec![job.id.to_string(), plain(&job.devices.join(" "))]);
    Report::new(table(&["job", "devices"], rows), &value)
}

async fn status(args: &JobOne) -> Result<Report, Failure> {
    let job = Jobs::of(&args.ask)?.job(args.id).await?;
    if job.is_over() { job.ended() } else { job.report() }
}

async fn retry(args: &JobRetry) -> Result<Report, Failure> {
    let jobs = Jobs::of(&args.ask)?;
    let body = json!({ "steps": args.steps, "actor": actor(args.actor.as_ref()) });
    let job = JobView::read(jobs.0.json(jobs.one(Method::POST, args.id, "/retry").json(&body)).await?)?;
    if args.watch { watch::until_over(&jobs.0, args.id).await?.ended() } else { job.report() }
}

async fn skip(args: &JobSkip) -> Result<Report, Failure> {
    let jobs = Jobs::of(&args.ask)?;
    let body = json!({ "step": args.step, "reason": args.reason, "actor": actor(args.actor.as_ref()) });
    JobView::read(jobs.0.json(jobs.one(Method::POST, args.id, "/skip-step").json(&body)).await?)?.report()
}

async fn cancel(args: &JobCancel) -> Result<Report, Failure> {
    let jobs = Jobs::of(&args.ask)?;
    let body = json!({ "reason": args.reason, "abandon": args.abandon, "actor": actor(args.actor.as_ref()) });
    let value: Value = jobs.0.json(jobs.one(Method::POST, args.id, "/cancel").json(&body)).await?;
    match value.get("job").filter(|job| !job.is_null()) {
        Some(job) => JobView::read(job.clone())?.report(),
        None => Report::new(format!("job {} is given up; see to its devices by hand", args.id), &value),
    }
}

async fn hold(args: &JobWords) -> Result<Report, Failure> {
    let jobs = Jobs::of(&args.ask)?;
    let body = json!({ "reason": args.reason, "actor": actor(args.actor.as_ref()) });
    JobView::read(jobs.0.json(jobs.one(Method::POST, args.id, "/hold").json(&body)).await?)?.report()
}

async fn release(args: &JobRelease) -> Result<Report, Failure> {
    let jobs = Jobs::of(&args.ask)?;
    let body = json!({ "actor": actor(args.actor.as_ref()) });
    JobView::read(jobs.0.json(jobs.one(Method::POST, args.id, "/release").json(&body)).await?)?.report()
}

async fn logs(args: &JobLogs) -> Result<Report, Failure> {
    let jobs = Jobs::of(&args.ask)?;
    if args.diff {
        return diff(&jobs, args.id).await;
    }
    let text = jobs.0.text(jobs.one(Method::GET, args.id, "/logs")).await?;
    let lines: Value = jobs.0.json(jobs.one(Method::GET, args.id, "/logs")).await?;
    Report::new(text, &lines)
}

/// What a job changes.
async fn diff(jobs: &Jobs, id: i64) -> Result<Report, Failure> {
    let value: Value = jobs.0.json(jobs.one(Method::GET, id, "/diff")).await?;
    #[derive(Deserialize)]
    struct Diff {
        device: String,
        diff: Option<String>,
    }
    let mut text = String::new();
    for Diff { device, diff } in view::read::<Vec<Diff>>(&value)? {
        let device = plain(&device);
        match diff.as_deref() {
            None => text.push_str(&format!("{device}: not compared yet\n")),
            Some("") => text.push_str(&format!("{device}: nothing would change\n")),
            Some(diff) => text.push_str(&format!("{device}:\n{diff}\n")),
        }
    }
    Report::new(text, &value)
}

#[derive(Debug, Deserialize)]
struct Summary {
    id: i64,
    kind: String,
    status: String,
    state: String,
    percent: u8,
    devices: Vec<String>,
    actor: Option<String>,
    created_unix_ms: u64,
}

async fn list(args: &JobList) -> Result<Report, Failure> {
    let jobs = Jobs::of(&args.ask)?;
    let mut query = vec![("limit", args.limit.to_string())];
    query.extend(args.device.map(|device| ("device", device.to_string())));
    query.extend(args.rollout.map(|rollout| ("parent", rollout.to_string())));
    query.extend(args.status.clone().map(|status| ("status", status)));
    let value: Value = jobs.0.json(jobs.0.api(Method::GET, "/jobs").query(&query)).await?;
    let rows = view::read::<Vec<Summary>>(&value)?.into_iter().map(|job| {
        let at = i64::try_from(job.created_unix_ms / 1_000).map(utc).unwrap_or_default();
        let words = [job.kind, job.status, job.state, format!("{} %", job.percent), job.devices.join(" ")];
        let mut row = vec![job.id.to_string()];
        row.extend(words.iter().map(|word| or_dash(plain(word))));
        row.extend([or_dash(plain(&job.actor.unwrap_or_default())), at]);
        row
    });
    let text = table(&["job", "kind", "status", "state", "done", "devices", "actor", "since"], rows);
    Report::new(text, &value)
}

async fn automatic(args: &JobAutomatic) -> Result<Report, Failure> {
    let jobs = Jobs::of(&args.ask)?;
    let request = match args.to {
        None => jobs.0.api(Method::GET, "/jobs/automatic"),
        Some(to) => jobs.0.api(Method::POST, "/jobs/automatic").json(&json!({ "enabled": to == OnOff::On })),
    };
    let value: Value = jobs.0.json(request).await?;
    let on = value.get("enabled").and_then(Value::as_bool).unwrap_or_default();
    Report::new(if on { "changes on the ledger start jobs" } else { "no change on the ledger starts a job" }, &value)
}

pub(super) use approve::run as decide;

/// The controller's answer is not what this version reads.
fn senseless(error: &serde_json::Error) -> Failure {
    let cause = format!("The controller's answer is of another version: {error}.");
    Failure::new(failure::CONTROLLER_REFUSED, Exit::Refused, cause)
}
