//! `causeway config`: configurations, rendered here from a snapshot or as a controller serves them.

use std::time::Duration;

use causeway_controller::{
    plan::PlanError,
    render::{RenderError, render_device},
};
use causeway_sdk::Snapshot;
use reqwest::{StatusCode, header};
use serde::Deserialize;

use crate::{
    args::{Config, ConfigGet, ConfigRender},
    failure::{self, Exit, Failure},
    output::Report,
};

/// Longest wait for the controller: it serves from memory.
const CONTROLLER_TIMEOUT: Duration = Duration::from_secs(10);

/// Does one verb.
pub async fn run(verb: Config) -> Result<Report, Failure> {
    match verb {
        Config::Render(args) => render(&args),
        Config::Get(args) => get(&args).await,
    }
}

fn render(args: &ConfigRender) -> Result<Report, Failure> {
    let text = std::fs::read_to_string(&args.snapshot).map_err(|e| Failure::read(&args.snapshot, &e))?;
    let snapshot = Snapshot::from_json(&text).map_err(|error| {
        let failure = Failure::from(error);
        let cause = format!("{}: {}", args.snapshot.display(), failure.cause);
        Failure { cause, ..failure }
    })?;
    match render_device(&snapshot, &args.device, args.family) {
        Ok(rendered) => Ok(Report::text(rendered.text.to_string())),
        Err(RenderError::Plan(PlanError::UnknownDevice(code))) => {
            let what = format!("device {code} in {}", args.snapshot.display());
            let mut known: Vec<String> = snapshot.devices.values().map(|d| d.code.to_string()).collect();
            known.sort();
            let remedy = match known.len() {
                0 => "The snapshot holds no device at all; write it again with `causeway topology export`.".into(),
                1..=12 => format!("The snapshot holds: {}.", known.join(", ")),
                more => format!("Check the code's spelling; the snapshot holds {more} devices."),
            };
            Err(Failure::not_found(what).with_remedy(remedy))
        }
        Err(error) => {
            let cause = format!("Device {} can't be rendered ({}): {error}.", args.device, error.code());
            Err(Failure::new(failure::RENDER_FAILED, Exit::Refused, cause).with_remedy(error.remedy()))
        }
    }
}

/// A controller's refusal.
#[derive(Debug, Deserialize)]
struct Refusal {
    code: String,
    cause: String,
    remedy: String,
}

async fn get(args: &ConfigGet) -> Result<Report, Failure> {
    let base = args.controller.trim_end_matches('/');
    let url = format!("{base}/api/v1/devices/{}/config", args.code);
    let unreachable = |error: reqwest::Error| {
        let mut words = error.to_string();
        // The transport's own words are at the end of the chain.
        let mut source = std::error::Error::source(&error);
        while let Some(inner) = source {
            words = inner.to_string();
            source = inner.source();
        }
        let cause = format!("No answer from the controller at {base}: {words}.");
        Failure::new(failure::CONTROLLER_UNREACHABLE, Exit::Unreachable, cause)
    };
    let client = reqwest::Client::builder().timeout(CONTROLLER_TIMEOUT).build().map_err(unreachable)?;
    let mut query = Vec::new();
    query.extend(args.family.map(|f| ("family", f.to_string())));
    query.extend(args.generation.map(|g| ("generation", g.to_string())));
    let request = client.get(&url).query(&query).header(header::ACCEPT, "text/plain");
    let response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let text = response.text().await.map_err(unreachable)?;
    if status.is_success() {
        return Ok(Report::text(text));
    }
    let exit = if status == StatusCode::NOT_FOUND { Exit::NotFound } else { Exit::Refused };
    Err(match serde_json::from_str::<Refusal>(&text) {
        Ok(Refusal { code, cause, remedy }) => {
            let cause = format!("The controller refused ({code}): {cause}.");
            Failure::new(failure::CONTROLLER_REFUSED, exit, cause).with_remedy(remedy)
        }
        Err(_) => {
            let cause = format!("{url} answered {status}, which a controller does not.");
            Failure::new(failure::CONTROLLER_REFUSED, exit, cause)
        }
    })
}
