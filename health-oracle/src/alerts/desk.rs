//! The edge of alerts: the file of what is out, and the webhook.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use tracing::warn;

use super::{Alert, Concern, Terms, Watch, webhook::Webhook};
use crate::subjects::Judged;

/// Name of the file in the data folder.
const FILE: &str = "alerts.json";
/// Longest such file that is read: a record of each of sixty thousand subjects.
const MAX_BYTES: u64 = 16 << 20;

/// What watches over rounds and says what has to be said.
#[derive(Debug)]
pub struct Desk {
    watch: Watch,
    saved: Watch,
    path: PathBuf,
    terms: Terms,
    webhook: Option<Webhook>,
}

impl Desk {
    /// Takes up what was out when the last process ended. A file that can't be read is passed over with a warning: then
    /// what is still wrong is said once more.
    #[must_use]
    pub fn open(data_dir: &Path, terms: Terms, webhook: Option<Webhook>) -> Self {
        let path = data_dir.join(FILE);
        let watch = read(&path).unwrap_or_else(|error| {
            warn!(%error, "which alerts are out is not known; they are said again");
            Watch::default()
        });
        Self { saved: watch.clone(), watch, path, terms, webhook }
    }

    /// After a complete round.
    pub fn round(&mut self, round: &[Judged], now_ms: u64) {
        let alerts = self.watch.round(round, now_ms, &self.terms);
        alerts.into_iter().for_each(|alert| self.say(alert));
    }

    /// After an observation of the oracle itself: what is wrong, if anything is.
    pub fn observe(&mut self, concern: Concern, bad: Option<&str>, now_ms: u64) {
        let after = match concern {
            Concern::Rounds => self.terms.failed_rounds,
            Concern::Evidence | Concern::Balance => 1,
        };
        if let Some(alert) = self.watch.observe(concern, bad, now_ms, after) {
            self.say(alert);
        }
    }

    /// After the oracle's balance was read.
    pub fn balance(&mut self, lamports: u64, now_ms: u64) {
        let limit = self.terms.balance_lamports;
        let low = (lamports < limit).then(|| format!("It holds {lamports} lamports, and {limit} are asked for."));
        self.observe(Concern::Balance, low.as_deref(), now_ms);
    }

    fn say(&self, alert: Alert) {
        warn!(kind = alert.kind.name(), headline = alert.headline, details = ?alert.details, "alert");
        if let Some(webhook) = &self.webhook {
            webhook.send(alert);
        }
    }

    /// Keeps what is out, if that has changed.
    pub async fn save(&mut self) {
        if self.watch == self.saved {
            return;
        }
        let (watch, path) = (self.watch.clone(), self.path.clone());
        match tokio::task::spawn_blocking(move || write(&path, &watch).map(|()| watch)).await {
            Ok(Ok(saved)) => self.saved = saved,
            Ok(Err(error)) => warn!(%error, "which alerts are out is not kept; a restart says them again"),
            Err(error) => warn!(%error, "keeping which alerts are out was cut off"),
        }
    }
}

fn read(path: &Path) -> std::io::Result<Watch> {
    let length = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Watch::default()),
        Err(error) => return Err(error),
    };
    if length > MAX_BYTES {
        return Err(std::io::Error::other("the file is far too long"));
    }
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

/// A whole file or the one before: never half of one.
fn write(path: &Path, watch: &Watch) -> std::io::Result<()> {
    let beside = path.with_extension("json.new");
    let mut file = std::fs::File::create(&beside)?;
    file.write_all(&serde_json::to_vec(watch)?)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{alerts::tests::judged, metrics::Metrics};
    use causeway_interface::LinkHealth;

    #[tokio::test]
    async fn a_restart_says_nothing_twice_and_what_changed_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let (webhook, _task) = Webhook::start("http://127.0.0.1:1".into(), "o".into(), Metrics::default());
        let open = || Desk::open(folder.path(), Terms::default(), Some(webhook.clone()));
        let mut desk = open();
        desk.round(&[judged(LinkHealth::Impaired, true)], 1);
        for _ in 0..3 {
            desk.observe(Concern::Rounds, Some("dead"), 1);
        }
        desk.save().await;
        let before = desk.watch.clone();
        assert!(before.subjects.len() == 1 && before.concerns.len() == 1);

        let mut again = open();
        assert_eq!(again.watch, before);
        assert_eq!(again.watch.round(&[judged(LinkHealth::Impaired, true)], 2, &Terms::default()), []);
        assert_eq!(again.watch.observe(Concern::Rounds, Some("dead"), 2, 3), None);
        assert_eq!(again.watch.round(&[judged(LinkHealth::ReadyForService, true)], 3, &Terms::default()).len(), 1);

        std::fs::write(folder.path().join(FILE), "{").unwrap();
        assert_eq!(open().watch, Watch::default());
    }

    #[test]
    fn a_low_balance_is_said_once_and_a_limit_of_zero_never() {
        let folder = tempfile::tempdir().unwrap();
        let said = |limit, lamports: &[u64]| {
            let terms = Terms { balance_lamports: limit, ..Terms::default() };
            let mut desk = Desk::open(folder.path(), terms, None);
            let said = |desk: &Desk| desk.watch.concerns.contains_key(&Concern::Balance);
            lamports
                .iter()
                .map(|l| {
                    desk.balance(*l, 1);
                    said(&desk)
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(said(10, &[10, 9, 8, 10]), [false, true, true, false]);
        assert_eq!(said(0, &[0]), [false]);
    }
}
