//! A job as it is printed, and how a command ends by it.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{approve::Approval, senseless};
use crate::{
    failure::{self, Exit, Failure},
    output::{Report, or_dash, pairs, plain, table},
};

#[derive(Clone, Debug, Deserialize)]
struct Body {
    id: i64,
    kind: String,
    status: String,
    state: String,
    over: bool,
    alerts: bool,
    percent: u8,
    devices: Vec<Device>,
    actor: String,
    round: u32,
    held: Option<Asked>,
    cancelled: Option<Asked>,
    approval: Option<Approval>,
    error: Option<Trouble>,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, Deserialize)]
struct Device {
    code: String,
    stuck: bool,
}

/// Who asked for something, and why.
#[derive(Clone, Debug, Deserialize)]
pub struct Asked {
    actor: String,
    reason: String,
}

impl Asked {
    /// In words.
    pub fn words(&self) -> String {
        format!("by {}: {}", plain(&self.actor), plain(&self.reason))
    }
}

/// Why something failed.
#[derive(Clone, Debug, Deserialize)]
pub struct Trouble {
    /// Its code.
    pub code: String,
    /// What is wrong.
    pub cause: String,
    /// What to do.
    pub remedy: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Step {
    index: u16,
    step: String,
    device: String,
    criticality: String,
    status: String,
    attempts: u16,
    took_ms: Option<u64>,
    message: String,
    undo: Option<Undo>,
}

#[derive(Clone, Debug, Deserialize)]
struct Undo {
    status: String,
    message: String,
}

/// Reads a part of an answer.
pub fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Failure> {
    T::deserialize(value).map_err(|error| senseless(&error))
}

/// A job.
#[derive(Clone, Debug)]
pub struct JobView {
    body: Body,
    value: Value,
}

impl JobView {
    /// Of a controller's answer.
    pub fn read(value: Value) -> Result<Self, Failure> {
        Ok(Self { body: read(&value)?, value })
    }

    /// Whether it is over.
    pub const fn is_over(&self) -> bool {
        self.body.over
    }

    /// Whether it is over and did what it is for.
    pub fn is_good(&self) -> bool {
        self.body.over && (self.body.status == "PROVISIONED" || self.body.state == "DONE")
    }

    /// As it is printed.
    pub fn report(&self) -> Result<Report, Failure> {
        let body = &self.body;
        let devices: Vec<String> = body.devices.iter().map(|device| plain(&device.code)).collect();
        let mut rows = vec![
            ("job", body.id.to_string()),
            ("kind", plain(&body.kind)),
            ("devices", devices.join(" ")),
            ("status", plain(&body.status)),
            ("state", plain(&body.state)),
            ("done", format!("{} %", body.percent)),
            ("round", body.round.to_string()),
            ("actor", plain(&body.actor)),
        ];
        rows.extend(body.held.as_ref().map(|held| ("held", held.words())));
        rows.extend(body.cancelled.as_ref().map(|cancelled| ("cancelled", cancelled.words())));
        rows.extend(body.approval.as_ref().map(|approval| ("approval", approval.words())));
        if let Some(error) = &body.error {
            rows.push(("error", format!("{}: {}", plain(&error.code), plain(&error.cause))));
            rows.push(("remedy", plain(&error.remedy)));
        }
        let steps = body.steps.iter().map(|step| {
            let (status, message) = match &step.undo {
                Some(undo) => (format!("{}, undo {}", step.status, undo.status), &undo.message),
                None => (step.status.clone(), &step.message),
            };
            vec![
                step.index.to_string(),
                plain(&step.step),
                plain(&step.device),
                plain(&step.criticality),
                plain(&status),
                step.attempts.to_string(),
                or_dash(step.took_ms.map(|ms| format!("{ms} ms")).unwrap_or_default()),
                or_dash(plain(message)),
            ]
        });
        let steps = table(&["step", "verb", "device", "weight", "status", "tries", "took", "message"], steps);
        Report::new(format!("{}\n\n{steps}", pairs(&rows)), &self.value)
    }

    /// How a command ends that was to see it to its end: a job that did not do what it is for is a failure.
    pub fn ended(&self) -> Result<Report, Failure> {
        let (report, body) = (self.report()?, &self.body);
        if self.is_good() {
            return Ok(report);
        }
        let stuck: Vec<String> =
            body.devices.iter().filter(|device| device.stuck).map(|device| plain(&device.code)).collect();
        let failure = match (&body.error, &body.cancelled) {
            (_, _) if body.alerts => {
                let cause = format!("Job {} went back, and what {} runs is not known.", body.id, stuck.join(", "));
                Failure::new(failure::JOB_STUCK, Exit::Refused, cause)
            }
            (_, Some(asked)) => {
                let (actor, reason) = (plain(&asked.actor), plain(&asked.reason));
                let cause = format!("Job {} was cancelled by {actor}: {reason}.", body.id);
                Failure::new(failure::JOB_CANCELLED, Exit::Refused, cause)
            }
            (Some(error), None) => {
                let cause = format!("Job {} is {}: {}", body.id, plain(&body.status), plain(&error.cause));
                let failure =
                    Failure { code: plain(&error.code), ..Failure::new(failure::JOB_CANCELLED, Exit::Refused, cause) };
                failure.with_remedy(plain(&error.remedy))
            }
            (None, None) => {
                let cause = format!("Job {} is {} ({}).", body.id, plain(&body.status), plain(&body.state));
                Failure::new(failure::CONTROLLER_REFUSED, Exit::Refused, cause)
            }
        };
        Err(failure.with_report(report))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn job(status: &str, state: &str, more: &Value) -> JobView {
        let mut value = json!({
            "id": 7, "kind": "provision", "status": status, "state": state, "over": true, "alerts": false, "percent": 50,
            "devices": [{ "code": "ams", "stuck": false }], "actor": "me", "round": 1,
            "held": null, "cancelled": null, "error": null,
            "steps": [{ "index": 0, "step": "check-ledger", "device": "ams", "criticality": "critical",
                "status": "done", "attempts": 1, "took_ms": 3, "message": "\u{1b}[2Jwiped", "undo": null }],
        });
        for (key, new) in more.as_object().unwrap() {
            value[key] = new.clone();
        }
        JobView::read(value).unwrap()
    }

    #[test]
    fn a_command_ends_as_its_job_did() {
        let ended = |status, state, more: Value| job(status, state, &more).ended().map_err(|failure| failure.code);
        assert!(ended("PROVISIONED", "DONE", json!({})).is_ok());
        assert!(ended("NOT_PROVISIONED", "DONE", json!({})).is_ok(), "a dry run");
        let error = json!({ "code": "CW-JOB-TIMEOUT", "cause": "late", "remedy": "wait" });
        let code = |ended: Result<Report, String>| ended.unwrap_err();
        assert_eq!(code(ended("FAILED", "ROLLED_BACK", json!({ "error": error }))), "CW-JOB-TIMEOUT");
        assert_eq!(code(ended("PARTIAL", "DONE_PARTLY", json!({ "error": error }))), "CW-JOB-TIMEOUT");
        let cancelled = json!({ "cancelled": { "actor": "me", "reason": "no" } });
        assert_eq!(code(ended("NOT_PROVISIONED", "CANCELLED", cancelled)), "CW-JOB-CANCELLED");
        let stuck = json!({ "alerts": true, "error": error, "devices": [{ "code": "ams", "stuck": true }] });
        assert_eq!(code(ended("FAILED", "ROLLBACK_FAILED", stuck)), "CW-JOB-STUCK");
    }

    #[test]
    fn words_of_a_device_do_nothing_to_a_terminal() {
        let text = job("PROVISIONED", "DONE", &json!({})).report().unwrap().text;
        assert!(text.contains("?[2Jwiped") && !text.contains('\u{1b}'), "{text}");
    }
}
