//! `causeway availability`: whether what a controller's jobs need is there.

use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::config::Controller;
use crate::{
    args::AskController,
    failure::{self, Exit, Failure},
    output::{Report, plain, table},
};

const HEAD: [&str; 4] = ["NEED", "THERE", "ASKED", "REASON"];

#[derive(Debug, Deserialize)]
struct Availability {
    needs: Vec<Need>,
}

#[derive(Debug, Deserialize)]
struct Need {
    need: String,
    available: Option<bool>,
    reason: Option<String>,
    age_ms: Option<u64>,
}

/// Asks and prints.
pub async fn run(ask: &AskController) -> Result<Report, Failure> {
    let controller = Controller::new(ask)?;
    let value: Value = controller.json(controller.api(Method::GET, "/availability")).await?;
    let availability = Availability::deserialize(&value).map_err(|error| {
        let cause = format!("The controller's answer is of another version: {error}.");
        Failure::new(failure::CONTROLLER_REFUSED, Exit::Refused, cause)
    })?;
    Report::new(table(&HEAD, availability.needs.iter().map(row)), &value)
}

fn row(need: &Need) -> Vec<String> {
    let there = match need.available {
        Some(true) => "yes",
        Some(false) => "no",
        None => "none here",
    };
    let asked = need.age_ms.map_or_else(|| "-".to_owned(), |age_ms| format!("{} s ago", age_ms / 1_000));
    let reason = need.reason.as_deref().map_or_else(|| "-".to_owned(), plain);
    vec![plain(&need.need), there.to_owned(), asked, reason]
}
