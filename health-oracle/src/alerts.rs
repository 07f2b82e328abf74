//! Alerts to a webhook (Slack-compatible: a JSON object with `text`).
//!
//! What to say is decided by [`Watch`], pure: once when a subject in service is demoted or falls silent, once when it is
//! well again. Delivery is best effort and bounded; it never holds up a round.

use std::{collections::BTreeMap, time::Duration};

use causeway_interface::Key;
use tokio::sync::mpsc;
use tracing::warn;

use crate::{
    criteria::{Criterion, Outcome},
    metrics::Metrics,
    subjects::{Judged, Kind},
};

/// Alerts that may wait. A site that fails is some hundred subjects; what goes beyond is dropped and counted.
const QUEUE: usize = 512;
/// Longest wait for the webhook's answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Tries per alert, one second apart and then two.
const TRIES: u32 = 3;

/// Why people should look at a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It was observed to be bad.
    Impaired,
    /// It is not heard of.
    Silent,
}

/// What is to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// "impaired", "silent" or "recovered".
    pub kind: &'static str,
    /// The sentence.
    pub text: String,
}

/// Which alerts are out.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    out: BTreeMap<Key, Reason>,
}

/// Below what a subject in service needs: for links of a device alone is not enough.
fn trouble(judged: &Judged) -> Option<Reason> {
    let needed = match judged.kind {
        Kind::Device => 2,
        Kind::Link => 1,
    };
    if !judged.in_service || judged.verdict.level.rank() >= needed {
        return None;
    }
    let bad = judged.verdict.criteria.iter().any(|c| c.passed == Outcome::Failed);
    Some(if bad { Reason::Impaired } else { Reason::Silent })
}

impl Watch {
    /// What has to be said after a round. Nothing is said twice: a subject that goes from silent to impaired is news, the
    /// other way round is not.
    pub fn update(&mut self, oracle: &str, round: &[Judged]) -> Vec<Alert> {
        let mut alerts = Vec::new();
        let mut out = BTreeMap::new();
        for judged in round {
            let (name, code) = (judged.kind.name(), judged.code);
            match (self.out.get(&judged.key).copied(), trouble(judged)) {
                (None, None) => {}
                (Some(_), None) => {
                    alerts.push(Alert { kind: "recovered", text: format!("{oracle}: {name} {code} is well again") });
                }
                (Some(Reason::Impaired), Some(_)) => drop(out.insert(judged.key, Reason::Impaired)),
                (Some(Reason::Silent), Some(Reason::Silent)) => drop(out.insert(judged.key, Reason::Silent)),
                (None, Some(Reason::Silent)) => {
                    let text = format!("{oracle}: {name} {code} is not observed: {}", criteria(judged));
                    alerts.push(Alert { kind: "silent", text });
                    out.insert(judged.key, Reason::Silent);
                }
                (None | Some(Reason::Silent), Some(Reason::Impaired)) => {
                    let level = judged.verdict.level.name();
                    let text = format!("{oracle}: {name} {code} is {level}: {}", criteria(judged));
                    alerts.push(Alert { kind: "impaired", text });
                    out.insert(judged.key, Reason::Impaired);
                }
            }
        }
        self.out = out;
        alerts
    }
}

fn criteria(judged: &Judged) -> String {
    let words = judged.verdict.not_passed().map(|c| format!("{} ({})", Criterion::name(c.id), c.observed));
    words.collect::<Vec<_>>().join(", ")
}

/// Where alerts are handed in.
#[derive(Clone, Debug)]
pub struct Webhook {
    queue: mpsc::Sender<Alert>,
    metrics: Metrics,
}

impl Webhook {
    /// Starts the delivery to this address; it ends with the last clone.
    #[must_use]
    pub fn start(url: String, metrics: Metrics) -> Self {
        let (queue, mut alerts) = mpsc::channel::<Alert>(QUEUE);
        let counted = metrics.clone();
        tokio::spawn(async move {
            let client = reqwest::Client::builder().timeout(TIMEOUT).build().unwrap_or_default();
            while let Some(alert) = alerts.recv().await {
                let delivered = deliver(&client, &url, &alert).await;
                counted.alert(alert.kind, delivered);
            }
        });
        Self { queue, metrics }
    }

    /// Hands in an alert; one that finds the queue full is dropped and counted.
    pub fn send(&self, alert: Alert) {
        if let Err(error) = self.queue.try_send(alert) {
            warn!(%error, "alert dropped");
            self.metrics.alert("dropped", false);
        }
    }
}

async fn deliver(client: &reqwest::Client, url: &str, alert: &Alert) -> bool {
    for attempt in 0..TRIES {
        let body = serde_json::json!({ "text": alert.text });
        match client.post(url).json(&body).send().await.and_then(reqwest::Response::error_for_status) {
            Ok(_) => return true,
            // The address may hold a secret: it is not logged.
            Err(error) => warn!(error = %error.without_url(), attempt, "alert not delivered"),
        }
        tokio::time::sleep(Duration::from_secs(1 << attempt)).await;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        criteria::{CriterionResult, Level, Verdict},
        evidence::EvidenceWindow,
    };
    use causeway_interface::LinkHealth;

    fn judged(health: LinkHealth, in_service: bool) -> Judged {
        let passed = match health {
            LinkHealth::ReadyForService => Outcome::Passed,
            LinkHealth::Impaired => Outcome::Failed,
            LinkHealth::Pending | LinkHealth::Unknown => Outcome::NotObserved,
        };
        let result = CriterionResult {
            id: Criterion::L2,
            passed,
            observed: "seen".into(),
            required: String::new(),
            detail: String::new(),
        };
        Judged {
            key: Key([1; 32]),
            code: "l-1".parse().unwrap(),
            kind: Kind::Link,
            in_service,
            verdict: Verdict { level: Level::Link(health), criteria: vec![result] },
            window: EvidenceWindow { start_slot: 0, end_slot: 0, start_ms: 0, end_ms: 0 },
            telemetry: vec![],
            basis: None,
        }
    }

    #[test]
    fn each_change_is_said_once() {
        use LinkHealth::*;
        let mut watch = Watch::default();
        let story = [
            (ReadyForService, vec![]),
            (Pending, vec!["silent"]),
            (Pending, vec![]),
            (Impaired, vec!["impaired"]),
            (Pending, vec![]),
            (Impaired, vec![]),
            (ReadyForService, vec!["recovered"]),
            (ReadyForService, vec![]),
            (Impaired, vec!["impaired"]),
        ];
        for (step, (health, expected)) in story.into_iter().enumerate() {
            let said: Vec<_> = watch.update("o", &[judged(health, true)]).iter().map(|a| a.kind).collect();
            assert_eq!(said, expected, "step {step}");
        }
        assert!(watch.update("o", &[]).is_empty(), "gone is not recovered");
        assert!(Watch::default().update("o", &[judged(Impaired, false)]).is_empty(), "not in service yet");
    }

    #[test]
    fn an_alert_names_the_criterion() {
        let text = &Watch::default().update("oracle-1", &[judged(LinkHealth::Impaired, true)])[0].text;
        assert_eq!(text, "oracle-1: link l-1 is impaired: L2 (seen)");
    }
}
