//! `causeway config`: configurations, rendered here from a snapshot or as a controller serves them.

mod client;
mod verbs;

pub(super) use client::Controller;

use causeway_controller::{
    plan::PlanError,
    render::{RenderError, render_device},
};
use causeway_sdk::Snapshot;

use crate::{
    args::{Config, ConfigRender},
    failure::{self, Exit, Failure},
    output::Report,
};

/// Does one verb.
pub async fn run(verb: Config) -> Result<Report, Failure> {
    match verb {
        Config::Render(args) => render(&args),
        Config::Get(args) => verbs::get(&args).await,
        Config::Show(args) => verbs::show(&args).await,
        Config::Diff(args) => verbs::diff(&args).await,
        Config::Approve(args) => verbs::approve(&args).await,
        Config::Drift(args) => verbs::drift(&args).await,
        Config::Running(args) => verbs::running(&args).await,
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
