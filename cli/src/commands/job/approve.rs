//! What waits for approvals, agreeing to it, and doing without.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Jobs, read};
use crate::{
    args::{AskJobs, Globals, JobApprove},
    commands::{ask, config::Controller, signed::Signing},
    failure::{self, Exit, Failure},
    output::{Report, or_dash, pairs, plain, table, utc},
};

/// What is decided about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A job.
    Job,
    /// A rollout.
    Rollout,
}

/// What is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// It may begin.
    Approve,
    /// It begins without its approvals.
    BreakGlass,
}

#[derive(Clone, Debug, Deserialize)]
struct Given {
    key: String,
    role: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Glass {
    key: String,
    reason: String,
}

/// What a change needs, and what it has.
#[derive(Clone, Debug, Deserialize)]
pub struct Approval {
    change: String,
    proposer: String,
    needed: u8,
    roles: Vec<String>,
    until_unix_ms: u64,
    given: Vec<Given>,
    glass: Option<Glass>,
    complete: bool,
}

impl Approval {
    /// In words.
    pub fn words(&self) -> String {
        let roles: Vec<String> = self.roles.iter().map(|role| plain(role)).collect();
        let given: Vec<String> =
            self.given.iter().map(|given| format!("{} as {}", plain(&given.key), plain(&given.role))).collect();
        let mut words = format!("{} of {} by {}", given.len(), self.needed, roles.join(" or "));
        if !given.is_empty() {
            words.push_str(&format!(": {}", given.join(", ")));
        }
        if let Some(glass) = &self.glass {
            words.push_str(&format!("; {} did without: {}", plain(&glass.key), plain(&glass.reason)));
        }
        if !self.complete {
            words.push_str(&format!(", until {}", self.until()));
        }
        words
    }

    fn until(&self) -> String {
        i64::try_from(self.until_unix_ms / 1_000).map(utc).unwrap_or_default()
    }
}

#[derive(Debug, Deserialize)]
struct Waiting {
    id: i64,
    rollout: bool,
    kind: String,
    actor: String,
    count: usize,
    devices: Vec<String>,
    approval: Approval,
}

/// What waits.
pub async fn waiting(ask: &AskJobs) -> Result<Report, Failure> {
    let jobs = Jobs::of(ask)?;
    let value: Value = jobs.0.json(jobs.0.api(Method::GET, "/approvals")).await?;
    let rows = read::<Vec<Waiting>>(&value)?.into_iter().map(|waiting| {
        let noun = if waiting.rollout { "rollout" } else { "job" };
        let mut devices = waiting.devices.join(" ");
        if waiting.count > waiting.devices.len() {
            devices.push_str(&format!(" and {} more", waiting.count - waiting.devices.len()));
        }
        vec![
            waiting.id.to_string(),
            noun.to_owned(),
            plain(&waiting.kind),
            or_dash(plain(&devices)),
            or_dash(plain(&waiting.actor)),
            plain(&waiting.approval.proposer),
            waiting.approval.words(),
        ]
    });
    Report::new(table(&["number", "what", "kind", "devices", "actor", "proposer", "approvals"], rows), &value)
}

/// What is looked at before it is decided.
#[derive(Debug, Deserialize)]
struct Looked {
    kind: String,
    actor: String,
    devices: Vec<Device>,
    approval: Option<Approval>,
}

#[derive(Debug, Deserialize)]
struct Device {
    code: String,
}

fn path(what: What, id: i64) -> String {
    match what {
        What::Job => format!("/jobs/{id}"),
        What::Rollout => format!("/rollouts/{id}"),
    }
}

/// The hash of the change that is decided about, after a look at it.
async fn look(controller: &Controller, args: &JobApprove, what: What, act: Act) -> Result<String, Failure> {
    if let (Some(change), true) = (&args.change, args.yes) {
        return Ok(change.clone());
    }
    let value: Value = controller.json(controller.api(Method::GET, &path(what, args.id))).await?;
    let looked: Looked = read(&value)?;
    let Some(approval) = looked.approval else {
        let cause = format!("Number {} needs no approval.", args.id);
        return Err(Failure::new(failure::CONTROLLER_REFUSED, Exit::Refused, cause));
    };
    let devices: Vec<String> = looked.devices.iter().map(|device| plain(&device.code)).collect();
    let rows = [
        ("number", args.id.to_string()),
        ("kind", plain(&looked.kind)),
        ("devices", format!("{}: {}", devices.len(), devices.join(" "))),
        ("actor", plain(&looked.actor)),
        ("proposer", plain(&approval.proposer)),
        ("approvals", approval.words()),
        ("change", plain(&approval.change)),
    ];
    eprintln!("{}", pairs(&rows));
    if args.change.as_ref().is_some_and(|change| *change != approval.change) {
        let cause = format!("Under {} is another change than the one that is named.", args.id);
        return Err(Failure::new(failure::NOT_CONFIRMED, Exit::Refused, cause));
    }
    if !args.yes {
        let question = match act {
            Act::Approve => "Is this to begin?",
            Act::BreakGlass => "Is this to begin WITHOUT its approvals? It is recorded with your key.",
        };
        ask::yes(question, "Nothing was approved.")?;
    }
    Ok(approval.change)
}

/// Shows, asks, signs, sends.
pub async fn run(args: &JobApprove, globals: &Globals, what: What, act: Act) -> Result<Report, Failure> {
    let controller = Controller::new(&args.ask.controller)?;
    let signing = Signing::needed(globals, &controller).await?;
    let change = look(&controller, args, what, act).await?;
    let verb = match act {
        Act::Approve => "approve",
        Act::BreakGlass => "break-glass",
    };
    let body = json!({ "change": change, "reason": args.reason });
    let request = signing.post(&controller, &format!("{}/{verb}", path(what, args.id)), &body)?;
    let value: Value = controller.json(request).await?;
    let looked: Looked = read(&value)?;
    let key = signing.key().map(|key| key.to_string()).unwrap_or_default();
    let said = match act {
        Act::Approve => format!("{key} approves {}", args.id),
        Act::BreakGlass => format!("{key} begins {} without its approvals", args.id),
    };
    let standing = looked.approval.map(|approval| approval.words()).unwrap_or_default();
    Report::new(format!("{said}: {standing}"), &value)
}
