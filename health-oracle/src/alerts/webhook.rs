//! Delivery to a webhook: best effort, bounded in everything, never in the way of a round. Its address is a secret and
//! appears in no log.

use std::time::Duration;

use reqwest::{StatusCode, header::RETRY_AFTER, redirect::Policy};
use tokio::{sync::mpsc, task::JoinHandle};
use tracing::{error, warn};

use super::{Alert, message};
use crate::metrics::Metrics;

/// Alerts that may wait. A round hands in a digest at worst; what goes beyond is dropped and counted.
const QUEUE: usize = 512;
/// Longest wait for the webhook's answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Tries per alert.
const TRIES: u32 = 5;
/// Pause after the first try; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause, whatever the webhook asks for: what waits behind is news as well.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// Where alerts are handed in.
#[derive(Clone, Debug)]
pub struct Webhook {
    queue: mpsc::Sender<Alert>,
    metrics: Metrics,
}

impl Webhook {
    /// Starts the delivery to this address; the task ends once every clone is gone and what was queued is delivered.
    #[must_use]
    pub fn start(url: String, oracle: String, metrics: Metrics) -> (Self, JoinHandle<()>) {
        let (queue, mut alerts) = mpsc::channel::<Alert>(QUEUE);
        let counted = metrics.clone();
        let task = tokio::spawn(async move {
            // A redirect would carry the alert, and the secret in its address, to somebody else.
            let client = reqwest::Client::builder().timeout(TIMEOUT).redirect(Policy::none()).build();
            let client = client.unwrap_or_else(|error| {
                error!(error = %error.without_url(), "alerts are sent without a time limit");
                reqwest::Client::new()
            });
            while let Some(alert) = alerts.recv().await {
                let delivered = deliver(&client, &url, &message::body(&oracle, &alert)).await;
                counted.alert(alert.kind, delivered);
                counted.alerts_waiting(alerts.len());
            }
        });
        (Self { queue, metrics }, task)
    }

    /// Hands in an alert; one that finds the queue full is dropped and counted.
    pub fn send(&self, alert: Alert) {
        let kind = alert.kind;
        if let Err(error) = self.queue.try_send(alert) {
            warn!(%error, "alert dropped");
            self.metrics.alert(kind, false);
        }
        self.metrics.alerts_waiting(QUEUE.saturating_sub(self.queue.capacity()));
    }
}

/// What to do after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Delivered,
    /// Trying again would change nothing.
    GiveUp,
    Again(Duration),
}

/// By the answer's status (none where there was no answer), the seconds that it asks to wait, and the number of tries
/// before, from 0.
fn next(status: Option<StatusCode>, retry_after: Option<u64>, before: u32) -> Next {
    let pause = FIRST_PAUSE.saturating_mul(1 << before.min(16));
    let again = |pause: Duration| if before + 1 < TRIES { Next::Again(pause.min(MAX_PAUSE)) } else { Next::GiveUp };
    match status {
        Some(status) if status.is_success() => Next::Delivered,
        Some(StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => {
            again(retry_after.map_or(pause, Duration::from_secs))
        }
        Some(StatusCode::REQUEST_TIMEOUT) | None => again(pause),
        Some(status) if status.is_server_error() => again(pause),
        Some(_) => Next::GiveUp,
    }
}

async fn deliver(client: &reqwest::Client, url: &str, body: &serde_json::Value) -> bool {
    for before in 0..TRIES {
        let (status, retry_after) = match client.post(url).json(body).send().await {
            Ok(response) => {
                let seconds = response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()?.trim().parse().ok());
                (Some(response.status()), seconds)
            }
            Err(error) => {
                warn!(error = %error.without_url(), before, "alert not delivered");
                (None, None)
            }
        };
        match next(status, retry_after, before) {
            Next::Delivered => return true,
            Next::GiveUp => {
                warn!(status = status.map(|s| s.as_u16()), "alert given up");
                return false;
            }
            Next::Again(pause) => tokio::time::sleep(pause).await,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::{Router, extract::State, http, routing::post};

    use super::*;
    use crate::alerts::AlertKind;

    #[test]
    fn what_is_asked_for_is_waited_for_within_bounds() {
        let code = |n: u16| Some(StatusCode::from_u16(n).unwrap());
        let seconds = |n| Next::Again(Duration::from_secs(n));
        let cases = [
            (code(200), None, 0, Next::Delivered),
            (code(204), Some(9), 4, Next::Delivered),
            (code(429), Some(7), 0, seconds(7)),
            (code(429), Some(u64::MAX), 0, seconds(60)),
            (code(429), None, 2, seconds(4)),
            (code(503), Some(3), 1, seconds(3)),
            (code(500), Some(30), 1, seconds(2)),
            (None, None, 0, seconds(1)),
            (None, None, 4, Next::GiveUp),
            (code(429), Some(7), 4, Next::GiveUp),
            (code(404), None, 0, Next::GiveUp),
            (code(302), None, 0, Next::GiveUp),
        ];
        for (status, after, before, expected) in cases {
            assert_eq!(next(status, after, before), expected, "{status:?} {after:?} {before}");
        }
    }

    type Seen = Arc<Mutex<Vec<serde_json::Value>>>;

    /// Refuses the first message once and asks for a second's patience; then takes everything.
    async fn fake_slack(
        State(seen): State<Seen>,
        body: String,
    ) -> (http::StatusCode, [(&'static str, &'static str); 1]) {
        let mut seen = seen.lock().unwrap();
        seen.push(serde_json::from_str(&body).unwrap());
        let status = if seen.len() == 1 { http::StatusCode::TOO_MANY_REQUESTS } else { http::StatusCode::OK };
        (status, [("retry-after", "1")])
    }

    #[tokio::test]
    async fn a_refused_alert_is_delivered_after_the_pause_and_before_the_task_ends() {
        let seen = Seen::default();
        let app = Router::new().route("/secret", post(fake_slack)).with_state(seen.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/secret", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let metrics = Metrics::default();
        let (webhook, task) = Webhook::start(url, "o".into(), metrics.clone());
        let began = std::time::Instant::now();
        for headline in ["first", "second"] {
            webhook.send(Alert { kind: AlertKind::Trouble, headline: headline.into(), details: vec![], since_ms: 0 });
        }
        drop(webhook);
        tokio::time::timeout(Duration::from_secs(20), task).await.unwrap().unwrap();
        assert!(began.elapsed() >= Duration::from_secs(1));
        let texts: Vec<_> = seen.lock().unwrap().iter().map(|m| m["text"].as_str().unwrap()[..8].to_owned()).collect();
        assert_eq!(texts, ["o: first", "o: first", "o: secon"]);
        let page = metrics.text();
        assert!(page.contains("causeway_oracle_alerts_total{kind=\"trouble\"} 2"), "{page}");
        assert!(page.contains("causeway_oracle_alerts_failed_total 0"), "{page}");
    }
}
