//! A rollout as it is printed and followed, and how a command ends by it.

use serde::Deserialize;
use serde_json::Value;

use crate::{
    commands::job::{Approval, Asked, Trouble, read, watch},
    failure::{self, Exit, Failure},
    output::{Report, or_dash, pairs, plain, span, table},
};

/// Devices that are printed where not all are asked for.
const MAX_SHOWN: usize = 20;

#[derive(Clone, Debug, Deserialize)]
struct Body {
    id: i64,
    kind: String,
    status: String,
    state: String,
    over: bool,
    alerts: bool,
    percent: u8,
    wave: u16,
    waves: Vec<Wave>,
    soak: Option<Soak>,
    actor: String,
    message: String,
    paused: Option<Asked>,
    cancelled: Option<Asked>,
    approval: Option<Approval>,
    error: Option<Trouble>,
    stuck: Vec<String>,
    devices: Vec<Device>,
    changed_unix_ms: u64,
}

#[derive(Clone, Debug, Deserialize)]
struct Wave {
    number: u16,
    devices: u16,
    done: u16,
    running: u16,
    failed: u16,
    back: u16,
    state: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Soak {
    began_unix_ms: u64,
    good_since_unix_ms: Option<u64>,
    for_ms: u64,
    by_health: bool,
    bad: Option<String>,
    unsure: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Device {
    code: String,
    wave: u16,
    forward: Progress,
    back: Option<Progress>,
    last_job: Option<i64>,
}

#[derive(Clone, Debug, Deserialize)]
struct Progress {
    state: String,
    code: Option<String>,
    message: Option<String>,
}

impl Progress {
    fn words(&self) -> String {
        let words = [&self.code, &self.message].into_iter().flatten().map(|words| plain(words)).collect::<Vec<_>>();
        if words.is_empty() { plain(&self.state) } else { format!("{}: {}", plain(&self.state), words.join(": ")) }
    }
}

/// A rollout.
#[derive(Clone, Debug)]
pub struct RolloutView {
    body: Body,
    value: Value,
    every_device: bool,
}

impl RolloutView {
    /// Of a controller's answer.
    pub fn read(value: Value) -> Result<Self, Failure> {
        Ok(Self { body: read(&value)?, value, every_device: false })
    }

    /// Whether every device is printed, or only those with something to say.
    pub const fn with_devices(mut self, every_device: bool) -> Self {
        self.every_device = every_device;
        self
    }

    /// Whether it is over.
    pub const fn is_over(&self) -> bool {
        self.body.over
    }

    /// Whether it is over and did what it is for.
    fn is_good(&self) -> bool {
        self.body.over && self.body.state == "DONE"
    }

    fn soaking(&self) -> Option<String> {
        let soak = self.body.soak.as_ref()?;
        let since = if soak.by_health { soak.good_since_unix_ms } else { Some(soak.began_unix_ms) };
        let well_s = since.map_or(0, |since| self.body.changed_unix_ms.saturating_sub(since) / 1_000);
        let mut words = format!("well for {} of {}", span(well_s), span(soak.for_ms / 1_000));
        for (what, said) in [("not well", &soak.bad), ("not known", &soak.unsure)] {
            if let Some(said) = said {
                words.push_str(&format!("; {what}: {}", plain(said)));
            }
        }
        Some(words)
    }

    /// As it is printed.
    pub fn report(&self) -> Result<Report, Failure> {
        let body = &self.body;
        let mut rows = vec![
            ("rollout", body.id.to_string()),
            ("kind", plain(&body.kind)),
            ("status", plain(&body.status)),
            ("state", plain(&body.state)),
            ("done", format!("{} % of {} devices", body.percent, body.devices.len())),
            ("wave", format!("{} of {}", body.wave, body.waves.len())),
            ("actor", plain(&body.actor)),
        ];
        if !body.message.is_empty() {
            rows.push(("message", plain(&body.message)));
        }
        rows.extend(self.soaking().map(|words| ("soaking", words)));
        rows.extend(body.paused.as_ref().map(|paused| ("paused", paused.words())));
        rows.extend(body.cancelled.as_ref().map(|cancelled| ("cancelled", cancelled.words())));
        rows.extend(body.approval.as_ref().map(|approval| ("approval", approval.words())));
        if let Some(error) = &body.error {
            rows.push(("error", format!("{}: {}", plain(&error.code), plain(&error.cause))));
            rows.push(("remedy", plain(&error.remedy)));
        }
        let waves = body.waves.iter().map(|wave| {
            let numbers = [wave.number, wave.devices, wave.done, wave.running, wave.failed, wave.back];
            let mut row: Vec<String> = numbers.iter().map(ToString::to_string).collect();
            row.push(plain(&wave.state));
            row
        });
        let waves = table(&["wave", "devices", "done", "running", "failed", "back", "state"], waves);
        let worth = |device: &&Device| {
            self.every_device || device.back.is_some() || !["waiting", "done"].contains(&device.forward.state.as_str())
        };
        let all = body.devices.iter().filter(worth).count();
        let most = if self.every_device { usize::MAX } else { MAX_SHOWN };
        let devices = body.devices.iter().filter(worth).take(most).map(|device| {
            vec![
                plain(&device.code),
                device.wave.to_string(),
                device.forward.words(),
                or_dash(device.back.as_ref().map(Progress::words).unwrap_or_default()),
                or_dash(device.last_job.map(|job| job.to_string()).unwrap_or_default()),
            ]
        });
        let mut text = format!("{}\n\n{waves}", pairs(&rows));
        if all > 0 {
            let devices = table(&["device", "wave", "forward", "back", "job"], devices);
            text.push_str(&format!("\n{devices}"));
        }
        if all > most {
            text.push_str(&format!("\nand {} more; --devices shows all\n", all - most));
        }
        Report::new(text, &self.value)
    }

    /// How a command ends that was to see it to its end: a rollout that did not do what it is for is a failure.
    pub fn ended(&self) -> Result<Report, Failure> {
        let (report, body) = (self.report()?, &self.body);
        if self.is_good() {
            return Ok(report);
        }
        let failure = match (&body.error, &body.cancelled) {
            (_, _) if body.alerts => {
                let stuck: Vec<String> = body.stuck.iter().map(|code| plain(code)).collect();
                let cause = format!("Rollout {} went back, and what {} runs is not known.", body.id, stuck.join(", "));
                Failure::new(failure::JOB_STUCK, Exit::Refused, cause)
            }
            (_, Some(asked)) => {
                let cause = format!("Rollout {} was cancelled {}.", body.id, asked.words());
                Failure::new(failure::ROLLOUT_CANCELLED, Exit::Refused, cause)
            }
            (Some(error), None) => {
                let cause = format!("Rollout {} is {}: {}", body.id, plain(&body.status), plain(&error.cause));
                let failure = Failure::new(failure::ROLLOUT_CANCELLED, Exit::Refused, cause);
                Failure { code: plain(&error.code), ..failure }.with_remedy(plain(&error.remedy))
            }
            (None, None) => {
                let cause = format!("Rollout {} is {} ({}).", body.id, plain(&body.status), plain(&body.state));
                Failure::new(failure::CONTROLLER_REFUSED, Exit::Refused, cause)
            }
        };
        Err(failure.with_report(report))
    }
}

impl watch::Followed for RolloutView {
    fn read(value: Value) -> Result<Self, Failure> {
        Self::read(value)
    }

    fn is_over(&self) -> bool {
        self.is_over()
    }
}

/// An event of a rollout, as far as it is shown.
#[derive(Debug, Deserialize)]
pub struct Line {
    seq: u64,
    event: String,
    devices: Vec<String>,
    count: usize,
    words: String,
    wave: u16,
    waves: u16,
    state: String,
    percent: u8,
}

impl watch::Event for Line {
    fn seq(&self) -> u64 {
        self.seq
    }

    fn percent(&self) -> u8 {
        self.percent
    }

    fn beside(&self) -> String {
        format!("wave {}/{} {}", self.wave, self.waves, plain(&self.state))
    }

    fn words(&self) -> String {
        let mut devices: Vec<String> = self.devices.iter().map(|code| plain(code)).collect();
        if self.count > devices.len() {
            devices.push(format!("and {} more", self.count - devices.len()));
        }
        let about = if devices.is_empty() { String::new() } else { format!(" {}", devices.join(" ")) };
        format!("{}{about}: {}: {}", self.beside(), plain(&self.event), plain(&self.words))
    }

    fn is_news(&self) -> bool {
        // A look that found nothing is in the bar already.
        let known = match self.event.as_str() {
            "made" | "claimed" => true,
            "looked" => self.words == "all well",
            _ => false,
        };
        !known
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use watch::Event as _;

    fn rollout(status: &str, state: &str, more: &Value) -> RolloutView {
        let mut value = json!({
            "id": 7, "kind": "provision", "status": status, "state": state, "over": true, "alerts": false, "percent": 50,
            "wave": 1, "waves": [{ "number": 1, "devices": 1, "done": 1, "running": 0, "failed": 0, "back": 0, "state": "passed" }],
            "soak": null, "actor": "me", "message": "\u{1b}[2Jwiped", "paused": null, "cancelled": null, "approval": null,
            "error": null, "stuck": [], "changed_unix_ms": 5, "devices": [
                { "code": "ams", "wave": 1, "forward": { "state": "done", "code": null, "message": null }, "back": null,
                  "last_job": 8 }],
        });
        for (key, new) in more.as_object().unwrap() {
            value[key] = new.clone();
        }
        RolloutView::read(value).unwrap()
    }

    #[test]
    fn a_command_ends_as_its_rollout_did() {
        let ended = |status, state, more: Value| rollout(status, state, &more).ended().map_err(|failure| failure.code);
        assert!(ended("PROVISIONED", "DONE", json!({})).is_ok());
        assert!(ended("NOT_PROVISIONED", "DONE", json!({})).is_ok(), "a dry run");
        let error = json!({ "code": "CW-JOB-ROLLOUT-UNHEALTHY", "cause": "ams: D3", "remedy": "mend it" });
        let code = |ended: Result<Report, String>| ended.unwrap_err();
        assert_eq!(code(ended("FAILED", "ROLLED_BACK", json!({ "error": error }))), "CW-JOB-ROLLOUT-UNHEALTHY");
        let cancelled = json!({ "cancelled": { "actor": "me", "reason": "no" } });
        assert_eq!(code(ended("PARTIAL", "CANCELLED", cancelled)), "CW-JOB-ROLLOUT-CANCELLED");
        let stuck = json!({ "alerts": true, "error": error, "stuck": ["ams"] });
        assert_eq!(code(ended("FAILED", "ROLLBACK_FAILED", stuck)), "CW-JOB-STUCK");
    }

    #[test]
    fn words_of_others_do_nothing_to_a_terminal() {
        let text = rollout("PROVISIONED", "DONE", &json!({})).with_devices(true).report().unwrap().text;
        assert!(text.contains("?[2Jwiped") && !text.contains('\u{1b}') && text.contains("ams"), "{text}");
    }

    #[test]
    fn an_event_names_its_wave_and_devices() {
        let line = json!({
            "seq": 3, "event": "began", "devices": ["ams", "fra"], "count": 5, "words": "to be changed", "wave": 2, "waves": 3,
            "state": "RUNNING", "percent": 10,
        });
        let line: Line = serde_json::from_value(line).unwrap();
        assert_eq!(line.words(), "wave 2/3 RUNNING ams fra and 3 more: began: to be changed");
    }
}
