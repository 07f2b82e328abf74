//! What a controller says of a device's configuration, and what it is told.

use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::Controller;
use crate::{
    args::{ConfigApprove, ConfigDiff, ConfigGet, ConfigLook, ConfigShow},
    commands::ask,
    failure::{self, Exit, Failure},
    output::{Report, or_dash, pairs, plain, utc},
};

/// Time beyond the wait for the agent in which the controller has to answer.
const SLACK: Duration = Duration::from_secs(10);

#[derive(Debug, Deserialize)]
struct DeviceView {
    config: ConfigState,
}

#[derive(Debug, Deserialize)]
struct ConfigState {
    generation: Option<u64>,
    sha256: Option<String>,
    family: Option<String>,
    state: String,
    drift: String,
    applied_generation: Option<u64>,
    polled_unix_ms: Option<u64>,
    held: Option<Held>,
    problem: Option<Words>,
}

#[derive(Debug, Deserialize)]
struct Words {
    code: String,
    cause: String,
    remedy: String,
}

#[derive(Debug, Deserialize)]
struct Held {
    sha256: String,
    removed_peers: u64,
    of_peers: u64,
    removed_link_interfaces: u64,
    of_link_interfaces: u64,
}

#[derive(Debug, Deserialize)]
struct HeldConfig {
    #[serde(flatten)]
    held: Held,
    diff: String,
}

#[derive(Debug, Deserialize)]
struct Drift {
    state: String,
    diff: String,
    diff_cut: bool,
    fresh: bool,
    age_ms: u64,
    error: Option<Words>,
}

#[derive(Debug, Deserialize)]
struct Running {
    text: String,
    text_cut: bool,
    hidden_lines: u64,
    fresh: bool,
    age_ms: u64,
    error: Option<Words>,
}

impl Held {
    fn words(&self) -> String {
        format!(
            "takes away {} of {} peers and {} of {} link interfaces",
            self.removed_peers, self.of_peers, self.removed_link_interfaces, self.of_link_interfaces
        )
    }
}

/// The text that is served.
pub async fn get(args: &ConfigGet) -> Result<Report, Failure> {
    let controller = Controller::new(&args.ask)?;
    let mut query = Vec::new();
    query.extend(args.family.map(|f| ("family", f.to_string())));
    query.extend(args.generation.map(|g| ("generation", g.to_string())));
    let request = controller.device(Method::GET, &args.code, "/config").query(&query);
    controller.text(request).await.map(Report::text)
}

/// How a device stands to its configuration.
pub async fn show(args: &ConfigShow) -> Result<Report, Failure> {
    let controller = Controller::new(&args.ask)?;
    let value: Value = controller.json(controller.device(Method::GET, &args.code, "")).await?;
    state(&args.code.to_string(), value)
}

/// A device as a controller describes it: its configuration's part of it.
fn state(code: &str, value: Value) -> Result<Report, Failure> {
    let config = read::<DeviceView>(&value)?.config;
    let number = |value: Option<u64>| or_dash(value.map(|value| value.to_string()).unwrap_or_default());
    let polled = config.polled_unix_ms.and_then(|ms| i64::try_from(ms / 1_000).ok()).map(utc);
    let mut rows = vec![
        ("device", code.to_owned()),
        ("generation", number(config.generation)),
        ("sha256", or_dash(plain(&config.sha256.unwrap_or_default()))),
        ("family", or_dash(plain(&config.family.unwrap_or_default()))),
        ("state", plain(&config.state)),
        ("drift", plain(&config.drift)),
        ("applied", number(config.applied_generation)),
        ("polled", or_dash(polled.unwrap_or_default())),
    ];
    if let Some(held) = &config.held {
        rows.push(("held", plain(&held.sha256)));
        rows.push(("", held.words()));
    }
    if let Some(problem) = &config.problem {
        rows.push(("problem", format!("{}: {}", plain(&problem.code), plain(&problem.cause))));
        rows.push(("remedy", plain(&problem.remedy)));
    }
    let mut json = value.get("config").cloned().unwrap_or_default();
    if let Some(fields) = json.as_object_mut() {
        fields.insert("device".into(), code.into());
    }
    Report::new(pairs(&rows), &json)
}

/// What changed, or would.
pub async fn diff(args: &ConfigDiff) -> Result<Report, Failure> {
    let controller = Controller::new(&args.ask)?;
    if args.held {
        let value: Value = controller.json(controller.device(Method::GET, &args.code, "/config/held")).await?;
        let held: HeldConfig = read(&value)?;
        return Report::new(held.diff, &value);
    }
    let mut query = Vec::new();
    query.extend(args.from.map(|from| ("from", from)));
    query.extend(args.to.map(|to| ("to", to)));
    let text = controller.text(controller.device(Method::GET, &args.code, "/config/diff").query(&query)).await?;
    let value = json!({ "device": args.code.to_string(), "diff": text });
    Report::new(text, &value)
}

/// Lets a held configuration be served.
pub async fn approve(args: &ConfigApprove) -> Result<Report, Failure> {
    let controller = Controller::new(&args.ask)?;
    let sha256 = match &args.sha256 {
        Some(sha256) => sha256.clone(),
        None => {
            let request = controller.device(Method::GET, &args.code, "/config/held");
            let HeldConfig { held, diff } = controller.json(request).await?;
            eprintln!("{diff}");
            eprintln!("The held configuration of {} {}.", args.code, held.words());
            if !args.yes {
                ask::yes("Serve it?", "The configuration was not approved; it goes on waiting.")?;
            }
            held.sha256
        }
    };
    let request = controller.device(Method::POST, &args.code, "/config/approve").json(&json!({ "sha256": sha256 }));
    let value: Value = controller.json(request).await?;
    state(&args.code.to_string(), value)
}

/// How what runs differs from what is intended.
pub async fn drift(args: &ConfigLook) -> Result<Report, Failure> {
    let value = look(args, "/config/drift").await?;
    let drift: Drift = read(&value)?;
    notes(drift.fresh, drift.age_ms, drift.diff_cut, 0);
    let report = Report::new(drift.diff, &value)?;
    match (drift.state.as_str(), drift.error) {
        ("in-sync", _) => Ok(Report { text: format!("{} runs what is served", args.code), ..report }),
        ("drifted", _) => {
            let cause = format!("Device {} runs something else than what is served.", args.code);
            Err(Failure::new(failure::CONFIG_DRIFTED, Exit::Refused, cause).with_report(report))
        }
        (_, error) => {
            let why = error.map(|error| format!(" ({}: {})", plain(&error.code), plain(&error.cause)));
            let cause = format!("It is not known what device {} runs{}.", args.code, why.unwrap_or_default());
            Err(Failure::new(failure::DRIFT_UNKNOWN, Exit::Unreachable, cause).with_report(report))
        }
    }
}

/// What runs.
pub async fn running(args: &ConfigLook) -> Result<Report, Failure> {
    let value = look(args, "/config/running").await?;
    let running: Running = read(&value)?;
    if let Some(error) = running.error {
        let cause = format!("The agent of {} could not ask its device: {}", args.code, plain(&error.cause));
        let failure = Failure::new(failure::DRIFT_UNKNOWN, Exit::Unreachable, cause);
        return Err(failure.with_remedy(plain(&error.remedy)));
    }
    notes(running.fresh, running.age_ms, running.text_cut, running.hidden_lines);
    Report::new(running.text, &value)
}

async fn look(args: &ConfigLook, rest: &str) -> Result<Value, Failure> {
    let controller = Controller::new(&args.ask)?;
    let wait = Duration::from_secs(args.wait);
    let request = controller.device(Method::GET, &args.code, rest).query(&[("wait_ms", args.wait * 1_000)]);
    controller.json(request.timeout(wait + SLACK)).await
}

/// What a reader has to know beside the result.
fn notes(fresh: bool, age_ms: u64, cut: bool, hidden: u64) {
    if !fresh {
        eprintln!("note: the agent has not answered now; this is from {} s ago", age_ms / 1_000);
    }
    if cut {
        eprintln!("note: it is too long and was cut");
    }
    if hidden > 0 {
        eprintln!("note: in {hidden} lines something that may be secret is hidden");
    }
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, Failure> {
    T::deserialize(value).map_err(|error| {
        let cause = format!("The controller's answer is of another version: {error}.");
        Failure::new(failure::CONTROLLER_REFUSED, Exit::Refused, cause)
    })
}
